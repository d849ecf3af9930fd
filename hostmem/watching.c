/*
 * What a monitor watches.
 *
 * Each file has a slot of the loop.  A slot is not free at once when its file is closed, so
 * what takes the place of another takes another slot.
 *
 * Groups without a limit are not watched: there is nothing that their usage could come close
 * to.  The thresholds of a group stand where a judgement may change: the load that makes
 * memory short, the bytes that do, and those at which either ends.  Usage counts the page
 * cache and may pass them early; then the look finds nothing, and the timer is near.
 *
 * Which groups and thresholds are watched is remembered as one number, mixed from all of
 * them: if it comes out differently, all are watched anew.  Comparing them one by one would
 * need room for any number of paths.
 *
 * No locks.
 */
#include "watching.h"
#include "calls.h"
#include "host.h"
#include "os/loop.h"
#include "os/size.h"
#include "os/sources.h"
#include "os/thread.h"

/*
 * So often, in so many ms, and a source is left out.  The kernel tells of a group's events up to a
 * hundred times a second, and a file that is broken calls a thousand times a millisecond.
 *
 * Not so that of a group's usage: it is an eventfd, which has nothing to tell once it has been
 * read, and a program whose usage wavers about a threshold makes hundreds of calls a second.
 * Without them the next that comes in time is the timer.
 */
#define MOST_CALLS 50U
#define WINDOW_MS 250U

_Static_assert(HM_MONITOR_FILES == HM_LOOP_FILES, "one slot each");

void hm_watching_set_results(struct hm_monitor *monitor, HRESULT result)
{
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++)
		atomic_store(&monitor->results[i], result);
}

uint64_t hm_watching_mix(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * UINT64_C(0x9E3779B97F4A7C15);
	return sum ^ sum >> 29;
}

static uint64_t mix_text(uint64_t sum, const char *text)
{
	for (; *text != '\0'; text++)
		sum = hm_watching_mix(sum, (unsigned char)*text);
	return sum;
}

/* ---- Slots ---- */

/* No fork in between: the child would close whatever has that number then. */
static void close_watched(struct hm_watched *watched)
{
	hm_calls_enter();
	hm_source_close(watched->file);
	watched->file = -1;
	hm_calls_leave();
}

static void close_figures(struct hm_monitor *monitor)
{
	hm_calls_enter();
	hm_meminfo_close(&monitor->meminfo);
	monitor->open = false;
	hm_calls_leave();
}

static void let_go(struct hm_loop *loop, struct hm_watched *watched, unsigned slot)
{
	if (watched->file < 0)
		return;
	hm_loop_unwatch(loop, slot);
	close_watched(watched);
}

static void let_go_of(struct hm_monitor *monitor, struct hm_loop *loop,
		      HostMemSource source)
{
	for (unsigned i = 0; i < HM_MONITOR_FILES; i++) {
		if (monitor->watched[i].source == source)
			let_go(loop, &monitor->watched[i], i);
	}
}

/* Takes the file over, also on failure. */
static HRESULT watch(struct hm_monitor *monitor, HostMemSource source, int file,
		     enum hm_loop_news news)
{
	struct hm_loop *loop = atomic_load(&monitor->loop);
	unsigned slot = 0;
	HRESULT hr = E_OUTOFMEMORY;

	while (slot < HM_MONITOR_FILES &&
	       (monitor->watched[slot].file >= 0 || !hm_loop_is_free(loop, slot)))
		slot++;
	if (slot < HM_MONITOR_FILES)
		hr = hm_loop_watch(loop, slot, file, news);
	if (FAILED(hr)) {
		hm_source_close(file);
		return hr;
	}
	monitor->watched[slot] = (struct hm_watched){
		.source = source,
		.file = file,
		.since = hm_thread_now(),
		.stalled = source == HostMemSourceAllStalled ? hm_source_stalled(file)
							     : 0,
	};
	return S_OK;
}

static bool is_left_out(const struct hm_monitor *monitor, HostMemSource source)
{
	return atomic_load(&monitor->results[source]) != S_OK;
}

/* ---- Groups ---- */

struct groups {
	struct hm_monitor *monitor;
	const struct hm_pressure_rules *rules;
	uint64_t fingerprint;  /* what there is, and what to watch, in one number */
	unsigned seen[3];      /* how many of each version there are */
	unsigned bounded[3];   /* and of these with a limit */
	bool watches;          /* them, and does not only count */
	int usage;             /* the event file of version 1 */
	HRESULT usage_result;  /* of the first that could not be watched */
	HRESULT events_result; /* likewise */
};

