/*
 * What the tests of the gate share: a host, and other threads that enter its gate, wait
 * at it, or are in the middle of a call.
 *
 * A thread is known to sleep when the gate counts it as asleep.
 */
#ifndef HOSTMEM_UNIT_OTHER_H
#define HOSTMEM_UNIT_OTHER_H

#include "hostmem/gate.h"
#include "fake.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { WATCHDOG = 300 };

static struct fake_host fake;
static struct hm_host *host = &fake.host;

static inline void start(void)
{
	fake_host_init(&fake);
}

static inline uint32_t asleep(void)
{
	return (uint32_t)atomic_load(&host->gate.asleep);
}

static inline void check_at_rest(void)
{
	CHECK(hm_gate_is_open(host));
	CHECK_U32(asleep(), 0);
	CHECK_U32(hm_host_holds(host), 0);
	fake_host_end(&fake);
}

/* ---- Another thread ---- */

struct other {
	HRESULT (*act)(struct other *other);
	uint32_t ms;
	HRESULT result;
	_Atomic bool ready, go;
	pthread_t thread;
};

static inline void *act(void *argument)
{
	struct other *other = argument;

	other->result = other->act(other);
	return NULL;
}

static inline void other_start(struct other *other)
{
	if (pthread_create(&other->thread, NULL, act, other) != 0)
		abort();
}

static inline HRESULT other_end(struct other *other)
{
	atomic_store(&other->go, true);
	(void)pthread_join(other->thread, NULL);
	return other->result;
}

static inline void wait_until(const _Atomic bool *what)
{
	while (!atomic_load(what))
		(void)sched_yield();
}

static inline void wait_for_sleepers(uint32_t count)
{
	while (asleep() != count)
		(void)sched_yield();
}

/* What the other may do. */

static inline HRESULT own(struct other *other)
{
	CHECK_HR(hm_gate_enter(host, other->ms), S_OK);
	atomic_store(&other->ready, true);
	wait_until(&other->go);
	return hm_gate_leave(host);
}

static inline HRESULT enter(struct other *other)
{
	HRESULT hr = hm_gate_enter(host, other->ms);

	if (SUCCEEDED(hr))
		CHECK_HR(hm_gate_leave(host), S_OK);
	return hr;
}

static inline HRESULT leave(struct other *other)
{
	(void)other;
	return hm_gate_leave(host);
}

static inline HRESULT pass_patiently(struct other *other)
{
	(void)other;
	return hm_gate_pass(host, HM_PATIENT);
}

static inline HRESULT pass_impatiently(struct other *other)
{
	(void)other;
	return hm_gate_pass(host, HM_IMPATIENT);
}

/* Is in the middle of a call until told to end it. */
static inline HRESULT stay_inside(struct other *other)
{
	struct hm_request visit;
	HRESULT hr;

	hm_request_visit(&visit, host);
	atomic_store(&other->ready, true);
	wait_until(&other->go);
	hr = hm_gate_pass(host, HM_IMPATIENT);
	hm_request_close(&visit);
	return hr;
}

static inline HRESULT run_other(HRESULT (*what)(struct other *other), uint32_t ms)
{
	struct other other = { .act = what, .ms = ms };

	other_start(&other);
	return other_end(&other);
}

static inline void own_elsewhere(struct other *owner)
{
	*owner = (struct other){ .act = own, .ms = UINT32_MAX };
	other_start(owner);
	wait_until(&owner->ready);
}

#endif
