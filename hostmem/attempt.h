#ifndef HOSTMEM_ATTEMPT_H
#define HOSTMEM_ATTEMPT_H

#include "request.h"

/*
 * What a request is about, and how it is done once it has been granted.
 *
 * `perform` runs between hm_calls_enter and hm_calls_leave, with `charge` pending.
 *
 *   S_OK     done; what was pending has been settled
 *   S_FALSE  nothing done: `size` and `charge` are others now, ask again
 *   failure  nothing done; `reason` is whose "no" it was.  E_OUTOFMEMORY by the system is
 *            a shortage, and may be tried again
 */
struct hm_work {
	size_t size;   /* bytes that it is about: what fault rules look at */
	size_t charge; /* bytes of these that are charged */
	HRESULT (*perform)(struct hm_work *work, struct hm_request *request);
	HostMemReason reason;
	/* Its caller can do without: where memory is short nobody is asked to give some back,
	 * and it does not wait. */
	bool modest;

	/* NULL, or what is asked when memory is short: whether it has found a way to do with
	 * another `charge`.  Outside of hm_calls_enter, without a lock. */
	bool (*economize)(struct hm_work *work, struct hm_request *request);
	struct hm_block_want *want; /* of it, see waiting.h */
};

/*
 * Asks for it and does it, as often as it may be tried.  On failure everything is undone,
 * the events of it included, and the result is the method's.
 */
HRESULT hm_request_run(struct hm_request *request, struct hm_work *work);

/*
 * For `perform`: the system has delivered.  Comes before anybody else can see the memory,
 * since whoever sees it may give it back, and what is refunded must have been charged.
 */
void hm_request_settle(struct hm_request *request);
/* It came to nothing after all: what was settled last, `size` bytes, is pending again. */
void hm_request_unsettle(struct hm_request *request, size_t size);

/* The end of a request that has failed outside of hm_request_run: takes back what is
 * pending, raises the failure event, returns `hr`. */
HRESULT hm_request_refuse(struct hm_request *request, HRESULT hr, HostMemReason reason);

#endif
