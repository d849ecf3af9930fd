/*
 * Pages from mmap, one mapping per reservation.
 *
 * Reserve is a PROT_NONE mapping that the kernel does not charge; commit and protect
 * are mprotect; decommit maps fresh PROT_NONE pages over the range, which takes the
 * contents and the access away in one call that other threads cannot see half-done.
 * MADV_DONTNEED with mprotect was rejected for that: between the two a stray write
 * would silently bring a page back.
 *
 * This is how everything was that arenas (arenapages.h) do better now; what is left for it
 * are huge reservations, exact addresses that are in no arena, MEM_TOP_DOWN, large pages,
 * and systems that do not let us have arenas.  Core dumps leave out what was never
 * written of such a reservation by themselves, as long as its pages without access are
 * fresh ones: that too speaks for mapping over.
 *
 * mprotect walks the kernel's mappings one by one and may stop half-way when
 * vm.max_map_count is reached.  So commit and protect take the history of the range and
 * put it back.  That cannot fail for want of room, because undoing a split merges; if
 * it fails nevertheless, nobody knows what the pages are, and that is E_FAIL.
 *
 * Locks: HM_RANK_LEFTOVERS around a small list.  errno is kept: it is the runtime's, and
 * may be in use by its caller.
 */
#include "pages.h"
#include "check.h"
#include "largepages.h"
#include "lock.h"
#include "size.h"

#include <stdatomic.h>
#include <unistd.h>

#define MOST_LEFTOVERS 64

/* From so many bytes of tables on, huge pages pay. */
#define MANY_TABLES ((size_t)2 << 20)

static struct {
	struct hm_lock lock;
	_Atomic size_t count;
	struct leftover {
		void *address;
		size_t size;
	} ranges[MOST_LEFTOVERS];
} leftovers;

static _Atomic(void *) last_place; /* that reserve_anywhere gave */

/* There may be reserved pages that can be written to, see clear. */
static _Atomic bool loose;

/*
 * Where the system has no room for the change, access stays with pages that are reserved,
 * and whoever writes to them would find that after the next commit.
 */
static HRESULT clear(void *address, size_t size)
{
	HRESULT hr = hm_memory_clear(address, size);

	if (hr == S_FALSE)
		atomic_store_explicit(&loose, true, memory_order_relaxed);
	return hr;
}

void hm_pages_drop_uncommitted(void *address, size_t size,
			       const struct hm_page_history *before)
{
	char *at = address;

	while (size != 0) {
		struct hm_page_run run = before->run_at(before, at);

		hm_assert(run.size != 0);
		run.size = hm_min(run.size, size);
		if (!run.committed)
			(void)hm_memory_drop(at, run.size);
		at += run.size;
		size -= run.size;
	}
}

static HRESULT posix_decommit(const struct hm_page_source *self, void *address,
			      size_t size, const struct hm_page_history *before)
{
	(void)self, (void)before;
	return FAILED(clear(address, size)) ? E_FAIL : S_OK;
}

/* Undoes a change that stopped half-way. */
static HRESULT restore(char *address, size_t size, const struct hm_page_history *before)
{
	while (size != 0) {
		struct hm_page_run run = before->run_at(before, address);
		HRESULT hr;

		hm_assert(run.size != 0);
		run.size = hm_min(run.size, size);
		hr = run.committed ? hm_memory_put_back(address, run.size, run.access)
				   : clear(address, run.size);
		/* What decommit could not take access away from is as it was. */
		if (FAILED(hr))
			return E_FAIL;
		address += run.size;
		size -= run.size;
	}
	return S_OK;
}

static HRESULT posix_protect(const struct hm_page_source *self, void *address,
			     size_t size, unsigned access,
			     const struct hm_page_history *before)
{
	HRESULT hr;

	(void)self;
	hr = hm_memory_protect(address, size, access);
	if (FAILED(hr) && FAILED(restore(address, size, before)))
		return E_FAIL;
	return hr;
}

static HRESULT posix_commit(const struct hm_page_source *self, void *address, size_t size,
			    unsigned access, const struct hm_page_history *before)
{
	if (atomic_load_explicit(&loose, memory_order_relaxed))
		hm_pages_drop_uncommitted(address, size, before);
	return posix_protect(self, address, size, access, before);
}

