/*
 * The values of jsrt.h are Chakra's, and its functions have Chakra's parameters in
 * Chakra's order.  What they do: test/conformance/jsrt_*.
 */
#include "abi/hostmem.h"
#include "abi/jsrt.h"
#include "tap.h"

#define TAKES(function, ...) \
	_Static_assert(_Generic(&(function), __VA_ARGS__ : 1, default : 0), \
		       #function " has this signature")

TAKES(JsCreateRuntime,
      JsErrorCode (*)(JsRuntimeAttributes, JsThreadServiceCallback, JsRuntimeHandle *));
TAKES(JsDisposeRuntime, JsErrorCode (*)(JsRuntimeHandle));
TAKES(JsGetRuntimeMemoryUsage, JsErrorCode (*)(JsRuntimeHandle, size_t *));
TAKES(JsGetRuntimeMemoryLimit, JsErrorCode (*)(JsRuntimeHandle, size_t *));
TAKES(JsSetRuntimeMemoryLimit, JsErrorCode (*)(JsRuntimeHandle, size_t));
TAKES(JsSetRuntimeMemoryAllocationCallback,
      JsErrorCode (*)(JsRuntimeHandle, void *, JsMemoryAllocationCallback));
TAKES(JsSetRuntimeBeforeCollectCallback,
      JsErrorCode (*)(JsRuntimeHandle, void *, JsBeforeCollectCallback));
TAKES(JsCollectGarbage, JsErrorCode (*)(JsRuntimeHandle));
TAKES(HostMemRuntimeGetHost, HRESULT (*)(JsRuntimeHandle, REFIID, void **));
TAKES(HostMemRuntimeSetCollector,
      HRESULT (*)(JsRuntimeHandle, HostMemCollectCallback, void *));

_Static_assert(sizeof(JsErrorCode) == 4 && sizeof(JsMemoryEventType) == 4 &&
		       sizeof(JsRuntimeAttributes) == 4,
	       "enums have 32 bits");

#define TYPE(type, ...) \
	_Static_assert(_Generic((type)0, __VA_ARGS__ : 1, default : 0), #type)
TYPE(JsRuntimeHandle, void *);
TYPE(JsMemoryAllocationCallback, bool(HOSTMEM_CALL *)(void *, JsMemoryEventType, size_t));
TYPE(JsBeforeCollectCallback, void(HOSTMEM_CALL *)(void *));
TYPE(JsThreadServiceCallback, bool(HOSTMEM_CALL *)(JsBackgroundWorkItemCallback, void *));
TYPE(JsBackgroundWorkItemCallback, void(HOSTMEM_CALL *)(void *));
TYPE(HostMemCollectCallback, void(HOSTMEM_CALL *)(void *));

static void codes_are_chakras(void)
{
	static const struct {
		JsErrorCode code;
		unsigned want;
	} rows[] = {
		{ JsNoError, 0 },
		{ JsErrorCategoryUsage, 0x10000 },
		{ JsErrorInvalidArgument, 0x10001 },
		{ JsErrorNullArgument, 0x10002 },
		{ JsErrorNoCurrentContext, 0x10003 },
		{ JsErrorInExceptionState, 0x10004 },
		{ JsErrorNotImplemented, 0x10005 },
		{ JsErrorWrongThread, 0x10006 },
		{ JsErrorRuntimeInUse, 0x10007 },
		{ JsErrorBadSerializedScript, 0x10008 },
		{ JsErrorInDisabledState, 0x10009 },
		{ JsErrorCannotDisableExecution, 0x1000A },
		{ JsErrorHeapEnumInProgress, 0x1000B },
		{ JsErrorArgumentNotObject, 0x1000C },
		{ JsErrorInProfileCallback, 0x1000D },
		{ JsErrorInThreadServiceCallback, 0x1000E },
		{ JsErrorCannotSerializeDebugScript, 0x1000F },
		{ JsErrorAlreadyDebuggingContext, 0x10010 },
		{ JsErrorAlreadyProfilingContext, 0x10011 },
		{ JsErrorIdleNotEnabled, 0x10012 },
		{ JsCannotSetProjectionEnqueueCallback, 0x10013 },
		{ JsErrorCannotStartProjection, 0x10014 },
		{ JsErrorInObjectBeforeCollectCallback, 0x10015 },
		{ JsErrorObjectNotInspectable, 0x10016 },
		{ JsErrorPropertyNotSymbol, 0x10017 },
		{ JsErrorPropertyNotString, 0x10018 },
		{ JsErrorInvalidContext, 0x10019 },
		{ JsInvalidModuleHostInfoKind, 0x1001A },
		{ JsErrorModuleParsed, 0x1001B },
		{ JsNoWeakRefRequired, 0x1001C },
		{ JsErrorPromisePending, 0x1001D },
		{ JsErrorModuleNotEvaluated, 0x1001E },
		{ JsErrorCategoryEngine, 0x20000 },
		{ JsErrorOutOfMemory, 0x20001 },
		{ JsErrorBadFPUState, 0x20002 },
		{ JsErrorCategoryScript, 0x30000 },
		{ JsErrorScriptException, 0x30001 },
		{ JsErrorScriptCompile, 0x30002 },
		{ JsErrorScriptTerminated, 0x30003 },
		{ JsErrorScriptEvalDisabled, 0x30004 },
		{ JsErrorCategoryFatal, 0x40000 },
		{ JsErrorFatal, 0x40001 },
		{ JsErrorWrongRuntime, 0x40002 },
		{ JsErrorCategoryDiagError, 0x50000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_U32((uint32_t)rows[i].code, rows[i].want);
}

static void attributes_and_events_are_chakras(void)
{
	CHECK_U32(JsRuntimeAttributeNone, 0);
	CHECK_U32(JsRuntimeAttributeDisableBackgroundWork, 1);
	CHECK_U32(JsRuntimeAttributeAllowScriptInterrupt, 2);
	CHECK_U32(JsRuntimeAttributeEnableIdleProcessing, 4);
	CHECK_U32(JsRuntimeAttributeDisableNativeCodeGeneration, 8);
	CHECK_U32(JsRuntimeAttributeDisableEval, 0x10);
	CHECK_U32(JsRuntimeAttributeEnableExperimentalFeatures, 0x20);
	CHECK_U32(JsRuntimeAttributeDispatchSetExceptionsToDebugger, 0x40);
	CHECK_U32(JsRuntimeAttributeDisableFatalOnOOM, 0x80);
	CHECK_U32(JsRuntimeAttributeDisableExecutablePageAllocation, 0x100);

	CHECK_U32(JsMemoryAllocate, (uint32_t)HostMemEventAllocate);
	CHECK_U32(JsMemoryFree, (uint32_t)HostMemEventFree);
	CHECK_U32(JsMemoryFailure, (uint32_t)HostMemEventFailure);
}

int main(void)
{
	TAP_RUN(codes_are_chakras);
	TAP_RUN(attributes_and_events_are_chakras);
	return tap_done();
}
