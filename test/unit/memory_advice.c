/*
 * What the system is told about memory and asked about itself: names, core dumps, huge
 * pages, mergeable mappings, limits.
 */
#include "hostmem/os/memory.h"
#include "hostmem/os/spare.h"
#include "stubborn.h"

#define HUGE_PAGE ((size_t)2 << 20)

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static void map_and_name(void)
{
	struct smaps_mapping mapping = { .name = "" };
	unsigned char *page = pages_of_ours(PAGE, PROT_READ);
	bool known = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, PAGE, "test") == 0;
	void *address;

	stubborn_begin();
	CHECK_HR(hm_memory_map(NULL, PAGE, HM_ACCESS_READ, 0, &address), S_OK);
	stubborn_end();
	CHECK(smaps_find(address, &mapping));
	if (known)
		CHECK_STR(mapping.name, "[anon:hostmem]");
	CHECK_HR(hm_memory_blank(address, PAGE), S_OK);
	CHECK(smaps_find(address, &mapping));
	if (known)
		CHECK_STR(mapping.name, "[anon:hostmem]");
	else
		tap_skip("the kernel has no names for mappings");
}

static void our_mappings_have_our_name(void)
{
	in_child(map_and_name);
}

static struct {
	void *address;
	size_t size;
	char name[32];
} named;

static int note_name(void *address, size_t size, const char *name)
{
	named.address = address;
	named.size = size;
	snprintf(named.name, sizeof(named.name), "%s", name);
	return 0;
}

static void check_named(void *address, size_t size)
{
	CHECK_POINTER(named.address, address);
	CHECK_SIZE(named.size, size);
	CHECK_STR(named.name, "hostmem");
}

static void name_ranges(void)
{
	void *address;

	stubborn_begin();
	hm_system.name = note_name;
	CHECK_HR(hm_memory_map(NULL, 3 * PAGE, HM_ACCESS_READ, 0, &address), S_OK);
	check_named(address, 3 * PAGE);
	CHECK_HR(hm_memory_blank((char *)address + PAGE, PAGE), S_OK);
	check_named((char *)address + PAGE, PAGE);
	stubborn_end();
}

static void all_of_a_mapping_is_named(void)
{
	in_child(name_ranges);
}

static int name_error;
static unsigned name_calls;

static void map_without_name(void)
{
	void *address;

	stubborn_begin();
	stubborn.name = (struct refusal){ .error = name_error, .times = ALWAYS };
	for (unsigned i = 0; i < 3; i++)
		CHECK_HR(hm_memory_map(NULL, PAGE, HM_ACCESS_READ, 0, &address), S_OK);
	CHECK_U32(stubborn.name.calls, name_calls);
	stubborn_end();
}

static void a_kernel_without_names_is_asked_once(void)
{
	name_error = EINVAL;
	name_calls = 1;
	in_child(map_without_name);
	/* One that has no memory for a name now may have it later. */
	name_error = ENOMEM;
	name_calls = 3;
	in_child(map_without_name);
}

static void memory_is_in_core_dumps_or_not(void)
{
	unsigned char *pages = pages_of_ours(3 * PAGE, PROT_READ | PROT_WRITE);

	errno = ERRNO;
	hm_memory_dump(pages + PAGE, PAGE, false);
	CHECK(!smaps_has(pages, "dd") && !smaps_has(pages + 2 * PAGE, "dd"));
	CHECK(smaps_has(pages + PAGE, "dd"));
	hm_memory_dump(pages + PAGE, PAGE, true);
	CHECK(!smaps_has(pages + PAGE, "dd"));
	errno = ERRNO;
	stubborn_begin();
	stubborn.advise = (struct refusal){ .error = EINVAL, .times = ALWAYS };
	hm_memory_dump(pages, 3 * PAGE, false);
	stubborn_end();
	CHECK(can_write(pages, 1));
	CHECK(munmap(pages, 3 * PAGE) == 0);
}

static void huge_pages_are_asked_for_where_they_fit(void)
{
	/* In pages, beside a multiple of 2 MiB. */
	static const struct {
		long start;
		size_t size;
		long from;
		size_t huge;
	} rows[] = {
		{ 0, HUGE_PAGE, 0, 1 },
		{ 0, HUGE_PAGE - PAGE, 0, 0 },
		{ 1, HUGE_PAGE, 0, 0 },
		{ 1, 2 * HUGE_PAGE - PAGE, 512, 1 },
		{ 1, 2 * HUGE_PAGE - 2 * PAGE, 0, 0 },
		{ -1, HUGE_PAGE + 2 * PAGE, 0, 1 },
		{ -511, 3 * HUGE_PAGE, 0, 2 },
	};
	unsigned char *all = pages_of_ours(6 * HUGE_PAGE, PROT_READ | PROT_WRITE);
	uintptr_t middle = ((uintptr_t)all + 2 * HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *start = (unsigned char *)middle +
				       rows[i].start * (long)PAGE;
		unsigned char *huge = (unsigned char *)middle + rows[i].from * (long)PAGE;

		tap_row("row %zu", i);
		stubborn_begin();
		hm_memory_prefer_huge(start, rows[i].size);
		CHECK_U32(stubborn.advise.calls, rows[i].huge != 0);
		stubborn_end();
		if (rows[i].huge != 0 && smaps_has(huge, "hg")) {
			CHECK(!smaps_has(huge - PAGE, "hg"));
			CHECK(smaps_has(huge + rows[i].huge * HUGE_PAGE - PAGE, "hg"));
			CHECK(!smaps_has(huge + rows[i].huge * HUGE_PAGE, "hg"));
		} else if (rows[i].huge != 0) {
			CHECK(madvise(huge, HUGE_PAGE, MADV_HUGEPAGE) != 0);
		}
		(void)madvise(all, 6 * HUGE_PAGE, MADV_NOHUGEPAGE);
	}
	CHECK(munmap(all, 6 * HUGE_PAGE) == 0);
}

