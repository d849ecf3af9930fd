/*
 * Calls in flight, and fork, which waits for them.
 */
#include "hostmem/calls.h"
#include "fake.h"
#include "hostmem/os/thread.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* Forks; `child` runs in the child, whose failing checks the parent reports. */
static void in_a_child(void (*child)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		child();
		_exit(tap_failed());
	}
	CHECK(pid > 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
}

static void nothing(void)
{
}

static void whoever_prepares_twice_has_prepared_once(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	CHECK_HR(hm_calls_prepare(), S_OK);
	/* Handlers that were registered twice would wait for each other here. */
	in_a_child(nothing);
}

static void the_door_is_open_unless_somebody_forks(void)
{
	hm_calls_enter();
	hm_calls_leave();
	CHECK(hm_calls_try_enter());
	/* A signal handler may come in while its thread is inside. */
	CHECK(hm_calls_try_enter());
	hm_calls_leave();
	hm_calls_leave();
	in_a_child(nothing);
}

/* A thread inside that stays there until it sees the door closed. */
static _Atomic bool is_inside, may_end;
static bool has_left; /* not atomic: fork itself must order it */

/* A thread that ends while another forks looks like a leak to a sanitizer. */
static void wait_until(_Atomic bool *flag)
{
	while (!atomic_load(flag))
		hm_thread_yield();
}

static void *stay_until_the_door_is_closed(void *unused)
{
	hm_calls_enter();
	atomic_store(&is_inside, true);
	while (hm_calls_try_enter()) {
		hm_calls_leave();
		hm_thread_yield();
	}
	has_left = true;
	hm_calls_leave();
	wait_until(&may_end);
	return unused;
}

static void child_finds_that_the_thread_has_left(void)
{
	CHECK(has_left);
	CHECK(hm_calls_try_enter());
	hm_calls_leave();
}

static void fork_waits_for_whoever_is_inside(void)
{
	pthread_t thread;

	for (unsigned i = 0; i < 20; i++) {
		tap_row("round %u", i);
		atomic_store(&is_inside, false);
		atomic_store(&may_end, false);
		has_left = false;
		if (!CHECK_INT(pthread_create(&thread, NULL,
					      stay_until_the_door_is_closed, NULL),
			       0))
			return;
		wait_until(&is_inside);
		in_a_child(child_finds_that_the_thread_has_left);
		atomic_store(&may_end, true);
		CHECK_INT(pthread_join(thread, NULL), 0);
	}
}

/* Threads that keep two words equal whenever they are outside. */
enum { THREADS = 6, FORKS = 30 };

static struct pair {
	_Alignas(64) _Atomic unsigned first, second;
	_Atomic unsigned rounds;
} pairs[THREADS];

static _Atomic bool stop;

static void *change_both(void *argument)
{
	struct pair *pair = argument;

	while (!atomic_load(&stop)) {
		hm_calls_enter();
		atomic_fetch_add_explicit(&pair->first, 1, memory_order_relaxed);
		if (atomic_load_explicit(&pair->first, memory_order_relaxed) % 64 == 0)
			hm_thread_yield();
		atomic_fetch_add_explicit(&pair->second, 1, memory_order_relaxed);
		hm_calls_leave();
		atomic_fetch_add(&pair->rounds, 1);
	}
	return NULL;
}

static void grandchild(void)
{
	for (size_t i = 0; i < THREADS; i++)
		CHECK_U32(pairs[i].first, pairs[i].second);
}

static void child_of_many_threads(void)
{
	for (size_t i = 0; i < THREADS; i++) {
		tap_row("thread %zu", i);
		CHECK_U32(pairs[i].first, pairs[i].second);
	}
	/* Counts of threads that are not here would keep this fork waiting for ever. */
	in_a_child(grandchild);
	hm_calls_enter();
	hm_calls_leave();
}

static void a_child_starts_open_and_with_nothing_half_done(void)
{
	pthread_t threads[THREADS];
	unsigned rounds[THREADS];

	atomic_store(&stop, false);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, change_both, &pairs[i]), 0);
	for (unsigned i = 0; i < FORKS; i++) {
		tap_row("fork %u", i);
		in_a_child(child_of_many_threads);
	}
	/* Whoever waited at the closed door goes on. */
	for (size_t i = 0; i < THREADS; i++)
		rounds[i] = atomic_load(&pairs[i].rounds);
	for (size_t i = 0; i < THREADS; i++) {
		while (atomic_load(&pairs[i].rounds) == rounds[i])
			hm_thread_yield();
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
}

static void fork_often(void)
{
	for (unsigned i = 0; i < FORKS; i++)
		in_a_child(nothing);
}

static void *fork_often_too(void *unused)
{
	fork_often();
	wait_until(&may_end);
	return unused;
}

static void two_threads_may_fork_at_once(void)
{
	pthread_t other;

	atomic_store(&may_end, false);
	if (!CHECK_INT(pthread_create(&other, NULL, fork_often_too, NULL), 0))
		return;
	fork_often();
	atomic_store(&may_end, true);
	CHECK_INT(pthread_join(other, NULL), 0);
	hm_calls_enter();
	hm_calls_leave();
}

int main(void)
{
	TAP_RUN(whoever_prepares_twice_has_prepared_once);
	TAP_RUN(the_door_is_open_unless_somebody_forks);
	TAP_RUN(fork_waits_for_whoever_is_inside);
	TAP_RUN(a_child_starts_open_and_with_nothing_half_done);
	TAP_RUN(two_threads_may_fork_at_once);
	return tap_done();
}
