/*
 * A loop without libuv, as the core of the library has it: a thread that sleeps on a word.  It
 * has time, can be woken and ends; the rest is refused.
 */
#include "loops.h"
#include "test/conformance/child.h"

#include <pthread.h>
#include <signal.h>

enum { WAKERS = 3, WAKES = 20000 };

static struct hm_system_calls real;
static atomic_int mapped; /* mappings, less those that are gone */

static void *count_map(void *address, size_t size, int protection, int flags, int file,
		       long offset)
{
	void *found = real.map(address, size, protection, flags, file, offset);

	atomic_fetch_add(&mapped, (intptr_t)found != -1);
	return found;
}

static int count_unmap(void *address, size_t size)
{
	atomic_fetch_sub(&mapped, 1);
	return real.unmap(address, size);
}

static void count_mappings(void)
{
	real = hm_system;
	atomic_store(&mapped, 0);
	hm_system.map = count_map;
	hm_system.unmap = count_unmap;
}

static void count_no_more(void)
{
	hm_system = real;
}

/* ---- Waking and time ---- */

static void it_takes_one_page_and_no_file(void)
{
	unsigned files = files_open_now();
	struct meter meter;

	count_mappings();
	if (meter_start(&meter)) {
		CHECK_INT(atomic_load(&mapped), 1);
		CHECK_U32(files_open_now(), files);
		meter_end(&meter);
		CHECK_INT(atomic_load(&mapped), 0);
	}
	count_no_more();
}

static void *refuse_map(void *address, size_t size, int protection, int flags, int file,
			long offset)
{
	(void)address, (void)size, (void)protection, (void)flags, (void)file;
	(void)offset;
	errno = ENOMEM;
	return (void *)(intptr_t)-1; /* MAP_FAILED */
}

static void without_a_page_there_is_none(void)
{
	struct meter meter;

	real = hm_system;
	hm_system.map = refuse_map;
	CHECK_HR(meter_try(&meter, NULL), E_OUTOFMEMORY);
	hm_system = real;
}

static void start_without_threads(void)
{
	struct meter meter;

	if (!child_limit(RLIMIT_NPROC, 1) || setuid(65534) != 0) {
		tap_skip("the number of threads cannot be limited");
		return;
	}
	count_mappings();
	CHECK_HR(meter_try(&meter, NULL), E_OUTOFMEMORY);
	CHECK_INT(atomic_load(&mapped), 0);
}

static void without_a_thread_there_is_none(void)
{
	if (SANITIZED)
		tap_skip("a sanitizer ends where there is no thread to be had");
	else
		in_child(start_without_threads);
}

static void *wake_often(void *argument)
{
	for (unsigned i = 0; i < WAKES; i++) {
		errno = 4711;
		hm_loop_wake(loop_of(argument));
		CHECK_INT(errno, 4711);
	}
	return NULL;
}

static void no_wake_is_lost(void)
{
	struct meter meter;
	pthread_t threads[WAKERS];

	if (!meter_start(&meter))
		return;
	for (size_t i = 0; i < WAKERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, wake_often, &meter), 0);
	for (unsigned i = 0; i < 2000; i++) {
		unsigned before = atomic_load(&meter.woken);

		hm_loop_wake(loop_of(&meter));
		AWAIT(atomic_load(&meter.woken) > before);
	}
	for (size_t i = 0; i < WAKERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK(atomic_load(&meter.woken) <= WAKERS * WAKES + 2000);
	meter_end(&meter);
}

static void wake_itself(struct meter *meter)
{
	hm_loop_wake(loop_of(meter));
}

static void a_wake_inside_a_turn_is_another_turn(void)
{
	struct meter meter;

	if (!meter_start(&meter))
		return;
	atomic_store(&meter.then, wake_itself);
	hm_loop_wake(loop_of(&meter));
	AWAIT(atomic_load(&meter.then) == NULL && atomic_load(&meter.woken) >= 2);
	meter_end(&meter);
}

static struct meter *handlers;
static atomic_uint handled;

