/*
 * VirtualQuery while other threads change what is asked about.
 *
 * An answer is that of before or that of after, never a mixture; and it comes, even if
 * the thread that is changing the region has been stopped in the middle of it.  Places
 * that go round in an arena are queries_arena.c's.
 */
#include "test/stress/race.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

enum {
	PLACES = 1000,  /* one after the other, for regions that move */
	WATCHDOG = 300, /* seconds after which a query counts as hung */
};

static bool set_race(struct race *race, unsigned states,
		     void (*next)(struct race *race, unsigned state))
{
	if (!set_host(race, NULL, states, next))
		return false;
	race->base = faces_reserve(&race->faces, PAGES * PAGE);
	return race->base != NULL;
}

static void commit_or_decommit(struct race *race, unsigned state)
{
	if (state == 0)
		CHECK_HR(faces_commit(&race->faces, at(race, 100), 300 * PAGE), S_OK);
	else
		CHECK_HR(faces_decommit(&race->faces, at(race, 100), 300 * PAGE), S_OK);
}

static void a_query_sees_a_commit_wholly_or_not_at_all(void)
{
	struct race race;

	if (set_race(&race, 2, commit_or_decommit))
		run_race(&race);
}

static void protect_more_or_less(struct race *race, unsigned state)
{
	static const DWORD protects[] = { PAGE_READONLY, PAGE_NOACCESS, PAGE_READWRITE };

	CHECK_HR(faces_protect(&race->faces, at(race, 40 + state), 400 * PAGE,
			       protects[state]),
		 S_OK);
	if (state == 2)
		CHECK_HR(faces_protect(&race->faces, at(race, 40), 2 * PAGE,
				       PAGE_READWRITE),
			 S_OK);
}

static void a_query_sees_a_protect_wholly_or_not_at_all(void)
{
	struct race race;

	/* No probe is at a page that the last step changes twice. */
	if (!set_race(&race, 3, protect_more_or_less))
		return;
	CHECK_HR(faces_commit(&race.faces, race.base, PAGES * PAGE), S_OK);
	CHECK_HR(faces_protect(&race.faces, race.base, 40 * PAGE, PAGE_READONLY), S_OK);
	CHECK_HR(faces_protect(&race.faces, at(&race, 500), 100 * PAGE, PAGE_READONLY),
		 S_OK);
	run_race(&race);
}

static void arm_or_hit(struct race *race, unsigned state)
{
	if (state == 0)
		CHECK_HR(faces_protect(&race->faces, at(race, 300), PAGE,
				       PAGE_READWRITE | PAGE_GUARD),
			 S_OK);
	else
		CHECK_HR(HostMemHandleFault(at(race, 300), TRUE), S_OK);
}

static void a_query_sees_a_guard_or_sees_none(void)
{
	struct race race;

	if (!set_race(&race, 2, arm_or_hit))
		return;
	CHECK_HR(faces_commit(&race.faces, race.base, PAGES * PAGE), S_OK);
	run_race(&race);
}

/* Makes places in which nobody else maps anything meanwhile, and moves to the first. */
static bool move_to_window(struct race *race)
{
	size_t size = (PLACES + 1) * (PAGES * PAGE + UNIT);
	uintptr_t window = faces_map_window(size);

	if (!CHECK(window != 0))
		return false;
	(void)munmap((void *)window, size);
	CHECK_HR(faces_free(&race->faces, race->base), S_OK);
	race->window = (char *)window;
	race->base = race->window;
	return true;
}

static void reserve_at(struct race *race, char *place, DWORD type)
{
	void *out;

	CHECK_HR(faces_alloc(&race->faces, place, PAGES * PAGE, type, PAGE_READWRITE,
			     &out),
		 S_OK);
}

/* A new region in the next place, of which the readers hear when it is there. */
static void reserve_next(struct race *race, DWORD type)
{
	char *place;

	race->place = (race->place + 1) % PLACES;
	place = race->window + race->place * ((PAGES * PAGE + UNIT) / UNIT * UNIT);
	reserve_at(race, place, type);
	atomic_store(&race->base, place);
}

static void release_or_reserve(struct race *race, unsigned state)
{
	if (state == 0)
		CHECK_HR(faces_free(&race->faces, race->base), S_OK);
	else
		reserve_next(race, MEM_RESERVE);
}

