/*
 * The monitor: when somebody looks at memory.
 *
 * Whatever wakes it causes the same thing, a look: the system's figures are read and made
 * known to all (hm_monitor_figures), and they are judged together with the host's own
 * account (availability.c).  So no source has to be right, or there at all: it only makes
 * the look come earlier than the timer would.
 *
 * The timer is the floor.  The less is left until memory is short, the sooner it comes: a
 * program can fill 6 GiB a second, so half of that much space is at least half of that time,
 * within 100 ms to 1 s.  That is earlyoom's rule.  But 100 ms are enough to fill what a small
 * container has left; so while that shrinks by a sixteenth from look to look, the next one comes
 * as soon as it takes, within 10 ms, and an idle program is still not looked at more than ten
 * times a second.
 *
 * If a group or a limit makes the timer come so soon, that is read, and the rest by its own
 * measure, since the kernel writes these texts anew for each reading and its code is cold by
 * then.
 *
 * The budget needs no timer: whoever charges beyond what may be charged without a change
 * (hm_budget_alarms) wakes the monitor when its request is over.
 *
 * Figures are read from files that stay open.  Every ten seconds these are looked up anew,
 * since a process may be moved to another group, and what could not be had is tried again.
 *
 * A file that has failed calls for ever, and so does one of a group that was removed; libuv
 * tells of neither.  So a file that calls too often is left out, whatever the reason; but for
 * the eventfd of usages, which cannot do that.
 *
 * While the host's time is virtual the system's figures are read, for GetMemoryLoad, but not
 * judged: what a simulation does is not to depend on the machine.
 *
 * Locks: none of its own.  A look does not hold the host: whoever holds it is waited for by
 * who closes the gate, and a look changes nothing.  The host's end waits for the loop's thread
 * instead.  Only to tell something takes a hold.
 */
#include "monitor.h"
#include "host.h"
#include "os/loop.h"
#include "os/size.h"
#include "os/sources.h"
#include "os/thread.h"
#include "watching.h"

#define REOPEN_MS 10000U
#define QUICK_MS 10U
#define SOONEST_MS 100U
#define LATEST_MS 1000U
#define APART_MS 2U
#define BYTES_PER_MS ((size_t)6 * 1024 * 1024 * 1024 / 1000)

void hm_monitor_init(struct hm_monitor *monitor, enum hm_monitor_place place,
		     struct uv_loop_s *program)
{
	monitor->place = place;
	monitor->program = program;
	monitor->meminfo.machine = monitor->meminfo.process = -1;
	for (unsigned i = 0; i < HM_MONITOR_FILES; i++)
		monitor->watched[i].file = -1;
	hm_watching_set_results(monitor, S_FALSE);
}

/* ---- What it has seen ---- */

/* NULL: nothing. */
static void publish(struct hm_monitor *monitor, const struct hm_memory_load *load)
{
	uint32_t next = 1 + atomic_load_explicit(&monitor->version, memory_order_relaxed);
	struct hm_seen *record = &monitor->seen[next % 2];

	/* Whoever sees one of these sees the version that was stored before it, too. */
	atomic_store_explicit(&record->marked_load, load == NULL ? 0 : 1 + load->per_cent,
			      memory_order_release);
	if (load != NULL) {
		atomic_store_explicit(&record->available, load->available,
				      memory_order_release);
		atomic_store_explicit(&record->total, load->total, memory_order_release);
	}
	atomic_store_explicit(&monitor->version, next, memory_order_release);
}

bool hm_monitor_figures(const struct hm_monitor *monitor, struct hm_memory_load *load)
{
	uint32_t version, marked_load;

	do {
		const struct hm_seen *record;

		version = atomic_load_explicit(&monitor->version, memory_order_acquire);
		record = &monitor->seen[version % 2];
		marked_load = atomic_load_explicit(&record->marked_load,
						   memory_order_acquire);
		load->available = atomic_load_explicit(&record->available,
						       memory_order_acquire);
		load->total = atomic_load_explicit(&record->total, memory_order_acquire);
	} while (atomic_load_explicit(&monitor->version, memory_order_relaxed) !=
		 version);
	if (marked_load == 0)
		return false;
	load->per_cent = marked_load - 1;
	return true;
}

void hm_monitor_source(const struct hm_host *host, HostMemSource source,
		       HostMemSourceState *state)
{
	state->result = atomic_load(&host->monitor.results[source]);
	state->cCalls = atomic_load(&host->monitor.calls[source]);
}

/* ---- Looking ---- */

struct look {
	struct hm_pressure_rules rules;
	struct hm_memory_load load;
	uint64_t room;         /* bytes until memory is short */
	uint64_t machine_room; /* the same of the machine alone */
	uint64_t limits;       /* of the groups, and the thresholds, in one number */
	bool shrinking;        /* there was much more room at the last look */
};

