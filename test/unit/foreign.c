/*
 * Memory that is not the host's, told and changed in Win32's words.
 */
#include "hostmem/foreign.h"
#include "fake.h"
#include "hostmem/os/size.h"
#include "hostmem/os/spare.h"
#include "hostmem/protection.h"
#include "hostmem/regions.h"

#include <stdlib.h>
#include <unistd.h>

#define POISON 0x5A5A5A5AU
#define READ_WRITE (PROT_READ | PROT_WRITE)

static char someone; /* stands for a host */
static struct hm_system_calls kept;

/* Pages between two free ones, and those between two fences that stay, so that the kernel
 * neither merges them with others nor puts something beside them. */
static uintptr_t map_pages(size_t pages, int protection, int file)
{
	char *fences = mmap(NULL, (pages + 4) * PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *place = fences + 2 * PAGE;
	int flags = MAP_FIXED | MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0);

	if (!CHECK(fences != MAP_FAILED))
		exit(1);
	CHECK_POINTER(mmap(place, pages * PAGE, protection, flags, file, 0), place);
	CHECK_INT(munmap(place - PAGE, PAGE), 0);
	CHECK_INT(munmap(place + pages * PAGE, PAGE), 0);
	return (uintptr_t)place;
}

static void unmap(uintptr_t address, size_t pages)
{
	CHECK_INT(munmap((void *)address, pages * PAGE), 0);
}

static void set_protection(uintptr_t address, size_t pages, int protection)
{
	CHECK_INT(mprotect((void *)address, pages * PAGE, protection), 0);
}

/* A file of `pages` pages that lies in no folder, which might forbid to execute it. */
static int temporary_file(size_t pages)
{
	int file = memfd_create("hostmem-test", MFD_CLOEXEC);

	if (!CHECK(file >= 0))
		exit(1);
	CHECK_INT(ftruncate(file, (off_t)(pages * PAGE)), 0);
	return file;
}

static struct hm_region *enter_with(uintptr_t base, size_t pages, unsigned code,
				    enum hm_region_phase phase)
{
	struct hm_region_fields fields = {
		.host = (struct hm_host *)(void *)&someone,
		.base = base,
		.end = base + pages * PAGE,
		.states = hm_states_uniform(hm_states_levels(pages), code),
		.phase = phase,
	};
	struct hm_region_ticket ticket;
	struct hm_region_view view = { .region = NULL };

	CHECK_HR(hm_regions_enter(&fields, false, &ticket), S_OK);
	CHECK(hm_regions_find(base, &view));
	return view.region;
}

static struct hm_region *enter(uintptr_t base, size_t pages, enum hm_region_phase phase)
{
	return enter_with(base, pages, HM_STATE_RESERVED, phase);
}

static void leave(struct hm_region *region)
{
	hm_region_set_phase(region, HM_REGION_LEAVING);
	hm_regions_remove(
		&(struct hm_region_ticket){ region, hm_region_version(region) });
}

/* Checks the run at a page; `base` = 0: it is free. */
static void check_run(uintptr_t page, uintptr_t base, size_t pages, DWORD protect,
		      DWORD first, DWORD type)
{
	MEMORY_BASIC_INFORMATION info;

	memset(&info, 0x5A, sizeof(info));
	CHECK_HR(hm_foreign_query(NULL, page, &info), S_OK);
	CHECK_POINTER(info.BaseAddress, (void *)page);
	CHECK_POINTER(info.AllocationBase, (void *)base);
	CHECK_U32(info.State, base != 0 ? MEM_COMMIT : MEM_FREE);
	CHECK_U32(info.Protect, protect);
	CHECK_U32(info.AllocationProtect, first);
	CHECK_U32(info.Type, type);
	if (pages != 0)
		CHECK_SIZE(info.RegionSize, pages * PAGE);
}

static HRESULT protect_pages(uintptr_t page, size_t pages, DWORD protect, DWORD *old)
{
	*old = POISON;
	return hm_foreign_protect(page, pages * PAGE, protect, old);
}

