/*
 * The path of one request: who is asked, in which order, and what is taken back.
 */
#include "hostmem/request.h"
#include "fake.h"

#define ALLOCATE HM_EVENT_BIT(HostMemEventAllocate)
#define FREE HM_EVENT_BIT(HostMemEventFree)
#define FAILURE HM_EVENT_BIT(HostMemEventFailure)

static struct fake_host fake;
static struct hm_host *host = &fake.host;
static struct listener ears[4];

static void start(void)
{
	memset(ears, 0, sizeof(ears));
	fake_host_init(&fake);
}

static void check_claimed(size_t claimed, size_t charged)
{
	CHECK_SIZE(host->budget.claimed, claimed);
	CHECK_SIZE(host->budget.charged, charged);
}

/* As release.c does it: the refund first, then the event. */
static void free_bytes(struct hm_request *request, HostMemOperation operation,
		       void *address, size_t size)
{
	hm_budget_refund(&host->budget, size);
	hm_announce_free(request, operation, address, size);
}

static void a_charge_is_pending_until_it_is_settled(void)
{
	start();
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 100), S_OK);
	check_claimed(100, 0);
	hm_request_settle(&request);
	check_claimed(100, 100);
	free_bytes(&request, HostMemDecommit, NULL, 100);
	check_claimed(0, 0);
	hm_request_close(&request);
	fake_host_end(&fake);
}

static void what_was_settled_may_be_taken_back(void)
{
	start();
	listen(host, &ears[0], ALL_EVENTS);
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 100), S_OK);
	hm_request_settle(&request);
	hm_request_unsettle(&request, 100);
	check_claimed(100, 0);
	CHECK_HR(hm_request_refuse(&request, E_OUTOFMEMORY, HostMemBySystem),
		 E_OUTOFMEMORY);
	check_claimed(0, 0);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 2);
	CHECK_EVENT(&ears[0], 1, HostMemEventFailure, HostMemCommit, 100);
	fake_host_end(&fake);
}

static void an_event_tells_the_request(void)
{
	const HostMemEvent *event = &ears[0].events[0];

	start();
	fake_limit(host, 5000);
	listen(host, &ears[0], ALL_EVENTS);
	OPEN(request, HostMemHeap);
	CHECK_HR(fake_ask(&request, 100), S_OK);
	CHECK_EVENT(&ears[0], 0, HostMemEventAllocate, HostMemHeap, 100);
	CHECK_U32(event->cbSize, sizeof(*event));
	CHECK_INT(event->level, eAppDomainCritical);
	CHECK_INT(event->reason, HostMemNoReason);
	CHECK_HR(event->result, S_OK);
	CHECK_U32(event->attempt, 1);
	CHECK_SIZE(event->request, 1);
	CHECK_POINTER(event->address, (void *)FAKE_BASE);
	CHECK_SIZE(event->cbLimit, 5000);
	CHECK_SIZE(event->cbCharged, 0);
	hm_request_settle(&request);
	hm_request_renew(&request);
	free_bytes(&request, HostMemRelease, (void *)PAGE, 100);
	event = &ears[0].events[1];
	CHECK_EVENT(&ears[0], 1, HostMemEventFree, HostMemRelease, 100);
	CHECK_INT(event->level, eTaskCritical);
	CHECK_SIZE(event->request, 2);
	CHECK_SIZE(event->cbCharged, 0);
	CHECK_SIZE(event->cbPeak, 100);
	CHECK_POINTER(event->address, (void *)PAGE);
	hm_request_close(&request);
	fake_host_end(&fake);
}

static void each_mask_hears_its_own(void)
{
	static const struct {
		uint32_t mask;
		unsigned heard;
	} rows[] = {
		{ ALLOCATE, 2 },
		{ FREE, 1 },
		{ FAILURE, 1 },
		{ ALL_EVENTS, 4 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("mask %u", rows[i].mask);
		start();
		listen(host, &ears[0], rows[i].mask);
		OPEN(request, HostMemCommit);
		CHECK_HR(fake_ask(&request, 10), S_OK);
		hm_request_settle(&request);
		hm_request_renew(&request);
		free_bytes(&request, HostMemDecommit, NULL, 10);
		hm_request_renew(&request);
		CHECK_HR(fake_ask(&request, 20), S_OK);
		CHECK_HR(hm_request_refuse(&request, E_OUTOFMEMORY, HostMemBySystem),
			 E_OUTOFMEMORY);
		hm_request_close(&request);
		CHECK_U32(ears[0].count, rows[i].heard);
		fake_host_end(&fake);
	}
}

static void subscribers_are_asked_in_order_until_one_refuses(void)
{
	unsigned clock = 0;

	start();
	for (size_t i = 0; i < 4; i++) {
		ears[i].clock = &clock;
		listen(host, &ears[i], i == 3 ? FAILURE : ALLOCATE | FAILURE);
	}
	ears[1].refuse = 1;
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 100), E_OUTOFMEMORY);
	hm_request_close(&request);
	check_claimed(0, 0);
	CHECK_SIZE(host->refused_callback, 1);
	CHECK_SIZE(host->refused_budget + host->failed_os, 0);
	/* Those who were asked, and who wants failures only; not the third. */
	CHECK_U32(ears[0].count, 2);
	CHECK_U32(ears[1].count, 2);
	CHECK_U32(ears[2].count, 0);
	CHECK_U32(ears[3].count, 1);
	CHECK_U32(ears[0].when, 3);
	CHECK_U32(ears[1].when, 4);
	CHECK_U32(ears[3].when, 5);
	for (size_t i = 0; i < 2; i++) {
		CHECK_EVENT(&ears[i], 1, HostMemEventFailure, HostMemCommit, 100);
		CHECK_INT(ears[i].events[1].reason, HostMemByCallback);
		CHECK_HR(ears[i].events[1].result, E_OUTOFMEMORY);
		CHECK_INT(ears[i].events[1].announced, TRUE);
		CHECK_SIZE(ears[i].events[1].request, ears[i].events[0].request);
	}
	CHECK_INT(ears[3].events[0].announced, FALSE);
	fake_host_end(&fake);
}

