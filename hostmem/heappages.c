/*
 * Pages for heaps.
 *
 * A span reserves a granule and has pages committed from its front as its blocks are
 * needed: one page first, then twice as many each time, up to whole granules.  So a heap of
 * a few blocks costs a few pages, and a large one a request for each 64 KiB.  Where addresses
 * are charged and pages are not, all of it is committed at once.
 *
 * A request for pages is made with nothing held, since callbacks may do anything meanwhile,
 * this heap's blocks included.  What is to be done with the pages is decided when they have
 * been granted; if by then they would be charged otherwise, it is asked anew.
 *
 * When the host is short, a block that is free anywhere will do: everybody's caches are
 * emptied for it.  If there is none the request makes do with the pages of one block.  While
 * it waits, a block that somebody frees is handed to it.
 *
 * A span whose pages are just being committed is busy: it stays with its owner, and nobody
 * else adds pages to it.
 *
 * Locks: HM_RANK_HEAP for the common cache, not across the system's part.
 */
#include "heappages.h"
#include "attempt.h"
#include "calls.h"
#include "commit.h"
#include "gate.h"
#include "os/check.h"
#include "os/container.h"
#include "release.h"

struct growth {
	struct hm_work work;
	struct hm_block_want want; /* with a block that came while it waited */
	struct hm_heap *heap;
	const struct hm_block_wish *wish;
	unsigned class;
	void *found;            /* a free block */
	struct hm_cache *owner; /* of the span to which pages are being added */
	struct hm_span *span;   /* to which pages are to be added; NULL: to a new one */
	uintptr_t place;        /* of the pages to come; 0 = not known */
	uint32_t from;          /* bytes that it has */
	uint32_t bytes;         /* that are to be added */
	uint32_t least;         /* that would do for one block */
};

/* ---- The cache that grows ---- */

static void enter_cache(struct hm_heap *heap, struct hm_cache *cache)
{
	if (cache == heap->common && heap->only == NULL)
		hm_heap_lock(heap);
	hm_quick_enter(&cache->quick);
}

/* The thread's own, or the common one under the lock. */
static struct hm_cache *open_cache(struct hm_heap *heap)
{
	struct hm_cache *cache = heap->only;

	if (cache == NULL)
		cache = hm_cache_of_thread(heap, heap->number);
	if (cache == NULL)
		cache = heap->common;
	enter_cache(heap, cache);
	return cache;
}

static void close_cache(struct hm_heap *heap, struct hm_cache *cache)
{
	hm_quick_leave(&cache->quick);
	if (cache == heap->common && heap->only == NULL)
		hm_heap_unlock(heap);
}

/* ---- How much ---- */

static uint32_t round_to_pages(size_t bytes)
{
	return (uint32_t)hm_round_up(bytes, HM_PAGE_SIZE);
}

static bool fits(const struct hm_host *host, EMemoryCriticalLevel level, size_t charge)
{
	return hm_budget_could_admit(&host->budget, level, charge) &&
	       hm_budget_lacks(&host->budget, level, charge) == 0;
}

/* Which span is to grow, and by how much.  Between hm_calls_enter and hm_calls_leave. */
static void plan(struct growth *self)
{
	size_t size = hm_block_size(self->class);
	struct hm_cache *cache;
	uint32_t step;

	cache = open_cache(self->heap);
	self->span = cache->bins[self->class].growing;
	self->from = self->span != NULL ? self->span->committed : 0;
	self->place = self->span != NULL ? hm_span_base(self->span) + self->from : 0;
	step = cache->bins[self->class].step;
	close_cache(self->heap, cache);
	self->least = round_to_pages((self->from / size + 1) * size) - self->from;
	self->bytes = (uint32_t)hm_min(hm_max(step, self->least),
				       HM_SPAN_SIZE - self->from);
	/* Where addresses are charged pages cost nothing more. */
	if (hm_budget_charges_reserve(&self->heap->host->budget))
		self->bytes = self->least = HM_SPAN_SIZE;
	else if (!fits(self->heap->host, self->wish->level, self->bytes))
		self->bytes = self->least;
	self->work.charge = self->bytes;
}

