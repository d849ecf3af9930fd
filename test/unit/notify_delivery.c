/*
 * What a callback hears, and when: edges, what holds them back, and what it may do while
 * it is called.
 */
#include "hostmem/notify.h"
#include "fake.h"
#include "test/callback.h"

#include "hostmem/request.h"

#define LOW eMemoryAvailableLow
#define NEUTRAL eMemoryAvailableNeutral
#define HIGH eMemoryAvailableHigh

static struct fake_host fake;
static struct hm_host *const host = &fake.host;

static void set(EMemoryAvailable value)
{
	hm_calls_enter();
	hm_lock_acquire(&host->notify.lock, HM_RANK_NOTIFY);
	hm_notify_set_locked(&host->notify, value);
	hm_lock_release(&host->notify.lock, HM_RANK_NOTIFY);
	hm_calls_leave();
}

static void tell(EMemoryAvailable value)
{
	set(value);
	hm_notify_flush(host);
}

static struct callback begin(void)
{
	fake_host_init(&fake);
	return callback_new();
}

static void listen_with(struct callback *callback)
{
	hm_notify_register(host, callback != NULL ? &callback->iface : NULL);
}

static void a_value_is_told_when_it_differs_from_the_last_one(void)
{
	static const struct {
		EMemoryAvailable value;
		const char *heard;
	} rows[] = {
		{ NEUTRAL, "2" }, { NEUTRAL, "" }, { LOW, "1" }, { LOW, "" },
		{ HIGH, "3" },    { HIGH, "" },    { LOW, "1" }, { NEUTRAL, "2" },
	};
	struct callback callback = begin();

	hm_notify_flush(host);
	listen_with(&callback);
	hm_notify_flush(host);
	CHECK_HEARD(&callback, "");
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		/* What it returns does not matter. */
		callback.answer = i % 2 ? E_FAIL : S_OK;
		tell(rows[i].value);
		CHECK_HEARD(&callback, rows[i].heard);
	}
	tap_row("%s", "");
	CHECK_SIZE(fake_usage(&fake).cNotifications, 5);
	CHECK_HR(hm_host_check(host), S_OK);
	CHECK_U32(callback.references, 2);
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "");
	CHECK_U32(callback.references, 1);
}

static void what_nobody_heard_is_not_told_to_who_comes_later(void)
{
	struct callback callback = begin();

	tell(LOW);
	CHECK_SIZE(fake_usage(&fake).cNotifications, 0);
	listen_with(&callback);
	hm_notify_flush(host);
	tell(LOW);
	CHECK_HEARD(&callback, "");
	tell(HIGH);
	CHECK_HEARD(&callback, "3");
	fake_host_end(&fake);
}

static void set_two_more(struct callback *callback, EMemoryAvailable available)
{
	(void)callback;
	if (available != LOW)
		return;
	tell(HIGH);
	tell(NEUTRAL);
}

static void what_a_callback_sets_is_told_after_it_and_the_last_one_wins(void)
{
	struct callback callback = begin();

	callback.then = set_two_more;
	listen_with(&callback);
	tell(LOW);
	CHECK_HEARD(&callback, "12");
	fake_host_end(&fake);
}

/* ---- Held back ---- */

static struct callback *heard_by;

static void nothing_is_heard_inside(struct listener *listener, const HostMemEvent *event)
{
	(void)listener;
	tell(LOW);
	if (event->type == HostMemEventAllocate && event->size == PAGE) {
		OPEN(request, HostMemCommit);
		CHECK_HR(fake_ask(&request, 2 * PAGE), S_OK);
		hm_request_settle(&request);
		hm_request_close(&request);
	}
	tell(HIGH);
	CHECK_HEARD(heard_by, "");
}

static void a_request_holds_back_until_the_outermost_is_closed(void)
{
	struct callback callback = begin();
	struct listener first = { .hook = nothing_is_heard_inside }, second = { 0 };

	heard_by = &callback;
	listen_with(&callback);
	listen(host, &first, ALL_EVENTS);
	listen(host, &second, ALL_EVENTS);
	OPEN(request, HostMemCommit);
	CHECK_HR(fake_ask(&request, PAGE), S_OK);
	hm_request_settle(&request);
	hm_notify_flush(host);
	CHECK_HEARD(&callback, "");
	hm_request_close(&request);
	CHECK_HEARD(&callback, "3");
	CHECK_U32(second.count, 2);
	hm_budget_refund(&host->budget, 3 * PAGE);
	fake_host_end(&fake);
}

