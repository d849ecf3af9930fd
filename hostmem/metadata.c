/*
 * The library's own memory: power-of-two blocks cut from spans that the system maps.
 *
 * Nothing is ever given back to the system.  Records must stay readable (metadata.h),
 * and a span list that only grows can be walked without a lock, which is how
 * VirtualProtect of "foreign" memory finds out that it is ours.  What a program has
 * needed once is small beside what it described: 64 bytes a region, 128 bytes for each
 * 256 pages whose states differ.
 *
 * Giving memory back must not fail for want of memory, so a few typed blocks are set
 * aside for the calls that do.
 *
 * Locks: one (HM_RANK_METADATA), the innermost; not held while the system maps a span.
 * The link of a free block is written atomically, because a late reader may look at it.
 */
#include "metadata.h"
#include "os/check.h"
#include "os/lock.h"
#include "os/pages.h"
#include "os/size.h"

#include <string.h>

#define SMALLEST 64U
#define POWERS 27 /* 64 bytes .. 4 GiB */
#define FIRST_SPAN ((size_t)256 << 10)
#define LARGEST_SPAN ((size_t)4 << 20)
#define SET_ASIDE 64U

struct span {
	struct span *next;
	uintptr_t start, end;
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
	char *cut, *end; /* what is left of the newest span */
	size_t next_span;
	_Atomic size_t in_use;
	_Atomic(struct span *) spans;
} metadata;

static const size_t typed_size[HM_METADATA_TYPED_KINDS] = {
	[HM_METADATA_STATES] = 128,
	[HM_METADATA_REGION] = 64,
};

static void push(struct pool *pool, void *memory)
{
	struct block *block = memory;

	atomic_store_explicit(&block->next, (uintptr_t)pool->free, memory_order_relaxed);
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

void *hm_metadata_map_forever(size_t size)
{
	size_t whole = hm_round_up(size + sizeof(struct span), HM_PAGE_SIZE);
	char *memory = hm_pages_map_metadata(whole);
	struct span *span;

	if (memory == NULL)
		return NULL;
	/* The header sits at the end, so that what is handed out is page aligned. */
	span = (struct span *)(void *)(memory + whole - SMALLEST);
	span->start = (uintptr_t)memory;
	span->end = span->start + whole;
	span->next = atomic_load_explicit(&metadata.spans, memory_order_acquire);
	while (!atomic_compare_exchange_weak_explicit(&metadata.spans, &span->next, span,
						      memory_order_release,
						      memory_order_acquire))
		;
	return memory;
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

/* Cuts `size` bytes from the newest span; NULL if it has no room. */
static void *cut_locked(size_t size)
{
	char *block = metadata.cut;

	if ((size_t)(metadata.end - metadata.cut) < size)
		return NULL;
	metadata.cut += size;
	return block;
}

/* What the old span still has goes to the free lists, so that nothing is lost. */
static void retire_span_locked(void)
{
	for (unsigned power = POWERS; power-- > 0;) {
		size_t size = (size_t)SMALLEST << power;

		while ((size_t)(metadata.end - metadata.cut) >= size)
			push(&metadata.general[power], cut_locked(size));
	}
}

/* Maps a new span, not holding the lock meanwhile, and cuts a block from it. */
static void *grow(size_t size)
{
	size_t span = hm_max(hm_max(metadata.next_span, FIRST_SPAN), size + SMALLEST);
	char *memory;
	void *block;

	hm_lock_release(&metadata.lock, HM_RANK_METADATA);
	span = hm_round_up(span, HM_PAGE_SIZE);
	memory = hm_metadata_map_forever(span - SMALLEST);
	if (memory == NULL && span > HM_PAGE_SIZE * 4 && size <= HM_PAGE_SIZE * 2) {
		/* Little is left: a small span may still be had. */
		span = HM_PAGE_SIZE * 4;
		memory = hm_metadata_map_forever(span - SMALLEST);
	}
	hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	if (memory == NULL)
		return NULL;
	retire_span_locked();
	metadata.cut = memory;
	metadata.end = memory + span - SMALLEST;
	metadata.next_span = hm_min(span * 2, LARGEST_SPAN);
	block = cut_locked(size);
	hm_assert(block != NULL);
	return block;
}

static void *take(struct pool *pool, size_t size, size_t set_aside)
{
	void *block = NULL;

	hm_lock_acquire(&metadata.lock, HM_RANK_METADATA);
	if (pool->count > set_aside)
		block = pop(pool);
	if (block == NULL)
		block = cut_locked(size);
	if (block == NULL)
		block = grow(size);
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
		for (got = 0; got < SET_ASIDE; got++) {
			/* What is set aside already is taken first, so a second host adds
			 * nothing. */
			blocks[got] = take(&metadata.typed[kind], typed_size[kind], 0);
			if (blocks[got] == NULL)
				break;
		}
		complete = got == SET_ASIDE;
		while (got > 0)
			give(&metadata.typed[kind], blocks[--got], typed_size[kind]);
	}
	return complete;
}

void *hm_metadata_take(enum hm_metadata_kind kind, enum hm_metadata_need need)
{
	return take(&metadata.typed[kind], typed_size[kind],
		    need == HM_NEED_TO_FREE ? 0 : SET_ASIDE);
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

size_t hm_metadata_in_use(void)
{
	return atomic_load_explicit(&metadata.in_use, memory_order_relaxed);
}
