/*
 * Loops, by libuv: on a thread of our own or as a part of the program's.
 *
 * libuv aborts the process where its loop cannot have the memory or the first file descriptors
 * that it needs.  A library must not, so both are tried for beforehand: as many descriptors as a
 * loop takes are opened and closed again, and so is a block of its size.  What another thread
 * takes in that moment is beyond that.
 *
 * Where there are none, a thread of our own can do without libuv: it sleeps on a word
 * (loop_thread.c).  So time and budgets are watched even where nothing can be opened.
 *
 * Waking is a write to an event file.  libuv's own way of it aborts when the handle has been
 * closed meanwhile, and a request that is about to wake must not wait for whoever stops the
 * loop; the event file stays open until the loop is freed.
 *
 * Handles on the program's loop do not keep it running, and belong to libuv until it has closed
 * them, which takes a turn of that loop: so the record is freed by whoever comes last, the
 * owner or libuv.  The owner may come on another thread: the host ends with its last call in
 * flight, whosever that is.
 *
 * In a fork child a loop shares its kernel objects with the parent, and its books may have
 * been in the middle of a change.  So nothing of it is touched there: what can be named is
 * closed, the rest is kept in a list and never used.  If it was the loop's own thread that has
 * forked, it must not go back into libuv, which aborts where its files are gone: it jumps.
 *
 * Locks: none.  All fields but those that hm_loop_wake and hm_loop_stop use belong to the
 * loop's thread.
 */
#include "check.h"
#include "container.h"
#include "loop_thread.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

/* What uv_loop_init opens, and two for what follows. */
#define FILES_OF_A_LOOP 8U
/* Bytes; more than it and its handles allocate at a time. */
#define BLOCK_OF_A_LOOP ((size_t)64 << 10)

enum watch_phase {
	WATCH_FREE,
	WATCH_OPEN,
	WATCH_CLOSING,
};

struct watch {
	uv_poll_t poll;
	enum watch_phase phase;
};

struct hm_loop {
	struct hm_loop_thread thread;
	uv_loop_t
		*uv; /* our own, the program's, or NULL: a thread that sleeps on a word */
	uv_loop_t own_uv;
	uv_timer_t timer;
	uv_poll_t wake_watch;
	struct watch watches[HM_LOOP_FILES];
	_Atomic uint32_t users; /* handles that libuv has not let go, and the owner */
	bool closed;            /* all handles have been told to */
	bool lost;      /* in a fork child: libuv must not touch what it has open */
	jmp_buf before; /* it went into libuv */
	int wake;       /* the event file, or -1: its thread sleeps on a word */
	struct hm_loop *next_lost;
};

static struct hm_loop *lost; /* in a fork child */

/* ---- Beginning ---- */

static bool has_files(void)
{
	int files[FILES_OF_A_LOOP];
	unsigned count = 0;

	while (count < FILES_OF_A_LOOP) {
		files[count] = hm_system.open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (files[count] < 0)
			break;
		count++;
	}
	for (unsigned i = 0; i < count; i++)
		(void)hm_system.close(files[i]);
	return count == FILES_OF_A_LOOP;
}

static bool has_memory(int file)
{
	/* Its table of files has two words for each number.  Volatile, or a compiler may take
	 * it that there always is a block that nobody uses, and leave both calls out. */
	void *volatile block =
		malloc(BLOCK_OF_A_LOOP + (size_t)file * 4 * sizeof(void *));
	bool any = block != NULL;

	free(block);
	return any;
}

static void free_record(struct hm_loop *loop)
{
	if (loop->wake >= 0)
		(void)hm_system.close(loop->wake);
	free(loop);
}

static void give_back(struct hm_loop_thread *thread)
{
	free_record(hm_container_of(thread, struct hm_loop, thread));
}

static void drop_record(struct hm_loop *loop)
{
	if (atomic_fetch_sub(&loop->users, 1) == 1)
		free_record(loop);
}

static void on_closed(uv_handle_t *handle)
{
	struct hm_loop *loop = handle->data;

	for (unsigned i = 0; i < HM_LOOP_FILES; i++) {
		if (handle == (uv_handle_t *)&loop->watches[i].poll)
			loop->watches[i].phase = WATCH_FREE;
	}
	drop_record(loop);
}

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void close_all(struct hm_loop *loop)
{
	if (loop->closed)
		return;
	loop->closed = true;
	close_handle((uv_handle_t *)&loop->timer);
	close_handle((uv_handle_t *)&loop->wake_watch);
	for (unsigned i = 0; i < HM_LOOP_FILES; i++)
		hm_loop_unwatch(loop, i);
}

/* It may have been stopped by its client, or have become that of a fork child. */
static void see_to_the_end(struct hm_loop *loop)
{
	if (loop->lost)
		longjmp(loop->before, 1);
	if (hm_loop_thread_is_stopped(&loop->thread) && loop->thread.has_thread)
		close_all(loop);
}