static void add_bound(void *state, const struct hm_memory_bound *bound)
{
	struct look *look = state;
	uint64_t low, left, scarce;

	if (bound->kind == HM_BOUND_GROUP)
		look->limits = hm_watching_mix(look->limits, bound->limit);
	if (bound->limit == UINT64_MAX)
		return;
	hm_memory_load_add(&look->load, bound->limit, bound->used);
	low = bound->limit / 100 * look->rules.low_load;
	left = bound->used < low ? low - bound->used : 0;
	scarce = hm_pressure_scarce(&look->rules, bound->limit);
	if (bound->limit - low < scarce)
		left = bound->used + scarce < bound->limit
			       ? bound->limit - scarce - bound->used
			       : 0;
	if (left < look->room)
		look->room = left;
	if (bound->kind == HM_BOUND_MACHINE)
		look->machine_room = left;
}

/* Figures that are gone may be elsewhere. */
static bool is_to_be_opened(const struct hm_monitor *monitor, bool whole, uint64_t now)
{
	if (!monitor->open)
		return true;
	return now - monitor->opened_at >= (whole ? REOPEN_MS : LATEST_MS);
}

/* ms in which so many bytes are not filled, as far as that is worth a look. */
static uint64_t time_for(uint64_t room, uint64_t soonest)
{
	return hm_max(hm_min(room / BYTES_PER_MS, LATEST_MS), soonest);
}

static void read_figures(struct hm_host *host, struct look *look, bool called)
{
	struct hm_monitor *monitor = &host->monitor;
	uint64_t now = hm_thread_now();
	bool anew = called || now >= monitor->all_due, whole = true;

	hm_availability_get_rules(host, &look->rules);
	for (unsigned i = 0; i < 2; i++) {
		look->load = hm_memory_load_none();
		look->room = look->machine_room = UINT64_MAX;
		look->limits = hm_watching_mix_rules(&look->rules);
		if (monitor->open)
			whole = hm_meminfo_look(&monitor->meminfo, anew, add_bound, look);
		if (i != 0 || (!is_to_be_opened(monitor, whole, now) &&
			       look->limits == monitor->limits))
			break;
		hm_watching_open(host, &look->rules, now);
	}
	monitor->limits = look->limits;
	/* The timer that is to find it may be early by its clock. */
	if (anew)
		monitor->all_due = now + time_for(look->machine_room, SOONEST_MS) -
				   SOONEST_MS / 2;
	look->shrinking = monitor->room > look->room &&
			  monitor->room - look->room >= look->room / 16;
	monitor->room = look->room;
	monitor->looked_at = now;
	publish(monitor, hm_memory_load_is_known(&look->load) ? &look->load : NULL);
}

/* ms until the next look. */
static uint64_t next_look(struct hm_host *host, const struct look *look)
{
	uint64_t due = hm_availability_due(host);
	uint64_t ms = time_for(look->room, look->shrinking ? QUICK_MS : SOONEST_MS);

	return due < ms ? due : ms;
}

/* ---- Turns ---- */

/* The host is held from here on, since whoever is told may give it up. */
static void tell(struct hm_host *host, struct hm_loop *loop, bool called)
{
	struct hm_delivery delivery;
	struct look look;

	if (!hm_notify_try_enter(&delivery, host))
		return;
	hm_notify_flush(host);
	/* Who was told may have taken his time; or have forked, and this is the child, whose
	 * monitor is off; or shut the host down. */
	if (hm_monitor_runs(&host->monitor)) {
		read_figures(host, &look, called);
		if (hm_availability_watch(host))
			hm_notify_flush(host);
		hm_loop_set_timer(loop, next_look(host, &look));
	}
	hm_notify_leave(&delivery);
}

/* `called`: something has told of it, and not only the timer.  `most`: ms until the next. */
static void take_turn(struct hm_host *host, bool called, uint64_t most)
{
	struct hm_loop *loop = atomic_load(&host->monitor.loop);
	struct look look;
	bool due;

	if (host->monitor.forked)
		hm_watching_close(host, loop);
	if (atomic_load(&host->monitor.wanted) == 0)
		return;
	/* First without the system: the budget may have called, and its figures are here. */
	due = called && hm_availability_watch(host);
	if (!due) {
		read_figures(host, &look, called);
		due = hm_availability_watch(host);
		hm_loop_set_timer(loop, hm_min(next_look(host, &look), most));
	}
	if (due)
		tell(host, loop, called);
}

static void on_turn(void *state, bool woken)
{
	struct hm_host *host = state;

	if (!woken)
		atomic_fetch_add(&host->monitor.calls[HostMemSourceTimer], 1);
	take_turn(host, woken, UINT64_MAX);
}

/*
 * What tells of a group's usage may do so hundreds of times a second, if that wavers about a
 * threshold; so such looks keep their distance.
 *
 * And they are made twice: the kernel charges some pages in advance, and may have taken that
 * back by then.  Usage passes the threshold once more in that case, of which it does not tell.
 */
