/*
 * The library's own memory: power-of-two blocks, and tables of any size, cut from spans
 * that the system maps.
 *
 * Nothing that was handed out is ever given back to the system.  Records must stay
 * readable (metadata.h), and a span list that only grows can be walked without a lock,
 * which is how VirtualProtect of "foreign" memory finds out that it is ours.  What a
 * program has needed once is small beside what it described: 64 bytes a region, 128 bytes
 * for each 256 pages whose states differ.
 *
 * Each span is twice as large as the one before, up to a limit: a small program has a
 * small one, and a million regions need two dozen.  What is not yet cut is not touched,
 * so it costs addresses only, and is zero when a table is cut from it.
 *
 * Giving memory back must not fail for want of memory, so a few typed blocks are set
 * aside for the calls that do.
 *
 * Locks: one (HM_RANK_METADATA), the innermost; not held while the system maps a span.
 * The link of a free block is written atomically, because a late reader may look at it;
 * with release, so that one who takes it for what stood there before it was freed also
 * sees that the version has moved.
 */
#include "metadata.h"
#include "os/check.h"
#include "os/lock.h"
#include "os/pages.h"
#include "os/size.h"
#include "spans.h"

#include <string.h>

#define SMALLEST 64U
#define POWERS 27 /* 64 bytes .. 4 GiB */
#define FIRST_SPAN ((size_t)64 << 10)
#define LARGEST_SPAN ((size_t)4 << 20)
#define SMALL_SPAN ((size_t)16 << 10) /* when there is no memory for a larger one */
#define SET_ASIDE 64U
#define ALONE ((size_t)64 << 10) /* from this size on a table has a span of its own */

struct span {
	struct span *next;
	uintptr_t start, end;
};

/* What is left of a span, never touched yet. */
struct rest {
	char *start, *end;
};

struct block {
	_Atomic uintptr_t next;
};

struct pool {
	struct block *free;
	size_t count;
};

static struct {
	struct hm_lock lock;
	struct pool general[POWERS];
	struct pool typed[HM_METADATA_TYPED_KINDS];
	struct rest rest;
	size_t next_span;
	_Atomic size_t in_use;
	_Atomic(struct span *) spans;
} metadata = { .next_span = FIRST_SPAN };

static const size_t typed_size[HM_METADATA_TYPED_KINDS] = {
	[HM_METADATA_STATES] = 128,
	[HM_METADATA_REGION] = 64,
	[HM_METADATA_SPAN_COARSE] = HM_SPAN_RECORD(HM_SPAN_COARSE_MARKS),
	[HM_METADATA_SPAN_MIDDLE] = HM_SPAN_RECORD(HM_SPAN_MIDDLE_MARKS),
	[HM_METADATA_SPAN_FINE] = HM_SPAN_RECORD(HM_SPAN_FINE_MARKS),
	[HM_METADATA_SPAN_FINEST] = HM_SPAN_RECORD(HM_SPAN_FINEST_MARKS),
	[HM_METADATA_SPAN_WHOLE] = HM_SPAN_RECORD(0),
};

/* How many of a kind are kept for calls that give memory back. */
static const unsigned set_aside[HM_METADATA_TYPED_KINDS] = {
	[HM_METADATA_STATES] = SET_ASIDE,
	[HM_METADATA_REGION] = SET_ASIDE,
};

static void push(struct pool *pool, void *memory)
{
	struct block *block = memory;

	atomic_store_explicit(&block->next, (uintptr_t)pool->free, memory_order_release);
	pool->free = block;
	pool->count++;
}

static void *pop(struct pool *pool)
{
	struct block *block = pool->free;

	pool->free = (struct block *)atomic_load_explicit(&block->next,
							  memory_order_relaxed);
	pool->count--;
	return block;
}

bool hm_metadata_overlaps(uintptr_t address, size_t size)
{
	const struct span *span = atomic_load_explicit(&metadata.spans,
						       memory_order_acquire);

	for (; span != NULL; span = span->next) {
		if (address < span->end && span->start < address + size)
			return true;
	}
	return false;
}

/* Cuts `size` bytes, a multiple of SMALLEST: whole pages from the end, which is and stays
 * the end of a page, other sizes from the start.  NULL if there is no room. */
static void *cut(struct rest *rest, size_t size, bool whole_pages)
{
	char *start = rest->start;

	if (whole_pages)
		size = hm_round_up(size, HM_PAGE_SIZE);
	if ((size_t)(rest->end - rest->start) < size)
		return NULL;
	if (whole_pages) {
		rest->end -= size;
		return rest->end;
	}
	rest->start += size;
	return start;
}

/* What is left of a span goes to the free lists, so that nothing is lost. */
static void retire_locked(struct rest *rest)
{
	for (unsigned power = POWERS; power-- > 0;) {
		void *block;

		while ((block = cut(rest, (size_t)SMALLEST << power, false)) != NULL)
			push(&metadata.general[power], block);
	}
}

static void enter_span_locked(void *memory, size_t whole)
{
	struct span *span = memory;

	span->start = (uintptr_t)memory;
	span->end = span->start + whole;
	span->next = atomic_load_explicit(&metadata.spans, memory_order_relaxed);
	atomic_store_explicit(&metadata.spans, span, memory_order_release);
}

/* Enters a new span in the list and cuts from it.  Of what is left of this one and of the
 * one before, the larger is what is cut from next. */
static void *begin_span_locked(void *memory, size_t whole, size_t size, bool whole_pages)
{
	struct rest rest = { (char *)memory + SMALLEST, (char *)memory + whole };
	struct rest other = metadata.rest;
	void *block = cut(&rest, size, whole_pages);

	enter_span_locked(memory, whole);
	if (rest.end - rest.start > other.end - other.start) {
		metadata.rest = rest;
		retire_locked(&other);
	} else {
		retire_locked(&rest);
	}
	hm_assert(block != NULL);
	return block;
}

