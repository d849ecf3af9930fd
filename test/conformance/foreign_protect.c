/*
 * VirtualProtect on memory that is not the host's: the system's memory is changed, the
 * library's own and another host's is refused; nothing else touches it.
 */
#include "access.h"
#include "host.h"
#include "maps.h"

static struct host host;

static void protect_and_back(void)
{
	static const struct {
		DWORD protect;
		bool read, write;
	} rows[] = {
		{ PAGE_NOACCESS, false, false },
		{ PAGE_READONLY, true, false },
		{ PAGE_READWRITE, true, true },
		{ PAGE_EXECUTE_READ, true, false },
		{ PAGE_EXECUTE_READWRITE, true, true },
	};
	unsigned char *base = pages_alone(2, PROT_READ | PROT_WRITE);
	DWORD old;

	memset(base, 0x3D, 2 * PAGE);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%x", rows[i].protect);
		CHECK_HR(vm_protect(&host, base, 2 * PAGE, rows[i].protect, &old), S_OK);
		CHECK_U32(old, PAGE_READWRITE);
		CHECK_U32(vm_protection(&host, base), rows[i].protect);
		CHECK_INT(can_read(base), rows[i].read);
		CHECK_INT(can_write(base + 1, 1), rows[i].write);
		CHECK_HR(vm_protect(&host, base, 2 * PAGE, PAGE_READWRITE, &old), S_OK);
		CHECK_U32(old, rows[i].protect);
		CHECK_INT(base[0], 0x3D);
		CHECK_INT(base[2 * PAGE - 1], 0x3D);
	}
	CHECK(munmap(base, 2 * PAGE) == 0);
}

/* What a runtime does to a page of its stack, and to code that it patches. */
static void a_range_of_few_bytes_is_the_pages_it_touches(void)
{
	static const struct {
		size_t offset, size, first, count;
	} rows[] = {
		{ 0, 1, 0, 1 },      { 0x1FFF, 1, 1, 1 }, { 0x1800, 5, 1, 1 },
		{ 0x1FFC, 8, 1, 2 }, { 0x1FFF, 2, 1, 2 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = pages_alone(4, PROT_READ | PROT_EXEC);
		DWORD old;

		tap_row("offset 0x%zx, size %zu", rows[i].offset, rows[i].size);
		CHECK_HR(vm_protect(&host, base + rows[i].offset, rows[i].size,
				    PAGE_EXECUTE_READWRITE, &old),
			 S_OK);
		CHECK_U32(old, PAGE_EXECUTE_READ);
		for (size_t page = 0; page < 4; page++) {
			bool changed = page >= rows[i].first &&
				       page < rows[i].first + rows[i].count;

			CHECK_INT(can_write(base + page * PAGE, 1), changed);
		}
		CHECK_HR(vm_protect(&host, base + rows[i].offset, rows[i].size,
				    PAGE_EXECUTE_READ, &old),
			 S_OK);
		CHECK_U32(old, PAGE_EXECUTE_READWRITE);
		for (size_t page = 0; page < 4; page++)
			CHECK_INT(can_write(base + page * PAGE, 1), false);
		CHECK(munmap(base, 4 * PAGE) == 0);
	}
}

static void one_byte_of_the_stack(void)
{
	unsigned char local[3 * 0x1000];
	void *middle = at(NULL, page_of(&local[sizeof(local) / 2]));
	DWORD old;

	CHECK_HR(vm_protect(&host, middle, 1, PAGE_READWRITE, &old), S_OK);
	CHECK_U32(old, PAGE_READWRITE);
	CHECK_HR(vm_protect(&host, middle, 1, PAGE_READWRITE | PAGE_GUARD, &old),
		 HR_NOT_SUPPORTED);
	CHECK(can_write(middle, 1));
}

static void a_guard_on_foreign_memory_is_not_supported(void)
{
	static const DWORD rows[] = { PAGE_READONLY | PAGE_GUARD,
				      PAGE_READWRITE | PAGE_GUARD,
				      PAGE_EXECUTE_READ | PAGE_GUARD };
	unsigned char *base = pages_alone(2, PROT_READ | PROT_WRITE);
	DWORD old;

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%x", rows[i]);
		CHECK_HR(vm_protect(&host, base, PAGE, rows[i], &old), HR_NOT_SUPPORTED);
		CHECK_RUN(&host, base, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);
		CHECK(can_write(base, 1));
	}
	CHECK(munmap(base, 2 * PAGE) == 0);
}

