/*
 * Loops where there is little: no file descriptors, no memory; and on a loop of the program's.
 */
#include "loops.h"
#include "test/conformance/child.h"
#include "test/proc.h"

#include <pthread.h>
#include <sys/eventfd.h>

static struct hm_system_calls real;

static int refuse_open(const char *path, int flags)
{
	(void)path, (void)flags;
	errno = EMFILE;
	return -1;
}

static int refuse_event(int flags)
{
	(void)flags;
	errno = EMFILE;
	return -1;
}

/* ---- A thread without libuv ---- */

static void watch_it(struct meter *meter)
{
	meter->result = hm_loop_watch(loop_of(meter), 0, meter->file, HM_NEWS_READABLE);
	CHECK(hm_loop_is_free(loop_of(meter), 0));
	hm_loop_unwatch(loop_of(meter), 0);
}

static void set_soon(struct meter *meter)
{
	hm_loop_set_timer(loop_of(meter), 1);
}

static void set_never(struct meter *meter)
{
	hm_loop_set_timer(loop_of(meter), 1);
	hm_loop_set_timer(loop_of(meter), NEVER);
}

static void set_at_once(struct meter *meter)
{
	hm_loop_set_timer(loop_of(meter), 0);
}

static void stop_and_free_it(struct meter *meter)
{
	CHECK(hm_loop_is_own_thread(loop_of(meter)));
	hm_loop_stop(loop_of(meter));
	hm_loop_wake(loop_of(meter));
	hm_loop_free(loop_of(meter));
	atomic_fetch_add(&meter->steps, 1);
}

static void check_time(struct meter *meter)
{
	unsigned before = atomic_load(&meter->timed);

	meter_do(meter, set_soon);
	AWAIT(atomic_load(&meter->timed) > before);
	before = atomic_load(&meter->timed);
	meter_do(meter, set_at_once);
	AWAIT(atomic_load(&meter->timed) > before);
	before = atomic_load(&meter->timed);
	meter_do(meter, set_never);
	(void)usleep(20000);
	/* A word may wake for nothing, but not again and again. */
	CHECK(atomic_load(&meter->timed) <= before + 2);
}

static void check_without_files(void)
{
	unsigned before = files_open_now(), turns;
	struct meter meter;

	if (!meter_start(&meter))
		return;
	CHECK_U32(files_open_now(), before);
	for (unsigned i = 0; i < 100; i++) {
		turns = atomic_load(&meter.woken);
		hm_loop_wake(loop_of(&meter));
		AWAIT(atomic_load(&meter.woken) > turns);
	}
	check_time(&meter);
	meter.file = STDIN_FILENO;
	meter_do(&meter, watch_it);
	CHECK_HR(meter.result, TOO_MANY_FILES);
	meter_end(&meter);
	if (!meter_start(&meter))
		return;
	atomic_store(&meter.then, stop_and_free_it);
	hm_loop_wake(loop_of(&meter));
	/* The last that it does with the meter. */
	AWAIT(atomic_load(&meter.woken) + atomic_load(&meter.timed) == 1);
	CHECK_U32(atomic_load(&meter.steps), 1);
	CHECK_U32(files_open_now(), before);
}

static void without_files_there_is_time_and_waking(void)
{
	real = hm_system;
	tap_row("open");
	hm_system.open = refuse_open;
	check_without_files();
	hm_system = real;
	tap_row("event");
	hm_system.event = refuse_event;
	check_without_files();
	hm_system = real;
}

static void *wake_often(void *argument)
{
	for (unsigned i = 0; i < 20000; i++)
		hm_loop_wake(loop_of(argument));
	return NULL;
}

static void without_files_no_wake_is_lost(void)
{
	struct meter meter;
	pthread_t threads[3];

	real = hm_system;
	hm_system.open = refuse_open;
	if (!meter_start(&meter))
		return;
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, wake_often, &meter), 0);
	for (unsigned i = 0; i < 2000; i++) {
		unsigned before = atomic_load(&meter.woken);

		hm_loop_wake(loop_of(&meter));
		AWAIT(atomic_load(&meter.woken) > before);
	}
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	meter_end(&meter);
	hm_system = real;
}

/* ---- No memory ---- */

