/*
 * The books of acquired mappings: bytes, pieces, room, and the charge with them.
 */
#include "hostmem/external.h"
#include "fake.h"

static struct hm_external external;
static struct hm_budget budget;

static void limit_to(size_t limit)
{
	HostMemBudget given = HOSTMEM_BUDGET_INIT;

	given.cbLimit = limit;
	hm_budget_init(&budget, &given);
}

static void start_empty(void)
{
	memset(&external, 0, sizeof(external));
	memset(&budget, 0, sizeof(budget));
	limit_to(SIZE_MAX);
}

static size_t acquire(uintptr_t start, size_t size)
{
	size_t displaced = SIZE_MAX;

	CHECK(hm_external_acquire(&external, &budget, start, size, &displaced));
	return displaced;
}

/* What a start gives back; SIZE_MAX if nothing was acquired there. */
static size_t release(uintptr_t start)
{
	size_t size = SIZE_MAX;
	bool known = hm_external_release(&external, &budget, start, &size);

	if (!known)
		CHECK_SIZE(size, 0);
	return known ? size : SIZE_MAX;
}

static void check_bytes(size_t bytes)
{
	CHECK_SIZE(external.bytes, bytes);
	CHECK_SIZE(budget.charged, bytes);
	CHECK_SIZE(budget.claimed, bytes);
}

static void end(void)
{
	check_bytes(0);
	CHECK_SIZE(external.count, 0);
	hm_external_destroy(&external);
}

static void a_start_is_forgotten_once(void)
{
	start_empty();
	CHECK_SIZE(acquire(0x10000, 0x3000), 0);
	check_bytes(0x3000);
	CHECK_SIZE(release(0x11000), SIZE_MAX);
	CHECK_SIZE(release(0), SIZE_MAX);
	check_bytes(0x3000);
	CHECK_SIZE(release(0x10000), 0x3000);
	CHECK_SIZE(release(0x10000), SIZE_MAX);
	end();
}

static void whoever_acquires_last_has_the_bytes(void)
{
	/* Acquired at [100, 200) before each row. */
	static const struct {
		const char *name;
		uintptr_t start;
		size_t size, displaced, left;
	} rows[] = {
		{ "beside, below", 50, 50, 0, 100 },
		{ "beside, above", 200, 50, 0, 100 },
		{ "over the front", 50, 100, 50, 50 },
		{ "over the end", 150, 100, 50, 50 },
		{ "the middle", 120, 30, 30, 70 },
		{ "one byte of the middle", 150, 1, 1, 99 },
		{ "all of it and more", 50, 300, 100, 0 },
		{ "its end to the byte", 150, 50, 50, 50 },
		{ "nothing in it", 150, 0, 0, 100 },
		{ "all but the first byte", 101, 99, 99, 1 },
		{ "all but the last byte", 99, 100, 99, 1 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].name);
		start_empty();
		CHECK_SIZE(acquire(100, 100), 0);
		CHECK_SIZE(acquire(rows[i].start, rows[i].size), rows[i].displaced);
		check_bytes(rows[i].left + rows[i].size);
		CHECK_SIZE(release(rows[i].start), rows[i].size);
		check_bytes(rows[i].left);
		/* A start stays known when all of its bytes are gone. */
		CHECK_SIZE(release(100), rows[i].left);
		end();
	}
}

static void the_same_start_again_replaces(void)
{
	static const size_t sizes[] = { 50, 100, 300, 0 };

	for (size_t i = 0; i < ROWS(sizes); i++) {
		tap_row("%zu bytes", sizes[i]);
		start_empty();
		CHECK_SIZE(acquire(100, 100), 0);
		CHECK_SIZE(acquire(100, sizes[i]), 100);
		check_bytes(sizes[i]);
		CHECK_SIZE(release(100), sizes[i]);
		CHECK_SIZE(release(100), SIZE_MAX);
		end();
	}
}

static void a_start_with_pieces_is_replaced_and_released_whole(void)
{
	start_empty();
	CHECK_SIZE(acquire(0, 1000), 0);
	CHECK_SIZE(acquire(100, 100), 100);
	CHECK_SIZE(acquire(500, 100), 100);
	CHECK_SIZE(external.count, 5);
	check_bytes(1000);
	/* Across two pieces and what lies between them. */
	CHECK_SIZE(acquire(50, 200), 200);
	check_bytes(1000);
	CHECK_SIZE(release(0), 700);
	CHECK_SIZE(release(100), 0);
	CHECK_SIZE(release(500), 100);
	CHECK_SIZE(release(50), 200);
	end();
	start_empty();
	CHECK_SIZE(acquire(0, 1000), 0);
	CHECK_SIZE(acquire(100, 100), 100);
	CHECK_SIZE(acquire(0, 10), 900);
	CHECK_SIZE(release(100), 100);
	CHECK_SIZE(release(0), 10);
	end();
}

static void of_nothing_there_is_a_note_too(void)
{
	start_empty();
	CHECK_SIZE(acquire(500, 0), 0);
	check_bytes(0);
	CHECK_SIZE(release(500), 0);
	CHECK_SIZE(release(500), SIZE_MAX);
	end();
}

static void the_charge_passes_any_limit(void)
{
	start_empty();
	limit_to(100);
	CHECK_SIZE(acquire(0x1000, 1000), 0);
	check_bytes(1000);
	CHECK_SIZE(release(0x1000), 1000);
	end();
}

