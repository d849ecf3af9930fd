/*
 * A host's life: references, states, figures.
 *
 * A host ends when its last reference and its last call in flight are gone.  `holds`
 * counts the calls, and all references together count as one more: so the one atomic
 * subtraction that reaches zero is the end, whoever makes it.
 *
 * A call in flight that can call nobody, because there are no subscribers, is not
 * counted: the reference through which its caller came is still there.  It is from when it
 * waits or calls the reclaimer (request.c), and so is whoever may call the notification
 * callback (notify.c).
 *
 * Locks: HM_RANK_HOSTS around the list of hosts.
 */
#include "host.h"
#include "arenas.h"
#include "calls.h"
#include "gate.h"
#include "heap.h"
#include "os/check.h"
#include "release.h"
#include "request.h"
#include "shelf.h"
#include "tidy.h"

#include <stddef.h>

/* In `holds`: somebody sleeps until they go down. */
#define HOLDS_AWAITED 0x80000000U

/* ms */
#define GATE_PATIENCE 5000U

static const HostMemBudget no_limits = HOSTMEM_BUDGET_INIT;

static struct {
	struct hm_lock lock;
	struct hm_host *first;
} hosts;

void hm_host_init(struct hm_host *host, const struct hm_page_source *pages,
		  void (*destroy)(struct hm_host *host))
{
	host->pages = pages;
	host->destroy = destroy;
	atomic_store(&host->references, 1);
	atomic_store(&host->holds, 1);
	hm_availability_init(&host->availability);
	hm_budget_init(&host->budget, &no_limits);
	host->gate.patience = GATE_PATIENCE;

	hm_calls_enter();
	hm_lock_acquire(&hosts.lock, HM_RANK_HOSTS);
	host->next = hosts.first;
	if (host->next != NULL)
		host->next->previous = host;
	hosts.first = host;
	hm_lock_release(&hosts.lock, HM_RANK_HOSTS);
	hm_calls_leave();
}

static void forget(struct hm_host *host)
{
	hm_calls_enter();
	hm_lock_acquire(&hosts.lock, HM_RANK_HOSTS);
	if (host->next != NULL)
		host->next->previous = host->previous;
	if (host->previous != NULL)
		host->previous->next = host->next;
	else
		hosts.first = host->next;
	hm_lock_release(&hosts.lock, HM_RANK_HOSTS);
	hm_calls_leave();
}

