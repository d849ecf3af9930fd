/*
 * What the tests of the reclaimer share: a host that is full, and a reclaimer that does
 * what it is told.
 */
#ifndef HOSTMEM_CONFORMANCE_RECLAIM_H
#define HOSTMEM_CONFORMANCE_RECLAIM_H

#include "threads.h"

static struct host host;
static HostMemBudget budget;

#define LIMIT (16 * PAGE)

/* What is called, and what it saw. */
struct helper {
	void (*act)(struct helper *helper);
	void *base; /* of the memory that it can give back */
	unsigned calls;
	size_t wanted;
	pthread_t thread;
};

static struct helper helper;

static inline size_t HOSTMEM_CALL help(void *state, size_t wanted)
{
	struct helper *self = (struct helper *)state;

	self->calls++;
	self->wanted = wanted;
	self->thread = pthread_self();
	if (self->act != NULL)
		self->act(self);
	return 0;
}

static inline void set_reclaimer(HostMemReclaimCallback callback, void *state)
{
	CHECK_HR(IHostMemoryControl_SetReclaimer(host.control, callback, state), S_OK);
}

/* Everything is charged; nobody waits. */
static inline bool start(void (*act)(struct helper *helper))
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	budget = (HostMemBudget)HOSTMEM_BUDGET_INIT;
	budget.cbLimit = LIMIT;
	config.budget = &budget;
	config.dwFlags = HOSTMEM_MONITOR_OFF;
	if (!host_create_with(&host, &config))
		return false;
	helper = (struct helper){
		.act = act, .base = vm_new(&host, LIMIT, MEM_COMMIT, PAGE_READWRITE)
	};
	set_reclaimer(help, &helper);
	return helper.base != NULL;
}

static inline void end(size_t charged)
{
	CHECK_SIZE(host_usage(&host).cbCharged, charged);
	host_destroy(&host);
}

static inline HRESULT commit(size_t size)
{
	void *out;

	return vm_alloc(&host, NULL, size, MEM_COMMIT, PAGE_READWRITE, &out);
}

static inline void give_half_back(struct helper *self)
{
	CHECK_HR(vm_free(&host, self->base, LIMIT / 2, MEM_DECOMMIT), S_OK);
}

#endif