static void wake_in_handler(int number)
{
	(void)number;
	hm_loop_wake(loop_of(handlers));
	atomic_fetch_add(&handled, 1);
}

static void *interrupt_often(void *argument)
{
	const pthread_t *thread = argument;

	for (unsigned i = 1; i <= 500; i++) {
		CHECK_INT(pthread_kill(*thread, SIGUSR1), 0);
		while (atomic_load(&handled) < i)
			(void)usleep(10);
	}
	return NULL;
}

/* Also in the middle of another wake. */
static void a_signal_handler_may_wake(void)
{
	struct sigaction action = { .sa_handler = wake_in_handler }, before;
	pthread_t self = pthread_self(), other;
	struct meter meter;

	if (!meter_start(&meter))
		return;
	handlers = &meter;
	CHECK_INT(sigaction(SIGUSR1, &action, &before), 0);
	CHECK_INT(pthread_create(&other, NULL, interrupt_often, &self), 0);
	(void)alarm(WATCHDOG);
	while (atomic_load(&handled) < 500)
		hm_loop_wake(loop_of(&meter));
	(void)alarm(0);
	CHECK_INT(pthread_join(other, NULL), 0);
	CHECK_INT(sigaction(SIGUSR1, &before, NULL), 0);
	AWAIT(atomic_load(&meter.woken) != 0);
	meter_end(&meter);
}

static void set_soon(struct meter *meter)
{
	hm_loop_set_timer(loop_of(meter), 3600000);
	hm_loop_set_timer(loop_of(meter), 1);
}

static void set_at_once(struct meter *meter)
{
	hm_loop_set_timer(loop_of(meter), 0);
}

static void set_never(struct meter *meter)
{
	hm_loop_set_timer(loop_of(meter), 1);
	hm_loop_set_timer(loop_of(meter), NEVER);
}

static void a_timer_comes_once_and_the_last_that_was_set(void)
{
	static void (*const rows[])(struct meter *) = { set_soon, set_at_once };
	struct meter meter;
	unsigned before;

	if (!meter_start(&meter))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		before = atomic_load(&meter.timed);
		meter_do(&meter, rows[i]);
		AWAIT(atomic_load(&meter.timed) > before);
	}
	/* A word may wake for nothing, but not again and again. */
	(void)usleep(60000);
	CHECK(atomic_load(&meter.timed) <= 4);
	before = atomic_load(&meter.timed);
	meter_do(&meter, set_never);
	(void)usleep(60000);
	CHECK(atomic_load(&meter.timed) <= before + 2);
	meter_end(&meter);
}

/* ---- What there is not ---- */

static void try_to_watch(struct meter *meter)
{
	struct hm_loop *loop = loop_of(meter);

	CHECK(hm_loop_is_own_thread(loop));
	CHECK(hm_loop_is_on_thread());
	for (unsigned i = 0; i < HM_LOOP_FILES; i++) {
		CHECK_HR(hm_loop_watch(loop, i, STDIN_FILENO, HM_NEWS_READABLE),
			 NOT_SUPPORTED);
		CHECK(hm_loop_is_free(loop, i));
		hm_loop_unwatch(loop, i);
	}
}

static void files_are_not_watched(void)
{
	struct meter meter;

	if (!meter_start(&meter))
		return;
	CHECK(!hm_loop_is_own_thread(loop_of(&meter)));
	CHECK(!hm_loop_is_on_thread());
	meter_do(&meter, try_to_watch);
	meter_end(&meter);
}

static void the_programs_loop_is_refused(void)
{
	static uv_loop_t uv; /* nobody looks inside */
	struct meter meter;

	CHECK_HR(meter_try(&meter, &uv), NOT_SUPPORTED);
}

/* ---- The end ---- */

