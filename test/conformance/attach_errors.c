/*
 * What the translated functions refuse: arguments, as the kernel does, and requests that the
 * budget has no room for; and that nothing has changed then.
 */
#include "access.h"
#include "attach.h"
#include "child.h"
#include "maps.h"

/* ---- Arguments, beside the system's own functions ---- */

/* What mmap is asked for; `start` is an address, or counts from pages that are there. */
static const struct arguments {
	bool there;
	uintptr_t start;
	size_t size;
	int flags, file;
} wrong[] = {
	{ false, 0, 0, NEW, -1 },
	{ false, 0, SIZE_MAX, NEW, -1 },
	{ false, 0, SIZE_MAX - PAGE + 1, NEW, -1 },
	{ false, 0, (size_t)1 << 63, NEW, -1 },
	{ false, 0, (size_t)1 << 47, NEW, -1 },
	{ false, 0, USER_END, NEW | MAP_NORESERVE, -1 },
	{ false, 0, USER_END - UNIT, NEW | MAP_NORESERVE, -1 },
	{ true, 0, USER_END, NEW | MAP_NORESERVE, -1 },
	{ true, 0, 0, OVER, -1 },
	{ true, 1, PAGE, OVER, -1 },
	{ true, 0, SIZE_MAX, OVER, -1 },
	{ true, 0, (size_t)1 << 47, OVER, -1 },
	{ false, (uintptr_t)1 << 47, PAGE, OVER, -1 },
	{ false, ~(uintptr_t)0xFFF, PAGE, OVER, -1 },
	{ false, 0, PAGE, MAP_ANONYMOUS, -1 },
	{ false, 0, PAGE, 0, -1 },
	{ false, 0, PAGE, MAP_PRIVATE, -1 },
	{ true, 0, PAGE, MAP_PRIVATE | MAP_FIXED, -1 },
	{ true, 0, PAGE, MAP_PRIVATE | MAP_FIXED, 4711 },
	{ true, 0, PAGE, MAP_ANONYMOUS | MAP_FIXED, -1 },
};

static void arguments_of_mmap_are_refused_as_by_the_system(void)
{
	unsigned char *base = map_new(4 * UNIT, RW);
	struct attach_books books = attach_open_books();

	fill_pages(base, 4 * UNIT, 8);
	for (const struct arguments *row = wrong; row < wrong + ROWS(wrong); row++) {
		void *start = at(row->there ? base : NULL, row->start);
		int error;

		tap_row("row %zu", (size_t)(row - wrong));
		CHECK_POINTER(mmap(start, row->size, RW, row->flags, row->file, 0),
			      MAP_FAILED);
		error = errno;
		CHECK_NO_MAP(HostMemMmap(start, row->size, RW, row->flags, row->file, 0),
			     error);
	}
	CHECK(holds(base, 4 * UNIT, 8));
	CHECK_BOOKS(&books);
	unmap_all(base, 4 * UNIT);
}

static void arguments_of_the_others_are_refused_as_by_the_system(void)
{
	unsigned char *base = map_new(4 * UNIT, RW);
	struct attach_books books = attach_open_books();

	fill_pages(base, 4 * UNIT, 8);
	CHECK_ERROR(HostMemMunmap(base, 0), EINVAL);
	CHECK_ERROR(HostMemMunmap(base + 1, PAGE), EINVAL);
	CHECK_ERROR(HostMemMunmap(base, SIZE_MAX), EINVAL);
	CHECK_ERROR(HostMemMunmap(base, (size_t)1 << 47), EINVAL);
	CHECK_ERROR(HostMemMprotect(base + 1, PAGE, RW), EINVAL);
	CHECK_KEPT(HostMemMprotect(base, 0, RW));
	CHECK_ERROR(HostMemMprotect(base, SIZE_MAX, PROT_NONE), ENOMEM);
	CHECK_ERROR(HostMemMprotect(base, PAGE, 0x40), EINVAL);
	CHECK(holds(base, 4 * UNIT, 8) && can_write(base, 8));
	CHECK_BOOKS(&books);
	unmap_all(base, 4 * UNIT);
	CHECK_ERROR(HostMemMprotect(base, PAGE, RW), ENOMEM);
}

/* Address 0 is exact, too; the host would take it for "anywhere". */
static void the_first_page_is_the_systems(void)
{
	struct attach_books books = attach_open_books();
	void *base = HostMemMmap(NULL, PAGE, PROT_NONE, OVER, -1, 0);

	if (base == MAP_FAILED)
		CHECK_INT(errno, EPERM);
	else
		CHECK_POINTER(base, NULL);
	CHECK_BOOKS(&books);
	if (base != MAP_FAILED)
		unmap_all(NULL, PAGE);
}

/* A file that cannot be mapped costs nothing of what is there. */
static void a_refused_file_leaves_what_it_was_to_cover(void)
{
	unsigned char *base = map_new(4 * PAGE, RW);
	struct attach_books books = attach_open_books();
	int file = memfd_create("hostmem test", 0);
	int folder = open("/", O_RDONLY | O_DIRECTORY);

	fill_pages(base, 4 * PAGE, 8);
	CHECK_NO_MAP(HostMemMmap(base, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, -1, 0),
		     EBADF);
	CHECK_NO_MAP(HostMemMmap(base, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file, 1),
		     EINVAL);
	CHECK_NO_MAP(HostMemMmap(base, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, folder, 0),
		     ENODEV);
	CHECK_NO_MAP(HostMemMremap(base + 2 * PAGE, 0, PAGE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, base),
		     EINVAL);
	CHECK(holds(base, 4 * PAGE, 8) && can_write(base, 8));
	CHECK_BOOKS(&books);
	CHECK(close(file) == 0 && close(folder) == 0);
	unmap_all(base, 4 * PAGE);
}

