/*
 * A loop on a thread of its own: waking, time and files.
 *
 * Nothing here asks how quick it is: what has to come is waited for, and what must not come is
 * looked for after something else has come that would have been later.
 */
#include "loops.h"

#include <pthread.h>
#include <sys/eventfd.h>

enum { WAKERS = 4, WAKES = 2000 };

static void every_wake_is_followed_by_a_turn(void)
{
	struct meter meter;

	if (!meter_start(&meter))
		return;
	for (unsigned i = 1; i <= 100; i++) {
		unsigned before = atomic_load(&meter.woken);

		hm_loop_wake(loop_of(&meter));
		AWAIT(atomic_load(&meter.woken) > before);
	}
	CHECK(atomic_load(&meter.woken) <= 100);
	CHECK_U32(atomic_load(&meter.timed), 0);
	meter_end(&meter);
}

static void *wake_often(void *argument)
{
	struct meter *meter = argument;

	for (unsigned i = 0; i < WAKES; i++) {
		errno = 4711;
		hm_loop_wake(loop_of(meter));
		CHECK_INT(errno, 4711);
	}
	return NULL;
}

static void many_threads_wake(void)
{
	struct meter meter;
	pthread_t threads[WAKERS];
	unsigned before;

	if (!meter_start(&meter))
		return;
	for (size_t i = 0; i < WAKERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, wake_often, &meter), 0);
	for (size_t i = 0; i < WAKERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	AWAIT(atomic_load(&meter.woken) != 0);
	before = atomic_load(&meter.woken);
	CHECK(before <= WAKERS * WAKES);
	hm_loop_wake(loop_of(&meter));
	AWAIT(atomic_load(&meter.woken) > before);
	meter_end(&meter);
}

static long is_full(int file, const void *buffer, size_t size)
{
	(void)file, (void)buffer, (void)size;
	errno = EAGAIN;
	return -1;
}

static void a_wake_keeps_errno(void)
{
	long (*write_then)(int, const void *, size_t) = hm_system.write;
	struct meter meter;

	if (!meter_start(&meter))
		return;
	hm_system.write = is_full;
	errno = 4711;
	hm_loop_wake(loop_of(&meter));
	CHECK_INT(errno, 4711);
	/* The loop's thread uses the others. */
	hm_system.write = write_then;
	meter_end(&meter);
}

/* ---- Time ---- */

static _Atomic uint64_t set_at; /* ns */

/* What a turn takes is not part of the time. */
static void set_after_work(struct meter *meter)
{
	(void)usleep(60000);
	atomic_store(&set_at, uv_hrtime());
	hm_loop_set_timer(loop_of(meter), 60);
}

static void the_time_begins_when_it_is_set(void)
{
	struct meter meter;

	if (!meter_start(&meter))
		return;
	meter_do(&meter, set_after_work);
	AWAIT(atomic_load(&meter.timed) != 0);
	/* libuv counts whole ms. */
	CHECK(uv_hrtime() - atomic_load(&set_at) >= 58000000);
	meter_end(&meter);
}

static void time_in(struct meter *meter, uint64_t ms)
{
	hm_loop_set_timer(loop_of(meter), ms);
}

static void set_soon(struct meter *meter)
{
	time_in(meter, 1);
}

static void set_late_then_soon(struct meter *meter)
{
	time_in(meter, 3600000);
	time_in(meter, 1);
}

static void set_soon_then_late(struct meter *meter)
{
	time_in(meter, 20);
	time_in(meter, 3600000);
}

static void set_soon_then_never(struct meter *meter)
{
	time_in(meter, 20);
	time_in(meter, NEVER);
}

static void set_at_once(struct meter *meter)
{
	time_in(meter, 0);
}

static void a_timer_comes_once_and_the_last_that_was_set(void)
{
	static const struct {
		void (*set)(struct meter *meter);
		unsigned times;
	} rows[] = { { set_soon, 1 },
		     { set_late_then_soon, 1 },
		     { set_at_once, 1 },
		     { set_soon_then_late, 0 },
		     { set_soon_then_never, 0 } };

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct meter meter;

		tap_row("row %zu", i);
		if (!meter_start(&meter))
			return;
		meter_do(&meter, rows[i].set);
		AWAIT(atomic_load(&meter.timed) >= rows[i].times);
		(void)usleep(60000);
		CHECK_U32(atomic_load(&meter.timed), rows[i].times);
		meter_end(&meter);
	}
}

/* ---- Files ---- */

static void watch_it(struct meter *meter)
{
	meter->result = hm_loop_watch(loop_of(meter), 3, meter->file, HM_NEWS_READABLE);
}

static void unwatch_it(struct meter *meter)
{
	hm_loop_unwatch(loop_of(meter), 3);
	/* Again is nothing. */
	hm_loop_unwatch(loop_of(meter), 3);
	CHECK(!hm_loop_is_free(loop_of(meter), 3));
}

static void see_that_it_is_free(struct meter *meter)
{
	for (unsigned i = 0; i < HM_LOOP_FILES; i++)
		CHECK(hm_loop_is_free(loop_of(meter), i));
}