uint32_t hm_host_add_reference(struct hm_host *host)
{
	uint32_t references = atomic_load_explicit(&host->references,
						   memory_order_relaxed);

	do {
		/* At the top it stays for good; at zero there is nothing left to refer to. */
		if (references == UINT32_MAX || references == 0)
			return references;
	} while (!atomic_compare_exchange_weak_explicit(&host->references, &references,
							references + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	return references + 1;
}

void hm_host_refresh(const struct hm_host *host)
{
	/* A heap that is being made is counted before it looks at the host. */
	if (atomic_load(&host->heap_count) == 0)
		return;
	hm_calls_enter();
	hm_caches_refresh(host);
	hm_calls_leave();
}

/* Nobody waits for a host that has ended. */
static void wake_waiters(struct hm_host *host)
{
	hm_calls_enter();
	hm_caches_refresh(host);
	hm_waiting_end(&host->waiting);
	hm_calls_leave();
	hm_gate_wake_all(host);
}

uint32_t hm_host_release(struct hm_host *host)
{
	uint32_t references = atomic_load_explicit(&host->references,
						   memory_order_relaxed);

	do {
		hm_assert(references != 0 && "one Release too many");
		if (references == UINT32_MAX || references == 0)
			return references;
	} while (!atomic_compare_exchange_weak_explicit(&host->references, &references,
							references - 1,
							memory_order_acq_rel,
							memory_order_relaxed));
	if (references == 1) {
		wake_waiters(host);
		/* A turn of it holds the host, and would end it on a thread that nobody knows,
		 * after this call. */
		hm_monitor_end(host);
		hm_host_drop(host);
	}
	return references - 1;
}

bool hm_host_abandoned(const struct hm_host *host)
{
	return atomic_load_explicit(&host->references, memory_order_relaxed) == 0;
}

uint32_t hm_host_holds(const struct hm_host *host)
{
	uint32_t holds = atomic_load(&host->holds) & ~HOLDS_AWAITED;

	return hm_host_abandoned(host) ? holds : holds - 1;
}

void hm_host_hold(struct hm_host *host)
{
	atomic_fetch_add(&host->holds, 1);
}

bool hm_host_try_hold(struct hm_host *host)
{
	uint32_t holds = atomic_load(&host->holds);

	do {
		if ((holds & ~HOLDS_AWAITED) == 0)
			return false;
	} while (!atomic_compare_exchange_weak(&host->holds, &holds, holds + 1));
	return true;
}

/* Nobody knows the host any more: gives everything back, telling whoever subscribed. */
static void end(struct hm_host *host)
{
	struct hm_request request;

	atomic_store(&host->state, HM_HOST_SHUT_DOWN);
	/* While nobody can hold the host. */
	hm_monitor_destroy(host);
	/* Before what follows, so that a fork in one of the callbacks that follow leaves `holds` alone. */
	forget(host);
	/* One for what is left of the references, so that a callback which unsubscribes does
	 * not end the host again; and one for us, who walk the subscribers. */
	atomic_store(&host->holds, 2);
	/* Before the memory goes: the runtime's callback may be in it. */
	hm_notify_destroy(host);
	hm_request_open_last(&request, host);
	hm_release_everything(host, &request);
	hm_request_close(&request);
	hm_events_destroy(&host->events);
	hm_faults_destroy(&host->faults);
	hm_reclaimers_destroy(&host->reclaimers);
	hm_calls_enter();
	hm_external_destroy(&host->external);
	hm_retained_trim(&host->retained, host->pages);
	hm_retained_destroy(&host->retained);
	hm_calls_leave();
	host->destroy(host);
}

void hm_host_drop(struct hm_host *host)
{
	uint32_t before;

	hm_events_free_retired(&host->events, &host->holds, &host->references);
	before = atomic_fetch_sub(&host->holds, 1);
	/* From here on the host may be gone; its address is enough for a wake-up. */
	if (before & HOLDS_AWAITED)
		hm_word_wake_all(&host->holds);
	if ((before & ~HOLDS_AWAITED) == 1)
		end(host);
}

HRESULT hm_host_result(struct hm_host *host, HRESULT hr)
{
	uint32_t running = HM_HOST_RUNNING;

	/* Nothing is given back to it any more, so nobody waits for that. */
	if (hr == E_FAIL &&
	    atomic_compare_exchange_strong(&host->state, &running, HM_HOST_FAILED))
		wake_waiters(host);
	return hr;
}

#define MOVE (UINT64_C(1) << 32)

void hm_host_begin_leaving(struct hm_host *host)
{
	atomic_fetch_add(&host->leaving, MOVE + 1);
}

void hm_host_end_leaving(struct hm_host *host)
{
	atomic_fetch_add(&host->leaving, MOVE - 1);
}

/* Whether there are other threads' calls that may still call out; *holds was looked at. */
static bool others_may_call(const struct hm_host *host, uint32_t own, uint32_t *holds)
{
	uint64_t leaving = atomic_load(&host->leaving);

	*holds = atomic_load(&host->holds);
	return atomic_load(&host->leaving) != leaving ||
	       (*holds & ~HOLDS_AWAITED) > own + (uint32_t)leaving;
}

HRESULT hm_host_shut_down(struct hm_host *host)
{
	uint32_t running = HM_HOST_RUNNING;
	uint32_t own = 1 + hm_request_holds(host) + hm_notify_holds(host);
	uint32_t holds;

	if (!atomic_compare_exchange_strong(&host->state, &running, HM_HOST_SHUT_DOWN))
		return HOST_E_CLRNOTAVAILABLE;
	wake_waiters(host);
	atomic_fetch_or(&host->holds, HOLDS_AWAITED);
	/* Who begins to leave does not wake us. */
	while (others_may_call(host, own, &holds))
		hm_word_wait_for(&host->holds, holds, 1);
	hm_monitor_stop(host);
	hm_notify_end(host);
	return S_OK;
}

HRESULT hm_host_set_budget(struct hm_host *host, const HostMemBudget *budget)
{
	HRESULT hr = hm_budget_set(&host->budget, budget);

	if (FAILED(hr))
		return hr;
	hm_calls_enter();
	/* What a closed gate's owner makes room for is offered when he leaves. */
	hm_waiting_judge(&host->waiting, &host->budget, hm_gate_is_open(host));
	hm_calls_leave();
	hm_monitor_budget_replaced(host);
	return S_OK;
}

void hm_host_offer_now(struct hm_host *host, enum hm_offer what)
{
	/* Its owner may need it; when he leaves, it is offered. */
	if (!hm_gate_is_open(host))
		return;
	hm_calls_enter();
	hm_waiting_offer(&host->waiting, &host->budget, what == HM_OFFER_MEMORY);
	hm_calls_leave();
}

void hm_host_let_pass(struct hm_host *host, uint32_t ms)
{
	uint64_t now = hm_clock_now(&host->clock);
	uint64_t end = ms > UINT64_MAX - now ? UINT64_MAX : now + ms;

	for (; now < end; now = hm_clock_now(&host->clock)) {
		/* Moves when the host ends, and when the clock becomes another one. */
		uint32_t turn = atomic_load(&host->gate.turn);

		if (FAILED(hm_host_check(host)) || hm_host_abandoned(host))
			return;
		if (hm_clock_is_virtual(&host->clock))
			hm_clock_move(&host->clock, end - now);
		else
			hm_word_wait_for(&host->gate.turn, turn, end - now);
	}
}

void hm_host_wake_all(struct hm_host *host)
{
	hm_calls_enter();
	hm_waiting_wake_all(&host->waiting);
	hm_calls_leave();
	hm_gate_wake_all(host);
}

static size_t load_size(const _Atomic size_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

static uint64_t load_count(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

void hm_host_usage(const struct hm_host *host, HostMemUsage *usage)
{
	*usage = (HostMemUsage){
		.cbSize = sizeof(*usage),
		.cbExternal = load_size(&host->external.bytes),
		.cbCharged = load_size(&host->budget.charged),
		.cbPeakCharged = load_size(&host->budget.peak),
		.cbRetained = load_size(&host->retained.bytes),
		.cRefusedBudget = load_count(&host->refused_budget),
		.cRefusedCallback = load_count(&host->refused_callback),
		.cRefusedInjected = load_count(&host->refused_injected),
		.cFailedOs = load_count(&host->failed_os),
		.cTimedCallbacks = load_count(&host->events.timed_calls),
		.nsTimedCallbacks = load_count(&host->events.timed_ns),
		.nsSlowestCallback = load_count(&host->events.slowest_ns),
		.cNotifications = load_count(&host->notify.calls),
	};
	usage->cbHeapPages = load_size(&host->heap_pages);
	usage->cbLeaked = load_size(&host->leaked_bytes);
	usage->cLeakedBlocks = load_count(&host->leaked_blocks);
	hm_heaps_usage(host, &usage->cbHeap, &usage->cBlocks);
	hm_figures_read(&host->figures, &usage->cbReserved, &usage->cbCommitted,
			&usage->cRegions);
}

/* Takes a retained run from some host of the process; where it came from, or NULL. */
static const struct hm_page_source *take_retained(uintptr_t *base, size_t *size)
{
	const struct hm_page_source *pages = NULL;

	hm_lock_acquire(&hosts.lock, HM_RANK_HOSTS);
	for (struct hm_host *host = hosts.first; host != NULL; host = host->next) {
		if (!hm_retained_pop(&host->retained, base, size))
			continue;
		pages = host->pages;
		break;
	}
	hm_lock_release(&hosts.lock, HM_RANK_HOSTS);
	return pages;
}

bool hm_hosts_drop_retained(void)
{
	const struct hm_page_source *pages;
	uintptr_t base;
	size_t size;
	bool any = false;

	for (; (pages = take_retained(&base, &size)) != NULL; any = true)
		pages->give_up(pages, (void *)base, size);
	return any;
}

bool hm_host_relieve(struct hm_host *host)
{
	bool any = hm_hosts_drop_retained();

	any |= hm_tidy(host->pages);
	any |= hm_shelves_clear(&hm_arenas_with_guards);
	any |= hm_shelves_clear(&hm_arenas_without_guards);
	any |= hm_arenas_trim();
	return any;
}

void hm_hosts_after_fork(void)
{
	for (struct hm_host *host = hosts.first; host != NULL; host = host->next) {
		uint32_t base = hm_host_abandoned(host) ? 0 : 1;

		atomic_store(&host->holds,
			     base + hm_request_holds(host) + hm_notify_holds(host));
		atomic_store(&host->leaving, 0);
		hm_requests_after_fork(host);
		hm_waiting_after_fork(&host->waiting);
		hm_gate_after_fork(host);
		hm_heaps_after_fork(host);
		hm_notify_after_fork(host);
		hm_monitor_after_fork(host);
	}
	hm_caches_refresh_alone();
}
