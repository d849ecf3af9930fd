/*
 * HOSTMEM_MONITOR_LOOP: the monitor as a part of the program's libuv loop.
 */
#include "child.h"
#include "monitor.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <uv.h>

static uv_loop_t loop;
static struct watched watched;

static bool make_on(struct watched *which, const HostMemBudget *budget)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_LOOP;
	config.loop = &loop;
	config.budget = budget;
	return watched_make(which, &config);
}

/* Not registered yet. */
static bool make(void)
{
	HostMemBudget budget = budget_of(LIMIT);

	return CHECK_INT(uv_loop_init(&loop), 0) && make_on(&watched, &budget);
}

static bool begin(void)
{
	return make() && CHECK_HR(watched_register(&watched), S_OK);
}

/* One turn lets go of the handles, and then nothing is left. */
static void close_loop(void)
{
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&loop), 0);
}

static void end(void)
{
	host_destroy(&watched.host);
	CHECK_U32(watched.callback.references, 1);
	close_loop();
}

/* ---- Running the loop ---- */

static void do_nothing(uv_timer_t *timer)
{
	(void)timer;
}

static void no_more(uv_handle_t *handle)
{
	(void)handle;
}

/* The monitor does not keep the loop running, a timer of the program's does. */
static void run_until_told(struct watched *which, unsigned count)
{
	uv_timer_t timer;

	CHECK_INT(uv_timer_init(&loop, &timer), 0);
	CHECK_INT(uv_timer_start(&timer, do_nothing, 5, 5), 0);
	while (atomic_load(&which->told) < count)
		(void)uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, no_more);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void run_until_looks(void)
{
	uint64_t before = source_calls(watched.monitor, HostMemSourceTimer);
	uv_timer_t timer;

	CHECK_INT(uv_timer_init(&loop, &timer), 0);
	CHECK_INT(uv_timer_start(&timer, do_nothing, 5, 5), 0);
	while (source_calls(watched.monitor, HostMemSourceTimer) < before + 2)
		(void)uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, no_more);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void be_told(struct watched *which)
{
	unsigned told = atomic_load(&which->told);
	void *base = take_pages(which, 95);

	/* Not while the loop does not run. */
	CHECK_HEARD(&which->callback, "");
	run_until_told(which, told + 1);
	CHECK_INT(atomic_load(&which->told_by), thread_id());
	CHECK_HEARD(&which->callback, "1");
	give_pages(which, base);
	run_until_told(which, told + 2);
	CHECK_INT(atomic_load(&which->told_by), thread_id());
	CHECK_HEARD(&which->callback, "2");
}

/* ---- Tests ---- */

static void take_addresses_unseen(void)
{
	const struct rlimit most = { (rlim_t)8 << 30, (rlim_t)8 << 30 };
	SIZE_T before, after;
	DWORD load;

	CHECK_INT(setrlimit(RLIMIT_AS, &most), 0);
	if (!begin())
		return;
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(watched.simulator), S_OK);
	run_until_looks();
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(watched.host.manager, &load, &before),
		 S_OK);
	CHECK(mmap(NULL, (size_t)6 << 30, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
	(void)usleep(2200000);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(watched.host.manager, &load, &after),
		 S_OK);
	CHECK(after <= (SIZE_T)2 << 30);
	CHECK(load >= 75);
	end();
}

/* In a child, which has a limit of its own. */
static void figures_are_read_while_the_loop_does_not_run(void)
{
	if (SANITIZED)
		tap_skip("a sanitizer needs more addresses");
	else
		in_child(take_addresses_unseen);
}

static void the_handles_do_not_keep_the_loop_alive(void)
{
	if (!make())
		return;
	CHECK_INT(uv_loop_alive(&loop), 0);
	CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_U32(count_monitors(), 0);
	CHECK_INT(uv_loop_alive(&loop), 0);
	CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
	run_until_looks();
	CHECK_INT(uv_loop_alive(&loop), 0);
	CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
	end();
}

static void it_is_told_on_the_loops_thread_while_the_loop_runs(void)
{
	if (!begin())
		return;
	be_told(&watched);
	be_told(&watched);
	run_until_looks();
	CHECK_HR(source_result(watched.monitor, HostMemSourceBudget), S_OK);
	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_OK);
	CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++)
		CHECK_HR(source_result(watched.monitor, (HostMemSource)i), S_FALSE);
	end();
}

static void *charge_elsewhere(void *argument)
{
	void *base;

	(void)argument;
	CHECK_HR(watched_register(&watched), S_OK);
	base = take_pages(&watched, 95);
	wait_for_told(&watched, 1);
	give_pages(&watched, base);
	return NULL;
}

static void other_threads_may_register_and_charge(void)
{
	pthread_t thread;

	if (!make())
		return;
	CHECK_INT(pthread_create(&thread, NULL, charge_elsewhere, NULL), 0);
	run_until_told(&watched, 1);
	CHECK_INT(atomic_load(&watched.told_by), thread_id());
	(void)pthread_join(thread, NULL);
	run_until_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "12");
	end();
}

static void a_loop_that_never_runs_can_be_closed(void)
{
	for (unsigned row = 0; row < 4; row++) {
		tap_row("row %u", row);
		if (!(row % 2 == 0 ? make() : begin()))
			return;
		if (row >= 2)
			CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
		/* The handles are there still. */
		CHECK_INT(uv_loop_close(&loop), UV_EBUSY);
		end();
	}
}

/* ---- Inside the callback ---- */

