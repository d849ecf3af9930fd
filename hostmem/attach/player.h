#ifndef HOSTMEM_ATTACH_PLAYER_H
#define HOSTMEM_ATTACH_PLAYER_H

#include "settings.h"

#include "hostmem/os/thread.h"

#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Plays settings to a host: its budget, its fault rules, and the steps as they come due.
 *
 * A step of `request` or `charged` is played on the thread whose request sets it off, while
 * the host asks about that request: it holds from the next request on.  The same program with
 * the same settings so gets the same answers; with several threads the order of their
 * requests is theirs.  Requests are counted that ask for memory, whether they are granted or
 * not; what is charged counts as soon as it is asked for.
 *
 * Steps of `at` have a thread, which is there only while there are such steps.  It goes by
 * the system's clock, whatever the host's is.
 *
 * Steps are played one at a time, each once (or as often as it says); those that have come
 * due together are played in the order of their triggers, and in that of the settings where
 * that is the same.  Who comes to play while another thread does leaves it to that one.  What
 * was missed of `every` while a gate was closed is not made up for.  A step that the host
 * refuses, since it was shut down, is lost.
 *
 * Nothing is allocated, but by pthread_create for the thread: where malloc and mmap are the
 * host's, they have to be at work by then.  No lock is held; start and stop come from one
 * thread, outside of requests and of the host's callbacks.
 */
struct hm_player_step {
	uint64_t next; /* as hm_step.when; UINT64_MAX: never again */
	uint64_t left; /* UINT64_MAX: for good */
};

struct hm_player {
	IHostMemoryControl *control;
	IHostMemorySimulator *simulator;
	const struct hm_settings *settings;
	uint64_t subscription; /* 0: there is none */
	uint64_t begin;        /* ms of hm_thread_now */
	struct hm_thread thread;
	bool has_thread;

	_Atomic uint64_t counted[HM_TRIGGERS]; /* how far each trigger has come ... */
	_Atomic uint64_t soonest[HM_TRIGGERS]; /* ... and where a step is due */
	_Atomic uint64_t played;               /* steps */
	_Atomic uint32_t stopped;              /* and what sleepers sleep on */
	_Atomic uint32_t turn; /* 1: a thread plays, and has what follows */

	struct hm_player_step steps[HM_SETTINGS_STEPS];
	uint64_t cookies[HM_SETTINGS_FAULTS]; /* 0: that rule is not in force */
	HostMemBudget budget;                 /* as the steps want it, in order or not */
};

/*
 * Applies budget and rules, plays what is due at 0 s and begins with the rest.  `settings`
 * must live until stop; the host is referenced.  On failure nothing has changed:
 *
 *	E_NOINTERFACE  it has no IHostMemoryControl or no IHostMemorySimulator
 *	E_OUTOFMEMORY  no room for a rule, the subscription or the thread
 *	others         what the host says to the budget or to a rule
 */
HRESULT hm_player_start(struct hm_player *player, IUnknown *host,
			const struct hm_settings *settings);

/* Returns when no step is being played and none will be; ends gates.  What was set stays. */
void hm_player_stop(struct hm_player *player);

/* In a fork child, before anything else: timed steps have ended with their thread, the others
 * go on from where they were. */
void hm_player_after_fork(struct hm_player *player);

#endif
