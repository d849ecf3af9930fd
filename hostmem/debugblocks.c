/*
 * The methods of a heap for blocks of which there is a record.
 *
 * Each claims the record first and looks at the fences then.  What it finds damaged it
 * leaves as it is, live, and reports it: whoever has done that may still be at it, and the
 * program may want to look at the bytes.
 *
 * Realloc moves a block whenever it may, so that who goes on to use the old address is
 * found out; without fences it resizes as the heap does.
 *
 * Locks: HM_RANK_RECORDS, in records.c.
 */
#include "debugblocks.h"
#include "arguments.h"
#include "calls.h"
#include "gate.h"

#include <string.h>

/* ---- Claiming ---- */

static void note_dead(void *state, const struct hm_record *record)
{
	hm_finding_set(state, HostMemReportDoubleFree, record, 0);
}

/* The record of a live block that is as it should be, to be changed by this call; NULL:
 * there is none, or it is damaged, as is to be told.  Between hm_calls_enter and
 * hm_calls_leave. */
static struct hm_record *claim(struct hm_debug_heap *debug, void *block,
			       struct hm_findings *findings)
{
	struct hm_record *record = NULL;

	findings->count = 0;
	switch (hm_records_claim(&debug->records, block, &record, note_dead,
				 &findings->list[0])) {
	case HM_CLAIM_MADE:
		hm_debug_look(debug, record, findings);
		if (findings->count == 0)
			return record;
		hm_records_unclaim(&debug->records, record);
		return NULL;
	case HM_CLAIM_UNKNOWN:
		hm_finding_set_unknown(&findings->list[0], block);
		break;
	case HM_CLAIM_DEAD:
		break;
	}
	findings->count = debug->marks == HM_MARKS_PATTERNS;
	return NULL;
}

/* ---- Alloc ---- */

/* The place of a block has been had. */
static void *enter_record(struct hm_debug_heap *debug, struct hm_record *record,
			  void *base, const struct hm_debug_wish *wish)
{
	struct hm_record_wish record_wish = {
		.block = (char *)base + hm_marks_front(debug->marks, wish->alignment),
		.base = (uintptr_t)base,
		.size = wish->size,
		.named = wish->named,
		.file = wish->file,
		.line = wish->line,
	};

	(void)hm_heap_size(&debug->heap, base, &record_wish.length);
	hm_calls_enter();
	hm_records_add(&debug->records, record, &record_wish);
	/* Large places are zero by now. */
	hm_marks_give(debug->marks, record, wish->zeroed,
		      record->length > HM_BLOCK_LARGEST);
	hm_calls_leave();
	return record_wish.block;
}

/* The record comes first, so that no page was ever had that is not needed. */
static HRESULT alloc_with_record(struct hm_debug_heap *debug,
				 const struct hm_block_wish *place,
				 const struct hm_debug_wish *wish, void **out)
{
	struct hm_record *record;
	void *base = NULL;
	HRESULT hr;

	hm_calls_enter();
	record = hm_records_new(&debug->records);
	hm_calls_leave();
	if (record == NULL)
		return E_OUTOFMEMORY;
	hr = hm_heap_alloc(&debug->heap, place, &base);
	if (SUCCEEDED(hr)) {
		*out = enter_record(debug, record, base, wish);
		return hr;
	}
	hm_calls_enter();
	hm_records_delete(&debug->records, record);
	hm_calls_leave();
	return hr;
}

HRESULT hm_debug_alloc(struct hm_heap *heap, const struct hm_debug_wish *wish, void **out)
{
	struct hm_block_wish place = { .alignment = wish->alignment,
				       .level = wish->level,
				       .zero = wish->zeroed,
				       .modest = wish->modest,
				       .asked = hm_max(wish->size, 1) };
	HRESULT hr = hm_host_check(heap->host);
	struct hm_debug_heap *debug;
	size_t around;

	if (SUCCEEDED(hr))
		hr = hm_check_level(wish->level);
	if (FAILED(hr))
		return hr;
	debug = hm_debug_obtain(heap);
	if (debug == NULL)
		return E_OUTOFMEMORY;
	around = hm_marks_front(debug->marks, wish->alignment) +
		 hm_marks_behind(debug->marks);
	/* Beyond all addresses it is refused, with fences or without. */
	place.size = wish->size > SIZE_MAX - around ? SIZE_MAX : wish->size + around;
	return alloc_with_record(debug, &place, wish, out);
}

/* ---- Free ---- */

static void bury(struct hm_debug_heap *debug, struct hm_record *record)
{
	hm_marks_take(debug->marks, record);
	hm_records_retire(&debug->records, record, record->length > HM_DEBUG_KEPT);
}

