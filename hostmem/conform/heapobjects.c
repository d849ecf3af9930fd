/*
 * Cases about heaps as objects: who they are, what they are held by, how they end.
 *
 * The CLR keeps the one heap it makes for good, so none of this is found out by it; everybody
 * else depends on it.
 */
#include "areas.h"
#include "blocks.h"
#include "comrules.h"

enum { HEAPS = 200, BYTES = 64 * 1024 };

/* ---- COM ---- */

static void a_heap_keeps_the_rules(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	IUnknown *face;

	if (heap == NULL)
		return;
	face = hm_face_of(t, heap, &IID_IHostMalloc);
	if (face != NULL)
		(void)IUnknown_Release(face);
	hm_com_reaches(t, heap);
	hm_com_identity(t, heap);
	hm_com_counts(t, heap);
}

static void a_null_out_pointer_is_refused(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap != NULL)
		hm_com_null_out(t, heap);
}

static void a_null_name_is_refused(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap != NULL)
		hm_com_null_name(t, heap);
}

static void unknown_interfaces_are_refused(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap != NULL)
		hm_com_unknown(t, heap, &IID_IHostMalloc);
}

static void a_heap_is_an_object_of_its_own(struct hm_trial *t)
{
	IHostMalloc *first = hm_new_heap(t, MALLOC_THREADSAFE);
	IHostMalloc *second = hm_new_heap(t, MALLOC_THREADSAFE);

	if (first == NULL || second == NULL)
		return;
	CHECK(t, !hm_same_object(first, second));
	CHECK(t, !hm_same_object(first, t->memory));
	CHECK(t, !hm_has_face(t->memory, &IID_IHostMalloc));
	CHECK(t, !hm_has_face(first, &IID_IHostMemoryManager));
}

static void addref_and_release_tell_the_count(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap == NULL)
		return;
	hm_row(t, "a new heap");
	CHECK_SIZE(t, hm_count_of(heap), 1);
	hm_com_tells_counts(t, heap);
	hm_row(t, "the last Release");
	CHECK_SIZE(t, hm_drop(t, heap), 0);
}

/* ---- Life and end ---- */

static void a_heap_outlives_the_pointer_to_its_manager(struct hm_trial *t)
{
	IHostMemoryManager *memory = hm_another_host(t);
	IHostMalloc *heap;
	void *first, *second;

	if (memory == NULL)
		return;
	heap = hm_heap_of(t, memory, MALLOC_THREADSAFE);
	first = heap != NULL ? hm_block(t, heap, 100) : NULL;
	if (first != NULL)
		hm_fill(first, 100, 1);
	(void)IHostMemoryManager_Release(memory);
	if (first == NULL)
		return;
	hm_row(t, "the manager was released");
	second = hm_block(t, heap, 2 * BYTES);
	if (second != NULL)
		hm_fill(second, 2 * BYTES, 2);
	CHECK(t, hm_holds(first, 100, 1));
	(void)hm_free(t, heap, first);
	(void)IHostMalloc_Release(heap);
}

static void a_heap_ends_with_blocks_live(struct hm_trial *t)
{
	IHostMalloc *stays = hm_new_heap(t, MALLOC_THREADSAFE), *ends;
	void *block = stays != NULL ? hm_block(t, stays, 5000) : NULL;
	struct hm_state before;

	if (block == NULL)
		return;
	hm_fill(block, 5000, 1);
	hm_look(t, &before);
	ends = hm_new_heap(t, MALLOC_THREADSAFE);
	if (ends == NULL)
		return;
	for (size_t size = 0; size <= 4 * BYTES; size = 4 * size + 100)
		(void)hm_block(t, ends, size);
	(void)hm_drop(t, ends);
	hm_row(t, "after the Release of another heap");
	CHECK_UNCHANGED(t, &before);
	CHECK(t, hm_holds(block, 5000, 1));
	(void)hm_free(t, stays, block);
	(void)hm_free(t, stays, hm_block(t, stays, 5000));
}

