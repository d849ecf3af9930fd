/*
 * Cases about IHostMalloc2: aligned and zeroed blocks, how large a block is, and Trim.
 *
 * An extension of hostmem's own; a heap without it is asked nothing here.
 */
#include "areas.h"
#include "blocks.h"
#include "comrules.h"

#include <string.h>

enum { LARGE = 300000 };

static void both_faces_are_of_one_heap(struct hm_trial *t)
{
	IHostMalloc2 *heap = hm_heap2(t);
	IHostMalloc *older;
	void *block;

	if (heap == NULL)
		return;
	older = (IHostMalloc *)hm_face_of(t, heap, &IID_IHostMalloc);
	if (older == NULL)
		return;
	CHECK(t, hm_same_object(heap, older));
	block = hm_block(t, older, 100);
	if (block != NULL) {
		CHECK(t, hm_size_of(t, heap, block) >= 100);
		(void)hm_free2(t, heap, block);
	}
	block = hm_filled(t, heap, 100, 1);
	if (block != NULL)
		(void)hm_free(t, older, block);
	(void)IHostMalloc_Release(older);
}

/* ---- AllocAligned ---- */

static void blocks_lie_where_they_are_asked_for(struct hm_trial *t)
{
	static const size_t sizes[] = { 0, 70000 };
	IHostMalloc2 *heap = hm_heap2(t);

	for (size_t alignment = 0; heap != NULL && alignment <= 1 << 21;
	     alignment = alignment == 0 ? 1 : 2 * alignment) {
		size_t multiple = alignment < 16 ? 16 : alignment;

		for (size_t i = 0; i < HM_ROWS(sizes); i++) {
			void *block = HM_POISON;

			hm_row(t, "size %zu, alignment %zu", sizes[i], alignment);
			CHECK_HR(t,
				 IHostMalloc2_AllocAligned(heap, sizes[i], alignment, 0,
							   eTaskCritical, &block),
				 S_OK);
			if (!CHECK(t, block != NULL && block != HM_POISON))
				continue;
			CHECK_SIZE(t, (uintptr_t)block % multiple, 0);
			hm_fill(block, sizes[i], alignment);
			(void)hm_free2(t, heap, block);
		}
	}
}

static void zeroed_blocks_are_zero(struct hm_trial *t)
{
	static const size_t sizes[] = { 1, 16, 100, 1000, 5000, 40000, LARGE };
	IHostMalloc2 *heap = hm_heap2(t);

	for (size_t i = 0; heap != NULL && i < HM_ROWS(sizes); i++) {
		void *block = hm_filled(t, heap, sizes[i], 1);

		hm_row(t, "size %zu, where another was", sizes[i]);
		if (block == NULL)
			continue;
		memset(block, 0xDD, sizes[i]);
		(void)hm_free2(t, heap, block);
		CHECK_HR(t,
			 IHostMalloc2_AllocAligned(heap, sizes[i], 0, HOSTMEM_HEAP_ZERO,
						   eTaskCritical, &block),
			 S_OK);
		if (!CHECK(t, block != NULL))
			continue;
		CHECK_FILLED(t, block, sizes[i], 0);
		(void)hm_free2(t, heap, block);
	}
}

static void bad_arguments_of_allocaligned_are_refused(struct hm_trial *t)
{
	static const struct {
		const char *what;
		size_t size, alignment;
		DWORD flags;
		int level;
		HRESULT want;
	} rows[] = {
		{ "3", 100, 3, 0, 0, E_INVALIDARG },
		{ "24", 100, 24, 0, 0, E_INVALIDARG },
		{ "4097", 100, 4097, 0, 0, E_INVALIDARG },
		{ "SIZE_MAX", 100, SIZE_MAX, 0, 0, E_INVALIDARG },
		{ "the flag of Realloc", 100, 16, HOSTMEM_HEAP_IN_PLACE, 0,
		  E_INVALIDARG },
		{ "an unknown flag", 100, 16, 4, 0, E_INVALIDARG },
		{ "all flags", 100, 16, 0xFFFFFFFF, 0, E_INVALIDARG },
		{ "level 3", 100, 16, 0, 3, E_INVALIDARG },
		{ "level -1", 100, 16, 0, -1, E_INVALIDARG },
		{ "no such place", 100, (size_t)1 << 63, 0, 0, E_OUTOFMEMORY },
		{ "no such size", SIZE_MAX, 16, 0, 0, E_OUTOFMEMORY },
		{ "neither", SIZE_MAX - 15, (size_t)1 << 62, 0, 0, E_OUTOFMEMORY },
		{ "the sum wraps", (size_t)1 << 63, (size_t)1 << 63, 0, 0,
		  E_OUTOFMEMORY },
	};
	IHostMalloc2 *heap = hm_heap2(t);

	for (size_t i = 0; heap != NULL && i < HM_ROWS(rows); i++) {
		struct hm_state before;
		void *out = HM_POISON;

		hm_row(t, "%s", rows[i].what);
		hm_look(t, &before);
		CHECK_REFUSED(t,
			      IHostMalloc2_AllocAligned(
				      heap, rows[i].size, rows[i].alignment,
				      rows[i].flags, (EMemoryCriticalLevel)rows[i].level,
				      &out),
			      rows[i].want);
		if (t->codes)
			continue;
		CHECK_POINTER(t, out, NULL);
		CHECK_UNCHANGED(t, &before);
	}
}

