/*
 * Opening and closing.
 *
 * The first commit in a blank granule opens its unit: the part of its 2 MiB window that
 * belongs to the reservation, and, if the reservation begins or ends in that window, the
 * free granules beside it, which are taken meanwhile.  So one change of a mapping serves
 * up to 32 granules, and mappings stay few even where every second reservation is
 * committed.  Whoever opens owns every granule he opens; so no lock is needed, and nobody
 * waits for him.
 *
 * Guards come first and access second: there is no moment at which a page can be touched
 * that nobody has committed.  The range that is about to be committed gets no guards; it
 * may have old ones all the same, so whoever commits takes guards away in any case.
 *
 * Guards are dear by the page (20 ns each way), a mapping by the call.  So from 512 KiB on
 * granules are opened without their window, and closed instead of guarded: a fresh blank
 * mapping over them gives back the kernel's tables too.
 *
 * Granules set apart.  Where the access of whole granules goes back and forth, as under a
 * compiler that writes code, or in every commit where there are no guards, the kernel would
 * split their mapping from its neighbours and merge it with them again each time, which is
 * most of what such a change costs.  So they are set apart until they are released, or
 * closed.  Only so many are, since each is a mapping of its own.
 *
 * Locks: none; see places.c for the arena's.
 */
#include "opening.h"
#include "os/memory.h"

#define MOST_APART 1024U

static void *start_of(const struct hm_place *place)
{
	return (void *)hm_place_start(place);
}

/* ---- Setting apart ---- */

void hm_set_apart(const struct hm_place *place)
{
	struct hm_arenas *set = place->arena->set;
	struct hm_granules *granules = &place->arena->book.granules;

	if (atomic_load_explicit(&set->apart, memory_order_relaxed) >= MOST_APART ||
	    hm_granules_any_apart(granules, place->first, place->count))
		return;
	hm_memory_set_apart(start_of(place), hm_place_size(place),
			    place->first % 2 == 0 ? HM_APART_ONE_WAY
						  : HM_APART_OTHER_WAY);
	atomic_fetch_add_explicit(&set->apart,
				  hm_granules_set_apart(granules, place->first,
							place->count, true),
				  memory_order_relaxed);
	/* Without guards this is part of opening, which counts already. */
	if (set->guards)
		atomic_fetch_add_explicit(&set->openings, 1, memory_order_relaxed);
	hm_make_untidy(set);
}

/* Counts the granules of a place that are not set apart any more; whether there were any. */
static bool count_joined(const struct hm_place *place)
{
	struct hm_granules *granules = &place->arena->book.granules;
	uint32_t joined;

	/* Most often there are none in the whole process. */
	if (atomic_load_explicit(&place->arena->set->apart, memory_order_relaxed) == 0)
		return false;
	joined = hm_granules_set_apart(granules, place->first, place->count, false);
	atomic_fetch_sub_explicit(&place->arena->set->apart, joined,
				  memory_order_relaxed);
	return joined != 0;
}

void hm_rejoin(const struct hm_place *place)
{
	if (count_joined(place))
		hm_memory_set_apart(start_of(place), hm_place_size(place), HM_APART_NOT);
}

/* ---- Closing ---- */

bool hm_close(const struct hm_place *place)
{
	if (FAILED(hm_memory_blank(start_of(place), hm_place_size(place))))
		return false;
	(void)count_joined(place);
	hm_memory_dump(start_of(place), hm_place_size(place), false);
	hm_place_set(place, HM_GRANULE_BLANK);
	return true;
}

static void close_excess(const struct hm_place *excess)
{
	if (excess->count == 0)
		return;
	(void)hm_close(excess);
	hm_place_give(excess, NULL);
}

void hm_give(const struct hm_place *place)
{
	struct hm_place excess;

	hm_place_give(place, &excess);
	close_excess(&excess);
}

void hm_leave(struct hm_arena *arena, uintptr_t address, size_t size, uintptr_t start,
	      uintptr_t end, bool held)
{
	struct hm_place excess;

	hm_place_leave(arena, address, size, start, end, held, &excess);
	close_excess(&excess);
}

/* A granule that two share has become odd without being opened: what is committed there
 * is to be in core dumps all the same. */
static void dump_if_shared(struct hm_arena *arena, uint32_t granule)
{
	if (hm_place_is_shared(arena, granule))
		hm_memory_dump((void *)hm_arena_address(arena, granule), HM_GRANULE_SIZE,
			       true);
}

void hm_divide(struct hm_arena *arena, uintptr_t address, size_t size, uintptr_t start,
	       uintptr_t end)
{
	hm_leave(arena, address, size, start, end, true);
	dump_if_shared(arena, hm_arena_granule(arena, address));
	dump_if_shared(arena, hm_arena_granule(arena, address + size - 1));
}

