/*
 * The map of the address space: enter, find, remove, and who is in whose way.
 */
#include "hostmem/regions.h"
#include "map.h"

#define BLOCK ((uintptr_t)1 << 32)

static void an_empty_map_has_nothing_anywhere(void)
{
	static const uintptr_t places[] = { 0,
					    1,
					    UNIT,
					    BLOCK - 1,
					    BLOCK,
					    FAKE_BASE,
					    HM_USER_END,
					    HM_SYSTEM_END - 1,
					    HM_SYSTEM_END,
					    UINTPTR_MAX };

	check_empty();
	for (size_t i = 0; i < ROWS(places); i++) {
		tap_row("0x%zx", (size_t)places[i]);
		CHECK_SIZE(found(places[i]), 0);
		CHECK_SIZE(previous(places[i]), 0);
		CHECK_SIZE(next(places[i]), 0);
		CHECK_POINTER(hm_regions_lock(host(0), places[i]), NULL);
	}
	CHECK(!hm_regions_units_in_use(UNIT, HM_USER_END));
}

static void a_region_is_found_from_its_first_byte_to_its_last(void)
{
	static const struct {
		const char *name;
		uintptr_t base;
		size_t size;
	} rows[] = {
		{ "a page in the middle", FAKE_BASE + 5 * UNIT, PAGE },
		{ "first granule of a block", FAKE_BASE, UNIT },
		{ "last granule of a block", FAKE_BASE + BLOCK - UNIT, UNIT },
		{ "across two blocks", FAKE_BASE + BLOCK - UNIT, 2 * UNIT },
		{ "over many blocks", FAKE_BASE + UNIT, 5 * BLOCK },
		{ "the lowest there is", HM_USER_START, PAGE },
		{ "the highest there is", HM_USER_END - UNIT, UNIT },
		{ "nearly all of user space", HM_USER_START, HM_USER_END - UNIT },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t base = rows[i].base, end = base + rows[i].size;

		tap_row("%s", rows[i].name);
		enter(base, rows[i].size);
		CHECK_STR(hm_regions_check(), NULL);
		CHECK_SIZE(found(base), base);
		CHECK_SIZE(found(end - 1), base);
		CHECK_SIZE(found(base - 1), 0);
		CHECK_SIZE(found(end), 0);
		CHECK_SIZE(previous(base), base);
		CHECK_SIZE(previous(base - 1), 0);
		CHECK_SIZE(previous(HM_SYSTEM_END - 1), base);
		CHECK_SIZE(next(0), base);
		CHECK_SIZE(next(base), base);
		CHECK_SIZE(next(base + 1), 0);
		drop(base);
		check_empty();
	}
}

static void neighbours_far_apart_are_found_across_the_void(void)
{
	static const uintptr_t bases[] = { UNIT,
					   BLOCK - UNIT,
					   BLOCK,
					   3 * BLOCK + UNIT,
					   FAKE_BASE - UNIT,
					   FAKE_BASE,
					   FAKE_BASE + 200 * BLOCK,
					   HM_USER_END - UNIT };

	for (size_t i = 0; i < ROWS(bases); i++)
		enter(bases[i], PAGE);
	CHECK_STR(hm_regions_check(), NULL);
	for (size_t i = 0; i < ROWS(bases); i++) {
		tap_row("0x%zx", (size_t)bases[i]);
		CHECK_SIZE(next(i == 0 ? 0 : bases[i - 1] + 1), bases[i]);
		CHECK_SIZE(previous(bases[i] + PAGE), bases[i]);
		CHECK_SIZE(previous(bases[i] - 1), i == 0 ? 0 : bases[i - 1]);
		CHECK_SIZE(found(bases[i] + PAGE), 0);
	}
	for (size_t i = 0; i < ROWS(bases); i++)
		drop(bases[i]);
	check_empty();
}

