/*
 * The mappings that are kept back: as many as are said are there, and gone when they are
 * used.  Each test has a child, in which nothing has been kept back yet.
 */
#include "hostmem/os/spare.h"
#include "stubborn.h"

#include <pthread.h>

enum { SPARE = 30 }; /* at least so many */

static size_t nothing; /* mappings of the process without them */

static bool keep(void)
{
	bool kept;

	errno = ERRNO;
	kept = hm_spare_keep();
	CHECK_INT(errno, ERRNO);
	return kept;
}

static bool use(void)
{
	bool used;

	errno = ERRNO;
	used = hm_spare_use();
	CHECK_INT(errno, ERRNO);
	return used;
}

static void count_first(void)
{
	nothing = smaps_count();
	nothing = smaps_count();
}

static void keep_and_use(void)
{
	count_first();
	CHECK(!use());
	CHECK_SIZE(smaps_count(), nothing);
	for (unsigned round = 0; round < 3; round++) {
		tap_row("round %u", round);
		CHECK(keep());
		CHECK(smaps_count() >= nothing + SPARE);
		CHECK(use());
		CHECK(smaps_count() <= nothing + 1);
		CHECK(!use());
	}
}

static void they_are_there_when_kept_and_gone_when_used(void)
{
	in_child(keep_and_use);
}

static void keep_again(void)
{
	CHECK(keep());
	stubborn_begin();
	CHECK(hm_spare_keep());
	CHECK_U32(stubborn.map.calls + stubborn.protect.calls, 0);
	stubborn_end();
}

static void what_is_kept_costs_no_call_to_keep(void)
{
	in_child(keep_again);
}

static void refuse_the_map(void)
{
	count_first();
	stubborn_begin();
	stubborn.map = (struct refusal){ .error = ENOMEM, .times = 2 };
	/* That must not be the reason why a small allocation fails. */
	CHECK(hm_spare_keep() && hm_spare_keep());
	CHECK_SIZE(smaps_count(), nothing);
	CHECK(!hm_spare_use());
	CHECK(hm_spare_keep());
	CHECK_U32(stubborn.map.calls, 3);
	stubborn_end();
	CHECK(smaps_count() >= nothing + SPARE);
}

static void without_addresses_there_are_none_and_work_goes_on(void)
{
	in_child(refuse_the_map);
}

/* They come back all or not at all, at whichever of them the kernel stops. */
static void refuse_to_split(void)
{
	unsigned splits;

	count_first();
	stubborn_begin();
	CHECK(hm_spare_keep());
	splits = stubborn.protect.calls;
	stubborn_end();
	CHECK(splits >= SPARE / 2);
	for (unsigned first = 0; first < splits; first++) {
		tap_row("after %u splits", first);
		CHECK(use());
		stubborn_begin();
		stubborn.protect = (struct refusal){ ENOMEM, first, .times = 1 };
		CHECK(!hm_spare_keep());
		CHECK(smaps_count() <= nothing + 1);
		CHECK(!hm_spare_use());
		CHECK(hm_spare_keep());
		stubborn_end();
		CHECK(smaps_count() >= nothing + SPARE);
	}
}

static void while_they_are_incomplete_nothing_is_handed_out(void)
{
	in_child(refuse_to_split);
}

static void refuse_the_first_split(void)
{
	stubborn_begin();
	stubborn.protect = (struct refusal){ .error = ENOMEM, .times = 1 };
	CHECK(!hm_spare_keep());
	CHECK(!hm_spare_use());
	CHECK(hm_spare_keep());
	CHECK_U32(stubborn.map.calls, 1);
	CHECK(hm_spare_use());
	stubborn_end();
}

static void the_first_time_is_no_exception(void)
{
	in_child(refuse_the_first_split);
}

static void refuse_to_merge(void)
{
	CHECK(keep());
	stubborn_begin();
	stubborn.protect = (struct refusal){ .error = ENOMEM, .times = 1 };
	CHECK(!hm_spare_use());
	CHECK(hm_spare_use());
	stubborn_end();
}

static void what_could_not_be_used_is_still_kept(void)
{
	in_child(refuse_to_merge);
}

static void *keep_and_use_at_random(void *seed)
{
	uint64_t random = (uintptr_t)seed;

	for (unsigned i = 0; i < 500; i++) {
		if (random_below(&random, 2) == 0)
			CHECK(hm_spare_keep());
		else
			(void)hm_spare_use();
	}
	return NULL;
}

static void several_threads(void)
{
	pthread_t threads[4];

	count_first();
	for (uintptr_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, keep_and_use_at_random,
				     (void *)(i + 1)) == 0);
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(keep());
	nothing = smaps_count();
	CHECK(use());
	/* One set of them, whoever was first. */
	CHECK(smaps_count() + SPARE <= nothing);
	CHECK(!use());
}

static void threads_share_one_set_and_do_not_wait(void)
{
	in_child(several_threads);
}

int main(void)
{
	TAP_RUN(they_are_there_when_kept_and_gone_when_used);
	TAP_RUN(what_is_kept_costs_no_call_to_keep);
	TAP_RUN(without_addresses_there_are_none_and_work_goes_on);
	TAP_RUN(while_they_are_incomplete_nothing_is_handed_out);
	TAP_RUN(the_first_time_is_no_exception);
	TAP_RUN(what_could_not_be_used_is_still_kept);
	TAP_RUN(threads_share_one_set_and_do_not_wait);
	return tap_done();
}
