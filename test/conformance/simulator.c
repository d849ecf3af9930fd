/*
 * IHostMemorySimulator: a memory load, a state of the memory and a time that are not real.
 */
#include "com_rules.h"
#include "recorder.h"
#include "test/callback.h"

#define LOW eMemoryAvailableLow
#define NEUTRAL eMemoryAvailableNeutral
#define HIGH eMemoryAvailableHigh
#define MIB ((SIZE_T)1 << 20)

static struct host host;
static struct callback callback;
static IHostMemorySimulator *simulator;

static bool begin(void)
{
	if (!host_create(&host, 0))
		return false;
	simulator = (IHostMemorySimulator *)com_face((IUnknown *)host.manager,
						     &IID_IHostMemorySimulator);
	callback = callback_new();
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(host.manager,
								       &callback.iface),
		 S_OK);
	return true;
}

static bool begin_in_virtual_time(void)
{
	if (!begin())
		return false;
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	return true;
}

static void end(void)
{
	IHostMemorySimulator_Release(simulator);
	host_destroy(&host);
	CHECK_U32(callback.references, 1);
}

static void load(DWORD percent, SIZE_T available)
{
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, percent, available), S_OK);
}

static void advance(DWORD ms)
{
	CHECK_HR(IHostMemorySimulator_Advance(simulator, ms), S_OK);
}

static void say(EMemoryAvailable available)
{
	CHECK_HR(IHostMemorySimulator_SetAvailability(simulator, available), S_OK);
}

static void be(void)
{
	CHECK_HR(IHostMemorySimulator_ClearAvailability(simulator), S_OK);
}

#define CHECK_LOAD(percent, available) \
	check_load((percent), (available), __FILE__, __LINE__)

static void check_load(DWORD percent, SIZE_T available, const char *file, int line)
{
	DWORD got_percent = POISON_DWORD;
	SIZE_T got_available = POISON_SIZE;

	tap_check_hr(IHostMemoryManager_GetMemoryLoad(host.manager, &got_percent,
						      &got_available),
		     S_OK, "GetMemoryLoad", file, line);
	tap_check_u32(got_percent, percent, "load", file, line);
	tap_check_unsigned(got_available, available, "available", file, line);
}

/* That of this machine, which no test sets. */
static void check_real_load(void)
{
	DWORD percent = POISON_DWORD;
	SIZE_T available = POISON_SIZE;

	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &percent, &available),
		 S_OK);
	CHECK(percent < 100);
	CHECK(available > MIB && available != POISON_SIZE);
}

static void the_load_is_exactly_what_was_set(void)
{
	static const SIZE_T sizes[] = { 0, 1, 64 * MIB, SIZE_MAX - 1, SIZE_MAX };

	if (!begin())
		return;
	check_real_load();
	for (DWORD percent = 0; percent <= 100; percent++) {
		SIZE_T available = sizes[percent % ROWS(sizes)];

		tap_row("%u per cent", percent);
		load(percent, available);
		CHECK_LOAD(percent, available);
	}
	/* What is said of the state is not a figure. */
	say(HIGH);
	CHECK_LOAD(100, 0);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(simulator), S_OK);
	check_real_load();
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(simulator), S_OK);
	end();
}

static void bad_arguments_change_nothing(void)
{
	static const DWORD percents[] = { 101, 0x7FFFFFFF, 0xFFFFFFFF };
	static const int values[] = { 0, 4, -1, 0x7FFFFFFF };
	struct snapshot before;
	DWORD percent = POISON_DWORD;

	if (!begin())
		return;
	load(95, SIZE_MAX);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(percents); i++) {
		tap_row("%u per cent", percents[i]);
		CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, percents[i], PAGE),
			 E_INVALIDARG);
	}
	for (size_t i = 0; i < ROWS(values); i++) {
		tap_row("value %d", values[i]);
		CHECK_HR(IHostMemorySimulator_SetAvailability(
				 simulator, (EMemoryAvailable)values[i]),
			 E_INVALIDARG);
	}
	tap_row("%s", "");
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 0), E_INVALIDARG);
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 60000), E_INVALIDARG);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &percent, NULL),
		 E_POINTER);
	CHECK_U32(percent, 0);
	CHECK_LOAD(95, SIZE_MAX);
	CHECK_UNCHANGED(&before);
	CHECK_HEARD(&callback, "1");
	end();
}

/* The state comes before the arguments, and before the kind of time. */
static void after_shutdown_nothing_is_simulated(void)
{
	DWORD percent = POISON_DWORD;
	SIZE_T available = POISON_SIZE;

	if (!begin())
		return;
	load(50, SIZE_MAX);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 101, 0),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemorySimulator_SetAvailability(simulator, (EMemoryAvailable)0),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemoryControl_NotifyMemory(host.control, (EMemoryAvailable)4),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 1), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(simulator), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemorySimulator_ClearAvailability(simulator),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &percent, &available),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_U32(percent, 0);
	CHECK_SIZE(available, 0);
	CHECK_HEARD(&callback, "");
	end();
}

struct step {
	DWORD percent, mib;
	const char *at_once;
	DWORD ms; /* that then go by */
	const char *later;
};

static void play(const char *name, const struct step *steps, size_t count)
{
	if (!begin_in_virtual_time())
		return;
	for (size_t i = 0; i < count; i++) {
		tap_row("%s, step %zu", name, i);
		load(steps[i].percent, steps[i].mib * MIB);
		CHECK_HEARD(&callback, steps[i].at_once);
		advance(steps[i].ms);
		CHECK_HEARD(&callback, steps[i].later);
	}
	tap_row("%s", "");
	end();
}

