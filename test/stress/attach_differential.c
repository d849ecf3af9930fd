/*
 * The translated functions beside the system's own, over random calls by the hundred thousand.
 *
 * There are two windows of the same shape.  Each call goes to the translator for one of them
 * and to the system for the other; its result and errno must be the same, and afterwards so
 * must each page that it was about: what is in it, and who may read and write it.  Pages are
 * looked at by the system, which answers where a thread would be killed.
 *
 * No other mapping of the process comes into a hole of a window: the windows are the low ends
 * of large gaps, and what is mapped anywhere goes to the high ends.
 *
 * SEED=n runs that seed, OPERATIONS=n so many calls.  A failure names both the seed and the
 * step, and ends the run.
 */
#include "test/stress/faces.h"
#include "test/stress/sides.h"

#include "hostmem/attach/chunk.h"

#include <errno.h>

enum {
	WINDOW_PAGES = 160, /* ten units */
	MOST_PAGES = 40,    /* of one call */
	CHECK_EVERY = 5000, /* steps between two looks at all pages, and at the books */
	FILE_PAGES = 8,
};

#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
#define WINDOW (WINDOW_PAGES * PAGE)

static struct faces faces;
static uint64_t state, steps, stamp;
static int64_t sum;
static int file = -1;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* ---- Looking ---- */

/* Compares pages of both windows; what may be written is. */
static bool compare(size_t first, size_t count)
{
	bool same = true;

	for (size_t i = first; i < first + count && i < WINDOW_PAGES && same; i++) {
		struct page a = look(sides[0].base + i * PAGE);
		struct page b = look(sides[1].base + i * PAGE);

		same &= CHECK_INT(a.readable, b.readable);
		same &= CHECK_INT(a.writable, b.writable);
		same &= CHECK_SIZE(a.word, b.word);
		if (!same)
			printf("# page %zu\n", i);
		if (same && a.writable && draw(4) != 0) {
			stamp++;
			memcpy(sides[0].base + i * PAGE, &stamp, sizeof(stamp));
			memcpy(sides[1].base + i * PAGE, &stamp, sizeof(stamp));
		}
	}
	return same;
}

/* ---- Calls ---- */

struct range {
	size_t first, count;
	size_t offset, size; /* in bytes; sizes are not always whole pages */
};

static struct range any_range(void)
{
	struct range range;

	range.first = draw(WINDOW_PAGES);
	if (draw(3) == 0)
		range.first -= range.first % 16;
	range.count = 1 + draw(draw(3) == 0 ? MOST_PAGES : 6);
	if (range.first + range.count > WINDOW_PAGES)
		range.count = WINDOW_PAGES - range.first;
	range.offset = range.first * PAGE;
	range.size = range.count * PAGE - (draw(8) == 0 ? draw(PAGE) : 0);
	return range;
}

/* Not PROT_WRITE alone, which lets a processor read and the system not. */
static int any_protection(void)
{
	static const int all[] = {
		PROT_NONE,     PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC,
		RW | PROT_EXEC
	};

	return all[draw(sizeof(all) / sizeof(all[0]))];
}

/* Does it on both sides; the results are places in the windows, -1 or 0. */
#define BOTH(range, call) \
	do { \
		int64_t results[2]; \
		int errors[2]; \
\
		for (int s = 0; s < 2; s++) { \
			const struct side *side = &sides[s]; \
			unsigned char *at = side->base + (range)->offset; \
\
			errno = 0; \
			results[s] = (call); \
			errors[s] = errno; \
		} \
		CHECK_INT(results[0], results[1]); \
		CHECK_INT(errors[0], errors[1]); \
	} while (0)

static int64_t place(const struct side *side, void *result)
{
	return result == MAP_FAILED ? -1 : (unsigned char *)result - side->base;
}

static void do_map(const struct range *range)
{
	int protection = any_protection();
	int flags = NEW | (draw(12) == 0 ? MAP_FIXED_NOREPLACE : MAP_FIXED);

	if (draw(8) == 0)
		flags |= MAP_NORESERVE;
	if (draw(20) == 0)
		flags |= MAP_FIXED_NOREPLACE;
	if (draw(20) == 0)
		flags |= MAP_POPULATE;
	BOTH(range, place(side, side->map(at, range->size, protection, flags, -1, 0)));
}

static void do_map_other(const struct range *range)
{
	static const int kinds[] = { MAP_PRIVATE, MAP_PRIVATE,
				     MAP_PRIVATE | MAP_GROWSDOWN,
				     MAP_SHARED | MAP_ANONYMOUS, 0 };
	int kind = kinds[draw(sizeof(kinds) / sizeof(kinds[0]))];
	int64_t offset = (int64_t)(draw(3) * PAGE);
	size_t size = range->size;
	int protection = any_protection(), other = file;

	if (draw(10) == 0)
		other = -1;
	if (draw(20) == 0)
		offset++;
	if (!(kind & MAP_ANONYMOUS) && size > (FILE_PAGES - 2) * PAGE)
		size = (FILE_PAGES - 2) * PAGE;
	BOTH(range, place(side, side->map(at, size, protection, kind | MAP_FIXED, other,
					  offset)));
}

