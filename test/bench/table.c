/*
 * Lines of cells, as text in columns or as Markdown.
 */
#include "table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool as_markdown;

void table_heading(const char *heading, bool markdown)
{
	as_markdown = markdown;
	printf(markdown ? "\n#### %s\n" : "\n%s\n", heading);
}

/* Names are long, the number of threads is short, figures are in between. */
static int width(size_t column, bool notes)
{
	if (column == 0)
		return -32;
	if (notes)
		return 11;
	return column == 1 ? 3 : 10;
}

void table_print(const struct table_line *line)
{
	size_t last = line->count - 1;

	for (size_t i = 0; as_markdown && i < line->count; i++)
		printf("| %s ", line->cells[i]);
	if (as_markdown) {
		puts("|");
		return;
	}
	for (size_t i = 0; i < line->count; i++) {
		if (i == last && line->cells[i][0] != '\0')
			printf("  %s", line->cells[i]);
		else if (i != last)
			printf("%s%*s", i == 0 ? "" : " ", width(i, line->notes),
			       line->cells[i]);
	}
	puts("");
}

void table_print_head(const struct table_line *line)
{
	puts("");
	table_print(line);
	if (!as_markdown)
		return;
	for (size_t i = 0; i < line->count; i++)
		fputs(i == 0 || i == line->count - 1 ? "| --- " : "| ---: ", stdout);
	puts("|");
}

void table_put(char *cell, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(cell, TABLE_CELL_SIZE, format, arguments);
	va_end(arguments);
}

void table_put_ns(char *cell, double figure, const char *suffix)
{
	char digits[32];
	size_t length, at = 0;

	if (isnan(figure)) {
		cell[0] = '\0';
		return;
	}
	if (fabs(figure) < 100 && floor(figure) != figure) {
		table_put(cell, "%.1f%s", figure, suffix);
		return;
	}
	length = (size_t)snprintf(digits, sizeof(digits), "%.0f", figure);
	for (size_t i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
			cell[at++] = ',';
		cell[at++] = digits[i];
	}
	table_put(cell + at, "%s", suffix);
}
