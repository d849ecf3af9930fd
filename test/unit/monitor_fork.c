/*
 * A notification that forks, on the monitor's own thread: woken, and by time.
 *
 * The child comes back from the notification into a loop that is not there any more; there its
 * only thread ends, and so does the child.
 */
#include "abi/hostmem.h"
#include "test/callback.h"
#include "test/conformance/child.h"
#include "test/tap.h"

#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)0x1000)

enum { WATCHDOG = 120 };

static struct {
	IHostMemoryManager *manager;
	IHostMemoryControl *control;
	IHostMemoryMonitor *monitor;
	struct callback callback, other;
	EMemoryAvailable at;    /* what it forks at */
	void (*in_child)(void); /* before it comes back */
	_Atomic pid_t child;
} stage;

static void fork_there(struct callback *callback, EMemoryAvailable available)
{
	pid_t child;

	(void)callback;
	if (available != stage.at || atomic_load(&stage.child) != 0)
		return;
	fflush(stdout);
	child = fork();
	if (child != 0) {
		atomic_store(&stage.child, child);
		return;
	}
	(void)alarm(WATCHDOG);
	atomic_store(&stage.child, -1);
	stage.in_child();
	/* What has failed by now would not be seen otherwise. */
	if (tap_failed())
		_exit(1);
}

static void limit_to(size_t bytes)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = bytes;
	CHECK_HR(IHostMemoryControl_SetBudget(stage.control, &budget), S_OK);
}

static void open_host(void)
{
	HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;
	IHostMemorySimulator *simulator = NULL;
	void *out = NULL;

	CHECK_HR(HostMemCreate(NULL, &IID_IHostMemoryManager, &out), S_OK);
	stage.manager = out;
	CHECK_HR(IHostMemoryManager_QueryInterface(stage.manager, &IID_IHostMemoryControl,
						   &out),
		 S_OK);
	stage.control = out;
	CHECK_HR(IHostMemoryManager_QueryInterface(stage.manager, &IID_IHostMemoryMonitor,
						   &out),
		 S_OK);
	stage.monitor = out;
	CHECK_HR(IHostMemoryManager_QueryInterface(stage.manager,
						   &IID_IHostMemorySimulator, &out),
		 S_OK);
	simulator = out;
	/* However full the machine is.  Plenty does not come in the time of a test. */
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 10, (SIZE_T)8 << 30),
		 S_OK);
	IHostMemorySimulator_Release(simulator);
	thresholds.msCalm = 20;
	thresholds.msStall = 20;
	thresholds.msPlenty = 1000 * WATCHDOG;
	CHECK_HR(IHostMemoryMonitor_SetThresholds(stage.monitor, &thresholds), S_OK);
	CHECK_HR(IHostMemoryManager_VirtualAlloc(stage.manager, NULL, 18 * PAGE,
						 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &out),
		 S_OK);
}

static void close_host(void)
{
	IHostMemoryMonitor_Release(stage.monitor);
	IHostMemoryControl_Release(stage.control);
	CHECK_U32(IHostMemoryManager_Release(stage.manager), 0);
}

/* ---- What the child does first ---- */

static void do_nothing(void)
{
}

static void shut_down(void)
{
	CHECK_HR(IHostMemoryControl_Shutdown(stage.control), S_OK);
}

static void release_all(void)
{
	close_host();
}

/* The new monitor watches while the old one's thread still is in the notification. */
static void register_again_and_release(void)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

	CHECK_HR(IHostMemoryMonitor_GetSource(stage.monitor, HostMemSourceTimer, &state),
		 S_OK);
	CHECK_HR(state.result, S_FALSE);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 stage.manager, &stage.other.iface),
		 S_OK);
	while (state.result != S_OK) {
		(void)usleep(1000);
		CHECK_HR(IHostMemoryMonitor_GetSource(stage.monitor, HostMemSourceTimer,
						      &state),
			 S_OK);
	}
	shut_down();
	release_all();
}

/* ---- The parent ---- */

static void check_child(void)
{
	pid_t child;
	int status = 0;

	(void)alarm(WATCHDOG);
	while ((child = atomic_load(&stage.child)) == 0)
		(void)usleep(200);
	if (CHECK(child > 0) && CHECK_INT(waitpid(child, &status, 0), child)) {
		CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
		CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
	}
	(void)alarm(0);
}

static void check_fork(EMemoryAvailable at)
{
	static void (*const rows[])(void) = { do_nothing, shut_down, release_all,
					      register_again_and_release };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_row("row %zu", i);
		memset(&stage, 0, sizeof(stage));
		stage.callback = callback_new();
		stage.other = callback_new();
		stage.callback.then = fork_there;
		stage.at = at;
		stage.in_child = rows[i];
		open_host();
		CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
				 stage.manager, &stage.callback.iface),
			 S_OK);
		limit_to(19 * PAGE);
		while (at != eMemoryAvailableLow &&
		       atomic_load(&stage.callback.calls) == 0)
			(void)usleep(200);
		if (at != eMemoryAvailableLow)
			limit_to(1900 * PAGE);
		check_child();
		/* The parent has not noticed. */
		limit_to(1900 * PAGE);
		/* Else it may be the monitor's thread that ends the host. */
		shut_down();
		close_host();
		CHECK_U32(stage.callback.references, 1);
	}
}

static void a_child_that_was_forked_when_the_monitor_was_woken_ends(void)
{
	check_fork(eMemoryAvailableLow);
}

static void a_child_that_was_forked_by_time_ends(void)
{
	check_fork(eMemoryAvailableNeutral);
}

int main(void)
{
	if (SANITIZED) {
		tap_skip("a sanitizer's malloc may be held by another thread in a child");
		return tap_done();
	}
	TAP_RUN(a_child_that_was_forked_when_the_monitor_was_woken_ends);
	TAP_RUN(a_child_that_was_forked_by_time_ends);
	return tap_done();
}