static void what_was_split_off_merges_again(void)
{
	struct refusal refusal = { .error = ENOMEM, .times = ALWAYS };
	unsigned char *pages, there;
	void *address;
	size_t before;

	CHECK_HR(hm_memory_map(NULL, 18 * PAGE, HM_ACCESS_NONE, 0, &address), S_OK);
	/* Apart from its neighbours. */
	CHECK_HR(hm_memory_unmap(address, PAGE), S_OK);
	pages = (unsigned char *)address + PAGE;
	CHECK_HR(hm_memory_unmap(pages + 16 * PAGE, PAGE), S_OK);
	/* Not made accessible: as it was.  Not made inaccessible again: told. */
	for (unsigned first = 0; first < 2; first++) {
		stubborn_begin_at((uintptr_t)pages, (uintptr_t)pages + PAGE);
		stubborn.protect = refusal;
		stubborn.protect.first = first;
		CHECK(hm_memory_keep_mergeable(pages) == (first == 0));
		stubborn_end();
		CHECK(can_read(pages) == (first == 1));
		CHECK(mprotect(pages, PAGE, PROT_NONE) == 0);
	}
	CHECK(hm_spare_keep());
	errno = ERRNO;
	CHECK(hm_memory_keep_mergeable(pages));
	CHECK_INT(errno, ERRNO);
	CHECK(!can_read(pages));
	CHECK(mincore(pages, PAGE, &there) == 0 && (there & 1) == 0);
	before = smaps_count();
	for (size_t i = 1; i < 16; i += 4) {
		CHECK(mprotect(pages + i * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
		pages[i * PAGE] = 1;
	}
	CHECK_SIZE(smaps_count(), before + 8);
	for (size_t i = 1; i < 16; i += 4)
		CHECK(mprotect(pages + i * PAGE, PAGE, PROT_NONE) == 0);
	CHECK_SIZE(smaps_count(), before);
	CHECK(mprotect(pages, PAGE, PROT_READ) == 0);
	CHECK(is_zero(pages, PAGE));
	CHECK(munmap(pages, 16 * PAGE) == 0);
}

static void set_apart_is_not_merged(void)
{
	unsigned char *pages = pages_of_ours(8 * PAGE, PROT_READ | PROT_WRITE);
	size_t before = smaps_count();

	errno = ERRNO;
	hm_memory_set_apart(pages + 2 * PAGE, 3 * PAGE, true);
	CHECK_SIZE(smaps_count(), before + 2);
	CHECK(mprotect(pages + 2 * PAGE, 3 * PAGE, PROT_READ) == 0);
	CHECK(mprotect(pages + 2 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK_SIZE(smaps_count(), before + 2);
	hm_memory_set_apart(pages + 2 * PAGE, 3 * PAGE, false);
	CHECK_SIZE(smaps_count(), before);
	CHECK_INT(errno, ERRNO);
	CHECK(munmap(pages, 8 * PAGE) == 0);
}

/* A figure, as it is and under a limit. */
static void check_limit(int resource, size_t (*figure)(void))
{
	struct rlimit limit;

	CHECK(getrlimit((__rlimit_resource_t)resource, &limit) == 0);
	CHECK_SIZE(figure(), limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur);
	if (SANITIZED) {
		tap_skip("a sanitizer needs more addresses than any limit leaves");
		return;
	}
	CHECK(child_limit(resource, (rlim_t)1 << 31));
	CHECK_SIZE(figure(), (size_t)1 << 31);
}

static void limit_space(void)
{
	check_limit(RLIMIT_AS, hm_memory_space);
}

static void limit_data(void)
{
	check_limit(RLIMIT_DATA, hm_memory_writable);
}

static void what_there_is_is_what_the_limits_say(void)
{
	in_child(limit_space);
	in_child(limit_data);
}

static void memory_is_counted_where_the_system_says_so(void)
{
	static const struct {
		const char *text;
		int error;
		bool want;
	} rows[] = {
		{ "0\n", 0, false }, { "1\n", 0, false },      { "2\n", 0, true },
		{ "", 0, false },    { "2\n", EMFILE, false }, { "2\n", ENOENT, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		stubborn_begin();
		stubborn.text = rows[i].text;
		stubborn.open = (struct refusal){ rows[i].error, .times = ALWAYS };
		CHECK(hm_memory_is_counted() == rows[i].want);
		CHECK_U32(stubborn.open.calls, 1);
		CHECK_U32(stubborn.closes, rows[i].error == 0);
		stubborn_end();
	}
}

int main(void)
{
	access_install();
	CHECK(hm_spare_keep());
	TAP_RUN(our_mappings_have_our_name);
	TAP_RUN(all_of_a_mapping_is_named);
	TAP_RUN(a_kernel_without_names_is_asked_once);
	TAP_RUN(memory_is_in_core_dumps_or_not);
	TAP_RUN(huge_pages_are_asked_for_where_they_fit);
	TAP_RUN(what_was_split_off_merges_again);
	TAP_RUN(set_apart_is_not_merged);
	TAP_RUN(what_there_is_is_what_the_limits_say);
	TAP_RUN(memory_is_counted_where_the_system_says_so);
	return tap_done();
}
