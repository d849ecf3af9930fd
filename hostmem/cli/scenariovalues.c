/*
 * Reading the values of a scenario: sizes, times, counts and words.
 *
 * YAML has types of its own, by which `on` is true and 010 is eight.  None of them is used
 * here: a value is the text that stands there, with quotes or without, and what it means is
 * for the key.
 */
#include "scenarioreading.h"
#include "units.h"

#include <string.h>

bool hm_reading_is(const struct hm_yaml *value, const char *text)
{
	return value->kind == HM_YAML_TEXT && strcmp(value->text, text) == 0;
}

bool hm_reading_refuse_value(struct hm_reading *reading, const struct hm_yaml *value,
			     const char *what, const char *instead)
{
	if (value->kind == HM_YAML_LIST)
		hm_reading_refuse(reading, value->line, "a list is not %s; write %s",
				  what, instead);
	else if (value->kind == HM_YAML_MAPPING)
		hm_reading_refuse(reading, value->line, "a mapping is not %s; write %s",
				  what, instead);
	else if (value->text[0] == '\0' && value->plain)
		hm_reading_refuse(reading, value->line, "the value is missing; write %s",
				  instead);
	else
		hm_reading_refuse(reading, value->line, "\"%.60s\" is not %s; write %s",
				  value->text, what, instead);
	return false;
}

bool hm_reading_size(struct hm_reading *reading, const struct hm_yaml *value,
		     uint64_t *out)
{
	if (value->kind == HM_YAML_TEXT && hm_units_size(value->text, out))
		return true;
	return hm_reading_refuse_value(reading, value, "a size",
				       "64K, 256M, 2G or bytes");
}

bool hm_reading_limit(struct hm_reading *reading, const struct hm_yaml *value,
		      uint64_t *out)
{
	*out = SIZE_MAX;
	if (hm_reading_is(value, "none") ||
	    (value->kind == HM_YAML_TEXT && hm_units_size(value->text, out)))
		return true;
	return hm_reading_refuse_value(reading, value, "a size",
				       "256M, 2G, bytes or none");
}

bool hm_reading_largest(struct hm_reading *reading, const struct hm_yaml *value,
			uint64_t *out)
{
	*out = SIZE_MAX;
	if (hm_reading_is(value, "any") ||
	    (value->kind == HM_YAML_TEXT && hm_units_size(value->text, out)))
		return true;
	return hm_reading_refuse_value(reading, value, "a size",
				       "64K, 256M, bytes or any");
}

bool hm_reading_time(struct hm_reading *reading, const struct hm_yaml *value,
		     uint64_t *out)
{
	if (value->kind != HM_YAML_TEXT || !hm_units_time(value->text, out))
		return hm_reading_refuse_value(reading, value, "a time", "200ms or 2s");
	if (*out > UINT32_MAX)
		return hm_reading_refuse_value(reading, value, "so short as it must be",
					       "no more than 4294967s");
	return true;
}

bool hm_reading_some_time(struct hm_reading *reading, const struct hm_yaml *value,
			  uint64_t *out)
{
	if (!hm_reading_time(reading, value, out))
		return false;
	return *out != 0 || hm_reading_refuse_value(reading, value, "a time that passes",
						    "200ms or 2s");
}

bool hm_reading_number(struct hm_reading *reading, const struct hm_yaml *value,
		       uint64_t *out)
{
	if (value->kind == HM_YAML_TEXT && hm_units_number(value->text, out))
		return true;
	return hm_reading_refuse_value(reading, value, "a number", "42 or 0x2A");
}

bool hm_reading_count(struct hm_reading *reading, const struct hm_yaml *value,
		      uint64_t *out)
{
	if (value->kind == HM_YAML_TEXT && hm_units_number(value->text, out) && *out != 0)
		return true;
	return hm_reading_refuse_value(reading, value, "a count", "1 or more");
}

bool hm_reading_word(struct hm_reading *reading, const struct hm_yaml *value,
		     const struct hm_word_list *list, uint64_t *out)
{
	for (size_t i = 0; i < list->count; i++) {
		if (hm_reading_is(value, list->words[i])) {
			*out = i;
			return true;
		}
	}
	return hm_reading_refuse_value(reading, value, "known here", list->all);
}

bool hm_reading_switch(struct hm_reading *reading, const struct hm_yaml *value,
		       uint64_t *out)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true" };
	static const struct hm_word_list list = { words, 6, "on or off" };

	if (!hm_reading_word(reading, value, &list, out))
		return false;
	*out &= 1;
	return true;
}
