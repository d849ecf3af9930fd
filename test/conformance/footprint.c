/*
 * What a host costs while it has little, and what is left of much: memory of the library's
 * own, and mappings.
 *
 * Each case runs in a child, in which no host was before it.
 */
#include "child.h"
#include "host.h"
#include "smaps.h"

enum {
	KIB = 1024,
	REGIONS = 2000,
	PAGES = 262144, /* of 1 GiB */
	STEPS = 12000,
	LEFT = 8, /* mappings */
};

#define GIB ((size_t)1 << 30)

/* What the kernel counts of the process's memory that is no file's: anonymous pages. */
static size_t anonymous(void)
{
	static struct smaps_reader reader;
	unsigned long kib = 0;
	char line[256];

	reader.file = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	reader.have = reader.at = 0;
	while (reader.file >= 0 && smaps_line(&reader, line, sizeof(line)))
		(void)sscanf(line, "Anonymous: %lu", &kib);
	if (reader.file >= 0)
		(void)close(reader.file);
	return kib * KIB;
}

/* Whether the figures are there, and mean the library's memory; to be asked first, so
 * that the question itself costs nothing later. */
static bool can_measure(void)
{
	if (SANITIZED)
		tap_skip("a sanitizer has memory of its own");
	else if (anonymous() == 0 || smaps_count() == 0)
		tap_skip("the kernel does not tell");
	return !tap_books.skipped;
}

#define CHECK_AT_MOST(got, most) check_at_most((got), (most), #got, __FILE__, __LINE__)

static void check_at_most(size_t got, size_t most, const char *text, const char *file,
			  int line)
{
	if (!tap_check(got <= most, text, file, line))
		printf("# %zu, at most %zu\n", got, most);
	if (getenv("FIGURES") != NULL)
		printf("# %s: %zu, at most %zu\n", text, got, most);
}

static void have_one_region(void)
{
	struct host host, second;
	size_t before, one, two;
	char *base;

	if (!can_measure())
		return;
	before = anonymous();
	if (!host_create(&host, 0))
		return;
	base = (char *)vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
	base[0] = 1;
	one = anonymous() - before - PAGE;
	CHECK_AT_MOST(one, 256 * KIB - 1);
	if (!host_create(&second, 0))
		return;
	base = (char *)vm_new(&second, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&second, base, PAGE, PAGE_READWRITE), S_OK);
	base[0] = 1;
	two = anonymous() - before - 2 * PAGE - one;
	CHECK_AT_MOST(two, 32 * KIB);
	host_destroy(&second);
	host_destroy(&host);
	/* What is kept for the next host is no more than it was. */
	CHECK_AT_MOST(anonymous() - before, one + two);
}

static void a_host_with_one_region_is_small_and_a_second_host_adds_little(void)
{
	in_child(have_one_region);
}

static void reserve_much(void)
{
	static void *bases[1000];
	struct host host;
	size_t memory, mappings;

	if (!can_measure())
		return;
	bases[0] = NULL;
	for (size_t i = 0; i < ROWS(bases); i++)
		bases[i] = &host;
	memory = anonymous();
	mappings = smaps_count();
	if (!host_create(&host, 0))
		return;
	for (size_t i = 0; i < ROWS(bases); i++)
		bases[i] = vm_new(&host, GIB, MEM_RESERVE, PAGE_READWRITE);
	CHECK_AT_MOST(anonymous() - memory, 24 * ROWS(bases) * KIB);
	CHECK_AT_MOST(smaps_count() - mappings, ROWS(bases) + 100);
	for (size_t i = 0; i < ROWS(bases); i++)
		CHECK_RUN(&host, bases[i], GIB, MEM_RESERVE, 0);
	for (size_t i = 0; i < ROWS(bases); i++)
		CHECK_HR(vm_release(&host, bases[i]), S_OK);
	host_destroy(&host);
}