HRESULT hm_debug_free(struct hm_heap *heap, void *block)
{
	struct hm_debug_heap *debug = hm_debug_of(heap);
	HRESULT hr = hm_host_check(heap->host);
	struct hm_findings findings;
	struct hm_record *record;

	if (FAILED(hr) || block == NULL)
		return hr;
	if (debug == NULL)
		return HOST_E_INVALIDOPERATION;
	hr = hm_gate_enter_calls(heap->host, HM_PATIENT);
	if (FAILED(hr))
		return hr;
	record = claim(debug, block, &findings);
	if (record != NULL)
		bury(debug, record);
	hm_calls_leave();
	hm_debug_tell(debug, &findings);
	if (record == NULL)
		return HOST_E_INVALIDOPERATION;
	hm_debug_throw_out(debug);
	return S_OK;
}

HRESULT hm_debug_size(struct hm_heap *heap, void *block, size_t *size)
{
	struct hm_debug_heap *debug = hm_debug_of(heap);
	bool live;

	if (debug == NULL)
		return HOST_E_INVALIDOPERATION;
	hm_calls_enter();
	live = hm_records_size(&debug->records, block, size);
	hm_calls_leave();
	return live ? S_OK : HOST_E_INVALIDOPERATION;
}

/* ---- Realloc ---- */

static void set_size(struct hm_debug_heap *debug, struct hm_record *record, size_t size,
		     size_t length)
{
	size_t size_before = record->size, length_before = record->length;

	hm_calls_enter();
	hm_records_resize(&debug->records, record, size, length);
	hm_marks_resize(debug->marks, record, size_before, length_before);
	hm_calls_leave();
}

/* S_FALSE: it has to move. */
static HRESULT resize(struct hm_debug_heap *debug, struct hm_record *record, size_t size,
		      EMemoryCriticalLevel level)
{
	size_t around = hm_record_front(record) + hm_marks_behind(debug->marks);
	void *base = (void *)record->base;
	size_t length = record->length;
	HRESULT hr;

	if (size > SIZE_MAX - around)
		return S_FALSE;
	hr = hm_heap_resize(&debug->heap, base, size + around, level);
	if (hr == S_OK)
		hr = hm_heap_size(&debug->heap, base, &length);
	if (hr == S_OK)
		set_size(debug, record, size, length);
	return hr;
}

/* The old block is gone if that succeeds. */
static HRESULT move(struct hm_heap *heap, struct hm_record *record,
		    const struct hm_debug_wish *wish, void **out)
{
	struct hm_debug_heap *debug = hm_debug_of(heap);
	struct hm_debug_wish moved = *wish;
	HRESULT hr;

	moved.named = record->named;
	moved.file = record->name != NULL ? record->name->text : NULL;
	moved.line = record->line;
	/* Where memory is short, it stays. */
	moved.modest = wish->size <= record->size;
	hr = hm_debug_alloc(heap, &moved, out);
	if (FAILED(hr))
		return hr;
	memcpy(*out, (void *)hm_record_block(record), hm_min(record->size, wish->size));
	hm_calls_enter();
	bury(debug, record);
	hm_calls_leave();
	hm_debug_throw_out(debug);
	return S_OK;
}

HRESULT hm_debug_realloc(struct hm_heap *heap, void *block,
			 const struct hm_debug_wish *wish, bool in_place, void **out)
{
	struct hm_debug_heap *debug = hm_debug_of(heap);
	struct hm_findings findings;
	struct hm_record *record;
	HRESULT hr = S_FALSE;

	if (debug == NULL)
		return HOST_E_INVALIDOPERATION;
	hm_calls_enter();
	record = claim(debug, block, &findings);
	hm_calls_leave();
	hm_debug_tell(debug, &findings);
	if (record == NULL)
		return HOST_E_INVALIDOPERATION;
	if (in_place || debug->marks == HM_MARKS_NONE)
		hr = resize(debug, record, wish->size, wish->level);
	if (hr == S_FALSE && !in_place) {
		hr = move(heap, record, wish, out);
		if (hr == S_OK)
			return hr;
	}
	/* Becoming smaller never fails. */
	if ((hr == S_FALSE || hr == E_OUTOFMEMORY) && wish->size <= record->size) {
		set_size(debug, record, wish->size, record->length);
		hr = S_OK;
	}
	hm_calls_enter();
	hm_records_unclaim(&debug->records, record);
	hm_calls_leave();
	if (hr == S_OK)
		*out = block;
	return hr == S_FALSE ? E_OUTOFMEMORY : hr;
}
