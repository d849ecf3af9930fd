/*
 * Loops without libuv, and fork: what a child has of its parent's, and that the parent does not
 * notice.
 */
#include "loops.h"
#include "test/conformance/child.h"

#include <signal.h>

static void check_child(pid_t child)
{
	int status = 0;

	if (!CHECK(child > 0) || !CHECK_INT(waitpid(child, &status, 0), child))
		return;
	CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

static void check_that_it_runs(struct meter *meter)
{
	unsigned before = atomic_load(&meter->woken);

	hm_loop_wake(loop_of(meter));
	AWAIT(atomic_load(&meter->woken) > before);
}

static void use_another(void)
{
	struct meter fresh;

	if (!meter_start(&fresh))
		return;
	check_that_it_runs(&fresh);
	meter_end(&fresh);
}

static void a_child_without_the_loops_thread_can_have_another(void)
{
	struct meter meter;
	struct hm_loop *left;
	pid_t child;

	if (!meter_start(&meter))
		return;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)alarm(WATCHDOG);
		hm_loop_after_fork(loop_of(&meter), &left);
		CHECK_POINTER(left, NULL);
		use_another();
		_exit(tap_failed() ? 1 : 0);
	}
	check_child(child);
	check_that_it_runs(&meter);
	meter_end(&meter);
}

/* ---- Inside a turn ---- */

static pid_t forked;

static void fork_here(struct meter *meter)
{
	struct hm_loop *left;

	forked = fork();
	if (forked != 0) {
		atomic_fetch_add(&meter->steps, 1);
		return;
	}
	(void)alarm(WATCHDOG);
	hm_loop_after_fork(loop_of(meter), &left);
	CHECK_POINTER(left, NULL);
	use_another();
	CHECK(hm_loop_is_on_thread());
	if (tap_failed())
		_exit(1);
}

static void set_timer(struct meter *meter)
{
	atomic_store(&meter->then, fork_here);
	hm_loop_set_timer(loop_of(meter), 0);
}

/* The thread of the child comes back from where it has forked, ends, and with it, since it is
 * the only one, the process. */
static void a_fork_in_a_turn_ends_the_childs_thread(void)
{
	static void (*const rows[])(struct meter *) = { fork_here, set_timer };

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct meter meter;

		tap_row("row %zu", i);
		if (!meter_start(&meter))
			return;
		fflush(stdout);
		atomic_store(&meter.then, rows[i]);
		hm_loop_wake(loop_of(&meter));
		AWAIT(atomic_load(&meter.steps) == 1);
		check_child(forked);
		check_that_it_runs(&meter);
		meter_end(&meter);
	}
}

/* ---- Of one that is ending ---- */

static _Atomic bool go_on;

static void stop_and_stay(struct meter *meter)
{
	hm_loop_stop(loop_of(meter));
	atomic_fetch_add(&meter->steps, 1);
	while (!atomic_load(&go_on))
		(void)usleep(200);
}

/* Its thread, for whose end the owner would wait, is not there. */
static void one_that_was_about_to_end_is_freed_in_the_child(void)
{
	struct meter meter;
	struct hm_loop *left;
	pid_t child;

	if (!meter_start(&meter))
		return;
	atomic_store(&go_on, false);
	atomic_store(&meter.then, stop_and_stay);
	hm_loop_wake(loop_of(&meter));
	AWAIT(atomic_load(&meter.steps) == 1);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)alarm(WATCHDOG);
		hm_loop_after_fork(loop_of(&meter), &left);
		CHECK_POINTER(left, loop_of(&meter));
		CHECK(hm_loop_is_own_thread(left));
		hm_loop_await_end(left);
		hm_loop_free(left);
		_exit(tap_failed() ? 1 : 0);
	}
	check_child(child);
	atomic_store(&go_on, true);
	(void)alarm(WATCHDOG);
	hm_loop_free(loop_of(&meter));
	(void)alarm(0);
}

/* ---- In a signal handler ---- */

static struct meter *handlers;

static void fork_in_handler(int number)
{
	struct hm_loop *left;

	(void)number;
	forked = fork();
	if (forked == 0) {
		(void)alarm(WATCHDOG);
		hm_loop_after_fork(loop_of(handlers), &left);
	}
}

/* It may have come in the middle of a wake, to which the child comes back, too. */
static void a_wake_that_a_fork_has_interrupted_goes_on(void)
{
	struct sigaction action = { .sa_handler = fork_in_handler }, before;
	struct meter meter;

	if (!meter_start(&meter))
		return;
	handlers = &meter;
	fflush(stdout);
	CHECK_INT(sigaction(SIGUSR1, &action, &before), 0);
	CHECK_INT(raise(SIGUSR1), 0);
	hm_loop_wake(loop_of(&meter));
	if (forked == 0)
		_exit(0);
	CHECK_INT(sigaction(SIGUSR1, &before, NULL), 0);
	check_child(forked);
	check_that_it_runs(&meter);
	meter_end(&meter);
}

int main(void)
{
	if (SANITIZED) {
		tap_skip("a sanitizer's malloc may be held by another thread in a child");
		return tap_done();
	}
	files_settle();
	TAP_RUN(a_child_without_the_loops_thread_can_have_another);
	TAP_RUN(a_fork_in_a_turn_ends_the_childs_thread);
	TAP_RUN(one_that_was_about_to_end_is_freed_in_the_child);
	TAP_RUN(a_wake_that_a_fork_has_interrupted_goes_on);
	return tap_done();
}
