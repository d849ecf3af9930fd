/*
 * Memory that is not ours, told in Win32's words.
 *
 * The kernel knows mappings, Win32 knows allocations.  One allocation is here a run of
 * adjacent mappings of one file (an image with its segments), else a single mapping.  The
 * kernel may merge a neighbour's anonymous mapping with one of ours, so everything it says
 * is cut at the borders of our regions and arenas.  What is in an arena and in no region
 * is free, and nobody is asked.
 *
 * The kernel is asked anew for every mapping of a run; between two questions the answer
 * may change, as it may between our answer and its use.
 *
 * Locks: none of its own; os/mappings.h has one around its file.
 */
#include "foreign.h"
#include "arenas.h"
#include "metadata.h"
#include "os/mappings.h"
#include "os/pages.h"
#include "os/size.h"
#include "protection.h"
#include "regions.h"

#include <string.h>

/* Mappings of one range for which there is room on the stack. */
#define FEW_PIECES 32U

static bool same_file(const struct hm_mapping *a, const struct hm_mapping *b)
{
	return a->inode != 0 && a->inode == b->inode && a->device == b->device;
}

/* Who has an address, as far as it matters here. */
enum owner { NOBODY, A_HOST, ARRIVING, LEAVING, AN_ARENA };

/* *view is that of the region, if there is one. */
static enum owner owner_of(uintptr_t address, struct hm_region_view *view)
{
	if (!hm_regions_find(address, view))
		return hm_arena_around(address) != NULL ? AN_ARENA : NOBODY;
	if (view->phase == HM_REGION_ARRIVING)
		return ARRIVING;
	return view->phase == HM_REGION_LIVE ? A_HOST : LEAVING;
}

static void cut_at_regions(uintptr_t page, struct hm_mapping *mapping)
{
	struct hm_region_view view;

	if (hm_regions_previous(page, &view)) {
		uintptr_t border = page < view.end ? view.base : view.end;

		mapping->start = hm_max(mapping->start, border);
		if (page < view.end)
			mapping->end = hm_min(mapping->end, view.end);
	}
	if (hm_regions_next(page + 1, &view))
		mapping->end = hm_min(mapping->end, view.base);
}

/*
 * The mapping at a page, cut at our borders, so that what is left is all in one region or
 * all a stranger's.  S_FALSE if nothing is mapped.
 */
static HRESULT mapping_at(uintptr_t page, struct hm_mapping *out)
{
	HRESULT hr = hm_mapping_find(page, out);

	if (hr != S_OK || out->start > page)
		return FAILED(hr) ? hr : S_FALSE;
	cut_at_regions(page, out);
	hm_arenas_cut(page, &out->start, &out->end);
	return S_OK;
}

/* The first mapping of the allocation that `mapping` belongs to. */
static HRESULT first_of(const struct hm_mapping *mapping, struct hm_mapping *first)
{
	struct hm_mapping below;

	*first = *mapping;
	while (first->inode != 0 && first->start != 0) {
		HRESULT hr = mapping_at(first->start - HM_PAGE_SIZE, &below);

		if (FAILED(hr))
			return hr;
		if (hr != S_OK || !same_file(&below, first))
			break;
		*first = below;
	}
	return S_OK;
}

/* The mapping after `mapping` in its allocation; S_FALSE if it was the last. */
static HRESULT next_of(const struct hm_mapping *mapping, struct hm_mapping *next)
{
	HRESULT hr;

	if (mapping->inode == 0)
		return S_FALSE;
	hr = mapping_at(mapping->end, next);
	if (hr == S_OK && !same_file(mapping, next))
		return S_FALSE;
	return hr;
}

static HRESULT describe(uintptr_t page, const struct hm_mapping *mapping,
			MEMORY_BASIC_INFORMATION *out)
{
	struct hm_mapping first, at, next;
	bool executable = false;
	HRESULT hr = first_of(mapping, &first);

	if (FAILED(hr))
		return hr;
	out->BaseAddress = (void *)page;
	out->AllocationBase = (void *)first.start;
	out->AllocationProtect = hm_protection_from_access(first.access);
	out->RegionSize = mapping->end - page;
	out->State = MEM_COMMIT;
	out->Protect = hm_protection_from_access(mapping->access);
	for (at = first, hr = S_OK; hr == S_OK; at = next) {
		executable |= (at.access & HM_ACCESS_EXECUTE) != 0;
		/* Neighbours with the same access are one run. */
		if (at.start == page + out->RegionSize && at.access == mapping->access)
			out->RegionSize = at.end - page;
		hr = next_of(&at, &next);
	}
	if (mapping->inode == 0)
		out->Type = MEM_PRIVATE;
	else
		out->Type = executable ? MEM_IMAGE : MEM_MAPPED;
	return FAILED(hr) ? hr : S_OK;
}

