/*
 * The end of a runtime: what is left is freed and told, also in odd company.  A mistake here
 * is a call into memory that has been freed, which a sanitizer or valgrind sees.
 */
#include "jsrt.h"

/* Frees come in no order that is promised. */
static void what_is_left_is_told_until_dispose_returns(void)
{
	struct story story = { .refuse = false };
	struct engine other;
	void *mapping = at(NULL, 0x20000000);

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	story_start(&story, &other);
	for (size_t pages = 1; pages <= 4; pages++)
		CHECK(engine_commit(&other, pages) != NULL);
	CHECK(vm_new(&other.host, UNIT, MEM_RESERVE, PAGE_READWRITE) != NULL);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(other.host.manager,
								mapping, 8 * PAGE),
		 S_OK);
	CHECK_STORY(&story, "+1 +2 +3 +4 +8");
	CHECK(story.sum == (int64_t)(18 * PAGE));
	engine_end(&other);
	CHECK(story.sum == 0);
	CHECK_SIZE(story.usage, 0);
	CHECK_SIZE(strlen(story.text), strlen("-1 -2 -3 -4 -8"));
}

static void who_left_before_hears_nothing(void)
{
	struct story story = { .refuse = false };
	struct engine other;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	story_start(&story, &other);
	CHECK(engine_commit(&other, 1) != NULL);
	engine_set_callback(&other, NULL, NULL);
	engine_end(&other);
	CHECK_STORY(&story, "+1");
}

static void allocate_more(struct story *story, JsMemoryEventType event, size_t size)
{
	void *out;

	(void)size;
	if (event == JsMemoryFree)
		CHECK_HR(vm_alloc(&story->engine->host, NULL, PAGE, MEM_COMMIT,
				  PAGE_READWRITE, &out),
			 HOST_E_CLRNOTAVAILABLE);
}

/* A host that ends gives nothing out any more. */
static void nothing_is_granted_while_a_runtime_ends(void)
{
	struct story story = { .then = allocate_more };
	struct engine other;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	story_start(&story, &other);
	CHECK(engine_commit(&other, 1) != NULL);
	engine_end(&other);
	CHECK_STORY(&story, "+1 -1");
}

static void replace_itself(struct story *story, JsMemoryEventType event, size_t size)
{
	(void)event;
	(void)size;
	engine_set_callback(story->engine, NULL, NULL);
}

static void who_leaves_while_a_runtime_ends_hears_no_more(void)
{
	struct story story = { .refuse = false };
	struct engine other;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	story_start(&story, &other);
	CHECK(engine_commit(&other, 2) != NULL);
	CHECK(engine_commit(&other, 2) != NULL);
	story.then = replace_itself;
	engine_end(&other);
	CHECK_STORY(&story, "+2 +2 -2");
}

/* The memory lives as long as the host, and the callback has been let go. */
static void a_host_that_is_still_referred_to_lives_on_in_silence(void)
{
	struct story story = { .refuse = false };
	struct engine other;
	unsigned char *base;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	story_start(&story, &other);
	base = engine_commit(&other, 2);
	CHECK_JS(JsDisposeRuntime(other.runtime), JsNoError);
	base[0] = 1;
	CHECK_SIZE(host_usage(&other.host).cbCharged, 2 * PAGE);
	CHECK_HR(vm_release(&other.host, base), HOST_E_CLRNOTAVAILABLE);
	host_destroy(&other.host);
	CHECK_STORY(&story, "+2");
}

static void a_runtime_whose_host_was_shut_down_is_disposed_as_any(void)
{
	struct story story = { .refuse = false };
	struct engine other;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	story_start(&story, &other);
	CHECK(engine_commit(&other, 2) != NULL);
	CHECK_HR(IHostMemoryControl_Shutdown(other.host.control), S_OK);
	engine_end(&other);
	CHECK_STORY(&story, "+2 -2");
}

struct disposal {
	struct engine engine;
	HostMemEventType when;
	bool done;
	unsigned frees; /* that came afterwards */
};

static BOOL HOSTMEM_CALL dispose_inside(void *state, const HostMemEvent *event)
{
	struct disposal *disposal = (struct disposal *)state;

	if (disposal->done)
		disposal->frees += event->type == HostMemEventFree;
	if (disposal->done || event->type != disposal->when)
		return TRUE;
	disposal->done = true;
	CHECK_JS(JsDisposeRuntime(disposal->engine.runtime), JsNoError);
	return TRUE;
}

/*
 * A subscriber of the host has no reference, and disposes of the runtime while the host is
 * in its hands: the host ends when it returns.
 */
