/*
 * Debug heaps: the heap behind a heap, for blocks of which there is a record.
 *
 * Why a heap of its own: the quick paths free a block by its span alone, so a block that
 * has a record must not lie in a span that they take for theirs.  A second heap costs the
 * first one nothing, and all rules of heaps hold for it: pages, waiting, trimming, threads.
 * Its own books count places; what users have is counted by the records.
 *
 * There are three kinds, by what is around a block (marks.h).  Where nothing is, a record
 * serves the name alone.  With patterns no tool is told: it would end the program where a
 * report is wanted.
 *
 * At the end of a heap its freed blocks are looked at once more, then its live ones are
 * reported in the order in which they were made.  That comes before the pages go, so a
 * callback can still read what was lost.
 *
 * Locks: HM_RANK_RECORDS, in records.c.  Findings are told outside of it, and outside of
 * hm_calls_enter, so whoever hears of them may call anything.
 */
#include "debugblocks.h"
#include "calls.h"
#include "metadata.h"
#include "os/tools.h"

/* ---- Life ---- */

static enum hm_marks marks_of(const struct hm_host *host)
{
	if (host->debug_heaps)
		return HM_MARKS_PATTERNS;
	return hm_tools_watch() ? HM_MARKS_TOOLS : HM_MARKS_NONE;
}

static void delete_heap(struct hm_debug_heap *debug)
{
	hm_calls_enter();
	hm_records_destroy(&debug->records);
	hm_metadata_free(debug, sizeof(*debug));
	hm_calls_leave();
}

struct hm_debug_heap *hm_debug_obtain(struct hm_heap *heap)
{
	struct hm_debug_heap *debug = hm_debug_of(heap), *other = NULL;
	DWORD type = heap->only == NULL ? MALLOC_THREADSAFE : 0U;

	if (debug != NULL)
		return debug;
	hm_calls_enter();
	debug = hm_metadata_alloc(sizeof(*debug));
	hm_calls_leave();
	if (debug == NULL)
		return NULL;
	if (heap->protect == PAGE_EXECUTE_READWRITE)
		type |= MALLOC_EXECUTABLE;
	debug->identity = heap->identity;
	debug->marks = marks_of(heap->host);
	debug->heap.within = debug;
	if (FAILED(hm_heap_init(&debug->heap, heap->host, type))) {
		delete_heap(debug);
		return NULL;
	}
	if (atomic_compare_exchange_strong(&heap->debug, &other, debug))
		return debug;
	hm_heap_destroy(&debug->heap);
	delete_heap(debug);
	return other;
}

HRESULT hm_debug_begin(struct hm_heap *heap, void *identity)
{
	heap->identity = identity;
	heap->all_debug = marks_of(heap->host) != HM_MARKS_NONE;
	return heap->all_debug && hm_debug_obtain(heap) == NULL ? E_OUTOFMEMORY : S_OK;
}

/* ---- Looking ---- */

void hm_debug_look(const struct hm_debug_heap *debug, const struct hm_record *record,
		   struct hm_findings *findings)
{
	ptrdiff_t offset;

	if (debug->marks != HM_MARKS_PATTERNS)
		return;
	if (hm_marks_underrun(record, &offset))
		hm_finding_set(&findings->list[findings->count++], HostMemReportUnderrun,
			       record, offset);
	if (hm_marks_overrun(record, &offset))
		hm_finding_set(&findings->list[findings->count++], HostMemReportOverrun,
			       record, offset);
}

void hm_debug_tell(const struct hm_debug_heap *debug, struct hm_findings *findings)
{
	for (unsigned i = 0; i < findings->count; i++)
		hm_finding_tell(&findings->list[i], debug->heap.host, debug->identity);
}

/* ---- The end ---- */

static bool is_told(const struct hm_debug_heap *debug, const struct hm_record *record)
{
	return debug->marks == HM_MARKS_PATTERNS ||
	       (record->named && debug->heap.host->report != NULL);
}

/* What is live is lost; it can still be read while that is told. */
static void tell_leaks(struct hm_debug_heap *debug)
{
	for (;;) {
		struct hm_findings findings = { .count = 0 };
		struct hm_finding leak;
		struct hm_record *record;

		hm_calls_enter();
		record = hm_records_pop_live(&debug->records);
		hm_calls_leave();
		if (record == NULL)
			return;
		hm_debug_look(debug, record, &findings);
		hm_debug_tell(debug, &findings);
		hm_finding_set(&leak, HostMemReportLeak, record, 0);
		if (is_told(debug, record))
			hm_finding_tell(&leak, debug->heap.host, debug->identity);
		hm_marks_take(debug->marks, record);
		hm_marks_forget(debug->marks, record);
		hm_calls_enter();
		hm_records_delete(&debug->records, record);
		hm_calls_leave();
	}
}

void hm_debug_end(struct hm_heap *heap)
{
	struct hm_debug_heap *debug = hm_debug_of(heap);

	if (debug == NULL)
		return;
	hm_debug_forget_freed(debug);
	tell_leaks(debug);
	hm_heap_destroy(&debug->heap);
	delete_heap(debug);
}

void hm_debug_usage(const struct hm_debug_heap *debug, int64_t *bytes, int64_t *blocks)
{
	*bytes += (int64_t)atomic_load(&debug->records.live_bytes);
	*blocks += (int64_t)atomic_load(&debug->records.live_count);
}

const char *hm_debug_check(struct hm_heap *heap)
{
	struct hm_debug_heap *debug = hm_debug_of(heap);
	const char *broken;

	if (debug == NULL)
		return NULL;
	hm_calls_enter();
	broken = hm_records_check(&debug->records);
	hm_calls_leave();
	return broken != NULL ? broken : hm_heap_check(&debug->heap);
}
