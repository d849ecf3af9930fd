/*
 * What the tests of bad inputs of heaps share: a heap with a live block of many sizes, and
 * whether anything about it has changed.
 *
 * What is refused changes nothing: not the account, not what a walk shows, not a byte of any
 * heap's pages, not a reference count; and nobody hears of it.
 */
#ifndef HOSTMEM_CONFORMANCE_BAD_INPUTS_HEAP_H
#define HOSTMEM_CONFORMANCE_BAD_INPUTS_HEAP_H

#include "com_rules.h"
#include "heap.h"
#include "recorder.h"

#include <stdatomic.h>

/* Of each of these one live block. */
static const size_t sizes[] = { 1, 24, 100, 1000, 3000, 20000, 100000, 3000000 };

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

struct fixture {
	struct yard yard;
	uint64_t cookie;
	_Atomic size_t events;
	unsigned char *blocks[SIZES];
	struct snapshot before;
};

static struct fixture fixture;

static inline BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event)
{
	(void)state, (void)event;
	atomic_fetch_add(&fixture.events, 1);
	return TRUE;
}

static inline bool fixture_make(void)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	if (!yard_make(&f->yard, 0, MALLOC_THREADSAFE))
		return false;
	for (size_t i = 0; i < SIZES; i++) {
		f->blocks[i] = (unsigned char *)heap_take(f->yard.heap, sizes[i]);
		if (f->blocks[i] == NULL)
			return false;
		heap_fill(f->blocks[i], sizes[i], i);
	}
	return CHECK_HR(IHostMemoryControl_Subscribe(f->yard.host.control, ALL_BITS, hear,
						     NULL, &f->cookie),
			S_OK);
}

static inline void fixture_picture(void)
{
	atomic_store(&fixture.events, 0);
	snapshot_take(&fixture.before, &fixture.yard.host);
}

static inline void fixture_check_unchanged(void)
{
	const struct fixture *f = &fixture;

	CHECK_UNCHANGED(&f->before);
	CHECK_SIZE(atomic_load(&f->events), 0);
	CHECK_U32(com_count((IUnknown *)f->yard.heap), 1);
	for (size_t i = 0; i < SIZES; i++)
		CHECK(heap_holds(f->blocks[i], sizes[i], i));
}

static inline void fixture_end(void)
{
	struct fixture *f = &fixture;

	for (size_t i = 0; i < SIZES; i++)
		CHECK_HR(heap_free(f->yard.heap, f->blocks[i]), S_OK);
	CHECK_HEAP(&f->yard, 0, 0);
	yard_end(&f->yard);
}

#endif
