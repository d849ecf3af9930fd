/*
 * A monitor for which everything is refused in turn: files, reading and writing them, event
 * files, memory.
 *
 * The monitor is on a loop that the test runs itself, so that each run makes the same calls
 * in the same order, all on one thread; each is in a child of its own.  First call number 0 is
 * refused, then number 1, and so on until nothing was refused; once, and for good from there
 * on.  A thread of the monitor's own is tested with ever more file descriptors, from none to
 * as many as it needs, since libuv does not ask the table of calls.
 *
 * Whatever is refused: a callback can be registered, each source says something that it may
 * say, a budget that is passed is told, and at the end nothing is open or mapped.
 *
 * Figures of the system are simulated, so that it does not matter how full the machine is.
 */
#include "test/callback.h"
#include "test/fault/refusing.h"
#include "test/stress/faces.h"
#include "test/unit/loops.h"

#include "hostmem/metadata.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
	MAX_CALLS = 400,
	PASSED_AND_REFUSED = 0, /* exit codes of a child */
	FAILED_ANYHOW = 1,
	NOTHING_WAS_REFUSED = 2,
};

struct plan {
	uint64_t first;
	bool for_good;
};

struct stage {
	uv_loop_t uv;
	struct faces faces;
	IHostMemoryMonitor *monitor;
	IHostMemorySimulator *simulator;
	struct callback callback;
	void *memory;
	unsigned files;
	size_t in_use;
};

/* ---- The host ---- */

static HRESULT open_host(struct stage *stage, uv_loop_t *program)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = program != NULL ? HOSTMEM_MONITOR_LOOP : 0;
	config.loop = program;
	stage->callback = callback_new();
	return faces_create_with(&stage->faces, &config);
}

static bool furnish(struct stage *stage)
{
	void *monitor = NULL, *simulator = NULL;

	(void)IHostMemoryControl_QueryInterface(stage->faces.control,
						&IID_IHostMemoryMonitor, &monitor);
	(void)IHostMemoryControl_QueryInterface(stage->faces.control,
						&IID_IHostMemorySimulator, &simulator);
	stage->monitor = monitor;
	stage->simulator = simulator;
	if (!CHECK(monitor != NULL && simulator != NULL))
		return false;
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 10, (SIZE_T)8 << 30),
		 S_OK);
	return CHECK_HR(faces_alloc(&stage->faces, NULL, 18 * PAGE,
				    MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
				    &stage->memory),
			S_OK);
}

/* Whatever becomes of a source, it is one of these. */
static void check_sources(struct stage *stage)
{
	static const HRESULT may_be[] = {
		S_OK,
		S_FALSE,
		E_ACCESSDENIED,
		E_OUTOFMEMORY,
		E_ABORT,
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED),
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_FOUND),
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES),
	};

	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;
		bool any = false;

		CHECK_HR(IHostMemoryMonitor_GetSource(stage->monitor, (HostMemSource)i,
						      &state),
			 S_OK);
		for (size_t n = 0; n < ROWS(may_be); n++)
			any |= state.result == may_be[n];
		CHECK(any);
	}
}

/* 18 of 19 pages are 94 per cent. */
static void pass_the_budget(struct stage *stage)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = 19 * PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(stage->faces.control, &budget), S_OK);
}

static void check_told(struct stage *stage)
{
	unsigned calls = atomic_load(&stage->callback.calls);

	if (CHECK(calls >= 1))
		CHECK_INT(stage->callback.heard[calls - 1], eMemoryAvailableLow);
}

static void close_host(struct stage *stage)
{
	CHECK_HR(faces_free(&stage->faces, stage->memory), S_OK);
	/* Else it is the monitor's thread that ends the host, if it has just told something. */
	CHECK_HR(IHostMemoryControl_Shutdown(stage->faces.control), S_OK);
	IHostMemoryMonitor_Release(stage->monitor);
	IHostMemorySimulator_Release(stage->simulator);
	CHECK_U32(faces_release(&stage->faces), 0);
	CHECK_U32(atomic_load(&stage->callback.references), 1);
}

/* ---- On the program's loop ---- */

static void open_program(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	/* What libuv opens once and for all is open then. */
	CHECK_INT(uv_loop_init(&stage->uv), 0);
	CHECK_INT(uv_loop_close(&stage->uv), 0);
	stage->files = files_open_now();
	stage->in_use = hm_metadata_in_use();
	CHECK_INT(uv_loop_init(&stage->uv), 0);
	program_keep(&stage->uv);
}

static void close_program(struct stage *stage)
{
	uv_close((uv_handle_t *)&program_timer, NULL);
	(void)uv_run(&stage->uv, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&stage->uv), 0);
	CHECK_U32(files_open_now(), stage->files);
	CHECK_SIZE(refusing_left_mapped(), 0);
	CHECK_SIZE(hm_metadata_in_use(), stage->in_use);
}

