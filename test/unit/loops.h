/*
 * What the tests of loops share: a client that counts what it hears, a wait that a busy
 * machine cannot spoil, and how many files are open.
 */
#ifndef HOSTMEM_UNIT_LOOPS_H
#define HOSTMEM_UNIT_LOOPS_H

#include "hostmem/os/loop.h"
#include "hostmem/os/system.h"
#include "test/tap.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>
#include <uv.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define NOT_SUPPORTED HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
#define TOO_MANY_FILES HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES)
#define NEVER UINT64_MAX

enum { WATCHDOG = 120 }; /* s, of one test */

struct meter {
	_Atomic(struct hm_loop *) loop;
	atomic_uint woken, timed, ready[HM_LOOP_FILES];
	/* What it does in a turn, once, and for a slot that is ready. */
	void (*_Atomic then)(struct meter *meter);
	void (*on_ready)(struct meter *meter, unsigned slot);
	int file;
	HRESULT result;
	atomic_uint steps;
};

static inline struct hm_loop *loop_of(struct meter *meter)
{
	return atomic_load(&meter->loop);
}

static inline void meter_turn(void *state, bool woken)
{
	struct meter *meter = (struct meter *)state;
	void (*then)(struct meter *) = atomic_exchange(&meter->then, NULL);

	if (then != NULL)
		then(meter);
	atomic_fetch_add(woken ? &meter->woken : &meter->timed, 1);
}

static inline void meter_ready(void *state, unsigned slot)
{
	struct meter *meter = (struct meter *)state;

	if (meter->on_ready != NULL)
		meter->on_ready(meter, slot);
	atomic_fetch_add(&meter->ready[slot], 1);
}

static inline HRESULT meter_try(struct meter *meter, uv_loop_t *program)
{
	const struct hm_loop_client client = { meter_turn, meter_ready, meter };
	struct hm_loop *loop = (struct hm_loop *)(uintptr_t)1;
	HRESULT hr;

	memset(meter, 0, sizeof(*meter));
	errno = 4711;
	hr = hm_loop_start(&client, program, &loop);
	CHECK_INT(errno, 4711);
	CHECK((loop != NULL) == SUCCEEDED(hr));
	atomic_store(&meter->loop, loop);
	return hr;
}

static inline bool meter_start(struct meter *meter)
{
	return CHECK_HR(meter_try(meter, NULL), S_OK);
}

#define AWAIT(condition) \
	do { \
		(void)alarm(WATCHDOG); \
		while (!(condition)) \
			(void)usleep(200); \
		(void)alarm(0); \
	} while (0)

/* Has the loop's thread do that, and waits for it. */
static inline void meter_do(struct meter *meter, void (*then)(struct meter *meter))
{
	unsigned before = atomic_load(&meter->woken);

	atomic_store(&meter->then, then);
	hm_loop_wake(loop_of(meter));
	/* A timer's turn may have taken it. */
	AWAIT(atomic_load(&meter->then) == NULL && atomic_load(&meter->woken) != before);
}

/* From a thread that is not the loop's. */
static inline void meter_end(struct meter *meter)
{
	(void)alarm(WATCHDOG);
	hm_loop_stop(loop_of(meter));
	hm_loop_free(loop_of(meter));
	(void)alarm(0);
}

/* ---- The program's loop ---- */

/* Something of the program's own, without which libuv's loop does not run. */
static uv_timer_t program_timer;

static inline void program_nothing(uv_timer_t *timer)
{
	(void)timer;
}

static inline void program_keep(uv_loop_t *uv)
{
	CHECK_INT(uv_timer_init(uv, &program_timer), 0);
	CHECK_INT(uv_timer_start(&program_timer, program_nothing, 3600000, 0), 0);
}

static inline void program_run_until(uv_loop_t *uv, atomic_uint *count, unsigned want)
{
	(void)alarm(WATCHDOG);
	while (atomic_load(count) < want) {
		(void)uv_run(uv, UV_RUN_NOWAIT);
		(void)usleep(100);
	}
	(void)alarm(0);
}

/* Both ends, and of the program's all is closed. */
static inline void program_end(uv_loop_t *uv, struct meter *meter)
{
	hm_loop_stop(loop_of(meter));
	hm_loop_free(loop_of(meter));
	uv_close((uv_handle_t *)&program_timer, NULL);
	(void)uv_run(uv, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(uv), 0);
}

/* ---- Files ---- */

/* Without the one that is used for it. */
static inline unsigned files_open_now(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	if (!CHECK(directory != NULL))
		return 0;
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	return count - 3;
}

/* What libuv and the C library open once and for all is open then. */
static inline void files_settle(void)
{
	struct meter meter;

	if (meter_start(&meter))
		meter_end(&meter);
}

#endif
