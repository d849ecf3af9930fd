/*
 * Bad inputs of a heap's Free, rows 78 to 80 of the list of bad inputs, and row 7 for every
 * method of a heap.
 */
#include "bad_inputs_heap.h"

#include <pthread.h>

static bool is_block(const void *address)
{
	for (size_t i = 0; i < SIZES; i++) {
		if (fixture.blocks[i] == address)
			return true;
	}
	return false;
}

static void check_refused(void *address)
{
	if (is_block(address))
		return;
	CHECK_HR(heap_free(fixture.yard.heap, address), HOST_E_INVALIDOPERATION);
	fixture_check_unchanged();
}

static void row_78_null(void)
{
	if (!fixture_make())
		return;
	fixture_picture();
	CHECK_HR(heap_free(fixture.yard.heap, NULL), S_OK);
	fixture_check_unchanged();
	fixture_end();
}

static void row_79_addresses_within_and_around_blocks(void)
{
	if (!fixture_make())
		return;
	fixture_picture();
	for (size_t i = 0; i < SIZES; i++) {
		const size_t offsets[] = {
			1,
			8,
			15,
			16,
			sizes[i] / 2 + 1,
			sizes[i],
			PAGE,
			(size_t)0 - 1,
			(size_t)0 - 16,
			(size_t)0 - PAGE,
		};

		for (size_t n = 0; n < ROWS(offsets); n++) {
			tap_row("79, size %zu, offset %zd", sizes[i],
				(ptrdiff_t)offsets[n]);
			check_refused(
				(void *)((uintptr_t)fixture.blocks[i] + offsets[n]));
		}
	}
	fixture_end();
}

/* At the begin of each run of a heap, where its own books may lie; and in the middle. */
static void row_79_every_other_place_of_the_heaps_pages(void)
{
	if (!fixture_make())
		return;
	fixture_picture();
	for (size_t i = 0; i < fixture.before.count; i++) {
		const MEMORY_BASIC_INFORMATION *run = &fixture.before.runs[i];
		uintptr_t base = (uintptr_t)run->BaseAddress;
		size_t middle = run->RegionSize / 32 * 16;

		tap_row("79, run %zu", i);
		for (size_t n = 0; n < PAGE / 8; n++) {
			size_t offset = n % 2 == 0 ? n * 8 : middle + n / 2 * 16;
			void *address = (void *)(base + offset);

			if (offset < run->RegionSize && !is_block(address))
				CHECK_HR(heap_free(fixture.yard.heap, address),
					 HOST_E_INVALIDOPERATION);
		}
		fixture_check_unchanged();
	}
	fixture_end();
}

static struct {
	const char *what;
	void *address;
} places[64];
static size_t place_count;

static void add_place(const char *what, const void *address)
{
	places[place_count].what = what;
	places[place_count++].address = at(address, 0);
}

static void add_addresses(void)
{
	static const struct {
		const char *what;
		uintptr_t address;
	} rows[] = {
		{ "1", 1 },
		{ "16", 16 },
		{ "64 KiB", 0x10000 },
		{ "below user space's end", USER_END - 16 },
		{ "user space's end", USER_END },
		{ "not canonical", (uintptr_t)1 << 47 },
		{ "not canonical, higher", (uintptr_t)1 << 62 },
		{ "the kernel's", UINTPTR_MAX << 47 },
		{ "the last", UINTPTR_MAX - 15 },
		{ "odd", UINTPTR_MAX },
	};

	place_count = 0;
	for (size_t i = 0; i < ROWS(rows); i++)
		add_place(rows[i].what, (void *)rows[i].address);
	add_place("code", (void *)(uintptr_t)add_addresses);
	add_place("constants", rows);
	add_place("data", &fixture);
	add_place("the heap", fixture.yard.heap);
	add_place("the host", fixture.yard.host.manager);
}

