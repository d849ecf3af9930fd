/*
 * VirtualQuery on the host's own memory and on free memory.  Memory of others:
 * foreign.c.
 */
#include "host.h"

static struct host host;

/* A region of 16 pages; a letter for each: '-' reserved, 'w' READWRITE, 'r' READONLY. */
static void *region_with(const char *states)
{
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_EXECUTE);

	for (size_t page = 0; states[page] != '\0'; page++) {
		if (states[page] != '-')
			CHECK_HR(vm_commit(&host, at(base, page * PAGE), PAGE,
					   states[page] == 'w' ? PAGE_READWRITE
							       : PAGE_READONLY),
				 S_OK);
	}
	return base;
}

static void a_run_goes_to_the_first_page_that_differs(void)
{
	static const char *const rows[] = { "----------------", "wwwwwwwwwwwwwwww",
					    "w-w-w-w-w-w-w-w-", "wwwwrrrr----wwww",
					    "-rrrrrrrrrrrrrr-", "rwrwrwrwrwrwrwrw",
					    "--------------ww", "w---------------" };

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *base = region_with(rows[i]);

		for (size_t page = 0; page < 16; page++) {
			char letter = rows[i][page];
			size_t same = 0;
			MEMORY_BASIC_INFORMATION info;

			while (rows[i][page + same] == letter)
				same++;
			tap_row("%s, page %zu", rows[i], page);
			/* Any byte of the page; the run starts at the page. */
			CHECK_HR(vm_query(&host, at(base, page * PAGE + page * 17),
					  &info),
				 S_OK);
			CHECK_POINTER(info.BaseAddress, at(base, page * PAGE));
			CHECK_POINTER(info.AllocationBase, base);
			CHECK_U32(info.AllocationProtect, PAGE_EXECUTE);
			CHECK_SIZE(info.RegionSize, same * PAGE);
			CHECK_U32(info.State, letter == '-' ? MEM_RESERVE : MEM_COMMIT);
			CHECK_U32(info.Protect, letter == 'w'   ? PAGE_READWRITE
						: letter == 'r' ? PAGE_READONLY
								: 0);
			CHECK_U32(info.Type, MEM_PRIVATE);
		}
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void touched_and_untouched_pages_are_one_run(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, UNIT, MEM_COMMIT,
						      PAGE_READWRITE);

	base[5 * PAGE] = 1;
	CHECK_RUN(&host, base, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void two_reservations_are_never_one_run(void)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_RESERVE | MEM_COMMIT };

	for (size_t i = 0; i < ROWS(types); i++) {
		void *hole = host_hole(&host, 4 * UNIT);
		MEMORY_BASIC_INFORMATION info;
		void *base;

		for (size_t unit = 0; unit < 3; unit++)
			CHECK_HR(vm_alloc(&host, at(hole, unit * UNIT), UNIT, types[i],
					  PAGE_READWRITE, &base),
				 S_OK);
		for (size_t unit = 0; unit < 3; unit++) {
			tap_row("type 0x%x, unit %zu", types[i], unit);
			CHECK_HR(vm_query(&host, at(hole, unit * UNIT + PAGE), &info),
				 S_OK);
			CHECK_POINTER(info.AllocationBase, at(hole, unit * UNIT));
			CHECK_SIZE(info.RegionSize, UNIT - PAGE);
		}
		for (size_t unit = 0; unit < 3; unit++)
			CHECK_HR(vm_release(&host, at(hole, unit * UNIT)), S_OK);
	}
}

/* 1 page, then free to the end of the hole's unit 3, then 1 unit. */
static void a_free_run_goes_to_the_next_reservation(void)
{
	void *hole = host_hole(&host, 4 * UNIT);
	MEMORY_BASIC_INFORMATION info;
	void *first, *last;

	CHECK_HR(vm_alloc(&host, hole, PAGE, MEM_RESERVE, PAGE_NOACCESS, &first), S_OK);
	CHECK_HR(vm_alloc(&host, at(hole, 3 * UNIT), UNIT, MEM_RESERVE, PAGE_NOACCESS,
			  &last),
		 S_OK);
	for (size_t offset = PAGE; offset < 3 * UNIT; offset += 5 * PAGE + 1) {
		tap_row("offset 0x%zx", offset);
		CHECK_HR(vm_query(&host, at(hole, offset), &info), S_OK);
		CHECK_POINTER(info.BaseAddress, at(NULL, page_of(at(hole, offset))));
		CHECK_POINTER(info.AllocationBase, NULL);
		CHECK_U32(info.AllocationProtect, 0);
		CHECK_SIZE(info.RegionSize, 3 * UNIT - offset / PAGE * PAGE);
		CHECK_U32(info.State, MEM_FREE);
		CHECK_U32(info.Protect, PAGE_NOACCESS);
		CHECK_U32(info.Type, 0);
	}
	CHECK_HR(vm_release(&host, first), S_OK);
	CHECK_HR(vm_release(&host, last), S_OK);
}

