/*
 * mmap, munmap and mprotect of anonymous memory, by the translated functions, on a host:
 * what is there afterwards, whose it is, and what it is charged.
 */
#include "access.h"
#include "attach.h"
#include "maps.h"

/* ---- New memory ---- */

static void new_memory_is_charged_if_it_has_access(void)
{
	static const struct {
		int protection;
		bool reads, writes, charged;
	} rows[] = {
		{ PROT_NONE, false, false, false },
		{ PROT_READ, true, false, true },
		{ PROT_WRITE, true, true, true },
		{ RW, true, true, true },
		{ PROT_READ | PROT_EXEC, true, false, true },
		{ PROT_EXEC, true, false, true },
		{ RW | PROT_EXEC, true, true, true },
	};
	struct attach_books books = attach_open_books();

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = map_new(5 * PAGE, rows[i].protection);

		tap_row("protection %d", rows[i].protection);
		CHECK_INT(can_read(base), rows[i].reads);
		CHECK_INT(can_write(base + 5 * PAGE - 1, 1), rows[i].writes);
		CHECK_SIZE(attach_committed(&books), rows[i].charged ? 5 * PAGE : 0);
		unmap_all(base, 5 * PAGE);
		CHECK_BOOKS(&books);
	}
}

static void flags_that_are_hints_change_nothing(void)
{
	static const int rows[] = { MAP_NORESERVE, MAP_STACK | MAP_NORESERVE,
				    MAP_POPULATE, MAP_STACK,
				    MAP_NORESERVE | MAP_POPULATE };
	struct attach_books books = attach_open_books();

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base;

		tap_row("flags %x", (unsigned)rows[i]);
		errno = NO_ERROR;
		base = HostMemMmap(NULL, 3 * PAGE + 1, RW, NEW | rows[i], -1, 0);
		if (!CHECK(base != MAP_FAILED) || !CHECK_INT(errno, NO_ERROR))
			return;
		CHECK_SIZE(attach_committed(&books), 4 * PAGE);
		CHECK(holds(base, 4 * PAGE, 0));
		unmap_all(base, 3 * PAGE + 1);
		CHECK_BOOKS(&books);
	}
}

static void asking_for_pages_at_once_keeps_errno(void)
{
	static const int rows[] = { PROT_NONE, PROT_READ, RW, PROT_READ | PROT_EXEC };

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *base;

		tap_row("protection %d", rows[i]);
		errno = NO_ERROR;
		base = HostMemMmap(NULL, PAGE + 1, rows[i], NEW | MAP_POPULATE, -1, 0);
		CHECK(base != MAP_FAILED);
		CHECK_INT(errno, NO_ERROR);
		unmap_all(base, PAGE + 1);
	}
}

/* What the host has no words for is the system's, and is not charged. */
static void other_kinds_of_memory_are_the_systems(void)
{
	static const int rows[] = { MAP_SHARED | MAP_ANONYMOUS, NEW | MAP_GROWSDOWN,
				    NEW | MAP_LOCKED };
	struct attach_books books = attach_open_books();

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = HostMemMmap(NULL, 2 * PAGE, RW, rows[i], -1, 0);

		tap_row("flags %x", (unsigned)rows[i]);
		if (!CHECK(base != MAP_FAILED))
			continue;
		CHECK_BOOKS(&books);
		base[0] = base[PAGE] = 1;
		CHECK_KEPT(HostMemMprotect(base, PAGE, PROT_READ));
		CHECK(!can_write(base, 1));
		unmap_all(base, 2 * PAGE);
		CHECK(!can_read(base));
	}
}

