#ifndef HOSTMEM_CLI_SCENARIOREADING_H
#define HOSTMEM_CLI_SCENARIOREADING_H

#include "mistakes.h"
#include "yamltree.h"

#include "hostmem/attach/settingswords.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the parts of a scenario are read with.
 *
 * A mapping is read by a list of its keys: each has a function for a number, which then is
 * stored by name, or a function of its own.  Whatever is wrong is told with the line and the
 * path of the key ("steps[2].at"), and reading goes on.
 */
struct hm_reading {
	struct hm_settings *settings;
	struct hm_mistakes *mistakes;
	char path[128]; /* of what is being read */
	uint64_t seed;
	struct hm_step *step;            /* the one that is being read */
	struct hm_settings_fault *fault; /* the one that is being read */
	uint64_t level[3];               /* what a mapping of levels says ... */
	bool has_level[3];               /* ... and of which */
};

/* Reads a number of some kind; false: it is none, which has been told. */
typedef bool (*hm_number_reader)(struct hm_reading *reading, const struct hm_yaml *value,
				 uint64_t *out);

struct hm_key {
	const char *name;
	hm_number_reader number; /* or, if it is NULL: */
	void (*part)(struct hm_reading *reading, const struct hm_yaml *value);
};

/* Tells a mistake at `line`, of what is being read. */
__attribute__((format(printf, 3, 4))) void hm_reading_refuse(struct hm_reading *reading,
							     size_t line,
							     const char *format, ...);

/* The same of a key of a mapping, at its line. */
void hm_reading_refuse_key(struct hm_reading *reading, const struct hm_yaml *mapping,
			   const char *key, const char *why);

/* Tells that a value is not `what`: "2x" is not a time; write 200ms or 2s.  Always false. */
bool hm_reading_refuse_value(struct hm_reading *reading, const struct hm_yaml *value,
			     const char *what, const char *instead);

/*
 * Reads a mapping: unknown keys, keys that come twice, and what is no mapping at all are
 * mistakes.  `what` names it: "a step".  False: it was none.
 */
bool hm_reading_mapping(struct hm_reading *reading, const struct hm_yaml *node,
			const char *what, const struct hm_key *keys, size_t count,
			void (*store)(struct hm_reading *reading, const char *name,
				      uint64_t number));

/* Reads a list of at most `most` items, each with `item`. */
void hm_reading_list(struct hm_reading *reading, const struct hm_yaml *node,
		     const char *what, size_t most,
		     void (*item)(struct hm_reading *reading, const struct hm_yaml *node,
				  size_t index));

/* Stores a number in a record, by the word of its name. */
void hm_reading_store(const struct hm_settings_word *words, size_t count, void *record,
		      const char *name, uint64_t number);

/* Reads { task, domain, process } into reading->level; `order` is 1 if figures must not fall
 * with the level, -1 if they must not rise, 0 if they may do as they like. */
void hm_reading_levels(struct hm_reading *reading, const struct hm_yaml *node,
		       hm_number_reader number, int order);

/* Whether a text is one of some words; *out is its index. */
struct hm_word_list {
	const char *const *words;
	size_t count;
	const char *all; /* "low, neutral, high or real" */
};
bool hm_reading_word(struct hm_reading *reading, const struct hm_yaml *value,
		     const struct hm_word_list *list, uint64_t *out);

/* ---- Numbers ---- */

bool hm_reading_is(const struct hm_yaml *value, const char *text);
bool hm_reading_size(struct hm_reading *reading, const struct hm_yaml *value,
		     uint64_t *out);
bool hm_reading_limit(struct hm_reading *reading, const struct hm_yaml *value,
		      uint64_t *out); /* or "none" */
bool hm_reading_largest(struct hm_reading *reading, const struct hm_yaml *value,
			uint64_t *out); /* or "any" */
bool hm_reading_time(struct hm_reading *reading, const struct hm_yaml *value,
		     uint64_t *out); /* of 32 bits */
bool hm_reading_some_time(struct hm_reading *reading, const struct hm_yaml *value,
			  uint64_t *out); /* the same, more than none */
bool hm_reading_number(struct hm_reading *reading, const struct hm_yaml *value,
		       uint64_t *out);
bool hm_reading_count(struct hm_reading *reading, const struct hm_yaml *value,
		      uint64_t *out); /* from 1 */
bool hm_reading_switch(struct hm_reading *reading, const struct hm_yaml *value,
		       uint64_t *out); /* on or off */

/* ---- Parts ---- */

void hm_reading_steps(struct hm_reading *reading, const struct hm_yaml *node);
void hm_reading_faults(struct hm_reading *reading, const struct hm_yaml *node);

#endif
