/*
 * VirtualQuery on memory that is not the host's: it tells the system's truth.
 */
#include "host.h"
#include "maps.h"

#include <dlfcn.h>
#include <sys/auxv.h>

static struct host host;

static int data = 1;

static void *function_address(void (*function)(void))
{
	void *address;

	memcpy(&address, &function, sizeof(address));
	return address;
}

static void *file_of_pages(size_t pages, int protect, int flags)
{
	int file = memfd_create("conformance", MFD_CLOEXEC);
	void *base = MAP_FAILED;

	if (CHECK(file >= 0) && CHECK(ftruncate(file, (off_t)(pages * PAGE)) == 0))
		base = mmap(NULL, pages * PAGE, protect, flags, file, 0);
	CHECK(base != MAP_FAILED);
	if (file >= 0)
		close(file);
	return base;
}

static void check_truth(const char *what, const void *address)
{
	MEMORY_BASIC_INFORMATION got, want;

	tap_row("%s", what);
	if (!CHECK(maps_truth(address, &want)))
		return;
	CHECK_HR(vm_query(&host, address, &got), S_OK);
	CHECK_POINTER(got.BaseAddress, want.BaseAddress);
	CHECK_POINTER(got.AllocationBase, want.AllocationBase);
	CHECK_U32(got.AllocationProtect, want.AllocationProtect);
	CHECK_SIZE(got.RegionSize, want.RegionSize);
	CHECK_U32(got.State, MEM_COMMIT);
	CHECK_U32(got.Protect, want.Protect);
	CHECK_U32(got.Type, want.Type);
}

static void query_tells_what_the_system_has_mapped(void)
{
	int local = 0;
	void *file = file_of_pages(2, PROT_READ, MAP_SHARED);
	void *alone = pages_alone(3, PROT_READ | PROT_WRITE);
	void *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
	void *libc = dlsym(RTLD_DEFAULT, "qsort");
	void *block = malloc(100);

	check_truth("this thread's stack", &local);
	check_truth("own code", function_address(query_tells_what_the_system_has_mapped));
	check_truth("own constants", "text");
	check_truth("own data", &data);
	check_truth("libc's code", libc);
	check_truth("libc's data", stdout);
	check_truth("the library's code", dlsym(RTLD_DEFAULT, "HostMemCreate"));
	check_truth("libc's heap", block);
	check_truth("a mapped file", file);
	check_truth("an anonymous mapping", alone);
	check_truth("its second page", at(alone, PAGE + 1));
	if (vdso != NULL)
		check_truth("vdso", vdso);
	free(block);
	CHECK(munmap(file, 2 * PAGE) == 0);
	CHECK(munmap(alone, 3 * PAGE) == 0);
}

static void types_of_foreign_memory(void)
{
	int local = 0;
	void *file = file_of_pages(1, PROT_READ, MAP_PRIVATE);
	const struct {
		const char *what;
		const void *address;
		DWORD protect, type;
	} rows[] = {
		{ "stack", &local, PAGE_READWRITE, MEM_PRIVATE },
		{ "own code", function_address(types_of_foreign_memory),
		  PAGE_EXECUTE_READ, MEM_IMAGE },
		{ "libc", dlsym(RTLD_DEFAULT, "qsort"), PAGE_EXECUTE_READ, MEM_IMAGE },
		{ "file", file, PAGE_READONLY, MEM_MAPPED },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		MEMORY_BASIC_INFORMATION info;

		tap_row("%s", rows[i].what);
		CHECK_HR(vm_query(&host, rows[i].address, &info), S_OK);
		CHECK_U32(info.State, MEM_COMMIT);
		CHECK_U32(info.Protect, rows[i].protect);
		CHECK_U32(info.Type, rows[i].type);
		CHECK(info.RegionSize != 0 && info.RegionSize % PAGE == 0);
		CHECK((uintptr_t)info.AllocationBase <= (uintptr_t)info.BaseAddress);
	}
	CHECK(munmap(file, PAGE) == 0);
}

