/*
 * YAML as a tree, with the line of each node.
 *
 * libyaml's events are read, not its documents, and not libcyaml's schemas: libcyaml stops at
 * the first mistake, and a document of libyaml has forgotten anchors, and has the same node
 * twice where an alias was.
 *
 * Settings need texts, lists and mappings.  Anchors and aliases, tags and a second document
 * are refused, each by name: they are easier to misread than to use, and a few lines of
 * aliases can stand for more nodes than there is memory.
 *
 * Before libyaml sees the bytes they are looked through: it would tell of a NUL, of what is
 * no UTF-8 or of an escape sequence by its offset only.
 */
#include "yamltree.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
	DEEPEST = 16,      /* settings have five levels ... */
	MOST_ITEMS = 1000, /* ... and some dozens of items */
};

struct parsing {
	yaml_parser_t parser;
	struct hm_mistakes *mistakes;
};

/* ---- Bytes ---- */

static bool is_control(unsigned char byte)
{
	return (byte < ' ' && byte != '\t' && byte != '\n' && byte != '\r') ||
	       byte == 0x7F;
}

static bool bytes_are_text(const char *bytes, size_t length, struct hm_mistakes *mistakes)
{
	size_t line = 1, next = 0;

	while (next < length) {
		unsigned char byte = (unsigned char)bytes[next];
		unsigned size = hm_utf8_length(bytes + next);

		if (byte == 0) {
			hm_mistakes_add(mistakes, line, "a NUL byte; this is no text");
			return false;
		}
		if (size == 0) {
			hm_mistakes_add(mistakes, line, "byte 0x%02x is not UTF-8", byte);
			return false;
		}
		if (is_control(byte)) {
			hm_mistakes_add(mistakes, line, "a control character, 0x%02x",
					byte);
			return false;
		}
		line += byte == '\n';
		next += size;
	}
	return true;
}

/* ---- Nodes ---- */

void hm_yaml_free(struct hm_yaml *node)
{
	for (size_t i = 0; i < node->count; i++)
		hm_yaml_free(&node->items[i]);
	free(node->items);
	free(node->text);
	*node = (struct hm_yaml){ .kind = HM_YAML_WRONG };
}

/* Behind those that are there; NULL: there is no memory. */
static struct hm_yaml *add_item(struct hm_yaml *node)
{
	if (node->count == node->room) {
		size_t room = node->room == 0 ? 8 : 2 * node->room;
		struct hm_yaml *items = realloc(node->items, room * sizeof(*items));

		if (items == NULL)
			return NULL;
		node->items = items;
		node->room = room;
	}
	node->items[node->count] = (struct hm_yaml){ .kind = HM_YAML_WRONG };
	return &node->items[node->count++];
}

size_t hm_yaml_line_of(const struct hm_yaml *mapping, const char *key)
{
	for (size_t i = 0; i + 1 < mapping->count; i += 2) {
		const struct hm_yaml *item = &mapping->items[i];

		if (item->kind == HM_YAML_TEXT && strcmp(item->text, key) == 0)
			return item->line;
	}
	return 0;
}

/* ---- Events ---- */

/* libyaml's own words; a tab is worth ours, since nobody sees it. */
static bool tell_problem(struct parsing *parsing)
{
	const yaml_parser_t *parser = &parsing->parser;
	const char *problem = parser->problem != NULL ? parser->problem : "no memory";

	if (strstr(problem, "cannot start any token") != NULL &&
	    parser->buffer.pointer < parser->buffer.last &&
	    *parser->buffer.pointer == '\t')
		problem = "a tab; lines are indented with blanks";
	if (parser->context != NULL)
		hm_mistakes_add(parsing->mistakes, parser->problem_mark.line + 1,
				"not YAML: %s, %s from line %zu", problem,
				parser->context, parser->context_mark.line + 1);
	else
		hm_mistakes_add(parsing->mistakes, parser->problem_mark.line + 1,
				"not YAML: %s", problem);
	return false;
}

static bool next_event(struct parsing *parsing, yaml_event_t *event)
{
	return yaml_parser_parse(&parsing->parser, event) != 0 || tell_problem(parsing);
}

static bool read_node(struct parsing *parsing, yaml_event_t *event, struct hm_yaml *node,
		      unsigned depth);

/* What an event has beside its value, and may not have. */
static void refuse_extras(struct parsing *parsing, size_t line, const yaml_char_t *anchor,
			  const yaml_char_t *tag)
{
	if (anchor != NULL)
		hm_mistakes_add(parsing->mistakes, line,
				"\"&%s\": no anchors, please; write it out",
				(const char *)anchor);
	if (tag != NULL)
		hm_mistakes_add(parsing->mistakes, line, "\"%s\": no tags, please",
				(const char *)tag);
}

