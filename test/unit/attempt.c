/*
 * Attempts of a request: what follows a shortage, and how it ends.
 */
#include "hostmem/attempt.h"
#include "hostmem/gate.h"
#include "fake.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { WATCHDOG = 300, HOUR = 3600000 };

static struct fake_host fake;
static struct hm_host *host = &fake.host;
static struct listener ears[1];

/* A host with so much to give, where every level may wait for an hour. */
static void start(size_t limit)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	memset(ears, 0, sizeof(ears));
	fake_host_init(&fake);
	budget.cbLimit = limit;
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = HOUR;
	CHECK_HR(hm_host_set_budget(host, &budget), S_OK);
}

static void end(void)
{
	CHECK_SIZE(host->budget.claimed, 0);
	CHECK_U32(host->waiting.count, 0);
	CHECK_U32(hm_host_holds(host), 0);
	CHECK_U32((uint32_t)host->gate.asleep, 0);
	fake_host_end(&fake);
}

/* The system's part of a request. */
struct job {
	struct hm_work work;
	unsigned refusals; /* by the system, before it delivers */
	_Atomic unsigned attempts;
	HRESULT result;
	pthread_t thread;
};

static HRESULT perform(struct hm_work *work, struct hm_request *request)
{
	struct job *job = hm_container_of(work, struct job, work);

	if (atomic_fetch_add(&job->attempts, 1) < job->refusals)
		return E_OUTOFMEMORY;
	hm_request_settle(request);
	return S_OK;
}

static void *run(void *argument)
{
	struct job *job = argument;
	struct hm_request request;

	job->work.charge = job->work.size;
	job->work.perform = perform;
	job->work.reason = HostMemBySystem;
	CHECK_HR(hm_request_open(&request, host, HostMemCommit, eTaskCritical, NULL),
		 S_OK);
	job->result = hm_request_run(&request, &job->work);
	hm_request_close(&request);
	return NULL;
}

static void job_start(struct job *job)
{
	if (pthread_create(&job->thread, NULL, run, job) != 0)
		abort();
}

static void job_end(struct job *job, HRESULT want)
{
	(void)pthread_join(job->thread, NULL);
	CHECK_HR(job->result, want);
}

/* Needs less than it has asked for, as a commit does when others commit its pages. */
static HRESULT need_less(struct hm_work *work, struct hm_request *request)
{
	if (work->charge != 100) {
		hm_request_settle(request);
		return S_OK;
	}
	work->size = 40;
	work->charge = 40;
	return S_FALSE;
}

static void what_is_needed_still_is_not_put_at_risk(void)
{
	struct hm_work work = { .size = 100, .charge = 100, .perform = need_less };
	struct hm_waiter waiter = { .level = eProcessCritical,
				    .charge = 100,
				    .deadline = UINT64_MAX };

	start(100);
	OPEN(request, HostMemCommit);
	/* Nothing is left for the other, before nor after. */
	hm_budget_charge(&host->budget, 1);
	hm_waiting_begin(&host->waiting, &host->budget, &waiter);
	hm_budget_refund(&host->budget, 1);
	CHECK_HR(hm_request_run(&request, &work), S_OK);
	hm_request_close(&request);
	CHECK_U32(waiter.wake, HM_WAKE_NOT);
	CHECK_SIZE(host->budget.charged, 40);
	hm_budget_refund(&host->budget, 40);
	hm_calls_enter();
	hm_waiting_wake_all(&host->waiting);
	hm_calls_leave();
	end();
}

/* All of it sleep. */
static void wait_for_sleepers(uint32_t count)
{
	while ((uint32_t)atomic_load(&host->gate.asleep) != count)
		(void)sched_yield();
}

static void free_bytes(size_t size)
{
	hm_budget_refund(&host->budget, size);
	hm_host_offer(host, HM_OFFER_MEMORY);
}

static void a_wait_in_virtual_time_moves_the_clock_once(void)
{
	struct job job = { .work = { .size = 100 } };
	uint64_t begun;

	start(100);
	listen(host, &ears[0], ALL_EVENTS);
	CHECK(hm_clock_set_virtual(&host->clock, true));
	hm_budget_charge(&host->budget, 1);
	begun = hm_clock_now(&host->clock);
	for (unsigned i = 1; i <= 3000; i++) {
		(void)run(&job);
		CHECK_HR(job.result, HOST_E_TIMEOUT);
		CHECK_SIZE(hm_clock_now(&host->clock), begun + (uint64_t)i * HOUR);
	}
	CHECK_EVENT(&ears[0], 0, HostMemEventFailure, HostMemCommit, 100);
	CHECK_INT(ears[0].events[0].reason, HostMemByTimeout);
	CHECK_SIZE(host->refused_budget, 3000);
	CHECK_U32(job.attempts, 0);
	free_bytes(1);
	end();
}

