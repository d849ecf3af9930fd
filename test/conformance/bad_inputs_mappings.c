/*
 * Bad inputs of Needs-, Acquired- and ReleasedVirtualAddressSpace, rows 70 to 72 of the
 * list of bad inputs.
 */
#include "bad_inputs.h"

static void row_70_room_is_only_said_to_be_there_if_it_is(void)
{
	static const struct {
		size_t size;
		bool impossible;
	} rows[] = {
		{ 0, false }, { 1, false }, { (size_t)1 << 63, true }, { SIZE_MAX, true }
	};
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		HRESULT hr =
			IHostMemoryManager_NeedsVirtualAddressSpace(fixture.host.manager,
								    NULL, rows[i].size);

		tap_row("70, NULL, size 0x%zx", rows[i].size);
		CHECK_HR(hr, rows[i].impossible ? E_OUTOFMEMORY : S_OK);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void row_71_an_acquired_mapping_is_counted_once(void)
{
	static const struct {
		const char *what;
		size_t start, size, external;
	} rows[] = {
		{ "size 0", 0x20000000, 0, 0 },
		{ "a range", 0x20000000, 0x3000, 0x3000 },
		{ "size 0 elsewhere", 0x30000000, 0, 0x3000 },
		{ "the same start again", 0x20000000, 0x4000, 0x4000 },
		{ "overlaps a known one", 0x20002000, 0x4000, 0x6000 },
		{ "inside a known one", 0x20003000, 0x1000, 0x6000 },
		{ "NULL", 0, 0x1000, 0x7000 },
	};
	struct fixture fixture;

	if (!fixture_make(&fixture, 0))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("71, %s", rows[i].what);
		CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(
				 fixture.host.manager, at(NULL, rows[i].start),
				 rows[i].size),
			 S_OK);
		CHECK_SIZE(host_usage(&fixture.host).cbExternal, rows[i].external);
		CHECK_SIZE(host_usage(&fixture.host).cbCharged, PAGE + rows[i].external);
	}
	fixture_end(&fixture);
}

static void row_71_garbage_is_accepted_and_never_breaks_the_books(void)
{
	static const struct {
		size_t start, size;
	} rows[] = {
		{ 0x1000, SIZE_MAX },   { SIZE_MAX, 1 },
		{ SIZE_MAX, SIZE_MAX }, { 0xFFFF800000000000, 0x8000000000000000 },
		{ 0, SIZE_MAX },
	};
	struct fixture fixture;
	HostMemUsage before;

	if (!fixture_make(&fixture, 0))
		return;
	before = host_usage(&fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemUsage usage;
		void *base;

		tap_row("71, start 0x%zx, size 0x%zx", rows[i].start, rows[i].size);
		CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(
				 fixture.host.manager, at(NULL, rows[i].start),
				 rows[i].size),
			 S_OK);
		usage = host_usage(&fixture.host);
		CHECK_SIZE(usage.cbCharged - usage.cbExternal, before.cbCharged);
		/* There is no budget, so it keeps nobody from committing. */
		base = vm_new(&fixture.host, PAGE, MEM_COMMIT, PAGE_READWRITE);
		CHECK_HR(vm_release(&fixture.host, base), S_OK);
		CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(
				 fixture.host.manager, at(NULL, rows[i].start)),
			 S_OK);
		CHECK_SIZE(host_usage(&fixture.host).cbExternal, 0);
		CHECK_SIZE(host_usage(&fixture.host).cbCharged, before.cbCharged);
	}
	fixture_end(&fixture);
}

static void row_72_release_of_what_was_not_acquired(void)
{
	static const struct {
		const char *what;
		size_t start;
	} rows[] = {
		{ "NULL", 0 },
		{ "unknown", 0x40000000 },
		{ "inner address", 0x20001000 },
		{ "one byte behind the start", 0x20000001 },
		{ "the end", 0x20003000 },
		{ "kernel half", 0xFFFF800000000000 },
	};
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(fixture.host.manager,
								at(NULL, 0x20000000),
								0x3000),
		 S_OK);
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("72, %s", rows[i].what);
		CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(
				 fixture.host.manager, at(NULL, rows[i].start)),
			 HOST_E_INVALIDOPERATION);
		CHECK_UNCHANGED(&before);
	}
	tap_row("72, twice");
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(fixture.host.manager,
								at(NULL, 0x20000000)),
		 S_OK);
	snapshot_take(&before, &fixture.host);
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(fixture.host.manager,
								at(NULL, 0x20000000)),
		 HOST_E_INVALIDOPERATION);
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

int main(void)
{
	TAP_RUN(row_70_room_is_only_said_to_be_there_if_it_is);
	TAP_RUN(row_71_an_acquired_mapping_is_counted_once);
	TAP_RUN(row_71_garbage_is_accepted_and_never_breaks_the_books);
	TAP_RUN(row_72_release_of_what_was_not_acquired);
	return tap_done();
}
