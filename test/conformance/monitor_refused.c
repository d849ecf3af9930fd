/*
 * A monitor that cannot have what it would like: file descriptors, a thread, memory.  A
 * callback can be registered all the same, and the sources say what became of them.
 */
#include "child.h"
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <uv.h>

static struct watched watched;

static bool make(void)
{
	HostMemBudget budget = budget_of(LIMIT);
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.budget = &budget;
	return watched_make(&watched, &config);
}

static unsigned lowest_file(void)
{
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)close(file);
	return (unsigned)file;
}

static void be_told(void)
{
	unsigned told = atomic_load(&watched.told);
	void *base = take_pages(&watched, 95);

	wait_for_told(&watched, told + 1);
	CHECK(atomic_load(&watched.told_by) != thread_id());
	give_pages(&watched, base);
	wait_for_told(&watched, told + 2);
	CHECK_HEARD(&watched.callback, "12");
}

/* ---- File descriptors ---- */

static void no_file_is_left_in_a_child(void)
{
	unsigned lowest = lowest_file();

	if (!make() || !CHECK(child_limit(RLIMIT_NOFILE, lowest)))
		return;
	errno = 4711;
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_INT(errno, 4711);
	wait_for_looks(&watched);
	CHECK_HR(source_result(watched.monitor, HostMemSourceBudget), S_OK);
	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_OK);
	for (unsigned i = HostMemSourceGroupUsage; i < HOSTMEM_SOURCES; i++) {
		HRESULT result = source_result(watched.monitor, (HostMemSource)i);

		tap_row("source %u", i);
		CHECK(FAILED(result));
		/* Whether there is a group cannot be read without a file. */
		if (i >= HostMemSourceSomeStalled)
			CHECK_HR(result, HR_TOO_MANY_FILES);
	}
	be_told();
	be_told();
	watched_end(&watched);
	CHECK(child_limit(RLIMIT_NOFILE, lowest + 10));
	CHECK_U32(lowest_file(), lowest);
}

/* Each number of descriptors, from none to more than enough: it never ends the process. */
static void few_files_are_left_in_a_child(void)
{
	unsigned lowest = lowest_file();

	for (unsigned more = 0; more < 40; more++) {
		tap_row("%u descriptors", more);
		CHECK(child_limit(RLIMIT_NOFILE, lowest + 100));
		if (!make() || !CHECK(child_limit(RLIMIT_NOFILE, lowest + more)))
			return;
		CHECK_HR(watched_register(&watched), S_OK);
		be_told();
		watched_end(&watched);
	}
	CHECK(child_limit(RLIMIT_NOFILE, lowest + 100));
	CHECK_U32(lowest_file(), lowest);
}

static void without_descriptors_budgets_are_watched(void)
{
	in_child(no_file_is_left_in_a_child);
}

static void few_descriptors_are_not_the_end(void)
{
	in_child(few_files_are_left_in_a_child);
}

/* ---- A thread ---- */

static size_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	if (file != NULL)
		(void)fclose(file);
	return pages * PAGE;
}

static void no_stack_is_left_in_a_child(void)
{
	size_t room = 256 * PAGE;

	if (!make() || !CHECK(child_limit(RLIMIT_AS, address_space() + room)))
		return;
	errno = 4711;
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_INT(errno, 4711);
	CHECK_U32(count_monitors(), 0);
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		tap_row("source %u", i);
		CHECK_HR(source_result(watched.monitor, (HostMemSource)i), E_OUTOFMEMORY);
	}
	tap_row("%s", "");
	CHECK_HR(IHostMemoryControl_NotifyMemory(watched.host.control, LOW), S_OK);
	CHECK_HEARD(&watched.callback, "1");
	CHECK_HR(IHostMemoryControl_NotifyMemory(watched.host.control, NEUTRAL), S_OK);
	CHECK_HEARD(&watched.callback, "2");
	/* The next one tries again. */
	CHECK(child_limit(RLIMIT_AS, RLIM_INFINITY));
	atomic_store(&watched.told, 0);
	CHECK_HR(watched_register(&watched), S_OK);
	wait_for_looks(&watched);
	CHECK_HR(source_result(watched.monitor, HostMemSourceBudget), S_OK);
	be_told();
	watched_end(&watched);
}

