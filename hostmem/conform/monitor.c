/*
 * Cases about IHostMemoryMonitor: thresholds and sources.  Nothing here waits for a monitor to
 * run: what it would find is asked with Look.
 */
#include "areas.h"
#include "told.h"

#include <string.h>

#define MIB ((size_t)1 << 20)

static const HostMemThresholds defaults = HOSTMEM_THRESHOLDS_INIT;

/* ---- Thresholds ---- */

static void check_thresholds(struct hm_trial *t, IHostMemoryMonitor *monitor,
			     const HostMemThresholds *want)
{
	HostMemThresholds got;

	memset(&got, 0x5A, sizeof(got));
	got.cbSize = sizeof(got);
	CHECK_HR(t, IHostMemoryMonitor_GetThresholds(monitor, &got), S_OK);
	CHECK_SIZE(t, got.cbSize, sizeof(got));
	CHECK_SIZE(t, got.dwLowLoad, want->dwLowLoad);
	CHECK_SIZE(t, got.dwCalmLoad, want->dwCalmLoad);
	CHECK_SIZE(t, got.dwHighLoad, want->dwHighLoad);
	CHECK_SIZE(t, got.dwNeutralLoad, want->dwNeutralLoad);
	CHECK_SIZE(t, got.msCalm, want->msCalm);
	CHECK_SIZE(t, got.msPlenty, want->msPlenty);
	CHECK_SIZE(t, got.msStall, want->msStall);
	CHECK_SIZE(t, got.cbScarce, want->cbScarce);
	CHECK_SIZE(t, got.cbEnough, want->cbEnough);
}

static void thresholds_are_told_again(struct hm_trial *t)
{
	static const HostMemThresholds rows[] = {
		{ sizeof(HostMemThresholds), 80, 70, 50, 60, 1, 2, 3, 4, 5 },
		{ sizeof(HostMemThresholds), 100, 100, 100, 100, 0, 0, 0, 7, 7 },
		{ sizeof(HostMemThresholds), 0, 0, 0, 0, UINT32_MAX, UINT32_MAX,
		  UINT32_MAX, SIZE_MAX, SIZE_MAX },
		{ sizeof(HostMemThresholds), 90, 20, 10, 90, 5, 6, 7, 0, SIZE_MAX },
		{ sizeof(HostMemThresholds), 90, 90, 10, 10, 5, 6, 7, 0, 0 },
	};
	IHostMemoryMonitor *monitor = hm_monitor(t);

	if (monitor == NULL)
		return;
	hm_row(t, "defaults");
	check_thresholds(t, monitor, &defaults);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "row %u", (unsigned)i);
		CHECK_HR(t, IHostMemoryMonitor_SetThresholds(monitor, &rows[i]), S_OK);
		check_thresholds(t, monitor, &rows[i]);
	}
}

static void shorter_records_mean_defaults(struct hm_trial *t)
{
	static const HostMemThresholds whole = {
		sizeof(HostMemThresholds), 95, 88, 11, 12, 13, 14, 15, 16, 1024 * MIB
	};
	static const size_t sizes[] = {
		offsetof(HostMemThresholds, cbScarce),
		offsetof(HostMemThresholds, cbEnough),
	};
	IHostMemoryMonitor *monitor = hm_monitor(t);

	for (size_t i = 0; monitor != NULL && i < HM_ROWS(sizes); i++) {
		HostMemThresholds part = whole, want = defaults;

		hm_row(t, "cbSize %u", (unsigned)sizes[i]);
		/* Else the defaults would stay as they are. */
		CHECK_HR(t, IHostMemoryMonitor_SetThresholds(monitor, &whole), S_OK);
		part.cbSize = (uint32_t)sizes[i];
		memcpy(&want, &whole, sizes[i]);
		CHECK_HR(t, IHostMemoryMonitor_SetThresholds(monitor, &part), S_OK);
		check_thresholds(t, monitor, &want);
	}
}

static void bad_thresholds_are_refused(struct hm_trial *t)
{
	static const struct {
		const char *name;
		HostMemThresholds thresholds;
	} rows[] = {
		{ "cbSize 0", { 0, 80, 70, 50, 60, 1, 2, 3, 4, 5 } },
		{ "cbSize within a field", { 33, 80, 70, 50, 60, 1, 2, 3, 4, 5 } },
		{ "cbSize far too large", { UINT32_MAX, 80, 70, 50, 60, 1, 2, 3, 4, 5 } },
		{ "above 100 per cent",
		  { sizeof(HostMemThresholds), 101, 70, 50, 60, 1, 2, 3, 4, 5 } },
		{ "calm above low",
		  { sizeof(HostMemThresholds), 80, 81, 50, 60, 1, 2, 3, 4, 5 } },
		{ "high above calm",
		  { sizeof(HostMemThresholds), 80, 70, 71, 75, 1, 2, 3, 4, 5 } },
		{ "high above neutral",
		  { sizeof(HostMemThresholds), 80, 70, 60, 59, 1, 2, 3, 4, 5 } },
		{ "neutral above low",
		  { sizeof(HostMemThresholds), 80, 70, 50, 81, 1, 2, 3, 4, 5 } },
		{ "scarce above enough",
		  { sizeof(HostMemThresholds), 80, 70, 50, 60, 1, 2, 3, 6, 5 } },
	};
	IHostMemoryMonitor *monitor = hm_monitor(t);

	if (monitor == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].name);
		CHECK_REFUSED(t,
			      IHostMemoryMonitor_SetThresholds(monitor,
							       &rows[i].thresholds),
			      E_INVALIDARG);
		if (!t->codes)
			check_thresholds(t, monitor, &defaults);
	}
	hm_row(t, "none");
	CHECK_REFUSED(t, IHostMemoryMonitor_SetThresholds(monitor, NULL), E_POINTER);
}

