/*
 * Bad inputs of VirtualAlloc, rows 13 to 27, 30, 31, 33 and 34 of the list of bad inputs:
 * each is refused with the right answer, the out pointer is NULL, and nothing has
 * changed.  Row 25 with both flags it needs is in virtual_reset.c, since its answer
 * depends on the machine.
 */
#include "bad_inputs.h"

enum where { ABSOLUTE, HOLE };

struct row {
	int number;
	const char *what;
	enum where where;
	size_t address, size;
	DWORD type, protect;
	HRESULT want;
};

#define R MEM_RESERVE
#define C MEM_COMMIT
#define RC (MEM_RESERVE | MEM_COMMIT)
#define RW PAGE_READWRITE
#define INVALID E_INVALIDARG
#define ELSEWHERE HR_INVALID_ADDRESS

static const struct row sizes_and_addresses[] = {
	{ 14, "size 0, NULL, reserve", ABSOLUTE, 0, 0, R, RW, INVALID },
	{ 14, "size 0, NULL, commit", ABSOLUTE, 0, 0, C, RW, INVALID },
	{ 14, "size 0, NULL, both", ABSOLUTE, 0, 0, RC, RW, INVALID },
	{ 14, "size 0, NULL, reset", ABSOLUTE, 0, 0, MEM_RESET, RW, INVALID },
	{ 14, "size 0, inside, reserve", HOLE, 0x11000, 0, R, RW, INVALID },
	{ 14, "size 0, inside, commit", HOLE, 0x11000, 0, C, RW, INVALID },
	{ 14, "size 0, inside, both", HOLE, 0x11000, 0, RC, RW, INVALID },
	{ 14, "size 0, inside, reset", HOLE, 0x10000, 0, MEM_RESET, RW, INVALID },
	{ 15, "2^64 - 1", ABSOLUTE, 0, 0xFFFFFFFFFFFFFFFF, R, RW, INVALID },
	{ 15, "2^64 - 4096", ABSOLUTE, 0, 0xFFFFFFFFFFFFF000, R, RW, INVALID },
	{ 15, "2^64 - 4095", ABSOLUTE, 0, 0xFFFFFFFFFFFFF001, R, RW, INVALID },
	{ 15, "2^63", ABSOLUTE, 0, 0x8000000000000000, R, RW, INVALID },
	{ 15, "2^64 - 1, commit", ABSOLUTE, 0, 0xFFFFFFFFFFFFFFFF, C, RW, INVALID },
	{ 15, "2^64 - 4095, both", ABSOLUTE, 0, 0xFFFFFFFFFFFFF001, RC, RW, INVALID },
	{ 15, "2^64 - 1, commit inside", HOLE, 0x10000, 0xFFFFFFFFFFFFFFFF, C, RW,
	  INVALID },
	{ 16, "user space + 1", ABSOLUTE, 0, 0x7FFFFFFF0001, R, RW, INVALID },
	{ 16, "user space + 1, commit", ABSOLUTE, 0, 0x7FFFFFFF0001, C, RW, INVALID },
	{ 16, "user space", ABSOLUTE, 0, 0x7FFFFFFF0000, R, RW, E_OUTOFMEMORY },
	{ 16, "user space, both", ABSOLUTE, 0, 0x7FFFFFFF0000, RC, RW, E_OUTOFMEMORY },
	{ 17, "wraps", HOLE, 0x10000, 0xFFFFFFFFFFFF0000, C, RW, INVALID },
	{ 17, "wraps, reserve", HOLE, 0x40000, 0xFFFFFFFFFFFF0000, R, RW, INVALID },
	{ 17, "wraps to NULL", ABSOLUTE, 0x10000, 0xFFFFFFFFFFFF0000, R, RW, INVALID },
	{ 17, "leaves user space", ABSOLUTE, 0x7FFFFFFE0000, 0x10001, R, RW, INVALID },
	{ 17, "leaves user space, commit", HOLE, 0x10000, 0x7FFFFFFF0000, C, RW,
	  INVALID },
	{ 18, "address 1", ABSOLUTE, 1, 0x1000, R, RW, INVALID },
	{ 18, "address 0x1000", ABSOLUTE, 0x1000, 0x1000, R, RW, INVALID },
	{ 18, "address 0xFFFF", ABSOLUTE, 0xFFFF, 0x1000, R, RW, INVALID },
	{ 18, "address 1, commit", ABSOLUTE, 1, 0x1000, C, RW, INVALID },
	{ 18, "address 0xFFFF, both", ABSOLUTE, 0xFFFF, 1, RC, RW, INVALID },
	{ 18, "address 0x1000, reset", ABSOLUTE, 0x1000, 1, MEM_RESET, RW, INVALID },
	{ 19, "kernel half", ABSOLUTE, 0xFFFF800000000000, 0x1000, R, RW, INVALID },
	{ 19, "2^47", ABSOLUTE, 0x800000000000, 0x1000, R, RW, INVALID },
	{ 19, "non-canonical", ABSOLUTE, 0x8000000000000000, 0x1000, R, RW, INVALID },
	{ 19, "end of user space", ABSOLUTE, 0x7FFFFFFF0000, 0x1000, R, RW, INVALID },
	{ 19, "kernel half, commit", ABSOLUTE, 0xFFFF800000000000, 0x1000, C, RW,
	  INVALID },
	{ 19, "last page", ABSOLUTE, 0xFFFFFFFFFFFFF000, 0x1000, R, RW, INVALID },
};