static void the_budget_is_asked_before_anybody(void)
{
	start();
	fake_limit(host, 99);
	listen(host, &ears[0], ALL_EVENTS);
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 100), E_OUTOFMEMORY);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 1);
	CHECK_EVENT(&ears[0], 0, HostMemEventFailure, HostMemCommit, 100);
	CHECK_INT(ears[0].events[0].reason, HostMemByBudget);
	CHECK_INT(ears[0].events[0].announced, FALSE);
	CHECK_SIZE(host->refused_budget, 1);
	fake_host_end(&fake);
}

static void an_attempt_replaces_the_one_before_it(void)
{
	start();
	listen(host, &ears[0], ALL_EVENTS);
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 300), S_OK);
	CHECK_HR(fake_ask(&request, 200), S_OK);
	check_claimed(200, 0);
	/* Down to nothing: something was announced, so its end is told. */
	CHECK_HR(fake_ask(&request, 0), S_OK);
	check_claimed(0, 0);
	hm_request_settle(&request);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 3);
	for (unsigned i = 0; i < 3; i++) {
		static const size_t sizes[] = { 300, 200, 0 };

		tap_row("attempt %u", i + 1);
		CHECK_EVENT(&ears[0], i, HostMemEventAllocate, HostMemCommit, sizes[i]);
		CHECK_SIZE(ears[0].events[i].cbWithdrawn, i == 0 ? 0 : sizes[i - 1]);
		CHECK_U32(ears[0].events[i].attempt, i + 1);
		CHECK_SIZE(ears[0].events[i].request, 1);
	}
	fake_host_end(&fake);
}

static void an_attempt_that_grows_beyond_the_budget_takes_all_back(void)
{
	start();
	fake_limit(host, 250);
	listen(host, &ears[0], ALL_EVENTS);
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 200), S_OK);
	CHECK_HR(fake_ask(&request, 300), E_OUTOFMEMORY);
	check_claimed(0, 0);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 2);
	CHECK_INT(ears[0].events[1].announced, TRUE);
	CHECK_INT(ears[0].events[1].reason, HostMemByBudget);
	/* What was asked for in vain, and what was announced before. */
	CHECK_SIZE(ears[0].events[1].size, 300);
	CHECK_SIZE(ears[0].events[1].cbWithdrawn, 200);
	fake_host_end(&fake);
}

/* The first agrees to both attempts, the second to one, the third hears of one only. */
static void a_failure_takes_back_what_each_has_heard(void)
{
	static const size_t withdrawn[] = { 200, 200, 300 };

	start();
	for (size_t i = 0; i < 3; i++)
		listen(host, &ears[i], ALL_EVENTS);
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 300), S_OK);
	ears[1].refuse = 2;
	CHECK_HR(fake_ask(&request, 200), E_OUTOFMEMORY);
	hm_request_close(&request);
	for (size_t i = 0; i < 3; i++) {
		unsigned last = ears[i].count - 1;

		tap_row("subscriber %zu", i);
		CHECK_U32(ears[i].count, i == 2 ? 2 : 3);
		CHECK_EVENT(&ears[i], last, HostMemEventFailure, HostMemCommit, 200);
		CHECK_INT(ears[i].events[last].announced, TRUE);
		CHECK_SIZE(ears[i].events[last].cbWithdrawn, withdrawn[i]);
	}
	fake_host_end(&fake);
}

static void a_request_for_nothing_is_nobodys_business(void)
{
	start();
	listen(host, &ears[0], ALL_EVENTS);
	OPEN(request, HostMemReserve);
	CHECK_HR(fake_ask(&request, 0), S_OK);
	hm_request_settle(&request);
	hm_announce_mapping(&request, 0);
	free_bytes(&request, HostMemRelease, NULL, 0);
	CHECK_HR(hm_request_refuse(&request, E_INVALIDARG, HostMemNoReason),
		 E_INVALIDARG);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 0);
	fake_host_end(&fake);
}

