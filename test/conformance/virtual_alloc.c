/*
 * VirtualAlloc: reserve, commit, commit again; rounding; what conflicts.
 *
 * Source of the rows: Microsoft's documentation of VirtualAlloc, and what Wine's and
 * ReactOS's tests state about Windows.
 */
#include "access.h"
#include "host.h"

static struct host host;

static void sizes_round_up_to_pages_and_bases_are_multiples_of_64k(void)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_RESERVE | MEM_COMMIT, MEM_COMMIT,
				       MEM_COMMIT | MEM_TOP_DOWN };
	static const struct {
		size_t size, want;
	} rows[] = {
		{ 1, 0x1000 },        { 0xFFF, 0x1000 },      { 0x1000, 0x1000 },
		{ 0x1001, 0x2000 },   { 0xFFFC, 0x10000 },    { 0x10000, 0x10000 },
		{ 0x10001, 0x11000 }, { 0x123456, 0x124000 },
	};

	for (size_t t = 0; t < ROWS(types); t++) {
		for (size_t i = 0; i < ROWS(rows); i++) {
			bool commits = (types[t] & MEM_COMMIT) != 0;
			void *base;

			tap_row("type 0x%x, size 0x%zx", types[t], rows[i].size);
			base = vm_new(&host, rows[i].size, types[t], PAGE_READWRITE);
			CHECK_SIZE((uintptr_t)base % UNIT, 0);
			CHECK_RUN(&host, base, rows[i].want,
				  commits ? MEM_COMMIT : MEM_RESERVE,
				  commits ? PAGE_READWRITE : 0);
			CHECK_SIZE(host_usage(&host).cbReserved, rows[i].want);
			CHECK_SIZE(host_usage(&host).cbCommitted,
				   commits ? rows[i].want : 0);
			CHECK_SIZE(host_usage(&host).cRegions, 1);
			CHECK_HR(vm_release(&host, base), S_OK);
			CHECK_SIZE(host_usage(&host).cbReserved, 0);
		}
	}
}

static void reserving_at_an_address_rounds_down_to_64k_and_up_to_a_page(void)
{
	static const struct {
		size_t offset, size, want;
	} rows[] = {
		{ 0, 0x1000, 0x1000 },      { 0x8000, 1, 0x9000 },
		{ 0x10, 0x1000, 0x2000 },   { 0xFFFF, 0x3000, 0x13000 },
		{ 0x1010, 0xC000, 0xE000 }, { 0xFFFF, 1, 0x10000 },
		{ 0xFFFF, 2, 0x11000 },
	};
	void *hole = host_hole(&host, 4 * UNIT);

	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		size_t row = i / 2;
		DWORD type = i % 2 == 0 ? MEM_RESERVE : MEM_RESERVE | MEM_COMMIT;
		void *base;

		tap_row("offset 0x%zx, size 0x%zx, type 0x%x", rows[row].offset,
			rows[row].size, type);
		CHECK_HR(vm_alloc(&host, at(hole, rows[row].offset), rows[row].size, type,
				  PAGE_READONLY, &base),
			 S_OK);
		CHECK_POINTER(base, hole);
		CHECK_RUN(&host, base, rows[row].want,
			  type & MEM_COMMIT ? MEM_COMMIT : MEM_RESERVE,
			  type & MEM_COMMIT ? PAGE_READONLY : 0);
		CHECK_SIZE(host_usage(&host).cbReserved, rows[row].want);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

/* 3 pages in the first 64 KiB unit of the hole, 0x11 pages from the third unit on. */
static void reserving_where_something_is_reserved_fails(void)
{
	static const struct {
		size_t offset, size;
		HRESULT want;
	} rows[] = {
		{ 0, 0x1000, HR_INVALID_ADDRESS },      /* the very same */
		{ 0x1000, 0x1000, HR_INVALID_ADDRESS }, /* inside, by rounding down */
		{ 0x3000, 0x1000, HR_INVALID_ADDRESS }, /* the rest of its 64 KiB unit */
		{ 0xFFFF, 1, HR_INVALID_ADDRESS },
		{ 0x10000, 0x10001, HR_INVALID_ADDRESS }, /* ends in the next one */
		{ 0x20000, 0x11000, HR_INVALID_ADDRESS },
		{ 0x30000, 0x1000, HR_INVALID_ADDRESS }, /* its last page */
		{ 0x31000, 0xF000, HR_INVALID_ADDRESS }, /* the rest of its last unit */
		{ 0, 0x60000, HR_INVALID_ADDRESS },      /* both, and what is between */
		{ 0x10000, 0x10000, S_OK },
		{ 0x1FFFF, 1, S_OK },
		{ 0x40000, 0x1000, S_OK },
	};
	void *hole = host_hole(&host, 8 * UNIT);
	struct snapshot before;
	void *base;

	CHECK_HR(vm_alloc(&host, hole, 0x3000, MEM_RESERVE, PAGE_READWRITE, &base), S_OK);
	CHECK_HR(vm_alloc(&host, at(hole, 2 * UNIT), 0x11000, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &base),
		 S_OK);
	memset(base, 0x77, 0x11000);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		size_t row = i / 2;
		DWORD type = i % 2 == 0 ? MEM_RESERVE : MEM_RESERVE | MEM_COMMIT;

		tap_row("offset 0x%zx, size 0x%zx, type 0x%x", rows[row].offset,
			rows[row].size, type);
		CHECK_HR(vm_alloc(&host, at(hole, rows[row].offset), rows[row].size, type,
				  PAGE_READWRITE, &base),
			 rows[row].want);
		if (base != NULL)
			CHECK_HR(vm_release(&host, base), S_OK);
		else
			CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, hole), S_OK);
	CHECK_HR(vm_release(&host, at(hole, 2 * UNIT)), S_OK);
}

