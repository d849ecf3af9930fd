/*
 * The directory of region records.
 *
 * The address space is cut into blocks of 4 GiB, a block into 65,536 granules of 64 KiB.
 * A block has a bitmap of the granules in which a region starts and a record for each, so
 * that finding the region of an address is finding the nearest start at or below it: one
 * word of the bitmap as a rule, at most three, or those of two blocks where the block has
 * no lower start.  An entry for every granule of a region would be faster still to look
 * up, and would make reserving a terabyte write 128 MiB.
 *
 * A table has the records of as many granules as a word of the bitmap, which is a page of
 * memory: so nothing is mapped that would not be used, even where each of a thousand
 * regions starts in a table of its own.  Blocks and tables are made before anything is
 * locked, and are never unmapped.  A region that is split needs them too, and giving
 * memory back must not fail for want of memory, so enough for one split is set aside.
 *
 * Locks: HM_RANK_DIRECTORY, never across a system call.  There is one for each stripe of
 * blocks, neighbours in different ones, so that threads that are busy in different blocks
 * write no common cache line.
 *   - A block's bitmap, and the lists and records of the regions that start in it, are
 *     changed by who holds its stripe.  So that is all it takes to take a region out.
 *   - Who enters a region, makes way for one or splits one must know what else overlaps
 *     its range.  In one block, the stripe is enough: what overlaps the range and starts
 *     in the block is kept still by it, and what reaches into the block from another one
 *     crosses a border, and does not come while a stripe is held.  It may go meanwhile,
 *     which is as good as later.
 *   - For what crosses a border, everything is locked.  Two locks of one rank may not be
 *     held at once, so no stripe is: the directory is closed by storing that, and then
 *     every lock is taken once and given back.  Whoever had a stripe before is out by
 *     then; whoever gets one later sees that it is closed, because taking the lock comes
 *     after that visit, and steps back.
 *
 * A stripe has the count of its changes beside the lock, written by whoever holds that.
 */
#include "directory.h"

#define WORD_BITS 64U
#define USED_WORDS (HM_BLOCKS / WORD_BITS)
#define GROUPS (USED_WORDS / WORD_BITS)

/* All that one split may ask for. */
#define ASIDE \
	(2 * (sizeof(struct hm_directory_block) + sizeof(struct hm_directory_table)))

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

_Atomic(struct hm_directory_block *) hm_directory_blocks[HM_BLOCKS];
struct hm_directory_stripe hm_directory_stripes[HM_STRIPES];
_Alignas(64) _Atomic uint32_t hm_directory_closed;

static struct {
	/* Blocks in which a region starts.  A bit is written by who holds the block; words
	 * are shared by blocks of different stripes. */
	_Alignas(64) _Atomic uint64_t used[USED_WORDS];
	_Atomic uint64_t groups[GROUPS]; /* words that ever had a bit */
} directory;

static struct {
	struct hm_lock lock; /* HM_RANK_DIRECTORY */
	char *memory;
	size_t left;
} aside;

_Static_assert(sizeof(struct hm_region) == 64, "a record is a cache line");
_Static_assert(HM_TABLE_RECORDS == WORD_BITS, "a table goes with a word of the bitmap");
_Static_assert((uint64_t)HM_BLOCKS << HM_BLOCK_SHIFT >= HM_SYSTEM_END, "all is covered");

/* ---- Locking ---- */

struct hm_directory_stripe *hm_directory_lock_all(void)
{
	uint32_t open = 0;

	while (!atomic_compare_exchange_strong(&hm_directory_closed, &open, 1)) {
		hm_word_wait(&hm_directory_closed, 1);
		open = 0;
	}
	for (size_t i = 0; i < HM_STRIPES; i++) {
		hm_lock_acquire(&hm_directory_stripes[i].lock, HM_RANK_DIRECTORY);
		hm_lock_release(&hm_directory_stripes[i].lock, HM_RANK_DIRECTORY);
	}
	return NULL;
}

struct hm_directory_stripe *hm_directory_lock(uintptr_t base, uintptr_t end)
{
	struct hm_directory_stripe *stripe = hm_stripe_of(base);

	if (!hm_same_block(base, end))
		return hm_directory_lock_all();
	for (;;) {
		hm_lock_acquire(&stripe->lock, HM_RANK_DIRECTORY);
		if (LOAD(hm_directory_closed) == 0)
			return stripe;
		hm_lock_release(&stripe->lock, HM_RANK_DIRECTORY);
		hm_word_wait(&hm_directory_closed, 1);
	}
}

void hm_directory_unlock(struct hm_directory_stripe *held)
{
	if (held != NULL) {
		hm_lock_release(&held->lock, HM_RANK_DIRECTORY);
		return;
	}
	STORE(hm_directory_closed, 0);
	hm_word_wake_all(&hm_directory_closed);
}

/* ---- Changes ---- */

