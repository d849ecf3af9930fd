/*
 * Cases about OnMemoryNotification: what a runtime is told, when it is held back, and that a
 * Low is never the last word.
 */
#include "areas.h"
#include "told.h"

/* ---- Changes ---- */

static void only_changes_are_told(struct hm_trial *t)
{
	static const struct {
		EMemoryAvailable available;
		const char *heard;
	} rows[] = {
		{ HM_LOW, "1" },    { HM_LOW, "" },   { HM_NEUTRAL, "2" },
		{ HM_NEUTRAL, "" }, { HM_HIGH, "3" }, { HM_HIGH, "" },
		{ HM_LOW, "1" },    { HM_HIGH, "3" },
	};
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	CHECK_HEARD(t, &told.listener, "");
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "NotifyMemory, row %u", (unsigned)i);
		hm_notify(&told, rows[i].available);
		CHECK_HEARD(t, &told.listener, rows[i].heard);
	}
	CHECK_SIZE(t, hm_usage(t, told.control).cNotifications, 5);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "SetAvailability, row %u", (unsigned)i);
		CHECK_HR(t,
			 IHostMemorySimulator_SetAvailability(told.simulator,
							      rows[i].available),
			 S_OK);
		CHECK_HEARD(t, &told.listener, rows[i].heard);
	}
	hm_told_end(&told);
}

static void other_values_are_refused(struct hm_trial *t)
{
	static const int values[] = { 0, 4, -1, 0x7FFFFFFF };
	struct hm_told told;
	struct hm_state before;

	if (!hm_told_begin(&told, t))
		return;
	hm_notify(&told, HM_HIGH);
	CHECK_HEARD(t, &told.listener, "3");
	hm_look(t, &before);
	for (size_t i = 0; i < HM_ROWS(values); i++) {
		EMemoryAvailable value = (EMemoryAvailable)values[i];

		hm_row(t, "value %d", values[i]);
		CHECK_REFUSED(t, IHostMemoryControl_NotifyMemory(told.control, value),
			      E_INVALIDARG);
		CHECK_REFUSED(t,
			      IHostMemorySimulator_SetAvailability(told.simulator, value),
			      E_INVALIDARG);
		CHECK_HEARD(t, &told.listener, "");
		CHECK_UNCHANGED(t, &before);
	}
	hm_notify(&told, HM_HIGH);
	hm_told_end(&told);
}

static void registering_tells_nothing(struct hm_trial *t)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	(void)hm_register(t, NULL);
	CHECK_SIZE(t, told.listener.references, 1);
	hm_row(t, "nobody is there");
	hm_notify(&told, HM_LOW);
	CHECK_SIZE(t, hm_usage(t, told.control).cNotifications, 0);
	hm_row(t, "who comes later is not told what stands");
	(void)hm_register(t, &told.other);
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.other, "");
	hm_notify(&told, HM_HIGH);
	CHECK_HEARD(t, &told.other, "3");
	hm_row(t, "who is replaced hears no more");
	(void)hm_register(t, &told.listener);
	CHECK_SIZE(t, told.other.references, 1);
	CHECK_SIZE(t, told.listener.references, 2);
	hm_notify(&told, HM_NEUTRAL);
	CHECK_HEARD(t, &told.listener, "2");
	CHECK_HEARD(t, &told.other, "");
	hm_told_end(&told);
}

/* ---- Held back ---- */

