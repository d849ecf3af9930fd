/*
 * The state of the memory, and who says so.
 *
 * There are three answers, one before the other: what somebody has said (NotifyMemory,
 * SetAvailability), what the simulated figures make of it, what the real ones do.  What was
 * said holds until the figures bring an edge, so that a simulation which forgets to clear
 * does not silence the monitor for good; hence it is kept in one place only, in what the
 * runtime is to know, and an edge overwrites it there.
 *
 * Simulated figures go through the same classifier as real ones, dwell times included: what
 * is tested is what will happen.  Only the system's part is replaced; the host's own
 * account is exact and stays in the picture.
 *
 * When the simulated figures are cleared, the judgement starts afresh, since dwell times
 * are there against noise, and this is none.
 *
 * The real figures are those that the monitor has read last, and it looks again when a dwell
 * time is over; without a monitor nothing is known of the system, and what is due by time alone
 * is found when somebody looks.  In virtual time Advance stops there, and the machine is left
 * out: a simulation that depends on it would not come out the same twice.
 *
 * With each judgement goes an alarm: the most that may be charged before somebody has to look
 * again.  That is what the host's own account has to say; and a part of what the system has
 * left, for mostly it is the host's own requests that fill it: a program can take all that a
 * container has in less time than lies between two looks, and not every system tells when a
 * group becomes full.
 *
 * A collector asks for the figures while it holds the other threads still, perhaps one of
 * them in the middle of setting some.  So there are two records, and the one that nobody
 * reads is filled before it is made the valid one: a reader tries again only if somebody
 * has finished meanwhile.  A version that is odd while one writes would make it wait.
 *
 * Locks: HM_RANK_NOTIFY, that of hm_notify, so that values are told in the order in which
 * they were found.
 */
#include "availability.h"
#include "calls.h"
#include "host.h"
#include "os/size.h"

/* ms between two looks while memory is short and may cease to be. */
#define SHORT_MS 100U
/* Of what is left, the part that is charged between two looks; and bytes, at least. */
#define TAKEN_PART 16U
#define LEAST_TAKEN ((size_t)1 << 20)

static void lock(struct hm_host *host)
{
	hm_calls_enter();
	hm_lock_acquire(&host->notify.lock, HM_RANK_NOTIFY);
}

static void unlock(struct hm_host *host)
{
	hm_lock_release(&host->notify.lock, HM_RANK_NOTIFY);
	hm_calls_leave();
}

void hm_availability_init(struct hm_availability *availability)
{
	availability->pressure = hm_pressure_start();
	availability->rules = hm_pressure_defaults;
}

/* ---- Figures ---- */

static void publish_locked(struct hm_availability *availability, uint32_t marked_load,
			   size_t available)
{
	uint32_t next = 1 + atomic_load_explicit(&availability->version,
						 memory_order_relaxed);
	struct hm_simulated *record = &availability->simulated[next % 2];

	/* Whoever sees one of these sees the version that was stored before it, too. */
	atomic_store_explicit(&record->marked_load, marked_load, memory_order_release);
	atomic_store_explicit(&record->available, available, memory_order_release);
	atomic_store_explicit(&availability->version, next, memory_order_release);
}

bool hm_availability_figures(const struct hm_availability *availability, uint32_t *load,
			     size_t *available)
{
	const struct hm_simulated *record;
	uint32_t version, marked_load;
	size_t found;

	do {
		version = atomic_load_explicit(&availability->version,
					       memory_order_acquire);
		record = &availability->simulated[version % 2];
		marked_load = atomic_load_explicit(&record->marked_load,
						   memory_order_acquire);
		found = atomic_load_explicit(&record->available, memory_order_acquire);
	} while (atomic_load_explicit(&availability->version, memory_order_relaxed) !=
		 version);
	if (marked_load == 0)
		return false;
	*load = marked_load - 1;
	*available = found;
	return true;
}

/* What is known of the system: what was set, else what somebody has just read or the monitor
 * has read last.  In virtual time nothing is taken from the machine. */
static struct hm_pressure_figures figures_of(const struct hm_host *host,
					     const struct hm_memory_load *fresh)
{
	struct hm_pressure_figures figures = {
		.charged = atomic_load(&host->budget.charged),
		.limit = atomic_load_explicit(&host->budget.limit, memory_order_relaxed),
		.soft_limit = atomic_load_explicit(&host->budget.soft_limit,
						   memory_order_relaxed),
	};
	struct hm_memory_load seen;

	figures.known = hm_availability_figures(&host->availability, &figures.load,
						&figures.available);
	if (figures.known || hm_clock_is_virtual(&host->clock))
		return figures;
	if (fresh != NULL)
		seen = *fresh;
	figures.known = (fresh != NULL || hm_monitor_figures(&host->monitor, &seen)) &&
			hm_memory_load_is_known(&seen);
	if (figures.known) {
		figures.load = seen.per_cent;
		figures.available = seen.available;
		figures.total = seen.total;
	}
	return figures;
}

