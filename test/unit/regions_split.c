/*
 * The map of the address space while regions are split: beside a simple list, and under
 * the eyes of readers.
 */
#include "hostmem/regions.h"
#include "map.h"

#include <pthread.h>

#define BLOCK ((uintptr_t)1 << 32)

/* Cuts the region at `address` off at `first`; `second` = 0: in two, else in three. */
static HRESULT split(uintptr_t address, uintptr_t first, uintptr_t second)
{
	struct hm_region *region = hm_regions_lock(host(0), address), *out = NULL;
	struct hm_region_fields fields[2];
	uintptr_t end;
	HRESULT hr;

	if (!CHECK(region != NULL))
		return E_UNEXPECTED;
	end = hm_region_end(region);
	fields[0] = fields_of(first, second != 0 ? second : end, HM_REGION_LIVE);
	if (second != 0)
		fields[1] = fields_of(second, end, HM_REGION_LIVE);
	hr = hm_regions_split(region, HM_REGION_LIVE, &fields[0],
			      second != 0 ? &fields[1] : NULL, &out);
	CHECK_INT(out == NULL, FAILED(hr));
	if (SUCCEEDED(hr))
		CHECK_POINTER(out, record_at(first));
	hm_regions_unlock(region);
	return hr;
}

static void the_parts_of_a_region_are_found_each_by_itself(void)
{
	static const struct {
		const char *name;
		uintptr_t base, first, second, end;
	} rows[] = {
		{ "in one granule", 0, PAGE, 2 * PAGE, 3 * PAGE },
		{ "at a granule", 0, UNIT, 2 * UNIT, 3 * UNIT },
		{ "beyond a granule", 0, PAGE, UNIT + PAGE, 4 * UNIT },
		{ "two in the second granule", 0, UNIT + PAGE, UNIT + 2 * PAGE,
		  2 * UNIT },
		{ "across blocks", BLOCK - UNIT, BLOCK - PAGE, BLOCK + PAGE,
		  BLOCK + UNIT },
		{ "at a block", BLOCK - UNIT, BLOCK, 0, BLOCK + UNIT },
		{ "over many blocks", 0, BLOCK + 5 * PAGE, 3 * BLOCK, 5 * BLOCK },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t base = FAKE_BASE + rows[i].base, end = FAKE_BASE + rows[i].end;
		uintptr_t first = FAKE_BASE + rows[i].first;
		uintptr_t second = rows[i].second ? FAKE_BASE + rows[i].second : 0;

		tap_row("%s", rows[i].name);
		enter(base, end - base);
		CHECK_HR(split(base, first, second), S_OK);
		CHECK_STR(hm_regions_check(), NULL);
		CHECK_SIZE(found(first - 1), base);
		CHECK_SIZE(found(first), first);
		CHECK_SIZE(found(end - 1), second != 0 ? second : first);
		CHECK_SIZE(found(end), 0);
		CHECK_SIZE(next(base + 1), first);
		CHECK_SIZE(next(first + 1), second);
		CHECK_SIZE(previous(first - 1), base);
		drop(first);
		CHECK_SIZE(found(first), 0);
		CHECK_SIZE(found(first - 1), base);
		drop(base);
		CHECK_SIZE(found(base), 0);
		if (second != 0)
			drop(second);
		check_empty();
	}
}

static void parts_keep_what_their_fields_say(void)
{
	struct hm_region *region, *out = NULL;
	struct hm_region_fields hole = fields_of(FAKE_BASE + PAGE, FAKE_BASE + 2 * PAGE,
						 HM_REGION_LEAVING);
	struct hm_region_fields right = fields_of(FAKE_BASE + 2 * PAGE, FAKE_BASE + UNIT,
						  HM_REGION_LIVE);
	struct hm_region_view view;

	right.states = hm_states_uniform(0, 3);
	right.protection = 0x40;
	right.traits = HM_REGION_RESET;
	enter(FAKE_BASE, UNIT);
	region = hm_regions_lock(host(0), FAKE_BASE);
	CHECK_HR(hm_regions_split(region, HM_REGION_LIVE, &hole, &right, &out), S_OK);
	hm_regions_unlock(region);
	CHECK(hm_regions_find(FAKE_BASE + PAGE, &view));
	CHECK_INT(view.phase, HM_REGION_LEAVING);
	CHECK_POINTER(view.region, out);
	CHECK(hm_regions_find(FAKE_BASE + UNIT - 1, &view));
	CHECK_INT(view.phase, HM_REGION_LIVE);
	CHECK_U32(view.protection, 0x40);
	CHECK_U32(view.region->traits, HM_REGION_RESET);
	CHECK_SIZE(hm_region_committed(view.region, view.base, PAGE), PAGE);
	CHECK_SIZE(view.end, FAKE_BASE + UNIT);
	remove_record(out);
	drop(FAKE_BASE);
	drop(FAKE_BASE + 2 * PAGE);
	check_empty();
}

