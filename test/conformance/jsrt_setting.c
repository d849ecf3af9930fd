/*
 * Setting a memory callback while other threads allocate, while it runs, and after a fork.
 */
#include "jsrt_workers.h"

#include "child.h"

#include <sched.h>

/* The same counter through two callbacks: no event goes to nobody, none to both. */
static bool HOSTMEM_CALL count_event_too(void *state, JsMemoryEventType event,
					 size_t size)
{
	return count_event(state, event, size);
}

static void no_event_is_lost_while_the_callback_is_replaced(void)
{
	struct counter counter = { .refuse_every = 0 };
	struct worker workers[WORKERS];
	atomic_int stop;

	atomic_init(&stop, 0);
	engine_set_callback(&engine, &counter, count_event);
	workers_start(workers, WORKERS, &engine, &stop);
	/* On one processor the others may not have begun yet. */
	for (unsigned i = 0; i < ROUNDS || atomic_load(&counter.calls) < ROUNDS; i++)
		engine_set_callback(&engine, &counter,
				    i % 2 != 0 ? count_event : count_event_too);
	atomic_store(&stop, 1);
	workers_end(workers, WORKERS);
	CHECK(atomic_load(&counter.sum) == 0);
}

static atomic_uint looks;

struct guest {
	int kind; /* of the callback it belongs to */
	atomic_int set;
	atomic_int strays; /* calls while it was not set, or with the wrong callback */
};

static bool look(void *state, int kind)
{
	struct guest *guest = (struct guest *)state;

	atomic_fetch_add(&looks, 1);
	if (atomic_load(&guest->set) == 0 || guest->kind != kind)
		atomic_fetch_add(&guest->strays, 1);
	return true;
}

static bool HOSTMEM_CALL look_0(void *state, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	return look(state, 0);
}

static bool HOSTMEM_CALL look_1(void *state, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	return look(state, 1);
}

/* A callback never runs with the state of another one, nor after it was replaced. */
static void a_callback_and_its_state_come_and_go_together(void)
{
	struct guest guests[2] = { { .kind = 0 }, { .kind = 1 } };
	struct worker workers[WORKERS];
	atomic_int stop;

	atomic_init(&stop, 0);
	workers_start(workers, WORKERS, &engine, &stop);
	atomic_store(&looks, 0);
	for (unsigned i = 0; i < ROUNDS || atomic_load(&looks) < ROUNDS; i++) {
		struct guest *guest = &guests[i % 2];

		atomic_store(&guest->set, 1);
		engine_set_callback(&engine, guest, i % 2 != 0 ? look_1 : look_0);
		atomic_store(&guests[1 - i % 2].set, 0);
		if (i % 3 != 0)
			continue;
		engine_set_callback(&engine, NULL, NULL);
		atomic_store(&guest->set, 0);
	}
	atomic_store(&stop, 1);
	workers_end(workers, WORKERS);
	CHECK_INT(atomic_load(&guests[0].strays) + atomic_load(&guests[1].strays), 0);
}

/* Several that set, and callbacks that set as well. */
static bool HOSTMEM_CALL set_again(void *state, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	engine_set_callback((struct engine *)state, state, set_again);
	return true;
}

static void *set_and_clear(void *state)
{
	for (int i = 0; i < ROUNDS / 4; i++)
		engine_set_callback((struct engine *)state, state,
				    i % 3 != 0 ? set_again : NULL);
	return NULL;
}

static void anybody_may_set_at_any_time(void)
{
	struct worker workers[WORKERS];
	pthread_t setters[2];

	engine_set_callback(&engine, &engine, set_again);
	workers_start(workers, WORKERS, &engine, NULL);
	for (size_t i = 0; i < ROWS(setters); i++)
		CHECK(pthread_create(&setters[i], NULL, set_and_clear, &engine) == 0);
	for (size_t i = 0; i < ROWS(setters); i++)
		CHECK(pthread_join(setters[i], NULL) == 0);
	workers_end(workers, WORKERS);
}

/* ---- A callback that takes its time ---- */

struct visit {
	atomic_int inside, leaving, left;
};

