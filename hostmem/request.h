#ifndef HOSTMEM_REQUEST_H
#define HOSTMEM_REQUEST_H

#include "host.h"

/*
 * The path of one request: what is asked, and in which order.
 *
 *     open -> ask (budget, then callbacks) -> the system -> settle  -> close
 *                                                        or refuse -> close
 *     open -> the system -> announce_free -> close
 *
 * A request belongs to one thread and lives on its stack.  Between open and close no lock
 * may be held at ask, tell, refuse and announce_free, which call out.
 */
struct hm_request {
	struct hm_host *host;
	struct hm_request *below; /* the request in whose callback this one was made */
	struct hm_subscriber *running; /* whose callback runs now */
	bool observed;                 /* there were subscribers when it was opened */
	bool holds;                    /* the host, until it is closed */
	HostMemOperation operation;
	EMemoryCriticalLevel level;
	void *address;
	size_t pending;       /* bytes admitted and not yet settled */
	size_t asked;         /* bytes of the last attempt */
	uint64_t number;      /* 0 until the first event */
	uint64_t asked_up_to; /* the last subscriber who saw an allocate event */
	uint32_t attempt;
};

/* HOST_E_CLRNOTAVAILABLE if the host has just been shut down; then it is not open. */
HRESULT hm_request_open(struct hm_request *request, struct hm_host *host,
			HostMemOperation operation, EMemoryCriticalLevel level,
			void *address);
void hm_request_close(struct hm_request *request);

/* The one with which a host that has ended gives everything back. */
void hm_request_open_last(struct hm_request *request, struct hm_host *host);

/*
 * Asks for `size` bytes; what was asked before by the same request is taken back.  On
 * failure everything is undone, the events of it included, and the result is the
 * method's.  E_OUTOFMEMORY: the budget or a callback; HOST_E_ABANDONED: the host was shut
 * down or thrown away meanwhile.
 */
HRESULT hm_request_ask(struct hm_request *request, size_t size);

/* Announces what cannot be refused and is charged by somebody else: answers do not
 * count. */
void hm_request_tell(struct hm_request *request, size_t size);

/*
 * The system has delivered.  Comes before anybody else can see the memory, since whoever
 * sees it may give it back, and what is refunded must have been charged.
 */
void hm_request_settle(struct hm_request *request);
/* It came to nothing after all: what was settled last, `size` bytes, is pending again. */
void hm_request_unsettle(struct hm_request *request, size_t size);

/* The system, or the state of the region, did not allow it: takes back what was asked,
 * raises the failure event, returns `hr`. */
HRESULT hm_request_refuse(struct hm_request *request, HRESULT hr, HostMemReason reason);

/*
 * `size` bytes have been given back.  Their refund was made with the change itself, not
 * here: a fork in between would leave the child charged for what it does not have.
 */
void hm_request_announce_free(struct hm_request *request, HostMemOperation operation,
			      void *address, size_t size);

/* What follows in an open request is a request of its own to those who listen. */
void hm_request_renew(struct hm_request *request);

/* Whether the callback of a subscriber runs on this thread. */
bool hm_request_is_running(const struct hm_subscriber *subscriber);

/* Calls in flight of this thread on a host. */
uint32_t hm_request_holds(const struct hm_host *host);

/* In a fork child: sets what this thread has under way on the host, and nothing else. */
void hm_requests_after_fork(struct hm_host *host);

#endif