static void who_waited_in_vain_takes_back_what_it_announced(void)
{
	struct job job = { .work = { .size = 100 }, .refusals = UINT32_MAX };
	const HostMemEvent *event = ears[0].events;

	start(100);
	listen(host, &ears[0], ALL_EVENTS);
	CHECK(hm_clock_set_virtual(&host->clock, true));
	(void)run(&job);
	CHECK_HR(job.result, HOST_E_TIMEOUT);
	CHECK_U32(ears[0].count, 2);
	CHECK_EVENT(&ears[0], 0, HostMemEventAllocate, HostMemCommit, 100);
	CHECK_EVENT(&ears[0], 1, HostMemEventFailure, HostMemCommit, 100);
	CHECK_INT(event[1].reason, HostMemByTimeout);
	CHECK_INT(event[1].announced, TRUE);
	/* It was the system that was short. */
	CHECK_SIZE(host->failed_os, 1);
	CHECK_SIZE(host->refused_budget, 0);
	end();
}

static void each_waking_is_one_more_attempt(void)
{
	struct job job = { .work = { .size = 100 }, .refusals = 3 };

	start(1000);
	listen(host, &ears[0], ALL_EVENTS);
	hm_budget_charge(&host->budget, 500);
	job_start(&job);
	for (unsigned i = 1; i <= 3; i++) {
		while (atomic_load(&job.attempts) != i ||
		       atomic_load(&host->waiting.count) == 0)
			(void)sched_yield();
		free_bytes(100);
	}
	job_end(&job, S_OK);
	CHECK_U32(ears[0].count, 4);
	for (unsigned i = 0; i < 4; i++) {
		tap_row("attempt %u", i + 1);
		CHECK_EVENT(&ears[0], i, HostMemEventAllocate, HostMemCommit, 100);
		CHECK_U32(ears[0].events[i].attempt, i + 1);
		CHECK_INT(ears[0].events[i].announced, i != 0);
	}
	CHECK_SIZE(host->failed_os, 0);
	free_bytes(200 + 100);
	end();
}

/* A charge that comes to nothing is no memory. */
static void two_whom_the_system_refuses_do_not_keep_each_other_awake(void)
{
	struct job jobs[3] = { { .refusals = UINT32_MAX },
			       { .refusals = UINT32_MAX },
			       { .refusals = UINT32_MAX } };
	unsigned attempts = 0;

	start(1000);
	hm_budget_charge(&host->budget, 500);
	for (size_t i = 0; i < ROWS(jobs); i++) {
		jobs[i].work.size = 100;
		job_start(&jobs[i]);
		wait_for_sleepers((uint32_t)i + 1);
	}
	free_bytes(1);
	for (size_t i = 0; i < ROWS(jobs); i++) {
		while (atomic_load(&jobs[i].attempts) < 2)
			(void)sched_yield();
	}
	wait_for_sleepers(3);
	CHECK_HR(hm_host_shut_down(host), S_OK);
	for (size_t i = 0; i < ROWS(jobs); i++) {
		job_end(&jobs[i], HOST_E_ABANDONED);
		attempts += jobs[i].attempts;
	}
	/* Two for each, and one more for who met the refund on its way to sleep. */
	CHECK(attempts >= 6 && attempts <= 9);
	hm_budget_refund(&host->budget, 499);
	end();
}

static void a_request_that_charges_nothing_waits_for_the_system_only(void)
{
	struct job job = { .work = { .size = 0 }, .refusals = 1 };

	start(100);
	hm_budget_charge(&host->budget, 500); /* a mapping, beyond the limit */
	job_start(&job);
	wait_for_sleepers(1);
	free_bytes(1);
	job_end(&job, S_OK);
	free_bytes(499);
	end();
}

static size_t HOSTMEM_CALL close_behind(void *state, size_t wanted)
{
	CHECK_SIZE(wanted, *(size_t *)state);
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	return 0;
}

/* Its own request goes on, and, as it never waits, fails. */
static void who_closes_the_gate_in_its_reclaimer_does_not_wait(void)
{
	struct job job = { .work = { .size = 70 } };
	struct hm_reclaimer *before;
	size_t lacks = 20;

	start(100);
	CHECK_HR(hm_reclaimers_set(&host->reclaimers, close_behind, &lacks, &before),
		 S_OK);
	hm_budget_charge(&host->budget, 50);
	(void)run(&job);
	CHECK_HR(job.result, E_OUTOFMEMORY);
	CHECK_HR(hm_gate_leave(host), S_OK);
	free_bytes(50);
	end();
}

static void what_cannot_help_is_not_tried(void)
{
	struct job job = { .work = { .size = 101 } };

	start(100);
	(void)run(&job);
	CHECK_HR(job.result, E_OUTOFMEMORY);
	CHECK_SIZE(host->refused_budget, 1);
	job.work.size = SIZE_MAX;
	hm_budget_charge(&host->budget, 1);
	(void)run(&job);
	CHECK_HR(job.result, E_OUTOFMEMORY);
	free_bytes(1);
	end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(what_is_needed_still_is_not_put_at_risk);
	TAP_RUN(a_wait_in_virtual_time_moves_the_clock_once);
	TAP_RUN(who_waited_in_vain_takes_back_what_it_announced);
	TAP_RUN(each_waking_is_one_more_attempt);
	TAP_RUN(two_whom_the_system_refuses_do_not_keep_each_other_awake);
	TAP_RUN(a_request_that_charges_nothing_waits_for_the_system_only);
	TAP_RUN(who_closes_the_gate_in_its_reclaimer_does_not_wait);
	TAP_RUN(what_cannot_help_is_not_tried);
	return tap_done();
}