/* ---- GetSize, Trim, and out pointers ---- */

static void what_is_no_block_has_no_size(struct hm_trial *t)
{
	IHostMalloc2 *heap = hm_heap2(t);
	unsigned char *block = heap != NULL ? (unsigned char *)hm_filled(t, heap, 100, 1)
					    : NULL;

	if (block == NULL)
		return;
	const struct {
		const char *what;
		void *block;
	} rows[] = { { "NULL", NULL },
		     { "within", block + 1 },
		     { "within, aligned", block + 16 },
		     { "the stack", &block },
		     { "nobody's", hm_at(NULL, 16) } };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		SIZE_T size = (SIZE_T)HM_POISON;

		hm_row(t, "%s", rows[i].what);
		CHECK_REFUSED(t, IHostMalloc2_GetSize(heap, rows[i].block, &size),
			      HOST_E_INVALIDOPERATION);
		if (!t->codes)
			CHECK_SIZE(t, size, 0);
	}
}

static void what_is_kept_goes_on_demand(struct hm_trial *t)
{
	IHostMalloc2 *heap = hm_heap2(t);
	SIZE_T freed = (SIZE_T)HM_POISON;
	void *block, *stays;

	if (heap == NULL)
		return;
	stays = hm_filled(t, heap, 1000, 1);
	block = hm_filled(t, heap, LARGE, 2);
	if (stays == NULL || block == NULL)
		return;
	(void)hm_free2(t, heap, block);
	CHECK_HR(t, IHostMalloc2_Trim(heap, &freed), S_OK);
	CHECK(t, freed != (SIZE_T)HM_POISON && freed % HM_PAGE == 0);
	hm_row(t, "once more");
	CHECK_HR(t, IHostMalloc2_Trim(heap, &freed), S_OK);
	CHECK_SIZE(t, freed, 0);
	CHECK(t, hm_holds(stays, 1000, 1));
	(void)hm_free2(t, heap, stays);
}

/* Out pointers are looked at first, whatever else is wrong. */
static void null_out_pointers_are_refused(struct hm_trial *t)
{
	IHostMalloc2 *heap = hm_heap2(t);
	void *block = heap != NULL ? hm_filled(t, heap, 100, 1) : NULL;

	if (block == NULL)
		return;
	hm_row(t, "AllocAligned");
	CHECK_REFUSED(t, IHostMalloc2_AllocAligned(heap, 100, 16, 0, eTaskCritical, NULL),
		      E_POINTER);
	hm_row(t, "AllocAligned, alignment 3");
	CHECK_REFUSED(t, IHostMalloc2_AllocAligned(heap, 100, 3, 9, eTaskCritical, NULL),
		      E_POINTER);
	hm_row(t, "Realloc");
	CHECK_REFUSED(t, IHostMalloc2_Realloc(heap, block, 10, 0, eTaskCritical, NULL),
		      E_POINTER);
	hm_row(t, "Realloc, flag 9");
	CHECK_REFUSED(t, IHostMalloc2_Realloc(heap, block, 10, 9, eTaskCritical, NULL),
		      E_POINTER);
	hm_row(t, "GetSize");
	CHECK_REFUSED(t, IHostMalloc2_GetSize(heap, block, NULL), E_POINTER);
	hm_row(t, "GetSize of nothing");
	CHECK_REFUSED(t, IHostMalloc2_GetSize(heap, NULL, NULL), E_POINTER);
	hm_row(t, "Trim");
	CHECK_REFUSED(t, IHostMalloc2_Trim(heap, NULL), E_POINTER);
	hm_row(t, "the block");
	if (!t->codes)
		CHECK(t, hm_holds(block, 100, 1));
}

static const struct hm_case cases[] = {
	{ "one-heap", HM_DOCUMENTED, "HM hostmalloc.h: a face of every heap",
	  both_faces_are_of_one_heap, HM_NO_GROUP },
	{ "aligned", HM_DOCUMENTED, "HM hostmalloc.h: AllocAligned",
	  blocks_lie_where_they_are_asked_for, HM_NO_GROUP },
	{ "zeroed", HM_DOCUMENTED, "HM hostmalloc.h: HOSTMEM_HEAP_ZERO",
	  zeroed_blocks_are_zero, HM_NO_GROUP },
	{ "bad-arguments", HM_DOCUMENTED, "HM hostmalloc.h: AllocAligned",
	  bad_arguments_of_allocaligned_are_refused, HM_DOCUMENTED },
	{ "no-size", HM_DOCUMENTED, "HM hostmalloc.h: GetSize",
	  what_is_no_block_has_no_size, HM_DOCUMENTED },
	{ "trim", HM_DOCUMENTED, "HM hostmalloc.h: Trim", what_is_kept_goes_on_demand,
	  HM_NO_GROUP },
	{ "null-out", HM_DOCUMENTED, "HM hostmalloc.h: E_POINTER",
	  null_out_pointers_are_refused, HM_DOCUMENTED },
};

const struct hm_area hm_area_heap_extension = HM_AREA("heap-extension", cases);