static void a_view_tells_what_was_entered(void)
{
	struct hm_region_fields fields = fields_of(FAKE_BASE, FAKE_BASE + 17 * PAGE,
						   HM_REGION_LIVE);
	struct hm_region_ticket ticket;
	struct hm_region_view view;
	struct hm_region *region;
	unsigned code;

	fields.host = host(1);
	fields.protection = 0x12345678;
	fields.states = hm_states_uniform(1, 5);
	fields.traits = HM_REGION_LARGE;
	CHECK_HR(hm_regions_enter(&fields, true, &ticket), S_OK);
	if (!CHECK(hm_regions_find(FAKE_BASE + PAGE, &view)))
		return;
	CHECK_POINTER(view.host, host(1));
	CHECK_SIZE(view.base, FAKE_BASE);
	CHECK_SIZE(view.end, FAKE_BASE + 17 * PAGE);
	CHECK_U32(view.protection, 0x12345678);
	CHECK_INT(view.phase, HM_REGION_LIVE);
	CHECK_SIZE(hm_states_run(&view.states, 0, 17, &code), 17);
	CHECK_U32(code, 5);
	region = hm_regions_lock(host(1), FAKE_BASE);
	if (!CHECK_POINTER(region, view.region))
		return;
	CHECK_SIZE(hm_region_base(region), FAKE_BASE);
	CHECK_POINTER(region, ticket.region);
	CHECK_SIZE(hm_region_end(region), FAKE_BASE + 17 * PAGE);
	CHECK_POINTER(hm_region_host(region), host(1));
	CHECK_U32(region->traits, HM_REGION_LARGE);
	CHECK_SIZE(hm_region_page(region, FAKE_BASE + 3 * PAGE + 5), 3);
	CHECK_SIZE(hm_region_committed(region, FAKE_BASE + PAGE, 4 * PAGE), 4 * PAGE);
	hm_regions_unlock(region);
	drop(FAKE_BASE);
}

static void only_a_live_region_of_the_host_is_locked(void)
{
	bool busy = true;
	struct hm_region *region;

	enter(FAKE_BASE, 2 * PAGE);
	CHECK_POINTER(hm_regions_lock(host(1), FAKE_BASE), NULL);
	CHECK_POINTER(hm_regions_lock(host(0), FAKE_BASE + 2 * PAGE), NULL);
	CHECK_POINTER(hm_regions_try_lock(FAKE_BASE + 2 * PAGE, &busy), NULL);
	CHECK(!busy);
	region = hm_regions_lock(host(0), FAKE_BASE + PAGE);
	CHECK_POINTER(region, record_at(FAKE_BASE));
	CHECK_POINTER(hm_regions_try_lock(FAKE_BASE, &busy), NULL);
	CHECK(busy);
	hm_regions_unlock(region);
	CHECK_POINTER(hm_regions_try_lock(FAKE_BASE, &busy), region);
	hm_region_set_phase(region, HM_REGION_LEAVING);
	hm_regions_unlock(region);
	CHECK_POINTER(hm_regions_lock(host(0), FAKE_BASE), NULL);
	CHECK_POINTER(hm_regions_try_lock(FAKE_BASE, &busy), NULL);
	CHECK(!busy);
	drop(FAKE_BASE);
	check_empty();
}

/* Callers may look at it and protect it, but neither commit nor free it. */
static void a_heaps_region_is_not_locked_for_callers(void)
{
	struct hm_region_fields fields = fields_of(FAKE_BASE, FAKE_BASE + UNIT,
						   HM_REGION_LIVE);
	struct hm_region_ticket ticket;
	struct hm_region *region;
	bool busy;

	enter(FAKE_BASE + UNIT, UNIT);
	region = hm_regions_lock_callers(host(0), FAKE_BASE + UNIT);
	CHECK_POINTER(region, record_at(FAKE_BASE + UNIT));
	CHECK(!hm_region_is_heaps(region));
	hm_regions_unlock(region);
	CHECK_POINTER(hm_regions_lock_callers(host(1), FAKE_BASE + UNIT), NULL);
	CHECK_POINTER(hm_regions_lock_callers(host(0), FAKE_BASE), NULL);
	fields.traits = HM_REGION_HEAP | HM_REGION_RESET;
	CHECK_HR(hm_regions_enter(&fields, false, &ticket), S_OK);
	CHECK_POINTER(hm_regions_lock_callers(host(0), FAKE_BASE), NULL);
	/* And it is not left locked. */
	region = hm_regions_try_lock(FAKE_BASE, &busy);
	CHECK_POINTER(region, ticket.region);
	CHECK(hm_region_is_heaps(region));
	hm_regions_unlock(region);
	CHECK_POINTER(hm_regions_lock(host(0), FAKE_BASE), region);
	hm_regions_unlock(region);
	drop(FAKE_BASE);
	drop(FAKE_BASE + UNIT);
	check_empty();
}

static void units_are_in_use_where_a_live_region_touches_them(void)
{
	static const struct {
		uintptr_t base, end;
		bool used;
	} rows[] = {
		{ 0, 4 * UNIT, false },
		{ 0, 4 * UNIT + 1, true },
		{ 4 * UNIT + 2 * PAGE, 4 * UNIT + 3 * PAGE, true },
		{ 5 * UNIT, 6 * UNIT, false },
		{ 5 * UNIT - PAGE, 6 * UNIT, true },
		{ 0, 100 * UNIT, true },
		{ 9 * UNIT, 12 * UNIT, false },
	};

	enter(FAKE_BASE + 4 * UNIT, PAGE);
	CHECK_HR(enter_as(FAKE_BASE + 10 * UNIT, PAGE, false, HM_REGION_LEAVING), S_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_INT(hm_regions_units_in_use(FAKE_BASE + rows[i].base,
						  FAKE_BASE + rows[i].end),
			  rows[i].used);
	}
	/* Behind one that is leaving there may be one that is not. */
	CHECK(hm_regions_units_in_use(FAKE_BASE + 4 * UNIT, FAKE_BASE + 11 * UNIT));
	drop(FAKE_BASE + 4 * UNIT);
	drop(FAKE_BASE + 10 * UNIT);
	check_empty();
}

