#ifndef HOSTMEM_TEST_JUDGE_LEDGER_H
#define HOSTMEM_TEST_JUDGE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a host has given out: ranges of addresses that do not overlap.  Whoever has one looks
 * after its lock.  All zero is an empty ledger.
 */
struct judge_range {
	uintptr_t base;
	size_t size;
};

struct judge_ledger {
	struct judge_range *ranges;
	size_t count, room;
};

/* false: no memory, nothing has changed. */
bool judge_ledger_add(struct judge_ledger *ledger, const void *base, size_t size);
/* The range that begins there, or that the address is in; NULL if there is none. */
struct judge_range *judge_ledger_at(struct judge_ledger *ledger, const void *base);
struct judge_range *judge_ledger_around(struct judge_ledger *ledger, const void *address);
/* A range that is in the ledger; the places of others change. */
void judge_ledger_remove(struct judge_ledger *ledger, struct judge_range *range);
void judge_ledger_free(struct judge_ledger *ledger);

#endif