static void on_usage(struct hm_host *host)
{
	struct hm_monitor *monitor = &host->monitor;

	if (hm_thread_now() - monitor->looked_at < APART_MS)
		hm_loop_set_timer(atomic_load(&monitor->loop), APART_MS);
	else
		take_turn(host, true, QUICK_MS);
}

static void on_ready(void *state, unsigned slot)
{
	struct hm_host *host = state;
	struct hm_monitor *monitor = &host->monitor;
	bool usage = monitor->watched[slot].source == HostMemSourceGroupUsage;

	if (!monitor->forked)
		hm_watching_take(host, slot);
	if (usage && !monitor->forked)
		on_usage(host);
	else
		take_turn(host, true, UINT64_MAX);
}

/* ---- Beginning and end ---- */

static HRESULT start_loop(struct hm_host *host, struct uv_loop_s *program)
{
	struct hm_monitor *monitor = &host->monitor;
	const struct hm_loop_client client = { on_turn, on_ready, host };
	struct hm_loop *loop;
	HRESULT hr = hm_loop_start(&client, program, &loop);

	if (FAILED(hr)) {
		hm_watching_set_results(monitor, hr);
		return hr;
	}
	atomic_store(&monitor->loop, loop);
	return S_OK;
}

HRESULT hm_monitor_attach(struct hm_host *host)
{
	struct hm_monitor *monitor = &host->monitor;

	return monitor->place == HM_MONITOR_PROGRAM ? start_loop(host, monitor->program)
						    : S_OK;
}

void hm_monitor_start(struct hm_host *host)
{
	struct hm_monitor *monitor = &host->monitor;

	if (monitor->place == HM_MONITOR_OFF || atomic_exchange(&monitor->starting, 1))
		return;
	if (atomic_load(&monitor->loop) != NULL || SUCCEEDED(start_loop(host, NULL))) {
		atomic_store(&monitor->wanted, 1);
		hm_monitor_wake(host);
	}
	atomic_store(&monitor->starting, 0);
	/* Shutdown may not have seen it, or not that it is wanted. */
	if (FAILED(hm_host_check(host))) {
		hm_monitor_stop(host);
		atomic_store(&monitor->wanted, 0);
	}
}

void hm_monitor_wake(struct hm_host *host)
{
	struct hm_loop *loop = atomic_load(&host->monitor.loop);

	if (loop != NULL)
		hm_loop_wake(loop);
}

void hm_monitor_ring(struct hm_host *host)
{
	if (!hm_budget_takes_alarm(&host->budget))
		return;
	atomic_fetch_add(&host->monitor.calls[HostMemSourceBudget], 1);
	hm_monitor_wake(host);
}

void hm_monitor_budget_replaced(struct hm_host *host)
{
	if (hm_monitor_runs(&host->monitor))
		atomic_fetch_add(&host->monitor.calls[HostMemSourceBudget], 1);
	hm_monitor_wake(host);
}

void hm_monitor_stop(struct hm_host *host)
{
	struct hm_monitor *monitor = &host->monitor;
	struct hm_loop *loop = atomic_load(&monitor->loop);
	bool own;

	if (loop == NULL || atomic_exchange(&monitor->stopping, 1) != 0)
		return;
	own = hm_loop_is_own_thread(loop);
	if (!own)
		hm_loop_stop(loop);
	hm_watching_close(host, loop);
	if (own)
		hm_loop_stop(loop);
	atomic_store(&monitor->wanted, 0);
	publish(monitor, NULL);
}

void hm_monitor_end(struct hm_host *host)
{
	struct hm_loop *loop;

	hm_monitor_stop(host);
	loop = atomic_load(&host->monitor.loop);
	/* One that has stopped itself is on its way out. */
	if (loop != NULL && !hm_loop_is_own_thread(loop))
		hm_loop_await_end(loop);
}

void hm_monitor_destroy(struct hm_host *host)
{
	struct hm_loop *loop;

	hm_monitor_stop(host);
	loop = atomic_exchange(&host->monitor.loop, NULL);
	if (loop != NULL)
		hm_loop_free(loop);
}

void hm_monitor_after_fork(struct hm_host *host)
{
	struct hm_monitor *monitor = &host->monitor;
	struct hm_loop *loop = atomic_load(&monitor->loop);

	atomic_store(&monitor->starting, 0);
	atomic_store(&monitor->wanted, 0);
	atomic_store(&host->budget.alarm, SIZE_MAX);
	hm_watching_set_results(monitor, S_FALSE);
	publish(monitor, NULL);
	if (loop == NULL)
		return;
	hm_loop_after_fork(loop, &loop);
	atomic_store(&monitor->loop, loop);
	monitor->forked = loop != NULL;
	if (loop == NULL) {
		atomic_store(&monitor->stopping, 0);
		hm_watching_forget(monitor);
	}
}