/* Where the free space of an arena from `at` on ends, at the latest. */
static uintptr_t end_in_arena(uintptr_t at)
{
	const struct hm_arena *arena = hm_arena_around(at);
	struct hm_region_view view;
	uintptr_t end;

	/* It may have been given back a moment ago; then the system is asked. */
	if (arena == NULL)
		return at;
	end = hm_arena_reach(arena, at);
	return hm_regions_next(at, &view) ? hm_min(end, view.base) : end;
}

/*
 * Where the free space from `page` on ends.  S_FALSE: at the page itself, because a region is
 * there by now; it was arriving when we looked.
 */
static HRESULT end_of_free(uintptr_t page, uintptr_t *end)
{
	uintptr_t at = page;
	enum owner owner = NOBODY;

	while (at < HM_USER_END) {
		struct hm_region_view view;
		struct hm_mapping mapping;
		HRESULT hr;

		owner = owner_of(at, &view);
		if (owner == LEAVING || owner == ARRIVING) {
			at = view.end;
			continue;
		}
		if (owner == A_HOST)
			break;
		if (owner == AN_ARENA) {
			at = end_in_arena(at);
			continue;
		}
		hr = hm_mapping_find(at, &mapping);
		if (FAILED(hr))
			return hr;
		if (hr == S_OK && mapping.start <= at)
			break;
		at = hr == S_OK ? mapping.start : HM_USER_END;
	}
	*end = hm_min(at, HM_USER_END);
	return owner == A_HOST && at == page ? S_FALSE : S_OK;
}

static HRESULT describe_free(uintptr_t page, MEMORY_BASIC_INFORMATION *out)
{
	uintptr_t end;
	HRESULT hr = end_of_free(page, &end);

	if (FAILED(hr))
		return hr;
	memset(out, 0, sizeof(*out));
	out->BaseAddress = (void *)page;
	/* Something may have been mapped there just now; it was free when we looked. */
	out->RegionSize = end > page ? end - page : HM_PAGE_SIZE;
	out->State = MEM_FREE;
	out->Protect = PAGE_NOACCESS;
	return hr;
}

/*
 * Another host's memory: committed with the access that there is, as any stranger's.  The
 * kernel is not asked, because it does not tell guarded pages from others.  S_FALSE: it
 * has changed meanwhile.
 */
static HRESULT describe_others(uintptr_t page, const struct hm_region_view *view,
			       MEMORY_BASIC_INFORMATION *out)
{
	unsigned code;
	size_t count = hm_states_run(&view->states, hm_pages(page - view->base),
				     hm_pages(view->end - page), &code);

	if (count == 0)
		return S_FALSE;
	out->BaseAddress = (void *)page;
	out->AllocationBase = (void *)view->base;
	out->AllocationProtect = hm_protection_from_access(hm_access_from_code(code));
	out->RegionSize = hm_bytes(count);
	out->State = MEM_COMMIT;
	out->Protect = out->AllocationProtect;
	out->Type = MEM_PRIVATE;
	return S_OK;
}

/*
 * Whether what the system shows where nobody was is ours, most likely: a region that is
 * arriving, or an arena that somebody is making.  The latter is told by its size: it has
 * no record yet.  *again: arenas have come since `made` was read, and may tell more.
 */
static bool is_arriving(enum owner owner, const struct hm_mapping *mapping, uint64_t made,
			bool *again)
{
	*again = false;
	if (mapping->inode != 0)
		return false;
	if (owner == ARRIVING)
		return true;
	if (hm_arenas_begun() == made)
		return false;
	*again = hm_arenas_made() != made;
	return mapping->end - mapping->start >= HM_ARENA_SMALLEST;
}

