/*
 * Requests that the host tries again, after the reclaimer, after a wait, or because less is
 * left to be asked for.  A memory callback knows no attempts: what it is told has to keep a
 * plain counter right, which adds on allocate and subtracts on free and on failure.
 */
#include "jsrt.h"

static void *hoard;

static size_t HOSTMEM_CALL give_up_the_hoard(void *state, size_t wanted)
{
	void *base = hoard;

	(void)wanted;
	hoard = NULL;
	if (base == NULL)
		return 0;
	engine_free((struct engine *)state, base);
	return 8 * PAGE;
}

static void reclaim_from(void *base)
{
	hoard = base;
	CHECK_HR(IHostMemoryControl_SetReclaimer(engine.host.control,
						 base != NULL ? give_up_the_hoard : NULL,
						 &engine),
		 S_OK);
}

static void a_second_attempt_is_shown_after_the_failure_of_the_first(void)
{
	struct story story = { .refuse = false };
	void *base;

	reclaim_from(engine_commit(&engine, 8));
	story_start(&story, &engine);
	engine_refuse_by_system(&engine, 1);
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "+4 -8 !4 +4");
	CHECK(story.sum == (int64_t)(4 * PAGE));
	reclaim_from(NULL);
	engine_free(&engine, base);
}

static void an_attempt_that_the_limit_refused_is_not_shown(void)
{
	struct story story = { .refuse = false };
	void *base;

	engine_set_limit(&engine, 10 * PAGE);
	reclaim_from(engine_commit(&engine, 8));
	story_start(&story, &engine);
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "-8 +4");
	/* Nothing is left to give back: one request, one failure. */
	CHECK_POINTER(engine_try(&engine, 8), NULL);
	CHECK_STORY(&story, "!8");
	reclaim_from(NULL);
	engine_free(&engine, base);
}

static size_t HOSTMEM_CALL lower_the_limit(void *state, size_t wanted)
{
	(void)wanted;
	engine_set_limit((struct engine *)state, PAGE);
	return 0;
}

/* The first attempt was told, the second was not: one failure takes back what was told. */
static void a_second_attempt_may_fail_at_the_limit(void)
{
	struct story story = { .refuse = false };

	story_start(&story, &engine);
	CHECK_HR(IHostMemoryControl_SetReclaimer(engine.host.control, lower_the_limit,
						 &engine),
		 S_OK);
	engine_refuse_by_system(&engine, 1);
	CHECK_POINTER(engine_try(&engine, 4), NULL);
	CHECK_STORY(&story, "+4 !4");
	CHECK(story.sum == 0);
	reclaim_from(NULL);
}

struct rival {
	bool lowers_the_limit;
};

/* A subscriber of the host that commits half of the pages, so that less is left to ask. */
static BOOL HOSTMEM_CALL commit_some_of_it(void *state, const HostMemEvent *event)
{
	const struct rival *rival = (const struct rival *)state;

	CHECK_HR(vm_commit(&engine.host, event->address, 2 * PAGE, PAGE_READONLY), S_OK);
	if (rival->lowers_the_limit)
		engine_set_limit(&engine, 2 * PAGE);
	return TRUE;
}