/* Pages: 0 and 1 READWRITE, 2 READONLY, 3 free, 4 READWRITE, 5 free. */
static void a_range_that_is_not_in_one_allocation_changes_nothing(void)
{
	static const struct {
		const char *what;
		size_t offset, size;
	} rows[] = {
		{ "two mappings", 0x1000, 0x2000 },
		{ "two mappings, 2 bytes", 0x1FFF, 2 },
		{ "a mapping and a hole", 0x2000, 0x2000 },
		{ "a hole", 0x3000, 0x1000 },
		{ "a hole and a mapping", 0x3FFF, 2 },
		{ "past the last mapping", 0x4000, 0x1001 },
		{ "all of it", 0, 0x5000 },
	};
	unsigned char *base = pages_alone(6, PROT_READ | PROT_WRITE);
	DWORD old;

	CHECK(mprotect(base + 2 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(munmap(base + 3 * PAGE, PAGE) == 0);
	CHECK(munmap(base + 5 * PAGE, PAGE) == 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(vm_protect(&host, base + rows[i].offset, rows[i].size,
				    PAGE_EXECUTE_READ, &old),
			 HR_INVALID_ADDRESS);
		CHECK_RUN(&host, base, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);
		CHECK_RUN(&host, base + 2 * PAGE, PAGE, MEM_COMMIT, PAGE_READONLY);
		CHECK_RUN(&host, base + 3 * PAGE, PAGE, MEM_FREE, PAGE_NOACCESS);
		CHECK_RUN(&host, base + 4 * PAGE, PAGE, MEM_COMMIT, PAGE_READWRITE);
	}
	CHECK(munmap(base, 3 * PAGE) == 0);
	CHECK(munmap(base + 4 * PAGE, PAGE) == 0);
}

static void mappings_of_one_file_are_changed_in_one_call(void)
{
	int file = memfd_create("conformance", MFD_CLOEXEC);
	unsigned char *base;
	DWORD old;

	CHECK(ftruncate(file, (off_t)(4 * PAGE)) == 0);
	base = (unsigned char *)mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, file, 0);
	CHECK(close(file) == 0);
	if (!CHECK(base != MAP_FAILED))
		return;
	CHECK(mprotect(base + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK_HR(vm_protect(&host, base, 4 * PAGE, PAGE_READWRITE, &old), S_OK);
	CHECK_U32(old, PAGE_READONLY);
	CHECK_RUN(&host, base, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK(can_write(base + 3 * PAGE, 1));
	CHECK(munmap(base, 4 * PAGE) == 0);
}

/* Each page a mapping of its own, until they are all alike. */
static void any_number_of_mappings_is_changed_in_one_call(void)
{
	static const size_t counts[] = { 31, 32, 33, 255, 256, 257, 1000 };
	int file = memfd_create("conformance", MFD_CLOEXEC);
	unsigned char *base;
	DWORD old;

	CHECK(ftruncate(file, (off_t)(1000 * PAGE)) == 0);
	for (size_t i = 0; i < ROWS(counts); i++) {
		size_t size = counts[i] * PAGE;

		tap_row("%zu mappings", counts[i]);
		base = (unsigned char *)mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
		if (!CHECK(base != MAP_FAILED))
			break;
		for (size_t page = 1; page < counts[i]; page += 2)
			CHECK(mprotect(base + page * PAGE, PAGE, PROT_NONE) == 0);
		CHECK_HR(vm_protect(&host, base, size, PAGE_READWRITE, &old), S_OK);
		CHECK_U32(old, PAGE_READONLY);
		CHECK_RUN(&host, base, size, MEM_COMMIT, PAGE_READWRITE);
		CHECK(munmap(base, size) == 0);
	}
	CHECK(close(file) == 0);
}

/* A shared file that was opened for reading can never be written through a mapping. */
static void what_the_system_forbids_is_access_denied(void)
{
	int file = memfd_create("conformance", MFD_CLOEXEC);
	char path[64];
	unsigned char *base;
	DWORD old;
	int reader;

	CHECK(ftruncate(file, (off_t)(2 * PAGE)) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	base = (unsigned char *)mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, reader, 0);
	CHECK(close(file) == 0);
	CHECK(close(reader) == 0);
	if (!CHECK(base != MAP_FAILED))
		return;
	CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READWRITE, &old), E_ACCESSDENIED);
	CHECK_RUN(&host, base, 2 * PAGE, MEM_COMMIT, PAGE_READONLY);
	CHECK_HR(vm_protect(&host, base, PAGE, PAGE_NOACCESS, &old), S_OK);
	CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READONLY, &old), S_OK);
	CHECK(munmap(base, 2 * PAGE) == 0);
}

