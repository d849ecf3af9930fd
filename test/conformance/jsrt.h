/*
 * What the tests of the JSRT-like functions share: a runtime with the faces of its host,
 * through which the test allocates as an engine would, and a memory callback that writes
 * down what it is told.
 */
#ifndef HOSTMEM_CONFORMANCE_JSRT_H
#define HOSTMEM_CONFORMANCE_JSRT_H

#include "host.h"

#include "abi/jsrt.h"

#include <stdatomic.h>

#define MIB ((size_t)1 << 20)

#define CHECK_JS(got, want) \
	tap_check_u32((uint32_t)(got), (uint32_t)(want), #got, __FILE__, __LINE__)

struct engine {
	JsRuntimeHandle runtime;
	struct host host;
};

static inline void *engine_face(JsRuntimeHandle runtime, REFIID riid)
{
	void *face = NULL;

	CHECK_HR(HostMemRuntimeGetHost(runtime, riid, &face), S_OK);
	return face;
}

static inline bool engine_start(struct engine *self, JsRuntimeAttributes attributes)
{
	JsRuntimeHandle runtime = POISON;

	if (!CHECK_JS(JsCreateRuntime(attributes, NULL, &runtime), JsNoError))
		return false;
	self->runtime = runtime;
	self->host.manager = engine_face(runtime, &IID_IHostMemoryManager);
	self->host.control = engine_face(runtime, &IID_IHostMemoryControl);
	self->host.pages = engine_face(runtime, &IID_IHostMemoryPages);
	return self->host.manager != NULL && self->host.control != NULL &&
	       self->host.pages != NULL;
}

/* From here on only the runtime itself holds the host. */
static inline void engine_let_go(struct engine *self)
{
	IHostMemoryPages_Release(self->host.pages);
	IHostMemoryControl_Release(self->host.control);
	CHECK_U32(IHostMemoryManager_Release(self->host.manager), 1);
}

static inline void engine_end(struct engine *self)
{
	engine_let_go(self);
	CHECK_JS(JsDisposeRuntime(self->runtime), JsNoError);
}

/* The one that a test begins with, if it is run by ENGINE_RUN, and in which it leaves
 * nothing. */
static struct engine engine;
static void (*engine_test)(void);

static inline size_t engine_usage(const struct engine *self)
{
	size_t usage = POISON_SIZE;

	CHECK_JS(JsGetRuntimeMemoryUsage(self->runtime, &usage), JsNoError);
	return usage;
}

static inline size_t engine_limit(const struct engine *self)
{
	size_t limit = POISON_SIZE;

	CHECK_JS(JsGetRuntimeMemoryLimit(self->runtime, &limit), JsNoError);
	return limit;
}

static inline void engine_set_limit(const struct engine *self, size_t limit)
{
	CHECK_JS(JsSetRuntimeMemoryLimit(self->runtime, limit), JsNoError);
}

static inline void engine_set_callback(const struct engine *self, void *state,
				       JsMemoryAllocationCallback callback)
{
	CHECK_JS(JsSetRuntimeMemoryAllocationCallback(self->runtime, state, callback),
		 JsNoError);
}

/* Committed pages; NULL if they were refused. */
static inline void *engine_try(const struct engine *self, size_t pages)
{
	void *base;
	HRESULT hr = vm_alloc(&self->host, NULL, pages * PAGE, MEM_COMMIT, PAGE_READWRITE,
			      &base);

	CHECK(hr == S_OK || hr == E_OUTOFMEMORY);
	return base;
}

static inline void *engine_commit(const struct engine *self, size_t pages)
{
	return vm_new(&self->host, pages * PAGE, MEM_COMMIT, PAGE_READWRITE);
}

static inline void engine_free(const struct engine *self, void *base)
{
	CHECK_HR(vm_release(&self->host, base), S_OK);
}

static inline void engine_change_flags(const struct engine *self, uint32_t flags)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	CHECK_HR(IHostMemoryControl_GetBudget(self->host.control, &budget), S_OK);
	budget.dwFlags = flags;
	CHECK_HR(IHostMemoryControl_SetBudget(self->host.control, &budget), S_OK);
}

/* The next request, or each if `count` is 0, is refused as if by the system. */
static inline uint64_t engine_refuse_by_system(const struct engine *self, uint64_t count)
{
	IHostMemorySimulator *simulator = engine_face(self->runtime,
						      &IID_IHostMemorySimulator);
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookie = 0;

	fault.place = HOSTMEM_FAULT_SYSTEM;
	fault.count = count;
	CHECK_HR(IHostMemorySimulator_AddFault(simulator, &fault, &cookie), S_OK);
	IHostMemorySimulator_Release(simulator);
	return cookie;
}

static inline void engine_run(void)
{
	if (!engine_start(&engine, JsRuntimeAttributeNone))
		return;
	engine_test();
	engine_set_callback(&engine, NULL, NULL);
	CHECK_SIZE(engine_usage(&engine), 0);
	engine_end(&engine);
}

#define ENGINE_RUN(test) (engine_test = (test), tap_run(#test, engine_run))

/* ---- A memory callback with a memory ---- */

enum { STORY_TEXT = 200 };

struct story {
	const struct engine *engine;
	char text[STORY_TEXT]; /* "+4 -4 !4": allocated, freed, failed; pages */
	int64_t sum;           /* of a plain counter */
	size_t usage;          /* as seen inside the last call */
	bool refuse;
	void (*then)(struct story *story, JsMemoryEventType event, size_t size);
};

static inline void story_add(struct story *story, char sign, size_t size)
{
	size_t length = strlen(story->text);

	CHECK(length < STORY_TEXT - 32);
	snprintf(story->text + length, STORY_TEXT - length, "%s%c%zu",
		 length != 0 ? " " : "", sign, size / PAGE);
}

static inline bool HOSTMEM_CALL story_event(void *state, JsMemoryEventType event,
					    size_t size)
{
	static const char signs[] = { '+', '-', '!' };
	struct story *story = (struct story *)state;

	CHECK_SIZE(size % PAGE, 0);
	CHECK((unsigned)event <= JsMemoryFailure);
	story_add(story, signs[event], size);
	story->sum += event == JsMemoryAllocate ? (int64_t)size : -(int64_t)size;
	story->usage = engine_usage(story->engine);
	if (story->then != NULL)
		story->then(story, event, size);
	return !story->refuse;
}

static inline void story_start(struct story *story, const struct engine *self)
{
	story->engine = self;
	story->sum = (int64_t)engine_usage(self);
	engine_set_callback(self, story, story_event);
}

/* Checks what has been told since the last check. */
#define CHECK_STORY(story, want) \
	do { \
		CHECK_STR((story)->text, (want)); \
		(story)->text[0] = '\0'; \
	} while (0)

#endif
