/*
 * Acquired and released mappings on their way through events and charge.
 */
#include "hostmem/mapping.h"
#include "fake.h"
#include "hostmem/os/size.h"

static struct fake_host fake;
static struct hm_host *host = &fake.host;
static struct listener ear;

static void start(void)
{
	memset(&ear, 0, sizeof(ear));
	fake_host_init(&fake);
	listen(host, &ear, ALL_EVENTS);
}

static void check_external(size_t bytes)
{
	HostMemUsage usage = fake_usage(&fake);

	CHECK_SIZE(usage.cbExternal, bytes);
	CHECK_SIZE(usage.cbCharged, bytes);
	CHECK_SIZE(host->budget.claimed, bytes);
	CHECK_SIZE(usage.cbCommitted + usage.cbReserved, 0);
}

/* The rule by which naive listeners add events up. */
static size_t sum_of_events(void)
{
	size_t sum = 0;

	for (unsigned i = 0; i < ear.count; i++) {
		if (ear.events[i].type == HostMemEventAllocate)
			sum += ear.events[i].size;
		else if (ear.events[i].type == HostMemEventFree ||
			 ear.events[i].announced)
			sum -= ear.events[i].size;
	}
	return sum;
}

static void a_mapping_is_charged_from_acquired_to_released(void)
{
	start();
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 100), S_OK);
	check_external(100);
	CHECK_EVENT(&ear, 0, HostMemEventAllocate, HostMemMapping, 100);
	CHECK_POINTER(ear.events[0].address, (void *)FAKE_BASE);
	CHECK_INT(ear.events[0].level, eTaskCritical);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE), S_OK);
	check_external(0);
	CHECK_EVENT(&ear, 1, HostMemEventFree, HostMemMapping, 100);
	CHECK_POINTER(ear.events[1].address, (void *)FAKE_BASE);
	CHECK(ear.events[1].request != ear.events[0].request);
	CHECK_U32(ear.count, 2);
	CHECK_SIZE(fake_usage(&fake).cbPeakCharged, 100);
	fake_host_end(&fake);
}

static void a_start_that_is_not_known_is_an_error_without_events(void)
{
	start();
	CHECK_HR(hm_mapping_released(host, FAKE_BASE), HOST_E_INVALIDOPERATION);
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 100), S_OK);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE + 1), HOST_E_INVALIDOPERATION);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE), S_OK);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE), HOST_E_INVALIDOPERATION);
	CHECK_U32(ear.count, 2);
	CHECK_HR(hm_host_check(host), S_OK);
	fake_host_end(&fake);
}

static void nothing_acquired_raises_no_event(void)
{
	start();
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 0), S_OK);
	check_external(0);
	CHECK_U32(ear.count, 0);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE), S_OK);
	CHECK_U32(ear.count, 0);
	fake_host_end(&fake);
}

static void a_size_counts_up_to_the_end_of_what_can_be_mapped(void)
{
	static const struct {
		uintptr_t start;
		size_t size, counted;
	} rows[] = {
		{ HM_SYSTEM_END - 100, 100, 100 },
		{ HM_SYSTEM_END - 100, 101, 100 },
		{ HM_SYSTEM_END - 100, SIZE_MAX, 100 },
		{ HM_SYSTEM_END, 1, 0 },
		{ UINTPTR_MAX, 1, 0 },
		{ UINTPTR_MAX, SIZE_MAX, 0 },
		{ 0, SIZE_MAX, HM_SYSTEM_END },
		{ 0, (size_t)1 << 63, HM_SYSTEM_END },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%zx + 0x%zx", (size_t)rows[i].start, rows[i].size);
		start();
		CHECK_HR(hm_mapping_acquired(host, rows[i].start, rows[i].size), S_OK);
		check_external(rows[i].counted);
		CHECK_SIZE(sum_of_events(), rows[i].counted);
		CHECK_HR(hm_mapping_released(host, rows[i].start), S_OK);
		check_external(0);
		CHECK_SIZE(sum_of_events(), 0);
		fake_host_end(&fake);
	}
}

