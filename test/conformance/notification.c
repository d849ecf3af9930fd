/*
 * OnMemoryNotification: what a runtime is told, when, and what it may do about it.  By
 * NotifyMemory, which is the plainest way of having something to tell.
 */
#include "child.h"
#include "com_rules.h"
#include "recorder.h"
#include "test/callback.h"

#define LOW eMemoryAvailableLow
#define NEUTRAL eMemoryAvailableNeutral
#define HIGH eMemoryAvailableHigh

static struct host host;
static struct callback callback;

static void keep(struct callback *which)
{
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 host.manager, which != NULL ? &which->iface : NULL),
		 S_OK);
}

static void notify(EMemoryAvailable available)
{
	CHECK_HR(IHostMemoryControl_NotifyMemory(host.control, available), S_OK);
}

static bool begin(void)
{
	if (!host_create(&host, 0))
		return false;
	callback = callback_new();
	keep(&callback);
	return true;
}

static void end(void)
{
	host_destroy(&host);
	CHECK_U32(callback.references, 1);
}

static void only_changes_are_told(void)
{
	static const struct {
		EMemoryAvailable available;
		const char *heard;
	} rows[] = {
		{ LOW, "1" },  { LOW, "" },  { NEUTRAL, "2" }, { NEUTRAL, "" },
		{ HIGH, "3" }, { HIGH, "" }, { LOW, "1" },     { HIGH, "3" },
	};

	if (!begin())
		return;
	CHECK_HEARD(&callback, "");
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		/* A runtime that fails is told on. */
		callback.answer = i % 2 ? E_FAIL : E_OUTOFMEMORY;
		notify(rows[i].available);
		CHECK_HEARD(&callback, rows[i].heard);
	}
	CHECK_SIZE(host_usage(&host).cNotifications, 5);
	end();
	CHECK_HEARD(&callback, "");
}

static void other_values_are_invalid_and_change_nothing(void)
{
	static const int values[] = { 0, 4, -1, 0x7FFFFFFF };
	struct snapshot before;

	if (!begin())
		return;
	notify(LOW);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(values); i++) {
		tap_row("value %d", values[i]);
		CHECK_HR(IHostMemoryControl_NotifyMemory(host.control,
							 (EMemoryAvailable)values[i]),
			 E_INVALIDARG);
	}
	CHECK_UNCHANGED(&before);
	CHECK_HEARD(&callback, "1");
	end();
	CHECK_HEARD(&callback, "2");
}

static void nobody_need_be_there_to_be_told(void)
{
	struct callback late = callback_new();

	if (!begin())
		return;
	keep(NULL);
	CHECK_U32(callback.references, 1);
	notify(LOW);
	keep(&late);
	notify(LOW);
	CHECK_HEARD(&late, "");
	notify(HIGH);
	CHECK_HEARD(&late, "3");
	CHECK_HEARD(&callback, "");
	CHECK_SIZE(host_usage(&host).cNotifications, 1);
	end();
	CHECK_U32(late.references, 1);
}

/* ---- Held back ---- */

static void notify_and_allocate(struct recorder *recorder, const HostMemEvent *event)
{
	void *base;

	(void)recorder;
	notify(LOW);
	notify(NEUTRAL);
	/* A request inside the request: its end, granted or not, is not the end. */
	if (event->type == HostMemEventAllocate &&
	    SUCCEEDED(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &base)))
		CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HEARD(&callback, "");
	notify(event->type == HostMemEventFailure ? LOW : HIGH);
	CHECK_HEARD(&callback, "");
}

static void a_request_is_over_before_anything_is_told(void)
{
	struct recorder recorder = { .then = notify_and_allocate };
	struct recorder quiet = { 0 };
	void *base;

	if (!begin())
		return;
	recorder_start(&recorder, &host, ALL_BITS);
	recorder_start(&quiet, &host, ALL_BITS);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HEARD(&callback, "3");
	/* What the free leaves is what was told last. */
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HEARD(&callback, "");
	quiet.refuse = true;
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &base),
		 E_OUTOFMEMORY);
	CHECK_HEARD(&callback, "1");
	recorder_stop(&recorder);
	recorder_stop(&quiet);
	end();
}

static void a_suspension_is_over_before_anything_is_told(void)
{
	IHostGCManager *collector;

	if (!begin())
		return;
	collector = (IHostGCManager *)com_face((IUnknown *)host.manager,
					       &IID_IHostGCManager);
	CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
	CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
	notify(LOW);
	notify(HIGH);
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	CHECK_HEARD(&callback, "");
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	CHECK_HEARD(&callback, "3");
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
	notify(LOW);
	notify(HIGH);
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 2), S_OK);
	CHECK_HEARD(&callback, "");
	IHostGCManager_Release(collector);
	end();
}

/* ---- What a callback may do ---- */

static struct callback other;

static void unregister(struct callback *self, EMemoryAvailable available)
{
	(void)available;
	keep(NULL);
	CHECK_U32(self->references, 2);
	notify(NEUTRAL);
}

static void register_another(struct callback *self, EMemoryAvailable available)
{
	(void)self;
	(void)available;
	keep(&other);
	notify(NEUTRAL);
}

static void register_again(struct callback *self, EMemoryAvailable available)
{
	(void)available;
	keep(self);
	CHECK_U32(self->references, 2);
}

