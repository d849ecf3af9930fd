/*
 * Requests that are tried more than once, failures that are always announced, subscribers
 * that come in between; and callbacks whose time is taken.
 */
#include "faulted.h"

static struct faulted f;
static struct recorder early, late, failures;

static bool start(uint32_t flags)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.dwFlags = flags;
	memset(&early, 0, sizeof(early));
	memset(&late, 0, sizeof(late));
	memset(&failures, 0, sizeof(failures));
	return faulted_make(&f, &budget);
}

/* The limit is what is charged, and `flags` stay as they are. */
static void fill_up(uint32_t flags)
{
	HostMemBudget budget = budget_of(host_usage(&f.host).cbCharged);

	budget.dwFlags = flags;
	CHECK_HR(budget_set(&f.host, &budget), S_OK);
}

static bool fills_up;
static uint32_t fill_flags;

static size_t HOSTMEM_CALL let_somebody_in(void *state, size_t wanted)
{
	CHECK_SIZE(wanted, 2 * PAGE);
	recorder_start((struct recorder *)state, &f.host, ALL_BITS);
	if (fills_up)
		fill_up(fill_flags);
	return 0;
}

/* The first attempt is announced to one; somebody else joins; then comes the second. */
static HRESULT join_between_attempts(uint32_t flags, bool fills)
{
	HostMemFault fault = HOSTMEM_FAULT_INIT;

	fault.place = HOSTMEM_FAULT_SYSTEM;
	faulted_add(&f, &fault);
	fills_up = fills;
	fill_flags = flags;
	CHECK_HR(IHostMemoryControl_SetReclaimer(f.host.control, let_somebody_in, &late),
		 S_OK);
	recorder_start(&early, &f.host, ALL_BITS);
	recorder_start(&failures, &f.host, FAILURE_BIT);
	return vm_commit_pages(&f.host, f.base, 2, eAppDomainCritical);
}

static void who_comes_between_attempts_is_asked_anew(void)
{
	if (!start(0))
		return;
	CHECK_HR(join_between_attempts(0, false), S_OK);
	if (CHECK_SIZE(early.count, 2) && CHECK_SIZE(late.count, 1)) {
		CHECK_EVENT(&early.events[0], HostMemEventAllocate, HostMemCommit,
			    2 * PAGE);
		CHECK_EVENT(&early.events[1], HostMemEventAllocate, HostMemCommit,
			    2 * PAGE);
		CHECK_INT(early.events[0].announced, FALSE);
		CHECK_INT(early.events[1].announced, TRUE);
		CHECK_INT(late.events[0].announced, FALSE);
		CHECK_U32(early.events[0].attempt, 1);
		CHECK_U32(early.events[1].attempt, 2);
		CHECK_U32(late.events[0].attempt, 2);
		CHECK_SIZE(early.events[0].request, early.events[1].request);
		CHECK_SIZE(early.events[0].request, late.events[0].request);
	}
	CHECK_SIZE(failures.count, 0);
	faulted_end(&f);
}

/* The second attempt does not pass the budget: the newcomer has nothing to take back. */
static void a_failure_says_who_has_seen_the_beginning(void)
{
	for (uint32_t flags = 0; flags <= HOSTMEM_ANNOUNCE_ALWAYS;
	     flags += HOSTMEM_ANNOUNCE_ALWAYS) {
		tap_row("flags %u", flags);
		if (!start(flags))
			return;
		CHECK_HR(join_between_attempts(flags, true), E_OUTOFMEMORY);
		CHECK_SIZE(early.count, 2);
		CHECK_EVENT(&early.events[1], HostMemEventFailure, HostMemCommit,
			    2 * PAGE);
		CHECK_INT(early.events[1].reason, HostMemByBudget);
		CHECK_INT(early.events[1].announced, TRUE);
		CHECK_U32(early.events[1].attempt, 2);
		CHECK_SIZE(failures.count, 1);
		CHECK_INT(failures.events[0].announced, FALSE);
		/* Where all failures are announced it is not told what it cannot add up. */
		CHECK_SIZE(late.count, flags == 0 ? 1 : 0);
		if (late.count == 1)
			CHECK_INT(late.events[0].announced, FALSE);
		CHECK_SIZE(host_usage(&f.host).cRefusedBudget, 1);
		CHECK_SIZE(host_usage(&f.host).cRefusedInjected, 0);
		faulted_end(&f);
	}
}

