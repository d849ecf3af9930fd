#ifndef HOSTMEM_FAULTS_H
#define HOSTMEM_FAULTS_H

#include "os/lock.h"

#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * The fault rules of one host: which requests fail on demand.  What a rule says is told
 * at HostMemFault; zeroed, there are none.
 *
 * All functions but hm_faults_any and hm_faults_check enter by themselves (calls.h), so
 * they are not called by somebody who is inside.
 */
struct hm_fault_rule {
	struct hm_fault_rule *next;
	uint64_t cookie;    /* ascending in order of adding */
	HostMemFault fault; /* as given, but with "all" and "any" written out */
	uint64_t matches, firings;
	uint64_t state;     /* of the draws */
	uint64_t threshold; /* a draw below it fires */
};

struct hm_faults {
	struct hm_lock lock; /* HM_RANK_FAULTS: the list, and what the rules count */
	_Atomic(struct hm_fault_rule *) first;
	struct hm_fault_rule *last;
	uint64_t last_cookie;
};

/* A request that passes one of the two places. */
struct hm_fault_query {
	HostMemOperation operation;
	EMemoryCriticalLevel level;
	uint32_t place; /* HOSTMEM_FAULT_BUDGET or HOSTMEM_FAULT_SYSTEM */
	size_t size;    /* bytes */
};

/* Whether there are rules, used up or not: one load, the cost of having none. */
static inline bool hm_faults_any(const struct hm_faults *faults)
{
	return atomic_load_explicit(&faults->first, memory_order_relaxed) != NULL;
}

/* E_INVALIDARG if a complete record asks for what cannot be; cbSize is not looked at. */
HRESULT hm_faults_check(const HostMemFault *fault);

/* Adds a copy, behind the others; the record has been checked.  E_OUTOFMEMORY; nothing
 * changed then, *cookie included.  A cookie is never 0 and never used again. */
HRESULT hm_faults_add(struct hm_faults *faults, const HostMemFault *fault,
		      uint64_t *cookie);

/* E_INVALIDARG if there is no such cookie. */
HRESULT hm_faults_remove(struct hm_faults *faults, uint64_t cookie);

/*
 * A request passes a place: to be asked once for each place and request, not for each
 * attempt.  True: it fails, with *result after *ms ms; else both are left alone.
 */
bool hm_faults_fire(struct hm_faults *faults, const struct hm_fault_query *query,
		    HRESULT *result, uint32_t *ms);

/* Frees everything; nobody else knows the host any more. */
void hm_faults_destroy(struct hm_faults *faults);

#endif
