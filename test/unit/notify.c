/*
 * The registered notification callback: who holds a reference to it, and when.
 */
#include "hostmem/notify.h"
#include "fake.h"
#include "test/callback.h"

#include <pthread.h>

static void the_registered_one_has_one_more_reference(void)
{
	static struct hm_host host;
	struct callback a = callback_new(), b = callback_new();
	const struct {
		struct callback *next;
		unsigned a, b;
	} rows[] = {
		{ NULL, 1, 1 }, { &a, 2, 1 },   { &a, 2, 1 },   { &b, 1, 2 },
		{ &a, 2, 1 },   { NULL, 1, 1 }, { NULL, 1, 1 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct callback *next = rows[i].next;

		tap_row("step %zu", i);
		hm_notify_register(&host, next != NULL ? &next->iface : NULL);
		CHECK_U32(a.references, rows[i].a);
		CHECK_U32(b.references, rows[i].b);
		CHECK_POINTER(host.notify.callback, next != NULL ? &next->iface : NULL);
	}
	CHECK_U32(a.calls + b.calls, 0);
}

/* A Release that registers another callback, as it well may. */
static struct hm_host nested;
static struct callback successor;

static void register_successor(struct callback *callback)
{
	callback->on_release = NULL;
	hm_notify_register(&nested, &successor.iface);
}

static void releasing_the_old_one_may_register_again(void)
{
	struct callback first = callback_new(), second = callback_new();

	successor = callback_new();
	hm_notify_register(&nested, &first.iface);
	first.on_release = register_successor;
	hm_notify_register(&nested, &second.iface);
	CHECK_POINTER(nested.notify.callback, &successor.iface);
	CHECK_U32(first.references, 1);
	CHECK_U32(second.references, 1);
	CHECK_U32(successor.references, 2);
	hm_notify_register(&nested, NULL);
	CHECK_U32(successor.references, 1);
}

enum { THREADS = 4, ROUNDS = 5000 };

static struct hm_host shared;
static struct callback many[THREADS];

static void *register_in_turn(void *argument)
{
	struct callback *own = argument;

	for (unsigned i = 0; i < ROUNDS; i++)
		hm_notify_register(&shared, i % 3 == 2 ? NULL : &own->iface);
	return NULL;
}

static void no_reference_is_lost_between_threads(void)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++) {
		many[i].iface.lpVtbl = &callback_table;
		atomic_init(&many[i].references, 1);
	}
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, register_in_turn, &many[i]),
			  0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	hm_notify_register(&shared, NULL);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_U32(many[i].references, 1);
}

static void a_host_that_ends_releases_its_callback(void)
{
	static struct fake_host fake;
	struct callback callback = callback_new();

	fake_host_init(&fake);
	hm_notify_register(&fake.host, &callback.iface);
	CHECK_U32(callback.references, 2);
	fake_host_end(&fake);
	CHECK_U32(callback.references, 1);
}

int main(void)
{
	TAP_RUN(the_registered_one_has_one_more_reference);
	TAP_RUN(releasing_the_old_one_may_register_again);
	TAP_RUN(no_reference_is_lost_between_threads);
	TAP_RUN(a_host_that_ends_releases_its_callback);
	return tap_done();
}
