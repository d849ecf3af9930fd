#ifndef HOSTMEM_MONITOR_H
#define HOSTMEM_MONITOR_H

#include "memoryload.h"
#include "os/cgroups.h"
#include "os/meminfo.h"

#include "abi/hresult.h"
#include "abi/hostmonitor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The monitor of one host: what wakes it, when it looks, and what it has seen last.
 *
 * It runs on a loop of its own or on the program's (os/loop.h).  Fields without a word about
 * it belong to the loop's thread.
 */
struct hm_host;
struct hm_loop;
struct uv_loop_s;

enum hm_monitor_place {
	HM_MONITOR_THREAD,
	HM_MONITOR_PROGRAM, /* the program's loop */
	HM_MONITOR_OFF,
};

/* A file that is watched. */
struct hm_watched {
	HostMemSource source;
	int file;         /* -1: this one is not in use */
	uint64_t since;   /* ms: from when calls are counted */
	unsigned calls;   /* since then */
	bool called;      /* ever */
	uint64_t stalled; /* us, of all tasks, when it was opened */
};

/* As many as a loop watches. */
#define HM_MONITOR_FILES 16U

/* Figures of the system; one of two records, as in availability.h. */
struct hm_seen {
	_Atomic uint32_t marked_load; /* 1 + per cent; 0: nothing has been seen */
	_Atomic size_t available;     /* bytes */
	_Atomic size_t total;         /* bytes of what has so few */
};

struct hm_monitor {
	enum hm_monitor_place place;
	struct uv_loop_s *program;

	_Atomic uint32_t wanted;        /* somebody has registered */
	_Atomic uint32_t starting;      /* a thread is about to set the loop */
	_Atomic uint32_t stopping;      /* somebody has stopped it */
	_Atomic(struct hm_loop *) loop; /* NULL: it does not run */

	/* Written by the loop's thread, read by all. */
	struct hm_seen seen[2];
	_Atomic uint32_t version; /* seen[version % 2] holds */
	_Atomic uint32_t stalled; /* all tasks stood still, and nobody has judged that */
	_Atomic HRESULT results[HOSTMEM_SOURCES];
	_Atomic uint64_t calls[HOSTMEM_SOURCES];
	_Atomic uint64_t looked_at; /* when it read any figures last */

	bool forked; /* what is open belongs to the parent's loop, too */
	bool open;
	uint64_t opened_at;   /* ms of monotonic time, as all times here */
	uint64_t fingerprint; /* of the groups and thresholds that are watched */
	uint64_t limits;      /* of the groups, and thresholds, when it looked last */
	uint64_t all_due;     /* when it reads all figures again, with what takes long */
	uint64_t room;        /* bytes until memory is short, at the last look */
	struct hm_meminfo meminfo;
	struct hm_watched watched[HM_MONITOR_FILES];
};

void hm_monitor_init(struct hm_monitor *monitor, enum hm_monitor_place place,
		     struct uv_loop_s *program);

/* Somebody is to be told from now on: begins, unless it is off or runs already.  Without
 * threads or memory it does not, and the sources say why; the next call tries again.  No lock
 * is held, the host is alive. */
void hm_monitor_start(struct hm_host *host);

/* Of a monitor on the program's loop, when the host is made and on that loop's thread: what it
 * takes to be woken.  E_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES as HRESULT_FROM_WIN32. */
HRESULT hm_monitor_attach(struct hm_host *host);

/* Has it look, soon.  Any thread, also with locks; never waits. */
void hm_monitor_wake(struct hm_host *host);
/* The same if more is charged than may be without a look, once for each alarm that was set. */
void hm_monitor_ring(struct hm_host *host);
/* Who is looking takes that upon himself. */
bool hm_monitor_takes_alarm(struct hm_host *host);
/* The same in any case. */
void hm_monitor_budget_replaced(struct hm_host *host);
static inline bool hm_monitor_runs(const struct hm_monitor *monitor)
{
	return atomic_load(&monitor->loop) != NULL &&
	       atomic_load(&monitor->wanted) != 0 && atomic_load(&monitor->stopping) == 0;
}

/* Nothing comes from it any more, but for what this call is inside of. */
void hm_monitor_stop(struct hm_host *host);
/* With the last reference: the same, and also what this call is not inside of is over when it
 * returns, whoever has stopped it.  On a monitor's thread it does nothing. */
void hm_monitor_end(struct hm_host *host);
/* At the end of the host, when nobody can wake it. */
void hm_monitor_destroy(struct hm_host *host);

/* In a fork child: it is off until the next start. */
void hm_monitor_after_fork(struct hm_host *host);

/* What the system's figures were when it looked last; false: it does not run, or could read
 * none.  Any thread, never waits. */
bool hm_monitor_figures(const struct hm_monitor *monitor, struct hm_memory_load *load);

/* Whether it should have looked since: its thread is in a callback, or the program's loop does
 * not run.  Any thread. */
bool hm_monitor_is_late(const struct hm_monitor *monitor);

void hm_monitor_source(const struct hm_host *host, HostMemSource source,
		       HostMemSourceState *state);

#endif
