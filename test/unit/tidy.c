/*
 * Closing what is open for nothing, and leaving alone what is not.
 */
#include "hostmem/tidy.h"
#include "arena.h"
#include "hostmem/arenapages.h"
#include "hostmem/commit.h"
#include "hostmem/protect.h"
#include "hostmem/release.h"

#define WINDOW_SIZE (HM_WINDOW * UNIT)

static const struct hm_page_source *pages;
static struct hm_arenas *set;
static struct hm_host host;

static void destroy(struct hm_host *ended)
{
	(void)ended;
}

/* Source 0 where there are guards, 1 without; false behind the last. */
static bool begin(size_t i)
{
	if (i == 0 && !hm_memory_has_guards())
		i = 1;
	if (i > 1)
		return false;
	tap_row("source %zu", i);
	arenas_begin();
	set = both_sets[i];
	pages = i == 0 ? hm_pages_with_guards : hm_pages_without_guards;
	CHECK_POINTER(hm_pages_arenas(pages), set);
	hm_calls_leave();
	memset(&host, 0, sizeof(host));
	hm_host_init(&host, pages, destroy);
	return true;
}

static void end(void)
{
	hm_host_release(&host);
	hm_calls_enter();
	arenas_end();
}

static bool tidies(void)
{
	bool any;

	hm_calls_enter();
	any = hm_tidy(pages);
	CHECK_ARENAS();
	hm_calls_leave();
	CHECK_STR(hm_regions_check(), NULL);
	return any;
}

static uintptr_t allocate(uintptr_t address, size_t size, DWORD type, size_t alignment)
{
	struct hm_allocation want = { address,        size,          alignment, type,
				      PAGE_READWRITE, eTaskCritical, false };
	void *out = NULL;

	if (!CHECK_HR(type == MEM_COMMIT ? hm_commit(&host, &want, &out)
					 : hm_reserve(&host, &want, &out),
		      S_OK))
		exit(1);
	return (uintptr_t)out;
}

/* As long as a page is committed, the host is not at rest and does not tidy by itself. */
static uintptr_t stay_awake(void)
{
	return allocate(0, PAGE, MEM_RESERVE | MEM_COMMIT, UNIT);
}

/* At the beginning of a window. */
static uintptr_t reserve(size_t size)
{
	return allocate(0, size, MEM_RESERVE, WINDOW_SIZE);
}

static void commit(uintptr_t address, size_t size)
{
	CHECK_SIZE(allocate(address, size, MEM_COMMIT, UNIT), address);
}

static void decommit(uintptr_t address, size_t size)
{
	CHECK_HR(hm_decommit(&host, address, size), S_OK);
}

static enum hm_granule_state state_at(uintptr_t address)
{
	struct hm_arena *arena = needed(hm_arena_of(address));

	return hm_granules_state(&arena->book.granules, hm_arena_granule(arena, address));
}

static void clear_shelves(void)
{
	hm_calls_enter();
	(void)hm_shelves_clear(set);
	hm_calls_leave();
}

