/*
 * The map from addresses to regions.
 *
 * The address space is cut into blocks of 4 GiB, a block into 65,536 granules of 64 KiB.
 * A block has a bitmap of the granules in which a region starts and a record for each, so
 * that finding the region of an address is finding the nearest start at or below it: at
 * most three words of one bitmap, or of two where the block has no lower start.  An entry
 * for every granule of a region would be faster still to look up, and would make
 * reserving a terabyte write 128 MiB.
 *
 * Regions start on a granule of their own, but for one case: giving up part of a
 * reservation may leave a rest that starts in the middle of a granule.  Records after the
 * first of a granule hang from its record as a list.
 *
 * Readers take no lock.  They read a version, the fields, and the version again; the
 * version moves whenever a record changes its meaning or nodes of its states are freed.
 * A reader that finds no region at all has seen a moment at which there was none, since
 * the map as a whole counts its changes.
 *
 * Locks: HM_RANK_DIRECTORY around changes of the bitmaps and lists, never across a system
 * call (blocks are mapped before it is taken).  A region's own lock is taken by whoever
 * works on the region, system calls included.
 */
#include "regions.h"
#include "os/check.h"
#include "os/size.h"

#include "bitmap.h"

#define BLOCK_SHIFT 32
#define GRANULES HM_BITMAP_SIZE
#define BLOCKS HM_BITMAP_SIZE

struct block {
	struct hm_bitmap starts;
	struct hm_region records[GRANULES];
};

static struct {
	struct hm_lock lock;
	struct hm_bitmap used; /* blocks that have a start */
	_Atomic(struct block *) blocks[BLOCKS];
	_Atomic uint64_t changes;
} directory;

_Static_assert(sizeof(struct hm_region) == 64, "a record is a cache line");
_Static_assert((uint64_t)BLOCKS << BLOCK_SHIFT >= HM_SYSTEM_END, "the map covers it all");

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

static uint32_t block_of(uintptr_t address)
{
	return (uint32_t)(address >> BLOCK_SHIFT);
}

static uint32_t granule_of(uintptr_t address)
{
	return (uint32_t)(address >> HM_GRANULE_SHIFT) % GRANULES;
}

static enum hm_region_phase phase_of(const struct hm_region *region)
{
	return (enum hm_region_phase)(LOAD(region->extent) & HM_REGION_PHASES);
}

/* One store: no reader sees a region shortened and not yet in its new phase. */
static void set_extent(struct hm_region *region, uintptr_t end,
		       enum hm_region_phase phase)
{
	STORE(region->extent, end | phase);
}

static void next_version(struct hm_region *region)
{
	atomic_fetch_add_explicit(&region->version, 1, memory_order_acq_rel);
}

uint64_t hm_regions_changes(void)
{
	return LOAD(directory.changes);
}

/* Reads a record; false if it changed meanwhile.  A record not in use is read too. */
static bool view_of(struct hm_region *region, struct hm_region_view *out)
{
	uintptr_t extent;

	out->region = region;
	out->states.seen = LOAD(region->version);
	extent = LOAD(region->extent);
	out->phase = (enum hm_region_phase)(extent & HM_REGION_PHASES);
	out->end = extent & ~(uintptr_t)HM_REGION_PHASES;
	out->host = LOAD(region->host);
	out->base = LOAD(region->base);
	out->protection = LOAD(region->protection);
	out->states.levels = LOAD(region->levels);
	out->states.root = LOAD(region->states);
	out->states.version = &region->version;
	return LOAD(region->version) == out->states.seen;
}

/* The nearest granule at or below `granule` in which a region starts, and its first
 * record. */
static struct hm_region *start_at_or_below(uint64_t granule, uint64_t *found)
{
	uint32_t number = (uint32_t)(granule / GRANULES);
	uint32_t place = (uint32_t)(granule % GRANULES);
	uint32_t used;

