/*
 * The monitor: when somebody looks at memory.
 *
 * Whatever wakes it causes the same thing, a look: the system's figures are read and made
 * known to all, and they are judged together with the host's own
 * account (availability.c).  So no source has to be right, or there at all: it only makes
 * the look come earlier than the timer would.
 *
 * The timer is the floor (looking.c).
 *
 * The budget needs no timer: whoever charges beyond what may be charged without a look
 * (hm_budget_alarms) wakes the monitor when its request is over.
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
#include "looking.h"
#include "os/loop.h"
#include "os/size.h"
#include "os/thread.h"
#include "watching.h"

/* ms: of two looks at a group's usage, and from one until the second. */
#define APART_MS 2U
#define AGAIN_MS 10U

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

void hm_monitor_source(const struct hm_host *host, HostMemSource source,
		       HostMemSourceState *state)
{
	state->result = atomic_load(&host->monitor.results[source]);
	state->cCalls = atomic_load(&host->monitor.calls[source]);
}

/* ---- Turns ---- */

/* The host is held from here on, since whoever is told may give it up. */
static void tell(struct hm_host *host, struct hm_loop *loop, bool called)
{
	struct hm_delivery delivery;
	struct hm_look look;

	if (!hm_notify_try_enter(&delivery, host))
		return;
	hm_notify_flush(host);
	/* Who was told may have taken his time; or have forked, and this is the child, whose
	 * monitor is off or another one; or shut the host down. */
	if (hm_monitor_runs(&host->monitor) && atomic_load(&host->monitor.loop) == loop) {
		hm_look_read(host, &look, called);
		if (hm_availability_watch(host))
			hm_notify_flush(host);
		hm_loop_set_timer(loop, hm_look_next(host, &look));
	}
	hm_notify_leave(&delivery);
}

/* `called`: something has told of it, and not only the timer.  `most`: ms until the next. */
static void take_turn(struct hm_host *host, bool called, uint64_t most)
{
	struct hm_loop *loop = atomic_load(&host->monitor.loop);
	struct hm_look look;
	bool due;

	if (host->monitor.forked)
		hm_watching_close(host, loop);
	if (!hm_monitor_runs(&host->monitor))
		return;
	/* First without the system: the budget may have called, and its figures are here. */
	due = called && hm_availability_watch(host);
	if (!due) {
		hm_look_read(host, &look, called);
		due = hm_availability_watch(host);
		hm_loop_set_timer(loop, hm_min(hm_look_next(host, &look), most));
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

	if (hm_thread_now() - atomic_load(&monitor->looked_at) < APART_MS)
		hm_loop_set_timer(atomic_load(&monitor->loop), APART_MS);
	else
		take_turn(host, true, AGAIN_MS);
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
	/* Shutdown may not have seen it.  A part of the program's loop it has, and that is to be
	 * stopped on its own thread. */
	if (monitor->place == HM_MONITOR_THREAD && FAILED(hm_host_check(host)))
		hm_monitor_stop(host);
}

void hm_monitor_wake(struct hm_host *host)
{
	struct hm_loop *loop = atomic_load(&host->monitor.loop);

	if (loop != NULL)
		hm_loop_wake(loop);
}

bool hm_monitor_takes_alarm(struct hm_host *host)
{
	if (!hm_budget_takes_alarm(&host->budget))
		return false;
	atomic_fetch_add(&host->monitor.calls[HostMemSourceBudget], 1);
	return true;
}

void hm_monitor_ring(struct hm_host *host)
{
	if (hm_monitor_takes_alarm(host))
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
	hm_look_publish(monitor, NULL);
}

void hm_monitor_end(struct hm_host *host)
{
	struct hm_loop *loop;

	/* Two that are told by their monitors may give each other up, and would wait for each
	 * other.  Each is ended by its own monitor's thread then. */
	if (hm_loop_is_on_thread())
		return;
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
	hm_look_publish(monitor, NULL);
	if (loop == NULL)
		return;
	hm_loop_after_fork(loop, &loop);
	atomic_store(&monitor->loop, loop);
	monitor->forked = loop != NULL;
	if (loop != NULL) {
		hm_watching_silence(monitor);
	} else {
		atomic_store(&monitor->stopping, 0);
		hm_watching_forget(monitor);
	}
}
