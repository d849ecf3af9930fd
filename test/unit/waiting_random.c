/*
 * Waiting for memory, many threads and many offers, beside a model: the bytes that were
 * granted and not given back are never more than the limit, nobody is forgotten, and
 * nothing is left of anybody in the end.
 */
#include "hostmem/waiting.h"
#include "hostmem/host.h"
#include "fake.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT = 1000, THREADS = 6, ROUNDS = 3000, WATCHDOG = 300 };

static struct hm_budget budget;
static struct hm_waiting waiting;
static struct hm_clock clocks;
static _Atomic int64_t in_use; /* the model: bytes that threads have */
static _Atomic unsigned over;  /* the limit was overshot */
static _Atomic uint64_t granted, again, late;

static enum hm_wake sleep_as(struct hm_waiter *waiter)
{
	hm_waiting_begin(&waiting, &budget, waiter);
	return hm_waiting_sleep(&waiting, &clocks, waiter);
}

static void start(size_t limit)
{
	HostMemBudget given = HOSTMEM_BUDGET_INIT;

	memset(&budget, 0, sizeof(budget));
	memset(&waiting, 0, sizeof(waiting));
	memset(&clocks, 0, sizeof(clocks));
	given.cbLimit = limit;
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_budget_init(&budget, &given);
}

static void have(size_t size)
{
	int64_t now = (int64_t)size + atomic_fetch_add(&in_use, (int64_t)size);

	hm_budget_settle(&budget, size);
	if (now > LIMIT)
		atomic_fetch_add(&over, 1);
}

static void give_back(size_t size)
{
	atomic_fetch_sub(&in_use, (int64_t)size);
	hm_calls_enter();
	hm_budget_refund(&budget, size);
	hm_waiting_offer(&waiting, &budget, true);
	hm_calls_leave();
}

/* Asks, and waits where it is refused; false: time was up. */
static bool get(uint64_t *random, size_t size)
{
	struct hm_waiter waiter = {
		.level = (EMemoryCriticalLevel)random_below(random, 3),
		.charge = size,
		.deadline = random_below(random, 8) == 0 ? hm_clock_now(&clocks)
							 : UINT64_MAX,
	};
	HostMemReason reason;

	for (;;) {
		if (hm_budget_admit(&budget, waiter.level, size, &reason))
			return true;
		switch (sleep_as(&waiter)) {
		case HM_WAKE_GRANTED:
			atomic_fetch_add(&granted, 1);
			return true;
		case HM_WAKE_AGAIN:
			atomic_fetch_add(&again, 1);
			break;
		default:
			atomic_fetch_add(&late, 1);
			return false;
		}
	}
}

static void *work(void *argument)
{
	uint64_t random = (uint64_t)(uintptr_t)argument + 1;

	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t size = 1 + random_below(&random, LIMIT);

		if (random_below(&random, 64) == 0) {
			hm_calls_enter();
			hm_waiting_wake_all(&waiting);
			hm_calls_leave();
		}
		if (!get(&random, size))
			continue;
		have(size);
		if (random_below(&random, 4) == 0)
			(void)sched_yield();
		give_back(size);
	}
	return NULL;
}

static void nobody_is_forgotten_and_nothing_is_granted_twice(void)
{
	pthread_t threads[THREADS];

	start(LIMIT);
	for (size_t i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, work, (void *)(i * 77)) != 0)
			abort();
	}
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	CHECK_U32(over, 0);
	CHECK_SIZE(budget.claimed, 0);
	CHECK_SIZE(budget.charged, 0);
	CHECK(budget.peak <= LIMIT);
	CHECK_U32(waiting.count, 0);
	CHECK(waiting.first == NULL);
	CHECK(granted != 0);
}

static void *wait_for_ever(void *argument)
{
	struct hm_waiter *waiter = argument;

	CHECK_INT(sleep_as(waiter), HM_WAKE_ENDED);
	return NULL;
}

static void check_in_the_child(void)
{
	struct hm_waiter waiter = { .charge = 10, .deadline = 0 };

	CHECK_U32(waiting.count, 0);
	CHECK(waiting.first == NULL);
	hm_calls_enter();
	hm_waiting_offer(&waiting, &budget, true);
	hm_calls_leave();
	CHECK_INT(sleep_as(&waiter), HM_WAKE_TIMEOUT);
}

static void a_fork_child_has_no_waiters(void)
{
	struct hm_waiter waiter = { .charge = 10, .deadline = UINT64_MAX };
	pthread_t thread;
	int status = -1;
	pid_t pid;

	start(LIMIT);
	hm_budget_charge(&budget, LIMIT);
	if (pthread_create(&thread, NULL, wait_for_ever, &waiter) != 0)
		abort();
	while (atomic_load(&waiting.count) == 0)
		(void)sched_yield();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)alarm(60);
		/* As hm_hosts_after_fork does it for each host. */
		hm_waiting_after_fork(&waiting);
		check_in_the_child();
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	hm_calls_enter();
	hm_waiting_end(&waiting);
	hm_calls_leave();
	(void)pthread_join(thread, NULL);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(nobody_is_forgotten_and_nothing_is_granted_twice);
	TAP_RUN(a_fork_child_has_no_waiters);
	return tap_done();
}
