/*
 * The system's own limits, for real: address space, data, mappings, descriptors.
 *
 * A call that runs into one fails with its code and has changed nothing, giving back
 * works even there, and after it work goes on.  Each case runs in a child, whose limits
 * die with it.  System-wide settings are read, never written.
 */
#include "test/stress/limits.h"

#include "hostmem/arenapages.h"

enum {
	SPARE = 400, /* mappings left free at first where there is a limit of them */
	KEPT = 32,   /* mappings that the library keeps back for freeing */
	MOST_PAIRS = 2000, /* reservations that surely use them up */
	MOST_MAPPINGS = 2000000,
};

static bool has_arenas(void)
{
	return hm_pages_arenas(hm_pages_choose(0)) != NULL;
}

static void address_space(void)
{
	struct faces faces;
	HostMemUsage before;
	void *blocks[16], *out;
	size_t count = 0;

	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	check_works(&faces);
	trim_arenas();
	limit(RLIMIT_AS, figure("/proc/self/statm", "") * PAGE + 64 * MIB);
	before = faces_usage(&faces);
	check_refused(&faces, &before, grant(&faces, (size_t)1 << 30, MEM_RESERVE, &out),
		      E_OUTOFMEMORY);
	check_refused(&faces, &before,
		      grant(&faces, (size_t)1 << 30, MEM_RESERVE | MEM_COMMIT, &out),
		      E_OUTOFMEMORY);
	while (count < 16 &&
	       SUCCEEDED(grant(&faces, 8 * MIB, MEM_RESERVE, &blocks[count])))
		count++;
	CHECK(count > 0 && count < 16);
	before = faces_usage(&faces);
	check_refused(&faces, &before, grant(&faces, 8 * MIB, MEM_RESERVE, &out),
		      E_OUTOFMEMORY);
	CHECK_HR(faces_commit(&faces, blocks[0], 8 * MIB), S_OK);
	CHECK_HR(faces_free(&faces, blocks[0]), S_OK);
	CHECK_HR(grant(&faces, 8 * MIB, MEM_RESERVE, &blocks[0]), S_OK);
	while (count > 0)
		CHECK_HR(faces_free(&faces, blocks[--count]), S_OK);
	clear(&faces);
}

static void out_of_address_space_a_reservation_is_refused_and_release_helps(void)
{
	in_child(address_space);
}

/* What an arena has, the system need not be asked for. */
static void address_space_of_an_arena(void)
{
	struct faces faces;
	HostMemUsage before;
	void *first, *out;

	if (!has_arenas()) {
		tap_skip("hosts have no arenas here");
		return;
	}
	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	CHECK_HR(grant(&faces, UNIT, MEM_RESERVE, &first), S_OK);
	if (hm_arena_reach(hm_arena_of((uintptr_t)first), (uintptr_t)first) <
	    (uintptr_t)first + ((size_t)2 << 30)) {
		tap_skip("the system gives small arenas only");
		return;
	}
	limit(RLIMIT_AS, figure("/proc/self/statm", "") * PAGE + MIB);
	CHECK_HR(grant(&faces, (size_t)1 << 30, MEM_RESERVE, &out), S_OK);
	CHECK_HR(faces_commit(&faces, out, 8 * MIB), S_OK);
	before = faces_usage(&faces);
	check_refused(&faces, &before,
		      grant(&faces, ((size_t)1 << 30) + UNIT, MEM_RESERVE, &out),
		      E_OUTOFMEMORY);
	lift(RLIMIT_AS);
	CHECK_HR(grant(&faces, ((size_t)1 << 30) + UNIT, MEM_RESERVE, &out), S_OK);
	CHECK_SIZE(faces_release(&faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), 0);
}

static void out_of_address_space_an_arena_is_still_there(void)
{
	in_child(address_space_of_an_arena);
}

static void no_address_space_at_all(void)
{
	struct faces faces;

	limit(RLIMIT_AS, figure("/proc/self/statm", "") * PAGE);
	CHECK_HR(faces_create(&faces), E_OUTOFMEMORY);
	CHECK_POINTER(faces.manager, NULL);
	lift(RLIMIT_AS);
	if (CHECK_HR(faces_create(&faces), S_OK))
		clear(&faces);
}

static void without_address_space_no_host_is_made(void)
{
	in_child(no_address_space_at_all);
}

static void data(void)
{
	struct faces faces;
	HostMemUsage before;
	void *out;
	char *base;

	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	base = faces_reserve(&faces, 256 * MIB);
	CHECK_HR(faces_commit(&faces, base, MIB), S_OK);
	limit(RLIMIT_DATA, figure("/proc/self/status", "VmData:") * 1024 + 4 * MIB);
	CHECK_HR(faces_commit(&faces, base + MIB, 2 * MIB), S_OK);
	base[3 * MIB - 1] = 1;
	before = faces_usage(&faces);
	check_refused(&faces, &before, faces_commit(&faces, base + 2 * MIB, 64 * MIB),
		      E_OUTOFMEMORY);
	CHECK_INT(base[3 * MIB - 1], 1);
	check_refused(&faces, &before,
		      grant(&faces, 64 * MIB, MEM_RESERVE | MEM_COMMIT, &out),
		      E_OUTOFMEMORY);
	CHECK_HR(faces_decommit(&faces, base, 3 * MIB), S_OK);
	CHECK_HR(faces_commit(&faces, base + 3 * MIB, 4 * MIB), S_OK);
	CHECK_HR(faces_free(&faces, base), S_OK);
	clear(&faces);
}

