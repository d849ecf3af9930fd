/*
 * Bad inputs of VirtualQuery and VirtualProtect, rows 52 to 62 of the list of bad inputs.
 */
#include "bad_inputs.h"
#include "maps.h"

#include <pthread.h>
#include <stdatomic.h>

/* A buffer of VirtualQuery with room behind it. */
union buffer {
	MEMORY_BASIC_INFORMATION info;
	unsigned char bytes[sizeof(MEMORY_BASIC_INFORMATION) + 64];
};

/* Whether the buffer is as it was poisoned, from a byte on. */
static bool untouched_from(const union buffer *buffer, size_t first)
{
	for (size_t byte = first; byte < sizeof(buffer->bytes); byte++) {
		if (buffer->bytes[byte] != POISON_BYTE)
			return false;
	}
	return true;
}

static HRESULT query(const struct fixture *fixture, const void *address, size_t length,
		     union buffer *buffer, SIZE_T *result)
{
	memset(buffer, POISON_BYTE, sizeof(*buffer));
	*result = POISON_SIZE;
	return IHostMemoryManager_VirtualQuery(fixture->host.manager, at(address, 0),
					       buffer, length, result);
}

static void row_52_no_out_pointer_clears_the_other(void)
{
	static const size_t lengths[] = { 48, 0, 47, SIZE_MAX };
	struct fixture fixture;
	struct snapshot before;
	union buffer buffer;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(lengths); i++) {
		SIZE_T result = POISON_SIZE;

		tap_row("52, length %zu", lengths[i]);
		CHECK_HR(IHostMemoryManager_VirtualQuery(fixture.host.manager,
							 fixture.hole, NULL, lengths[i],
							 &result),
			 E_POINTER);
		CHECK_SIZE(result, 0);
		memset(&buffer, POISON_BYTE, sizeof(buffer));
		CHECK_HR(IHostMemoryManager_VirtualQuery(fixture.host.manager,
							 fixture.hole, &buffer,
							 lengths[i], NULL),
			 E_POINTER);
		CHECK(untouched_from(&buffer, 0));
		CHECK_HR(IHostMemoryManager_VirtualQuery(fixture.host.manager,
							 fixture.hole, NULL, lengths[i],
							 NULL),
			 E_POINTER);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void rows_53_and_54_lengths_of_the_buffer(void)
{
	static const struct {
		int number;
		size_t length;
		HRESULT want;
	} rows[] = {
		{ 53, 0, HR_BAD_LENGTH },  { 53, 1, HR_BAD_LENGTH },
		{ 53, 27, HR_BAD_LENGTH }, { 53, 28, HR_BAD_LENGTH },
		{ 53, 40, HR_BAD_LENGTH }, { 53, 47, HR_BAD_LENGTH },
		{ 54, 48, S_OK },          { 54, 49, S_OK },
		{ 54, 4096, S_OK },        { 54, SIZE_MAX, S_OK },
	};
	struct fixture fixture;
	int local = 0;
	union buffer buffer;
	SIZE_T result;

	if (!fixture_make(&fixture, 0))
		return;
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		const void *address = i % 2 == 0 ? (const void *)(fixture.hole + UNIT)
						 : &local;
		size_t row = i / 2;
		bool good = rows[row].want == S_OK;

		tap_row("%d, length %zu, %s", rows[row].number, rows[row].length,
			i % 2 == 0 ? "ours" : "foreign");
		CHECK_HR(query(&fixture, address, rows[row].length, &buffer, &result),
			 rows[row].want);
		CHECK_SIZE(result, good ? 48 : 0);
		CHECK(untouched_from(&buffer, good ? 48 : 0));
		if (good)
			CHECK_U32(buffer.info.State, MEM_COMMIT);
	}
	fixture_end(&fixture);
}

