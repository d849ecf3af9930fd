/*
 * A monitor and many threads: what it makes known while they read it, and its beginning and
 * end while they wake it.
 */
#include "watcher.h"

#include "hostmem/os/loop.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { READERS = 3, TURNS = 3000, ROUNDS = 200 };

static atomic_bool over;
static atomic_uint torn, reads;

/* The group has 1000 * (1 + n) MiB, of which n per cent are used. */
static bool is_whole(const struct hm_memory_load *load)
{
	return load->total == (size_t)(1000 * MIB) * (1 + load->per_cent) &&
	       load->available == load->total / 100 * (100 - load->per_cent);
}

static void *read_often(void *argument)
{
	const struct hm_host *host = argument;
	struct hm_memory_load load;

	while (!atomic_load(&over)) {
		if (!hm_monitor_figures(&host->monitor, &load))
			continue;
		atomic_fetch_add(&reads, 1);
		if (!is_whole(&load))
			atomic_fetch_add(&torn, 1);
	}
	return NULL;
}

static void set_group(unsigned per_cent)
{
	static char limit[2][32], used[2][32];
	unsigned long long bytes = 1000 * MIB * (1 + per_cent);

	(void)snprintf(limit[per_cent % 2], sizeof(limit[0]), "%llu\n", bytes);
	(void)snprintf(used[per_cent % 2], sizeof(used[0]), "%llu\n",
		       bytes / 100 * per_cent);
	group_set("/m/a/b/memory.limit_in_bytes", limit[per_cent % 2]);
	group_set("/m/a/b/memory.usage_in_bytes", used[per_cent % 2]);
}

static void what_is_seen_is_read_whole(void)
{
	struct hm_host *host = watcher_begin();
	pthread_t threads[READERS];

	/* Without a place to write thresholds to, which would fill up. */
	group_set("/proc/meminfo", "");
	tree_v1();
	group_set("/m/a/b/cgroup.event_control", NULL);
	set_group(1);
	watcher_start();
	for (size_t i = 0; i < READERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, read_often, host), 0);
	for (unsigned i = 0; i < TURNS || atomic_load(&reads) < TURNS; i++) {
		set_group(i % 64);
		hm_monitor_wake(host);
		watcher_run(1);
	}
	/* And the end. */
	hm_monitor_stop(host);
	atomic_store(&over, true);
	for (size_t i = 0; i < READERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_U32(torn, 0);
	watcher_end();
}

/* ---- Beginning and end ---- */

static void *start_one(void *argument)
{
	hm_monitor_start(argument);
	return NULL;
}

static void *wake_often(void *argument)
{
	struct hm_host *host = argument;

	while (!atomic_load(&over)) {
		hm_monitor_wake(host);
		hm_monitor_ring(host);
		sched_yield();
	}
	return NULL;
}

static void *shut_down(void *argument)
{
	CHECK_HR(hm_host_shut_down(argument), S_OK);
	return NULL;
}

/* Whoever is first, nothing runs in the end, and nobody waits for ever. */
static void a_start_and_a_shutdown_at_once_leave_nothing_running(void)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		static struct fake_host fake;
		void *(*const parts[])(void *) = { start_one, shut_down, start_one,
						   wake_often };
		pthread_t threads[ROWS(parts)];
		HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

		atomic_store(&over, false);
		fake_host_init(&fake);
		hm_monitor_init(&fake.host.monitor, HM_MONITOR_THREAD, NULL);
		for (size_t n = 0; n < ROWS(parts); n++)
			CHECK_INT(pthread_create(&threads[n], NULL, parts[n], &fake.host),
				  0);
		for (size_t n = 0; n < ROWS(parts) - 1; n++)
			CHECK_INT(pthread_join(threads[n], NULL), 0);
		atomic_store(&over, true);
		CHECK_INT(pthread_join(threads[ROWS(parts) - 1], NULL), 0);
		CHECK(!hm_monitor_runs(&fake.host.monitor));
		hm_monitor_source(&fake.host, HostMemSourceTimer, &state);
		CHECK_HR(state.result, S_FALSE);
		fake_host_end(&fake);
	}
}

int main(void)
{
	(void)alarm(300);
	TAP_RUN(what_is_seen_is_read_whole);
	TAP_RUN(a_start_and_a_shutdown_at_once_leave_nothing_running);
	return tap_done();
}
