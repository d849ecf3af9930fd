/*
 * Where the records of regions are: memory for them, what they cost, and two threads on
 * either side of a block's border.
 */
#include "hostmem/directory.h"
#include "map.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#define BLOCK ((uintptr_t)1 << 32)
#define TABLE (HM_TABLE_RECORDS * UNIT)

/* ---- What it costs ---- */

/* What the library has mapped for its records since the program began. */
static struct mapped {
	char *address;
	size_t size;
} mapped[64];
static size_t mapped_count;

static void *noting_map(void *address, size_t size, int protection, int flags, int file,
			long offset)
{
	void *out = fake_real_map(address, size, protection, flags, file, offset);

	/* What is not writable holds no records, and counts for no limit. */
	if ((protection & PROT_WRITE) && CHECK(mapped_count < ROWS(mapped)))
		mapped[mapped_count++] = (struct mapped){ out, size };
	return out;
}

static size_t resident(char *start, const char *end)
{
	char *page = start - (uintptr_t)start % PAGE;
	size_t count = 0;

	for (; page < end; page += PAGE) {
		unsigned char here;

		CHECK_INT(mincore(page, PAGE, &here), 0);
		count += here & 1;
	}
	return count * PAGE;
}

/* Of the program, the library being a part of it; the linker knows them.  The runtime of
 * a sanitizer is a part of it as well, which is why that is allowed more. */
extern char __bss_start[], _end[];

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

static void one_region_costs_few_pages(void)
{
	size_t pages = 0, addresses = 0;
	size_t before = resident(__bss_start, _end);

	fake_real_map = hm_system.map;
	hm_system.map = noting_map;
	CHECK(hm_metadata_prepare());
	enter(FAKE_BASE, UNIT);
	memory_allow();
	CHECK_SIZE(found(FAKE_BASE + UNIT - 1), FAKE_BASE);
	for (size_t i = 0; i < mapped_count; i++) {
		pages += resident(mapped[i].address, mapped[i].address + mapped[i].size);
		addresses += mapped[i].size;
	}
	tap_row("%zu bytes resident of %zu mapped, %zu of the program's", pages,
		addresses, resident(__bss_start, _end) - before);
	CHECK(pages != 0);
	pages += resident(__bss_start, _end) - before;
	CHECK(pages <= (size_t)128 << (SANITIZED ? 14 : 10));
	CHECK(addresses <= (size_t)192 << 10);
	drop(FAKE_BASE);
}

static void regions_far_apart_cost_a_table_each(void)
{
	size_t addresses = 0;

	mapped_count = 0;
	fake_real_map = hm_system.map;
	hm_system.map = noting_map;
	for (size_t i = 0; i < 1000; i++)
		enter(FAKE_BASE + i * (BLOCK / 4), BLOCK / 4);
	memory_allow();
	for (size_t i = 0; i < mapped_count; i++)
		addresses += mapped[i].size;
	tap_row("%zu bytes in %zu spans", addresses, mapped_count);
	CHECK(addresses <= (size_t)16 << 20);
	CHECK(mapped_count < 16);
	for (size_t i = 0; i < 1000; i++)
		drop(FAKE_BASE + i * (BLOCK / 4));
	check_empty();
}

/* ---- No memory ---- */

/* No other test has been there, so it takes a table, or a block and a table. */
static void without_memory_for_records_nothing_is_entered(void)
{
	static const struct {
		const char *name;
		uintptr_t base;
	} rows[] = {
		{ "a table", FAKE_BASE + 5 * TABLE },
		{ "a block", FAKE_BASE + 1001 * BLOCK },
	};

	enter(FAKE_BASE, UNIT);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hoard hoard;

		tap_row("%s", rows[i].name);
		hoard_size(&hoard, 64);
		CHECK_HR(enter_as(rows[i].base, PAGE, false, HM_REGION_LIVE),
			 E_OUTOFMEMORY);
		CHECK_HR(enter_as(FAKE_BASE + UNIT, PAGE, false, HM_REGION_LIVE), S_OK);
		hoard_end_size(&hoard, 64);
		CHECK_STR(hm_regions_check(), NULL);
		CHECK_SIZE(found(rows[i].base), 0);
		drop(FAKE_BASE + UNIT);
		enter(rows[i].base, PAGE);
		drop(rows[i].base);
	}
	drop(FAKE_BASE);
	check_empty();
}