static void thresholds_count_at_once(struct hm_trial *t)
{
	HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;
	IHostMemoryMonitor *monitor = hm_monitor(t);
	struct hm_told told;

	if (monitor == NULL || !hm_told_begin(&told, t))
		return;
	hm_load(&told, 75, 4096 * MIB);
	CHECK_HEARD(t, &told.listener, "");
	thresholds.dwLowLoad = 75;
	thresholds.dwCalmLoad = 75;
	CHECK_HR(t, IHostMemoryMonitor_SetThresholds(monitor, &thresholds), S_OK);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "times that run go on");
	hm_load(&told, 74, 4096 * MIB);
	hm_advance(&told, 1500);
	CHECK_HEARD(t, &told.listener, "");
	thresholds.msCalm = 1000;
	CHECK_HR(t, IHostMemoryMonitor_SetThresholds(monitor, &thresholds), S_OK);
	CHECK_HEARD(t, &told.listener, "2");
	hm_told_end(&told);
}

static void look_tells_the_state(struct hm_trial *t)
{
	static const struct {
		DWORD percent;
		SIZE_T available;
		EMemoryAvailable state;
		const char *heard;
	} rows[] = {
		{ 75, 4096 * MIB, HM_NEUTRAL, "" },
		{ 90, 4096 * MIB, HM_LOW, "1" },
		{ 90, 4096 * MIB, HM_LOW, "" },
		{ 10, 4096 * MIB, HM_LOW, "" },
	};
	IHostMemoryMonitor *monitor = hm_monitor(t);
	struct hm_told told;

	if (monitor == NULL || !hm_told_begin(&told, t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		EMemoryAvailable state = (EMemoryAvailable)0;

		hm_row(t, "%u per cent", (unsigned)rows[i].percent);
		hm_load(&told, rows[i].percent, rows[i].available);
		CHECK_HR(t, IHostMemoryMonitor_Look(monitor, &state), S_OK);
		CHECK_SIZE(t, state, rows[i].state);
		CHECK_HEARD(t, &told.listener, rows[i].heard);
	}
	CHECK_HR(t, IHostMemorySimulator_ClearMemoryLoad(told.simulator), S_OK);
	CHECK_HEARD(t, &told.listener, "2");
	CHECK_REFUSED(t, IHostMemoryMonitor_Look(monitor, NULL), E_POINTER);
	hm_told_end(&told);
}

/* ---- Records ---- */

typedef HRESULT (*fills)(IHostMemoryMonitor *monitor, void *record);

static HRESULT fill_source(IHostMemoryMonitor *monitor, void *record)
{
	return IHostMemoryMonitor_GetSource(monitor, HostMemSourceBudget,
					    (HostMemSourceState *)record);
}

static HRESULT fill_thresholds(IHostMemoryMonitor *monitor, void *record)
{
	return IHostMemoryMonitor_GetThresholds(monitor, (HostMemThresholds *)record);
}

static HRESULT fill_system(IHostMemoryMonitor *monitor, void *record)
{
	return IHostMemoryMonitor_GetSystem(monitor, (HostMemSystem *)record);
}

static const struct {
	const char *name;
	fills fill;
	uint32_t size;
} records[] = {
	{ "GetSource", fill_source, sizeof(HostMemSourceState) },
	{ "GetThresholds", fill_thresholds, sizeof(HostMemThresholds) },
	{ "GetSystem", fill_system, sizeof(HostMemSystem) },
};

static void records_are_filled_as_far_as_they_go(struct hm_trial *t)
{
	IHostMemoryMonitor *monitor = hm_monitor(t);

	for (size_t i = 0; monitor != NULL && i < HM_ROWS(records); i++) {
		uint64_t record[128]; /* more than any host knows of */
		uint32_t told;

		hm_row(t, "%s, 16 bytes", records[i].name);
		memset(record, 0x5A, sizeof(record));
		told = 16;
		memcpy(record, &told, sizeof(told));
		CHECK_HR(t, records[i].fill(monitor, record), S_OK);
		memcpy(&told, record, sizeof(told));
		CHECK_SIZE(t, told, 16);
		CHECK_FILLED(t, record + 2, sizeof(record) - 16, 0x5A);
		hm_row(t, "%s, more than there is", records[i].name);
		told = sizeof(record);
		memcpy(record, &told, sizeof(told));
		CHECK_HR(t, records[i].fill(monitor, record), S_OK);
		memcpy(&told, record, sizeof(told));
		CHECK(t, told >= records[i].size && told < sizeof(record));
	}
}

static void bad_records_are_refused(struct hm_trial *t)
{
	static const uint32_t sizes[] = { 0, 8, 15, 20, UINT32_MAX };
	IHostMemoryMonitor *monitor = hm_monitor(t);

	for (size_t i = 0; monitor != NULL && i < HM_ROWS(records); i++) {
		hm_row(t, "%s of nothing", records[i].name);
		CHECK_REFUSED(t, records[i].fill(monitor, NULL), E_POINTER);
		for (size_t n = 0; n < HM_ROWS(sizes); n++) {
			uint64_t record[16];

			hm_row(t, "%s, cbSize %u", records[i].name, (unsigned)sizes[n]);
			memset(record, 0x5A, sizeof(record));
			memcpy(record, &sizes[n], sizeof(sizes[n]));
			CHECK_REFUSED(t, records[i].fill(monitor, record), E_INVALIDARG);
			CHECK_FILLED(t, record + 1, sizeof(record) - 8, 0x5A);
		}
	}
}

/* ---- Sources ---- */

static void no_source_is_active_before_and_after(struct hm_trial *t)
{
	static struct hm_listener listener;
	IHostMemoryMonitor *monitor = hm_monitor(t);
	IHostMemoryControl *control = monitor != NULL ? hm_control(t) : NULL;
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

	if (control == NULL || hm_simulator(t) == NULL)
		return;
	for (unsigned source = 0; source < HOSTMEM_SOURCES; source++) {
		hm_row(t, "source %u, nobody has registered", source);
		state.result = E_FAIL;
		CHECK_HR(t,
			 IHostMemoryMonitor_GetSource(monitor, (HostMemSource)source,
						      &state),
			 S_OK);
		CHECK_HR(t, state.result, S_FALSE);
		CHECK_SIZE(t, state.cCalls, 0);
	}
	hm_listener_init(&listener);
	(void)hm_register(t, &listener);
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), S_OK);
	for (unsigned source = 0; source < HOSTMEM_SOURCES; source++) {
		hm_row(t, "source %u, shut down", source);
		state.result = E_FAIL;
		CHECK_HR(t,
			 IHostMemoryMonitor_GetSource(monitor, (HostMemSource)source,
						      &state),
			 S_OK);
		CHECK_HR(t, state.result, S_FALSE);
	}
}