struct block {
	struct block *next;
	char rest[16];
};

static unsigned spared; /* blocks */
static rlim_t room;     /* bytes beside them */

/* Takes all the memory that there is but so many blocks, one behind the other. */
static void take_all_memory(void)
{
	struct block *first = NULL, *block;

	while ((block = malloc(sizeof(*block))) != NULL) {
		block->next = first;
		first = block;
	}
	for (unsigned i = 0; i < spared && first != NULL; i++) {
		block = first;
		first = block->next;
		free(block);
	}
}

static void check_little(uv_loop_t *uv)
{
	static struct meter meter;
	HRESULT hr = meter_try(&meter, uv);

	if (FAILED(hr)) {
		CHECK_HR(hr, E_OUTOFMEMORY);
		return;
	}
	if (uv != NULL) {
		hm_loop_stop(loop_of(&meter));
		hm_loop_free(loop_of(&meter));
		return;
	}
	meter_do(&meter, set_soon);
	AWAIT(atomic_load(&meter.timed) != 0);
	meter_end(&meter);
}

static void start_with_little_memory(void)
{
	rlim_t used = (rlim_t)figure("/proc/self/status", "VmData:") << 10;
	uv_loop_t uv;

	CHECK(used != 0);
	CHECK_INT(uv_loop_init(&uv), 0);
	if (!CHECK(child_limit(RLIMIT_DATA, used + room)))
		return;
	if (spared != 0)
		take_all_memory();
	check_little(&uv);
	check_little(NULL);
}

/* From nothing to plenty, in small steps: at some of them libuv would abort. */
static void without_memory_a_loop_is_refused_and_nobody_aborts(void)
{
	if (SANITIZED) {
		tap_skip("a sanitizer has memory of its own");
		return;
	}
	for (spared = 1; spared < 4000; spared += spared < 300 ? 1 : 4) {
		tap_row("%u blocks", spared);
		in_child(start_with_little_memory);
	}
	spared = 0;
	for (room = 0; room <= (rlim_t)16 << 20; room += 1 << 20) {
		tap_row("%llu bytes", (unsigned long long)room);
		in_child(start_with_little_memory);
	}
}

/* ---- On the program's loop ---- */

struct program {
	uv_loop_t uv;
	struct meter meter;
	unsigned files;
};

static bool program_begin(struct program *program)
{
	program->files = files_open_now();
	return CHECK_INT(uv_loop_init(&program->uv), 0) &&
	       CHECK_HR(meter_try(&program->meter, &program->uv), S_OK);
}

static void it_does_not_keep_the_programs_loop_running(void)
{
	struct program program;

	if (!program_begin(&program))
		return;
	CHECK(hm_loop_is_own_thread(loop_of(&program.meter)));
	hm_loop_set_timer(loop_of(&program.meter), 3600000);
	(void)alarm(WATCHDOG);
	CHECK_INT(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
	(void)alarm(0);
	CHECK_INT(uv_loop_alive(&program.uv), 0);
	program_keep(&program.uv);
	program_end(&program.uv, &program.meter);
	CHECK_U32(files_open_now(), program.files);
}

static void it_ends_before_the_programs_loop_has_run(void)
{
	struct program program;

	if (!program_begin(&program))
		return;
	hm_loop_wake(loop_of(&program.meter));
	program_keep(&program.uv);
	program_end(&program.uv, &program.meter);
	CHECK_U32(atomic_load(&program.meter.woken), 0);
	CHECK_U32(files_open_now(), program.files);
}

static void stop_it(struct meter *meter)
{
	hm_loop_stop(loop_of(meter));
	/* All of this is nothing now. */
	hm_loop_stop(loop_of(meter));
	hm_loop_wake(loop_of(meter));
	hm_loop_set_timer(loop_of(meter), 0);
}

static void stop_and_free_here(struct meter *meter)
{
	stop_it(meter);
	hm_loop_free(loop_of(meter));
}

static void it_ends_inside_a_turn(void)
{
	static void (*const rows[])(struct meter *) = { stop_it, stop_and_free_here };

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct program program;

		tap_row("row %zu", i);
		if (!program_begin(&program))
			return;
		program_keep(&program.uv);
		atomic_store(&program.meter.then, rows[i]);
		hm_loop_wake(loop_of(&program.meter));
		program_run_until(&program.uv, &program.meter.woken, 1);
		for (unsigned n = 0; n < 5; n++)
			(void)uv_run(&program.uv, UV_RUN_NOWAIT);
		CHECK_U32(atomic_load(&program.meter.woken), 1);
		CHECK_U32(atomic_load(&program.meter.timed), 0);
		if (i == 0)
			hm_loop_free(loop_of(&program.meter));
		uv_close((uv_handle_t *)&program_timer, NULL);
		(void)uv_run(&program.uv, UV_RUN_DEFAULT);
		CHECK_INT(uv_loop_close(&program.uv), 0);
		CHECK_U32(files_open_now(), program.files);
	}
}