/* What is left of a granule is in the way of an exact place, and of no other. */
static void a_granule_may_be_shared_by_a_rest_and_a_new_region(void)
{
	size_t in_use = hm_metadata_in_use();

	enter(FAKE_BASE, UNIT);
	CHECK_HR(split(FAKE_BASE, FAKE_BASE + PAGE, FAKE_BASE + 5 * PAGE), S_OK);
	drop(FAKE_BASE + PAGE);
	drop(FAKE_BASE);
	CHECK_HR(enter_as(FAKE_BASE, PAGE, true, HM_REGION_LIVE), BAD_ADDRESS);
	/* The system may give the front of the unit to us all the same. */
	enter(FAKE_BASE, 2 * PAGE);
	enter(FAKE_BASE + 3 * PAGE, PAGE);
	CHECK_STR(hm_regions_check(), NULL);
	CHECK_SIZE(next(FAKE_BASE + 1), FAKE_BASE + 3 * PAGE);
	CHECK_SIZE(next(FAKE_BASE + 3 * PAGE + 1), FAKE_BASE + 5 * PAGE);
	drop(FAKE_BASE + 5 * PAGE);
	drop(FAKE_BASE);
	drop(FAKE_BASE + 3 * PAGE);
	check_empty();
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

static void a_version_never_goes_back(void)
{
	struct hm_region *region;
	uint64_t last = 0;

	for (unsigned i = 0; i < 50; i++) {
		enter(FAKE_BASE, UNIT);
		CHECK_HR(split(FAKE_BASE, FAKE_BASE + PAGE, 0), S_OK);
		region = record_at(FAKE_BASE);
		CHECK(hm_region_version(region) > last);
		last = hm_region_version(region);
		hm_region_set_phase(region, HM_REGION_LEAVING);
		CHECK(hm_region_version(region) > last);
		last = hm_region_version(region);
		hm_regions_remove(&(struct hm_region_ticket){
			region, last - (UINT64_C(1) << HM_INCARNATION_SHIFT) });
		CHECK_POINTER(record_at(FAKE_BASE), region);
		hm_regions_remove(&(struct hm_region_ticket){ region, last });
		CHECK_SIZE(found(FAKE_BASE), 0);
		drop(FAKE_BASE + PAGE);
	}
	check_empty();
}

static void without_memory_a_region_stays_whole(void)
{
	static const size_t had[] = { 0, 1, 2 };

	CHECK(hm_metadata_prepare());
	enter(FAKE_BASE, UNIT);
	for (size_t i = 0; i < ROWS(had); i++) {
		struct hoard hoard;
		size_t in_use;

		tap_row("%zu records to be had", had[i]);
		hoard_kind(&hoard, HM_METADATA_REGION, HM_NEED_TO_FREE);
		hoard_give(&hoard, HM_METADATA_REGION, had[i]);
		in_use = hm_metadata_in_use();
		CHECK_HR(split(FAKE_BASE, FAKE_BASE + PAGE, FAKE_BASE + 2 * PAGE),
			 had[i] == 2 ? S_OK : E_OUTOFMEMORY);
		CHECK_SIZE(found(FAKE_BASE + UNIT - 1),
			   FAKE_BASE + (had[i] == 2 ? 2 * PAGE : 0));
		CHECK_SIZE(hm_metadata_in_use(), in_use + (had[i] == 2 ? 128 : 0));
		CHECK_STR(hm_regions_check(), NULL);
		hoard_end(&hoard, HM_METADATA_REGION);
	}
	drop(FAKE_BASE);
	drop(FAKE_BASE + PAGE);
	drop(FAKE_BASE + 2 * PAGE);
	check_empty();
}

/* Of each page of a small space: the number of the first page of its region, plus 1. */
enum { PAGES = 96 }; /* six granules, three on either side of a block's border */

static uint8_t owner[PAGES];
static const uintptr_t space = FAKE_BASE + BLOCK - 3 * UNIT;

static size_t end_of(size_t page)
{
	size_t end = page;

	while (end < PAGES && owner[end] == owner[page])
		end++;
	return end;
}

static void check_space(void)
{
	uintptr_t last = 0;

	CHECK_STR(hm_regions_check(), NULL);
	for (size_t page = 0; page < PAGES && !tap_failed(); page++) {
		uintptr_t address = space + page * PAGE;
		uintptr_t want = owner[page] ? space + (owner[page] - 1U) * PAGE : 0;

		last = want != 0 ? want : last;
		CHECK_SIZE(found(address + 1), want);
		CHECK_SIZE(previous(address + 1), last);
	}
	last = 0;
	for (size_t page = PAGES; page-- > 0 && !tap_failed();) {
		uintptr_t address = space + page * PAGE;

		if (owner[page] == page + 1)
			last = address;
		CHECK_SIZE(next(address), last);
	}
}

static void fill_a_gap(uint64_t *state, size_t page)
{
	size_t end = page + 1 + random_below(state, end_of(page) - page);

	enter(space + page * PAGE, (end - page) * PAGE);
	memset(owner + page, (int)page + 1, end - page);
}

static void split_at(uint64_t *state, size_t page)
{
	size_t end = end_of(page), second = end;

	if (page + 1 < end && random_below(state, 2) == 0)
		second = page + 1 + random_below(state, end - page - 1);
	CHECK_HR(split(space + page * PAGE, space + page * PAGE,
		       second != end ? space + second * PAGE : 0),
		 S_OK);
	memset(owner + page, (int)page + 1, second - page);
	memset(owner + second, (int)second + 1, end - second);
}

static void take_out(size_t page)
{
	size_t first = owner[page] - 1U, end = end_of(page);

	drop(space + page * PAGE);
	memset(owner + first, 0, end - first);
}

static void random_splits_and_removals_agree_with_a_list(void)
{
	uint64_t state = 0xDEADBEEFCAFE;
	size_t in_use = hm_metadata_in_use();

	for (unsigned step = 0; step < 2000 && !tap_failed(); step++) {
		size_t page = random_below(&state, PAGES);

		tap_row("step %u, page %zu", step, page);
		if (owner[page] == 0)
			fill_a_gap(&state, page);
		else if (owner[page] != page + 1 && random_below(&state, 3) != 0)
			split_at(&state, page);
		else
			take_out(page);
		check_space();
	}
	for (size_t page = 0; page < PAGES; page++) {
		if (owner[page] != 0)
			take_out(page);
	}
	check_empty();
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

/* Odd while the last page of the space has a region. */
static _Atomic unsigned round_number, searches;
static _Atomic bool writer_done;

/* Cuts at random places; or gives the front up, page for page. */
static void cut_up(uint64_t *state, bool front)
{
	for (size_t i = 1; i < PAGES - 1; i++) {
		size_t page = front ? i : random_below(state, PAGES);

		if (owner[page] == page + 1)
			continue;
		if (!front) {
			split_at(state, page);
			continue;
		}
		CHECK_HR(split(space + page * PAGE, space + page * PAGE, 0), S_OK);
		memset(owner + page, (int)page + 1, PAGES - page);
		take_out(page - 1);
	}
}

static void *cut_again_and_again(void *front)
{
	uint64_t state = 4711;

	/* Until the reader has had enough time to be overtaken. */
	for (unsigned i = 0; i < 400 || (i < 3000 && searches < 100000); i++) {
		enter(space, PAGES * PAGE);
		memset(owner, 1, PAGES);
		atomic_fetch_add(&round_number, 1);
		cut_up(&state, *(bool *)front);
		atomic_fetch_add(&round_number, 1);
		for (size_t page = 0; page < PAGES; page++) {
			if (owner[page] != 0)
				take_out(page);
		}
	}
	atomic_store(&writer_done, true);
	return NULL;
}

static void read_while_the_writer_cuts(bool front)
{
	uint64_t state = 815;
	pthread_t writer;

	atomic_store(&writer_done, false);
	atomic_store(&searches, 0);
	if (!CHECK_INT(pthread_create(&writer, NULL, cut_again_and_again, &front), 0))
		return;
	while (!atomic_load(&writer_done)) {
		size_t offset = front ? PAGES * PAGE - 1
				      : random_below(&state, PAGES * PAGE);
		unsigned before = atomic_load(&round_number);
		struct hm_region_view view;
		bool there = hm_regions_find(space + offset, &view);

		if (before % 2 == 0 || atomic_load(&round_number) != before)
			continue;
		atomic_fetch_add(&searches, 1);
		if (!CHECK(there))
			continue;
		CHECK(view.base <= space + offset && space + offset < view.end);
		CHECK_INT(view.phase, HM_REGION_LIVE);
		CHECK_POINTER(view.host, host(0));
	}
	CHECK_INT(pthread_join(writer, NULL), 0);
	check_empty();
}

static void every_address_keeps_an_answer_while_regions_are_cut(void)
{
	read_while_the_writer_cuts(false);
}

static void what_stays_keeps_an_answer_while_the_front_is_given_up(void)
{
	read_while_the_writer_cuts(true);
}

int main(void)
{
	TAP_RUN(the_parts_of_a_region_are_found_each_by_itself);
	TAP_RUN(parts_keep_what_their_fields_say);
	TAP_RUN(a_granule_may_be_shared_by_a_rest_and_a_new_region);
	TAP_RUN(a_version_never_goes_back);
	TAP_RUN(without_memory_a_region_stays_whole);
	TAP_RUN(random_splits_and_removals_agree_with_a_list);
	TAP_RUN(every_address_keeps_an_answer_while_regions_are_cut);
	TAP_RUN(what_stays_keeps_an_answer_while_the_front_is_given_up);
	return tap_done();
}
