/*
 * MEM_RESET and MEM_RESET_UNDO; and the types that few machines or hosts have: large
 * pages, physical pages, write watch.
 */
#include "access.h"
#include "host.h"

#include <sys/mman.h>

/* MADV_PAGEOUT, which older headers lack. */
#define RECLAIM 21

static struct host host;

static HRESULT reset(void *address, size_t size, DWORD type, void **out)
{
	return vm_alloc(&host, address, size, type, PAGE_READWRITE, out);
}

static void reset_and_undo_go_alone(void)
{
	static const DWORD others[] = {
		MEM_COMMIT,   MEM_RESERVE,     MEM_DECOMMIT,
		MEM_RELEASE,  MEM_TOP_DOWN,    MEM_WRITE_WATCH,
		MEM_PHYSICAL, MEM_LARGE_PAGES, MEM_COMMIT | MEM_RESERVE
	};
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	struct snapshot before;
	void *out;

	memset(base, 0x33, UNIT);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(others); i++) {
		tap_row("with 0x%x", others[i]);
		CHECK_HR(reset(base, UNIT, MEM_RESET | others[i], &out), E_INVALIDARG);
		CHECK_HR(reset(base, UNIT, MEM_RESET_UNDO | others[i], &out),
			 E_INVALIDARG);
		CHECK_HR(reset(NULL, UNIT, MEM_RESET | others[i], &out), E_INVALIDARG);
		CHECK_UNCHANGED(&before);
	}
	tap_row("both");
	CHECK_HR(reset(base, UNIT, MEM_RESET | MEM_RESET_UNDO, &out), E_INVALIDARG);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void reset_ignores_a_valid_protection_and_refuses_another(void)
{
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	struct snapshot before;
	void *out;

	memset(base, 0x33, UNIT);
	snapshot_take(&before, &host);
	CHECK_HR(vm_alloc(&host, base, UNIT, MEM_RESET, 0, &out), E_INVALIDARG);
	CHECK_HR(vm_alloc(&host, base, UNIT, MEM_RESET, PAGE_WRITECOPY, &out),
		 E_INVALIDARG);
	CHECK_HR(vm_alloc(&host, base, UNIT, MEM_RESET_UNDO, 0, &out), E_INVALIDARG);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_alloc(&host, base, UNIT, MEM_RESET, PAGE_NOACCESS, &out), S_OK);
	CHECK_POINTER(out, base);
	CHECK_RUN(&host, base, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* Of 8 pages. */
static void reset_drops_only_pages_that_lie_wholly_inside(void)
{
	static const struct {
		size_t offset, size, page, first,
			count; /* returned page; pages dropped */
	} rows[] = {
		{ 0, 0x8000, 0, 0, 8 },      { 0x1000, 0x1000, 1, 1, 1 },
		{ 0x1001, 0x1FFF, 1, 2, 1 }, { 0x1FFF, 0x1001, 1, 2, 1 },
		{ 0x1000, 0x1FFF, 1, 1, 1 }, { 0x1800, 0x100, 1, 0, 0 },
		{ 0x7FFF, 1, 7, 0, 0 },      { 0x0800, 0x6000, 0, 1, 5 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = (unsigned char *)vm_new(&host, 8 * PAGE, MEM_COMMIT,
							      PAGE_READWRITE);
		size_t wrong = 0;
		void *out;

		tap_row("offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		memset(base, 0x99, 8 * PAGE);
		CHECK_HR(reset(base + rows[i].offset, rows[i].size, MEM_RESET, &out),
			 S_OK);
		CHECK_POINTER(out, base + rows[i].page * PAGE);
		CHECK_RUN(&host, base, 8 * PAGE, MEM_COMMIT, PAGE_READWRITE);
		CHECK_SIZE(host_usage(&host).cbCommitted, 8 * PAGE);
		/* A system under pressure takes now what it was told it may take. */
		(void)madvise(base, 8 * PAGE, RECLAIM);
		for (size_t offset = 0; offset < 8 * PAGE; offset++) {
			size_t page = offset / PAGE;
			bool dropped = page >= rows[i].first &&
				       page < rows[i].first + rows[i].count;

			if (base[offset] != 0x99 && !(dropped && base[offset] == 0))
				wrong++;
		}
		CHECK_SIZE(wrong, 0);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void reset_keeps_states_and_protections(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, 8 * PAGE, MEM_RESERVE,
						      PAGE_NOACCESS);
	void *out;
	DWORD old;

	CHECK_HR(reset(base, 8 * PAGE, MEM_RESET, &out), S_OK);
	CHECK_RUN(&host, base, 8 * PAGE, MEM_RESERVE, 0);
	CHECK_HR(vm_commit(&host, base, 5 * PAGE, PAGE_READWRITE), S_OK);
	memset(base, 0x11, 5 * PAGE);
	CHECK_HR(vm_protect(&host, base + PAGE, PAGE, PAGE_NOACCESS, &old), S_OK);
	CHECK_HR(vm_protect(&host, base + 2 * PAGE, PAGE, PAGE_READONLY, &old), S_OK);
	CHECK_HR(vm_protect(&host, base + 3 * PAGE, PAGE, PAGE_READWRITE | PAGE_GUARD,
			    &old),
		 S_OK);
	CHECK_HR(reset(base, 8 * PAGE, MEM_RESET, &out), S_OK);
	CHECK_RUN(&host, base, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_RUN(&host, base + PAGE, PAGE, MEM_COMMIT, PAGE_NOACCESS);
	CHECK_RUN(&host, base + 2 * PAGE, PAGE, MEM_COMMIT, PAGE_READONLY);
	CHECK_RUN(&host, base + 3 * PAGE, PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK_RUN(&host, base + 5 * PAGE, 3 * PAGE, MEM_RESERVE, 0);
	CHECK(!can_read(base + PAGE));
	CHECK(!can_write(base + 2 * PAGE, 1));
	CHECK(!can_read(base + 3 * PAGE));
	CHECK(can_write(base, 1));
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* The hole: free, 1 unit, 1 unit of another reservation, free. */
static void reset_and_undo_outside_one_reservation_fail(void)
{
	static const struct {
		const char *what;
		bool null;
		size_t offset, size;
	} rows[] = {
		{ "NULL", true, 0, 0x1000 },
		{ "free memory", false, 0, 0x1000 },
		{ "starts before", false, 0xF000, 0x2000 },
		{ "across both", false, 0x1F000, 0x2000 },
		{ "one byte past the end", false, 0x20000, 0x10001 },
	};
	static const DWORD types[] = { MEM_RESET, MEM_RESET_UNDO };
	void *hole = host_hole(&host, 4 * UNIT);
	struct snapshot before;
	void *first, *second, *out;

	CHECK_HR(vm_alloc(&host, at(hole, UNIT), UNIT, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &first),
		 S_OK);
	CHECK_HR(vm_alloc(&host, at(hole, 2 * UNIT), UNIT, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &second),
		 S_OK);
	memset(first, 0x21, 2 * UNIT);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		size_t row = i / 2;
		void *address = rows[row].null ? NULL : at(hole, rows[row].offset);

		tap_row("%s, type 0x%x", rows[row].what, types[i % 2]);
		CHECK_HR(reset(address, rows[row].size, types[i % 2], &out),
			 HR_INVALID_ADDRESS);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, first), S_OK);
	CHECK_HR(vm_release(&host, second), S_OK);
}

static void undo_succeeds_only_where_nothing_was_reset(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, UNIT, MEM_COMMIT,
						      PAGE_READWRITE);
	void *other = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	struct snapshot before;
	void *out;

	memset(base, 0x66, UNIT);
	snapshot_take(&before, &host);
	CHECK_HR(reset(base + PAGE + 5, PAGE, MEM_RESET_UNDO, &out), S_OK);
	CHECK_POINTER(out, base + PAGE);
	CHECK_UNCHANGED(&before);
	CHECK_HR(reset(base, UNIT, MEM_RESET, &out), S_OK);
	snapshot_take(&before, &host);
	CHECK_HR(reset(base, UNIT, MEM_RESET_UNDO, &out), HR_NOT_SUPPORTED);
	CHECK_UNCHANGED(&before);
	CHECK_HR(reset(other, UNIT, MEM_RESET_UNDO, &out), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(vm_release(&host, other), S_OK);
}

static bool machine_has_huge_pages(void)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r");
	unsigned long count = 0;

	if (file == NULL)
		return false;
	if (fscanf(file, "%lu", &count) != 1)
		count = 0;
	fclose(file);
	return count != 0;
}

static void large_pages_are_granted_or_refused_for_lack_of_privilege(void)
{
	const DWORD type = MEM_RESERVE | MEM_COMMIT | MEM_LARGE_PAGES;
	const size_t size = (size_t)2 << 20;
	HRESULT want = machine_has_huge_pages() ? S_OK : HR_NO_PRIVILEGE;
	struct snapshot before;
	void *base;
	HRESULT hr;

	tap_row("bad inputs, row 25");
	snapshot_take(&before, &host);
	hr = vm_alloc(&host, NULL, size, type, PAGE_READWRITE, &base);
	if (want == S_OK && hr == S_OK) {
		CHECK_RUN(&host, base, size, MEM_COMMIT, PAGE_READWRITE);
		CHECK(can_write(base, 1));
		CHECK_HR(vm_release(&host, base), S_OK);
		return;
	}
	/* Configured pages may all be in use. */
	CHECK_HR(hr, HR_NO_PRIVILEGE);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_alloc(&host, NULL, size, type | MEM_TOP_DOWN, PAGE_READWRITE, &base),
		 HR_NO_PRIVILEGE);
	CHECK_UNCHANGED(&before);
}

static void physical_pages_and_write_watch_are_not_supported(void)
{
	static const struct {
		DWORD type, protect;
		HRESULT want;
	} rows[] = {
		{ MEM_RESERVE | MEM_PHYSICAL, PAGE_READWRITE, HR_NOT_SUPPORTED },
		{ MEM_RESERVE | MEM_PHYSICAL | MEM_TOP_DOWN, PAGE_READWRITE,
		  HR_NOT_SUPPORTED },
		{ MEM_RESERVE | MEM_PHYSICAL, PAGE_READONLY, E_INVALIDARG },
		{ MEM_RESERVE | MEM_PHYSICAL, PAGE_NOACCESS, E_INVALIDARG },
		{ MEM_RESERVE | MEM_PHYSICAL, PAGE_EXECUTE_READWRITE, E_INVALIDARG },
		{ MEM_RESERVE | MEM_PHYSICAL, PAGE_READWRITE | PAGE_GUARD, E_INVALIDARG },
		{ MEM_RESERVE | MEM_PHYSICAL, PAGE_READWRITE | PAGE_NOCACHE,
		  E_INVALIDARG },
		{ MEM_RESERVE | MEM_COMMIT | MEM_PHYSICAL, PAGE_READWRITE, E_INVALIDARG },
		{ MEM_COMMIT | MEM_PHYSICAL, PAGE_READWRITE, E_INVALIDARG },
		{ MEM_PHYSICAL, PAGE_READWRITE, E_INVALIDARG },
		{ MEM_RESERVE | MEM_WRITE_WATCH, PAGE_READWRITE, HR_NOT_SUPPORTED },
		{ MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE,
		  HR_NOT_SUPPORTED },
		{ MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE, E_INVALIDARG },
		{ MEM_WRITE_WATCH, PAGE_READWRITE, E_INVALIDARG },
	};
	struct snapshot before;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		void *base;

		tap_row("type 0x%x, protection 0x%x", rows[i].type, rows[i].protect);
		CHECK_HR(vm_alloc(&host, NULL, UNIT, rows[i].type, rows[i].protect,
				  &base),
			 rows[i].want);
		CHECK_UNCHANGED(&before);
	}
}

int main(void)
{
	access_install();
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(reset_and_undo_go_alone);
	TAP_RUN(reset_ignores_a_valid_protection_and_refuses_another);
	TAP_RUN(reset_drops_only_pages_that_lie_wholly_inside);
	TAP_RUN(reset_keeps_states_and_protections);
	TAP_RUN(reset_and_undo_outside_one_reservation_fail);
	TAP_RUN(undo_succeeds_only_where_nothing_was_reset);
	TAP_RUN(large_pages_are_granted_or_refused_for_lack_of_privilege);
	TAP_RUN(physical_pages_and_write_watch_are_not_supported);
	host_destroy(&host);
	return tap_done();
}
