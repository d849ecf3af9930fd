/*
 * Released regions that the system would not take back.
 */
#include "hostmem/parked.h"
#include "fake.h"
#include "hostmem/regions.h"

#define COUNT 5U

static struct fake_pages pages;
static int someone; /* stands for a host */

static uintptr_t base_of(unsigned i)
{
	return FAKE_BASE + i * 4 * UNIT;
}

/* A region that is leaving, as release.c makes one. */
static struct hm_region *leaving(unsigned i)
{
	struct hm_region_fields fields = {
		.host = (struct hm_host *)(void *)&someone,
		.base = base_of(i),
		.end = base_of(i) + (i + 1) * PAGE,
		.states = hm_states_uniform(0, HM_STATE_RESERVED),
		.phase = HM_REGION_LEAVING,
	};
	struct hm_region_ticket ticket;
	struct hm_region_view view = { .region = NULL };

	CHECK_HR(hm_regions_enter(&fields, false, &ticket), S_OK);
	CHECK(hm_regions_find(fields.base, &view));
	return view.region;
}

static unsigned left(void)
{
	struct hm_region_view view;
	unsigned count = 0;

	CHECK_STR(hm_regions_check(), NULL);
	for (uintptr_t at = FAKE_BASE; hm_regions_next(at, &view); at = view.base + PAGE)
		count++;
	return count;
}

static void start(unsigned count)
{
	fake_pages_init(&pages);
	for (unsigned i = 0; i < count; i++)
		hm_park(leaving(i));
	CHECK_U32(left(), count);
}

static void a_parked_region_stays_in_the_map_and_is_not_live(void)
{
	struct hm_region_view view;

	start(1);
	CHECK(hm_regions_find(base_of(0), &view));
	CHECK_INT(view.phase, HM_REGION_PARKED);
	CHECK(!hm_regions_units_in_use(base_of(0), base_of(0) + PAGE));
	hm_unpark(&pages.source);
	CHECK_U32(left(), 0);
}

static void where_nothing_is_parked_the_system_is_not_asked(void)
{
	fake_pages_init(&pages);
	hm_unpark(&pages.source);
	CHECK_U32(pages.calls[RELEASE], 0);
}

static void each_is_offered_once_with_its_own_range(void)
{
	start(1);
	hm_unpark(&pages.source);
	CHECK_U32(pages.calls[RELEASE], 1);
	CHECK_SIZE(pages.address, base_of(0));
	CHECK_SIZE(pages.size, PAGE);
	hm_unpark(&pages.source);
	CHECK_U32(pages.calls[RELEASE], 1);
	start(COUNT);
	hm_unpark(&pages.source);
	CHECK_U32(pages.calls[RELEASE], COUNT);
	CHECK_U32(left(), 0);
}

static void one_refusal_ends_the_round_and_loses_nothing(void)
{
	start(COUNT);
	pages.answer[RELEASE] = S_FALSE;
	for (unsigned i = 1; i <= 3; i++) {
		hm_unpark(&pages.source);
		CHECK_U32(pages.calls[RELEASE], i);
		CHECK_U32(left(), COUNT);
	}
	pages.answer[RELEASE] = S_OK;
	hm_unpark(&pages.source);
	CHECK_U32(pages.calls[RELEASE], 3 + COUNT);
	CHECK_U32(left(), 0);
}

/* In the system's call: whoever was given the addresses enters them. */
static void enter_there(void *state)
{
	struct hm_region_fields fields = {
		.host = (struct hm_host *)(void *)&someone,
		.base = pages.address,
		.end = pages.address + PAGE,
		.states = hm_states_uniform(0, 1),
		.phase = HM_REGION_LIVE,
	};
	struct hm_region_ticket ticket;

	pages.hook = NULL;
	CHECK_HR(hm_regions_enter(&fields, *(bool *)state, &ticket), S_OK);
}

static void addresses_may_have_a_new_owner_before_the_record_goes(void)
{
	static bool exact[] = { false, true };

	for (size_t i = 0; i < ROWS(exact); i++) {
		struct hm_region_view view = { .region = NULL };

		tap_row("exact %d", exact[i]);
		start(1);
		pages.hook = enter_there;
		pages.hook_state = &exact[i];
		hm_unpark(&pages.source);
		CHECK_U32(left(), 1);
		CHECK(hm_regions_find(base_of(0), &view));
		CHECK_INT(view.phase, HM_REGION_LIVE);
		hm_region_set_phase(view.region, HM_REGION_LEAVING);
		hm_regions_remove(&(struct hm_region_ticket){
			view.region, hm_region_version(view.region) });
		CHECK_U32(left(), 0);
	}
}

int main(void)
{
	TAP_RUN(a_parked_region_stays_in_the_map_and_is_not_live);
	TAP_RUN(where_nothing_is_parked_the_system_is_not_asked);
	TAP_RUN(each_is_offered_once_with_its_own_range);
	TAP_RUN(one_refusal_ends_the_round_and_loses_nothing);
	TAP_RUN(addresses_may_have_a_new_owner_before_the_record_goes);
	return tap_done();
}
