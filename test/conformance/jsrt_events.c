/*
 * What a memory callback is told, in which order, and what the books say meanwhile.
 *
 * There is a test for each situation in which Chakra's allocation policy can find itself,
 * but for these, which cannot occur here:
 *   - a sum that wraps: no request is larger than user space, and the charged bytes cannot
 *     come near the end of size_t;
 *   - a free that is larger than the usage: what is refunded was charged;
 *   - a request of 0 bytes that is refused: what charges nothing is nobody's business.
 *
 * The texts are those of struct story: "+4 !4" is an allocate event of four pages and a
 * failure event of four pages.
 */
#include "jsrt.h"

static void a_grant_is_told_before_and_not_yet_in_the_usage(void)
{
	struct story story = { .refuse = false };
	void *base;

	story_start(&story, &engine);
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "+4");
	CHECK_SIZE(story.usage, 0);
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	engine_free(&engine, base);
}

static void a_free_is_told_after_the_fact(void)
{
	struct story story = { .refuse = false };
	void *base = engine_commit(&engine, 4);

	story_start(&story, &engine);
	engine_free(&engine, base);
	CHECK_STORY(&story, "-4");
	CHECK_SIZE(story.usage, 0);
	CHECK(story.sum == 0);
}

static void a_veto_is_told_as_a_failure_of_the_same_size(void)
{
	struct story story = { .refuse = true };

	story_start(&story, &engine);
	/* Not remembered: the next is asked again. */
	for (int i = 0; i < 2; i++) {
		CHECK_POINTER(engine_try(&engine, 4), NULL);
		CHECK_STORY(&story, "+4 !4");
		CHECK_SIZE(engine_usage(&engine), 0);
	}
	CHECK(story.sum == 0);
}

/* The answer "no" of a free or a failure is not looked at. */
static void only_the_answer_to_an_allocate_event_counts(void)
{
	struct story story = { .refuse = true };
	void *base = engine_commit(&engine, 4);

	story_start(&story, &engine);
	engine_free(&engine, base);
	CHECK_STORY(&story, "-4");
	CHECK_SIZE(engine_usage(&engine), 0);
}

static void the_limit_refuses_with_a_failure_alone(void)
{
	struct story story = { .refuse = false };
	void *base;

	engine_set_limit(&engine, 4 * PAGE);
	story_start(&story, &engine);
	CHECK_POINTER(engine_try(&engine, 5), NULL);
	CHECK_STORY(&story, "!5");
	/* It may be reached. */
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "+4");
	CHECK_POINTER(engine_try(&engine, 1), NULL);
	CHECK_STORY(&story, "!1");
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	engine_free(&engine, base);
}

static void the_limit_refuses_also_if_nobody_listens(void)
{
	engine_set_limit(&engine, 4 * PAGE);
	CHECK_POINTER(engine_try(&engine, 5), NULL);
	CHECK_SIZE(engine_usage(&engine), 0);
}

static void the_limit_is_asked_before_the_callback(void)
{
	struct story story = { .refuse = true };

	engine_set_limit(&engine, 4 * PAGE);
	story_start(&story, &engine);
	CHECK_POINTER(engine_try(&engine, 5), NULL);
	CHECK_STORY(&story, "!5");
}

static void a_refusal_of_the_system_is_told_when_the_charge_is_undone(void)
{
	struct story story = { .refuse = false };

	story_start(&story, &engine);
	engine_refuse_by_system(&engine, 1);
	CHECK_POINTER(engine_try(&engine, 4), NULL);
	CHECK_STORY(&story, "+4 !4");
	CHECK_SIZE(story.usage, 0);
	CHECK(story.sum == 0);
	/* A real one: more than any machine has. */
	CHECK_POINTER(engine_try(&engine, (USER_END - UNIT) / PAGE), NULL);
	CHECK_STORY(&story, "+34359738336 !34359738336");
	CHECK(story.sum == 0);
}

/* Chakra lets its un-refusable requests pass the limit untold; here all is told. */
static void a_mapping_is_told_and_cannot_be_refused(void)
{
	struct story story = { .refuse = true };
	void *start = at(NULL, 0x20000000);

	engine_set_limit(&engine, PAGE);
	story_start(&story, &engine);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(engine.host.manager,
								start, 4 * PAGE),
		 S_OK);
	CHECK_STORY(&story, "+4");
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(engine.host.manager,
								start),
		 S_OK);
	CHECK_STORY(&story, "-4");
	CHECK(story.sum == 0);
}

