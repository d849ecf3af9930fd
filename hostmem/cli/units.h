#ifndef HOSTMEM_CLI_UNITS_H
#define HOSTMEM_CLI_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Figures as people write them, in options and in scenarios.  All of the text has to be the
 * figure; false: it is none, or too large, and *out is as it was.
 */

/* Bytes: "4096", "64K", "256M", "2G"; units of 1024. */
bool hm_units_size(const char *text, uint64_t *out);
/* ms: "200ms", "2s". */
bool hm_units_time(const char *text, uint64_t *out);
/* "1000", or "0x3E8" */
bool hm_units_number(const char *text, uint64_t *out);
/* A part of 1: "0.05" or "5%"; 0 to 1. */
bool hm_units_share(const char *text, double *out);

#endif