	while (hm_bitmap_previous(&directory.used, number, &used)) {
		struct block *block = LOAD(directory.blocks[used]);

		if (used != number)
			place = GRANULES - 1;
		if (hm_bitmap_previous(&block->starts, place, &place)) {
			*found = (uint64_t)used * GRANULES + place;
			return &block->records[place];
		}
		if (used == 0)
			break;
		number = used - 1;
		place = GRANULES - 1;
	}
	return NULL;
}

static struct hm_region *start_at_or_above(uint64_t granule, uint64_t *found)
{
	uint32_t number = (uint32_t)(granule / GRANULES);
	uint32_t place = (uint32_t)(granule % GRANULES);
	uint32_t used;

	while (hm_bitmap_next(&directory.used, number, &used)) {
		struct block *block = LOAD(directory.blocks[used]);

		if (used != number)
			place = 0;
		if (hm_bitmap_next(&block->starts, place, &place)) {
			*found = (uint64_t)used * GRANULES + place;
			return &block->records[place];
		}
		if (used == BLOCKS - 1)
			break;
		number = used + 1;
		place = 0;
	}
	return NULL;
}

enum search { FOUND, ABSENT, CHANGED };

/*
 * Of the regions of one granule whose base is in [low, high], the one with the highest
 * base, or the lowest.  The first record's version guards the list: it moves when the
 * list changes.
 */
static enum search search_granule(struct hm_region *first, uintptr_t low, uintptr_t high,
				  bool highest, struct hm_region_view *out)
{
	uint64_t version = LOAD(first->version);
	enum search result = ABSENT;

	for (struct hm_region *region = first; region != NULL;
	     region = LOAD(region->next)) {
		struct hm_region_view view;

		if (!view_of(region, &view) || LOAD(first->version) != version)
			return CHANGED;
		if (view.phase == HM_REGION_NONE || view.base < low || view.base > high ||
		    view.base >= view.end)
			continue;
		if (result == ABSENT || (view.base > out->base) == highest)
			*out = view;
		result = FOUND;
	}
	return LOAD(first->version) == version ? result : CHANGED;
}

bool hm_regions_previous(uintptr_t address, struct hm_region_view *out)
{
	uint64_t from = address >> HM_GRANULE_SHIFT;

	if (address >= HM_SYSTEM_END)
		return false;
	for (uint64_t granule = from;;) {
		struct hm_region *first = start_at_or_below(granule, &granule);
		enum search result;

		if (first == NULL)
			return false;
		result = search_granule(first, 0, address, true, out);
		if (result == FOUND)
			return true;
		if (result == CHANGED)
			granule = from;
		else if (granule-- == 0)
			return false;
	}
}

/*
 * A search that finds nothing at the address may have passed the place of a region before
 * that was entered, and come to its left neighbour after that was cut off: what is split
 * is always covered, but not always by the same record.  Entering counts a change, and
 * the cut comes after that, so a gap is believed only if the count stood still.
 */
bool hm_regions_find(uintptr_t address, struct hm_region_view *out)
{
	for (;;) {
		uint64_t changes = hm_regions_changes();

		if (hm_regions_previous(address, out) && address < out->end)
			return true;
		if (hm_regions_changes() == changes)
			return false;
	}
}

bool hm_regions_next(uintptr_t address, struct hm_region_view *out)
{
	uint64_t from = address >> HM_GRANULE_SHIFT;

	if (address >= HM_SYSTEM_END)
		return false;
	for (uint64_t granule = from;;) {
		struct hm_region *first = start_at_or_above(granule, &granule);
		enum search result;

		if (first == NULL)
			return false;
		result = search_granule(first, address, UINTPTR_MAX, false, out);
		if (result == FOUND)
			return true;
		if (result == CHANGED)
			granule = from;
		else if (++granule > HM_SYSTEM_END >> HM_GRANULE_SHIFT)
			return false;
	}
}

static bool is_live_at(const struct hm_region *region, uintptr_t address)
{
	return phase_of(region) == HM_REGION_LIVE && hm_region_base(region) <= address &&
	       address < hm_region_end(region);
}