/* What was a block of a heap that has ended; others may lie there now. */
static void add_blocks_of_an_ended_heap(void)
{
	IHostMalloc2 *ended = heap_new(fixture.yard.host.manager, 0);

	for (size_t i = 0; i < SIZES; i++)
		add_place("an ended heap's", heap_take(ended, sizes[i]));
	CHECK_U32(IHostMalloc2_Release(ended), 0);
}

static void row_79_memory_of_others(void)
{
	struct yard other;
	IHostMalloc2 *second;
	void *from_libc = malloc(100);

	if (!fixture_make() || !yard_make(&other, 0, MALLOC_THREADSAFE))
		return;
	second = heap_new(fixture.yard.host.manager, MALLOC_THREADSAFE);
	add_addresses();
	add_blocks_of_an_ended_heap();
	add_place("another heap's", heap_take(second, 100));
	add_place("another heap's, large", heap_take(second, MIB));
	add_place("another host's", heap_take(other.heap, 100));
	add_place("another host's, large", heap_take(other.heap, MIB));
	add_place("VirtualAlloc's",
		  vm_new(&fixture.yard.host, UNIT, MEM_COMMIT, PAGE_READWRITE));
	add_place("VirtualAlloc's, reserved",
		  vm_new(&fixture.yard.host, UNIT, MEM_RESERVE, PAGE_READWRITE));
	add_place("the stack", &other);
	add_place("libc's", from_libc);
	fixture_picture();
	for (size_t i = 0; i < place_count; i++) {
		tap_row("79, %s", places[i].what);
		check_refused(places[i].address);
	}
	free(from_libc);
	CHECK_U32(IHostMalloc2_Release(second), 0);
	yard_end(&other);
	/* Two reservations are left to the host. */
	for (size_t i = 0; i < SIZES; i++)
		CHECK_HR(heap_free(fixture.yard.heap, fixture.blocks[i]), S_OK);
	yard_end(&fixture.yard);
}

/* ---- Free twice ---- */

enum { TWICE = 200 };

static void *freed[TWICE];

static void *free_again(void *state)
{
	(void)state;
	for (size_t i = 0; i < TWICE; i++)
		CHECK_HR(heap_free(fixture.yard.heap, freed[i]), HOST_E_INVALIDOPERATION);
	return NULL;
}

/* By this thread and by another. */
static void check_freed(void)
{
	pthread_t thread;

	fixture_picture();
	(void)free_again(NULL);
	if (CHECK_INT(pthread_create(&thread, NULL, free_again, NULL), 0))
		CHECK_INT(pthread_join(thread, NULL), 0);
	fixture_check_unchanged();
}

static void row_80_a_double_free(void)
{
	for (size_t n = 0; n < SIZES; n++) {
		size_t size = sizes[n] > MIB ? 2 * MIB : sizes[n];
		size_t count = size > 4096 ? 20 : TWICE;

		if (!fixture_make())
			return;
		for (size_t i = 0; i < TWICE; i++)
			freed[i] = i < count ? heap_take(fixture.yard.heap, size)
					     : freed[i - count];
		for (size_t i = 0; i < count; i++) {
			tap_row("80, size %zu, at once, block %zu", size, i);
			CHECK_HR(heap_free(fixture.yard.heap, freed[i]), S_OK);
			CHECK_HR(heap_free(fixture.yard.heap, freed[i]),
				 HOST_E_INVALIDOPERATION);
		}
		tap_row("80, size %zu, after others", size);
		check_freed();
		tap_row("80, size %zu, after Trim", size);
		(void)heap_trim(fixture.yard.heap);
		check_freed();
		fixture_end();
	}
}

enum { RACERS = 8, RACES = 300 };

static pthread_barrier_t barrier;
static void *_Atomic raced;
static atomic_size_t granted;

