/*
 * IHostMemoryMonitor as a set of calls: what it refuses, the sizes of its records, the law of
 * the thresholds, and what it tells of the system.
 */
#include "monitor.h"

static struct host host;
static IHostMemoryMonitor *monitor;

static bool begin(void)
{
	if (!host_create(&host, 0))
		return false;
	monitor = host_monitor(&host);
	return monitor != NULL;
}

static HostMemThresholds thresholds_now(void)
{
	HostMemThresholds now = HOSTMEM_THRESHOLDS_INIT;

	CHECK_HR(IHostMemoryMonitor_GetThresholds(monitor, &now), S_OK);
	return now;
}

/* ---- Bad inputs ---- */

static void bad_inputs_are_refused_and_change_nothing(void)
{
	static const int sources[] = { -1, HOSTMEM_SOURCES, 0x7FFFFFFF };
	struct snapshot before;

	if (!begin())
		return;
	snapshot_take(&before, &host);
	CHECK_HR(IHostMemoryMonitor_GetSource(monitor, HostMemSourceBudget, NULL),
		 E_POINTER);
	for (size_t i = 0; i < ROWS(sources); i++) {
		HostMemSourceState state = { sizeof(state), E_FAIL, 4711 };

		tap_row("source %d", sources[i]);
		CHECK_HR(IHostMemoryMonitor_GetSource(monitor, (HostMemSource)sources[i],
						      &state),
			 E_INVALIDARG);
		CHECK_HR(IHostMemoryMonitor_GetSource(monitor, (HostMemSource)sources[i],
						      NULL),
			 E_POINTER);
		CHECK_U32(state.cbSize, sizeof(state));
		CHECK_HR(state.result, E_FAIL);
		CHECK_SIZE(state.cCalls, 4711);
	}
	tap_row("%s", "");
	CHECK_HR(IHostMemoryMonitor_SetThresholds(monitor, NULL), E_POINTER);
	CHECK_HR(IHostMemoryMonitor_GetThresholds(monitor, NULL), E_POINTER);
	CHECK_HR(IHostMemoryMonitor_Look(monitor, NULL), E_POINTER);
	CHECK_HR(IHostMemoryMonitor_WalkBounds(monitor, NULL, NULL), E_POINTER);
	CHECK_HR(IHostMemoryMonitor_GetSystem(monitor, NULL), E_POINTER);
	CHECK_UNCHANGED(&before);
	host_destroy(&host);
}

static void after_shutdown_it_tells_but_does_not_look(void)
{
	HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;
	HostMemSystem system = HOSTMEM_SYSTEM_INIT;
	EMemoryAvailable available = (EMemoryAvailable)77;

	if (!begin())
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		tap_row("source %u", i);
		CHECK_HR(source_result(monitor, (HostMemSource)i), S_FALSE);
	}
	CHECK_HR(IHostMemoryMonitor_SetThresholds(monitor, &thresholds),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemoryMonitor_GetThresholds(monitor, &thresholds),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemoryMonitor_Look(monitor, &available), HOST_E_CLRNOTAVAILABLE);
	CHECK_INT(available, 0);
	CHECK_HR(IHostMemoryMonitor_GetSystem(monitor, &system), S_OK);
	CHECK_HR(IHostMemoryMonitor_SetThresholds(monitor, NULL), E_POINTER);
	CHECK_HR(IHostMemoryMonitor_WalkBounds(monitor, NULL, NULL), E_POINTER);
	host_destroy(&host);
}

/* ---- Records of all sizes ---- */

static HRESULT fill_source(void *record)
{
	return IHostMemoryMonitor_GetSource(monitor, HostMemSourceTimer, record);
}

static HRESULT fill_thresholds(void *record)
{
	return IHostMemoryMonitor_GetThresholds(monitor, record);
}

static HRESULT fill_system(void *record)
{
	return IHostMemoryMonitor_GetSystem(monitor, record);
}

/* Bytes that were set, and none behind them. */
static void check_size(HRESULT (*fill)(void *record), uint32_t room, size_t size)
{
	_Alignas(8) unsigned char bytes[128];
	bool good = room >= 16 && room % 8 == 0;
	uint32_t filled;

	memset(bytes, POISON_BYTE, sizeof(bytes));
	memcpy(bytes, &room, sizeof(room));
	CHECK_HR(fill(bytes), good ? S_OK : E_INVALIDARG);
	memcpy(&filled, bytes, sizeof(filled));
	CHECK_SIZE(filled, good && room > size ? size : room);
	for (size_t i = good ? filled : 4; i < sizeof(bytes); i++)
		CHECK_INT(bytes[i], POISON_BYTE);
}