struct hm_region *hm_regions_lock(const struct hm_host *host, uintptr_t address)
{
	struct hm_region_view view;

	while (hm_regions_find(address, &view)) {
		if (view.phase != HM_REGION_LIVE || view.host != host)
			return NULL;
		hm_lock_acquire(&view.region->lock, HM_RANK_REGION);
		/* A live region's lock is needed to end it, so this now stays true. */
		if (is_live_at(view.region, address) && LOAD(view.region->host) == host)
			return view.region;
		hm_lock_release(&view.region->lock, HM_RANK_REGION);
	}
	return NULL;
}

struct hm_region *hm_regions_try_lock(uintptr_t address, bool *busy)
{
	struct hm_region_view view;

	*busy = false;
	if (!hm_regions_find(address, &view) || view.phase != HM_REGION_LIVE)
		return NULL;
	*busy = true;
	if (!hm_lock_try(&view.region->lock, HM_RANK_REGION))
		return NULL;
	if (is_live_at(view.region, address))
		return view.region;
	hm_lock_release(&view.region->lock, HM_RANK_REGION);
	return NULL;
}

void hm_regions_unlock(struct hm_region *region)
{
	hm_lock_release(&region->lock, HM_RANK_REGION);
}

uint64_t hm_region_version(const struct hm_region *region)
{
	return LOAD(region->version);
}

/* Maps the block of an address; whoever comes second leaves its own unused, which costs
 * addresses and happens at most once for each 4 GiB. */
static bool have_block(uintptr_t address)
{
	_Atomic(struct block *) *place = &directory.blocks[block_of(address)];
	struct block *block = LOAD(*place);
	struct block *none = NULL;

	if (block != NULL)
		return true;
	block = hm_metadata_map_forever(sizeof(*block));
	if (block == NULL)
		return false;
	(void)atomic_compare_exchange_strong(place, &none, block);
	return true;
}

/* After a change and before anything that follows from it: whoever sees what follows
 * sees the new count. */
static void count_change_locked(void)
{
	atomic_fetch_add_explicit(&directory.changes, 1, memory_order_acq_rel);
}

static void remove_locked(struct hm_region *region)
{
	uintptr_t base = hm_region_base(region);
	struct block *block = LOAD(directory.blocks[block_of(base)]);
	struct hm_region *first = &block->records[granule_of(base)];

	set_extent(region, 0, HM_REGION_NONE);
	next_version(region);
	count_change_locked();
	if (region != first) {
		struct hm_region *before = first;

		while (LOAD(before->next) != region)
			before = LOAD(before->next);
		STORE(before->next, LOAD(region->next));
		next_version(first);
		hm_metadata_give(HM_METADATA_REGION, region);
	}
	if (phase_of(first) != HM_REGION_NONE || LOAD(first->next) != NULL)
		return;
	hm_bitmap_remove(&block->starts, granule_of(base));
	if (LOAD(block->starts.top) == 0)
		hm_bitmap_remove(&directory.used, block_of(base));
}

void hm_regions_remove(const struct hm_region_ticket *ticket)
{
	hm_lock_acquire(&directory.lock, HM_RANK_DIRECTORY);
	if (LOAD(ticket->region->version) == ticket->version)
		remove_locked(ticket->region);
	hm_lock_release(&directory.lock, HM_RANK_DIRECTORY);
}

bool hm_regions_arrive(const struct hm_region_ticket *ticket)
{
	bool arrived;

	hm_lock_acquire(&directory.lock, HM_RANK_DIRECTORY);
	arrived = LOAD(ticket->region->version) == ticket->version;
	if (arrived)
		hm_region_set_phase(ticket->region, HM_REGION_LIVE);
	hm_lock_release(&directory.lock, HM_RANK_DIRECTORY);
	return arrived;
}

