/*
 * More mappings than the kernel has: a runtime that maps page by page has them grow together
 * without a host, and must not end at vm.max_map_count under one.
 */
#include <hostmem/attach.h>

#include "hostmem/arenapages.h"
#include "hostmem/arenas.h"
#include "hostmem/attach/chunk.h"
#include "test/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MANY 100000U /* Linux has 65,530 unless it is told otherwise */
#define PAGE ((size_t)4096)
#define RW (PROT_READ | PROT_WRITE)
#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)

static unsigned *pages[MANY];
static IHostMemoryControl *host;

static bool attach(void)
{
	return CHECK_HR(HostMemCreate(NULL, &IID_IHostMemoryControl, (void **)&host),
			S_OK) &&
	       CHECK_HR(HostMemAttach((IUnknown *)host, NULL), S_OK);
}

static bool make_all(size_t size)
{
	for (unsigned i = 0; i < MANY; i++) {
		tap_row("mapping %u of 0x%zx", i, size);
		pages[i] = HostMemMmap(NULL, size, RW, NEW, -1, 0);
		if (!CHECK(pages[i] != MAP_FAILED))
			return false;
		CHECK_INT(*pages[i], 0);
		*pages[i] = i;
	}
	return true;
}

static void give_all_back(size_t size)
{
	for (unsigned i = 0; i < MANY; i++) {
		tap_row("mapping %u of 0x%zx", i, size);
		CHECK_SIZE(*pages[i], i);
		/* Every fourth loses its access, and its contents stay. */
		if (i % 4 == 0) {
			CHECK_INT(HostMemMprotect(pages[i], size, PROT_READ), 0);
			CHECK_SIZE(*pages[i], i);
		}
		CHECK_INT(HostMemMunmap(pages[i], size), 0);
	}
}

/* Of a page they lie side by side; of 17 they are in arenas. */
static void more_mappings_than_the_kernel_has_are_made_and_given_back(void)
{
	HostMemUsage before = HOSTMEM_USAGE_INIT, usage = HOSTMEM_USAGE_INIT;

	CHECK_HR(IHostMemoryControl_GetUsage(host, &before), S_OK);
	for (size_t size = PAGE; size <= 17 * PAGE; size += 16 * PAGE) {
		if (!make_all(size))
			return;
		CHECK_HR(IHostMemoryControl_GetUsage(host, &usage), S_OK);
		CHECK_SIZE(usage.cbCommitted - before.cbCommitted, MANY * size);
		CHECK_SIZE(usage.cFailedOs, 0);
		give_all_back(size);
		CHECK_HR(IHostMemoryControl_GetUsage(host, &usage), S_OK);
		CHECK_SIZE(usage.cbCharged, before.cbCharged);
		/* What is free of the last chunk stays until somebody is in its way. */
		hm_chunk_keep_out(0, UINTPTR_MAX);
		CHECK_HR(IHostMemoryControl_GetUsage(host, &usage), S_OK);
		CHECK_SIZE(usage.cRegions, before.cRegions);
	}
}

/* An arena is no place for it; and what cannot be had has changed nothing. */
static void a_file_over_the_last_of_them_is_refused_whole(void)
{
	const size_t size = 17 * PAGE;
	int file = open("/proc/self/exe", O_RDONLY);
	void *over;

	if (!CHECK(file >= 0) || !make_all(size))
		return;
	errno = 0;
	over = HostMemMmap(pages[MANY - 1], PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED,
			   file, 0);
	CHECK(over == MAP_FAILED);
	CHECK_INT(errno, ENOMEM);
	give_all_back(size);
	(void)close(file);
}

int main(void)
{
	(void)alarm(300);
	if (hm_pages_arenas(hm_pages_choose(0)) != &hm_arenas_with_guards) {
		tap_skip("without guard pages each mapping is one of the kernel's");
	} else if (attach()) {
		TAP_RUN(more_mappings_than_the_kernel_has_are_made_and_given_back);
		TAP_RUN(a_file_over_the_last_of_them_is_refused_whole);
	}
	return tap_done();
}