static void a_refusal_is_told_where_it_is_a_shortage_or_was_announced(void)
{
	static const struct {
		size_t asked;
		HRESULT hr;
		HostMemReason reason;
		unsigned events;
		size_t failed_os;
	} rows[] = {
		{ 0, BAD_ADDRESS, HostMemNoReason, 0, 0 },
		{ 0, E_OUTOFMEMORY, HostMemBySystem, 1, 1 },
		{ 10, BAD_ADDRESS, HostMemNoReason, 2, 0 },
		{ 10, E_OUTOFMEMORY, HostMemBySystem, 2, 1 },
		{ 10, E_ACCESSDENIED, HostMemNoReason, 2, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		start();
		listen(host, &ears[0], ALL_EVENTS);
		OPEN(request, HostMemCommit);
		CHECK_HR(fake_ask(&request, rows[i].asked), S_OK);
		CHECK_HR(hm_request_refuse(&request, rows[i].hr, rows[i].reason),
			 rows[i].hr);
		hm_request_close(&request);
		CHECK_U32(ears[0].count, rows[i].events);
		CHECK_SIZE(host->failed_os, rows[i].failed_os);
		if (rows[i].events == 2)
			CHECK_HR(ears[0].events[1].result, rows[i].hr);
		check_claimed(0, 0);
		fake_host_end(&fake);
	}
}

static void what_is_told_cannot_be_refused(void)
{
	start();
	listen(host, &ears[0], ALL_EVENTS);
	listen(host, &ears[1], ALL_EVENTS);
	ears[0].refuse = 1;
	OPEN(request, HostMemMapping);
	hm_announce_mapping(&request, 100);
	/* Charged by whoever keeps its books. */
	check_claimed(0, 0);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 1);
	CHECK_U32(ears[1].count, 1);
	CHECK_EVENT(&ears[1], 0, HostMemEventAllocate, HostMemMapping, 100);
	CHECK_SIZE(host->refused_callback, 0);
	fake_host_end(&fake);
}

/* As a commit of pages that are all committed, to which the system says no. */
static HRESULT refuse_anyhow(struct hm_work *work, struct hm_request *request)
{
	(void)request;
	work->reason = HostMemBySystem;
	return E_OUTOFMEMORY;
}

static size_t HOSTMEM_CALL give_nothing(void *state, size_t wanted)
{
	CHECK_SIZE(wanted, 0);
	++*(unsigned *)state;
	return 0;
}

static void what_needs_nothing_is_attempted_like_the_rest(void)
{
	for (unsigned reclaims = 0; reclaims < 2; reclaims++) {
		struct hm_work work = { .perform = refuse_anyhow };
		HostMemFault fault = HOSTMEM_FAULT_INIT;
		struct hm_reclaimer *before;
		unsigned calls = 0;
		uint64_t cookie;

		tap_row("reclaimers: %u", reclaims);
		start();
		listen(host, &ears[0], ALL_EVENTS);
		CHECK_HR(hm_faults_add(&host->faults, &fault, &cookie), S_OK);
		if (reclaims)
			CHECK_HR(hm_reclaimers_set(&host->reclaimers, give_nothing,
						   &calls, &before),
				 S_OK);
		OPEN(request, HostMemCommit);
		CHECK_HR(hm_request_run(&request, &work), E_OUTOFMEMORY);
		hm_request_close(&request);
		CHECK_U32(calls, reclaims);
		CHECK_U32(ears[0].count, 1);
		CHECK_EVENT(&ears[0], 0, HostMemEventFailure, HostMemCommit, 0);
		CHECK_U32(ears[0].events[0].attempt, 1 + reclaims);
		CHECK_INT(ears[0].events[0].reason, HostMemBySystem);
		CHECK_SIZE(fake_usage(&fake).cRefusedInjected, 0);
		CHECK_SIZE(fake_usage(&fake).cFailedOs, 1);
		fake_host_end(&fake);
	}
}

int main(void)
{
	TAP_RUN(a_charge_is_pending_until_it_is_settled);
	TAP_RUN(what_was_settled_may_be_taken_back);
	TAP_RUN(an_event_tells_the_request);
	TAP_RUN(each_mask_hears_its_own);
	TAP_RUN(subscribers_are_asked_in_order_until_one_refuses);
	TAP_RUN(the_budget_is_asked_before_anybody);
	TAP_RUN(an_attempt_replaces_the_one_before_it);
	TAP_RUN(an_attempt_that_grows_beyond_the_budget_takes_all_back);
	TAP_RUN(a_failure_takes_back_what_each_has_heard);
	TAP_RUN(a_request_for_nothing_is_nobodys_business);
	TAP_RUN(a_refusal_is_told_where_it_is_a_shortage_or_was_announced);
	TAP_RUN(what_is_told_cannot_be_refused);
	TAP_RUN(what_needs_nothing_is_attempted_like_the_rest);
	return tap_done();
}
