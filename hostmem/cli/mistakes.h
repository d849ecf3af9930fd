#ifndef HOSTMEM_CLI_MISTAKES_H
#define HOSTMEM_CLI_MISTAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What is wrong in a file, all of it. */
struct hm_mistake {
	size_t line;   /* from 1 */
	size_t number; /* in the order in which they were found */
	char *text;
};

struct hm_mistakes {
	struct hm_mistake *list;
	size_t count, room;
	bool lost; /* there was no memory for one */
};

__attribute__((format(printf, 3, 4))) void hm_mistakes_add(struct hm_mistakes *mistakes,
							   size_t line,
							   const char *format, ...);

static inline bool hm_mistakes_any(const struct hm_mistakes *mistakes)
{
	return mistakes->count != 0 || mistakes->lost;
}

/* "FILE:LINE: TEXT", one line each, in the order of the lines. */
void hm_mistakes_print(struct hm_mistakes *mistakes, const char *file, FILE *out);
void hm_mistakes_free(struct hm_mistakes *mistakes);

/* Whether somebody may have meant `word` when he wrote `text`. */
bool hm_mistakes_is_near(const char *text, const char *word);

#endif