static bool read_text(struct parsing *parsing, const yaml_event_t *event,
		      struct hm_yaml *node)
{
	const char *value = (const char *)event->data.scalar.value;

	refuse_extras(parsing, node->line, event->data.scalar.anchor,
		      event->data.scalar.tag);
	if (strlen(value) != event->data.scalar.length) {
		hm_mistakes_add(parsing->mistakes, node->line, "a NUL in a text");
		return true;
	}
	node->text = strdup(value);
	if (node->text == NULL) {
		parsing->mistakes->lost = true;
		return false;
	}
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->kind = HM_YAML_TEXT;
	return true;
}

/* Keys are looked for one by one, so there must not be many. */
static bool refuse_item(struct parsing *parsing, yaml_event_t *event)
{
	hm_mistakes_add(parsing->mistakes, event->start_mark.line + 1,
			"too much of the same kind");
	yaml_event_delete(event);
	return false;
}

/* Up to the event that ends it. */
static bool read_items(struct parsing *parsing, yaml_event_type_t end,
		       struct hm_yaml *node, unsigned depth)
{
	for (;;) {
		yaml_event_t event;
		struct hm_yaml *item;
		bool good;

		if (!next_event(parsing, &event))
			return false;
		if (event.type == end) {
			yaml_event_delete(&event);
			return true;
		}
		item = add_item(node);
		if (item == NULL)
			parsing->mistakes->lost = true;
		else if (node->count > MOST_ITEMS)
			return refuse_item(parsing, &event);
		good = item != NULL && read_node(parsing, &event, item, depth + 1);
		yaml_event_delete(&event);
		if (!good)
			return false;
	}
}

static bool read_node(struct parsing *parsing, yaml_event_t *event, struct hm_yaml *node,
		      unsigned depth)
{
	node->line = event->start_mark.line + 1;
	if (depth > DEEPEST) {
		hm_mistakes_add(parsing->mistakes, node->line, "nested too deeply");
		return false;
	}
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return read_text(parsing, event, node);
	case YAML_ALIAS_EVENT:
		hm_mistakes_add(parsing->mistakes, node->line,
				"\"*%s\": no aliases, please; write it out",
				(const char *)event->data.alias.anchor);
		return true;
	case YAML_SEQUENCE_START_EVENT:
		refuse_extras(parsing, node->line, event->data.sequence_start.anchor,
			      event->data.sequence_start.tag);
		node->kind = HM_YAML_LIST;
		return read_items(parsing, YAML_SEQUENCE_END_EVENT, node, depth);
	default:
		refuse_extras(parsing, node->line, event->data.mapping_start.anchor,
			      event->data.mapping_start.tag);
		node->kind = HM_YAML_MAPPING;
		return read_items(parsing, YAML_MAPPING_END_EVENT, node, depth);
	}
}

/* ---- Documents ---- */

/* What begins and ends streams and documents is no node. */
static bool is_node(yaml_event_type_t type)
{
	return type >= YAML_ALIAS_EVENT;
}

static bool read_stream(struct parsing *parsing, struct hm_yaml *document)
{
	unsigned documents = 0;
	bool good = true, over = false;

	while (good && !over) {
		yaml_event_t event;

		if (!next_event(parsing, &event))
			return false;
		over = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && ++documents == 2) {
			hm_mistakes_add(parsing->mistakes, event.start_mark.line + 1,
					"a second document; a file has one");
			over = true;
		} else if (is_node(event.type)) {
			good = read_node(parsing, &event, document, 1);
		}
		yaml_event_delete(&event);
	}
	if (good && documents == 0)
		hm_mistakes_add(parsing->mistakes, 1, "there is nothing in this file");
	return good && documents != 0;
}

bool hm_yaml_read(const char *bytes, size_t length, struct hm_yaml *document,
		  struct hm_mistakes *mistakes)
{
	struct parsing parsing = { .mistakes = mistakes };
	bool good;

	*document = (struct hm_yaml){ .kind = HM_YAML_WRONG };
	if (!bytes_are_text(bytes, length, mistakes))
		return false;
	if (yaml_parser_initialize(&parsing.parser) == 0) {
		mistakes->lost = true;
		return false;
	}
	yaml_parser_set_input_string(&parsing.parser, (const unsigned char *)bytes,
				     length);
	good = read_stream(&parsing, document);
	yaml_parser_delete(&parsing.parser);
	if (!good)
		hm_yaml_free(document);
	return good;
}
