/*
 * Everything that changes what a monitor does, at once: callbacks come and go, thresholds,
 * budgets and clocks change, memory is charged and freed about the mark, and at some moment
 * the host is shut down.
 *
 * In the end each host holds what it was given, and no more; and of those that were left
 * running the state is what the figures say, since no crossing is missed.
 *
 * Bounded by numbers of rounds, not by time.  The thread sanitizer runs this, too.
 */
#include "test/callback.h"
#include "test/stress/crowd.h"

#include <stdatomic.h>
#include <unistd.h>

enum { HOSTS = 3, WORKERS = 6, CALLBACKS = 4, WATCHDOG = 600 };

#define LIMIT (100 * PAGE)

struct place {
	struct faces faces;
	IHostMemoryMonitor *monitor;
	IHostMemorySimulator *simulator;
	struct callback callbacks[CALLBACKS];
	_Atomic unsigned last; /* what was told last */
};

static struct place places[HOSTS];
static unsigned rounds;
static bool quiet; /* nobody ends a host or turns the clock */

/* ---- Setting up ---- */

static void hear(struct callback *callback, EMemoryAvailable available)
{
	struct place *place = callback->state;

	atomic_store(&place->last, (unsigned)available);
	/* What a runtime does: it allocates, and looks at the load. */
	if (available == eMemoryAvailableLow) {
		DWORD load;
		SIZE_T left;

		(void)IHostMemoryManager_GetMemoryLoad(place->faces.manager, &load,
						       &left);
	}
}

static size_t HOSTMEM_CALL reclaim(void *state, size_t wanted)
{
	(void)state, (void)wanted;
	return 0;
}

static HRESULT set_times(struct place *place, uint32_t calm)
{
	HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;

	thresholds.msCalm = calm;
	thresholds.msStall = 0;
	return IHostMemoryMonitor_SetThresholds(place->monitor, &thresholds);
}

static bool make_place(struct place *place)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	void *face = NULL;

	memset(place, 0, sizeof(*place));
	budget.cbLimit = LIMIT;
	config.budget = &budget;
	if (!CHECK_HR(faces_create_with(&place->faces, &config), S_OK))
		return false;
	(void)IHostMemoryManager_QueryInterface(place->faces.manager,
						&IID_IHostMemoryMonitor, &face);
	place->monitor = face;
	(void)IHostMemoryManager_QueryInterface(place->faces.manager,
						&IID_IHostMemorySimulator, &face);
	place->simulator = face;
	for (unsigned i = 0; i < CALLBACKS; i++) {
		place->callbacks[i] = callback_new();
		place->callbacks[i].then = hear;
		place->callbacks[i].state = place;
	}
	atomic_store(&place->last, (unsigned)eMemoryAvailableNeutral);
	return CHECK_HR(IHostMemorySimulator_SetMemoryLoad(place->simulator, 80,
							   SIZE_MAX),
			S_OK) &&
	       CHECK_HR(set_times(place, 1), S_OK);
}

static void end_place(struct place *place)
{
	IHostMemoryMonitor_Release(place->monitor);
	IHostMemorySimulator_Release(place->simulator);
	CHECK_SIZE(faces_release(&place->faces), 0);
	for (unsigned i = 0; i < CALLBACKS; i++)
		CHECK_U32(place->callbacks[i].references, 1);
}

/* ---- What they do ---- */

static bool is_good(HRESULT hr)
{
	return hr == S_OK || (!quiet && hr == HOST_E_CLRNOTAVAILABLE);
}

static void register_one(struct place *place, unsigned number)
{
	ICLRMemoryNotificationCallback *callback =
		number < CALLBACKS ? &place->callbacks[number].iface : NULL;

	CHECK(is_good(IHostMemoryManager_RegisterMemoryNotificationCallback(
		place->faces.manager, callback)));
}

static void charge(struct crowd_member *self, struct place *place)
{
	size_t size = (1 + crowd_draw(self, 60)) * PAGE;
	void *base = NULL;
	HRESULT hr =
		IHostMemoryManager_VirtualAlloc(place->faces.manager, NULL, size,
						MEM_COMMIT, PAGE_READWRITE,
						(EMemoryCriticalLevel)crowd_draw(self, 3),
						&base);

	if (SUCCEEDED(hr))
		CHECK(is_good(IHostMemoryManager_VirtualFree(place->faces.manager, base,
							     0, MEM_RELEASE)));
}

static void replace_budget(struct crowd_member *self, struct place *place)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = LIMIT - crowd_draw(self, 20) * PAGE;
	CHECK(is_good(IHostMemoryControl_SetBudget(place->faces.control, &budget)));
}

static void turn_the_clock(struct crowd_member *self, struct place *place)
{
	BOOL on = crowd_draw(self, 2) == 0;

	CHECK(is_good(IHostMemorySimulator_SetVirtualTime(place->simulator, on)));
	(void)IHostMemorySimulator_Advance(place->simulator, 5);
}

static void ask(struct crowd_member *self, struct place *place)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;
	HostMemSource source = (HostMemSource)crowd_draw(self, HOSTMEM_SOURCES);
	EMemoryAvailable available;

	CHECK_HR(IHostMemoryMonitor_GetSource(place->monitor, source, &state), S_OK);
	CHECK(is_good(IHostMemoryMonitor_Look(place->monitor, &available)));
}