/* Also where the usage is beyond the limit. */
static void what_charges_nothing_is_granted_and_not_told(void)
{
	struct story story = { .refuse = true };
	void *base = engine_commit(&engine, 4);

	for (size_t limit = 0; limit <= 4 * PAGE; limit += 4 * PAGE) {
		tap_row("limit %zu", limit);
		engine_set_limit(&engine, limit);
		story_start(&story, &engine);
		CHECK_HR(vm_commit(&engine.host, base, 4 * PAGE, PAGE_READWRITE), S_OK);
		CHECK_STORY(&story, "");
	}
	engine_set_callback(&engine, NULL, NULL);
	engine_free(&engine, base);
}

static void a_limit_below_the_usage_only_stops_what_comes(void)
{
	struct story story = { .refuse = false };
	void *base = engine_commit(&engine, 4);

	story_start(&story, &engine);
	engine_set_limit(&engine, 2 * PAGE);
	CHECK_STORY(&story, "");
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	CHECK_POINTER(engine_try(&engine, 1), NULL);
	CHECK_STORY(&story, "!1");
	CHECK_HR(vm_free(&engine.host, base, 3 * PAGE, MEM_DECOMMIT), S_OK);
	CHECK_STORY(&story, "-3");
	CHECK_HR(vm_commit(&engine.host, base, PAGE, PAGE_READWRITE), S_OK);
	CHECK_STORY(&story, "+1");
	engine_free(&engine, base);
	CHECK_STORY(&story, "-2");
}

static void a_limit_of_0_refuses_all_that_is_charged(void)
{
	struct story story = { .refuse = false };
	void *base;

	engine_set_limit(&engine, 0);
	story_start(&story, &engine);
	CHECK_POINTER(engine_try(&engine, 1), NULL);
	CHECK_STORY(&story, "!1");
	base = vm_new(&engine.host, UNIT, MEM_RESERVE, PAGE_NOACCESS);
	CHECK_STORY(&story, "");
	engine_free(&engine, base);
}

/* Addresses are free of charge, so there is nothing to announce, but somebody is short. */
static void a_reservation_that_fails_is_a_failure_of_0_bytes(void)
{
	struct story story = { .refuse = false };
	void *out;

	story_start(&story, &engine);
	for (uint32_t flags = 0; flags <= HOSTMEM_ANNOUNCE_ALWAYS;
	     flags += HOSTMEM_ANNOUNCE_ALWAYS) {
		engine_change_flags(&engine, flags);
		CHECK_HR(vm_alloc(&engine.host, NULL, USER_END - UNIT, MEM_RESERVE,
				  PAGE_READWRITE, &out),
			 E_OUTOFMEMORY);
		CHECK_STORY(&story, "!0");
	}
}

static void announce_always_lets_a_plain_counter_balance(void)
{
	struct story story = { .refuse = false };

	engine_change_flags(&engine, HOSTMEM_ANNOUNCE_ALWAYS);
	engine_set_limit(&engine, 4 * PAGE);
	story_start(&story, &engine);
	CHECK_POINTER(engine_try(&engine, 5), NULL);
	CHECK_STORY(&story, "+5 !5");
	CHECK(story.sum == 0);
	/* What is not asked for is not refused: there is one failure. */
	story.refuse = true;
	CHECK_POINTER(engine_try(&engine, 5), NULL);
	CHECK_STORY(&story, "+5 !5");
	CHECK_POINTER(engine_try(&engine, 4), NULL);
	CHECK_STORY(&story, "+4 !4");
	CHECK(story.sum == 0);
}

int main(void)
{
	ENGINE_RUN(a_grant_is_told_before_and_not_yet_in_the_usage);
	ENGINE_RUN(a_free_is_told_after_the_fact);
	ENGINE_RUN(a_veto_is_told_as_a_failure_of_the_same_size);
	ENGINE_RUN(only_the_answer_to_an_allocate_event_counts);
	ENGINE_RUN(the_limit_refuses_with_a_failure_alone);
	ENGINE_RUN(the_limit_refuses_also_if_nobody_listens);
	ENGINE_RUN(the_limit_is_asked_before_the_callback);
	ENGINE_RUN(a_refusal_of_the_system_is_told_when_the_charge_is_undone);
	ENGINE_RUN(a_mapping_is_told_and_cannot_be_refused);
	ENGINE_RUN(what_charges_nothing_is_granted_and_not_told);
	ENGINE_RUN(a_limit_below_the_usage_only_stops_what_comes);
	ENGINE_RUN(a_limit_of_0_refuses_all_that_is_charged);
	ENGINE_RUN(a_reservation_that_fails_is_a_failure_of_0_bytes);
	ENGINE_RUN(announce_always_lets_a_plain_counter_balance);
	return tap_done();
}
