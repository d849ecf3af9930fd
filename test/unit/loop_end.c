/*
 * The end of a loop on a thread of its own: by another thread, by itself, inside a turn and when
 * a file is ready.
 */
#include "loops.h"

#include <sys/eventfd.h>

static void watch_it(struct meter *meter)
{
	meter->result = hm_loop_watch(loop_of(meter), 0, meter->file, HM_NEWS_READABLE);
}

static void set_at_once(struct meter *meter)
{
	hm_loop_set_timer(loop_of(meter), 0);
}

static void stop_it(struct meter *meter)
{
	CHECK(hm_loop_is_own_thread(loop_of(meter)));
	hm_loop_stop(loop_of(meter));
	hm_loop_wake(loop_of(meter));
	hm_loop_set_timer(loop_of(meter), 0);
	atomic_fetch_add(&meter->steps, 1);
}

static void stop_and_free_it(struct meter *meter)
{
	stop_it(meter);
	hm_loop_free(loop_of(meter));
	atomic_fetch_add(&meter->steps, 1);
}

static void after_a_stop_nothing_comes(void)
{
	unsigned before = files_open_now(), turns;
	struct meter meter;

	if (!meter_start(&meter))
		return;
	CHECK(!hm_loop_is_own_thread(loop_of(&meter)));
	meter_do(&meter, set_at_once);
	(void)alarm(WATCHDOG);
	hm_loop_stop(loop_of(&meter));
	turns = atomic_load(&meter.woken) + atomic_load(&meter.timed);
	for (unsigned i = 0; i < 100; i++)
		hm_loop_wake(loop_of(&meter));
	hm_loop_stop(loop_of(&meter));
	(void)usleep(10000);
	CHECK_U32(atomic_load(&meter.woken) + atomic_load(&meter.timed), turns);
	hm_loop_free(loop_of(&meter));
	(void)alarm(0);
	CHECK_U32(files_open_now(), before);
}

static void a_loop_that_stops_itself_is_freed_by_another_thread(void)
{
	unsigned before = files_open_now();
	struct meter meter;

	if (!meter_start(&meter))
		return;
	atomic_store(&meter.then, stop_it);
	hm_loop_wake(loop_of(&meter));
	AWAIT(atomic_load(&meter.steps) == 1);
	hm_loop_wake(loop_of(&meter));
	(void)alarm(WATCHDOG);
	hm_loop_free(loop_of(&meter));
	(void)alarm(0);
	CHECK_U32(atomic_load(&meter.woken), 1);
	CHECK_U32(files_open_now(), before);
}

static void a_loop_frees_itself_inside_a_turn(void)
{
	unsigned before = files_open_now();
	struct meter meter;

	if (!meter_start(&meter))
		return;
	atomic_store(&meter.then, stop_and_free_it);
	hm_loop_wake(loop_of(&meter));
	AWAIT(atomic_load(&meter.woken) + atomic_load(&meter.timed) == 1);
	CHECK_U32(atomic_load(&meter.steps), 2);
	/* It gives back what it has when it comes back from there. */
	AWAIT(files_open_now() == before);
}

static void stop_and_free_when_ready(struct meter *meter, unsigned slot)
{
	(void)slot;
	stop_and_free_it(meter);
}

static void a_loop_frees_itself_when_a_file_is_ready(void)
{
	unsigned before = files_open_now();
	struct meter meter;
	int event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	if (!meter_start(&meter))
		return;
	meter.file = event;
	meter.on_ready = stop_and_free_when_ready;
	meter_do(&meter, watch_it);
	AWAIT(atomic_load(&meter.ready[0]) == 1);
	CHECK_U32(atomic_load(&meter.steps), 2);
	/* The event file stays open: nothing says when the thread has let it go. */
	AWAIT(files_open_now() == before + 1);
}

int main(void)
{
	files_settle();
	TAP_RUN(after_a_stop_nothing_comes);
	TAP_RUN(a_loop_that_stops_itself_is_freed_by_another_thread);
	TAP_RUN(a_loop_frees_itself_inside_a_turn);
	TAP_RUN(a_loop_frees_itself_when_a_file_is_ready);
	return tap_done();
}
