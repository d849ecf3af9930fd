/*
 * Lines of the list of mappings, those that no kernel has written too.
 */
#include "hostmem/os/mappings.h"
#include "fake.h"
#include "hostmem/os/pages.h"

#include <sys/sysmacros.h>

#define READ_WRITE (HM_ACCESS_READ | HM_ACCESS_WRITE)

static void a_line_of_the_list_is_taken_apart(void)
{
	static const struct {
		const char *line;
		uintptr_t start, end;
		unsigned access;
		bool shared;
		unsigned major, minor;
		uint64_t inode;
	} rows[] = {
		{ "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ", 0x7f0000000000,
		  0x7f0000001000, READ_WRITE, false, 0, 0, 0 },
		{ "00400000-00452000 r-xp 00000000 08:02 173521      "
		  "/usr/bin/dbus-daemon",
		  0x400000, 0x452000, HM_ACCESS_READ | HM_ACCESS_EXECUTE, false, 8, 2,
		  173521 },
		{ "7f12-7f13 ---s 00001000 fe:01 18446744073709551615 /a b (deleted)",
		  0x7f12, 0x7f13, 0, true, 0xfe, 1, UINT64_MAX },
		{ "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
		  0xffffffffff600000, 0xffffffffff601000, HM_ACCESS_EXECUTE, false, 0, 0,
		  0 },
		{ "1000-2000 rwxs 0 103:00 7", 0x1000, 0x2000,
		  READ_WRITE | HM_ACCESS_EXECUTE, true, 0x103, 0, 7 },
		{ "0-1 r--p 0 0:0 0", 0, 1, HM_ACCESS_READ, false, 0, 0, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_mapping out;

		memset(&out, 0x5A, sizeof(out));
		tap_row("%s", rows[i].line);
		CHECK(hm_mapping_parse(rows[i].line, strlen(rows[i].line), &out));
		CHECK_SIZE(out.start, rows[i].start);
		CHECK_SIZE(out.end, rows[i].end);
		CHECK_U32(out.access, rows[i].access);
		CHECK_INT(out.shared, rows[i].shared);
		CHECK_SIZE(out.device, makedev(rows[i].major, rows[i].minor));
		CHECK_SIZE(out.inode, rows[i].inode);
	}
}

static void what_is_no_line_is_refused(void)
{
	static const char *const lines[] = {
		"",
		"garbage",
		"1000",
		"1000-",
		"-2000 rw-p 0 0:0 0",
		"1000-2000",
		"1000-2000 ",
		"1000-2000 rw-",
		"1000-2000 rw-p",
		"1000-2000 rw-p ",
		"1000-2000 rw-p 0",
		"1000-2000 rw-p 0 0",
		"1000-2000 rw-p 0 0:",
		"1000-2000 rw-p 0 0:0",
		"1000-2000 rw-p 0 0:0 ",
		"1000-2000 rw-p 0 0:0 x",
		"1000-2000 rw-px0 0:0 0",
		"1000-2000  rw-p 0 0:0 0",
		" 1000-2000 rw-p 0 0:0 0",
		"1000 2000 rw-p 0 0:0 0",
		"g000-2000 rw-p 0 0:0 0",
		"1000-2g00 rw-p 0 0:0 0",
		"2000-1000 rw-p 0 0:0 0",
		"1000-1000 rw-p 0 0:0 0",
		"10000000000000000-20000000000000000 rw-p 0 0:0 0",
		"1000-10000000000000000 rw-p 0 0:0 0",
		"1000-2000 rw-p 10000000000000000 0:0 0",
		"1000-2000 rw-p 0 0:0 18446744073709551616",
		"1000-2000 rw-p 0 0:0 99999999999999999999999999",
		"0x1000-0x2000 rw-p 0 0:0 0",
		"FFFF-1FFFF rw-p 0 0:0 0",
	};

	for (size_t i = 0; i < ROWS(lines); i++) {
		struct hm_mapping out;

		tap_row("\"%s\"", lines[i]);
		CHECK(!hm_mapping_parse(lines[i], strlen(lines[i]), &out));
	}
}

/* Nothing beyond `length` may be looked at: a line is no string. */
static void every_prefix_of_a_line_is_read_within_its_length(void)
{
	static const char line[] = "7f00-7fff r-xp 00000001 08:02 123";
	size_t whole = sizeof(line) - 1, needed = whole - 2;

	for (size_t length = 0; length <= whole; length++) {
		char *copy = malloc(length + 1);
		struct hm_mapping out;

		if (!CHECK(copy != NULL))
			return;
		/* At the end of its memory, where a sanitizer watches. */
		memcpy(copy + 1, line, length);
		tap_row("%zu bytes", length);
		CHECK_INT(hm_mapping_parse(copy + 1, length, &out), length >= needed);
		free(copy);
	}
}

static void a_path_of_a_mebibyte_changes_nothing(void)
{
	static const char head[] = "1000-2000 rw-p 00000000 08:02 42 /";
	size_t length = (size_t)1 << 20;
	char *line = malloc(length);
	struct hm_mapping out;

	if (!CHECK(line != NULL))
		return;
	memset(line, 'x', length);
	CHECK(!hm_mapping_parse(line, length, &out));
	memcpy(line, head, sizeof(head) - 1);
	CHECK(hm_mapping_parse(line, length, &out));
	CHECK_SIZE(out.inode, 42);
	memset(line, '1', length);
	CHECK(!hm_mapping_parse(line, length, &out));
	free(line);
}

int main(void)
{
	TAP_RUN(a_line_of_the_list_is_taken_apart);
	TAP_RUN(what_is_no_line_is_refused);
	TAP_RUN(every_prefix_of_a_line_is_read_within_its_length);
	TAP_RUN(a_path_of_a_mebibyte_changes_nothing);
	return tap_done();
}