static void anonymous_memory_is_private_and_one_allocation_per_mapping(void)
{
	static const struct {
		int protection;
		DWORD protect;
	} rows[] = {
		{ PROT_NONE, PAGE_NOACCESS },
		{ PROT_READ, PAGE_READONLY },
		{ READ_WRITE, PAGE_READWRITE },
		{ PROT_READ | PROT_EXEC, PAGE_EXECUTE_READ },
		{ READ_WRITE | PROT_EXEC, PAGE_EXECUTE_READWRITE },
		{ PROT_EXEC, PAGE_EXECUTE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t base = map_pages(5, READ_WRITE, -1);

		set_protection(base + PAGE, 3, rows[i].protection);
		tap_row("protection %d", rows[i].protection);
		if (rows[i].protect == PAGE_READWRITE) {
			check_run(base + 2 * PAGE, base, 3, PAGE_READWRITE,
				  PAGE_READWRITE, MEM_PRIVATE);
		} else {
			check_run(base + 2 * PAGE, base + PAGE, 2, rows[i].protect,
				  rows[i].protect, MEM_PRIVATE);
			check_run(base, base, 1, PAGE_READWRITE, PAGE_READWRITE,
				  MEM_PRIVATE);
		}
		unmap(base, 5);
	}
}

static void a_file_is_one_allocation_whatever_its_parts_allow(void)
{
	int file = temporary_file(6);
	uintptr_t base = map_pages(6, PROT_READ, file);

	set_protection(base + 2 * PAGE, 2, READ_WRITE);
	check_run(base, base, 2, PAGE_READONLY, PAGE_READONLY, MEM_MAPPED);
	check_run(base + 3 * PAGE, base, 1, PAGE_READWRITE, PAGE_READONLY, MEM_MAPPED);
	check_run(base + 5 * PAGE, base, 1, PAGE_READONLY, PAGE_READONLY, MEM_MAPPED);
	set_protection(base + 4 * PAGE, 1, PROT_READ | PROT_EXEC);
	/* One that may be executed in any part is an image. */
	check_run(base, base, 2, PAGE_READONLY, PAGE_READONLY, MEM_IMAGE);
	check_run(base + 4 * PAGE, base, 1, PAGE_EXECUTE_READ, PAGE_READONLY, MEM_IMAGE);
	unmap(base, 6);
	CHECK_INT(close(file), 0);
}

static void neighbours_of_one_access_are_one_run(void)
{
	int file = temporary_file(8);
	uintptr_t base = map_pages(4, PROT_READ, file);

	/* Another place of the file, so that the kernel has two mappings. */
	CHECK(mmap((void *)(base + 2 * PAGE), 2 * PAGE, PROT_READ,
		   MAP_FIXED | MAP_PRIVATE, file, 6 * (off_t)PAGE) != MAP_FAILED);
	check_run(base, base, 4, PAGE_READONLY, PAGE_READONLY, MEM_MAPPED);
	check_run(base + PAGE, base, 3, PAGE_READONLY, PAGE_READONLY, MEM_MAPPED);
	unmap(base, 4);
	CHECK_INT(close(file), 0);
}

static void free_memory_reaches_to_the_next_mapping(void)
{
	uintptr_t base = map_pages(9, PROT_READ, -1);
	MEMORY_BASIC_INFORMATION info;

	unmap(base + 2 * PAGE, 5);
	check_run(base + 2 * PAGE, 0, 5, PAGE_NOACCESS, 0, 0);
	check_run(base + 4 * PAGE, 0, 3, PAGE_NOACCESS, 0, 0);
	check_run(base + PAGE, base, 1, PAGE_READONLY, PAGE_READONLY, MEM_PRIVATE);
	CHECK_HR(hm_foreign_query(NULL, 0, &info), S_OK);
	CHECK_U32(info.State, MEM_FREE);
	CHECK(info.RegionSize != 0 && info.RegionSize % PAGE == 0);
	unmap(base, 2);
	unmap(base + 7 * PAGE, 2);
}

static void beyond_user_space_only_what_is_mapped_is_told(void)
{
	static const struct {
		uintptr_t page;
		HRESULT want;
	} rows[] = {
		{ HM_USER_END - PAGE, S_OK },
		{ HM_USER_END, E_INVALIDARG },
		{ HM_SYSTEM_END - PAGE, E_INVALIDARG },
		{ HM_SYSTEM_END, E_INVALIDARG },
		{ (uintptr_t)1 << 63, E_INVALIDARG },
		{ UINTPTR_MAX - PAGE + 1, E_INVALIDARG },
	};
	MEMORY_BASIC_INFORMATION info;

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%zx", (size_t)rows[i].page);
		if (hm_foreign_query(NULL, rows[i].page, &info) == S_OK &&
		    info.State == MEM_COMMIT)
			continue; /* this system has a stack there */
		CHECK_HR(hm_foreign_query(NULL, rows[i].page, &info), rows[i].want);
	}
}