static void the_load_is_judged_with_hysteresis_and_dwell_times(void)
{
	static const struct step shortage[] = {
		{ 89, 1000, "", 60000, "" }, { 90, 1000, "1", 100, "" },
		{ 85, 1000, "", 5000, "" },  { 84, 1000, "", 1999, "" },
		{ 84, 1000, "", 1, "2" },    { 84, 1000, "", 60000, "" },
		{ 100, 1000, "1", 0, "" },   { 84, 191, "", 5000, "" },
		{ 84, 192, "", 1999, "" },   { 84, 192, "", 1, "2" },
		{ 0, 64, "1", 0, "" },       { 80, 1000, "", 2000, "2" },
	};
	static const struct step plenty[] = {
		{ 70, 1000, "", 60000, "" },  { 69, 1000, "", 4999, "" },
		{ 69, 1000, "", 1, "3" },     { 74, 1000, "", 60000, "" },
		{ 75, 1000, "2", 60000, "" }, { 0, 1000, "", 4999, "" },
		{ 70, 1000, "", 0, "" },      { 0, 1000, "", 4999, "" },
		{ 0, 1000, "", 1, "3" },      { 0, 191, "2", 0, "" },
		{ 0, 1000, "", 5000, "3" },   { 95, 1000, "1", 0, "" },
	};
	static const struct step in_order[] = {
		{ 95, 1000, "1", 8191, "" },
		{ 95, 1000, "", 1, "1" },
		{ 99, 1000, "", 2 * 8192, "11" },
		{ 10, 1000, "", 60000, "23" },
	};
	static const struct step noise[] = {
		{ 91, 1000, "1", 100, "" }, { 84, 1000, "", 1900, "" },
		{ 90, 1000, "", 100, "" },  { 84, 1000, "", 1900, "" },
		{ 89, 1000, "", 100, "" },  { 84, 1000, "", 1900, "" },
	};

	play("shortage", shortage, ROWS(shortage));
	play("plenty", plenty, ROWS(plenty));
	play("in order", in_order, ROWS(in_order));
	play("noise", noise, ROWS(noise));
}

static void what_is_said_holds_until_an_edge_or_until_it_is_cleared(void)
{
	if (!begin_in_virtual_time())
		return;
	say(LOW);
	say(LOW);
	CHECK_HEARD(&callback, "1");
	/* Neutral before and after, so nothing has changed by itself. */
	load(80, SIZE_MAX);
	CHECK_HEARD(&callback, "");
	be();
	be();
	CHECK_HEARD(&callback, "2");
	say(HIGH);
	load(95, SIZE_MAX);
	CHECK_HEARD(&callback, "31");
	CHECK_HR(IHostMemoryControl_NotifyMemory(host.control, NEUTRAL), S_OK);
	CHECK_HEARD(&callback, "2");
	be();
	CHECK_HEARD(&callback, "1");
	load(80, SIZE_MAX);
	advance(2000);
	CHECK_HEARD(&callback, "2");
	end();
}

static void clearing_the_load_ends_what_it_has_brought_about(void)
{
	if (!begin_in_virtual_time())
		return;
	load(95, 0);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(simulator), S_OK);
	CHECK_HEARD(&callback, "12");
	load(0, SIZE_MAX);
	advance(5000);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(simulator), S_OK);
	CHECK_HEARD(&callback, "32");
	advance(60000);
	CHECK_HEARD(&callback, "");
	end();
}

static void time_may_change_its_kind(void)
{
	if (!begin())
		return;
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, FALSE), S_OK);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, 5), S_OK);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	load(95, SIZE_MAX);
	load(80, SIZE_MAX);
	advance(1500);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, FALSE), S_OK);
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 500), E_INVALIDARG);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	CHECK_HEARD(&callback, "1");
	/* What had gone by has gone by. */
	advance(500);
	CHECK_HEARD(&callback, "2");
	end();
}

static void look_at_the_load(struct recorder *recorder, const HostMemEvent *event)
{
	(void)recorder;
	if (event->type != HostMemEventAllocate)
		return;
	load(95, 123);
	CHECK_LOAD(95, 123);
	load(10, SIZE_MAX);
	advance(2000);
	say(LOW);
	CHECK_HEARD(&callback, "");
}

static void a_request_holds_back_what_is_simulated_inside(void)
{
	struct recorder recorder = { .then = look_at_the_load };
	void *base;

	if (!begin_in_virtual_time())
		return;
	recorder_start(&recorder, &host, ALL_BITS);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(vm_release(&host, base), S_OK);
	recorder_stop(&recorder);
	end();
	CHECK_HEARD(&callback, "2");
}

static void throw_the_host_away(struct callback *self, EMemoryAvailable available)
{
	if (available != NEUTRAL)
		return;
	self->then = NULL;
	IHostMemorySimulator_Release(simulator);
	host_destroy(&host);
}

static void the_host_may_be_thrown_away_while_time_goes_by(void)
{
	if (!begin_in_virtual_time())
		return;
	callback.then = throw_the_host_away;
	load(95, SIZE_MAX);
	load(80, SIZE_MAX);
	advance(60000);
	CHECK_HEARD(&callback, "12");
	CHECK_U32(callback.references, 1);
}

int main(void)
{
	TAP_RUN(the_load_is_exactly_what_was_set);
	TAP_RUN(bad_arguments_change_nothing);
	TAP_RUN(after_shutdown_nothing_is_simulated);
	TAP_RUN(the_load_is_judged_with_hysteresis_and_dwell_times);
	TAP_RUN(what_is_said_holds_until_an_edge_or_until_it_is_cleared);
	TAP_RUN(clearing_the_load_ends_what_it_has_brought_about);
	TAP_RUN(time_may_change_its_kind);
	TAP_RUN(a_request_holds_back_what_is_simulated_inside);
	TAP_RUN(the_host_may_be_thrown_away_while_time_goes_by);
	return tap_done();
}