static void an_address_is_a_hint_at_multiples_of_64_kib(void)
{
	unsigned char *hole = pages_hole(4 * UNIT), *base, *second;

	base = HostMemMmap(hole, UNIT, RW, NEW, -1, 0);
	CHECK_POINTER(base, hole);
	second = HostMemMmap(hole, UNIT, RW, NEW, -1, 0);
	CHECK(second != MAP_FAILED && second != hole);
	unmap_all(second, UNIT);
	second = HostMemMmap(hole + 2 * UNIT + PAGE, UNIT, RW, NEW, -1, 0);
	CHECK(second != MAP_FAILED);
	unmap_all(second, UNIT);
	unmap_all(base, UNIT);
	/* Where nobody may be. */
	second = HostMemMmap((void *)USER_END, PAGE, RW, NEW, -1, 0);
	CHECK(second != MAP_FAILED && (uintptr_t)second < USER_END);
	unmap_all(second, PAGE);
}

static void memory_below_2_gib_is_charged_as_any(void)
{
	struct attach_books books = attach_open_books();
	void *all[20];

	for (size_t i = 0; i < ROWS(all); i++) {
		errno = NO_ERROR;
		all[i] = HostMemMmap(NULL, UNIT - PAGE, RW | PROT_EXEC, NEW | MAP_32BIT,
				     -1, 0);
		CHECK_INT(errno, NO_ERROR);
		CHECK((uintptr_t)all[i] + UNIT <= (uintptr_t)1 << 31);
		CHECK_SIZE(attach_committed(&books), (i + 1) * (UNIT - PAGE));
	}
	for (size_t i = 0; i < ROWS(all); i++)
		unmap_all(all[i], UNIT - PAGE);
	CHECK_BOOKS(&books);
}

static void an_exact_place_is_had_or_is_taken(void)
{
	unsigned char *hole = pages_hole(4 * UNIT);
	const int exactly = NEW | MAP_FIXED_NOREPLACE;
	struct attach_books books = attach_open_books();

	CHECK_POINTER(HostMemMmap(hole, UNIT, RW, exactly, -1, 0), hole);
	hole[0] = 1;
	CHECK_NO_MAP(HostMemMmap(hole, PAGE, RW, exactly, -1, 0), EEXIST);
	CHECK_NO_MAP(HostMemMmap(hole, PAGE, RW, exactly | MAP_FIXED, -1, 0), EEXIST);
	CHECK_NO_MAP(HostMemMmap(hole + PAGE, UNIT, RW, exactly, -1, 0), EEXIST);
	CHECK_NO_MAP(HostMemMmap(hole + 1, UNIT, RW, exactly, -1, 0), EINVAL);
	/* In the middle of a unit it is the system's. */
	CHECK_POINTER(HostMemMmap(hole + 2 * UNIT + PAGE, PAGE, RW, exactly, -1, 0),
		      hole + 2 * UNIT + PAGE);
	CHECK_SIZE(attach_committed(&books), UNIT);
	CHECK_INT(hole[0], 1);
	unmap_all(hole, 4 * UNIT);
	CHECK_BOOKS(&books);
}

/* ---- Over what is there ---- */

static void a_mapping_over_committed_pages_is_zero(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(16 * PAGE, PROT_NONE);

	CHECK_KEPT(HostMemMprotect(base, 4 * PAGE, RW));
	fill_pages(base, 4 * PAGE, 7);
	/* Half of it committed, half reserved. */
	map_over(base + 2 * PAGE, 4 * PAGE, RW);
	CHECK_SIZE(attach_committed(&books), 6 * PAGE);
	CHECK(holds(base, 2 * PAGE, 7) && holds(base + 2 * PAGE, 4 * PAGE, 0));
	fill_pages(base, 6 * PAGE, 9);
	map_over(base, 6 * PAGE, PROT_READ);
	CHECK_SIZE(attach_committed(&books), 6 * PAGE);
	CHECK(holds(base, 6 * PAGE, 0));
	CHECK(!can_write(base, 1));
	map_over(base + PAGE, 4 * PAGE, PROT_NONE);
	CHECK_SIZE(attach_committed(&books), 2 * PAGE);
	CHECK(!can_read(base + PAGE) && can_read(base + 5 * PAGE));
	unmap_all(base, 16 * PAGE);
	CHECK_BOOKS(&books);
}

