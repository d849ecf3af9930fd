/*
 * Zeroing what is there: whatever the pages have been through, and whatever has become of
 * the file that tells which are there, what is handed out is zero.
 */
#include "hostmem/calls.h"
#include "hostmem/os/residents.h"
#include "hostmem/os/spare.h"
#include "stubborn.h"

#include <fcntl.h>
#include <sys/stat.h>

#define PAGES ((size_t)64)

static unsigned char *memory; /* PAGES pages, read-write */

static void fresh(void)
{
	memory = pages_of_ours(PAGES * PAGE, PROT_READ | PROT_WRITE);
}

static void done(void)
{
	CHECK(munmap(memory, PAGES * PAGE) == 0);
}

/* What happens to a page before. */
enum past { UNTOUCHED, WRITTEN, READ, DISCARDED, DROPPED, PASTS };

static void live_through(unsigned char *page, enum past past)
{
	if (past == WRITTEN || past == DISCARDED || past == DROPPED)
		memset(page, 0x5A, PAGE);
	if (past == READ)
		CHECK(can_read(page));
	if (past == DISCARDED)
		(void)madvise(page, PAGE, MADV_FREE);
	if (past == DROPPED)
		CHECK(madvise(page, PAGE, MADV_DONTNEED) == 0);
}

static void check_zeroed(void)
{
	errno = ERRNO;
	CHECK(hm_residents_zero(memory, PAGES * PAGE));
	CHECK_INT(errno, ERRNO);
	CHECK(is_zero(memory, PAGES * PAGE));
	CHECK(can_write(memory, 1) && can_write(memory + (PAGES - 1) * PAGE, 1));
}

static void any_past_of_any_page_becomes_zero(void)
{
	uint64_t random = 42;

	for (unsigned round = 0; round < 200; round++) {
		tap_row("round %u", round);
		fresh();
		for (size_t i = 0; i < PAGES; i++)
			live_through(memory + i * PAGE,
				     (enum past)random_below(&random, PASTS));
		check_zeroed();
		done();
	}
}

/* More runs than one scan tells. */
static void every_second_page_is_there(void)
{
	for (size_t step = 1; step < 5; step++) {
		for (size_t first = 0; first < step; first++) {
			tap_row("pages %zu, %zu, ...", first, first + step);
			fresh();
			for (size_t i = first; i < PAGES; i += step)
				live_through(memory + i * PAGE, WRITTEN);
			check_zeroed();
			done();
		}
	}
}

static bool is_there(const unsigned char *page)
{
	unsigned char there = 0;

	CHECK(mincore((void *)(uintptr_t)page, PAGE, &there) == 0);
	return there & 1;
}

/* Whether the kernel tells which pages are there: else they are all given back. */
static bool scans(void)
{
	bool stays;

	fresh();
	live_through(memory, WRITTEN);
	CHECK(hm_residents_zero(memory, PAGES * PAGE));
	stays = is_there(memory);
	done();
	return stays;
}

static void pages_that_are_there_stay_and_no_others_come(void)
{
	if (!scans()) {
		tap_skip("the kernel does not tell which pages are there");
		return;
	}
	fresh();
	live_through(memory + 3 * PAGE, WRITTEN);
	live_through(memory + 60 * PAGE, WRITTEN);
	stubborn_begin();
	CHECK(hm_residents_zero(memory, PAGES * PAGE));
	CHECK_U32(stubborn.advise.calls, 0);
	CHECK_U32(stubborn.open.calls, 0);
	stubborn_end();
	for (size_t i = 0; i < PAGES; i++)
		CHECK(is_there(memory + i * PAGE) == (i == 3 || i == 60));
	done();
}

static void neighbours_keep_their_contents(void)
{
	fresh();
	memset(memory, 0x5A, PAGES * PAGE);
	CHECK(hm_residents_zero(memory + PAGE, PAGE));
	CHECK_INT(memory[PAGE - 1], 0x5A);
	CHECK_INT(memory[2 * PAGE], 0x5A);
	CHECK(is_zero(memory + PAGE, PAGE));
	done();
}

static void a_huge_page_becomes_zero(void)
{
	size_t huge = (size_t)2 << 20;
	unsigned char *all = pages_of_ours(2 * huge, PROT_READ | PROT_WRITE);
	unsigned char *page = (unsigned char *)(((uintptr_t)all + huge - 1) &
						~(huge - 1));

	(void)madvise(page, huge, MADV_HUGEPAGE);
	memset(page, 0x5A, huge);
	CHECK(hm_residents_zero(page + 5 * PAGE, 20 * PAGE));
	CHECK(is_zero(page + 5 * PAGE, 20 * PAGE));
	CHECK_INT(page[5 * PAGE - 1], 0x5A);
	CHECK_INT(page[25 * PAGE], 0x5A);
	CHECK(hm_residents_zero(page, huge));
	CHECK(is_zero(page, huge));
	CHECK(munmap(all, 2 * huge) == 0);
}