static void row_55_addresses_beyond_user_space(void)
{
	static const uintptr_t rows[] = { 0x7FFFFFFF0000,     0x7FFFFFFFE000,
					  0x7FFFFFFFF000,     0x7FFFFFFFFFFF,
					  0x800000000000,     0x8000000000000000,
					  0xFFFF800000000000, UINTPTR_MAX };
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		MEMORY_BASIC_INFORMATION mapped;
		union buffer buffer;
		SIZE_T result;

		tap_row("55, 0x%zx", (size_t)rows[i]);
		/* Without randomised addresses the stack is there. */
		if (maps_truth((const void *)rows[i], &mapped))
			continue;
		CHECK_HR(query(&fixture, (const void *)rows[i], 48, &buffer, &result),
			 E_INVALIDARG);
		CHECK_SIZE(result, 0);
		CHECK(untouched_from(&buffer, 0));
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void row_56_foreign_and_free_memory_is_told(void)
{
	struct fixture fixture;
	int local = 0;
	const struct {
		const char *what;
		const void *address;
	} rows[] = {
		{ "stack", &local },
		{ "libc", stdout },
		{ "own text", "text" },
		{ "NULL", NULL },
		{ "below 64 KiB", (const void *)(uintptr_t)0x8000 },
		{ "end of user space", (const void *)(USER_END - 1) },
	};

	if (!fixture_make(&fixture, 0))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		MEMORY_BASIC_INFORMATION info;

		tap_row("56, %s", rows[i].what);
		CHECK_HR(vm_query(&fixture.host, rows[i].address, &info), S_OK);
		CHECK(info.RegionSize != 0);
		CHECK_POINTER(info.BaseAddress, at(NULL, page_of(rows[i].address)));
	}
	fixture_end(&fixture);
}

struct race {
	const struct host *host;
	void *base;
	atomic_int done;
};

static void *allocate_and_release(void *state)
{
	struct race *race = (struct race *)state;

	for (int round = 0; round < 3000; round++) {
		void *base;

		CHECK_HR(vm_alloc(race->host, race->base, UNIT, MEM_RESERVE,
				  PAGE_READONLY, &base),
			 S_OK);
		CHECK_HR(vm_commit(race->host, race->base, UNIT, PAGE_READWRITE), S_OK);
		CHECK_HR(vm_release(race->host, race->base), S_OK);
	}
	atomic_store(&race->done, 1);
	return NULL;
}

/* One of the three states that there are, each whole. */
static void check_whole(const MEMORY_BASIC_INFORMATION *info, void *base)
{
	CHECK_POINTER(info->BaseAddress, base);
	if (info->State == MEM_FREE) {
		CHECK_POINTER(info->AllocationBase, NULL);
		CHECK_U32(info->Protect, PAGE_NOACCESS);
		CHECK(info->RegionSize != 0);
		return;
	}
	CHECK_POINTER(info->AllocationBase, base);
	CHECK_SIZE(info->RegionSize, UNIT);
	CHECK_U32(info->Type, MEM_PRIVATE);
	if (info->State == MEM_RESERVE)
		CHECK_U32(info->Protect, 0);
	else if (info->Protect != PAGE_NOACCESS)
		/* Mapped and not entered yet it is foreign, and NOACCESS. */
		CHECK_U32(info->Protect, PAGE_READWRITE);
}

static void row_57_a_query_beside_a_release_is_never_torn(void)
{
	struct fixture fixture;
	struct race race = { .host = &fixture.host };
	pthread_t thread;

	if (!fixture_make(&fixture, 0))
		return;
	race.base = fixture.hole + 5 * UNIT;
	atomic_init(&race.done, 0);
	tap_row("57");
	CHECK(pthread_create(&thread, NULL, allocate_and_release, &race) == 0);
	while (atomic_load(&race.done) == 0) {
		MEMORY_BASIC_INFORMATION info;

		CHECK_HR(vm_query(&fixture.host, race.base, &info), S_OK);
		check_whole(&info, race.base);
	}
	CHECK(pthread_join(thread, NULL) == 0);
	fixture_end(&fixture);
}

