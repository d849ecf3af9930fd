/*
 * Bad inputs of VirtualFree, rows 39 to 51 of the list of bad inputs, 49 apart
 * (bad_inputs_limits.c).
 */
#include "bad_inputs.h"
#include "maps.h"

#include <pthread.h>
#include <stdatomic.h>

enum where { ABSOLUTE, HOLE };

static const struct row {
	int number;
	const char *what;
	enum where where;
	size_t address, size;
	DWORD type;
	HRESULT want;
} rows[] = {
	{ 39, "NULL, release", ABSOLUTE, 0, 0, MEM_RELEASE, HOST_E_INVALIDOPERATION },
	{ 39, "NULL, decommit", ABSOLUTE, 0, 0, MEM_DECOMMIT, HOST_E_INVALIDOPERATION },
	{ 39, "NULL, decommit a page", ABSOLUTE, 0, 0x1000, MEM_DECOMMIT,
	  HOST_E_INVALIDOPERATION },
	{ 41, "never allocated", HOLE, 0, 0, MEM_RELEASE, HOST_E_INVALIDOPERATION },
	{ 41, "never allocated, decommit", HOLE, 0, 1, MEM_DECOMMIT,
	  HOST_E_INVALIDOPERATION },
	{ 41, "the rest of a unit", HOLE, 0x33000, 0, MEM_RELEASE,
	  HOST_E_INVALIDOPERATION },
	{ 42, "release with the exact size", HOLE, 0x10000, 0x20000, MEM_RELEASE,
	  E_INVALIDARG },
	{ 42, "release with size 1", HOLE, 0x10000, 1, MEM_RELEASE, E_INVALIDARG },
	{ 42, "release with SIZE_MAX", HOLE, 0x10000, SIZE_MAX, MEM_RELEASE,
	  E_INVALIDARG },
	{ 42, "release of nothing with a size", HOLE, 0, 0x1000, MEM_RELEASE,
	  E_INVALIDARG },
	{ 43, "release of the second page", HOLE, 0x11000, 0, MEM_RELEASE,
	  HR_INVALID_ADDRESS },
	{ 43, "release of the second unit", HOLE, 0x20000, 0, MEM_RELEASE,
	  HR_INVALID_ADDRESS },
	{ 43, "release of the last byte", HOLE, 0x2FFFF, 0, MEM_RELEASE,
	  HR_INVALID_ADDRESS },
	{ 45, "both types", HOLE, 0x10000, 0, MEM_DECOMMIT | MEM_RELEASE, E_INVALIDARG },
	{ 45, "type 0", HOLE, 0x10000, 0, 0, E_INVALIDARG },
	{ 45, "COMMIT", HOLE, 0x10000, 0, MEM_COMMIT, E_INVALIDARG },
	{ 45, "FREE", HOLE, 0x10000, 0, MEM_FREE, E_INVALIDARG },
	{ 45, "RELEASE and an unknown bit", HOLE, 0x10000, 0, MEM_RELEASE | 4,
	  E_INVALIDARG },
	{ 45, "DECOMMIT and another", HOLE, 0x10000, 0, MEM_DECOMMIT | 0x80000000,
	  E_INVALIDARG },
	{ 45, "type 0 of nothing", ABSOLUTE, 0, 0, 0, E_INVALIDARG },
	{ 46, "decommit past the end", HOLE, 0x10000, 0x20001, MEM_DECOMMIT,
	  E_INVALIDARG },
	{ 46, "the next one too", HOLE, 0x2F000, 0x2000, MEM_DECOMMIT, E_INVALIDARG },
	{ 46, "far past the end", HOLE, 0x32000, 0x10000000, MEM_DECOMMIT, E_INVALIDARG },
	{ 47, "decommit 0, second page", HOLE, 0x11000, 0, MEM_DECOMMIT,
	  HR_INVALID_ADDRESS },
	{ 47, "decommit 0, second unit", HOLE, 0x20000, 0, MEM_DECOMMIT,
	  HR_INVALID_ADDRESS },
	{ 50, "size wraps", HOLE, 0x10000, SIZE_MAX, MEM_DECOMMIT, E_INVALIDARG },
	{ 50, "size wraps when rounded", HOLE, 0x10000, SIZE_MAX - 0xFFF, MEM_DECOMMIT,
	  E_INVALIDARG },
	{ 50, "wraps to the base", HOLE, 0x11000, 0xFFFFFFFFFFFFF000, MEM_DECOMMIT,
	  E_INVALIDARG },
	{ 50, "beyond user space", ABSOLUTE, 0x7FFFFFFF0000, 0x1000, MEM_DECOMMIT,
	  E_INVALIDARG },
	{ 50, "beyond user space, release", ABSOLUTE, 0x7FFFFFFF0000, 0, MEM_RELEASE,
	  E_INVALIDARG },
	{ 50, "kernel half", ABSOLUTE, 0xFFFF800000000000, 0, MEM_RELEASE, E_INVALIDARG },
	{ 50, "leaves user space", HOLE, 0x10000, 0x7FFFFFFF0000, MEM_DECOMMIT,
	  E_INVALIDARG },
};

