/*
 * JSON for programs, as RFC 8259 has it.
 *
 * A string may hold any bytes, paths of control groups do; JSON is UTF-8 and nothing else.
 * What is none is replaced, and not passed on: half of the readers refuse the whole
 * document for one such byte.  Lone surrogates, as Python has for them, are refused by the
 * other half.
 *
 * Numbers are whole, 64 bits, and never rounded.
 */
#include "json.h"
#include "utf8.h"

#include <inttypes.h>

static void text_of(FILE *out, const char *text)
{
	(void)fputc('"', out);
	while (*text != '\0') {
		unsigned length = hm_utf8_length(text);

		if (length == 0)
			(void)fputs("\\ufffd", out);
		else if (*text == '"' || *text == '\\')
			(void)fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7F)
			(void)fprintf(out, "\\u%04x", (unsigned)*text);
		else
			(void)fwrite(text, 1, length, out);
		text += length == 0 ? 1 : length;
	}
	(void)fputc('"', out);
}

static void new_line(const struct hm_json *json)
{
	(void)fprintf(json->out, "\n%*s", (int)(2 * json->depth), "");
}

/* All that comes before a value. */
static void begin(struct hm_json *json, const char *name)
{
	if (json->filled)
		(void)fputc(',', json->out);
	if (json->depth != 0)
		new_line(json);
	json->filled = true;
	if (name != NULL) {
		text_of(json->out, name);
		(void)fputs(": ", json->out);
	}
}

void hm_json_open(struct hm_json *json, const char *name, char bracket)
{
	begin(json, name);
	(void)fputc(bracket, json->out);
	json->depth++;
	json->filled = false;
}

void hm_json_close(struct hm_json *json, char bracket)
{
	json->depth--;
	if (json->filled)
		new_line(json);
	(void)fputc(bracket, json->out);
	json->filled = true;
	if (json->depth == 0)
		(void)fputc('\n', json->out);
}

void hm_json_number(struct hm_json *json, const char *name, uint64_t value)
{
	begin(json, name);
	(void)fprintf(json->out, "%" PRIu64, value);
}

void hm_json_bool(struct hm_json *json, const char *name, bool value)
{
	begin(json, name);
	(void)fputs(value ? "true" : "false", json->out);
}

void hm_json_string(struct hm_json *json, const char *name, const char *value)
{
	if (value == NULL) {
		hm_json_null(json, name);
		return;
	}
	begin(json, name);
	text_of(json->out, value);
}

void hm_json_null(struct hm_json *json, const char *name)
{
	begin(json, name);
	(void)fputs("null", json->out);
}
