/*
 * Large blocks: each is a reservation of its own, committed as far as it is needed.
 *
 * A block that shrinks gives pages back and keeps its addresses, so it can grow again where
 * it is.  One that has to grow beyond them moves; addresses in advance were not taken, since
 * a budget may charge them.
 *
 * Without guard pages each of them costs the kernel two mappings, so there can be some
 * 32,000.  Sharing spans as far as two blocks fit was rejected: two thirds of a heap could
 * be free there and serve no other size; and doing so only without guard pages, because the
 * same calls are to have the same events on every machine.
 *
 * A few that were freed are kept for later, if they are small: sizes of a few pages come and
 * go often, and pages cost more than all else about a block.  They are charged, like idle
 * spans, and go where those go; and where nobody wants them while the heap grows for other
 * sizes, one goes with each new span.
 *
 * Locks: HM_RANK_HEAP around the lists.
 */
#include "announce.h"
#include "attempt.h"
#include "calls.h"
#include "commit.h"
#include "gate.h"
#include "heappages.h"
#include "os/container.h"
#include "release.h"
#include "reserve.h"

#include <string.h>

/* Of large blocks, this part may be kept; and so many bytes in any case. */
#define KEPT_SHARE 64U
#define KEPT_ANYWAY ((size_t)512 << 10)

struct large {
	struct hm_work work;
	struct hm_heap *heap;
	size_t pages; /* bytes */
	size_t alignment;
	EMemoryCriticalLevel level;
	struct hm_span *span; /* made, or to be extended */
};

static void enter_locked(struct hm_heap *heap, struct hm_span *span)
{
	hm_span_push(&heap->large, span, HM_SPAN_LARGE);
	atomic_fetch_add(&heap->large_bytes, span->length);
	atomic_fetch_add(&heap->large_count, 1);
}

static void enter(struct hm_heap *heap, struct hm_span *span)
{
	hm_heap_lock(heap);
	enter_locked(heap, span);
	hm_heap_unlock(heap);
	atomic_fetch_add(&heap->host->heap_pages, span->length);
}

static HRESULT make(struct hm_work *work, struct hm_request *request)
{
	struct large *self = hm_container_of(work, struct large, work);
	struct hm_allocation want = {
		.size = self->pages,
		.alignment = hm_max(self->alignment, HM_GRANULE_SIZE),
		.type = MEM_RESERVE | MEM_COMMIT,
		.protect = self->heap->protect,
		.level = self->level,
		.heap = true,
	};
	/* First, so that nothing was ever charged that could not be had. */
	struct hm_span *span = hm_span_new(self->heap, HM_SPAN_WHOLE);
	void *given;
	HRESULT hr;

	if (span == NULL)
		return E_OUTOFMEMORY;
	hr = hm_reserve_granted(request, &want, self->pages, &given);
	if (FAILED(hr)) {
		hm_span_delete(span);
		return hr;
	}
	hm_span_place_at(span, (uintptr_t)given);
	span->length = span->room = self->pages;
	enter(self->heap, span);
	self->span = span;
	return S_OK;
}

static HRESULT run(struct large *self, void *address)
{
	struct hm_host *host = self->heap->host;
	struct hm_request request;
	HRESULT hr;

	hr = hm_request_open(&request, host, HostMemHeap, self->level, address);
	if (FAILED(hr))
		return hr;
	/* More than there are addresses: no budget has to be asked. */
	if (self->pages >= HM_USER_END)
		hr = hm_request_refuse(&request, E_OUTOFMEMORY, HostMemByOverflow);
	else
		hr = hm_request_run(&request, &self->work);
	hm_request_close(&request);
	return hr;
}

/* ---- What is kept ---- */

static size_t most_kept(const struct hm_heap *heap)
{
	return hm_max(KEPT_ANYWAY, atomic_load(&heap->large_bytes) / KEPT_SHARE);
}

static struct hm_span *take_kept_locked(struct hm_heap *heap, size_t pages)
{
	struct hm_span_list *list = &heap->kept[hm_pages(pages)];
	struct hm_span *span = list->first;

	if (span != NULL) {
		hm_span_unlink(list, span);
		heap->kept_bytes -= span->length;
	}
	return span;
}

/* One that is not the last to have been freed, as a rule: each list in turn. */
static void doom_one_locked(struct hm_heap *heap)
{
	struct hm_span *span = NULL;

	while (span == NULL) {
		heap->kept_next = (heap->kept_next + 1) % (HM_KEPT_PAGES + 1);
		span = take_kept_locked(heap, hm_bytes(heap->kept_next));
	}
	hm_heap_doom(heap->host, span);
}

void hm_heap_doom_kept_locked(struct hm_heap *heap)
{
	while (heap->kept_bytes != 0)
		doom_one_locked(heap);
}

void hm_heap_doom_unwanted(struct hm_heap *heap)
{
	hm_heap_lock(heap);
	if (heap->kept_bytes != 0 && !heap->kept_used)
		doom_one_locked(heap);
	heap->kept_used = false;
	hm_heap_unlock(heap);
}

