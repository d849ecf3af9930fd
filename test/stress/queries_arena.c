/*
 * VirtualQuery while what is asked about comes and goes in an arena.
 *
 * A place that is released lies on a shelf, or is retained, and is somebody's again in the
 * next moment.  To the kernel nothing of that is a change; whoever asks is told of a
 * region, or that the place is free, and never that it is somebody else's memory.
 */
#include "test/stress/race.h"

#include "hostmem/arenas.h"

#include <unistd.h>

enum {
	SMALL = 60, /* pages: a part of a granule at the end */
	WATCHDOG = 300,
	ZONE = 64, /* granules that threads move about in */
	MOVERS = 3,
	LARGEST = 6, /* granules of a region that moves */
};

static const size_t small_probes[PROBES] = { 0, 15, 16, 45, SMALL - 1 };

/* A race in an arena, with a region there; false: it failed, or hosts have none. */
static bool set_in_arena(struct race *race, size_t retain, DWORD type, unsigned states,
			 void (*next)(struct race *race, unsigned state))
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	void *base;

	config.cbRetain = retain;
	if (!set_host(race, &config, states, next))
		return false;
	race->probes = small_probes;
	if (!CHECK_HR(faces_alloc(&race->faces, NULL, SMALL * PAGE, type, PAGE_READWRITE,
				  &base),
		      S_OK))
		return false;
	race->base = base;
	if (hm_arena_of((uintptr_t)base) != NULL)
		return true;
	tap_skip("hosts have no arenas here");
	CHECK_SIZE(faces_release(&race->faces), 0);
	return false;
}

/* Nobody else wants such a place, so the one that was released last is had again. */
static void reserve_again(struct race *race, void *wanted, DWORD type)
{
	void *out;

	CHECK_HR(faces_alloc(&race->faces, wanted, SMALL * PAGE, type, PAGE_READWRITE,
			     &out),
		 S_OK);
	CHECK_POINTER(out, race->base);
}

static void release(struct race *race)
{
	CHECK_HR(faces_free(&race->faces, race->base), S_OK);
}

static void by_way_of_the_shelf(struct race *race, unsigned state)
{
	if (state == 0)
		release(race);
	else
		reserve_again(race, NULL, MEM_RESERVE);
}

static void a_place_on_the_shelf_is_free_and_then_reserved(void)
{
	struct race race;

	if (set_in_arena(&race, 0, MEM_RESERVE, 2, by_way_of_the_shelf))
		run_race(&race);
}

static void by_its_address(struct race *race, unsigned state)
{
	if (state == 0)
		release(race);
	else
		reserve_again(race, race->base, MEM_RESERVE | MEM_COMMIT);
}

static void a_place_that_is_wanted_exactly_is_free_and_then_committed(void)
{
	struct race race;

	if (set_in_arena(&race, 0, MEM_RESERVE | MEM_COMMIT, 2, by_its_address))
		run_race(&race);
}

static void by_being_retained(struct race *race, unsigned state)
{
	if (state == 0)
		release(race);
	else
		reserve_again(race, NULL, MEM_RESERVE | MEM_COMMIT);
}

static void retained_memory_is_free_and_then_committed(void)
{
	struct race race;

	if (!set_in_arena(&race, 64 * UNIT, MEM_RESERVE | MEM_COMMIT, 2,
			  by_being_retained))
		return;
	release(&race);
	CHECK_SIZE(faces_usage(&race.faces).cbRetained, SMALL * PAGE);
	reserve_again(&race, NULL, MEM_RESERVE | MEM_COMMIT);
	run_race(&race);
}

/* All that can happen to a region. */
static void live(struct race *race, unsigned state)
{
	switch (state) {
	case 0:
		CHECK_HR(faces_commit(&race->faces, at(race, 10), 37 * PAGE), S_OK);
		break;
	case 1:
		CHECK_HR(faces_commit(&race->faces, at(race, 0), SMALL * PAGE), S_OK);
		break;
	case 2:
		CHECK_HR(faces_protect(&race->faces, at(race, 16), 32 * PAGE,
				       PAGE_READONLY),
			 S_OK);
		break;
	case 3:
		CHECK_HR(faces_protect(&race->faces, at(race, 16), 32 * PAGE,
				       PAGE_READWRITE),
			 S_OK);
		break;
	case 4:
		CHECK_HR(faces_decommit(&race->faces, at(race, 40), 15 * PAGE), S_OK);
		break;
	case 5:
		CHECK_HR(faces_decommit(&race->faces, at(race, 0), SMALL * PAGE), S_OK);
		break;
	case 6:
		release(race);
		break;
	default:
		reserve_again(race, NULL, MEM_RESERVE);
	}
}

static void a_whole_life_is_seen_step_by_step(void)
{
	struct race race;

	if (!set_in_arena(&race, 0, MEM_RESERVE, 8, live))
		return;
	race.rounds /= 3;
	run_race(&race);
}

