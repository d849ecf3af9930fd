#ifndef HOSTMEM_ATTACH_SETTINGSWORDS_H
#define HOSTMEM_ATTACH_SETTINGSWORDS_H

#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The words of the checked form, for its writer and its reader.
 */
enum hm_word_kind {
	HM_WORD_SIZE,  /* a size_t, decimal */
	HM_WORD_32,    /* a uint32_t, decimal */
	HM_WORD_64,    /* a uint64_t, decimal */
	HM_WORD_HEX32, /* 32 bits in hex, after 0x */
	HM_WORD_HEX64, /* 64 bits in hex, after 0x */
	HM_WORD_NAME /* a NUL-terminated array of `most` + 1 bytes; see settingswords.c */
};

struct hm_settings_word {
	const char *word;
	uint32_t offset; /* in the record */
	uint32_t kind;
	uint32_t count;       /* numbers, one behind the other in the record */
	uint32_t action;      /* of a step: the bit that says it has one; else 0, */
	uint64_t usual;       /* and it has a line if a number is not this */
	uint64_t least, most; /* of each number */
};

enum {
	HM_SETTINGS_WORDS = 11,
	HM_STEP_WORDS = 17,
	HM_FAULT_WORDS = 13,
};

extern const struct hm_settings_word hm_settings_words[HM_SETTINGS_WORDS];
extern const struct hm_settings_word hm_step_words[HM_STEP_WORDS];
extern const struct hm_settings_word hm_fault_words[HM_FAULT_WORDS];

/* What stands behind "step", by enum hm_trigger. */
extern const char *const hm_trigger_words[HM_TRIGGERS];

/* A number of the record, and the same the other way. */
uint64_t hm_word_load(const struct hm_settings_word *word, const void *record,
		      uint32_t number);
void hm_word_store(const struct hm_settings_word *word, void *record, uint32_t number,
		   uint64_t value);

/* Whether the record has more of that word than is usual. */
bool hm_word_is_told(const struct hm_settings_word *word, const void *record);

/* A byte of a name that stands for itself; the others are '%' and two small hex digits. */
bool hm_word_shows(unsigned char byte);

/* Whether a step is one that a writer may write: it does something, what it does in pairs is
 * there, and it does not come back where it cannot. */
bool hm_step_is_whole(const struct hm_step *step);

#endif
