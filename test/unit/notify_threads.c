/*
 * Telling on one thread, and registering, suspending, forking on others.
 */
#include "hostmem/availability.h"
#include "fake.h"
#include "test/callback.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake_host fake;
static struct hm_host *const host = &fake.host;

static void listen_with(struct callback *callback)
{
	hm_notify_register(host, callback != NULL ? &callback->iface : NULL);
}

/* ---- One call that is held up while somebody else does something ---- */

struct visit {
	struct callback callback;
	atomic_bool inside, leave, left;
};

static void stay(struct callback *callback, EMemoryAvailable available)
{
	struct visit *visit = callback->state;

	if (available != eMemoryAvailableLow)
		return;
	atomic_store(&visit->inside, true);
	while (!atomic_load(&visit->leave))
		sched_yield();
	/* Time for one who does not wait to come back too early. */
	for (int i = 0; i < 2000; i++)
		sched_yield();
	atomic_store(&visit->left, true);
}

static void *tell_low(void *unused)
{
	(void)unused;
	CHECK_HR(hm_availability_force(host, eMemoryAvailableLow), S_OK);
	return NULL;
}

static pthread_t visit_begin(struct visit *visit)
{
	pthread_t thread;

	fake_host_init(&fake);
	*visit = (struct visit){ .callback = { .iface = { &callback_table },
					       .references = 1,
					       .then = stay } };
	visit->callback.state = visit;
	listen_with(&visit->callback);
	if (pthread_create(&thread, NULL, tell_low, NULL) != 0)
		abort();
	while (!atomic_load(&visit->inside))
		sched_yield();
	return thread;
}

static void visit_end(struct visit *visit, pthread_t thread)
{
	atomic_store(&visit->leave, true);
	CHECK_INT(pthread_join(thread, NULL), 0);
}

static void who_takes_a_callback_away_waits_for_its_call(void)
{
	struct callback other = callback_new();
	struct callback *const next[] = { NULL, &other };

	for (size_t i = 0; i < ROWS(next); i++) {
		struct visit visit;
		pthread_t thread = visit_begin(&visit);

		tap_row("way %zu", i);
		/* Nothing is replaced, so there is nothing to wait for. */
		listen_with(&visit.callback);
		CHECK(!atomic_load(&visit.left));
		atomic_store(&visit.leave, true);
		listen_with(next[i]);
		CHECK(atomic_load(&visit.left));
		CHECK_U32(visit.callback.references, 1);
		visit_end(&visit, thread);
		fake_host_end(&fake);
		CHECK_HEARD(&visit.callback, "1");
		CHECK_HEARD(&other, "");
	}
	CHECK_U32(other.references, 1);
}

static void what_comes_meanwhile_is_told_by_the_thread_that_tells(void)
{
	struct visit visit;
	pthread_t thread = visit_begin(&visit);

	CHECK_HR(hm_availability_force(host, eMemoryAvailableNeutral), S_OK);
	CHECK_HR(hm_availability_force(host, eMemoryAvailableHigh), S_OK);
	CHECK_U32(visit.callback.calls, 1);
	visit_end(&visit, thread);
	CHECK_HEARD(&visit.callback, "13");
	fake_host_end(&fake);
}

static void shutdown_waits_for_the_call_and_answers_its_low(void)
{
	struct visit visit;
	pthread_t thread = visit_begin(&visit);

	atomic_store(&visit.leave, true);
	CHECK_HR(hm_host_shut_down(host), S_OK);
	CHECK(atomic_load(&visit.left));
	CHECK_HEARD(&visit.callback, "12");
	visit_end(&visit, thread);
	fake_host_end(&fake);
	CHECK_HEARD(&visit.callback, "");
}

/* ---- Forks ---- */

static void check_child(pid_t child)
{
	int status = -1;

	CHECK(child > 0);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
}

/* In the child nobody will ever return from that call. */
static void a_fork_child_forgets_the_calls_of_other_threads(void)
{
	struct visit visit;
	pthread_t thread = visit_begin(&visit);
	pid_t child = fork();

	if (child == 0) {
		struct callback own = callback_new();

		(void)alarm(60);
		tap_books.failures = 0;
		atomic_store(&visit.callback.inside, 0);
		atomic_store(&visit.leave, true);
		CHECK_HR(hm_availability_force(host, eMemoryAvailableNeutral), S_OK);
		CHECK_HEARD(&visit.callback, "12");
		listen_with(&own);
		CHECK_HR(hm_availability_force(host, eMemoryAvailableLow), S_OK);
		CHECK_HR(hm_host_shut_down(host), S_OK);
		fake_host_end(&fake);
		CHECK_HEARD(&own, "12");
		_exit(tap_failed());
	}
	check_child(child);
	visit_end(&visit, thread);
	fake_host_end(&fake);
	CHECK_HEARD(&visit.callback, "12");
}

static pid_t forked;

static void fork_inside(struct callback *callback, EMemoryAvailable available)
{
	(void)callback;
	if (available != eMemoryAvailableLow)
		return;
	forked = fork();
	if (forked == 0) {
		(void)alarm(60);
		tap_books.failures = 0;
	}
	CHECK_HR(hm_availability_force(host, eMemoryAvailableHigh), S_OK);
}