static void row_58_no_old_protection(void)
{
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	tap_row("58");
	CHECK_HR(IHostMemoryManager_VirtualProtect(fixture.host.manager,
						   fixture.hole + UNIT, PAGE,
						   PAGE_READONLY, NULL),
		 E_POINTER);
	CHECK_HR(IHostMemoryManager_VirtualProtect(fixture.host.manager, NULL, 0, 0,
						   NULL),
		 E_POINTER);
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

static void rows_59_to_61_bad_ranges_and_protections(void)
{
	static const struct {
		const char *what;
		size_t offset, size;
		DWORD protect;
		HRESULT want;
	} rows[] = {
		{ "59, size 0", 0x10000, 0, PAGE_READONLY, E_INVALIDARG },
		{ "59, size 0, unaligned", 0x10123, 0, PAGE_READONLY, E_INVALIDARG },
		{ "59, wraps", 0x10000, SIZE_MAX, PAGE_READONLY, E_INVALIDARG },
		{ "59, wraps when rounded", 0x10001, SIZE_MAX - 0x1000, PAGE_READONLY,
		  E_INVALIDARG },
		{ "59, leaves user space", 0x10000, 0x7FFFFFFF0000, PAGE_READONLY,
		  E_INVALIDARG },
		{ "59b, across two", 0x2F000, 0x2000, PAGE_READONLY, HR_INVALID_ADDRESS },
		{ "59b, ends past one", 0x32000, 0x1001, PAGE_READONLY,
		  HR_INVALID_ADDRESS },
		{ "59b, free", 0, 0x1000, PAGE_READONLY, HR_INVALID_ADDRESS },
		{ "59b, free and ours", 0xF000, 0x2000, PAGE_READONLY,
		  HR_INVALID_ADDRESS },
		{ "60, an uncommitted page behind", 0x10000, 0x1001, PAGE_READONLY,
		  HR_INVALID_ADDRESS },
		{ "60, uncommitted", 0x11000, 0x1000, PAGE_READONLY, HR_INVALID_ADDRESS },
		{ "60, all", 0x10000, 0x20000, PAGE_READONLY, HR_INVALID_ADDRESS },
		{ "61, 0", 0x10000, 0x1000, 0, E_INVALIDARG },
		{ "61, two", 0x10000, 0x1000, PAGE_READONLY | PAGE_READWRITE,
		  E_INVALIDARG },
		{ "61, WRITECOPY", 0x10000, 0x1000, PAGE_WRITECOPY, E_INVALIDARG },
		{ "61, EXECUTE_WRITECOPY", 0x10000, 0x1000, PAGE_EXECUTE_WRITECOPY,
		  E_INVALIDARG },
		{ "61, GUARD alone", 0x10000, 0x1000, PAGE_GUARD, E_INVALIDARG },
	};
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		DWORD old;

		tap_row("%s", rows[i].what);
		CHECK_HR(vm_protect(&fixture.host, fixture.hole + rows[i].offset,
				    rows[i].size, rows[i].protect, &old),
			 rows[i].want);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

/* Addresses beyond user space where nothing is mapped. */
static void row_59_addresses_beyond_user_space(void)
{
	static const uintptr_t rows[] = { 0x800000000000, 0xFFFF800000000000,
					  0xFFFFFFFFFFFFF000, UINTPTR_MAX };
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		DWORD old;

		tap_row("59, 0x%zx", (size_t)rows[i]);
		CHECK_HR(vm_protect(&fixture.host, at(NULL, rows[i]), 1, PAGE_READONLY,
				    &old),
			 E_INVALIDARG);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void row_62_the_librarys_own_pages(void)
{
	struct fixture fixture;
	struct snapshot before;
	DWORD old;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	tap_row("62");
	CHECK_HR(vm_protect(&fixture.host, fixture.host.manager, 1, PAGE_NOACCESS, &old),
		 HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_protect(&fixture.host, fixture.host.manager, 1, PAGE_READWRITE, &old),
		 HOST_E_INVALIDOPERATION);
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

int main(void)
{
	TAP_RUN(row_52_no_out_pointer_clears_the_other);
	TAP_RUN(rows_53_and_54_lengths_of_the_buffer);
	TAP_RUN(row_55_addresses_beyond_user_space);
	TAP_RUN(row_56_foreign_and_free_memory_is_told);
	TAP_RUN(row_57_a_query_beside_a_release_is_never_torn);
	TAP_RUN(row_58_no_old_protection);
	TAP_RUN(rows_59_to_61_bad_ranges_and_protections);
	TAP_RUN(row_59_addresses_beyond_user_space);
	TAP_RUN(row_62_the_librarys_own_pages);
	return tap_done();
}
