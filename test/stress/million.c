/*
 * A million live reservations of 64 KiB, each with a committed page.
 *
 * What a runtime may come to in a large process: the kernel's list of mappings stays as
 * short as it was, the library's own memory is a little for each of them, every one is
 * found, and when all have gone nothing is left behind.  Each case runs in a child, whose
 * memory nobody else has used.  One has a million, the others fewer, as they take seconds;
 * REGIONS=number in the environment says how many all have.
 */
#include "test/stress/faces.h"
#include "test/proc.h"

#include "hostmem/arenapages.h"
#include "hostmem/arenas.h"
#include "hostmem/metadata.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MORE_MAPPINGS = 100,   /* with all of them than without */
	ALONE_MAPPINGS = 1024, /* in each arena, of those that were taken before any had a
				  page: see places.c */
	LEFT_MAPPINGS = 8,     /* when they have gone */
	OWN_BYTES = 130,       /* resident, of the library, for each */
	USED = 3000,           /* that have contents */
	NEEDED_GIB = 3,
};

static size_t most = FACES_ROUNDS(1000000, 50000);
static size_t fewer = FACES_ROUNDS(300000, 20000);

/* Of one case. */
static struct {
	struct faces faces;
	size_t count, mappings, others, resident, used;
	char **blocks;
	uint32_t *order;
	uint64_t random;
} crowd;

static size_t below(size_t limit)
{
	crowd.random ^= crowd.random >> 12;
	crowd.random ^= crowd.random << 25;
	crowd.random ^= crowd.random >> 27;
	return (size_t)(crowd.random * UINT64_C(0x2545F4914F6CDD1D) >> 20) % limit;
}

/* ---- What the kernel says ---- */

/* Lines of a file, without malloc, whose mappings are among those that are counted. */
/* Mappings of the process, with those of the library's own tables or without: tables stay. */
static size_t count_mappings(bool tables)
{
	FILE *file = fopen("/proc/self/maps", "re");
	uintptr_t start, end;
	char line[512];
	size_t count = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) == 2)
			count += tables || !hm_metadata_overlaps(start, end - start);
	}
	if (file != NULL)
		(void)fclose(file);
	return count;
}

/* Anonymous pages: what a file has in memory comes and goes by itself. */
static size_t resident(void)
{
	return figure("/proc/self/status", "RssAnon:") * 1024;
}

/* ---- A case ---- */

static void *pages_for(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	memset(at, 0xFF, bytes);
	return at;
}

/* Anything but the order in which they are. */
static void shuffle(void)
{
	for (size_t i = crowd.count - 1; i > 0; i--) {
		size_t j = below(i + 1);
		uint32_t kept = crowd.order[i];

		crowd.order[i] = crowd.order[j];
		crowd.order[j] = kept;
	}
}

static bool begin(size_t count)
{
	crowd.count = count;
	crowd.random = 4711;
	crowd.blocks = pages_for(count * sizeof(*crowd.blocks));
	crowd.order = pages_for(count * sizeof(*crowd.order));
	for (size_t i = 0; i < count; i++)
		crowd.order[i] = (uint32_t)i;
	/* What the first host brings is not the regions'. */
	if (!CHECK_HR(faces_create(&crowd.faces), S_OK))
		return false;
	CHECK_HR(faces_free(&crowd.faces, faces_reserve(&crowd.faces, UNIT)), S_OK);
	crowd.mappings = count_mappings(true);
	crowd.others = count_mappings(false);
	crowd.resident = resident();
	return true;
}

static size_t page_of(size_t i)
{
	return i * 7 % (UNIT / PAGE) * PAGE;
}

static void commit(size_t i)
{
	CHECK_HR(faces_commit(&crowd.faces, crowd.blocks[i] + page_of(i), PAGE), S_OK);
}

static void reserve(size_t i)
{
	crowd.blocks[i] = faces_reserve(&crowd.faces, UNIT);
	if (crowd.blocks[i] == NULL)
		exit(1);
}

static bool is_used(size_t i)
{
	return i % (crowd.count / USED + 1) == 0;
}

/* Every so many'th gets contents, if it has a page. */
static void use(size_t step)
{
	for (size_t i = 0; i < crowd.count; i += step) {
		if (!is_used(i))
			continue;
		*(size_t *)(void *)(crowd.blocks[i] + page_of(i)) = i + 1;
		crowd.used++;
	}
}

static void check_used(size_t step)
{
	for (size_t i = 0; i < crowd.count; i += step) {
		if (is_used(i) &&
		    !CHECK_SIZE(*(size_t *)(void *)(crowd.blocks[i] + page_of(i)), i + 1))
			return;
	}
}

/* With `committed` pages in all. */
static void check_costs(size_t committed, size_t most_mappings)
{
	size_t mappings = count_mappings(true) - crowd.mappings;
	size_t own = resident() - crowd.resident - crowd.used * PAGE;
	HostMemUsage usage = faces_usage(&crowd.faces);

	CHECK_SIZE(usage.cRegions, crowd.count);
	CHECK_SIZE(usage.cbReserved, crowd.count * UNIT);
	CHECK_SIZE(usage.cbCommitted, committed * PAGE);
	if (!CHECK(mappings <= most_mappings))
		printf("# %zu mappings more\n", mappings);
	/* A sanitizer has memory of its own. */
	if (!FACES_SANITIZED && !CHECK(own <= OWN_BYTES * crowd.count))
		printf("# %zu bytes a region\n", own / crowd.count);
	if (getenv("FIGURES") != NULL)
		printf("# %zu regions: %zu mappings more, %zu bytes each\n", crowd.count,
		       mappings, own / crowd.count);
}

