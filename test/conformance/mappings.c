/*
 * Needs-, Acquired- and ReleasedVirtualAddressSpace: what a runtime maps by itself.
 */
#include "host.h"

static struct host host;

/* Any addresses: the host counts what it is told and looks at nothing. */
static void *const somewhere = (void *)(uintptr_t)0x10000000;

static HRESULT acquired(size_t offset, size_t size)
{
	return IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager,
							      at(somewhere, offset),
							      size);
}

static HRESULT released(size_t offset)
{
	return IHostMemoryManager_ReleasedVirtualAddressSpace(host.manager,
							      at(somewhere, offset));
}

static HRESULT needs(void *start, size_t size)
{
	return IHostMemoryManager_NeedsVirtualAddressSpace(host.manager, start, size);
}

static void mappings_are_counted_as_external_and_charged(void)
{
	HostMemUsage usage;

	CHECK_HR(acquired(0, 0x5000), S_OK);
	CHECK_HR(acquired(0x100000, 0x1), S_OK);
	usage = host_usage(&host);
	CHECK_SIZE(usage.cbExternal, 0x5001);
	CHECK_SIZE(usage.cbCharged, 0x5001);
	CHECK_SIZE(usage.cbReserved, 0);
	CHECK_SIZE(usage.cbCommitted, 0);
	CHECK_SIZE(usage.cRegions, 0);
	CHECK_HR(released(0), S_OK);
	CHECK_SIZE(host_usage(&host).cbExternal, 1);
	CHECK_HR(released(0x100000), S_OK);
	CHECK_SIZE(host_usage(&host).cbExternal, 0);
	CHECK_SIZE(host_usage(&host).cbCharged, 0);
	CHECK(host_usage(&host).cbPeakCharged >= 0x5001);
}

struct step {
	char what;                     /* 'a'cquired, 'r'eleased; 0 ends */
	size_t offset, size, external; /* counted afterwards */
};

/* Where two overlap the last one wins; what is left of the first is still its own. */
static const struct {
	const char *what;
	struct step steps[6];
} stories[] = {
	{ "the same start again",
	  { { 'a', 0, 0x3000, 0x3000 },
	    { 'a', 0, 0x5000, 0x5000 },
	    { 'a', 0, 0x1000, 0x1000 },
	    { 'r', 0, 0, 0 } } },
	{ "the second covers the end of the first, and goes first",
	  { { 'a', 0, 0x3000, 0x3000 },
	    { 'a', 0x2000, 0x3000, 0x5000 },
	    { 'r', 0x2000, 0, 0x2000 },
	    { 'r', 0, 0, 0 } } },
	{ "... and goes last",
	  { { 'a', 0, 0x3000, 0x3000 },
	    { 'a', 0x2000, 0x3000, 0x5000 },
	    { 'r', 0, 0, 0x3000 },
	    { 'r', 0x2000, 0, 0 } } },
	{ "the second covers the front of the first",
	  { { 'a', 0x2000, 0x3000, 0x3000 },
	    { 'a', 0, 0x3000, 0x5000 },
	    { 'r', 0x2000, 0, 0x3000 },
	    { 'r', 0, 0, 0 } } },
	{ "the second lies in the middle of the first",
	  { { 'a', 0, 0x5000, 0x5000 },
	    { 'a', 0x1000, 0x1000, 0x5000 },
	    { 'r', 0, 0, 0x1000 },
	    { 'r', 0x1000, 0, 0 } } },
	{ "... and goes first",
	  { { 'a', 0, 0x5000, 0x5000 },
	    { 'a', 0x1000, 0x1000, 0x5000 },
	    { 'r', 0x1000, 0, 0x4000 },
	    { 'r', 0, 0, 0 } } },
	{ "the second covers two whole ones",
	  { { 'a', 0x1000, 0x1000, 0x1000 },
	    { 'a', 0x3000, 0x1000, 0x2000 },
	    { 'a', 0, 0x6000, 0x6000 },
	    { 'r', 0, 0, 0 } } },
	{ "neighbours",
	  { { 'a', 0, 0x1000, 0x1000 },
	    { 'a', 0x1000, 0x1000, 0x2000 },
	    { 'r', 0, 0, 0x1000 },
	    { 'r', 0x1000, 0, 0 } } },
};