bool hm_regions_units_in_use(uintptr_t base, uintptr_t end)
{
	uintptr_t low = hm_round_down(base, HM_GRANULE_SIZE);
	uintptr_t at = hm_round_up(end, HM_GRANULE_SIZE) - 1;
	struct hm_region_view view;

	while (hm_regions_previous(at, &view)) {
		if (view.end <= low)
			return false;
		if (view.phase == HM_REGION_LIVE || view.phase == HM_REGION_ARRIVING)
			return true;
		if (view.base == 0)
			return false;
		at = view.base - 1;
	}
	return false;
}

/*
 * Makes room for a range that the system has just given: regions that were leaving are
 * gone for certain, and those that want to arrive there come too late.  Any other means
 * that somebody has unmapped our memory behind our back.
 */
static HRESULT evict_locked(uintptr_t base, uintptr_t end)
{
	struct hm_region_view view;

	while (hm_regions_previous(end - 1, &view) && view.end > base) {
		if (view.phase == HM_REGION_LIVE || view.phase == HM_REGION_PARKED)
			return E_FAIL;
		remove_locked(view.region);
	}
	return S_OK;
}

static void fill_locked(struct hm_region *region, const struct hm_region_fields *fields)
{
	STORE(region->base, fields->base);
	STORE(region->states, fields->states);
	STORE(region->host, fields->host);
	STORE(region->protection, fields->protection);
	STORE(region->levels,
	      (uint8_t)hm_states_levels(hm_pages(fields->end - fields->base)));
	STORE(region->traits, fields->traits);
	next_version(region);
	set_extent(region, fields->end, fields->phase);
}

/* Enters a region with the granule's own record if that is free, else with *spare, which
 * is then used up; NULL if it would need one. */
static struct hm_region *link_locked(const struct hm_region_fields *fields,
				     struct hm_region **spare)
{
	uintptr_t base = fields->base;
	struct block *block = LOAD(directory.blocks[block_of(base)]);
	struct hm_region *first = &block->records[granule_of(base)];
	struct hm_region *region = first;

	if (phase_of(first) != HM_REGION_NONE) {
		region = *spare;
		if (region == NULL)
			return NULL;
		*spare = NULL;
		STORE(region->next, LOAD(first->next));
	}
	fill_locked(region, fields);
	if (region != first) {
		STORE(first->next, region);
		next_version(first);
	}
	hm_bitmap_add(&directory.used, block_of(base));
	hm_bitmap_add(&block->starts, granule_of(base));
	count_change_locked();
	return region;
}

static HRESULT enter_locked(const struct hm_region_fields *fields, bool exact,
			    struct hm_region **spare, struct hm_region_ticket *out)
{
	struct hm_region_view view;
	HRESULT hr = S_OK;

	out->region = NULL;
	if (exact && hm_regions_units_in_use(fields->base, fields->end))
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	/* One that arrives has been given nothing yet, so what is leaving there stays; and
	 * it makes known already that these addresses are not a stranger's. */
	if (fields->phase == HM_REGION_ARRIVING &&
	    hm_regions_previous(fields->end - 1, &view) && view.end > fields->base)
		return S_OK;
	if (fields->phase == HM_REGION_LIVE)
		hr = evict_locked(fields->base, fields->end);
	if (FAILED(hr))
		return hr;
	out->region = link_locked(fields, spare);
	if (out->region == NULL)
		return S_FALSE;
	out->version = LOAD(out->region->version);
	return S_OK;
}

static void give_spare(struct hm_region *spare)
{
	if (spare != NULL)
		hm_metadata_give(HM_METADATA_REGION, spare);
}

HRESULT hm_regions_enter(const struct hm_region_fields *fields, bool exact,
			 struct hm_region_ticket *out)
{
	struct hm_region *spare = NULL;
	HRESULT hr;

