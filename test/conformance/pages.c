/*
 * IHostMemoryPages: aligned reservations, and parts of reservations given back.
 */
#include "access.h"
#include "host.h"

static struct host host;

static HRESULT reserve_aligned(size_t size, size_t alignment, DWORD type, DWORD protect,
			       void **out)
{
	HRESULT hr;

	*out = POISON;
	hr = IHostMemoryPages_ReserveAligned(host.pages, size, alignment, type, protect,
					     eTaskCritical, out);
	CHECK(*out != POISON);
	CHECK((*out == NULL) == FAILED(hr));
	return hr;
}

static HRESULT release_range(const void *address, size_t size)
{
	return IHostMemoryPages_ReleaseRange(host.pages, at(address, 0), size);
}

static void bases_are_multiples_of_the_alignment(void)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_RESERVE | MEM_COMMIT,
				       MEM_RESERVE | MEM_TOP_DOWN,
				       MEM_RESERVE | MEM_COMMIT | MEM_TOP_DOWN };
	static const size_t alignments[] = { 0,        0x1000,    0x2000,
					     0x8000,   0x10000,   0x20000,
					     0x200000, 0x4000000, 0x100000000 };

	for (size_t i = 0; i < ROWS(types) * ROWS(alignments); i++) {
		size_t alignment = alignments[i / ROWS(types)];
		DWORD type = types[i % ROWS(types)];
		size_t aligned = alignment < UNIT ? UNIT : alignment;
		MEMORY_BASIC_INFORMATION info;
		void *base;

		tap_row("alignment 0x%zx, type 0x%x", alignment, type);
		CHECK_HR(reserve_aligned(3 * PAGE + 1, alignment, type, PAGE_READWRITE,
					 &base),
			 S_OK);
		CHECK_SIZE((uintptr_t)base % aligned, 0);
		CHECK_HR(vm_query(&host, base, &info), S_OK);
		CHECK_POINTER(info.AllocationBase, base);
		CHECK_U32(info.AllocationProtect, PAGE_READWRITE);
		CHECK_SIZE(info.RegionSize, 4 * PAGE);
		CHECK_U32(info.State, type & MEM_COMMIT ? MEM_COMMIT : MEM_RESERVE);
		CHECK_SIZE(host_usage(&host).cbReserved, 4 * PAGE);
		CHECK_SIZE(host_usage(&host).cbCommitted,
			   type & MEM_COMMIT ? 4 * PAGE : 0);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static const struct {
	const char *what;
	size_t size, alignment;
	DWORD type, protect;
	int level;
	HRESULT want;
} bad_arguments[] = {
	{ "size 0", 0, 0, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 1", PAGE, 1, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 2048", PAGE, 2048, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 4097", PAGE, 4097, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 3 units", PAGE, 3 * 0x10000, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "alignment SIZE_MAX", PAGE, SIZE_MAX, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "alignment 2^63", PAGE, (size_t)1 << 63, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_OUTOFMEMORY },
	{ "alignment 2^47", PAGE, (size_t)1 << 47, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_OUTOFMEMORY },
	{ "all of user space", 0x7FFFFFFF0000, 0, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_OUTOFMEMORY },
	{ "type 0", PAGE, 0, 0, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "COMMIT alone", PAGE, 0, MEM_COMMIT, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "TOP_DOWN alone", PAGE, 0, MEM_TOP_DOWN, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "RESET", PAGE, 0, MEM_RESET, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "LARGE_PAGES", PAGE, 0, MEM_RESERVE | MEM_COMMIT | MEM_LARGE_PAGES,
	  PAGE_READWRITE, 0, E_INVALIDARG },
	{ "WRITE_WATCH", PAGE, 0, MEM_RESERVE | MEM_WRITE_WATCH, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "PHYSICAL", PAGE, 0, MEM_RESERVE | MEM_PHYSICAL, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "unknown bit", PAGE, 0, MEM_RESERVE | 1, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "protection 0", PAGE, 0, MEM_RESERVE, 0, 0, E_INVALIDARG },
	{ "two protections", PAGE, 0, MEM_RESERVE, 6, 0, E_INVALIDARG },
	{ "level 3", PAGE, 0, MEM_RESERVE, PAGE_READWRITE, 3, E_INVALIDARG },
	{ "level -1", PAGE, 0, MEM_RESERVE, PAGE_READWRITE, -1, E_INVALIDARG },
};

static void bad_arguments_reserve_nothing(void)
{
	struct snapshot before;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(bad_arguments); i++) {
		void *base = POISON;

		tap_row("%s", bad_arguments[i].what);
		CHECK_HR(IHostMemoryPages_ReserveAligned(
				 host.pages, bad_arguments[i].size,
				 bad_arguments[i].alignment, bad_arguments[i].type,
				 bad_arguments[i].protect,
				 (EMemoryCriticalLevel)bad_arguments[i].level, &base),
			 bad_arguments[i].want);
		CHECK_POINTER(base, NULL);
		CHECK_UNCHANGED(&before);
	}
	tap_row("no out pointer");
	CHECK_HR(IHostMemoryPages_ReserveAligned(host.pages, PAGE, 0, MEM_RESERVE,
						 PAGE_READWRITE, eTaskCritical, NULL),
		 E_POINTER);
	CHECK_UNCHANGED(&before);
}