static void an_exact_place_conflicts_by_whole_units(void)
{
	static const struct {
		const char *name;
		uintptr_t offset;
		size_t size;
		bool exact;
		HRESULT want;
	} rows[] = {
		{ "the same place", 4 * UNIT, PAGE, true, BAD_ADDRESS },
		{ "its unit", 4 * UNIT, 2 * UNIT, true, BAD_ADDRESS },
		{ "from below", 3 * UNIT, UNIT + PAGE, true, BAD_ADDRESS },
		{ "around it", 3 * UNIT, 9 * UNIT, true, BAD_ADDRESS },
		{ "below it", 3 * UNIT, UNIT, true, S_OK },
		{ "above it", 5 * UNIT, UNIT, true, S_OK },
		{ "the system gave what is ours", 4 * UNIT, PAGE, false, E_FAIL },
		{ "over the end of it", 3 * UNIT, UNIT + PAGE, false, E_FAIL },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t base = FAKE_BASE + rows[i].offset;

		tap_row("%s", rows[i].name);
		enter(FAKE_BASE + 4 * UNIT, PAGE);
		CHECK_HR(enter_as(base, rows[i].size, rows[i].exact, HM_REGION_LIVE),
			 rows[i].want);
		CHECK_SIZE(found(FAKE_BASE + 4 * UNIT), FAKE_BASE + 4 * UNIT);
		if (rows[i].want == S_OK)
			drop(base);
		drop(FAKE_BASE + 4 * UNIT);
		check_empty();
	}
}

static void regions_that_are_leaving_make_room(void)
{
	static const bool exact[] = { false, true };

	for (size_t i = 0; i < ROWS(exact); i++) {
		struct hm_region_ticket old;

		tap_row("exact %d", exact[i]);
		CHECK_HR(enter_as(FAKE_BASE, PAGE, false, HM_REGION_LEAVING), S_OK);
		old.region = record_at(FAKE_BASE);
		old.version = hm_region_version(old.region);
		CHECK_HR(enter_as(FAKE_BASE + UNIT, 2 * UNIT, false, HM_REGION_LEAVING),
			 S_OK);
		CHECK_HR(enter_as(FAKE_BASE, 2 * UNIT, exact[i], HM_REGION_LIVE), S_OK);
		CHECK_SIZE(found(FAKE_BASE + 2 * UNIT - 1), FAKE_BASE);
		CHECK_SIZE(found(FAKE_BASE + 2 * UNIT), 0);
		/* Whoever was releasing the old one comes too late. */
		hm_regions_remove(&old);
		CHECK_SIZE(found(FAKE_BASE), FAKE_BASE);
		drop(FAKE_BASE);
		check_empty();
	}
	CHECK_HR(enter_as(FAKE_BASE, PAGE, false, HM_REGION_LEAVING), S_OK);
	hm_region_set_phase(record_at(FAKE_BASE), HM_REGION_PARKED);
	/* The system still has it mapped, so it cannot give it to anybody. */
	CHECK_HR(enter_as(FAKE_BASE, PAGE, false, HM_REGION_LIVE), E_FAIL);
	drop(FAKE_BASE);
}

static void a_region_that_arrives_is_nobodys_yet(void)
{
	struct hm_region_fields fields = fields_of(FAKE_BASE, FAKE_BASE + PAGE,
						   HM_REGION_ARRIVING);
	struct hm_region_ticket first, second;
	bool busy = true;

	CHECK_HR(hm_regions_enter(&fields, true, &first), S_OK);
	CHECK_POINTER(first.region, record_at(FAKE_BASE));
	CHECK_POINTER(hm_regions_lock(host(0), FAKE_BASE), NULL);
	CHECK_POINTER(hm_regions_try_lock(FAKE_BASE, &busy), NULL);
	CHECK(!busy);
	/* But it is in the way of another that wants the place. */
	CHECK(hm_regions_units_in_use(FAKE_BASE, FAKE_BASE + UNIT));
	CHECK_HR(hm_regions_enter(&fields, true, &second), BAD_ADDRESS);
	CHECK(hm_regions_arrive(&first));
	CHECK(!hm_regions_arrive(&first));
	CHECK(hm_regions_lock(host(0), FAKE_BASE) == first.region);
	hm_regions_unlock(first.region);
	/* Its time as an arriving one is over. */
	hm_regions_remove(&first);
	CHECK_SIZE(found(FAKE_BASE), FAKE_BASE);
	drop(FAKE_BASE);
	CHECK_HR(hm_regions_enter(&fields, true, &first), S_OK);
	hm_regions_remove(&first);
	check_empty();
}