/* ---- Opening ---- */

static HRESULT guard_if_any(uintptr_t start, uintptr_t end)
{
	return start < end ? hm_memory_guard((void *)start, end - start) : S_OK;
}

/* Opens granules; no guards are needed in [start, end). */
static HRESULT open_place(const struct hm_place *place, uintptr_t start, uintptr_t end)
{
	uintptr_t low = hm_place_start(place), high = low + hm_place_size(place);
	HRESULT hr = S_OK;

	if (place->arena->set->guards) {
		hr = guard_if_any(low, start);
		if (SUCCEEDED(hr))
			hr = guard_if_any(end, high);
		if (SUCCEEDED(hr))
			hr = hm_memory_protect((void *)low, high - low, HM_ACCESS_OPEN);
		/* Guards that stay behind in blank granules do no harm. */
		if (FAILED(hr))
			return hr;
	}
	atomic_fetch_add_explicit(&place->arena->set->openings, 1, memory_order_relaxed);
	hm_make_untidy(place->arena->set);
	hm_memory_dump((void *)low, high - low, true);
	if (!place->arena->set->guards)
		hm_set_apart(place);
	hm_place_set(place, HM_GRANULE_OPEN);
	return S_OK;
}

static bool is_blank(const struct hm_arena *arena, uint32_t granule)
{
	return hm_granules_state(&arena->book.granules, granule) == HM_GRANULE_BLANK;
}

/*
 * Whether a blank run is opened with what is beside it.  Many granules are not, as guards
 * would cost more than the mapping.  Without guards none are: being in core dumps sets them
 * apart from the blank memory beside them, and a mapping that need not be split and merged
 * is changed four times as fast.  So it is under RLIMIT_DATA, which counts what is writable
 * whether it is committed or not.
 */
static bool opens_wide(const struct hm_place *run)
{
	return run->count < HM_MANY && run->arena->set->guards &&
	       hm_memory_writable() == SIZE_MAX;
}

/* A blank run, with what of its window is blank and belongs to the reservation. */
static struct hm_place unit_of(const struct hm_place *run, uint32_t first, uint32_t end)
{
	struct hm_place unit = *run;
	uint32_t window = run->first / HM_WINDOW * HM_WINDOW;
	uint32_t low = (uint32_t)hm_max(window, first);
	uint32_t high = (uint32_t)hm_min(window + HM_WINDOW, end);

	for (; unit.first > low && is_blank(unit.arena, unit.first - 1); unit.count++)
		unit.first--;
	while (unit.first + unit.count < high &&
	       is_blank(unit.arena, unit.first + unit.count))
		unit.count++;
	return unit;
}

/* Opens a blank run of the reservation of granules [first, end); no guards in [start,
 * stop). */
static HRESULT open_run(const struct hm_place *run, uint32_t first, uint32_t end,
			uintptr_t start, uintptr_t stop)
{
	bool wide = opens_wide(run);
	struct hm_place own = wide ? unit_of(run, first, end) : *run;
	struct hm_place place = own;
	struct hm_place beside;
	HRESULT hr;

	hm_place_widen(&place, first, end, wide);
	hr = open_place(&place, start, stop);
	beside = (struct hm_place){ own.arena, place.first, own.first - place.first };
	hm_place_give(&beside, NULL);
	beside.first = own.first + own.count;
	beside.count = place.first + place.count - beside.first;
	hm_place_give(&beside, NULL);
	return hr;
}

HRESULT hm_open(struct hm_arena *arena, uintptr_t address, size_t size, uintptr_t start,
		uintptr_t end)
{
	struct hm_place rest = hm_place_of(arena, address, size);
	struct hm_place all = hm_place_of(arena, start, end - start);
	uintptr_t stop = address + size;

	while (rest.count != 0) {
		enum hm_granule_state state;
		struct hm_place run = hm_place_next_run(&rest, &state);
		uintptr_t low = hm_place_start(&run);
		HRESULT hr;

		if (state != HM_GRANULE_BLANK)
			continue;
		hr = open_run(&run, all.first, all.first + all.count,
			      hm_max(low, address),
			      hm_min(low + hm_place_size(&run), stop));
		if (SUCCEEDED(hr))
			continue;
		/* Locked memory has no guards, and RLIMIT_DATA counts the whole window. */
		if (hr != E_FAIL && hr != E_OUTOFMEMORY)
			return hr;
		hm_memory_dump(start_of(&run), hm_place_size(&run), true);
		hm_place_set(&run, HM_GRANULE_ODD);
	}
	return S_OK;
}

void hm_open_ahead(const struct hm_place *place)
{
	uintptr_t start = hm_place_start(place);

	(void)open_run(place, place->first, place->first + place->count, start, start);
}
