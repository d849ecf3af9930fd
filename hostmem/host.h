#ifndef HOSTMEM_HOST_H
#define HOSTMEM_HOST_H

#include "os/pages.h"

#include "availability.h"
#include "budget.h"
#include "clock.h"
#include "events.h"
#include "external.h"
#include "faults.h"
#include "figures.h"
#include "monitor.h"
#include "notify.h"
#include "reclaimer.h"
#include "retained.h"
#include "waiting.h"

#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * One host: what the rules share.  The object with the vtables (com/) has one inside.
 *
 * References are of two kinds.  Those of callers come by AddRef; `holds` are the
 * library's own, one for each call in flight that may run a callback or waits.  The last
 * of both together ends the host, so a callback may release the last reference of its
 * caller's.
 */
enum hm_host_state {
	HM_HOST_RUNNING,
	HM_HOST_SHUT_DOWN, /* Shutdown was called, or the last reference is gone */
	HM_HOST_FAILED,    /* a method gave E_FAIL */
};

struct hm_heap;
struct hm_span;

struct hm_gate {
	_Atomic uint32_t owner;  /* number of the thread that has it; 0 = it is open */
	_Atomic uint32_t turn;   /* moves when somebody who waits should look again */
	_Atomic uint64_t asleep; /* holds of threads that sleep; the upper half moves with
				    each change of it */
	uint32_t depth;          /* the owner's */
	uint32_t patience;       /* ms that an allocation waits; UINT32_MAX = for ever */
};

struct hm_host {
	const struct hm_page_source *pages; /* borrowed; lives as long as the process */
	bool strict_execute;
	bool huge_pages;              /* are preferred, where whole ones fit */
	bool debug_heaps;             /* heaps look for damage */
	HostMemReportCallback report; /* hears of it; NULL = lines */
	void *report_state;
	void (*destroy)(struct hm_host *host); /* frees the object around it */

	_Atomic uint32_t references; /* of callers; stays at UINT32_MAX once there */
	_Atomic uint32_t holds;      /* of calls in flight, and one for the references */
	_Atomic uint64_t leaving;    /* of `holds`: by who waits in Unsubscribe for a
				     callback; the upper half moves with each change */
	_Atomic uint32_t state;

	struct hm_availability availability;
	struct hm_budget budget;
	struct hm_clock clock;
	struct hm_gate gate; /* see gate.h */
	struct hm_monitor monitor;
	struct hm_events events;
	struct hm_external external;
	struct hm_faults faults;
	struct hm_notify notify;
	struct hm_reclaimers reclaimers;
	struct hm_retained retained;
	struct hm_waiting waiting;

	struct hm_figures figures;
	struct hm_heap *heaps;            /* HM_RANK_HEAPS */
	struct hm_lock doomed_lock;       /* HM_RANK_DOOMED */
	_Atomic(struct hm_span *) doomed; /* of heaps: to be given back, by `next` */
	_Atomic uint32_t heap_count;
	_Atomic size_t heap_pages, leaked_bytes;
	_Atomic uint64_t leaked_blocks;
	_Atomic uint64_t refused_budget, refused_callback, refused_injected, failed_os;

	struct hm_host *next, *previous; /* of the process's hosts, HM_RANK_HOSTS */
};

/* Begins the life of a zeroed host, with one reference. */
void hm_host_init(struct hm_host *host, const struct hm_page_source *pages,
		  void (*destroy)(struct hm_host *host));

/* AddRef and Release: the caller's count afterwards. */
uint32_t hm_host_add_reference(struct hm_host *host);
uint32_t hm_host_release(struct hm_host *host);

/* Counts a call in flight in and out; drop may end the host. */
void hm_host_hold(struct hm_host *host);
void hm_host_drop(struct hm_host *host);
/* false: it has come to its end. */
bool hm_host_try_hold(struct hm_host *host);

/* Around waiting for a callback: Shutdown, which may come from there, does not wait for
 * one hold of this thread. */
void hm_host_begin_leaving(struct hm_host *host);
void hm_host_end_leaving(struct hm_host *host);

/* How many calls in flight hold it. */
uint32_t hm_host_holds(const struct hm_host *host);

/* Whether nobody but calls in flight knows the host any more. */
bool hm_host_abandoned(const struct hm_host *host);

/* S_OK, or HOST_E_CLRNOTAVAILABLE: what every method but a few begins with. */
static inline HRESULT hm_host_check(const struct hm_host *host)
{
	return atomic_load(&host->state) == HM_HOST_RUNNING ? S_OK
							    : HOST_E_CLRNOTAVAILABLE;
}

/* Passes a result on; E_FAIL makes the host unusable from now on, and ends waits.  Outside
 * of hm_calls_enter, without a lock. */
HRESULT hm_host_result(struct hm_host *host, HRESULT hr);

/* Ends the host's service, tells the runtime what it is owed, and returns when the
 * callbacks of other threads have ended. */
HRESULT hm_host_shut_down(struct hm_host *host);

/* Replaces the budget; E_INVALIDARG if it charges in another way. */
HRESULT hm_host_set_budget(struct hm_host *host, const HostMemBudget *budget);

/* Memory of the host has been given back, or only a charge that came to nothing: offers it
 * to those who wait.  Outside of hm_calls_enter, without a lock. */
enum hm_offer {
	HM_OFFER_MEMORY,
	HM_OFFER_CHARGE,
};
void hm_host_offer_now(struct hm_host *host, enum hm_offer what);

static inline void hm_host_offer(struct hm_host *host, enum hm_offer what)
{
	if (atomic_load(&host->waiting.count) != 0)
		hm_host_offer_now(host, what);
}

/* Lets so many ms go by, by the host's clock, or less if the host ends.  The host is held,
 * no lock is. */
void hm_host_let_pass(struct hm_host *host, uint32_t ms);

/* What decides whether calls may be quick (hm_heap_is_unusual) has changed.  Outside of
 * hm_calls_enter, without a lock. */
void hm_host_refresh(const struct hm_host *host);

/* Whoever sleeps, for memory, at the gate or for a while, looks again. */
void hm_host_wake_all(struct hm_host *host);

void hm_host_usage(const struct hm_host *host, HostMemUsage *usage);

/*
 * Gives back what all hosts retain; and that and whatever else is held ready for later,
 * before the system's refusal is passed on.  Whether there was anything.  Between
 * hm_calls_enter and hm_calls_leave, without a lock.
 */
bool hm_hosts_drop_retained(void);
bool hm_host_relieve(struct hm_host *host);

/* In a fork child: other threads' calls in flight will never end, forget them. */
void hm_hosts_after_fork(void);

#endif
