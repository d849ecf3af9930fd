/*
 * Loops and fork: what a child has of its parent's loop, and that the parent does not notice.
 */
#include "loops.h"
#include "test/conformance/child.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* How a child ends that is at work in a turn of its parent's loop: by itself, when the thread
 * comes back, or not at all. */
static void check_child(pid_t child, int code)
{
	int status = 0;

	if (!CHECK(child > 0) || !CHECK_INT(waitpid(child, &status, 0), child))
		return;
	CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, code);
}

static void check_that_it_runs(struct meter *meter)
{
	unsigned before = atomic_load(&meter->woken);

	hm_loop_wake(loop_of(meter));
	AWAIT(atomic_load(&meter->woken) > before);
}

static void a_child_without_the_loops_thread_can_have_another(void)
{
	struct meter meter, fresh;
	struct hm_loop *left;
	unsigned before;
	pid_t child;

	if (!meter_start(&meter))
		return;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)alarm(WATCHDOG);
		before = files_open_now();
		hm_loop_after_fork(loop_of(&meter), &left);
		CHECK_POINTER(left, NULL);
		/* The event file and the heart of libuv's loop, at least. */
		CHECK(files_open_now() <= before - 2);
		if (meter_start(&fresh)) {
			check_that_it_runs(&fresh);
			meter_end(&fresh);
		}
		_exit(tap_failed() ? 1 : 0);
	}
	check_child(child, 0);
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
	/* What the number is used for next is none of the loop's business. */
	CHECK(eventfd(7, EFD_NONBLOCK) >= 0);
}

static int watched;

static void watch_and_fork(struct meter *meter)
{
	CHECK_HR(hm_loop_watch(loop_of(meter), 0, watched, HM_NEWS_READABLE), S_OK);
	fork_here(meter);
	/* As the monitor of a child does with what it watched. */
	if (forked == 0)
		(void)close(watched);
}

static void (*in_time)(struct meter *meter);

static void set_timer(struct meter *meter)
{
	atomic_store(&meter->then, in_time);
	hm_loop_set_timer(loop_of(meter), 0);
}

static void fork_when_ready(struct meter *meter, unsigned slot)
{
	uint64_t count;

	(void)slot;
	CHECK(read(watched, &count, sizeof(count)) > 0);
	fork_here(meter);
}

static void watch_it(struct meter *meter)
{
	CHECK_HR(hm_loop_watch(loop_of(meter), 0, watched, HM_NEWS_READABLE), S_OK);
}

/* The thread of the child comes back from where it has forked, ends, and with it, since it is
 * the only one, the process. */
static void check_fork(void (*then)(struct meter *meter), bool by_time, bool by_file)
{
	unsigned before = files_open_now();
	struct meter meter;

	watched = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!meter_start(&meter))
		return;
	fflush(stdout);
	in_time = then;
	if (by_file) {
		const uint64_t one = 1;

		meter.on_ready = fork_when_ready;
		meter_do(&meter, watch_it);
		CHECK(write(watched, &one, sizeof(one)) > 0);
	} else {
		atomic_store(&meter.then, by_time ? set_timer : then);
		hm_loop_wake(loop_of(&meter));
	}
	AWAIT(atomic_load(&meter.steps) == 1);
	check_child(forked, 0);
	check_that_it_runs(&meter);
	meter_end(&meter);
	(void)close(watched);
	CHECK_U32(files_open_now(), before);
}

static void a_fork_in_a_turn_that_was_woken_ends_the_childs_thread(void)
{
	check_fork(fork_here, false, false);
	check_fork(watch_and_fork, false, false);
}

static void a_fork_in_a_turn_by_time_ends_the_childs_thread(void)
{
	check_fork(fork_here, true, false);
	check_fork(watch_and_fork, true, false);
}

static void a_fork_when_a_file_is_ready_ends_the_childs_thread(void)
{
	check_fork(NULL, false, true);
}

/* ---- On the program's loop ---- */

static void wake_child(uv_loop_t *uv, struct meter *meter)
{
	struct hm_loop *left;

	(void)alarm(WATCHDOG);
	CHECK_INT(uv_loop_fork(uv), 0);
	hm_loop_after_fork(loop_of(meter), &left);
	CHECK_POINTER(left, loop_of(meter));
	hm_loop_wake(left);
	program_run_until(uv, &meter->woken, 2);
	program_end(uv, meter);
	_exit(tap_failed() ? 1 : 0);
}

/* Nor does what it does not come to read itself. */
static void wake_and_leave(uv_loop_t *uv, struct meter *meter)
{
	struct hm_loop *left;

	(void)uv;
	hm_loop_after_fork(loop_of(meter), &left);
	hm_loop_wake(left);
	_exit(tap_failed() ? 1 : 0);
}

/* The child may not open anything more. */
static void wake_child_without_files(uv_loop_t *uv, struct meter *meter)
{
	struct rlimit limit;
	int last = dup(STDIN_FILENO);

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)last + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	wake_child(uv, meter);
}

static void what_is_on_the_programs_loop_stays_there_and_wakes_no_parent(void)
{
	static void (*const rows[])(uv_loop_t *,
				    struct meter *) = { wake_child, wake_and_leave,
							wake_child_without_files };
	struct meter meter;
	uv_loop_t uv;

	if (!CHECK_INT(uv_loop_init(&uv), 0) || !CHECK_HR(meter_try(&meter, &uv), S_OK))
		return;
	program_keep(&uv);
	hm_loop_wake(loop_of(&meter));
	program_run_until(&uv, &meter.woken, 1);
	for (size_t row = 0; row < ROWS(rows); row++) {
		pid_t child;

		tap_row("row %zu", row);
		fflush(stdout);
		child = fork();
		if (child == 0)
			rows[row](&uv, &meter);
		check_child(child, 0);
		for (unsigned i = 0; i < 10; i++)
			(void)uv_run(&uv, UV_RUN_NOWAIT);
		CHECK_U32(atomic_load(&meter.woken), 1);
	}
	program_end(&uv, &meter);
}

int main(void)
{
	if (SANITIZED) {
		tap_skip("a sanitizer's malloc may be held by another thread in a child");
		return tap_done();
	}
	files_settle();
	TAP_RUN(a_child_without_the_loops_thread_can_have_another);
	TAP_RUN(a_fork_in_a_turn_that_was_woken_ends_the_childs_thread);
	TAP_RUN(a_fork_in_a_turn_by_time_ends_the_childs_thread);
	TAP_RUN(a_fork_when_a_file_is_ready_ends_the_childs_thread);
	TAP_RUN(what_is_on_the_programs_loop_stays_there_and_wakes_no_parent);
	return tap_done();
}
