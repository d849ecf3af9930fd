/*
 * What VirtualQuery tells of an arena's addresses while the arena comes and goes: to the
 * kernel there is memory before there is an arena, and still after; nobody may ever be told
 * that it is somebody's.
 */
#include "arena.h"

#include "hostmem/foreign.h"

static const size_t probes[] = { 0, PAGE, HM_ARENA_SMALLEST / 2,
				 HM_ARENA_SMALLEST - PAGE };

/* Asked between the system's calls, on the thread that makes them. */
static struct {
	struct hm_system_calls below; /* the seam's */
	uintptr_t base;               /* of what is to be seen free */
	bool follows;                 /* it is what was mapped last */
	uintptr_t stranger;           /* mapped memory of somebody else; 0 = nobody */
	unsigned asked;
} watch;

static void check_free(uintptr_t page)
{
	MEMORY_BASIC_INFORMATION run;

	CHECK_HR(hm_foreign_query(NULL, page, &run), S_OK);
	CHECK_U32(run.State, MEM_FREE);
	CHECK_POINTER(run.AllocationBase, NULL);
	CHECK_U32(run.Type, 0);
}

static void look_around(void)
{
	MEMORY_BASIC_INFORMATION run;

	for (size_t i = 0; watch.base != 0 && i < ROWS(probes); i++)
		check_free(watch.base + probes[i]);
	watch.asked++;
	if (watch.stranger == 0)
		return;
	CHECK_HR(hm_foreign_query(NULL, watch.stranger, &run), S_OK);
	CHECK_U32(run.State, MEM_COMMIT);
	CHECK_POINTER(run.AllocationBase, (void *)watch.stranger);
	CHECK_SIZE(run.RegionSize, PAGE);
}

static void *watch_map(void *address, size_t size, int protection, int flags, int file,
		       long offset)
{
	void *mapped;

	look_around();
	mapped = watch.below.map(address, size, protection, flags, file, offset);
	if (watch.follows && mapped != MAP_FAILED)
		watch.base = size < HM_ARENA_SMALLEST ? 0 : (uintptr_t)mapped;
	look_around();
	return mapped;
}

static int watch_unmap(void *address, size_t size)
{
	int result;

	look_around();
	result = watch.below.unmap(address, size);
	look_around();
	return result;
}

static int watch_protect(void *address, size_t size, int protection)
{
	int result = watch.below.protect(address, size, protection);

	look_around();
	return result;
}

static int watch_advise(void *address, size_t size, int advice)
{
	look_around();
	return watch.below.advise(address, size, advice);
}

static void watch_begin(uintptr_t base)
{
	watch.below = hm_system;
	watch.base = base;
	watch.asked = 0;
	hm_system.map = watch_map;
	hm_system.unmap = watch_unmap;
	hm_system.protect = watch_protect;
	hm_system.advise = watch_advise;
}

/* At least so many times somebody has looked. */
static void watch_end(unsigned least)
{
	hm_system = watch.below;
	CHECK(watch.asked >= least);
}

static void an_arena_is_free_from_its_first_moment_to_its_last(void)
{
	arenas_begin();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		uintptr_t base = empty_block(0) + HM_ARENA_SMALLEST;
		struct hm_arena *arena;

		watch_begin(base);
		arena = small_arena(both_sets[i], base);
		watch_end(6);
		watch_begin(base);
		CHECK(unmap_arena(arena));
		watch_end(3);
	}
	arenas_end();
}

static void an_arena_that_is_not_finished_is_free_as_well(void)
{
	uintptr_t base;

	arenas_begin();
	base = empty_block(0);
	both_sets[0]->largest = HM_ARENA_SMALLEST;
	watch_begin(base);
	seam.place = base;
	/* The first page is written once, and cannot be shut again. */
	seam.pass[CALL_PROTECT] = 1;
	seam.error[CALL_PROTECT] = ENOMEM;
	seam.error[CALL_BLANK] = ENOMEM;
	CHECK_POINTER(hm_arena_make(both_sets[0], PAGE), NULL);
	CHECK(seam.calls[CALL_PROTECT] >= 2);
	watch_end(6);
	seam_count();
	CHECK(!is_mapped(base));
	check_free(base);
	arenas_end();
}

static void what_is_cut_off_at_the_ends_is_free_too(void)
{
	uintptr_t block;
	void *guest;

	arenas_begin();
	block = empty_block(0);
	guest = mmap((void *)block, PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK_POINTER(guest, (void *)block);
	/* Not at a multiple of its size, nor free below: so twice the size is mapped. */
	both_sets[0]->largest = HM_ARENA_SMALLEST;
	seam.place = block + UNIT;
	watch.follows = true;
	watch_begin(block + UNIT);
	CHECK_SIZE(size_of(needed(hm_arena_make(both_sets[0], PAGE))), HM_ARENA_SMALLEST);
	watch.follows = false;
	watch_end(8);
	CHECK(seam.calls[CALL_UNMAP] >= 2);
	CHECK_INT(munmap(guest, PAGE), 0);
	arenas_end();
}

static void strangers_stay_what_they_are_meanwhile(void)
{
	uintptr_t base;
	struct hm_arena *arena;

	arenas_begin();
	base = empty_block(0) + HM_ARENA_SMALLEST;
	watch.stranger = base - UNIT;
	CHECK_POINTER(mmap((void *)watch.stranger, PAGE, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
		      (void *)watch.stranger);
	watch_begin(base);
	arena = small_arena(both_sets[0], base);
	watch_end(6);
	watch_begin(base);
	CHECK(unmap_arena(arena));
	watch_end(3);
	CHECK_INT(munmap((void *)watch.stranger, PAGE), 0);
	watch.stranger = 0;
	arenas_end();
}

int main(void)
{
	TAP_RUN(an_arena_is_free_from_its_first_moment_to_its_last);
	TAP_RUN(an_arena_that_is_not_finished_is_free_as_well);
	TAP_RUN(what_is_cut_off_at_the_ends_is_free_too);
	TAP_RUN(strangers_stay_what_they_are_meanwhile);
	return tap_done();
}