static void suspend(struct place *place)
{
	void *collector = NULL;

	(void)IHostMemoryManager_QueryInterface(place->faces.manager, &IID_IHostGCManager,
						&collector);
	CHECK(is_good(IHostGCManager_SuspensionStarting(collector)));
	CHECK(is_good(IHostGCManager_SuspensionEnding(collector, 0)));
	IHostGCManager_Release((IHostGCManager *)collector);
}

static void do_something(struct crowd_member *self, struct place *place)
{
	switch (crowd_draw(self, 12)) {
	case 0:
	case 1:
		register_one(place, (unsigned)crowd_draw(self, CALLBACKS + 1));
		return;
	case 2:
		CHECK(is_good(set_times(place, (uint32_t)crowd_draw(self, 3))));
		return;
	case 3:
		replace_budget(self, place);
		return;
	case 4:
		if (!quiet)
			turn_the_clock(self, place);
		return;
	case 5:
		ask(self, place);
		return;
	case 6:
		suspend(place);
		return;
	case 7:
		CHECK(is_good(IHostMemoryControl_SetReclaimer(
			place->faces.control, crowd_draw(self, 2) ? reclaim : NULL,
			NULL)));
		return;
	default:
		charge(self, place);
	}
}

static void *play(void *argument)
{
	struct crowd_member *self = argument;

	crowd_meet(self);
	for (unsigned round = 0; round < rounds; round++)
		do_something(self, &places[crowd_draw(self, HOSTS)]);
	if (!quiet && self->number < HOSTS)
		CHECK_HR(IHostMemoryControl_Shutdown(places[self->number].faces.control),
			 S_OK);
	return NULL;
}

/* ---- Tests ---- */

static void references_balance_whatever_is_done(void)
{
	unsigned games = FACES_ROUNDS(40, 8);

	quiet = false;
	rounds = 200;
	for (unsigned game = 0; game < games; game++) {
		tap_row("game %u", game);
		for (unsigned i = 0; i < HOSTS; i++) {
			if (!make_place(&places[i]))
				return;
		}
		crowd_run(WORKERS, play, NULL);
		for (unsigned i = 0; i < HOSTS; i++)
			end_place(&places[i]);
	}
}

/* The state that is told last; no time is given but what it takes. */
static void wait_for_last(struct place *place, EMemoryAvailable available)
{
	while (atomic_load(&place->last) != (unsigned)available)
		(void)usleep(200);
}

static void settle(struct place *place)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	void *base = NULL;

	budget.cbLimit = LIMIT;
	CHECK_HR(set_times(place, 1), S_OK);
	CHECK_HR(IHostMemoryControl_SetBudget(place->faces.control, &budget), S_OK);
	/* Which callback heard what is forgotten: an edge for this one. */
	register_one(place, 0);
	CHECK_HR(IHostMemoryManager_VirtualAlloc(place->faces.manager, NULL, 95 * PAGE,
						 MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &base),
		 S_OK);
	wait_for_last(place, eMemoryAvailableLow);
	CHECK_HR(IHostMemoryManager_VirtualFree(place->faces.manager, base, 0,
						MEM_RELEASE),
		 S_OK);
	wait_for_last(place, eMemoryAvailableNeutral);
}

static void when_all_is_quiet_the_state_is_right(void)
{
	quiet = true;
	rounds = FACES_ROUNDS(20000, 3000);
	for (unsigned i = 0; i < HOSTS; i++) {
		if (!make_place(&places[i]))
			return;
	}
	crowd_run(WORKERS, play, NULL);
	for (unsigned i = 0; i < HOSTS; i++) {
		tap_row("host %u", i);
		register_one(&places[i], CALLBACKS);
		atomic_store(&places[i].last, 0);
		settle(&places[i]);
		end_place(&places[i]);
	}
}

/* ---- Crossings ---- */

static struct place *crossed;

static void *cross(void *argument)
{
	struct crowd_member *self = argument;

	crowd_meet(self);
	for (unsigned round = 0; round < rounds; round++)
		charge(self, crossed);
	return NULL;
}

/* Threads cross the mark up and down while the monitor sets the alarm anew; then one of
 * them stops above it, or all below. */
static void no_crossing_is_missed(void)
{
	unsigned games = FACES_ROUNDS(150, 30);

	quiet = true;
	rounds = 50;
	crossed = &places[0];
	if (!make_place(crossed))
		return;
	CHECK_HR(set_times(crossed, 0), S_OK);
	register_one(crossed, 0);
	for (unsigned game = 0; game < games; game++) {
		void *base = NULL;

		tap_row("game %u", game);
		crowd_run(4, cross, NULL);
		CHECK_HR(IHostMemoryManager_VirtualAlloc(crossed->faces.manager, NULL,
							 90 * PAGE, MEM_COMMIT,
							 PAGE_READWRITE, eTaskCritical,
							 &base),
			 S_OK);
		wait_for_last(crossed, eMemoryAvailableLow);
		CHECK_HR(IHostMemoryManager_VirtualFree(crossed->faces.manager, base, 0,
							MEM_RELEASE),
			 S_OK);
		if (game % 2 == 0)
			wait_for_last(crossed, eMemoryAvailableNeutral);
	}
	end_place(crossed);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(references_balance_whatever_is_done);
	TAP_RUN(when_all_is_quiet_the_state_is_right);
	TAP_RUN(no_crossing_is_missed);
	return tap_done();
}
