/*
 * VirtualFree: decommit and release.
 */
#include "access.h"
#include "host.h"

static struct host host;

/* 16 pages; those with a 1 in `committed` hold their number + 1. */
static unsigned char *region_with(const char *committed)
{
	unsigned char *base = (unsigned char *)vm_new(&host, UNIT, MEM_RESERVE,
						      PAGE_READONLY);

	for (size_t page = 0; committed[page] != '\0'; page++) {
		if (committed[page] != '1')
			continue;
		CHECK_HR(vm_commit(&host, base + page * PAGE, PAGE, PAGE_READWRITE),
			 S_OK);
		memset(base + page * PAGE, (int)page + 1, PAGE);
	}
	return base;
}

/* Checks the pages of region_with: '1' holds its number, '0' is reserved and faults. */
static void check_region(unsigned char *base, const char *committed)
{
	for (size_t page = 0; committed[page] != '\0'; page++) {
		bool want = committed[page] == '1';

		CHECK_U32(vm_state(&host, base + page * PAGE),
			  want ? MEM_COMMIT : MEM_RESERVE);
		CHECK_U32(vm_protection(&host, base + page * PAGE),
			  want ? PAGE_READWRITE : 0);
		CHECK_INT(can_read(base + page * PAGE), want);
		if (want)
			CHECK_INT(base[page * PAGE + 99], (int)page + 1);
	}
}

static void decommit_takes_every_page_that_the_range_touches(void)
{
	static const struct {
		const char *before;
		size_t offset, size;
		const char *after;
	} rows[] = {
		{ "1111111111111111", 0, 1, "0111111111111111" },
		{ "1111111111111111", 0xFFF, 2, "0011111111111111" },
		{ "1111111111111111", 0x1000, 0x1000, "1011111111111111" },
		{ "1111111111111111", 0x1001, 0x1000, "1001111111111111" },
		{ "1111111111111111", 0xFFFF, 1, "1111111111111110" },
		{ "1111111111111111", 0, 0x10000, "0000000000000000" },
		{ "1111111111111111", 0, 0, "0000000000000000" }, /* size 0: all of it */
		{ "1111111111111111", 0xFFF, 0, "0000000000000000" }, /* its first page */
		{ "1010101010101010", 0, 0, "0000000000000000" },
		{ "1010101010101010", 0x1000, 0x4000, "1000001010101010" },
		{ "0000000000000000", 0, 0, "0000000000000000" }, /* nothing committed */
		{ "0000000000000000", 0x3000, 0x2000, "0000000000000000" },
		{ "1100000000000011", 0x2000, 0xC000, "1100000000000011" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = region_with(rows[i].before);
		size_t left = 0;

		tap_row("%s, offset 0x%zx, size 0x%zx", rows[i].before, rows[i].offset,
			rows[i].size);
		CHECK_HR(vm_free(&host, base + rows[i].offset, rows[i].size,
				 MEM_DECOMMIT),
			 S_OK);
		check_region(base, rows[i].after);
		for (const char *page = rows[i].after; *page != '\0'; page++)
			left += *page == '1' ? PAGE : 0;
		CHECK_SIZE(host_usage(&host).cbCommitted, left);
		CHECK_SIZE(host_usage(&host).cbCharged, left);
		CHECK_SIZE(host_usage(&host).cbReserved, UNIT);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void decommit_forgets_protection_and_guard(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, 2 * PAGE, MEM_COMMIT,
						      PAGE_EXECUTE_READ | PAGE_GUARD);

	CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
	CHECK_RUN(&host, base, 2 * PAGE, MEM_RESERVE, 0);
	CHECK(!can_read(base));
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
	CHECK_RUN(&host, base, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK(can_write(base, 1));
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* The hole: 1 unit reserved, 1 unit reserved next to it, free. */
static void decommit_past_the_end_changes_nothing(void)
{
	static const struct {
		size_t offset, size;
	} rows[] = {
		{ 0, 0x10001 },       { 0xF000, 0x1001 }, { 0xFFFF, 2 },
		{ 0x1000, 0x10000 },  { 0, 0x20000 },     { 0, 0x100000000 },
		{ 0x10000, 0x10001 }, { 0x1FFFF, 2 },
	};
	void *hole = host_hole(&host, 4 * UNIT);
	struct snapshot before;
	void *first, *second;

	CHECK_HR(vm_alloc(&host, hole, UNIT, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
			  &first),
		 S_OK);
	CHECK_HR(vm_alloc(&host, at(hole, UNIT), UNIT, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &second),
		 S_OK);
	memset(first, 0x31, UNIT);
	memset(second, 0x32, UNIT);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		CHECK_HR(vm_free(&host, at(hole, rows[i].offset), rows[i].size,
				 MEM_DECOMMIT),
			 E_INVALIDARG);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, first), S_OK);
	CHECK_HR(vm_release(&host, second), S_OK);
}

static void only_the_first_page_stands_for_the_whole_reservation(void)
{
	static const struct {
		size_t offset;
		HRESULT want;
	} rows[] = {
		{ 0, S_OK },
		{ 1, S_OK },
		{ 0x800, S_OK },
		{ 0xFFF, S_OK },
		{ 0x1000, HR_INVALID_ADDRESS },
		{ 0x1001, HR_INVALID_ADDRESS },
		{ 0xF000, HR_INVALID_ADDRESS },
		{ 0x10000, HR_INVALID_ADDRESS }, /* a 64 KiB boundary inside */
		{ 0x1FFFF, HR_INVALID_ADDRESS },
	};
	static const DWORD types[] = { MEM_DECOMMIT, MEM_RELEASE };

	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		size_t row = i / 2;
		DWORD type = types[i % 2];
		void *base = vm_new(&host, 2 * UNIT, MEM_COMMIT, PAGE_READWRITE);
		struct snapshot before;

		tap_row("offset 0x%zx, type 0x%x", rows[row].offset, type);
		memset(base, 0x44, 2 * UNIT);
		snapshot_take(&before, &host);
		CHECK_HR(vm_free(&host, at(base, rows[row].offset), 0, type),
			 rows[row].want);
		if (rows[row].want != S_OK)
			CHECK_UNCHANGED(&before);
		if (rows[row].want != S_OK || type != MEM_RELEASE)
			CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_SIZE(host_usage(&host).cbReserved, 0);
	}
}

static void release_frees_the_whole_reservation_committed_or_not(void)
{
	static const char *const rows[] = { "0000000000000000", "1111111111111111",
					    "1000000000000001", "0111111111111110" };

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = region_with(rows[i]);
		void *again;

		tap_row("%s", rows[i]);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_SIZE(host_usage(&host).cbReserved, 0);
		CHECK_SIZE(host_usage(&host).cbCommitted, 0);
		CHECK_SIZE(host_usage(&host).cbCharged, 0);
		CHECK_SIZE(host_usage(&host).cRegions, 0);
		CHECK(!can_read(base));
		CHECK(!can_read(base + UNIT - 1));
		CHECK_U32(vm_state(&host, base), MEM_FREE);
		CHECK_HR(vm_alloc(&host, base, UNIT, MEM_RESERVE, PAGE_READWRITE, &again),
			 S_OK);
		CHECK_HR(vm_release(&host, again), S_OK);
	}
}