static void after_a_stop_nothing_comes(void)
{
	struct meter meter;
	unsigned turns;

	if (!meter_start(&meter))
		return;
	meter_do(&meter, set_at_once);
	AWAIT(atomic_load(&meter.timed) != 0);
	/* It is asleep by then, as a rule, and woken by the stop. */
	(void)usleep(10000);
	(void)alarm(WATCHDOG);
	hm_loop_stop(loop_of(&meter));
	CHECK_U32(atomic_load(&meter.woken), 1);
	turns = atomic_load(&meter.woken) + atomic_load(&meter.timed);
	for (unsigned i = 0; i < 100; i++)
		hm_loop_wake(loop_of(&meter));
	hm_loop_stop(loop_of(&meter));
	(void)usleep(10000);
	CHECK_U32(atomic_load(&meter.woken) + atomic_load(&meter.timed), turns);
	hm_loop_free(loop_of(&meter));
	(void)alarm(0);
}

static void take_long(struct meter *meter)
{
	atomic_fetch_add(&meter->steps, 1);
	(void)usleep(50000);
	atomic_fetch_add(&meter->steps, 1);
}

static void a_stop_waits_for_a_turn_and_makes_none(void)
{
	struct meter meter;

	if (!meter_start(&meter))
		return;
	atomic_store(&meter.then, take_long);
	hm_loop_wake(loop_of(&meter));
	AWAIT(atomic_load(&meter.steps) != 0);
	(void)alarm(WATCHDOG);
	hm_loop_stop(loop_of(&meter));
	CHECK_U32(atomic_load(&meter.steps), 2);
	CHECK_U32(atomic_load(&meter.woken) + atomic_load(&meter.timed), 1);
	hm_loop_free(loop_of(&meter));
	(void)alarm(0);
}

static void stop_it(struct meter *meter)
{
	hm_loop_stop(loop_of(meter));
	hm_loop_wake(loop_of(meter));
	hm_loop_set_timer(loop_of(meter), 0);
	atomic_fetch_add(&meter->steps, 1);
}

static void stop_and_free_it(struct meter *meter)
{
	stop_it(meter);
	hm_loop_free(loop_of(meter));
}

static void one_that_stops_itself_is_freed_by_another_thread(void)
{
	struct meter meter;

	count_mappings();
	if (meter_start(&meter)) {
		atomic_store(&meter.then, stop_it);
		hm_loop_wake(loop_of(&meter));
		AWAIT(atomic_load(&meter.steps) == 1);
		(void)alarm(WATCHDOG);
		hm_loop_free(loop_of(&meter));
		(void)alarm(0);
		CHECK_U32(atomic_load(&meter.woken) + atomic_load(&meter.timed), 1);
		CHECK_INT(atomic_load(&mapped), 0);
	}
	count_no_more();
}

static void one_frees_itself_inside_a_turn(void)
{
	struct meter meter;

	count_mappings();
	if (meter_start(&meter)) {
		atomic_store(&meter.then, stop_and_free_it);
		hm_loop_wake(loop_of(&meter));
		AWAIT(atomic_load(&meter.woken) + atomic_load(&meter.timed) == 1);
		CHECK_U32(atomic_load(&meter.steps), 1);
		/* It gives its page back when it comes back from there. */
		AWAIT(atomic_load(&mapped) == 0);
	}
	count_no_more();
}

int main(void)
{
	files_settle();
	TAP_RUN(it_takes_one_page_and_no_file);
	TAP_RUN(without_a_page_there_is_none);
	TAP_RUN(without_a_thread_there_is_none);
	TAP_RUN(no_wake_is_lost);
	TAP_RUN(a_wake_inside_a_turn_is_another_turn);
	TAP_RUN(a_signal_handler_may_wake);
	TAP_RUN(a_timer_comes_once_and_the_last_that_was_set);
	TAP_RUN(files_are_not_watched);
	TAP_RUN(the_programs_loop_is_refused);
	TAP_RUN(after_a_stop_nothing_comes);
	TAP_RUN(a_stop_waits_for_a_turn_and_makes_none);
	TAP_RUN(one_that_stops_itself_is_freed_by_another_thread);
	TAP_RUN(one_frees_itself_inside_a_turn);
	return tap_done();
}
