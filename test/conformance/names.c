/*
 * What the kernel is told about a host's memory: its name, huge pages, and that reserves
 * do not belong in a core dump.  What such a dump really has: core_dump.c.
 */
#include "child.h"
#include "host.h"
#include "retain.h"
#include "smaps.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define HUGE_PAGE (2 * MIB)

/* Whether the kernel lets us do something to a page of our own. */
static bool can_name(void *page)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, PAGE, "test") == 0;
}

static bool can_prefer_huge(void *page)
{
	return madvise(page, PAGE, MADV_HUGEPAGE) == 0;
}

static bool kernel_has(bool (*can)(void *page))
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	bool has = CHECK(page != MAP_FAILED) && can(page);

	CHECK(munmap(page, PAGE) == 0);
	return has;
}

/* ---- Names ---- */

static void check_name(const void *address)
{
	struct smaps_mapping mapping = { .name = "" };

	CHECK(smaps_find(address, &mapping));
	CHECK_STR(mapping.name, "[anon:hostmem]");
}

static void mappings_have_the_name_of_the_library(void)
{
	static const struct {
		size_t size;
		DWORD type, protect;
	} rows[] = {
		{ 4 * UNIT, MEM_RESERVE, PAGE_NOACCESS },
		{ 4 * UNIT, MEM_COMMIT, PAGE_READWRITE },
		{ 4 * MIB, MEM_COMMIT, PAGE_READONLY },
		{ 2048 * MIB, MEM_RESERVE, PAGE_READWRITE },
		{ 4 * UNIT, MEM_RESERVE | MEM_TOP_DOWN, PAGE_READWRITE },
	};
	struct host host;

	if (!kernel_has(can_name)) {
		tap_skip("the kernel has no names for mappings");
		return;
	}
	if (!host_create(&host, 0))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = vm_new(&host, rows[i].size, rows[i].type,
					     rows[i].protect);

		tap_row("row %zu", i);
		check_name(base);
		check_name(base + rows[i].size - 1);
		CHECK_HR(vm_commit(&host, base + PAGE, PAGE, PAGE_READWRITE), S_OK);
		check_name(base + PAGE);
		CHECK_HR(vm_free(&host, base, 3 * UNIT, MEM_DECOMMIT), S_OK);
		check_name(base + PAGE);
	}
	host_destroy(&host);
}

/* ---- Huge pages ---- */

/* Commits a part of a reservation and tells which pages of it are to be huge. */
static void check_huge(uint32_t flags, size_t first, size_t size)
{
	struct host host;
	unsigned char *base, *low, *high;

	if (!host_create(&host, flags))
		return;
	base = vm_new(&host, 16 * MIB, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&host, base + first, size, PAGE_READWRITE), S_OK);
	low = (unsigned char *)(((uintptr_t)base + first + HUGE_PAGE - 1) &
				~(HUGE_PAGE - 1));
	high = (unsigned char *)(((uintptr_t)base + first + size) & ~(HUGE_PAGE - 1));
	for (unsigned char *page = base + first; page < base + first + size;
	     page += 16 * PAGE) {
		bool inside = page >= low && page < high;

		if (!CHECK(smaps_has(page, "hg") ==
			   (flags != 0 && size >= HUGE_PAGE && inside)))
			break;
	}
	if (flags != 0 && low < high)
		CHECK(smaps_has(high - PAGE, "hg"));
	host_destroy(&host);
}

static void huge_pages_are_asked_for_where_whole_ones_are_committed(void)
{
	static const struct {
		size_t first, size;
	} rows[] = {
		{ 0, 2 * MIB },    { 0, 8 * MIB },          { PAGE, 4 * MIB },
		{ UNIT, 2 * MIB }, { MIB, 7 * MIB + PAGE }, { 0, 2 * MIB - PAGE },
		{ 0, UNIT },
	};

	if (!kernel_has(can_prefer_huge)) {
		tap_skip("the kernel has no transparent huge pages");
		return;
	}
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		check_huge(HOSTMEM_PREFER_HUGE_PAGES, rows[i].first, rows[i].size);
		tap_row("row %zu, not wanted", i);
		check_huge(0, rows[i].first, rows[i].size);
	}
}

