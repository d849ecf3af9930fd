#ifndef HOSTMEM_BUDGET_H
#define HOSTMEM_BUDGET_H

#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * What a host's memory is charged with, in two phases: a charge is pending from the time
 * a request is admitted until the system has delivered; pending charges count against
 * the limit, but not as use.
 */
struct hm_budget {
	size_t limit;                 /* SIZE_MAX: none */
	_Atomic size_t claimed;       /* charged and pending together */
	_Atomic size_t charged, peak; /* peak of charged */
};

void hm_budget_init(struct hm_budget *budget);

/* Admits a charge; otherwise the reason why not, and nothing has changed. */
bool hm_budget_admit(struct hm_budget *budget, size_t size, HostMemReason *reason);
/* The system has delivered, or has not. */
void hm_budget_settle(struct hm_budget *budget, size_t size);
void hm_budget_cancel(struct hm_budget *budget, size_t size);
/* Charges what cannot be refused. */
void hm_budget_charge(struct hm_budget *budget, size_t size);
/* A charge that nobody has seen yet is pending again. */
void hm_budget_unsettle(struct hm_budget *budget, size_t size);
/* What was charged has been given back. */
void hm_budget_refund(struct hm_budget *budget, size_t size);
/* In a fork child: only `pending` of what was admitted is still under way. */
void hm_budget_after_fork(struct hm_budget *budget, size_t pending);

#endif