static void run_turns(struct stage *stage, unsigned turns)
{
	while (turns-- != 0)
		(void)uv_run(&stage->uv, UV_RUN_NOWAIT);
}

/* The wake itself may be what is refused; then it is told when the monitor looks by time. */
static void watch_once(const struct plan *plan)
{
	struct stage stage;
	EMemoryAvailable available;

	open_program(&stage);
	if (!CHECK_HR(open_host(&stage, &stage.uv), S_OK) || !furnish(&stage))
		return;
	refusing_arm(REFUSING_ALL, plan->first, plan->for_good);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 stage.faces.manager, &stage.callback.iface),
		 S_OK);
	run_turns(&stage, 4);
	CHECK_HR(IHostMemoryMonitor_Look(stage.monitor, &available), S_OK);
	check_sources(&stage);
	CHECK_U32(atomic_load(&stage.callback.calls), 0);
	if (plan->for_good)
		refusing_disarm();
	pass_the_budget(&stage);
	program_run_until(&stage.uv, &stage.callback.calls, 1);
	refusing_disarm();
	check_told(&stage);
	check_sources(&stage);
	close_host(&stage);
	close_program(&stage);
}

/* The host is there with all that it takes to be woken, or not at all. */
static void create_once(const struct plan *plan)
{
	struct stage stage;
	HRESULT hr;

	open_program(&stage);
	refusing_arm(REFUSING_ALL, plan->first, plan->for_good);
	hr = open_host(&stage, &stage.uv);
	refusing_disarm();
	if (SUCCEEDED(hr)) {
		CHECK_U32(faces_release(&stage.faces), 0);
	} else {
		CHECK(hr == E_OUTOFMEMORY ||
		      hr == HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES));
		CHECK(refusing_refused() != 0);
	}
	close_program(&stage);
}

static int in_child(void (*run)(const struct plan *plan), const struct plan *plan)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)alarm(WATCHDOG);
		refusing_install();
		run(plan);
		_exit(tap_failed()              ? FAILED_ANYHOW
		      : refusing_refused() != 0 ? PASSED_AND_REFUSED
						: NOTHING_WAS_REFUSED);
	}
	if (!CHECK(child > 0 && waitpid(child, &status, 0) == child) ||
	    !CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0))
		return FAILED_ANYHOW;
	return WEXITSTATUS(status);
}

static void sweep(void (*run)(const struct plan *plan), uint64_t at_least)
{
	for (int way = 0; way < 2; way++) {
		struct plan plan = { .for_good = way != 0 };
		int code = PASSED_AND_REFUSED;

		for (; plan.first < MAX_CALLS && code == PASSED_AND_REFUSED;
		     plan.first++) {
			tap_row("call %" PRIu64 "%s", plan.first,
				plan.for_good ? ", for good" : "");
			code = in_child(run, &plan);
			CHECK(code != FAILED_ANYHOW);
		}
		CHECK_INT(code, NOTHING_WAS_REFUSED);
		CHECK(plan.first > at_least);
	}
}

static void a_budget_is_told_whatever_the_monitor_is_refused(void)
{
	sweep(watch_once, 10);
}

static void a_host_on_the_programs_loop_is_made_whole_or_not_at_all(void)
{
	sweep(create_once, 2);
}

/* ---- On a thread of its own ---- */

static bool limit_files(unsigned most)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return false;
	limit.rlim_cur = most;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void watch_with_few_files(const struct plan *plan)
{
	struct stage stage = { .files = files_open_now() };
	unsigned most = stage.files + (unsigned)plan->first;

	if (!CHECK_HR(open_host(&stage, NULL), S_OK) || !furnish(&stage))
		return;
	/* The numbers in between are what is left. */
	CHECK(limit_files(most));
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 stage.faces.manager, &stage.callback.iface),
		 S_OK);
	pass_the_budget(&stage);
	AWAIT(atomic_load(&stage.callback.calls) != 0);
	check_told(&stage);
	check_sources(&stage);
	close_host(&stage);
	CHECK(limit_files(most + 8));
	CHECK(files_open_now() <= stage.files + 2);
}

static void a_budget_is_told_however_few_files_there_may_be(void)
{
	for (struct plan plan = { 0 }; plan.first < 40; plan.first++) {
		tap_row("%" PRIu64 " files", plan.first);
		CHECK_INT(in_child(watch_with_few_files, &plan), NOTHING_WAS_REFUSED);
	}
}

int main(void)
{
	TAP_RUN(a_budget_is_told_whatever_the_monitor_is_refused);
	TAP_RUN(a_host_on_the_programs_loop_is_made_whole_or_not_at_all);
	TAP_RUN(a_budget_is_told_however_few_files_there_may_be);
	return tap_done();
}