static void out_of_data_a_commit_is_refused_and_decommit_helps(void)
{
	in_child(data);
}

/* Takes nearly all mappings that the process may have; returns what to unmap. */
static char *use_up_mappings(size_t most, size_t *size)
{
	size_t islands = 0;
	char *area;

	*size = most * 2 * PAGE;
	area = mmap(NULL, *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (!CHECK(area != MAP_FAILED))
		return NULL;
	while (islands < most &&
	       mprotect(area + (2 * islands + 1) * PAGE, PAGE, PROT_READ) == 0)
		islands++;
	if (!CHECK(islands > SPARE && islands < most))
		return NULL;
	/* An island takes two. */
	for (size_t i = 1; i <= SPARE / 2; i++)
		(void)mprotect(area + (2 * (islands - i) + 1) * PAGE, PAGE, PROT_NONE);
	return area;
}

/* Reserves 128 KiB, commits the first half and protects a part of that, which takes a
 * mapping with guard pages too, until the system says no. */
static size_t use_up_the_rest(const struct faces *faces, void **blocks)
{
	HostMemUsage before;
	HRESULT hr = S_OK;
	size_t count = 0;

	while (count < MOST_PAIRS) {
		before = faces_usage(faces);
		hr = grant(faces, 2 * UNIT, MEM_RESERVE, &blocks[count]);
		if (FAILED(hr))
			break;
		count++;
		before = faces_usage(faces);
		hr = faces_commit(faces, blocks[count - 1], UNIT);
		if (FAILED(hr))
			break;
		*(uint64_t *)blocks[count - 1] = count;
		before = faces_usage(faces);
		hr = faces_protect(faces, (char *)blocks[count - 1] + 4 * PAGE, 4 * PAGE,
				   PAGE_READONLY);
		if (FAILED(hr))
			break;
	}
	check_refused(faces, &before, hr, E_OUTOFMEMORY);
	CHECK(count > SPARE / 8);
	return count;
}

/* What needs a mapping more is refused, what gives back is not. */
static void check_the_full_process(const struct faces *faces, char *base)
{
	MEMORY_BASIC_INFORMATION run;
	HostMemUsage before = faces_usage(faces);
	HRESULT hr;

	check_refused(faces, &before,
		      faces_protect(faces, base + 3 * PAGE, PAGE, PAGE_READONLY),
		      E_OUTOFMEMORY);
	CHECK_INT(base[3 * PAGE], 1);
	base[3 * PAGE] = 2;
	CHECK_HR(faces_decommit(faces, base + 8 * PAGE, PAGE), S_OK);
	CHECK_SIZE(faces_usage(faces).cbCommitted, before.cbCommitted - PAGE);
	CHECK_HR(faces_query(faces, base + 8 * PAGE, &run), S_OK);
	CHECK_U32(run.State, MEM_RESERVE);
	CHECK_SIZE(run.RegionSize, PAGE);
	/* Where giving back took what is kept for it, nothing is granted until that is
	 * there again. */
	before = faces_usage(faces);
	hr = faces_commit(faces, base + 8 * PAGE, PAGE);
	if (FAILED(hr))
		check_refused(faces, &before, hr, E_OUTOFMEMORY);
	else
		CHECK_INT(base[8 * PAGE], 0);
	CHECK_HR(IHostMemoryPages_ReleaseRange(faces->pages, base + 20 * PAGE, PAGE),
		 S_OK);
	CHECK_HR(faces_query(faces, base + 20 * PAGE, &run), S_OK);
	CHECK(run.State == MEM_FREE || !readable(base + 20 * PAGE));
	CHECK_INT(base[19 * PAGE] + base[21 * PAGE], 2);
	faces_check_account(faces);
}

static void check_released(const struct faces *faces, void *block)
{
	MEMORY_BASIC_INFORMATION run;

	CHECK_HR(faces_free(faces, block), S_OK);
	CHECK_HR(faces_query(faces, block, &run), S_OK);
	CHECK(run.State == MEM_FREE || !readable(block));
	CHECK(run.AllocationBase != block);
	CHECK_HR(faces_free(faces, block), HOST_E_INVALIDOPERATION);
}

/* Mappings of the process, those of the library's own records apart. */
static size_t count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	uintptr_t start, end;
	char line[512];
	size_t count = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) == 2 &&
		    !hm_metadata_overlaps(start, end - start))
			count++;
	}
	if (file != NULL)
		(void)fclose(file);
	return count;
}

static char *prepare_region(const struct faces *faces)
{
	char *base = faces_reserve(faces, 64 * PAGE);

	CHECK_HR(faces_commit(faces, base, 64 * PAGE), S_OK);
	for (size_t i = 0; i < 64; i++)
		base[i * PAGE] = 1;
	return base;
}

