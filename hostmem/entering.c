/*
 * The map from addresses to regions: how it changes.
 *
 * Each change is one store for a reader: the bit of a start, the extent that says where a
 * region ends and what phase it is in, a link in the list of a granule.  What cannot be
 * done with one store is done in an order in which every address keeps an answer.
 *
 * The version of a record moves with every change of it, and its upper bits with every
 * incarnation.  A record that is taken out may still be held by a reader, or named by a
 * ticket of who has entered it; the version tells the one, and the incarnation the other,
 * that it means nothing any more, or something else.  A ticket is not void because a
 * neighbour in the granule's list came or went.
 *
 * Locks: the directory's, for the range that is changed, never across a system call.
 */
#include "directory.h"
#include "regions.h"

/* What comes before a region can be entered, and why it need not be. */
#define GET_A_RECORD S_FALSE
#define LOCK_EVERYTHING ((HRESULT)2)
#define NOT_NEEDED ((HRESULT)3)

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

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

/*
 * Another incarnation, where nobody else can write the version: a record that is not in
 * use, or one that is being taken out, has no states to publish and no phase to change, so
 * only the directory's holder writes it.  Stores are all it takes for a reader that sees
 * the new version to see what came before it, and the other way round.
 */
static void next_incarnation_alone(struct hm_region *region)
{
	STORE(region->version,
	      atomic_load_explicit(&region->version, memory_order_relaxed) +
		      (UINT64_C(1) << HM_INCARNATION_SHIFT));
}

void hm_region_set_phase(struct hm_region *region, enum hm_region_phase phase)
{
	set_extent(region, hm_region_end(region), phase);
	next_version(region);
}

/* Takes a region out; `first` is the record of its granule. */
static void remove_locked(struct hm_region *region, struct hm_region *first)
{
	uintptr_t base = hm_region_base(region);

	set_extent(region, 0, HM_REGION_NONE);
	next_incarnation_alone(region);
	hm_directory_count_change(base);
	if (region != first) {
		struct hm_region *before = first;

		while (LOAD(before->next) != region)
			before = LOAD(before->next);
		STORE(before->next, LOAD(region->next));
		next_version(first);
		hm_metadata_give(HM_METADATA_REGION, region);
	}
	if (hm_record_phase(first) == HM_REGION_NONE && LOAD(first->next) == NULL)
		hm_directory_remove(base);
}

/*
 * Locks the block that a ticket's region starts in; false if the ticket is out of date.
 * The base that was read before locking may be out of date too, and the block a wrong one:
 * then the version has moved, and that can be seen, since a new base, like the link of a
 * free record, is stored after it.
 */
static bool lock_ticket(const struct hm_region_ticket *ticket, uintptr_t base,
			struct hm_directory_stripe **held)
{
	*held = hm_directory_lock(base, base + 1);
	return (LOAD(ticket->region->version) ^ ticket->version) >>
		       HM_INCARNATION_SHIFT ==
	       0;
}

static bool is_going(const struct hm_region *region)
{
	enum hm_region_phase phase = hm_record_phase(region);

	return phase == HM_REGION_ARRIVING || phase == HM_REGION_LEAVING;
}

void hm_regions_remove(const struct hm_region_ticket *ticket)
{
	uintptr_t base = LOAD(ticket->region->base);
	struct hm_region *first = hm_directory_own(base);
	struct hm_directory_stripe *held;

	if (lock_ticket(ticket, base, &held) && is_going(ticket->region))
		remove_locked(ticket->region, first);
	hm_directory_unlock(held);
}

