/*
 * mremap for the runtime: new pages, the contents moved, the old pages given back.
 *
 * The kernel's own mremap would carry memory out of the host's reservations.  It is used for
 * one thing: to move pages without copying them, between two places that are both the host's,
 * with the old mapping left where it is (MREMAP_DONTUNMAP), since otherwise somebody else
 * could be given the hole before the host gives it back.  Kernels before 5.7 cannot do that;
 * there the contents are copied.
 *
 * While it moves, both places are charged.  A block that can grow where it is does not move;
 * it can where it ends at a multiple of 64 KiB.  What the system has mapped over a reservation
 * can be made smaller and nothing else: the hole that it would leave is the host's.
 *
 * Locks: none here.
 */
#include "attached.h"
#include "overlays.h"
#include "requests.h"
#include "translator.h"
#include "hostmem/host.h"
#include "hostmem/protection.h"
#include "hostmem/os/memory.h"
#include "hostmem/os/size.h"
#include "hostmem/os/system.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct move {
	uintptr_t start, end; /* as it is */
	size_t wanted;        /* whole pages */
	int flags;
	uintptr_t place; /* of MREMAP_FIXED */
	int protection;  /* PROT_* of all of it */
	bool blank;      /* it is only reserved */
};

static int words_for(unsigned access)
{
	return (access & HM_ACCESS_READ ? PROT_READ : 0) |
	       (access & HM_ACCESS_WRITE ? PROT_WRITE : 0) |
	       (access & HM_ACCESS_EXECUTE ? PROT_EXEC : 0);
}

static bool look(uintptr_t address, MEMORY_BASIC_INFORMATION *run)
{
	SIZE_T length;

	return SUCCEEDED(IHostMemoryManager_VirtualQuery(hm_attached.memory,
							 (void *)address, run,
							 sizeof(*run), &length));
}

/* All of it is one run of pages, or several that touch and are alike; the system, too, moves
 * no more than one mapping at a time. */
static int read_protection(struct move *move)
{
	MEMORY_BASIC_INFORMATION first, run;

	if (!look(move->start, &first) || first.State == MEM_FREE)
		return EFAULT;
	for (uintptr_t at = move->start; at < move->end;
	     at = (uintptr_t)run.BaseAddress + run.RegionSize) {
		if (!look(at, &run) || run.State != first.State ||
		    run.Protect != first.Protect)
			return EFAULT;
	}
	move->blank = first.State == MEM_RESERVE;
	if (!move->blank)
		move->protection = words_for(
			hm_access_from_code(hm_code_from_protection(first.Protect)));
	return 0;
}

/* Where it is, if the addresses behind it are free and the host may have them. */
static bool grow_in_place(const struct move *move)
{
	size_t more = move->wanted - (size_t)(move->end - move->start);
	void *base;

	return move->end % HM_GRANULE_SIZE == 0 &&
	       SUCCEEDED(hm_request_at(move->end, more,
				       hm_protection_for(move->protection), &base));
}

/* Where neither may be written, or the one not be read, they may for the time of it. */
static int copy_contents(const struct move *move, uintptr_t to, size_t size)
{
	const int open = PROT_READ | PROT_WRITE;
	int error = 0;

	if (hm_system.protect((void *)to, size, open) != 0)
		return errno;
	if (hm_system.protect((void *)move->start, size, open) == 0) {
		memcpy((void *)to, (const void *)move->start, size);
		(void)hm_memory_drop((void *)move->start, size);
	} else {
		error = errno;
	}
	if ((hm_system.protect((void *)move->start, size, move->protection) != 0 ||
	     hm_system.protect((void *)to, size, move->protection) != 0) &&
	    error == 0)
		error = errno;
	return error;
}

/* The kernel's way, or by hand. */
static int move_contents(const struct move *move, uintptr_t to, size_t size)
{
	const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

	if (move->blank || hm_system.remap((void *)move->start, size, size, flags,
					   (void *)to) != MAP_FAILED)
		return 0;
	return copy_contents(move, to, size);
}

/* Pages for contents that nobody may read are committed all the same. */
static bool is_closed(const struct move *move)
{
	return !move->blank && move->protection == PROT_NONE;
}

static int find_place(const struct move *move, uintptr_t *to)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	int protection = is_closed(move) ? PROT_READ | PROT_WRITE : move->protection;
	void *base;
	HRESULT hr;

	*to = move->place;
	if (move->flags & MREMAP_FIXED)
		return hm_map_over(move->place, move->place + move->wanted, protection,
				   flags);
	hr = hm_request_anywhere(move->wanted, hm_protection_for(protection), &base);
	*to = (uintptr_t)base;
	return SUCCEEDED(hr) ? 0 : hm_errno_for(hr);
}

