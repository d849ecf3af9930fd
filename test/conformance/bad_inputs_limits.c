/*
 * Rows 37 and 49 of the list of bad inputs, with the system's real limit: in a child that
 * has used up all the mappings that a process may have (vm.max_map_count).
 */
#include "access.h"
#include "host.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define NEEDS_MAPPINGS_ITSELF 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NEEDS_MAPPINGS_ITSELF 1
#endif
#endif

enum { MOST_MAPPINGS = 300000, REGION_PAGES = 64 };

/* Mappings that a process may have; 0 if there are too many to use them up. */
static size_t most_mappings(void)
{
	unsigned long count = 0;
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu", &count) != 1 || count > MOST_MAPPINGS)
		count = 0;
	fclose(file);
	return count;
}

struct filler {
	unsigned char *base;
	size_t size;
};

/* Makes every other page of a range a mapping of its own until the system refuses. */
static bool filler_fill(struct filler *filler)
{
	filler->size = 2 * (size_t)MOST_MAPPINGS * PAGE;
	filler->base = (unsigned char *)mmap(NULL, filler->size, PROT_NONE,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
					     -1, 0);
	if (!CHECK(filler->base != MAP_FAILED))
		return false;
	for (size_t page = 1; page * PAGE < filler->size; page += 2) {
		if (mprotect(filler->base + page * PAGE, PAGE, PROT_READ) != 0)
			return true;
	}
	CHECK(filler->size == 0); /* no end to them */
	return false;
}

static void filler_empty(struct filler *filler)
{
	CHECK(munmap(filler->base, filler->size) == 0);
}

struct fixture {
	struct host host;
	/* Of 64 pages each.  Every fourth of the region is READONLY, others READWRITE. */
	unsigned char *region, *reserved;
};

static bool fixture_make(struct fixture *fixture)
{
	DWORD old;

	if (!host_create(&fixture->host, 0))
		return false;
	fixture->region = (unsigned char *)vm_new(&fixture->host, REGION_PAGES * PAGE,
						  MEM_COMMIT, PAGE_READWRITE);
	fixture->reserved = (unsigned char *)vm_new(&fixture->host, REGION_PAGES * PAGE,
						    MEM_RESERVE, PAGE_READWRITE);
	for (size_t page = 0; page < REGION_PAGES; page++)
		memset(fixture->region + page * PAGE, (int)page + 1, PAGE);
	for (size_t page = 0; page < REGION_PAGES; page += 4)
		CHECK_HR(vm_protect(&fixture->host, fixture->region + page * PAGE, PAGE,
				    PAGE_READONLY, &old),
			 S_OK);
	return true;
}

/*
 * The call was granted, or refused for lack of memory without leaving a trace; either
 * way the pages are as accessible as the host says.
 */
static void check_either(struct fixture *fixture, HRESULT hr,
			 const struct snapshot *before)
{
	if (hr != S_OK) {
		CHECK_HR(hr, E_OUTOFMEMORY);
		CHECK_UNCHANGED(before);
	}
	for (size_t page = 0; page < REGION_PAGES; page++) {
		unsigned char *address = fixture->region + page * PAGE;
		bool writes = vm_protection(&fixture->host, address) == PAGE_READWRITE;

		CHECK(can_read(address));
		CHECK_INT(can_write(address, (unsigned char)(page + 1)), writes);
	}
}

/* The last of them says whether it has committed a page more. */
static bool row_37_changes(struct fixture *fixture)
{
	struct snapshot before;
	HRESULT hr;
	DWORD old;

	snapshot_take(&before, &fixture->host);
	tap_row("37, protect one page in the middle");
	hr = vm_protect(&fixture->host, fixture->region + 2 * PAGE, PAGE,
			PAGE_EXECUTE_READ, &old);
	CHECK_HR(hr, E_OUTOFMEMORY);
	check_either(fixture, hr, &before);

	tap_row("37, protect many that differ");
	hr = vm_protect(&fixture->host, fixture->region + 5 * PAGE, 52 * PAGE,
			PAGE_EXECUTE_READ, &old);
	check_either(fixture, hr, &before);

	tap_row("37, commit over what is committed");
	snapshot_take(&before, &fixture->host);
	hr = vm_commit(&fixture->host, fixture->region + 2 * PAGE, 60 * PAGE,
		       PAGE_READONLY);
	check_either(fixture, hr, &before);

	tap_row("37, commit in the middle of reserved pages");
	snapshot_take(&before, &fixture->host);
	hr = vm_commit(&fixture->host, fixture->reserved + 7 * PAGE, PAGE,
		       PAGE_READWRITE);
	check_either(fixture, hr, &before);
	return hr == S_OK;
}

static void row_49_frees(struct fixture *fixture, bool one_more)
{
	size_t left = (REGION_PAGES - 1 + (one_more ? 1U : 0U)) * PAGE;

	tap_row("49, decommit");
	CHECK_HR(vm_free(&fixture->host, fixture->region + 6 * PAGE, PAGE, MEM_DECOMMIT),
		 S_OK);
	CHECK_U32(vm_state(&fixture->host, fixture->region + 6 * PAGE), MEM_RESERVE);
	CHECK_SIZE(host_usage(&fixture->host).cbCommitted, left);
	CHECK_SIZE(host_usage(&fixture->host).cbCharged, left);
	tap_row("49, release");
	CHECK_HR(vm_release(&fixture->host, fixture->reserved), S_OK);
}

static void with_no_mapping_left(void)
{
	struct fixture fixture;
	struct filler filler;

	if (!fixture_make(&fixture) || !filler_fill(&filler))
		return;
	row_49_frees(&fixture, row_37_changes(&fixture));
	tap_row("afterwards");
	filler_empty(&filler);
	CHECK_HR(vm_commit(&fixture.host, fixture.region + 6 * PAGE, PAGE,
			   PAGE_READWRITE),
		 S_OK);
	CHECK_INT(fixture.region[6 * PAGE], 0);
	CHECK_INT(fixture.region[6 * PAGE - 1], 6);
	CHECK_INT(fixture.region[7 * PAGE], 8);
	CHECK_HR(vm_release(&fixture.host, fixture.region), S_OK);
	CHECK_SIZE(host_usage(&fixture.host).cbReserved, 0);
	host_destroy(&fixture.host);
}

static void rows_37_and_49_at_the_limit_of_mappings(void)
{
	int status = 0;
	pid_t child;

#ifdef NEEDS_MAPPINGS_ITSELF
	tap_skip("the thread sanitizer cannot do without mappings");
	return;
#endif
	if (most_mappings() == 0) {
		tap_skip("vm.max_map_count is too high to be reached");
		return;
	}
	child = fork();
	if (child == 0) {
		with_no_mapping_left();
		_exit(tap_failed());
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(status, 0);
}

int main(void)
{
	access_install();
	TAP_RUN(rows_37_and_49_at_the_limit_of_mappings);
	return tap_done();
}
