/*
 * Figures as people read them, and bytes of others on a terminal.
 */
#include "tap.h"
#include "hostmem/cli/display.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void sizes(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 1, "1 B" },
		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },
		{ 1536, "1.5 KiB" },
		{ 4096, "4 KiB" },
		{ 102300, "99.9 KiB" },
		{ 102399, "100 KiB" },
		{ 102912, "101 KiB" },
		{ (1 << 20) - 513, "1023 KiB" },
		{ (1 << 20) - 512, "1 MiB" },
		{ (1 << 20) - 1, "1 MiB" },
		{ 256 << 20, "256 MiB" },
		{ 25276502016, "23.5 GiB" },
		{ (uint64_t)1 << 40, "1 TiB" },
		{ (uint64_t)1 << 63, "8 EiB" },
		{ UINT64_MAX, "16 EiB" },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		CHECK_STR(hm_display_size(rows[i].bytes).text, rows[i].text);
}

static void shares(void)
{
	static const struct {
		uint64_t used, limit;
		const char *text;
	} rows[] = {
		{ 0, 100, "0 %" },
		{ 999, 1000, "99 %" },
		{ 1000, 1000, "100 %" },
		{ 1300, 1000, "130 %" },
		{ 0, 0, "100 %" },
		{ 7, 0, "100 %" },
		{ UINT64_MAX, UINT64_MAX, "100 %" },
		{ (uint64_t)1 << 61, (uint64_t)1 << 63, "25 %" },
		{ 9999, 100, "9999 %" },
		{ 10000, 100, "> 9999 %" },
		{ UINT64_MAX, 1, "> 9999 %" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_STR(hm_display_share(rows[i].used, rows[i].limit).text,
			  rows[i].text);
	}
}

static void times(void)
{
	CHECK_STR(hm_display_time(0).text, "0 s");
	CHECK_STR(hm_display_time(1).text, "1 ms");
	CHECK_STR(hm_display_time(999).text, "999 ms");
	CHECK_STR(hm_display_time(1000).text, "1 s");
	CHECK_STR(hm_display_time(2500).text, "2.5 s");
	CHECK_STR(hm_display_time(UINT32_MAX).text, "4294967.295 s");
}

static void bytes_of_others_do_nothing(void)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = {
		{ "", "" },
		{ "/a b/\\x2d", "/a b/\\x2d" },
		{ "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac" },
		{ "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
		{ "\x1b[31m\x7f", "\\x1b[31m\\x7f" },
		{ "\xc2\x9b\xc2\xa0", "\\xc2\\x9b\xc2\xa0" },
		{ "\xff\xc3", "\\xff\\xc3" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		tap_row("row %zu", i);
		if (!CHECK(out != NULL))
			return;
		hm_display_text(out, rows[i].bytes);
		CHECK_INT(fclose(out), 0);
		CHECK_STR(text, rows[i].text);
		free(text);
	}
}

int main(void)
{
	TAP_RUN(sizes);
	TAP_RUN(shares);
	TAP_RUN(times);
	TAP_RUN(bytes_of_others_do_nothing);
	return tap_done();
}