static const struct row types[] = {
	{ 20, "type 0", ABSOLUTE, 0, 0x1000, 0, RW, INVALID },
	{ 20, "type 0, inside", HOLE, 0x10000, 0x1000, 0, RW, INVALID },
	{ 22, "DECOMMIT", ABSOLUTE, 0, 0x1000, MEM_DECOMMIT, RW, INVALID },
	{ 22, "RELEASE", ABSOLUTE, 0, 0x1000, MEM_RELEASE, RW, INVALID },
	{ 22, "FREE", ABSOLUTE, 0, 0x1000, MEM_FREE, RW, INVALID },
	{ 22, "COMMIT|DECOMMIT", HOLE, 0x10000, 0x1000, C | MEM_DECOMMIT, RW, INVALID },
	{ 22, "COMMIT|RELEASE", HOLE, 0x10000, 0x1000, C | MEM_RELEASE, RW, INVALID },
	{ 22, "RESERVE|FREE", ABSOLUTE, 0, 0x1000, R | MEM_FREE, RW, INVALID },
	{ 23, "TOP_DOWN", ABSOLUTE, 0, 0x1000, MEM_TOP_DOWN, RW, INVALID },
	{ 23, "WRITE_WATCH", ABSOLUTE, 0, 0x1000, MEM_WRITE_WATCH, RW, INVALID },
	{ 23, "both", ABSOLUTE, 0, 0x1000, MEM_TOP_DOWN | MEM_WRITE_WATCH, RW, INVALID },
	{ 24, "PHYSICAL", ABSOLUTE, 0, 0x1000, MEM_PHYSICAL, RW, INVALID },
	{ 24, "PHYSICAL|COMMIT", ABSOLUTE, 0, 0x1000, C | MEM_PHYSICAL, RW, INVALID },
	{ 24, "RESET_UNDO|COMMIT", HOLE, 0x10000, 0x1000, C | MEM_RESET_UNDO, RW,
	  INVALID },
	{ 24, "RESET_UNDO|RESET", HOLE, 0x10000, 0x1000, MEM_RESET | MEM_RESET_UNDO, RW,
	  INVALID },
	{ 24, "RESET|COMMIT", HOLE, 0x10000, 0x1000, MEM_RESET | C, RW, INVALID },
	{ 24, "RESET|RESERVE", ABSOLUTE, 0, 0x1000, MEM_RESET | R, RW, INVALID },
	{ 24, "RESET|RESERVE|COMMIT", ABSOLUTE, 0, 0x1000, MEM_RESET | RC, RW, INVALID },
	{ 24, "RESET|TOP_DOWN", HOLE, 0x10000, 0x1000, MEM_RESET | MEM_TOP_DOWN, RW,
	  INVALID },
	{ 25, "LARGE_PAGES|RESERVE", ABSOLUTE, 0, 0x200000, R | MEM_LARGE_PAGES, RW,
	  INVALID },
	{ 25, "LARGE_PAGES|COMMIT", ABSOLUTE, 0, 0x200000, C | MEM_LARGE_PAGES, RW,
	  INVALID },
	{ 26, "WRITE_WATCH", ABSOLUTE, 0, 0x1000, R | MEM_WRITE_WATCH, RW,
	  HR_NOT_SUPPORTED },
	{ 26, "with COMMIT", ABSOLUTE, 0, 0x1000, RC | MEM_WRITE_WATCH, RW,
	  HR_NOT_SUPPORTED },
};