static void a_region_cuts_what_the_kernel_has_merged(void)
{
	uintptr_t base = map_pages(9, READ_WRITE, -1);
	struct hm_region *region = enter(base + 3 * PAGE, 3, HM_REGION_LIVE);

	check_run(base + PAGE, base, 2, PAGE_READWRITE, PAGE_READWRITE, MEM_PRIVATE);
	check_run(base + 6 * PAGE, base + 6 * PAGE, 3, PAGE_READWRITE, PAGE_READWRITE,
		  MEM_PRIVATE);
	leave(region);
	check_run(base + PAGE, base, 8, PAGE_READWRITE, PAGE_READWRITE, MEM_PRIVATE);
	unmap(base, 9);
}

/* The kernel does not tell a guarded page from another, and here calls all read-write. */
static void a_region_of_another_host_has_the_access_of_its_states(void)
{
	static const struct {
		DWORD protect; /* 0 = reserved */
		DWORD want;
	} rows[] = {
		{ PAGE_READWRITE, PAGE_READWRITE },
		{ PAGE_READONLY, PAGE_READONLY },
		{ PAGE_EXECUTE_READ, PAGE_EXECUTE_READ },
		{ PAGE_NOACCESS, PAGE_NOACCESS },
		{ 0, PAGE_NOACCESS },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t base = map_pages(9, READ_WRITE, -1);
		unsigned code = rows[i].protect != 0
					? hm_code_from_protection(rows[i].protect)
					: HM_STATE_RESERVED;
		struct hm_region *region = enter_with(base + 3 * PAGE, 3, code,
						      HM_REGION_LIVE);

		tap_row("0x%x", rows[i].protect);
		check_run(base + 4 * PAGE, base + 3 * PAGE, 2, rows[i].want, rows[i].want,
			  MEM_PRIVATE);
		leave(region);
		unmap(base, 9);
	}
}

static void what_is_leaving_is_free_already(void)
{
	static const enum hm_region_phase phases[] = { HM_REGION_LEAVING,
						       HM_REGION_PARKED };

	for (size_t i = 0; i < ROWS(phases); i++) {
		uintptr_t base = map_pages(9, READ_WRITE, -1);
		struct hm_region *region = enter(base + 3 * PAGE, 3, HM_REGION_LEAVING);
		DWORD old;

		tap_row("phase %d", phases[i]);
		hm_region_set_phase(region, phases[i]);
		check_run(base + 4 * PAGE, 0, 2, PAGE_NOACCESS, 0, 0);
		check_run(base, base, 3, PAGE_READWRITE, PAGE_READWRITE, MEM_PRIVATE);
		/* Free memory has no protection that could be changed. */
		CHECK_HR(protect_pages(base + 4 * PAGE, 1, PAGE_READONLY, &old),
			 BAD_ADDRESS);
		CHECK_HR(protect_pages(base + 2 * PAGE, 2, PAGE_READONLY, &old),
			 BAD_ADDRESS);
		leave(region);
		unmap(base, 9);
	}
}

static struct hm_region *arriving; /* until the system is asked */

static void arrive(void)
{
	if (arriving != NULL)
		hm_region_set_phase(arriving, HM_REGION_LIVE);
	arriving = NULL;
}

static int arrive_and_control(int file, unsigned long request, void *argument)
{
	arrive();
	return kept.control(file, request, argument);
}

static long arrive_and_read(int file, void *buffer, size_t size)
{
	arrive();
	return kept.read(file, buffer, size);
}

