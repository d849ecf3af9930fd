/*
 * The life of a monitor on a thread of its own: when it begins, what ends it, and what may be
 * done on it.
 */
#include "monitor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static struct watched watched;

static bool begin(void)
{
	HostMemBudget budget = budget_of(LIMIT);

	return watched_begin(&watched, &budget);
}

/* A Low, told by the monitor's thread. */
static void cause_a_low(void)
{
	unsigned told = atomic_load(&watched.told);

	(void)take_pages(&watched, 95);
	wait_for_told(&watched, told + 1);
}

/* ---- Beginning and end ---- */

static void it_begins_with_the_first_callback(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	if (!watched_make(&watched, &config))
		return;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 watched.host.manager, NULL),
		 S_OK);
	CHECK_U32(count_monitors(), 0);
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_U32(count_monitors(), 1);
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 watched.host.manager, NULL),
		 S_OK);
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_U32(count_monitors(), 1);
	watched_end(&watched);
	wait_for_monitors(0);
}

static void shutdown_ends_it(void)
{
	if (!begin())
		return;
	cause_a_low();
	CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
	/* What Shutdown says itself is the last. */
	CHECK_HEARD(&watched.callback, "12");
	CHECK_INT(atomic_load(&watched.told_by), thread_id());
	wait_for_monitors(0);
	CHECK_HR(watched_register(&watched), HOST_E_CLRNOTAVAILABLE);
	CHECK_U32(count_monitors(), 0);
	watched_end(&watched);
}

static void the_last_release_ends_it_at_any_moment(void)
{
	for (unsigned round = 0; round < 60 && begin(); round++) {
		tap_row("round %u", round);
		if (round % 2 != 0)
			(void)take_pages(&watched, 95);
		if (round % 3 != 0)
			(void)usleep(round * 50);
		watched_end(&watched);
	}
	wait_for_monitors(0);
}

/* ---- What a callback may do there ---- */

static struct callback other;
static _Atomic bool taken; /* the call that made memory low has returned */

static void shut_down(struct watched *self, EMemoryAvailable available)
{
	if (available == LOW)
		CHECK_HR(IHostMemoryControl_Shutdown(self->host.control), S_OK);
}

/* Nobody else may be in a call then. */
static void throw_away(struct watched *self, EMemoryAvailable available)
{
	while (!atomic_load(&taken))
		(void)usleep(500);
	if (available == LOW)
		host_destroy(&self->host);
}

static void shut_down_and_throw_away(struct watched *self, EMemoryAvailable available)
{
	if (available != LOW)
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(self->host.control), S_OK);
	throw_away(self, available);
}

static void unregister(struct watched *self, EMemoryAvailable available)
{
	(void)available;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(self->host.manager,
								       NULL),
		 S_OK);
	CHECK_U32(self->callback.references, 2);
}

static void replace(struct watched *self, EMemoryAvailable available)
{
	(void)available;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(self->host.manager,
								       &other.iface),
		 S_OK);
	CHECK_U32(other.references, 2);
}

static void calm_down(struct watched *self, EMemoryAvailable available)
{
	HostMemThresholds thresholds = short_times();
	EMemoryAvailable now;

	if (available != LOW)
		return;
	thresholds.dwLowLoad = 100;
	thresholds.dwCalmLoad = 100;
	thresholds.msCalm = 0;
	CHECK_HR(IHostMemoryMonitor_SetThresholds(self->monitor, &thresholds), S_OK);
	CHECK_HR(IHostMemoryMonitor_Look(self->monitor, &now), S_OK);
	CHECK_INT(now, NEUTRAL);
}

static void wait_for_references(struct callback *callback, unsigned count)
{
	while (atomic_load(&callback->references) != count)
		(void)usleep(500);
}

static void it_may_be_ended_and_changed_on_its_own_thread(void)
{
	static const struct {
		const char *what;
		void (*then)(struct watched *self, EMemoryAvailable available);
		unsigned told;
		const char *heard;
	} rows[] = {
		{ "shut down", shut_down, 2, "12" },
		{ "last release", throw_away, 2, "12" },
		{ "both", shut_down_and_throw_away, 2, "12" },
		{ "unregister", unregister, 1, "1" },
		{ "replace", replace, 1, "1" },
		{ "calm down", calm_down, 2, "12" },
	};
	for (size_t i = 0; i < ROWS(rows) && begin(); i++) {
		tap_row("%s", rows[i].what);
		other = callback_new();
		watched.then = rows[i].then;
		atomic_store(&taken, false);
		(void)take_pages(&watched, 95);
		atomic_store(&taken, true);
		wait_for_told(&watched, rows[i].told);
		if (rows[i].then == throw_away ||
		    rows[i].then == shut_down_and_throw_away)
			wait_for_references(&watched.callback, 1);
		else
			watched_end(&watched);
		CHECK_HEARD(&watched.callback, rows[i].heard);
		CHECK_U32(other.references, 1);
		wait_for_monitors(0);
	}
}

static _Atomic bool let_go, holds_on;

static void hold_on(struct watched *self, EMemoryAvailable available)
{
	(void)self, (void)available;
	atomic_store(&holds_on, true);
	while (!atomic_load(&let_go))
		(void)usleep(500);
}

static void *let_it_go(void *argument)
{
	(void)argument;
	(void)usleep(20000);
	atomic_store(&let_go, true);
	return NULL;
}