static const struct row protections[] = {
	{ 27, "0, reserve", ABSOLUTE, 0, 0x1000, R, 0, INVALID },
	{ 27, "0, commit", HOLE, 0x10000, 0x1000, C, 0, INVALID },
	{ 27, "two, reserve", ABSOLUTE, 0, 0x1000, R, PAGE_READONLY | RW, INVALID },
	{ 27, "two, commit", HOLE, 0x10000, 0x1000, C, PAGE_READONLY | RW, INVALID },
	{ 27, "WRITECOPY, reserve", ABSOLUTE, 0, 0x1000, R, PAGE_WRITECOPY, INVALID },
	{ 27, "WRITECOPY, commit", HOLE, 0x10000, 0x1000, C, PAGE_WRITECOPY, INVALID },
	{ 27, "EXECUTE_WRITECOPY", ABSOLUTE, 0, 0x1000, RC, PAGE_EXECUTE_WRITECOPY,
	  INVALID },
	{ 27, "NOCACHE alone", ABSOLUTE, 0, 0x1000, R, PAGE_NOCACHE, INVALID },
	{ 27, "NOCACHE alone, commit", HOLE, 0x10000, 0x1000, C, PAGE_NOCACHE, INVALID },
	{ 27, "GUARD alone, commit", HOLE, 0x10000, 0x1000, C, PAGE_GUARD, INVALID },
	{ 27, "bad, at a free address", HOLE, 0, 0x1000, C, 0, INVALID },
};

static const struct row places[] = {
	{ 31, "RESERVE of it all", HOLE, 0x10000, 0x20000, R, RW, ELSEWHERE },
	{ 31, "RESERVE inside", HOLE, 0x20000, 1, R, RW, ELSEWHERE },
	{ 31, "RESERVE|COMMIT inside", HOLE, 0x10000, 0x1000, RC, RW, ELSEWHERE },
	{ 31, "RESERVE of the rest of a unit", HOLE, 0x33000, 0xD000, R, RW, ELSEWHERE },
	{ 31, "RESERVE|COMMIT of the rest", HOLE, 0x3F000, 0x1000, RC, RW, ELSEWHERE },
	{ 31, "RESERVE from before into it", HOLE, 0, 0x10001, R, RW, ELSEWHERE },
	{ 33, "COMMIT of free memory", HOLE, 0, 0x1000, C, RW, ELSEWHERE },
	{ 33, "COMMIT behind", HOLE, 0x33000, 0x1000, C, RW, ELSEWHERE },
	{ 33, "COMMIT far behind", HOLE, 0x70000, 0x1000, C, RW, ELSEWHERE },
	{ 34, "one byte past", HOLE, 0x32000, 0x1001, C, RW, ELSEWHERE },
	{ 34, "across two", HOLE, 0x2F000, 0x2000, C, RW, ELSEWHERE },
	{ 34, "across two, all", HOLE, 0x10000, 0x23000, C, RW, ELSEWHERE },
	{ 34, "starts before", HOLE, 0xFFFF, 2, C, RW, ELSEWHERE },
	{ 34, "starts before, all", HOLE, 0xF000, 0x21000, C, RW, ELSEWHERE },
};

