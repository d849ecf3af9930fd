/*
 * A host whose monitor runs on a loop of the test's own, in a system that the test makes up.
 */
#ifndef HOSTMEM_UNIT_WATCHER_H
#define HOSTMEM_UNIT_WATCHER_H

/* Sockets, which come with it, have a call of the name that subscribers have in fake.h. */
#define listen watcher_listen
#include <uv.h>
#undef listen

#include "fake.h"
#include "groups.h"
#include "hostmem/monitor.h"
#include "hostmem/watching.h"

#define NOT_FOUND HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_FOUND)
#define TOO_MANY_FILES HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES)
#define MIB ((uint64_t)1 << 20)
#define HOUR 3600000

static struct {
	struct fake_host fake;
	uv_loop_t uv;
	uv_timer_t timer; /* without which libuv's loop does not run */
} watcher;

static inline void watcher_nothing(uv_timer_t *timer)
{
	(void)timer;
}

/* Begins a system with a machine that has plenty. */
static inline struct hm_host *watcher_begin(void)
{
	struct hm_host *host = &watcher.fake.host;

	fake_host_init(&watcher.fake);
	CHECK_INT(uv_loop_init(&watcher.uv), 0);
	CHECK_INT(uv_timer_init(&watcher.uv, &watcher.timer), 0);
	CHECK_INT(uv_timer_start(&watcher.timer, watcher_nothing, HOUR, 0), 0);
	hm_monitor_init(&host->monitor, HM_MONITOR_PROGRAM, &watcher.uv);
	CHECK_HR(hm_monitor_attach(host), S_OK);
	groups_begin();
	group_set("/proc/meminfo", "MemTotal: 104857600 kB\nMemAvailable: 94371840 kB\n");
	group_set("/proc/self/statm", "300 2 1 1 0 200 0\n");
	return host;
}

/* So many turns of the loop, none of which waits. */
static inline void watcher_run(unsigned turns)
{
	while (turns-- != 0)
		(void)uv_run(&watcher.uv, UV_RUN_NOWAIT);
	errno = GROUPS_ERRNO;
}

static inline void watcher_start(void)
{
	hm_monitor_start(&watcher.fake.host);
	watcher_run(3);
}

static inline void watcher_end(void)
{
	hm_monitor_stop(&watcher.fake.host);
	groups_end();
	fake_host_end(&watcher.fake);
	uv_close((uv_handle_t *)&watcher.timer, NULL);
	(void)uv_run(&watcher.uv, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&watcher.uv), 0);
}

static inline HRESULT watcher_result(HostMemSource source)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

	hm_monitor_source(&watcher.fake.host, source, &state);
	return state.result;
}

static inline uint64_t watcher_calls(HostMemSource source)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

	hm_monitor_source(&watcher.fake.host, source, &state);
	return state.cCalls;
}

/* Files of that source that are watched. */
static inline unsigned watcher_files(HostMemSource source)
{
	unsigned count = 0;

	for (unsigned i = 0; i < HM_MONITOR_FILES; i++)
		count += watcher.fake.host.monitor.watched[i].file >= 0 &&
			 watcher.fake.host.monitor.watched[i].source == source;
	return count;
}

/* So much time has gone by since the files were looked up. */
static inline void watcher_age(uint64_t ms)
{
	watcher.fake.host.monitor.opened_at -= ms;
	hm_monitor_wake(&watcher.fake.host);
	watcher_run(2);
}

/* ms until the loop has something to do by time. */
static inline int watcher_time_left(void)
{
	uv_update_time(&watcher.uv);
	return uv_backend_timeout(&watcher.uv);
}

static inline bool watcher_figures(struct hm_memory_load *load)
{
	return hm_monitor_figures(&watcher.fake.host.monitor, load);
}

static inline void watcher_look(void)
{
	hm_monitor_wake(&watcher.fake.host);
	watcher_run(2);
}

/* ---- Trees ---- */

static const char *const no_limit_v1 = "9223372036854771712\n";

/* Two groups of version 1, of which the inner one has a limit of 1000 MiB. */
static inline void tree_v1(void)
{
	group_set("/proc/self/cgroup", "4:memory:/a/b\n");
	group_set("/proc/self/mountinfo", "2 1 0:2 / /m rw - cgroup c rw,memory\n");
	group_set("/m/a/b/memory.limit_in_bytes", "1048576000\n");
	group_set("/m/a/b/memory.usage_in_bytes", "104857600\n");
	group_set("/m/a/b/cgroup.event_control", "");
	group_set("/m/a/memory.limit_in_bytes", no_limit_v1);
	group_set("/m/a/memory.usage_in_bytes", "104857600\n");
	group_set("/m/a/cgroup.event_control", "");
}

/* Two of version 2, of which both have one. */
static inline void tree_v2(void)
{
	group_set("/proc/self/cgroup", "0::/c/d\n");
	group_set("/proc/self/mountinfo", "3 1 0:3 / /g rw - cgroup2 c rw\n");
	group_set("/g/c/d/memory.max", "1048576000\n");
	group_set("/g/c/d/memory.current", "104857600\n");
	group_set("/g/c/d/memory.events", "low 0\n")->watched = true;
	group_set("/g/c/d/memory.pressure", "some avg10=0\n")->watched = true;
	group_set("/g/c/memory.max", "2097152000\n");
	group_set("/g/c/memory.current", "104857600\n");
	group_set("/g/c/memory.events", "low 0\n")->watched = true;
}

#endif
