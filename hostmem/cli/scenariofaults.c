/*
 * The fault rules of a scenario: the fields of HostMemFault, by plain names.
 *
 * Where HOSTMEM_FAULT_INIT is made for a program that wants one failure, a scenario wants
 * them until its end: a rule without `count` fires as often as it is due.  And a rule draws
 * from a seed of its own, so that another rule before it, or one that is taken out, changes
 * nothing for the others but its number; who wants that, too, gives each a seed.
 */
#include "scenarioreading.h"
#include "units.h"

#include <stdio.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* The first number of splitmix64 from the scenario's seed, and the rule's number. */
static uint64_t usual_seed(uint64_t seed, size_t index)
{
	uint64_t number = seed + (index + 1) * 0x9E3779B97F4A7C15;

	number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9;
	number = (number ^ (number >> 27)) * 0x94D049BB133111EB;
	return number ^ (number >> 31);
}

/* ---- Values ---- */

static const char *const operations[] = { "reserve", "commit", "heap" };
static const uint32_t operation_bits[] = { 1U << HostMemReserve, 1U << HostMemCommit,
					   1U << HostMemHeap };
static const struct hm_word_list operation_list = {
	operations, 3, "reserve, commit or heap: nothing else can be refused"
};

static const char *const levels[] = { "task", "domain", "process" };
static const uint32_t level_bits[] = { 1U << eTaskCritical, 1U << eAppDomainCritical,
				       1U << eProcessCritical };
static const struct hm_word_list level_list = { levels, 3, "task, domain or process" };

/* One word, or a list of them. */
static void read_set(struct hm_reading *reading, const struct hm_yaml *value,
		     const struct hm_word_list *list, const uint32_t *bits, uint32_t *out)
{
	uint64_t number;

	if (value->kind != HM_YAML_LIST || value->count == 0) {
		if (hm_reading_word(reading, value, list, &number))
			*out |= bits[number];
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		if (value->items[i].kind != HM_YAML_WRONG &&
		    hm_reading_word(reading, &value->items[i], list, &number))
			*out |= bits[number];
	}
}

static void read_operations(struct hm_reading *reading, const struct hm_yaml *value)
{
	read_set(reading, value, &operation_list, operation_bits,
		 &reading->fault->rule.operations);
}

static void read_levels(struct hm_reading *reading, const struct hm_yaml *value)
{
	read_set(reading, value, &level_list, level_bits, &reading->fault->rule.levels);
}

static bool read_place(struct hm_reading *reading, const struct hm_yaml *value,
		       uint64_t *out)
{
	static const char *const words[] = { "budget", "system" };
	static const struct hm_word_list list = { words, 2, "budget or system" };

	return hm_reading_word(reading, value, &list, out);
}

static void read_probability(struct hm_reading *reading, const struct hm_yaml *value)
{
	double *probability = &reading->fault->rule.probability;

	if (value->kind != HM_YAML_TEXT || !hm_units_share(value->text, probability) ||
	    *probability == 0.0)
		(void)hm_reading_refuse_value(reading, value, "a probability",
					      "0.05 or 5%, at most 1");
}

static bool read_result(struct hm_reading *reading, const struct hm_yaml *value,
			uint64_t *out)
{
	static const HRESULT results[] = {
		E_OUTOFMEMORY,
		E_ABORT,
		E_ACCESSDENIED,
		E_FAIL,
		E_INVALIDARG,
		E_NOTIMPL,
		E_UNEXPECTED,
		HOST_E_ABANDONED,
		HOST_E_CLRNOTAVAILABLE,
		HOST_E_DEADLOCK,
		HOST_E_EXITPROCESS_OUTOFMEMORY,
		HOST_E_INTERRUPTED,
		HOST_E_INVALIDOPERATION,
		HOST_E_TIMEOUT,
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_COMMITMENT_LIMIT),
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS),
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_ENOUGH_MEMORY),
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED),
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_NO_SYSTEM_RESOURCES),
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD),
	};

	for (size_t i = 0; i < ROWS(results); i++) {
		*out = (uint32_t)results[i];
		if (hm_reading_is(value, HostMemResultName(results[i])))
			return true;
	}
	if (value->kind == HM_YAML_TEXT && hm_units_number(value->text, out) &&
	    *out >= 0x80000000U && *out <= UINT32_MAX)
		return true;
	return hm_reading_refuse_value(reading, value, "a failure",
				       "E_OUTOFMEMORY or 0x8007000E");
}

static void read_armed(struct hm_reading *reading, const struct hm_yaml *value)
{
	uint64_t armed;

	if (hm_reading_switch(reading, value, &armed))
		reading->fault->unarmed = armed == 0;
}

/* ---- Rules ---- */

static const struct hm_key fault_keys[] = {
	{ "operation", NULL, read_operations }, { "operations", NULL, read_operations },
	{ "level", NULL, read_levels },         { "levels", NULL, read_levels },
	{ "place", read_place, NULL },          { "min", hm_reading_size, NULL },
	{ "max", hm_reading_size, NULL },       { "nth", hm_reading_count, NULL },
	{ "every", hm_reading_count, NULL },    { "probability", NULL, read_probability },
	{ "seed", hm_reading_number, NULL },    { "count", hm_reading_count, NULL },
	{ "result", read_result, NULL },        { "delay", hm_reading_time, NULL },
	{ "armed", NULL, read_armed },
};

static void store(struct hm_reading *reading, const char *name, uint64_t number)
{
	hm_reading_store(hm_fault_words, HM_FAULT_WORDS, reading->fault, name, number);
}

/* Those of which one at most may be there. */
static void check_pair(struct hm_reading *reading, const struct hm_yaml *node,
		       const char *one, const char *other)
{
	char why[64];

	if (hm_yaml_line_of(node, one) == 0 || hm_yaml_line_of(node, other) == 0)
		return;
	(void)snprintf(why, sizeof(why), "does not go with %s", one);
	hm_reading_refuse_key(reading, node, other, why);
}

static void check_fault(struct hm_reading *reading, const struct hm_yaml *node)
{
	const HostMemFault *rule = &reading->fault->rule;

	check_pair(reading, node, "operation", "operations");
	check_pair(reading, node, "level", "levels");
	check_pair(reading, node, "nth", "probability");
	check_pair(reading, node, "every", "probability");
	if (hm_yaml_line_of(node, "max") != 0 && rule->cbMin > rule->cbMax)
		hm_reading_refuse_key(reading, node, "max", "below min");
	if (hm_yaml_line_of(node, "seed") != 0 &&
	    hm_yaml_line_of(node, "probability") == 0)
		hm_reading_refuse_key(reading, node, "seed", "goes with probability");
}

static void read_fault(struct hm_reading *reading, const struct hm_yaml *node,
		       size_t index)
{
	struct hm_settings_fault unused;

	reading->fault = index < HM_SETTINGS_FAULTS ? &reading->settings->faults[index]
						    : &unused;
	hm_settings_init_fault(reading->fault);
	if (!hm_reading_mapping(reading, node, "a fault rule", fault_keys,
				ROWS(fault_keys), store))
		return;
	check_fault(reading, node);
	if (hm_yaml_line_of(node, "probability") != 0 &&
	    hm_yaml_line_of(node, "seed") == 0)
		reading->fault->rule.seed = usual_seed(reading->seed, index);
}

void hm_reading_faults(struct hm_reading *reading, const struct hm_yaml *node)
{
	hm_reading_list(reading, node, "what is refused", HM_SETTINGS_FAULTS, read_fault);
	if (node->count <= HM_SETTINGS_FAULTS)
		reading->settings->fault_count = (uint32_t)node->count;
}
