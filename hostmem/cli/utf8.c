/*
 * Which bytes are a character of UTF-8.
 *
 * The path of a control group is whatever bytes somebody made a directory of, and so is an
 * argument.  Before such bytes go to a terminal or into JSON it has to be known which of
 * them are text.  The C library's own conversion was rejected: it follows the locale, and
 * what a program reads must not.
 *
 * The table is that of the Unicode standard (table 3-7): overlong forms, surrogates and what
 * is above U+10FFFF are none.
 */
#include "utf8.h"

#include <stddef.h>

unsigned hm_utf8_length(const char *text)
{
	static const struct {
		unsigned char first, last; /* what the first byte may be ... */
		unsigned char low, high; /* ... and the second; the others 0x80 to 0xBF */
		unsigned length;
	} forms[] = {
		{ 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
		{ 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 },
		{ 0xEE, 0xEF, 0x80, 0xBF, 3 }, { 0xF0, 0xF0, 0x90, 0xBF, 4 },
		{ 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
	};
	const unsigned char *byte = (const unsigned char *)text;

	if (byte[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (byte[0] < forms[i].first || byte[0] > forms[i].last)
			continue;
		if (byte[1] < forms[i].low || byte[1] > forms[i].high)
			return 0;
		for (unsigned next = 2; next < forms[i].length; next++) {
			if (byte[next] < 0x80 || byte[next] > 0xBF)
				return 0;
		}
		return forms[i].length;
	}
	return 0;
}
