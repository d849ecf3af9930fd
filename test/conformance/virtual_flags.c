/*
 * Allocation types, protections and their modifiers: which are valid, what each allows,
 * what is remembered and reported.
 */
#include "access.h"
#include "host.h"

static struct host host;

static const DWORD bases[] = { PAGE_NOACCESS, PAGE_READONLY,     PAGE_READWRITE,
			       PAGE_EXECUTE,  PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE };

static bool is_base(DWORD protect)
{
	for (size_t i = 0; i < ROWS(bases); i++) {
		if (bases[i] == protect)
			return true;
	}
	return false;
}

/*
 * Tries a protection in each call that takes one.  The region has 4 pages: committed,
 * committed, reserved, reserved; and is as it was afterwards.
 */
static void try_protection(void *region, DWORD protect, bool valid)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_COMMIT,
				       MEM_RESERVE | MEM_COMMIT };
	HRESULT want = valid ? S_OK : E_INVALIDARG;
	struct snapshot before;
	DWORD old;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(types); i++) {
		void *base;

		CHECK_HR(vm_alloc(&host, NULL, PAGE, types[i], protect, &base), want);
		if (base != NULL)
			CHECK_HR(vm_release(&host, base), S_OK);
	}
	if (!valid)
		CHECK_UNCHANGED(&before);
	CHECK_HR(vm_commit(&host, at(region, PAGE), 2 * PAGE, protect), want);
	if (valid)
		CHECK_HR(vm_free(&host, at(region, 2 * PAGE), PAGE, MEM_DECOMMIT), S_OK);
	else
		CHECK_UNCHANGED(&before);
	CHECK_HR(vm_protect(&host, region, 2 * PAGE, protect, &old), want);
	if (valid)
		CHECK_HR(vm_protect(&host, region, 2 * PAGE, PAGE_READWRITE, &old), S_OK);
	else
		CHECK_UNCHANGED(&before);
}

static void exactly_one_base_protection_that_private_memory_can_have(void)
{
	void *region = vm_new(&host, 4 * PAGE, MEM_RESERVE, PAGE_READWRITE);

	CHECK_HR(vm_commit(&host, region, 2 * PAGE, PAGE_READWRITE), S_OK);
	for (DWORD protect = 0; protect <= 0xFF; protect++) {
		tap_row("protection 0x%02x", protect);
		try_protection(region, protect, is_base(protect));
	}
	CHECK_HR(vm_release(&host, region), S_OK);
}

/* The high half: every bit that is no modifier. */
static void unknown_protection_bits_are_refused(void)
{
	void *region = vm_new(&host, 4 * PAGE, MEM_RESERVE, PAGE_READWRITE);

	CHECK_HR(vm_commit(&host, region, 2 * PAGE, PAGE_READWRITE), S_OK);
	for (unsigned bit = 11; bit < 32; bit++) {
		DWORD modifier = (DWORD)1 << bit;

		tap_row("bit 0x%x", modifier);
		if (modifier == PAGE_TARGETS_INVALID)
			continue;
		try_protection(region, PAGE_READWRITE | modifier, false);
		try_protection(region, PAGE_EXECUTE_READ | modifier, false);
	}
	CHECK_HR(vm_release(&host, region), S_OK);
}

static bool modifiers_go_with(DWORD modifiers, DWORD base)
{
	bool executes = base >= PAGE_EXECUTE;
	bool cache = (modifiers & (PAGE_NOCACHE | PAGE_WRITECOMBINE)) != 0;

	if ((modifiers & PAGE_TARGETS_INVALID) != 0 && !executes)
		return false;
	if ((modifiers & PAGE_NOCACHE) != 0 && (modifiers & PAGE_WRITECOMBINE) != 0)
		return false;
	if ((modifiers & PAGE_GUARD) != 0 && cache)
		return false;
	return base != PAGE_NOACCESS || (modifiers & ~PAGE_TARGETS_INVALID) == 0;
}