/* 16 committed pages, each full of its number. */
static unsigned char *numbered(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, UNIT, MEM_COMMIT,
						      PAGE_READWRITE);

	for (size_t page = 0; page < 16; page++)
		memset(base + page * PAGE, (int)page, PAGE);
	return base;
}

static void check_part(unsigned char *base, size_t first, size_t count)
{
	MEMORY_BASIC_INFORMATION info;

	CHECK_HR(vm_query(&host, base + first * PAGE, &info), S_OK);
	CHECK_POINTER(info.AllocationBase, base + first * PAGE);
	CHECK_U32(info.AllocationProtect, PAGE_READWRITE);
	CHECK_SIZE(info.RegionSize, count * PAGE);
	CHECK_U32(info.State, MEM_COMMIT);
	CHECK_U32(info.Protect, PAGE_READWRITE);
	for (size_t page = first; page < first + count; page++)
		CHECK_INT(base[page * PAGE + 1], (int)page);
	CHECK_HR(vm_release(&host, base + first * PAGE), S_OK);
}

static void what_remains_on_both_sides_are_reservations_of_their_own(void)
{
	static const struct {
		size_t offset, size, first, count; /* pages given back */
	} rows[] = {
		{ 0x4000, 0x2000, 4, 2 },  { 0x4000, 0x1001, 4, 2 },
		{ 0x4000, 1, 4, 1 },       { 0, 0x1000, 0, 1 },
		{ 0, 0xF000, 0, 15 },      { 0xF000, 1, 15, 1 },
		{ 0x1000, 0xF000, 1, 15 }, { 0x1000, 0xE000, 1, 14 },
		{ 0, 0x10000, 0, 16 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t behind = rows[i].first + rows[i].count;
		unsigned char *base = numbered();
		bool left = rows[i].first > 0, right = behind < 16;

		tap_row("offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		CHECK_HR(release_range(base + rows[i].offset, rows[i].size), S_OK);
		CHECK_SIZE(host_usage(&host).cRegions,
			   (left ? 1U : 0U) + (right ? 1U : 0U));
		CHECK_SIZE(host_usage(&host).cbReserved, UNIT - rows[i].count * PAGE);
		CHECK_SIZE(host_usage(&host).cbCommitted, UNIT - rows[i].count * PAGE);
		CHECK_SIZE(host_usage(&host).cbCharged, UNIT - rows[i].count * PAGE);
		CHECK_U32(vm_state(&host, base + rows[i].first * PAGE), MEM_FREE);
		CHECK_U32(vm_state(&host, base + (behind - 1) * PAGE), MEM_FREE);
		CHECK(!can_read(base + rows[i].first * PAGE));
		CHECK(!can_read(base + behind * PAGE - 1));
		if (left)
			check_part(base, 0, rows[i].first);
		if (right)
			check_part(base, behind, 16 - behind);
		CHECK_SIZE(host_usage(&host).cbReserved, 0);
	}
}

static void the_parts_keep_protections_guards_and_what_the_reservation_was_asked_for(void)
{
	const DWORD asked = PAGE_READONLY | PAGE_NOCACHE;
	void *base = vm_new(&host, 16 * PAGE, MEM_RESERVE, asked);
	MEMORY_BASIC_INFORMATION info;
	DWORD old;

	CHECK_HR(vm_commit(&host, base, 4 * PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_commit(&host, at(base, 12 * PAGE), 2 * PAGE, PAGE_EXECUTE_READ),
		 S_OK);
	CHECK_HR(release_range(at(base, 8 * PAGE), PAGE), S_OK);
	CHECK_RUN(&host, base, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_NOCACHE);
	CHECK_RUN(&host, at(base, 4 * PAGE), 4 * PAGE, MEM_RESERVE, 0);
	CHECK_RUN(&host, at(base, 9 * PAGE), 3 * PAGE, MEM_RESERVE, 0);
	CHECK_RUN(&host, at(base, 12 * PAGE), 2 * PAGE, MEM_COMMIT,
		  PAGE_EXECUTE_READ | PAGE_NOCACHE);
	CHECK_HR(vm_query(&host, at(base, 15 * PAGE), &info), S_OK);
	CHECK_POINTER(info.AllocationBase, at(base, 9 * PAGE));
	CHECK_U32(info.AllocationProtect, asked);
	CHECK_HR(vm_protect(&host, at(base, 12 * PAGE), PAGE, PAGE_READONLY, &old), S_OK);
	CHECK_U32(old, PAGE_EXECUTE_READ | PAGE_NOCACHE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(vm_free(&host, at(base, 9 * PAGE + 5), 0, MEM_DECOMMIT), S_OK);
	CHECK_RUN(&host, at(base, 9 * PAGE), 7 * PAGE, MEM_RESERVE, 0);
	CHECK_HR(vm_release(&host, at(base, 9 * PAGE)), S_OK);

	base = vm_new(&host, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK_HR(release_range(at(base, PAGE), PAGE), S_OK);
	CHECK_RUN(&host, base, PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK_RUN(&host, at(base, 2 * PAGE), 2 * PAGE, MEM_COMMIT,
		  PAGE_READWRITE | PAGE_GUARD);
	CHECK_HR(HostMemHandleFault(at(base, 3 * PAGE), FALSE), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(vm_release(&host, at(base, 2 * PAGE)), S_OK);
}

static void two_parts_are_two_reservations_in_every_call(void)
{
	unsigned char *base = numbered();
	struct snapshot before;
	DWORD old;

	CHECK_HR(release_range(base + 4 * PAGE, 4 * PAGE), S_OK);
	snapshot_take(&before, &host);
	CHECK_HR(vm_commit(&host, base, UNIT, PAGE_READONLY), HR_INVALID_ADDRESS);
	CHECK_HR(vm_commit(&host, base + 5 * PAGE, PAGE, PAGE_READONLY),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_protect(&host, base, UNIT, PAGE_READONLY, &old), HR_INVALID_ADDRESS);
	CHECK_HR(vm_free(&host, base, UNIT, MEM_DECOMMIT), E_INVALIDARG);
	CHECK_HR(vm_release(&host, base + 4 * PAGE), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_release(&host, base + 9 * PAGE), HR_INVALID_ADDRESS);
	CHECK_HR(release_range(base, UNIT), E_INVALIDARG);
	CHECK_HR(release_range(base + 5 * PAGE, PAGE), HOST_E_INVALIDOPERATION);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(vm_release(&host, base + 8 * PAGE), S_OK);
}

/* A hole can be reserved again where whole 64 KiB units are free. */
static void a_hole_is_reserved_again_in_whole_units_only(void)
{
	void *base = vm_new(&host, 4 * UNIT, MEM_RESERVE, PAGE_NOACCESS);
	struct snapshot before;
	void *again;

	CHECK_HR(release_range(at(base, UNIT - PAGE), UNIT + 2 * PAGE), S_OK);
	snapshot_take(&before, &host);
	CHECK_HR(vm_alloc(&host, at(base, UNIT - PAGE), PAGE, MEM_RESERVE, PAGE_NOACCESS,
			  &again),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_alloc(&host, at(base, 2 * UNIT), PAGE, MEM_RESERVE, PAGE_NOACCESS,
			  &again),
		 HR_INVALID_ADDRESS);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_alloc(&host, at(base, UNIT), UNIT, MEM_RESERVE, PAGE_NOACCESS,
			  &again),
		 S_OK);
	CHECK_POINTER(again, at(base, UNIT));
	CHECK_HR(vm_release(&host, again), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(vm_release(&host, at(base, 2 * UNIT + PAGE)), S_OK);
}

static void bad_ranges_release_nothing(void)
{
	static const struct {
		const char *what;
		bool relative;
		size_t address, size;
		HRESULT want;
	} rows[] = {
		{ "unaligned", true, 0x1001, 0x1000, E_INVALIDARG },
		{ "size 0", true, 0x1000, 0, E_INVALIDARG },
		{ "one byte past the end", true, 0xF000, 0x1001, E_INVALIDARG },
		{ "far past the end", true, 0, 0x100000000, E_INVALIDARG },
		{ "wraps", true, 0x1000, SIZE_MAX, E_INVALIDARG },
		{ "wraps when rounded", true, 0, SIZE_MAX - 0x100, E_INVALIDARG },
		{ "beyond user space", false, 0x7FFFFFFF0000, 0x1000, E_INVALIDARG },
		{ "kernel half", false, 0xFFFF800000000000, 0x1000, E_INVALIDARG },
		{ "NULL", false, 0, 0x1000, HOST_E_INVALIDOPERATION },
		{ "behind the end", true, 0x10000, 0x1000, HOST_E_INVALIDOPERATION },
	};
	unsigned char *base = numbered();
	struct snapshot before;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		void *address = rows[i].relative ? at(base, rows[i].address)
						 : at(NULL, rows[i].address);

		tap_row("%s", rows[i].what);
		CHECK_HR(release_range(address, rows[i].size), rows[i].want);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void every_other_page_given_back(void)
{
	const size_t pages = 128;
	unsigned char *base = (unsigned char *)vm_new(&host, pages * PAGE, MEM_COMMIT,
						      PAGE_READWRITE);

	for (size_t page = 0; page < pages; page++)
		base[page * PAGE] = (unsigned char)page;
	for (size_t page = 1; page < pages; page += 2)
		CHECK_HR(release_range(base + page * PAGE, PAGE), S_OK);
	CHECK_SIZE(host_usage(&host).cRegions, pages / 2);
	CHECK_SIZE(host_usage(&host).cbCharged, pages / 2 * PAGE);
	for (size_t page = 0; page < pages; page += 2) {
		tap_row("page %zu", page);
		CHECK_INT(base[page * PAGE], (int)page);
		CHECK_RUN(&host, base + page * PAGE, PAGE, MEM_COMMIT, PAGE_READWRITE);
		CHECK_HR(release_range(base + page * PAGE, PAGE), S_OK);
	}
	CHECK_SIZE(host_usage(&host).cRegions, 0);
	CHECK_SIZE(host_usage(&host).cbReserved, 0);
}

int main(void)
{
	access_install();
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(bases_are_multiples_of_the_alignment);
	TAP_RUN(bad_arguments_reserve_nothing);
	TAP_RUN(what_remains_on_both_sides_are_reservations_of_their_own);
	TAP_RUN(the_parts_keep_protections_guards_and_what_the_reservation_was_asked_for);
	TAP_RUN(two_parts_are_two_reservations_in_every_call);
	TAP_RUN(a_hole_is_reserved_again_in_whole_units_only);
	TAP_RUN(bad_ranges_release_nothing);
	TAP_RUN(every_other_page_given_back);
	host_destroy(&host);
	return tap_done();
}