static void mappings(void)
{
	static void *blocks[MOST_PAIRS];
	size_t most = figure("/proc/sys/vm/max_map_count", "");
	size_t size, count, before;
	struct faces faces;
	char *base, *area;

	if (most == 0 || most > MOST_MAPPINGS) {
		tap_skip("vm.max_map_count is %zu: too many to use up", most);
		return;
	}
	(void)count_mappings(); /* stdio takes what it needs */
	before = count_mappings();
	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	base = prepare_region(&faces);
	area = use_up_mappings(most, &size);
	if (area == NULL)
		return;
	count = use_up_the_rest(&faces, blocks);
	check_the_full_process(&faces, base);
	/* Every second one: none of them makes its neighbours meet. */
	for (size_t i = 1; i < count; i += 2)
		check_released(&faces, blocks[i]);
	for (size_t i = 0; i + 1 < count; i += 2)
		CHECK_SIZE(*(uint64_t *)blocks[i], i + 1);
	check_works(&faces);
	for (size_t i = 0; i < count; i += 2)
		check_released(&faces, blocks[i]);
	CHECK_HR(faces_free(&faces, base), S_OK);
	CHECK_HR(faces_free(&faces, base + 21 * PAGE), S_OK);
	(void)munmap(area, size);
	clear(&faces);
	trim_arenas();
	if (!FACES_SANITIZED)
		CHECK(count_mappings() <= before + KEPT);
}

static void out_of_mappings_giving_back_works_and_helps(void)
{
	in_child(mappings);
}

static void descriptors(void)
{
	struct faces faces;
	MEMORY_BASIC_INFORMATION run;
	HRESULT hr;
	char *base;
	void *out;

	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	base = faces_reserve(&faces, 4 * PAGE);
	limit(RLIMIT_NOFILE, 0);
	CHECK_HR(faces_query(&faces, base, &run), S_OK);
	CHECK_POINTER(run.AllocationBase, base);
	hr = faces_query(&faces, &faces, &run);
	if (hr != S_OK)
		CHECK_HR(hr, E_OUTOFMEMORY);
	CHECK_INT(run.State, hr == S_OK ? MEM_COMMIT : 0);
	hr = faces_protect(&faces, shared_text, PAGE, PAGE_READWRITE);
	if (hr != S_OK)
		CHECK_HR(hr, E_OUTOFMEMORY);
	CHECK_HR(grant(&faces, 4 * MIB, MEM_RESERVE | MEM_COMMIT | MEM_LARGE_PAGES, &out),
		 HOSTMEM_HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD));
	check_works(&faces);
	lift(RLIMIT_NOFILE);
	CHECK_HR(faces_query(&faces, &faces, &run), S_OK);
	CHECK_U32(run.State, MEM_COMMIT);
	CHECK_HR(faces_free(&faces, base), S_OK);
	clear(&faces);
}

static void without_descriptors_own_memory_is_still_known(void)
{
	in_child(descriptors);
}

static void many_reservations(void)
{
	size_t count = FACES_ROUNDS(1000000, 200000);
	MEMORY_BASIC_INFORMATION run;
	char **blocks = calloc(count, sizeof(*blocks));
	struct faces faces;

	if (blocks == NULL || !CHECK_HR(faces_create(&faces), S_OK))
		return;
	for (size_t i = 0; i < count; i++) {
		blocks[i] = faces_reserve(&faces, UNIT);
		if (blocks[i] == NULL)
			return;
	}
	CHECK_SIZE(faces_usage(&faces).cRegions, count);
	CHECK_SIZE(faces_usage(&faces).cbReserved, count * UNIT);
	CHECK_STR(hm_regions_check(), NULL);
	for (size_t i = 0; i < count; i += 97) {
		CHECK_HR(faces_query(&faces, blocks[i] + i % UNIT, &run), S_OK);
		CHECK_POINTER(run.AllocationBase, blocks[i]);
		CHECK_SIZE(run.RegionSize, UNIT - i % UNIT / PAGE * PAGE);
		CHECK_U32(run.State, MEM_RESERVE);
	}
	faces_check_account(&faces);
	for (size_t i = 0; i < count; i++)
		CHECK_HR(faces_free(&faces, blocks[i]), S_OK);
	clear(&faces);
	free(blocks);
}

static void a_million_reservations_fit_into_one_host(void)
{
	in_child(many_reservations);
}

int main(void)
{
	if (FACES_THREAD_SANITIZER) {
		tap_skip("the thread sanitizer does not live within limits");
		return tap_done();
	}
	make_shared_text();
	TAP_RUN(out_of_address_space_a_reservation_is_refused_and_release_helps);
	TAP_RUN(out_of_address_space_an_arena_is_still_there);
	TAP_RUN(without_address_space_no_host_is_made);
	TAP_RUN(out_of_data_a_commit_is_refused_and_decommit_helps);
	TAP_RUN(out_of_mappings_giving_back_works_and_helps);
	TAP_RUN(without_descriptors_own_memory_is_still_known);
	TAP_RUN(a_million_reservations_fit_into_one_host);
	return tap_done();
}
