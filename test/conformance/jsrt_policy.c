/*
 * What Chakra's own tests ask of a memory policy, without a script engine: the engine here
 * allocates through the host of its runtime until it is refused, collects, and tries once
 * more, as Chakra's does, before it gives up.
 *
 * Left out are those that are about an engine's stack or about scripts.
 */
#include "jsrt.h"

#define CAP (10 * MIB)

/* Segments of the engine's heap, a list through their first words. */
struct heap {
	const struct engine *engine;
	void *first;
	void *garbage; /* what a collection gives back */
	size_t pages;  /* of a segment */
	unsigned collections;
};

static void free_list(const struct engine *self, void **list)
{
	while (*list != NULL) {
		void *next = *(void **)*list;

		engine_free(self, *list);
		*list = next;
	}
}

static void HOSTMEM_CALL collect(void *state)
{
	struct heap *heap = (struct heap *)state;

	heap->collections++;
	free_list(heap->engine, &heap->garbage);
}

static void heap_start(struct heap *heap, const struct engine *self, size_t pages)
{
	*heap = (struct heap){ .engine = self, .pages = pages };
	CHECK_HR(HostMemRuntimeSetCollector(self->runtime, collect, heap), S_OK);
}

/* One more segment; false after a collection did not help. */
static bool heap_grow(struct heap *heap)
{
	void **segment = engine_try(heap->engine, heap->pages);

	if (segment == NULL) {
		CHECK_JS(JsCollectGarbage(heap->engine->runtime), JsNoError);
		segment = engine_try(heap->engine, heap->pages);
	}
	if (segment == NULL)
		return false;
	*segment = heap->first;
	heap->first = segment;
	return true;
}

/* Everything the program has built is garbage now. */
static void heap_drop(struct heap *heap)
{
	void **last = &heap->first;

	while (*last != NULL)
		last = (void **)*last;
	*last = heap->garbage;
	heap->garbage = heap->first;
	heap->first = NULL;
}

static void heap_end(struct heap *heap)
{
	heap_drop(heap);
	CHECK_JS(JsCollectGarbage(heap->engine->runtime), JsNoError);
}

/* The frame of the first three tests: both sets of attributes, the limit before and after,
 * and the same program again with a higher limit, in the same runtime. */
static void with_limit(bool (*program)(struct heap *heap), bool ends)
{
	static const JsRuntimeAttributes attributes[] = {
		JsRuntimeAttributeDisableFatalOnOOM,
		(JsRuntimeAttributes)(JsRuntimeAttributeDisableFatalOnOOM |
				      JsRuntimeAttributeDisableBackgroundWork),
	};

	for (size_t i = 0; i < ROWS(attributes); i++) {
		struct engine self;
		struct heap heap;

		tap_row("attributes 0x%x", (unsigned)attributes[i]);
		if (!engine_start(&self, attributes[i]))
			return;
		engine_set_limit(&self, CAP);
		CHECK_SIZE(engine_limit(&self), CAP);
		CHECK(engine_usage(&self) < CAP);
		heap_start(&heap, &self, 32);
		CHECK(!program(&heap));
		CHECK_SIZE(engine_limit(&self), CAP);
		CHECK(engine_usage(&self) <= CAP);
		heap_end(&heap);
		CHECK_SIZE(engine_usage(&self), 0);
		if (ends) {
			engine_set_limit(&self, UINT32_MAX);
			CHECK(program(&heap));
			CHECK(engine_usage(&self) > CAP);
			heap_end(&heap);
		}
		engine_end(&self);
	}
}

static bool link_objects_without_end(struct heap *heap)
{
	while (heap_grow(heap))
		;
	return false;
}

static void unbounded_memory(void)
{
	with_limit(link_objects_without_end, false);
}

/* Five million numbers. */
static bool fill_an_array(struct heap *heap)
{
	for (size_t bytes = 0; bytes < 5100000 * sizeof(double);
	     bytes += heap->pages * PAGE) {
		if (!heap_grow(heap))
			return false;
	}
	return true;
}

static void array_of_numbers(void)
{
	with_limit(fill_an_array, true);
}

/* One request that is refused as a whole; nothing of it is charged. */
static bool make_one_buffer_of_a_gigabyte(struct heap *heap)
{
	size_t before = engine_usage(heap->engine);

	heap->pages = 1024 * MIB / PAGE;
	if (heap_grow(heap))
		return true;
	CHECK_SIZE(engine_usage(heap->engine), before);
	return false;
}