static void the_low_64k_are_free(void)
{
	MEMORY_BASIC_INFORMATION info;

	CHECK_HR(vm_query(&host, NULL, &info), S_OK);
	CHECK_POINTER(info.BaseAddress, NULL);
	CHECK_POINTER(info.AllocationBase, NULL);
	CHECK_U32(info.State, MEM_FREE);
	CHECK_U32(info.Protect, PAGE_NOACCESS);
	CHECK(info.RegionSize >= UNIT);
	CHECK_HR(vm_query(&host, (void *)(uintptr_t)0xFFFF, &info), S_OK);
	CHECK_SIZE((uintptr_t)info.BaseAddress, 0xF000);
	CHECK_U32(info.State, MEM_FREE);
}

/* Every run but a free one belongs to the allocation that the run before it left off. */
static void check_order(const MEMORY_BASIC_INFORMATION *info, const void *allocation)
{
	bool free_run = info->State == MEM_FREE;

	CHECK(free_run == (info->AllocationBase == NULL));
	CHECK(free_run ||
	      (uintptr_t)info->AllocationBase <= (uintptr_t)info->BaseAddress);
	CHECK(free_run || info->AllocationBase == allocation ||
	      info->AllocationBase == info->BaseAddress);
}

static void a_walk_from_null_passes_every_reservation_and_ends_at_the_top(void)
{
	void *regions[] = { region_with("w-w-w-w-w-w-w-w-"),
			    region_with("----------------"),
			    region_with("wwwwwwwwwwwwwwww") };
	size_t seen[ROWS(regions)] = { 0, 0, 0 };
	MEMORY_BASIC_INFORMATION info;
	void *allocation = NULL;
	uintptr_t address = 0;
	size_t steps = 0;

	while (address < USER_END && steps++ < 1000000) {
		tap_row("at 0x%zx", (size_t)address);
		if (!CHECK_HR(vm_query(&host, (void *)address, &info), S_OK))
			break;
		CHECK_SIZE((uintptr_t)info.BaseAddress, address);
		if (!CHECK(info.RegionSize != 0))
			break;
		check_order(&info, allocation);
		allocation = info.AllocationBase;
		for (size_t i = 0; i < ROWS(regions); i++)
			seen[i] += info.AllocationBase == regions[i] ? info.RegionSize
								     : 0;
		address += info.RegionSize;
	}
	tap_row("%s", "");
	CHECK(address >= USER_END);
	for (size_t i = 0; i < ROWS(regions); i++) {
		CHECK_SIZE(seen[i], UNIT);
		CHECK_HR(vm_release(&host, regions[i]), S_OK);
	}
}

/* Free space that reaches the top ends there; nothing is told about what lies above. */
static void the_last_free_run_ends_where_user_space_ends(void)
{
	MEMORY_BASIC_INFORMATION info;

	CHECK_HR(vm_query(&host, (void *)(USER_END - 1), &info), S_OK);
	CHECK_SIZE((uintptr_t)info.BaseAddress, USER_END - PAGE);
	if (info.State == MEM_FREE)
		CHECK_SIZE(info.RegionSize, PAGE);
	else
		tap_skip("the last page of user space is in use");
}

static void the_state_of_free_reserve_and_commit_follows_each_call(void)
{
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READONLY);

	CHECK_RUN(&host, base, UNIT, MEM_RESERVE, 0);
	CHECK_HR(vm_commit(&host, base, UNIT, PAGE_READWRITE), S_OK);
	CHECK_RUN(&host, base, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
	CHECK_RUN(&host, base, UNIT, MEM_RESERVE, 0);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_U32(vm_state(&host, base), MEM_FREE);
	CHECK_U32(vm_protection(&host, base), PAGE_NOACCESS);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(a_run_goes_to_the_first_page_that_differs);
	TAP_RUN(touched_and_untouched_pages_are_one_run);
	TAP_RUN(two_reservations_are_never_one_run);
	TAP_RUN(a_free_run_goes_to_the_next_reservation);
	TAP_RUN(the_low_64k_are_free);
	TAP_RUN(a_walk_from_null_passes_every_reservation_and_ends_at_the_top);
	TAP_RUN(the_last_free_run_ends_where_user_space_ends);
	TAP_RUN(the_state_of_free_reserve_and_commit_follows_each_call);
	host_destroy(&host);
	return tap_done();
}
