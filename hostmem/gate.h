#ifndef HOSTMEM_GATE_H
#define HOSTMEM_GATE_H

#include "host.h"

/*
 * The gate of a host: while a thread holds it, other threads' calls that change anything
 * stay out.
 *
 * Who passes a closed gate: its owner, and a thread with a call in flight that had passed
 * it before, which is what the owner waits for before the gate is his.
 */
enum hm_patience {
	HM_PATIENT,   /* waits as long as it takes: what gives memory back */
	HM_IMPATIENT, /* waits for as long as the host was told */
};

/* At the gate: S_OK; HOST_E_TIMEOUT; HOST_E_ABANDONED: the host has ended meanwhile. */
HRESULT hm_gate_wait(struct hm_host *host, enum hm_patience patience);

static inline bool hm_gate_is_open(const struct hm_host *host)
{
	return atomic_load(&host->gate.owner) == 0;
}

bool hm_gate_is_mine(const struct hm_host *host);
bool hm_gate_passes_closed(const struct hm_host *host);

/* Whether this thread passes. */
static inline bool hm_gate_passes(const struct hm_host *host)
{
	return hm_gate_is_open(host) || hm_gate_passes_closed(host);
}

/* What a call does first, once its arguments are known to be good. */
static inline HRESULT hm_gate_pass(struct hm_host *host, enum hm_patience patience)
{
	return hm_gate_is_open(host) ? S_OK : hm_gate_wait(host, patience);
}

/* hm_calls_enter for a call that changes something: nobody owns the gate who did not wait
 * for it.  On failure the call is outside. */
HRESULT hm_gate_enter_calls(struct hm_host *host, enum hm_patience patience);

/* This thread sleeps, or has woken up and passed the gate again.  The host is held by a
 * request.  If waking up fails, what this thread does from then on does not pass the
 * gate. */
void hm_gate_fall_asleep(struct hm_host *host);
HRESULT hm_gate_wake_up(struct hm_host *host, enum hm_patience patience);
/* It has woken up and only goes away, if it has no other call in flight; else that has to
 * pass the gate. */
void hm_gate_turn_away(struct hm_host *host);

/* HOST_E_TIMEOUT; HOST_E_ABANDONED: the host has ended.  `ms` by the host's clock, 0: only
 * tries, UINT32_MAX: for ever. */
HRESULT hm_gate_enter(struct hm_host *host, uint32_t ms);
/* HOST_E_NOT_OWNER. */
HRESULT hm_gate_leave(struct hm_host *host);

/* Whoever waits looks again: the host has ended, or its clock is another one. */
void hm_gate_wake_all(struct hm_host *host);
void hm_gate_after_fork(struct hm_host *host);

#endif