static void run_rows(const struct row *rows, size_t count)
{
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		const void *base = row->where == HOLE ? fixture.hole : NULL;
		void *out;

		tap_row("%d, %s", row->number, row->what);
		CHECK_HR(vm_alloc(&fixture.host, at(base, row->address), row->size,
				  row->type, row->protect, &out),
			 row->want);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void rows_14_to_19_sizes_and_addresses(void)
{
	run_rows(sizes_and_addresses, ROWS(sizes_and_addresses));
}

static void rows_20_to_26_types(void)
{
	run_rows(types, ROWS(types));
}

static void row_27_protections(void)
{
	run_rows(protections, ROWS(protections));
}

static void rows_31_33_34_places(void)
{
	run_rows(places, ROWS(places));
}

/* Any out pointer is looked at first, so all the rest may be bad as well. */
static void row_13_no_out_pointer(void)
{
	static const struct {
		size_t address, size;
		DWORD type, protect;
		int level;
	} rows[] = {
		{ 0, 0x1000, R, RW, 0 }, { 0, 0x1000, RC, RW, 2 }, { 0, 0, 0, 0, 3 },
		{ 0, 0x1000, C, RW, 1 }, { 0x1000, 1, C, RW, 0 },
	};
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("13, type 0x%x", rows[i].type);
		CHECK_HR(IHostMemoryManager_VirtualAlloc(
				 fixture.host.manager, at(NULL, rows[i].address),
				 rows[i].size, rows[i].type, rows[i].protect,
				 (EMemoryCriticalLevel)rows[i].level, NULL),
			 E_POINTER);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void row_21_unknown_bits_of_the_type(void)
{
	static const DWORD others[] = { 0x00020000, 0x00040000, 0x02000000, 0x04000000,
					0x08000000, 0x10000000, 0x40000000, 0x80000000 };
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < 12 + ROWS(others); i++) {
		DWORD bit = i < 12 ? (DWORD)1 << i : others[i - 12];
		void *out;

		tap_row("21, bit 0x%x", bit);
		CHECK_HR(vm_alloc(&fixture.host, NULL, PAGE, bit, RW, &out), INVALID);
		CHECK_HR(vm_alloc(&fixture.host, NULL, PAGE, R | bit, RW, &out), INVALID);
		CHECK_HR(vm_alloc(&fixture.host, NULL, PAGE, RC | bit, RW, &out),
			 INVALID);
		CHECK_HR(vm_alloc(&fixture.host, fixture.hole + UNIT, PAGE, C | bit, RW,
				  &out),
			 INVALID);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void row_30_levels(void)
{
	static const int levels[] = { 3, -1, 0x7FFFFFFF, INT32_MIN };
	struct fixture fixture;
	struct snapshot before;
	void *out;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(levels); i++) {
		EMemoryCriticalLevel level = (EMemoryCriticalLevel)levels[i];

		tap_row("30, level %d", levels[i]);
		CHECK_HR(vm_alloc_at_level(&fixture.host, NULL, PAGE, R, RW, level, &out),
			 INVALID);
		CHECK_HR(vm_alloc_at_level(&fixture.host, NULL, PAGE, RC, RW, level,
					   &out),
			 INVALID);
		CHECK_HR(vm_alloc_at_level(&fixture.host, fixture.hole + UNIT, PAGE, C,
					   RW, level, &out),
			 INVALID);
		CHECK_HR(vm_alloc_at_level(&fixture.host, fixture.hole + UNIT, PAGE,
					   MEM_RESET, RW, level, &out),
			 INVALID);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

int main(void)
{
	TAP_RUN(row_13_no_out_pointer);
	TAP_RUN(rows_14_to_19_sizes_and_addresses);
	TAP_RUN(rows_20_to_26_types);
	TAP_RUN(row_21_unknown_bits_of_the_type);
	TAP_RUN(row_27_protections);
	TAP_RUN(row_30_levels);
	TAP_RUN(rows_31_33_34_places);
	return tap_done();
}
