/*
 * One callback that can be replaced while it runs.
 *
 * Chakra keeps a callback and its state in two words and stores to them as it likes: a
 * call may see one of the old and one of the new, and nobody can tell when the old state
 * may be freed.  Here a callback and its state are one record, which a call finds through
 * one pointer, and each record counts the calls that use it.
 *
 * Reader: count oneself in at the current record, then look whether it still is the
 * current one; if not, count oneself out and begin again.  Writer: make another record
 * current, then look at the count of the one before.  Whichever comes second sees the
 * other, hence sequential consistency on both sides.  A writer sleeps until the count is
 * zero, unless one of the calls is its own: it would wait for itself.
 *
 * A reader that comes late may count itself in at a record that is out of use, so records
 * stay until the slot ends.  They are used again as soon as nobody is inside; so there
 * are as many as there were callbacks replaced from inside at one time, which is two for
 * nearly everybody.  They come from malloc and not from the host's own memory, which is
 * another library's; nothing is allocated on the way of a request.
 *
 * A lock around two plain words was the alternative.  A call would have to drop it before
 * it calls out and so would have to count all the same, and a fork in the wrong moment
 * would leave it held.
 *
 * Fork: the calls of other threads do not exist in the child and never leave.  The upper
 * half of each count says in which generation of the process it was made; a count of an
 * earlier one is zero.
 *
 * Locks: none.
 */
#include "slot.h"
#include "hostmem/os/check.h"
#include "hostmem/os/lock.h"
#include "hostmem/os/thread.h"

#include <stddef.h>
#include <stdlib.h>

#define COUNT_BITS 16
#define COUNT_MASK ((1U << COUNT_BITS) - 1)

static _Atomic uint32_t generation; /* in the upper half */
static _Atomic uint32_t prepared;
static HM_THREAD_LOCAL struct hm_slot_call *innermost;

static void after_fork(void)
{
	atomic_fetch_add(&generation, 1U << COUNT_BITS);
}

HRESULT hm_slot_prepare(void)
{
	HRESULT hr;

	if (atomic_exchange(&prepared, 1) != 0)
		return S_OK;
	hr = hm_fork_handlers(NULL, NULL, after_fork);
	if (FAILED(hr))
		atomic_store(&prepared, 0);
	return hr;
}

static bool is_of(uint32_t word, uint32_t now)
{
	return (word & ~COUNT_MASK) == now;
}

static void count_in(struct hm_registration *registration, uint32_t now)
{
	uint32_t word = atomic_load(&registration->inside);
	uint32_t next;

	do {
		next = (is_of(word, now) ? word : now) + 1;
	} while (!atomic_compare_exchange_weak(&registration->inside, &word, next));
}

static void count_out(struct hm_slot *slot, struct hm_registration *registration,
		      uint32_t when)
{
	uint32_t word = atomic_load(&registration->inside);

	do {
		/* Counted in before a fork, and the child has begun anew. */
		if (!is_of(word, when))
			return;
		hm_assert((word & COUNT_MASK) != 0);
	} while (!atomic_compare_exchange_weak(&registration->inside, &word, word - 1));
	if (atomic_load(&slot->current) != registration)
		hm_word_wake_all(&registration->inside);
}

static bool is_busy(uint32_t word)
{
	return is_of(word, atomic_load(&generation)) && (word & COUNT_MASK) != 0;
}

bool hm_slot_enter(struct hm_slot *slot, const void *owner, struct hm_slot_call *call)
{
	uint32_t now = atomic_load(&generation);
	struct hm_registration *registration;

	for (;;) {
		registration = atomic_load(&slot->current);
		if (registration == NULL)
			return false;
		count_in(registration, now);
		if (atomic_load(&slot->current) == registration)
			break;
		count_out(slot, registration, now);
	}
	*call = (struct hm_slot_call){
		.function = registration->function,
		.state = registration->state,
		.below = innermost,
		.owner = owner,
		.slot = slot,
		.registration = registration,
		.generation = now,
	};
	innermost = call;
	return true;
}

void hm_slot_leave(struct hm_slot_call *call)
{
	hm_assert(innermost == call);
	innermost = call->below;
	count_out(call->slot, call->registration, call->generation);
}

bool hm_slot_is_inside(const void *owner, const struct hm_slot *slot)
{
	for (const struct hm_slot_call *call = innermost; call != NULL;
	     call = call->below) {
		if (call->owner == owner && (slot == NULL || call->slot == slot))
			return true;
	}
	return false;
}

/* Whether a call of this thread is counted there. */
static bool uses(const struct hm_registration *registration)
{
	uint32_t now = atomic_load(&generation);

	for (const struct hm_slot_call *call = innermost; call != NULL;
	     call = call->below) {
		if (call->registration == registration && call->generation == now)
			return true;
	}
	return false;
}

/* Takes a record that nobody uses; NULL if there is none. */
static struct hm_registration *take(struct hm_slot *slot)
{
	for (struct hm_registration *r = atomic_load(&slot->all); r != NULL;
	     r = r->next) {
		uint32_t nobody = 0;

		if (!atomic_compare_exchange_strong(&r->taken, &nobody, 1))
			continue;
		if (!is_busy(atomic_load(&r->inside)))
			return r;
		atomic_store(&r->taken, 0);
	}
	return NULL;
}

static struct hm_registration *make(struct hm_slot *slot)
{
	struct hm_registration *registration = calloc(1, sizeof(*registration));

	if (registration == NULL)
		return NULL;
	atomic_store_explicit(&registration->taken, 1, memory_order_relaxed);
	registration->next = atomic_load(&slot->all);
	while (!atomic_compare_exchange_weak(&slot->all, &registration->next,
					     registration))
		;
	return registration;
}

/* It is not current any more. */
static void retire(struct hm_registration *registration)
{
	uint32_t word = atomic_load(&registration->inside);

	for (; is_busy(word) && !uses(registration);
	     word = atomic_load(&registration->inside))
		hm_word_wait(&registration->inside, word);
	atomic_store(&registration->taken, 0);
}

HRESULT hm_slot_set(struct hm_slot *slot, hm_slot_function function, void *state)
{
	struct hm_registration *registration = NULL;
	struct hm_registration *before;

	if (function != NULL) {
		registration = take(slot);
		if (registration == NULL)
			registration = make(slot);
		if (registration == NULL)
			return E_OUTOFMEMORY;
		registration->function = function;
		registration->state = state;
	}
	before = atomic_exchange(&slot->current, registration);
	if (before != NULL)
		retire(before);
	return S_OK;
}

void hm_slot_destroy(struct hm_slot *slot)
{
	struct hm_registration *registration = atomic_load(&slot->all);

	while (registration != NULL) {
		struct hm_registration *next = registration->next;

		free(registration);
		registration = next;
	}
}