static void a_second_attempt_of_another_size_keeps_the_counter_right(void)
{
	/* What has been admitted stays admitted, whatever the limit is now. */
	static const struct rival rows[] = {
		{ .lowers_the_limit = false },
		{ .lowers_the_limit = true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct rival rival = rows[i];
		struct story story = { .refuse = false };
		void *base = vm_new(&engine.host, UNIT, MEM_RESERVE, PAGE_READWRITE);
		uint64_t cookie = 0;

		tap_row("row %zu", i);
		CHECK_HR(IHostMemoryControl_Subscribe(engine.host.control,
						      1U << HostMemEventAllocate,
						      commit_some_of_it, &rival, &cookie),
			 S_OK);
		story_start(&story, &engine);
		CHECK_HR(vm_commit(&engine.host, base, 4 * PAGE, PAGE_READWRITE), S_OK);
		CHECK_STORY(&story, "+4 +2 !4 +2");
		CHECK_SIZE((size_t)story.sum, 4 * PAGE);
		CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
		CHECK_HR(IHostMemoryControl_Unsubscribe(engine.host.control, cookie),
			 S_OK);
		engine_set_callback(&engine, NULL, NULL);
		engine_free(&engine, base);
	}
}

/* A second subscriber has said no: the first hears of it, and nobody is charged. */
static BOOL HOSTMEM_CALL say_no(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return FALSE;
}

static void the_veto_of_another_subscriber_is_a_failure(void)
{
	struct story story = { .refuse = false };
	uint64_t cookie = 0;

	CHECK_HR(IHostMemoryControl_Subscribe(engine.host.control,
					      1U << HostMemEventAllocate, say_no, NULL,
					      &cookie),
		 S_OK);
	story_start(&story, &engine);
	CHECK_POINTER(engine_try(&engine, 4), NULL);
	CHECK_STORY(&story, "+4 !4");
	CHECK_HR(IHostMemoryControl_Unsubscribe(engine.host.control, cookie), S_OK);
}

static void hear_of_a_wait_in_vain(const char *want)
{
	struct story story = { .refuse = false };
	void *out;

	story_start(&story, &engine);
	CHECK_HR(vm_alloc(&engine.host, NULL, 5 * PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 HOST_E_TIMEOUT);
	CHECK_STORY(&story, want);
	engine_set_callback(&engine, NULL, NULL);
}

/* However often it looked again meanwhile. */
static void a_request_that_waits_in_vain_is_one_failure(void)
{
	IHostMemorySimulator *simulator = engine_face(engine.runtime,
						      &IID_IHostMemorySimulator);
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	void *base = engine_commit(&engine, 4);

	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	budget.cbLimit = 8 * PAGE;
	budget.msWait[eTaskCritical] = 100;
	CHECK_HR(IHostMemoryControl_SetBudget(engine.host.control, &budget), S_OK);
	hear_of_a_wait_in_vain("!5");
	engine_change_flags(&engine, HOSTMEM_ANNOUNCE_ALWAYS);
	hear_of_a_wait_in_vain("+5 !5");
	IHostMemorySimulator_Release(simulator);
	engine_free(&engine, base);
}

/* ---- A plain counter against the usage ---- */

enum { SLOTS = 8 };

static size_t HOSTMEM_CALL give_up_a_slot(void *state, size_t wanted)
{
	void **slots = (void **)state;

	(void)wanted;
	for (size_t i = 0; i < SLOTS; i++) {
		if (slots[i] == NULL)
			continue;
		engine_free(&engine, slots[i]);
		slots[i] = NULL;
		return 1;
	}
	return 0;
}

static void refuse_every_seventh(struct story *story, JsMemoryEventType event,
				 size_t size)
{
	static unsigned calls;

	(void)size;
	story->text[0] = '\0';
	if (event == JsMemoryAllocate)
		story->refuse = ++calls % 7 == 0;
}

static size_t draw(uint64_t *random, size_t below)
{
	*random = *random * 6364136223846793005 + 1442695040888963407;
	return (size_t)(*random >> 33) % below;
}

/* Limits, vetoes, refusals of the system, second attempts: it is right after each step. */
static void a_plain_counter_is_the_usage_after_every_request(void)
{
	struct story story = { .then = refuse_every_seventh };
	void *slots[SLOTS] = { NULL };
	uint64_t random = 1;

	engine_change_flags(&engine, HOSTMEM_ANNOUNCE_ALWAYS);
	engine_set_limit(&engine, 40 * PAGE);
	CHECK_HR(IHostMemoryControl_SetReclaimer(engine.host.control, give_up_a_slot,
						 slots),
		 S_OK);
	story_start(&story, &engine);
	for (int step = 0; step < 3000; step++) {
		void **slot = &slots[draw(&random, SLOTS)];

		tap_row("step %d", step);
		if (draw(&random, 16) == 0)
			engine_refuse_by_system(&engine, 1);
		if (*slot == NULL) {
			*slot = engine_try(&engine, 1 + draw(&random, 16));
		} else {
			engine_free(&engine, *slot);
			*slot = NULL;
		}
		if (!CHECK_SIZE((size_t)story.sum, engine_usage(&engine)))
			break;
	}
	CHECK_HR(IHostMemoryControl_SetReclaimer(engine.host.control, NULL, NULL), S_OK);
	while (give_up_a_slot(slots, 0) != 0)
		;
	CHECK(story.sum == 0);
}

int main(void)
{
	ENGINE_RUN(a_second_attempt_is_shown_after_the_failure_of_the_first);
	ENGINE_RUN(an_attempt_that_the_limit_refused_is_not_shown);
	ENGINE_RUN(a_second_attempt_may_fail_at_the_limit);
	ENGINE_RUN(a_second_attempt_of_another_size_keeps_the_counter_right);
	ENGINE_RUN(the_veto_of_another_subscriber_is_a_failure);
	ENGINE_RUN(a_request_that_waits_in_vain_is_one_failure);
	ENGINE_RUN(a_plain_counter_is_the_usage_after_every_request);
	return tap_done();
}