static void locked_pages_are_zero_under_a_new_mapping(void)
{
	unsigned char *base = map_new(2 * PAGE, RW);

	fill_pages(base, 2 * PAGE, 7);
	if (mlock(base, 2 * PAGE) != 0) {
		tap_skip("the system locks no pages for this user");
	} else {
		map_over(base, 2 * PAGE, RW);
		CHECK(holds(base, 2 * PAGE, 0));
	}
	unmap_all(base, 2 * PAGE);
}

/* Two reservations, memory of the system's, and nothing. */
static void a_mapping_over_many_owners_is_one(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *hole = pages_hole(8 * UNIT);

	CHECK_POINTER(HostMemMmap(hole, UNIT, RW, NEW, -1, 0), hole);
	CHECK_POINTER(HostMemMmap(hole + UNIT, UNIT, PROT_NONE, NEW, -1, 0), hole + UNIT);
	CHECK_POINTER(mmap(hole + 2 * UNIT, UNIT, RW, OVER, -1, 0), hole + 2 * UNIT);
	fill_pages(hole, UNIT, 5);
	fill_pages(hole + 2 * UNIT, UNIT, 5);
	map_over(hole + PAGE, 4 * UNIT, RW);
	CHECK(holds(hole, PAGE, 5) && holds(hole + PAGE, 4 * UNIT, 0));
	fill_pages(hole, 4 * UNIT + PAGE, 6);
	CHECK_KEPT(HostMemMprotect(hole, 4 * UNIT + PAGE, PROT_READ));
	CHECK(!can_write(hole, 1) && !can_write(hole + 4 * UNIT, 1));
	CHECK(holds(hole, 4 * UNIT + PAGE, 6));
	unmap_all(hole, 8 * UNIT);
	CHECK(!can_read(hole + UNIT) && !can_read(hole + 3 * UNIT));
	CHECK_BOOKS(&books);
}

/* ---- Parts ---- */

static void parts_are_given_back_by_the_page(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(64 * PAGE, RW);

	fill_pages(base, 64 * PAGE, 3);
	unmap_all(base, PAGE);
	unmap_all(base + 63 * PAGE, PAGE);
	unmap_all(base + 20 * PAGE, 10 * PAGE);
	CHECK_SIZE(attach_committed(&books), 52 * PAGE);
	CHECK(!can_read(base) && !can_read(base + 63 * PAGE));
	CHECK(!can_read(base + 20 * PAGE) && !can_read(base + 29 * PAGE));
	CHECK(holds(base + PAGE, 19 * PAGE, 3) && holds(base + 30 * PAGE, 33 * PAGE, 3));
	/* What is not there is no error. */
	unmap_all(base, 64 * PAGE);
	unmap_all(base, 64 * PAGE);
	CHECK_BOOKS(&books);
}

/* As those do whose system knows no alignment: twice as much, and both ends cut off. */
static void alignment_is_had_by_trimming(void)
{
	static const size_t rows[] = { 2 * PAGE, 4 * PAGE, UNIT, MIB, 16 * MIB };
	struct attach_books books = attach_open_books();

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t size = rows[i];
		unsigned char *base = map_new(2 * size, PROT_NONE), *wanted;

		tap_row("%zu bytes", size);
		wanted = (unsigned char *)(((uintptr_t)base + size - 1) / size * size);
		if (wanted != base)
			unmap_all(base, (size_t)(wanted - base));
		unmap_all(wanted + size, (size_t)(base + size - wanted));
		CHECK_KEPT(HostMemMprotect(wanted, size, RW));
		wanted[0] = wanted[size - 1] = 1;
		CHECK_SIZE(attach_committed(&books), size);
		CHECK(!can_read(wanted - 1) || wanted == base);
		unmap_all(wanted, size);
		CHECK_BOOKS(&books);
	}
}

/* ---- mprotect ---- */