static void allocate(struct callback *self, EMemoryAvailable available)
{
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);

	(void)self;
	(void)available;
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void notify_twice(struct callback *self, EMemoryAvailable available)
{
	(void)self;
	if (available != LOW)
		return;
	notify(NEUTRAL);
	notify(HIGH);
}

static void notify_in_a_child(void)
{
	notify(HIGH);
	CHECK_HR(vm_release(&host, vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE)),
		 S_OK);
	keep(NULL);
}

static void fork_a_child(struct callback *self, EMemoryAvailable available)
{
	(void)self;
	if (available == LOW)
		in_child(notify_in_a_child);
}

static void suspend_and_notify(struct callback *self, EMemoryAvailable available)
{
	IHostGCManager *collector = (IHostGCManager *)com_face((IUnknown *)host.manager,
							       &IID_IHostGCManager);

	(void)self;
	if (available == LOW) {
		CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
		notify(HIGH);
		CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	}
	IHostGCManager_Release(collector);
}

static void shut_down(struct callback *self, EMemoryAvailable available)
{
	(void)self;
	if (available == LOW)
		CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
}

static void a_callback_may_call_the_host(void)
{
	static const struct {
		const char *what;
		void (*then)(struct callback *callback, EMemoryAvailable available);
		const char *heard, *heard_by_other;
	} rows[] = {
		{ "unregisters itself", unregister, "1", "" },
		{ "registers another", register_another, "1", "2" },
		{ "registers itself again", register_again, "1", "" },
		{ "allocates", allocate, "1", "" },
		{ "notifies", notify_twice, "13", "" },
		{ "forks", fork_a_child, "1", "" },
		{ "suspends", suspend_and_notify, "13", "" },
		{ "shuts down", shut_down, "12", "" },
	};

	for (size_t i = 0; i < ROWS(rows) && begin(); i++) {
		tap_row("%s", rows[i].what);
		other = callback_new();
		callback.then = rows[i].then;
		notify(LOW);
		CHECK_HEARD(&callback, rows[i].heard);
		CHECK_HEARD(&other, rows[i].heard_by_other);
		callback.then = NULL;
		end();
		CHECK_U32(other.references, 1);
	}
}

static void throw_the_host_away(struct callback *self, EMemoryAvailable available)
{
	IHostMemoryManager *manager = host.manager;

	(void)available;
	self->then = NULL;
	IHostMemoryPages_Release(host.pages);
	IHostMemoryControl_Release(host.control);
	CHECK_U32(IHostMemoryManager_Release(manager), 0);
}

static void a_callback_may_throw_the_host_away(void)
{
	if (!begin())
		return;
	(void)vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	callback.then = throw_the_host_away;
	notify(LOW);
	CHECK_HEARD(&callback, "12");
	CHECK_U32(callback.references, 1);
}

/* ---- The end ---- */

static void a_last_low_is_answered_at_shutdown(void)
{
	static const struct {
		EMemoryAvailable last;
		const char *heard;
	} rows[] = { { LOW, "2" }, { NEUTRAL, "" }, { HIGH, "" } };

	for (size_t i = 0; i < ROWS(rows) && begin(); i++) {
		tap_row("row %zu", i);
		notify(rows[i].last);
		atomic_store(&callback.calls, 0);
		CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
		CHECK_HEARD(&callback, rows[i].heard);
		CHECK_HR(IHostMemoryControl_NotifyMemory(host.control, LOW),
			 HOST_E_CLRNOTAVAILABLE);
		end();
		CHECK_HEARD(&callback, "");
	}
}

static void a_last_low_is_answered_at_the_last_release(void)
{
	if (!begin())
		return;
	notify(LOW);
	end();
	CHECK_HEARD(&callback, "12");
}

static void who_was_never_told_a_low_is_owed_nothing(void)
{
	struct callback late = callback_new();

	if (!begin())
		return;
	notify(LOW);
	keep(&late);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	end();
	CHECK_HEARD(&callback, "1");
	CHECK_HEARD(&late, "");
}

static void shut_down_in_the_request(struct recorder *recorder, const HostMemEvent *event)
{
	(void)recorder;
	if (event->type != HostMemEventAllocate)
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	CHECK_HEARD(&callback, "");
}

/* The Neutral that is owed waits for the end of the request, too. */
static void a_shutdown_inside_a_request_answers_after_it(void)
{
	struct recorder recorder = { .then = shut_down_in_the_request };
	void *base;

	if (!begin())
		return;
	notify(LOW);
	CHECK_HEARD(&callback, "1");
	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &base),
		 HOST_E_ABANDONED);
	CHECK_HEARD(&callback, "2");
	recorder_stop(&recorder);
	end();
}

int main(void)
{
	TAP_RUN(only_changes_are_told);
	TAP_RUN(other_values_are_invalid_and_change_nothing);
	TAP_RUN(nobody_need_be_there_to_be_told);
	TAP_RUN(a_request_is_over_before_anything_is_told);
	TAP_RUN(a_suspension_is_over_before_anything_is_told);
	TAP_RUN(a_callback_may_call_the_host);
	TAP_RUN(a_callback_may_throw_the_host_away);
	TAP_RUN(a_last_low_is_answered_at_shutdown);
	TAP_RUN(a_last_low_is_answered_at_the_last_release);
	TAP_RUN(who_was_never_told_a_low_is_owed_nothing);
	TAP_RUN(a_shutdown_inside_a_request_answers_after_it);
	return tap_done();
}