static void take_turn(struct hm_loop *loop, bool woken)
{
	hm_loop_thread_turn(&loop->thread, woken);
	see_to_the_end(loop);
}

static void on_timer(uv_timer_t *timer)
{
	take_turn(timer->data, false);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
	struct hm_loop *loop = poll->data;
	uint64_t count;

	(void)status;
	(void)events;
	(void)hm_system.read(loop->wake, &count, sizeof(count));
	take_turn(loop, true);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct hm_loop *loop = poll->data;
	struct watch *watch = hm_container_of(poll, struct watch, poll);
	const struct hm_loop_client *client = &loop->thread.client;

	(void)status;
	(void)events;
	if (!hm_loop_thread_is_stopped(&loop->thread))
		client->ready(client->state, (unsigned)(watch - loop->watches));
	see_to_the_end(loop);
}

/* The timer, and what wakes it. */
static bool open_handles(struct hm_loop *loop)
{
	loop->timer.data = loop;
	loop->wake_watch.data = loop;
	/* Neither of the first two can fail. */
	(void)uv_timer_init(loop->uv, &loop->timer);
	atomic_store(&loop->users, 2);
	if (uv_poll_init(loop->uv, &loop->wake_watch, loop->wake) != 0)
		return false;
	atomic_store(&loop->users, 3);
	if (loop->uv == &loop->own_uv)
		return uv_poll_start(&loop->wake_watch, UV_READABLE, on_wake) == 0;
	uv_unref((uv_handle_t *)&loop->timer);
	uv_unref((uv_handle_t *)&loop->wake_watch);
	return uv_poll_start(&loop->wake_watch, UV_READABLE, on_wake) == 0;
}

/* ---- A thread of our own ---- */

/* false: it is as before, and there is no libuv for it. */
static bool begin_own(struct hm_loop *loop)
{
	if (!has_files() || !has_memory(0))
		return false;
	loop->wake = hm_system.event(EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake < 0)
		return false;
	if (uv_loop_init(&loop->own_uv) == 0) {
		loop->uv = &loop->own_uv;
		if (has_memory(loop->wake) && open_handles(loop))
			return true;
		if (atomic_load(&loop->users) == 3)
			close_handle((uv_handle_t *)&loop->wake_watch);
		if (atomic_load(&loop->users) != 1)
			close_handle((uv_handle_t *)&loop->timer);
		(void)uv_run(loop->uv, UV_RUN_DEFAULT);
		(void)uv_loop_close(loop->uv);
		loop->uv = NULL;
	}
	(void)hm_system.close(loop->wake);
	loop->wake = -1;
	return false;
}

static void run(struct hm_loop_thread *thread)
{
	struct hm_loop *loop = hm_container_of(thread, struct hm_loop, thread);

	if (setjmp(loop->before) == 0) {
		(void)uv_run(loop->uv, UV_RUN_DEFAULT);
		(void)uv_loop_close(loop->uv);
	}
}

static HRESULT start_own(struct hm_loop *loop)
{
	HRESULT hr;

	hr = hm_loop_thread_start(&loop->thread,
				  begin_own(loop) ? run : hm_loop_thread_sleep);
	if (SUCCEEDED(hr))
		return hr;
	if (loop->uv != NULL) {
		close_all(loop);
		(void)uv_run(loop->uv, UV_RUN_DEFAULT);
		(void)uv_loop_close(loop->uv);
	}
	free_record(loop);
	return hr;
}

/* ---- The program's loop ---- */

static HRESULT start_on(struct hm_loop *loop, uv_loop_t *program)
{
	loop->wake = hm_system.event(EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake < 0 || !has_memory(loop->wake)) {
		HRESULT hr =
			loop->wake < 0 && errno != ENOMEM
				? HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES)
				: E_OUTOFMEMORY;

		free_record(loop);
		return hr;
	}
	loop->uv = program;
	if (open_handles(loop))
		return S_OK;
	if (atomic_load(&loop->users) == 3)
		close_handle((uv_handle_t *)&loop->wake_watch);
	close_handle((uv_handle_t *)&loop->timer);
	drop_record(loop);
	return E_OUTOFMEMORY;
}

HRESULT hm_loop_start(const struct hm_loop_client *client, struct uv_loop_s *program,
		      struct hm_loop **out)
{
	int kept = errno;
	struct hm_loop *loop = calloc(1, sizeof(*loop));
	HRESULT hr = E_OUTOFMEMORY;

	*out = NULL;
	if (loop != NULL) {
		hm_loop_thread_init(&loop->thread, client, give_back);
		loop->wake = -1;
		atomic_store(&loop->users, 1);
		hr = program != NULL ? start_on(loop, program) : start_own(loop);
		if (SUCCEEDED(hr))
			*out = loop;
	}
	errno = kept;
	return hr;
}