/* The request of another host is no reason to wait. */
static void only_requests_on_the_same_host_hold_back(void)
{
	static struct fake_host other;
	struct callback callback = begin();
	struct listener listener = { 0 };
	struct hm_request request;

	fake_host_init(&other);
	listen(&other.host, &listener, ALL_EVENTS);
	listen_with(&callback);
	CHECK_HR(hm_request_open(&request, &other.host, HostMemCommit, eTaskCritical,
				 NULL),
		 S_OK);
	tell(LOW);
	CHECK_HEARD(&callback, "1");
	hm_request_close(&request);
	CHECK_U32(hm_host_release(&other.host), 0);
	CHECK_U32(hm_host_release(host), 0);
	CHECK_HEARD(&callback, "2");
}

static void a_suspension_holds_back_until_the_last_has_ended(void)
{
	struct callback callback = begin();

	listen_with(&callback);
	CHECK_HR(hm_notify_resume(host), S_OK);
	CHECK_HR(hm_notify_suspend(host), S_OK);
	CHECK_HR(hm_notify_suspend(host), S_OK);
	tell(LOW);
	CHECK_HR(hm_notify_resume(host), S_OK);
	hm_notify_flush(host);
	CHECK_HEARD(&callback, "");
	CHECK_HR(hm_notify_resume(host), S_OK);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(hm_notify_suspend(host), S_OK);
	tell(HIGH);
	/* Over before it could be told. */
	tell(LOW);
	CHECK_HR(hm_notify_resume(host), S_OK);
	CHECK_HEARD(&callback, "");
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "2");
}

static void suspend(struct callback *callback, EMemoryAvailable available)
{
	(void)callback;
	(void)available;
	CHECK_HR(hm_notify_suspend(host), S_OK);
	tell(HIGH);
}

static void a_suspension_may_begin_in_the_callback(void)
{
	struct callback callback = begin();

	callback.then = suspend;
	listen_with(&callback);
	tell(LOW);
	CHECK_HEARD(&callback, "1");
	callback.then = NULL;
	CHECK_HR(hm_notify_resume(host), S_OK);
	CHECK_HEARD(&callback, "3");
	fake_host_end(&fake);
}

/* ---- Who is told ---- */

static struct callback successor;

static void take_away(struct callback *callback, EMemoryAvailable available)
{
	unsigned before = callback->references;

	(void)available;
	listen_with(NULL);
	/* Not released while it is called, however often it goes. */
	CHECK_U32(callback->references, before);
	listen_with(callback);
	listen_with(callback);
	CHECK_U32(callback->references, before + 1);
	listen_with(NULL);
	CHECK_U32(callback->references, before + 1);
	tell(HIGH);
}

static void hand_over(struct callback *callback, EMemoryAvailable available)
{
	(void)callback;
	(void)available;
	listen_with(&successor);
	tell(NEUTRAL);
}

static void a_callback_may_take_itself_away_or_hand_over(void)
{
	struct callback callback = begin();

	callback.then = take_away;
	listen_with(&callback);
	tell(LOW);
	CHECK_HEARD(&callback, "1");
	CHECK_U32(callback.references, 1);
	successor = callback_new();
	callback.then = hand_over;
	listen_with(&callback);
	tell(LOW);
	CHECK_HEARD(&callback, "1");
	CHECK_U32(callback.references, 1);
	CHECK_HEARD(&successor, "2");
	CHECK_U32(successor.references, 2);
	fake_host_end(&fake);
	CHECK_U32(successor.references, 1);
}

static void end_the_host(struct callback *callback, EMemoryAvailable available)
{
	(void)available;
	callback->then = NULL;
	CHECK_U32(hm_host_release(host), 0);
	CHECK_U32(fake.destroyed, 0);
}

