/*
 * A fork of a program whose host is watched: the child's monitor is off until it registers
 * again, the parent's goes on, and what either does is no business of the other.
 */
#include "child.h"
#include "monitor.h"

#include <pthread.h>

static struct watched watched;

static bool begin(void)
{
	HostMemBudget budget = budget_of(LIMIT);

	return watched_begin(&watched, &budget);
}

/* The thread sanitizer has no threads in children of programs with threads. */
static bool can_fork(void)
{
#if defined(__SANITIZE_THREAD__)
	tap_skip("the thread sanitizer does not let children have threads");
	return false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
	tap_skip("the thread sanitizer does not let children have threads");
	return false;
#endif
#endif
	return true;
}

static void check_off(void)
{
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		tap_row("source %u", i);
		CHECK_HR(source_result(watched.monitor, (HostMemSource)i), S_FALSE);
	}
	tap_row("%s", "");
}

/* A Low and its end, told by another thread than this. */
static void be_told(void)
{
	unsigned told = atomic_load(&watched.told);
	void *base = take_pages(&watched, 95);

	wait_for_told(&watched, told + 1);
	CHECK(atomic_load(&watched.told_by) != thread_id());
	give_pages(&watched, base);
	wait_for_told(&watched, told + 2);
	CHECK_HEARD(&watched.callback, "12");
}

/* ---- In the child ---- */

static void hear_nothing(void)
{
	void *base;

	check_off();
	CHECK_U32(count_monitors(), 0);
	base = take_pages(&watched, 95);
	give_pages(&watched, base);
	base = take_pages(&watched, 95);
	(void)usleep(20000);
	CHECK_HEARD(&watched.callback, "");
	check_off();
	give_pages(&watched, base);
	watched_end(&watched);
}

static void register_again(void)
{
	CHECK_HR(watched_register(&watched), S_OK);
	wait_for_looks(&watched);
	CHECK_HR(source_result(watched.monitor, HostMemSourceBudget), S_OK);
	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_OK);
	CHECK_U32(count_monitors(), 1);
	be_told();
	watched_end(&watched);
	wait_for_monitors(0);
}

static void shut_down_and_release(void)
{
	CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
	CHECK_HR(watched_register(&watched), HOST_E_CLRNOTAVAILABLE);
	CHECK_U32(count_monitors(), 0);
	watched_end(&watched);
}

static void fork_once_more(void)
{
	in_child(register_again);
	in_child(hear_nothing);
	register_again();
}

static const struct {
	const char *what;
	void (*body)(void);
} rows[] = {
	{ "hear nothing", hear_nothing },
	{ "register again", register_again },
	{ "shut down", shut_down_and_release },
	{ "fork once more", fork_once_more },
};

static void the_child_is_told_nothing_until_it_registers(void)
{
	if (!can_fork())
		return;
	for (size_t i = 0; i < ROWS(rows) && begin(); i++) {
		tap_row("%s", rows[i].what);
		be_told();
		in_child(rows[i].body);
		/* The parent has not noticed. */
		be_told();
		CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_OK);
		watched_end(&watched);
	}
}

/* ---- While the monitor is in a call ---- */

static _Atomic bool let_go, holds_on;

static void hold_on(struct watched *self, EMemoryAvailable available)
{
	(void)self, (void)available;
	atomic_store(&holds_on, true);
	while (!atomic_load(&let_go))
		(void)usleep(500);
}

/* The thread that has made the call is not there, and its hold of the host neither. */
static void use_and_end_it(void)
{
	atomic_store(&let_go, true);
	atomic_store(&watched.callback.inside, 0);
	watched.then = NULL;
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_HR(IHostMemoryControl_NotifyMemory(watched.host.control, HIGH), S_OK);
	CHECK_HEARD(&watched.callback, "13");
	CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
	host_destroy(&watched.host);
	CHECK_U32(watched.callback.references, 1);
}

static void a_call_in_flight_is_not_the_childs(void)
{
	void *base;

	if (!can_fork())
		return;
	if (!begin())
		return;
	watched.then = hold_on;
	base = take_pages(&watched, 95);
	while (!atomic_load(&holds_on))
		(void)usleep(500);
	in_child(use_and_end_it);
	atomic_store(&let_go, true);
	give_pages(&watched, base);
	wait_for_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "12");
	watched_end(&watched);
}