	if (!have_block(fields->base))
		return E_OUTOFMEMORY;
	for (;;) {
		hm_lock_acquire(&directory.lock, HM_RANK_DIRECTORY);
		hr = enter_locked(fields, exact, &spare, out);
		hm_lock_release(&directory.lock, HM_RANK_DIRECTORY);
		if (hr != S_FALSE)
			break;
		/* A part of another region stands in the granule: rare, so only now. */
		spare = hm_metadata_take(HM_METADATA_REGION, HM_NEED_NORMAL);
		if (spare == NULL)
			return E_OUTOFMEMORY;
	}
	give_spare(spare);
	return hr;
}

HRESULT hm_regions_split(struct hm_region *region, enum hm_region_phase phase,
			 const struct hm_region_fields *first,
			 const struct hm_region_fields *second, struct hm_region **out)
{
	struct hm_region *spares[2];

	*out = NULL;
	if (!have_block(first->base) || (second != NULL && !have_block(second->base)))
		return E_OUTOFMEMORY;
	spares[0] = hm_metadata_take(HM_METADATA_REGION, HM_NEED_TO_FREE);
	spares[1] = hm_metadata_take(HM_METADATA_REGION, HM_NEED_TO_FREE);
	if (spares[0] != NULL && spares[1] != NULL) {
		hm_lock_acquire(&directory.lock, HM_RANK_DIRECTORY);
		/* From the back: what is entered already answers for all behind its base. */
		if (second != NULL)
			(void)link_locked(second, &spares[1]);
		*out = link_locked(first, &spares[0]);
		set_extent(region, first->base, phase);
		next_version(region);
		hm_lock_release(&directory.lock, HM_RANK_DIRECTORY);
	}
	give_spare(spares[0]);
	give_spare(spares[1]);
	return *out != NULL ? S_OK : E_OUTOFMEMORY;
}

void hm_region_set_phase(struct hm_region *region, enum hm_region_phase phase)
{
	set_extent(region, hm_region_end(region), phase);
	next_version(region);
}

struct hm_states_view hm_region_states(const struct hm_region *region)
{
	return (struct hm_states_view){
		.root = LOAD(region->states),
		.levels = LOAD(region->levels),
	};
}

size_t hm_region_page(const struct hm_region *region, uintptr_t address)
{
	return hm_pages(address - hm_region_base(region));
}

bool hm_region_prepare(const struct hm_region *region, uintptr_t address, size_t size,
		       unsigned code, enum hm_metadata_need need,
		       struct hm_states_change *out)
{
	struct hm_states_view states = hm_region_states(region);
	size_t first = hm_region_page(region, address);
	size_t count = hm_pages(size);

	/* Pages behind the end mean nothing, and a whole tree folds better. */
	if (address + size == hm_region_end(region) && !(code & HM_STATE_GUARD))
		count = hm_states_capacity(states.levels) - first;
	return hm_states_prepare(states.root, states.levels, first, count, code, need,
				 out);
}

void hm_region_publish(struct hm_region *region, const struct hm_states_change *change)
{
	hm_states_publish(&region->states, &region->version, change);
}

size_t hm_region_committed(const struct hm_region *region, uintptr_t address, size_t size)
{
	struct hm_states_view states = hm_region_states(region);

	return hm_bytes(hm_states_committed(states.root, states.levels,
					    hm_region_page(region, address),
					    hm_pages(size)));
}

const char *hm_regions_check(void)
{
	struct hm_region_view view;
	uintptr_t at = 0, end = 0;
	const char *broken = hm_bitmap_check(&directory.used);

	for (uint32_t i = 0; i < BLOCKS && broken == NULL; i++) {
		const struct block *block = LOAD(directory.blocks[i]);

		if (block != NULL)
			broken = hm_bitmap_check(&block->starts);
	}
	for (; broken == NULL && hm_regions_next(at, &view); end = view.end) {
		if (view.base < end)
			return "regions overlap";
		if (view.base % HM_PAGE_SIZE != 0 || view.end % HM_PAGE_SIZE != 0)
			return "a region is not made of pages";
		if (view.phase == HM_REGION_LIVE)
			broken = hm_states_check(view.states.root, view.states.levels);
		at = view.base + HM_PAGE_SIZE;
	}
	return broken;
}