static void a_thousand_reservations_of_a_gib_are_small_too(void)
{
	in_child(reserve_much);
}

/* ---- Much that comes and goes ---- */

static uint64_t seed;

static size_t below(size_t limit)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)(seed >> 33) % limit;
}

/* 1 to 16 pages from anywhere in an area on: committed, used, and often given back. */
static void use_some(const struct host *host, char *area, size_t pages)
{
	size_t first = below(pages), count = 1 + below(16);
	char *start = area + first * PAGE;

	if (count > pages - first)
		count = pages - first;
	if (below(5) < 2) {
		CHECK_HR(vm_free(host, start, count * PAGE, MEM_DECOMMIT), S_OK);
		return;
	}
	CHECK_HR(vm_commit(host, start, count * PAGE, PAGE_READWRITE), S_OK);
	for (size_t i = 0; i < count; i++)
		start[i * PAGE]++;
}

/* The host with one small region that lives on, and how long the list was then. */
static bool begin(struct host *host, uint32_t flags, size_t *mappings)
{
	seed = 4711;
	if (!can_measure() || !host_create(host, flags))
		return false;
	(void)vm_new(host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	*mappings = smaps_count();
	return true;
}

/* Regions of 64 KiB, then all of them decommitted, then released. */
static void churn_regions(uint32_t flags)
{
	static char *areas[REGIONS];
	struct host host;
	size_t before;

	memset((void *)areas, 1, sizeof(areas));
	if (!begin(&host, flags, &before))
		return;
	for (size_t i = 0; i < REGIONS; i++)
		areas[i] = (char *)vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	for (size_t i = 0; i < STEPS; i++)
		use_some(&host, areas[below(REGIONS)], UNIT / PAGE);
	for (size_t i = 0; i < REGIONS; i++)
		CHECK_HR(vm_free(&host, areas[i], 0, MEM_DECOMMIT), S_OK);
	CHECK_AT_MOST(smaps_count(), before + LEFT);
	for (size_t i = 0; i < REGIONS; i++)
		CHECK_HR(vm_release(&host, areas[i]), S_OK);
	CHECK_AT_MOST(smaps_count(), before + LEFT);
	host_destroy(&host);
}

/* One reservation of 1 GiB. */
static void churn_pages(uint32_t flags)
{
	struct host host;
	size_t before;
	char *area;

	if (!begin(&host, flags, &before))
		return;
	area = (char *)vm_new(&host, GIB, MEM_RESERVE, PAGE_READWRITE);
	for (size_t i = 0; i < STEPS; i++)
		use_some(&host, area, PAGES);
	CHECK_HR(vm_free(&host, area, 0, MEM_DECOMMIT), S_OK);
	CHECK_AT_MOST(smaps_count(), before + LEFT);
	CHECK_HR(vm_release(&host, area), S_OK);
	CHECK_AT_MOST(smaps_count(), before + LEFT);
	host_destroy(&host);
}

static void churn_regions_with_guards(void)
{
	churn_regions(0);
}

static void churn_regions_without(void)
{
	churn_regions(HOSTMEM_NO_GUARD_PAGES);
}

static void churn_pages_with_guards(void)
{
	churn_pages(0);
}

static void churn_pages_without(void)
{
	churn_pages(HOSTMEM_NO_GUARD_PAGES);
}

static void small_regions_leave_no_mappings_behind(void)
{
	in_child(churn_regions_with_guards);
	in_child(churn_regions_without);
}

static void pages_of_a_large_one_leave_none_either(void)
{
	in_child(churn_pages_with_guards);
	in_child(churn_pages_without);
}

int main(void)
{
	TAP_RUN(a_host_with_one_region_is_small_and_a_second_host_adds_little);
	TAP_RUN(a_thousand_reservations_of_a_gib_are_small_too);
	TAP_RUN(small_regions_leave_no_mappings_behind);
	TAP_RUN(pages_of_a_large_one_leave_none_either);
	return tap_done();
}
