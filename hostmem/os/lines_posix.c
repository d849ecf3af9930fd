/*
 * Small text files that the kernel writes, line by line.
 *
 * stdio was the alternative: it allocates, and who asks may be a collector in the middle of
 * its work.  What is read is not to be trusted: a file may be of any size, have lines of any
 * length, or end in the middle of one.
 *
 * No locks.
 */
#include "lines.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MOST ((size_t)1 << 20)

static long read_some(int file, char *buffer, size_t size, size_t offset)
{
	long got;

	do {
		got = hm_system.read_at(file, buffer, size, (long)offset);
	} while (got < 0 && errno == EINTR);
	return got;
}

int hm_lines_open(const char *path)
{
	int kept = errno;
	int file = hm_system.open(path, O_RDONLY | O_CLOEXEC);

	errno = kept;
	return file;
}

void hm_lines_close(int file)
{
	int kept = errno;

	if (file >= 0)
		(void)hm_system.close(file);
	errno = kept;
}

/* A line as it comes; one that is too long has a length above its room. */
struct collected {
	char text[HM_LINE];
	size_t length;
};

static bool collect(struct collected *line, const char *buffer, size_t size,
		    hm_line_visitor visit, void *state)
{
	for (size_t i = 0; i < size; i++) {
		if (buffer[i] != '\n') {
			if (line->length < sizeof(line->text))
				line->text[line->length] = buffer[i];
			line->length += line->length <= sizeof(line->text);
			continue;
		}
		if (line->length <= sizeof(line->text) &&
		    visit(state, line->text, line->length))
			return true;
		line->length = 0;
	}
	return false;
}

bool hm_lines_visit_file(int file, hm_line_visitor visit, void *state)
{
	struct collected line = { .length = 0 };
	char buffer[1024];
	size_t sum = 0;
	bool enough = false;
	int kept = errno;
	long got = -1;

	if (file < 0)
		return false;
	while (!enough && sum < MOST &&
	       (got = read_some(file, buffer, sizeof(buffer), sum)) > 0) {
		enough = collect(&line, buffer, (size_t)got, visit, state);
		sum += (size_t)got;
	}
	if (!enough && got == 0 && line.length != 0 && line.length <= sizeof(line.text))
		(void)visit(state, line.text, line.length);
	errno = kept;
	return got >= 0;
}

bool hm_lines_visit(const char *path, hm_line_visitor visit, void *state)
{
	int file = hm_lines_open(path);
	bool read = hm_lines_visit_file(file, visit, state);

	hm_lines_close(file);
	return read;
}

size_t hm_lines_read_file(int file, char *buffer, size_t size)
{
	int kept = errno;
	long got = file < 0 ? 0 : read_some(file, buffer, size, 0);

	errno = kept;
	return got > 0 ? (size_t)got : 0;
}

bool hm_line_take(const char **line, size_t *length, char end, const char **field,
		  size_t *field_length)
{
	const char *found = memchr(*line, end, *length);

	if (found == NULL)
		return false;
	*field = *line;
	*field_length = (size_t)(found - *line);
	*length -= *field_length + 1;
	*line = found + 1;
	return true;
}
