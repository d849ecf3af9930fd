/*
 * Cases about the path of an injected failure, which is that of a real one, and about bad rules.
 */
#include "areas.h"
#include "control.h"

#include <math.h>
#include <string.h>

static const HostMemFault once = HOSTMEM_FAULT_INIT;

static uint64_t add(struct hm_trial *t, IHostMemorySimulator *simulator,
		    const HostMemFault *fault)
{
	uint64_t cookie = 0;

	CHECK_HR(t, IHostMemorySimulator_AddFault(simulator, fault, &cookie), S_OK);
	CHECK(t, cookie != 0);
	return cookie;
}

static IHostMemorySimulator *begin(struct hm_trial *t, IHostMemoryControl **control)
{
	*control = hm_control(t);
	return *control != NULL ? hm_simulator(t) : NULL;
}

static void the_result_is_the_rules(struct hm_trial *t)
{
	static const HRESULT results[] = {
		E_OUTOFMEMORY,       HOST_E_TIMEOUT,
		E_ACCESSDENIED,      HOSTMEM_HRESULT_FROM_WIN32(8),
		(HRESULT)0x8007ABCD, (HRESULT)0xFFFFFFFF
	};
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);

	for (size_t i = 0; simulator != NULL && i < HM_ROWS(results); i++) {
		HostMemFault fault = once;
		struct hm_state before;

		hm_row(t, "%s", t->target->result_name(results[i]));
		fault.result = results[i];
		(void)add(t, simulator, &fault);
		hm_look(t, &before);
		(void)hm_grant(t, 2, eTaskCritical, results[i]);
		CHECK_UNCHANGED(t, &before);
		CHECK_SIZE(t, hm_usage(t, control).cRefusedInjected, i + 1);
		CHECK_SIZE(t, hm_usage(t, control).cRefusedBudget, 0);
		(void)hm_grant(t, 2, eTaskCritical, S_OK);
	}
}

static void the_place_says_whether_anybody_was_asked(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);

	for (uint32_t place = 0; simulator != NULL && place < 2; place++) {
		struct hm_recorder recorder = { .refuse = false };
		const HostMemEvent *failure = &recorder.events[place];
		HostMemFault fault = once;

		hm_row(t, place == HOSTMEM_FAULT_BUDGET ? "for the budget"
							: "for the system");
		fault.place = place;
		(void)add(t, simulator, &fault);
		if (!hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
			return;
		(void)hm_grant(t, 3, eAppDomainCritical, E_OUTOFMEMORY);
		CHECK_SIZE(t, recorder.count, 1 + place);
		CHECK_EVENT(t, failure, HostMemEventFailure, HostMemCommit, 3 * HM_PAGE);
		CHECK_SIZE(t, failure->reason, HostMemByFault);
		CHECK_HR(t, failure->result, E_OUTOFMEMORY);
		CHECK(t,
		      (failure->announced != FALSE) == (place == HOSTMEM_FAULT_SYSTEM));
		CHECK_SIZE(t, failure->cbWithdrawn, place * 3 * HM_PAGE);
		CHECK_SIZE(t, recorder.events[0].request, failure->request);
		hm_unsubscribe(&recorder);
	}
}

static void the_first_that_fires_ends_the_search(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);
	HostMemFault first = once, second = once;

	if (simulator == NULL)
		return;
	first.result = HOST_E_TIMEOUT;
	second.result = E_ACCESSDENIED;
	second.nth = 2;
	(void)add(t, simulator, &first);
	(void)add(t, simulator, &second);
	(void)hm_grant(t, 1, eTaskCritical, HOST_E_TIMEOUT);
	hm_row(t, "the second has not counted that one");
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	(void)hm_grant(t, 1, eTaskCritical, E_ACCESSDENIED);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	hm_row(t, "the place comes before the order");
	first.place = HOSTMEM_FAULT_SYSTEM;
	second.nth = 0;
	(void)add(t, simulator, &first);
	(void)add(t, simulator, &second);
	(void)hm_grant(t, 1, eTaskCritical, E_ACCESSDENIED);
	(void)hm_grant(t, 1, eTaskCritical, HOST_E_TIMEOUT);
}

static size_t HOSTMEM_CALL count_calls(void *state, size_t wanted)
{
	(void)wanted;
	++*(unsigned *)state;
	return 0;
}