/*
 * Each count only grows, so two equal sums have equal terms: no count moved between its
 * first reading and its second.  All first readings lie before what the caller does
 * between the two sums, all second ones behind it; so none of them moved meanwhile.
 */
uint64_t hm_directory_changes(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HM_STRIPES; i++)
		sum += LOAD(hm_directory_stripes[i].changes);
	return sum;
}

/* ---- Blocks in use ---- */

static void set_used(uint32_t block)
{
	uint32_t word = block / WORD_BITS;
	uint64_t group = UINT64_C(1) << (word % WORD_BITS);

	if (!(LOAD(directory.groups[word / WORD_BITS]) & group))
		atomic_fetch_or(&directory.groups[word / WORD_BITS], group);
	atomic_fetch_or(&directory.used[word], UINT64_C(1) << (block % WORD_BITS));
}

static void clear_used(uint32_t block)
{
	atomic_fetch_and(&directory.used[block / WORD_BITS],
			 ~(UINT64_C(1) << (block % WORD_BITS)));
}

/* Searches start with the word of `block` and then visit the words that ever had a bit. */
static bool used_at_or_below(uint32_t block, uint32_t *out)
{
	uint32_t word = block / WORD_BITS;
	uint64_t bits = LOAD(directory.used[word]) &
			UINT64_MAX >> (63 - block % WORD_BITS);

	while (bits == 0) {
		uint32_t group = word / WORD_BITS;
		uint64_t words = LOAD(directory.groups[group]) &
				 ((UINT64_C(1) << (word % WORD_BITS)) - 1);

		while (words == 0) {
			if (group == 0)
				return false;
			words = LOAD(directory.groups[--group]);
		}
		word = group * WORD_BITS + 63U - (uint32_t)__builtin_clzll(words);
		bits = LOAD(directory.used[word]);
	}
	*out = word * WORD_BITS + 63U - (uint32_t)__builtin_clzll(bits);
	return true;
}

static bool used_at_or_above(uint32_t block, uint32_t *out)
{
	uint32_t word = block / WORD_BITS;
	uint64_t bits = LOAD(directory.used[word]) & UINT64_MAX << (block % WORD_BITS);

	while (bits == 0) {
		uint32_t group = word / WORD_BITS;
		uint64_t words = LOAD(directory.groups[group]) &
				 UINT64_MAX << (word % WORD_BITS) << 1;

		while (words == 0) {
			if (++group == GROUPS)
				return false;
			words = LOAD(directory.groups[group]);
		}
		word = group * WORD_BITS + (uint32_t)__builtin_ctzll(words);
		bits = LOAD(directory.used[word]);
	}
	*out = word * WORD_BITS + (uint32_t)__builtin_ctzll(bits);
	return true;
}

/* ---- Searching ---- */

struct hm_region *hm_directory_at_or_below(uint64_t granule, uint64_t *found)
{
	uint32_t number = (uint32_t)(granule / HM_BLOCK_GRANULES);
	uint32_t place = (uint32_t)(granule % HM_BLOCK_GRANULES);
	uint32_t used;

	while (used_at_or_below(number, &used)) {
		struct hm_directory_block *block = LOAD(hm_directory_blocks[used]);

		if (used != number)
			place = HM_BLOCK_GRANULES - 1;
		if (hm_bitmap_previous(&block->starts, place, &place)) {
			*found = (uint64_t)used * HM_BLOCK_GRANULES + place;
			return hm_directory_record(block, place);
		}
		if (used == 0)
			break;
		number = used - 1;
		place = HM_BLOCK_GRANULES - 1;
	}
	return NULL;
}

struct hm_region *hm_directory_at_or_above(uint64_t granule, uint64_t *found)
{
	uint32_t number = (uint32_t)(granule / HM_BLOCK_GRANULES);
	uint32_t place = (uint32_t)(granule % HM_BLOCK_GRANULES);
	uint32_t used;

	while (number < HM_BLOCKS && used_at_or_above(number, &used)) {
		struct hm_directory_block *block = LOAD(hm_directory_blocks[used]);

		if (used != number)
			place = 0;
		if (hm_bitmap_next(&block->starts, place, &place)) {
			*found = (uint64_t)used * HM_BLOCK_GRANULES + place;
			return hm_directory_record(block, place);
		}
		number = used + 1;
		place = 0;
	}
	return NULL;
}

/* ---- Making room ---- */

/* Sets memory aside unless there is enough; what was left of the last is too little for
 * anything and lost. */
static bool have_aside(void)
{
	char *memory;
	size_t left;

	hm_lock_acquire(&aside.lock, HM_RANK_DIRECTORY);
	left = aside.left;
	hm_lock_release(&aside.lock, HM_RANK_DIRECTORY);
	if (left == ASIDE)
		return true;
	memory = hm_metadata_map_forever(ASIDE);
	if (memory == NULL)
		return false;
	hm_lock_acquire(&aside.lock, HM_RANK_DIRECTORY);
	aside.memory = memory;
	aside.left = ASIDE;
	hm_lock_release(&aside.lock, HM_RANK_DIRECTORY);
	return true;
}