/* Whoever takes a callback away, or ends the host, waits for the call in flight. */
static void a_call_in_flight_is_waited_for(void)
{
	for (unsigned round = 0; round < 3 && begin(); round++) {
		pthread_t thread;

		tap_row("round %u", round);
		atomic_store(&let_go, false);
		atomic_store(&holds_on, false);
		watched.then = hold_on;
		(void)take_pages(&watched, 95);
		while (!atomic_load(&holds_on))
			(void)usleep(500);
		CHECK_INT(pthread_create(&thread, NULL, let_it_go, NULL), 0);
		if (round == 0)
			CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
					 watched.host.manager, NULL),
				 S_OK);
		else if (round == 1)
			CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
		else
			watched_end(&watched);
		CHECK(atomic_load(&let_go));
		CHECK_INT(atomic_load(&watched.callback.inside), 0);
		(void)pthread_join(thread, NULL);
		if (round != 2)
			watched_end(&watched);
	}
}

static void shut_down_and_linger(struct watched *self, EMemoryAvailable available)
{
	if (available != LOW)
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(self->host.control), S_OK);
	atomic_store(&holds_on, true);
	(void)usleep(20000);
}

static void so_is_one_that_has_shut_the_host_down(void)
{
	if (!begin())
		return;
	atomic_store(&holds_on, false);
	watched.then = shut_down_and_linger;
	(void)take_pages(&watched, 95);
	while (!atomic_load(&holds_on))
		(void)usleep(500);
	watched_end(&watched);
	CHECK_HEARD(&watched.callback, "12");
}

static BOOL HOSTMEM_CALL keep_waiting(void *state, const HostMemEvent *event)
{
	(void)state, (void)event;
	atomic_store(&holds_on, true);
	(void)usleep(500000);
	return TRUE;
}

static void *take_one(void *argument)
{
	void *base;

	(void)argument;
	(void)vm_alloc(&watched.host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &base);
	return NULL;
}

/* The Low would end meanwhile, but nobody judges that any more. */
static void while_shutdown_waits_it_has_nothing_to_do(void)
{
	HostMemThresholds thresholds = short_times();
	pthread_t thread;
	uint64_t cookie, calls;
	EMemoryAvailable now;
	void *base;

	if (!begin())
		return;
	thresholds.msCalm = 300;
	CHECK_HR(IHostMemoryMonitor_SetThresholds(watched.monitor, &thresholds), S_OK);
	base = take_pages(&watched, 95);
	wait_for_told(&watched, 1);
	give_pages(&watched, base);
	CHECK_HR(IHostMemoryMonitor_Look(watched.monitor, &now), S_OK);
	CHECK_INT(now, LOW);
	CHECK_HR(IHostMemoryControl_Subscribe(watched.host.control,
					      1U << HostMemEventAllocate, keep_waiting,
					      NULL, &cookie),
		 S_OK);
	atomic_store(&holds_on, false);
	CHECK_INT(pthread_create(&thread, NULL, take_one, NULL), 0);
	while (!atomic_load(&holds_on))
		(void)usleep(500);
	calls = source_calls(watched.monitor, HostMemSourceTimer);
	CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
	calls = source_calls(watched.monitor, HostMemSourceTimer) - calls;
	CHECK(calls < 100);
	(void)pthread_join(thread, NULL);
	watched_end(&watched);
}

/* ---- Signals ---- */

static _Atomic long handled_by;
static _Atomic unsigned handled;

static void handle(int signal)
{
	(void)signal;
	atomic_store(&handled_by, thread_id());
	atomic_fetch_add(&handled, 1);
}

/* With the only thread of the program blocking it, a handler could only run on ours. */
static void it_handles_no_signal_of_the_program(void)
{
	static const int signals[] = { SIGUSR1, SIGTERM, SIGINT, SIGCHLD, SIGALRM,
				       SIGPROF, SIGPIPE, SIGHUP, SIGIO,   SIGWINCH };
	struct sigaction action = { .sa_handler = handle }, before[ROWS(signals)];
	sigset_t set, mask;

	if (!begin())
		return;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < ROWS(signals); i++) {
		CHECK_INT(sigaction(signals[i], &action, &before[i]), 0);
		(void)sigaddset(&set, signals[i]);
	}
	CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, &mask), 0);
	for (size_t i = 0; i < ROWS(signals); i++)
		CHECK_INT(kill(getpid(), signals[i]), 0);
	cause_a_low();
	wait_for_looks(&watched);
	CHECK_U32(atomic_load(&handled), 0);
	CHECK_INT(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
	CHECK_U32(atomic_load(&handled), ROWS(signals));
	CHECK_INT(atomic_load(&handled_by), thread_id());
	for (size_t i = 0; i < ROWS(signals); i++)
		CHECK_INT(sigaction(signals[i], &before[i], NULL), 0);
	watched_end(&watched);
}

/* Our own mask is as it was. */
static void nobody_elses_mask_is_changed(void)
{
	sigset_t before, after;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	errno = 4711;
	if (!begin())
		return;
	CHECK_INT(errno, 4711);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int signal = 1; signal < 65; signal++)
		CHECK_INT(sigismember(&after, signal), sigismember(&before, signal));
	watched_end(&watched);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(it_begins_with_the_first_callback);
	TAP_RUN(shutdown_ends_it);
	TAP_RUN(the_last_release_ends_it_at_any_moment);
	TAP_RUN(it_may_be_ended_and_changed_on_its_own_thread);
	TAP_RUN(a_call_in_flight_is_waited_for);
	TAP_RUN(so_is_one_that_has_shut_the_host_down);
	TAP_RUN(while_shutdown_waits_it_has_nothing_to_do);
	TAP_RUN(it_handles_no_signal_of_the_program);
	TAP_RUN(nobody_elses_mask_is_changed);
	return tap_done();
}
