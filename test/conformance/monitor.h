/*
 * What the tests of the monitor share: a host that is watched, and a callback that says who
 * called it.
 *
 * The figures of the machine are simulated, at a load that is neither low nor high, so what
 * happens comes from the host's own budget alone.  What comes from another thread is waited
 * for without a limit but the watchdog's; that nothing comes is known when the monitor has
 * looked some times since.
 */
#ifndef HOSTMEM_CONFORMANCE_MONITOR_H
#define HOSTMEM_CONFORMANCE_MONITOR_H

#include "budget.h"
#include "test/callback.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOW eMemoryAvailableLow
#define NEUTRAL eMemoryAvailableNeutral
#define HIGH eMemoryAvailableHigh

#define HR_TOO_MANY_FILES HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES)

#define LIMIT (100 * PAGE) /* of most hosts here, so that a page is one per cent */
#define MARK (89 * PAGE)   /* the most that may be charged without a Low */

enum { WATCHDOG = 300 /* s */, CALM = 50 /* ms */ };

struct watched {
	struct host host;
	IHostMemoryMonitor *monitor; /* goes with the host */
	IHostMemorySimulator *simulator;
	struct callback callback;
	_Atomic unsigned told; /* calls that have begun */
	_Atomic long told_by;  /* the thread of the last */
	void (*then)(struct watched *watched, EMemoryAvailable available);
};

static inline long thread_id(void)
{
	return syscall(SYS_gettid);
}

static inline void watched_told(struct callback *callback, EMemoryAvailable available)
{
	struct watched *watched = (struct watched *)callback->state;

	atomic_store(&watched->told_by, thread_id());
	if (watched->then != NULL)
		watched->then(watched, available);
	atomic_fetch_add(&watched->told, 1);
}

static inline IHostMemoryMonitor *host_monitor(const struct host *host)
{
	void *monitor = NULL;

	CHECK_HR(IHostMemoryManager_QueryInterface(host->manager, &IID_IHostMemoryMonitor,
						   &monitor),
		 S_OK);
	if (monitor != NULL)
		IHostMemoryMonitor_Release((IHostMemoryMonitor *)monitor);
	return (IHostMemoryMonitor *)monitor;
}

static inline HRESULT source_result(IHostMemoryMonitor *monitor, HostMemSource source)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

	CHECK_HR(IHostMemoryMonitor_GetSource(monitor, source, &state), S_OK);
	return state.result;
}

static inline uint64_t source_calls(IHostMemoryMonitor *monitor, HostMemSource source)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

	CHECK_HR(IHostMemoryMonitor_GetSource(monitor, source, &state), S_OK);
	return state.cCalls;
}

static inline HRESULT watched_register(struct watched *watched)
{
	return IHostMemoryManager_RegisterMemoryNotificationCallback(
		watched->host.manager, &watched->callback.iface);
}

/* No shortage is waited for longer than the tests like, and no plenty comes by itself. */
static inline HostMemThresholds short_times(void)
{
	HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;

	thresholds.msCalm = CALM;
	thresholds.msPlenty = UINT32_MAX;
	thresholds.msStall = CALM;
	return thresholds;
}

/* A host whose callback is not registered yet. */
static inline bool watched_make(struct watched *watched, const HostMemConfig *config)
{
	HostMemThresholds thresholds = short_times();

	memset(watched, 0, sizeof(*watched));
	watched->callback = callback_new();
	watched->callback.then = watched_told;
	watched->callback.state = watched;
	if (!host_create_with(&watched->host, config))
		return false;
	watched->monitor = host_monitor(&watched->host);
	watched->simulator = host_simulator(&watched->host);
	return CHECK_HR(IHostMemorySimulator_SetMemoryLoad(watched->simulator, 80,
							   SIZE_MAX),
			S_OK) &&
	       CHECK_HR(IHostMemoryMonitor_SetThresholds(watched->monitor, &thresholds),
			S_OK);
}

/* A host with a monitor's thread, and this budget. */
static inline bool watched_begin(struct watched *watched, const HostMemBudget *budget)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.budget = budget;
	return watched_make(watched, &config) &&
	       CHECK_HR(watched_register(watched), S_OK);
}

/* Until so many calls have come since the host was made. */
static inline void wait_for_told(struct watched *watched, unsigned count)
{
	while (atomic_load(&watched->told) < count)
		(void)usleep(500);
}

/* Returns when the monitor has looked at what there is now, and looks no more often than
 * it would by itself. */
static inline void wait_for_looks(struct watched *watched)
{
	uint64_t before = source_calls(watched->monitor, HostMemSourceTimer);

	while (source_calls(watched->monitor, HostMemSourceTimer) < before + 2)
		(void)usleep(500);
}

static inline void watched_end(struct watched *watched)
{
	host_destroy(&watched->host);
	/* Nothing of the monitor outlives that. */
	CHECK_U32(watched->callback.references, 1);
}

/* Pages that are charged from now on. */
static inline void *take_pages(struct watched *watched, size_t pages)
{
	return vm_new(&watched->host, pages * PAGE, MEM_COMMIT, PAGE_READWRITE);
}

static inline void give_pages(struct watched *watched, void *base)
{
	CHECK_HR(vm_release(&watched->host, base), S_OK);
}

/* Whether the thread of that number is a monitor's, by its name. */
static inline bool is_a_monitor(const char *number)
{
	char path[300], name[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/comm", number);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	(void)fclose(file);
	return strcmp(name, "hostmem\n") == 0;
}

/* The threads of monitors that this process has now. */
static inline unsigned count_monitors(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	unsigned count = 0;

	while (tasks != NULL && (task = readdir(tasks)) != NULL)
		count += task->d_name[0] != '.' && is_a_monitor(task->d_name);
	if (CHECK(tasks != NULL))
		(void)closedir(tasks);
	return count;
}

/* A thread that was joined may be seen for a moment. */
static inline void wait_for_monitors(unsigned count)
{
	while (count_monitors() != count)
		(void)usleep(500);
}

#endif