static void keep_leftover(void *address, size_t size)
{
	hm_lock_acquire(&leftovers.lock, HM_RANK_LEFTOVERS);
	if (leftovers.count < MOST_LEFTOVERS)
		leftovers.ranges[leftovers.count++] =
			(struct leftover){ .address = address, .size = size };
	hm_lock_release(&leftovers.lock, HM_RANK_LEFTOVERS);
}

/*
 * Gives up what a reservation has mapped too much.  Where the kernel has no room to split
 * a mapping it keeps it, and is asked again later; beyond a handful it is left, which
 * costs addresses and no memory.
 */
static void give_up(void *address, size_t size)
{
	if (FAILED(hm_memory_unmap(address, size)))
		keep_leftover(address, size);
}

static void give_up_leftovers(void)
{
	while (atomic_load_explicit(&leftovers.count, memory_order_relaxed) != 0) {
		struct leftover range = { .size = 0 };

		hm_lock_acquire(&leftovers.lock, HM_RANK_LEFTOVERS);
		if (leftovers.count != 0)
			range = leftovers.ranges[--leftovers.count];
		hm_lock_release(&leftovers.lock, HM_RANK_LEFTOVERS);
		if (range.size == 0)
			return;
		if (FAILED(hm_memory_unmap(range.address, range.size))) {
			keep_leftover(range.address, range.size);
			return;
		}
	}
}

static bool usable(void *address, size_t size, size_t alignment)
{
	return (uintptr_t)address >= HM_USER_START &&
	       hm_range_valid((uintptr_t)address, size) &&
	       (uintptr_t)address % alignment == 0;
}

static HRESULT reserve_exact(void *wanted, size_t size, unsigned access, unsigned flags,
			     void **out)
{
	HRESULT hr = hm_memory_map(wanted, size, access, flags | HM_MAP_EXACTLY, out);

	/* Kernels before 4.17 take the address for a hint and may go elsewhere. */
	if (SUCCEEDED(hr) && *out != wanted) {
		give_up(*out, size);
		*out = NULL;
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	}
	return hr;
}

/*
 * Maps more than is needed and gives up both ends: finds a place of any alignment if there
 * is one, at the price of the room for it.  The highest place in what was mapped is kept,
 * next to what is there already, so that the kernel can merge the two.
 */
static HRESULT reserve_trimmed(size_t units, size_t alignment, unsigned access,
			       unsigned flags, void **out)
{
	size_t span = units + alignment;
	char *address, *start, *end;
	void *mapped;
	HRESULT hr;

	*out = NULL;
	if (alignment > HM_USER_END - units)
		return E_OUTOFMEMORY;
	hr = hm_memory_map(NULL, span, access, flags, &mapped);
	if (FAILED(hr))
		return hr;
	address = mapped;
	end = address + span;
	start = end - units;
	start -= (uintptr_t)start % alignment;
	if (start + units != end)
		give_up(start + units, (size_t)(end - (start + units)));
	if (start != address)
		give_up(address, (size_t)(start - address));
	*out = start;
	return S_OK;
}

/*
 * Whole 64 KiB units are asked for, so that the kernel's next place stays aligned and no
 * two reservations ever share a unit.
 *
 * The last place that was given is the hint for the next: it is aligned, and either free
 * again or right above what the kernel would take anyway.  If the kernel goes elsewhere
 * and off the grid (it likes the topmost hole best, whatever its ends), the grid just
 * below its place is most likely free; only if not, more is mapped than needed.
 */
static HRESULT reserve_units(size_t units, size_t alignment, unsigned access,
			     unsigned flags, void *last, void **out)
{
	HRESULT hr = hm_memory_map(last, units, access, flags, out);
	void *place = *out;

	if (FAILED(hr) || usable(place, units, alignment))
		return hr;
	give_up(place, units);
	place = (void *)hm_round_down((uintptr_t)place, alignment);
	if (usable(place, units, alignment) &&
	    SUCCEEDED(reserve_exact(place, units, access, flags, out)))
		return S_OK;
	return reserve_trimmed(units, alignment, access, flags, out);
}

