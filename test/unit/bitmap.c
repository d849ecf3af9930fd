/*
 * The bitmap beside an array of bool.
 */
#include "hostmem/bitmap.h"
#include "fake.h"

#include <pthread.h>

#define NONE UINT32_MAX

static struct hm_bitmap map;
static bool model[HM_BITMAP_SIZE];

static void start_empty(void)
{
	memset(&map, 0, sizeof(map));
	memset(model, 0, sizeof(model));
}

static void add(uint32_t number)
{
	hm_bitmap_add(&map, number);
	model[number] = true;
}

static uint32_t previous_of(uint32_t number)
{
	uint32_t out = NONE;

	return hm_bitmap_previous(&map, number, &out) ? out : NONE;
}

static uint32_t next_of(uint32_t number)
{
	uint32_t out = NONE;

	return hm_bitmap_next(&map, number, &out) ? out : NONE;
}

static void check_around(uint32_t number)
{
	uint32_t below = number, above = number;

	while (below != NONE && !model[below])
		below--;
	while (above < HM_BITMAP_SIZE && !model[above])
		above++;
	tap_row("around %u", number);
	CHECK_U32(previous_of(number), below);
	CHECK_U32(next_of(number), above < HM_BITMAP_SIZE ? above : NONE);
}

static void a_zeroed_bitmap_has_no_members(void)
{
	static const uint32_t places[] = { 0, 63, 64, 4095, 4096, 65535 };

	start_empty();
	CHECK_STR(hm_bitmap_check(&map), NULL);
	for (size_t i = 0; i < ROWS(places); i++)
		check_around(places[i]);
}

static void a_member_is_nearest_to_every_place_around_it(void)
{
	/* First and last bits of a word, of a group of words, of all. */
	static const uint32_t edges[] = { 0,     1,     62,    63,    64,    65,
					  127,   128,   4031,  4032,  4094,  4095,
					  4096,  4097,  8191,  8192,  32768, 61439,
					  61440, 65471, 65472, 65534, 65535 };

	for (size_t i = 0; i < ROWS(edges); i++) {
		start_empty();
		add(edges[i]);
		CHECK_STR(hm_bitmap_check(&map), NULL);
		for (size_t j = 0; j < ROWS(edges); j++)
			check_around(edges[j]);
		hm_bitmap_remove(&map, edges[i]);
		model[edges[i]] = false;
		CHECK_STR(hm_bitmap_check(&map), NULL);
		check_around(edges[i]);
	}
}

static void between_two_members_there_is_nothing(void)
{
	static const uint32_t edges[] = { 0, 63, 64, 4095, 4096, 61440, 65535 };

	for (size_t i = 0; i < ROWS(edges); i++) {
		for (size_t j = i; j < ROWS(edges); j++) {
			start_empty();
			add(edges[i]);
			add(edges[j]);
			for (size_t k = 0; k < ROWS(edges); k++) {
				check_around(edges[k]);
				check_around(edges[k] ^ 1);
			}
		}
	}
}

static void adding_and_removing_twice_is_like_once(void)
{
	start_empty();
	add(4095);
	add(4095);
	check_around(4095);
	hm_bitmap_remove(&map, 4095);
	hm_bitmap_remove(&map, 4095);
	model[4095] = false;
	CHECK_STR(hm_bitmap_check(&map), NULL);
	check_around(4095);
}

/* `spread`: numbers are drawn from so many, at equal distances. */
static void random_changes(uint64_t seed, uint32_t spread)
{
	uint64_t state = seed;
	uint32_t step = HM_BITMAP_SIZE / spread;

	start_empty();
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t number = step * (uint32_t)random_below(&state, spread);

		model[number] = random_below(&state, 2) == 0;
		if (model[number])
			hm_bitmap_add(&map, number);
		else
			hm_bitmap_remove(&map, number);
		check_around((uint32_t)random_below(&state, HM_BITMAP_SIZE));
		check_around(number);
		if (i % 100 == 0)
			CHECK_STR(hm_bitmap_check(&map), NULL);
	}
}

static void random_changes_agree_with_an_array(void)
{
	static const uint32_t spreads[] = { 2, 16, 64, 1024, 4096, 65536 };

	for (size_t i = 0; i < ROWS(spreads); i++)
		random_changes(0x9E3779B97F4A7C15 + i, spreads[i]);
}

static void the_checker_finds_levels_that_disagree(void)
{
	static const struct {
		_Atomic uint64_t *word;
		uint64_t flip;
	} rows[] = {
		{ &map.top, 1 },              /* says that there is nothing */
		{ &map.top, 4 },              /* says that there is something */
		{ &map.middle[0], 2 },        /* word 1 has a member */
		{ &map.middle[15], 1 },       /* its group has none */
		{ &map.bottom[1], 2 },        /* the last member of its word goes */
		{ &map.bottom[1023], 1 },     /* a member that nothing tells of */
		{ &map.bottom[70], 1 << 20 }, /* the same in a group with members */
	};

	start_empty();
	add(65);
	add(4096);
	CHECK_STR(hm_bitmap_check(&map), NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		*rows[i].word ^= rows[i].flip;
		CHECK(hm_bitmap_check(&map) != NULL);
		*rows[i].word ^= rows[i].flip;
		CHECK_STR(hm_bitmap_check(&map), NULL);
	}
}

/* Members 100 and 60,000 stay; those between come and go. */
static _Atomic bool writer_done;

static void *come_and_go(void *unused)
{
	static const uint32_t numbers[] = { 101, 127, 128, 4095, 4096, 30000, 59999 };

	for (unsigned i = 0; i < 20000; i++) {
		uint32_t number = numbers[i % ROWS(numbers)];

		hm_bitmap_add(&map, number);
		hm_bitmap_remove(&map, number);
	}
	writer_done = true;
	return unused;
}

static void a_reader_never_misses_a_member_that_stays(void)
{
	pthread_t writer;
	uint32_t found = 0;

	start_empty();
	add(100);
	add(60000);
	writer_done = false;
	if (!CHECK_INT(pthread_create(&writer, NULL, come_and_go, NULL), 0))
		return;
	do {
		CHECK(hm_bitmap_previous(&map, 59999, &found) && found >= 100);
		CHECK(hm_bitmap_next(&map, 101, &found) && found <= 60000);
		CHECK(hm_bitmap_previous(&map, 100, &found) && found == 100);
		CHECK(hm_bitmap_next(&map, 60000, &found) && found == 60000);
	} while (!writer_done);
	CHECK_INT(pthread_join(writer, NULL), 0);
	CHECK_STR(hm_bitmap_check(&map), NULL);
}

int main(void)
{
	TAP_RUN(a_zeroed_bitmap_has_no_members);
	TAP_RUN(a_member_is_nearest_to_every_place_around_it);
	TAP_RUN(between_two_members_there_is_nothing);
	TAP_RUN(adding_and_removing_twice_is_like_once);
	TAP_RUN(random_changes_agree_with_an_array);
	TAP_RUN(the_checker_finds_levels_that_disagree);
	TAP_RUN(a_reader_never_misses_a_member_that_stays);
	return tap_done();
}
