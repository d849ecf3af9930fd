/*
 * A system with control groups that is not there: files whose contents a test says and
 * changes, files that are watched, and what was written to them.
 *
 * A file that is watched is the end of a pipe: what has to be told exceptionally cannot be
 * made up, but a pipe that nobody reads any more calls for ever, as a file of a group does that
 * was removed.
 */
#ifndef HOSTMEM_UNIT_GROUPS_H
#define HOSTMEM_UNIT_GROUPS_H

#include "hostmem/os/system.h"
#include "test/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_ERRNO 4711 /* nobody's: what errno has to be after every call */

enum { GROUPS_FILES = 64, GROUPS_OPEN = 1024, GROUPS_WRITES = 64 };

struct group_file {
	const char *path;
	const char *text; /* NULL: it is not there */
	size_t size;      /* 0: as long as the text */
	int open_error, read_error, write_error;
	bool watched;
	int reader; /* of the file that was opened last, if it is watched */
};

struct group_write {
	const char *path;
	char text[64];
	size_t size;
};

static struct {
	struct hm_system_calls real;
	struct group_file files[GROUPS_FILES];
	unsigned count;
	struct group_file *open[GROUPS_OPEN]; /* by number */
	unsigned opened, closed, events;
	int event_error;
	int event; /* that was made last */
	struct group_write writes[GROUPS_WRITES];
	unsigned written;
} groups_made;

static inline struct group_file *group_file(const char *path)
{
	for (unsigned i = 0; i < groups_made.count; i++) {
		if (strcmp(groups_made.files[i].path, path) == 0)
			return &groups_made.files[i];
	}
	return NULL;
}

/* Says, or says anew, what is in a file. */
static inline struct group_file *group_set(const char *path, const char *text)
{
	struct group_file *file = group_file(path);

	if (file == NULL) {
		if (groups_made.count == GROUPS_FILES)
			abort();
		file = &groups_made.files[groups_made.count++];
		*file = (struct group_file){ .path = path, .reader = -1 };
	}
	file->text = text;
	return file;
}

static inline int groups_open(const char *path, int flags)
{
	struct group_file *file = group_file(path);
	int ends[2] = { -1, -1 };

	CHECK((flags & O_CLOEXEC) != 0);
	if (file == NULL || file->text == NULL || file->open_error != 0) {
		errno = file != NULL && file->open_error != 0 ? file->open_error : ENOENT;
		return -1;
	}
	if (!file->watched)
		ends[1] = groups_made.real.open("/dev/null", O_RDWR | O_CLOEXEC);
	else if (pipe(ends) == 0)
		file->reader = ends[0];
	if (ends[1] < 0 || ends[1] >= GROUPS_OPEN)
		abort();
	groups_made.open[ends[1]] = file;
	groups_made.opened++;
	return ends[1];
}

static inline long groups_read_at(int number, void *buffer, size_t size, long offset)
{
	const struct group_file *file = number >= 0 && number < GROUPS_OPEN
						? groups_made.open[number]
						: NULL;
	size_t length;

	if (file == NULL)
		return groups_made.real.read_at(number, buffer, size, offset);
	if (file->text == NULL || file->read_error != 0) {
		errno = file->text == NULL ? ENODEV : file->read_error;
		return -1;
	}
	length = file->size != 0 ? file->size : strlen(file->text);
	if ((size_t)offset >= length)
		return 0;
	if (length - (size_t)offset < size)
		size = length - (size_t)offset;
	memcpy(buffer, file->text + offset, size);
	return (long)size;
}

static inline long groups_write(int number, const void *buffer, size_t size)
{
	const struct group_file *file = number >= 0 && number < GROUPS_OPEN
						? groups_made.open[number]
						: NULL;
	struct group_write *note = &groups_made.writes[groups_made.written];

	if (file == NULL)
		return groups_made.real.write(number, buffer, size);
	if (groups_made.written == GROUPS_WRITES)
		abort();
	groups_made.written++;
	*note = (struct group_write){ .path = file->path, .size = size };
	memcpy(note->text, buffer, size < sizeof(note->text) ? size : sizeof(note->text));
	if (file->write_error == 0)
		return (long)size;
	errno = file->write_error;
	return -1;
}

static inline int groups_event(int flags)
{
	if (groups_made.event_error != 0) {
		errno = groups_made.event_error;
		return -1;
	}
	groups_made.events++;
	return groups_made.event = groups_made.real.event(flags);
}

static inline int groups_close(int number)
{
	if (number >= 0 && number < GROUPS_OPEN && groups_made.open[number] != NULL) {
		groups_made.open[number] = NULL;
		groups_made.closed++;
	}
	return groups_made.real.close(number);
}

static inline void groups_begin(void)
{
	memset(&groups_made, 0, sizeof(groups_made));
	groups_made.real = hm_system;
	groups_made.event = -1;
	hm_system.open = groups_open;
	hm_system.read_at = groups_read_at;
	hm_system.write = groups_write;
	hm_system.event = groups_event;
	hm_system.close = groups_close;
	errno = GROUPS_ERRNO;
}

/* Nothing stays open. */
static inline void groups_end(void)
{
	CHECK_U32(groups_made.opened, groups_made.closed);
	hm_system = groups_made.real;
	for (unsigned i = 0; i < groups_made.count; i++) {
		if (groups_made.files[i].reader >= 0)
			(void)close(groups_made.files[i].reader);
	}
}

/* A watched file calls from now on. */
static inline void group_storm(const char *path)
{
	struct group_file *file = group_file(path);

	if (!CHECK(file != NULL && file->reader >= 0))
		return;
	(void)close(file->reader);
	file->reader = -1;
}

/* How often a text was written to a file, exactly, with the byte that ends it. */
static inline unsigned groups_written(const char *path, const char *text)
{
	unsigned count = 0;

	for (unsigned i = 0; i < groups_made.written; i++) {
		const struct group_write *write = &groups_made.writes[i];

		count += strcmp(write->path, path) == 0 &&
			 write->size == strlen(text) + 1 &&
			 memcmp(write->text, text, write->size) == 0;
	}
	return count;
}

#endif