/* Maps a new span, not holding the lock meanwhile, and cuts `size` bytes from it. */
static void *grow(size_t size, bool whole_pages)
{
	size_t least = hm_round_up(size, HM_PAGE_SIZE) + HM_PAGE_SIZE;
	size_t whole = hm_max(metadata.next_span, least);
	void *memory, *block;

	hm_lock_release(&metadata.lock, HM_RANK_METADATA);
	memory = hm_pages_map_metadata(whole);
	if (memory == NULL && whole > hm_max(SMALL_SPAN, least)) {
		/* Little is left: a small span may still be had. */
		whole = hm_max(SMALL_SPAN, least);
		memory = hm_pages_map_metadata(whole);
	}
	hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	block = cut(&metadata.rest, size, whole_pages);
	if (block != NULL && memory != NULL) {
		/* Others have mapped one meanwhile, and nobody has seen this one. */
		hm_lock_release(&metadata.lock, HM_RANK_METADATA);
		hm_pages_unmap_metadata(memory, whole);
		hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	}
	if (block != NULL || memory == NULL)
		return block;
	if (whole >= metadata.next_span)
		metadata.next_span = hm_min(whole * 2, LARGEST_SPAN);
	return begin_span_locked(memory, whole, size, whole_pages);
}

/*
 * A table that is large is touched here and there only.  Its span has nothing else, and is
 * smaller than those for which huge pages are asked: they would make all of it resident.
 */
static void *map_alone(size_t bytes)
{
	size_t whole = hm_round_up(bytes, HM_PAGE_SIZE) + HM_PAGE_SIZE;
	char *memory = hm_pages_map_metadata(whole);

	if (memory == NULL)
		return NULL;
	hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	enter_span_locked(memory, whole);
	hm_lock_release(&metadata.lock, HM_RANK_METADATA);
	return memory + HM_PAGE_SIZE;
}

void *hm_metadata_map_forever(size_t size)
{
	size_t bytes = hm_round_up(size, SMALLEST);
	bool whole_pages = size >= HM_PAGE_SIZE;
	void *memory;

	if (bytes >= ALONE)
		return map_alone(bytes);
	hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	memory = cut(&metadata.rest, bytes, whole_pages);
	if (memory == NULL)
		memory = grow(bytes, whole_pages);
	hm_lock_release(&metadata.lock, HM_RANK_METADATA);
	return memory;
}

static void *take(struct pool *pool, size_t size, size_t kept)
{
	void *block = NULL;

	hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	if (pool->count > kept)
		block = pop(pool);
	if (block == NULL)
		block = cut(&metadata.rest, size, false);
	if (block == NULL)
		block = grow(size, false);
	if (block != NULL)
		atomic_fetch_add_explicit(&metadata.in_use, size, memory_order_relaxed);
	hm_lock_release(&metadata.lock, HM_RANK_METADATA);
	return block;
}

static void give(struct pool *pool, void *block, size_t size)
{
	hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	push(pool, block);
	atomic_fetch_sub_explicit(&metadata.in_use, size, memory_order_relaxed);
	hm_lock_release(&metadata.lock, HM_RANK_METADATA);
}

bool hm_metadata_prepare(void)
{
	void *blocks[SET_ASIDE];
	unsigned got = 0;
	bool complete = true;

	for (unsigned kind = 0; kind < HM_METADATA_TYPED_KINDS && complete; kind++) {
		for (got = 0; got < set_aside[kind]; got++) {
			/* What is set aside already is taken first, so a second host adds
			 * nothing. */
			blocks[got] = take(&metadata.typed[kind], typed_size[kind], 0);
			if (blocks[got] == NULL)
				break;
		}
		complete = got == set_aside[kind];
		while (got > 0)
			give(&metadata.typed[kind], blocks[--got], typed_size[kind]);
	}
	return complete;
}

void *hm_metadata_take(enum hm_metadata_kind kind, enum hm_metadata_need need)
{
	return take(&metadata.typed[kind], typed_size[kind],
		    need == HM_NEED_TO_FREE ? 0 : set_aside[kind]);
}

void hm_metadata_give(enum hm_metadata_kind kind, void *block)
{
	give(&metadata.typed[kind], block, typed_size[kind]);
}

static unsigned power_of(size_t size)
{
	unsigned power = 0;

	while (((size_t)SMALLEST << power) < size)
		power++;
	return power;
}

void *hm_metadata_alloc(size_t size)
{
	unsigned power;
	void *block;

	if (size > (size_t)SMALLEST << (POWERS - 1))
		return NULL;
	power = power_of(size);
	block = take(&metadata.general[power], (size_t)SMALLEST << power, 0);
	if (block != NULL)
		memset(block, 0, (size_t)SMALLEST << power);
	return block;
}

void hm_metadata_free(void *block, size_t size)
{
	unsigned power = power_of(size);

	if (block != NULL)
		give(&metadata.general[power], block, (size_t)SMALLEST << power);
}

void hm_metadata_bury(const void *block, size_t size)
{
	size_t whole = (size_t)SMALLEST << power_of(size);

	(void)block;
	atomic_fetch_sub_explicit(&metadata.in_use, whole, memory_order_relaxed);
}

void hm_metadata_free_object(void *object, size_t size)
{
#ifdef HM_CHECKED
	hm_metadata_bury(object, size);
#else
	hm_metadata_free(object, size);
#endif
}

size_t hm_metadata_in_use(void)
{
	return atomic_load_explicit(&metadata.in_use, memory_order_relaxed);
}
