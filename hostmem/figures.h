#ifndef HOSTMEM_FIGURES_H
#define HOSTMEM_FIGURES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a host has: bytes reserved and committed, and regions.
 *
 * Each thread counts in a cache line that it shares with few others; a reader adds up.  So
 * what a reader gets while others are at work may never have been true at one moment, but
 * it is never off by more than what they were doing.  What must be exact while others are
 * at work is in the budget.
 */
#define HM_FIGURES_LINES 16U

struct hm_figures {
	struct hm_figures_line {
		_Alignas(64) _Atomic uint64_t reservations; /* see figures.c */
		_Atomic uint64_t committed;
	} lines[HM_FIGURES_LINES];
};

/* Bytes and regions that have come; negative: that have gone. */
void hm_figures_reserve(struct hm_figures *figures, ptrdiff_t bytes, int regions);
void hm_figures_commit(struct hm_figures *figures, ptrdiff_t bytes);

void hm_figures_read(const struct hm_figures *figures, size_t *reserved,
		     size_t *committed, uint64_t *regions);

#endif
