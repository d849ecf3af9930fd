/*
 * More mappings than the kernel has: a runtime that maps page by page has them grow together
 * without a host, and must not end at vm.max_map_count under one.
 */
#include <hostmem/attach.h>

#include "hostmem/arenapages.h"
#include "hostmem/arenas.h"
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

static bool make_all(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		tap_row("mapping %u", i);
		pages[i] = HostMemMmap(NULL, PAGE, RW, NEW, -1, 0);
		if (!CHECK(pages[i] != MAP_FAILED))
			return false;
		CHECK_INT(*pages[i], 0);
		*pages[i] = i;
	}
	return true;
}

static void more_mappings_than_the_kernel_has_are_made_and_given_back(void)
{
	HostMemUsage before = HOSTMEM_USAGE_INIT, usage = HOSTMEM_USAGE_INIT;

	CHECK_HR(IHostMemoryControl_GetUsage(host, &before), S_OK);
	if (!make_all())
		return;
	CHECK_HR(IHostMemoryControl_GetUsage(host, &usage), S_OK);
	CHECK_SIZE(usage.cbCommitted - before.cbCommitted, MANY * PAGE);
	CHECK_SIZE(usage.cFailedOs, 0);
	for (unsigned i = 0; i < MANY; i++) {
		tap_row("mapping %u", i);
		CHECK_SIZE(*pages[i], i);
		/* Every fourth loses its access, and its contents stay. */
		if (i % 4 == 0) {
			CHECK_INT(HostMemMprotect(pages[i], PAGE, PROT_READ), 0);
			CHECK_SIZE(*pages[i], i);
		}
		CHECK_INT(HostMemMunmap(pages[i], PAGE), 0);
	}
	CHECK_HR(IHostMemoryControl_GetUsage(host, &usage), S_OK);
	CHECK_SIZE(usage.cbCharged, before.cbCharged);
	CHECK_SIZE(usage.cRegions, before.cRegions);
}

/* An arena is no place for it; and what cannot be had has changed nothing. */
static void a_file_over_the_last_of_them_is_refused_whole(void)
{
	int file = open("/proc/self/exe", O_RDONLY);
	void *over;

	if (!CHECK(file >= 0) || !make_all())
		return;
	errno = 0;
	over = HostMemMmap(pages[MANY - 1], PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED,
			   file, 0);
	CHECK(over == MAP_FAILED);
	CHECK_INT(errno, ENOMEM);
	CHECK_SIZE(*pages[MANY - 1], MANY - 1);
	for (unsigned i = 0; i < MANY; i++)
		CHECK_INT(HostMemMunmap(pages[i], PAGE), 0);
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
