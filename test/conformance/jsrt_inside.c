/*
 * What callbacks of a runtime may do: read, change the limit, replace themselves, allocate
 * and free, collect; everything but dispose of the runtime.
 */
#include "jsrt.h"

/* ---- The memory callback ---- */

static void unregister(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	engine_set_callback(story->engine, NULL, NULL);
}

static void who_leaves_with_a_no_hears_no_failure(void)
{
	struct story story = { .refuse = true, .then = unregister };

	story_start(&story, &engine);
	CHECK_POINTER(engine_try(&engine, 4), NULL);
	CHECK_STORY(&story, "+4");
	CHECK_SIZE(engine_usage(&engine), 0);
}

static struct story successor;

static void hand_over(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	engine_set_callback(story->engine, &successor, story_event);
}

static void the_successor_hears_the_failure(void)
{
	struct story story = { .refuse = true, .then = hand_over };

	successor = (struct story){ .engine = &engine };
	story_start(&story, &engine);
	CHECK_POINTER(engine_try(&engine, 4), NULL);
	CHECK_STORY(&story, "+4");
	CHECK_STORY(&successor, "!4");
}

static size_t HOSTMEM_CALL give_nothing(void *state, size_t wanted)
{
	(void)state;
	(void)wanted;
	return 0;
}

static void unregister_at_a_failure(struct story *story, JsMemoryEventType event,
				    size_t size)
{
	if (event == JsMemoryFailure)
		unregister(story, event, size);
}

/* Between the failure of one attempt and the allocate event of the next one. */
static void who_leaves_at_a_failure_is_not_asked_again(void)
{
	struct story story = { .then = unregister_at_a_failure };
	void *base;

	CHECK_HR(IHostMemoryControl_SetReclaimer(engine.host.control, give_nothing, NULL),
		 S_OK);
	story_start(&story, &engine);
	engine_refuse_by_system(&engine, 1);
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "+4 !4");
	engine_free(&engine, base);
	CHECK_STORY(&story, "");
	CHECK_HR(IHostMemoryControl_SetReclaimer(engine.host.control, NULL, NULL), S_OK);
}

static void take_the_limit_away(struct story *story, JsMemoryEventType event, size_t size)
{
	if (event == JsMemoryAllocate)
		engine_set_limit(story->engine, size - PAGE);
}

/* The limit has been asked already. */
static void a_limit_set_inside_counts_from_the_next_request_on(void)
{
	struct story story = { .then = take_the_limit_away };
	void *base;

	story_start(&story, &engine);
	base = engine_commit(&engine, 4);
	CHECK_SIZE(engine_limit(&engine), 3 * PAGE);
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	CHECK_POINTER(engine_try(&engine, 1), NULL);
	CHECK_STORY(&story, "+4 !1");
	engine_free(&engine, base);
}

static void *kept;

static void allocate(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)size;
	if (event == JsMemoryAllocate)
		kept = engine_commit(story->engine, 7);
}

static void release(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)size;
	if (event == JsMemoryAllocate)
		engine_free(story->engine, kept);
}

/* Chakra would write 4 pages to its books, from a sum that it had made before. */
static void a_nested_request_is_charged_and_not_told(void)
{
	struct story story = { .then = allocate };
	void *base;

	story_start(&story, &engine);
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "+4");
	CHECK_SIZE(engine_usage(&engine), 11 * PAGE);
	engine_free(&engine, kept);
	engine_free(&engine, base);
}

static void a_nested_free_is_refunded_and_not_told(void)
{
	struct story story = { .then = release };
	void *base;

	kept = engine_commit(&engine, 7);
	story_start(&story, &engine);
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "+4");
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	engine_free(&engine, base);
}

static void allocate_in_vain(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)size;
	if (event == JsMemoryAllocate)
		CHECK_POINTER(engine_try(story->engine, 7), NULL);
}

/* The request that is asked about counts against the limit already. */
static void a_nested_request_may_be_refused(void)
{
	struct story story = { .then = allocate_in_vain };
	void *base;

	engine_set_limit(&engine, 10 * PAGE);
	story_start(&story, &engine);
	base = engine_commit(&engine, 4);
	CHECK_STORY(&story, "+4");
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	engine_free(&engine, base);
}

static JsErrorCode answer;

static void dispose(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	answer = JsDisposeRuntime(story->engine->runtime);
}

static void a_runtime_is_not_disposed_inside_its_memory_callback(void)
{
	struct story story = { .then = dispose };

	story_start(&story, &engine);
	answer = JsNoError;
	engine_free(&engine, engine_commit(&engine, 1));
	CHECK_JS(answer, JsErrorRuntimeInUse);
	CHECK_STORY(&story, "+1 -1");
}

static struct engine guest;

static void dispose_of_the_guest(struct story *story, JsMemoryEventType event,
				 size_t size)
{
	(void)size;
	if (event != JsMemoryAllocate)
		return;
	story_add(story, '(', 0);
	engine_end(&guest);
	story_add(story, ')', 0);
}