static void add_thresholds(struct groups *groups, const struct hm_memory_bound *group)
{
	const struct hm_pressure_rules *rules = groups->rules;
	const uint64_t limit = group->limit, hundredth = limit / 100;
	const uint64_t at[] = {
		hundredth * rules->low_load,
		hundredth * rules->calm_load,
		hundredth * rules->neutral_load,
		limit - hm_min(limit, hm_pressure_scarce(rules, limit)),
		limit - hm_min(limit, hm_pressure_enough(rules, limit)),
	};

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		HRESULT hr = hm_source_add_usage(groups->usage, group->path, at[i]);

		if (FAILED(hr) && SUCCEEDED(groups->usage_result))
			groups->usage_result = hr;
	}
}

static void watch_events(struct groups *groups, const struct hm_memory_bound *group)
{
	int file;
	HRESULT hr = hm_source_open_events(group->path, &file);

	if (SUCCEEDED(hr))
		hr = watch(groups->monitor, HostMemSourceGroupEvents, file,
			   HM_NEWS_EXCEPTIONAL);
	if (FAILED(hr) && SUCCEEDED(groups->events_result))
		groups->events_result = hr;
}

static void see_group(void *state, const struct hm_memory_bound *group)
{
	struct groups *groups = state;

	if (group->kind != HM_BOUND_GROUP)
		return;
	groups->seen[group->version]++;
	/* Also of those without a limit: their stalls are watched. */
	groups->fingerprint = hm_watching_mix(mix_text(groups->fingerprint, group->path),
					      group->limit);
	if (group->limit == UINT64_MAX)
		return;
	groups->bounded[group->version]++;
	if (!groups->watches)
		return;
	if (group->version == 2)
		watch_events(groups, group);
	else if (groups->usage >= 0)
		add_thresholds(groups, group);
}

static void set_result(const struct groups *groups, HostMemSource source,
		       unsigned version, HRESULT result)
{
	if (groups->seen[version] == 0)
		result = hm_source_try();
	if (groups->bounded[version] == 0 && SUCCEEDED(result))
		result = HOSTMEM_HRESULT_FROM_WIN32(groups->seen[version] != 0
							    ? ERROR_NOT_FOUND
							    : ERROR_NOT_SUPPORTED);
	atomic_store(&groups->monitor->results[source], result);
}

/* Whether there are groups that could not be watched, or not any more. */
static bool are_left_out(const struct groups *groups, HostMemSource source,
			 unsigned version)
{
	return groups->bounded[version] != 0 && is_left_out(groups->monitor, source);
}

/* Looks up where the groups are once more; that they have changed in between is rare, and
 * found next time. */
static void watch_groups(struct hm_monitor *monitor,
			 const struct hm_pressure_rules *rules, bool any_usage)
{
	struct hm_loop *loop = atomic_load(&monitor->loop);
	struct groups groups = {
		.monitor = monitor, .rules = rules, .watches = true, .usage = -1
	};

	let_go_of(monitor, loop, HostMemSourceGroupUsage);
	let_go_of(monitor, loop, HostMemSourceGroupEvents);
	if (any_usage)
		groups.usage_result = hm_source_open_usage(&groups.usage);
	hm_meminfo_visit(see_group, &groups);
	if (groups.usage >= 0 && SUCCEEDED(groups.usage_result))
		groups.usage_result = watch(monitor, HostMemSourceGroupUsage,
					    groups.usage, HM_NEWS_READABLE);
	else
		hm_source_close(groups.usage);
	set_result(&groups, HostMemSourceGroupUsage, 1, groups.usage_result);
	set_result(&groups, HostMemSourceGroupEvents, 2, groups.events_result);
}

uint64_t hm_watching_mix_rules(const struct hm_pressure_rules *rules)
{
	uint64_t sum = hm_watching_mix(rules->low_load, rules->calm_load);

	sum = hm_watching_mix(sum, rules->neutral_load);
	return hm_watching_mix(hm_watching_mix(sum, rules->scarce), rules->enough);
}

/* ---- Stalls ---- */

static void watch_stalls(struct hm_monitor *monitor, HostMemSource source)
{
	int file;
	HRESULT hr;

	if (!is_left_out(monitor, source))
		return;
	hr = hm_source_open_stalls(source == HostMemSourceAllStalled, &file);
	if (SUCCEEDED(hr))
		hr = watch(monitor, source, file, HM_NEWS_EXCEPTIONAL);
	atomic_store(&monitor->results[source], hr);
}

