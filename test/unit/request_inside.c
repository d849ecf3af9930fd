/*
 * What callbacks do inside a request: requests of their own, come and go, shut the host
 * down or throw it away, fork.
 */
#include "hostmem/request.h"
#include "fake.h"

#include <sys/wait.h>
#include <unistd.h>

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

static void hear_inside(struct listener *listener, const HostMemEvent *event)
{
	struct hm_request inner;

	if (event->type != HostMemEventAllocate)
		return;
	CHECK(hm_request_is_running(host->events.first));
	CHECK_HR(hm_request_open(&inner, host, HostMemHeap, eTaskCritical, NULL), S_OK);
	CHECK_U32(hm_request_holds(host), 2);
	CHECK_HR(fake_ask(&inner, 7), S_OK);
	CHECK_HR(hm_request_refuse(&inner, E_OUTOFMEMORY, HostMemBySystem),
		 E_OUTOFMEMORY);
	hm_request_close(&inner);
	CHECK_U32(hm_request_holds(host), 1);
	CHECK_U32(listener->count, 1);
}

static void a_callback_does_not_hear_what_it_does_itself(void)
{
	start();
	listen(host, &ears[0], ALL_EVENTS);
	listen(host, &ears[1], ALL_EVENTS);
	ears[0].hook = hear_inside;
	OPEN(request, HostMemCommit);
	CHECK_U32(hm_request_holds(host), 1);
	CHECK_HR(fake_ask(&request, 100), S_OK);
	CHECK(!hm_request_is_running(host->events.first));
	CHECK_HR(hm_request_refuse(&request, BAD_ADDRESS, HostMemNoReason), BAD_ADDRESS);
	hm_request_close(&request);
	CHECK_U32(hm_request_holds(host), 0);
	CHECK_U32(ears[0].count, 2);
	/* The other hears the inner request first, as it happens first. */
	CHECK_U32(ears[1].count, 4);
	CHECK_EVENT(&ears[1], 0, HostMemEventAllocate, HostMemHeap, 7);
	CHECK_EVENT(&ears[1], 1, HostMemEventFailure, HostMemHeap, 7);
	CHECK_EVENT(&ears[1], 2, HostMemEventAllocate, HostMemCommit, 100);
	CHECK_EVENT(&ears[1], 3, HostMemEventFailure, HostMemCommit, 100);
	CHECK_SIZE(ears[1].events[3].request, ears[1].events[2].request);
	fake_host_end(&fake);
}

static void leave_the_list(struct listener *listener, const HostMemEvent *event)
{
	struct hm_subscriber *out;

	(void)event;
	hm_host_hold(host);
	CHECK_HR(hm_events_unsubscribe(&host->events, listener->cookie, &out), S_OK);
	hm_host_drop(host);
}

static void who_leaves_during_a_request_hears_no_more_of_it(void)
{
	size_t with_two;

	start();
	listen(host, &ears[0], ALL_EVENTS);
	listen(host, &ears[1], ALL_EVENTS);
	with_two = hm_metadata_in_use();
	ears[0].hook = leave_the_list;
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 100), S_OK);
	/* It is kept while the request may still walk over it, and then freed. */
	CHECK_SIZE(hm_metadata_in_use(), with_two);
	CHECK_HR(hm_request_refuse(&request, BAD_ADDRESS, HostMemNoReason), BAD_ADDRESS);
	hm_request_close(&request);
	CHECK(hm_metadata_in_use() < with_two);
	CHECK_U32(ears[0].count, 1);
	CHECK_U32(ears[1].count, 2);
	fake_host_end(&fake);
}

static void join_the_list(struct listener *listener, const HostMemEvent *event)
{
	if (event->type == HostMemEventAllocate)
		listen(host, &ears[3], ALL_EVENTS);
	(void)listener;
}

static void who_comes_during_a_request_was_not_told_of_its_beginning(void)
{
	start();
	listen(host, &ears[0], ALL_EVENTS);
	ears[0].hook = join_the_list;
	ears[0].refuse = 1;
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 100), E_OUTOFMEMORY);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 2);
	CHECK_U32(ears[3].count, 0);
	fake_host_end(&fake);
	/* Nobody listened when this one was opened, so nobody hears its end. */
	start();
	OPEN(silent, HostMemCommit);
	listen(host, &ears[3], ALL_EVENTS);
	CHECK_HR(fake_ask(&silent, 100), S_OK);
	CHECK_HR(hm_request_refuse(&silent, E_OUTOFMEMORY, HostMemBySystem),
		 E_OUTOFMEMORY);
	hm_request_close(&silent);
	CHECK_U32(ears[3].count, 0);
	fake_host_end(&fake);
}

