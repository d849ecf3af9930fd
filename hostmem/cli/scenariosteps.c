/*
 * The steps of a scenario: one trigger each, and at least one action.
 */
#include "scenarioreading.h"

#include <string.h>

#define BIT(action) (1U << (action))
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* What SetMemoryLoad is told to be free where the scenario does not say: as on a machine of so
 * many bytes, so that the load alone decides. */
#define USUAL_MACHINE ((uint64_t)8 << 30)

static void set(struct hm_reading *reading, enum hm_action action, uint64_t number)
{
	reading->step->actions |= BIT(action);
	reading->step->value[action] = number;
}

static void set_levels(struct hm_reading *reading, enum hm_action task)
{
	for (unsigned i = 0; i < 3; i++) {
		if (reading->has_level[i])
			set(reading, task + i, reading->level[i]);
	}
}

static void read_headroom(struct hm_reading *reading, const struct hm_yaml *value)
{
	hm_reading_levels(reading, value, hm_reading_size, -1);
	set_levels(reading, HM_ACTION_HEADROOM_TASK);
}

static void read_largest(struct hm_reading *reading, const struct hm_yaml *value)
{
	hm_reading_levels(reading, value, hm_reading_largest, 1);
	set_levels(reading, HM_ACTION_LARGEST_TASK);
}

static void read_wait(struct hm_reading *reading, const struct hm_yaml *value)
{
	hm_reading_levels(reading, value, hm_reading_time, 0);
	set_levels(reading, HM_ACTION_WAIT_TASK);
}

static bool read_load(struct hm_reading *reading, const struct hm_yaml *value,
		      uint64_t *out)
{
	*out = HM_LOAD_REAL;
	if (hm_reading_is(value, "real"))
		return true;
	if (!hm_reading_number(reading, value, out))
		return false;
	if (*out > 100)
		hm_reading_refuse(reading, value->line,
				  "%s per cent is too much; write 0 to 100, or real",
				  value->text);
	return *out <= 100;
}

static bool read_available(struct hm_reading *reading, const struct hm_yaml *value,
			   uint64_t *out)
{
	static const char *const words[] = { "real", "low", "neutral", "high" };
	static const struct hm_word_list list = { words, 4,
						  "low, neutral, high or real" };

	return hm_reading_word(reading, value, &list, out);
}

static bool read_charged(struct hm_reading *reading, const struct hm_yaml *value,
			 uint64_t *out)
{
	if (!hm_reading_size(reading, value, out))
		return false;
	if (*out == 0)
		hm_reading_refuse(reading, value->line, "that is so from the start");
	return *out != 0;
}

/* A time or a number of requests, as the trigger is. */
static bool read_every(struct hm_reading *reading, const struct hm_yaml *value,
		       uint64_t *out)
{
	switch (reading->step->trigger) {
	case HM_TRIGGER_AT:
		return hm_reading_some_time(reading, value, out);
	case HM_TRIGGER_REQUEST:
		return hm_reading_count(reading, value, out);
	default:
		hm_reading_refuse(reading, value->line, "goes with at or request");
		return false;
	}
}

static const struct hm_key step_keys[] = {
	{ "at", hm_reading_time, NULL },
	{ "charged", read_charged, NULL },
	{ "request", hm_reading_count, NULL },
	{ "every", read_every, NULL },
	{ "times", hm_reading_count, NULL },
	/* Actions */
	{ "limit", hm_reading_limit, NULL },
	{ "soft", hm_reading_limit, NULL },
	{ "headroom", NULL, read_headroom },
	{ "largest", NULL, read_largest },
	{ "wait", NULL, read_wait },
	{ "faults", hm_reading_switch, NULL },
	{ "load", read_load, NULL },
	{ "available", read_available, NULL },
	{ "gate", hm_reading_some_time, NULL },
	{ "free", hm_reading_size, NULL }, /* part of load */
};

enum { FIRST_ACTION = 5, LAST_ACTION = 13 };

static void store(struct hm_reading *reading, const char *name, uint64_t number)
{
	struct hm_step *step = reading->step;

	if (strcmp(name, hm_trigger_words[step->trigger]) == 0)
		step->when = number;
	if (strcmp(name, "free") == 0)
		step->value[HM_ACTION_FREE] = number;
	for (size_t i = 0; i < HM_STEP_WORDS; i++) {
		if (strcmp(name, hm_step_words[i].word) != 0)
			continue;
		hm_word_store(&hm_step_words[i], step, 0, number);
		step->actions |= hm_step_words[i].action;
	}
}