static void where_room_was_made_a_region_enters_without_memory(void)
{
	uintptr_t base = FAKE_BASE + 1500 * BLOCK;
	struct hoard hoard;

	CHECK(hm_regions_make_room(base));
	hoard_size(&hoard, 64);
	CHECK(!hm_regions_make_room(base + TABLE));
	CHECK(hm_regions_make_room(base + TABLE - 1));
	CHECK_HR(enter_as(base, PAGE, false, HM_REGION_LIVE), S_OK);
	hoard_end_size(&hoard, 64);
	CHECK_SIZE(found(base), base);
	drop(base);
	check_empty();
}

static HRESULT split(uintptr_t address, uintptr_t first, uintptr_t second)
{
	struct hm_region *region = hm_regions_lock(host(0), address), *out;
	struct hm_region_fields fields[2];
	HRESULT hr;

	if (!CHECK(region != NULL))
		return E_UNEXPECTED;
	fields[0] = fields_of(first, second, HM_REGION_LIVE);
	fields[1] = fields_of(second, hm_region_end(region), HM_REGION_LIVE);
	hr = hm_regions_split(region, HM_REGION_LIVE, &fields[0], &fields[1], &out);
	hm_regions_unlock(region);
	return hr;
}

static void a_region_can_be_split_without_memory(void)
{
	uintptr_t base = FAKE_BASE + 2000 * BLOCK;
	/* Two blocks and two tables that are not there yet. */
	uintptr_t first = base + 2 * BLOCK, second = base + 4 * BLOCK + TABLE;
	struct hoard hoard;
	unsigned splits;

	enter(base, 8 * BLOCK);
	hoard_size(&hoard, 64);
	CHECK_HR(split(base, first, second), S_OK);
	hoard_end_size(&hoard, 64);
	CHECK_SIZE(found(first - 1), base);
	CHECK_SIZE(found(second - 1), first);
	CHECK_SIZE(found(base + 8 * BLOCK - 1), second);
	drop(first);
	drop(second);
	/* Once that is used up the region stays whole; and with memory it is there again. */
	hoard_size(&hoard, 64);
	CHECK_HR(split(base, base + BLOCK, base + BLOCK + TABLE), E_OUTOFMEMORY);
	CHECK_SIZE(found(first - 1), base);
	CHECK_STR(hm_regions_check(), NULL);
	hoard_end_size(&hoard, 64);
	enter(base + 100 * BLOCK, UNIT);
	hoard_size(&hoard, 64);
	for (splits = 0; splits < 2; splits++) {
		uintptr_t at = base + BLOCK / 2 - splits * 2 * TABLE;

		CHECK_HR(split(base, at, at + TABLE), S_OK);
		drop(at + TABLE);
		drop(at);
	}
	hoard_end_size(&hoard, 64);
	drop(base);
	drop(base + 100 * BLOCK);
	check_empty();
}

/* ---- Changes and borders ---- */

static void every_change_is_counted_wherever_it_is(void)
{
	static const uintptr_t bases[] = { FAKE_BASE, FAKE_BASE + BLOCK - UNIT,
					   FAKE_BASE + 5 * BLOCK,
					   FAKE_BASE + 64 * BLOCK };
	uint64_t last = hm_regions_changes();

	for (size_t i = 0; i < ROWS(bases); i++) {
		tap_row("0x%zx", (size_t)bases[i]);
		CHECK(hm_regions_changes() == last);
		enter(bases[i], 2 * UNIT);
		CHECK(hm_regions_changes() > last);
		last = hm_regions_changes();
		CHECK_HR(split(bases[i], bases[i] + PAGE, bases[i] + UNIT), S_OK);
		CHECK(hm_regions_changes() > last);
		for (size_t part = 0; part < 3; part++) {
			static const uintptr_t parts[] = { 0, PAGE, UNIT };

			last = hm_regions_changes();
			drop(bases[i] + parts[part]);
			CHECK(hm_regions_changes() > last);
		}
		last = hm_regions_changes();
	}
	check_empty();
}

