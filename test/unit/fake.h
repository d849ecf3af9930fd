/*
 * What the unit tests share: numbers that look random, a host on pages that do not exist,
 * a subscriber that writes down what it hears, and memory for records that runs out.
 */
#ifndef HOSTMEM_UNIT_FAKE_H
#define HOSTMEM_UNIT_FAKE_H

#include "hostmem/announce.h"
#include "hostmem/attempt.h"
#include "hostmem/calls.h"
#include "hostmem/host.h"
#include "hostmem/metadata.h"
#include "hostmem/os/container.h"
#include "hostmem/os/system.h"
#include "test/tap.h"

#include <errno.h>
#include <sys/mman.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define PAGE ((size_t)0x1000)
#define UNIT ((size_t)0x10000)
#define BAD_ADDRESS HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)
#define NOT_SUPPORTED HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
#define NO_PRIVILEGE HOSTMEM_HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD)

/* No memory of the program's is here; what is is never looked at. */
#define FAKE_BASE ((uintptr_t)0x200000000000)

/* ---- Numbers ---- */

static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1D;
}

static inline size_t random_below(uint64_t *state, size_t limit)
{
	return (size_t)(random_next(state) >> 16) % limit;
}

/* ---- Pages that do not exist ---- */

enum fake_call {
	RESERVE,
	COMMIT,
	PROTECT,
	DECOMMIT,
	DISCARD,
	PREFER_HUGE,
	DIVIDE,
	UNITE,
	RELEASE,
	GIVE_UP,
	FAKE_CALLS
};

struct fake_pages {
	struct hm_page_source source;
	uintptr_t next;             /* where the next reservation goes */
	size_t large;               /* size of a large page */
	HRESULT answer[FAKE_CALLS]; /* what a call returns; zeroed: success */
	unsigned calls[FAKE_CALLS];
	uintptr_t address; /* of the last call */
	size_t size, alignment;
	unsigned access, flags;
	void (*hook)(void *state); /* runs in every call, if there is one */
	void *hook_state;
};

static inline HRESULT fake_note(const struct hm_page_source *self, enum fake_call call,
				const void *address, size_t size, unsigned access)
{
	struct fake_pages *fake = hm_container_of((uintptr_t)self, struct fake_pages,
						  source);

	fake->calls[call]++;
	fake->address = (uintptr_t)address;
	fake->size = size;
	fake->access = access;
	if (fake->hook != NULL)
		fake->hook(fake->hook_state);
	return fake->answer[call];
}

static inline size_t fake_large(const struct hm_page_source *self)
{
	return hm_const_container_of(self, struct fake_pages, source)->large;
}

static inline HRESULT fake_reserve(const struct hm_page_source *self, void *wanted,
				   size_t size, size_t alignment, unsigned flags,
				   unsigned access, void **out)
{
	struct fake_pages *fake = hm_container_of((uintptr_t)self, struct fake_pages,
						  source);
	uintptr_t at = (uintptr_t)wanted;
	HRESULT hr;

	if (wanted == NULL) {
		at = (fake->next + alignment - 1) & ~((uintptr_t)alignment - 1);
		fake->next = (at + size + UNIT - 1) & ~((uintptr_t)UNIT - 1);
	}
	hr = fake_note(self, RESERVE, (void *)at, size, access);
	fake->alignment = alignment;
	fake->flags = flags;
	*out = SUCCEEDED(hr) ? (void *)at : NULL;
	return hr;
}

static inline HRESULT fake_commit(const struct hm_page_source *self, void *address,
				  size_t size, unsigned access,
				  const struct hm_page_history *before)
{
	(void)before;
	return fake_note(self, COMMIT, address, size, access);
}

static inline HRESULT fake_protect(const struct hm_page_source *self, void *address,
				   size_t size, unsigned access,
				   const struct hm_page_history *before)
{
	(void)before;
	return fake_note(self, PROTECT, address, size, access);
}

static inline HRESULT fake_decommit(const struct hm_page_source *self, void *address,
				    size_t size, const struct hm_page_history *before)
{
	(void)before;
	return fake_note(self, DECOMMIT, address, size, 0);
}