static void types_of_virtualfree(void)
{
	static const DWORD bad[] = { 0,
				     MEM_DECOMMIT | MEM_RELEASE,
				     MEM_COMMIT,
				     MEM_RESERVE,
				     MEM_FREE,
				     MEM_RESET,
				     MEM_RELEASE | 1,
				     MEM_RELEASE | 2,
				     MEM_DECOMMIT | 0x10000000,
				     MEM_DECOMMIT | MEM_TOP_DOWN,
				     0xFFFFFFFF };
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	struct snapshot before;

	memset(base, 0x55, UNIT);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(bad); i++) {
		tap_row("type 0x%x", bad[i]);
		CHECK_HR(vm_free(&host, base, 0, bad[i]), E_INVALIDARG);
		CHECK_HR(vm_free(&host, base, PAGE, bad[i]), E_INVALIDARG);
		CHECK_HR(vm_free(&host, NULL, 0, bad[i]), E_INVALIDARG);
		CHECK_UNCHANGED(&before);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		DWORD type = (DWORD)1 << bit;

		tap_row("type 0x%x", type);
		if (type == MEM_DECOMMIT || type == MEM_RELEASE)
			continue;
		CHECK_HR(vm_free(&host, base, 0, type), E_INVALIDARG);
		CHECK_HR(vm_free(&host, base, 0, MEM_RELEASE | type), E_INVALIDARG);
		CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT | type), E_INVALIDARG);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void what_is_not_reserved_is_an_invalid_operation(void)
{
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	struct snapshot before;

	snapshot_take(&before, &host);
	CHECK_HR(vm_release(&host, NULL), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_free(&host, NULL, 0, MEM_DECOMMIT), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_free(&host, NULL, PAGE, MEM_DECOMMIT), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_release(&host, at(base, UNIT)), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_free(&host, at(base, UNIT), PAGE, MEM_DECOMMIT),
		 HOST_E_INVALIDOPERATION);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(vm_release(&host, base), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), HOST_E_INVALIDOPERATION);
}

/* What mimalloc does with an address inside a reservation. */
static void an_inner_address_leads_to_the_base_through_virtualquery(void)
{
	void *base = vm_new(&host, 4 * UNIT, MEM_COMMIT, PAGE_READWRITE);
	void *inner = at(base, 2 * UNIT + 5);
	MEMORY_BASIC_INFORMATION info;

	CHECK_HR(vm_release(&host, inner), HR_INVALID_ADDRESS);
	CHECK_HR(vm_query(&host, inner, &info), S_OK);
	CHECK_POINTER(info.AllocationBase, base);
	CHECK_HR(vm_release(&host, info.AllocationBase), S_OK);
}

int main(void)
{
	access_install();
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(decommit_takes_every_page_that_the_range_touches);
	TAP_RUN(decommit_forgets_protection_and_guard);
	TAP_RUN(decommit_past_the_end_changes_nothing);
	TAP_RUN(only_the_first_page_stands_for_the_whole_reservation);
	TAP_RUN(release_frees_the_whole_reservation_committed_or_not);
	TAP_RUN(types_of_virtualfree);
	TAP_RUN(what_is_not_reserved_is_an_invalid_operation);
	TAP_RUN(an_inner_address_leads_to_the_base_through_virtualquery);
	host_destroy(&host);
	return tap_done();
}