/* ---- Judging ---- */

/* What the machine suffers counts where its figures do, and is taken in any case: later it
 * would be old. */
static bool takes_stall(struct hm_host *host)
{
	bool stalled = atomic_exchange(&host->monitor.stalled, 0) != 0;
	uint32_t load;
	size_t available;

	return stalled && !hm_clock_is_virtual(&host->clock) &&
	       !hm_availability_figures(&host->availability, &load, &available);
}

static size_t most_taken(const struct hm_pressure_figures *figures)
{
	size_t taken = hm_max(figures->available / TAKEN_PART, LEAST_TAKEN);

	if (!figures->known || figures->charged > SIZE_MAX - taken)
		return SIZE_MAX;
	return figures->charged + taken;
}

/* What may be charged before somebody has to look again. */
static void set_alarm_locked(struct hm_host *host,
			     const struct hm_pressure_figures *figures)
{
	const struct hm_availability *availability = &host->availability;
	size_t alarm = SIZE_MAX;

	/* What is low already cannot become lower. */
	if (availability->pressure.level != eMemoryAvailableLow &&
	    hm_monitor_runs(&host->monitor) && !hm_clock_is_virtual(&host->clock))
		alarm = hm_min(most_taken(figures),
			       hm_pressure_most_charged(&availability->rules,
							availability->pressure.level,
							figures));
	atomic_store(&host->budget.alarm, alarm);
}

/* Judges the figures of now; an edge away from `before` replaces what was said. */
static void judge_locked(struct hm_host *host, EMemoryAvailable before,
			 const struct hm_memory_load *fresh)
{
	struct hm_availability *availability = &host->availability;
	struct hm_pressure_figures figures;

	do {
		figures = figures_of(host, fresh);
		figures.stalled = takes_stall(host);
		availability->pressure =
			hm_pressure_step(&availability->rules, &availability->pressure,
					 &figures, hm_clock_now(&host->clock));
		set_alarm_locked(host, &figures);
		/* A stall is over when it is told.  And what was charged since the figures
		 * were read did not see the alarm. */
	} while (figures.stalled || hm_monitor_takes_alarm(host));
	if (availability->pressure.level != before)
		hm_notify_set_locked(&host->notify, availability->pressure.level);
}

static void look_locked(struct hm_host *host)
{
	judge_locked(host, host->availability.pressure.level, NULL);
}

HRESULT hm_availability_force(struct hm_host *host, EMemoryAvailable value)
{
	struct hm_delivery delivery;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	lock(host);
	hm_notify_set_locked(&host->notify, value);
	unlock(host);
	hm_notify_leave(&delivery);
	return S_OK;
}

HRESULT hm_availability_let_be(struct hm_host *host)
{
	struct hm_delivery delivery;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	lock(host);
	look_locked(host);
	/* If nothing was ever said, there is nothing to take back. */
	if (host->notify.value != 0)
		hm_notify_set_locked(&host->notify, host->availability.pressure.level);
	unlock(host);
	hm_notify_leave(&delivery);
	return S_OK;
}

HRESULT hm_availability_simulate(struct hm_host *host, uint32_t load, size_t available)
{
	struct hm_delivery delivery;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	lock(host);
	publish_locked(&host->availability, 1 + load, available);
	look_locked(host);
	unlock(host);
	hm_notify_leave(&delivery);
	return S_OK;
}

static void clear_locked(struct hm_host *host)
{
	struct hm_availability *availability = &host->availability;
	EMemoryAvailable before = availability->pressure.level;

	uint32_t load;
	size_t available;

	if (!hm_availability_figures(availability, &load, &available))
		return;
	publish_locked(availability, 0, 0);
	availability->pressure = hm_pressure_start();
	judge_locked(host, before, NULL);
}

HRESULT hm_availability_clear(struct hm_host *host)
{
	struct hm_delivery delivery;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	lock(host);
	clear_locked(host);
	unlock(host);
	hm_notify_leave(&delivery);
	return S_OK;
}

HRESULT hm_availability_look_now(struct hm_host *host, const struct hm_memory_load *load,
				 EMemoryAvailable *level)
{
	struct hm_delivery delivery;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	lock(host);
	judge_locked(host, host->availability.pressure.level, load);
	hm_notify_repeat_locked(&host->notify, hm_clock_now(&host->clock));
	*level = host->availability.pressure.level;
	unlock(host);
	hm_notify_leave(&delivery);
	return S_OK;
}

/* ---- Rules ---- */

