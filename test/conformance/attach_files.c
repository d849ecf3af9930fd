/*
 * Files and other memory of the system's, mapped over parts of a reservation of the host's
 * (overlays): what is there, whose it is, and that the host takes it back whole.
 */
#include "access.h"
#include "attach.h"
#include "maps.h"
#include "smaps.h"

enum { FILE_PAGES = 4, MANY = 2000 };

static int letters = -1; /* a file: pages of 'a', of 'b' ... */

static bool make_file(void)
{
	char page[PAGE];

	letters = memfd_create("hostmem test", 0);
	for (int i = 0; i < FILE_PAGES; i++) {
		memset(page, 'a' + i, sizeof(page));
		if (!CHECK(write(letters, page, sizeof(page)) == (ssize_t)sizeof(page)))
			return false;
	}
	return true;
}

/* Private pages of the file over a range. */
static void map_file(unsigned char *address, size_t pages, int protection)
{
	errno = NO_ERROR;
	CHECK_POINTER(HostMemMmap(address, pages * PAGE, protection,
				  MAP_PRIVATE | MAP_FIXED, letters, 0),
		      address);
	CHECK_INT(errno, NO_ERROR);
}

static void a_file_over_committed_pages_is_not_charged(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(16 * PAGE, RW);

	fill_pages(base, 16 * PAGE, 1);
	map_file(base + 4 * PAGE, 3, RW);
	CHECK_SIZE(attach_committed(&books), 13 * PAGE);
	CHECK(holds(base + 3 * PAGE, PAGE, 1) && holds(base + 4 * PAGE, PAGE, 'a'));
	CHECK(holds(base + 6 * PAGE, PAGE, 'c') && holds(base + 7 * PAGE, PAGE, 1));
	/* It is private: the file's pages stay. */
	base[4 * PAGE] = 'z';
	map_file(base + 8 * PAGE, 1, PROT_READ);
	CHECK(holds(base + 8 * PAGE, PAGE, 'a'));
	unmap_all(base, 16 * PAGE);
	CHECK(!can_read(base + 4 * PAGE));
	CHECK_BOOKS(&books);
}

static void access_of_a_file_is_the_systems_business(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(16 * PAGE, PROT_NONE);

	map_file(base + 4 * PAGE, 2, PROT_READ);
	CHECK_KEPT(HostMemMprotect(base + 4 * PAGE, 2 * PAGE, RW));
	CHECK(can_write(base + 4 * PAGE, 'x') && can_write(base + 5 * PAGE, 'x'));
	CHECK_SIZE(attach_committed(&books), 0);
	/* With what is around it. */
	CHECK_KEPT(HostMemMprotect(base, 16 * PAGE, PROT_READ));
	CHECK_SIZE(attach_committed(&books), 14 * PAGE);
	CHECK_INT(base[4 * PAGE], 'x');
	CHECK(!can_write(base + 4 * PAGE, 'y') && can_read(base + 15 * PAGE));
	CHECK_KEPT(HostMemMadvise(base + 4 * PAGE, 2 * PAGE, MADV_DONTNEED));
	CHECK(holds(base + 4 * PAGE, PAGE, 'a') && holds(base + 5 * PAGE, PAGE, 'b'));
	unmap_all(base, 16 * PAGE);
	CHECK_BOOKS(&books);
}

static void anonymous_memory_takes_a_files_place(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(16 * PAGE, PROT_NONE);

	map_file(base + 4 * PAGE, 4, RW);
	map_over(base + 5 * PAGE, PAGE, RW);
	CHECK_SIZE(attach_committed(&books), PAGE);
	CHECK(holds(base + 4 * PAGE, PAGE, 'a') && holds(base + 5 * PAGE, PAGE, 0));
	CHECK(holds(base + 6 * PAGE, PAGE, 'c'));
	map_over(base + 6 * PAGE, PAGE, PROT_NONE);
	CHECK(!can_read(base + 6 * PAGE) && holds(base + 7 * PAGE, PAGE, 'd'));
	/* What was taken back is the host's. */
	CHECK_KEPT(HostMemMprotect(base + 6 * PAGE, PAGE, RW));
	CHECK_SIZE(attach_committed(&books), 2 * PAGE);
	map_over(base, 16 * PAGE, RW);
	CHECK_SIZE(attach_committed(&books), 16 * PAGE);
	CHECK(holds(base, 16 * PAGE, 0));
	unmap_all(base, 16 * PAGE);
	CHECK_BOOKS(&books);
}

static void parts_of_a_file_are_given_back_by_the_page(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(16 * PAGE, RW);

	map_file(base + 4 * PAGE, 4, RW);
	unmap_all(base + 5 * PAGE, 2 * PAGE);
	CHECK(holds(base + 4 * PAGE, PAGE, 'a') && holds(base + 7 * PAGE, PAGE, 'd'));
	CHECK(!can_read(base + 5 * PAGE) && !can_read(base + 6 * PAGE));
	CHECK_ERROR(HostMemMprotect(base, 16 * PAGE, PROT_READ), ENOMEM);
	unmap_all(base + 3 * PAGE, 2 * PAGE);
	CHECK_SIZE(attach_committed(&books), 11 * PAGE);
	unmap_all(base, 16 * PAGE);
	CHECK(!can_read(base + 7 * PAGE));
	CHECK_BOOKS(&books);
}