/* Two regions share a granule, then one has it, then nobody. */
static void fall_apart(struct race *race, unsigned state)
{
	switch (state) {
	case 0:
		CHECK_HR(IHostMemoryPages_ReleaseRange(race->faces.pages, at(race, 20),
						       5 * PAGE),
			 S_OK);
		break;
	case 1:
		CHECK_HR(faces_free(&race->faces, race->base), S_OK);
		break;
	case 2:
		CHECK_HR(faces_free(&race->faces, at(race, 25)), S_OK);
		break;
	default:
		reserve_again(race, race->base, MEM_RESERVE | MEM_COMMIT);
	}
}

static void a_granule_of_two_regions_is_told_page_by_page(void)
{
	struct race race;

	if (!set_in_arena(&race, 0, MEM_RESERVE | MEM_COMMIT, 4, fall_apart))
		return;
	race.rounds /= 2;
	run_race(&race);
}

/* ---- Several at once ---- */

/* What a region that moves about may look like. */
static bool is_plausible(const MEMORY_BASIC_INFORMATION *run)
{
	size_t inside = (uintptr_t)run->BaseAddress - (uintptr_t)run->AllocationBase;

	if (run->RegionSize == 0 || run->RegionSize % PAGE != 0)
		return false;
	if (run->State == MEM_FREE)
		return run->AllocationBase == NULL && run->Protect == PAGE_NOACCESS &&
		       run->Type == 0;
	return (uintptr_t)run->AllocationBase % UNIT == 0 && run->Type == MEM_PRIVATE &&
	       inside + run->RegionSize <= LARGEST * UNIT &&
	       (run->State == MEM_RESERVE
			? run->Protect == 0
			: run->State == MEM_COMMIT && (run->Protect == PAGE_READWRITE ||
						       run->Protect == PAGE_READONLY));
}

static void read_anywhere(struct race *race, struct crowd_member *self)
{
	char *address = at(race, crowd_draw(self, ZONE * UNIT / PAGE));
	MEMORY_BASIC_INFORMATION run;

	CHECK_HR(faces_query(&race->faces, address, &run), S_OK);
	if (!is_plausible(&run))
		tap_row("%p: base %p, allocation %p, %zu pages, state 0x%x, "
			"protect 0x%x, type 0x%x",
			(void *)address, run.BaseAddress, run.AllocationBase,
			run.RegionSize / PAGE, run.State, run.Protect, run.Type);
	CHECK(is_plausible(&run));
}

/* Here and there, through shelves, what is retained, and the arena. */
static void move_about(struct race *race, struct crowd_member *self)
{
	size_t pages = (1 + crowd_draw(self, LARGEST)) * UNIT / PAGE -
		       crowd_draw(self, 3);
	DWORD type = MEM_RESERVE | (crowd_draw(self, 2) ? MEM_COMMIT : 0U);
	void *out;

	CHECK_HR(faces_alloc(&race->faces, NULL, pages * PAGE, type, PAGE_READWRITE,
			     &out),
		 S_OK);
	if (type == MEM_RESERVE)
		CHECK_HR(faces_commit(&race->faces, out, pages / 2 * PAGE), S_OK);
	*(volatile char *)out = 1;
	if (crowd_draw(self, 4) == 0)
		CHECK_HR(faces_protect(&race->faces, out, PAGE, PAGE_READONLY), S_OK);
	if (crowd_draw(self, 4) == 0)
		CHECK_HR(faces_decommit(&race->faces, out, 2 * PAGE), S_OK);
	CHECK_HR(faces_free(&race->faces, out), S_OK);
}

static void *move_or_read(void *argument)
{
	struct crowd_member *self = argument;
	struct race *race = self->state;

	crowd_meet(self);
	for (unsigned i = 0; self->number < MOVERS && i < race->rounds; i++)
		move_about(race, self);
	if (self->number == 0)
		atomic_store(&race->over, true);
	while (self->number >= MOVERS && !atomic_load(&race->over))
		read_anywhere(race, self);
	return NULL;
}

static void move_with(size_t retain)
{
	struct race race;

	if (!set_in_arena(&race, retain, MEM_RESERVE, 1, NULL))
		return;
	release(&race);
	crowd_run(MOVERS + READERS, move_or_read, &race);
	CHECK_STR(hm_regions_check(), NULL);
	faces_check_empty(&race.faces);
	CHECK_SIZE(faces_release(&race.faces), 0);
}

static void wherever_regions_move_an_answer_makes_sense(void)
{
	move_with(0);
}

static void so_it_does_where_memory_is_retained(void)
{
	move_with(16 * UNIT);
}

int main(void)
{
	/* Whoever waits for ever is found out: the signal ends the program. */
	(void)alarm(WATCHDOG);
	TAP_RUN(a_place_on_the_shelf_is_free_and_then_reserved);
	TAP_RUN(a_place_that_is_wanted_exactly_is_free_and_then_committed);
	TAP_RUN(retained_memory_is_free_and_then_committed);
	TAP_RUN(a_whole_life_is_seen_step_by_step);
	TAP_RUN(a_granule_of_two_regions_is_told_page_by_page);
	TAP_RUN(wherever_regions_move_an_answer_makes_sense);
	TAP_RUN(so_it_does_where_memory_is_retained);
	return tap_done();
}