/* Heaps that are given up, blocks and all, leave nothing: together they had 12 MiB. */
static void many_heaps_leave_nothing(struct hm_trial *t)
{
	struct hm_footprint before = hm_footprint(), after;
	ULONG references = hm_count_of(t->memory);
	struct hm_state was;

	hm_look(t, &was);
	for (unsigned i = 0; i < HEAPS; i++) {
		IHostMalloc *heap = NULL;
		void *block = NULL;

		if (IHostMemoryManager_CreateMalloc(t->memory, i % 2, &heap) != S_OK ||
		    heap == NULL)
			break;
		if (IHostMalloc_Alloc(heap, BYTES, eTaskCritical, &block) == S_OK &&
		    block != NULL)
			hm_fill(block, BYTES, i);
		(void)IHostMalloc_Release(heap);
	}
	CHECK_UNCHANGED(t, &was);
	CHECK_SIZE(t, hm_count_of(t->memory), references);
	if (before.address_space == 0) {
		hm_skip(t, "the system does not tell what a process has");
		return;
	}
	after = hm_footprint();
	CHECK(t, after.address_space <= before.address_space + HEAPS * BYTES / 4);
	CHECK(t, after.files <= before.files);
}

/* ---- Free of what is no block ---- */

static struct {
	IHostMalloc *heap;
	unsigned char *small, *large;
} yard;

/* A heap with blocks that are watched: in memory of the host, so that hm_look sees more. */
static bool make_yard(struct hm_trial *t)
{
	yard.heap = hm_new_heap(t, MALLOC_THREADSAFE);
	if (yard.heap == NULL)
		return false;
	yard.small = (unsigned char *)hm_block(t, yard.heap, 100);
	yard.large = (unsigned char *)hm_block(t, yard.heap, 5 * BYTES);
	if (yard.small == NULL || yard.large == NULL)
		return false;
	hm_fill(yard.small, 100, 1);
	hm_fill(yard.large, 5 * BYTES, 2);
	return true;
}

/* After all refusals the blocks are whole, and the heap works. */
static void look_at_yard(struct hm_trial *t)
{
	void *another;

	if (t->codes)
		return;
	hm_row(t, "afterwards");
	CHECK(t, hm_holds(yard.small, 100, 1));
	CHECK(t, hm_holds(yard.large, 5 * BYTES, 2));
	another = hm_block(t, yard.heap, 100);
	CHECK(t, another != yard.small);
	(void)hm_free(t, yard.heap, yard.small);
	(void)hm_free(t, yard.heap, yard.large);
	(void)hm_free(t, yard.heap, another);
}

static void memory_of_others_is_refused(struct hm_trial *t)
{
	static unsigned char constant_place[64];
	unsigned char stack_place[64];
	void *pages = hm_foreign_pages(BYTES);
	void *taken = hm_take(t, NULL, BYTES, HM_BOTH, PAGE_READWRITE);

	if (taken != NULL && CHECK(t, pages != NULL) && make_yard(t)) {
		const struct {
			const char *what;
			void *place;
		} rows[] = {
			{ "static data", hm_at(constant_place, 16) },
			{ "the stack", hm_at(stack_place, 16) },
			{ "pages of the system", pages },
			{ "inside those", hm_at(pages, 4096 + 64) },
			{ "pages of VirtualAlloc", taken },
			{ "inside those", hm_at(taken, 4096 + 64) },
		};

		for (size_t i = 0; i < HM_ROWS(rows); i++) {
			hm_row(t, "%s", rows[i].what);
			(void)hm_refused_block(t, yard.heap, rows[i].place);
		}
		look_at_yard(t);
	}
	if (pages != NULL)
		hm_foreign_done(pages, BYTES);
}

/* Where nothing is, or nothing can be. */
static void addresses_of_nothing_are_refused(struct hm_trial *t)
{
	static const uintptr_t rows[] = {
		1,
		16,
		0x10000,
		HM_USER_END - 16,
		HM_USER_END,
		(uintptr_t)1 << 47,
		(uintptr_t)1 << 62,
		UINTPTR_MAX << 47,
		UINTPTR_MAX - 15,
		UINTPTR_MAX,
	};

	if (!make_yard(t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "0x%zx", (size_t)rows[i]);
		(void)hm_refused_block(t, yard.heap, (void *)rows[i]);
	}
	look_at_yard(t);
}

static void addresses_within_a_block_are_refused(struct hm_trial *t)
{
	static const size_t offsets[] = { 1, 8, 16, 48, 64, 99 };
	static const size_t large_offsets[] = { 1, 16, 4096, 3 * BYTES, 5 * BYTES - 16 };

	if (!make_yard(t))
		return;
	for (size_t i = 0; i < HM_ROWS(offsets); i++) {
		hm_row(t, "100 bytes, offset %zu", offsets[i]);
		(void)hm_refused_block(t, yard.heap, yard.small + offsets[i]);
	}
	for (size_t i = 0; i < HM_ROWS(large_offsets); i++) {
		hm_row(t, "320 KiB, offset %zu", large_offsets[i]);
		(void)hm_refused_block(t, yard.heap, yard.large + large_offsets[i]);
	}
	look_at_yard(t);
}