static void a_query_sees_a_region_or_sees_it_free(void)
{
	struct race race;

	if (!set_race(&race, 2, release_or_reserve) || !move_to_window(&race))
		return;
	reserve_at(&race, race.base, MEM_RESERVE);
	run_race(&race);
}

/* One becomes two, then the right one goes, then the left one; then there is one again
 * elsewhere. */
static void split_and_release(struct race *race, unsigned state)
{
	switch (state) {
	case 0:
		CHECK_HR(IHostMemoryPages_ReleaseRange(race->faces.pages, at(race, 150),
						       100 * PAGE),
			 S_OK);
		break;
	case 1:
		CHECK_HR(faces_free(&race->faces, at(race, 250)), S_OK);
		break;
	case 2:
		CHECK_HR(faces_free(&race->faces, race->base), S_OK);
		break;
	default:
		reserve_next(race, MEM_RESERVE);
	}
}

static void a_query_sees_a_region_before_or_after_it_was_split(void)
{
	struct race race;

	if (!set_race(&race, 4, split_and_release) || !move_to_window(&race))
		return;
	reserve_at(&race, race.base, MEM_RESERVE);
	run_race(&race);
}

/* The front goes, and what was a page in the middle is in a region of its own. */
static void shorten_from_the_front(struct race *race, unsigned state)
{
	switch (state) {
	case 0:
		CHECK_HR(IHostMemoryPages_ReleaseRange(race->faces.pages, race->base,
						       100 * PAGE),
			 S_OK);
		break;
	case 1:
		CHECK_HR(IHostMemoryPages_ReleaseRange(race->faces.pages, at(race, 100),
						       105 * PAGE),
			 S_OK);
		break;
	case 2:
		CHECK_HR(faces_free(&race->faces, at(race, 205)), S_OK);
		break;
	default:
		reserve_next(race, MEM_RESERVE | MEM_COMMIT);
	}
}

static void a_query_sees_a_region_before_or_after_its_front_went(void)
{
	struct race race;

	if (!set_race(&race, 4, shorten_from_the_front) || !move_to_window(&race))
		return;
	reserve_at(&race, race.base, MEM_RESERVE | MEM_COMMIT);
	run_race(&race);
}

/* The same place again and again: the caller knows the address before it is reserved. */
static void release_or_reserve_again(struct race *race, unsigned state)
{
	if (state == 0)
		CHECK_HR(faces_free(&race->faces, race->base), S_OK);
	else
		reserve_at(race, race->base, MEM_RESERVE);
}

static void a_query_sees_a_place_reserved_or_free_and_nothing_between(void)
{
	struct race race;

	if (!set_race(&race, 2, release_or_reserve_again) || !move_to_window(&race))
		return;
	reserve_at(&race, race.base, MEM_RESERVE);
	run_race(&race);
}

/* Calls on the last page, which stays in a reservation throughout. */
static void *call_or_split(void *argument)
{
	struct crowd_member *self = argument;
	struct race *race = self->state;

	for (unsigned round = 0; round < race->rounds; round++) {
		if (self->number == 0) {
			race->base = faces_reserve(&race->faces, PAGES * PAGE);
			atomic_store(&race->over, false);
		}
		crowd_meet(self);
		if (self->number == 0) {
			CHECK_HR(IHostMemoryPages_ReleaseRange(race->faces.pages,
							       at(race, 150), 100 * PAGE),
				 S_OK);
			atomic_store(&race->over, true);
		}
		do {
			CHECK_HR(faces_commit(&race->faces, at(race, PAGES - 1), PAGE),
				 S_OK);
			CHECK_HR(faces_decommit(&race->faces, at(race, PAGES - 1), PAGE),
				 S_OK);
		} while (!atomic_load(&race->over));
		crowd_meet(self);
		if (self->number == 0) {
			CHECK_HR(faces_free(&race->faces, at(race, 250)), S_OK);
			CHECK_HR(faces_free(&race->faces, race->base), S_OK);
		}
	}
	return NULL;
}

static void a_call_finds_its_region_while_that_is_being_split(void)
{
	struct race race;

	if (!set_race(&race, 0, NULL))
		return;
	race.rounds /= 5;
	CHECK_HR(faces_free(&race.faces, race.base), S_OK);
	crowd_run(READERS + 1, call_or_split, &race);
	faces_check_empty(&race.faces);
	CHECK_SIZE(faces_release(&race.faces), 0);
}

/* How often the thread has come to a stop, and how often it has been told to go on. */
static _Atomic unsigned stopped, resumed;