static void *free_it(void *argument)
{
	hm_loop_free(loop_of(argument));
	return NULL;
}

/* While libuv lets go of it: whoever comes last frees it, and nobody twice. */
static void its_owner_may_free_it_on_another_thread(void)
{
	for (unsigned round = 0; round < 200; round++) {
		struct program program;
		pthread_t thread;

		if (!program_begin(&program))
			return;
		program_keep(&program.uv);
		hm_loop_stop(loop_of(&program.meter));
		CHECK_INT(pthread_create(&thread, NULL, free_it, &program.meter), 0);
		uv_close((uv_handle_t *)&program_timer, NULL);
		(void)uv_run(&program.uv, UV_RUN_DEFAULT);
		(void)pthread_join(thread, NULL);
		CHECK_INT(uv_loop_close(&program.uv), 0);
		CHECK_U32(files_open_now(), program.files);
	}
}

static void without_files_there_is_none_on_the_programs_loop(void)
{
	struct program program = { .files = files_open_now() };

	CHECK_INT(uv_loop_init(&program.uv), 0);
	real = hm_system;
	hm_system.event = refuse_event;
	CHECK_HR(meter_try(&program.meter, &program.uv), TOO_MANY_FILES);
	hm_system = real;
	(void)uv_run(&program.uv, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&program.uv), 0);
	CHECK_U32(files_open_now(), program.files);
}

static void watch_and_take(struct meter *meter, unsigned slot)
{
	uint64_t count;

	CHECK_U32(slot, 5);
	CHECK(read(meter->file, &count, sizeof(count)) > 0);
	atomic_fetch_add(&meter->steps, 1);
}

static void files_are_watched_on_the_programs_loop(void)
{
	const uint64_t one = 1;
	struct program program;
	struct hm_loop *loop;

	if (!program_begin(&program))
		return;
	loop = loop_of(&program.meter);
	program_keep(&program.uv);
	program.meter.on_ready = watch_and_take;
	program.meter.file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK_HR(hm_loop_watch(loop, 5, program.meter.file, HM_NEWS_READABLE), S_OK);
	CHECK(write(program.meter.file, &one, sizeof(one)) > 0);
	program_run_until(&program.uv, &program.meter.steps, 1);
	hm_loop_unwatch(loop, 5);
	CHECK(!hm_loop_is_free(loop, 5));
	(void)uv_run(&program.uv, UV_RUN_NOWAIT);
	CHECK(hm_loop_is_free(loop, 5));
	CHECK_HR(hm_loop_watch(loop, 5, program.meter.file, HM_NEWS_READABLE), S_OK);
	/* With a file that is still watched. */
	program_end(&program.uv, &program.meter);
	(void)close(program.meter.file);
	CHECK_U32(files_open_now(), program.files);
}

int main(void)
{
	/* Before libuv has been used. */
	TAP_RUN(without_memory_a_loop_is_refused_and_nobody_aborts);
	files_settle();
	TAP_RUN(without_files_there_is_time_and_waking);
	TAP_RUN(without_files_no_wake_is_lost);
	TAP_RUN(it_does_not_keep_the_programs_loop_running);
	TAP_RUN(it_ends_before_the_programs_loop_has_run);
	TAP_RUN(it_ends_inside_a_turn);
	TAP_RUN(its_owner_may_free_it_on_another_thread);
	TAP_RUN(without_files_there_is_none_on_the_programs_loop);
	TAP_RUN(files_are_watched_on_the_programs_loop);
	return tap_done();
}