/* The tail behind the last page goes back: the region is pages long, and not units. */
static HRESULT reserve_anywhere(size_t size, size_t alignment, unsigned access,
				unsigned flags, void *last, void **out)
{
	size_t units = hm_round_up(size, HM_GRANULE_SIZE);
	HRESULT hr = reserve_units(units, alignment, access, flags, last, out);

	if (FAILED(hr))
		return hr;
	if (!usable(*out, units, alignment)) {
		give_up(*out, units);
		*out = NULL;
		return E_OUTOFMEMORY;
	}
	if (units != size)
		give_up((char *)*out + size, units - size);
	atomic_store_explicit(&last_place, *out, memory_order_relaxed);
	return S_OK;
}

static HRESULT posix_reserve(const struct hm_page_source *self, void *wanted, size_t size,
			     size_t alignment, unsigned flags, unsigned access,
			     void **out)
{
	unsigned given = flags & HM_RESERVE_COMMITTED ? access : HM_ACCESS_NONE;
	unsigned mapping = flags & HM_RESERVE_LARGE ? HM_MAP_LARGE : 0U;
	void *last = atomic_load_explicit(&last_place, memory_order_relaxed);
	HRESULT hr;

	(void)self;
	hm_assert(wanted != NULL || hm_is_power_of_two(alignment));
	give_up_leftovers();
	/* Without a hint the kernel takes the highest place that it knows. */
	if (wanted != NULL)
		hr = reserve_exact(wanted, size, given, mapping, out);
	else
		hr = reserve_anywhere(size, alignment, given, mapping,
				      flags & HM_RESERVE_TOP_DOWN ? NULL : last, out);
	/* The pool of huge pages is empty, or the kernel was built without one. */
	if ((flags & HM_RESERVE_LARGE) && (hr == E_OUTOFMEMORY || hr == E_FAIL))
		return HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD);
	return hr;
}

static HRESULT posix_release(const struct hm_page_source *self, void *address,
			     size_t size, const struct hm_page_history *before)
{
	(void)self, (void)before;
	switch (hm_memory_unmap(address, size)) {
	case S_OK:
		give_up_leftovers();
		return S_OK;
	case E_OUTOFMEMORY:
		/* If even that fails, the memory waits with its addresses. */
		(void)hm_memory_clear(address, size);
		return S_FALSE;
	default:
		return E_FAIL;
	}
}

/* The kernel knows who is where. */
static void posix_divide(const struct hm_page_source *self, void *address, size_t size,
			 const struct hm_page_history *before)
{
	(void)self, (void)address, (void)size, (void)before;
}

static void posix_give_up(const struct hm_page_source *self, void *address, size_t size)
{
	(void)self;
	give_up(address, size);
}

static void posix_discard(const struct hm_page_source *self, void *address, size_t size)
{
	(void)self;
	hm_memory_discard(address, size);
}

static void posix_prefer_huge(const struct hm_page_source *self, void *address,
			      size_t size)
{
	(void)self;
	hm_memory_prefer_huge(address, size);
}

static size_t posix_large_page_size(const struct hm_page_source *self)
{
	(void)self;
	return hm_large_page_size();
}

const struct hm_page_source hm_pages_posix = {
	.large_page_size = posix_large_page_size,
	.reserve = posix_reserve,
	.commit = posix_commit,
	.protect = posix_protect,
	.decommit = posix_decommit,
	.discard = posix_discard,
	.prefer_huge = posix_prefer_huge,
	.divide = posix_divide,
	.unite = posix_divide,
	.release = posix_release,
	.give_up = posix_give_up,
};

bool hm_pages_usable(void)
{
	return sysconf(_SC_PAGESIZE) == (long)HM_PAGE_SIZE;
}

void *hm_pages_map_metadata(size_t size)
{
	void *address;

	(void)hm_memory_map(NULL, size, HM_ACCESS_WRITE, 0, &address);
	/* Much of it is looked through at random, where each page is a miss of its own. */
	if (address != NULL && size >= MANY_TABLES)
		hm_memory_prefer_huge(address, size);
	return address;
}

void hm_pages_unmap_metadata(void *address, size_t size)
{
	/* Own whole mappings; a refusal would leave them mapped, which harms nobody. */
	(void)hm_memory_unmap(address, size);
}

HRESULT hm_pages_protect_foreign(void *address, size_t size, unsigned access)
{
	HRESULT hr = hm_memory_protect(address, size, access);

	/* EINVAL of a mapping that has rules of its own: the memory is not for us. */
	return hr == E_FAIL ? E_ACCESSDENIED : hr;
}