static void access_that_is_wanted_commits_and_keeps_contents(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(32 * PAGE, PROT_NONE);

	CHECK_KEPT(HostMemMprotect(base + 8 * PAGE, 8 * PAGE, RW));
	fill_pages(base + 8 * PAGE, 8 * PAGE, 4);
	CHECK_KEPT(HostMemMprotect(base + 10 * PAGE, PAGE, PROT_READ));
	CHECK_KEPT(HostMemMprotect(base + 4 * PAGE, 8 * PAGE + 1, PROT_READ));
	CHECK_SIZE(attach_committed(&books), 12 * PAGE);
	CHECK(holds(base + 4 * PAGE, 4 * PAGE, 0) && holds(base + 8 * PAGE, 8 * PAGE, 4));
	CHECK(!can_write(base + 12 * PAGE, 4) && can_write(base + 13 * PAGE, 4));
	/* What has no access any more is still charged; what never had any is not. */
	CHECK_KEPT(HostMemMprotect(base, 32 * PAGE, PROT_NONE));
	CHECK_SIZE(attach_committed(&books), 12 * PAGE);
	CHECK(!can_read(base + 8 * PAGE));
	CHECK_KEPT(HostMemMprotect(base, 16 * PAGE, RW));
	CHECK(holds(base + 8 * PAGE, 8 * PAGE, 4));
	CHECK_SIZE(attach_committed(&books), 16 * PAGE);
	unmap_all(base, 32 * PAGE);
	CHECK_BOOKS(&books);
}

static void code_can_be_run(void)
{
	unsigned char *base = map_new(PAGE, RW);

	memcpy(base, access_code, sizeof(access_code));
	CHECK_KEPT(HostMemMprotect(base, PAGE, PROT_READ | PROT_EXEC));
	CHECK(can_execute(base));
	CHECK_KEPT(HostMemMprotect(base, PAGE, RW));
	CHECK(!can_execute(base));
	unmap_all(base, PAGE);
}

/* ---- madvise ---- */

static void advice_is_the_systems_business(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(4 * MIB, RW);

	CHECK_KEPT(HostMemMadvise(base, 4 * MIB, MADV_HUGEPAGE));
	CHECK_KEPT(HostMemMadvise(base, 4 * MIB, MADV_NOHUGEPAGE));
	fill_pages(base, 4 * PAGE, 2);
	CHECK_KEPT(HostMemMadvise(base + PAGE, 2 * PAGE, MADV_DONTNEED));
	CHECK(holds(base, PAGE, 2) && holds(base + PAGE, 2 * PAGE, 0));
	CHECK(holds(base + 3 * PAGE, PAGE, 2));
	CHECK_KEPT(HostMemMadvise(base, 4 * PAGE, MADV_FREE));
	CHECK_SIZE(attach_committed(&books), 4 * MIB);
	CHECK_ERROR(HostMemMadvise(base + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERROR(HostMemMadvise(base, PAGE, 4711), EINVAL);
	unmap_all(base, 4 * MIB);
	CHECK_ERROR(HostMemMadvise(base, PAGE, MADV_DONTNEED), ENOMEM);
	CHECK_BOOKS(&books);
}

int main(void)
{
	access_install();
	if (!attach_with(NULL, 0))
		return tap_done();
	/* Small mappings share a reservation, which stays. */
	unmap_all(map_new(PAGE, RW), PAGE);
	TAP_RUN(new_memory_is_charged_if_it_has_access);
	TAP_RUN(flags_that_are_hints_change_nothing);
	TAP_RUN(asking_for_pages_at_once_keeps_errno);
	TAP_RUN(other_kinds_of_memory_are_the_systems);
	TAP_RUN(an_address_is_a_hint_at_multiples_of_64_kib);
	TAP_RUN(memory_below_2_gib_is_charged_as_any);
	TAP_RUN(an_exact_place_is_had_or_is_taken);
	TAP_RUN(a_mapping_over_committed_pages_is_zero);
	TAP_RUN(locked_pages_are_zero_under_a_new_mapping);
	TAP_RUN(a_mapping_over_many_owners_is_one);
	TAP_RUN(parts_are_given_back_by_the_page);
	TAP_RUN(alignment_is_had_by_trimming);
	TAP_RUN(access_that_is_wanted_commits_and_keeps_contents);
	TAP_RUN(code_can_be_run);
	TAP_RUN(advice_is_the_systems_business);
	return tap_done();
}
