/*
 * IHostMalloc2: aligned blocks, blocks that change their size, what a block measures, and
 * what a heap gives back on demand.
 */
#include "heap.h"

#define SMALL ((size_t)100)
#define LARGE (3 * MIB)

static struct yard yard;

static bool start(void)
{
	return yard_make(&yard, 0, MALLOC_THREADSAFE);
}

static void give(void *block)
{
	CHECK_HR(heap_free(yard.heap, block), S_OK);
}

static void *take(size_t size, uint64_t seed)
{
	void *block = heap_take(yard.heap, size);

	if (block != NULL)
		heap_fill(block, size, seed);
	return block;
}

/* Writes to the last byte of many blocks, and frees them. */
static void leave_dirt(void)
{
	static void *dirty[64];

	for (size_t size = 16; size <= 2 * MIB; size *= 2) {
		size_t count = size > 64 * KIB ? 2 : ROWS(dirty);

		for (size_t i = 0; i < count; i++) {
			dirty[i] = heap_take(yard.heap, size);
			memset(dirty[i], 0xDD, heap_size(yard.heap, dirty[i]));
		}
		for (size_t i = 0; i < count; i++)
			give(dirty[i]);
	}
}

static bool all_zero(const void *block, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)block;

	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* ---- AllocAligned ---- */

static const size_t aligned_sizes[] = { 0, 1, 24, 100, 4096, 5000, 70000, 300000 };

static void a_block_lies_at_a_multiple_of_every_power_of_two(void)
{
	if (!start())
		return;
	for (size_t alignment = 1; alignment <= 16 * MIB; alignment *= 2) {
		void *blocks[ROWS(aligned_sizes)];
		size_t bytes = 0;

		for (size_t i = 0; i < ROWS(aligned_sizes); i++) {
			size_t size;

			tap_row("size %zu, alignment %zu", aligned_sizes[i], alignment);
			CHECK_HR(heap_alloc_aligned(yard.heap, aligned_sizes[i],
						    alignment, 0, &blocks[i]),
				 S_OK);
			if (blocks[i] == NULL)
				continue;
			size = heap_size(yard.heap, blocks[i]);
			CHECK(size >= aligned_sizes[i]);
			heap_fill(blocks[i], size, i);
			bytes += size;
			CHECK_HEAP(&yard, bytes, i + 1);
		}
		for (size_t i = 0; i < ROWS(aligned_sizes); i++) {
			tap_row("size %zu, alignment %zu", aligned_sizes[i], alignment);
			if (blocks[i] != NULL)
				CHECK(heap_holds(blocks[i],
						 heap_size(yard.heap, blocks[i]), i));
			give(blocks[i]);
		}
		CHECK_HEAP(&yard, 0, 0);
	}
	yard_end(&yard);
}

static void alignment_0_means_16(void)
{
	void *block;

	if (!start())
		return;
	CHECK_HR(heap_alloc_aligned(yard.heap, 100, 0, 0, &block), S_OK);
	give(block);
	yard_end(&yard);
}

/* Also where memory is used again; every byte that was asked for. */
static void a_zeroed_block_reads_as_zero(void)
{
	static const size_t alignments[] = { 0, 64, 4096, 65536 };

	if (!start())
		return;
	for (size_t size = 1; size <= 2 * MIB; size = size * 2 + 1) {
		for (size_t i = 0; i < ROWS(alignments); i++) {
			void *blocks[4];

			tap_row("size %zu, alignment %zu", size, alignments[i]);
			leave_dirt();
			for (size_t n = 0; n < ROWS(blocks); n++) {
				CHECK_HR(heap_alloc_aligned(yard.heap, size,
							    alignments[i],
							    HOSTMEM_HEAP_ZERO,
							    &blocks[n]),
					 S_OK);
				CHECK(blocks[n] != NULL && all_zero(blocks[n], size));
			}
			for (size_t n = 0; n < ROWS(blocks); n++)
				give(blocks[n]);
			if (tap_failed())
				break;
		}
	}
	yard_end(&yard);
}

