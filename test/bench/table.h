/*
 * Lines of cells, as text in columns or as Markdown.
 */
#ifndef HOSTMEM_BENCH_TABLE_H
#define HOSTMEM_BENCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum { TABLE_CELLS = 12, TABLE_CELL_SIZE = 96 };

struct table_line {
	char cells[TABLE_CELLS][TABLE_CELL_SIZE];
	size_t count;
	bool notes; /* the last cell is a text, not a figure */
};

/* What follows belongs to this heading, and is Markdown or not. */
void table_heading(const char *heading, bool markdown);

void table_print(const struct table_line *line);
void table_print_head(const struct table_line *line);

void table_put(char *cell, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A figure with commas; small ones with a decimal; NAN is empty. */
void table_put_ns(char *cell, double figure, const char *suffix);

#endif
