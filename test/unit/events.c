/*
 * The list of subscribers.
 */
#include "hostmem/events.h"
#include "fake.h"
#include "hostmem/os/thread.h"

#include <pthread.h>

static struct hm_events events;
static size_t in_use;

static void start_empty(void)
{
	memset(&events, 0, sizeof(events));
	in_use = hm_metadata_in_use();
}

static void end(void)
{
	hm_events_destroy(&events);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

static BOOL HOSTMEM_CALL count_calls(void *state, const HostMemEvent *event)
{
	(void)event;
	++*(unsigned *)state;
	return FALSE;
}

static uint64_t subscribe(unsigned *calls)
{
	uint64_t cookie = 0;

	CHECK_HR(hm_events_subscribe(&events, 1, count_calls, calls, &cookie), S_OK);
	return cookie;
}

static struct hm_subscriber *unsubscribe(uint64_t cookie)
{
	struct hm_subscriber *out = NULL;

	CHECK_HR(hm_events_unsubscribe(&events, cookie, &out), S_OK);
	return out;
}

/* The cookies on the list, one digit each. */
static unsigned listed(void)
{
	unsigned digits = 0;

	for (struct hm_subscriber *s = events.first; s != NULL; s = s->next)
		digits = digits * 10 + (unsigned)s->cookie;
	return digits;
}

static void subscribers_stand_in_order_of_registration(void)
{
	unsigned calls = 0;

	start_empty();
	CHECK(!hm_events_wanted(&events));
	for (uint64_t i = 1; i <= 5; i++)
		CHECK_SIZE(subscribe(&calls), i);
	CHECK(hm_events_wanted(&events));
	CHECK_U32(listed(), 12345);
	CHECK_POINTER(events.first->state, &calls);
	CHECK_U32(events.first->mask, 1);
	CHECK_U32(calls, 0);
	end();
}

static void any_of_them_may_go_and_others_come(void)
{
	static const struct {
		uint64_t gone[3];
		unsigned left;
	} rows[] = {
		{ { 1 }, 2345 },     { { 3 }, 1245 },     { { 5 }, 1234 },
		{ { 5, 4 }, 123 },   { { 1, 2 }, 345 },   { { 4, 5 }, 123 },
		{ { 2, 4, 3 }, 15 }, { { 1, 5, 3 }, 24 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned calls = 0;

		tap_row("row %zu", i);
		start_empty();
		for (unsigned j = 0; j < 5; j++)
			(void)subscribe(&calls);
		for (size_t j = 0; j < 3 && rows[i].gone[j] != 0; j++)
			(void)unsubscribe(rows[i].gone[j]);
		CHECK_U32(listed(), rows[i].left);
		CHECK_SIZE(subscribe(&calls), 6);
		CHECK_U32(listed(), rows[i].left * 10 + 6);
		end();
	}
}

static void a_cookie_is_good_once(void)
{
	unsigned calls = 0;
	uint64_t cookie;
	struct hm_subscriber *out;

	start_empty();
	CHECK_HR(hm_events_unsubscribe(&events, 1, &out), E_INVALIDARG);
	cookie = subscribe(&calls);
	CHECK_HR(hm_events_unsubscribe(&events, cookie + 1, &out), E_INVALIDARG);
	CHECK_POINTER(out, NULL);
	CHECK_HR(hm_events_unsubscribe(&events, 0, &out), E_INVALIDARG);
	(void)unsubscribe(cookie);
	CHECK_HR(hm_events_unsubscribe(&events, cookie, &out), E_INVALIDARG);
	CHECK(!hm_events_wanted(&events));
	/* Numbers are never used again. */
	CHECK_SIZE(subscribe(&calls), cookie + 1);
	end();
}

static void one_that_is_gone_is_not_called_and_leads_on(void)
{
	HostMemEvent event = { .cbSize = sizeof(event) };
	struct hm_subscriber *gone;
	unsigned calls[3] = { 0 };
	uint64_t cookies[3];

	start_empty();
	for (size_t i = 0; i < 3; i++)
		cookies[i] = subscribe(&calls[i]);
	CHECK_INT(hm_subscriber_call(events.first, &event, &events), FALSE);
	CHECK_U32(calls[0], 1);
	gone = unsubscribe(cookies[0]);
	/* Nobody is in it, so there is nothing to wait for. */
	hm_events_wait(gone);
	CHECK_INT(hm_subscriber_call(gone, &event, &events), TRUE);
	CHECK_U32(calls[0], 1);
	CHECK_SIZE(atomic_load(&gone->next)->cookie, cookies[1]);
	(void)unsubscribe(cookies[1]);
	CHECK_SIZE(atomic_load(&atomic_load(&gone->next)->next)->cookie, cookies[2]);
	end();
}

static void nothing_is_freed_while_somebody_is_counted(void)
{
	static const struct {
		uint32_t holds, references;
		bool freed;
	} rows[] = {
		{ 2, 1, true },  { 2, 7, true },
		{ 3, 1, false }, { 0x80000002U, 1, false },
		{ 1, 0, true },  { 2, 0, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		_Atomic uint32_t holds = rows[i].holds, references = rows[i].references;
		unsigned calls = 0;
		size_t with_one;

		tap_row("%u held, %u references", rows[i].holds, rows[i].references);
		start_empty();
		(void)subscribe(&calls);
		with_one = hm_metadata_in_use();
		CHECK(with_one > in_use);
		hm_events_free_retired(&events, &holds, &references);
		CHECK_SIZE(hm_metadata_in_use(), with_one);
		(void)unsubscribe(1);
		hm_events_free_retired(&events, &holds, &references);
		CHECK_SIZE(hm_metadata_in_use(), rows[i].freed ? in_use : with_one);
		CHECK_INT(events.retired == NULL, rows[i].freed);
		end();
	}
}

static void many_that_are_gone_are_freed_together(void)
{
	_Atomic uint32_t holds = 1, references = 0;
	unsigned calls = 0;

	start_empty();
	for (unsigned i = 0; i < 500; i++)
		(void)subscribe(&calls);
	for (uint64_t cookie = 2; cookie <= 500; cookie += 2)
		(void)unsubscribe(cookie);
	for (uint64_t cookie = 499; cookie >= 3; cookie -= 2)
		(void)unsubscribe(cookie);
	CHECK_U32(listed(), 1);
	hm_events_free_retired(&events, &holds, &references);
	CHECK(hm_metadata_in_use() - in_use <= 128);
	end();
}

static void without_memory_nobody_subscribes(void)
{
	struct hoard hoard;
	uint64_t cookie = 77;
	unsigned calls = 0;

	start_empty();
	hoard_size(&hoard, sizeof(struct hm_subscriber));
	CHECK_HR(hm_events_subscribe(&events, 1, count_calls, &calls, &cookie),
		 E_OUTOFMEMORY);
	hoard_end_size(&hoard, sizeof(struct hm_subscriber));
	CHECK_SIZE(cookie, 77);
	CHECK(!hm_events_wanted(&events));
	end();
}

/* A callback that stays in until it is told. */
static _Atomic bool is_in, may_leave, has_returned;

static BOOL HOSTMEM_CALL stay(void *state, const HostMemEvent *event)
{
	(void)state, (void)event;
	atomic_store(&is_in, true);
	while (!atomic_load(&may_leave))
		hm_thread_yield();
	atomic_store(&has_returned, true);
	return TRUE;
}

static void *call_it(void *subscriber)
{
	HostMemEvent event = { .cbSize = sizeof(event) };

	(void)hm_subscriber_call(subscriber, &event, &events);
	return NULL;
}

static void *wait_for_it(void *subscriber)
{
	hm_events_wait(subscriber);
	CHECK(atomic_load(&has_returned));
	return NULL;
}

static void waiting_returns_when_no_call_is_under_way(void)
{
	pthread_t caller, waiter;
	struct hm_subscriber *gone;
	uint64_t cookie;

	start_empty();
	CHECK_HR(hm_events_subscribe(&events, 1, stay, NULL, &cookie), S_OK);
	CHECK_INT(pthread_create(&caller, NULL, call_it, events.first), 0);
	while (!atomic_load(&is_in))
		hm_thread_yield();
	gone = unsubscribe(cookie);
	CHECK_U32(gone->running, 1);
	CHECK_INT(pthread_create(&waiter, NULL, wait_for_it, gone), 0);
	for (unsigned i = 0; i < 100; i++)
		hm_thread_yield();
	atomic_store(&may_leave, true);
	CHECK_INT(pthread_join(waiter, NULL), 0);
	CHECK_INT(pthread_join(caller, NULL), 0);
	CHECK_U32(gone->running, 0);
	end();
}

/* Threads that come and go, while others walk the list as requests do. */
enum { THREADS = 4, ROUNDS = 2000 };

static struct hm_host walked;

static void *come_and_go(void *calls)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct hm_subscriber *out;
		uint64_t cookie;

		hm_host_hold(&walked);
		CHECK_HR(hm_events_subscribe(&walked.events, 1, count_calls, calls,
					     &cookie),
			 S_OK);
		CHECK_HR(hm_events_unsubscribe(&walked.events, cookie, &out), S_OK);
		hm_events_wait(out);
		hm_host_drop(&walked);
	}
	return NULL;
}

static void *walk(void *unused)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t last = 0;

		hm_host_hold(&walked);
		for (struct hm_subscriber *s = walked.events.first; s != NULL;
		     s = s->next) {
			CHECK(s->cookie > last);
			last = s->cookie;
		}
		hm_host_drop(&walked);
	}
	return unused;
}

static void walkers_never_meet_a_freed_one(void)
{
	unsigned calls[THREADS] = { 0 };
	pthread_t threads[THREADS];

	memset(&walked, 0, sizeof(walked));
	in_use = hm_metadata_in_use();
	walked.references = walked.holds = 1;
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, i % 2 ? walk : come_and_go,
					 &calls[i]),
			  0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK(!hm_events_wanted(&walked.events));
	walked.references = 0;
	hm_events_free_retired(&walked.events, &walked.holds, &walked.references);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

int main(void)
{
	TAP_RUN(subscribers_stand_in_order_of_registration);
	TAP_RUN(any_of_them_may_go_and_others_come);
	TAP_RUN(a_cookie_is_good_once);
	TAP_RUN(one_that_is_gone_is_not_called_and_leads_on);
	TAP_RUN(nothing_is_freed_while_somebody_is_counted);
	TAP_RUN(many_that_are_gone_are_freed_together);
	TAP_RUN(without_memory_nobody_subscribes);
	TAP_RUN(waiting_returns_when_no_call_is_under_way);
	TAP_RUN(walkers_never_meet_a_freed_one);
	return tap_done();
}
