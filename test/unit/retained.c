/*
 * Retained memory: what is kept, in which order it goes, and that it is zero when it is
 * handed out again.  Bases that nobody looks at are made up; where memory has to be
 * zeroed it is real.  At random and by several threads: see retained_random.c.
 */
#include "hostmem/retained.h"
#include "stubborn.h"

#define KEPT (16 * UNIT) /* the limit of most tests */
#define MOST_GIVEN 4096

static struct fake_pages pages;
static struct hm_retained *retained;
static size_t in_use;

/* What went back to the page source, in that order. */
static struct {
	uintptr_t base;
	size_t size;
} given[MOST_GIVEN];
static size_t given_count;

static void note_given(void *state)
{
	(void)state;
	if (CHECK(given_count < MOST_GIVEN)) {
		given[given_count].base = pages.address;
		given[given_count++].size = pages.size;
	}
}

static void begin(size_t limit)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_calls_enter();
	in_use = hm_metadata_in_use();
	fake_pages_init(&pages);
	pages.hook = note_given;
	given_count = 0;
	retained = hm_metadata_alloc(sizeof(*retained));
	CHECK(retained != NULL && hm_retained_init(retained, limit));
}

static void finish(void)
{
	hm_retained_trim(retained, &pages.source);
	CHECK_SIZE(retained->bytes, 0);
	hm_retained_destroy(retained);
	hm_metadata_free(retained, sizeof(*retained));
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	CHECK_U32(pages.calls[RELEASE], 0);
	CHECK_SIZE(pages.calls[GIVE_UP], given_count);
	hm_calls_leave();
}

static uintptr_t place(size_t number)
{
	return FAKE_BASE + number * 2 * HM_RETAINED_LARGEST;
}

static void put(size_t number, size_t size)
{
	hm_retained_put(retained, &pages.source, place(number), size);
}

static void check_given(size_t i, size_t number, size_t size)
{
	if (!CHECK(i < given_count))
		return;
	CHECK_SIZE(given[i].base, place(number));
	CHECK_SIZE(given[i].size, size);
}

static void small_sizes_within_the_limit_are_wanted(void)
{
	static const struct {
		size_t limit, size;
		bool want;
	} rows[] = {
		{ 0, PAGE, false },
		{ UNIT, PAGE, true },
		{ UNIT, UNIT, true },
		{ UNIT, UNIT + PAGE, false },
		{ HM_RETAINED_LARGEST - PAGE, HM_RETAINED_LARGEST, false },
		{ SIZE_MAX, HM_RETAINED_LARGEST, true },
		{ SIZE_MAX, HM_RETAINED_LARGEST + PAGE, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		begin(rows[i].limit);
		CHECK(hm_retained_wants(retained, rows[i].size) == rows[i].want);
		finish();
	}
}

static void without_a_limit_there_is_nothing_and_it_costs_nothing(void)
{
	uintptr_t base;
	size_t size, before;

	begin(0);
	before = hm_metadata_in_use();
	CHECK(hm_retained_init(retained, 0));
	CHECK_SIZE(hm_metadata_in_use(), before);
	CHECK(!hm_retained_take(retained, &pages.source, PAGE, UNIT, &base));
	CHECK(!hm_retained_pop(retained, &base, &size));
	finish();
	CHECK_SIZE(given_count, 0);
}

static void no_memory_for_the_books_is_told(void)
{
	enum { BOOKS = 4 << 20, MOST = 64 };
	void *blocks[MOST];
	size_t count = 0;

	begin(0);
	memory_refuse();
	while (count < MOST && (blocks[count] = hm_metadata_alloc(BOOKS)) != NULL)
		count++;
	CHECK(!hm_retained_init(retained, SIZE_MAX));
	memory_allow();
	while (count-- > 0)
		hm_metadata_free(blocks[count], BOOKS);
	memset(retained, 0, sizeof(*retained));
	finish();
}

static void the_oldest_goes_first(void)
{
	uintptr_t base;
	size_t size;

	begin(KEPT);
	for (size_t i = 0; i < 4; i++)
		put(i, 4 * UNIT);
	CHECK_SIZE(given_count, 0);
	CHECK_SIZE(retained->bytes, KEPT);
	put(4, 5 * UNIT);
	check_given(0, 0, 4 * UNIT);
	check_given(1, 1, 4 * UNIT);
	CHECK_SIZE(given_count, 2);
	CHECK_SIZE(retained->bytes, 13 * UNIT);
	CHECK(hm_retained_pop(retained, &base, &size));
	CHECK_SIZE(base, place(2));
	CHECK_SIZE(size, 4 * UNIT);
	CHECK_SIZE(retained->bytes, 9 * UNIT);
	finish();
	check_given(2, 3, 4 * UNIT);
	check_given(3, 4, 5 * UNIT);
}

static void as_many_as_fit_are_kept_and_no_more(void)
{
	begin(KEPT);
	for (size_t i = 0; i < 100; i++) {
		put(i, UNIT);
		CHECK_SIZE(retained->bytes, (i < 16 ? i + 1 : 16) * UNIT);
	}
	CHECK_SIZE(given_count, 84);
	finish();
	CHECK_SIZE(given_count, 100);
	for (size_t i = 0; i < 100; i++)
		check_given(i, i, UNIT);
}

static void what_does_not_fit_at_all_goes_back_itself(void)
{
	begin(UNIT);
	put(0, UNIT);
	put(1, 2 * UNIT);
	CHECK_SIZE(retained->bytes, 0);
	finish();
	check_given(0, 0, UNIT);
	check_given(1, 1, 2 * UNIT);
}

static void *real(size_t size)
{
	unsigned char *memory = pages_of_ours(size + 2 * UNIT, PROT_READ | PROT_WRITE);
	uintptr_t start = ((uintptr_t)memory + UNIT - 1) & ~(uintptr_t)(UNIT - 1);

	memset((void *)start, 0x5A, size);
	return (void *)start;
}

static void what_is_taken_is_zero_and_the_newest(void)
{
	unsigned char *old = real(4 * PAGE), *new = real(4 * PAGE);
	uintptr_t base = 1;

	begin(KEPT);
	hm_retained_put(retained, &pages.source, (uintptr_t)old, 4 * PAGE);
	hm_retained_put(retained, &pages.source, (uintptr_t) new, 4 * PAGE);
	put(0, UNIT);
	CHECK_INT(new[0], 0x5A);
	CHECK(hm_retained_take(retained, &pages.source, 4 * PAGE, UNIT, &base));
	CHECK_SIZE(base, (uintptr_t) new);
	CHECK(is_zero(new, 4 * PAGE));
	CHECK_INT(old[0], 0x5A);
	CHECK_SIZE(retained->bytes, UNIT + 4 * PAGE);
	CHECK(hm_retained_take(retained, &pages.source, 4 * PAGE, UNIT, &base));
	CHECK_SIZE(base, (uintptr_t)old);
	CHECK(is_zero(old, 4 * PAGE));
	CHECK(!hm_retained_take(retained, &pages.source, 4 * PAGE, UNIT, &base));
	CHECK_SIZE(base, (uintptr_t)old);
	CHECK_SIZE(given_count, 0);
	finish();
}

static void only_the_very_size_and_alignment_is_taken(void)
{
	static const struct {
		size_t size, alignment;
		bool want;
	} rows[] = {
		{ 5 * PAGE, UNIT, true },         { 4 * PAGE, UNIT, false },
		{ 6 * PAGE, UNIT, false },        { UNIT, UNIT, false },
		{ 5 * PAGE, 2 * UNIT, false },    { 5 * PAGE, 64 * UNIT, false },
		{ UNIT + 5 * PAGE, UNIT, false },
	};
	unsigned char *memory = real(3 * UNIT);

	/* At an odd multiple of 64 KiB. */
	if (((uintptr_t)memory / UNIT) % 2 == 0)
		memory += UNIT;
	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t base = 1;

		tap_row("row %zu", i);
		begin(KEPT);
		hm_retained_put(retained, &pages.source, (uintptr_t)memory, 5 * PAGE);
		CHECK(hm_retained_take(retained, &pages.source, rows[i].size,
				       rows[i].alignment, &base) == rows[i].want);
		CHECK_SIZE(base, rows[i].want ? (uintptr_t)memory : 1);
		CHECK_SIZE(retained->bytes, rows[i].want ? 0 : 5 * PAGE);
		finish();
	}
}

