/*
 * HostMemConfig.cbRetain: what is kept of released memory, and that nobody notices but by
 * the clock.  When it goes back: retain_limits.c.
 */
#include "access.h"
#include "child.h"
#include "host.h"
#include "retain.h"

#include <pthread.h>

static const size_t sizes[] = { PAGE, 7 * PAGE, UNIT, 5 * UNIT + 3 * PAGE, 16 * UNIT };

/* What happened to the memory before it was released. */
enum past { UNTOUCHED, PARTLY, WRITTEN, RESET, REPROTECTED, PASTS };

static void live_through(const struct host *host, unsigned char *base, size_t size,
			 enum past past)
{
	DWORD old;
	void *out;

	if (past == PARTLY) {
		for (size_t i = 0; i < size; i += 3 * PAGE)
			base[i] = 0x5A;
	} else if (past != UNTOUCHED) {
		memset(base, 0x5A, size);
	}
	if (past == RESET)
		CHECK_HR(vm_alloc(host, base, size, MEM_RESET, PAGE_NOACCESS, &out),
			 S_OK);
	if (past == REPROTECTED) {
		CHECK_HR(vm_protect(host, base, PAGE, PAGE_READONLY, &old), S_OK);
		CHECK_HR(vm_protect(host, base, PAGE, PAGE_READWRITE, &old), S_OK);
	}
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void memory_that_comes_back_is_zero_whatever_it_lived_through(void)
{
	struct host host;

	if (!retaining(&host, 16 * MIB))
		return;
	for (size_t i = 0; i < ROWS(sizes) * PASTS * 2; i++) {
		size_t size = sizes[i / PASTS / 2];
		enum past past = i / 2 % PASTS;
		unsigned char *base = vm_new(&host, size, MEM_COMMIT, PAGE_READWRITE);

		tap_row("%zu bytes, past %d", size, past);
		live_through(&host, base, size, past);
		CHECK_HR(vm_release(&host, base), S_OK);
		/* Between the two, who has no right to it writes to it. */
		if (i % 2 != 0)
			(void)can_write(base, 0x66);
		base = vm_new(&host, size, MEM_COMMIT, PAGE_READWRITE);
		CHECK(is_zero(base, size));
		CHECK(can_write(base, 1) && can_write(base + size - 1, 1));
		CHECK_RUN(&host, base, size, MEM_COMMIT, PAGE_READWRITE);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
	host_destroy(&host);
}

static struct host inherited;
static unsigned char *inherited_base;

static void reuse_in_child(void)
{
	unsigned char *base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);

	CHECK_POINTER(base, inherited_base);
	CHECK(is_zero(base, UNIT));
	memset(base, 0x77, UNIT);
	CHECK_HR(vm_release(&inherited, base), S_OK);
	base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK(is_zero(base, UNIT));
}

/* Some of it is there in the one process only, some in the other. */
static void a_child_inherits_what_is_kept_and_it_is_zero_there(void)
{
	for (unsigned touched = 0; touched < 2; touched++) {
		unsigned char *base;

		tap_row("touched: %u", touched);
		if (!retaining(&inherited, 16 * MIB))
			return;
		/* So that the parent has reused something before. */
		base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);
		CHECK_HR(vm_release(&inherited, base), S_OK);
		base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);
		if (touched)
			memset(base, 0x5A, UNIT);
		CHECK_HR(vm_release(&inherited, base), S_OK);
		inherited_base = base;
		in_child(reuse_in_child);
		base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);
		CHECK(is_zero(base, UNIT));
		CHECK_HR(vm_release(&inherited, base), S_OK);
		host_destroy(&inherited);
	}
}

static void release_and_reuse(void)
{
	unsigned char *base;

	memset(inherited_base, 0x77, UNIT);
	CHECK_HR(vm_release(&inherited, inherited_base), S_OK);
	base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_POINTER(base, inherited_base);
	CHECK(is_zero(base, UNIT));
}

static void a_child_takes_live_memory_over_and_reuses_it(void)
{
	if (!retaining(&inherited, 16 * MIB))
		return;
	inherited_base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);
	memset(inherited_base, 0x5A, UNIT);
	CHECK_HR(vm_release(&inherited, inherited_base), S_OK);
	inherited_base = vm_new(&inherited, UNIT, MEM_COMMIT, PAGE_READWRITE);
	memset(inherited_base, 0x5A, UNIT);
	in_child(release_and_reuse);
	CHECK_INT(inherited_base[5], 0x5A);
	host_destroy(&inherited);
}

