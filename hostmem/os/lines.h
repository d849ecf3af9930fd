#ifndef HOSTMEM_OS_LINES_H
#define HOSTMEM_OS_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes; a longer line is left out. */
#define HM_LINE 2560U

/* `length` bytes without the newline, which may hold anything.  true: that was enough. */
typedef bool (*hm_line_visitor)(void *state, const char *line, size_t length);

/*
 * Calls `visit` for each line of a text file, from the first on; what stands behind the first
 * mebibyte is left out.  false: it cannot be opened or read.  Any thread; allocates nothing,
 * keeps errno, as everything here.
 */
bool hm_lines_visit(const char *path, hm_line_visitor visit, void *state);

/* A file that is read again and again, which costs a fraction: what the kernel writes is
 * made anew for each reading from its beginning.  -1: it cannot be opened; then there is
 * nothing in it. */
int hm_lines_open(const char *path);
void hm_lines_close(int file);
bool hm_lines_visit_file(int file, hm_line_visitor visit, void *state);

/* The first so many bytes of a file; how many there were, 0 if it cannot be read. */
size_t hm_lines_read_file(int file, char *buffer, size_t size);

/* Takes what stands before `end` off the front of a line; false: there is no `end`. */
bool hm_line_take(const char **line, size_t *length, char end, const char **field,
		  size_t *field_length);

#endif