static void what_is_displaced_is_freed_and_counted_once(void)
{
	static const struct {
		const char *name;
		uintptr_t offset;
		size_t size, displaced;
	} rows[] = {
		{ "the same start again", 0, 60, 100 },
		{ "the front", 0, 100, 100 },
		{ "the end", 50, 100, 50 },
		{ "the middle", 20, 30, 30 },
		{ "beside it", 100, 10, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t left = 100 - rows[i].displaced + rows[i].size;

		tap_row("%s", rows[i].name);
		start();
		CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 100), S_OK);
		CHECK_HR(hm_mapping_acquired(host, FAKE_BASE + rows[i].offset,
					     rows[i].size),
			 S_OK);
		check_external(left);
		CHECK_SIZE(sum_of_events(), left);
		CHECK_U32(ear.count, rows[i].displaced != 0 ? 3 : 2);
		CHECK_HR(hm_mapping_released(host, FAKE_BASE + rows[i].offset), S_OK);
		CHECK_HR(hm_mapping_released(host, FAKE_BASE),
			 rows[i].offset != 0 ? S_OK : HOST_E_INVALIDOPERATION);
		check_external(0);
		CHECK_SIZE(sum_of_events(), 0);
		fake_host_end(&fake);
	}
}

static void no_answer_and_no_limit_refuses_it(void)
{
	start();
	ear.refuse = 1;
	fake_limit(host, 10);
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 100), S_OK);
	check_external(100);
	CHECK_SIZE(fake_usage(&fake).cRefusedCallback, 0);
	CHECK_SIZE(fake_usage(&fake).cRefusedBudget, 0);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE), S_OK);
	check_external(0);
	fake_host_end(&fake);
}

static void without_memory_it_is_not_counted_and_the_event_is_taken_back(void)
{
	struct hoard hoard;

	start();
	hoard_size(&hoard, 32 * sizeof(struct hm_external_run));
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 100), S_OK);
	hoard_end_size(&hoard, 32 * sizeof(struct hm_external_run));
	check_external(0);
	CHECK_U32(ear.count, 2);
	CHECK_EVENT(&ear, 0, HostMemEventAllocate, HostMemMapping, 100);
	CHECK_EVENT(&ear, 1, HostMemEventFailure, HostMemMapping, 100);
	CHECK_INT(ear.events[1].announced, TRUE);
	CHECK_SIZE(ear.events[1].request, ear.events[0].request);
	CHECK_SIZE(fake_usage(&fake).cFailedOs, 1);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE), HOST_E_INVALIDOPERATION);
	fake_host_end(&fake);
}

static void release_inside(struct listener *listener, const HostMemEvent *event)
{
	listener->hook = NULL;
	if (event->type == HostMemEventAllocate)
		CHECK_HR(hm_mapping_released(host, FAKE_BASE), S_OK);
}

static void a_callback_may_release_another_mapping(void)
{
	start();
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 100), S_OK);
	ear.hook = release_inside;
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE + UNIT, 30), S_OK);
	check_external(30);
	CHECK_HR(hm_mapping_released(host, FAKE_BASE + UNIT), S_OK);
	fake_host_end(&fake);
}

static void a_host_that_ends_frees_what_is_left(void)
{
	start();
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE, 100), S_OK);
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE + 20, 10), S_OK);
	CHECK_HR(hm_mapping_acquired(host, FAKE_BASE + UNIT, 1000), S_OK);
	CHECK_SIZE(sum_of_events(), 1100);
	fake_host_end(&fake);
	CHECK_SIZE(sum_of_events(), 0);
	/* Three acquisitions, one of which displaced; three starts left. */
	CHECK_U32(ear.count, 7);
	CHECK(ear.events[5].request != ear.events[6].request);
	CHECK_SIZE(host->budget.claimed, 0);
}

int main(void)
{
	TAP_RUN(a_mapping_is_charged_from_acquired_to_released);
	TAP_RUN(a_start_that_is_not_known_is_an_error_without_events);
	TAP_RUN(nothing_acquired_raises_no_event);
	TAP_RUN(a_size_counts_up_to_the_end_of_what_can_be_mapped);
	TAP_RUN(what_is_displaced_is_freed_and_counted_once);
	TAP_RUN(no_answer_and_no_limit_refuses_it);
	TAP_RUN(without_memory_it_is_not_counted_and_the_event_is_taken_back);
	TAP_RUN(a_callback_may_release_another_mapping);
	TAP_RUN(a_host_that_ends_frees_what_is_left);
	return tap_done();
}