static void whoever_is_given_the_place_first_has_it(void)
{
	struct hm_region_fields fields = fields_of(FAKE_BASE, FAKE_BASE + PAGE,
						   HM_REGION_ARRIVING);
	struct hm_region_ticket late, leaving;

	CHECK_HR(hm_regions_enter(&fields, true, &late), S_OK);
	enter(FAKE_BASE, PAGE);
	CHECK(!hm_regions_arrive(&late));
	hm_regions_remove(&late);
	CHECK_SIZE(found(FAKE_BASE), FAKE_BASE);
	drop(FAKE_BASE);
	/* Where another is just leaving, there is no record to arrive with. */
	fields.phase = HM_REGION_LEAVING;
	CHECK_HR(hm_regions_enter(&fields, false, &leaving), S_OK);
	fields.phase = HM_REGION_ARRIVING;
	CHECK_HR(hm_regions_enter(&fields, true, &late), S_OK);
	CHECK_POINTER(late.region, NULL);
	CHECK_POINTER(record_at(FAKE_BASE), leaving.region);
	hm_regions_remove(&leaving);
	check_empty();
}

static void the_checker_finds_damage(void)
{
	struct hm_region *region;
	uintptr_t end = FAKE_BASE + 2 * UNIT;

	enter(FAKE_BASE, 2 * UNIT);
	enter(end, UNIT);
	region = record_at(FAKE_BASE);
	tap_row("not a page");
	atomic_store(&region->extent, (end - 1) | HM_REGION_LIVE);
	CHECK(hm_regions_check() != NULL);
	tap_row("over the next one");
	atomic_store(&region->extent, (end + PAGE) | HM_REGION_LIVE);
	CHECK(hm_regions_check() != NULL);
	tap_row("states that are none");
	atomic_store(&region->extent, end | HM_REGION_LIVE);
	atomic_store(&region->states, 0);
	CHECK(hm_regions_check() != NULL);
	atomic_store(&region->states, hm_states_uniform(1, HM_STATE_RESERVED));
	tap_row("no pages");
	atomic_store(&region->extent, FAKE_BASE | HM_REGION_LIVE);
	CHECK(hm_regions_check() != NULL);
	tap_row("not in use");
	atomic_store(&region->extent, HM_REGION_NONE);
	CHECK(hm_regions_check() != NULL);
	atomic_store(&region->extent, end | HM_REGION_LIVE);
	tap_row("in another granule");
	atomic_store(&region->base, FAKE_BASE + UNIT);
	CHECK(hm_regions_check() != NULL);
	atomic_store(&region->base, FAKE_BASE);
	tap_row("in use, and nobody would find it");
	atomic_store(&region[3].base, FAKE_BASE + 3 * UNIT);
	atomic_store(&region[3].extent, (FAKE_BASE + 4 * UNIT) | HM_REGION_LIVE);
	CHECK(hm_regions_check() != NULL);
	atomic_store(&region[3].extent, HM_REGION_NONE);
	tap_row("a list of records that are not in use");
	atomic_store(&region->next, &region[3]);
	CHECK(hm_regions_check() != NULL);
	atomic_store(&region->next, NULL);
	CHECK_STR(hm_regions_check(), NULL);
	drop(FAKE_BASE);
	drop(end);
	check_empty();
}

int main(void)
{
	TAP_RUN(an_empty_map_has_nothing_anywhere);
	TAP_RUN(a_region_is_found_from_its_first_byte_to_its_last);
	TAP_RUN(neighbours_far_apart_are_found_across_the_void);
	TAP_RUN(a_view_tells_what_was_entered);
	TAP_RUN(only_a_live_region_of_the_host_is_locked);
	TAP_RUN(a_heaps_region_is_not_locked_for_callers);
	TAP_RUN(units_are_in_use_where_a_live_region_touches_them);
	TAP_RUN(an_exact_place_conflicts_by_whole_units);
	TAP_RUN(regions_that_are_leaving_make_room);
	TAP_RUN(a_region_that_arrives_is_nobodys_yet);
	TAP_RUN(whoever_is_given_the_place_first_has_it);
	TAP_RUN(the_checker_finds_damage);
	return tap_done();
}
