/*
 * mremap by the translated function: contents, access, errors, and what is charged.
 */
#include "access.h"
#include "attach.h"
#include "maps.h"

#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)
#define COPY (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

static unsigned char *moved(void *result)
{
	CHECK(result != MAP_FAILED);
	return (unsigned char *)result;
}

/* A place behind which there is room, and one behind which there is none. */
static void a_block_grows_where_it_is_if_there_is_room(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *hole = pages_hole(8 * UNIT), *base;

	base = HostMemMmap(hole, UNIT, RW, NEW, -1, 0);
	CHECK_POINTER(base, hole);
	fill_pages(base, UNIT, 1);
	errno = NO_ERROR;
	CHECK_POINTER(HostMemMremap(base, UNIT, 3 * UNIT + 1, 0, NULL), base);
	CHECK_INT(errno, NO_ERROR);
	CHECK_SIZE(attach_committed(&books), 3 * UNIT + PAGE);
	CHECK(holds(base, UNIT, 1) && holds(base + UNIT, 2 * UNIT + PAGE, 0));
	CHECK_NO_MAP(HostMemMremap(base, UNIT, 2 * UNIT, 0, NULL), ENOMEM);
	unmap_all(base, 3 * UNIT + PAGE);
	CHECK_BOOKS(&books);
}

static void a_block_that_cannot_grow_moves(void)
{
	static const int rows[] = { RW, PROT_READ, PROT_NONE, RW | PROT_EXEC };
	struct attach_books books = attach_open_books();

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = map_new(UNIT, RW), *to;

		tap_row("protection %d", rows[i]);
		fill_pages(base, UNIT, 1);
		CHECK_KEPT(HostMemMprotect(base + PAGE, 3 * PAGE, rows[i]));
		errno = NO_ERROR;
		to = moved(
			HostMemMremap(base + PAGE, 3 * PAGE, UNIT, MREMAP_MAYMOVE, NULL));
		CHECK_INT(errno, NO_ERROR);
		CHECK(to != base + PAGE && !can_read(base + PAGE));
		CHECK_INT(can_read(to), rows[i] != PROT_NONE);
		CHECK_INT(can_write(to, 1), (rows[i] & PROT_WRITE) != 0);
		CHECK_INT(can_read(to + UNIT - 1), rows[i] != PROT_NONE);
		CHECK_SIZE(attach_committed(&books), 2 * UNIT - 3 * PAGE);
		CHECK_KEPT(HostMemMprotect(to, UNIT, RW));
		CHECK(can_write(to, 1));
		CHECK(holds(to, 3 * PAGE, 1) && holds(to + 3 * PAGE, 13 * PAGE, 0));
		unmap_all(to, UNIT);
		unmap_all(base, UNIT);
		CHECK_BOOKS(&books);
	}
}

static void a_block_is_made_smaller_where_it_is(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(UNIT, RW);

	fill_pages(base, UNIT, 1);
	attach_limit(0);
	CHECK_POINTER(HostMemMremap(base, UNIT, 2 * PAGE + 1, 0, NULL), base);
	CHECK_POINTER(HostMemMremap(base, 3 * PAGE, 3 * PAGE, 0, NULL), base);
	attach_limit(SIZE_MAX);
	CHECK_SIZE(attach_committed(&books), 3 * PAGE);
	CHECK(holds(base, 3 * PAGE, 1) && !can_read(base + 3 * PAGE));
	unmap_all(base, 3 * PAGE);
	CHECK_BOOKS(&books);
}

static void a_block_moves_to_an_exact_place(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(4 * UNIT, RW), *to = map_new(4 * UNIT, RW);

	fill_pages(base, 4 * UNIT, 1);
	fill_pages(to, 4 * UNIT, 2);
	CHECK_POINTER(HostMemMremap(base + PAGE, 2 * PAGE, 4 * PAGE, FIXED, to + UNIT),
		      to + UNIT);
	CHECK(holds(to, UNIT, 2) && holds(to + UNIT, 2 * PAGE, 1));
	CHECK(holds(to + UNIT + 2 * PAGE, 2 * PAGE, 0));
	CHECK(holds(to + UNIT + 4 * PAGE, PAGE, 2) && !can_read(base + PAGE));
	CHECK_SIZE(attach_committed(&books), 8 * UNIT - 2 * PAGE);
	/* Smaller on the way. */
	CHECK_POINTER(HostMemMremap(base + UNIT, UNIT, PAGE, FIXED, to), to);
	CHECK(holds(to, PAGE, 1) && holds(to + PAGE, PAGE, 2));
	CHECK(!can_read(base + UNIT) && !can_read(base + 2 * UNIT - 1));
	unmap_all(base, 4 * UNIT);
	unmap_all(to, 4 * UNIT);
	CHECK_BOOKS(&books);
}

static void the_old_place_may_stay_and_is_zero(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(UNIT, RW), *to;

	fill_pages(base, UNIT, 1);
	to = moved(HostMemMremap(base, UNIT, UNIT, COPY, NULL));
	CHECK(holds(to, UNIT, 1) && holds(base, UNIT, 0));
	CHECK(can_write(base, 1) && can_write(to, 1));
	CHECK_SIZE(attach_committed(&books), 2 * UNIT);
	CHECK_NO_MAP(HostMemMremap(base, UNIT, 2 * UNIT, COPY, NULL), EINVAL);
	unmap_all(base, UNIT);
	unmap_all(to, UNIT);
	CHECK_BOOKS(&books);
}

