/*
 * Which bytes are a character: both ends of each form, and what lies just beyond.
 */
#include "tap.h"
#include "hostmem/cli/utf8.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void forms_and_what_is_beside_them(void)
{
	static const struct {
		const char *text;
		unsigned length;
	} rows[] = {
		{ "", 1 },
		{ "\x01", 1 },
		{ "a\xff", 1 },
		{ "\x7f", 1 },
		{ "\x80", 0 },
		{ "\xbf", 0 },
		{ "\xc0\x80", 0 },
		{ "\xc1\xbf", 0 },
		{ "\xc2\x80", 2 },
		{ "\xdf\xbf.", 2 },
		{ "\xdf\xc0", 0 },
		{ "\xc2", 0 },
		{ "\xe0\x9f\xbf", 0 },
		{ "\xe0\xa0\x80", 3 },
		{ "\xe2\x82\xac", 3 },
		{ "\xe2\x82", 0 },
		{ "\xe2\x82\x7f", 0 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xed\xa0\x80", 0 },
		{ "\xee\x80\x80", 3 },
		{ "\xef\xbf\xbf", 3 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf3\xbf\xbf\xc0", 0 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 },
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_U32(hm_utf8_length(rows[i].text), rows[i].length);
	}
}

int main(void)
{
	TAP_RUN(forms_and_what_is_beside_them);
	return tap_done();
}
