/*
 * What a subscriber may do while it is called: everything.  Nested requests, leaving,
 * coming; and leaving while another thread is in the callback.
 */
#include "recorder.h"

#include <pthread.h>
#include <sched.h>

static struct host host;

static size_t nested_runs;

static void commit_and_release(struct recorder *recorder, const HostMemEvent *event)
{
	size_t charged = host_usage(recorder->host).cbCharged;
	void *base = vm_new(recorder->host, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);

	(void)event;
	CHECK_SIZE(host_usage(recorder->host).cbCharged, charged + 2 * PAGE);
	memset(base, 1, 2 * PAGE);
	CHECK_HR(vm_release(recorder->host, base), S_OK);
	CHECK_SIZE(host_usage(recorder->host).cbCharged, charged);
	nested_runs++;
}

/* `busy` in the recorder shows a callback that is entered while it runs. */
static void nested_requests_are_told_to_others_only(void)
{
	struct recorder first = { .then = commit_and_release };
	struct recorder second = { .refuse = false };
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);

	nested_runs = 0;
	recorder_start(&first, &host, ALL_BITS);
	recorder_start(&second, &host, ALL_BITS);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_free(&host, base, PAGE, MEM_DECOMMIT), S_OK);
	CHECK_SIZE(nested_runs, 2);
	CHECK_SIZE(first.count, 2);
	/* For each event of the outer request two of the nested ones, before it. */
	CHECK_SIZE(second.count, 6);
	for (size_t i = 0; i < second.count; i++) {
		static const struct {
			HostMemEventType type;
			HostMemOperation operation;
			size_t pages;
		} want[] = {
			{ HostMemEventAllocate, HostMemCommit, 2 },
			{ HostMemEventFree, HostMemRelease, 2 },
			{ HostMemEventAllocate, HostMemCommit, 1 },
			{ HostMemEventAllocate, HostMemCommit, 2 },
			{ HostMemEventFree, HostMemRelease, 2 },
			{ HostMemEventFree, HostMemDecommit, 1 },
		};

		tap_row("event %zu", i);
		CHECK_EVENT(&second.events[i], want[i].type, want[i].operation,
			    want[i].pages * PAGE);
	}
	recorder_stop(&first);
	recorder_stop(&second);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void fail_a_request(struct recorder *recorder, const HostMemEvent *event)
{
	void *out;

	(void)event;
	CHECK_HR(vm_alloc(recorder->host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	nested_runs++;
}

/* The second subscriber refuses everything, also what the first asks for in between. */
static void nested_requests_may_fail(void)
{
	struct recorder first = { .then = fail_a_request };
	struct recorder second = { .refuse = true };
	struct snapshot before;
	void *out;

	nested_runs = 0;
	recorder_start(&first, &host, ALL_BITS);
	recorder_start(&second, &host, ALL_BITS);
	snapshot_take(&before, &host);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_UNCHANGED(&before);
	/* In its allocate event and in its failure event. */
	CHECK_SIZE(nested_runs, 2);
	CHECK_SIZE(first.count, 2);
	CHECK_SIZE(second.count, 6);
	recorder_stop(&first);
	recorder_stop(&second);
}

/* Two subscribers that each allocate when called: each runs once inside the other. */
static void nesting_ends_when_everybody_is_running(void)
{
	struct recorder recorders[3] = { { .then = commit_and_release },
					 { .then = commit_and_release },
					 { .then = commit_and_release } };
	void *base;

	nested_runs = 0;
	for (size_t i = 0; i < ROWS(recorders); i++)
		recorder_start(&recorders[i], &host, ALLOCATE_BIT);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	/* f(n) = n * (1 + f(n - 1)) callbacks among n that do not run yet. */
	CHECK_SIZE(nested_runs, 15);
	for (size_t i = 0; i < ROWS(recorders); i++)
		recorder_stop(&recorders[i]);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void change_the_very_pages(struct recorder *recorder, const HostMemEvent *event)
{
	DWORD old;

	if (event->type != HostMemEventAllocate)
		return;
	/* Half of what is about to be committed, and the query of it. */
	CHECK_HR(vm_commit(recorder->host, event->address, 2 * PAGE, PAGE_READONLY),
		 S_OK);
	CHECK_HR(vm_protect(recorder->host, event->address, PAGE, PAGE_NOACCESS, &old),
		 S_OK);
	nested_runs++;
}

/* The request is announced again with what is left; the sum stays right. */
static void a_subscriber_may_commit_the_pages_that_it_is_asked_about(void)
{
	struct recorder first = { .then = change_the_very_pages };
	struct recorder second = { .refuse = false };
	const HostMemEvent *event = second.events;
	struct ledger ledger = { .sum = (int64_t)host_usage(&host).cbCharged };
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);

	nested_runs = 0;
	recorder_start(&first, &host, ALLOCATE_BIT | FAILURE_BIT);
	recorder_start(&second, &host, ALL_BITS);
	ledger_start(&ledger, &host);
	CHECK_HR(vm_commit(&host, base, 4 * PAGE, PAGE_READWRITE), S_OK);
	CHECK(nested_runs >= 1);
	CHECK_RUN(&host, base, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_SIZE(host_usage(&host).cbCommitted, 4 * PAGE);
	CHECK_SIZE(host_usage(&host).cbCharged, 4 * PAGE);
	CHECK_SIZE((size_t)ledger.sum, 4 * PAGE);
	/* The nested request, the outer one's first attempt, and its second. */
	CHECK_SIZE(second.count, 3);
	CHECK_EVENT(&event[0], HostMemEventAllocate, HostMemCommit, 2 * PAGE);
	CHECK_EVENT(&event[1], HostMemEventAllocate, HostMemCommit, 4 * PAGE);
	CHECK_EVENT(&event[2], HostMemEventAllocate, HostMemCommit, 2 * PAGE);
	CHECK_SIZE(event[2].request, event[1].request);
	CHECK(event[0].request != event[1].request);
	CHECK_U32(event[1].attempt, 1);
	CHECK_U32(event[2].attempt, 2);
	recorder_stop(&second);
	recorder_stop(&first);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, ledger.cookie), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void release_the_region(struct recorder *recorder, const HostMemEvent *event)
{
	if (event->type == HostMemEventAllocate)
		CHECK_HR(vm_release(recorder->host, event->address), S_OK);
}

static void a_subscriber_may_release_the_region_that_it_is_asked_about(void)
{
	struct recorder first = { .then = release_the_region };
	struct ledger ledger = { .sum = (int64_t)host_usage(&host).cbCharged };
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);

	recorder_start(&first, &host, ALLOCATE_BIT);
	ledger_start(&ledger, &host);
	CHECK_HR(vm_commit(&host, base, 4 * PAGE, PAGE_READWRITE), HR_INVALID_ADDRESS);
	CHECK_SIZE(host_usage(&host).cRegions, 0);
	CHECK_SIZE(host_usage(&host).cbCharged, 0);
	CHECK(ledger.sum == 0);
	recorder_stop(&first);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, ledger.cookie), S_OK);
}

