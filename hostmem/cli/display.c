/*
 * Figures and foreign text for people.
 *
 * Sizes are in units of 1024, with as many digits as one takes in at a glance; programs get
 * bytes, see json.h.  Integers all the way: a double does not hold each size, and 1023.96 KiB
 * must become 1 MiB and not 1024 KiB.
 *
 * Text that others chose goes to a terminal, so nothing of it may act there: no escape
 * sequence, no second line.  A backslash is left alone: names of systemd's groups have them,
 * and a path that is shown should be one that can be copied.
 */
#include "display.h"
#include "utf8.h"

#include <string.h>

/* `bytes` in units of 2^shift and parts of it, rounded. */
static unsigned in_parts(uint64_t bytes, unsigned shift, unsigned parts)
{
	uint64_t unit = (uint64_t)1 << shift;
	uint64_t rest = bytes & (unit - 1);

	return (unsigned)((bytes >> shift) * parts + (rest * parts + unit / 2) / unit);
}

struct hm_display hm_display_size(uint64_t bytes)
{
	static const char *const units[] = {
		"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"
	};
	struct hm_display size;
	unsigned unit = 0, whole, tenths;

	while (unit < 6 && bytes >> 10 * (unit + 1) != 0)
		unit++;
	whole = in_parts(bytes, 10 * unit, 1);
	if (whole == 1024) {
		whole = 1;
		bytes = (uint64_t)1 << 10 * ++unit;
	}
	tenths = in_parts(bytes, 10 * unit, 10);
	if (tenths < 1000 && tenths % 10 != 0)
		(void)snprintf(size.text, sizeof(size.text), "%u.%u %s", tenths / 10,
			       tenths % 10, units[unit]);
	else
		(void)snprintf(size.text, sizeof(size.text), "%u %s",
			       tenths < 1000 ? tenths / 10 : whole, units[unit]);
	return size;
}

struct hm_display hm_display_share(uint64_t used, uint64_t limit)
{
	struct hm_display share;
	uint64_t whole = 1, rest = 0;

	if (limit != 0) {
		whole = used / limit;
		rest = used % limit;
	}
	while (limit > UINT64_MAX / 100) { /* so that 100 times the rest is a number */
		limit /= 2;
		rest /= 2;
	}
	if (whole < 100)
		(void)snprintf(share.text, sizeof(share.text), "%u %%",
			       (unsigned)(whole * 100 +
					  (limit == 0 ? 0 : rest * 100 / limit)));
	else
		(void)snprintf(share.text, sizeof(share.text), "> 9999 %%");
	return share;
}

struct hm_display hm_display_time(uint32_t ms)
{
	struct hm_display time;

	if (ms != 0 && ms < 1000)
		(void)snprintf(time.text, sizeof(time.text), "%u ms", (unsigned)ms);
	else
		(void)snprintf(time.text, sizeof(time.text), "%.10g s", ms / 1000.0);
	return time;
}

/* Characters that act, are no characters, or that a format for programs forbids. */
static const char *const hidden[] = {
	"\xe2\x80\xa8", /* ends of a line or of a paragraph: U+2028, U+2029 */
	"\xe2\x80\xa9", "\xef\xbb\xbf", /* a mark of the byte order, U+FEFF */
	"\xef\xbf\xbe",                 /* U+FFFE, U+FFFF */
	"\xef\xbf\xbf",
};

unsigned hm_display_length(const char *text)
{
	unsigned char first = (unsigned char)text[0];

	if (first < 0x20 || first == 0x7F ||
	    (first == 0xC2 && (unsigned char)text[1] < 0xA0))
		return 0;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (strncmp(text, hidden[i], strlen(hidden[i])) == 0)
			return 0;
	}
	return hm_utf8_length(text);
}

void hm_display_text(FILE *out, const char *text)
{
	while (*text != '\0') {
		unsigned length = hm_display_length(text);

		if (length == 0)
			(void)fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			(void)fwrite(text, 1, length, out);
		text += length == 0 ? 1 : length;
	}
}