static void be_told_by_the_monitor(void)
{
	atomic_store(&let_go, true);
	atomic_store(&watched.callback.inside, 0);
	atomic_store(&watched.told, 0);
	watched.then = NULL;
	CHECK_HR(watched_register(&watched), S_OK);
	/* What the thread that is not there was to tell first. */
	wait_for_told(&watched, 1);
	CHECK(atomic_load(&watched.told_by) != thread_id());
	watched_end(&watched);
	wait_for_monitors(0);
}

static void what_was_left_to_that_call_is_told_by_the_childs_monitor(void)
{
	if (!can_fork() || !begin())
		return;
	atomic_store(&let_go, false);
	atomic_store(&holds_on, false);
	watched.then = hold_on;
	(void)take_pages(&watched, 95);
	while (!atomic_load(&holds_on))
		(void)usleep(500);
	CHECK_HR(IHostMemoryControl_NotifyMemory(watched.host.control, HIGH), S_OK);
	in_child(be_told_by_the_monitor);
	atomic_store(&let_go, true);
	watched_end(&watched);
}

/* ---- On the monitor's thread ---- */

static void go_on_there(void)
{
	check_off();
	CHECK_HR(watched_register(&watched), S_OK);
	wait_for_looks(&watched);
	/* This one has the name, too. */
	CHECK_U32(count_monitors(), 2);
}

static void throw_it_away_there(void)
{
	host_destroy(&watched.host);
	/* The call that is under way has it still. */
	CHECK(watched.callback.references >= 1);
}

static void shut_it_down_there(void)
{
	CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
	check_off();
}

/* The child is this thread; it comes back from the callback, and that is its end. */
static void come_back(struct watched *self)
{
	pid_t child;
	int status = 0;

	(void)self;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)alarm(60);
		return;
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
	CHECK_INT(WEXITSTATUS(status), 0);
}

static void fork_there(struct watched *self, EMemoryAvailable available)
{
	if (available != LOW)
		return;
	in_child(go_on_there);
	in_child(throw_it_away_there);
	in_child(shut_it_down_there);
	come_back(self);
}

static void the_monitors_thread_may_fork(void)
{
	pid_t parent = getpid();

	if (!can_fork())
		return;
	if (!begin())
		return;
	watched.then = fork_there;
	be_told();
	CHECK_INT(getpid(), parent);
	watched.then = NULL;
	be_told();
	watched_end(&watched);
}

/* ---- At any moment ---- */

static void *charge_and_free(void *argument)
{
	_Atomic bool *over = argument;

	while (!atomic_load(over))
		give_pages(&watched, take_pages(&watched, 95));
	return NULL;
}

static void end_it(void)
{
	CHECK_HR(watched_register(&watched), S_OK);
	host_destroy(&watched.host);
}

static void a_fork_may_come_at_any_moment(void)
{
	static _Atomic bool over;
	HostMemThresholds thresholds = short_times();
	pthread_t thread;

	if (!can_fork())
		return;
	if (SANITIZED) {
		tap_skip("a sanitizer's malloc may be held by another thread in a child");
		return;
	}
	if (!begin())
		return;
	thresholds.msCalm = 0;
	CHECK_HR(IHostMemoryMonitor_SetThresholds(watched.monitor, &thresholds), S_OK);
	CHECK_INT(pthread_create(&thread, NULL, charge_and_free, &over), 0);
	for (unsigned round = 0; round < 100; round++) {
		tap_row("round %u", round);
		in_child(end_it);
	}
	atomic_store(&over, true);
	(void)pthread_join(thread, NULL);
	watched_end(&watched);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(the_child_is_told_nothing_until_it_registers);
	TAP_RUN(a_call_in_flight_is_not_the_childs);
	TAP_RUN(what_was_left_to_that_call_is_told_by_the_childs_monitor);
	TAP_RUN(the_monitors_thread_may_fork);
	TAP_RUN(a_fork_may_come_at_any_moment);
	return tap_done();
}
