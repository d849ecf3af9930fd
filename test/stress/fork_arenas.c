/*
 * Arenas on both sides of a fork.
 *
 * The child has what the parent had, byte for byte, inaccessible pages included, and its
 * arenas are its own: whatever it commits, gives back, tidies or reserves, the parent's
 * memory stays as it is, and the other way round.
 */
#include "test/stress/crowd.h"
#include "test/stress/forked.h"

#include "hostmem/arenapages.h"
#include "hostmem/calls.h"
#include "hostmem/metadata.h"
#include "hostmem/regions.h"
#include "hostmem/shelf.h"
#include "hostmem/tidy.h"

enum {
	REGIONS = FACES_ROUNDS(1000, 300),
	REGION_PAGES = 16,
	CHILD_SECONDS = FACES_ROUNDS(20, 120),
	HAMMERS = 3,
};

#define GIB ((size_t)1 << 30)

/* Regions of 64 KiB, of which some pages are committed and have contents. */
static struct {
	struct faces faces;
	char *bases[REGIONS];
} all;

static _Noreturn void end_child(void)
{
	fflush(stdout);
	_exit(tap_failed());
}

static bool is_committed(size_t i, size_t page)
{
	return (i + page) % 3 == 0 && i % 5 != 4;
}

static char value_of(size_t i, size_t page)
{
	return (char)(1 + (i * 31 + page * 7) % 100);
}

static void fill_region(size_t i)
{
	for (size_t page = 0; page < REGION_PAGES; page++) {
		char *at = all.bases[i] + page * PAGE;

		if (!is_committed(i, page))
			continue;
		CHECK_HR(faces_commit(&all.faces, at, PAGE), S_OK);
		/* Some are never touched. */
		if (page % 2 == 0)
			memset(at, value_of(i, page), PAGE);
	}
}

static bool fill(size_t retain)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.cbRetain = retain;
	if (!CHECK_HR(faces_create_with(&all.faces, &config), S_OK))
		return false;
	for (size_t i = 0; i < REGIONS; i++) {
		all.bases[i] = faces_reserve(&all.faces, UNIT);
		if (all.bases[i] == NULL)
			return false;
		fill_region(i);
	}
	return true;
}

static bool check_region(size_t i)
{
	for (size_t page = 0; page < REGION_PAGES; page++) {
		char *at = all.bases[i] + page * PAGE;
		char want = page % 2 == 0 ? value_of(i, page) : 0;

		if (!is_committed(i, page)) {
			if (!CHECK(!readable(at)))
				return false;
			continue;
		}
		if (!CHECK_INT(at[0], want) || !CHECK_INT(at[PAGE - 1], want))
			return false;
	}
	return true;
}

/* Those from `first` on, in steps. */
static void check_regions(size_t first, size_t step)
{
	for (size_t i = first; i < REGIONS; i += step) {
		tap_row("region %zu", i);
		if (!check_region(i))
			break;
	}
	tap_row("%s", "");
}

static void release_regions(size_t first, size_t step)
{
	for (size_t i = first; i < REGIONS; i += step) {
		CHECK_HR(faces_free(&all.faces, all.bases[i]), S_OK);
		CHECK(!readable(all.bases[i]));
	}
}

static void check_books(void)
{
	faces_check_account(&all.faces);
	CHECK_STR(hm_regions_check(), NULL);
	CHECK_STR(hm_arenas_check(&hm_arenas_with_guards), NULL);
	CHECK_STR(hm_arenas_check(&hm_arenas_without_guards), NULL);
}

static void end(void)
{
	release_regions(0, 1);
	faces_check_empty(&all.faces);
	check_books();
	CHECK_SIZE(faces_release(&all.faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), 0);
}

static void tidy(void)
{
	hm_calls_enter();
	(void)hm_tidy(hm_pages_choose(0));
	hm_calls_leave();
}