/* Exactly one; what else is read depends on it. */
static void find_trigger(struct hm_reading *reading, const struct hm_yaml *node)
{
	const char *first = NULL;

	for (uint32_t i = 0; i < HM_TRIGGERS; i++) {
		if (hm_yaml_line_of(node, hm_trigger_words[i]) == 0)
			continue;
		if (first != NULL) {
			hm_reading_refuse_key(reading, node, hm_trigger_words[i],
					      "a second trigger; write two steps");
			continue;
		}
		first = hm_trigger_words[i];
		reading->step->trigger = i;
	}
	if (first == NULL)
		hm_reading_refuse(reading, node->line,
				  "no trigger; write at: 2s, charged: 128M or "
				  "request: 1000");
}

/* Or one that is not known, for which its author has been told enough. */
static bool has_action(const struct hm_yaml *node)
{
	size_t others = 0;

	for (size_t i = 0; i < ROWS(step_keys); i++) {
		if (i < FIRST_ACTION || i > LAST_ACTION)
			others += hm_yaml_line_of(node, step_keys[i].name) != 0;
	}
	return others < node->count / 2;
}

/* What stands in one step goes together; what other steps have done is not known. */
static void check_figures(struct hm_reading *reading, const struct hm_yaml *node)
{
	const struct hm_step *step = reading->step;
	uint64_t limit = step->value[HM_ACTION_LIMIT];

	if ((step->actions & BIT(HM_ACTION_LIMIT)) == 0)
		return;
	if ((step->actions & BIT(HM_ACTION_SOFT)) != 0 &&
	    step->value[HM_ACTION_SOFT] != SIZE_MAX &&
	    step->value[HM_ACTION_SOFT] > limit)
		hm_reading_refuse_key(reading, node, "soft", "above the limit");
	for (unsigned i = HM_ACTION_HEADROOM_TASK; i <= HM_ACTION_HEADROOM_PROCESS; i++) {
		if ((step->actions & BIT(i)) == 0 || step->value[i] <= limit)
			continue;
		hm_reading_refuse_key(reading, node, "headroom", "above the limit");
		return;
	}
}

static void check_step(struct hm_reading *reading, const struct hm_yaml *node)
{
	struct hm_step *step = reading->step;
	bool has_free = hm_yaml_line_of(node, "free") != 0;
	bool has_load = (step->actions & BIT(HM_ACTION_LOAD)) != 0;
	uint64_t load = step->value[HM_ACTION_LOAD];

	if (!has_action(node))
		hm_reading_refuse(reading, node->line,
				  "nothing to do; write available: low, limit: 64M or "
				  "the like");
	if (hm_yaml_line_of(node, "times") != 0 && hm_yaml_line_of(node, "every") == 0)
		hm_reading_refuse_key(reading, node, "times", "goes with every");
	if (has_free &&
	    (hm_yaml_line_of(node, "load") == 0 || (has_load && load == HM_LOAD_REAL)))
		hm_reading_refuse_key(reading, node, "free",
				      "goes with a load of 0 to 100");
	if (!has_free && has_load && load != HM_LOAD_REAL)
		step->value[HM_ACTION_FREE] = USUAL_MACHINE * (100 - load) / 100;
	check_figures(reading, node);
}

static void read_step(struct hm_reading *reading, const struct hm_yaml *node,
		      size_t index)
{
	struct hm_step unused;

	reading->step = index < HM_SETTINGS_STEPS ? &reading->settings->steps[index]
						  : &unused;
	memset(reading->step, 0, sizeof(*reading->step));
	if (node->kind == HM_YAML_MAPPING && node->count != 0)
		find_trigger(reading, node);
	if (hm_reading_mapping(reading, node, "a step", step_keys, ROWS(step_keys),
			       store))
		check_step(reading, node);
}

void hm_reading_steps(struct hm_reading *reading, const struct hm_yaml *node)
{
	hm_reading_list(reading, node, "what happens", HM_SETTINGS_STEPS, read_step);
	if (node->count <= HM_SETTINGS_STEPS)
		reading->settings->step_count = (uint32_t)node->count;
}
