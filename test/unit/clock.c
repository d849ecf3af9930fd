/*
 * Virtual and monotonic time: neither goes back, and one takes over where the other stood.
 */
#include "hostmem/clock.h"
#include "tap.h"

static void monotonic_time_goes_on_by_itself(void)
{
	struct hm_clock clock = { 0 };
	uint64_t before = hm_clock_now(&clock);

	while (hm_clock_now(&clock) < before + 20)
		;
	CHECK(!hm_clock_is_virtual(&clock));
}

static void virtual_time_begins_at_the_time_that_was_and_stands_still(void)
{
	struct hm_clock clock = { 0 }, other = { 0 };
	uint64_t before = hm_clock_now(&clock), then;

	CHECK(hm_clock_set_virtual(&clock, true));
	CHECK(!hm_clock_set_virtual(&clock, true));
	then = hm_clock_now(&clock);
	CHECK(then >= before);
	while (hm_clock_now(&other) < before + 20)
		;
	CHECK_SIZE(hm_clock_now(&clock), then);
	hm_clock_move(&clock, UINT32_MAX);
	CHECK_SIZE(hm_clock_now(&clock), then + UINT32_MAX);
	hm_clock_move(&clock, 0);
	CHECK_SIZE(hm_clock_now(&clock), then + UINT32_MAX);
}

static void time_never_goes_back(void)
{
	struct hm_clock clock = { 0 };
	uint64_t then;

	CHECK(!hm_clock_set_virtual(&clock, false));
	CHECK(hm_clock_set_virtual(&clock, true));
	hm_clock_move(&clock, 1000000);
	then = hm_clock_now(&clock);
	CHECK(hm_clock_set_virtual(&clock, false));
	CHECK(hm_clock_now(&clock) >= then);
	CHECK(hm_clock_now(&clock) < then + 1000000);
	CHECK(hm_clock_set_virtual(&clock, true));
	CHECK(hm_clock_now(&clock) >= then);
	hm_clock_move(&clock, UINT64_MAX);
	CHECK_SIZE(hm_clock_now(&clock), UINT64_MAX);
}

int main(void)
{
	TAP_RUN(monotonic_time_goes_on_by_itself);
	TAP_RUN(virtual_time_begins_at_the_time_that_was_and_stands_still);
	TAP_RUN(time_never_goes_back);
	return tap_done();
}
