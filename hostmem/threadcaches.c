/*
 * Which thread has which cache.
 *
 * A thread keeps the caches it has used last in eight words of its own, by the number of
 * their heap, and all of them in a list.  When it ends, what is in them goes to the common
 * cache of their heap, and the records to those that nobody has.  What the thread does
 * afterwards (destructors of others may still free) is done without a cache.
 *
 * Records are never given back: whoever stops the quick calls walks through all there are,
 * without a lock.
 *
 * Locks: HM_RANK_HEAPS around the records that nobody has, and while a thread's caches are
 * emptied, so that no heap ends meanwhile.
 */
#include "threadcaches.h"
#include "calls.h"
#include "heap.h"
#include "metadata.h"
#include "os/lock.h"

/* Idle spans that a thread keeps: a mebibyte. */
#define MOST_IDLE 16U

/* Serves no heap, and has nothing.  All of its users may be inside at once. */
static struct hm_cache nobody;

HM_THREAD_LOCAL struct hm_cache *hm_cache_slots[HM_CACHE_SLOTS] = {
	&nobody, &nobody, &nobody, &nobody, &nobody, &nobody, &nobody, &nobody,
};

static HM_THREAD_LOCAL struct hm_cache *own;
static HM_THREAD_LOCAL bool ending;

static struct hm_lock lock;
static struct hm_cache *nobodys; /* by `next` */
static _Atomic(struct hm_cache *) all;

void hm_caches_lock(void)
{
	hm_lock_acquire(&lock, HM_RANK_HEAPS);
}

void hm_caches_unlock(void)
{
	hm_lock_release(&lock, HM_RANK_HEAPS);
}

struct hm_cache *hm_caches_first(void)
{
	return atomic_load(&all);
}

/* ---- Records ---- */

static struct hm_cache *make(void)
{
	struct hm_cache *cache = hm_metadata_map_forever(sizeof(*cache));

	if (cache == NULL)
		return NULL;
	cache->quick.at_work = hm_cache_is_at_work;
	hm_quick_register(&cache->quick);
	cache->next_all = atomic_load(&all);
	while (!atomic_compare_exchange_weak(&all, &cache->next_all, cache))
		continue;
	return cache;
}

static struct hm_cache *obtain(void)
{
	struct hm_cache *cache;

	hm_caches_lock();
	cache = nobodys;
	if (cache != NULL)
		nobodys = cache->next;
	hm_caches_unlock();
	return cache != NULL ? cache : make();
}

static void put_down_locked(struct hm_cache *cache)
{
	cache->next = nobodys;
	nobodys = cache;
	cache->common = false;
}

static void serve(struct hm_cache *cache, struct hm_heap *heap, uint64_t number)
{
	hm_cache_clear(cache);
	cache->frugal = false;
	cache->most_idle = MOST_IDLE;
	hm_quick_lock();
	atomic_store(&cache->heap, heap);
	hm_quick_set_purpose(&cache->quick, number);
	hm_quick_set_unusual(&cache->quick, hm_heap_is_unusual(heap));
	hm_quick_unlock();
}

void hm_cache_dismiss(struct hm_cache *cache)
{
	hm_quick_lock();
	hm_quick_set_unusual(&cache->quick, true);
	hm_quick_set_purpose(&cache->quick, 0);
	atomic_store(&cache->heap, NULL);
	hm_quick_unlock();
}

static void refresh(struct hm_cache *cache)
{
	const struct hm_heap *heap = atomic_load(&cache->heap);

	if (heap != NULL)
		hm_quick_set_unusual(&cache->quick, hm_heap_is_unusual(heap));
}

void hm_caches_refresh(const struct hm_host *host)
{
	hm_quick_lock();
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all) {
		const struct hm_heap *heap = atomic_load(&cache->heap);

		if (heap != NULL && heap->host == host)
			refresh(cache);
	}
	hm_quick_unlock();
}

void hm_caches_refresh_alone(void)
{
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all)
		refresh(cache);
}

struct hm_cache *hm_cache_new(struct hm_heap *heap, uint64_t number)
{
	struct hm_cache *cache = obtain();

	if (cache == NULL)
		return NULL;
	cache->common = true;
	serve(cache, heap, number);
	return cache;
}

void hm_cache_retire(struct hm_cache *cache)
{
	hm_cache_dismiss(cache);
	hm_caches_lock();
	put_down_locked(cache);
	hm_caches_unlock();
}

/* ---- Of a thread ---- */

static struct hm_cache *find_own(uint64_t number)
{
	struct hm_cache **link = &own, *found;

	while (*link != NULL && !hm_cache_serves(*link, number))
		link = &(*link)->next;
	if (*link == NULL)
		return NULL;
	found = *link;
	/* To the front: it is likely to be wanted again. */
	*link = found->next;
	found->next = own;
	own = found;
	return own;
}

struct hm_cache *hm_cache_of_thread(struct hm_heap *heap, uint64_t number)
{
	struct hm_cache *cache = find_own(number);

	if (ending)
		return NULL;
	if (cache == NULL) {
		cache = find_own(0);
		if (cache == NULL) {
			cache = obtain();
			if (cache == NULL)
				return NULL;
			cache->next = own;
			own = cache;
		}
		serve(cache, heap, number);
		hm_thread_watch_end();
	}
	hm_cache_slots[number % HM_CACHE_SLOTS] = cache;
	return cache;
}

/* Empties a cache whose thread is gone, or is going; false: not now. */
static bool abandon(struct hm_cache *cache, bool alone)
{
	struct hm_heap *heap = atomic_load(&cache->heap);

	if (heap != NULL && !hm_heap_inherit(heap, cache, alone))
		return false;
	hm_cache_dismiss(cache);
	return true;
}

/* Of a list, as far as it can be done; what is left of the list. */
static struct hm_cache *abandon_list(struct hm_cache *cache)
{
	hm_calls_enter();
	hm_caches_lock();
	while (cache != NULL && abandon(cache, false)) {
		struct hm_cache *next = cache->next;

		put_down_locked(cache);
		cache = next;
	}
	hm_caches_unlock();
	hm_calls_leave();
	return cache;
}

static void end_of_thread(void)
{
	struct hm_cache *cache = own;

	ending = true;
	own = NULL;
	for (unsigned slot = 0; slot < HM_CACHE_SLOTS; slot++)
		hm_cache_slots[slot] = &nobody;
	while (cache != NULL)
		cache = abandon_list(cache);
}

HRESULT hm_caches_prepare(void)
{
	hm_quick_prepare();
	return hm_thread_at_end(end_of_thread);
}

static bool is_own(const struct hm_cache *cache)
{
	const struct hm_cache *mine = own;

	while (mine != NULL && mine != cache)
		mine = mine->next;
	return mine != NULL;
}

void hm_caches_after_fork(void)
{
	hm_quick_after_fork();
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all) {
		for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++)
			hm_bin_give_up(&cache->bins[class]);
		if (cache->common || hm_cache_serves(cache, 0) || is_own(cache))
			continue;
		(void)abandon(cache, true);
		put_down_locked(cache);
	}
}
