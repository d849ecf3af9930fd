#ifndef HOSTMEM_CLI_JSON_H
#define HOSTMEM_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Writes one JSON value, indented, an array or an object.
 *
 *	struct hm_json json = { out, 0, false };
 *
 *	hm_json_open(&json, NULL, '{');
 *	hm_json_number(&json, "page", 4096);
 *	hm_json_close(&json, '}');
 *
 * `name` is that of a member of an object, plain ASCII without quotes; NULL in an array and
 * for the outermost value.  Whether everything was written is for the caller to ask, see
 * ferror.
 */
struct hm_json {
	FILE *out;
	unsigned depth; /* open brackets */
	bool filled;    /* the innermost of them has a value */
};

void hm_json_open(struct hm_json *json, const char *name, char bracket);
void hm_json_close(struct hm_json *json, char bracket);
void hm_json_number(struct hm_json *json, const char *name, uint64_t value);
void hm_json_bool(struct hm_json *json, const char *name, bool value);
/* Any bytes; what is no UTF-8 becomes U+FFFD, byte by byte.  NULL is null. */
void hm_json_string(struct hm_json *json, const char *name, const char *value);
void hm_json_null(struct hm_json *json, const char *name);

#endif