static void without_the_kernels_help_the_pages_are_given_back(void)
{
	static const struct {
		int open_error, control_error;
		unsigned first; /* scan that fails */
	} rows[] = {
		{ ENOENT, 0, 0 }, { EMFILE, 0, 0 }, { EACCES, 0, 0 }, { 0, ENOTTY, 0 },
		{ 0, EINVAL, 0 }, { 0, ENOMEM, 1 }, { 0, ENOMEM, 3 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		hm_residents_after_fork();
		fresh();
		for (size_t page = 0; page < PAGES; page += 1 + page % 2)
			live_through(memory + page * PAGE, WRITTEN);
		live_through(memory + (PAGES - 1) * PAGE, WRITTEN);
		stubborn_begin();
		stubborn.open = (struct refusal){ rows[i].open_error, .times = ALWAYS };
		stubborn.control = (struct refusal){ rows[i].control_error, rows[i].first,
						     .times = ALWAYS };
		CHECK(hm_residents_zero(memory, PAGES * PAGE));
		stubborn_end();
		CHECK(is_zero(memory, PAGES * PAGE));
		done();
	}
}

static void what_cannot_be_zeroed_is_not_told_to_be(void)
{
	hm_residents_after_fork();
	fresh();
	memset(memory, 0x5A, PAGES * PAGE);
	stubborn_begin();
	stubborn.open = (struct refusal){ .error = EMFILE, .times = ALWAYS };
	stubborn.advise = (struct refusal){ .error = EINVAL, .times = ALWAYS };
	CHECK(!hm_residents_zero(memory, PAGES * PAGE));
	stubborn_end();
	CHECK_INT(memory[0], 0x5A);
	CHECK_INT(memory[PAGES * PAGE - 1], 0x5A);
	done();
}

/* A kernel that answers nonsense. */
static struct {
	int found;
	uint64_t end;
} nonsense;

static int answer(int file, unsigned long request, void *argument)
{
	uint64_t *words =
		argument; /* struct pm_scan_arg: size, flags, start, end, walk_end */

	(void)file, (void)request;
	words[4] = nonsense.end;
	return nonsense.found;
}

static void nonsense_is_not_believed(void)
{
	static const int found[] = { 0, 17, 1000, -1 };

	for (size_t i = 0; i < ROWS(found); i++) {
		tap_row("%d runs", found[i]);
		fresh();
		memset(memory, 0x5A, PAGES * PAGE);
		stubborn_begin();
		hm_system.control = answer;
		nonsense.found = found[i];
		/* No step forward: or one, but more runs than there was room for. */
		nonsense.end = (uintptr_t)memory + (found[i] == 0 ? 0 : PAGES * PAGE);
		CHECK(hm_residents_zero(memory, PAGES * PAGE));
		stubborn_end();
		CHECK(is_zero(memory, PAGES * PAGE));
		done();
	}
}

/* A kernel whose pages all are swapped out: it tells so whoever asks for that. */
static int answer_swapped(int file, unsigned long request, void *argument)
{
	const uint64_t swapped = 1U << 4;
	uint64_t *words = argument; /* 5: vec, 8: inverted, 9: mask, 10: any of */
	uint64_t *run = (uint64_t *)(uintptr_t)words[5];
	uint64_t seen = swapped ^ words[8];

	(void)file, (void)request;
	words[4] = words[3];
	if ((seen & words[9]) != words[9] || (words[10] != 0 && (seen & words[10]) == 0))
		return 0;
	run[0] = words[2];
	run[1] = words[3];
	run[2] = swapped;
	return 1;
}

static void pages_that_are_swapped_out_are_there(void)
{
	fresh();
	memset(memory, 0x5A, PAGES * PAGE);
	stubborn_begin();
	hm_system.control = answer_swapped;
	CHECK(hm_residents_zero(memory, PAGES * PAGE));
	stubborn_end();
	CHECK(is_zero(memory, PAGES * PAGE));
	done();
}

int main(void)
{
	access_install();
	TAP_RUN(any_past_of_any_page_becomes_zero);
	TAP_RUN(every_second_page_is_there);
	TAP_RUN(pages_that_are_there_stay_and_no_others_come);
	TAP_RUN(neighbours_keep_their_contents);
	TAP_RUN(a_huge_page_becomes_zero);
	TAP_RUN(without_the_kernels_help_the_pages_are_given_back);
	TAP_RUN(what_cannot_be_zeroed_is_not_told_to_be);
	TAP_RUN(nonsense_is_not_believed);
	TAP_RUN(pages_that_are_swapped_out_are_there);
	return tap_done();
}
