/*
 * The words of the checked form, in their order.
 *
 * Writer and reader go by the same rows, so a setting is added here and in the record, and
 * nowhere else.  A row says where a number lies and what it may be; what numbers mean for
 * each other (headroom that falls with the level, a limit above it) is for the command, which
 * can name the line of the file, and for the host, which refuses.
 *
 * A name is what others chose: a program may be called anything.  Bytes that are no
 * printable ASCII, the space and the per cent sign are written as "%20".
 *
 * Reading a number through memcpy, and not through a pointer of its type: the record is
 * walked by offsets, and memcpy is what C allows for that.
 */
#include "settingswords.h"

#include <string.h>

#define MANY UINT64_MAX
#define BIT(action) (1U << (action))
#define ONE 0x3FF0000000000000U /* the bits of 1.0; those of what is less are less */

#define SETTING(word, member, kind, usual, most) \
	{ \
		word, offsetof(struct hm_settings, member), kind, 1, 0, usual, 0, most \
	}
#define LEVELS(word, member, kind, usual, most) \
	{ \
		word, offsetof(struct hm_settings, budget.member), kind, 3, 0, usual, 0, \
			most \
	}

const struct hm_settings_word hm_settings_words[HM_SETTINGS_WORDS] = {
	SETTING("program", program, HM_WORD_NAME, 0, HM_SETTINGS_PROGRAM - 1),
	SETTING("profile", profile, HM_WORD_NAME, 0, HM_SETTINGS_PROFILE - 1),
	SETTING("summary", summary, HM_WORD_32, 0, 1),
	SETTING("alone", alone, HM_WORD_32, 0, UINT32_MAX),
	SETTING("debug_heap", debug_heap, HM_WORD_32, 0, 1),
	SETTING("slack", slack, HM_WORD_32, 0, 1),
	SETTING("limit", budget.cbLimit, HM_WORD_SIZE, SIZE_MAX, SIZE_MAX),
	SETTING("soft", budget.cbSoftLimit, HM_WORD_SIZE, SIZE_MAX, SIZE_MAX),
	LEVELS("headroom", cbHeadroom, HM_WORD_SIZE, 0, SIZE_MAX),
	LEVELS("largest", cbLargest, HM_WORD_SIZE, SIZE_MAX, SIZE_MAX),
	LEVELS("wait", msWait, HM_WORD_32, 0, UINT32_MAX),
};

#define ACTION(word, number, count, most) \
	{ \
		word, offsetof(struct hm_step, value[number]), HM_WORD_64, count, \
			BIT(number), 0, 0, most \
	}

const struct hm_settings_word hm_step_words[HM_STEP_WORDS] = {
	{ "every", offsetof(struct hm_step, every), HM_WORD_64, 1, 0, 0, 0, MANY },
	{ "times", offsetof(struct hm_step, times), HM_WORD_64, 1, 0, 0, 0, MANY },
	ACTION("limit", HM_ACTION_LIMIT, 1, SIZE_MAX),
	ACTION("soft", HM_ACTION_SOFT, 1, SIZE_MAX),
	ACTION("headroom_task", HM_ACTION_HEADROOM_TASK, 1, SIZE_MAX),
	ACTION("headroom_domain", HM_ACTION_HEADROOM_DOMAIN, 1, SIZE_MAX),
	ACTION("headroom_process", HM_ACTION_HEADROOM_PROCESS, 1, SIZE_MAX),
	ACTION("largest_task", HM_ACTION_LARGEST_TASK, 1, SIZE_MAX),
	ACTION("largest_domain", HM_ACTION_LARGEST_DOMAIN, 1, SIZE_MAX),
	ACTION("largest_process", HM_ACTION_LARGEST_PROCESS, 1, SIZE_MAX),
	ACTION("wait_task", HM_ACTION_WAIT_TASK, 1, UINT32_MAX),
	ACTION("wait_domain", HM_ACTION_WAIT_DOMAIN, 1, UINT32_MAX),
	ACTION("wait_process", HM_ACTION_WAIT_PROCESS, 1, UINT32_MAX),
	ACTION("faults", HM_ACTION_FAULTS, 1, 1),
	ACTION("load", HM_ACTION_LOAD, 2, SIZE_MAX), /* and what is free */
	ACTION("available", HM_ACTION_AVAILABLE, 1, eMemoryAvailableHigh),
	ACTION("gate", HM_ACTION_GATE, 1, UINT32_MAX),
};