/* The objects themselves lie in the library's own records. */
static void the_librarys_own_records_are_refused(void)
{
	static const DWORD rows[] = { PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE,
				      PAGE_EXECUTE_READWRITE };
	struct snapshot before;
	DWORD old;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%x", rows[i]);
		CHECK_HR(vm_protect(&host, host.manager, 1, rows[i], &old),
			 HOST_E_INVALIDOPERATION);
		CHECK_HR(vm_protect(&host, at(NULL, page_of(host.control)), PAGE, rows[i],
				    &old),
			 HOST_E_INVALIDOPERATION);
		CHECK_UNCHANGED(&before);
	}
}

static void another_hosts_memory_is_refused(void)
{
	struct host other;
	struct snapshot before;
	void *base, *out;
	DWORD old;

	if (!host_create(&other, 0))
		return;
	base = vm_new(&other, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&other, base, 4 * PAGE, PAGE_READWRITE), S_OK);
	memset(base, 0x4E, 4 * PAGE);
	snapshot_take(&before, &other);
	CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READONLY, &old),
		 HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_protect(&host, at(base, PAGE), 1, PAGE_NOACCESS, &old),
		 HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_protect(&host, at(base, 8 * PAGE), 1, PAGE_READWRITE, &old),
		 HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_release(&host, base), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_free(&host, base, PAGE, MEM_DECOMMIT), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_alloc(&host, base, PAGE, MEM_RESERVE, PAGE_READWRITE, &out),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), HR_INVALID_ADDRESS);
	CHECK_HR(vm_alloc(&host, base, PAGE, MEM_RESET, PAGE_READWRITE, &out),
		 HR_INVALID_ADDRESS);
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, base, PAGE),
		 HOST_E_INVALIDOPERATION);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_release(&other, base), S_OK);
	host_destroy(&other);
}

/* From our own memory into a foreign mapping behind it, and from one into ours. */
static void a_range_across_our_border_changes_nothing(void)
{
	unsigned char *hole = pages_hole(4 * UNIT);
	struct snapshot before;
	unsigned char *foreign;
	void *base;
	DWORD old;

	CHECK_HR(vm_alloc(&host, hole + UNIT, UNIT, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &base),
		 S_OK);
	foreign = (unsigned char *)mmap(hole + 2 * UNIT, PAGE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
					-1, 0);
	CHECK_POINTER(foreign, hole + 2 * UNIT);
	CHECK_POINTER(mmap(hole + UNIT - PAGE, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
		      hole + UNIT - PAGE);
	memset(base, 0x19, UNIT);
	memset(foreign, 0x20, PAGE);
	snapshot_take(&before, &host);
	CHECK_HR(vm_protect(&host, foreign - PAGE, 2 * PAGE, PAGE_READONLY, &old),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_protect(&host, hole + UNIT - PAGE, 2 * PAGE, PAGE_READONLY, &old),
		 HR_INVALID_ADDRESS);
	CHECK_UNCHANGED(&before);
	CHECK(can_write(foreign, 1));
	CHECK(can_write(hole + UNIT - PAGE, 1));
	/* The system may have made one mapping of them; for us they are two. */
	CHECK_RUN(&host, base, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_RUN(&host, foreign, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_RUN(&host, hole + UNIT - PAGE, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK(munmap(foreign, PAGE) == 0);
	CHECK(munmap(hole + UNIT - PAGE, PAGE) == 0);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void a_strict_host_refuses_writable_code_everywhere(void)
{
	struct host strict;
	unsigned char *base = pages_alone(1, PROT_READ | PROT_EXEC);
	DWORD old;

	if (!host_create(&strict, HOSTMEM_STRICT_EXECUTE))
		return;
	CHECK_HR(vm_protect(&strict, base, 5, PAGE_EXECUTE_READWRITE, &old),
		 E_ACCESSDENIED);
	CHECK_U32(vm_protection(&strict, base), PAGE_EXECUTE_READ);
	host_destroy(&strict);
	CHECK(munmap(base, PAGE) == 0);
}

int main(void)
{
	access_install();
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(protect_and_back);
	TAP_RUN(a_range_of_few_bytes_is_the_pages_it_touches);
	TAP_RUN(one_byte_of_the_stack);
	TAP_RUN(a_guard_on_foreign_memory_is_not_supported);
	TAP_RUN(a_range_that_is_not_in_one_allocation_changes_nothing);
	TAP_RUN(mappings_of_one_file_are_changed_in_one_call);
	TAP_RUN(any_number_of_mappings_is_changed_in_one_call);
	TAP_RUN(what_the_system_forbids_is_access_denied);
	TAP_RUN(the_librarys_own_records_are_refused);
	TAP_RUN(another_hosts_memory_is_refused);
	TAP_RUN(a_range_across_our_border_changes_nothing);
	TAP_RUN(a_strict_host_refuses_writable_code_everywhere);
	host_destroy(&host);
	return tap_done();
}