static void an_image_is_one_allocation_from_its_first_mapping_on(void)
{
	void *code = dlsym(RTLD_DEFAULT, "HostMemCreate");
	MEMORY_BASIC_INFORMATION info;
	Dl_info image;

	if (!CHECK(dladdr(code, &image) != 0))
		return;
	CHECK_HR(vm_query(&host, code, &info), S_OK);
	CHECK_POINTER(info.AllocationBase, image.dli_fbase);
	CHECK_U32(info.AllocationProtect, vm_protection(&host, image.dli_fbase));
}

static void protections_are_those_of_the_mapping(void)
{
	static const struct {
		int system;
		DWORD want;
	} rows[] = {
		{ PROT_NONE, PAGE_NOACCESS },
		{ PROT_READ, PAGE_READONLY },
		{ PROT_READ | PROT_WRITE, PAGE_READWRITE },
		{ PROT_READ | PROT_EXEC, PAGE_EXECUTE_READ },
		{ PROT_READ | PROT_WRITE | PROT_EXEC, PAGE_EXECUTE_READWRITE },
		{ PROT_EXEC, PAGE_EXECUTE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = pages_alone(3, rows[i].system);
		MEMORY_BASIC_INFORMATION info;

		tap_row("0x%x", (unsigned)rows[i].system);
		CHECK_HR(vm_query(&host, base + 5, &info), S_OK);
		CHECK_POINTER(info.BaseAddress, base);
		CHECK_POINTER(info.AllocationBase, base);
		CHECK_SIZE(info.RegionSize, 3 * PAGE);
		CHECK_U32(info.State, MEM_COMMIT);
		CHECK_U32(info.Protect, rows[i].want);
		CHECK_U32(info.AllocationProtect, rows[i].want);
		CHECK_U32(info.Type, MEM_PRIVATE);
		CHECK(munmap(base, 3 * PAGE) == 0);
	}
}

static void mappings_of_one_file_are_one_allocation(void)
{
	unsigned char *base = (unsigned char *)file_of_pages(4, PROT_READ, MAP_SHARED);
	MEMORY_BASIC_INFORMATION info;

	CHECK(mprotect(base + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	for (size_t page = 0; page < 4; page++) {
		bool middle = page == 1 || page == 2;

		tap_row("page %zu", page);
		CHECK_HR(vm_query(&host, base + page * PAGE, &info), S_OK);
		CHECK_POINTER(info.AllocationBase, base);
		CHECK_U32(info.AllocationProtect, PAGE_READONLY);
		CHECK_U32(info.Protect, middle ? PAGE_READWRITE : PAGE_READONLY);
		CHECK_SIZE(info.RegionSize, page == 1 ? 2 * PAGE : PAGE);
		CHECK_U32(info.Type, MEM_MAPPED);
	}
	CHECK(munmap(base, 4 * PAGE) == 0);
}

static void anonymous_mappings_are_allocations_of_their_own(void)
{
	unsigned char *base = pages_alone(3, PROT_READ | PROT_WRITE);
	MEMORY_BASIC_INFORMATION info;

	CHECK(mprotect(base + PAGE, PAGE, PROT_READ) == 0);
	for (size_t page = 0; page < 3; page++) {
		tap_row("page %zu", page);
		CHECK_HR(vm_query(&host, base + page * PAGE, &info), S_OK);
		CHECK_POINTER(info.AllocationBase, base + page * PAGE);
		CHECK_SIZE(info.RegionSize, PAGE);
		CHECK_U32(info.AllocationProtect, info.Protect);
	}
	CHECK(munmap(base, 3 * PAGE) == 0);
}

static void a_hole_is_free_up_to_the_next_mapping(void)
{
	unsigned char *base = pages_alone(5, PROT_READ);
	MEMORY_BASIC_INFORMATION info;

	CHECK(munmap(base + PAGE, 3 * PAGE) == 0);
	CHECK_HR(vm_query(&host, base + 2 * PAGE + 1, &info), S_OK);
	CHECK_POINTER(info.BaseAddress, base + 2 * PAGE);
	CHECK_POINTER(info.AllocationBase, NULL);
	CHECK_U32(info.AllocationProtect, 0);
	CHECK_SIZE(info.RegionSize, 2 * PAGE);
	CHECK_U32(info.State, MEM_FREE);
	CHECK_U32(info.Protect, PAGE_NOACCESS);
	CHECK_U32(info.Type, 0);
	CHECK(munmap(base, PAGE) == 0);
	CHECK(munmap(base + 4 * PAGE, PAGE) == 0);
}

/* Win32 has no such addresses, but Linux puts stacks there when it does not randomise. */
static void memory_above_user_space_is_told_if_something_is_there(void)
{
	unsigned char *wanted = (unsigned char *)(USER_END + 2 * PAGE);
	void *base = mmap(wanted, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	MEMORY_BASIC_INFORMATION info;
	DWORD old;

	if (base == MAP_FAILED) {
		check_truth("what is there", wanted);
		return;
	}
	CHECK_POINTER(base, wanted);
	CHECK_HR(vm_query(&host, wanted + PAGE + 7, &info), S_OK);
	CHECK_POINTER(info.BaseAddress, wanted + PAGE);
	CHECK_U32(info.State, MEM_COMMIT);
	CHECK_U32(info.Protect, PAGE_READWRITE);
	CHECK_U32(info.Type, MEM_PRIVATE);
	CHECK(info.RegionSize >= PAGE);
	CHECK_HR(vm_query(&host, wanted - PAGE, &info), E_INVALIDARG);
	CHECK_HR(vm_protect(&host, wanted, PAGE, PAGE_READONLY, &old), S_OK);
	CHECK_U32(old, PAGE_READWRITE);
	CHECK_U32(vm_protection(&host, wanted), PAGE_READONLY);
	CHECK_U32(vm_protection(&host, wanted + PAGE), PAGE_READWRITE);
	CHECK_HR(vm_protect(&host, wanted, PAGE, PAGE_READWRITE, &old), S_OK);
	CHECK(munmap(base, 2 * PAGE) == 0);
	CHECK_HR(vm_query(&host, wanted, &info), E_INVALIDARG);
}

/* For another host in the process they are foreign: all it tells is the system's view. */
static void another_hosts_memory_is_told_as_the_system_sees_it(void)
{
	struct host other;
	MEMORY_BASIC_INFORMATION info;
	unsigned char *base;

	if (!host_create(&other, 0))
		return;
	base = (unsigned char *)vm_new(&other, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&other, base, PAGE, PAGE_READONLY), S_OK);
	CHECK_HR(vm_query(&host, base, &info), S_OK);
	CHECK_POINTER(info.BaseAddress, base);
	CHECK_U32(info.State, MEM_COMMIT);
	CHECK_U32(info.Protect, PAGE_READONLY);
	CHECK_U32(info.Type, MEM_PRIVATE);
	CHECK_SIZE(info.RegionSize, PAGE);
	CHECK_HR(vm_query(&host, base + PAGE, &info), S_OK);
	CHECK_U32(info.State, MEM_COMMIT);
	CHECK_U32(info.Protect, PAGE_NOACCESS);
	CHECK_HR(vm_release(&other, base), S_OK);
	CHECK_U32(vm_state(&host, base), MEM_FREE);
	host_destroy(&other);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(query_tells_what_the_system_has_mapped);
	TAP_RUN(types_of_foreign_memory);
	TAP_RUN(an_image_is_one_allocation_from_its_first_mapping_on);
	TAP_RUN(protections_are_those_of_the_mapping);
	TAP_RUN(mappings_of_one_file_are_one_allocation);
	TAP_RUN(anonymous_mappings_are_allocations_of_their_own);
	TAP_RUN(a_hole_is_free_up_to_the_next_mapping);
	TAP_RUN(memory_above_user_space_is_told_if_something_is_there);
	TAP_RUN(another_hosts_memory_is_told_as_the_system_sees_it);
	host_destroy(&host);
	return tap_done();
}