/* ---- While it runs ---- */

void hm_loop_wake(struct hm_loop *loop)
{
	const uint64_t one = 1;
	int kept = errno;

	if (loop->wake < 0) {
		hm_loop_thread_wake(&loop->thread);
		return;
	}
	/* A count that is full has woken already. */
	(void)hm_system.write(loop->wake, &one, sizeof(one));
	errno = kept;
}

bool hm_loop_is_own_thread(const struct hm_loop *loop)
{
	return hm_loop_thread_is_own(&loop->thread);
}

void hm_loop_set_timer(struct hm_loop *loop, uint64_t ms)
{
	loop->thread.sleep = ms;
	if (loop->uv == NULL || loop->closed)
		return;
	if (ms == UINT64_MAX) {
		(void)uv_timer_stop(&loop->timer);
		return;
	}
	/* What it takes for now is when this turn began. */
	uv_update_time(loop->uv);
	(void)uv_timer_start(&loop->timer, on_timer, ms, 0);
}

bool hm_loop_is_free(const struct hm_loop *loop, unsigned slot)
{
	return loop->watches[slot].phase == WATCH_FREE;
}

HRESULT hm_loop_watch(struct hm_loop *loop, unsigned slot, int file,
		      enum hm_loop_news news)
{
	struct watch *watch = &loop->watches[slot];
	int error;

	hm_assert(watch->phase == WATCH_FREE);
	if (loop->uv == NULL || loop->closed)
		return HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES);
	if (!has_memory(file))
		return E_OUTOFMEMORY;
	watch->poll.data = loop;
	error = uv_poll_init(loop->uv, &watch->poll, file);
	if (error != 0)
		return error == UV_ENOMEM
			       ? E_OUTOFMEMORY
			       : HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	atomic_fetch_add(&loop->users, 1);
	watch->phase = WATCH_OPEN;
	uv_unref((uv_handle_t *)&watch->poll);
	/* Kernel files for which something exceptional counts are readable at any time. */
	(void)uv_poll_start(&watch->poll,
			    news == HM_NEWS_EXCEPTIONAL ? UV_PRIORITIZED : UV_READABLE,
			    on_ready);
	return S_OK;
}

void hm_loop_unwatch(struct hm_loop *loop, unsigned slot)
{
	struct watch *watch = &loop->watches[slot];

	if (watch->phase != WATCH_OPEN || loop->lost)
		return;
	watch->phase = WATCH_CLOSING;
	uv_close((uv_handle_t *)&watch->poll, on_closed);
}

/* ---- The end ---- */

void hm_loop_await_end(struct hm_loop *loop)
{
	hm_loop_thread_await_end(&loop->thread);
}

void hm_loop_stop(struct hm_loop *loop)
{
	if (!hm_loop_thread_stop(&loop->thread))
		return;
	if (!loop->thread.has_thread) {
		close_all(loop);
		return;
	}
	if (hm_loop_is_own_thread(loop))
		return;
	hm_loop_wake(loop);
	hm_loop_await_end(loop);
}

void hm_loop_free(struct hm_loop *loop)
{
	if (!hm_loop_thread_free(&loop->thread))
		drop_record(loop);
}

/* What is written to the parent's event file wakes the parent, and what is read from it is
 * taken from him.  The number stays, since libuv knows it; the old one goes first, for there
 * may be no other number. */
static void renew_wake(struct hm_loop *loop)
{
	int fresh;

	(void)hm_system.close(loop->wake);
	fresh = hm_system.event(EFD_CLOEXEC | EFD_NONBLOCK);
	if (fresh == loop->wake)
		return;
	if (fresh < 0 || dup3(fresh, loop->wake, O_CLOEXEC) < 0)
		loop->wake = -1;
	if (fresh >= 0)
		(void)hm_system.close(fresh);
}

static void lose(struct hm_loop *loop)
{
	if (loop->uv != NULL) {
		(void)hm_system.close(uv_backend_fd(loop->uv));
		(void)hm_system.close(loop->wake);
	}
	loop->closed = loop->lost = true;
	loop->next_lost = lost;
	lost = loop;
}

void hm_loop_after_fork(struct hm_loop *loop, struct hm_loop **out)
{
	*out = loop;
	if (!loop->thread.has_thread) {
		if (!hm_loop_thread_is_stopped(&loop->thread))
			renew_wake(loop);
		return;
	}
	if (hm_loop_thread_after_fork(&loop->thread)) {
		lose(loop);
		*out = NULL;
	} else if (!loop->thread.has_thread) {
		/* What libuv has not let go it never will. */
		atomic_store(&loop->users, 1);
	}
}
