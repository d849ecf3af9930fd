/*
 * Threads of loops, and the loop that is nothing else: a thread that sleeps on a word.
 *
 * It needs no file and no memory beside its record, so it is what is left where nothing can be
 * opened, and all that there is where libuv must not be linked.
 *
 * A wake moves the word before it wakes, and the thread notes how far the word had moved before
 * each turn: so no wake is lost that comes in between, and many at once are one turn.
 *
 * A record whose owner frees it inside a turn is still needed by the thread that comes back
 * from there; it is given back at the thread's end then.
 *
 * In a fork child the thread is gone, but who has forked may have done it in a turn, or in a
 * signal handler that came in the middle of a wake, and comes back to the record; so a child
 * does not give back what it had.  A thread that has forked finds that it is stopped, and ends.
 *
 * Locks: none; the words are atomic, the rest belongs to one thread at a time, see the header.
 */
#include "loop_thread.h"
#include "check.h"
#include "lock.h"

#include <stddef.h>

static HM_THREAD_LOCAL const struct hm_loop_thread *own; /* of this thread */

void hm_loop_thread_init(struct hm_loop_thread *loop, const struct hm_loop_client *client,
			 void (*give_back)(struct hm_loop_thread *loop))
{
	loop->client = *client;
	loop->give_back = give_back;
	loop->sleep = UINT64_MAX;
}

static void *run_thread(void *argument)
{
	struct hm_loop_thread *loop = argument;

	own = loop;
	loop->run(loop);
	if (loop->freed)
		loop->give_back(loop);
	return NULL;
}

HRESULT hm_loop_thread_start(struct hm_loop_thread *loop,
			     void (*run)(struct hm_loop_thread *loop))
{
	HRESULT hr;

	loop->run = run;
	loop->has_thread = true;
	hr = hm_thread_start(&loop->thread, "hostmem", run_thread, loop);
	if (FAILED(hr))
		loop->has_thread = false;
	return hr;
}

/* ---- While it runs ---- */

void hm_loop_thread_turn(struct hm_loop_thread *loop, bool woken)
{
	if (!hm_loop_thread_is_stopped(loop))
		loop->client.turn(loop->client.state, woken);
}

void hm_loop_thread_sleep(struct hm_loop_thread *loop)
{
	uint32_t turns = 0, before;

	while (!hm_loop_thread_is_stopped(loop)) {
		if (loop->sleep == UINT64_MAX)
			hm_word_wait(&loop->turns, turns);
		else if (loop->sleep != 0)
			hm_word_wait_for(&loop->turns, turns, loop->sleep);
		before = turns;
		turns = atomic_load(&loop->turns);
		loop->sleep = UINT64_MAX;
		hm_loop_thread_turn(loop, turns != before);
	}
}

void hm_loop_thread_wake(struct hm_loop_thread *loop)
{
	atomic_fetch_add(&loop->turns, 1);
	hm_word_wake_all(&loop->turns);
}

bool hm_loop_thread_is_own(const struct hm_loop_thread *loop)
{
	return !loop->has_thread || own == loop;
}

bool hm_loop_is_on_thread(void)
{
	return own != NULL;
}

/* ---- The end ---- */

bool hm_loop_thread_stop(struct hm_loop_thread *loop)
{
	return atomic_exchange(&loop->ending, 1) == 0;
}

void hm_loop_thread_await_end(struct hm_loop_thread *loop)
{
	if (!loop->has_thread)
		return;
	hm_thread_join(&loop->thread);
	loop->has_thread = false;
}

bool hm_loop_thread_free(struct hm_loop_thread *loop)
{
	hm_assert(hm_loop_thread_is_stopped(loop));
	if (loop->has_thread && own == loop) {
		hm_thread_detach_self();
		loop->freed = true;
		return true;
	}
	/* It has stopped itself. */
	hm_loop_thread_await_end(loop);
	return false;
}

bool hm_loop_thread_after_fork(struct hm_loop_thread *loop)
{
	if (!hm_loop_thread_stop(loop)) {
		/* Its thread was about to end, and is gone. */
		if (own != loop)
			loop->has_thread = false;
		return false;
	}
	return true;
}