/* It was free when it was looked at, and by the time its end is looked for it is not. */
static void what_arrives_meanwhile_is_asked_about_again(void)
{
	uintptr_t base = map_pages(3, READ_WRITE, -1);
	struct hm_region *region = enter(base, 3, HM_REGION_ARRIVING);
	MEMORY_BASIC_INFORMATION info;

	kept = hm_system;
	hm_system.control = arrive_and_control;
	hm_system.read = arrive_and_read;
	arriving = region;
	CHECK_HR(hm_foreign_query(NULL, base, &info), S_FALSE);
	CHECK(arriving == NULL);
	hm_system = kept;
	leave(region);
	unmap(base, 3);
}

static void the_protection_of_an_allocation_is_changed_for_real(void)
{
	uintptr_t base = map_pages(5, READ_WRITE, -1);
	DWORD old;

	CHECK_HR(protect_pages(base + PAGE, 2, PAGE_READONLY, &old), S_OK);
	CHECK_U32(old, PAGE_READWRITE);
	check_run(base + PAGE, base + PAGE, 2, PAGE_READONLY, PAGE_READONLY, MEM_PRIVATE);
	CHECK_HR(protect_pages(base + PAGE, 2, PAGE_NOACCESS, &old), S_OK);
	CHECK_U32(old, PAGE_READONLY);
	CHECK_HR(protect_pages(base + PAGE, 2, PAGE_READWRITE, &old), S_OK);
	CHECK_U32(old, PAGE_NOACCESS);
	check_run(base, base, 5, PAGE_READWRITE, PAGE_READWRITE, MEM_PRIVATE);
	unmap(base, 5);
}

static void what_may_not_be_changed_is_refused(void)
{
	uintptr_t base = map_pages(9, READ_WRITE, -1);
	struct hm_region *region = enter(base + 5 * PAGE, 2, HM_REGION_LIVE);
	void *record = hm_metadata_alloc(64);
	uintptr_t records = hm_round_down((uintptr_t)record, PAGE);
	const struct {
		const char *name;
		uintptr_t page;
		size_t pages;
		DWORD protect;
		HRESULT want;
	} rows[] = {
		{ "another host's", base + 5 * PAGE, 1, PAGE_READONLY,
		  HOST_E_INVALIDOPERATION },
		{ "our records", records, 1, PAGE_READONLY, HOST_E_INVALIDOPERATION },
		{ "up to another host's", base, 6, PAGE_READONLY, BAD_ADDRESS },
		{ "two allocations", base + 7 * PAGE, 3, PAGE_READONLY, BAD_ADDRESS },
		{ "free memory", base - PAGE, 1, PAGE_READONLY, BAD_ADDRESS },
		{ "guard", base, 1, PAGE_READONLY | PAGE_GUARD, NOT_SUPPORTED },
		{ "guard of free memory", base - PAGE, 1, PAGE_READONLY | PAGE_GUARD,
		  BAD_ADDRESS },
		{ "beyond user space", HM_SYSTEM_END - PAGE, 1, PAGE_READONLY,
		  E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		DWORD old;

		tap_row("%s", rows[i].name);
		CHECK_HR(protect_pages(rows[i].page, rows[i].pages, rows[i].protect,
				       &old),
			 rows[i].want);
		CHECK_U32(old, POISON);
	}
	*(volatile char *)record = 1;
	check_run(base, base, 5, PAGE_READWRITE, PAGE_READWRITE, MEM_PRIVATE);
	hm_metadata_free(record, 64);
	leave(region);
	unmap(base, 9);
}

/* The system refuses the n-th change of access of a range. */
static uintptr_t refused_start, refused_end;
static unsigned changes, refused_change;
static int refusal;

static int refuse_protect(void *address, size_t size, int protection)
{
	if ((uintptr_t)address < refused_start || (uintptr_t)address >= refused_end ||
	    changes++ != refused_change)
		return kept.protect(address, size, protection);
	errno = refusal;
	return -1;
}

static void a_change_that_stops_half_way_is_undone(void)
{
	static const struct {
		int error;
		HRESULT want;
	} rows[] = {
		{ ENOMEM, E_OUTOFMEMORY },
		{ EACCES, E_ACCESSDENIED },
		{ EINVAL, E_ACCESSDENIED },
	};
	int file = temporary_file(6);
	uintptr_t base = map_pages(6, PROT_READ, file);

	kept = hm_system;
	refused_start = base;
	refused_end = base + 6 * PAGE;
	set_protection(base + 2 * PAGE, 2, READ_WRITE);
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (refused_change = 0; refused_change < 3; refused_change++) {
			DWORD old;

			changes = 0;
			refusal = rows[i].error;
			hm_system.protect = refuse_protect;
			tap_row("errno %d of change %u", refusal, refused_change);
			CHECK_HR(protect_pages(base, 6, PAGE_EXECUTE_READ, &old),
				 rows[i].want);
			hm_system = kept;
			CHECK_U32(old, POISON);
			check_run(base, base, 2, PAGE_READONLY, PAGE_READONLY,
				  MEM_MAPPED);
			check_run(base + 2 * PAGE, base, 2, PAGE_READWRITE, PAGE_READONLY,
				  MEM_MAPPED);
		}
	}
	unmap(base, 6);
	CHECK_INT(close(file), 0);
}