static void memory_committed_at_once_gets_them_too(void)
{
	struct host host;
	unsigned char *base;

	if (!kernel_has(can_prefer_huge)) {
		tap_skip("the kernel has no transparent huge pages");
		return;
	}
	for (unsigned wanted = 0; wanted < 2; wanted++) {
		tap_row("wanted: %u", wanted);
		if (!host_create(&host, wanted ? HOSTMEM_PREFER_HUGE_PAGES : 0))
			return;
		base = vm_new(&host, 6 * MIB + PAGE, MEM_COMMIT, PAGE_READWRITE);
		CHECK(smaps_has(base, "hg") == (wanted != 0));
		/* At a multiple of 2 MiB three fit. */
		CHECK(smaps_has(base + 6 * MIB - PAGE, "hg") == (wanted != 0));
		CHECK(!smaps_has(base + 6 * MIB, "hg"));
		memset(base, 0x5A, 6 * MIB + PAGE);
		CHECK_HR(vm_release(&host, base), S_OK);
		host_destroy(&host);
	}
}

static void reservations_in_which_one_fits_begin_where_one_can(void)
{
	static const size_t sizes[] = { 2 * MIB, 2 * MIB + PAGE, 5 * MIB, 33 * MIB };
	static const DWORD types[] = { MEM_RESERVE, MEM_COMMIT,
				       MEM_RESERVE | MEM_TOP_DOWN };
	struct host host;

	if (!host_create(&host, HOSTMEM_PREFER_HUGE_PAGES))
		return;
	for (size_t i = 0; i < 4 * ROWS(sizes) * ROWS(types); i++) {
		size_t size = sizes[i % ROWS(sizes)];
		DWORD type = types[i / ROWS(sizes) % ROWS(types)];
		unsigned char *base;

		tap_row("%zu bytes, type 0x%x", size, type);
		/* So that the next place is none of itself. */
		CHECK(vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE) != NULL);
		base = vm_new(&host, size, type, PAGE_READWRITE);
		CHECK_SIZE((uintptr_t)base % HUGE_PAGE, 0);
	}
	host_destroy(&host);
}

/* ---- Core dumps ---- */

static void reserves_are_not_in_core_dumps_and_committed_pages_are(void)
{
	struct host host;
	unsigned char *base;

	if (pages_are_direct()) {
		tap_skip("a mapping that was never written is left out by itself");
		return;
	}
	if (!host_create(&host, 0))
		return;
	base = vm_new(&host, 64 * MIB, MEM_RESERVE, PAGE_READWRITE);
	CHECK(smaps_has(base, "dd") && smaps_has(base + 64 * MIB - PAGE, "dd"));
	CHECK_HR(vm_commit(&host, base + 32 * MIB, PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_commit(&host, base + 40 * MIB, 4 * MIB, PAGE_READONLY), S_OK);
	CHECK(!smaps_has(base + 32 * MIB, "dd"));
	CHECK(!smaps_has(base + 40 * MIB, "dd"));
	CHECK(!smaps_has(base + 44 * MIB - PAGE, "dd"));
	CHECK(smaps_has(base, "dd") && smaps_has(base + 64 * MIB - PAGE, "dd"));
	/* Many are closed at once. */
	CHECK_HR(vm_free(&host, base + 40 * MIB, 4 * MIB, MEM_DECOMMIT), S_OK);
	CHECK(smaps_has(base + 42 * MIB, "dd"));
	CHECK_HR(vm_commit(&host, base + 42 * MIB, PAGE, PAGE_READWRITE), S_OK);
	CHECK(!smaps_has(base + 42 * MIB, "dd"));
	host_destroy(&host);
}

int main(void)
{
	TAP_RUN(mappings_have_the_name_of_the_library);
	TAP_RUN(huge_pages_are_asked_for_where_whole_ones_are_committed);
	TAP_RUN(memory_committed_at_once_gets_them_too);
	TAP_RUN(reservations_in_which_one_fits_begin_where_one_can);
	TAP_RUN(reserves_are_not_in_core_dumps_and_committed_pages_are);
	return tap_done();
}
