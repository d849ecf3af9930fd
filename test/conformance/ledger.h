/*
 * Subscribers that keep a sum of events: one by the rule in memorycontrol.h, with replacement of
 * attempts, and a naive one that adds and subtracts sizes as they come.
 *
 * Of any number of threads: callbacks run on the requesting thread, so what is open is
 * open on one thread.
 */
#ifndef HOSTMEM_CONFORMANCE_LEDGER_H
#define HOSTMEM_CONFORMANCE_LEDGER_H

#include "budget.h"
#include "recorder.h"

enum { LEDGER_OPEN = 64 }; /* requests that may still be replaced or taken back */

struct account {
	const struct host *host;
	_Atomic int64_t sum;
	uint64_t cookie;
	_Atomic uint64_t events, replaced, taken_back, bare; /* failures: not announced */
};

/* A ring: requests are many and those inside each other few. */
struct account_open {
	const struct account *account;
	uint64_t request;
	size_t size;
};

static __thread struct account_open account_ring[LEDGER_OPEN];
static __thread size_t account_next;

static inline struct account_open *account_find(const struct account *account,
						uint64_t request)
{
	for (size_t i = 0; i < LEDGER_OPEN; i++) {
		if (account_ring[i].account == account &&
		    account_ring[i].request == request)
			return &account_ring[i];
	}
	return NULL;
}

static inline void account_allocate(struct account *account, const HostMemEvent *event)
{
	struct account_open *open = account_find(account, event->request);
	int64_t change = (int64_t)event->size;

	CHECK_INT(event->announced != FALSE, open != NULL);
	if (open != NULL) {
		CHECK(event->attempt > 1);
		change -= (int64_t)open->size;
		atomic_fetch_add(&account->replaced, 1);
	} else {
		open = &account_ring[account_next++ % LEDGER_OPEN];
		open->account = account;
		open->request = event->request;
	}
	open->size = event->size;
	atomic_fetch_add(&account->sum, change);
}

static inline void account_failure(struct account *account, const HostMemEvent *event)
{
	struct account_open *open = account_find(account, event->request);

	CHECK_INT(event->announced != FALSE, open != NULL);
	if (open == NULL) {
		atomic_fetch_add(&account->bare, 1);
		return;
	}
	atomic_fetch_sub(&account->sum, (int64_t)open->size);
	atomic_fetch_add(&account->taken_back, 1);
	open->account = NULL;
}

static inline BOOL HOSTMEM_CALL account_event(void *state, const HostMemEvent *event)
{
	struct account *account = (struct account *)state;

	atomic_fetch_add(&account->events, 1);
	CHECK_U32(event->cbSize, sizeof(*event));
	CHECK(event->request != 0);
	if (event->type == HostMemEventAllocate)
		account_allocate(account, event);
	else if (event->type == HostMemEventFree)
		atomic_fetch_sub(&account->sum, (int64_t)event->size);
	else
		account_failure(account, event);
	return TRUE;
}

/* Cannot replace: what takes the place of something it leaves out. */
static inline BOOL HOSTMEM_CALL account_naive(void *state, const HostMemEvent *event)
{
	struct account *account = (struct account *)state;
	int64_t size = (int64_t)event->size;

	atomic_fetch_add(&account->events, 1);
	if (event->type != HostMemEventAllocate)
		atomic_fetch_sub(&account->sum, size);
	else if (!event->announced)
		atomic_fetch_add(&account->sum, size);
	return TRUE;
}

static inline void account_start(struct account *account, const struct host *host,
				 HostMemEventCallback callback)
{
	*account = (struct account){ .host = host };
	memset(account_ring, 0, sizeof(account_ring));
	atomic_store(&account->sum, (int64_t)host_usage(host).cbCharged);
	CHECK_HR(IHostMemoryControl_Subscribe(host->control, ALL_BITS, callback, account,
					      &account->cookie),
		 S_OK);
}

static inline void account_stop(struct account *account)
{
	CHECK_HR(IHostMemoryControl_Unsubscribe(account->host->control, account->cookie),
		 S_OK);
}

static inline void account_check(const struct account *account)
{
	CHECK_SIZE((size_t)atomic_load(&account->sum),
		   host_usage(account->host).cbCharged);
}

#endif