static void the_rest_of_a_64k_unit_is_free_to_query_but_cannot_be_reserved(void)
{
	void *hole = host_hole(&host, 4 * UNIT);
	MEMORY_BASIC_INFORMATION info;
	void *base, *rest;

	CHECK_HR(vm_alloc(&host, hole, PAGE, MEM_RESERVE, PAGE_READWRITE, &base), S_OK);
	CHECK_HR(vm_query(&host, at(base, PAGE), &info), S_OK);
	CHECK_U32(info.State, MEM_FREE);
	CHECK_U32(info.Protect, PAGE_NOACCESS);
	CHECK_POINTER(info.AllocationBase, NULL);
	CHECK_HR(vm_alloc(&host, at(base, PAGE), PAGE, MEM_RESERVE, PAGE_READWRITE,
			  &rest),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_alloc(&host, at(base, UNIT), PAGE, MEM_RESERVE, PAGE_READWRITE,
			  &rest),
		 S_OK);
	CHECK_HR(vm_release(&host, rest), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void two_reservations_never_share_a_64k_unit(void)
{
	void *bases[64];

	for (size_t i = 0; i < ROWS(bases); i++) {
		bases[i] = vm_new(&host, PAGE * (1 + i % 3), MEM_RESERVE, PAGE_NOACCESS);
		CHECK_SIZE((uintptr_t)bases[i] % UNIT, 0);
		for (size_t j = 0; j < i; j++)
			CHECK(bases[i] != bases[j]);
	}
	for (size_t i = 0; i < ROWS(bases); i++)
		CHECK_HR(vm_release(&host, bases[i]), S_OK);
}

/* Of 16 reserved pages. */
static void commit_takes_every_page_that_the_range_touches(void)
{
	static const struct {
		size_t offset, size, first, count;
	} rows[] = {
		{ 0, 1, 0, 1 },
		{ 0x2000, 0x1000, 2, 1 },
		{ 0x2FFF, 1, 2, 1 },
		{ 0x2FFF, 2, 2, 2 },
		{ 0x2001, 0xFFF, 2, 1 },
		{ 0x2001, 0x1000, 2, 2 },
		{ 0, 0x10000, 0, 16 },
		{ 0xFFFF, 1, 15, 1 },
		{ 0x1234, 0xB000, 1, 12 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_NOACCESS);
		void *page;

		tap_row("offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		CHECK_HR(vm_alloc(&host, at(base, rows[i].offset), rows[i].size,
				  MEM_COMMIT, PAGE_READWRITE, &page),
			 S_OK);
		CHECK_POINTER(page, at(base, rows[i].first * PAGE));
		CHECK_SIZE(host_usage(&host).cbCommitted, rows[i].count * PAGE);
		CHECK_RUN(&host, page, rows[i].count * PAGE, MEM_COMMIT, PAGE_READWRITE);
		if (rows[i].first > 0)
			CHECK_RUN(&host, base, rows[i].first * PAGE, MEM_RESERVE, 0);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

/* The hole: free, 2 units reserved, 1 unit reserved next to it, free. */
static void commit_outside_one_reservation_changes_no_page(void)
{
	static const struct {
		const char *what;
		size_t offset, size;
	} rows[] = {
		{ "free memory", 0, 0x1000 },
		{ "starts before", 0xF000, 0x2000 },
		{ "starts one byte before", 0xFFFF, 2 },
		{ "across both", 0x2F000, 0x2000 },
		{ "all of both", 0x10000, 0x30000 },
		{ "one byte past the end", 0x30000, 0x10001 },
		{ "behind the end", 0x40000, 1 },
		{ "far past the end", 0x30000, 0x1000000 },
	};
	void *hole = host_hole(&host, 8 * UNIT);
	struct snapshot before;
	void *first, *second;

	CHECK_HR(vm_alloc(&host, at(hole, UNIT), 2 * UNIT, MEM_RESERVE, PAGE_READWRITE,
			  &first),
		 S_OK);
	CHECK_HR(vm_alloc(&host, at(hole, 3 * UNIT), UNIT, MEM_RESERVE, PAGE_READWRITE,
			  &second),
		 S_OK);
	CHECK_HR(vm_commit(&host, at(first, PAGE), PAGE, PAGE_READONLY), S_OK);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(vm_commit(&host, at(hole, rows[i].offset), rows[i].size,
				   PAGE_READWRITE),
			 HR_INVALID_ADDRESS);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, first), S_OK);
	CHECK_HR(vm_release(&host, second), S_OK);
}

static void fresh_pages_are_zero(void)
{
	static const unsigned char zeros[4 * 0x1000];
	unsigned char *base = (unsigned char *)vm_new(&host, 4 * PAGE, MEM_COMMIT,
						      PAGE_READWRITE);

	CHECK(memcmp(base, zeros, sizeof(zeros)) == 0);
	memset(base, 0xFF, sizeof(zeros));
	CHECK_HR(vm_free(&host, base + PAGE, 2 * PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_commit(&host, base, 4 * PAGE, PAGE_READWRITE), S_OK);
	CHECK_INT(base[PAGE - 1], 0xFF);
	CHECK(memcmp(base + PAGE, zeros, 2 * PAGE) == 0);
	CHECK_INT(base[3 * PAGE], 0xFF);
	CHECK_HR(vm_release(&host, base), S_OK);
	for (int i = 0; i < 16; i++) {
		base = (unsigned char *)vm_new(&host, 4 * PAGE, MEM_COMMIT,
					       PAGE_READWRITE);
		CHECK(memcmp(base, zeros, sizeof(zeros)) == 0);
		memset(base, 0xEE, sizeof(zeros));
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void committing_again_keeps_contents_and_sets_the_protection_of_all_pages(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, 8 * PAGE, MEM_RESERVE,
						      PAGE_NOACCESS);
	DWORD old;

	CHECK_HR(vm_commit(&host, base + PAGE, 4 * PAGE, PAGE_READWRITE), S_OK);
	memset(base + PAGE, 0x42, 4 * PAGE);
	CHECK_HR(vm_protect(&host, base + 2 * PAGE, PAGE, PAGE_NOACCESS, &old), S_OK);
	CHECK_HR(vm_protect(&host, base + 3 * PAGE, PAGE, PAGE_READWRITE | PAGE_GUARD,
			    &old),
		 S_OK);
	CHECK_HR(vm_commit(&host, base, 6 * PAGE, PAGE_READONLY), S_OK);
	CHECK_RUN(&host, base, 6 * PAGE, MEM_COMMIT, PAGE_READONLY);
	CHECK_RUN(&host, base + 6 * PAGE, 2 * PAGE, MEM_RESERVE, 0);
	CHECK_SIZE(host_usage(&host).cbCommitted, 6 * PAGE);
	for (size_t page = 1; page <= 4; page++)
		CHECK_INT(base[page * PAGE + 7], 0x42);
	CHECK_INT(base[0], 0);
	CHECK_INT(base[5 * PAGE], 0);
	CHECK(!can_write(base + PAGE, 1));
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void the_protection_of_the_reservation_stays_on_record_and_limits_nothing(void)
{
	static const DWORD protections[] = { PAGE_NOACCESS,     PAGE_READONLY,
					     PAGE_READWRITE,    PAGE_EXECUTE,
					     PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE };

	for (size_t i = 0; i < ROWS(protections); i++) {
		MEMORY_BASIC_INFORMATION info;
		void *base = vm_new(&host, UNIT, MEM_RESERVE, protections[i]);
		DWORD old;

		tap_row("0x%x", protections[i]);
		for (size_t j = 0; j < ROWS(protections); j++) {
			CHECK_HR(vm_commit(&host, at(base, PAGE), PAGE, protections[j]),
				 S_OK);
			CHECK_HR(vm_query(&host, at(base, PAGE), &info), S_OK);
			CHECK_U32(info.AllocationProtect, protections[i]);
			CHECK_POINTER(info.AllocationBase, base);
			CHECK_U32(info.Protect, protections[j]);
		}
		CHECK_HR(vm_protect(&host, at(base, PAGE), PAGE, PAGE_EXECUTE_READWRITE,
				    &old),
			 S_OK);
		CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
		CHECK_HR(vm_query(&host, base, &info), S_OK);
		CHECK_U32(info.AllocationProtect, protections[i]);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void reserved_pages_cannot_be_touched(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, UNIT, MEM_RESERVE,
						      PAGE_READWRITE);

	CHECK(!can_read(base));
	CHECK(!can_write(base, 1));
	CHECK_HR(vm_commit(&host, base + PAGE, PAGE, PAGE_READWRITE), S_OK);
	CHECK(!can_read(base + PAGE - 1));
	CHECK(can_write(base + PAGE, 1));
	CHECK(can_write(base + 2 * PAGE - 1, 1));
	CHECK(!can_read(base + 2 * PAGE));
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void a_huge_reservation_costs_address_space_only(void)
{
	const size_t size = (size_t)1 << 36;
	void *base = vm_new(&host, size, MEM_RESERVE, PAGE_READWRITE);

	CHECK_RUN(&host, base, size, MEM_RESERVE, 0);
	CHECK_HR(vm_commit(&host, at(base, size - 1), 1, PAGE_READWRITE), S_OK);
	CHECK(can_write(at(base, size - 1), 1));
	CHECK_RUN(&host, base, size - PAGE, MEM_RESERVE, 0);
	CHECK_SIZE(host_usage(&host).cbCommitted, PAGE);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* Unless somebody is there already, or the system keeps the low one to itself. */
static void the_lowest_and_the_highest_unit_can_be_reserved(void)
{
	static const uintptr_t units[] = { UNIT, USER_END - UNIT };

	for (size_t i = 0; i < ROWS(units); i++) {
		void *wanted = (void *)units[i];
		HRESULT hr;
		void *base;

		tap_row("0x%zx", (size_t)units[i]);
		hr = vm_alloc(&host, wanted, UNIT, MEM_RESERVE, PAGE_READWRITE, &base);
		if (hr != S_OK) {
			tap_skip("0x%zx is not to be had", (size_t)units[i]);
			continue;
		}
		CHECK_POINTER(base, wanted);
		CHECK_RUN(&host, base, UNIT, MEM_RESERVE, 0);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void sizes_that_no_machine_has_are_refused_as_out_of_memory(void)
{
	static const struct {
		size_t size;
		DWORD type;
	} rows[] = {
		{ 2147483647000000, MEM_COMMIT }, /* beyond user space: E_INVALIDARG */
		{ 0x7FFFFFFF0000, MEM_RESERVE },
		{ 0x7FFFFFFF0000, MEM_RESERVE | MEM_COMMIT },
		{ 0x7FFFFFFE0000, MEM_COMMIT },
	};
	struct snapshot before;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		bool beyond = rows[i].size > USER_END;
		void *base;

		tap_row("size 0x%zx, type 0x%x", rows[i].size, rows[i].type);
		CHECK_HR(vm_alloc(&host, NULL, rows[i].size, rows[i].type, PAGE_READWRITE,
				  &base),
			 beyond ? E_INVALIDARG : E_OUTOFMEMORY);
		CHECK_UNCHANGED(&before);
	}
}

/* As high as there is room; where a plain reservation goes is the system's affair. */
static void top_down_places_high_and_an_address_overrides_it(void)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_COMMIT,
				       MEM_RESERVE | MEM_COMMIT };
	void *hole = host_hole(&host, 2 * UNIT);
	void *base;

	for (size_t i = 0; i < ROWS(types); i++) {
		tap_row("type 0x%x", types[i]);
		base = vm_new(&host, UNIT, types[i] | MEM_TOP_DOWN, PAGE_READWRITE);
		CHECK((uintptr_t)base > USER_END / 2);
		CHECK((uintptr_t)base + UNIT <= USER_END);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
	tap_row("at an address");
	CHECK_HR(vm_alloc(&host, hole, UNIT, MEM_RESERVE | MEM_TOP_DOWN, PAGE_READWRITE,
			  &base),
		 S_OK);
	CHECK_POINTER(base, hole);
	CHECK_HR(vm_alloc(&host, hole, UNIT, MEM_COMMIT | MEM_TOP_DOWN, PAGE_READWRITE,
			  &base),
		 S_OK);
	CHECK_POINTER(base, hole);
	CHECK_RUN(&host, hole, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, hole), S_OK);
}

static void every_level_is_granted_without_a_budget(void)
{
	for (int level = eTaskCritical; level <= eProcessCritical; level++) {
		void *base;

		tap_row("level %d", level);
		CHECK_HR(vm_alloc_at_level(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE,
					   (EMemoryCriticalLevel)level, &base),
			 S_OK);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

int main(void)
{
	access_install();
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(sizes_round_up_to_pages_and_bases_are_multiples_of_64k);
	TAP_RUN(reserving_at_an_address_rounds_down_to_64k_and_up_to_a_page);
	TAP_RUN(reserving_where_something_is_reserved_fails);
	TAP_RUN(the_rest_of_a_64k_unit_is_free_to_query_but_cannot_be_reserved);
	TAP_RUN(two_reservations_never_share_a_64k_unit);
	TAP_RUN(commit_takes_every_page_that_the_range_touches);
	TAP_RUN(commit_outside_one_reservation_changes_no_page);
	TAP_RUN(fresh_pages_are_zero);
	TAP_RUN(committing_again_keeps_contents_and_sets_the_protection_of_all_pages);
	TAP_RUN(the_protection_of_the_reservation_stays_on_record_and_limits_nothing);
	TAP_RUN(reserved_pages_cannot_be_touched);
	TAP_RUN(a_huge_reservation_costs_address_space_only);
	TAP_RUN(the_lowest_and_the_highest_unit_can_be_reserved);
	TAP_RUN(sizes_that_no_machine_has_are_refused_as_out_of_memory);
	TAP_RUN(top_down_places_high_and_an_address_overrides_it);
	TAP_RUN(every_level_is_granted_without_a_budget);
	host_destroy(&host);
	return tap_done();
}
