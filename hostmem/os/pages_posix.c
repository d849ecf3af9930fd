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
 * Locks: those of leftovers_posix.c.  errno is kept: it is the runtime's, and may be in use by
 * its caller.
 */
#include "pages.h"
#include "check.h"
#include "largepages.h"
#include "leftovers.h"
#include "placement.h"
#include "size.h"

#include <stdatomic.h>
#include <unistd.h>

/* Huge pages go where there is room for one. */
#define PLACED (HM_RESERVE_TOP_DOWN | HM_RESERVE_LARGE)

/* From so many bytes of tables on, huge pages pay. */
#define MANY_TABLES ((size_t)2 << 20)

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

static HRESULT posix_reserve(const struct hm_page_source *self, void *wanted, size_t size,
			     size_t alignment, unsigned flags, unsigned access,
			     void **out)
{
	const struct hm_room room = {
		.size = size,
		.units = hm_round_up(size, HM_GRANULE_SIZE),
		.alignment = alignment,
		.access = flags & HM_RESERVE_COMMITTED ? access : HM_ACCESS_NONE,
		.flags = flags & HM_RESERVE_LARGE ? HM_MAP_LARGE : 0U,
	};
	HRESULT hr;

	(void)self;
	hm_assert(wanted != NULL || hm_is_power_of_two(alignment));
	hm_leftovers_give_up();
	if (wanted != NULL)
		hr = hm_placement_exactly(wanted, size, &room, out);
	else
		hr = hm_placement_anywhere(&room, (flags & PLACED) == HM_RESERVE_TOP_DOWN,
					   out);
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
		hm_placement_note_freed(address, size);
		hm_leftovers_give_up();
		return S_OK;
	case E_OUTOFMEMORY:
		/* If even that fails, the memory waits with its addresses. */
		(void)hm_memory_clear(address, size);
		return S_FALSE;
	default:
		return E_FAIL;
	}
}

static void posix_divide(const struct hm_page_source *self, void *address, size_t size,
			 const struct hm_page_history *before)
{
	(void)self;
	hm_placement_note_part(address, size, before->end);
}

static void posix_unite(const struct hm_page_source *self, void *address, size_t size,
			const struct hm_page_history *before)
{
	(void)self, (void)address, (void)size, (void)before;
	hm_placement_forget_part();
}

static void posix_give_up(const struct hm_page_source *self, void *address, size_t size)
{
	(void)self;
	hm_leftover(address, size);
	hm_placement_note_freed(address, size);
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
	.unite = posix_unite,
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