/* ---- Growing ---- */

/* What is pending is settled by what it is for: the pages. */
static HRESULT reserve(struct hm_request *request, const struct growth *self,
		       uintptr_t *base)
{
	bool whole = self->bytes == HM_SPAN_SIZE;
	const struct hm_allocation want = {
		.size = HM_SPAN_SIZE,
		.alignment = HM_SPAN_SIZE,
		.type = MEM_RESERVE | (whole ? MEM_COMMIT : 0U),
		.protect = self->heap->protect,
		.level = self->wish->level,
		.heap = true,
	};
	size_t pending = request->pending;
	void *given = NULL;
	HRESULT hr;

	if (!whole)
		request->pending = 0;
	hr = hm_reserve_granted(request, &want, HM_SPAN_SIZE, &given);
	if (!whole)
		request->pending = pending;
	*base = (uintptr_t)given;
	return hr;
}

/* Pages for a span; all or nothing. */
static HRESULT obtain(struct hm_request *request, const struct growth *self,
		      uintptr_t *base)
{
	HRESULT hr = reserve(request, self, base);
	size_t freed = 0;

	if (FAILED(hr) || self->bytes == HM_SPAN_SIZE)
		return hr;
	hr = hm_commit_granted(request, *base, self->bytes, self->heap->protect);
	if (FAILED(hr))
		(void)hm_release_heaps(request->host, *base, &freed);
	return hr;
}

static HRESULT make_span(struct growth *self, struct hm_request *request)
{
	struct hm_heap *heap = self->heap;
	/* First, so that nothing was ever charged that could not be had. */
	struct hm_span *span = hm_span_new(heap, hm_span_kind_of(self->class));
	struct hm_cache *cache;
	uintptr_t base;
	HRESULT hr;

	if (span == NULL)
		return E_OUTOFMEMORY;
	hr = obtain(request, self, &base);
	if (FAILED(hr)) {
		hm_span_delete(span);
		return hr;
	}
	hm_span_place_at(span, base);
	span->committed = self->bytes;
	atomic_fetch_add(&heap->host->heap_pages, self->bytes);
	atomic_fetch_add(&heap->spans, 1);
	hm_span_format(span, self->class);
	cache = open_cache(heap);
	hm_cache_enter_span(cache, span);
	self->found = hm_cache_find(cache, self->class);
	close_cache(heap, cache);
	hm_heap_doom_unwanted(heap);
	return S_OK;
}

/* false: it is not what was planned any more. */
static bool begin_extending(struct growth *self)
{
	struct hm_cache *cache = open_cache(self->heap);
	struct hm_cache_bin *bin = &cache->bins[self->class];
	bool same = bin->growing == self->span && self->span->committed == self->from;

	if (same) {
		self->span->busy = true;
		self->owner = cache;
		bin->growing = NULL;
	}
	close_cache(self->heap, cache);
	return same;
}

static void end_extending(struct growth *self, bool done)
{
	struct hm_cache *cache = self->owner;
	struct hm_cache_bin *bin = &cache->bins[self->class];
	struct hm_span *span = self->span;

	enter_cache(self->heap, cache);
	span->busy = false;
	if (done)
		hm_span_grow(span, self->from + self->bytes);
	/* First: what is done next may find that nothing in it is live. */
	if (bin->growing == NULL && hm_span_count(span) < span->capacity)
		bin->growing = span;
	if (done) {
		(void)hm_cache_rearrange(cache, span);
		self->found = hm_cache_find(cache, self->class);
	}
	close_cache(self->heap, cache);
}

static HRESULT extend_span(struct growth *self, struct hm_request *request)
{
	struct hm_heap *heap = self->heap;
	HRESULT hr;

	hr = hm_commit_granted(request, hm_span_base(self->span) + self->from,
			       self->bytes, heap->protect);
	if (SUCCEEDED(hr))
		atomic_fetch_add(&heap->host->heap_pages, self->bytes);
	end_extending(self, SUCCEEDED(hr));
	return hr;
}