static void other_sources_are_refused(struct hm_trial *t)
{
	static const int sources[] = { HOSTMEM_SOURCES, -1, 0x7FFFFFFF };
	IHostMemoryMonitor *monitor = hm_monitor(t);

	for (size_t i = 0; monitor != NULL && i < HM_ROWS(sources); i++) {
		HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

		hm_row(t, "source %d", sources[i]);
		state.cCalls = 4711;
		CHECK_REFUSED(t,
			      IHostMemoryMonitor_GetSource(monitor,
							   (HostMemSource)sources[i],
							   &state),
			      E_INVALIDARG);
		CHECK_SIZE(t, state.cCalls, 4711);
	}
}

static const struct hm_case cases[] = {
	{ "thresholds", HM_DOCUMENTED, "HM header: SetThresholds, GetThresholds",
	  thresholds_are_told_again, HM_NO_GROUP },
	{ "shorter-records", HM_DOCUMENTED,
	  "HM header: SetThresholds, what a smaller record lacks",
	  shorter_records_mean_defaults, HM_NO_GROUP },
	{ "bad-thresholds", HM_DOCUMENTED, "HM header: SetThresholds, Errors",
	  bad_thresholds_are_refused, HM_DOCUMENTED },
	{ "thresholds-at-once", HM_DOCUMENTED,
	  "HM header: SetThresholds, times that run go on from where they are",
	  thresholds_count_at_once, HM_NO_GROUP },
	{ "look", HM_DOCUMENTED, "HM header: Look", look_tells_the_state, HM_NO_GROUP },
	{ "records", HM_DOCUMENTED, "HM header: GetSource, GetThresholds, GetSystem",
	  records_are_filled_as_far_as_they_go, HM_NO_GROUP },
	{ "bad-records", HM_DOCUMENTED,
	  "HM header: GetSource, GetThresholds, GetSystem, Errors",
	  bad_records_are_refused, HM_DOCUMENTED },
	{ "sources", HM_DOCUMENTED, "HM header: HostMemSourceState, S_FALSE",
	  no_source_is_active_before_and_after, HM_NO_GROUP },
	{ "other-sources", HM_DOCUMENTED, "HM header: GetSource, Errors",
	  other_sources_are_refused, HM_DOCUMENTED },
};

const struct hm_area hm_area_monitor = HM_AREA("monitor", cases);