static void a_callback_may_fork(void)
{
	struct callback callback = callback_new();

	fake_host_init(&fake);
	callback.then = fork_inside;
	listen_with(&callback);
	CHECK_HR(hm_availability_force(host, eMemoryAvailableLow), S_OK);
	CHECK_HEARD(&callback, "13");
	CHECK_HR(hm_host_shut_down(host), S_OK);
	fake_host_end(&fake);
	if (forked == 0)
		_exit(tap_failed());
	check_child(forked);
}

/* ---- Everything at once ---- */

enum { REGISTRARS = 2, OWN = 3, ROUNDS = 4000, CALLS = 20 };

static struct callback own[REGISTRARS][OWN];
static atomic_bool over, alone;

/* What only we have registered may be thrown away once we have taken it away. */
static void check_gone(struct callback *callback)
{
	unsigned calls = atomic_load(&callback->calls);

	CHECK_U32(atomic_load(&callback->references), 1);
	CHECK_U32(atomic_load(&callback->inside), 0);
	sched_yield();
	CHECK_U32(atomic_load(&callback->calls), calls);
}

static void *register_in_turn(void *argument)
{
	struct callback *mine = argument;

	/* However the threads are scheduled, some calls fall in between. */
	for (unsigned i = 0; i < ROUNDS || atomic_load(&host->notify.calls) < CALLS;
	     i++) {
		struct callback *callback = &mine[i % OWN];

		listen_with(callback);
		if (i % 4 == 0)
			sched_yield();
		listen_with(i % 2 ? NULL : &mine[(i + 1) % OWN]);
		if (alone)
			check_gone(callback);
	}
	return NULL;
}

static void *suspend_in_turn(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		CHECK_HR(hm_notify_suspend(host), S_OK);
		sched_yield();
		CHECK_HR(hm_notify_resume(host), S_OK);
	}
	return NULL;
}

static void *tell_in_turn(void *unused)
{
	unsigned i = 0;

	(void)unused;
	while (!atomic_load(&over)) {
		EMemoryAvailable value = (EMemoryAvailable)(1 + i++ % 3);

		CHECK_HR(hm_availability_force(host, value), S_OK);
	}
	return NULL;
}

static void register_again(struct callback *callback, EMemoryAvailable available)
{
	if (available == eMemoryAvailableHigh)
		listen_with(callback);
}

static void register_beside_telling(size_t count,
				    void (*then)(struct callback *, EMemoryAvailable))
{
	pthread_t registrars[REGISTRARS], others[2];

	fake_host_init(&fake);
	atomic_store(&over, false);
	atomic_store(&alone, count == 1);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < OWN; j++) {
			own[i][j].iface.lpVtbl = &callback_table;
			own[i][j].references = 1;
			own[i][j].then = then;
		}
		CHECK_INT(pthread_create(&registrars[i], NULL, register_in_turn, own[i]),
			  0);
	}
	CHECK_INT(pthread_create(&others[0], NULL, tell_in_turn, NULL), 0);
	CHECK_INT(pthread_create(&others[1], NULL, suspend_in_turn, NULL), 0);
	for (size_t i = 0; i < count; i++)
		CHECK_INT(pthread_join(registrars[i], NULL), 0);
	atomic_store(&over, true);
	for (size_t i = 0; i < ROWS(others); i++)
		CHECK_INT(pthread_join(others[i], NULL), 0);
	fake_host_end(&fake);
	for (size_t i = 0; i < count * OWN; i++)
		CHECK_U32(own[i / OWN][i % OWN].references, 1);
}

static void what_was_taken_away_is_not_called_any_more(void)
{
	register_beside_telling(1, NULL);
}

static void registering_on_several_threads_loses_no_reference(void)
{
	register_beside_telling(REGISTRARS, register_again);
}

/* A reader finds figures that somebody has set, both of one call. */
static void *read_figures(void *unused)
{
	uint32_t load = 0;
	size_t available = 0;

	(void)unused;
	while (!atomic_load(&over)) {
		if (hm_availability_figures(&host->availability, &load, &available))
			CHECK_SIZE(available, (size_t)load << 30);
	}
	return NULL;
}

static void figures_are_found_whole(void)
{
	pthread_t readers[2];

	fake_host_init(&fake);
	atomic_store(&over, false);
	for (size_t i = 0; i < ROWS(readers); i++)
		CHECK_INT(pthread_create(&readers[i], NULL, read_figures, NULL), 0);
	for (uint32_t i = 0; i < 30000; i++) {
		uint32_t load = i % 101;

		CHECK_HR(hm_availability_simulate(host, load, (size_t)load << 30), S_OK);
		if (i % 7 == 0)
			CHECK_HR(hm_availability_clear(host), S_OK);
	}
	atomic_store(&over, true);
	for (size_t i = 0; i < ROWS(readers); i++)
		CHECK_INT(pthread_join(readers[i], NULL), 0);
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(who_takes_a_callback_away_waits_for_its_call);
	TAP_RUN(what_comes_meanwhile_is_told_by_the_thread_that_tells);
	TAP_RUN(shutdown_waits_for_the_call_and_answers_its_low);
	TAP_RUN(a_fork_child_forgets_the_calls_of_other_threads);
	TAP_RUN(a_callback_may_fork);
	TAP_RUN(what_was_taken_away_is_not_called_any_more);
	TAP_RUN(registering_on_several_threads_loses_no_reference);
	TAP_RUN(figures_are_found_whole);
	return tap_done();
}