static void bad_arguments_of_allocaligned_change_nothing(void)
{
	static struct snapshot before;
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
		{ "flag 2", 100, 16, HOSTMEM_HEAP_IN_PLACE, 0, E_INVALIDARG },
		{ "flag 4", 100, 16, 4, 0, E_INVALIDARG },
		{ "all flags", 100, 16, 0xFFFFFFFF, 0, E_INVALIDARG },
		{ "level 3", 100, 16, 0, 3, E_INVALIDARG },
		{ "level -1", 100, 16, 0, -1, E_INVALIDARG },
		{ "no such place", 100, (size_t)1 << 63, 0, 0, E_OUTOFMEMORY },
		{ "no such place either", 100, (size_t)1 << 47, 0, 0, E_OUTOFMEMORY },
		{ "no such size", SIZE_MAX, 16, 0, 0, E_OUTOFMEMORY },
		{ "neither", SIZE_MAX - 15, (size_t)1 << 62, 0, 0, E_OUTOFMEMORY },
		{ "the sum wraps", (size_t)1 << 63, (size_t)1 << 63, 0, 0,
		  E_OUTOFMEMORY },
	};
	void *block, *out;

	if (!start())
		return;
	block = take(SMALL, 1);
	(void)heap_trim(yard.heap);
	snapshot_take(&before, &yard.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		out = POISON;
		CHECK_HR(IHostMalloc2_AllocAligned(yard.heap, rows[i].size,
						   rows[i].alignment, rows[i].flags,
						   (EMemoryCriticalLevel)rows[i].level,
						   &out),
			 rows[i].want);
		CHECK_POINTER(out, NULL);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(IHostMalloc2_AllocAligned(yard.heap, 100, 3, 99, eTaskCritical, NULL),
		 E_POINTER);
	CHECK_UNCHANGED(&before);
	give(block);
	yard_end(&yard);
}

/* ---- Realloc ---- */

static void contents_are_kept_up_to_the_smaller_size(void)
{
	static const size_t sizes[] = { 1,      16,     17,   100,     1000,
					4000,   4096,   8192, 20000,   65536,
					100000, 500000, MIB,  3 * MIB, 9 * MIB };

	if (!start())
		return;
	for (size_t i = 0; i < ROWS(sizes) * ROWS(sizes); i++) {
		size_t from = sizes[i / ROWS(sizes)], to = sizes[i % ROWS(sizes)];
		void *block = take(from, i), *out, *other = take(from, i + 1);

		tap_row("from %zu to %zu", from, to);
		CHECK_HR(heap_realloc(yard.heap, block, to, 0, &out), S_OK);
		if (out == NULL)
			break;
		CHECK(heap_size(yard.heap, out) >= to);
		CHECK(heap_holds(out, from < to ? from : to, i));
		CHECK_SIZE(host_usage(&yard.host).cBlocks, 2);
		CHECK_SIZE(host_usage(&yard.host).cbHeap,
			   heap_size(yard.heap, out) + heap_size(yard.heap, other));
		heap_fill(out, heap_size(yard.heap, out), i + 2);
		CHECK(heap_holds(other, from, i + 1));
		/* Where it has moved, the old one is no block any more. */
		if (out != block)
			CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
		give(out);
		give(other);
		CHECK_HEAP(&yard, 0, 0);
	}
	yard_end(&yard);
}

/* What GetSize grants, the block has: it never moves for that. */
static void a_block_stays_where_the_new_size_fits(void)
{
	if (!start())
		return;
	for (size_t size = 1; size <= LARGE; size = size * 3 + 1) {
		void *block = take(size, size), *out;
		size_t usable = heap_size(yard.heap, block);

		tap_row("size %zu", size);
		CHECK_HR(heap_realloc(yard.heap, block, usable, 0, &out), S_OK);
		CHECK_POINTER(out, block);
		CHECK_HR(heap_realloc(yard.heap, block, usable, HOSTMEM_HEAP_IN_PLACE,
				      &out),
			 S_OK);
		CHECK_POINTER(out, block);
		CHECK_HR(heap_realloc(yard.heap, block, size, HOSTMEM_HEAP_IN_PLACE,
				      &out),
			 S_OK);
		CHECK_POINTER(out, block);
		CHECK(heap_holds(block, size, size));
		give(block);
	}
	CHECK_HEAP(&yard, 0, 0);
	yard_end(&yard);
}

/* In place or not at all, whatever the sizes. */
static void in_place_never_moves(void)
{
	static const size_t sizes[] = { 1, 100, 5000, 100000, MIB, LARGE };

	if (!start())
		return;
	for (size_t i = 0; i < ROWS(sizes) * ROWS(sizes); i++) {
		size_t from = sizes[i / ROWS(sizes)], to = sizes[i % ROWS(sizes)];
		void *block = take(from, i), *out;
		size_t usable = heap_size(yard.heap, block);
		HRESULT hr = heap_realloc(yard.heap, block, to, HOSTMEM_HEAP_IN_PLACE,
					  &out);

		tap_row("from %zu to %zu", from, to);
		if (SUCCEEDED(hr)) {
			CHECK_POINTER(out, block);
			CHECK(heap_size(yard.heap, block) >= to);
			CHECK(heap_holds(block, from < to ? from : to, i));
		} else {
			CHECK_HR(hr, E_OUTOFMEMORY);
			CHECK_SIZE(heap_size(yard.heap, block), usable);
			CHECK(heap_holds(block, from, i));
		}
		if (to <= usable)
			CHECK_HR(hr, S_OK);
		give(block);
	}
	CHECK_HEAP(&yard, 0, 0);
	yard_end(&yard);
}