static inline void fake_discard(const struct hm_page_source *self, void *address,
				size_t size)
{
	(void)fake_note(self, DISCARD, address, size, 0);
}

static inline void fake_prefer_huge(const struct hm_page_source *self, void *address,
				    size_t size)
{
	(void)fake_note(self, PREFER_HUGE, address, size, 0);
}

static inline void fake_divide(const struct hm_page_source *self, void *address,
			       size_t size, const struct hm_page_history *before)
{
	(void)before;
	(void)fake_note(self, DIVIDE, address, size, 0);
}

static inline void fake_unite(const struct hm_page_source *self, void *address,
			      size_t size, const struct hm_page_history *before)
{
	(void)before;
	(void)fake_note(self, UNITE, address, size, 0);
}

static inline HRESULT fake_release(const struct hm_page_source *self, void *address,
				   size_t size, const struct hm_page_history *before)
{
	(void)before;
	return fake_note(self, RELEASE, address, size, 0);
}

static inline void fake_give_up(const struct hm_page_source *self, void *address,
				size_t size)
{
	(void)fake_note(self, GIVE_UP, address, size, 0);
}

static inline void fake_pages_init(struct fake_pages *fake)
{
	*fake = (struct fake_pages){
		.source = {
			.large_page_size = fake_large,
			.reserve = fake_reserve,
			.commit = fake_commit,
			.protect = fake_protect,
			.decommit = fake_decommit,
			.discard = fake_discard,
		.prefer_huge = fake_prefer_huge,
			.divide = fake_divide,
			.unite = fake_unite,
			.release = fake_release,
			.give_up = fake_give_up,
		},
		.next = FAKE_BASE,
	};
}

/* ---- A host ---- */

struct fake_host {
	struct hm_host host;
	struct fake_pages pages;
	unsigned destroyed;
	size_t in_use; /* bytes of records before it began */
};

static inline void fake_destroy(struct hm_host *host)
{
	hm_container_of(host, struct fake_host, host)->destroyed++;
}

static inline void fake_host_init(struct fake_host *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake_pages_init(&fake->pages);
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_calls_enter();
	CHECK(hm_metadata_prepare());
	hm_calls_leave();
	fake->in_use = hm_metadata_in_use();
	hm_host_init(&fake->host, &fake->pages.source, fake_destroy);
}

/* The last reference: the host must end, and leave no record behind. */
static inline void fake_host_end(struct fake_host *fake)
{
	CHECK_U32(hm_host_release(&fake->host), 0);
	CHECK_U32(fake->destroyed, 1);
	CHECK_SIZE(hm_metadata_in_use(), fake->in_use);
}

static inline void fake_limit(struct hm_host *host, size_t limit)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = limit;
	CHECK_HR(hm_host_set_budget(host, &budget), S_OK);
}

static inline HostMemUsage fake_usage(const struct fake_host *fake)
{
	HostMemUsage usage;

	hm_host_usage(&fake->host, &usage);
	return usage;
}

#define CHECK_USAGE(fake, reserved, committed) \
	check_usage((fake), (reserved), (committed), __FILE__, __LINE__)

/* What is committed is what is charged, where nothing is acquired. */
static inline void check_usage(const struct fake_host *fake, size_t reserved,
			       size_t committed, const char *file, int line)
{
	HostMemUsage usage = fake_usage(fake);

	tap_check_unsigned(usage.cbReserved, reserved, "cbReserved", file, line);
	tap_check_unsigned(usage.cbCommitted, committed, "cbCommitted", file, line);
	tap_check_unsigned(usage.cbCharged, committed, "cbCharged", file, line);
	tap_check_unsigned(fake->host.budget.claimed, committed, "claimed", file, line);
}

/* ---- A subscriber ---- */

struct listener {
	HostMemEvent events[64];
	unsigned count;
	uint32_t refuse; /* answers FALSE to its call number `refuse`, counted from 1 */
	void (*hook)(struct listener *listener, const HostMemEvent *event);
	void *state;
	uint64_t cookie;
	unsigned *clock; /* shared: who was called when */
	unsigned when;
};