static void a_subscriber_of_the_host_may_dispose_of_the_runtime(void)
{
	for (int when = HostMemEventAllocate; when <= HostMemEventFree; when++) {
		struct disposal disposal = { .when = (HostMemEventType)when };
		struct story story = { .refuse = false };
		struct host *host = &disposal.engine.host;
		IHostMemoryManager *manager;
		uint64_t cookie = 0;
		void *base;

		tap_row("event %d", when);
		if (!engine_start(&disposal.engine, JsRuntimeAttributeNone))
			return;
		story_start(&story, &disposal.engine);
		CHECK(engine_commit(&disposal.engine, 2) != NULL);
		CHECK(engine_commit(&disposal.engine, 3) != NULL);
		base = engine_commit(&disposal.engine, 4);
		CHECK_STORY(&story, "+2 +3 +4");
		CHECK_HR(IHostMemoryControl_Subscribe(host->control, 7, dispose_inside,
						      &disposal, &cookie),
			 S_OK);
		manager = host->manager;
		engine_let_go(&disposal.engine);
		if (when == HostMemEventFree)
			CHECK_HR(IHostMemoryManager_VirtualFree(manager, base, 0,
								MEM_RELEASE),
				 S_OK);
		else
			CHECK_HR(IHostMemoryManager_VirtualAlloc(manager, NULL, PAGE,
								 MEM_COMMIT,
								 PAGE_READWRITE,
								 eTaskCritical, &base),
				 HOST_E_ABANDONED);
		CHECK(disposal.done);
		/* The subscriber hears of the end, the runtime's callback is gone. */
		CHECK_U32(disposal.frees, when == HostMemEventFree ? 2 : 3);
		CHECK_STORY(&story, when == HostMemEventFree ? "-4" : "+1");
	}
}

/* What was announced comes to nothing, and there is no free event to go by. */
static void a_runtime_that_has_nothing_may_be_disposed_of_in_a_request(void)
{
	struct disposal disposal = { .when = HostMemEventAllocate };
	struct story story = { .refuse = false };
	IHostMemoryManager *manager;
	uint64_t cookie;
	void *base;

	if (!engine_start(&disposal.engine, JsRuntimeAttributeNone))
		return;
	story_start(&story, &disposal.engine);
	CHECK_HR(IHostMemoryControl_Subscribe(disposal.engine.host.control, 7,
					      dispose_inside, &disposal, &cookie),
		 S_OK);
	manager = disposal.engine.host.manager;
	engine_let_go(&disposal.engine);
	CHECK_HR(IHostMemoryManager_VirtualAlloc(manager, NULL, PAGE, MEM_COMMIT,
						 PAGE_READWRITE, eTaskCritical, &base),
		 HOST_E_ABANDONED);
	CHECK(disposal.done);
	CHECK_U32(disposal.frees, 0);
	CHECK_STORY(&story, "+1");
}

/* The mapping, whose allocate event it was, is not charged any more. */
static void a_runtime_may_be_disposed_of_while_a_mapping_is_acquired(void)
{
	struct disposal disposal = { .when = HostMemEventAllocate };
	struct story story = { .refuse = false };
	IHostMemoryManager *manager;
	uint64_t cookie;

	if (!engine_start(&disposal.engine, JsRuntimeAttributeNone))
		return;
	story_start(&story, &disposal.engine);
	CHECK(engine_commit(&disposal.engine, 2) != NULL);
	CHECK_HR(IHostMemoryControl_Subscribe(disposal.engine.host.control, 7,
					      dispose_inside, &disposal, &cookie),
		 S_OK);
	manager = disposal.engine.host.manager;
	engine_let_go(&disposal.engine);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(manager,
								at(NULL, 0x20000000),
								8 * PAGE),
		 HOST_E_ABANDONED);
	CHECK(disposal.done);
	CHECK_U32(disposal.frees, 1);
	CHECK_STORY(&story, "+2 +8");
}

/* Callbacks that were replaced from inside leave nothing behind. */
static void a_thousand_runtimes_come_and_go(void)
{
	for (int i = 0; i < 1000; i++) {
		struct story story = { .then = replace_itself };
		struct engine other;

		if (!engine_start(&other, JsRuntimeAttributeNone))
			return;
		story_start(&story, &other);
		CHECK(engine_commit(&other, 1) != NULL);
		story_start(&story, &other);
		CHECK(engine_commit(&other, 1) != NULL);
		engine_end(&other);
		CHECK_STORY(&story, "+1 +1");
	}
}

int main(void)
{
	TAP_RUN(what_is_left_is_told_until_dispose_returns);
	TAP_RUN(who_left_before_hears_nothing);
	TAP_RUN(nothing_is_granted_while_a_runtime_ends);
	TAP_RUN(who_leaves_while_a_runtime_ends_hears_no_more);
	TAP_RUN(a_host_that_is_still_referred_to_lives_on_in_silence);
	TAP_RUN(a_runtime_whose_host_was_shut_down_is_disposed_as_any);
	TAP_RUN(a_subscriber_of_the_host_may_dispose_of_the_runtime);
	TAP_RUN(a_runtime_that_has_nothing_may_be_disposed_of_in_a_request);
	TAP_RUN(a_runtime_may_be_disposed_of_while_a_mapping_is_acquired);
	TAP_RUN(a_thousand_runtimes_come_and_go);
	return tap_done();
}