static void what_is_kept_is_told_and_is_nobodys(void)
{
	MEMORY_BASIC_INFORMATION info;
	HostMemUsage usage;
	struct host host;
	unsigned char *base;

	if (!retaining(&host, 16 * MIB))
		return;
	base = vm_new(&host, 5 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_SIZE(host_usage(&host).cbRetained, 0);
	CHECK_HR(vm_release(&host, base), S_OK);
	usage = host_usage(&host);
	CHECK_SIZE(usage.cbRetained, 5 * PAGE);
	CHECK_SIZE(usage.cbReserved, 0);
	CHECK_SIZE(usage.cbCommitted, 0);
	CHECK_SIZE(usage.cbCharged, 0);
	CHECK_SIZE(usage.cRegions, 0);
	for (size_t i = 0; i < 5; i++) {
		CHECK_HR(vm_query(&host, base + i * PAGE, &info), S_OK);
		CHECK_U32(info.State, MEM_FREE);
		CHECK_POINTER(info.AllocationBase, NULL);
	}
	CHECK_HR(vm_release(&host, base), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), HR_INVALID_ADDRESS);
	CHECK_POINTER(vm_new(&host, 5 * PAGE, MEM_COMMIT, PAGE_READWRITE), base);
	CHECK_SIZE(host_usage(&host).cbRetained, 0);
	CHECK_SIZE(host_usage(&host).cbCharged, 5 * PAGE);
	host_destroy(&host);
}

static void only_the_same_kind_of_request_gets_it(void)
{
	static const struct {
		size_t size;
		DWORD type, protect;
		bool gets;
	} rows[] = {
		{ UNIT, MEM_COMMIT, PAGE_READWRITE, true },
		{ UNIT, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE, true },
		{ UNIT, MEM_RESERVE, PAGE_READWRITE, false },
		{ UNIT, MEM_COMMIT, PAGE_READONLY, false },
		{ UNIT, MEM_COMMIT, PAGE_EXECUTE_READWRITE, false },
		{ UNIT, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD, false },
		{ UNIT, MEM_COMMIT | MEM_TOP_DOWN, PAGE_READWRITE, false },
		{ UNIT - PAGE, MEM_COMMIT, PAGE_READWRITE, false },
		{ UNIT + PAGE, MEM_COMMIT, PAGE_READWRITE, false },
		{ 2 * UNIT, MEM_COMMIT, PAGE_READWRITE, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct host host;
		unsigned char *base, *next;

		tap_row("row %zu", i);
		if (!retaining(&host, 16 * MIB))
			return;
		base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
		CHECK_HR(vm_release(&host, base), S_OK);
		next = vm_new(&host, rows[i].size, rows[i].type, rows[i].protect);
		CHECK((next == base) == rows[i].gets);
		CHECK_SIZE(host_usage(&host).cbRetained, rows[i].gets ? 0 : UNIT);
		host_destroy(&host);
	}
}

static void alignment_is_kept(void)
{
	struct host host;
	void *out;

	if (!retaining(&host, 16 * MIB))
		return;
	for (unsigned i = 0; i < 20; i++)
		CHECK_HR(vm_release(&host,
				    vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE)),
			 S_OK);
	for (size_t alignment = UNIT; alignment <= 64 * UNIT; alignment *= 2) {
		CHECK_HR(IHostMemoryPages_ReserveAligned(host.pages, UNIT, alignment,
							 MEM_RESERVE | MEM_COMMIT,
							 PAGE_READWRITE, eTaskCritical,
							 &out),
			 S_OK);
		CHECK_SIZE((uintptr_t)out % alignment, 0);
	}
	host_destroy(&host);
}

static void only_ordinary_whole_reservations_are_kept(void)
{
	static const struct {
		const char *what;
		size_t size, kept;
		DWORD type, protect, change; /* change: of the second page */
	} rows[] = {
		{ "ordinary", 4 * UNIT, 4 * UNIT, MEM_COMMIT, PAGE_READWRITE, 0 },
		{ "the largest", MIB, MIB, MEM_COMMIT, PAGE_READWRITE, 0 },
		{ "too large", MIB + PAGE, 0, MEM_COMMIT, PAGE_READWRITE, 0 },
		{ "reserved", UNIT, 0, MEM_RESERVE, PAGE_READWRITE, 0 },
		{ "readonly", UNIT, 0, MEM_COMMIT, PAGE_READONLY, 0 },
		{ "code", UNIT, 0, MEM_COMMIT, PAGE_EXECUTE_READWRITE, 0 },
		{ "no access", UNIT, 0, MEM_COMMIT, PAGE_NOACCESS, 0 },
		{ "guards", UNIT, 0, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD, 0 },
		{ "a readonly page", UNIT, 0, MEM_COMMIT, PAGE_READWRITE, PAGE_READONLY },
		{ "a guard page", UNIT, 0, MEM_COMMIT, PAGE_READWRITE,
		  PAGE_READWRITE | PAGE_GUARD },
		{ "a page without access", UNIT, 0, MEM_COMMIT, PAGE_READWRITE,
		  PAGE_NOACCESS },
	};

	for (size_t i = 0; i < ROWS(rows) * 2; i++) {
		uint32_t flags = i % 2 ? HOSTMEM_NO_GUARD_PAGES : 0;
		size_t row = i / 2;
		struct host host;
		unsigned char *base;
		DWORD old;

		tap_row("%s, flags %u", rows[row].what, flags);
		if (!retaining_with(&host, 16 * MIB, flags))
			return;
		base = vm_new(&host, rows[row].size, rows[row].type, rows[row].protect);
		if (rows[row].change != 0)
			CHECK_HR(vm_protect(&host, base + PAGE, PAGE, rows[row].change,
					    &old),
				 S_OK);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_SIZE(host_usage(&host).cbRetained, rows[row].kept);
		if (rows[row].kept == 0)
			CHECK(!can_read(base) && !can_read(base + rows[row].size - 1));
		host_destroy(&host);
	}
}

