/*
 * IHostMemoryMonitor::Look and WalkBounds: a program that looks at memory in a moment of its
 * own, and what it is bounded by.
 */
#include "child.h"
#include "monitor.h"

static struct host host;
static IHostMemoryMonitor *monitor;
static struct callback callback;

static bool begin(const HostMemBudget *budget)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.budget = budget;
	callback = callback_new();
	if (!host_create_with(&host, &config))
		return false;
	monitor = host_monitor(&host);
	return CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
				host.manager, &callback.iface),
			S_OK);
}

static void end(void)
{
	host_destroy(&host);
	CHECK_U32(callback.references, 1);
}

static EMemoryAvailable look(void)
{
	EMemoryAvailable available = (EMemoryAvailable)77;

	CHECK_HR(IHostMemoryMonitor_Look(monitor, &available), S_OK);
	return available;
}

static void set_thresholds(uint32_t low_load, size_t scarce, uint32_t ms)
{
	HostMemThresholds thresholds = {
		sizeof(thresholds), low_load, low_load, 0,     low_load, ms,
		UINT32_MAX,         0,        scarce,   scarce
	};

	CHECK_HR(IHostMemoryMonitor_SetThresholds(monitor, &thresholds), S_OK);
}

/* ---- Look ---- */

/* Every machine has a load of 0 per cent and more. */
static void it_sees_the_machine_as_it_is(void)
{
	if (!begin(NULL))
		return;
	set_thresholds(100, 0, 0);
	CHECK_INT(look(), NEUTRAL);
	CHECK_HEARD(&callback, "");
	set_thresholds(0, 0, 0);
	CHECK_INT(look(), LOW);
	/* On this thread: it is there already. */
	CHECK_HEARD(&callback, "1");
	CHECK_INT(look(), LOW);
	CHECK_HEARD(&callback, "");
	set_thresholds(100, 0, 0);
	CHECK_INT(look(), NEUTRAL);
	CHECK_HEARD(&callback, "2");
	end();
}

static void it_sees_what_is_simulated_instead(void)
{
	IHostMemorySimulator *simulator;

	if (!begin(NULL))
		return;
	simulator = host_simulator(&host);
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 50, SIZE_MAX), S_OK);
	set_thresholds(51, 0, 0);
	CHECK_INT(look(), NEUTRAL);
	set_thresholds(50, 0, 0);
	CHECK_INT(look(), LOW);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 49, SIZE_MAX), S_OK);
	CHECK_INT(look(), NEUTRAL);
	CHECK_HEARD(&callback, "2");
	end();
}

/* In virtual time the machine is left out, and what is due is found by Advance alone. */
static void it_leaves_the_machine_out_in_virtual_time(void)
{
	HostMemBudget budget = budget_of(LIMIT);
	IHostMemorySimulator *simulator;
	void *base;

	if (!begin(&budget))
		return;
	simulator = host_simulator(&host);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	/* As long as it is 1 % or more, it is the budget's. */
	set_thresholds(1, SIZE_MAX, 100);
	CHECK_INT(look(), NEUTRAL);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HEARD(&callback, "");
	CHECK_INT(look(), LOW);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_INT(look(), LOW);
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 99), S_OK);
	CHECK_INT(look(), LOW);
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 1), S_OK);
	CHECK_HEARD(&callback, "2");
	CHECK_INT(look(), NEUTRAL);
	end();
}

static void it_repeats_a_low_that_stands(void)
{
	IHostMemorySimulator *simulator;

	if (!begin(NULL))
		return;
	simulator = host_simulator(&host);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 95, 0), S_OK);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 8191), S_OK);
	CHECK_INT(look(), LOW);
	CHECK_HEARD(&callback, "");
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 1), S_OK);
	CHECK_HEARD(&callback, "1");
	CHECK_INT(look(), LOW);
	CHECK_HEARD(&callback, "");
	end();
}

/* ---- Bounds ---- */

struct walk {
	unsigned count, last; /* FALSE for the `last`, from 1; 0: never */
	unsigned kinds[5];
	HostMemBound budget;
	void (*then)(void);
};

