/*
 * Cases about IHostMalloc2::Realloc: blocks that change their size.
 *
 * An extension of hostmem's own; a heap without it is asked nothing here.
 */
#include "areas.h"
#include "blocks.h"

enum { LARGE = 300000 };

static void contents_are_kept_up_to_the_smaller_size(struct hm_trial *t)
{
	static const size_t sizes[] = { 0, 1, 100, 5000, 40000, LARGE };
	IHostMalloc2 *heap = hm_heap2(t);

	for (size_t i = 0; heap != NULL && i < HM_ROWS(sizes) * HM_ROWS(sizes); i++) {
		size_t from = sizes[i / HM_ROWS(sizes)], to = sizes[i % HM_ROWS(sizes)];
		void *block = hm_filled(t, heap, from, i), *out = HM_POISON;

		hm_row(t, "from %zu to %zu", from, to);
		if (block == NULL)
			continue;
		CHECK_HR(t, IHostMalloc2_Realloc(heap, block, to, 0, eTaskCritical, &out),
			 S_OK);
		if (!CHECK(t, out != NULL && out != HM_POISON))
			continue;
		CHECK(t, hm_holds(out, from < to ? from : to, i));
		CHECK(t, hm_size_of(t, heap, out) >= to);
		(void)hm_free2(t, heap, out);
	}
}

/* What GetSize grants the block has: it never moves for that. */
static void a_block_stays_where_it_fits(struct hm_trial *t)
{
	static const size_t sizes[] = { 1, 100, 5000, 40000, LARGE };
	IHostMalloc2 *heap = hm_heap2(t);

	for (size_t i = 0; heap != NULL && i < HM_ROWS(sizes); i++) {
		void *block = hm_filled(t, heap, sizes[i], i), *out = NULL;
		size_t usable;

		hm_row(t, "size %zu", sizes[i]);
		if (block == NULL)
			continue;
		usable = hm_size_of(t, heap, block);
		if (!CHECK(t, usable >= sizes[i] && usable < 2 * LARGE))
			continue;
		/* All of it may be used. */
		hm_fill(block, usable, i);
		CHECK_HR(t,
			 IHostMalloc2_Realloc(heap, block, usable, 0, eTaskCritical,
					      &out),
			 S_OK);
		CHECK_POINTER(t, out, block);
		CHECK_HR(t,
			 IHostMalloc2_Realloc(heap, block, usable, HOSTMEM_HEAP_IN_PLACE,
					      eTaskCritical, &out),
			 S_OK);
		CHECK_POINTER(t, out, block);
		CHECK(t, hm_holds(block, usable, i));
		(void)hm_free2(t, heap, block);
	}
}

static void in_place_never_moves(struct hm_trial *t)
{
	static const size_t sizes[] = { 1, 5000, LARGE };
	IHostMalloc2 *heap = hm_heap2(t);

	for (size_t i = 0; heap != NULL && i < HM_ROWS(sizes) * HM_ROWS(sizes); i++) {
		size_t from = sizes[i / HM_ROWS(sizes)], to = sizes[i % HM_ROWS(sizes)];
		void *block = hm_filled(t, heap, from, i), *out = HM_POISON;
		HRESULT hr;

		hm_row(t, "from %zu to %zu", from, to);
		if (block == NULL)
			continue;
		hr = IHostMalloc2_Realloc(heap, block, to, HOSTMEM_HEAP_IN_PLACE,
					  eTaskCritical, &out);
		CHECK(t, hr == S_OK || hr == E_OUTOFMEMORY);
		CHECK_POINTER(t, out, hr == S_OK ? block : NULL);
		CHECK(t, hm_holds(block, from < to ? from : to, i));
		(void)hm_free2(t, heap, block);
	}
}