static void shut_down(struct watched *self, EMemoryAvailable available)
{
	if (available == LOW)
		CHECK_HR(IHostMemoryControl_Shutdown(self->host.control), S_OK);
}

static void throw_away(struct watched *self, EMemoryAvailable available)
{
	if (available == LOW)
		host_destroy(&self->host);
}

static void shut_down_and_throw_away(struct watched *self, EMemoryAvailable available)
{
	shut_down(self, available);
	throw_away(self, available);
}

static void it_may_be_ended_inside_the_callback(void)
{
	static const struct {
		const char *what;
		void (*then)(struct watched *self, EMemoryAvailable available);
	} rows[] = { { "shut down", shut_down },
		     { "last release", throw_away },
		     { "both", shut_down_and_throw_away } };

	for (size_t i = 0; i < ROWS(rows) && begin(); i++) {
		tap_row("%s", rows[i].what);
		watched.then = rows[i].then;
		(void)take_pages(&watched, 95);
		run_until_told(&watched, 2);
		CHECK_HEARD(&watched.callback, "12");
		if (watched.host.manager != NULL)
			host_destroy(&watched.host);
		CHECK_U32(watched.callback.references, 1);
		close_loop();
	}
}

static void run_it_inside(uv_timer_t *timer)
{
	(void)timer;
	host_destroy(&watched.host);
}

static void it_may_be_ended_in_another_turn(void)
{
	uv_timer_t timer;

	if (!begin())
		return;
	CHECK_INT(uv_timer_init(&loop, &timer), 0);
	CHECK_INT(uv_timer_start(&timer, run_it_inside, 0, 0), 0);
	(void)take_pages(&watched, 95);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	CHECK_POINTER(watched.host.manager, NULL);
	CHECK_U32(watched.callback.references, 1);
	uv_close((uv_handle_t *)&timer, no_more);
	close_loop();
}

/* ---- Several ---- */

static void two_hosts_share_a_loop(void)
{
	HostMemBudget budget = budget_of(LIMIT);
	static struct watched second;

	if (!begin() || !make_on(&second, &budget) ||
	    !CHECK_HR(watched_register(&second), S_OK))
		return;
	be_told(&watched);
	CHECK_HEARD(&second.callback, "");
	be_told(&second);
	CHECK_HEARD(&watched.callback, "");
	host_destroy(&second.host);
	CHECK_U32(second.callback.references, 1);
	be_told(&watched);
	end();
}

static void hosts_come_and_go_on_a_loop(void)
{
	HostMemBudget budget = budget_of(LIMIT);

	if (!CHECK_INT(uv_loop_init(&loop), 0))
		return;
	for (unsigned round = 0; round < 20 && make_on(&watched, &budget); round++) {
		tap_row("round %u", round);
		CHECK_HR(watched_register(&watched), S_OK);
		if (round % 3 != 0)
			be_told(&watched);
		host_destroy(&watched.host);
		if (round % 2 != 0)
			(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
	close_loop();
}

/* ---- Forks ---- */

static void go_on_in_the_child(void)
{
	void *base = take_pages(&watched, 95);

	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_FALSE);
	CHECK_INT(uv_loop_fork(&loop), 0);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	CHECK_HEARD(&watched.callback, "");
	give_pages(&watched, base);
	CHECK_HR(watched_register(&watched), S_OK);
	be_told(&watched);
	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_OK);
	end();
}

static void end_it_in_the_child(void)
{
	CHECK_INT(uv_loop_fork(&loop), 0);
	end();
}

/* It may never have thought of the loop. */
static void end_it_without_the_loop(void)
{
	host_destroy(&watched.host);
	CHECK_U32(watched.callback.references, 1);
}

static void a_child_begins_again_on_its_own_loop(void)
{
	static const struct {
		const char *what;
		void (*body)(void);
	} rows[] = { { "go on", go_on_in_the_child },
		     { "end it", end_it_in_the_child },
		     { "end it without the loop", end_it_without_the_loop } };

	for (size_t i = 0; i < ROWS(rows) && begin(); i++) {
		tap_row("%s", rows[i].what);
		be_told(&watched);
		in_child(rows[i].body);
		be_told(&watched);
		run_until_looks();
		end();
	}
}

/* The call that is under way still has its callback. */
static void end_it_inside(void)
{
	host_destroy(&watched.host);
	CHECK_U32(watched.callback.references, 2);
}

static void fork_there(struct watched *self, EMemoryAvailable available)
{
	(void)self;
	if (available == LOW)
		in_child(end_it_inside);
}

static void the_callback_may_fork(void)
{
	if (!begin())
		return;
	watched.then = fork_there;
	(void)take_pages(&watched, 95);
	run_until_told(&watched, 1);
	CHECK_HEARD(&watched.callback, "1");
	end();
	CHECK_HEARD(&watched.callback, "2");
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(figures_are_read_while_the_loop_does_not_run);
	TAP_RUN(the_handles_do_not_keep_the_loop_alive);
	TAP_RUN(it_is_told_on_the_loops_thread_while_the_loop_runs);
	TAP_RUN(other_threads_may_register_and_charge);
	TAP_RUN(a_loop_that_never_runs_can_be_closed);
	TAP_RUN(it_may_be_ended_inside_the_callback);
	TAP_RUN(it_may_be_ended_in_another_turn);
	TAP_RUN(two_hosts_share_a_loop);
	TAP_RUN(hosts_come_and_go_on_a_loop);
	TAP_RUN(a_child_begins_again_on_its_own_loop);
	TAP_RUN(the_callback_may_fork);
	return tap_done();
}