static void do_unmap(const struct range *range)
{
	BOTH(range, side->unmap(at, range->size));
}

static void do_protect(const struct range *range)
{
	int protection = any_protection();

	BOTH(range, side->protect(at, range->size, protection));
}

static void do_advise(const struct range *range)
{
	static const int all[] = { MADV_DONTNEED,   MADV_DONTNEED, MADV_HUGEPAGE,
				   MADV_NOHUGEPAGE, MADV_WILLNEED, 4711 };
	int advice = all[draw(sizeof(all) / sizeof(all[0]))];

	BOTH(range, side->advise(at, range->size, advice));
}

static void do_nonsense(const struct range *range)
{
	static const size_t sizes[] = { 0, SIZE_MAX, SIZE_MAX - PAGE + 1, (size_t)1 << 47,
					(size_t)1 << 63 };
	size_t size = sizes[draw(sizeof(sizes) / sizeof(sizes[0]))];
	size_t odd = draw(2) == 0 ? draw(PAGE) : 0;
	int protection = any_protection();

	switch (draw(5)) {
	case 0:
		BOTH(range, place(side, side->map(at + odd, size, protection,
						  NEW | MAP_FIXED, -1, 0)));
		break;
	case 1:
		BOTH(range, side->unmap(at + odd, size));
		break;
	case 2:
		BOTH(range, side->protect(at + odd, size, protection));
		break;
	case 3:
		/* To the end of all there is would be too much. */
		size = size < SIZE_MAX / 4 * 3 ? 0 : size;
		BOTH(range, side->advise(at + odd, size, MADV_DONTNEED));
		break;
	default:
		BOTH(range, place(side, side->remap(at + odd, range->size, size,
						    MREMAP_MAYMOVE, NULL)));
	}
}

/* Both places are fresh, so that the system, too, takes the range for one mapping. */
static void make_source(const struct range *range)
{
	for (int s = 0; s < 2; s++) {
		unsigned char *at = sides[s].base + range->offset;

		CHECK_POINTER(sides[s].map(at, range->size, RW, NEW | MAP_FIXED, -1, 0),
			      at);
		for (size_t page = 0; page < range->count; page++) {
			uint64_t word = stamp + page;

			memcpy(at + page * PAGE, &word, sizeof(word));
		}
	}
	stamp += range->count;
}

static bool are_apart(const struct range *a, const struct range *b)
{
	return a->first + a->count <= b->first || b->first + b->count <= a->first;
}

/* From one place in a window to another. */
static void do_move(const struct range *range)
{
	struct range to = any_range();
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (draw(4) == 0)
		flags |= 4; /* MREMAP_DONTUNMAP */
	if (draw(10) == 0)
		flags &= ~MREMAP_MAYMOVE;
	if ((flags & 4) && draw(3) != 0 && range->first + range->count <= WINDOW_PAGES) {
		to.size = range->size;
		to.count = range->count;
	}
	if (to.first + to.count > WINDOW_PAGES)
		return;
	if (are_apart(range, &to))
		make_source(range);
	else if (draw(4) != 0)
		return;
	BOTH(range, place(side, side->remap(at, range->size, to.size, flags,
					    side->base + to.offset)));
	compare(to.first, to.count);
}

/* To where there is room, and back out of the way: the sides may choose otherwise. */
static void do_grow(const struct range *range)
{
	size_t wanted = (1 + draw(2 * MOST_PAGES)) * PAGE;
	uint64_t word = stamp;

	make_source(range);
	for (int s = 0; s < 2; s++) {
		const struct side *side = &sides[s];
		unsigned char *at = side->base + range->offset, *to;

		errno = 0;
		to = side->remap(at, range->size, wanted, MREMAP_MAYMOVE, NULL);
		if (!CHECK(to != MAP_FAILED) || !CHECK_INT(errno, 0))
			return;
		for (size_t i = 0; i * PAGE < wanted; i++) {
			uint64_t got;

			memcpy(&got, to + i * PAGE, sizeof(got));
			CHECK_SIZE(got, i < range->count ? word + i : 0);
		}
		CHECK_INT(side->unmap(to, wanted), 0);
		CHECK_INT(side->unmap(at, range->size), 0);
	}
}

static void do_shrink(const struct range *range)
{
	size_t wanted = (1 + draw(range->count)) * PAGE;

	make_source(range);
	BOTH(range, place(side, side->remap(at, range->size, wanted,
					    (int)draw(2) * MREMAP_MAYMOVE, NULL)));
}

