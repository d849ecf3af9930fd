/*
 * A runtime's notification callback that writes down what it hears, for unit and
 * conformance tests.
 */
#ifndef HOSTMEM_TEST_CALLBACK_H
#define HOSTMEM_TEST_CALLBACK_H

#include "abi/memnotify.h"
#include "test/tap.h"

#include <stdatomic.h>
#include <stddef.h>

enum { CALLBACK_HEARD = 64 };

struct callback {
	ICLRMemoryNotificationCallback iface;
	atomic_uint references;
	atomic_uint calls;
	atomic_uint inside; /* calls in flight, of all threads */
	EMemoryAvailable heard[CALLBACK_HEARD];
	/* What it does in a call, and when a reference is given back. */
	void (*then)(struct callback *callback, EMemoryAvailable available);
	void (*on_release)(struct callback *callback);
	void *state;
	HRESULT answer;
};

static inline struct callback *callback_of(ICLRMemoryNotificationCallback *self)
{
	return (struct callback *)((char *)self - offsetof(struct callback, iface));
}

static inline HRESULT HOSTMEM_CALL callback_query(ICLRMemoryNotificationCallback *self,
						  REFIID riid, void **ppv)
{
	(void)self;
	(void)riid;
	*ppv = NULL;
	return E_NOINTERFACE;
}

static inline ULONG HOSTMEM_CALL callback_add(ICLRMemoryNotificationCallback *self)
{
	unsigned before = atomic_fetch_add(&callback_of(self)->references, 1);

	/* Whoever takes one has one to go by. */
	CHECK(before != 0);
	return before + 1;
}

static inline ULONG HOSTMEM_CALL callback_release(ICLRMemoryNotificationCallback *self)
{
	struct callback *callback = callback_of(self);
	/* With the last one it may be gone. */
	void (*on_release)(struct callback *) = callback->on_release;
	unsigned before = atomic_fetch_sub(&callback->references, 1);

	CHECK(before != 0);
	if (on_release != NULL)
		on_release(callback);
	return before - 1;
}

static inline HRESULT HOSTMEM_CALL callback_hear(ICLRMemoryNotificationCallback *self,
						 EMemoryAvailable available)
{
	struct callback *callback = callback_of(self);
	unsigned number = atomic_fetch_add(&callback->calls, 1);

	/* Never two at once, neither of two threads nor one inside the other. */
	CHECK_U32(atomic_fetch_add(&callback->inside, 1), 0);
	CHECK(atomic_load(&callback->references) != 0);
	if (number < CALLBACK_HEARD)
		callback->heard[number] = available;
	if (callback->then != NULL)
		callback->then(callback, available);
	atomic_fetch_sub(&callback->inside, 1);
	return callback->answer;
}

static const ICLRMemoryNotificationCallbackVtbl callback_table = {
	.QueryInterface = callback_query,
	.AddRef = callback_add,
	.Release = callback_release,
	.OnMemoryNotification = callback_hear,
};

/* With one reference, which is the test's. */
static inline struct callback callback_new(void)
{
	return (struct callback){ .iface = { &callback_table }, .references = 1 };
}

/*
 * Checks what was heard since the last check, written as digits: "12" is a Low and then a
 * Neutral.
 */
#define CHECK_HEARD(callback, want) \
	callback_check((callback), (want), #callback, __FILE__, __LINE__)

static inline void callback_check(struct callback *callback, const char *want,
				  const char *text, const char *file, int line)
{
	char got[CALLBACK_HEARD + 1];
	unsigned count = atomic_exchange(&callback->calls, 0);

	if (count > CALLBACK_HEARD)
		count = CALLBACK_HEARD;
	for (unsigned i = 0; i < count; i++)
		got[i] = (char)('0' + (int)callback->heard[i]);
	got[count] = '\0';
	tap_check_str(got, want, text, file, line);
}

#endif