bool hm_regions_arrive(const struct hm_region_ticket *ticket)
{
	struct hm_directory_stripe *held;
	bool arrived = lock_ticket(ticket, LOAD(ticket->region->base), &held) &&
		       hm_record_phase(ticket->region) == HM_REGION_ARRIVING;

	if (arrived)
		hm_region_set_phase(ticket->region, HM_REGION_LIVE);
	hm_directory_unlock(held);
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
static HRESULT evict_locked(uintptr_t base, uintptr_t end,
			    const struct hm_directory_stripe *held)
{
	struct hm_region_view view;

	while (hm_regions_previous(end - 1, &view) && view.end > base) {
		if (view.phase == HM_REGION_LIVE || view.phase == HM_REGION_PARKED)
			return E_FAIL;
		if (held != NULL && !hm_same_block(view.base, view.end))
			return LOCK_EVERYTHING;
		remove_locked(view.region, hm_directory_own(view.base));
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
	next_incarnation_alone(region);
	set_extent(region, fields->end, fields->phase);
}

/* Enters a region with the granule's own record `first` if that is free, else with
 * *spare, which is then used up; NULL if it would need one. */
static struct hm_region *link_locked(const struct hm_region_fields *fields,
				     struct hm_region *first, struct hm_region **spare)
{
	struct hm_region *region = first;

	if (hm_record_phase(first) != HM_REGION_NONE) {
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
	hm_directory_add(fields->base);
	/* After the change and before anything that follows from it: whoever sees what
	 * follows sees the new count. */
	hm_directory_count_change(fields->base);
	return region;
}

/*
 * Whether nothing is in the way of a range of whole units, if one look is enough.  The
 * range is locked, so nothing comes: the record with the highest base below the end of the
 * range ends in front of it, and what has a lower base ends in front of that.
 */
static inline bool looks_free_locked(uintptr_t base, uintptr_t end)
{
	struct hm_region *region = hm_directory_near(end - 1);

	return region != NULL && LOAD(region->next) == NULL &&
	       hm_region_end(region) <= base;
}

static HRESULT make_way_locked(const struct hm_region_fields *fields, bool exact,
			       const struct hm_directory_stripe *held)
{
	struct hm_region_view view;

	if (exact && hm_regions_units_in_use(fields->base, fields->end))
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	if (fields->phase == HM_REGION_LIVE)
		return evict_locked(fields->base, fields->end, held);
	/* One that arrives has been given nothing yet, so what is leaving there stays; and
	 * it makes known already that these addresses are not a stranger's. */
	if (fields->phase == HM_REGION_ARRIVING &&
	    hm_regions_previous(fields->end - 1, &view) && view.end > fields->base)
		return NOT_NEEDED;
	return S_OK;
}

static HRESULT enter_locked(const struct hm_region_fields *fields, bool exact,
			    const struct hm_directory_stripe *held,
			    struct hm_region *first, struct hm_region **spare,
			    struct hm_region_ticket *out)
{
	HRESULT hr = S_OK;

	out->region = NULL;
	if (!looks_free_locked(hm_round_down(fields->base, HM_GRANULE_SIZE),
			       hm_round_up(fields->end, HM_GRANULE_SIZE)))
		hr = make_way_locked(fields, exact, held);
	if (hr != S_OK)
		return hr == NOT_NEEDED ? S_OK : hr;
	out->region = link_locked(fields, first, spare);
	if (out->region == NULL)
		return GET_A_RECORD;
	out->version = LOAD(out->region->version);
	return S_OK;
}

static void give_spare(struct hm_region *spare)
{
	if (spare != NULL)
		hm_metadata_give(HM_METADATA_REGION, spare);
}

bool hm_regions_make_room(uintptr_t base)
{
	return hm_directory_own(base) != NULL ||
	       hm_directory_make_room(base, HM_NEED_NORMAL) != NULL;
}

HRESULT hm_regions_enter(const struct hm_region_fields *fields, bool exact,
			 struct hm_region_ticket *out)
{
	struct hm_region *first = hm_directory_own(fields->base), *spare = NULL;
	struct hm_directory_stripe *held;
	bool everything = false;
	HRESULT hr;

	if (first == NULL)
		first = hm_directory_make_room(fields->base, HM_NEED_NORMAL);
	if (first == NULL)
		return E_OUTOFMEMORY;
	for (;;) {
		held = everything ? hm_directory_lock_all()
				  : hm_directory_lock(fields->base, fields->end);
		hr = enter_locked(fields, exact, held, first, &spare, out);
		hm_directory_unlock(held);
		everything |= hr == LOCK_EVERYTHING;
		if (hr != GET_A_RECORD && hr != LOCK_EVERYTHING)
			break;
		/* A part of another region stands in the granule: rare, so only now. */
		if (hr == GET_A_RECORD)
			spare = hm_metadata_take(HM_METADATA_REGION, HM_NEED_NORMAL);
		if (hr == GET_A_RECORD && spare == NULL)
			return E_OUTOFMEMORY;
	}
	give_spare(spare);
	return hr;
}

HRESULT hm_regions_split(struct hm_region *region, enum hm_region_phase phase,
			 const struct hm_region_fields *first,
			 const struct hm_region_fields *second, struct hm_region **out)
{
	struct hm_directory_stripe *held;
	struct hm_region *own[2] = { NULL, NULL }, *spares[2];

	*out = NULL;
	own[0] = hm_directory_make_room(first->base, HM_NEED_TO_FREE);
	if (second != NULL)
		own[1] = hm_directory_make_room(second->base, HM_NEED_TO_FREE);
	if (own[0] == NULL || (second != NULL && own[1] == NULL))
		return E_OUTOFMEMORY;
	spares[0] = hm_metadata_take(HM_METADATA_REGION, HM_NEED_TO_FREE);
	spares[1] = hm_metadata_take(HM_METADATA_REGION, HM_NEED_TO_FREE);
	if (spares[0] != NULL && spares[1] != NULL) {
		held = hm_directory_lock(hm_region_base(region), hm_region_end(region));
		/* From the back: what is entered already answers for all behind its base. */
		if (second != NULL)
			(void)link_locked(second, own[1], &spares[1]);
		*out = link_locked(first, own[0], &spares[0]);
		set_extent(region, first->base, phase);
		next_version(region);
		hm_directory_unlock(held);
	}
	give_spare(spares[0]);
	give_spare(spares[1]);
	return *out != NULL ? S_OK : E_OUTOFMEMORY;
}
