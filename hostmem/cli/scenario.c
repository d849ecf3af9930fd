/*
 * Reading a scenario: the file, its seed and its budget; steps and fault rules are in files
 * of their own, and what it all means is in hostmem-scenario(5).
 *
 * The seed is read first wherever it stands: YAML's keys have no order, and the seeds of the
 * rules are made from it.
 *
 * What the budget leaves out is filled up so that the levels are in order: who gives one
 * level headroom means that the lower ones have it, too.
 */
#include "scenario.h"
#include "command.h"
#include "display.h"
#include "scenarioreading.h"
#include "units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

enum { MOST_BYTES = 1 << 20 };

/* ---- The budget ---- */

static void store_budget(struct hm_reading *reading, const char *name, uint64_t number)
{
	hm_reading_store(hm_settings_words, HM_SETTINGS_WORDS, reading->settings, name,
			 number);
}

/* A level that is left out has what the next one above has. */
static void fill_levels(struct hm_reading *reading, uint64_t highest, size_t *out)
{
	for (unsigned i = 3; i-- > 0;) {
		if (reading->has_level[i])
			highest = reading->level[i];
		out[i] = highest;
	}
}

static void read_headroom(struct hm_reading *reading, const struct hm_yaml *value)
{
	hm_reading_levels(reading, value, hm_reading_size, -1);
	fill_levels(reading, 0, reading->settings->budget.cbHeadroom);
	reading->settings->slack = 0;
}

static void read_largest(struct hm_reading *reading, const struct hm_yaml *value)
{
	hm_reading_levels(reading, value, hm_reading_largest, 1);
	fill_levels(reading, SIZE_MAX, reading->settings->budget.cbLargest);
}

static void read_wait(struct hm_reading *reading, const struct hm_yaml *value)
{
	hm_reading_levels(reading, value, hm_reading_time, 0);
	for (unsigned i = 0; i < 3; i++)
		reading->settings->budget.msWait[i] = (uint32_t)reading->level[i];
}

static void read_budget(struct hm_reading *reading, const struct hm_yaml *value)
{
	static const struct hm_key keys[] = {
		{ "limit", hm_reading_limit, NULL }, { "soft", hm_reading_limit, NULL },
		{ "headroom", NULL, read_headroom }, { "largest", NULL, read_largest },
		{ "wait", NULL, read_wait },
	};
	const HostMemBudget *budget = &reading->settings->budget;

	if (!hm_reading_mapping(reading, value, "a budget", keys, ROWS(keys),
				store_budget))
		return;
	if (budget->cbSoftLimit != SIZE_MAX && budget->cbSoftLimit > budget->cbLimit)
		hm_reading_refuse_key(reading, value, "soft", "above the limit");
	if (budget->cbHeadroom[eTaskCritical] > budget->cbLimit)
		hm_reading_refuse_key(reading, value, "headroom", "above the limit");
}

/* ---- The whole ---- */

static void store_seed(struct hm_reading *reading, const char *name, uint64_t number)
{
	(void)name;
	reading->seed = number;
}

static void find_seed(struct hm_reading *reading, const struct hm_yaml *node)
{
	for (size_t i = 0; i + 1 < node->count; i += 2) {
		const struct hm_yaml *value = &node->items[i + 1];

		if (hm_reading_is(&node->items[i], "seed") &&
		    value->kind == HM_YAML_TEXT &&
		    hm_units_number(value->text, &reading->seed))
			return;
	}
}

static void read_document(struct hm_reading *reading, const struct hm_yaml *node)
{
	static const struct hm_key keys[] = {
		{ "seed", hm_reading_number, NULL },
		{ "budget", NULL, read_budget },
		{ "steps", NULL, hm_reading_steps },
		{ "faults", NULL, hm_reading_faults },
	};

	if (node->kind == HM_YAML_TEXT && node->text[0] == '\0') {
		hm_mistakes_add(reading->mistakes, node->line,
				"there is nothing in this file");
		return;
	}
	if (node->kind == HM_YAML_MAPPING)
		find_seed(reading, node);
	(void)hm_reading_mapping(reading, node, "a scenario", keys, ROWS(keys),
				 store_seed);
}

/* Up to MOST_BYTES and one; NULL: errno says why not. */
static char *read_file(const char *path, size_t *length)
{
	FILE *file = fopen(path, "r");
	char *bytes = NULL;
	int error;

	if (file == NULL)
		return NULL;
	bytes = malloc(MOST_BYTES + 2);
	if (bytes != NULL) {
		errno = 0;
		*length = fread(bytes, 1, MOST_BYTES + 1, file);
		bytes[*length] = '\0';
		if (ferror(file) != 0) {
			error = errno;
			free(bytes);
			bytes = NULL;
			errno = error;
		}
	}
	error = errno;
	(void)fclose(file);
	errno = error;
	return bytes;
}

const char *hm_scenario_read(const char *path, struct hm_settings *settings,
			     struct hm_mistakes *mistakes)
{
	struct hm_reading reading = { .settings = settings, .mistakes = mistakes };
	struct hm_yaml document;
	size_t length = 0;
	char *bytes = read_file(path, &length);

	if (bytes == NULL)
		return strerror(errno);
	if (length > MOST_BYTES) {
		free(bytes);
		return "it is larger than 1 MiB";
	}
	if (hm_yaml_read(bytes, length, &document, mistakes)) {
		read_document(&reading, &document);
		hm_yaml_free(&document);
	}
	free(bytes);
	return NULL;
}

int hm_scenario_load(const char *command, const char *path, struct hm_settings *settings)
{
	struct hm_mistakes mistakes = { 0 };
	const char *why = hm_scenario_read(path, settings, &mistakes);
	bool wrong = hm_mistakes_any(&mistakes);

	if (why != NULL) {
		(void)fprintf(stderr, "hostmem %s: ", command);
		hm_display_text(stderr, path);
		(void)fprintf(stderr, ": %s\n", why);
		return HM_COMMAND_MISUSED;
	}
	hm_mistakes_print(&mistakes, path, stderr);
	hm_mistakes_free(&mistakes);
	return wrong ? HM_COMMAND_MISUSED : 0;
}