/* ---- The budget ---- */

static void a_refusal_is_enomem_and_changes_nothing(void)
{
	unsigned char *base = map_new(64 * PAGE, PROT_NONE), *hole;
	struct attach_books books;

	CHECK_KEPT(HostMemMprotect(base, 8 * PAGE, RW));
	fill_pages(base, 8 * PAGE, 8);
	CHECK_KEPT(HostMemMprotect(base + 2 * PAGE, PAGE, PROT_READ));
	hole = pages_hole(4 * UNIT);
	attach_limit(4 * PAGE);
	books = attach_open_books();
	CHECK_NO_MAP(HostMemMmap(NULL, 5 * PAGE, RW, NEW, -1, 0), ENOMEM);
	CHECK_NO_MAP(HostMemMmap(hole, 5 * PAGE, RW, NEW, -1, 0), ENOMEM);
	CHECK_NO_MAP(HostMemMmap(hole, 5 * PAGE, RW, OVER, -1, 0), ENOMEM);
	CHECK_NO_MAP(HostMemMmap(NULL, 5 * PAGE, RW, NEW | MAP_32BIT, -1, 0), ENOMEM);
	CHECK_NO_MAP(HostMemMmap(base, 13 * PAGE, RW, OVER, -1, 0), ENOMEM);
	CHECK_ERROR(HostMemMprotect(base, 13 * PAGE, PROT_READ), ENOMEM);
	CHECK_NO_MAP(HostMemMremap(base + 4 * PAGE, 4 * PAGE, 8 * PAGE + 1,
				   MREMAP_MAYMOVE, NULL),
		     ENOMEM);
	CHECK(holds(base, 8 * PAGE, 8));
	CHECK(can_write(base, 8) && !can_write(base + 2 * PAGE, 8));
	CHECK(!can_read(base + 8 * PAGE));
	CHECK_BOOKS(&books);
	attach_limit(SIZE_MAX);
	unmap_all(base, 64 * PAGE);
}

static void what_is_committed_can_be_changed_at_a_full_budget(void)
{
	unsigned char *base = map_new(16 * PAGE, PROT_NONE);
	struct attach_books books;

	CHECK_KEPT(HostMemMprotect(base, 8 * PAGE, RW));
	fill_pages(base, 8 * PAGE, 8);
	attach_limit(0);
	books = attach_open_books();
	CHECK_KEPT(HostMemMprotect(base + PAGE, PAGE, PROT_READ));
	CHECK_KEPT(HostMemMprotect(base + 3 * PAGE, PAGE, PROT_NONE));
	CHECK_KEPT(HostMemMprotect(base, 8 * PAGE, PROT_READ | PROT_EXEC));
	CHECK_KEPT(HostMemMprotect(base, 16 * PAGE, PROT_NONE));
	CHECK_KEPT(HostMemMprotect(base, 8 * PAGE, RW));
	CHECK(holds(base, 8 * PAGE, 8));
	map_over(base, 2 * PAGE, RW);
	CHECK(holds(base, 2 * PAGE, 0));
	CHECK_NO_MAP(HostMemMmap(NULL, PAGE, RW, NEW, -1, 0), ENOMEM);
	CHECK_KEPT(HostMemMadvise(base, 8 * PAGE, MADV_DONTNEED));
	CHECK_BOOKS(&books);
	/* Giving back is never refused, and makes room. */
	map_over(base, 2 * PAGE, PROT_NONE);
	unmap_all(base + 2 * PAGE, 2 * PAGE);
	CHECK_KEPT(HostMemMprotect(base + 8 * PAGE, 4 * PAGE, RW));
	CHECK_ERROR(HostMemMprotect(base + 12 * PAGE, PAGE, RW), ENOMEM);
	attach_limit(SIZE_MAX);
	unmap_all(base, 16 * PAGE);
}

/* The virtual machine ends at ENOMEM, and survives EINVAL. */
static void over_reserved_pages_hotspot_is_told_einval(void)
{
	unsigned char *base;

	if (!attach_with("hotspot", 0))
		return;
	base = map_new(16 * MIB, PROT_NONE);
	attach_limit(MIB);
	CHECK_NO_MAP(HostMemMmap(base, 2 * MIB, RW, OVER, -1, 0), EINVAL);
	CHECK_NO_MAP(HostMemMmap(NULL, 2 * MIB, RW, NEW, -1, 0), ENOMEM);
	CHECK_ERROR(HostMemMprotect(base, 2 * MIB, RW), ENOMEM);
	map_over(base, MIB, RW);
	attach_limit(SIZE_MAX);
	unmap_all(base, 16 * MIB);
}

static void hotspot_has_an_errno_of_its_own(void)
{
	in_child(over_reserved_pages_hotspot_is_told_einval);
}

int main(void)
{
	access_install();
	TAP_RUN(hotspot_has_an_errno_of_its_own);
	if (!attach_with(NULL, 0))
		return tap_done();
	TAP_RUN(arguments_of_mmap_are_refused_as_by_the_system);
	TAP_RUN(arguments_of_the_others_are_refused_as_by_the_system);
	TAP_RUN(the_first_page_is_the_systems);
	TAP_RUN(a_refused_file_leaves_what_it_was_to_cover);
	TAP_RUN(a_refusal_is_enomem_and_changes_nothing);
	TAP_RUN(what_is_committed_can_be_changed_at_a_full_budget);
	return tap_done();
}
