/*
 * The JSRT-like functions and their arguments: which mistake is found first, what out
 * pointers hold afterwards, what is accepted and kept.
 */
#include "jsrt.h"

static bool HOSTMEM_CALL agree(void *state, JsMemoryEventType event, size_t size)
{
	(void)state;
	(void)event;
	(void)size;
	return true;
}

static void HOSTMEM_CALL do_nothing(void *state)
{
	(void)state;
}

static bool work_came;

static bool HOSTMEM_CALL take_work(JsBackgroundWorkItemCallback work, void *state)
{
	(void)work;
	(void)state;
	work_came = true;
	return true;
}

static void a_null_handle_comes_before_a_null_out_pointer(void)
{
	size_t size = POISON_SIZE;

	CHECK_JS(JsDisposeRuntime(NULL), JsErrorInvalidArgument);
	CHECK_JS(JsGetRuntimeMemoryUsage(NULL, &size), JsErrorInvalidArgument);
	CHECK_JS(JsGetRuntimeMemoryUsage(NULL, NULL), JsErrorInvalidArgument);
	CHECK_JS(JsGetRuntimeMemoryLimit(NULL, &size), JsErrorInvalidArgument);
	CHECK_JS(JsGetRuntimeMemoryLimit(NULL, NULL), JsErrorInvalidArgument);
	CHECK_JS(JsSetRuntimeMemoryLimit(NULL, 1), JsErrorInvalidArgument);
	CHECK_JS(JsSetRuntimeMemoryAllocationCallback(NULL, NULL, agree),
		 JsErrorInvalidArgument);
	CHECK_JS(JsSetRuntimeMemoryAllocationCallback(NULL, NULL, NULL),
		 JsErrorInvalidArgument);
	CHECK_JS(JsSetRuntimeBeforeCollectCallback(NULL, NULL, do_nothing),
		 JsErrorInvalidArgument);
	CHECK_JS(JsSetRuntimeBeforeCollectCallback(NULL, NULL, NULL),
		 JsErrorInvalidArgument);
	CHECK_JS(JsCollectGarbage(NULL), JsErrorInvalidArgument);
	/* As Chakra, which does not look that far. */
	CHECK_SIZE(size, POISON_SIZE);
}

static void a_null_out_pointer_is_told(void)
{
	CHECK_JS(JsCreateRuntime(JsRuntimeAttributeNone, NULL, NULL),
		 JsErrorNullArgument);
	/* Before the attributes are looked at. */
	CHECK_JS(JsCreateRuntime((JsRuntimeAttributes)0x200, NULL, NULL),
		 JsErrorNullArgument);
	CHECK_JS(JsGetRuntimeMemoryUsage(engine.runtime, NULL), JsErrorNullArgument);
	CHECK_JS(JsGetRuntimeMemoryLimit(engine.runtime, NULL), JsErrorNullArgument);
}

static void every_attribute_is_accepted_and_no_other(void)
{
	for (unsigned bit = 0; bit < 32; bit++) {
		JsRuntimeAttributes attributes = (JsRuntimeAttributes)(1U << bit);
		JsRuntimeHandle runtime = POISON;
		bool known = bit <= 8;

		tap_row("bit %u", bit);
		CHECK_JS(JsCreateRuntime(attributes, NULL, &runtime),
			 known ? JsNoError : JsErrorInvalidArgument);
		CHECK((runtime != NULL) == known);
		CHECK(runtime != POISON);
		if (known)
			CHECK_JS(JsDisposeRuntime(runtime), JsNoError);
	}
}

static void all_attributes_together_are_accepted_and_one_unknown_spoils_them(void)
{
	JsRuntimeHandle runtime = POISON;

	CHECK_JS(JsCreateRuntime((JsRuntimeAttributes)0x3FF, NULL, &runtime),
		 JsErrorInvalidArgument);
	CHECK_POINTER(runtime, NULL);
	CHECK_JS(JsCreateRuntime((JsRuntimeAttributes)0x1FF, NULL, &runtime), JsNoError);
	CHECK(runtime != NULL);
	CHECK_JS(JsDisposeRuntime(runtime), JsNoError);
}