static void records_are_filled_as_far_as_they_go(void)
{
	static const struct {
		const char *what;
		HRESULT (*fill)(void *record);
		size_t size;
	} rows[] = {
		{ "source", fill_source, sizeof(HostMemSourceState) },
		{ "thresholds", fill_thresholds, sizeof(HostMemThresholds) },
		{ "system", fill_system, sizeof(HostMemSystem) },
	};

	if (!begin())
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (uint32_t room = 0; room <= 128; room++) {
			tap_row("%s, %u bytes", rows[i].what, room);
			check_size(rows[i].fill, room, rows[i].size);
		}
		check_size(rows[i].fill, 0x80000000U, rows[i].size);
		check_size(rows[i].fill, UINT32_MAX, rows[i].size);
	}
	host_destroy(&host);
}

/* ---- Thresholds ---- */

static void check_thresholds(const HostMemThresholds *want)
{
	HostMemThresholds now = thresholds_now();

	CHECK_U32(now.cbSize, sizeof(now));
	CHECK_U32(now.dwLowLoad, want->dwLowLoad);
	CHECK_U32(now.dwCalmLoad, want->dwCalmLoad);
	CHECK_U32(now.dwHighLoad, want->dwHighLoad);
	CHECK_U32(now.dwNeutralLoad, want->dwNeutralLoad);
	CHECK_U32(now.msCalm, want->msCalm);
	CHECK_U32(now.msPlenty, want->msPlenty);
	CHECK_U32(now.msStall, want->msStall);
	CHECK_SIZE(now.cbScarce, want->cbScarce);
	CHECK_SIZE(now.cbEnough, want->cbEnough);
}

static void thresholds_that_are_not_in_order_are_refused(void)
{
	static const struct {
		uint32_t low, calm, high, neutral;
		size_t scarce, enough;
		HRESULT want;
	} rows[] = {
		{ 100, 100, 100, 100, 0, 0, S_OK },
		{ 0, 0, 0, 0, SIZE_MAX, SIZE_MAX, S_OK },
		{ 50, 40, 20, 30, 1, 2, S_OK },
		{ 50, 30, 20, 40, 2, 2, S_OK },
		{ 50, 20, 20, 20, 2, SIZE_MAX, S_OK },
		{ 101, 40, 20, 30, 1, 2, E_INVALIDARG },
		{ UINT32_MAX, 40, 20, 30, 1, 2, E_INVALIDARG },
		{ 50, 51, 20, 30, 1, 2, E_INVALIDARG },
		{ 50, 40, 20, 51, 1, 2, E_INVALIDARG },
		{ 50, 40, 41, 45, 1, 2, E_INVALIDARG },
		{ 50, 40, 31, 30, 1, 2, E_INVALIDARG },
		{ 50, 40, 20, 30, 3, 2, E_INVALIDARG },
		{ 50, 40, 20, 30, 1, 0, E_INVALIDARG },
	};
	HostMemThresholds before = HOSTMEM_THRESHOLDS_INIT;

	if (!begin())
		return;
	check_thresholds(&before);
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint32_t ms = (uint32_t)i;
		HostMemThresholds next = { sizeof(next),    rows[i].low,
					   rows[i].calm,    rows[i].high,
					   rows[i].neutral, ms,
					   UINT32_MAX - ms, ms * 1000,
					   rows[i].scarce,  rows[i].enough };

		tap_row("row %zu", i);
		CHECK_HR(IHostMemoryMonitor_SetThresholds(monitor, &next), rows[i].want);
		if (SUCCEEDED(rows[i].want))
			before = next;
		check_thresholds(&before);
	}
	host_destroy(&host);
}