static void overlapping_mappings_are_counted_once(void)
{
	for (size_t i = 0; i < ROWS(stories); i++) {
		for (const struct step *step = stories[i].steps; step->what != 0;
		     step++) {
			tap_row("%s, step %zu", stories[i].what,
				(size_t)(step - stories[i].steps) + 1);
			CHECK_HR(step->what == 'a' ? acquired(step->offset, step->size)
						   : released(step->offset),
				 S_OK);
			CHECK_SIZE(host_usage(&host).cbExternal, step->external);
			CHECK_SIZE(host_usage(&host).cbCharged, step->external);
		}
	}
}

static void mappings_and_pages_are_charged_together(void)
{
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);

	/* Also where the runtime names memory of ours: it is told, not looked at. */
	CHECK_HR(acquired(0, 0x1000), S_OK);
	CHECK_SIZE(host_usage(&host).cbCharged, UNIT + 0x1000);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(host_usage(&host).cbCharged, 0x1000);
	CHECK_HR(released(0), S_OK);
	CHECK_SIZE(host_usage(&host).cbCharged, 0);
}

static void many_mappings(void)
{
	const size_t count = 2000;

	for (size_t i = 0; i < count; i++)
		CHECK_HR(acquired(i * 0x3000, 0x1000 + i), S_OK);
	CHECK_SIZE(host_usage(&host).cbExternal,
		   count * 0x1000 + count * (count - 1) / 2);
	for (size_t i = 0; i < count; i += 2)
		CHECK_HR(released(i * 0x3000), S_OK);
	for (size_t i = 1; i < count; i += 2)
		CHECK_HR(released(i * 0x3000), S_OK);
	CHECK_SIZE(host_usage(&host).cbExternal, 0);
	CHECK_HR(released(0), HOST_E_INVALIDOPERATION);
}

static void needs_says_yes_only_where_there_is_room(void)
{
	void *hole = host_hole(&host, 2 * UNIT);
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	const struct {
		const char *what;
		void *start;
		size_t size;
		HRESULT want;
	} rows[] = {
		{ "a page anywhere", NULL, PAGE, S_OK },
		{ "1 GiB anywhere", NULL, (size_t)1 << 30, S_OK },
		{ "all of user space", NULL, 0x7FFFFFFF0000, E_OUTOFMEMORY },
		{ "2^63", NULL, (size_t)1 << 63, E_OUTOFMEMORY },
		{ "SIZE_MAX", NULL, SIZE_MAX, E_OUTOFMEMORY },
		{ "where a reservation is", base, PAGE, E_OUTOFMEMORY },
		{ "where the library is", host.manager, PAGE, E_OUTOFMEMORY },
		{ "on the stack", &hole, 1, E_OUTOFMEMORY },
		{ "beyond user space", (void *)USER_END, PAGE, E_OUTOFMEMORY },
		{ "across the end of user space", (void *)(USER_END - PAGE), 2 * PAGE,
		  E_OUTOFMEMORY },
		{ "kernel half", (void *)(uintptr_t)0xFFFF800000000000, PAGE,
		  E_OUTOFMEMORY },
		{ "wraps", (void *)(UINTPTR_MAX - PAGE), 2 * PAGE, E_OUTOFMEMORY },
	};
	struct snapshot before;

	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(needs(rows[i].start, rows[i].size), rows[i].want);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
	tap_row("a free place");
	CHECK_HR(needs(hole, PAGE), S_OK);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(mappings_are_counted_as_external_and_charged);
	TAP_RUN(overlapping_mappings_are_counted_once);
	TAP_RUN(mappings_and_pages_are_charged_together);
	TAP_RUN(many_mappings);
	TAP_RUN(needs_says_yes_only_where_there_is_room);
	host_destroy(&host);
	return tap_done();
}