/* Taking access away is giving back, for which mappings are kept. */
static void taking_all_access_away_asks_once_more(void)
{
	uintptr_t base = map_pages(6, READ_WRITE, -1);
	DWORD old;

	kept = hm_system;
	refused_start = base;
	refused_end = base + 6 * PAGE;
	changes = refused_change = 0;
	refusal = ENOMEM;
	hm_system.protect = refuse_protect;
	CHECK(hm_spare_keep());
	CHECK_HR(protect_pages(base, 6, PAGE_NOACCESS, &old), S_OK);
	CHECK_U32(changes, 2);
	hm_system = kept;
	check_run(base, base, 6, PAGE_NOACCESS, PAGE_NOACCESS, MEM_PRIVATE);
	unmap(base, 6);
}

static int refuse_open(const char *path, int flags)
{
	(void)path, (void)flags;
	errno = EMFILE;
	return -1;
}

/* Runs before any other test, as the list stays open once it is. */
static void without_the_systems_list_there_is_no_answer(void)
{
	MEMORY_BASIC_INFORMATION info;
	DWORD old;

	kept = hm_system;
	hm_system.open = refuse_open;
	CHECK_HR(hm_foreign_query(NULL, (uintptr_t)&someone & ~(PAGE - 1), &info),
		 E_OUTOFMEMORY);
	CHECK_HR(hm_foreign_query(NULL, FAKE_BASE, &info), E_OUTOFMEMORY);
	CHECK_HR(protect_pages(FAKE_BASE, 1, PAGE_READONLY, &old), E_OUTOFMEMORY);
	CHECK_U32(old, POISON);
	hm_system = kept;
	CHECK_HR(hm_foreign_query(NULL, (uintptr_t)&someone & ~(PAGE - 1), &info), S_OK);
}

int main(void)
{
	TAP_RUN(without_the_systems_list_there_is_no_answer);
	TAP_RUN(anonymous_memory_is_private_and_one_allocation_per_mapping);
	TAP_RUN(a_file_is_one_allocation_whatever_its_parts_allow);
	TAP_RUN(neighbours_of_one_access_are_one_run);
	TAP_RUN(free_memory_reaches_to_the_next_mapping);
	TAP_RUN(beyond_user_space_only_what_is_mapped_is_told);
	TAP_RUN(a_region_cuts_what_the_kernel_has_merged);
	TAP_RUN(a_region_of_another_host_has_the_access_of_its_states);
	TAP_RUN(what_is_leaving_is_free_already);
	TAP_RUN(what_arrives_meanwhile_is_asked_about_again);
	TAP_RUN(the_protection_of_an_allocation_is_changed_for_real);
	TAP_RUN(what_may_not_be_changed_is_refused);
	TAP_RUN(a_change_that_stops_half_way_is_undone);
	TAP_RUN(taking_all_access_away_asks_once_more);
	return tap_done();
}
