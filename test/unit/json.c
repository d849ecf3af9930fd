/*
 * JSON: commas and line ends, and strings of any bytes.
 */
#include "tap.h"
#include "hostmem/cli/json.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static char *text;
static size_t size;

static struct hm_json json_new(void)
{
	return (struct hm_json){ open_memstream(&text, &size), 0, false };
}

static void json_is(struct hm_json *json, const char *want)
{
	CHECK_INT(fclose(json->out), 0);
	CHECK_STR(text, want);
	free(text);
}

static void values_are_apart_and_brackets_close(void)
{
	struct hm_json json = json_new();

	if (!CHECK(json.out != NULL))
		return;
	hm_json_open(&json, NULL, '{');
	hm_json_open(&json, "a", '[');
	hm_json_number(&json, NULL, 0);
	hm_json_number(&json, NULL, UINT64_MAX);
	hm_json_open(&json, NULL, '{');
	hm_json_close(&json, '}');
	hm_json_close(&json, ']');
	hm_json_bool(&json, "b", true);
	hm_json_bool(&json, "c", false);
	hm_json_null(&json, "d");
	hm_json_string(&json, "e", NULL);
	hm_json_close(&json, '}');
	json_is(&json, "{\n"
		       "  \"a\": [\n"
		       "    0,\n"
		       "    18446744073709551615,\n"
		       "    {}\n"
		       "  ],\n"
		       "  \"b\": true,\n"
		       "  \"c\": false,\n"
		       "  \"d\": null,\n"
		       "  \"e\": null\n"
		       "}\n");
}

static void strings_of_any_bytes(void)
{
	static const struct {
		const char *bytes, *want;
	} rows[] = {
		{ "", "" },
		{ "/a/b c", "/a/b c" },
		{ "\"\\", "\\\"\\\\" },
		{ "\n\x01\x1f\x7f", "\\u000a\\u0001\\u001f\\u007f" },
		{ "\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80" },
		{ "a\xff\xfe", "a\\ufffd\\ufffd" },
		{ "\xe2\x82", "\\ufffd\\ufffd" },
		{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_json json = json_new();
		char want[80];

		tap_row("row %zu", i);
		if (!CHECK(json.out != NULL))
			return;
		hm_json_open(&json, NULL, '[');
		hm_json_string(&json, NULL, rows[i].bytes);
		hm_json_close(&json, ']');
		(void)snprintf(want, sizeof(want), "[\n  \"%s\"\n]\n", rows[i].want);
		json_is(&json, want);
	}
}

int main(void)
{
	TAP_RUN(values_are_apart_and_brackets_close);
	TAP_RUN(strings_of_any_bytes);
	return tap_done();
}