static void modifiers_only_in_combinations_that_make_sense(void)
{
	void *region = vm_new(&host, 4 * PAGE, MEM_RESERVE, PAGE_READWRITE);

	CHECK_HR(vm_commit(&host, region, 2 * PAGE, PAGE_READWRITE), S_OK);
	for (DWORD set = 0; set < 16; set++) {
		DWORD modifiers = (set & 7) << 8 | (set & 8 ? PAGE_TARGETS_INVALID : 0);

		tap_row("modifiers 0x%x alone", modifiers);
		try_protection(region, modifiers, false);
		for (size_t i = 0; i < ROWS(bases); i++) {
			tap_row("protection 0x%x", bases[i] | modifiers);
			try_protection(region, bases[i] | modifiers,
				       modifiers_go_with(modifiers, bases[i]));
		}
	}
	CHECK_HR(vm_release(&host, region), S_OK);
}

static void what_a_protection_allows(void)
{
	static const struct {
		DWORD protect;
		bool read, write, execute;
	} rows[] = {
		{ PAGE_NOACCESS, false, false, false },
		{ PAGE_READONLY, true, false, false },
		{ PAGE_READWRITE, true, true, false },
		{ PAGE_EXECUTE, true, false, true },
		{ PAGE_EXECUTE_READ, true, false, true },
		{ PAGE_EXECUTE_READWRITE, true, true, true },
	};

	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		size_t row = i / 2;
		bool by_protect = i % 2 == 0;
		void *page = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
		DWORD old;

		tap_row("0x%x by %s", rows[row].protect,
			by_protect ? "protect" : "commit");
		memcpy(page, access_code, sizeof(access_code));
		__builtin___clear_cache((char *)page, (char *)page + sizeof(access_code));
		if (by_protect)
			CHECK_HR(vm_protect(&host, page, 1, rows[row].protect, &old),
				 S_OK);
		else
			CHECK_HR(vm_commit(&host, page, 1, rows[row].protect), S_OK);
		CHECK_RUN(&host, page, PAGE, MEM_COMMIT, rows[row].protect);
		CHECK_INT(can_read(page), rows[row].read);
		CHECK_INT(can_execute(page), rows[row].execute);
		CHECK_INT(can_write(at(page, 64), 1), rows[row].write);
		CHECK_HR(vm_release(&host, page), S_OK);
	}
}

