#ifndef HOSTMEM_CLI_YAMLTREE_H
#define HOSTMEM_CLI_YAMLTREE_H

#include "mistakes.h"

#include <stdbool.h>
#include <stddef.h>

enum hm_yaml_kind {
	HM_YAML_TEXT,
	HM_YAML_LIST,
	HM_YAML_MAPPING,
	HM_YAML_WRONG /* a mistake, which has been told */
};

/* A node of a document. */
struct hm_yaml {
	enum hm_yaml_kind kind;
	size_t line;           /* from 1 */
	char *text;            /* of HM_YAML_TEXT; without NULs */
	bool plain;            /* that has no quotes */
	struct hm_yaml *items; /* of a list; of a mapping: key, value, key, value ... */
	size_t count, room;
};

/*
 * Reads the one document that `bytes` are, which end with a NUL that is not counted.  False if
 * they are not YAML, or nothing; then a mistake says so.  It is true with others, too: of
 * what can be had here there is only what a person needs who writes settings, see yamltree.c.
 */
bool hm_yaml_read(const char *bytes, size_t length, struct hm_yaml *document,
		  struct hm_mistakes *mistakes);
void hm_yaml_free(struct hm_yaml *node);

/* The line of a key of a mapping; 0: it has none of that name. */
size_t hm_yaml_line_of(const struct hm_yaml *mapping, const char *key);

#endif