void hm_availability_get_rules(struct hm_host *host, struct hm_pressure_rules *rules)
{
	lock(host);
	*rules = host->availability.rules;
	unlock(host);
}

HRESULT hm_availability_set_rules(struct hm_host *host,
				  const struct hm_pressure_rules *rules)
{
	struct hm_delivery delivery;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	lock(host);
	host->availability.rules = *rules;
	look_locked(host);
	unlock(host);
	/* The thresholds of the system's sources follow. */
	hm_monitor_wake(host);
	hm_notify_leave(&delivery);
	return S_OK;
}

size_t hm_availability_lacks(struct hm_host *host)
{
	struct hm_pressure_figures figures = figures_of(host, NULL);
	struct hm_pressure_rules rules;

	hm_availability_get_rules(host, &rules);
	return hm_pressure_lacks(&rules, &figures);
}

/* ---- Time ---- */

HRESULT hm_availability_set_virtual(struct hm_host *host, bool on)
{
	struct hm_delivery delivery;
	bool changed;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	lock(host);
	changed = hm_clock_set_virtual(&host->clock, on);
	if (on)
		atomic_store(&host->budget.alarm, SIZE_MAX);
	unlock(host);
	/* Sleepers have worked out by the other clock how long they sleep. */
	if (changed) {
		hm_host_wake_all(host);
		hm_monitor_wake(host);
	}
	hm_notify_leave(&delivery);
	return S_OK;
}

/* When something is due by time alone, and what time it is. */
static uint64_t find_due_locked(const struct hm_host *host, uint64_t *now)
{
	uint64_t due = host->availability.pressure.due;
	uint64_t repeat = hm_notify_repeat_at_locked(&host->notify);

	*now = hm_clock_now(&host->clock);
	return due < repeat ? due : repeat;
}

uint64_t hm_availability_due(struct hm_host *host)
{
	const struct hm_pressure *pressure = &host->availability.pressure;
	uint64_t now, due;

	lock(host);
	due = find_due_locked(host, &now);
	/* Nothing tells that a shortage may be over. */
	if (pressure->level == eMemoryAvailableLow &&
	    pressure->calm_since == HM_PRESSURE_NEVER && due > now + SHORT_MS)
		due = now + SHORT_MS;
	unlock(host);
	/* What is overdue stays so when nobody judges any more, and must not be looked at for
	 * ever without a pause. */
	if (due == UINT64_MAX || hm_clock_is_virtual(&host->clock) ||
	    FAILED(hm_host_check(host)))
		return UINT64_MAX;
	return due > now ? due - now : 0;
}

/* How many ms go by until something is due, if that is in the next `left`. */
static uint64_t until_due(struct hm_host *host, uint64_t left)
{
	uint64_t now, due;

	lock(host);
	due = find_due_locked(host, &now);
	unlock(host);
	if (due == UINT64_MAX || (due > now && due - now > left))
		return left;
	return due > now ? due - now : 0;
}

static void look_and_repeat_locked(struct hm_host *host)
{
	look_locked(host);
	hm_notify_repeat_locked(&host->notify, hm_clock_now(&host->clock));
}

void hm_availability_look(struct hm_host *host)
{
	/* Shutdown has said the last thing that there is to know. */
	if (FAILED(hm_host_check(host)))
		return;
	lock(host);
	look_and_repeat_locked(host);
	unlock(host);
	hm_notify_flush(host);
}

bool hm_availability_watch(struct hm_host *host)
{
	bool due_before, due;

	/* Shutdown waits for the monitor before it says the last thing. */
	if (FAILED(hm_host_check(host)))
		return false;
	lock(host);
	/* Who has found that tells it, unless that was a thread of a fork's parent. */
	due_before = hm_notify_is_due(host) && !host->notify.left;
	host->notify.left = false;
	/* Under the lock: in virtual time nothing happens that the simulation does not do. */
	if (!hm_clock_is_virtual(&host->clock))
		look_and_repeat_locked(host);
	due = hm_notify_is_due(host);
	unlock(host);
	return due && !due_before;
}

HRESULT hm_availability_advance(struct hm_host *host, uint32_t ms)
{
	struct hm_delivery delivery;
	uint64_t left = ms;
	HRESULT hr = hm_notify_enter(&delivery, host);

	if (FAILED(hr))
		return hr;
	if (!hm_clock_is_virtual(&host->clock)) {
		hm_notify_leave(&delivery);
		return E_INVALIDARG;
	}
	do {
		uint64_t step = until_due(host, left);

		hm_clock_move(&host->clock, step);
		left -= step;
		hm_availability_look(host);
	} while (left != 0 && SUCCEEDED(hm_host_check(host)));
	/* If a callback has shut the host down, only time goes on. */
	hm_clock_move(&host->clock, left);
	hm_notify_leave(&delivery);
	return S_OK;
}
