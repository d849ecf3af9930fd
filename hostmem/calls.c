/*
 * Calls in flight, and what a fork does with them.
 *
 * A fork copies memory as it stands, other threads' half-done changes included, and
 * leaves those threads behind: a lock they held would be held for ever, and a page whose
 * system call was done but not yet recorded would be wrong in the child's books.  So
 * before a fork the door is closed, everybody inside leaves, and the child starts with
 * every lock free and every book true.  Taking all locks instead was rejected: there is
 * one per region.
 *
 * The counters are spread over cache lines and a thread keeps to one of them.  The order
 * of "count, then look at the door" here and "close the door, then look at the counts"
 * there is what makes it safe, hence sequential consistency on both sides.
 *
 * Where a runtime stops its threads by signals, they are held back from enter to leave: who
 * was stopped inside would keep a lock that the one who has stopped him needs.  A quick call
 * is too short for that, so who waits for one gives up after a while (quick.h), and a fork
 * opens the door for a moment before it tries again.
 *
 * Locks: none; the one who closes the door excludes others by a word of its own.
 */
#include "calls.h"
#include "host.h"
#include "threadcaches.h"
#include "os/lock.h"
#include "os/mappings.h"
#include "os/residents.h"

#include <stddef.h>

struct slot {
	_Alignas(64) _Atomic uint32_t inside;
};

static struct slot slots[HM_CALLS_SLOTS];
static _Atomic uint32_t closed;
static _Atomic uint32_t forking;
static _Atomic uint32_t next_slot;
static _Atomic uint32_t prepared;
static _Atomic bool stops_expected;
HM_THREAD_LOCAL uint32_t hm_calls_own_slot;

static HM_THREAD_LOCAL uint32_t holds; /* of signals, of this thread */
static HM_THREAD_LOCAL struct hm_signal_mask before_holds;

uint32_t hm_calls_choose_slot(void)
{
	uint32_t slot = atomic_fetch_add_explicit(&next_slot, 1, memory_order_relaxed) %
			HM_CALLS_SLOTS;

	hm_calls_own_slot = slot + 1;
	return slot;
}

static struct slot *slot_of_thread(void)
{
	return &slots[hm_calls_slot()];
}

void hm_calls_expect_stops(void)
{
	atomic_store(&stops_expected, true);
	hm_quick_expect_stops();
}

/* Nothing comes between once they are held, and what comes before has finished. */
void hm_calls_hold_signals(void)
{
	if (holds == 0)
		hm_thread_hold_signals(&before_holds);
	holds++;
}

void hm_calls_release_signals(void)
{
	if (holds == 1) {
		struct hm_signal_mask before = before_holds;

		holds = 0;
		hm_thread_release_signals(&before);
	} else {
		holds--;
	}
}

static void leave(void)
{
	struct slot *slot = slot_of_thread();

	atomic_fetch_sub(&slot->inside, 1);
	if (atomic_load(&closed) != 0)
		hm_word_wake_all(&slot->inside);
}

static bool try_enter(void)
{
	atomic_fetch_add(&slot_of_thread()->inside, 1);
	if (atomic_load(&closed) == 0)
		return true;
	leave();
	return false;
}

/* The handler's mask is its own; what it has interrupted may hold signals. */
bool hm_calls_try_enter(void)
{
	if (!try_enter())
		return false;
	if (holds != 0)
		holds++;
	return true;
}

void hm_calls_enter(void)
{
	hm_lock_assert_none_held();
	if (atomic_load_explicit(&stops_expected, memory_order_relaxed))
		hm_calls_hold_signals();
	while (!try_enter())
		hm_word_wait(&closed, 1);
}

void hm_calls_leave(void)
{
	leave();
	if (holds != 0)
		hm_calls_release_signals();
}

static void open_door(void)
{
	hm_quick_resume_alone();
	atomic_store(&closed, 0);
	atomic_store(&forking, 0);
	hm_word_wake_all(&closed);
	hm_word_wake_all(&forking);
	if (holds != 0)
		hm_calls_release_signals();
}

static bool try_close_door(void)
{
	uint32_t inside;

	if (atomic_load(&stops_expected))
		hm_calls_hold_signals();
	while (atomic_exchange(&forking, 1) != 0)
		hm_word_wait(&forking, 1);
	atomic_store(&closed, 1);
	for (size_t i = 0; i < HM_CALLS_SLOTS; i++) {
		while ((inside = atomic_load(&slots[i].inside)) != 0)
			hm_word_wait(&slots[i].inside, inside);
	}
	if (hm_quick_stop_alone())
		return true;
	open_door();
	return false;
}

static void close_door(void)
{
	while (!try_close_door())
		hm_thread_yield();
}

void hm_calls_flush(void)
{
	close_door();
	open_door();
}

static void after_fork_in_child(void)
{
	/* Counts of threads that were about to find the door closed. */
	for (size_t i = 0; i < HM_CALLS_SLOTS; i++)
		atomic_store(&slots[i].inside, 0);
	hm_caches_after_fork();
	hm_mappings_after_fork();
	hm_residents_after_fork();
	hm_hosts_after_fork();
	open_door();
}

HRESULT hm_calls_prepare(void)
{
	HRESULT hr;
	uint32_t state = 0;

	/* 0 not yet, 1 being done, 2 done. */
	while (!atomic_compare_exchange_strong(&prepared, &state, 1)) {
		if (state == 2)
			return S_OK;
		hm_thread_yield();
		state = 0;
	}
	hr = hm_caches_prepare();
	if (SUCCEEDED(hr))
		hr = hm_fork_handlers(close_door, open_door, after_fork_in_child);
	atomic_store(&prepared, SUCCEEDED(hr) ? 2 : 0);
	return hr;
}