static void leave(struct recorder *recorder, const HostMemEvent *event)
{
	(void)event;
	recorder_stop(recorder);
}

static void a_subscriber_may_leave_from_inside_and_is_not_called_again(void)
{
	struct recorder first = { .then = leave };
	struct recorder second = { .refuse = false };
	void *base;

	recorder_start(&first, &host, ALL_BITS);
	recorder_start(&second, &host, ALL_BITS);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(first.count, 1);
	CHECK_SIZE(second.count, 2);
	recorder_stop(&second);
}

/* Its answer counts all the same. */
static void who_leaves_with_a_no_has_said_no(void)
{
	struct recorder first = { .then = leave, .refuse = true };
	void *out;

	recorder_start(&first, &host, ALL_BITS);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_SIZE(first.count, 1);
}

static struct recorder *neighbour;

static void make_the_neighbour_leave(struct recorder *recorder, const HostMemEvent *event)
{
	(void)event;
	recorder->then = NULL;
	recorder_stop(neighbour);
}

static void leave_both(struct recorder *recorder, const HostMemEvent *event)
{
	(void)event;
	recorder_stop(recorder);
	recorder_stop(neighbour);
}

/* It has gone itself, but what comes after it was still to be called. */
static void a_subscriber_may_leave_and_take_another_along(void)
{
	struct recorder first = { .then = leave_both };
	struct recorder second = { .refuse = true };
	struct recorder third = { .refuse = false };
	void *base;

	neighbour = &second;
	recorder_start(&first, &host, ALL_BITS);
	recorder_start(&second, &host, ALL_BITS);
	recorder_start(&third, &host, ALL_BITS);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(first.count, 1);
	CHECK_SIZE(second.count, 0);
	CHECK_SIZE(third.count, 2);
	recorder_stop(&third);
}

static void a_subscriber_may_make_another_leave(void)
{
	struct recorder first = { .then = make_the_neighbour_leave };
	struct recorder second = { .refuse = true };
	void *base;

	neighbour = &second;
	recorder_start(&first, &host, ALL_BITS);
	recorder_start(&second, &host, ALL_BITS);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(second.count, 0);
	recorder_stop(&first);
}