static void a_callback_may_release_the_last_reference(void)
{
	struct callback callback = begin();

	callback.then = end_the_host;
	listen_with(&callback);
	tell(LOW);
	CHECK_HEARD(&callback, "12");
	CHECK_U32(fake.destroyed, 1);
	CHECK_U32(callback.references, 1);
}

static void release_the_host(struct callback *callback)
{
	callback->on_release = NULL;
	CHECK_U32(hm_host_release(host), 0);
}

static void so_may_the_release_that_waited_for_its_call(void)
{
	struct callback callback = begin();

	successor = callback_new();
	callback.then = hand_over;
	callback.on_release = release_the_host;
	listen_with(&callback);
	tell(LOW);
	CHECK_HEARD(&successor, "2");
	CHECK_U32(fake.destroyed, 1);
	CHECK_U32(callback.references, 1);
	CHECK_U32(successor.references, 1);
}

/* ---- The end ---- */

static void a_last_low_is_answered_at_shutdown(void)
{
	static const struct {
		EMemoryAvailable first, last;
		bool replaced;
		const char *heard;
	} rows[] = {
		{ NEUTRAL, LOW, false, "2" },
		{ LOW, NEUTRAL, false, "" },
		{ LOW, HIGH, false, "" },
		{ NEUTRAL, NEUTRAL, false, "" },
		/* Who was never told a Low is owed nothing. */
		{ NEUTRAL, LOW, true, "" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct callback callback = begin(), other = callback_new();

		tap_row("row %zu", i);
		listen_with(&callback);
		tell(rows[i].first);
		tell(rows[i].last);
		if (rows[i].replaced)
			listen_with(&other);
		atomic_store(&callback.calls, 0);
		CHECK_HR(hm_host_shut_down(host), S_OK);
		CHECK_HEARD(&callback, rows[i].heard);
		CHECK_HR(hm_host_shut_down(host), HOST_E_CLRNOTAVAILABLE);
		fake_host_end(&fake);
		CHECK_HEARD(&callback, "");
		CHECK_HEARD(&other, "");
	}
}

static void shut_down(struct callback *callback, EMemoryAvailable available)
{
	(void)callback;
	if (available == LOW)
		CHECK_HR(hm_host_shut_down(host), S_OK);
}

static void a_callback_may_shut_the_host_down(void)
{
	struct callback callback = begin();

	callback.then = shut_down;
	listen_with(&callback);
	tell(LOW);
	CHECK_HEARD(&callback, "12");
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "");
}

static void what_a_suspension_holds_at_shutdown_comes_with_the_last_release(void)
{
	struct callback callback = begin();

	listen_with(&callback);
	tell(LOW);
	CHECK_HR(hm_notify_suspend(host), S_OK);
	tell(HIGH);
	CHECK_HR(hm_host_shut_down(host), S_OK);
	CHECK_HR(hm_notify_resume(host), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(hm_notify_suspend(host), HOST_E_CLRNOTAVAILABLE);
	CHECK_HEARD(&callback, "1");
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "2");
	CHECK_U32(callback.references, 1);
}

int main(void)
{
	TAP_RUN(a_value_is_told_when_it_differs_from_the_last_one);
	TAP_RUN(what_nobody_heard_is_not_told_to_who_comes_later);
	TAP_RUN(what_a_callback_sets_is_told_after_it_and_the_last_one_wins);
	TAP_RUN(a_request_holds_back_until_the_outermost_is_closed);
	TAP_RUN(only_requests_on_the_same_host_hold_back);
	TAP_RUN(a_suspension_holds_back_until_the_last_has_ended);
	TAP_RUN(a_suspension_may_begin_in_the_callback);
	TAP_RUN(a_callback_may_take_itself_away_or_hand_over);
	TAP_RUN(a_callback_may_release_the_last_reference);
	TAP_RUN(so_may_the_release_that_waited_for_its_call);
	TAP_RUN(a_last_low_is_answered_at_shutdown);
	TAP_RUN(a_callback_may_shut_the_host_down);
	TAP_RUN(what_a_suspension_holds_at_shutdown_comes_with_the_last_release);
	return tap_done();
}