/* The process may be in another group now. */
static void let_go_of_stalls(struct hm_monitor *monitor)
{
	static const HostMemSource stalls[] = { HostMemSourceSomeStalled,
						HostMemSourceAllStalled };

	for (unsigned i = 0; i < sizeof(stalls) / sizeof(stalls[0]); i++) {
		let_go_of(monitor, atomic_load(&monitor->loop), stalls[i]);
		atomic_store(&monitor->results[stalls[i]], S_FALSE);
	}
}

/* ---- All of it ---- */

void hm_watching_open(struct hm_host *host, const struct hm_pressure_rules *rules,
		      uint64_t now)
{
	struct hm_monitor *monitor = &host->monitor;
	struct groups groups = { .monitor = monitor,
				 .rules = rules,
				 .fingerprint = hm_watching_mix_rules(rules) };

	if (monitor->open)
		close_figures(monitor);
	hm_calls_enter();
	hm_meminfo_open(&monitor->meminfo, see_group, &groups);
	monitor->open = true;
	hm_calls_leave();
	monitor->opened_at = now;
	atomic_store(&monitor->results[HostMemSourceBudget], S_OK);
	atomic_store(&monitor->results[HostMemSourceTimer], S_OK);
	if (groups.fingerprint != monitor->fingerprint ||
	    are_left_out(&groups, HostMemSourceGroupUsage, 1) ||
	    are_left_out(&groups, HostMemSourceGroupEvents, 2)) {
		monitor->fingerprint = groups.fingerprint;
		let_go_of_stalls(monitor);
		watch_groups(monitor, rules, groups.bounded[1] != 0);
	}
	watch_stalls(monitor, HostMemSourceSomeStalled);
	watch_stalls(monitor, HostMemSourceAllStalled);
}

/*
 * The first time, and for a process without privileges, Linux compares with the beginning of
 * the machine instead of that of the watch: after the least stall it calls, if there ever were
 * 100 ms.  That is no reason to be short of memory for 4 s.
 */
static bool is_true_stall(struct hm_watched *watched)
{
	bool first = !watched->called;

	watched->called = true;
	return !first ||
	       hm_source_stalled(watched->file) - watched->stalled >= HM_SOURCE_STALL_US;
}

void hm_watching_take(struct hm_host *host, unsigned slot)
{
	struct hm_monitor *monitor = &host->monitor;
	struct hm_watched *watched = &monitor->watched[slot];
	uint64_t now = hm_thread_now();
	bool alive;

	if (watched->file < 0)
		return;
	atomic_fetch_add(&monitor->calls[watched->source], 1);
	alive = hm_source_take(watched->file);
	if (now - watched->since >= WINDOW_MS) {
		watched->since = now;
		watched->calls = 0;
	}
	if (alive && watched->source == HostMemSourceAllStalled && is_true_stall(watched))
		atomic_store(&monitor->stalled, 1);
	if (alive &&
	    (watched->source == HostMemSourceGroupUsage || ++watched->calls < MOST_CALLS))
		return;
	atomic_store(&monitor->results[watched->source], E_ABORT);
	let_go(atomic_load(&monitor->loop), watched, slot);
}

void hm_watching_close(struct hm_host *host, struct hm_loop *loop)
{
	struct hm_monitor *monitor = &host->monitor;

	for (unsigned i = 0; i < HM_MONITOR_FILES; i++)
		let_go(loop, &monitor->watched[i], i);
	if (monitor->open)
		close_figures(monitor);
	hm_watching_set_results(monitor, S_FALSE);
	monitor->forked = false;
	monitor->fingerprint = 0;
}

void hm_watching_silence(struct hm_monitor *monitor)
{
	for (unsigned i = 0; i < HM_MONITOR_FILES; i++) {
		if (monitor->watched[i].file >= 0)
			hm_source_silence(monitor->watched[i].file);
	}
}

void hm_watching_forget(struct hm_monitor *monitor)
{
	for (unsigned i = 0; i < HM_MONITOR_FILES; i++) {
		hm_source_close(monitor->watched[i].file);
		monitor->watched[i].file = -1;
	}
	hm_meminfo_close(&monitor->meminfo);
	monitor->open = false;
	monitor->fingerprint = 0;
}