/* Everything that can be done to a region, one after the other. */
static void use_regions(void)
{
	for (size_t i = 0; i < REGIONS; i += 4) {
		char *base = all.bases[i];

		CHECK_HR(faces_decommit(&all.faces, base, 8 * PAGE), S_OK);
		CHECK(!readable(base) && !readable(base + 7 * PAGE));
		CHECK_HR(faces_commit(&all.faces, base, UNIT), S_OK);
		for (size_t page = 0; page < 8; page++)
			CHECK_INT(base[page * PAGE], 0);
		memset(base, 'c', UNIT);
		CHECK_HR(faces_protect(&all.faces, base, UNIT, PAGE_READONLY), S_OK);
		CHECK_HR(faces_protect(&all.faces, base, UNIT, PAGE_READWRITE), S_OK);
		base[UNIT - 1] = 'd';
	}
	release_regions(1, 4);
	tidy();
	for (size_t i = 1; i < REGIONS; i += 4) {
		all.bases[i] = faces_reserve(&all.faces, UNIT);
		for (size_t page = 0; page < REGION_PAGES; page++)
			CHECK(!readable(all.bases[i] + page * PAGE));
		fill_region(i);
	}
	check_regions(1, 4);
	check_regions(2, 4);
	check_regions(3, 4);
}

/* More than one arena has. */
static void reserve_new_arenas(void)
{
	char *bases[6];

	for (size_t i = 0; i < 6; i++) {
		bases[i] = faces_reserve(&all.faces, GIB);
		if (bases[i] == NULL)
			return;
		CHECK_HR(faces_commit(&all.faces, bases[i] + GIB / 2, PAGE), S_OK);
		CHECK_INT(bases[i][GIB / 2]++, 0);
		CHECK(!readable(bases[i] + GIB / 2 + PAGE));
	}
	for (size_t i = 0; i < 6; i++)
		CHECK_HR(faces_free(&all.faces, bases[i]), S_OK);
}

/* ---- Tests ---- */

static void a_child_has_the_parents_contents_and_the_parents_gaps(void)
{
	pid_t child;

	if (!fill(0))
		return;
	child = fork_checked(CHILD_SECONDS);
	if (child == 0) {
		check_regions(0, 1);
		check_books();
		end();
		end_child();
	}
	check_child(child);
	check_regions(0, 1);
	end();
}

static void what_a_child_does_the_parent_does_not_notice(void)
{
	HostMemUsage before, after;
	pid_t child;

	if (!fill(0))
		return;
	before = faces_usage(&all.faces);
	child = fork_checked(CHILD_SECONDS);
	if (child == 0) {
		use_regions();
		reserve_new_arenas();
		check_books();
		end();
		end_child();
	}
	check_child(child);
	after = faces_usage(&all.faces);
	CHECK_SIZE(after.cbReserved, before.cbReserved);
	CHECK_SIZE(after.cbCommitted, before.cbCommitted);
	CHECK_SIZE(after.cRegions, before.cRegions);
	check_regions(0, 1);
	check_books();
	end();
}

static void what_the_parent_does_a_child_does_not_notice(void)
{
	int ends[2];
	pid_t child;
	char byte = 0;

	if (!fill(0) || !CHECK_INT(pipe(ends), 0))
		return;
	child = fork_checked(CHILD_SECONDS);
	if (child == 0) {
		(void)close(ends[1]);
		/* Until the parent has done it all. */
		CHECK_INT(read(ends[0], &byte, 1), 0);
		check_regions(0, 1);
		use_regions();
		end();
		end_child();
	}
	(void)close(ends[0]);
	use_regions();
	reserve_new_arenas();
	check_books();
	end();
	(void)close(ends[1]);
	check_child(child);
}

static void a_child_of_a_child_is_no_different(void)
{
	pid_t child, grandchild;

	if (!fill(0))
		return;
	child = fork_checked(CHILD_SECONDS);
	if (child == 0) {
		use_regions();
		grandchild = fork_checked(CHILD_SECONDS);
		if (grandchild == 0) {
			check_regions(1, 4);
			check_regions(2, 4);
			CHECK_INT(all.bases[0][UNIT - 1], 'd');
			tidy();
			reserve_new_arenas();
			end();
			end_child();
		}
		check_child(grandchild);
		check_regions(1, 4);
		end();
		end_child();
	}
	check_child(child);
	check_regions(0, 1);
	end();
}