static inline BOOL HOSTMEM_CALL listener_hear(void *state, const HostMemEvent *event)
{
	struct listener *listener = state;

	if (listener->count < ROWS(listener->events))
		listener->events[listener->count] = *event;
	listener->count++;
	if (listener->clock != NULL)
		listener->when = ++*listener->clock;
	if (listener->hook != NULL)
		listener->hook(listener, event);
	return listener->refuse != listener->count;
}

static inline void listen(struct hm_host *host, struct listener *listener, uint32_t mask)
{
	CHECK_HR(hm_events_subscribe(&host->events, mask, listener_hear, listener,
				     &listener->cookie),
		 S_OK);
}

#define ALL_EVENTS 7U
#define CHECK_EVENT(listener, i, type, operation, size) \
	check_event((listener), (i), (type), (operation), (size), __FILE__, __LINE__)

static inline void check_event(const struct listener *listener, unsigned i,
			       HostMemEventType type, HostMemOperation operation,
			       size_t size, const char *file, int line)
{
	const HostMemEvent *event = &listener->events[i];

	if (!tap_check(i < listener->count, "there is such an event", file, line))
		return;
	tap_check_int(event->type, type, "event.type", file, line);
	tap_check_int(event->operation, operation, "event.operation", file, line);
	tap_check_unsigned(event->size, size, "event.size", file, line);
}

/* A request belongs to the stack of one thread, so it is opened where it lives. */
#define OPEN(name, operation) \
	struct hm_request name; \
	CHECK_HR(hm_request_open(&name, host, (operation), eAppDomainCritical, \
				 (void *)FAKE_BASE), \
		 S_OK)

static inline HRESULT fake_perform(struct hm_work *work, struct hm_request *request)
{
	(void)work, (void)request;
	return S_OK;
}

/* All of a request but the system's part: what was granted stays pending. */
static inline HRESULT fake_ask(struct hm_request *request, size_t size)
{
	struct hm_work work = { .size = size, .charge = size, .perform = fake_perform };

	return hm_request_run(request, &work);
}

/* ---- Memory for records that runs out ---- */

static void *(*fake_real_map)(void *, size_t, int, int, int, long);

static inline void *fake_refuse_map(void *address, size_t size, int protection, int flags,
				    int file, long offset)
{
	(void)address, (void)size, (void)protection, (void)flags, (void)file,
		(void)offset;
	errno = ENOMEM;
	return MAP_FAILED;
}

/* From here on the library gets no more memory for its records from the system. */
static inline void memory_refuse(void)
{
	fake_real_map = hm_system.map;
	hm_system.map = fake_refuse_map;
}

static inline void memory_allow(void)
{
	hm_system.map = fake_real_map;
}

/* A chain of blocks that nobody else can have meanwhile. */
struct hoard {
	void **first;
};

static inline void hoard_add(struct hoard *hoard, void *block)
{
	void **link = block;

	*link = hoard->first;
	hoard->first = link;
}

/* Refuses memory and takes every free block of a kind but what is set aside. */
static inline void hoard_kind(struct hoard *hoard, enum hm_metadata_kind kind,
			      enum hm_metadata_need need)
{
	void *block;

	memory_refuse();
	hoard->first = NULL;
	while ((block = hm_metadata_take(kind, need)) != NULL)
		hoard_add(hoard, block);
}

/* Gives up to `count` of them back. */
static inline void hoard_give(struct hoard *hoard, enum hm_metadata_kind kind,
			      size_t count)
{
	while (hoard->first != NULL && count-- > 0) {
		void **block = hoard->first;

		hoard->first = *block;
		hm_metadata_give(kind, block);
	}
}

static inline void hoard_end(struct hoard *hoard, enum hm_metadata_kind kind)
{
	hoard_give(hoard, kind, SIZE_MAX);
	memory_allow();
}

/* The same for blocks of one size. */
static inline void hoard_size(struct hoard *hoard, size_t size)
{
	void *block;

	memory_refuse();
	hoard->first = NULL;
	while ((block = hm_metadata_alloc(size)) != NULL)
		hoard_add(hoard, block);
}

static inline void hoard_end_size(struct hoard *hoard, size_t size)
{
	while (hoard->first != NULL) {
		void **block = hoard->first;

		hoard->first = *block;
		hm_metadata_free(block, size);
	}
	memory_allow();
}

#endif