static void notify_inside(struct hm_recorder *recorder, const HostMemEvent *event)
{
	struct hm_told *told = (struct hm_told *)recorder->state;

	told->calls++;
	hm_notify(told, HM_LOW);
	if (event->type == HostMemEventAllocate) {
		/* A request inside the request: its end is not the end. */
		void *base = hm_take(told->t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

		if (base != NULL)
			(void)hm_give(told->t, base);
	}
	CHECK_HEARD(told->t, &told->listener, "");
	hm_notify(told, event->type == HostMemEventFailure ? HM_LOW : HM_HIGH);
	CHECK_HEARD(told->t, &told->listener, "");
}

static void a_request_ends_before_anything_is_told(struct hm_trial *t)
{
	struct hm_recorder recorder = { .then = notify_inside };
	struct hm_told told;
	void *base;

	if (!hm_told_begin(&told, t))
		return;
	recorder.state = &told;
	if (!hm_subscribe(&recorder, t, told.control, HM_ALL_EVENTS))
		return;
	hm_row(t, "an allocation; what came and went is not told");
	base = hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_HEARD(t, &told.listener, "3");
	hm_row(t, "a free that leaves what was told last");
	if (base != NULL)
		(void)hm_give(t, base);
	CHECK_HEARD(t, &told.listener, "");
	hm_row(t, "a failure");
	(void)hm_limit(t, told.control, 0);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK_HEARD(t, &told.listener, "1");
	CHECK_SIZE(t, told.calls, 3);
	hm_unsubscribe(&recorder);
	hm_told_end(&told);
}

static void a_suspension_ends_before_anything_is_told(struct hm_trial *t)
{
	IHostGCManager *collector = (IHostGCManager *)hm_need(t, &IID_IHostGCManager,
							      "IHostGCManager");
	struct hm_told told;

	if (collector == NULL || !hm_told_begin(&told, t))
		return;
	CHECK_HR(t, IHostGCManager_SuspensionStarting(collector), S_OK);
	CHECK_HR(t, IHostGCManager_SuspensionStarting(collector), S_OK);
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "");
	CHECK_HR(t, IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	CHECK_HEARD(t, &told.listener, "");
	hm_row(t, "the last ending counts");
	CHECK_HR(t, IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "an ending without a start is no start of another kind");
	CHECK_HR(t, IHostGCManager_SuspensionEnding(collector, 2), S_OK);
	CHECK_HR(t, IHostGCManager_SuspensionStarting(collector), S_OK);
	hm_notify(&told, HM_HIGH);
	CHECK_HEARD(t, &told.listener, "");
	hm_notify(&told, HM_LOW);
	CHECK_HR(t, IHostGCManager_SuspensionEnding(collector, 1), S_OK);
	CHECK_HEARD(t, &told.listener, "");
	hm_notify(&told, HM_NEUTRAL);
	CHECK_HEARD(t, &told.listener, "2");
	hm_told_end(&told);
}

/* ---- What is owed ---- */

static void shutdown_answers_a_last_low(struct hm_trial *t)
{
	static struct hm_told told; /* the host holds it until its end */

	if (!hm_told_begin(&told, t))
		return;
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "1");
	CHECK_HR(t, IHostMemoryControl_Shutdown(told.control), S_OK);
	CHECK_HEARD(t, &told.listener, "2");
	hm_row(t, "nothing comes after it");
	CHECK_HR(t, IHostMemoryControl_NotifyMemory(told.control, HM_LOW),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HEARD(t, &told.listener, "");
}

static void shutdown_says_nothing_else(struct hm_trial *t)
{
	static struct hm_told told; /* the host holds it until its end */

	if (!hm_told_begin(&told, t))
		return;
	hm_notify(&told, HM_LOW);
	hm_notify(&told, HM_HIGH);
	CHECK_HEARD(t, &told.listener, "13");
	CHECK_HR(t, IHostMemoryControl_Shutdown(told.control), S_OK);
	CHECK_HEARD(t, &told.listener, "");
}

static void the_last_release_answers_a_last_low(struct hm_trial *t)
{
	struct hm_listener listener;
	IHostMemoryManager *other;
	void *control = NULL, *simulator = NULL;

	if (hm_control(t) == NULL || hm_simulator(t) == NULL)
		return;
	hm_warm_up_watching(t);
	other = hm_another_host(t);
	hm_listener_init(&listener);
	if (other == NULL ||
	    FAILED(IHostMemoryManager_QueryInterface(other, &IID_IHostMemoryControl,
						     &control)) ||
	    FAILED(IHostMemoryManager_QueryInterface(other, &IID_IHostMemorySimulator,
						     &simulator)))
		return;
	CHECK_HR(t,
		 IHostMemorySimulator_SetVirtualTime((IHostMemorySimulator *)simulator,
						     TRUE),
		 S_OK);
	CHECK_HR(t,
		 IHostMemoryManager_RegisterMemoryNotificationCallback(
			 other, &listener.ICLRMemoryNotificationCallback_iface),
		 S_OK);
	CHECK_HR(t,
		 IHostMemoryControl_NotifyMemory((IHostMemoryControl *)control, HM_LOW),
		 S_OK);
	CHECK_HEARD(t, &listener, "1");
	(void)IHostMemorySimulator_Release((IHostMemorySimulator *)simulator);
	(void)IHostMemoryControl_Release((IHostMemoryControl *)control);
	(void)IHostMemoryManager_Release(other);
	CHECK_HEARD(t, &listener, "2");
	CHECK_SIZE(t, listener.references, 1);
}

static const struct hm_case cases[] = {
	{ "changes", HM_DOCUMENTED, "HM header: NotifyMemory, SetAvailability",
	  only_changes_are_told, HM_NO_GROUP },
	{ "bad-values", HM_DOCUMENTED, "HM header: NotifyMemory, Errors; no value 0",
	  other_values_are_refused, HM_DOCUMENTED },
	{ "registering", HM_DOCUMENTED,
	  "HM header: RegisterMemoryNotificationCallback, nothing is told by registering",
	  registering_tells_nothing, HM_NO_GROUP },
	{ "request", HM_DOCUMENTED,
	  "HM header: OnMemoryNotification, inside a request it is held back",
	  a_request_ends_before_anything_is_told, HM_NO_GROUP },
	{ "suspension", HM_DOCUMENTED,
	  "HM header: IHostGCManager holds notifications back; it nests",
	  a_suspension_ends_before_anything_is_told, HM_NO_GROUP },
	{ "owed-at-shutdown", HM_DOCUMENTED,
	  "HM header: after a Low there is always a Neutral or a High",
	  shutdown_answers_a_last_low, HM_NO_GROUP },
	{ "nothing-owed", HM_DOCUMENTED, "HM header: Shutdown delivers what is owed",
	  shutdown_says_nothing_else, HM_NO_GROUP },
	{ "owed-at-release", HM_DOCUMENTED,
	  "HM header: after a Low there is always a Neutral or a High",
	  the_last_release_answers_a_last_low, HM_NO_GROUP },
};

const struct hm_area hm_area_notices = HM_AREA("notices", cases);