static void another_runtime_may_be_disposed_inside(void)
{
	struct story story = { .then = dispose_of_the_guest };
	struct story guests = { .refuse = false };

	if (!engine_start(&guest, JsRuntimeAttributeNone))
		return;
	CHECK(engine_commit(&guest, 2) != NULL);
	story_start(&guests, &guest);
	story_start(&story, &engine);
	engine_free(&engine, engine_commit(&engine, 1));
	CHECK_STORY(&story, "+1 (0 )0 -1");
	CHECK_STORY(&guests, "-2");
}

/* ---- Collections ---- */

struct collection {
	char text[64];
	JsRuntimeHandle runtime;
	void (*then)(struct collection *collection);
	void *garbage;
};

static void note(struct collection *collection, const char *text)
{
	size_t length = strlen(collection->text);

	snprintf(collection->text + length, sizeof(collection->text) - length, "%s",
		 text);
}

static void HOSTMEM_CALL before_collect(void *state)
{
	struct collection *collection = (struct collection *)state;

	note(collection, "b");
	if (collection->then != NULL)
		collection->then(collection);
}

static void HOSTMEM_CALL collect(void *state)
{
	struct collection *collection = (struct collection *)state;

	note(collection, "c");
	if (collection->garbage != NULL)
		engine_free(&engine, collection->garbage);
	collection->garbage = NULL;
	if (collection->then != NULL)
		collection->then(collection);
}

static void collection_start(struct collection *collection)
{
	collection->runtime = engine.runtime;
	CHECK_JS(JsSetRuntimeBeforeCollectCallback(engine.runtime, collection,
						   before_collect),
		 JsNoError);
	CHECK_HR(HostMemRuntimeSetCollector(engine.runtime, collect, collection), S_OK);
}

static void a_collection_is_announced_and_then_made(void)
{
	struct collection collection = { .garbage = engine_commit(&engine, 3) };
	struct story story = { .refuse = false };

	story_start(&story, &engine);
	collection_start(&collection);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_STR(collection.text, "bc");
	CHECK_STORY(&story, "-3");
	CHECK_JS(JsSetRuntimeBeforeCollectCallback(engine.runtime, NULL, NULL),
		 JsNoError);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_STR(collection.text, "bcc");
	CHECK_HR(HostMemRuntimeSetCollector(engine.runtime, NULL, NULL), S_OK);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_STR(collection.text, "bcc");
}

static void collect_again(struct collection *collection)
{
	CHECK_JS(JsCollectGarbage(collection->runtime), JsNoError);
}

static void a_collection_inside_a_collection_is_that_collection(void)
{
	struct collection collection = { .then = collect_again };

	collection_start(&collection);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_STR(collection.text, "bc");
}

static void collect_inside(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)size;
	if (event == JsMemoryAllocate)
		CHECK_JS(JsCollectGarbage(story->engine->runtime), JsNoError);
}

/* What it frees is refunded, and not told to the callback that asked for it. */
static void a_memory_callback_may_collect(void)
{
	struct collection collection = { .garbage = engine_commit(&engine, 3) };
	struct story story = { .then = collect_inside };
	void *base;

	collection_start(&collection);
	story_start(&story, &engine);
	base = engine_commit(&engine, 4);
	CHECK_STR(collection.text, "bc");
	CHECK_STORY(&story, "+4");
	CHECK_SIZE(engine_usage(&engine), 4 * PAGE);
	engine_free(&engine, base);
}

static void dispose_meanwhile(struct collection *collection)
{
	CHECK_JS(JsDisposeRuntime(collection->runtime), JsErrorRuntimeInUse);
}

static void a_runtime_is_not_disposed_inside_a_collection(void)
{
	struct collection collection = { .then = dispose_meanwhile };

	collection_start(&collection);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_STR(collection.text, "bc");
}

static void clear_both(struct collection *collection)
{
	CHECK_JS(JsSetRuntimeBeforeCollectCallback(collection->runtime, NULL, NULL),
		 JsNoError);
	CHECK_HR(HostMemRuntimeSetCollector(collection->runtime, NULL, NULL), S_OK);
}

static void who_clears_both_before_a_collection_has_cancelled_it(void)
{
	struct collection collection = { .then = clear_both };

	collection_start(&collection);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_STR(collection.text, "b");
}

int main(void)
{
	ENGINE_RUN(who_leaves_with_a_no_hears_no_failure);
	ENGINE_RUN(the_successor_hears_the_failure);
	ENGINE_RUN(who_leaves_at_a_failure_is_not_asked_again);
	ENGINE_RUN(a_limit_set_inside_counts_from_the_next_request_on);
	ENGINE_RUN(a_nested_request_is_charged_and_not_told);
	ENGINE_RUN(a_nested_free_is_refunded_and_not_told);
	ENGINE_RUN(a_nested_request_may_be_refused);
	ENGINE_RUN(a_runtime_is_not_disposed_inside_its_memory_callback);
	ENGINE_RUN(another_runtime_may_be_disposed_inside);
	ENGINE_RUN(a_collection_is_announced_and_then_made);
	ENGINE_RUN(a_collection_inside_a_collection_is_that_collection);
	ENGINE_RUN(a_memory_callback_may_collect);
	ENGINE_RUN(a_runtime_is_not_disposed_inside_a_collection);
	ENGINE_RUN(who_clears_both_before_a_collection_has_cancelled_it);
	return tap_done();
}
