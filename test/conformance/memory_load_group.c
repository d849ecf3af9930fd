/*
 * GetMemoryLoad in a control group of the test's own, below the one that it runs in.
 *
 * Where there is no hierarchy with memory, or no right to make a group in it, this is skipped.
 * The group is removed whatever happens to the process in it.
 */
#include "group.h"
#include "host.h"

#define LIMIT (64 * MIB)

/* ---- In it ---- */

static struct host host;

static void ask(DWORD *percent, SIZE_T *available)
{
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, percent, available),
		 S_OK);
}

static void use_memory_there(void)
{
	DWORD before, after;
	SIZE_T left, less;
	char *pages;

	if (!CHECK(write_file(group, "cgroup.procs", "0")) || !host_create(&host, 0))
		return;
	ask(&before, &left);
	CHECK(left <= LIMIT);
	CHECK(left > 40 * MIB);
	pages = vm_new(&host, 32 * MIB, MEM_COMMIT, PAGE_READWRITE);
	memset(pages, 1, 32 * MIB);
	ask(&after, &less);
	CHECK(after >= 50);
	CHECK(after >= before);
	CHECK(less <= left - 28 * MIB);
	CHECK_HR(vm_release(&host, pages), S_OK);
	ask(&after, &less);
	CHECK(after < 50);
	host_destroy(&host);
}

/* The parent has the limit; the child's group has none. */
static void use_memory_below(void)
{
	char inner[sizeof(group) + 8];
	DWORD percent;
	SIZE_T left;

	snprintf(inner, sizeof(inner), "%s/in", group);
	if (!CHECK(mkdir(inner, 0755) == 0))
		return;
	if (CHECK(write_file(inner, "cgroup.procs", "0")) && host_create(&host, 0)) {
		ask(&percent, &left);
		CHECK(left <= LIMIT);
		host_destroy(&host);
	}
}

static void a_group_with_a_limit_counts(void)
{
	if (!make_group(LIMIT))
		return;
	in_child(use_memory_there);
	remove_group();
}

static void so_does_one_above_our_own(void)
{
	char inner[sizeof(group) + 8];

	if (!make_group(LIMIT))
		return;
	in_child(use_memory_below);
	snprintf(inner, sizeof(inner), "%s/in", group);
	for (unsigned i = 0; i < 500 && rmdir(inner) != 0 && errno == EBUSY; i++)
		(void)usleep(10000);
	remove_group();
}

int main(void)
{
	(void)atexit(remove_group);
	TAP_RUN(a_group_with_a_limit_counts);
	TAP_RUN(so_does_one_above_our_own);
	return tap_done();
}
