/*
 * A host on a loop without libuv: what it tells and when it ends, and what it refuses.
 *
 * Linked with the core of the library alone, as what is preloaded into a program is.
 */
#include "loops.h"
#include "abi/hostmem.h"
#include "test/callback.h"
#include "test/conformance/child.h"

#include <errno.h>

#define LIMIT ((SIZE_T)64 << 20)
#define MUCH ((SIZE_T)40 << 20)

struct told {
	struct callback callback;
	atomic_uint lows;
	IHostMemoryManager *manager;
	IHostMemoryMonitor *monitor;
};

/* The last Release tells, too: that it is over. */
static void hear(struct callback *callback, EMemoryAvailable available)
{
	struct told *told = (struct told *)callback->state;

	if (available != eMemoryAvailableLow)
		return;
	CHECK(hm_loop_is_on_thread());
	atomic_fetch_add(&told->lows, 1);
}

static bool told_begin(struct told *told)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	const HostMemConfig config = { .cbSize = sizeof(config), .budget = &budget };

	budget.cbLimit = LIMIT;
	budget.cbSoftLimit = LIMIT / 2;
	told->callback = callback_new();
	told->callback.then = hear;
	told->callback.state = told;
	atomic_store(&told->lows, 0);
	if (!CHECK_HR(HostMemCreate(&config, &IID_IHostMemoryManager,
				    (void **)&told->manager),
		      S_OK))
		return false;
	CHECK_HR(IHostMemoryManager_QueryInterface(told->manager, &IID_IHostMemoryMonitor,
						   (void **)&told->monitor),
		 S_OK);
	errno = 4711;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 told->manager, &told->callback.iface),
		 S_OK);
	CHECK_INT(errno, 4711);
	return true;
}

static void told_end(struct told *told)
{
	(void)alarm(WATCHDOG);
	(void)IHostMemoryMonitor_Release(told->monitor);
	CHECK_U32(IHostMemoryManager_Release(told->manager), 0);
	(void)alarm(0);
	CHECK_U32(atomic_load(&told->callback.references), 1);
}

static HRESULT source_of(struct told *told, HostMemSource source)
{
	HostMemSourceState state = { .cbSize = sizeof(state) };

	CHECK_HR(IHostMemoryMonitor_GetSource(told->monitor, source, &state), S_OK);
	return state.result;
}

/* Memory is short by the host's own account, which its thread finds without being asked. */
static void check_low(struct told *told)
{
	void *pages = NULL;

	/* It has looked once, and knows from when on it is to be called. */
	AWAIT(source_of(told, HostMemSourceTimer) == S_OK);
	CHECK_HR(IHostMemoryManager_VirtualAlloc(told->manager, NULL, MUCH,
						 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &pages),
		 S_OK);
	AWAIT(atomic_load(&told->lows) != 0);
	CHECK_HR(IHostMemoryManager_VirtualFree(told->manager, pages, 0, MEM_RELEASE),
		 S_OK);
}

static void the_budget_is_told_of_by_its_thread(void)
{
	struct told told;

	if (!told_begin(&told))
		return;
	check_low(&told);
	told_end(&told);
}

/* Whatever the system has to tell here, none of it through a file. */
static void of_the_sources_there_are_the_budget_and_time(void)
{
	struct told told;

	if (!told_begin(&told))
		return;
	check_low(&told);
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		tap_row("source %u", i);
		CHECK((source_of(&told, (HostMemSource)i) == S_OK) ==
		      (i == HostMemSourceBudget || i == HostMemSourceTimer));
	}
	told_end(&told);
}

static void the_programs_loop_is_refused(void)
{
	static uv_loop_t uv; /* nobody looks inside */
	const HostMemConfig config = { .cbSize = sizeof(config),
				       .dwFlags = HOSTMEM_MONITOR_LOOP,
				       .loop = &uv };
	void *manager = &uv;

	CHECK_HR(HostMemCreate(&config, &IID_IHostMemoryManager, &manager),
		 NOT_SUPPORTED);
	CHECK_POINTER(manager, NULL);
}

static struct told parents;

static void tell_in_child(void)
{
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 parents.manager, &parents.callback.iface),
		 S_OK);
	check_low(&parents);
	told_end(&parents);
}

static void a_fork_child_registers_again_and_is_told(void)
{
	if (SANITIZED) {
		tap_skip("a sanitizer's malloc may be held by another thread in a child");
		return;
	}
	if (!told_begin(&parents))
		return;
	in_child(tell_in_child);
	check_low(&parents);
	told_end(&parents);
}

int main(void)
{
	TAP_RUN(the_budget_is_told_of_by_its_thread);
	TAP_RUN(of_the_sources_there_are_the_budget_and_time);
	TAP_RUN(the_programs_loop_is_refused);
	TAP_RUN(a_fork_child_registers_again_and_is_told);
	return tap_done();
}
