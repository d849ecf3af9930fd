/*
 * What a call may look like, before anything is looked up.
 */
#include "hostmem/arguments.h"
#include "hostmem/os/size.h"
#include "test/tap.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define PLACE ((uintptr_t)0x10000000)

static struct hm_allocation allocation(DWORD type, DWORD protect)
{
	return (struct hm_allocation){ .address = PLACE,
				       .size = 4096,
				       .alignment = 65536,
				       .type = type,
				       .protect = protect,
				       .level = eTaskCritical };
}

static void an_allocation_takes_these_types_and_no_others(void)
{
	const DWORD both = MEM_RESERVE | MEM_COMMIT;
	const struct {
		DWORD type;
		HRESULT want;
	} rows[] = {
		{ MEM_RESERVE, S_OK },
		{ MEM_COMMIT, S_OK },
		{ both, S_OK },
		{ both | MEM_TOP_DOWN, S_OK },
		{ MEM_COMMIT | MEM_TOP_DOWN, S_OK },
		{ MEM_RESET, S_OK },
		{ MEM_RESET_UNDO, S_OK },
		{ both | MEM_LARGE_PAGES, S_OK },
		{ MEM_RESERVE | MEM_WRITE_WATCH, S_OK },
		{ both | MEM_WRITE_WATCH, S_OK },
		{ MEM_RESERVE | MEM_PHYSICAL, S_OK },
		{ 0, E_INVALIDARG },
		{ MEM_TOP_DOWN, E_INVALIDARG },
		{ MEM_DECOMMIT, E_INVALIDARG },
		{ MEM_RELEASE, E_INVALIDARG },
		{ both | MEM_RELEASE, E_INVALIDARG },
		{ both | 0x80000000U, E_INVALIDARG },
		{ MEM_RESET | MEM_RESET_UNDO, E_INVALIDARG },
		{ MEM_RESET | MEM_COMMIT, E_INVALIDARG },
		{ MEM_RESET | MEM_TOP_DOWN, E_INVALIDARG },
		{ MEM_RESET_UNDO | MEM_RESERVE, E_INVALIDARG },
		{ MEM_RESERVE | MEM_LARGE_PAGES, E_INVALIDARG },
		{ MEM_COMMIT | MEM_LARGE_PAGES, E_INVALIDARG },
		{ MEM_COMMIT | MEM_WRITE_WATCH, E_INVALIDARG },
		{ MEM_WRITE_WATCH, E_INVALIDARG },
		{ both | MEM_PHYSICAL, E_INVALIDARG },
		{ MEM_COMMIT | MEM_PHYSICAL, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_allocation want = allocation(rows[i].type, PAGE_READWRITE);

		tap_row("type 0x%08x", rows[i].type);
		CHECK_HR(hm_check_allocation(&want), rows[i].want);
	}
}

static void physical_memory_is_read_and_write(void)
{
	static const struct {
		DWORD protect;
		HRESULT want;
	} rows[] = {
		{ PAGE_READWRITE, S_OK },
		{ PAGE_READONLY, E_INVALIDARG },
		{ PAGE_READWRITE | PAGE_GUARD, E_INVALIDARG },
		{ PAGE_READWRITE | PAGE_NOCACHE, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_allocation want = allocation(MEM_RESERVE | MEM_PHYSICAL,
						       rows[i].protect);

		tap_row("protection 0x%x", rows[i].protect);
		CHECK_HR(hm_check_allocation(&want), rows[i].want);
	}
}

static void every_type_needs_a_valid_protection(void)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_COMMIT, MEM_RESET,
				       MEM_RESET_UNDO };

	for (size_t i = 0; i < ROWS(types); i++) {
		struct hm_allocation want = allocation(types[i], PAGE_WRITECOPY);

		tap_row("type 0x%08x", types[i]);
		CHECK_HR(hm_check_allocation(&want), E_INVALIDARG);
	}
}

/* Rows for whatever takes a range; `from` is the lowest address it takes besides 0. */
static const struct range_row {
	uintptr_t address;
	size_t size;
	HRESULT want;
} ranges[] = {
	{ PLACE, 1, S_OK },
	{ PLACE, 0, E_INVALIDARG },
	{ 0, 4096, S_OK },
	{ 0, HM_USER_END, S_OK },
	{ 0, HM_USER_END + 1, E_INVALIDARG },
	{ 1, 4096, E_INVALIDARG },
	{ HM_USER_START - 1, 4096, E_INVALIDARG },
	{ HM_USER_START, 4096, S_OK },
	{ HM_USER_END - 4096, 4096, S_OK },
	{ HM_USER_END - 4096, 4097, E_INVALIDARG },
	{ HM_USER_END - 1, 1, S_OK },
	{ HM_USER_END, 1, E_INVALIDARG },
	{ HM_SYSTEM_END, 1, E_INVALIDARG },
	{ PLACE, SIZE_MAX, E_INVALIDARG },
	{ PLACE, SIZE_MAX - PLACE + 1, E_INVALIDARG },
	{ PLACE, SIZE_MAX - PLACE + 2, E_INVALIDARG },
	{ UINTPTR_MAX, 1, E_INVALIDARG },
	{ UINTPTR_MAX - 4095, 4096, E_INVALIDARG },
	{ UINTPTR_MAX - 4095, 8192, E_INVALIDARG },
};

