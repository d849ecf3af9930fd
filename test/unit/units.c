/*
 * Figures as people write them.
 */
#include "hostmem/cli/units.h"

#include "test/tap.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define UNTOUCHED 0xDEADU

struct row {
	const char *text;
	uint64_t value; /* UNTOUCHED: it is none */
};

static void check_rows(bool (*read)(const char *text, uint64_t *out),
		       const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = UNTOUCHED;

		tap_row("\"%s\"", rows[i].text);
		CHECK(read(rows[i].text, &value) == (rows[i].value != UNTOUCHED));
		CHECK_SIZE(value, rows[i].value);
	}
}

static void sizes_have_units_of_1024_or_none(void)
{
	static const struct row rows[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "064", 64 },
		{ "64K", 65536 },
		{ "256M", 268435456 },
		{ "2G", 2147483648 },
		{ "18446744073709551615", UINT64_MAX },
		{ "17179869183G", 18446744072635809792U },
		{ "17179869184G", UNTOUCHED },
		{ "18446744073709551616", UNTOUCHED },
		{ "", UNTOUCHED },
		{ "K", UNTOUCHED },
		{ "64k", UNTOUCHED },
		{ "64KB", UNTOUCHED },
		{ "64 K", UNTOUCHED },
		{ " 64", UNTOUCHED },
		{ "64 ", UNTOUCHED },
		{ "-1", UNTOUCHED },
		{ "+1", UNTOUCHED },
		{ "1.5G", UNTOUCHED },
		{ "0x10", UNTOUCHED },
		{ "1s", UNTOUCHED },
	};

	check_rows(hm_units_size, rows, ROWS(rows));
}

static void times_have_a_unit(void)
{
	static const struct row rows[] = {
		{ "200ms", 200 },
		{ "0ms", 0 },
		{ "2s", 2000 },
		{ "18446744073709551s", 18446744073709551000U },
		{ "18446744073709552s", UNTOUCHED },
		{ "2", UNTOUCHED },
		{ "0", UNTOUCHED },
		{ "2m", UNTOUCHED },
		{ "2x", UNTOUCHED },
		{ "2S", UNTOUCHED },
		{ "s", UNTOUCHED },
		{ "1.5s", UNTOUCHED },
	};

	check_rows(hm_units_time, rows, ROWS(rows));
}

static void numbers_are_decimal_or_hex(void)
{
	static const struct row rows[] = {
		{ "0", 0 },
		{ "42", 42 },
		{ "010", 10 },
		{ "0x2a", 42 },
		{ "0xFFFFFFFFFFFFFFFF", UINT64_MAX },
		{ "0x10000000000000000", UNTOUCHED },
		{ "0x", UNTOUCHED },
		{ "0x-1", UNTOUCHED },
		{ "2a", UNTOUCHED },
		{ "1e3", UNTOUCHED },
		{ "", UNTOUCHED },
	};

	check_rows(hm_units_number, rows, ROWS(rows));
}

static void shares_are_parts_of_one_or_per_cent(void)
{
	static const struct {
		const char *text;
		double value; /* below 0: it is none */
	} rows[] = {
		{ "0", 0 },        { "1", 1 },      { "0.5", 0.5 },  { "5%", 0.05 },
		{ "0.5%", 0.005 }, { "100%", 1 },   { "1.0", 1 },    { "101%", -1 },
		{ "1.1", -1 },     { ".5", -1 },    { "5.", -1 },    { "5.%", -1 },
		{ "-0.5", -1 },    { "0x1", -1 },   { "1e-1", -1 },  { "nan", -1 },
		{ "inf", -1 },     { "", -1 },      { "0.5 %", -1 }, { "%", -1 },
		{ "0,5", -1 },     { "0.5%%", -1 }, { "0.5.5", -1 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		double value = -1;

		tap_row("\"%s\"", rows[i].text);
		CHECK(hm_units_share(rows[i].text, &value) == (rows[i].value >= 0));
		CHECK(value == rows[i].value);
	}
}

int main(void)
{
	TAP_RUN(sizes_have_units_of_1024_or_none);
	TAP_RUN(times_have_a_unit);
	TAP_RUN(numbers_are_decimal_or_hex);
	TAP_RUN(shares_are_parts_of_one_or_per_cent);
	return tap_done();
}
