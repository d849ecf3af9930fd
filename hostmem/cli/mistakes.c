/*
 * Mistakes in a file, collected and then told.
 *
 * Whoever writes a file by hand wants to hear of all that is wrong with it at once, in the
 * order in which his editor shows it; what follows from two places is only found at the end,
 * so they are sorted.  The form, "FILE:LINE: ", is that of compilers: editors jump there.
 */
#include "mistakes.h"
#include "display.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void hm_mistakes_add(struct hm_mistakes *mistakes, size_t line, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	if (mistakes->count == mistakes->room) {
		size_t room = mistakes->room == 0 ? 16 : 2 * mistakes->room;
		struct hm_mistake *list = realloc(mistakes->list, room * sizeof(*list));

		if (list == NULL) {
			mistakes->lost = true;
			return;
		}
		mistakes->list = list;
		mistakes->room = room;
	}
	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		mistakes->lost = true;
		return;
	}
	mistakes->list[mistakes->count] = (struct hm_mistake){ line, mistakes->count,
							       text };
	mistakes->count++;
}

static int compare(const void *left, const void *right)
{
	const struct hm_mistake *one = left, *other = right;

	if (one->line != other->line)
		return one->line < other->line ? -1 : 1;
	return one->number < other->number ? -1 : 1;
}

void hm_mistakes_print(struct hm_mistakes *mistakes, const char *file, FILE *out)
{
	if (mistakes->count != 0)
		qsort(mistakes->list, mistakes->count, sizeof(*mistakes->list), compare);
	for (size_t i = 0; i < mistakes->count; i++) {
		hm_display_text(out, file);
		(void)fprintf(out, ":%zu: ", mistakes->list[i].line);
		hm_display_text(out, mistakes->list[i].text);
		(void)fputc('\n', out);
	}
	if (mistakes->lost) {
		hm_display_text(out, file);
		(void)fputs(": no memory to tell more\n", out);
	}
}

void hm_mistakes_free(struct hm_mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->count; i++)
		free(mistakes->list[i].text);
	free(mistakes->list);
	*mistakes = (struct hm_mistakes){ 0 };
}

/* How many letters have to be put in, taken out or replaced; of short words. */
static size_t distance(const char *text, const char *word)
{
	size_t row[32];
	size_t width = strlen(word);

	for (size_t i = 0; i <= width; i++)
		row[i] = i;
	for (size_t line = 1; *text != '\0'; text++, line++) {
		size_t corner = row[0];

		row[0] = line;
		for (size_t i = 1; i <= width; i++) {
			size_t least = corner + (*text != word[i - 1]);

			corner = row[i];
			if (row[i] + 1 < least)
				least = row[i] + 1;
			if (row[i - 1] + 1 < least)
				least = row[i - 1] + 1;
			row[i] = least;
		}
	}
	return row[width];
}

bool hm_mistakes_is_near(const char *text, const char *word)
{
	size_t length = strlen(word);

	return length < 32 && strlen(text) < 32 &&
	       distance(text, word) <= (length < 5 ? 1 : 2);
}