static void popping_ends_with_nothing(void)
{
	uintptr_t start;
	size_t size, bytes = 0, pops = 0;

	start_empty();
	CHECK(!hm_external_pop(&external, &budget, &start, &size));
	(void)acquire(0, 1000);
	(void)acquire(100, 10);
	(void)acquire(2000, 0);
	while (hm_external_pop(&external, &budget, &start, &size)) {
		CHECK(start == 0 || start == 100 || start == 2000);
		bytes += size;
		pops++;
		check_bytes(1000 - bytes);
	}
	CHECK_SIZE(pops, 3);
	CHECK_SIZE(bytes, 1000);
	end();
}

static void the_array_grows_and_keeps_what_it_has(void)
{
	enum { COUNT = 3000 };
	size_t before = hm_metadata_in_use();

	start_empty();
	for (size_t i = 0; i < COUNT; i++)
		CHECK_SIZE(acquire(0x10000 * i, 0x1000 + i), 0);
	CHECK_SIZE(external.count, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		CHECK_SIZE(release(0x10000 * i), 0x1000 + i);
	end();
	CHECK_SIZE(hm_metadata_in_use(), before);
}

/* A process may have as many mappings as vm.max_map_count, which is 65,530. */
static void there_is_room_for_all_mappings_of_a_process(void)
{
	size_t room = 0x10000;

	start_empty();
	external.room = external.count = 20000;
	external.runs = hm_metadata_alloc(external.room * sizeof(*external.runs));
	if (!CHECK(external.runs != NULL))
		return;
	for (size_t i = 0; i < external.count; i++)
		external.runs[i].start = external.runs[i].end =
			external.runs[i].acquired = i + 1;
	while (external.count < room) {
		size_t before = external.count, displaced;

		if (!CHECK(hm_external_acquire(&external, &budget, PAGE << 20, PAGE,
					       &displaced)))
			break;
		/* Let it be as if there were more, up to the room that it has found. */
		CHECK_SIZE(release(PAGE << 20), PAGE);
		for (size_t i = before; i < external.room - 1; i++)
			external.runs[i] = external.runs[0];
		external.count = external.room - 1;
	}
	CHECK(external.count >= room);
	external.count = 0;
	end();
}

static void without_memory_nothing_changes(void)
{
	struct hoard hoard;
	size_t displaced = SIZE_MAX;

	start_empty();
	hoard_size(&hoard, 32 * sizeof(struct hm_external_run));
	CHECK(!hm_external_acquire(&external, &budget, 100, 100, &displaced));
	CHECK_SIZE(displaced, 0);
	check_bytes(0);
	CHECK_SIZE(external.count, 0);
	hoard_end_size(&hoard, 32 * sizeof(struct hm_external_run));
	(void)acquire(100, 100);
	hoard_size(&hoard, 2048);
	/* As long as there is room, there is no need for memory. */
	for (size_t i = external.count; i + 2 <= 32; i++)
		CHECK_SIZE(acquire(1000 * i, 10), 0);
	CHECK(!hm_external_acquire(&external, &budget, 100, 50, &displaced));
	CHECK_SIZE(release(100), 100);
	for (size_t i = 1; i < 31; i++)
		CHECK_SIZE(release(1000 * i), 10);
	hoard_end_size(&hoard, 2048);
	end();
}

/* Which start has each byte of a small space, by the rule alone. */
enum { SPACE = 256, STARTS = 16 };

static void random_calls_agree_with_an_array(void)
{
	uint64_t state = 88172645463325252;
	uintptr_t owner[SPACE] = { 0 };

	start_empty();
	for (unsigned step = 0; step < 4000; step++) {
		uintptr_t start = 1 + random_below(&state, STARTS) * (SPACE / STARTS);
		size_t size = random_below(&state, SPACE - start);
		size_t lost = 0, all = 0;
		bool acquires = random_below(&state, 3) != 0;

		tap_row("step %u: %zu + %zu", step, (size_t)start, size);
		for (size_t i = 0; i < SPACE; i++) {
			bool covered = acquires && i - start < size;

			lost += owner[i] == start || (covered && owner[i] != 0);
			if (owner[i] == start)
				owner[i] = 0;
			if (covered)
				owner[i] = start;
			all += owner[i] != 0;
		}
		if (acquires) {
			CHECK_SIZE(acquire(start, size), lost);
		} else {
			size_t released = release(start);

			CHECK(released == lost || (released == SIZE_MAX && lost == 0));
		}
		check_bytes(all);
	}
	for (size_t i = 0; i < STARTS; i++)
		(void)release(1 + i * (SPACE / STARTS));
	end();
}

int main(void)
{
	TAP_RUN(a_start_is_forgotten_once);
	TAP_RUN(whoever_acquires_last_has_the_bytes);
	TAP_RUN(the_same_start_again_replaces);
	TAP_RUN(a_start_with_pieces_is_replaced_and_released_whole);
	TAP_RUN(of_nothing_there_is_a_note_too);
	TAP_RUN(the_charge_passes_any_limit);
	TAP_RUN(popping_ends_with_nothing);
	TAP_RUN(the_array_grows_and_keeps_what_it_has);
	TAP_RUN(there_is_room_for_all_mappings_of_a_process);
	TAP_RUN(without_memory_nothing_changes);
	TAP_RUN(random_calls_agree_with_an_array);
	return tap_done();
}