#define FAULT(word, member, kind, most) \
	{ \
		word, offsetof(struct hm_settings_fault, member), kind, 1, 0, 0, 0, most \
	}

const struct hm_settings_word hm_fault_words[HM_FAULT_WORDS] = {
	FAULT("unarmed", unarmed, HM_WORD_32, 1),
	FAULT("operations", rule.operations, HM_WORD_32,
	      (1U << ((unsigned)HostMemMapping + 1)) - 1),
	FAULT("levels", rule.levels, HM_WORD_32,
	      (1U << ((unsigned)eProcessCritical + 1)) - 1),
	FAULT("place", rule.place, HM_WORD_32, HOSTMEM_FAULT_SYSTEM),
	FAULT("min", rule.cbMin, HM_WORD_SIZE, SIZE_MAX),
	FAULT("max", rule.cbMax, HM_WORD_SIZE, SIZE_MAX),
	FAULT("nth", rule.nth, HM_WORD_64, MANY),
	FAULT("every", rule.every, HM_WORD_64, MANY),
	FAULT("probability", rule.probability, HM_WORD_HEX64, ONE),
	FAULT("seed", rule.seed, HM_WORD_64, MANY),
	FAULT("count", rule.count, HM_WORD_64, MANY),
	{ "result", offsetof(struct hm_settings_fault, rule.result), HM_WORD_HEX32, 1, 0,
	  (uint32_t)E_OUTOFMEMORY, 0x80000000U, UINT32_MAX },
	FAULT("delay", rule.msDelay, HM_WORD_32, UINT32_MAX),
};

const char *const hm_trigger_words[HM_TRIGGERS] = { "at", "charged", "request" };

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "a size is one of 64 bits");
_Static_assert(sizeof(double) == sizeof(uint64_t), "so is a probability");

static size_t width(const struct hm_settings_word *word)
{
	return word->kind == HM_WORD_32 || word->kind == HM_WORD_HEX32 ? sizeof(uint32_t)
								       : sizeof(uint64_t);
}

uint64_t hm_word_load(const struct hm_settings_word *word, const void *record,
		      uint32_t number)
{
	const char *from = (const char *)record + word->offset + number * width(word);
	uint32_t narrow;
	uint64_t value;

	if (width(word) == sizeof(value)) {
		memcpy(&value, from, sizeof(value));
		return value;
	}
	memcpy(&narrow, from, sizeof(narrow));
	return narrow;
}

void hm_word_store(const struct hm_settings_word *word, void *record, uint32_t number,
		   uint64_t value)
{
	char *to = (char *)record + word->offset + number * width(word);
	uint32_t narrow = (uint32_t)value;

	if (width(word) == sizeof(value))
		memcpy(to, &value, sizeof(value));
	else
		memcpy(to, &narrow, sizeof(narrow));
}

bool hm_word_is_told(const struct hm_settings_word *word, const void *record)
{
	const char *base = record;
	uint32_t actions;

	if (word->kind == HM_WORD_NAME)
		return base[word->offset] != '\0';
	if (word->action != 0) {
		memcpy(&actions, base + offsetof(struct hm_step, actions),
		       sizeof(actions));
		return (actions & word->action) != 0;
	}
	for (uint32_t i = 0; i < word->count; i++) {
		if (hm_word_load(word, record, i) != word->usual)
			return true;
	}
	return false;
}

bool hm_word_shows(unsigned char byte)
{
	return byte > ' ' && byte < 0x7F && byte != '%';
}

bool hm_step_is_whole(const struct hm_step *step)
{
	if (step->actions == 0)
		return false;
	if (step->every != 0 && step->trigger == HM_TRIGGER_CHARGED)
		return false;
	if (step->times != 0 && step->every == 0)
		return false;
	if ((step->actions & BIT(HM_ACTION_LOAD)) == 0)
		return true;
	return step->value[HM_ACTION_LOAD] < HM_LOAD_REAL ||
	       (step->value[HM_ACTION_LOAD] == HM_LOAD_REAL &&
		step->value[HM_ACTION_FREE] == 0);
}