static bool HOSTMEM_CALL stay(void *state, JsMemoryEventType event, size_t size)
{
	struct visit *visit = (struct visit *)state;

	(void)event;
	(void)size;
	atomic_store(&visit->inside, 1);
	while (atomic_load(&visit->leaving) == 0)
		sched_yield();
	/* Time for a setter that does not wait to come back too early. */
	for (int i = 0; i < 2000; i++)
		sched_yield();
	atomic_store(&visit->left, 1);
	return true;
}

static struct visit visit;

static void visit_start(struct worker *worker)
{
	atomic_store(&visit.inside, 0);
	atomic_store(&visit.leaving, 0);
	atomic_store(&visit.left, 0);
	engine_set_callback(&engine, &visit, stay);
	*worker = (struct worker){ .engine = &engine, .rounds = 1 };
	CHECK(pthread_create(&worker->thread, NULL, work, worker) == 0);
	while (atomic_load(&visit.inside) == 0)
		sched_yield();
}

static void setting_waits_for_the_call_under_way(void)
{
	struct worker worker;

	visit_start(&worker);
	atomic_store(&visit.leaving, 1);
	engine_set_callback(&engine, NULL, NULL);
	CHECK_INT(atomic_load(&visit.left), 1);
	workers_end(&worker, 1);
}

/* Nothing is locked meanwhile: others allocate, and ask. */
static void others_allocate_while_a_callback_takes_its_time(void)
{
	struct engine other;
	struct worker worker;

	visit_start(&worker);
	CHECK_SIZE(engine_usage(&engine), 0);
	engine_set_limit(&engine, MIB);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	if (engine_start(&other, JsRuntimeAttributeNone)) {
		engine_free(&other, engine_commit(&other, 1));
		engine_end(&other);
	}
	atomic_store(&visit.leaving, 1);
	workers_end(&worker, 1);
	engine_set_callback(&engine, NULL, NULL);
}

/* The other thread and its call are not in the child, and nobody waits for them. */
static void set_in_the_child(void)
{
	struct story story = { .refuse = false };

	engine_set_callback(&engine, NULL, NULL);
	story_start(&story, &engine);
	engine_free(&engine, engine_commit(&engine, 1));
	CHECK_STORY(&story, "+1 -1");
	CHECK_JS(JsDisposeRuntime(engine.runtime), JsNoError);
}

static void a_fork_leaves_the_calls_of_others_behind(void)
{
	struct worker worker;

	visit_start(&worker);
	in_child(set_in_the_child);
	atomic_store(&visit.leaving, 1);
	engine_set_callback(&engine, NULL, NULL);
	CHECK_INT(atomic_load(&visit.left), 1);
	workers_end(&worker, 1);
}

/* The call goes on in the child as well. */
static void leave_in_the_child(void)
{
	engine_set_callback(&engine, NULL, NULL);
	engine_set_callback(&engine, NULL, count_event);
	engine_set_callback(&engine, NULL, NULL);
	CHECK_JS(JsDisposeRuntime(engine.runtime), JsErrorRuntimeInUse);
}

static void fork_inside(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	story->then = NULL;
	in_child(leave_in_the_child);
}

/* In the child this thread is inside a callback that it replaces. */
static void a_fork_inside_a_callback_is_no_different(void)
{
	struct story story = { .then = fork_inside };

	story_start(&story, &engine);
	engine_free(&engine, engine_commit(&engine, 1));
	CHECK_STORY(&story, "+1 -1");
}

int main(void)
{
	ENGINE_RUN(no_event_is_lost_while_the_callback_is_replaced);
	ENGINE_RUN(a_callback_and_its_state_come_and_go_together);
	ENGINE_RUN(anybody_may_set_at_any_time);
	ENGINE_RUN(setting_waits_for_the_call_under_way);
	ENGINE_RUN(others_allocate_while_a_callback_takes_its_time);
	ENGINE_RUN(a_fork_leaves_the_calls_of_others_behind);
	ENGINE_RUN(a_fork_inside_a_callback_is_no_different);
	return tap_done();
}