static void shut_down(struct listener *listener, const HostMemEvent *event)
{
	(void)listener;
	if (event->type == HostMemEventAllocate)
		CHECK_HR(hm_host_shut_down(host), S_OK);
}

static void throw_away(struct listener *listener, const HostMemEvent *event)
{
	(void)listener;
	if (event->type == HostMemEventAllocate)
		CHECK_U32(hm_host_release(host), 0);
}

static void a_host_that_goes_during_a_request_abandons_it(void)
{
	static void (*const hooks[])(struct listener *,
				     const HostMemEvent *) = { shut_down, throw_away };

	for (size_t i = 0; i < ROWS(hooks); i++) {
		tap_row("%s", i == 0 ? "shut down" : "thrown away");
		start();
		listen(host, &ears[0], ALL_EVENTS);
		ears[0].hook = hooks[i];
		OPEN(request, HostMemCommit);
		CHECK_HR(fake_ask(&request, 100), HOST_E_ABANDONED);
		check_claimed(0, 0);
		CHECK_U32(fake.destroyed, 0);
		hm_request_close(&request);
		CHECK_U32(ears[0].count, 2);
		CHECK_INT(ears[0].events[1].reason, HostMemByShutdown);
		CHECK_HR(ears[0].events[1].result, HOST_E_ABANDONED);
		if (hooks[i] == shut_down)
			fake_host_end(&fake);
		CHECK_U32(fake.destroyed, 1);
		CHECK_SIZE(hm_metadata_in_use(), fake.in_use);
	}
}

static void after_shutdown_a_request_that_listens_is_not_open(void)
{
	struct hm_request request;

	start();
	listen(host, &ears[0], ALL_EVENTS);
	CHECK_HR(hm_host_shut_down(host), S_OK);
	CHECK_HR(hm_request_open(&request, host, HostMemCommit, eTaskCritical, NULL),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_U32(hm_request_holds(host), 0);
	CHECK_U32(ears[0].count, 0);
	fake_host_end(&fake);
}

/* Another thread's charge and call, as a fork child finds them. */
static void check_in_the_child(void)
{
	CHECK_SIZE(host->budget.claimed, 100 + 5);
	CHECK_U32(host->events.first->running, 1);
	/* Its reference, and the one request of this thread. */
	CHECK_U32(host->holds, 2);
}

static void fork_inside(struct listener *listener, const HostMemEvent *event)
{
	HostMemReason reason;
	int status = -1;
	pid_t pid;

	(void)listener, (void)event;
	CHECK(hm_budget_admit(&host->budget, eTaskCritical, 5, &reason));
	hm_budget_settle(&host->budget, 5);
	CHECK(hm_budget_admit(&host->budget, eTaskCritical, 30, &reason));
	atomic_fetch_add(&host->events.first->running, 1);
	hm_host_hold(host);
	pid = fork();
	if (pid == 0) {
		check_in_the_child();
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	hm_host_drop(host);
	atomic_fetch_sub(&host->events.first->running, 1);
	hm_budget_cancel(&host->budget, 30);
	hm_budget_refund(&host->budget, 5);
}

static void a_fork_child_has_only_what_its_thread_has_under_way(void)
{
	start();
	listen(host, &ears[0], ALL_EVENTS);
	ears[0].hook = fork_inside;
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, 100), S_OK);
	ears[0].hook = NULL;
	CHECK_HR(hm_request_refuse(&request, BAD_ADDRESS, HostMemNoReason), BAD_ADDRESS);
	hm_request_close(&request);
	CHECK_U32(ears[0].count, 2);
	check_claimed(0, 0);
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(a_callback_does_not_hear_what_it_does_itself);
	TAP_RUN(who_leaves_during_a_request_hears_no_more_of_it);
	TAP_RUN(who_comes_during_a_request_was_not_told_of_its_beginning);
	TAP_RUN(a_host_that_goes_during_a_request_abandons_it);
	TAP_RUN(after_shutdown_a_request_that_listens_is_not_open);
	TAP_RUN(a_fork_child_has_only_what_its_thread_has_under_way);
	return tap_done();
}