static void idle_windows_of_live_regions_are_closed(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(4 * WINDOW_SIZE - 3 * PAGE);
		uintptr_t second = base + WINDOW_SIZE + 5 * UNIT;

		for (unsigned window = 0; window < 4; window++)
			commit(base + window * WINDOW_SIZE + 5 * UNIT, 2 * UNIT);
		write_to(second, 2 * UNIT, 7);
		decommit(base + 5 * UNIT, 2 * UNIT);
		decommit(base + 2 * WINDOW_SIZE + 5 * UNIT, 2 * UNIT);
		decommit(base + 3 * WINDOW_SIZE + 5 * UNIT, 2 * UNIT);
		CHECK_INT(state_at(base + 5 * UNIT), HM_GRANULE_OPEN);
		CHECK(tidies());
		CHECK_STATES(hm_arena_of(base), hm_arena_granule(hm_arena_of(base), base),
			     HM_WINDOW, HM_GRANULE_BLANK);
		CHECK_INT(state_at(second), HM_GRANULE_OPEN);
		CHECK_INT(state_at(base + 2 * WINDOW_SIZE + 5 * UNIT), HM_GRANULE_BLANK);
		CHECK_INT(state_at(base + 4 * WINDOW_SIZE - 4 * PAGE), HM_GRANULE_BLANK);
		check_bytes(second, 2 * UNIT, 7);
		CHECK_ACCESS(base, second, HM_ACCESS_NONE);
		CHECK_ACCESS(second + 2 * UNIT, base + 4 * WINDOW_SIZE, HM_ACCESS_NONE);
		CHECK(!is_dumped(base + 5 * UNIT) && is_dumped(second));
		/* It can be committed again, and is zero. */
		commit(base + 5 * UNIT, UNIT);
		CHECK_ACCESS(base + 5 * UNIT, base + 6 * UNIT,
			     HM_ACCESS_READ | HM_ACCESS_WRITE);
		CHECK_HR(hm_release(&host, base), S_OK);
		end();
	}
}

/* From the middle of one window to the middle of the next. */
static void each_window_is_closed_by_itself(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t front = reserve(2 * WINDOW_SIZE), base = front + 8 * UNIT;
		uintptr_t second = front + WINDOW_SIZE;

		CHECK_HR(hm_release_range(&host, front, 8 * UNIT), S_OK);
		for (unsigned granule = 8; granule < 40; granule++)
			commit(front + granule * UNIT, PAGE);
		for (unsigned granule = 8; granule < 36; granule++)
			decommit(front + granule * UNIT, PAGE);
		*bytes_at(second + 4 * UNIT) = 6;
		CHECK(tidies());
		CHECK_INT(state_at(base), HM_GRANULE_BLANK);
		CHECK_INT(state_at(second - UNIT), HM_GRANULE_BLANK);
		CHECK_INT(state_at(second), HM_GRANULE_OPEN);
		CHECK_U32(*bytes_at(second + 4 * UNIT), 6);
		CHECK_HR(hm_release(&host, base), S_OK);
		end();
	}
}

static void what_was_opened_by_itself_is_closed_by_itself(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(WINDOW_SIZE), other = base + 16 * UNIT;

		commit(base, HM_MANY * UNIT);
		commit(other, HM_MANY * UNIT);
		write_to(other, HM_MANY * UNIT, 8);
		decommit(base, 4 * UNIT);
		decommit(base + 4 * UNIT, 4 * UNIT);
		CHECK_INT(state_at(base), HM_GRANULE_OPEN);
		CHECK(tidies());
		CHECK_INT(state_at(base), HM_GRANULE_BLANK);
		CHECK_INT(state_at(base + HM_MANY * UNIT - PAGE), HM_GRANULE_BLANK);
		check_bytes(other, HM_MANY * UNIT, 8);
		CHECK_HR(hm_release(&host, base), S_OK);
		end();
	}
}

static void free_open_granules_are_closed(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t kept = reserve(UNIT), gone;
		struct hm_arena *arena = hm_arena_of(kept);

		commit(kept, PAGE);
		*bytes_at(kept) = 3;
		gone = reserve(3 * UNIT);
		commit(gone, 3 * UNIT);
		CHECK_HR(hm_release(&host, gone), S_OK);
		clear_shelves();
		CHECK(arena->open_room != 0);
		CHECK(tidies());
		CHECK_U32(arena->open_room, 0);
		CHECK_U32(arena->room, HM_EXTENTS_MOST - 1);
		CHECK_INT(state_at(gone), HM_GRANULE_BLANK);
		CHECK_INT(state_at(kept), HM_GRANULE_OPEN);
		CHECK_U32(*bytes_at(kept), 3);
		CHECK_ACCESS(gone, gone + 3 * UNIT, HM_ACCESS_NONE);
		CHECK_HR(hm_release(&host, kept), S_OK);
		end();
	}
}

