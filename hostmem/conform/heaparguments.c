/*
 * Cases about what CreateMalloc and IHostMalloc are given: types, sizes, levels, names.
 */
#include "areas.h"
#include "blocks.h"

#include <string.h>

/* ---- CreateMalloc ---- */

static void every_type_gives_a_heap(struct hm_trial *t)
{
	static const DWORD types[] = { 0, MALLOC_THREADSAFE, MALLOC_EXECUTABLE,
				       MALLOC_THREADSAFE | MALLOC_EXECUTABLE };

	for (size_t i = 0; i < HM_ROWS(types); i++) {
		IHostMalloc *heap = (IHostMalloc *)HM_POISON;
		HRESULT hr = IHostMemoryManager_CreateMalloc(t->memory, types[i], &heap);

		hm_row(t, "type %u", (unsigned)types[i]);
		if (hr == E_ACCESSDENIED && (types[i] & MALLOC_EXECUTABLE) != 0) {
			CHECK_POINTER(t, heap, NULL);
			continue;
		}
		if (!CHECK_HR(t, hr, S_OK) ||
		    !CHECK(t, heap != NULL && heap != (IHostMalloc *)HM_POISON))
			continue;
		(void)hm_free(t, heap, hm_block(t, heap, 100));
		(void)IHostMalloc_Release(heap);
	}
}

/* The reference has two bits and says nothing of others. */
static bool takes_any_type(struct hm_trial *t)
{
	IHostMalloc *heap = NULL;

	if (IHostMemoryManager_CreateMalloc(t->memory, 4, &heap) != S_OK)
		return false;
	if (heap != NULL)
		(void)IHostMalloc_Release(heap);
	return hm_chooses(t, "takes any type of heap");
}

static void unknown_types_are_refused(struct hm_trial *t)
{
	static const DWORD types[] = { 4,          5,          7,          8,
				       0x10,       0x100,      0x1000,     0x10000,
				       0x40000000, 0x80000000, 0x80000001, 0xFFFFFFFC,
				       0xFFFFFFFF };

	if (takes_any_type(t))
		return;
	for (size_t i = 0; i < HM_ROWS(types); i++) {
		IHostMalloc *heap = (IHostMalloc *)HM_POISON;
		struct hm_state before;

		hm_row(t, "type 0x%x", (unsigned)types[i]);
		hm_look(t, &before);
		CHECK_REFUSED(t,
			      IHostMemoryManager_CreateMalloc(t->memory, types[i], &heap),
			      E_INVALIDARG);
		if (t->codes)
			continue;
		if (!CHECK_POINTER(t, heap, NULL) && heap != (IHostMalloc *)HM_POISON)
			(void)IHostMalloc_Release(heap);
		CHECK_UNCHANGED(t, &before);
	}
}

static void a_null_heap_pointer_is_refused(struct hm_trial *t)
{
	static const DWORD types[] = { MALLOC_THREADSAFE, 4 };

	for (size_t i = 0; i < HM_ROWS(types); i++) {
		struct hm_state before;

		hm_row(t, "type %u", (unsigned)types[i]);
		hm_look(t, &before);
		CHECK_REFUSED(t,
			      IHostMemoryManager_CreateMalloc(t->memory, types[i], NULL),
			      E_POINTER);
		if (!t->codes)
			CHECK_UNCHANGED(t, &before);
	}
}

/* ---- Alloc and DebugAlloc ---- */

static HRESULT alloc(IHostMalloc *heap, bool debug, size_t size, int level, void **out)
{
	static char file[] = "file.c";

	if (debug)
		return IHostMalloc_DebugAlloc(heap, size, (EMemoryCriticalLevel)level,
					      file, 1, out);
	return IHostMalloc_Alloc(heap, size, (EMemoryCriticalLevel)level, out);
}

/* One Alloc and one DebugAlloc that have to be refused. */
static void refused(struct hm_trial *t, IHostMalloc *heap, size_t size, int level,
		    HRESULT want)
{
	for (int debug = 0; debug < 2; debug++) {
		struct hm_state before;
		void *out = HM_POISON;

		hm_row(t, "%s, size 0x%zx, level %d", debug ? "DebugAlloc" : "Alloc",
		       size, level);
		hm_look(t, &before);
		CHECK_REFUSED(t, alloc(heap, debug != 0, size, level, &out), want);
		if (t->codes)
			continue;
		CHECK_POINTER(t, out, NULL);
		CHECK_UNCHANGED(t, &before);
	}
}

static void sizes_that_cannot_be_are_refused(struct hm_trial *t)
{
	static const size_t sizes[] = {
		SIZE_MAX,         SIZE_MAX - 1,          SIZE_MAX - 15,
		SIZE_MAX - 16,    SIZE_MAX - 31,         SIZE_MAX - 63,
		SIZE_MAX - 0xFFF, SIZE_MAX - 0xFFFF,     SIZE_MAX - 0x3FFFFF,
		(size_t)1 << 63,  ((size_t)1 << 63) - 1, ((size_t)1 << 63) - 16,
		(size_t)1 << 62,  (size_t)1 << 48,       HM_USER_END,
	};
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	void *block;

	if (heap == NULL)
		return;
	block = hm_block(t, heap, 100);
	for (size_t i = 0; i < HM_ROWS(sizes); i++)
		refused(t, heap, sizes[i], (int)(i % 3), E_OUTOFMEMORY);
	hm_row(t, "afterwards");
	(void)hm_free(t, heap, block);
	(void)hm_free(t, heap, hm_block(t, heap, 5000));
}