/* Each size at which a field ends, and no other. */
static void what_a_smaller_record_lacks_is_the_default(void)
{
	const HostMemThresholds given = { 0, 50, 40, 20, 30, 1, 2, 3, 4, 5 };

	if (!begin())
		return;
	for (uint32_t size = 0; size <= sizeof(given) + 16; size++) {
		HostMemThresholds want = HOSTMEM_THRESHOLDS_INIT;
		struct {
			HostMemThresholds record;
			char behind[16];
		} next = { given, { 0 } };
		bool ends = size >= 12 && size <= sizeof(given) &&
			    size % (size < 40 ? 4 : 8) == 0 && size != 36;

		tap_row("%u bytes", size);
		next.record.cbSize = size;
		if (size == 12) /* then the default of High is above it */
			next.record.dwLowLoad = next.record.dwCalmLoad = 95;
		if (size == 16)
			next.record.dwLowLoad = 95;
		/* The two defaults that a short record has for bytes. */
		if (size == 40)
			next.record.cbScarce = 6;
		CHECK_HR(IHostMemoryMonitor_SetThresholds(monitor, &next.record),
			 ends ? S_OK : E_INVALIDARG);
		if (!ends)
			continue;
		next.record.cbSize = size;
		memcpy(&want, &next.record, size);
		check_thresholds(&want);
	}
	host_destroy(&host);
}

/* ---- Sources ---- */

static void no_source_is_active_where_nobody_watches(void)
{
	struct callback callback = callback_new();

	if (!begin())
		return;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(host.manager,
								       &callback.iface),
		 S_OK);
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		tap_row("source %u", i);
		CHECK_HR(source_result(monitor, (HostMemSource)i), S_FALSE);
		CHECK_SIZE(source_calls(monitor, (HostMemSource)i), 0);
	}
	host_destroy(&host);
	CHECK_U32(callback.references, 1);
}

/* What is left of them depends on the machine, but each has an answer of the list. */
static bool is_an_answer(HRESULT result)
{
	return result == S_OK || result == E_ACCESSDENIED || result == E_OUTOFMEMORY ||
	       result == E_ABORT || result == HR_NOT_SUPPORTED ||
	       result == HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_FOUND) ||
	       result == HR_TOO_MANY_FILES;
}

static void sources_are_active_from_register_to_shutdown(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	struct watched watched;

	if (!watched_make(&watched, &config))
		return;
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++)
		CHECK_HR(source_result(watched.monitor, (HostMemSource)i), S_FALSE);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 watched.host.manager, NULL),
		 S_OK);
	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_FALSE);
	CHECK_HR(watched_register(&watched), S_OK);
	wait_for_looks(&watched);
	CHECK_HR(source_result(watched.monitor, HostMemSourceBudget), S_OK);
	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_OK);
	for (unsigned i = HostMemSourceGroupUsage; i < HOSTMEM_SOURCES; i++) {
		tap_row("source %u", i);
		CHECK(is_an_answer(source_result(watched.monitor, (HostMemSource)i)));
	}
	CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		tap_row("source %u", i);
		CHECK_HR(source_result(watched.monitor, (HostMemSource)i), S_FALSE);
	}
	watched_end(&watched);
}

/* ---- The system ---- */

static void the_system_is_as_it_must_be(void)
{
	HostMemSystem system = HOSTMEM_SYSTEM_INIT;

	if (!begin())
		return;
	CHECK_HR(IHostMemoryMonitor_GetSystem(monitor, &system), S_OK);
	CHECK_U32(system.cbSize, sizeof(system));
	CHECK_U32(system.dwFeatures &
			  ~(HOSTMEM_FEATURE_GUARD_PAGES | HOSTMEM_FEATURE_QUICK_CALLS),
		  0);
	CHECK_SIZE(system.cbPage, PAGE);
	CHECK_SIZE(system.cbGranularity, UNIT);
	CHECK((system.cbLargePage & (system.cbLargePage - 1)) == 0);
	CHECK(system.cbLargePage == 0 || system.cbLargePage > PAGE);
	CHECK(system.cbLargePage != 0 || system.cLargePages == 0);
	host_destroy(&host);
	if (!host_create(&host, HOSTMEM_NO_GUARD_PAGES))
		return;
	monitor = host_monitor(&host);
	CHECK_HR(IHostMemoryMonitor_GetSystem(monitor, &system), S_OK);
	CHECK_U32(system.dwFeatures & HOSTMEM_FEATURE_GUARD_PAGES, 0);
	host_destroy(&host);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(bad_inputs_are_refused_and_change_nothing);
	TAP_RUN(after_shutdown_it_tells_but_does_not_look);
	TAP_RUN(records_are_filled_as_far_as_they_go);
	TAP_RUN(thresholds_that_are_not_in_order_are_refused);
	TAP_RUN(what_a_smaller_record_lacks_is_the_default);
	TAP_RUN(no_source_is_active_where_nobody_watches);
	TAP_RUN(sources_are_active_from_register_to_shutdown);
	TAP_RUN(the_system_is_as_it_must_be);
	return tap_done();
}