/* Where the page is, what is in front of it and behind it. */
static void check_query(size_t i, bool committed)
{
	char *base = crowd.blocks[i], *page = base + page_of(i);
	MEMORY_BASIC_INFORMATION run;

	CHECK_HR(faces_query(&crowd.faces, page, &run), S_OK);
	CHECK_POINTER(run.AllocationBase, base);
	CHECK_U32(run.State, committed ? MEM_COMMIT : MEM_RESERVE);
	CHECK_SIZE(run.RegionSize, committed ? PAGE : UNIT - page_of(i));
	CHECK_U32(run.Protect, committed ? PAGE_READWRITE : 0);
	if (page == base)
		return;
	CHECK_HR(faces_query(&crowd.faces, base, &run), S_OK);
	CHECK_POINTER(run.AllocationBase, base);
	CHECK_U32(run.State, MEM_RESERVE);
	CHECK_SIZE(run.RegionSize, committed ? page_of(i) : UNIT);
}

/* They go in any order, and nothing is left. */
static void end(void)
{
	shuffle();
	for (size_t i = 0; i < crowd.count; i++)
		CHECK_HR(faces_free(&crowd.faces, crowd.blocks[crowd.order[i]]), S_OK);
	faces_check_empty(&crowd.faces);
	if (!CHECK(count_mappings(false) <= crowd.others + LEFT_MAPPINGS))
		printf("# %zu mappings more\n", count_mappings(false) - crowd.others);
	CHECK_SIZE(faces_release(&crowd.faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), 0);
	CHECK(count_mappings(false) <= crowd.others + LEFT_MAPPINGS);
}

/* ---- The cases ---- */

static void replace_some(void)
{
	for (size_t round = 0; round < crowd.count / 10; round++) {
		size_t i = below(crowd.count);

		if (is_used(i))
			continue;
		CHECK_HR(faces_free(&crowd.faces, crowd.blocks[i]), S_OK);
		reserve(i);
		commit(i);
	}
}

static void one_by_one(void)
{
	if (!begin(most))
		return;
	for (size_t i = 0; i < crowd.count; i++) {
		reserve(i);
		commit(i);
	}
	use(1);
	check_costs(crowd.count, MORE_MAPPINGS);
	for (size_t i = 0; i < crowd.count; i += 1 + below(50))
		check_query(i, true);
	replace_some();
	check_used(1);
	check_costs(crowd.count, MORE_MAPPINGS);
	for (size_t i = 0; i < crowd.count; i += 1 + below(50))
		check_query(i, true);
	end();
}

static void all_reserved_first(void)
{
	if (!begin(fewer))
		return;
	for (size_t i = 0; i < crowd.count; i++)
		reserve(i);
	check_costs(0, MORE_MAPPINGS);
	shuffle();
	for (size_t i = 0; i < crowd.count; i++)
		commit(crowd.order[i]);
	use(1);
	check_costs(crowd.count, MORE_MAPPINGS);
	check_used(1);
	end();
}

/* Islands: every second has a page, as soon as it is there or in any order later on. */
static void every_second(bool at_once)
{
	size_t arenas = fewer * UNIT / HM_ARENA_LARGEST + 1;
	size_t committed = 0;

	if (!begin(fewer))
		return;
	for (size_t i = 0; i < crowd.count; i++) {
		reserve(i);
		if (at_once && i % 2 == 0)
			commit(i);
	}
	if (!at_once)
		shuffle();
	for (size_t i = 0; i < crowd.count; i++) {
		committed += crowd.order[i] % 2 == 0;
		if (!at_once && crowd.order[i] % 2 == 0)
			commit(crowd.order[i]);
	}
	use(2);
	check_costs(committed, MORE_MAPPINGS + (at_once ? 0 : arenas * ALONE_MAPPINGS));
	check_used(2);
	for (size_t i = 0; i < crowd.count; i += 1 + below(100))
		check_query(i, i % 2 == 0);
	end();
}

static void islands_in_order(void)
{
	every_second(true);
}

static void islands_in_any_order(void)
{
	every_second(false);
}

/* ---- Where it can be done ---- */

static void in_child(void (*body)(void))
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		tap_books.failures = 0;
		body();
		fflush(stdout);
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
}

/* NULL, or why not. */
static const char *obstacle(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	if (hm_pages_choose(0) != hm_pages_with_guards)
		return "hosts have no guard pages here";
	if (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL)
		return "valgrind is too slow";
	if (FACES_THREAD_SANITIZER)
		return "the thread sanitizer has too many mappings of its own";
	if (figure("/proc/meminfo", "MemAvailable:") >> 20 < NEEDED_GIB)
		return "there is too little free memory";
	return NULL;
}

static void a_million_regions_with_a_page_each_are_cheap(void)
{
	in_child(one_by_one);
}

static void so_they_are_if_the_pages_come_later_in_any_order(void)
{
	in_child(all_reserved_first);
}

static void so_they_are_if_every_second_has_a_page(void)
{
	in_child(islands_in_order);
}

static void so_they_are_if_every_second_gets_one_later_in_any_order(void)
{
	in_child(islands_in_any_order);
}

int main(void)
{
	const char *wanted = getenv("REGIONS");

	if (wanted != NULL)
		most = fewer = strtoull(wanted, NULL, 10);
	if (obstacle() != NULL) {
		tap_skip("%s", obstacle());
		return tap_done();
	}
	TAP_RUN(a_million_regions_with_a_page_each_are_cheap);
	TAP_RUN(so_they_are_if_the_pages_come_later_in_any_order);
	TAP_RUN(so_they_are_if_every_second_has_a_page);
	TAP_RUN(so_they_are_if_every_second_gets_one_later_in_any_order);
	return tap_done();
}