static void without_a_thread_a_callback_can_be_registered(void)
{
	if (SANITIZED) {
		tap_skip("a sanitizer needs more address space than any limit");
		return;
	}
	in_child(no_stack_is_left_in_a_child);
}

/* ---- On the program's loop ---- */

static uv_loop_t loop;

static void bad_configurations_are_refused(void)
{
	static const struct {
		uint32_t flags;
		bool loop;
		HRESULT want;
	} rows[] = {
		{ HOSTMEM_MONITOR_LOOP, false, E_INVALIDARG },
		{ HOSTMEM_MONITOR_LOOP | HOSTMEM_MONITOR_OFF, true, E_INVALIDARG },
		{ HOSTMEM_MONITOR_LOOP | HOSTMEM_MONITOR_OFF, false, E_INVALIDARG },
		{ HOSTMEM_MONITOR_OFF, true, S_OK },
		{ HOSTMEM_MONITOR_THREAD, true, S_OK },
		{ HOSTMEM_MONITOR_LOOP, true, S_OK },
	};

	if (!CHECK_INT(uv_loop_init(&loop), 0))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemConfig config = HOSTMEM_CONFIG_INIT;
		void *out = POISON;

		tap_row("row %zu", i);
		config.dwFlags = rows[i].flags;
		config.loop = rows[i].loop ? &loop : NULL;
		CHECK_HR(HostMemCreate(&config, &IID_IHostMemoryManager, &out),
			 rows[i].want);
		CHECK((out == NULL) == FAILED(rows[i].want));
		if (SUCCEEDED(rows[i].want))
			CHECK_U32(IUnknown_Release((IUnknown *)out), 0);
	}
	CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
	CHECK_INT(uv_loop_close(&loop), 0);
}

static void without_descriptors_there_is_no_host(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	void *out = POISON;

	config.dwFlags = HOSTMEM_MONITOR_LOOP;
	config.loop = &loop;
	if (!CHECK(child_limit(RLIMIT_NOFILE, 0)))
		return;
	CHECK_HR(HostMemCreate(&config, &IID_IHostMemoryManager, &out),
		 HR_TOO_MANY_FILES);
	CHECK_POINTER(out, NULL);
	CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
	CHECK_INT(uv_loop_close(&loop), 0);
}

static void a_loop_needs_a_descriptor(void)
{
	if (!CHECK_INT(uv_loop_init(&loop), 0))
		return;
	in_child(without_descriptors_there_is_no_host);
	CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
	CHECK_INT(uv_loop_close(&loop), 0);
}

/* ---- What is left open ---- */

/* Neither a monitor that has ended nor one that could not begin leaves anything. */
static void hosts_leave_no_descriptor_behind(void)
{
	unsigned lowest = lowest_file();

	for (unsigned round = 0; round < 20 && make(); round++) {
		tap_row("round %u", round);
		CHECK_HR(watched_register(&watched), S_OK);
		if (round % 2 == 0)
			be_told();
		else if (round % 3 == 0)
			CHECK_HR(IHostMemoryControl_Shutdown(watched.host.control), S_OK);
		watched_end(&watched);
	}
	/* The thread of the last may be on its way out. */
	while (lowest_file() != lowest)
		(void)usleep(500);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(without_descriptors_budgets_are_watched);
	TAP_RUN(few_descriptors_are_not_the_end);
	TAP_RUN(without_a_thread_a_callback_can_be_registered);
	TAP_RUN(bad_configurations_are_refused);
	TAP_RUN(a_loop_needs_a_descriptor);
	TAP_RUN(hosts_leave_no_descriptor_behind);
	return tap_done();
}