static void nothing_is_made_larger_and_nothing_stays(struct hm_trial *t)
{
	IHostMalloc2 *heap = hm_heap2(t);
	void *block = NULL, *out = HM_POISON;

	if (heap == NULL)
		return;
	hm_row(t, "NULL is Alloc");
	CHECK_HR(t, IHostMalloc2_Realloc(heap, NULL, 100, 0, eTaskCritical, &block),
		 S_OK);
	if (!CHECK(t, block != NULL))
		return;
	hm_row(t, "NULL has no place");
	CHECK_HR(t,
		 IHostMalloc2_Realloc(heap, NULL, 100, HOSTMEM_HEAP_IN_PLACE,
				      eTaskCritical, &out),
		 E_OUTOFMEMORY);
	CHECK_POINTER(t, out, NULL);
	hm_row(t, "no bytes are a block");
	CHECK_HR(t, IHostMalloc2_Realloc(heap, block, 0, 0, eTaskCritical, &out), S_OK);
	if (CHECK(t, out != NULL))
		(void)hm_free2(t, heap, out);
}

static void bad_arguments_of_realloc_leave_the_block(struct hm_trial *t)
{
	IHostMalloc2 *heap = hm_heap2(t);
	IHostMalloc *other = hm_new_heap(t, MALLOC_THREADSAFE);
	unsigned char *block, *freed;
	void *foreign;

	if (heap == NULL || other == NULL)
		return;
	block = (unsigned char *)hm_filled(t, heap, 5000, 1);
	freed = (unsigned char *)hm_filled(t, heap, 100, 2);
	foreign = hm_block(t, other, 100);
	if (block == NULL || freed == NULL || foreign == NULL)
		return;
	(void)hm_free2(t, heap, freed);
	const struct {
		const char *what;
		void *block;
		size_t size;
		DWORD flags;
		int level;
		HRESULT want;
	} rows[] = {
		{ "the flag of AllocAligned", block, 10, HOSTMEM_HEAP_ZERO, 0,
		  E_INVALIDARG },
		{ "an unknown flag", block, 10, 4, 0, E_INVALIDARG },
		{ "level 3", block, 10, 0, 3, E_INVALIDARG },
		{ "level -1", block, 10, 0, -1, E_INVALIDARG },
		{ "SIZE_MAX", block, SIZE_MAX, 0, 0, E_OUTOFMEMORY },
		{ "2^63", block, (size_t)1 << 63, 0, 0, E_OUTOFMEMORY },
		{ "freed", freed, 10, 0, 0, HOST_E_INVALIDOPERATION },
		{ "freed, larger", freed, 10000, 0, 0, HOST_E_INVALIDOPERATION },
		{ "within a block", block + 16, 10, 0, 0, HOST_E_INVALIDOPERATION },
		{ "another heap's", foreign, 10, 0, 0, HOST_E_INVALIDOPERATION },
		{ "the stack", &foreign, 10, 0, 0, HOST_E_INVALIDOPERATION },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		struct hm_state before;
		void *out = HM_POISON;

		hm_row(t, "%s", rows[i].what);
		hm_look(t, &before);
		CHECK_REFUSED(t,
			      IHostMalloc2_Realloc(heap, rows[i].block, rows[i].size,
						   rows[i].flags,
						   (EMemoryCriticalLevel)rows[i].level,
						   &out),
			      rows[i].want);
		if (t->codes)
			continue;
		CHECK_POINTER(t, out, NULL);
		CHECK_UNCHANGED(t, &before);
		CHECK(t, hm_holds(block, 5000, 1));
	}
}

static const struct hm_case cases[] = {
	{ "contents", HM_DOCUMENTED, "HM hostmalloc.h: kept up to the smaller size",
	  contents_are_kept_up_to_the_smaller_size, HM_NO_GROUP },
	{ "stays", HM_DOCUMENTED, "HM hostmalloc.h: where the new size fits there",
	  a_block_stays_where_it_fits, HM_NO_GROUP },
	{ "in-place", HM_DOCUMENTED, "HM hostmalloc.h: HOSTMEM_HEAP_IN_PLACE",
	  in_place_never_moves, HM_NO_GROUP },
	{ "nothing", HM_DOCUMENTED, "HM hostmalloc.h: NULL, and size 0",
	  nothing_is_made_larger_and_nothing_stays, HM_NO_GROUP },
	{ "bad-arguments", HM_DOCUMENTED, "HM hostmalloc.h: Realloc",
	  bad_arguments_of_realloc_leave_the_block, HM_DOCUMENTED },
};

const struct hm_area hm_area_heap_realloc = HM_AREA("heap-realloc", cases);