static void array_buffer(void)
{
	with_limit(make_one_buffer_of_a_gigabyte, true);
}

/* The engine collects between two requests; with garbage the second one is granted. */
static void a_collection_makes_room(void)
{
	struct heap heap;

	engine_set_limit(&engine, CAP);
	heap_start(&heap, &engine, 32);
	CHECK(!link_objects_without_end(&heap));
	heap_drop(&heap);
	CHECK(heap_grow(&heap));
	CHECK_U32(heap.collections, 2);
	CHECK_SIZE(engine_usage(&engine), 32 * PAGE);
	heap_end(&heap);
}

/* ---- A callback with a cap of its own, as in those tests ---- */

struct cap {
	size_t sum;
	unsigned refused;
};

static bool HOSTMEM_CALL cap_event(void *state, JsMemoryEventType event, size_t size)
{
	struct cap *cap = (struct cap *)state;

	if (!CHECK(cap != NULL))
		return false;
	if (event == JsMemoryAllocate) {
		cap->sum += size;
		cap->refused += cap->sum > CAP;
		return cap->sum <= CAP;
	}
	CHECK(event == JsMemoryFree || event == JsMemoryFailure);
	CHECK(cap->sum >= size);
	cap->sum -= size;
	return true;
}

/* Limit and callback are independent, in every order. */
static void negative_test(void)
{
	static const JsRuntimeAttributes attributes[] = {
		JsRuntimeAttributeNone,
		JsRuntimeAttributeDisableBackgroundWork,
	};

	for (size_t i = 0; i < ROWS(attributes); i++) {
		struct cap cap = { .sum = 0 };
		struct engine self;

		tap_row("attributes 0x%x", (unsigned)attributes[i]);
		if (!engine_start(&self, attributes[i]))
			return;
		engine_set_callback(&self, &cap, cap_event);
		engine_set_limit(&self, CAP);
		engine_set_callback(&self, NULL, NULL);
		engine_set_limit(&self, CAP);
		engine_set_callback(&self, &cap, cap_event);
		engine_set_limit(&self, SIZE_MAX);
		engine_set_callback(&self, &cap, cap_event);
		engine_end(&self);
	}
}

/* A thousand contexts of 16 pages; garbage is given back in time. */
static void context_leak(void)
{
	const JsRuntimeAttributes attributes =
		(JsRuntimeAttributes)(JsRuntimeAttributeAllowScriptInterrupt |
				      JsRuntimeAttributeDisableEval |
				      JsRuntimeAttributeDisableNativeCodeGeneration);
	struct cap cap = { .sum = 0 };
	struct engine self;
	struct heap heap;

	if (!engine_start(&self, attributes))
		return;
	engine_set_callback(&self, &cap, cap_event);
	heap_start(&heap, &self, 16);
	for (int i = 0; i < 1000; i++) {
		tap_row("context %d", i);
		CHECK(heap_grow(&heap));
		heap_drop(&heap);
		if (i % 100 == 0)
			CHECK_JS(JsCollectGarbage(self.runtime), JsNoError);
	}
	CHECK_U32(cap.refused, 0);
	heap_end(&heap);
	CHECK_SIZE(cap.sum, 0);
	engine_end(&self);
}

/* The callback comes when something is in use already, and begins with that. */
static void memory_callback_test(void)
{
	struct cap cap = { .sum = 0 };
	struct heap heap;

	heap_start(&heap, &engine, 32);
	CHECK(heap_grow(&heap));
	engine_set_callback(&engine, &cap, cap_event);
	CHECK_JS(JsGetRuntimeMemoryUsage(engine.runtime, &cap.sum), JsNoError);
	CHECK_SIZE(cap.sum, 32 * PAGE);
	CHECK(!link_objects_without_end(&heap));
	CHECK_U32(cap.refused, 2);
	CHECK_SIZE(cap.sum, CAP);
	CHECK_SIZE(engine_usage(&engine), CAP);
	heap_end(&heap);
	CHECK_SIZE(cap.sum, 0);
}

int main(void)
{
	TAP_RUN(unbounded_memory);
	TAP_RUN(array_of_numbers);
	TAP_RUN(array_buffer);
	ENGINE_RUN(a_collection_makes_room);
	TAP_RUN(negative_test);
	TAP_RUN(context_leak);
	ENGINE_RUN(memory_callback_test);
	return tap_done();
}
