/*
 * Blocks that are kept for a while after they were freed, so that who still writes to one
 * harms nobody and is found out: a mebibyte of them, the oldest first out.
 *
 * They are looked at once more when they go: because there are too many, because somebody
 * waits for memory or the heap is trimmed, before the host refuses a request, and at the
 * heap's end.  A block that is larger than all that is kept would drive out everything else
 * and be gone with the next one; it goes at once.
 *
 * Locks: HM_RANK_RECORDS, in records.c.  While another heap's freed blocks are thrown out
 * for a request, hm_caches_lock keeps that heap from ending; findings are told one by one,
 * between such rounds.
 */
#include "debugblocks.h"
#include "calls.h"
#include "gate.h"

/* So many blocks are kept, at most, and HM_DEBUG_KEPT bytes. */
#define KEPT_COUNT ((size_t)1024)

bool hm_debug_look_at_freed(const struct hm_debug_heap *debug,
			    const struct hm_record *record, struct hm_findings *findings)
{
	ptrdiff_t offset;

	findings->count = 0;
	if (debug->marks == HM_MARKS_PATTERNS && hm_marks_touched(record, &offset))
		hm_finding_set(&findings->list[findings->count++],
			       HostMemReportWrittenAfterFree, record, offset);
	return findings->count != 0;
}

/* The oldest, out of the table, if there is more than that. */
static struct hm_record *pop(struct hm_debug_heap *debug, size_t bytes, size_t count)
{
	struct hm_record *record;

	hm_calls_enter();
	record = hm_records_pop(&debug->records, bytes, count);
	hm_calls_leave();
	return record;
}

/* Looks at it, and tells. */
static void part_with(struct hm_debug_heap *debug, const struct hm_record *record)
{
	struct hm_findings findings;

	if (hm_debug_look_at_freed(debug, record, &findings))
		hm_debug_tell(debug, &findings);
	hm_marks_forget(debug->marks, record);
}

static void discard(struct hm_debug_heap *debug, struct hm_record *record)
{
	hm_calls_enter();
	hm_records_delete(&debug->records, record);
	hm_calls_leave();
}

void hm_debug_throw_out(struct hm_debug_heap *debug)
{
	bool keep = debug->marks != HM_MARKS_NONE &&
		    atomic_load(&debug->heap.host->waiting.count) == 0;
	struct hm_record *record;

	while ((record = pop(debug, keep ? HM_DEBUG_KEPT : 0, keep ? KEPT_COUNT : 0)) !=
	       NULL) {
		part_with(debug, record);
		(void)hm_heap_free(&debug->heap, (void *)record->base);
		discard(debug, record);
	}
}

void hm_debug_forget_freed(struct hm_debug_heap *debug)
{
	struct hm_record *record;

	while ((record = pop(debug, 0, 0)) != NULL) {
		part_with(debug, record);
		discard(debug, record);
	}
}

/* All of a heap, until there is something to tell.  Between hm_calls_enter and
 * hm_calls_leave. */
static bool relieve_one(struct hm_debug_heap *debug, struct hm_findings *findings,
			bool *any)
{
	struct hm_record *record;
	bool found = false;

	while (!found && (record = hm_records_pop(&debug->records, 0, 0)) != NULL) {
		found = hm_debug_look_at_freed(debug, record, findings);
		hm_marks_forget(debug->marks, record);
		hm_heap_take_back(&debug->heap, (void *)record->base);
		hm_records_delete(&debug->records, record);
		*any = true;
	}
	return found;
}

bool hm_debug_relieve(struct hm_host *host)
{
	struct hm_findings findings;
	void *identity = NULL;
	bool any = false, found;

	do {
		found = false;
		hm_calls_enter();
		hm_caches_lock();
		for (struct hm_heap *heap = host->heaps; heap != NULL && !found;
		     heap = heap->next) {
			if (heap->within == NULL || !hm_gate_passes(host))
				continue;
			found = relieve_one(heap->within, &findings, &any);
			identity = heap->within->identity;
		}
		hm_caches_unlock();
		hm_calls_leave();
		if (found)
			hm_finding_tell(&findings.list[0], host, identity);
	} while (found);
	return any;
}

HRESULT hm_debug_trim(struct hm_heap *heap, size_t *freed)
{
	struct hm_debug_heap *debug = hm_debug_of(heap);
	struct hm_findings findings;
	bool any, found;
	size_t more = 0;
	HRESULT hr;

	if (debug == NULL)
		return S_OK;
	do {
		hr = hm_gate_enter_calls(heap->host, HM_PATIENT);
		if (FAILED(hr))
			return hr;
		found = relieve_one(debug, &findings, &any);
		hm_calls_leave();
		if (found)
			hm_debug_tell(debug, &findings);
	} while (found);
	hr = hm_heap_trim(&debug->heap, &more);
	*freed += more;
	return hr;
}
