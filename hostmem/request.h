#ifndef HOSTMEM_REQUEST_H
#define HOSTMEM_REQUEST_H

#include "host.h"

/*
 * One call that charges or refunds memory.
 *
 *     open -> run (attempt.h) -> close
 *     open -> the system -> announce_free (announce.h) -> close
 *
 * A request belongs to one thread and lives on its stack.  Between open and close no lock
 * may be held where it calls out.
 */
struct hm_request {
	struct hm_host *host;
	struct hm_request *below; /* the request in whose callback this one was made */
	struct hm_subscriber *running;   /* whose callback runs now */
	struct hm_reclaimer *reclaiming; /* who gives memory back for it now */
	bool observed;                   /* there were subscribers when it was opened */
	bool in_chain;                   /* of its thread */
	bool holds;                      /* the host, until it is closed */
	bool outside; /* of the gate: its owner, if there is one, did not wait for it */
	HostMemOperation operation;
	EMemoryCriticalLevel level;
	void *address;
	size_t pending;       /* bytes admitted and not yet settled */
	size_t asked;         /* bytes of the last attempt */
	uint64_t number;      /* 0 until the first event */
	uint64_t asked_up_to; /* the last subscriber who saw an allocate event */
	uint64_t told_up_to;  /* the last one who saw that of the last attempt */
	size_t told;          /* bytes that it named */
	size_t told_before;   /* bytes that the attempt before it named */
	uint32_t attempt;

	/* attempt.c */
	HostMemReason shortage; /* what was short first */
	uint32_t faulted;       /* bit p: the fault rules of place p have seen it */
	bool reclaimed;         /* the reclaimer has had its turn */
	bool expected;          /* to wait, from before that until after it */
	bool economized;        /* since then the system's refusal has been answered so */
	bool waits;             /* until `deadline`, by the host's clock */
	uint64_t deadline;
};

/* HOST_E_CLRNOTAVAILABLE if the host has just been shut down, or what the gate says; then
 * it is not open. */
HRESULT hm_request_open(struct hm_request *request, struct hm_host *host,
			HostMemOperation operation, EMemoryCriticalLevel level,
			void *address);
void hm_request_close(struct hm_request *request);

/* The same for a call that gives memory back, and hm_calls_enter; if it fails, neither is
 * done. */
HRESULT hm_request_open_free(struct hm_request *request, struct hm_host *host,
			     HostMemOperation operation);

/* The one with which a host that has ended gives everything back. */
void hm_request_open_last(struct hm_request *request, struct hm_host *host);

/* One that only keeps the host alive until it is closed, whatever its state. */
void hm_request_visit(struct hm_request *request, struct hm_host *host);

/* Makes sure that it holds the host and is known to its thread, now that it is about to
 * wait.  It raises no events if it was not observed before. */
void hm_request_enroll(struct hm_request *request);
/* That, and that it has passed the gate, now that it is about to call out;
 * HOST_E_ABANDONED if the host has ended. */
HRESULT hm_request_join(struct hm_request *request);

/* Whether the host has ended, by a callback or while it waited. */
bool hm_request_is_abandoned(const struct hm_request *request);

/* What follows in an open request is a request of its own to those who listen. */
void hm_request_renew(struct hm_request *request);

/* Has the reclaimer give so many bytes back, unless it is just doing that on this thread; false:
 * nobody was called.  The request is in the chain and inside of the gate, no lock is held. */
bool hm_request_reclaim(struct hm_request *request, size_t wanted);

/* Whether the callback of a subscriber, or a reclaimer of the host, runs on this thread. */
bool hm_request_is_running(const struct hm_subscriber *subscriber);
bool hm_request_is_reclaiming(const struct hm_host *host);
bool hm_request_is_inside(const struct hm_reclaimer *reclaimer);

/* Calls in flight of this thread on a host; those of them that are inside of its gate. */
uint32_t hm_request_holds(const struct hm_host *host);
uint32_t hm_request_inside(const struct hm_host *host);
void hm_request_set_inside(const struct hm_host *host, bool inside);

/* In a fork child: sets what this thread has under way on the host, and nothing else. */
void hm_requests_after_fork(struct hm_host *host);

#endif