static void a_request_is_matched_once(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);
	HostMemFault fault = once;
	unsigned calls = 0;

	if (simulator == NULL)
		return;
	fault.count = 0;
	fault.every = 2;
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(control, count_calls, &calls), S_OK);
	for (uint32_t place = 0; place < 2; place++) {
		uint64_t cookie;

		hm_row(t, "place %u", (unsigned)place);
		calls = 0;
		fault.place = place;
		cookie = add(t, simulator, &fault);
		(void)hm_grant(t, 1, eTaskCritical, S_OK);
		CHECK_SIZE(t, calls, 0);
		/* Its second attempt would be the third match of the rule. */
		(void)hm_grant(t, 1, eTaskCritical, S_OK);
		CHECK_SIZE(t, calls, 1);
		(void)hm_grant(t, 1, eTaskCritical, S_OK);
		CHECK_SIZE(t, calls, 1);
		(void)hm_grant(t, 1, eTaskCritical, S_OK);
		CHECK_SIZE(t, calls, 2);
		CHECK_HR(t, IHostMemorySimulator_RemoveFault(simulator, cookie), S_OK);
	}
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(control, NULL, NULL), S_OK);
}

static void a_delay_is_of_the_hosts_clock(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);
	unsigned long long begun = hm_now_ms();
	HostMemFault fault = once;

	if (simulator == NULL)
		return;
	hm_row(t, "virtual time");
	fault.msDelay = 20000;
	(void)add(t, simulator, &fault);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK(t, hm_now_ms() - begun < 20000);
	hm_row(t, "real time");
	CHECK_HR(t, IHostMemorySimulator_SetVirtualTime(simulator, FALSE), S_OK);
	fault.msDelay = 60;
	(void)add(t, simulator, &fault);
	begun = hm_now_ms();
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK(t, hm_now_ms() - begun >= 40); /* some clocks tick 64 times a second */
}

static void e_fail_puts_the_host_out_of_use(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);
	HostMemFault fault = once;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	if (simulator == NULL)
		return;
	fault.result = E_FAIL;
	(void)add(t, simulator, &fault);
	(void)hm_grant(t, 1, eTaskCritical, E_FAIL);
	(void)hm_grant(t, 1, eTaskCritical, HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(t, IHostMemoryControl_SetBudget(control, &budget),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), HOST_E_CLRNOTAVAILABLE);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
}

/* ---- Bad rules ---- */

static void spoil_size(HostMemFault *fault)
{
	fault->cbSize = 0;
}

static void spoil_size_within_a_field(HostMemFault *fault)
{
	fault->cbSize = (uint32_t)offsetof(HostMemFault, cbMin) + 1;
}

static void spoil_size_beyond(HostMemFault *fault)
{
	fault->cbSize = UINT32_MAX;
}

static void spoil_operations(HostMemFault *fault)
{
	fault->operations = 1U << (HostMemMapping + 1);
}

static void spoil_operations_all_harmless(HostMemFault *fault)
{
	fault->operations = (1U << HostMemDecommit) | (1U << HostMemRelease) |
			    (1U << HostMemMapping);
}

static void spoil_levels(HostMemFault *fault)
{
	fault->levels = 8;
}

static void spoil_place(HostMemFault *fault)
{
	fault->place = 2;
}

static void spoil_range(HostMemFault *fault)
{
	fault->cbMin = 2;
	fault->cbMax = 1;
}

static void spoil_result(HostMemFault *fault)
{
	fault->result = S_OK;
}

static void spoil_result_false(HostMemFault *fault)
{
	fault->result = S_FALSE;
}

static void spoil_nth_and_probability(HostMemFault *fault)
{
	fault->nth = 1;
	fault->probability = 0.5;
}

static void spoil_every_and_probability(HostMemFault *fault)
{
	fault->every = 1;
	fault->probability = 0.5;
}

static void spoil_probability_above(HostMemFault *fault)
{
	fault->probability = 1.0000001;
}

static void spoil_probability_below(HostMemFault *fault)
{
	fault->probability = -0.5;
}

static void spoil_probability_nan(HostMemFault *fault)
{
	fault->probability = (double)NAN;
}

static const struct {
	const char *name;
	void (*spoil)(HostMemFault *fault);
} bad_rules[] = {
	{ "cbSize 0", spoil_size },
	{ "cbSize within a field", spoil_size_within_a_field },
	{ "cbSize too large", spoil_size_beyond },
	{ "an operation that there is not", spoil_operations },
	{ "operations that cannot be refused", spoil_operations_all_harmless },
	{ "level 3", spoil_levels },
	{ "place 2", spoil_place },
	{ "cbMin above cbMax", spoil_range },
	{ "S_OK", spoil_result },
	{ "S_FALSE", spoil_result_false },
	{ "nth beside probability", spoil_nth_and_probability },
	{ "every beside probability", spoil_every_and_probability },
	{ "probability above 1", spoil_probability_above },
	{ "probability below 0", spoil_probability_below },
	{ "probability not a number", spoil_probability_nan },
};

