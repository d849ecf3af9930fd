/*
 * Text files, line by line, whatever is in them.
 */
#include "hostmem/os/lines.h"
#include "files.h"

#include <stdlib.h>

enum { MOST = 64 };

static struct {
	unsigned count, enough; /* lines; after which there are enough, 0 = never */
	size_t length[MOST];
	char first[MOST];
} seen;

static bool see(void *state, const char *line, size_t length)
{
	CHECK_POINTER(state, &seen);
	if (seen.count < MOST) {
		seen.length[seen.count] = length;
		seen.first[seen.count] = length != 0 ? line[0] : '\0';
	}
	seen.count++;
	return seen.count == seen.enough;
}

static bool visit(const char *text, size_t size)
{
	const struct file file[] = { { "f", text, size }, { NULL, NULL, 0 } };
	bool read;

	memset(&seen, 0, sizeof(seen));
	files_begin(file);
	read = hm_lines_visit("f", see, &seen);
	files_end();
	return read;
}

static void each_line_is_seen_once(void)
{
	CHECK(visit("one\n\ntwo", 0));
	CHECK_U32(seen.count, 3);
	CHECK_SIZE(seen.length[0], 3);
	CHECK_SIZE(seen.length[1], 0);
	CHECK_SIZE(seen.length[2], 3); /* without a newline */
	CHECK_INT(seen.first[2], 't');
	CHECK(visit("a\0b\n", 4));
	CHECK_U32(seen.count, 1);
	CHECK_SIZE(seen.length[0], 3);
}

static void an_empty_file_has_no_lines(void)
{
	const struct file file[] = { { "f", "", 0 }, { NULL, NULL, 0 } };

	memset(&seen, 0, sizeof(seen));
	files_begin(file);
	CHECK(hm_lines_visit("f", see, &seen));
	CHECK_U32(seen.count, 0);
	CHECK(!hm_lines_visit("g", see, &seen));
	CHECK_U32(seen.count, 0);
	files_end();
}

static void a_line_that_is_too_long_is_left_out(void)
{
	for (size_t length = HM_LINE - 1; length <= HM_LINE + 2; length++) {
		char *text = malloc(length + 3);

		tap_row("%zu bytes", length);
		memset(text, 'x', length);
		memcpy(text + length, "\ny", 3);
		CHECK(visit(text, length + 2));
		CHECK_U32(seen.count, length <= HM_LINE ? 2 : 1);
		CHECK_INT(seen.first[seen.count - 1], 'y');
		free(text);
	}
}

static void a_file_without_an_end_is_not_read_to_it(void)
{
	size_t size = (size_t)2 << 20;
	char *text = malloc(size);

	memset(text, 'x', size);
	CHECK(visit(text, size)); /* one line */
	CHECK_U32(seen.count, 0);
	for (size_t i = 7; i < size; i += 8)
		text[i] = '\n';
	CHECK(visit(text, size));
	CHECK_SIZE(seen.count, size / 2 / 8);
	free(text);
}

static void enough_is_enough(void)
{
	const struct file file[] = { { "f", "a\nb\nc", 0 }, { NULL, NULL, 0 } };

	for (unsigned enough = 1; enough <= 3; enough++) {
		tap_row("%u", enough);
		memset(&seen, 0, sizeof(seen));
		seen.enough = enough;
		files_begin(file);
		CHECK(hm_lines_visit("f", see, &seen));
		CHECK_U32(seen.count, enough);
		files_end();
	}
}

static void what_interrupts_reading_is_not_the_end(void)
{
	const struct file two_lines[] = { { "f", "a\nb\n", 0 }, { NULL, NULL, 0 } };
	char text[8];
	int file;

	memset(&seen, 0, sizeof(seen));
	files_begin(two_lines);
	files_interruptions = 3;
	CHECK(hm_lines_visit("f", see, &seen));
	CHECK_U32(seen.count, 2);
	files_interruptions = 2;
	file = hm_lines_open("f");
	CHECK_SIZE(hm_lines_read_file(file, text, sizeof(text)), 4);
	CHECK(memcmp(text, "a\nb\n", 4) == 0);
	CHECK_SIZE(hm_lines_read_file(file, text, 2), 2);
	files_interruptions = -1;
	CHECK(!hm_lines_visit("f", see, &seen));
	CHECK_U32(seen.count, 2);
	CHECK_SIZE(hm_lines_read_file(file, text, sizeof(text)), 0);
	hm_lines_close(file);
	files_end();
}

static void a_file_that_is_kept_is_read_from_its_beginning(void)
{
	const struct file files_of_two[] = { { "f", "a\nb", 0 }, { NULL, NULL, 0 } };
	char text[8];
	int file;

	files_begin(files_of_two);
	file = hm_lines_open("f");
	for (unsigned i = 0; i < 3; i++) {
		memset(&seen, 0, sizeof(seen));
		CHECK(hm_lines_visit_file(file, see, &seen));
		CHECK_U32(seen.count, 2);
		CHECK_SIZE(hm_lines_read_file(file, text, sizeof(text)), 3);
	}
	hm_lines_close(file);
	/* Of what is not there nothing can be read, again and again. */
	file = hm_lines_open("g");
	CHECK_INT(file, -1);
	CHECK(!hm_lines_visit_file(file, see, &seen));
	CHECK_SIZE(hm_lines_read_file(file, text, sizeof(text)), 0);
	hm_lines_close(file);
	files_end();
}

static void fields_are_taken_off_the_front(void)
{
	const char *line = "ab::c", *field;
	size_t length = 5, size;

	CHECK(hm_line_take(&line, &length, ':', &field, &size));
	CHECK(size == 2 && memcmp(field, "ab", 2) == 0);
	CHECK(hm_line_take(&line, &length, ':', &field, &size));
	CHECK_SIZE(size, 0);
	CHECK(!hm_line_take(&line, &length, ':', &field, &size));
	CHECK(length == 1 && *line == 'c');
	length = 0;
	CHECK(!hm_line_take(&line, &length, 'c', &field, &size));
}

int main(void)
{
	TAP_RUN(each_line_is_seen_once);
	TAP_RUN(an_empty_file_has_no_lines);
	TAP_RUN(a_line_that_is_too_long_is_left_out);
	TAP_RUN(a_file_without_an_end_is_not_read_to_it);
	TAP_RUN(enough_is_enough);
	TAP_RUN(what_interrupts_reading_is_not_the_end);
	TAP_RUN(a_file_that_is_kept_is_read_from_its_beginning);
	TAP_RUN(fields_are_taken_off_the_front);
	return tap_done();
}
