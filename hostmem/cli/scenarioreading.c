/*
 * Reading the parts of a scenario: mappings, lists and paths.
 *
 * A scenario is written by hand, tried, and written again.  So a mistake says where it is,
 * what stands there and what might; a key that nobody knows is shown with the one that is
 * nearest; and one mistake does not hide the next.
 */
#include "scenarioreading.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hm_reading_refuse(struct hm_reading *reading, size_t line, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		reading->mistakes->lost = true;
		return;
	}
	hm_mistakes_add(reading->mistakes, line, "%s%s%s", reading->path,
			reading->path[0] != '\0' ? ": " : "", text);
	free(text);
}

/* ---- Paths ---- */

/* Goes into a key; the result leads back. */
static size_t enter_key(struct hm_reading *reading, const char *key)
{
	size_t length = strlen(reading->path);

	(void)snprintf(reading->path + length, sizeof(reading->path) - length, "%s%.60s",
		       length != 0 ? "." : "", key);
	return length;
}

static size_t enter_item(struct hm_reading *reading, size_t index)
{
	size_t length = strlen(reading->path);

	(void)snprintf(reading->path + length, sizeof(reading->path) - length, "[%zu]",
		       index);
	return length;
}

static void leave(struct hm_reading *reading, size_t length)
{
	reading->path[length] = '\0';
}

void hm_reading_refuse_key(struct hm_reading *reading, const struct hm_yaml *mapping,
			   const char *key, const char *why)
{
	size_t path = enter_key(reading, key);

	hm_reading_refuse(reading, hm_yaml_line_of(mapping, key), "%s", why);
	leave(reading, path);
}

/* ---- Mappings ---- */

static void refuse_key(struct hm_reading *reading, const struct hm_yaml *key,
		       const struct hm_key *keys, size_t count)
{
	char known[200] = "";
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		if (hm_mistakes_is_near(key->text, keys[i].name)) {
			hm_reading_refuse(reading, key->line,
					  "unknown key; did you mean \"%s\"?",
					  keys[i].name);
			return;
		}
		length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s",
					   i != 0 ? ", " : "", keys[i].name);
	}
	hm_reading_refuse(reading, key->line, "unknown key; there are %s", known);
}

/* The line where that key was before; 0: it was not. */
static size_t line_before(const struct hm_yaml *node, size_t index)
{
	size_t line = hm_yaml_line_of(node, node->items[index].text);

	for (size_t i = 0; i < index; i += 2) {
		if (node->items[i].kind == HM_YAML_TEXT &&
		    strcmp(node->items[i].text, node->items[index].text) == 0)
			return line;
	}
	return 0;
}

static void read_value(struct hm_reading *reading, const struct hm_key *key,
		       const struct hm_yaml *value,
		       void (*store)(struct hm_reading *reading, const char *name,
				     uint64_t number))
{
	uint64_t number;

	if (value->kind == HM_YAML_WRONG)
		return;
	if (key->number == NULL)
		key->part(reading, value);
	else if (key->number(reading, value, &number))
		store(reading, key->name, number);
}

static void read_pair(struct hm_reading *reading, const struct hm_yaml *node,
		      size_t index, const struct hm_key *keys, size_t count,
		      void (*store)(struct hm_reading *reading, const char *name,
				    uint64_t number))
{
	const struct hm_yaml *key = &node->items[index];
	size_t path, before, i = 0;

	if (key->kind == HM_YAML_WRONG)
		return;
	if (key->kind != HM_YAML_TEXT) {
		hm_reading_refuse(reading, key->line, "a key has to be a word");
		return;
	}
	path = enter_key(reading, key->text);
	before = line_before(node, index);
	while (i < count && strcmp(key->text, keys[i].name) != 0)
		i++;
	if (i == count)
		refuse_key(reading, key, keys, count);
	else if (before != 0)
		hm_reading_refuse(reading, key->line,
				  "a second time; the first is in line %zu", before);
	else
		read_value(reading, &keys[i], &node->items[index + 1], store);
	leave(reading, path);
}

bool hm_reading_mapping(struct hm_reading *reading, const struct hm_yaml *node,
			const char *what, const struct hm_key *keys, size_t count,
			void (*store)(struct hm_reading *reading, const char *name,
				      uint64_t number))
{
	if (node->kind == HM_YAML_WRONG)
		return false;
	if (node->kind != HM_YAML_MAPPING || node->count == 0) {
		hm_reading_refuse(reading, node->line, "%s has keys, as in \"%s: ...\"",
				  what, keys[0].name);
		return false;
	}
	for (size_t i = 0; i + 1 < node->count; i += 2)
		read_pair(reading, node, i, keys, count, store);
	return true;
}

void hm_reading_list(struct hm_reading *reading, const struct hm_yaml *node,
		     const char *what, size_t most,
		     void (*item)(struct hm_reading *reading, const struct hm_yaml *node,
				  size_t index))
{
	if (node->kind != HM_YAML_LIST) {
		hm_reading_refuse(reading, node->line,
				  "%s is a list; each begins with a \"-\"", what);
		return;
	}
	if (node->count > most)
		hm_reading_refuse(reading, node->items[most].line,
				  "this is number %zu, and %zu is all that fits",
				  most + 1, most);
	for (size_t i = 0; i < node->count; i++) {
		size_t path = enter_item(reading, i);

		item(reading, &node->items[i], i);
		leave(reading, path);
	}
}

void hm_reading_store(const struct hm_settings_word *words, size_t count, void *record,
		      const char *name, uint64_t number)
{
	size_t i = 0;

	while (i < count && strcmp(words[i].word, name) != 0)
		i++;
	if (i < count)
		hm_word_store(&words[i], record, 0, number);
}

/* ---- Levels ---- */

static const char *const level_names[] = { "task", "domain", "process" };

static void store_level(struct hm_reading *reading, const char *name, uint64_t number)
{
	for (size_t i = 0; i < 3; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			reading->level[i] = number;
			reading->has_level[i] = true;
		}
	}
}

/* Each with the next one that is there. */
static void check_order(struct hm_reading *reading, const struct hm_yaml *node, int order)
{
	for (size_t low = 0; low < 2; low++) {
		size_t high = low + 1;
		char why[64];

		if (high == 1 && !reading->has_level[high])
			high = 2;
		if (!reading->has_level[low] || !reading->has_level[high] ||
		    reading->level[low] == reading->level[high] ||
		    (reading->level[low] < reading->level[high]) == (order > 0))
			continue;
		(void)snprintf(why, sizeof(why), "must not be %s than that of %s",
			       order > 0 ? "more" : "less", level_names[high]);
		hm_reading_refuse_key(reading, node, level_names[low], why);
	}
}

void hm_reading_levels(struct hm_reading *reading, const struct hm_yaml *node,
		       hm_number_reader number, int order)
{
	const struct hm_key keys[] = {
		{ level_names[0], number, NULL },
		{ level_names[1], number, NULL },
		{ level_names[2], number, NULL },
	};

	memset(reading->level, 0, sizeof(reading->level));
	memset(reading->has_level, 0, sizeof(reading->has_level));
	if (hm_reading_mapping(reading, node, "this", keys, 3, store_level) && order != 0)
		check_order(reading, node, order);
}
