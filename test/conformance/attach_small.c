/*
 * Small mappings: side by side as the kernel has them, and each for itself all the same.
 */
#include "attach.h"

#include <pthread.h>
#include <stdint.h>

#define CHUNKS_FULL 800U /* of one page each: more than three chunks hold */
#define THREADS 4

static void they_lie_side_by_side_from_the_top_down(void)
{
	unsigned char *all[4];

	for (size_t i = 0; i < ROWS(all); i++) {
		all[i] = map_new(3 * PAGE, RW);
		CHECK(holds(all[i], 3 * PAGE, 0));
		fill_pages(all[i], 3 * PAGE, (unsigned char)(i + 1));
		CHECK(i == 0 || all[i] == all[i - 1] - 3 * PAGE);
	}
	for (size_t i = 0; i < ROWS(all); i++) {
		CHECK(holds(all[i], 3 * PAGE, (unsigned char)(i + 1)));
		unmap_all(all[i], 3 * PAGE);
	}
}

/* As a runtime gets four pages at a multiple of four: what it cuts off is the next one's. */
static void what_is_cut_off_in_front_is_used_next(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *first = map_new(8 * PAGE, RW), *next;

	fill_pages(first, 8 * PAGE, 1);
	unmap_all(first, 4 * PAGE);
	CHECK_SIZE(attach_committed(&books), 4 * PAGE);
	next = map_new(8 * PAGE, RW);
	CHECK_POINTER(next + 8 * PAGE, first + 4 * PAGE);
	CHECK(holds(next, 8 * PAGE, 0));
	CHECK(holds(first + 4 * PAGE, 4 * PAGE, 1));
	CHECK_SIZE(attach_committed(&books), 12 * PAGE);
	unmap_all(next, 12 * PAGE);
	CHECK_BOOKS(&books);
}

static void one_in_the_middle_goes_alone(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *above = map_new(PAGE, RW), *middle = map_new(2 * PAGE, RW);
	unsigned char *below = map_new(PAGE, RW);

	fill_pages(above, PAGE, 1);
	fill_pages(below, PAGE, 2);
	unmap_all(middle, 2 * PAGE);
	CHECK_SIZE(attach_committed(&books), 2 * PAGE);
	CHECK_ERROR(HostMemMprotect(middle, PAGE, RW), ENOMEM);
	CHECK(holds(above, PAGE, 1) && holds(below, PAGE, 2));
	unmap_all(below, PAGE);
	unmap_all(above, PAGE);
	CHECK_SIZE(attach_committed(&books), 0);
}

static void there_are_more_than_a_chunk_holds(void)
{
	static const size_t sizes[] = { 1, 15, 7 };
	static unsigned *all[CHUNKS_FULL];
	struct attach_books books = attach_open_books();

	for (size_t row = 0; row < ROWS(sizes); row++) {
		size_t size = sizes[row] * PAGE;
		unsigned beside = 0;

		tap_row("of %zu pages", sizes[row]);
		for (unsigned i = 0; i < CHUNKS_FULL; i++) {
			all[i] = (void *)map_new(size, RW);
			all[i][0] = i;
			all[i][size / sizeof(unsigned) - 1] = i;
			beside += i > 0 && (char *)all[i] + size == (char *)all[i - 1];
		}
		/* One chunk may lie elsewhere than the last. */
		CHECK(beside >= CHUNKS_FULL / 10 * 9);
		CHECK_SIZE(attach_committed(&books), CHUNKS_FULL * size);
		for (unsigned i = 0; i < CHUNKS_FULL; i++) {
			CHECK_SIZE(all[i][0], i);
			CHECK_SIZE(all[i][size / sizeof(unsigned) - 1], i);
			unmap_all(all[i], size);
		}
		CHECK_SIZE(attach_committed(&books), 0);
		CHECK_SIZE(host_usage(&attach_host).cRegions, books.usage.cRegions);
	}
}

static void a_refused_one_has_changed_nothing(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base;

	attach_limit(2 * PAGE);
	CHECK_NO_MAP(HostMemMmap(NULL, 3 * PAGE, RW, NEW, -1, 0), ENOMEM);
	CHECK_BOOKS(&books);
	base = map_new(2 * PAGE, RW);
	CHECK(holds(base, 2 * PAGE, 0));
	attach_limit(SIZE_MAX);
	unmap_all(base, 2 * PAGE);
	CHECK_BOOKS(&books);
}

/* What they share is nothing that the program asked for: a rule for reservations does not see
 * it, and one for everything refuses each mapping once. */