/* What the first call asks for, what a later commit or protect asks for, what is told. */
static void the_cache_modifier_of_the_allocating_call_stays_with_the_region(void)
{
	static const struct {
		DWORD reserve, later, told;
	} rows[] = {
		{ PAGE_READWRITE, PAGE_READWRITE, PAGE_READWRITE },
		{ PAGE_READWRITE, PAGE_READWRITE | PAGE_NOCACHE, PAGE_READWRITE },
		{ PAGE_READWRITE, PAGE_READONLY | PAGE_WRITECOMBINE, PAGE_READONLY },
		{ PAGE_READWRITE | PAGE_NOCACHE, PAGE_READWRITE,
		  PAGE_READWRITE | PAGE_NOCACHE },
		{ PAGE_READWRITE | PAGE_NOCACHE, PAGE_READONLY | PAGE_NOCACHE,
		  PAGE_READONLY | PAGE_NOCACHE },
		{ PAGE_READWRITE | PAGE_WRITECOMBINE, PAGE_READONLY,
		  PAGE_READONLY | PAGE_WRITECOMBINE },
		{ PAGE_READONLY | PAGE_NOCACHE, PAGE_EXECUTE_READWRITE,
		  PAGE_EXECUTE_READWRITE | PAGE_NOCACHE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		MEMORY_BASIC_INFORMATION info;
		void *base = vm_new(&host, UNIT, MEM_RESERVE, rows[i].reserve);
		DWORD old;

		tap_row("reserve 0x%x, later 0x%x", rows[i].reserve, rows[i].later);
		CHECK_HR(vm_query(&host, base, &info), S_OK);
		CHECK_U32(info.AllocationProtect, rows[i].reserve);
		CHECK_U32(info.Protect, 0);
		CHECK_HR(vm_commit(&host, base, PAGE, rows[i].later), S_OK);
		CHECK_RUN(&host, base, PAGE, MEM_COMMIT, rows[i].told);
		CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READWRITE, &old), S_OK);
		CHECK_U32(old, rows[i].told);
		CHECK_HR(vm_protect(&host, base, PAGE, rows[i].later, &old), S_OK);
		CHECK_U32(old & 0xFF, PAGE_READWRITE);
		CHECK_RUN(&host, base, PAGE, MEM_COMMIT, rows[i].told);
		CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
		CHECK_HR(vm_commit(&host, base, PAGE, rows[i].later), S_OK);
		CHECK_RUN(&host, base, PAGE, MEM_COMMIT, rows[i].told);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void the_targets_bit_is_accepted_and_never_told(void)
{
	static const DWORD executes[] = { PAGE_EXECUTE, PAGE_EXECUTE_READ,
					  PAGE_EXECUTE_READWRITE };

	for (size_t i = 0; i < ROWS(executes); i++) {
		DWORD protect = executes[i] | PAGE_TARGETS_INVALID;
		MEMORY_BASIC_INFORMATION info;
		void *base = vm_new(&host, UNIT, MEM_RESERVE | MEM_COMMIT, protect);
		DWORD old;

		tap_row("0x%x", protect);
		CHECK_HR(vm_query(&host, base, &info), S_OK);
		CHECK_U32(info.AllocationProtect, executes[i]);
		CHECK_U32(info.Protect, executes[i]);
		CHECK_HR(vm_commit(&host, base, PAGE, protect), S_OK);
		CHECK_HR(vm_protect(&host, base, PAGE, protect, &old), S_OK);
		CHECK_U32(old, executes[i]);
		CHECK_RUN(&host, base, UNIT, MEM_COMMIT, executes[i]);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

/* Every single bit, and combinations, of the type; at NULL and in a reservation. */
static const struct {
	DWORD type;
	HRESULT at_null, inside;
} allocation_types[] = {
	{ 0, E_INVALIDARG, E_INVALIDARG },
	{ MEM_COMMIT, S_OK, S_OK },
	{ MEM_RESERVE, S_OK, HR_INVALID_ADDRESS },
	{ MEM_COMMIT | MEM_RESERVE, S_OK, HR_INVALID_ADDRESS },
	{ MEM_COMMIT | MEM_TOP_DOWN, S_OK, S_OK },
	{ MEM_RESERVE | MEM_TOP_DOWN, S_OK, HR_INVALID_ADDRESS },
	{ MEM_COMMIT | MEM_RESERVE | MEM_TOP_DOWN, S_OK, HR_INVALID_ADDRESS },
	{ MEM_TOP_DOWN, E_INVALIDARG, E_INVALIDARG },
	{ MEM_WRITE_WATCH, E_INVALIDARG, E_INVALIDARG },
	{ MEM_COMMIT | MEM_WRITE_WATCH, E_INVALIDARG, E_INVALIDARG },
	{ MEM_PHYSICAL, E_INVALIDARG, E_INVALIDARG },
	{ MEM_COMMIT | MEM_PHYSICAL, E_INVALIDARG, E_INVALIDARG },
	{ MEM_COMMIT | MEM_RESERVE | MEM_PHYSICAL, E_INVALIDARG, E_INVALIDARG },
	{ MEM_LARGE_PAGES, E_INVALIDARG, E_INVALIDARG },
	{ MEM_COMMIT | MEM_LARGE_PAGES, E_INVALIDARG, E_INVALIDARG },
	{ MEM_RESERVE | MEM_LARGE_PAGES, E_INVALIDARG, E_INVALIDARG },
	{ MEM_DECOMMIT, E_INVALIDARG, E_INVALIDARG },
	{ MEM_RELEASE, E_INVALIDARG, E_INVALIDARG },
	{ MEM_FREE, E_INVALIDARG, E_INVALIDARG },
	{ MEM_COMMIT | MEM_DECOMMIT, E_INVALIDARG, E_INVALIDARG },
	{ MEM_RESERVE | MEM_RELEASE, E_INVALIDARG, E_INVALIDARG },
	{ MEM_RESERVE | 0x00040000, E_INVALIDARG, E_INVALIDARG }, /* placeholders */
	{ MEM_RESERVE | 0x00004000, E_INVALIDARG, E_INVALIDARG },
	{ MEM_RESERVE | 0x40000000, E_INVALIDARG, E_INVALIDARG }, /* AT_ROUND_TO_PAGE */
	{ MEM_RESERVE | 0x80000000, E_INVALIDARG, E_INVALIDARG },
	{ 0xFFFFFFFF, E_INVALIDARG, E_INVALIDARG },
};

static void types_of_virtualalloc(void)
{
	void *region = vm_new(&host, UNIT, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
	struct snapshot before;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(allocation_types); i++) {
		void *base;

		tap_row("type 0x%x", allocation_types[i].type);
		CHECK_HR(vm_alloc(&host, NULL, PAGE, allocation_types[i].type,
				  PAGE_READWRITE, &base),
			 allocation_types[i].at_null);
		if (base != NULL)
			CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_HR(vm_alloc(&host, at(region, PAGE), PAGE, allocation_types[i].type,
				  PAGE_READWRITE, &base),
			 allocation_types[i].inside);
		/* The peak has moved with the first row. */
		if (i == 1)
			snapshot_take(&before, &host);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, region), S_OK);
}

static void a_strict_host_grants_nothing_writable_and_executable(void)
{
	struct host strict;
	struct snapshot before;
	void *base, *other;
	DWORD old;

	if (!host_create(&strict, HOSTMEM_STRICT_EXECUTE))
		return;
	base = vm_new(&strict, UNIT, MEM_RESERVE, PAGE_EXECUTE_READ);
	CHECK_HR(vm_commit(&strict, base, 2 * PAGE, PAGE_EXECUTE_READ), S_OK);
	snapshot_take(&before, &strict);
	for (size_t i = 0; i < 2; i++) {
		DWORD protect = PAGE_EXECUTE_READWRITE |
				(i == 1 ? PAGE_TARGETS_INVALID : 0);

		tap_row("0x%x", protect);
		CHECK_HR(vm_alloc(&strict, NULL, PAGE, MEM_RESERVE, protect, &other),
			 E_ACCESSDENIED);
		CHECK_HR(vm_alloc(&strict, NULL, PAGE, MEM_COMMIT, protect, &other),
			 E_ACCESSDENIED);
		CHECK_HR(vm_commit(&strict, base, 3 * PAGE, protect), E_ACCESSDENIED);
		CHECK_HR(vm_protect(&strict, base, PAGE, protect, &old), E_ACCESSDENIED);
		CHECK_HR(vm_commit(&strict, base, PAGE, protect | PAGE_GUARD),
			 E_ACCESSDENIED);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_protect(&strict, base, PAGE, PAGE_READWRITE, &old), S_OK);
	CHECK_HR(vm_protect(&strict, base, PAGE, PAGE_EXECUTE_READ, &old), S_OK);
	CHECK_HR(vm_release(&strict, base), S_OK);
	host_destroy(&strict);
}

int main(void)
{
	access_install();
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(exactly_one_base_protection_that_private_memory_can_have);
	TAP_RUN(unknown_protection_bits_are_refused);
	TAP_RUN(modifiers_only_in_combinations_that_make_sense);
	TAP_RUN(what_a_protection_allows);
	TAP_RUN(the_cache_modifier_of_the_allocating_call_stays_with_the_region);
	TAP_RUN(the_targets_bit_is_accepted_and_never_told);
	TAP_RUN(types_of_virtualalloc);
	TAP_RUN(a_strict_host_grants_nothing_writable_and_executable);
	host_destroy(&host);
	return tap_done();
}