bool hm_heap_free_large_locked(struct hm_heap *heap, struct hm_span *span)
{
	size_t most = most_kept(heap);
	bool doomed = false;

	hm_span_unlink(&heap->large, span);
	atomic_fetch_sub(&heap->large_bytes, span->length);
	atomic_fetch_sub(&heap->large_count, 1);
	if (hm_pages(span->length) > HM_KEPT_PAGES || span->length != span->room ||
	    !hm_committed_as(heap->host, hm_span_base(span), span->length,
			     heap->protect) ||
	    atomic_load(&heap->host->waiting.expected) != 0) {
		hm_heap_doom(heap->host, span);
		return true;
	}
	for (; heap->kept_bytes + span->length > most; doomed = true)
		doom_one_locked(heap);
	hm_span_push(&heap->kept[hm_pages(span->length)], span, HM_SPAN_KEPT);
	heap->kept_bytes += span->length;
	return doomed;
}

/* A block that was freed before; false: there is none of that size. */
static bool use_kept(struct hm_heap *heap, size_t pages, const struct hm_block_wish *wish,
		     void **out)
{
	struct hm_span *span = NULL;

	if (hm_pages(pages) > HM_KEPT_PAGES || wish->alignment > HM_GRANULE_SIZE ||
	    hm_faults_any(&heap->host->faults))
		return false;
	hm_heap_lock(heap);
	span = take_kept_locked(heap, pages);
	if (span != NULL) {
		enter_locked(heap, span);
		heap->kept_used = true;
	}
	hm_heap_unlock(heap);
	if (span == NULL)
		return false;
	*out = (void *)hm_span_base(span);
	if (wish->zero)
		memset(*out, 0, wish->size);
	return true;
}

/* ---- A new one ---- */

HRESULT hm_heap_alloc_large(struct hm_heap *heap, const struct hm_block_wish *wish,
			    void **out)
{
	size_t size = hm_min(hm_max(wish->size, 1), HM_USER_END);
	struct large self = {
		.work = { .perform = make,
			  .reason = HostMemBySystem,
			  .modest = wish->modest },
		.heap = heap,
		.pages = hm_round_up(size, HM_PAGE_SIZE),
		.alignment = wish->alignment,
		.level = wish->level,
	};
	HRESULT hr = hm_gate_enter_calls(heap->host, HM_IMPATIENT);
	bool used;

	if (FAILED(hr))
		return hr;
	used = use_kept(heap, self.pages, wish, out);
	hm_calls_leave();
	if (used)
		return S_OK;
	if (wish->alignment >= HM_USER_END)
		self.pages = HM_USER_END;
	self.work.size = hm_block_asked(wish);
	self.work.charge = self.pages;
	hr = run(&self, NULL);
	if (SUCCEEDED(hr))
		*out = (void *)hm_span_base(self.span);
	return hr;
}

/* ---- Another size ---- */

static void set_length(struct hm_heap *heap, struct hm_span *span, size_t length)
{
	hm_heap_lock(heap);
	atomic_fetch_add(&heap->large_bytes, length - span->length);
	atomic_fetch_add(&heap->host->heap_pages, length - span->length);
	span->length = length;
	hm_heap_unlock(heap);
}

static HRESULT extend(struct hm_work *work, struct hm_request *request)
{
	struct large *self = hm_container_of(work, struct large, work);
	struct hm_span *span = self->span;
	HRESULT hr = hm_commit_granted(request, hm_span_base(span) + span->length,
				       self->pages - span->length, self->heap->protect);

	if (SUCCEEDED(hr))
		set_length(self->heap, span, self->pages);
	return hr;
}

static HRESULT grow(struct hm_heap *heap, struct hm_span *span, size_t pages,
		    EMemoryCriticalLevel level)
{
	size_t more = pages - span->length;
	struct large self = {
		.work = { .size = more,
			  .charge = hm_budget_charges_reserve(&heap->host->budget) ? 0
										   : more,
			  .perform = extend,
			  .reason = HostMemBySystem },
		.heap = heap,
		.pages = pages,
		.level = level,
		.span = span,
	};

	return run(&self, (void *)(hm_span_base(span) + span->length));
}

/* Never fails: what cannot be given back stays. */
static HRESULT shrink(struct hm_heap *heap, struct hm_span *span, size_t pages)
{
	struct hm_host *host = heap->host;
	uintptr_t base = hm_span_base(span);
	struct hm_request request;
	size_t freed = 0;
	HRESULT hr = hm_request_open_free(&request, host, HostMemHeap);

	if (FAILED(hr))
		return hr;
	hr = hm_decommit_heaps(host, base, pages, &freed);
	if (SUCCEEDED(hr))
		set_length(heap, span, pages);
	hm_calls_leave();
	hr = hm_host_result(host, hr);
	hm_announce_free(&request, HostMemHeap, (void *)(base + pages), freed);
	hm_host_offer(host, HM_OFFER_MEMORY);
	hm_request_close(&request);
	return hr == E_OUTOFMEMORY ? S_OK : hr;
}

HRESULT hm_heap_resize_large(struct hm_heap *heap, struct hm_span *span, size_t size,
			     EMemoryCriticalLevel level)
{
	size_t pages;

	if (size > span->room)
		return S_FALSE;
	pages = hm_round_up(hm_max(size, 1), HM_PAGE_SIZE);
	if (pages == span->length)
		return S_OK;
	return pages > span->length ? grow(heap, span, pages, level)
				    : shrink(heap, span, pages);
}