static void it_is_found_behind_others_of_nearly_its_size(void)
{
	unsigned char *memory = real(5 * PAGE);
	uintptr_t base;

	begin(KEPT);
	hm_retained_put(retained, &pages.source, (uintptr_t)memory, 5 * PAGE);
	for (size_t i = 0; i < 4; i++)
		put(i, (6 + i) * PAGE);
	CHECK(hm_retained_take(retained, &pages.source, 5 * PAGE, UNIT, &base));
	CHECK_SIZE(base, (uintptr_t)memory);
	finish();
	CHECK_SIZE(given_count, 4);
}

static void what_cannot_be_zeroed_goes_back_instead(void)
{
	unsigned char *memory = real(UNIT);
	uintptr_t base = 1;

	begin(KEPT);
	hm_retained_put(retained, &pages.source, (uintptr_t)memory, UNIT);
	stubborn_begin();
	stubborn.control = (struct refusal){ .error = ENOTTY, .times = ALWAYS };
	stubborn.advise = (struct refusal){ .error = EINVAL, .times = ALWAYS };
	CHECK(!hm_retained_take(retained, &pages.source, UNIT, UNIT, &base));
	stubborn_end();
	CHECK_SIZE(base, 1);
	CHECK_SIZE(given_count, 1);
	CHECK_SIZE(given[0].base, (uintptr_t)memory);
	CHECK_SIZE(given[0].size, UNIT);
	finish();
	CHECK_SIZE(given_count, 1);
}

int main(void)
{
	TAP_RUN(small_sizes_within_the_limit_are_wanted);
	TAP_RUN(without_a_limit_there_is_nothing_and_it_costs_nothing);
	TAP_RUN(no_memory_for_the_books_is_told);
	TAP_RUN(the_oldest_goes_first);
	TAP_RUN(as_many_as_fit_are_kept_and_no_more);
	TAP_RUN(what_does_not_fit_at_all_goes_back_itself);
	TAP_RUN(what_is_taken_is_zero_and_the_newest);
	TAP_RUN(only_the_very_size_and_alignment_is_taken);
	TAP_RUN(it_is_found_behind_others_of_nearly_its_size);
	TAP_RUN(what_cannot_be_zeroed_goes_back_instead);
	return tap_done();
}