static void take_longer_step(struct growth *self)
{
	struct hm_cache *cache = open_cache(self->heap);
	struct hm_cache_bin *bin = &cache->bins[self->class];

	if (bin->step < HM_SPAN_SIZE)
		bin->step *= 2;
	close_cache(self->heap, cache);
}

/* ---- As a request ---- */

static void *take_found(struct growth *self)
{
	void *block = self->found != NULL ? self->found : self->want.block;

	if (block == self->found)
		self->found = NULL;
	else
		self->want.block = NULL;
	return block;
}

static bool has_block(const struct growth *self)
{
	return self->found != NULL || self->want.block != NULL;
}

static HRESULT perform(struct hm_work *work, struct hm_request *request)
{
	struct growth *self = hm_container_of(work, struct growth, work);
	HRESULT hr;

	if (has_block(self)) {
		work->charge = 0;
		return request->pending == 0 ? S_OK : S_FALSE;
	}
	if (self->span == NULL) {
		hr = make_span(self, request);
	} else if (begin_extending(self)) {
		hr = extend_span(self, request);
	} else {
		plan(self);
		return S_FALSE;
	}
	if (SUCCEEDED(hr)) {
		take_longer_step(self);
		if (atomic_load(&self->heap->waiters) != 0)
			hm_waiting_look_again(&request->host->waiting, self->heap);
	}
	hm_assert(FAILED(hr) || self->found != NULL);
	return hr;
}

/* A free block anywhere, or fewer pages. */
static bool economize(struct hm_work *work, struct hm_request *request)
{
	struct growth *self = hm_container_of(work, struct growth, work);
	struct hm_heap *heap = self->heap;

	hm_calls_enter();
	if (!has_block(self) && hm_gate_passes(request->host))
		self->found = hm_heap_find_anywhere(heap, self->class,
						    self->wish->alignment);
	hm_calls_leave();
	if (has_block(self)) {
		work->charge = 0;
		return true;
	}
	if (self->bytes <= self->least)
		return false;
	self->bytes = self->least;
	work->charge = self->bytes;
	return true;
}

/* What to ask for: a block that is there, or pages.  Fault rules see what is there, too. */
static HRESULT prepare(struct growth *self)
{
	struct hm_heap *heap = self->heap;
	HRESULT hr = hm_gate_enter_calls(heap->host, HM_IMPATIENT);

	if (FAILED(hr))
		return hr;
	if (hm_heap_recall(heap) || hm_faults_any(&heap->host->faults))
		self->found = hm_heap_find(heap, self->class);
	if (self->found == NULL)
		plan(self);
	hm_calls_leave();
	return S_OK;
}

HRESULT hm_heap_grow(struct hm_heap *heap, const struct hm_block_wish *wish,
		     unsigned class, void **out)
{
	struct growth self = {
		.work = { .size = hm_block_asked(wish),
			  .perform = perform,
			  .reason = HostMemBySystem,
			  .modest = wish->modest,
			  .economize = economize,
			  .want = &self.want },
		.want = { .heap = heap,
			  .size = hm_block_size(class),
			  .alignment = wish->alignment,
			  .waiters = &heap->waiters },
		.heap = heap,
		.wish = wish,
		.class = class,
	};
	struct hm_request request;
	HRESULT hr;

	hr = hm_request_open(&request, heap->host, HostMemHeap, wish->level, NULL);
	if (FAILED(hr))
		return hr;
	hr = prepare(&self);
	if (self.found == NULL && self.span != NULL)
		request.address = (void *)self.place;
	if (SUCCEEDED(hr))
		hr = hm_request_run(&request, &self.work);
	if (SUCCEEDED(hr))
		*out = take_found(&self);
	hm_request_close(&request);
	/* One that it was refused after all, and a second one. */
	while (has_block(&self))
		(void)hm_heap_free(heap, take_found(&self));
	/* What is unwanted, and what threads have left behind that have ended. */
	(void)hm_heap_give_back(heap->host);
	return hr;
}
