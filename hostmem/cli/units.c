/*
 * Figures as people write them.
 *
 * A size without a unit is bytes.  A time has to have one: whoever writes 5 means seconds or
 * means ms, and half of them are wrong.  No figure has a sign or a blank, which strtoull
 * would take; sizes and times have no point either: 1536M says what 1.5G means.
 */
#include "units.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

/* Whole numbers at the start of `text`; *rest is what follows. */
static bool read_digits(const char *text, const char **rest, uint64_t *out)
{
	uint64_t value = 0;

	*rest = text;
	for (; **rest >= '0' && **rest <= '9'; (*rest)++) {
		unsigned digit = (unsigned)(**rest - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return *rest != text;
}

static bool read_with_unit(const char *text, const char *const *units,
			   const uint64_t *values, size_t count, uint64_t *out)
{
	const char *rest;
	uint64_t value;

	if (!read_digits(text, &rest, &value))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rest, units[i]) != 0)
			continue;
		if (value > UINT64_MAX / values[i])
			return false;
		*out = value * values[i];
		return true;
	}
	return false;
}

bool hm_units_size(const char *text, uint64_t *out)
{
	static const char *const units[] = { "", "K", "M", "G" };
	static const uint64_t values[] = { 1, 1 << 10, 1 << 20, 1 << 30 };

	return read_with_unit(text, units, values, 4, out);
}

bool hm_units_time(const char *text, uint64_t *out)
{
	static const char *const units[] = { "ms", "s" };
	static const uint64_t values[] = { 1, 1000 };

	return read_with_unit(text, units, values, 2, out);
}

bool hm_units_number(const char *text, uint64_t *out)
{
	const char *digits = text + 2;
	const char *rest;
	uint64_t value;

	if (strncmp(text, "0x", 2) != 0) {
		if (!read_digits(text, &rest, &value) || *rest != '\0')
			return false;
	} else {
		size_t length = strspn(digits, DIGITS "abcdefABCDEF");

		if (length == 0 || length > 16 || digits[length] != '\0')
			return false;
		value = strtoull(digits, NULL, 16);
	}
	*out = value;
	return true;
}

bool hm_units_share(const char *text, double *out)
{
	size_t whole = strspn(text, DIGITS);
	size_t part = text[whole] == '.' ? strspn(text + whole + 1, DIGITS) : 0;
	char *rest;
	double value;

	if (whole == 0 || (text[whole] == '.' && part == 0))
		return false;
	value = strtod(text, &rest);
	if (rest != text + whole + (part == 0 ? 0 : part + 1))
		return false;
	if (strcmp(rest, "%") == 0)
		value /= 100;
	else if (*rest != '\0')
		return false;
	if (!(value >= 0.0 && value <= 1.0))
		return false;
	*out = value;
	return true;
}
