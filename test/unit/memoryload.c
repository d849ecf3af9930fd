/*
 * The tightest of several bounds.
 */
#include "hostmem/memoryload.h"
#include "fake.h"

static void the_fullest_and_the_one_with_the_fewest_left(void)
{
	static const struct {
		uint64_t limit, used;
		uint32_t per_cent; /* after this one, too */
		size_t available;
	} rows[] = {
		{ 1000, 0, 0, 1000 },
		{ 200, 50, 25, 150 },
		{ (uint64_t)1 << 40, (uint64_t)9 << 36, 56, 150 },
		{ 300, 140, 56, 150 },
		{ 100000, 99000, 99, 150 },
		{ 100000, 99999, 99, 1 },
		{ 4096, 4096, 100, 0 },
		{ 1, 0, 100, 0 },
	};
	struct hm_memory_load load = hm_memory_load_none();

	CHECK_U32(load.per_cent, 0);
	CHECK_SIZE(load.available, SIZE_MAX);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		hm_memory_load_add(&load, rows[i].limit, rows[i].used);
		CHECK_U32(load.per_cent, rows[i].per_cent);
		CHECK_SIZE(load.available, rows[i].available);
	}
}

static void no_figures_are_too_strange(void)
{
	static const uint64_t strange[] = { 0,
					    1,
					    99,
					    100,
					    (uint64_t)1 << 63,
					    UINT64_MAX / 100,
					    UINT64_MAX - 1,
					    UINT64_MAX };

	for (size_t i = 0; i < ROWS(strange); i++) {
		for (size_t j = 0; j < ROWS(strange); j++) {
			struct hm_memory_load load = hm_memory_load_none();

			tap_row("%zu of %zu", j, i);
			hm_memory_load_add(&load, strange[i], strange[j]);
			CHECK(load.per_cent <= 100);
			CHECK((load.per_cent == 100) >= (strange[j] >= strange[i]));
			CHECK_SIZE(load.available,
				   strange[j] < strange[i] ? strange[i] - strange[j] : 0);
		}
	}
}

static void the_own_budget_is_one_of_them(void)
{
	struct fake_host fake;
	struct hm_memory_load before, after;

	fake_host_init(&fake);
	before = hm_memory_load_now(&fake.host);
	CHECK(before.per_cent <= 100);
	fake_limit(&fake.host, 8 * PAGE);
	after = hm_memory_load_now(&fake.host);
	CHECK_SIZE(after.available, 8 * PAGE);
	atomic_store(&fake.host.budget.charged, 8 * PAGE - 1);
	after = hm_memory_load_now(&fake.host);
	CHECK_SIZE(after.available, 1);
	CHECK_U32(after.per_cent, 99);
	atomic_store(&fake.host.budget.charged, 0);
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(the_fullest_and_the_one_with_the_fewest_left);
	TAP_RUN(no_figures_are_too_strange);
	TAP_RUN(the_own_budget_is_one_of_them);
	return tap_done();
}