static void shared_memory_may_lie_over_a_reservation(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(16 * PAGE, RW);
	const int shared = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;

	fill_pages(base, 16 * PAGE, 1);
	CHECK_POINTER(HostMemMmap(base, 2 * PAGE, RW, shared, -1, 0), base);
	CHECK(holds(base, 2 * PAGE, 0) && can_write(base, 1));
	CHECK_SIZE(attach_committed(&books), 14 * PAGE);
	unmap_all(base, 16 * PAGE);
	CHECK_BOOKS(&books);
}

/* A file that may be anywhere is none of the host's business. */
static void a_file_anywhere_is_passed_on(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = HostMemMmap(NULL, 2 * PAGE, RW, MAP_SHARED, letters, PAGE);

	CHECK(base != MAP_FAILED && base[0] == 'b');
	CHECK_KEPT(HostMemMprotect(base, PAGE, PROT_READ));
	CHECK(!can_write(base, 'b') && can_write(base + PAGE, 'c'));
	unmap_all(base, 2 * PAGE);
	CHECK_BOOKS(&books);
}

static void a_file_can_be_made_smaller_and_does_not_move(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(16 * PAGE, RW);

	map_file(base + 4 * PAGE, 4, RW);
	CHECK_NO_MAP(HostMemMremap(base + 4 * PAGE, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE,
				   NULL),
		     ENOMEM);
	CHECK_POINTER(HostMemMremap(base + 4 * PAGE, 4 * PAGE, PAGE, 0, NULL),
		      base + 4 * PAGE);
	CHECK(holds(base + 4 * PAGE, PAGE, 'a') && !can_read(base + 5 * PAGE));
	unmap_all(base, 16 * PAGE);
	CHECK_BOOKS(&books);
}

/* Every second page of a reservation is a file's. */
static void two_thousand_files_are_found_again(void)
{
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(2 * MANY * PAGE, PROT_NONE);
	size_t mappings = smaps_count();

	for (size_t i = 0; i < MANY; i++)
		map_file(base + (2 * ((i * 7) % MANY) + 1) * PAGE, 1, PROT_READ);
	CHECK(smaps_count() >= mappings + 2 * MANY - 2);
	CHECK_KEPT(HostMemMprotect(base, 2 * MANY * PAGE, RW));
	CHECK_SIZE(attach_committed(&books), MANY * PAGE);
	for (size_t i = 0; i < MANY; i++) {
		CHECK_INT(base[2 * i * PAGE], 0);
		CHECK_INT(base[(2 * i + 1) * PAGE], 'a');
	}
	/* Some of them go one by one, the others at once. */
	for (size_t i = 0; i < MANY; i += 3)
		map_over(base + (2 * i + 1) * PAGE, PAGE, RW);
	CHECK_SIZE(attach_committed(&books), (MANY + (MANY + 2) / 3) * PAGE);
	unmap_all(base + PAGE, MANY * PAGE);
	map_over(base + (MANY + 1) * PAGE, (MANY - 1) * PAGE, RW);
	CHECK_SIZE(attach_committed(&books), MANY * PAGE);
	CHECK(holds(base + (MANY + 1) * PAGE, (MANY - 1) * PAGE, 0));
	unmap_all(base, 2 * MANY * PAGE);
	CHECK_BOOKS(&books);
	CHECK(smaps_count() <= mappings + 2);
}

/* Where the budget has no room for the pages below. */
static void a_refused_mapping_over_a_file_is_enomem(void)
{
	unsigned char *base = map_new(8 * PAGE, PROT_NONE);
	struct attach_books books = attach_open_books();

	map_file(base, 4, RW);
	attach_limit(PAGE);
	CHECK_NO_MAP(HostMemMmap(base, 2 * PAGE, RW, OVER, -1, 0), ENOMEM);
	CHECK(holds(base + 2 * PAGE, PAGE, 'c'));
	CHECK_BOOKS(&books);
	attach_limit(SIZE_MAX);
	map_over(base, 2 * PAGE, RW);
	CHECK(holds(base, 2 * PAGE, 0) && holds(base + 2 * PAGE, PAGE, 'c'));
	unmap_all(base, 8 * PAGE);
}

int main(void)
{
	access_install();
	if (!make_file() || !attach_with(NULL, 0))
		return tap_done();
	TAP_RUN(a_file_over_committed_pages_is_not_charged);
	TAP_RUN(access_of_a_file_is_the_systems_business);
	TAP_RUN(anonymous_memory_takes_a_files_place);
	TAP_RUN(parts_of_a_file_are_given_back_by_the_page);
	TAP_RUN(shared_memory_may_lie_over_a_reservation);
	TAP_RUN(a_file_anywhere_is_passed_on);
	TAP_RUN(a_file_can_be_made_smaller_and_does_not_move);
	TAP_RUN(two_thousand_files_are_found_again);
	TAP_RUN(a_refused_mapping_over_a_file_is_enomem);
	return tap_done();
}