static void bad_rules_are_refused(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);
	uint64_t cookie;

	if (simulator == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(bad_rules); i++) {
		HostMemFault fault = once;

		hm_row(t, "%s", bad_rules[i].name);
		bad_rules[i].spoil(&fault);
		cookie = 0x5A5A5A5A;
		CHECK_REFUSED(t,
			      IHostMemorySimulator_AddFault(simulator, &fault, &cookie),
			      E_INVALIDARG);
		CHECK_SIZE(t, cookie, 0);
	}
	hm_row(t, "no rule, no cookie");
	cookie = 0x5A5A5A5A;
	CHECK_REFUSED(t, IHostMemorySimulator_AddFault(simulator, NULL, &cookie),
		      E_POINTER);
	CHECK_SIZE(t, cookie, 0);
	CHECK_REFUSED(t, IHostMemorySimulator_AddFault(simulator, &once, NULL),
		      E_POINTER);
	hm_row(t, "none of them is in force");
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
}

static void shorter_rules_mean_defaults(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);
	HostMemFault fault = once;

	if (simulator == NULL)
		return;
	memset((unsigned char *)&fault + 16, 0xFF, sizeof(fault) - 16);
	fault.cbSize = (uint32_t)offsetof(HostMemFault, cbMin);
	(void)add(t, simulator, &fault);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
}

static void unknown_rules_cannot_be_taken_away(struct hm_trial *t)
{
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator = begin(t, &control);
	uint64_t cookie, other;

	if (simulator == NULL)
		return;
	CHECK_REFUSED(t, IHostMemorySimulator_RemoveFault(simulator, 0), E_INVALIDARG);
	CHECK_REFUSED(t, IHostMemorySimulator_RemoveFault(simulator, 1), E_INVALIDARG);
	cookie = add(t, simulator, &once);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "one that has fired as often as it may is known");
	CHECK_HR(t, IHostMemorySimulator_RemoveFault(simulator, cookie), S_OK);
	hm_row(t, "a second time");
	CHECK_REFUSED(t, IHostMemorySimulator_RemoveFault(simulator, cookie),
		      E_INVALIDARG);
	hm_row(t, "numbers are never used again");
	other = add(t, simulator, &once);
	CHECK(t, other != cookie);
	CHECK_REFUSED(t, IHostMemorySimulator_RemoveFault(simulator, cookie),
		      E_INVALIDARG);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
}

static const struct hm_case cases[] = {
	{ "results", HM_DOCUMENTED, "HM header: HostMemFault.result",
	  the_result_is_the_rules, HM_NO_GROUP },
	{ "places", HM_DOCUMENTED, "HM header: HostMemFault.place",
	  the_place_says_whether_anybody_was_asked, HM_NO_GROUP },
	{ "order", HM_DOCUMENTED,
	  "HM header: HostMemFault, the first that fires ends the search",
	  the_first_that_fires_ends_the_search, HM_NO_GROUP },
	{ "matched-once", HM_DOCUMENTED,
	  "HM header: HostMemFault, once, not once for each attempt",
	  a_request_is_matched_once, HM_NO_GROUP },
	{ "delay", HM_DOCUMENTED, "HM header: HostMemFault.msDelay, SetVirtualTime",
	  a_delay_is_of_the_hosts_clock, HM_NO_GROUP },
	{ "e-fail", HM_DOCUMENTED, "HM header: HostMemFault.result, E_FAIL",
	  e_fail_puts_the_host_out_of_use, HM_NO_GROUP },
	{ "bad-rules", HM_DOCUMENTED, "HM header: AddFault, Errors",
	  bad_rules_are_refused, HM_DOCUMENTED },
	{ "shorter-records", HM_DOCUMENTED, "HM header: AddFault, a smaller record",
	  shorter_rules_mean_defaults, HM_NO_GROUP },
	{ "unknown-rules", HM_DOCUMENTED, "HM header: RemoveFault, Errors",
	  unknown_rules_cannot_be_taken_away, HM_DOCUMENTED },
};

const struct hm_area hm_area_faults_path = HM_AREA("faults-path", cases);