/* ---- The run ---- */

static BOOL HOSTMEM_CALL add_up(void *unused, const HostMemEvent *event)
{
	(void)unused;
	if (event->type == HostMemEventAllocate)
		sum += (int64_t)event->size;
	else if (event->type == HostMemEventFree || event->announced)
		sum -= (int64_t)event->size;
	return TRUE;
}

static BOOL HOSTMEM_CALL add_run(void *total, const MEMORY_BASIC_INFORMATION *run)
{
	if (run->State == MEM_COMMIT)
		*(size_t *)total += run->RegionSize;
	return TRUE;
}

static void check_books(void)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	size_t committed = 0;

	CHECK_HR(IHostMemoryControl_GetUsage(faces.control, &usage), S_OK);
	CHECK_HR(IHostMemoryControl_WalkRegions(faces.control, add_run, &committed),
		 S_OK);
	CHECK_SIZE(usage.cbCommitted, committed);
	CHECK_INT(sum, (int64_t)usage.cbCharged);
}

static void step(void)
{
	static void (*const calls[])(const struct range *) = {
		do_map,    do_map,   do_map,      do_map,     do_map_other,
		do_unmap,  do_unmap, do_protect,  do_protect, do_protect,
		do_advise, do_move,  do_nonsense, do_grow,    do_shrink,
	};
	struct range range = any_range();
	size_t call = draw(sizeof(calls) / sizeof(calls[0]));

	calls[call](&range);
	compare(range.first > 0 ? range.first - 1 : 0, range.count + 2);
	if (tap_failed())
		printf("# call %zu, pages %zu to %zu\n", call, range.first,
		       range.first + range.count);
	if (steps % CHECK_EVERY == 0) {
		compare(0, WINDOW_PAGES);
		check_books();
	}
}

static unsigned char *find_window(void)
{
	size_t all = (size_t)1 << 32;
	void *gap = mmap(NULL, all, PROT_NONE, NEW | MAP_NORESERVE, -1, 0);

	if (!CHECK(gap != MAP_FAILED))
		abort();
	(void)munmap(gap, all);
	return (unsigned char *)(((uintptr_t)gap + UNIT - 1) / UNIT * UNIT);
}

static bool make_windows(void)
{
	for (int s = 0; s < 2; s++) {
		unsigned char *wanted = find_window() + (size_t)s * 1024 * UNIT;

		sides[s].base = sides[s].map(wanted, WINDOW, PROT_NONE,
					     NEW | MAP_FIXED_NOREPLACE, -1, 0);
		if (!CHECK_POINTER(sides[s].base, wanted))
			return false;
	}
	return true;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void the_translator_answers_as_the_system(void)
{
	uint64_t seed = number("SEED", 1 + (uint64_t)getpid());
	uint64_t operations = number("OPERATIONS", FACES_ROUNDS(250000, 20000));
	size_t before = faces_usage(&faces).cbReserved;

	state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
	printf("# SEED=%" PRIu64 " OPERATIONS=%" PRIu64 "\n", seed, operations);
	if (!make_windows())
		return;
	for (steps = 0; steps < operations && !tap_failed(); steps++) {
		tap_row("seed %" PRIu64 ", step %" PRIu64, seed, steps);
		step();
	}
	if (!tap_failed()) {
		check_books();
		CHECK_INT(HostMemMunmap(sides[0].base, WINDOW), 0);
		CHECK_INT(munmap(sides[1].base, WINDOW), 0);
		CHECK_SIZE(faces_usage(&faces).cbCommitted, 0);
		/* What small mappings share stays until somebody is in its way. */
		hm_chunk_keep_out(0, UINTPTR_MAX);
		CHECK_SIZE(faces_usage(&faces).cbReserved, before);
	}
}

static bool make_file(void)
{
	char pages[FILE_PAGES * PAGE];

	for (size_t i = 0; i < sizeof(pages); i++)
		pages[i] = (char)(i / PAGE + 'a');
	file = memfd_create("hostmem test", 0);
	return CHECK(file >= 0) &&
	       CHECK(write(file, pages, sizeof(pages)) == (ssize_t)sizeof(pages));
}

int main(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	uint64_t cookie;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	if (!make_file() || !CHECK_HR(faces_create_with(&faces, &config), S_OK) ||
	    !CHECK_HR(HostMemAttach((IUnknown *)faces.manager, &how), S_OK) ||
	    !CHECK_HR(IHostMemoryControl_Subscribe(faces.control, 7, add_up, NULL,
						   &cookie),
		      S_OK))
		return tap_done();
	if (!look((const unsigned char *)&how).readable)
		tap_skip("the system does not let a process look at its memory");
	else
		TAP_RUN(the_translator_answers_as_the_system);
	return tap_done();
}