static void granules_that_were_at_hand_are_closed_too(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t kept = reserve(UNIT), gone;
		struct hm_arena *arena = hm_arena_of(kept);

		gone = allocate(0, UNIT, MEM_RESERVE | MEM_COMMIT, UNIT);
		CHECK_HR(hm_release(&host, gone), S_OK);
		CHECK(tidies());
		CHECK_U32(arena->room, HM_EXTENTS_MOST - 1);
		CHECK_U32(arena->open_room, 0);
		CHECK_HR(hm_release(&host, kept), S_OK);
		end();
	}
}

static void what_is_committed_stays_and_costs_no_call(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(2 * WINDOW_SIZE), never = reserve(WINDOW_SIZE);

		commit(base, 2 * WINDOW_SIZE);
		write_to(base, 2 * WINDOW_SIZE, 9);
		seam_count();
		CHECK(!tidies());
		for (unsigned call = 0; call < SEAM_CALLS; call++)
			CHECK_U32(seam.calls[call], 0);
		check_bytes(base, 2 * WINDOW_SIZE, 9);
		/* One page is enough. */
		decommit(base, WINDOW_SIZE - PAGE);
		decommit(base + WINDOW_SIZE + PAGE, WINDOW_SIZE - PAGE);
		commit(base + WINDOW_SIZE + 9 * PAGE, PAGE);
		decommit(base + WINDOW_SIZE + 9 * PAGE, PAGE);
		set->openings = 1;
		(void)tidies();
		check_bytes(base + WINDOW_SIZE - PAGE, 2 * PAGE, 9);
		CHECK_HR(hm_release(&host, never), S_OK);
		CHECK_HR(hm_release(&host, base), S_OK);
		end();
	}
}

static void granules_of_another_access_are_closed_too(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(4 * UNIT), awake = stay_awake();
		DWORD old;

		commit(base, UNIT);
		CHECK_HR(hm_protect(&host, base, PAGE, PAGE_READONLY, &old), S_OK);
		decommit(base, UNIT);
		CHECK(tidies());
		CHECK_INT(state_at(base), HM_GRANULE_BLANK);
		CHECK_ACCESS(base, base + 4 * UNIT, HM_ACCESS_NONE);
		CHECK_HR(hm_release(&host, base), S_OK);
		CHECK_HR(hm_release(&host, awake), S_OK);
		end();
	}
}

/*
 * A reservation of four granules, of which pages in the middle of the second are released:
 * two regions share it.
 */
static void a_granule_is_closed_when_none_of_its_regions_needs_it(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(4 * UNIT), second = base + UNIT + 9 * PAGE;
		uintptr_t awake = stay_awake();

		commit(base, 4 * UNIT);
		write_to(base, 4 * UNIT, 5);
		CHECK_HR(hm_release_range(&host, base + UNIT + 4 * PAGE, 5 * PAGE), S_OK);
		decommit(base, UNIT + 4 * PAGE);
		CHECK(tidies());
		CHECK_INT(state_at(base), HM_GRANULE_BLANK);
		CHECK(state_at(base + UNIT) != HM_GRANULE_BLANK);
		check_bytes(second, 2 * UNIT + 7 * PAGE, 5);
		CHECK_ACCESS(base, second, HM_ACCESS_NONE);
		CHECK_HR(hm_release(&host, base), S_OK);
		set->openings = 1;
		(void)tidies();
		check_bytes(second, 2 * UNIT + 7 * PAGE, 5);
		/* Now the granule is one region's, and only its end is committed. */
		decommit(second, 2 * UNIT + 6 * PAGE);
		set->openings = 1;
		(void)tidies();
		check_bytes(base + 4 * UNIT - PAGE, PAGE, 5);
		decommit(base + 4 * UNIT - PAGE, PAGE);
		set->openings = 1;
		CHECK(tidies());
		CHECK_INT(state_at(second), HM_GRANULE_BLANK);
		CHECK_INT(state_at(base + 3 * UNIT), HM_GRANULE_BLANK);
		CHECK_HR(hm_release(&host, second), S_OK);
		CHECK_HR(hm_release(&host, awake), S_OK);
		end();
	}
}