static void what_leaves_across_a_border_makes_room_on_both_sides(void)
{
	static const struct {
		const char *name;
		size_t base, size; /* in units, from two units before the border */
	} rows[] = {
		{ "before the border", 0, 2 },
		{ "at its base", 1, 1 },
		{ "behind the border", 2, 1 },
		{ "across it", 0, 4 },
	};
	uintptr_t start = FAKE_BASE + BLOCK - 2 * UNIT;

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t base = start + rows[i].base * UNIT;

		tap_row("%s", rows[i].name);
		CHECK_HR(enter_as(start + UNIT, 2 * UNIT, false, HM_REGION_LEAVING),
			 S_OK);
		CHECK_HR(enter_as(base, rows[i].size * UNIT, true, HM_REGION_LIVE), S_OK);
		CHECK_STR(hm_regions_check(), NULL);
		CHECK_SIZE(found(base), base);
		CHECK_SIZE(previous(start + 8 * UNIT), base);
		CHECK_SIZE(next(start), base);
		drop(base);
		check_empty();
	}
}

/* Who has each of a few units around a border; 0 = nobody. */
enum { UNITS = 6, THREADS = 3, ROUNDS = 20000 };

static _Atomic unsigned owner[UNITS], won;
static const uintptr_t space = FAKE_BASE + BLOCK - UNITS / 2 * UNIT;

/* Has the units for a while; nobody else may, and every call finds their region. */
static void own(const struct hm_region *mine, unsigned number, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		CHECK_INT(atomic_exchange(&owner[i], number), 0);
	for (size_t i = first; i < end; i++) {
		struct hm_region *region = hm_regions_lock(host(0), space + i * UNIT);

		CHECK_POINTER(region, mine);
		if (region != NULL)
			hm_regions_unlock(region);
	}
	for (size_t i = first; i < end; i++)
		CHECK_INT(atomic_exchange(&owner[i], 0), number);
	atomic_fetch_add(&won, 1);
}

static void leave(struct hm_region_ticket *ticket)
{
	hm_region_set_phase(ticket->region, HM_REGION_LEAVING);
	ticket->version = hm_region_version(ticket->region);
}

static void reserve_and_release(uint64_t *state, unsigned number)
{
	size_t first = random_below(state, UNITS);
	size_t end = first + 1 + random_below(state, UNITS - first);
	struct hm_region_fields fields =
		fields_of(space + first * UNIT, space + end * UNIT, HM_REGION_ARRIVING);
	struct hm_region_ticket ticket, next;

	if (FAILED(hm_regions_enter(&fields, true, &ticket)) || ticket.region == NULL)
		return;
	CHECK(hm_regions_arrive(&ticket));
	own(ticket.region, number, first, end);
	leave(&ticket);
	if (random_below(state, 2) == 0) {
		/* The system gives a unit of it to us again, before we are done with it. */
		first += random_below(state, end - first);
		fields = fields_of(space + first * UNIT, space + (first + 1) * UNIT,
				   HM_REGION_LIVE);
		CHECK_HR(hm_regions_enter(&fields, false, &next), S_OK);
		own(next.region, number, first, first + 1);
		leave(&next);
		hm_regions_remove(&next);
	}
	hm_regions_remove(&ticket);
}

static void *reserve_and_release_often(void *argument)
{
	unsigned number = *(unsigned *)argument;
	uint64_t state = number * 4711;

	for (unsigned i = 0; i < ROUNDS && !tap_failed(); i++) {
		reserve_and_release(&state, number);
		if (i % 64 == 0)
			(void)sched_yield();
	}
	return NULL;
}

static void one_thread_at_a_time_is_given_a_unit_near_a_border(void)
{
	unsigned numbers[THREADS];
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i + 1;
		CHECK_INT(pthread_create(&threads[i], NULL, reserve_and_release_often,
					 &numbers[i]),
			  0);
	}
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK(atomic_load(&won) != 0);
	check_empty();
}

int main(void)
{
	TAP_RUN(one_region_costs_few_pages);
	TAP_RUN(regions_far_apart_cost_a_table_each);
	TAP_RUN(without_memory_for_records_nothing_is_entered);
	TAP_RUN(where_room_was_made_a_region_enters_without_memory);
	TAP_RUN(a_region_can_be_split_without_memory);
	TAP_RUN(every_change_is_counted_wherever_it_is);
	TAP_RUN(what_leaves_across_a_border_makes_room_on_both_sides);
	TAP_RUN(one_thread_at_a_time_is_given_a_unit_near_a_border);
	return tap_done();
}