static void reserved_pages_move_and_stay_reserved(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(UNIT, PROT_NONE), *to;

	to = moved(HostMemMremap(base + PAGE, PAGE, UNIT, MREMAP_MAYMOVE, NULL));
	CHECK(!can_read(to));
	CHECK_SIZE(attach_committed(&books), 0);
	CHECK_POINTER(HostMemMremap(base + 2 * PAGE, 2 * PAGE, PAGE, 0, NULL),
		      base + 2 * PAGE);
	unmap_all(base, UNIT);
	unmap_all(to, UNIT);
	CHECK_BOOKS(&books);
}

static void what_makes_no_sense_changes_nothing(void)
{
	unsigned char *base = map_new(4 * UNIT, RW);
	const struct {
		size_t start, size, wanted;
		int flags;
		void *place;
		int error;
	} rows[] = {
		{ 0, UNIT, 0, MREMAP_MAYMOVE, NULL, EINVAL },
		{ 0, 0, UNIT, MREMAP_MAYMOVE, NULL, EINVAL },
		{ 1, UNIT, UNIT, MREMAP_MAYMOVE, NULL, EINVAL },
		{ 0, UNIT, UNIT, 64, NULL, EINVAL },
		{ 0, UNIT, UNIT, MREMAP_FIXED, base + 2 * UNIT, EINVAL },
		{ 0, UNIT, UNIT, FIXED, base + 2 * UNIT + 1, EINVAL },
		{ 0, UNIT, UNIT, FIXED, base + PAGE, EINVAL },
		{ UNIT, UNIT, UNIT, FIXED, base + PAGE, EINVAL },
		{ 0, UNIT, UNIT, FIXED, (void *)USER_END, EINVAL },
		{ 0, UNIT, SIZE_MAX, MREMAP_MAYMOVE, NULL, EINVAL },
		{ 3 * UNIT, 2 * UNIT, 4 * UNIT, MREMAP_MAYMOVE, NULL, EFAULT },
	};
	struct attach_books books;

	fill_pages(base, 4 * UNIT, 1);
	unmap_all(base + 3 * UNIT + PAGE, UNIT - PAGE);
	books = attach_open_books();
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_NO_MAP(HostMemMremap(base + rows[i].start, rows[i].size,
					   rows[i].wanted, rows[i].flags, rows[i].place),
			     rows[i].error);
		CHECK(holds(base, 3 * UNIT + PAGE, 1));
	}
	CHECK_BOOKS(&books);
	unmap_all(base, 4 * UNIT);
}

static void a_full_budget_refuses_and_keeps(void)
{
	unsigned char *base = map_new(UNIT, RW), *to = map_new(4 * UNIT, PROT_NONE);
	struct attach_books books = attach_open_books();

	fill_pages(base, UNIT, 1);
	attach_limit(UNIT - PAGE);
	CHECK_NO_MAP(HostMemMremap(base, UNIT, 4 * UNIT, MREMAP_MAYMOVE, NULL), ENOMEM);
	CHECK_NO_MAP(HostMemMremap(base, UNIT, UNIT, COPY, NULL), ENOMEM);
	CHECK_NO_MAP(HostMemMremap(base, UNIT, UNIT, FIXED, to), ENOMEM);
	CHECK(holds(base, UNIT, 1) && can_write(base, 1) && !can_read(to));
	CHECK_BOOKS(&books);
	attach_limit(SIZE_MAX);
	unmap_all(base, UNIT);
	unmap_all(to, 4 * UNIT);
}

/* What is not the host's moves as the system moves it, to where the host was, too. */
static void foreign_memory_stays_foreign(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *foreign = mmap(NULL, 2 * UNIT, RW, NEW, -1, 0);
	unsigned char *base = map_new(4 * UNIT, RW);

	fill_pages(foreign, 2 * UNIT, 1);
	fill_pages(base, 4 * UNIT, 2);
	CHECK_POINTER(HostMemMremap(foreign, UNIT, UNIT, FIXED, base + UNIT),
		      base + UNIT);
	CHECK_SIZE(attach_committed(&books), 3 * UNIT);
	CHECK(holds(base, UNIT, 2) && holds(base + UNIT, UNIT, 1));
	CHECK(holds(base + 2 * UNIT, UNIT, 2));
	foreign = moved(
		HostMemMremap(foreign + UNIT, UNIT, 8 * UNIT, MREMAP_MAYMOVE, NULL));
	CHECK(holds(foreign, UNIT, 1) && holds(foreign + UNIT, 7 * UNIT, 0));
	CHECK_SIZE(attach_committed(&books), 3 * UNIT);
	unmap_all(foreign, 8 * UNIT);
	unmap_all(base, 4 * UNIT);
	CHECK_BOOKS(&books);
}

int main(void)
{
	access_install();
	if (!attach_with(NULL, 0))
		return tap_done();
	TAP_RUN(a_block_grows_where_it_is_if_there_is_room);
	TAP_RUN(a_block_that_cannot_grow_moves);
	TAP_RUN(a_block_is_made_smaller_where_it_is);
	TAP_RUN(a_block_moves_to_an_exact_place);
	TAP_RUN(the_old_place_may_stay_and_is_zero);
	TAP_RUN(reserved_pages_move_and_stay_reserved);
	TAP_RUN(what_makes_no_sense_changes_nothing);
	TAP_RUN(a_full_budget_refuses_and_keeps);
	TAP_RUN(foreign_memory_stays_foreign);
	return tap_done();
}