/* Holds the thread wherever it is, until it is told to go on. */
static void stop_here(int signal_number)
{
	unsigned number = atomic_fetch_add(&stopped, 1) + 1;
	int kept = errno;

	(void)signal_number;
	while (atomic_load(&resumed) < number)
		(void)sched_yield();
	errno = kept;
}

static void disturb(struct crowd_member *self, struct race *race)
{
	size_t first = crowd_draw(self, PAGES);
	size_t size = (1 + crowd_draw(self, PAGES - first)) * PAGE;
	void *out;

	switch (crowd_draw(self, 6)) {
	case 0:
	case 1:
		CHECK_HR(faces_commit(&race->faces, at(race, first), size), S_OK);
		break;
	case 2:
		CHECK_HR(faces_decommit(&race->faces, at(race, first), size), S_OK);
		break;
	case 3:
		(void)faces_protect(&race->faces, at(race, first), size,
				    PAGE_READWRITE | PAGE_GUARD);
		(void)HostMemHandleFault(at(race, first), TRUE);
		break;
	default:
		/* Elsewhere, for the sake of the locks that all regions share. */
		if (FAILED(faces_alloc(&race->faces, NULL, 40 * PAGE,
				       MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE, &out)))
			return;
		(void)IHostMemoryPages_ReleaseRange(race->faces.pages,
						    (char *)out + 10 * PAGE, 20 * PAGE);
		(void)faces_free(&race->faces, (char *)out + 30 * PAGE);
		(void)faces_free(&race->faces, out);
	}
}

static void *disturb_until_over(void *argument)
{
	struct crowd_member *self = argument;
	struct race *race = self->state;

	while (!atomic_load(&race->over))
		disturb(self, race);
	return NULL;
}

static void query_while_stopped(struct race *race, struct crowd_member *other)
{
	unsigned number = atomic_load(&resumed) + 1;
	MEMORY_BASIC_INFORMATION run;
	HostMemUsage usage = HOSTMEM_USAGE_INIT;

	(void)pthread_kill(other->thread, SIGUSR1);
	while (atomic_load(&stopped) != number)
		(void)sched_yield();
	for (size_t page = 0; page < PAGES;) {
		if (!CHECK_HR(faces_query(&race->faces, at(race, page), &run), S_OK) ||
		    !CHECK_POINTER(run.AllocationBase, race->base))
			break;
		page += run.RegionSize / PAGE;
		CHECK(run.RegionSize != 0 && page <= PAGES);
	}
	CHECK_HR(IHostMemoryControl_GetUsage(race->faces.control, &usage), S_OK);
	atomic_store(&resumed, number);
}

static void queries_return_while_the_thread_that_changes_is_stopped(void)
{
	struct sigaction action = { .sa_handler = stop_here, .sa_flags = SA_RESTART };
	struct race race;
	struct crowd crowd;

	if (!set_race(&race, 0, NULL))
		return;
	(void)sigaction(SIGUSR1, &action, NULL);
	if (!crowd_start(&crowd, 1, disturb_until_over, &race))
		return;
	for (int i = 0; i < FACES_ROUNDS(6000, 1000); i++) {
		query_while_stopped(&race, &crowd.members[0]);
		/* Not always the same distance from one stop to the next. */
		for (int spin = 0; spin < i % 64; spin++)
			(void)sched_yield();
	}
	atomic_store(&race.over, true);
	crowd_join(&crowd);
	CHECK_HR(faces_free(&race.faces, race.base), S_OK);
	faces_check_empty(&race.faces);
	CHECK_SIZE(faces_release(&race.faces), 0);
}

int main(void)
{
	/* Whoever waits for ever is found out: the signal ends the program. */
	(void)alarm(WATCHDOG);
	TAP_RUN(a_query_sees_a_commit_wholly_or_not_at_all);
	TAP_RUN(a_query_sees_a_protect_wholly_or_not_at_all);
	TAP_RUN(a_query_sees_a_guard_or_sees_none);
	TAP_RUN(a_query_sees_a_region_or_sees_it_free);
	TAP_RUN(a_query_sees_a_region_before_or_after_it_was_split);
	TAP_RUN(a_query_sees_a_region_before_or_after_its_front_went);
	TAP_RUN(a_query_sees_a_place_reserved_or_free_and_nothing_between);
	TAP_RUN(a_call_finds_its_region_while_that_is_being_split);
	TAP_RUN(queries_return_while_the_thread_that_changes_is_stopped);
	return tap_done();
}
