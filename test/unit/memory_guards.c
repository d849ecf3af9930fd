/*
 * Guard pages of the kernel: whether it has them, and what they do.
 */
#include "hostmem/os/memory.h"
#include "hostmem/os/spare.h"
#include "stubborn.h"

static bool kernel_has_guards(void)
{
	unsigned char *page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);
	bool has = madvise(page, PAGE, MADV_GUARD_INSTALL) == 0;

	CHECK(munmap(page, PAGE) == 0);
	return has;
}

/* What the library says, asked twice, with a kernel that refuses so many calls. */
static struct {
	int map_error, advise_error;
	unsigned times;
	bool first, second;
	unsigned asked; /* how often the kernel was asked for a guard, at most */
} question;

static void ask(void)
{
	bool has = kernel_has_guards();

	stubborn_begin();
	stubborn.map = (struct refusal){ question.map_error, .times = question.times };
	stubborn.advise = (struct refusal){ question.advise_error,
					    .times = question.times,
					    .only = MADV_GUARD_INSTALL };
	CHECK(hm_memory_has_guards() == (question.first && has));
	CHECK(hm_memory_has_guards() == (question.second && has));
	CHECK(hm_memory_has_guards() == (question.second && has));
	CHECK_U32(stubborn.advise.calls, question.asked);
	CHECK_U32(stubborn.map.calls, stubborn.unmap.calls + stubborn.map.refused);
	stubborn_end();
}

static void the_kernel_is_asked_until_it_has_answered(void)
{
	static const struct {
		int map_error, advise_error;
		unsigned times;
		bool first, second;
		unsigned asked;
	} rows[] = {
		{ 0, 0, 0, true, true, 1 },
		/* It knows none. */
		{ 0, EINVAL, 1, false, false, 1 },
		/* Not now. */
		{ ENOMEM, 0, 1, false, true, 1 },
		{ 0, ENOMEM, 1, false, true, 2 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		memcpy(&question, &rows[i], sizeof(question));
		in_child(ask);
	}
}

static bool skips_without_guards(void)
{
	if (kernel_has_guards())
		return false;
	tap_skip("the kernel has no guard pages");
	return true;
}

static void a_guard_takes_contents_and_access_and_costs_no_mapping(void)
{
	unsigned char *pages;
	size_t before;

	if (skips_without_guards())
		return;
	pages = pages_of_ours(8 * PAGE, PROT_READ | PROT_WRITE);
	memset(pages, 0x5A, 8 * PAGE);
	before = smaps_count();
	for (size_t i = 0; i < 8; i += 2) {
		errno = ERRNO;
		CHECK_HR(hm_memory_guard(pages + i * PAGE, PAGE), S_OK);
		CHECK_INT(errno, ERRNO);
		CHECK(!can_read(pages + i * PAGE) && !can_write(pages + i * PAGE, 1));
		CHECK_INT(pages[(i + 1) * PAGE], 0x5A);
	}
	CHECK_SIZE(smaps_count(), before);
	CHECK_HR(hm_memory_unguard(pages, 8 * PAGE), S_OK);
	CHECK_INT(errno, ERRNO);
	for (size_t i = 0; i < 8; i++)
		CHECK(pages[i * PAGE + 9] == (i % 2 == 0 ? 0 : 0x5A));
	CHECK(munmap(pages, 8 * PAGE) == 0);
}

static void what_is_as_wanted_already_is_left_alone(void)
{
	unsigned char *pages;

	if (skips_without_guards())
		return;
	pages = pages_of_ours(4 * PAGE, PROT_READ | PROT_WRITE);
	memset(pages, 0x5A, 4 * PAGE);
	CHECK_HR(hm_memory_unguard(pages, 4 * PAGE), S_OK);
	CHECK_INT(pages[3 * PAGE], 0x5A);
	CHECK_HR(hm_memory_guard(pages + PAGE, PAGE), S_OK);
	CHECK_HR(hm_memory_guard(pages, 4 * PAGE), S_OK);
	for (size_t i = 0; i < 4; i++)
		CHECK(!can_read(pages + i * PAGE));
	/* Guards outlive a change of access, in both directions. */
	CHECK(mprotect(pages, 4 * PAGE, PROT_NONE) == 0);
	CHECK(mprotect(pages, 4 * PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(!can_read(pages) && !can_read(pages + 3 * PAGE));
	CHECK_HR(hm_memory_unguard(pages, 4 * PAGE), S_OK);
	CHECK(is_zero(pages, 4 * PAGE));
	CHECK(munmap(pages, 4 * PAGE) == 0);
}

static void locked_pages_get_no_guards_and_keep_what_they_have(void)
{
	unsigned char *page;

	if (skips_without_guards())
		return;
	page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);
	page[3] = 3;
	if (lock_pages(page, PAGE)) {
		errno = ERRNO;
		CHECK_HR(hm_memory_guard(page, PAGE), E_FAIL);
		CHECK_INT(errno, ERRNO);
		CHECK_INT(page[3], 3);
		CHECK_HR(hm_memory_unguard(page, PAGE), S_OK);
		CHECK_INT(page[3], 3);
	} else {
		tap_skip("no memory can be locked here");
	}
	CHECK(munmap(page, PAGE) == 0);
}

int main(void)
{
	access_install();
	CHECK(hm_spare_keep());
	TAP_RUN(the_kernel_is_asked_until_it_has_answered);
	TAP_RUN(a_guard_takes_contents_and_access_and_costs_no_mapping);
	TAP_RUN(what_is_as_wanted_already_is_left_alone);
	TAP_RUN(locked_pages_get_no_guards_and_keep_what_they_have);
	return tap_done();
}