static void a_block_is_freed_once(struct hm_trial *t)
{
	static const size_t sizes[] = { 0, 16, 100, 1000, 5000, 40000, 3 * BYTES };
	void *blocks[HM_ROWS(sizes)];

	if (!make_yard(t))
		return;
	for (size_t i = 0; i < HM_ROWS(sizes); i++)
		blocks[i] = hm_block(t, yard.heap, sizes[i]);
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		hm_row(t, "size %zu", sizes[i]);
		if (blocks[i] == NULL)
			continue;
		(void)hm_free(t, yard.heap, blocks[i]);
		(void)hm_refused_block(t, yard.heap, blocks[i]);
	}
	look_at_yard(t);
}

static void a_block_is_of_one_heap(struct hm_trial *t)
{
	IHostMalloc *other = hm_new_heap(t, MALLOC_THREADSAFE);
	void *small = other != NULL ? hm_block(t, other, 100) : NULL;
	void *large = other != NULL ? hm_block(t, other, 5 * BYTES) : NULL;

	if (small == NULL || large == NULL || !make_yard(t))
		return;
	hm_row(t, "100 bytes");
	(void)hm_refused_block(t, yard.heap, small);
	hm_row(t, "320 KiB");
	(void)hm_refused_block(t, yard.heap, large);
	hm_row(t, "by their own heap");
	(void)hm_free(t, other, small);
	(void)hm_free(t, other, large);
	look_at_yard(t);
}

static const struct hm_case cases[] = {
	{ "com", HM_REQUIRED, "COM", a_heap_keeps_the_rules, HM_NO_GROUP },
	{ "null-out", HM_REQUIRED, "COM; MS IUnknown::QueryInterface: E_POINTER",
	  a_null_out_pointer_is_refused, HM_DOCUMENTED },
	{ "null-name", HM_DOCUMENTED, "HM unknown.h: riid is NULL",
	  a_null_name_is_refused, HM_DOCUMENTED },
	{ "unknown-interfaces", HM_REQUIRED, "COM: E_NOINTERFACE and NULL",
	  unknown_interfaces_are_refused, HM_REQUIRED },
	{ "own-object", HM_DOCUMENTED, "HM hostmemory.h: an object of its own",
	  a_heap_is_an_object_of_its_own, HM_NO_GROUP },
	{ "counts-are-told", HM_DOCUMENTED, "MS IUnknown::Release: the new count",
	  addref_and_release_tell_the_count, HM_NO_GROUP },
	{ "outlives-manager", HM_REQUIRED, "COM: who has a reference has the object",
	  a_heap_outlives_the_pointer_to_its_manager, HM_NO_GROUP },
	{ "ends-with-blocks", HM_REQUIRED, "COM: the last Release ends the object",
	  a_heap_ends_with_blocks_live, HM_NO_GROUP },
	{ "many", HM_DOCUMENTED, "HM hostmemory.h: the last Release gives pages back",
	  many_heaps_leave_nothing, HM_NO_GROUP },
	{ "free-foreign", HM_DOCUMENTED, "HR IHostMalloc::Free: HOST_E_INVALIDOPERATION",
	  memory_of_others_is_refused, HM_DOCUMENTED },
	{ "free-nowhere", HM_DOCUMENTED, "HR IHostMalloc::Free: HOST_E_INVALIDOPERATION",
	  addresses_of_nothing_are_refused, HM_DOCUMENTED },
	{ "free-within", HM_DOCUMENTED, "HM hostmemory.h: an address within a block",
	  addresses_within_a_block_are_refused, HM_DOCUMENTED },
	{ "free-twice", HM_DOCUMENTED, "HM hostmemory.h: freed before",
	  a_block_is_freed_once, HM_DOCUMENTED },
	{ "free-elsewhere", HM_DOCUMENTED,
	  "HR IHostMalloc::Free: HOST_E_INVALIDOPERATION", a_block_is_of_one_heap,
	  HM_DOCUMENTED },
};

const struct hm_area hm_area_heap_objects = HM_AREA("heap-objects", cases);