static void an_allocation_lies_in_user_space_and_never_wraps(void)
{
	for (size_t i = 0; i < ROWS(ranges); i++) {
		struct hm_allocation want = allocation(MEM_RESERVE, PAGE_READWRITE);

		tap_row("0x%zx + 0x%zx", (size_t)ranges[i].address, ranges[i].size);
		want.address = ranges[i].address;
		want.size = ranges[i].size;
		CHECK_HR(hm_check_allocation(&want), ranges[i].want);
	}
}

static void there_are_three_levels(void)
{
	static const struct {
		int level;
		HRESULT want;
	} rows[] = {
		{ -1, E_INVALIDARG },
		{ 0, S_OK },
		{ 1, S_OK },
		{ 2, S_OK },
		{ 3, E_INVALIDARG },
		{ INT32_MAX, E_INVALIDARG },
		{ INT32_MIN, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_allocation want = allocation(MEM_RESERVE, PAGE_READWRITE);

		tap_row("level %d", rows[i].level);
		memcpy(&want.level, &rows[i].level, sizeof(want.level));
		CHECK_HR(hm_check_allocation(&want), rows[i].want);
		CHECK_HR(hm_check_level(want.level), rows[i].want);
	}
}

static void freeing_takes_one_type_and_a_range_in_user_space(void)
{
	static const struct {
		uintptr_t address;
		size_t size;
		DWORD type;
		HRESULT want;
	} rows[] = {
		{ PLACE, 0, MEM_RELEASE, S_OK },
		{ PLACE, 1, MEM_RELEASE, E_INVALIDARG },
		{ PLACE, 0, MEM_DECOMMIT, S_OK },
		{ PLACE, 1, MEM_DECOMMIT, S_OK },
		{ 0, 0, MEM_RELEASE, S_OK },
		{ 1, 0, MEM_DECOMMIT, S_OK },
		{ PLACE, 0, 0, E_INVALIDARG },
		{ PLACE, 0, MEM_RELEASE | MEM_DECOMMIT, E_INVALIDARG },
		{ PLACE, 0, MEM_COMMIT, E_INVALIDARG },
		{ PLACE, 0, MEM_RELEASE | 1, E_INVALIDARG },
		{ PLACE, 0, MEM_DECOMMIT | 2, E_INVALIDARG },
		{ HM_USER_END - 1, 0, MEM_RELEASE, S_OK },
		{ HM_USER_END, 0, MEM_RELEASE, E_INVALIDARG },
		{ HM_USER_END, 0, MEM_DECOMMIT, E_INVALIDARG },
		{ HM_USER_END - 4096, 4096, MEM_DECOMMIT, S_OK },
		{ HM_USER_END - 4096, 4097, MEM_DECOMMIT, E_INVALIDARG },
		{ PLACE, SIZE_MAX, MEM_DECOMMIT, E_INVALIDARG },
		{ UINTPTR_MAX, 1, MEM_DECOMMIT, E_INVALIDARG },
		{ UINTPTR_MAX, 0, MEM_RELEASE, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%zx + 0x%zx type 0x%x", (size_t)rows[i].address, rows[i].size,
			rows[i].type);
		CHECK_HR(hm_check_free(rows[i].address, rows[i].size, rows[i].type),
			 rows[i].want);
	}
}

static void protecting_reaches_as_far_as_the_system_maps(void)
{
	static const struct {
		uintptr_t address;
		size_t size;
		DWORD protect;
		HRESULT want;
	} rows[] = {
		{ PLACE, 1, PAGE_READONLY, S_OK },
		{ PLACE, 0, PAGE_READONLY, E_INVALIDARG },
		{ PLACE, 1, 0, E_INVALIDARG },
		{ PLACE, 1, PAGE_READONLY | PAGE_READWRITE, E_INVALIDARG },
		{ HM_USER_END, 1, PAGE_READONLY, S_OK },
		{ HM_SYSTEM_END - 1, 1, PAGE_READONLY, S_OK },
		{ HM_SYSTEM_END - 1, 2, PAGE_READONLY, E_INVALIDARG },
		{ HM_SYSTEM_END, 1, PAGE_READONLY, E_INVALIDARG },
		{ PLACE, SIZE_MAX, PAGE_READONLY, E_INVALIDARG },
		{ UINTPTR_MAX, 2, PAGE_READONLY, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%zx + 0x%zx protection 0x%x", (size_t)rows[i].address,
			rows[i].size, rows[i].protect);
		CHECK_HR(hm_check_protect(rows[i].address, rows[i].size, rows[i].protect),
			 rows[i].want);
	}
}

int main(void)
{
	TAP_RUN(an_allocation_takes_these_types_and_no_others);
	TAP_RUN(physical_memory_is_read_and_write);
	TAP_RUN(every_type_needs_a_valid_protection);
	TAP_RUN(an_allocation_lies_in_user_space_and_never_wraps);
	TAP_RUN(there_are_three_levels);
	TAP_RUN(freeing_takes_one_type_and_a_range_in_user_space);
	TAP_RUN(protecting_reaches_as_far_as_the_system_maps);
	return tap_done();
}