static int move_away(const struct move *move, uintptr_t *to)
{
	size_t size = hm_min((size_t)(move->end - move->start), move->wanted);
	int error = find_place(move, to);

	if (error != 0)
		return error;
	error = move_contents(move, *to, size);
	if (error == 0 && is_closed(move))
		error = hm_protect_pieces(*to, *to + move->wanted, PROT_NONE);
	if (error != 0 && !(move->flags & MREMAP_FIXED))
		(void)hm_unmap_pieces(*to, *to + move->wanted);
	if (error == 0 && !(move->flags & MREMAP_DONTUNMAP))
		error = hm_unmap_pieces(move->start, move->end);
	return error;
}

/* What the kernel would refuse, it is asked for. */
static bool is_sensible(const struct move *move)
{
	const int known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
	const int moving = MREMAP_FIXED | MREMAP_DONTUNMAP;

	if ((move->flags & ~known) ||
	    ((move->flags & moving) && !(move->flags & MREMAP_MAYMOVE)) ||
	    ((move->flags & MREMAP_DONTUNMAP) && move->wanted != move->end - move->start))
		return false;
	if (move->flags & MREMAP_FIXED)
		return move->place % HM_PAGE_SIZE == 0 &&
		       move->place < HM_USER_END - move->wanted &&
		       (move->place >= move->end ||
			move->place + move->wanted <= move->start);
	return true;
}

static int translate(struct move *move, uintptr_t *to)
{
	const int moving = MREMAP_FIXED | MREMAP_DONTUNMAP;
	size_t size = (size_t)(move->end - move->start);
	struct hm_overlay overlay;
	int error;

	*to = move->start;
	if (!is_sensible(move) || hm_pieces_any_heaps(move->start, move->end))
		return EINVAL;
	if (!(move->flags & moving) && move->wanted <= size)
		return hm_unmap_pieces(move->start + move->wanted, move->end);
	if (hm_overlays_find(move->start, move->end, &overlay))
		return ENOMEM;
	error = read_protection(move);
	if (error != 0)
		return error;
	if (move->flags & moving)
		return move_away(move, to);
	if (grow_in_place(move))
		return 0;
	return move->flags & MREMAP_MAYMOVE ? move_away(move, to) : ENOMEM;
}

static void *ask_system(const struct move *move, size_t size, size_t wanted)
{
	return hm_system.remap((void *)move->start, size, wanted, move->flags,
			       (void *)move->place);
}

/* Whether what is not the host's can go where its pages are: arguments that the system takes,
 * and one mapping, which can be made as long as it is. */
static bool can_cover(const struct move *move)
{
	size_t size = (size_t)(move->end - move->start);

	return is_sensible(move) &&
	       hm_system.remap((void *)move->start, size, size, 0, NULL) != MAP_FAILED;
}

/* What is not the host's, but may go where its pages are. */
static void *remap_over(const struct move *move)
{
	uintptr_t end = move->place + move->wanted;
	int before;
	void *base = MAP_FAILED;
	int error;

	before = hm_translation_begin();
	error = hm_cover_pieces(move->place, end);
	if (error == 0) {
		base = ask_system(move, (size_t)(move->end - move->start), move->wanted);
		error = base == MAP_FAILED ? errno : 0;
		if (error != 0)
			hm_uncover_pieces(move->place, end);
	}
	return hm_translation_end(before, error) == 0 ? base : MAP_FAILED;
}

void *HostMemMremap(void *address, size_t size, size_t wanted, int flags, void *place)
{
	struct move move = { .start = (uintptr_t)address,
			     .flags = flags,
			     .place = (uintptr_t)place };
	int before;
	uintptr_t to, unused;
	int error;

	if (!hm_is_attached() || FAILED(hm_host_check(hm_attached.host)) ||
	    !hm_range_is_plain(address, size, &move.end) ||
	    !hm_range_is_plain(NULL, wanted, &unused))
		return ask_system(&move, size, wanted);
	move.wanted = hm_round_up(wanted, HM_PAGE_SIZE);
	if (!hm_pieces_any_ours(move.start, move.end))
		return (flags & MREMAP_FIXED) && can_cover(&move)
			       ? remap_over(&move)
			       : ask_system(&move, size, wanted);
	before = hm_translation_begin();
	error = translate(&move, &to);
	return hm_translation_end(before, error) == 0 ? (void *)to : MAP_FAILED;
}