static HRESULT query(const struct hm_host *host, uintptr_t page,
		     MEMORY_BASIC_INFORMATION *out, bool *again)
{
	uint64_t made = hm_arenas_made();
	struct hm_region_view view;
	struct hm_mapping mapping;
	enum owner owner = owner_of(page, &view);
	HRESULT hr;

	*again = false;
	if (owner == LEAVING || owner == AN_ARENA)
		return describe_free(page, out);
	if (owner == A_HOST && view.host == host)
		return S_FALSE;
	memset(out, 0, sizeof(*out));
	if (owner == A_HOST)
		return describe_others(page, &view, out);
	hr = mapping_at(page, &mapping);
	if (hr == S_OK && is_arriving(owner, &mapping, made, again))
		return describe_free(page, out);
	if (hr == S_OK)
		return describe(page, &mapping, out);
	if (FAILED(hr))
		return hr;
	return page < HM_USER_END ? describe_free(page, out) : E_INVALIDARG;
}

HRESULT hm_foreign_query(const struct hm_host *host, uintptr_t page,
			 MEMORY_BASIC_INFORMATION *out)
{
	bool again;
	HRESULT hr;

	if (page >= HM_SYSTEM_END)
		return E_INVALIDARG;
	do
		hr = query(host, page, out, &again);
	while (again);
	return hr;
}

/* The mappings of a range, which must be one allocation. */
struct pieces {
	struct hm_mapping *items;
	size_t count, room;
};

/* S_FALSE: there are more than there is room for. */
static HRESULT find_pieces(uintptr_t page, size_t size, struct pieces *pieces)
{
	HRESULT hr = mapping_at(page, &pieces->items[0]);

	for (pieces->count = 1; hr == S_OK; pieces->count++) {
		const struct hm_mapping *last = &pieces->items[pieces->count - 1];

		if (page + size <= last->end)
			return S_OK;
		if (pieces->count == pieces->room)
			return S_FALSE;
		hr = next_of(last, &pieces->items[pieces->count]);
	}
	if (FAILED(hr))
		return hr;
	return page + size > HM_USER_END ? E_INVALIDARG
					 : HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
}

static HRESULT change_piece(const struct hm_mapping *piece, uintptr_t page, uintptr_t end,
			    unsigned access)
{
	uintptr_t from = hm_max(piece->start, page);
	uintptr_t to = hm_min(piece->end, end);

	return hm_pages_protect_foreign((void *)from, to - from, access);
}

/* One mapping at a time, each of which the kernel changes wholly or not at all. */
static HRESULT change_pieces(const struct pieces *pieces, uintptr_t page, size_t size,
			     unsigned access)
{
	uintptr_t end = page + size;
	HRESULT hr = S_OK;
	size_t done;

	for (done = 0; done < pieces->count && SUCCEEDED(hr); done++)
		hr = change_piece(&pieces->items[done], page, end, access);
	if (SUCCEEDED(hr))
		return S_OK;
	/* The last one has refused; undoing the others merges, which cannot fail. */
	for (done--; done-- > 0;) {
		const struct hm_mapping *piece = &pieces->items[done];

		if (FAILED(change_piece(piece, page, end, piece->access)))
			return E_FAIL;
	}
	return hr;
}

static HRESULT protect_pieces(const struct pieces *pieces, uintptr_t page, size_t size,
			      DWORD protect, DWORD *old)
{
	unsigned access = hm_access_from_code(hm_code_from_protection(protect));
	HRESULT hr;

	if (protect & PAGE_GUARD)
		return HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	hr = change_pieces(pieces, page, size, access);
	if (SUCCEEDED(hr))
		*old = hm_protection_from_access(pieces->items[0].access);
	return hr;
}

HRESULT hm_foreign_protect(uintptr_t page, size_t size, DWORD protect, DWORD *old)
{
	struct hm_mapping few[FEW_PIECES];
	struct pieces pieces = { .items = few, .room = FEW_PIECES };
	struct hm_region_view view;
	enum owner owner = owner_of(page, &view);
	HRESULT hr;

	if (owner == A_HOST || hm_metadata_overlaps(page, size))
		return HOST_E_INVALIDOPERATION;
	/* Free memory has no protection to change. */
	if (owner != NOBODY)
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	while ((hr = find_pieces(page, size, &pieces)) == S_FALSE) {
		if (pieces.items != few)
			hm_metadata_free(pieces.items, pieces.room * sizeof(few[0]));
		pieces.room *= 8;
		pieces.items = hm_metadata_alloc(pieces.room * sizeof(few[0]));
		if (pieces.items == NULL)
			return E_OUTOFMEMORY;
	}
	if (SUCCEEDED(hr))
		hr = protect_pieces(&pieces, page, size, protect, old);
	if (pieces.items != few)
		hm_metadata_free(pieces.items, pieces.room * sizeof(few[0]));
	return hr;
}