/* Releases full regions, which are kept, and has them again: they are zero. */
static void reuse_retained(void)
{
	size_t kept = faces_usage(&all.faces).cbRetained;
	void *out;

	CHECK(kept != 0);
	for (size_t i = 0; i < kept / UNIT; i++) {
		CHECK_HR(faces_alloc(&all.faces, NULL, UNIT, MEM_RESERVE | MEM_COMMIT,
				     PAGE_READWRITE, &out),
			 S_OK);
		for (size_t at = 0; at < UNIT; at += 512)
			CHECK_INT(((char *)out)[at], 0);
		memset(out, 'r', UNIT);
	}
	CHECK_SIZE(faces_usage(&all.faces).cbRetained, 0);
}

static void retained_memory_is_zero_on_both_sides(void)
{
	pid_t child;

	if (!fill(REGIONS / 4 * UNIT))
		return;
	if (hm_pages_arenas(hm_pages_choose(0)) == NULL) {
		tap_skip("nothing is retained without arenas");
		CHECK_SIZE(faces_release(&all.faces), 0);
		return;
	}
	for (size_t i = 0; i < REGIONS; i += 4) {
		CHECK_HR(faces_commit(&all.faces, all.bases[i], UNIT), S_OK);
		memset(all.bases[i], 's', UNIT);
		CHECK_HR(faces_free(&all.faces, all.bases[i]), S_OK);
	}
	child = fork_checked(CHILD_SECONDS);
	if (child == 0) {
		reuse_retained();
		check_regions(1, 4);
		CHECK_SIZE(faces_release(&all.faces), 0);
		CHECK_SIZE(hm_metadata_in_use(), 0);
		end_child();
	}
	check_child(child);
	reuse_retained();
	check_regions(1, 4);
	CHECK_SIZE(faces_release(&all.faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), 0);
}

/* ---- While others are at work ---- */

static _Atomic bool over;

static void *hammer(void *argument)
{
	struct crowd_member *self = argument;
	void *out;

	while (!atomic_load(&over)) {
		size_t size = (1 + crowd_draw(self, 12)) * UNIT / 2;

		CHECK_HR(faces_alloc(&all.faces, NULL, size,
				     MEM_RESERVE |
					     (crowd_draw(self, 2) ? MEM_COMMIT : 0U),
				     PAGE_READWRITE, &out),
			 S_OK);
		CHECK_HR(faces_commit(&all.faces, out, PAGE), S_OK);
		*(char *)out = 1;
		CHECK_HR(faces_free(&all.faces, out), S_OK);
		if (self->number == 0)
			tidy();
	}
	return NULL;
}

static void a_child_of_busy_threads_has_arenas_that_hold_together(void)
{
	struct crowd crowd;

	if (!fill(16 * UNIT) || !crowd_start(&crowd, HAMMERS, hammer, NULL))
		return;
	for (int i = 0; i < FACES_ROUNDS(15, 5); i++) {
		pid_t child = fork_checked(CHILD_SECONDS);

		if (child == 0) {
			check_books();
			check_regions((size_t)i % 10, 10);
			use_regions();
			check_books();
			CHECK_SIZE(faces_release(&all.faces), 0);
			CHECK_SIZE(hm_metadata_in_use(), 0);
			end_child();
		}
		tap_row("fork %d", i);
		check_child(child);
	}
	atomic_store(&over, true);
	crowd_join(&crowd);
	check_regions(0, 1);
	end();
}

int main(void)
{
	TAP_RUN(a_child_has_the_parents_contents_and_the_parents_gaps);
	TAP_RUN(what_a_child_does_the_parent_does_not_notice);
	TAP_RUN(what_the_parent_does_a_child_does_not_notice);
	TAP_RUN(a_child_of_a_child_is_no_different);
	TAP_RUN(retained_memory_is_zero_on_both_sides);
	TAP_RUN(a_child_of_busy_threads_has_arenas_that_hold_together);
	return tap_done();
}