static bool takes_any_level(struct hm_trial *t, IHostMalloc *heap)
{
	void *block = NULL;

	if (alloc(heap, false, 100, 3, &block) != S_OK)
		return false;
	(void)hm_free(t, heap, block);
	return hm_chooses(t, "takes any level");
}

static void unknown_levels_are_refused(struct hm_trial *t)
{
	static const struct {
		size_t size;
		int level;
	} rows[] = {
		{ 100, 3 },     { 100, -1 },         { 100, 4 },
		{ 100, 0x100 }, { 100, 0x7FFFFFFF }, { 100, -0x7FFFFFFF - 1 },
		{ 0, 3 },       { SIZE_MAX, 3 },
	};
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap == NULL || takes_any_level(t, heap))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++)
		refused(t, heap, rows[i].size, rows[i].level, E_INVALIDARG);
}

/* Out pointers are looked at first, whatever else is wrong. */
static void a_null_out_pointer_is_refused(struct hm_trial *t)
{
	static const struct {
		size_t size;
		int level;
	} rows[] = { { 100, 0 }, { 0, 0 }, { SIZE_MAX, 0 }, { 100, 3 } };
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	struct hm_state before;

	if (heap == NULL)
		return;
	(void)hm_block(t, heap, 100);
	for (size_t i = 0; i < 2 * HM_ROWS(rows); i++) {
		size_t size = rows[i / 2].size;
		int level = rows[i / 2].level;

		hm_row(t, "%s, size 0x%zx, level %d", i % 2 ? "DebugAlloc" : "Alloc",
		       size, level);
		hm_look(t, &before);
		CHECK_REFUSED(t, alloc(heap, i % 2 != 0, size, level, NULL), E_POINTER);
		if (!t->codes)
			CHECK_UNCHANGED(t, &before);
	}
}

static void debugalloc_takes_any_name(struct hm_trial *t)
{
	static char huge[1 << 20];
	static char plain[] = "file.c", empty[] = "", format[] = "%s%n%1000000d";
	static char latin[] = { 'f', (char)0xFC, 'r', (char)0xFF, '.', 'c', 0 };
	const struct {
		const char *what;
		char *name;
		int line;
	} rows[] = {
		{ "no name", NULL, 1 },
		{ "no name, line -1", NULL, -1 },
		{ "an empty name", empty, 1 },
		{ "line 0", plain, 0 },
		{ "line -1", plain, -1 },
		{ "the lowest line", plain, -0x7FFFFFFF - 1 },
		{ "the highest line", plain, 0x7FFFFFFF },
		{ "a name of 1 MiB", huge, 1 },
		{ "a name that is no UTF-8", latin, 1 },
		{ "a name that is a format", format, 1 },
	};
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	memset(huge, 'h', sizeof(huge) - 1);
	for (size_t i = 0; heap != NULL && i < HM_ROWS(rows); i++) {
		void *block = HM_POISON;

		hm_row(t, "%s", rows[i].what);
		CHECK_HR(t,
			 IHostMalloc_DebugAlloc(heap, 100, eTaskCritical, rows[i].name,
						rows[i].line, &block),
			 S_OK);
		if (!CHECK(t, block != NULL && block != HM_POISON))
			continue;
		hm_fill(block, 100, i);
		(void)hm_free(t, heap, block);
	}
}

/* The name may be gone as soon as the call returns. */
static void debugalloc_copies_the_name(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	char *name = (char *)hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
	void *block = NULL;

	if (heap == NULL || name == NULL)
		return;
	/* Up to the last byte of the page: a host that reads on behind the name is found. */
	memset(name, 'n', HM_PAGE - 1);
	CHECK_HR(t, IHostMalloc_DebugAlloc(heap, 100, eTaskCritical, name, 7, &block),
		 S_OK);
	(void)hm_give(t, name);
	if (!CHECK(t, block != NULL))
		return;
	hm_row(t, "the name is gone");
	(void)hm_free(t, heap, block);
	(void)hm_free(t, heap, hm_block(t, heap, 100));
}

static const struct hm_case cases[] = {
	{ "types", HM_REQUIRED, "HR MALLOC_TYPE; CLR asks for MALLOC_THREADSAFE",
	  every_type_gives_a_heap, HM_NO_GROUP },
	{ "unknown-types", HM_DOCUMENTED, "HM hostmemory.h: another bit in type",
	  unknown_types_are_refused, HM_DOCUMENTED },
	{ "null-heap", HM_DOCUMENTED, "COM: E_POINTER; HM hostmemory.h",
	  a_null_heap_pointer_is_refused, HM_DOCUMENTED },
	{ "sizes", HM_REQUIRED, "HR IHostMalloc::Alloc: E_OUTOFMEMORY; CLR uses the out",
	  sizes_that_cannot_be_are_refused, HM_DOCUMENTED },
	{ "levels", HM_DOCUMENTED, "HM hostmemory.h: level is not a declared value",
	  unknown_levels_are_refused, HM_DOCUMENTED },
	{ "null-out", HM_DOCUMENTED, "COM: E_POINTER; HM hostmemory.h",
	  a_null_out_pointer_is_refused, HM_DOCUMENTED },
	{ "names", HM_DOCUMENTED, "HR IHostMalloc::DebugAlloc; HM: any name, any line",
	  debugalloc_takes_any_name, HM_NO_GROUP },
	{ "names-are-copied", HM_DOCUMENTED, "HM hostmemory.h: copied",
	  debugalloc_copies_the_name, HM_NO_GROUP },
};

const struct hm_area hm_area_heap_arguments = HM_AREA("heap-arguments", cases);
