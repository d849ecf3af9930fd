/*
 * Spare mappings: pages of alternating protection, so that each is a mapping of its own.
 *
 * One system call merges them, and one for every second page splits them again.  They are
 * never touched, so they cost address space and entries of the kernel's list, no memory.
 *
 * Where the first attempt fails because there is no address space, there are none, and
 * the library works as well as it can without: that must not be the reason why a small
 * allocation fails.
 *
 * Locks: none; who changes them excludes others by a word, and others do not wait: they
 * take the answer that was true before.
 */
#include "spare.h"
#include "size.h"
#include "system.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#define PAGES 32U

enum state { NOT_MADE, KEPT, USED, CHANGING };

static _Atomic unsigned state;
static char *pages; /* written by whoever has made the state CHANGING */

static bool change_from(unsigned from)
{
	unsigned expected = from;

	return atomic_compare_exchange_strong_explicit(&state, &expected, CHANGING,
						       memory_order_acquire,
						       memory_order_relaxed);
}

static void change_to(unsigned to)
{
	atomic_store_explicit(&state, to, memory_order_release);
}

static bool merge(void)
{
	return hm_system.protect(pages, PAGES * HM_PAGE_SIZE, PROT_NONE) == 0;
}

/* All or nothing. */
static bool split(void)
{
	for (size_t i = 1; i < PAGES; i += 2) {
		if (hm_system.protect(pages + i * HM_PAGE_SIZE, HM_PAGE_SIZE,
				      PROT_READ) != 0) {
			(void)merge();
			return false;
		}
	}
	return true;
}

static bool make(void)
{
	void *address = hm_system.map(NULL, PAGES * HM_PAGE_SIZE, PROT_NONE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (address == MAP_FAILED)
		return false;
	pages = address;
	return split();
}

bool hm_spare_keep(void)
{
	int kept;
	bool made;

	if (atomic_load_explicit(&state, memory_order_relaxed) == KEPT)
		return true;
	if (change_from(NOT_MADE)) {
		kept = errno;
		made = make();
		errno = kept;
		change_to(made ? KEPT : pages != NULL ? USED : NOT_MADE);
		return made || pages == NULL;
	}
	if (!change_from(USED))
		return true;
	kept = errno;
	made = split();
	errno = kept;
	change_to(made ? KEPT : USED);
	return made;
}

bool hm_spare_use(void)
{
	int kept = errno;
	bool merged;

	if (!change_from(KEPT))
		return false;
	merged = merge();
	errno = kept;
	change_to(merged ? USED : KEPT);
	return merged;
}