static void what_is_not_whole_is_not_kept(void)
{
	struct host host;
	unsigned char *base;

	if (!retaining(&host, 16 * MIB))
		return;
	base = vm_new(&host, 4 * UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_free(&host, base + 5 * PAGE, PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(host_usage(&host).cbRetained, 0);
	CHECK(!can_read(base) && !can_read(base + UNIT));
	/* Parts: the first page, the last 64 KiB, some in the middle. */
	base = vm_new(&host, 8 * UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, base, PAGE), S_OK);
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, base + 7 * UNIT, UNIT), S_OK);
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, base + 3 * UNIT, UNIT), S_OK);
	CHECK_SIZE(host_usage(&host).cbRetained, 0);
	CHECK(!can_read(base) && can_read(base + PAGE));
	CHECK(!can_read(base + 3 * UNIT) && can_read(base + 4 * UNIT));
	CHECK(!can_read(base + 7 * UNIT));
	host_destroy(&host);
}

static void the_place_can_be_reserved_exactly(void)
{
	for (size_t i = 0; i < 4; i++) {
		struct host host;
		unsigned char *base;
		size_t first = i % 2 * UNIT, size = i < 2 ? UNIT : 3 * UNIT - first;
		void *out;

		tap_row("row %zu", i);
		if (!retaining(&host, 16 * MIB))
			return;
		base = vm_new(&host, 4 * UNIT, MEM_COMMIT, PAGE_READWRITE);
		memset(base, 0x5A, 4 * UNIT);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_SIZE(host_usage(&host).cbRetained, 4 * UNIT);
		CHECK_HR(vm_alloc(&host, base + first, size, MEM_RESERVE, PAGE_READWRITE,
				  &out),
			 S_OK);
		CHECK_POINTER(out, base + first);
		CHECK(!can_read(base + first));
		CHECK_HR(vm_commit(&host, base + first, size, PAGE_READWRITE), S_OK);
		CHECK(is_zero(base + first, size));
		CHECK_SIZE(host_usage(&host).cbRetained, 0);
		host_destroy(&host);
	}
}

/* ---- Threads ---- */

static struct host crowded;

static void *alloc_and_release(void *seed)
{
	uint64_t random = (uintptr_t)seed * 7919;

	for (unsigned i = 0; i < 2000; i++) {
		size_t size;
		unsigned char *base;

		random = random * 6364136223846793005U + 1442695040888963407U;
		size = sizes[(random >> 33) % ROWS(sizes)];
		base = vm_new(&crowded, size, MEM_COMMIT, PAGE_READWRITE);
		if (base == NULL)
			break;
		CHECK(is_zero(base, size < UNIT ? size : UNIT));
		memset(base, (int)(uintptr_t)seed, size < UNIT ? size : UNIT);
		CHECK(base[0] == (unsigned char)(uintptr_t)seed);
		CHECK_HR(vm_release(&crowded, base), S_OK);
		CHECK(host_usage(&crowded).cbRetained <= 2 * MIB);
	}
	return NULL;
}

static void several_threads_share_it(void)
{
	pthread_t threads[4];

	if (!retaining(&crowded, 2 * MIB))
		return;
	for (uintptr_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, alloc_and_release,
				     (void *)(i + 1)) == 0);
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK_SIZE(host_usage(&crowded).cbCharged, 0);
	CHECK(host_usage(&crowded).cbRetained <= 2 * MIB);
	host_destroy(&crowded);
}

int main(void)
{
	access_install();
	TAP_RUN(memory_that_comes_back_is_zero_whatever_it_lived_through);
	TAP_RUN(a_child_inherits_what_is_kept_and_it_is_zero_there);
	TAP_RUN(a_child_takes_live_memory_over_and_reuses_it);
	TAP_RUN(what_is_kept_is_told_and_is_nobodys);
	TAP_RUN(only_the_same_kind_of_request_gets_it);
	TAP_RUN(alignment_is_kept);
	TAP_RUN(only_ordinary_whole_reservations_are_kept);
	TAP_RUN(what_is_not_whole_is_not_kept);
	TAP_RUN(the_place_can_be_reserved_exactly);
	TAP_RUN(several_threads_share_it);
	return tap_done();
}