static void a_refusal_is_announced_to_all_whatever_they_say(void)
{
	struct recorder refuser = { .refuse = true };
	void *out;

	if (!start(HOSTMEM_ANNOUNCE_ALWAYS))
		return;
	recorder_start(&early, &f.host, ALL_BITS);
	recorder_start(&refuser, &f.host, ALL_BITS);
	recorder_start(&failures, &f.host, FAILURE_BIT);
	recorder_start(&late, &f.host, ALL_BITS);
	fill_up(HOSTMEM_ANNOUNCE_ALWAYS);
	CHECK_HR(vm_alloc_at_level(&f.host, NULL, 3 * PAGE, MEM_COMMIT, PAGE_READWRITE,
				   eProcessCritical, &out),
		 E_OUTOFMEMORY);
	for (unsigned i = 0; i < 3; i++) {
		const struct recorder *r = (const struct recorder *[]){ &early, &refuser,
									&late }[i];

		tap_row("subscriber %u", i);
		if (!CHECK_SIZE(r->count, 2))
			continue;
		CHECK_EVENT(&r->events[0], HostMemEventAllocate, HostMemCommit, 3 * PAGE);
		CHECK_EVENT(&r->events[1], HostMemEventFailure, HostMemCommit, 3 * PAGE);
		CHECK_INT(r->events[0].announced, FALSE);
		CHECK_INT(r->events[1].announced, TRUE);
		CHECK_INT(r->events[0].reason, HostMemNoReason);
		CHECK_INT(r->events[1].reason, HostMemByBudget);
		CHECK_U32(r->events[0].attempt, 1);
		CHECK_U32(r->events[1].attempt, 1);
		CHECK_INT(r->events[0].level, eProcessCritical);
		CHECK_SIZE(r->events[0].request, r->events[1].request);
		/* All are asked before anybody is told. */
		CHECK(r->order[0] < early.order[1]);
	}
	CHECK_SIZE(failures.count, 1);
	CHECK_SIZE(host_usage(&f.host).cRefusedBudget, 1);
	CHECK_SIZE(host_usage(&f.host).cRefusedCallback, 0);
	recorder_stop(&refuser);
	faulted_end(&f);
}

/* What is refused without a charge was never announced, and a veto is as ever. */
static void announcing_failures_changes_nothing_else(void)
{
	struct recorder refuser = { .refuse = true };

	if (!start(HOSTMEM_ANNOUNCE_ALWAYS))
		return;
	recorder_start(&early, &f.host, ALL_BITS);
	recorder_start(&refuser, &f.host, ALL_BITS);
	recorder_start(&late, &f.host, ALL_BITS);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 1, eTaskCritical), E_OUTOFMEMORY);
	CHECK_SIZE(early.count, 2);
	CHECK_SIZE(refuser.count, 2);
	CHECK_SIZE(late.count, 0);
	CHECK_INT(early.events[1].reason, HostMemByCallback);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 17, eTaskCritical), HR_INVALID_ADDRESS);
	CHECK_SIZE(early.count, 2);
	recorder_stop(&refuser);
	faulted_end(&f);
}

/* ---- Time ---- */

static HostMemUsage times(void)
{
	HostMemUsage usage = host_usage(&f.host);

	CHECK(usage.nsTimedCallbacks >= usage.nsSlowestCallback);
	CHECK(usage.cTimedCallbacks != 0 || usage.nsTimedCallbacks == 0);
	return usage;
}

static void only_callbacks_that_want_it_are_timed(void)
{
	HostMemUsage before, after;

	if (!start(0))
		return;
	recorder_start(&early, &f.host, ALL_BITS);
	recorder_start(&failures, &f.host, FAILURE_BIT | HOSTMEM_TIME_CALLBACK);
	CHECK_HR(faulted_take(&f), S_OK);
	CHECK_SIZE(times().cTimedCallbacks, 0);
	recorder_start(&late, &f.host, ALLOCATE_BIT | FREE_BIT | HOSTMEM_TIME_CALLBACK);
	for (unsigned i = 1; i <= 10; i++) {
		before = times();
		CHECK_HR(faulted_take(&f), S_OK);
		after = times();
		CHECK_SIZE(after.cTimedCallbacks, 2 * i);
		CHECK(after.nsTimedCallbacks >= before.nsTimedCallbacks);
		CHECK(after.nsSlowestCallback >= before.nsSlowestCallback);
	}
	/* Its mask is that of any other. */
	CHECK_SIZE(late.count, 20);
	CHECK_SIZE(early.count, 22);
	late.refuse = true;
	CHECK_HR(faulted_take(&f), E_OUTOFMEMORY);
	CHECK_SIZE(late.count, 21);
	CHECK_SIZE(failures.count, 1);
	CHECK_SIZE(times().cTimedCallbacks, 22);
	recorder_stop(&late);
	before = times();
	CHECK_HR(faulted_take(&f), S_OK);
	after = times();
	CHECK_SIZE(after.cTimedCallbacks, 22);
	CHECK_SIZE(after.nsTimedCallbacks, before.nsTimedCallbacks);
	CHECK_SIZE(after.nsSlowestCallback, before.nsSlowestCallback);
	faulted_end(&f);
}

int main(void)
{
	TAP_RUN(who_comes_between_attempts_is_asked_anew);
	TAP_RUN(a_failure_says_who_has_seen_the_beginning);
	TAP_RUN(a_refusal_is_announced_to_all_whatever_they_say);
	TAP_RUN(announcing_failures_changes_nothing_else);
	TAP_RUN(only_callbacks_that_want_it_are_timed);
	return tap_done();
}
