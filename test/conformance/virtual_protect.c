/*
 * VirtualProtect on the host's own memory.  Memory of others: foreign.c.
 */
#include "access.h"
#include "host.h"

static struct host host;

static void every_page_that_the_range_touches_is_changed(void)
{
	static const struct {
		size_t offset, size, first, count; /* in a region of 8 pages */
	} rows[] = {
		{ 0, 1, 0, 1 },           { 0xFFF, 2, 0, 2 },
		{ 0x1000, 0x1000, 1, 1 }, { 0x1001, 0x1000, 1, 2 },
		{ 0x2345, 0x10, 2, 1 },   { 0, 0x8000, 0, 8 },
		{ 0x7FFF, 1, 7, 1 },      { 0x10, 0x7FF0, 0, 8 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *base = vm_new(&host, 8 * PAGE, MEM_COMMIT, PAGE_READWRITE);
		DWORD old;

		tap_row("offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		CHECK_HR(vm_protect(&host, at(base, rows[i].offset), rows[i].size,
				    PAGE_READONLY, &old),
			 S_OK);
		CHECK_U32(old, PAGE_READWRITE);
		for (size_t page = 0; page < 8; page++) {
			bool changed = page >= rows[i].first &&
				       page < rows[i].first + rows[i].count;

			CHECK_U32(vm_protection(&host, at(base, page * PAGE)),
				  changed ? PAGE_READONLY : PAGE_READWRITE);
			CHECK_INT(can_write(at(base, page * PAGE), 1), !changed);
		}
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void contents_and_charge_stay(void)
{
	static const DWORD steps[] = { PAGE_NOACCESS,     PAGE_READWRITE | PAGE_GUARD,
				       PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE,
				       PAGE_READONLY,     PAGE_READWRITE };
	unsigned char *base = (unsigned char *)vm_new(&host, UNIT, MEM_COMMIT,
						      PAGE_READWRITE);
	DWORD before = PAGE_READWRITE;
	DWORD old;

	memset(base, 0x5C, UNIT);
	for (size_t i = 0; i < ROWS(steps); i++) {
		tap_row("0x%x", steps[i]);
		CHECK_HR(vm_protect(&host, base, UNIT, steps[i], &old), S_OK);
		CHECK_U32(old, before);
		CHECK_SIZE(host_usage(&host).cbCommitted, UNIT);
		before = steps[i];
	}
	for (size_t offset = 0; offset < UNIT; offset += 511)
		CHECK_INT(base[offset], 0x5C);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* A region of 8 pages, committed READWRITE, READONLY, READWRITE|GUARD, -, and again. */
static void the_old_protection_is_that_of_the_first_page(void)
{
	static const DWORD protections[] = { PAGE_READWRITE, PAGE_READONLY,
					     PAGE_READWRITE | PAGE_GUARD,
					     PAGE_EXECUTE_READ };
	void *base = vm_new(&host, 8 * PAGE, MEM_COMMIT, PAGE_READWRITE);

	for (size_t first = 0; first < ROWS(protections); first++) {
		DWORD old;

		for (size_t page = 0; page < 8; page++)
			CHECK_HR(vm_protect(&host, at(base, page * PAGE), PAGE,
					    protections[page % 4], &old),
				 S_OK);
		tap_row("from page %zu", first);
		CHECK_HR(vm_protect(&host, at(base, first * PAGE + 17), 3 * PAGE,
				    PAGE_READWRITE, &old),
			 S_OK);
		CHECK_U32(old, protections[first]);
		CHECK_RUN(&host, at(base, first * PAGE), first == 0 ? 5 * PAGE : 4 * PAGE,
			  MEM_COMMIT, PAGE_READWRITE);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void a_range_over_several_commits_is_one_run_afterwards(void)
{
	void *base = vm_new(&host, 8 * PAGE, MEM_RESERVE, PAGE_NOACCESS);
	DWORD old;

	CHECK_HR(vm_commit(&host, base, 2 * PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_commit(&host, at(base, 2 * PAGE), 3 * PAGE, PAGE_READONLY), S_OK);
	CHECK_HR(vm_commit(&host, at(base, 5 * PAGE), 3 * PAGE, PAGE_EXECUTE_READ), S_OK);
	CHECK_HR(vm_protect(&host, base, 8 * PAGE, PAGE_READWRITE, &old), S_OK);
	CHECK_U32(old, PAGE_READWRITE);
	CHECK_RUN(&host, base, 8 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/*
 * The hole: free unit; 16 pages, committed but for pages 4 and 15; 16 committed pages of
 * another reservation; free.
 */
static void a_bad_range_changes_no_page(void)
{
	static const struct {
		const char *what;
		size_t offset, size;
		HRESULT want;
	} rows[] = {
		{ "free", 0, 0x1000, HR_INVALID_ADDRESS },
		{ "free, then ours", 0xF000, 0x2000, HR_INVALID_ADDRESS },
		{ "reserved only", 0x14000, 1, HR_INVALID_ADDRESS },
		{ "ends in a reserved page", 0x13FFF, 2, HR_INVALID_ADDRESS },
		{ "starts in a reserved page", 0x14FFF, 2, HR_INVALID_ADDRESS },
		{ "reserved page in the middle", 0x10000, 0x8000, HR_INVALID_ADDRESS },
		{ "ends in the last, reserved page", 0x15000, 0xB000,
		  HR_INVALID_ADDRESS },
		{ "across two reservations", 0x1F000, 0x2000, HR_INVALID_ADDRESS },
		{ "one byte past the end", 0x20000, 0x10001, HR_INVALID_ADDRESS },
		{ "far past the end", 0x20000, 0x1000000, HR_INVALID_ADDRESS },
		{ "size 0", 0x10000, 0, E_INVALIDARG },
		{ "size 0, unaligned", 0x10001, 0, E_INVALIDARG },
		{ "size 0, free", 0, 0, E_INVALIDARG },
	};
	void *hole = host_hole(&host, 4 * UNIT);
	struct snapshot before;
	void *first, *second;

	CHECK_HR(vm_alloc(&host, at(hole, UNIT), UNIT, MEM_RESERVE, PAGE_NOACCESS,
			  &first),
		 S_OK);
	CHECK_HR(vm_commit(&host, first, 15 * PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_free(&host, at(first, 4 * PAGE), PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_alloc(&host, at(hole, 2 * UNIT), UNIT, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &second),
		 S_OK);
	memset(first, 0x71, 4 * PAGE);
	memset(second, 0x72, UNIT);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		DWORD old;

		tap_row("%s", rows[i].what);
		CHECK_HR(vm_protect(&host, at(hole, rows[i].offset), rows[i].size,
				    PAGE_READONLY, &old),
			 rows[i].want);
		CHECK_UNCHANGED(&before);
	}
	CHECK(can_write(first, 0x71));
	CHECK(can_write(at(second, UNIT - 1), 0x72));
	CHECK_HR(vm_release(&host, first), S_OK);
	CHECK_HR(vm_release(&host, second), S_OK);
}

static void a_bad_protection_outweighs_a_bad_address(void)
{
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	struct snapshot before;
	DWORD old;

	snapshot_take(&before, &host);
	CHECK_HR(vm_protect(&host, base, PAGE, PAGE_WRITECOPY, &old), E_INVALIDARG);
	CHECK_HR(vm_protect(&host, base, PAGE, 0, &old), E_INVALIDARG);
	CHECK_HR(vm_protect(&host, NULL, PAGE, PAGE_READONLY | PAGE_READWRITE, &old),
		 E_INVALIDARG);
	CHECK_HR(vm_protect(&host, NULL, PAGE, PAGE_READONLY, &old), HR_INVALID_ADDRESS);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* A page in the middle of a big region: the system has to split what it knows. */
static void protections_may_differ_from_page_to_page(void)
{
	static const DWORD protections[] = { PAGE_READWRITE, PAGE_READONLY,
					     PAGE_NOACCESS };
	const size_t pages = 256;
	unsigned char *base = (unsigned char *)vm_new(&host, pages * PAGE, MEM_COMMIT,
						      PAGE_READWRITE);
	DWORD old;

	for (size_t page = 0; page < pages; page++)
		CHECK_HR(vm_protect(&host, base + page * PAGE, PAGE,
				    protections[page % 3], &old),
			 S_OK);
	for (size_t page = 0; page < pages; page++) {
		tap_row("page %zu", page);
		CHECK_RUN(&host, base + page * PAGE, PAGE, MEM_COMMIT,
			  protections[page % 3]);
		CHECK_INT(can_read(base + page * PAGE), page % 3 != 2);
		CHECK_INT(can_write(base + page * PAGE, 1), page % 3 == 0);
	}
	CHECK_HR(vm_protect(&host, base, pages * PAGE, PAGE_READWRITE, &old), S_OK);
	CHECK_RUN(&host, base, pages * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
}

int main(void)
{
	access_install();
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(every_page_that_the_range_touches_is_changed);
	TAP_RUN(contents_and_charge_stay);
	TAP_RUN(the_old_protection_is_that_of_the_first_page);
	TAP_RUN(a_range_over_several_commits_is_one_run_afterwards);
	TAP_RUN(a_bad_range_changes_no_page);
	TAP_RUN(a_bad_protection_outweighs_a_bad_address);
	TAP_RUN(protections_may_differ_from_page_to_page);
	host_destroy(&host);
	return tap_done();
}