static void bring_the_neighbour(struct recorder *recorder, const HostMemEvent *event)
{
	(void)event;
	recorder->then = NULL;
	recorder_start(neighbour, recorder->host, ALL_BITS);
}

static void a_subscriber_may_bring_another(void)
{
	struct recorder first = { .then = bring_the_neighbour };
	struct recorder second = { .refuse = false };
	void *base;

	neighbour = &second;
	recorder_start(&first, &host, ALL_BITS);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK(second.count >= 1);
	CHECK_EVENT(&second.events[second.count - 1], HostMemEventFree, HostMemRelease,
		    PAGE);
	recorder_stop(&first);
	recorder_stop(&second);
}

/* ---- Leaving while another thread is in the callback ---- */

struct visit {
	uint64_t cookie;
	atomic_int inside, leaving,
		left; /* in the callback; about to leave it, left it */
};

static BOOL HOSTMEM_CALL stay_until_somebody_leaves(void *state,
						    const HostMemEvent *event)
{
	struct visit *visit = (struct visit *)state;

	(void)event;
	atomic_store(&visit->inside, 1);
	while (atomic_load(&visit->leaving) == 0)
		sched_yield();
	/* Time for an Unsubscribe that does not wait to come back too early. */
	for (int i = 0; i < 2000; i++)
		sched_yield();
	atomic_store(&visit->left, 1);
	return TRUE;
}

static void *commit_once(void *state)
{
	CHECK_HR(vm_release((struct host *)state, vm_new((struct host *)state, PAGE,
							 MEM_COMMIT, PAGE_READWRITE)),
		 S_OK);
	return NULL;
}

static void unsubscribe_waits_for_the_call_in_flight(void)
{
	struct visit visit = { .cookie = 0 };
	pthread_t thread;

	CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALLOCATE_BIT,
					      stay_until_somebody_leaves, &visit,
					      &visit.cookie),
		 S_OK);
	CHECK(pthread_create(&thread, NULL, commit_once, &host) == 0);
	while (atomic_load(&visit.inside) == 0)
		sched_yield();
	atomic_store(&visit.leaving, 1);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, visit.cookie), S_OK);
	CHECK_INT(atomic_load(&visit.left), 1);
	CHECK(pthread_join(thread, NULL) == 0);
}

struct guest {
	atomic_int subscribed, strays; /* calls while not subscribed */
};

static BOOL HOSTMEM_CALL look_whether_subscribed(void *state, const HostMemEvent *event)
{
	struct guest *guest = (struct guest *)state;

	(void)event;
	if (atomic_load(&guest->subscribed) == 0)
		atomic_fetch_add(&guest->strays, 1);
	return TRUE;
}

static atomic_int stop_working;

static void *commit_until_told(void *state)
{
	while (atomic_load(&stop_working) == 0)
		commit_once(state);
	return NULL;
}

static void no_call_comes_after_unsubscribe_has_returned(void)
{
	pthread_t threads[3];
	struct guest guest;

	atomic_init(&guest.subscribed, 0);
	atomic_init(&guest.strays, 0);
	atomic_store(&stop_working, 0);
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, commit_until_told, &host) == 0);
	for (int round = 0; round < 2000; round++) {
		uint64_t cookie = 0;

		atomic_store(&guest.subscribed, 1);
		CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALL_BITS,
						      look_whether_subscribed, &guest,
						      &cookie),
			 S_OK);
		CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, cookie), S_OK);
		atomic_store(&guest.subscribed, 0);
	}
	atomic_store(&stop_working, 1);
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK_INT(atomic_load(&guest.strays), 0);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(nested_requests_are_told_to_others_only);
	TAP_RUN(nested_requests_may_fail);
	TAP_RUN(nesting_ends_when_everybody_is_running);
	TAP_RUN(a_subscriber_may_commit_the_pages_that_it_is_asked_about);
	TAP_RUN(a_subscriber_may_release_the_region_that_it_is_asked_about);
	TAP_RUN(a_subscriber_may_leave_from_inside_and_is_not_called_again);
	TAP_RUN(who_leaves_with_a_no_has_said_no);
	TAP_RUN(a_subscriber_may_make_another_leave);
	TAP_RUN(a_subscriber_may_leave_and_take_another_along);
	TAP_RUN(a_subscriber_may_bring_another);
	TAP_RUN(unsubscribe_waits_for_the_call_in_flight);
	TAP_RUN(no_call_comes_after_unsubscribe_has_returned);
	host_destroy(&host);
	return tap_done();
}
