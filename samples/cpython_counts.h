/*
 * What the adapter counts, and CPython's own count of its arenas to compare with it.
 *
 * CPython keeps its count for its developers: sys._debugmallocstats prints it to the standard
 * error, and that is the only way to it.  So that is turned into a file for the moment.
 */
#ifndef CPYTHON_COUNTS_H
#define CPYTHON_COUNTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* How many arenas CPython says it asked for and gave back; false if it does not say. */
static inline bool ask_python(size_t *arenas, size_t *freed)
{
	PyObject *tell = PySys_GetObject("_debugmallocstats");
	FILE *text = tmpfile();
	int standard_error = dup(STDERR_FILENO);
	unsigned found = 0;
	char line[128];

	if (tell == NULL || text == NULL || standard_error < 0)
		return false;
	fflush(stderr);
	dup2(fileno(text), STDERR_FILENO); /* it writes there and nowhere else */
	Py_XDECREF(PyObject_CallNoArgs(tell));
	fflush(stderr);
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);

	rewind(text);
	while (fgets(line, sizeof(line), text) != NULL) {
		found += sscanf(line, "# arenas allocated total = %zu", arenas) == 1;
		found += sscanf(line, "# arenas reclaimed = %zu", freed) == 1;
	}
	fclose(text);
	return found == 2;
}

static inline void print_counts_title(void)
{
	printf("\n%-36s %11s %9s %13s\n", "What CPython did with it", "asked for",
	       "gave back", "holds");
}

static inline void print_counts(const char *what, uint64_t made, uint64_t freed)
{
	printf("  %-34s %11llu %9llu %13llu\n", what, (unsigned long long)made,
	       (unsigned long long)freed, (unsigned long long)(made - freed));
}

#endif /* CPYTHON_COUNTS_H */