static void *take_aside(size_t size)
{
	void *memory = NULL;

	hm_lock_acquire(&aside.lock, HM_RANK_DIRECTORY);
	if (aside.left >= size) {
		memory = aside.memory;
		aside.memory += size;
		aside.left -= size;
	}
	hm_lock_release(&aside.lock, HM_RANK_DIRECTORY);
	return memory;
}

static void *make(size_t size, enum hm_metadata_need need)
{
	void *memory = NULL;

	if (need == HM_NEED_TO_FREE || have_aside())
		memory = hm_metadata_map_forever(size);
	if (memory == NULL && need == HM_NEED_TO_FREE)
		memory = take_aside(size);
	return memory;
}

/* Whoever comes second leaves what it has made unused, which costs addresses and happens
 * at most once for each block or table and thread. */
static struct hm_directory_block *have_block(uintptr_t address,
					     enum hm_metadata_need need)
{
	struct hm_directory_block *block = hm_directory_block(address), *other = NULL;

	if (block != NULL)
		return block;
	block = make(sizeof(*block), need);
	if (block == NULL ||
	    atomic_compare_exchange_strong(&hm_directory_blocks[hm_block_of(address)],
					   &other, block))
		return block;
	return other;
}

struct hm_region *hm_directory_make_room(uintptr_t address, enum hm_metadata_need need)
{
	struct hm_directory_block *block = have_block(address, need);
	uint32_t number = hm_granule_of(address) / HM_TABLE_RECORDS;
	struct hm_directory_table *table, *other = NULL;

	if (block == NULL)
		return NULL;
	if (LOAD(block->tables[number]) == NULL) {
		table = make(sizeof(*table), need);
		if (table == NULL)
			return NULL;
		(void)atomic_compare_exchange_strong(&block->tables[number], &other,
						     table);
	}
	return hm_directory_own(address);
}

void hm_directory_add(uintptr_t base)
{
	struct hm_directory_block *block = hm_directory_block(base);

	if (LOAD(block->starts.top) == 0)
		set_used(hm_block_of(base));
	hm_bitmap_add(&block->starts, hm_granule_of(base));
}

void hm_directory_remove(uintptr_t base)
{
	struct hm_directory_block *block = hm_directory_block(base);

	hm_bitmap_remove(&block->starts, hm_granule_of(base));
	if (LOAD(block->starts.top) == 0)
		clear_used(hm_block_of(base));
}

/* ---- Checking ---- */

/* The regions of one granule, which hang from its record; `starts` = its bit is set. */
static const char *check_granule(struct hm_region *first, uintptr_t granule, bool starts)
{
	bool some = hm_record_phase(first) != HM_REGION_NONE || LOAD(first->next) != NULL;

	if (some != starts)
		return some ? "a region starts where there is no bit"
			    : "no region starts where there is a bit";
	for (struct hm_region *region = first; region != NULL;
	     region = LOAD(region->next)) {
		enum hm_region_phase phase = hm_record_phase(region);

		if (phase == HM_REGION_NONE && region == first)
			continue;
		if (phase == HM_REGION_NONE || phase > HM_REGION_PARKED)
			return "a record that is not in use is in a list";
		if (hm_region_base(region) >> HM_GRANULE_SHIFT != granule)
			return "a record is not where its region starts";
		if (hm_region_base(region) >= hm_region_end(region))
			return "a region has no pages";
	}
	return NULL;
}

static const char *check_block(uint32_t number, struct hm_directory_block *block)
{
	bool used = LOAD(directory.used[number / WORD_BITS]) >> (number % WORD_BITS) & 1;
	const char *broken = hm_bitmap_check(&block->starts);

	if (used != (LOAD(block->starts.top) != 0))
		return "a block is not in use, or is, and there is no sign of it";
	for (uint32_t place = 0; place < HM_BLOCK_GRANULES && broken == NULL; place++) {
		uint64_t starts = LOAD(block->starts.bottom[place / WORD_BITS]);

		if (LOAD(block->tables[place / HM_TABLE_RECORDS]) == NULL) {
			if (starts != 0)
				return "a region starts where there are no records";
			place += HM_TABLE_RECORDS - 1;
			continue;
		}
		broken = check_granule(hm_directory_record(block, place),
				       (uintptr_t)number * HM_BLOCK_GRANULES + place,
				       starts >> (place % WORD_BITS) & 1);
	}
	return broken;
}

const char *hm_directory_check(void)
{
	const char *broken = NULL;

	for (uint32_t i = 0; i < HM_BLOCKS && broken == NULL; i++) {
		struct hm_directory_block *block = LOAD(hm_directory_blocks[i]);

		if (block != NULL)
			broken = check_block(i, block);
		else if (LOAD(directory.used[i / WORD_BITS]) >> (i % WORD_BITS) & 1)
			broken = "a block is in use that is not there";
	}
	return broken;
}
