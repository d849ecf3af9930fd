/*
 * The size of huge pages, from a text that the test writes.
 */
#include "hostmem/os/largepages.h"
#include "hostmem/os/system.h"
#include "tap.h"

#include <errno.h>
#include <string.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void a_figure_is_found_by_its_name_at_the_start_of_a_line(void)
{
	static const struct {
		const char *text;
		size_t want;
	} rows[] = {
		{ "Hugepagesize:       2048 kB\n", (size_t)2 << 20 },
		{ "MemTotal: 1 kB\nHugepagesize: 1048576 kB\nHugetlb: 0 kB\n",
		  (size_t)1 << 30 },
		{ "Hugepagesize:4 kB", 4096 },
		{ "", 0 },
		{ "\n\n\n", 0 },
		{ "MemTotal: 1 kB", 0 },
		{ "xHugepagesize: 2048 kB\n", 0 },
		{ "Hugepagesize:", 0 },
		{ "Hugepagesize: none\n", 0 },
		{ "Hugepagesize: -2048 kB\n", 0 },
		{ "Hugepagesize: 99999999999999999999999999 kB\n", 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_SIZE(hm_meminfo_figure(rows[i].text, "Hugepagesize:"),
			   rows[i].want);
	}
}

static const char *text;
static size_t given, chunk;
static int opened;

static int open_text(const char *path, int flags)
{
	(void)path;
	(void)flags;
	if (text == NULL) {
		errno = EMFILE;
		return -1;
	}
	given = 0;
	opened++;
	return 77;
}

static long read_text(int file, void *buffer, size_t size)
{
	size_t left = strlen(text) - given;
	size_t part = left < size ? left : size;

	CHECK_INT(file, 77);
	part = part < chunk ? part : chunk;
	memcpy(buffer, text + given, part);
	given += part;
	return (long)part;
}

static int close_text(int file)
{
	CHECK_INT(file, 77);
	opened--;
	return 0;
}

static void the_system_is_asked_and_errno_is_kept(void)
{
	static const struct {
		const char *text;
		size_t chunk, want;
	} rows[] = {
		{ "MemFree: 3 kB\nHugepagesize: 2048 kB\n", 4096, (size_t)2 << 20 },
		{ "MemFree: 3 kB\nHugepagesize: 2048 kB\n", 1, (size_t)2 << 20 },
		{ "Hugepagesize: 3000 kB\n", 4096, 0 }, /* no power of two */
		{ "", 4096, 0 },
		{ NULL, 4096, 0 }, /* no descriptor to be had */
	};
	struct hm_system_calls kept = hm_system;

	hm_system.open = open_text;
	hm_system.read = read_text;
	hm_system.close = close_text;
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		text = rows[i].text;
		chunk = rows[i].chunk;
		errno = 1234;
		CHECK_SIZE(hm_large_page_size(), rows[i].want);
		CHECK_INT(errno, 1234);
		CHECK_INT(opened, 0);
	}
	hm_system = kept;
}

int main(void)
{
	TAP_RUN(a_figure_is_found_by_its_name_at_the_start_of_a_line);
	TAP_RUN(the_system_is_asked_and_errno_is_kept);
	return tap_done();
}