static void take_bytes(struct meter *meter, unsigned slot)
{
	char bytes[64];

	CHECK_U32(slot, 3);
	CHECK(read(meter->file, bytes, sizeof(bytes)) > 0);
}

static void check_watched(int file, int writer)
{
	const uint64_t one = 1;
	struct meter meter;

	if (!meter_start(&meter))
		return;
	meter.file = file;
	meter.on_ready = take_bytes;
	meter_do(&meter, watch_it);
	CHECK_HR(meter.result, S_OK);
	for (unsigned i = 1; i <= 3; i++) {
		CHECK_INT(write(writer, &one, sizeof(one)), sizeof(one));
		AWAIT(atomic_load(&meter.ready[3]) >= i);
	}
	CHECK_U32(atomic_load(&meter.ready[3]), 3);
	meter_do(&meter, unwatch_it);
	CHECK_INT(write(writer, &one, sizeof(one)), sizeof(one));
	meter_do(&meter, see_that_it_is_free);
	CHECK_U32(atomic_load(&meter.ready[3]), 3);
	/* And once more in the same slot. */
	meter_do(&meter, watch_it);
	CHECK_HR(meter.result, S_OK);
	AWAIT(atomic_load(&meter.ready[3]) >= 4);
	meter_end(&meter);
}

static void a_file_tells_until_it_is_unwatched(void)
{
	unsigned before = files_open_now();
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ends[2];

	CHECK_INT(pipe(ends), 0);
	tap_row("eventfd");
	check_watched(event, event);
	tap_row("pipe");
	check_watched(ends[0], ends[1]);
	(void)close(event);
	(void)close(ends[0]);
	(void)close(ends[1]);
	CHECK_U32(files_open_now(), before);
}

static int sixteen[HM_LOOP_FILES];

static void watch_sixteen(struct meter *meter)
{
	for (unsigned i = 0; i < HM_LOOP_FILES; i++) {
		CHECK(hm_loop_is_free(loop_of(meter), i));
		CHECK_HR(hm_loop_watch(loop_of(meter), i, sixteen[i], HM_NEWS_READABLE),
			 S_OK);
		CHECK(!hm_loop_is_free(loop_of(meter), i));
	}
}

static void unwatch_sixteen(struct meter *meter)
{
	for (unsigned i = 0; i < HM_LOOP_FILES; i++) {
		hm_loop_unwatch(loop_of(meter), i);
		CHECK(!hm_loop_is_free(loop_of(meter), i));
	}
}

static void take_one_of_sixteen(struct meter *meter, unsigned slot)
{
	uint64_t count = 0;

	(void)meter;
	CHECK_INT(read(sixteen[slot], &count, sizeof(count)), sizeof(count));
	CHECK_SIZE(count, slot + 1);
}

static void sixteen_files_tell_through_their_own_slots(void)
{
	unsigned before = files_open_now();
	struct meter meter;

	if (!meter_start(&meter))
		return;
	meter.on_ready = take_one_of_sixteen;
	for (unsigned i = 0; i < HM_LOOP_FILES; i++)
		sixteen[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned round = 0; round < 3; round++) {
		meter_do(&meter, watch_sixteen);
		for (unsigned i = 0; i < HM_LOOP_FILES; i++) {
			uint64_t count = i + 1;

			CHECK(write(sixteen[i], &count, sizeof(count)) > 0);
			AWAIT(atomic_load(&meter.ready[i]) == round + 1);
		}
		meter_do(&meter, unwatch_sixteen);
		/* The turn after that libuv has let them go. */
		meter_do(&meter, see_that_it_is_free);
	}
	meter_do(&meter, watch_sixteen);
	meter_end(&meter);
	for (unsigned i = 0; i < HM_LOOP_FILES; i++)
		(void)close(sixteen[i]);
	CHECK_U32(files_open_now(), before);
}

static void what_cannot_be_waited_for_is_refused(void)
{
	struct meter meter;
	FILE *regular = tmpfile();

	if (!CHECK(regular != NULL) || !meter_start(&meter))
		return;
	meter.file = fileno(regular);
	meter_do(&meter, watch_it);
	CHECK_HR(meter.result, NOT_SUPPORTED);
	meter.file = -1;
	meter_do(&meter, watch_it);
	CHECK(FAILED(meter.result));
	meter_do(&meter, see_that_it_is_free);
	meter_end(&meter);
	(void)fclose(regular);
}

int main(void)
{
	files_settle();
	TAP_RUN(every_wake_is_followed_by_a_turn);
	TAP_RUN(many_threads_wake);
	TAP_RUN(a_wake_keeps_errno);
	TAP_RUN(the_time_begins_when_it_is_set);
	TAP_RUN(a_timer_comes_once_and_the_last_that_was_set);
	TAP_RUN(a_file_tells_until_it_is_unwatched);
	TAP_RUN(sixteen_files_tell_through_their_own_slots);
	TAP_RUN(what_cannot_be_waited_for_is_refused);
	return tap_done();
}
