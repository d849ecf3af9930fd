/*
 * Bad inputs of a heap's Alloc and DebugAlloc, rows 73 to 77 of the list of bad inputs.
 */
#include "bad_inputs_heap.h"

static void rows_73_to_76_arguments_of_alloc(void)
{
	static const struct {
		int number;
		size_t size;
		int level;
		HRESULT want;
	} rows[] = {
		{ 75, SIZE_MAX, 0, E_OUTOFMEMORY },
		{ 75, SIZE_MAX - 1, 0, E_OUTOFMEMORY },
		{ 75, SIZE_MAX - 15, 1, E_OUTOFMEMORY },
		{ 75, SIZE_MAX - 16, 2, E_OUTOFMEMORY },
		{ 75, SIZE_MAX - 0xFFF, 0, E_OUTOFMEMORY },
		{ 75, SIZE_MAX - 0xFFFF, 0, E_OUTOFMEMORY },
		{ 75, SIZE_MAX - 0x3FFFFF, 0, E_OUTOFMEMORY },
		{ 75, (size_t)1 << 63, 0, E_OUTOFMEMORY },
		{ 75, ((size_t)1 << 63) - 1, 0, E_OUTOFMEMORY },
		{ 75, (size_t)1 << 48, 0, E_OUTOFMEMORY },
		{ 75, USER_END, 2, E_OUTOFMEMORY },
		{ 76, 100, 3, E_INVALIDARG },
		{ 76, 100, -1, E_INVALIDARG },
		{ 76, 100, 0x7FFFFFFF, E_INVALIDARG },
		{ 76, 0, 3, E_INVALIDARG },
		{ 76, SIZE_MAX, 3, E_INVALIDARG },
	};
	IHostMalloc2 *heap;
	void *out;

	if (!fixture_make())
		return;
	heap = fixture.yard.heap;
	(void)heap_trim(heap);
	fixture_picture();
	for (size_t i = 0; i < ROWS(rows); i++) {
		EMemoryCriticalLevel level = (EMemoryCriticalLevel)rows[i].level;

		tap_row("%d, size 0x%zx, level %d", rows[i].number, rows[i].size,
			rows[i].level);
		CHECK_HR(heap_alloc_at_level(heap, rows[i].size, level, &out),
			 rows[i].want);
		out = POISON;
		CHECK_HR(IHostMalloc2_DebugAlloc(heap, rows[i].size, level, NULL, 0,
						 &out),
			 rows[i].want);
		CHECK_POINTER(out, NULL);
		CHECK_HR(IHostMalloc2_Alloc(heap, rows[i].size, level, NULL), E_POINTER);
		CHECK_HR(IHostMalloc2_DebugAlloc(heap, rows[i].size, level, NULL, 0,
						 NULL),
			 E_POINTER);
		/* Who asks for too much may be told why; others hear nothing. */
		if (rows[i].want == E_OUTOFMEMORY)
			atomic_store(&fixture.events, 0);
		fixture_check_unchanged();
	}
	tap_row("73");
	CHECK_HR(IHostMalloc2_Alloc(heap, 100, eTaskCritical, NULL), E_POINTER);
	fixture_check_unchanged();
	fixture_end();
}

static void row_74_size_0(void)
{
	void *first, *second;

	if (!fixture_make())
		return;
	first = heap_take(fixture.yard.heap, 0);
	second = heap_take(fixture.yard.heap, 0);
	CHECK(first != second);
	CHECK_HR(heap_free(fixture.yard.heap, second), S_OK);
	CHECK_HR(heap_free(fixture.yard.heap, first), S_OK);
	fixture_end();
}

static void row_77_names_of_debugalloc(void)
{
	static char huge[MIB];
	static const char latin[] = { 'f', (char)0xFC, 'r', (char)0xFF, '.', 'c', 0 };
	static const struct {
		const char *what, *name;
		int line;
	} rows[] = {
		{ "NULL", NULL, 1 },
		{ "empty", "", 1 },
		{ "line -1", "a.c", -1 },
		{ "line INT_MIN", "a.c", -2147483647 - 1 },
		{ "line INT_MAX", "a.c", 2147483647 },
		{ "1 MiB", huge, 1 },
		{ "not UTF-8", latin, 1 },
		{ "a format", "%s%n%1000000d", 1 },
	};

	if (!fixture_make())
		return;
	memset(huge, 'h', sizeof(huge) - 1);
	for (size_t i = 0; i < ROWS(rows); i++) {
		void *block;

		tap_row("77, %s", rows[i].what);
		CHECK_HR(heap_alloc_debug(fixture.yard.heap, 100, rows[i].name,
					  rows[i].line, &block),
			 S_OK);
		if (block == NULL)
			continue;
		memset(block, 0x77, 100);
		CHECK_HR(heap_free(fixture.yard.heap, block), S_OK);
	}
	fixture_end();
}

int main(void)
{
	TAP_RUN(rows_73_to_76_arguments_of_alloc);
	TAP_RUN(row_74_size_0);
	TAP_RUN(row_77_names_of_debugalloc);
	return tap_done();
}
