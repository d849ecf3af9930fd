/*
 * What may be refused to an attached HotSpot: what its collected heap grows by, and large
 * blocks; and that the answer is EINVAL, which it survives.
 *
 * It reserves without access and commits by mapping over that.  Its heap it wants below 32
 * GiB, where references fit in 32 bits; without such references, or where there is no
 * room, it takes the heap from anywhere.
 */
#include <hostmem/attach.h>

#include "test/tap.h"

#include <errno.h>
#include <sys/mman.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
#define RWX (RW | PROT_EXEC)

/* 32 MiB, of which task-critical requests may have 8; and these are in use. */
static bool attach(void)
{
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IUnknown *host;
	bool good;

	budget.cbLimit = 32 * MIB;
	budget.cbHeadroom[eTaskCritical] = 24 * MIB;
	budget.cbHeadroom[eAppDomainCritical] = 24 * MIB;
	config.budget = &budget;
	how.profile = "hotspot";
	good = CHECK_HR(HostMemCreate(&config, &IID_IUnknown, (void **)&host), S_OK) &&
	       CHECK_HR(HostMemAttach(host, &how), S_OK) &&
	       CHECK(HostMemMmap(NULL, 8 * MIB, RW, NEW, -1, 0) != MAP_FAILED);
	IUnknown_Release(host);
	return good;
}

/* An address at which nothing is. */
static void *free_place(size_t size)
{
	unsigned char *base = mmap(NULL, size + 64 * KIB, PROT_NONE, NEW | MAP_NORESERVE,
				   -1, 0);

	CHECK(base != MAP_FAILED);
	CHECK_INT(munmap(base, size + 64 * KIB), 0);
	return base + -(uintptr_t)base % (64 * KIB);
}

/* What comes of so many bytes committed in a new reservation: 0 or an errno. */
static int commit(size_t reserved, bool wanted, size_t size, int protection)
{
	unsigned char *space = wanted ? free_place(reserved) : NULL;
	int error = 0;

	space = HostMemMmap(space, reserved, PROT_NONE, NEW | MAP_NORESERVE, -1, 0);
	if (!CHECK(space != MAP_FAILED))
		return -1;
	if (HostMemMmap(space + 4 * KIB, size, protection, NEW | MAP_FIXED, -1, 0) ==
	    MAP_FAILED)
		error = errno;
	CHECK_INT(HostMemMunmap(space, reserved), 0);
	return error;
}