static void a_thread_service_is_accepted_and_never_called(void)
{
	JsRuntimeHandle runtime = NULL;

	CHECK_JS(JsCreateRuntime(JsRuntimeAttributeNone, take_work, &runtime), JsNoError);
	CHECK_JS(JsCollectGarbage(runtime), JsNoError);
	CHECK_JS(JsDisposeRuntime(runtime), JsNoError);
	CHECK(!work_came);
}

static void a_new_runtime_uses_nothing_and_has_no_limit(void)
{
	CHECK_SIZE(engine_usage(&engine), 0);
	CHECK_SIZE(engine_limit(&engine), SIZE_MAX);
}

static void a_limit_reads_back_as_it_was_set(void)
{
	static const size_t limits[] = {
		0, 1, PAGE - 1, 10 * MIB, SIZE_MAX - 1, SIZE_MAX
	};

	for (size_t i = 0; i < ROWS(limits); i++) {
		tap_row("limit %zu", limits[i]);
		engine_set_limit(&engine, limits[i]);
		CHECK_SIZE(engine_limit(&engine), limits[i]);
		CHECK_SIZE(engine_usage(&engine), 0);
	}
}

/* What else the budget says is kept, as far as a limit leaves room for it. */
static void a_limit_leaves_the_rest_of_the_budget_as_it_is(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.dwFlags = HOSTMEM_ANNOUNCE_ALWAYS;
	budget.cbLimit = 64 * MIB;
	budget.cbSoftLimit = 32 * MIB;
	budget.cbHeadroom[0] = 16 * MIB;
	budget.cbHeadroom[1] = 4 * MIB;
	budget.cbLargest[0] = MIB;
	budget.msWait[2] = 7;
	CHECK_HR(IHostMemoryControl_SetBudget(engine.host.control, &budget), S_OK);
	CHECK_SIZE(engine_limit(&engine), 64 * MIB);
	engine_set_limit(&engine, 8 * MIB);
	CHECK_HR(IHostMemoryControl_GetBudget(engine.host.control, &budget), S_OK);
	CHECK_U32(budget.dwFlags, HOSTMEM_ANNOUNCE_ALWAYS);
	CHECK_SIZE(budget.cbLimit, 8 * MIB);
	CHECK_SIZE(budget.cbSoftLimit, 32 * MIB);
	CHECK_SIZE(budget.cbHeadroom[0], 8 * MIB);
	CHECK_SIZE(budget.cbHeadroom[1], 4 * MIB);
	CHECK_SIZE(budget.cbLargest[0], MIB);
	CHECK_U32(budget.msWait[2], 7);
	budget = (HostMemBudget)HOSTMEM_BUDGET_INIT;
	CHECK_HR(IHostMemoryControl_SetBudget(engine.host.control, &budget), S_OK);
}

/* In any order, over one that is there, and off when nothing was on. */
static void callbacks_may_be_set_and_cleared_in_any_order(void)
{
	int state;

	for (int round = 0; round < 3; round++) {
		engine_set_callback(&engine, NULL, NULL);
		engine_set_callback(&engine, &state, agree);
		engine_set_callback(&engine, NULL, agree);
		engine_set_callback(&engine, &state, NULL);
		CHECK_JS(JsSetRuntimeBeforeCollectCallback(engine.runtime, &state,
							   do_nothing),
			 JsNoError);
		CHECK_JS(JsSetRuntimeBeforeCollectCallback(engine.runtime, NULL, NULL),
			 JsNoError);
		CHECK_HR(HostMemRuntimeSetCollector(engine.runtime, do_nothing, &state),
			 S_OK);
		CHECK_HR(HostMemRuntimeSetCollector(engine.runtime, NULL, NULL), S_OK);
	}
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
}

