/*
 * Spans that nobody needs any more, on their way back to the host.
 *
 * Who finds that a span is to go holds locks, perhaps with everybody stopped, and giving pages
 * back calls out: subscribers hear of it, and who waits for memory is served.  So the span
 * goes into a list first, where no address leads to it any more, and whoever dooms one, or
 * comes by later, empties the list with nothing held.
 *
 * Locks: HM_RANK_DOOMED around the list.
 */
#include "announce.h"
#include "calls.h"
#include "gate.h"
#include "heappages.h"
#include "release.h"

/* A request that cannot be refused, also of a host that has ended. */
static void open_last(struct hm_request *request, struct hm_host *host)
{
	if (SUCCEEDED(hm_request_open_free(request, host, HostMemHeap)))
		return;
	hm_request_open_last(request, host);
	hm_calls_enter();
}

void hm_heap_doom(struct hm_host *host, struct hm_span *span)
{
	atomic_store_explicit(&span->heap, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
	hm_lock_acquire(&host->doomed_lock, HM_RANK_DOOMED);
	span->next = host->doomed;
	atomic_store_explicit(&host->doomed, span, memory_order_relaxed);
	hm_lock_release(&host->doomed_lock, HM_RANK_DOOMED);
}

/* Between hm_calls_enter and hm_calls_leave, as all that is done with it: in a fork's child a
 * span is either in the list or gone. */
static struct hm_span *pop_doomed(struct hm_host *host)
{
	struct hm_span *span;

	hm_lock_acquire(&host->doomed_lock, HM_RANK_DOOMED);
	span = host->doomed;
	if (span != NULL)
		atomic_store_explicit(&host->doomed, span->next, memory_order_relaxed);
	hm_lock_release(&host->doomed_lock, HM_RANK_DOOMED);
	return span;
}

static HRESULT give_back(struct hm_host *host, struct hm_span *span, size_t *freed)
{
	uintptr_t base = hm_span_base(span);
	size_t pages = span->kind == HM_SPAN_WHOLE ? span->length : span->committed;

	hm_span_delete(span);
	atomic_fetch_sub(&host->heap_pages, pages);
	return hm_release_heaps(host, base, freed);
}

size_t hm_heap_give_back(struct hm_host *host)
{
	size_t sum = 0;

	while (atomic_load_explicit(&host->doomed, memory_order_relaxed) != NULL) {
		struct hm_request request;
		struct hm_span *span;
		uintptr_t base = 0;
		size_t freed = 0;
		HRESULT hr = S_OK;

		open_last(&request, host);
		span = pop_doomed(host);
		if (span != NULL) {
			base = hm_span_base(span);
			hr = give_back(host, span, &freed);
		}
		hm_calls_leave();
		(void)hm_host_result(host, hr);
		hm_announce_free(&request, HostMemHeap, (void *)base, freed);
		hm_host_offer(host, HM_OFFER_MEMORY);
		hm_request_close(&request);
		sum += freed;
	}
	return sum;
}
