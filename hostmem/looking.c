/*
 * Looks at memory: reading the system's figures, making them known, and when to do it again.
 *
 * The less is left until memory is short, the sooner it comes: a
 * program can fill 6 GiB a second, so half of that much space is at least half of that time,
 * within 100 ms to 1 s.  That is earlyoom's rule.  But 100 ms are enough to fill what a small
 * container has left; so while that shrinks by a sixteenth from look to look, the next one comes
 * as soon as it takes, within 10 ms, and an idle program is still not looked at more than ten
 * times a second.  Where a threshold is watched the timer is there for what that may miss.
 *
 * If a group or a limit makes the timer come so soon, that is read, and the rest by its own
 * measure, since the kernel writes these texts anew for each reading and its code is cold by
 * then.
 *
 * Figures are read from files that stay open.  Every ten seconds these are looked up anew,
 * since a process may be moved to another group, and what could not be had is tried again.
 *
 * What was seen last is in one of two records, and the one that nobody reads is filled before it
 * is made the valid one, as in availability.c: a collector that asks waits for nobody.
 *
 * No locks.
 */
#include "looking.h"
#include "host.h"
#include "os/size.h"
#include "os/thread.h"
#include "watching.h"

#define REOPEN_MS 10000U
#define QUICK_MS 10U
#define SOONEST_MS 100U
#define WATCHED_MS 500U
#define LATEST_MS 1000U
#define LATE_MS (2 * LATEST_MS)
#define BYTES_PER_MS ((size_t)6 * 1024 * 1024 * 1024 / 1000)

/* ---- What was seen ---- */

void hm_look_publish(struct hm_monitor *monitor, const struct hm_memory_load *load)
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

bool hm_monitor_is_late(const struct hm_monitor *monitor)
{
	uint64_t looked_at = atomic_load(&monitor->looked_at);
	/* Afterwards, or it might be before that. */
	uint64_t now = hm_thread_now();

	return now - looked_at > LATE_MS;
}

/* ---- Looking ---- */

/* Bytes until a bound is short. */
static uint64_t room_of(const struct hm_memory_bound *bound,
			const struct hm_pressure_rules *rules)
{
	uint64_t scarce = hm_pressure_scarce(rules, bound->limit);
	uint64_t most = hm_min(bound->limit / 100 * rules->low_load,
			       bound->limit - hm_min(scarce, bound->limit));

	return bound->used < most ? most - bound->used : 0;
}

/* Whether an event comes when it is short.  The kernel counts the page cache as usage: once
 * that has passed the threshold, nothing tells how much of it is something else. */
static bool is_watched(const struct hm_look *look, const struct hm_memory_bound *bound,
		       uint64_t room)
{
	return bound->kind == HM_BOUND_GROUP && bound->version == 1 &&
	       bound->cache < room &&
	       atomic_load(&look->monitor->results[HostMemSourceGroupUsage]) == S_OK;
}

static void add_bound(void *state, const struct hm_memory_bound *bound)
{
	struct hm_look *look = state;
	uint64_t room;

	if (bound->kind == HM_BOUND_GROUP)
		look->limits = hm_watching_mix(look->limits, bound->limit);
	if (bound->limit == UINT64_MAX)
		return;
	hm_memory_load_add(&look->load, bound->limit, bound->used);
	room = room_of(bound, &look->rules);
	if (is_watched(look, bound, room))
		look->watched_room = hm_min(look->watched_room, room);
	else
		look->room = hm_min(look->room, room);
	if (bound->kind == HM_BOUND_MACHINE)
		look->machine_room = room;
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

void hm_look_read(struct hm_host *host, struct hm_look *look, bool called)
{
	struct hm_monitor *monitor = &host->monitor;
	uint64_t now = hm_thread_now();
	bool anew = called || now >= monitor->all_due, whole = true;

	look->monitor = monitor;
	hm_availability_get_rules(host, &look->rules);
	for (unsigned i = 0; i < 2; i++) {
		look->load = hm_memory_load_none();
		look->room = look->watched_room = look->machine_room = UINT64_MAX;
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
	hm_look_publish(monitor,
			hm_memory_load_is_known(&look->load) ? &look->load : NULL);
	atomic_store(&monitor->looked_at, now);
}

uint64_t hm_look_next(struct hm_host *host, const struct hm_look *look)
{
	uint64_t due = hm_availability_due(host);
	uint64_t ms = time_for(look->room, look->shrinking ? QUICK_MS : SOONEST_MS);

	ms = hm_min(ms, time_for(look->watched_room, WATCHED_MS));
	return hm_min(due, ms);
}