static void realloc_of_NULL_is_alloc_and_size_0_frees_nothing(void)
{
	void *block, *out;

	if (!start())
		return;
	CHECK_HR(heap_realloc(yard.heap, NULL, 100, 0, &block), S_OK);
	CHECK(heap_size(yard.heap, block) >= 100);
	CHECK_HR(heap_realloc(yard.heap, NULL, 100, HOSTMEM_HEAP_IN_PLACE, &out),
		 E_OUTOFMEMORY);
	CHECK_HR(heap_realloc(yard.heap, block, 0, 0, &out), S_OK);
	CHECK_SIZE(host_usage(&yard.host).cBlocks, 1);
	give(out);
	CHECK_HR(heap_realloc(yard.heap, NULL, 0, 0, &block), S_OK);
	give(block);
	CHECK_HEAP(&yard, 0, 0);
	yard_end(&yard);
}

static void bad_arguments_of_realloc_leave_the_block(void)
{
	static struct snapshot before;
	struct yard other;
	unsigned char *block, *freed, *foreign;
	void *out;

	if (!start() || !yard_make(&other, 0, MALLOC_THREADSAFE))
		return;
	block = (unsigned char *)take(5000, 1);
	freed = (unsigned char *)take(SMALL, 2);
	give(freed);
	foreign = (unsigned char *)heap_take(other.heap, SMALL);
	(void)heap_trim(yard.heap);
	snapshot_take(&before, &yard.host);
	const struct {
		const char *what;
		void *block;
		size_t size;
		DWORD flags;
		int level;
		HRESULT want;
	} rows[] = {
		{ "flag 1", block, 10, HOSTMEM_HEAP_ZERO, 0, E_INVALIDARG },
		{ "flag 4", block, 10, 4, 0, E_INVALIDARG },
		{ "level 3", block, 10, 0, 3, E_INVALIDARG },
		{ "level -1", block, 10, 0, -1, E_INVALIDARG },
		{ "no such size", block, SIZE_MAX, 0, 0, E_OUTOFMEMORY },
		{ "no such size either", block, (size_t)1 << 63, 0, 0, E_OUTOFMEMORY },
		{ "freed", freed, 10, 0, 0, HOST_E_INVALIDOPERATION },
		{ "freed, larger", freed, 10000, 0, 0, HOST_E_INVALIDOPERATION },
		{ "within", block + 16, 10, 0, 0, HOST_E_INVALIDOPERATION },
		{ "another heap's", foreign, 10, 0, 0, HOST_E_INVALIDOPERATION },
		{ "the stack", &out, 10, 0, 0, HOST_E_INVALIDOPERATION },
		{ "nobody's", (void *)16, 10, 0, 0, HOST_E_INVALIDOPERATION },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		out = POISON;
		CHECK_HR(IHostMalloc2_Realloc(yard.heap, rows[i].block, rows[i].size,
					      rows[i].flags,
					      (EMemoryCriticalLevel)rows[i].level, &out),
			 rows[i].want);
		CHECK_POINTER(out, NULL);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(IHostMalloc2_Realloc(yard.heap, block, 10, 99, eTaskCritical, NULL),
		 E_POINTER);
	CHECK_UNCHANGED(&before);
	CHECK(heap_holds(block, 5000, 1));
	give(block);
	yard_end(&other);
	yard_end(&yard);
}

int main(void)
{
	TAP_RUN(a_block_lies_at_a_multiple_of_every_power_of_two);
	TAP_RUN(alignment_0_means_16);
	TAP_RUN(a_zeroed_block_reads_as_zero);
	TAP_RUN(bad_arguments_of_allocaligned_change_nothing);
	TAP_RUN(contents_are_kept_up_to_the_smaller_size);
	TAP_RUN(a_block_stays_where_the_new_size_fits);
	TAP_RUN(in_place_never_moves);
	TAP_RUN(realloc_of_NULL_is_alloc_and_size_0_frees_nothing);
	TAP_RUN(bad_arguments_of_realloc_leave_the_block);
	return tap_done();
}