static void rows_39_to_50(void)
{
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const void *base = rows[i].where == HOLE ? fixture.hole : NULL;

		tap_row("%d, %s", rows[i].number, rows[i].what);
		CHECK_HR(vm_free(&fixture.host, at(base, rows[i].address), rows[i].size,
				 rows[i].type),
			 rows[i].want);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void row_40_memory_of_others_is_left_intact(void)
{
	static const struct {
		size_t size;
		DWORD type;
	} calls[] = { { 0, MEM_RELEASE }, { 0, MEM_DECOMMIT }, { 0x1000, MEM_DECOMMIT } };
	unsigned char *alone = pages_alone(2, PROT_READ | PROT_WRITE);
	unsigned char *block = (unsigned char *)malloc(100);
	struct fixture fixture;
	struct snapshot before;
	int local = 0x40;
	void *const addresses[] = { &local, block, stdout, alone, alone + PAGE };

	if (!CHECK(block != NULL) || !fixture_make(&fixture, 0))
		return;
	memset(block, 0x41, 100);
	memset(alone, 0x42, 2 * PAGE);
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(addresses) * ROWS(calls); i++) {
		void *address = addresses[i / ROWS(calls)];

		tap_row("40, address %zu, type 0x%x", i / ROWS(calls),
			calls[i % ROWS(calls)].type);
		/* Without randomised addresses the stack may lie above user space. */
		if ((uintptr_t)address >= USER_END - PAGE)
			continue;
		CHECK_HR(vm_free(&fixture.host, address, calls[i % ROWS(calls)].size,
				 calls[i % ROWS(calls)].type),
			 HOST_E_INVALIDOPERATION);
		CHECK_UNCHANGED(&before);
	}
	CHECK_INT(local, 0x40);
	CHECK_INT(block[99], 0x41);
	CHECK_INT(alone[0], 0x42);
	CHECK_INT(alone[2 * PAGE - 1], 0x42);
	free(block);
	CHECK(munmap(alone, 2 * PAGE) == 0);
	fixture_end(&fixture);
}

static void row_41_a_double_free(void)
{
	static const size_t sizes[] = { 1, 0x1000, 0x10000, 0x12345, 0x400000 };
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture, 0))
		return;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		void *base = vm_new(&fixture.host, sizes[i], MEM_COMMIT, PAGE_READWRITE);

		tap_row("41, size 0x%zx", sizes[i]);
		CHECK_HR(vm_release(&fixture.host, base), S_OK);
		snapshot_take(&before, &fixture.host);
		CHECK_HR(vm_release(&fixture.host, base), HOST_E_INVALIDOPERATION);
		CHECK_HR(vm_free(&fixture.host, base, 0, MEM_DECOMMIT),
			 HOST_E_INVALIDOPERATION);
		CHECK_HR(vm_free(&fixture.host, base, 1, MEM_DECOMMIT),
			 HOST_E_INVALIDOPERATION);
		CHECK_UNCHANGED(&before);
	}
	fixture_end(&fixture);
}

