/*
 * The figures for people and for programs: tables on stdout, lines in a CSV.
 */
#ifndef HOSTMEM_BENCH_REPORT_H
#define HOSTMEM_BENCH_REPORT_H

#include "result.h"
#include "selection.h"

/* Opens the CSV; FALSE, with a line on stderr: it cannot be written. */
bool report_open(const struct selection *selection);

/* Takes one result; the state is not looked at. */
void report_take(void *state, const struct result *result);

/* Prints what has been taken since the last one, under a heading. */
void report_section(const char *heading);

/* Closes the CSV and says how it went; FALSE: a row could not run. */
bool report_close(void);

#endif