static void what_its_heap_grows_by_is_refused_and_what_it_needs_is_not(void)
{
	static const struct {
		const char *what;
		size_t reserved;
		bool wanted;
		size_t size;
		int protection, error;
	} rows[] = {
		{ "heap where it is wanted", 32 * MIB, true, MIB, RW, EINVAL },
		{ "by 128 KiB", 32 * MIB, true, 128 * KIB, RW, EINVAL },
		{ "by a page", 32 * MIB, true, 4 * KIB, RW, EINVAL },
		{ "by 100 KiB", 32 * MIB, true, 100 * KIB, RW, EINVAL },
		{ "heap anywhere", 64 * MIB, false, MIB, RW, EINVAL },
		{ "by a page", 64 * MIB, false, 4 * KIB, RW, EINVAL },
		{ "by 100 KiB", 64 * MIB, false, 100 * KIB, RW, EINVAL },
		{ "metaspace", 1024 * MIB, false, 64 * KIB, RW, 0 },
		{ "metaspace, next to the heap", 1024 * MIB, true, 64 * KIB, RW, 0 },
		{ "tables of a heap", 32 * MIB, false, 4 * KIB, RW, 0 },
		{ "by more", 32 * MIB, false, 256 * KIB, RW, 0 },
		{ "of a small one", MIB, false, 100 * KIB, RW, 0 },
		{ "small tables where they are wanted", MIB, true, 4 * KIB, RW, 0 },
		{ "code", 240 * MIB, false, 256 * KIB, RWX, 0 },
		{ "code, next to the heap", 240 * MIB, true, 4 * KIB, RWX, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_row("%s", rows[i].what);
		CHECK_INT(commit(rows[i].reserved, rows[i].wanted, rows[i].size,
				 rows[i].protection),
			  rows[i].error);
	}
}

static int commit_at(unsigned char *address, size_t size)
{
	errno = 0;
	return HostMemMmap(address, size, RW, NEW | MAP_FIXED, -1, 0) == MAP_FAILED
		       ? errno
		       : 0;
}

/* An object may be as large as a unit of metaspace. */
static void who_was_refused_and_asks_for_less_is_still_the_heap(void)
{
	unsigned char *heap = HostMemMmap(free_place(32 * MIB), 32 * MIB, PROT_NONE,
					  NEW | MAP_NORESERVE, -1, 0);

	if (!CHECK(heap != MAP_FAILED))
		return;
	CHECK_INT(commit_at(heap, 192 * KIB), EINVAL);
	CHECK_INT(commit_at(heap, 64 * KIB), EINVAL);
	CHECK_INT(commit_at(heap, 64 * KIB), EINVAL);
	CHECK_INT(commit_at(heap + MIB, 64 * KIB), 0);
	CHECK_INT(commit_at(heap + 2 * MIB, 192 * KIB), EINVAL);
	CHECK_INT(commit_at(heap, 64 * KIB), 0);
	CHECK_INT(HostMemMunmap(heap, 32 * MIB), 0);
}

/* Whoever refuses first looks whether something comes back meanwhile. */
static void a_refusal_after_a_wait_is_no_other_one(void)
{
	HostMemBudget before = HOSTMEM_BUDGET_INIT, budget;
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	IHostMemoryControl *host;
	unsigned char *heap;
	uint64_t refused;

	if (!CHECK_HR(HostMemAttachedHost(&IID_IHostMemoryControl, (void **)&host), S_OK))
		return;
	CHECK_HR(IHostMemoryControl_GetBudget(host, &before), S_OK);
	budget = before;
	budget.msWait[eTaskCritical] = 10;
	CHECK_HR(IHostMemoryControl_SetBudget(host, &budget), S_OK);
	CHECK_INT(commit(32 * MIB, true, MIB, RW), EINVAL);

	/* At a hint, too, it is asked for once. */
	budget.cbLimit = 9 * MIB;
	budget.cbHeadroom[eTaskCritical] = budget.cbHeadroom[eAppDomainCritical] = 0;
	budget.msWait[eProcessCritical] = 10;
	CHECK_HR(IHostMemoryControl_SetBudget(host, &budget), S_OK);
	CHECK_HR(IHostMemoryControl_GetUsage(host, &usage), S_OK);
	refused = usage.cRefusedBudget;
	heap = free_place(4 * MIB);
	errno = 0;
	CHECK(HostMemMmap(heap, 4 * MIB, RW, NEW, -1, 0) == MAP_FAILED);
	CHECK_INT(errno, ENOMEM);
	CHECK_HR(IHostMemoryControl_GetUsage(host, &usage), S_OK);
	CHECK_SIZE(usage.cRefusedBudget, refused + 1);
	CHECK_HR(IHostMemoryControl_SetBudget(host, &before), S_OK);
	(void)IHostMemoryControl_Release(host);
}

static void a_large_block_is_a_direct_buffer(void)
{
	void *block = HostMemMalloc(MIB - 1);

	CHECK(block != NULL);
	HostMemFree(block);
	errno = 0;
	CHECK_POINTER(HostMemMalloc(MIB), NULL);
	CHECK_INT(errno, ENOMEM);
}

/* Which is what HotSpot cannot live without. */
static void at_the_end_of_the_budget_all_is_refused(void)
{
	void *rest = HostMemMmap(NULL, 23 * MIB, RW, NEW, -1, 0);

	CHECK(rest != MAP_FAILED);
	errno = 0;
	CHECK_POINTER(HostMemMmap(NULL, 4 * MIB, RW, NEW, -1, 0), MAP_FAILED);
	CHECK_INT(errno, ENOMEM);
	CHECK_INT(commit(240 * MIB, false, 4 * MIB, RWX), EINVAL);
	CHECK_INT(HostMemMunmap(rest, 23 * MIB), 0);
}

int main(void)
{
	if (attach()) {
		TAP_RUN(what_its_heap_grows_by_is_refused_and_what_it_needs_is_not);
		TAP_RUN(who_was_refused_and_asks_for_less_is_still_the_heap);
		TAP_RUN(a_refusal_after_a_wait_is_no_other_one);
		TAP_RUN(a_large_block_is_a_direct_buffer);
		TAP_RUN(at_the_end_of_the_budget_all_is_refused);
	}
	return tap_done();
}
