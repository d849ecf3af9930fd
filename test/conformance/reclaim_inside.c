/*
 * What the reclaimer may do while it is called: everything.
 */
#include "child.h"
#include "reclaim.h"

static void release_and_allocate(struct helper *self)
{
	CHECK_HR(vm_release(&host, self->base), S_OK);
	self->base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	memset(self->base, 1, PAGE);
}

static void it_may_allocate_and_free(void)
{
	if (!start(release_and_allocate))
		return;
	CHECK_HR(commit(LIMIT - PAGE), S_OK);
	end(LIMIT);
}

static void raise_the_limit(struct helper *self)
{
	(void)self;
	budget.cbLimit += PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
}

static void it_may_change_the_budget(void)
{
	if (!start(raise_the_limit))
		return;
	CHECK_HR(commit(PAGE), S_OK);
	end(LIMIT + PAGE);
}

static struct helper successor;

static void appoint_successor(struct helper *self)
{
	successor = (struct helper){ .base = self->base };
	set_reclaimer(help, &successor);
}

static void it_may_replace_itself(void)
{
	if (!start(appoint_successor))
		return;
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(helper.calls, 1);
	CHECK_U32(successor.calls, 1);
	set_reclaimer(NULL, NULL);
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(successor.calls, 1);
	end(LIMIT);
}

static struct recorder leaver;

static void stop_recorder(struct helper *self)
{
	give_half_back(self);
	recorder_stop(&leaver);
}

static void it_may_unsubscribe(void)
{
	if (!start(stop_recorder))
		return;
	leaver = (struct recorder){ .refuse = false };
	recorder_start(&leaver, &host, ALL_BITS);
	CHECK_HR(commit(PAGE), S_OK);
	CHECK_SIZE(leaver.count, 1);
	end(LIMIT / 2 + PAGE);
}

static void subscribe_late(struct helper *self)
{
	give_half_back(self);
	leaver = (struct recorder){ .refuse = true };
	recorder_start(&leaver, &host, ALL_BITS);
}

/* Nobody listened when the request began, so nobody hears its end. */
static void who_subscribes_inside_hears_nothing_of_the_request(void)
{
	if (!start(subscribe_late))
		return;
	CHECK_HR(commit(PAGE), S_OK);
	CHECK_SIZE(leaver.count, 0);
	recorder_stop(&leaver);
	end(LIMIT / 2 + PAGE);
}

static void shut_down(struct helper *self)
{
	give_half_back(self);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
}

static void it_may_shut_the_host_down(void)
{
	if (!start(shut_down))
		return;
	CHECK_HR(commit(PAGE), HOST_E_ABANDONED);
	CHECK_HR(commit(PAGE), HOST_E_CLRNOTAVAILABLE);
	CHECK_U32(helper.calls, 1);
	end(LIMIT / 2);
}

static void throw_away(struct helper *self)
{
	(void)self;
	host_destroy(&host);
}

static void it_may_throw_the_host_away(void)
{
	IHostMemoryManager *manager;
	void *out = POISON;

	if (!start(throw_away))
		return;
	manager = host.manager;
	CHECK_HR(IHostMemoryManager_VirtualAlloc(manager, NULL, PAGE, MEM_COMMIT,
						 PAGE_READWRITE, eTaskCritical, &out),
		 HOST_E_ABANDONED);
	CHECK_POINTER(out, NULL);
	CHECK_U32(helper.calls, 1);
}

static void enter_and_leave(struct helper *self)
{
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, FOR_EVER), S_OK);
	give_half_back(self);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
}

static void it_may_enter_the_gate(void)
{
	if (!start(enter_and_leave))
		return;
	CHECK_HR(commit(PAGE), S_OK);
	end(LIMIT / 2 + PAGE);
}

static bool in_child_now;

static void go_on_in_the_child(void)
{
	in_child_now = true;
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	set_reclaimer(NULL, NULL);
	set_reclaimer(help, &successor);
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(successor.calls, 0);
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, FOR_EVER), S_OK);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	host_destroy(&host);
}

static void fork_there(struct helper *self)
{
	(void)self;
	successor = (struct helper){ .act = NULL };
	in_child(go_on_in_the_child);
}

static void it_may_fork(void)
{
	if (!start(fork_there))
		return;
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK(!in_child_now);
	end(LIMIT);
}

static pid_t forked;
static void fork_and_appoint_successor(struct helper *self)
{
	(void)self;
	successor = (struct helper){ .act = NULL };
	set_reclaimer(help, &successor);
	forked = fork();
}

/* The call that goes on in the child is one of the reclaimer that was replaced. */
static void who_replaces_itself_and_forks_leaves_a_free_successor(void)
{
	int status = 0;

	if (!start(fork_and_appoint_successor))
		return;
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	if (forked == 0)
		(void)alarm(60);
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(successor.calls, 1);
	set_reclaimer(NULL, NULL);
	end(LIMIT);
	if (forked == 0)
		_exit(tap_failed());
	CHECK_INT(waitpid(forked, &status, 0), forked);
	CHECK_INT(status, 0);
}

static void the_same_one_may_be_set_again(void)
{
	if (!start(give_half_back))
		return;
	for (unsigned i = 0; i < 3; i++)
		set_reclaimer(help, &helper);
	CHECK_HR(commit(PAGE), S_OK);
	CHECK_U32(helper.calls, 1);
	for (unsigned i = 0; i < 3; i++)
		set_reclaimer(NULL, &helper);
	end(LIMIT / 2 + PAGE);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(it_may_allocate_and_free);
	TAP_RUN(it_may_change_the_budget);
	TAP_RUN(it_may_replace_itself);
	TAP_RUN(it_may_unsubscribe);
	TAP_RUN(who_subscribes_inside_hears_nothing_of_the_request);
	TAP_RUN(it_may_shut_the_host_down);
	TAP_RUN(it_may_throw_the_host_away);
	TAP_RUN(it_may_enter_the_gate);
	TAP_RUN(it_may_fork);
	TAP_RUN(who_replaces_itself_and_forks_leaves_a_free_successor);
	TAP_RUN(the_same_one_may_be_set_again);
	return tap_done();
}