static void a_fault_rule_sees_what_the_program_asks_for(void)
{
	struct attach_books books = attach_open_books();
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t refused = host_usage(&attach_host).cRefusedInjected, cookie;
	unsigned char *all[40]; /* more than two chunks hold */
	IHostMemorySimulator *simulator;

	if (!CHECK_HR(HostMemAttachedHost(&IID_IHostMemorySimulator, (void **)&simulator),
		      S_OK))
		return;
	fault.count = 0;
	CHECK_HR(IHostMemorySimulator_AddFault(simulator, &fault, &cookie), S_OK);
	for (unsigned i = 1; i <= 300; i++) {
		CHECK_NO_MAP(HostMemMmap(NULL, PAGE, RW, NEW, -1, 0), ENOMEM);
		CHECK_SIZE(host_usage(&attach_host).cRefusedInjected, refused + i);
	}
	CHECK_HR(IHostMemorySimulator_RemoveFault(simulator, cookie), S_OK);
	CHECK_BOOKS(&books);

	fault.operations = 1U << HostMemReserve;
	CHECK_HR(IHostMemorySimulator_AddFault(simulator, &fault, &cookie), S_OK);
	for (size_t i = 0; i < ROWS(all); i++)
		all[i] = map_new(15 * PAGE, RW);
	for (size_t i = 0; i < ROWS(all); i++)
		unmap_all(all[i], 15 * PAGE);
	CHECK_SIZE(host_usage(&attach_host).cRefusedInjected, refused + 300);
	CHECK_HR(IHostMemorySimulator_RemoveFault(simulator, cookie), S_OK);
	CHECK_BOOKS(&books);
	(void)IHostMemorySimulator_Release(simulator);
}

/* Below the lowest there is nothing of the runtime's, and what it does there is done to
 * nothing. */
static void below_the_lowest_is_nothing(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *lowest = map_new(PAGE, RW), *next;

	fill_pages(lowest, PAGE, 1);
	CHECK_ERROR(HostMemMprotect(lowest - PAGE, PAGE, RW), ENOMEM);
	next = map_new(PAGE, RW);
	CHECK(holds(next, PAGE, 0));
	unmap_all(next - 4 * PAGE, 3 * PAGE);
	map_over(next - 4 * PAGE, 4 * PAGE, RW);
	fill_pages(next - 4 * PAGE, 4 * PAGE, 2);
	for (int i = 0; i < 20; i++) {
		unsigned char *other = map_new(PAGE, RW);

		CHECK(holds(other, PAGE, 0));
		fill_pages(other, PAGE, 3);
		unmap_all(other, PAGE);
	}
	CHECK(holds(next - 4 * PAGE, 4 * PAGE, 2) && holds(lowest, PAGE, 1));
	unmap_all(next - 4 * PAGE, 5 * PAGE);
	unmap_all(lowest, PAGE);
	CHECK_SIZE(attach_committed(&books), 0);
}

/* Maps, writes, cuts off in front or behind, looks, and unmaps. */
static void *map_and_cut(void *number)
{
	unsigned char *kept[8] = { NULL };
	unsigned char mark = (unsigned char)(1 + (uintptr_t)number);

	for (unsigned i = 0; i < 1000; i++) {
		unsigned char **one = &kept[i * 7 % 8];

		if (*one != NULL) {
			CHECK(holds(*one, 2 * PAGE, mark));
			CHECK_INT(HostMemMunmap(*one, 2 * PAGE), 0);
		}
		*one = HostMemMmap(NULL, 4 * PAGE, RW, NEW, -1, 0);
		if (!CHECK(*one != MAP_FAILED))
			return NULL;
		CHECK(holds(*one, 4 * PAGE, 0));
		fill_pages(*one, 4 * PAGE, mark);
		CHECK_INT(HostMemMunmap(i % 3 == 0 ? *one + 2 * PAGE : *one, 2 * PAGE),
			  0);
		*one += i % 3 == 0 ? 0 : 2 * PAGE;
	}
	for (size_t i = 0; i < ROWS(kept); i++)
		CHECK_INT(HostMemMunmap(kept[i], 2 * PAGE), 0);
	return NULL;
}

static void threads_do_not_share_a_page(void)
{
	struct attach_books books = attach_open_books();
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++) {
		if (!CHECK_INT(pthread_create(&threads[i], NULL, map_and_cut, (void *)i),
			       0))
			abort();
	}
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_SIZE(attach_committed(&books), 0);
	CHECK_SIZE((uint64_t)atomic_load(&attach_sum), (uint64_t)books.sum);
}

int main(void)
{
	if (!attach_with("cpython", 0))
		return tap_done();
	/* From here on there is a chunk, which is counted at the beginning as at the end. */
	unmap_all(map_new(PAGE, RW), PAGE);
	TAP_RUN(they_lie_side_by_side_from_the_top_down);
	TAP_RUN(what_is_cut_off_in_front_is_used_next);
	TAP_RUN(a_refused_one_has_changed_nothing);
	TAP_RUN(a_fault_rule_sees_what_the_program_asks_for);
	TAP_RUN(one_in_the_middle_goes_alone);
	TAP_RUN(there_are_more_than_a_chunk_holds);
	TAP_RUN(below_the_lowest_is_nothing);
	TAP_RUN(threads_do_not_share_a_page);
	return tap_done();
}