static void *free_in_races(void *state)
{
	(void)state;
	for (size_t round = 0; round < RACES; round++) {
		HRESULT hr;

		pthread_barrier_wait(&barrier);
		hr = heap_free(fixture.yard.heap, atomic_load(&raced));
		if (hr == S_OK)
			atomic_fetch_add(&granted, 1);
		else
			CHECK_HR(hr, HOST_E_INVALIDOPERATION);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* More than one may be told S_OK; it is freed once. */
static void row_80_a_double_free_at_one_moment(void)
{
	pthread_t threads[RACERS];
	HostMemUsage before;

	if (!fixture_make())
		return;
	before = host_usage(&fixture.yard.host);
	CHECK_INT(pthread_barrier_init(&barrier, NULL, RACERS + 1), 0);
	for (size_t i = 0; i < RACERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, free_in_races, NULL), 0);
	for (size_t round = 0; round < RACES; round++) {
		void *first, *second;

		tap_row("80, round %zu", round);
		atomic_store(&granted, 0);
		atomic_store(&raced, heap_take(fixture.yard.heap, sizes[round % SIZES]));
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		CHECK(atomic_load(&granted) >= 1);
		CHECK_SIZE(host_usage(&fixture.yard.host).cBlocks, before.cBlocks);
		CHECK_SIZE(host_usage(&fixture.yard.host).cbHeap, before.cbHeap);
		/* Nor is it given out twice. */
		first = heap_take(fixture.yard.heap, sizes[round % SIZES]);
		second = heap_take(fixture.yard.heap, sizes[round % SIZES]);
		CHECK(first != second);
		CHECK_HR(heap_free(fixture.yard.heap, first), S_OK);
		CHECK_HR(heap_free(fixture.yard.heap, second), S_OK);
	}
	for (size_t i = 0; i < RACERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	pthread_barrier_destroy(&barrier);
	fixture_end();
}

/* ---- After Shutdown ---- */

static void row_7_after_shutdown_nothing_works_and_blocks_stay(void)
{
	IHostMalloc2 *heap;
	SIZE_T size;
	void *out;

	if (!fixture_make())
		return;
	heap = fixture.yard.heap;
	CHECK_HR(IHostMemoryControl_Shutdown(fixture.yard.host.control), S_OK);
	fixture_picture();
	CHECK_HR(heap_alloc(heap, 100, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_alloc(heap, SIZE_MAX, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_alloc_at_level(heap, 0, (EMemoryCriticalLevel)9, &out),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_alloc_debug(heap, 100, "a.c", 1, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_alloc_aligned(heap, 100, 3, 99, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_realloc(heap, fixture.blocks[2], 10, 0, &out),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_realloc(heap, &out, 10, 99, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_get_size(heap, fixture.blocks[2], &size), HOST_E_CLRNOTAVAILABLE);
	size = 1;
	CHECK_HR(IHostMalloc2_Trim(heap, &size), HOST_E_CLRNOTAVAILABLE);
	CHECK_SIZE(size, 0);
	CHECK_HR(IHostMalloc2_Alloc(heap, 100, eTaskCritical, NULL), E_POINTER);
	CHECK_HR(IHostMalloc2_Trim(heap, NULL), E_POINTER);
	for (size_t i = 0; i < SIZES; i++)
		CHECK_HR(heap_free(heap, fixture.blocks[i]), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_free(heap, NULL), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_free(heap, &out), HOST_E_CLRNOTAVAILABLE);
	fixture_check_unchanged();
	yard_end(&fixture.yard);
}

int main(void)
{
	TAP_RUN(row_78_null);
	TAP_RUN(row_79_addresses_within_and_around_blocks);
	TAP_RUN(row_79_every_other_place_of_the_heaps_pages);
	TAP_RUN(row_79_memory_of_others);
	TAP_RUN(row_80_a_double_free);
	TAP_RUN(row_80_a_double_free_at_one_moment);
	TAP_RUN(row_7_after_shutdown_nothing_works_and_blocks_stay);
	return tap_done();
}