static void what_the_system_would_not_close_is_as_it_was(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(2 * UNIT), awake = stay_awake(), gone;
		struct hm_arena *arena = hm_arena_of(base);
		uint32_t room, open_room;

		commit(base, UNIT);
		gone = reserve(2 * UNIT);
		commit(gone, 2 * UNIT);
		CHECK_HR(hm_release(&host, gone), S_OK);
		decommit(base, UNIT);
		clear_shelves();
		room = arena->room;
		open_room = arena->open_room;
		seam.error[CALL_BLANK] = EPERM;
		CHECK(!tidies());
		CHECK_U32(arena->room, room);
		CHECK_U32(arena->open_room, open_room);
		CHECK_INT(state_at(base), HM_GRANULE_OPEN);
		seam_count();
		commit(base, UNIT);
		CHECK_ACCESS(base, base + UNIT, HM_ACCESS_READ | HM_ACCESS_WRITE);
		CHECK_HR(hm_release(&host, base), S_OK);
		CHECK_HR(hm_release(&host, awake), S_OK);
		end();
	}
}

/* It stays at hand, as blank as on the first day. */
static void an_arena_in_which_nothing_is_taken_is_closed_too(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(5 * UNIT);

		commit(base, 5 * UNIT);
		CHECK_HR(hm_release(&host, base), S_OK);
		(void)tidies();
		(void)tidies();
		CHECK_U32(set->idle, 1);
		CHECK_U32(live_arenas(set), 1);
		CHECK_INT(state_at(base), HM_GRANULE_BLANK);
		end();
	}
}

static void at_rest_a_few_openings_are_not_worth_it(void)
{
	for (size_t i = 0; begin(i); i++) {
		uintptr_t base = reserve(8 * WINDOW_SIZE), other = stay_awake();

		set->openings = 0;
		for (unsigned window = 0; window < 4; window++) {
			commit(base + window * WINDOW_SIZE, PAGE);
			decommit(base + window * WINDOW_SIZE, PAGE);
			CHECK(set->openings != 0);
			set->openings = window + 1;
			hm_calls_enter();
			hm_tidy_at_rest(pages);
			hm_calls_leave();
			CHECK_INT(state_at(base),
				  window < 3 ? HM_GRANULE_OPEN : HM_GRANULE_BLANK);
		}
		CHECK_U32(set->openings, 0);
		CHECK_INT(state_at(base + 3 * WINDOW_SIZE), HM_GRANULE_BLANK);
		CHECK_INT(state_at(other), HM_GRANULE_OPEN);
		CHECK_HR(hm_release(&host, base), S_OK);
		CHECK_HR(hm_release(&host, other), S_OK);
		end();
	}
}

static void a_source_without_arenas_has_nothing_to_tidy(void)
{
	arenas_begin();
	CHECK(!hm_tidy(&hm_pages_posix));
	hm_tidy_at_rest(&hm_pages_posix);
	arenas_end();
}

int main(void)
{
	TAP_RUN(idle_windows_of_live_regions_are_closed);
	TAP_RUN(each_window_is_closed_by_itself);
	TAP_RUN(what_was_opened_by_itself_is_closed_by_itself);
	TAP_RUN(free_open_granules_are_closed);
	TAP_RUN(granules_that_were_at_hand_are_closed_too);
	TAP_RUN(what_is_committed_stays_and_costs_no_call);
	TAP_RUN(granules_of_another_access_are_closed_too);
	TAP_RUN(a_granule_is_closed_when_none_of_its_regions_needs_it);
	TAP_RUN(what_the_system_would_not_close_is_as_it_was);
	TAP_RUN(an_arena_in_which_nothing_is_taken_is_closed_too);
	TAP_RUN(at_rest_a_few_openings_are_not_worth_it);
	TAP_RUN(a_source_without_arenas_has_nothing_to_tidy);
	return tap_done();
}