static void row_44_any_byte_of_the_first_page_is_the_base(void)
{
	static const size_t offsets[] = { 0, 1, 8, 0x7FF, 0xFFF };
	struct fixture fixture;

	if (!fixture_make(&fixture, 0))
		return;
	for (size_t i = 0; i < ROWS(offsets); i++) {
		void *base = vm_new(&fixture.host, UNIT, MEM_RESERVE, PAGE_READWRITE);

		tap_row("44, offset 0x%zx", offsets[i]);
		CHECK_HR(vm_release(&fixture.host, at(base, offsets[i])), S_OK);
		CHECK_SIZE(host_usage(&fixture.host).cRegions, 2);
	}
	fixture_end(&fixture);
}

static void row_48_decommit_of_pages_that_were_never_committed(void)
{
	struct fixture fixture;
	struct snapshot before;
	unsigned char *base;

	if (!fixture_make(&fixture, 0))
		return;
	base = fixture.hole + UNIT;
	snapshot_take(&before, &fixture.host);
	CHECK_HR(vm_free(&fixture.host, base + PAGE, PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_free(&fixture.host, base + PAGE, 2 * UNIT - PAGE, MEM_DECOMMIT),
		 S_OK);
	CHECK_HR(vm_free(&fixture.host, fixture.hole + 3 * UNIT, 0, MEM_DECOMMIT), S_OK);
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

enum { RELEASERS = 32, ROUNDS = 50 };

struct race {
	const struct host *host;
	pthread_barrier_t barrier;
	void *base;
	atomic_int released, refused, other;
};

static void *release_in_rounds(void *state)
{
	struct race *race = (struct race *)state;

	for (int round = 0; round < ROUNDS; round++) {
		HRESULT hr;

		pthread_barrier_wait(&race->barrier);
		hr = vm_release(race->host, race->base);
		if (hr == S_OK)
			atomic_fetch_add(&race->released, 1);
		else if (hr == HOST_E_INVALIDOPERATION)
			atomic_fetch_add(&race->refused, 1);
		else
			atomic_fetch_add(&race->other, 1);
		pthread_barrier_wait(&race->barrier);
	}
	return NULL;
}

static void row_51_one_of_32_threads_releases(void)
{
	pthread_t threads[RELEASERS];
	struct fixture fixture;
	struct snapshot before;
	struct race race = { .host = &fixture.host };

	if (!fixture_make(&fixture, 0))
		return;
	race.base = vm_new(&fixture.host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&fixture.host, race.base), S_OK);
	snapshot_take(&before, &fixture.host);
	CHECK(pthread_barrier_init(&race.barrier, NULL, RELEASERS + 1) == 0);
	for (size_t i = 0; i < RELEASERS; i++)
		CHECK(pthread_create(&threads[i], NULL, release_in_rounds, &race) == 0);
	for (int round = 1; round <= ROUNDS; round++) {
		tap_row("51, round %d", round);
		race.base = vm_new(&fixture.host, UNIT, MEM_COMMIT, PAGE_READWRITE);
		pthread_barrier_wait(&race.barrier);
		pthread_barrier_wait(&race.barrier);
		CHECK_INT(race.released, round);
		CHECK_INT(race.refused, round * (RELEASERS - 1));
		CHECK_INT(race.other, 0);
		CHECK_UNCHANGED(&before);
	}
	for (size_t i = 0; i < RELEASERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	pthread_barrier_destroy(&race.barrier);
	fixture_end(&fixture);
}

int main(void)
{
	TAP_RUN(rows_39_to_50);
	TAP_RUN(row_40_memory_of_others_is_left_intact);
	TAP_RUN(row_41_a_double_free);
	TAP_RUN(row_44_any_byte_of_the_first_page_is_the_base);
	TAP_RUN(row_48_decommit_of_pages_that_were_never_committed);
	TAP_RUN(row_51_one_of_32_threads_releases);
	return tap_done();
}