static BOOL HOSTMEM_CALL hear_bound(void *state, const HostMemBound *bound)
{
	struct walk *walk = state;

	walk->count++;
	tap_row("bound %u of kind %d", walk->count, (int)bound->kind);
	CHECK_U32(bound->cbSize, sizeof(*bound));
	if (CHECK((unsigned)bound->kind < 5))
		walk->kinds[bound->kind]++;
	if (bound->kind == HostMemBoundGroup) {
		CHECK(bound->path != NULL && bound->path[0] == '/');
		CHECK(bound->version == 1 || bound->version == 2);
	} else {
		CHECK_POINTER(bound->path, NULL);
		CHECK_U32(bound->version, 0);
		CHECK(bound->cbLimit != UINT64_MAX);
	}
	if (bound->kind == HostMemBoundBudget) {
		CHECK_U32(walk->count, 1);
		walk->budget = *bound;
	}
	if (walk->then != NULL)
		walk->then();
	return walk->count != walk->last;
}

static struct walk walk_with(unsigned last, void (*then)(void))
{
	struct walk walk = { .last = last, .then = then };

	CHECK_HR(IHostMemoryMonitor_WalkBounds(monitor, hear_bound, &walk), S_OK);
	return walk;
}

static void the_machine_bounds_every_host(void)
{
	struct walk walk;

	if (!begin(NULL))
		return;
	walk = walk_with(0, NULL);
	CHECK_U32(walk.kinds[HostMemBoundMachine], 1);
	CHECK_U32(walk.kinds[HostMemBoundBudget], 0);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	walk = walk_with(0, NULL);
	CHECK_U32(walk.kinds[HostMemBoundMachine], 1);
	end();
}

static void a_budget_with_a_limit_comes_first(void)
{
	HostMemBudget budget = budget_of(LIMIT);
	struct walk walk;
	void *base;

	if (!begin(&budget))
		return;
	base = vm_new(&host, 7 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	walk = walk_with(0, NULL);
	CHECK_U32(walk.kinds[HostMemBoundBudget], 1);
	CHECK_SIZE(walk.budget.cbLimit, LIMIT);
	CHECK_SIZE(walk.budget.cbUsed, 7 * PAGE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(walk_with(0, NULL).budget.cbUsed, 0);
	end();
}

static void false_ends_the_walk(void)
{
	HostMemBudget budget = budget_of(LIMIT);
	unsigned all;

	if (!begin(&budget))
		return;
	all = walk_with(0, NULL).count;
	CHECK(all >= 2);
	for (unsigned last = 1; last <= all; last++)
		CHECK_U32(walk_with(last, NULL).count, last);
	end();
}

/* So far that nothing else fails. */
static void walk_with_limits(void)
{
	struct walk walk;

	if (!begin(NULL))
		return;
	if (!CHECK(child_limit(RLIMIT_AS, (rlim_t)1 << 46)) ||
	    !CHECK(child_limit(RLIMIT_DATA, (rlim_t)1 << 45)))
		return;
	walk = walk_with(0, NULL);
	CHECK_U32(walk.kinds[HostMemBoundAddressSpace], 1);
	CHECK_U32(walk.kinds[HostMemBoundData], 1);
	end();
}

static void limits_of_the_process_are_bounds(void)
{
	if (SANITIZED) {
		tap_skip("a sanitizer needs more address space than any limit");
		return;
	}
	in_child(walk_with_limits);
}

static void shut_down(void)
{
	HRESULT hr = IHostMemoryControl_Shutdown(host.control);

	CHECK(hr == S_OK || hr == HOST_E_CLRNOTAVAILABLE);
}

static void allocate(void)
{
	CHECK_HR(vm_release(&host, vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE)),
		 S_OK);
	CHECK_INT(look(), NEUTRAL);
	CHECK(walk_with(1, NULL).count == 1);
}

static void throw_away(void)
{
	if (host.manager != NULL)
		host_destroy(&host);
}

static void a_walk_may_call_the_host_and_end_it(void)
{
	HostMemBudget budget = budget_of(LIMIT);

	if (!begin(&budget))
		return;
	set_thresholds(100, 0, 0);
	(void)walk_with(0, allocate);
	(void)walk_with(0, shut_down);
	end();
	if (!begin(&budget))
		return;
	CHECK(walk_with(0, throw_away).count >= 2);
	CHECK_U32(callback.references, 1);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(it_sees_the_machine_as_it_is);
	TAP_RUN(it_sees_what_is_simulated_instead);
	TAP_RUN(it_leaves_the_machine_out_in_virtual_time);
	TAP_RUN(it_repeats_a_low_that_stands);
	TAP_RUN(the_machine_bounds_every_host);
	TAP_RUN(a_budget_with_a_limit_comes_first);
	TAP_RUN(false_ends_the_walk);
	TAP_RUN(limits_of_the_process_are_bounds);
	TAP_RUN(a_walk_may_call_the_host_and_end_it);
	return tap_done();
}
