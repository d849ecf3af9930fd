#ifndef HOSTMEM_THREADCACHES_H
#define HOSTMEM_THREADCACHES_H

#include "caches.h"
#include "os/thread.h"

/*
 * Which thread has which cache: one for each heap that it uses.
 *
 * A cache record belongs to its thread until the thread ends, also when the heap is gone,
 * so what a thread remembers of it in its own variables is never somebody else's.
 */
struct hm_host;

#define HM_CACHE_SLOTS 8U
extern HM_HIDDEN HM_THREAD_LOCAL struct hm_cache *hm_cache_slots[HM_CACHE_SLOTS];

/* What a thread has in a slot: the cache it has used last, or one that serves nobody. */
HM_QUICK struct hm_cache *hm_cache_in_slot(uint32_t slot)
{
	return hm_cache_slots[slot];
}

HM_QUICK bool hm_cache_serves(const struct hm_cache *cache, uint64_t number)
{
	return hm_quick_purpose(&cache->quick) == number;
}

/* This thread's cache for the heap with that number, found or made; NULL: there is no
 * memory, or the thread is ending.  Between hm_calls_enter and hm_calls_leave, outside of
 * quick calls, without a lock. */
struct hm_cache *hm_cache_of_thread(struct hm_heap *heap, uint64_t number);

/* One that is no thread's, and serves `heap` with that number; NULL = no memory.  Its end
 * comes with hm_cache_retire, when it is empty. */
struct hm_cache *hm_cache_new(struct hm_heap *heap, uint64_t number);
void hm_cache_retire(struct hm_cache *cache);

/* A thread's cache that has been emptied serves no heap any more. */
void hm_cache_dismiss(struct hm_cache *cache);

/* Once per process, before the first of the above; E_OUTOFMEMORY if the ends of threads
 * cannot be watched. */
HRESULT hm_caches_prepare(void);

/* All there are, by next_all; those in no use serve nobody. */
struct hm_cache *hm_caches_first(void);

/* Decides anew whether quick calls are for the heaps of a host: after something has changed
 * that hm_heap_is_unusual looks at.  Between hm_calls_enter and hm_calls_leave. */
void hm_caches_refresh(const struct hm_host *host);
void hm_caches_refresh_alone(void);

/* HM_RANK_HEAPS: around looking at other threads' caches and at heaps by the caches that
 * serve them. */
void hm_caches_lock(void);
void hm_caches_unlock(void);

/* In a fork child: what other threads had is everybody's. */
void hm_caches_after_fork(void);

#endif