static void our_own_functions_answer_as_methods_do(void)
{
	static const IID unknown = { 1, 2, 3, { 4, 5, 6, 7, 8, 9, 10, 11 } };
	void *out = POISON;

	CHECK_HR(HostMemRuntimeGetHost(NULL, &IID_IUnknown, NULL), E_POINTER);
	CHECK_HR(HostMemRuntimeGetHost(engine.runtime, &IID_IUnknown, NULL), E_POINTER);
	CHECK_HR(HostMemRuntimeGetHost(NULL, NULL, &out), E_POINTER);
	CHECK_POINTER(out, NULL);
	out = POISON;
	CHECK_HR(HostMemRuntimeGetHost(NULL, &IID_IUnknown, &out), E_INVALIDARG);
	CHECK_POINTER(out, NULL);
	out = POISON;
	CHECK_HR(HostMemRuntimeGetHost(engine.runtime, &unknown, &out), E_NOINTERFACE);
	CHECK_POINTER(out, NULL);
	CHECK_HR(HostMemRuntimeSetCollector(NULL, do_nothing, NULL), E_INVALIDARG);
	CHECK_HR(HostMemRuntimeSetCollector(NULL, NULL, NULL), E_INVALIDARG);
}

static void every_face_of_the_host_can_be_had(void)
{
	const IID *const faces[] = { &IID_IUnknown,           &IID_IHostControl,
				     &IID_IHostMemoryManager, &IID_IHostGCManager,
				     &IID_IHostMemoryControl, &IID_IHostMemoryPages,
				     &IID_IHostMemoryMonitor, &IID_IHostMemorySimulator };

	for (size_t i = 0; i < ROWS(faces); i++) {
		IUnknown *face = engine_face(engine.runtime, faces[i]);

		tap_row("face %zu", i);
		if (CHECK(face != NULL))
			CHECK_U32(IUnknown_Release(face), 4);
	}
}

static void two_runtimes_are_two_hosts(void)
{
	struct engine other;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	engine_set_limit(&other, 4 * PAGE);
	CHECK_SIZE(engine_limit(&engine), SIZE_MAX);
	engine_free(&engine, engine_commit(&engine, 8));
	CHECK_POINTER(engine_try(&other, 8), NULL);
	engine_end(&other);
}

/* The embedding program has ended the host behind the runtime's back. */
static void after_shutdown_usage_is_there_and_the_limit_is_not(void)
{
	struct engine other;
	size_t size = POISON_SIZE;

	if (!engine_start(&other, JsRuntimeAttributeNone))
		return;
	CHECK(engine_commit(&other, 3) != NULL);
	CHECK_HR(IHostMemoryControl_Shutdown(other.host.control), S_OK);
	CHECK_SIZE(engine_usage(&other), 3 * PAGE);
	CHECK_JS(JsGetRuntimeMemoryLimit(other.runtime, &size), JsErrorFatal);
	CHECK_SIZE(size, 0);
	CHECK_JS(JsSetRuntimeMemoryLimit(other.runtime, 1), JsErrorFatal);
	engine_set_callback(&other, NULL, agree);
	engine_set_callback(&other, NULL, NULL);
	CHECK_JS(JsCollectGarbage(other.runtime), JsNoError);
	engine_end(&other);
}

int main(void)
{
	ENGINE_RUN(a_null_handle_comes_before_a_null_out_pointer);
	ENGINE_RUN(a_null_out_pointer_is_told);
	ENGINE_RUN(every_attribute_is_accepted_and_no_other);
	ENGINE_RUN(all_attributes_together_are_accepted_and_one_unknown_spoils_them);
	ENGINE_RUN(a_thread_service_is_accepted_and_never_called);
	ENGINE_RUN(a_new_runtime_uses_nothing_and_has_no_limit);
	ENGINE_RUN(a_limit_reads_back_as_it_was_set);
	ENGINE_RUN(a_limit_leaves_the_rest_of_the_budget_as_it_is);
	ENGINE_RUN(callbacks_may_be_set_and_cleared_in_any_order);
	ENGINE_RUN(our_own_functions_answer_as_methods_do);
	ENGINE_RUN(every_face_of_the_host_can_be_had);
	ENGINE_RUN(two_runtimes_are_two_hosts);
	ENGINE_RUN(after_shutdown_usage_is_there_and_the_limit_is_not);
	return tap_done();
}
