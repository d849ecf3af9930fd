/*
 * The books of the judge's host: a table without order.
 *
 * Cases have few ranges at a time, and mostly give back what came last, so the table is looked
 * through from its end.
 */
#include "ledger.h"

#include <stdlib.h>

bool judge_ledger_add(struct judge_ledger *ledger, const void *base, size_t size)
{
	if (ledger->count == ledger->room) {
		size_t room = ledger->room == 0 ? 32 : 2 * ledger->room;
		struct judge_range *ranges =
			(struct judge_range *)realloc(ledger->ranges,
						      room * sizeof(*ranges));

		if (ranges == NULL)
			return false;
		ledger->ranges = ranges;
		ledger->room = room;
	}
	ledger->ranges[ledger->count++] = (struct judge_range){ (uintptr_t)base, size };
	return true;
}

struct judge_range *judge_ledger_at(struct judge_ledger *ledger, const void *base)
{
	for (size_t i = ledger->count; i-- > 0;) {
		if (ledger->ranges[i].base == (uintptr_t)base)
			return &ledger->ranges[i];
	}
	return NULL;
}

struct judge_range *judge_ledger_around(struct judge_ledger *ledger, const void *address)
{
	for (size_t i = ledger->count; i-- > 0;) {
		if ((uintptr_t)address - ledger->ranges[i].base < ledger->ranges[i].size)
			return &ledger->ranges[i];
	}
	return NULL;
}

void judge_ledger_remove(struct judge_ledger *ledger, struct judge_range *range)
{
	*range = ledger->ranges[--ledger->count];
}

void judge_ledger_free(struct judge_ledger *ledger)
{
	free(ledger->ranges);
	*ledger = (struct judge_ledger){ NULL, 0, 0 };
}
