/*
 * The system's memory calls on the real kernel: what they do to a page, and what becomes
 * of a refusal.  Guard pages: see memory_guards.c; advice and figures: memory_advice.c.
 */
#include "hostmem/os/memory.h"
#include "hostmem/os/spare.h"
#include "stubborn.h"

#define READ_WRITE (HM_ACCESS_READ | HM_ACCESS_WRITE)

static const struct {
	unsigned access;
	bool reads, writes, executes;
} accesses[] = {
	{ HM_ACCESS_NONE, false, false, false },
	{ HM_ACCESS_READ, true, false, false },
	{ HM_ACCESS_WRITE, true, true, false },
	{ READ_WRITE, true, true, false },
	{ HM_ACCESS_EXECUTE, true, false, true },
	{ HM_ACCESS_READ | HM_ACCESS_EXECUTE, true, false, true },
	{ READ_WRITE | HM_ACCESS_EXECUTE, true, true, true },
};

static void check_access(void *address, size_t row, bool code)
{
	CHECK(can_read(address) == accesses[row].reads);
	/* What is code already has to stay code. */
	if (!code || !accesses[row].writes)
		CHECK(can_write(address, 0xAA) == accesses[row].writes);
	if (code)
		CHECK(can_execute(address) == accesses[row].executes);
}

static void mapped_memory_is_zero_and_has_its_access(void)
{
	for (size_t i = 0; i < ROWS(accesses); i++) {
		void *address;

		tap_row("access %u", accesses[i].access);
		stubborn_begin();
		CHECK_HR(hm_memory_map(NULL, 3 * PAGE, accesses[i].access, 0, &address),
			 S_OK);
		stubborn_end();
		if (accesses[i].reads)
			CHECK(is_zero(address, 3 * PAGE));
		check_access(address, i, false);
		check_access((char *)address + 2 * PAGE, i, false);
		stubborn_begin();
		CHECK_HR(hm_memory_unmap(address, 3 * PAGE), S_OK);
		stubborn_end();
		CHECK(!can_read(address));
	}
}

static void access_is_changed_to_any_other(void)
{
	unsigned char *page = pages_of_ours(3 * PAGE, PROT_READ | PROT_WRITE);
	HRESULT(*const changes[])
	(void *, size_t, unsigned) = { hm_memory_protect, hm_memory_put_back };

	memcpy(page + PAGE, access_code, sizeof(access_code));
	for (size_t from = 0; from < ROWS(accesses); from++) {
		for (size_t i = 0; i < ROWS(accesses) * 2; i++) {
			size_t to = i / 2;

			tap_row("from %u to %u", accesses[from].access,
				accesses[to].access);
			errno = ERRNO;
			CHECK_HR(hm_memory_protect(page + PAGE, PAGE,
						   accesses[from].access),
				 S_OK);
			CHECK_HR(changes[i % 2](page + PAGE, PAGE, accesses[to].access),
				 S_OK);
			CHECK_INT(errno, ERRNO);
			check_access(page + PAGE, to, true);
			CHECK(can_write(page, 1) && can_write(page + 2 * PAGE, 1));
		}
	}
	CHECK(munmap(page, 3 * PAGE) == 0);
}

/* Some processors could run what cannot be read: that is not what is meant. */
static void what_can_be_written_or_run_can_be_read(void)
{
	unsigned char *page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);

	for (size_t i = 0; i < ROWS(accesses); i++) {
		tap_row("access %u", accesses[i].access);
		stubborn_begin();
		CHECK_HR(hm_memory_protect(page, PAGE, accesses[i].access), S_OK);
		CHECK(((stubborn.protection & PROT_READ) != 0) == accesses[i].reads);
		CHECK(((stubborn.protection & PROT_WRITE) != 0) == accesses[i].writes);
		CHECK(((stubborn.protection & PROT_EXEC) != 0) == accesses[i].executes);
		stubborn_end();
	}
	CHECK(munmap(page, PAGE) == 0);
}

static void an_exact_place_that_is_taken_is_left_alone(void)
{
	unsigned char *pages = pages_of_ours(3 * PAGE, PROT_READ | PROT_WRITE);
	void *address = pages;

	pages[PAGE] = 7;
	CHECK(munmap(pages + 2 * PAGE, PAGE) == 0);
	for (size_t i = 0; i < 3; i++) {
		tap_row("from page %zu on", i);
		errno = ERRNO;
		CHECK_HR(hm_memory_map(pages + i * PAGE, PAGE, READ_WRITE, HM_MAP_EXACTLY,
				       &address),
			 i == 2 ? S_OK : BAD_ADDRESS);
		CHECK_INT(errno, ERRNO);
		CHECK_POINTER(address, i == 2 ? pages + 2 * PAGE : NULL);
	}
	CHECK_INT(pages[PAGE], 7);
	/* Without the flag the address is a wish. */
	CHECK_HR(hm_memory_map(pages, PAGE, READ_WRITE, 0, &address), S_OK);
	CHECK(address != pages && address != NULL);
	CHECK_INT(pages[PAGE], 7);
	CHECK(munmap(address, PAGE) == 0 && munmap(pages, 3 * PAGE) == 0);
}

static const struct {
	int error;
	HRESULT want;
} errors[] = {
	{ ENOMEM, E_OUTOFMEMORY }, { EAGAIN, E_OUTOFMEMORY }, { EACCES, E_ACCESSDENIED },
	{ EPERM, E_ACCESSDENIED }, { EEXIST, BAD_ADDRESS },   { EINVAL, E_FAIL },
	{ EBUSY, E_FAIL },
};

static HRESULT call(unsigned operation, unsigned char *page)
{
	void *out = page;
	HRESULT hr;

	switch (operation) {
	case 0:
		hr = hm_memory_map(NULL, PAGE, READ_WRITE, 0, &out);
		CHECK_POINTER(out, NULL);
		return hr;
	case 1:
		return hm_memory_unmap(page, PAGE);
	case 2:
		return hm_memory_protect(page, PAGE, HM_ACCESS_READ);
	case 3:
		return hm_memory_protect(page, PAGE, HM_ACCESS_NONE);
	case 4:
		return hm_memory_put_back(page, PAGE, HM_ACCESS_READ);
	case 5:
		return hm_memory_blank(page, PAGE);
	case 6:
		return hm_memory_guard(page, PAGE);
	default:
		return hm_memory_unguard(page, PAGE);
	}
}

static void every_refusal_is_told_in_our_words_and_changes_nothing(void)
{
	unsigned char *page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);

	page[5] = 5;
	for (unsigned operation = 0; operation < 8; operation++) {
		for (size_t i = 0; i < ROWS(errors); i++) {
			struct refusal refusal = { .error = errors[i].error,
						   .times = ALWAYS };

			tap_row("operation %u, errno %d", operation, errors[i].error);
			stubborn_begin_at((uintptr_t)page, (uintptr_t)page + PAGE);
			stubborn.map = stubborn.unmap = stubborn.protect =
				stubborn.advise = refusal;
			CHECK_HR(call(operation, page), errors[i].want);
			stubborn_end();
			CHECK_INT(page[5], 5);
			CHECK(can_write(page, 1));
		}
	}
	CHECK(munmap(page, PAGE) == 0);
}

/* Giving back may use what is kept back for it, taking may not. */
static void only_giving_back_asks_twice_for_a_mapping(void)
{
	static const bool gives_back[] = { false, true, false, true, true, true };

	for (unsigned operation = 0; operation < ROWS(gives_back); operation++) {
		unsigned char *page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);
		struct refusal refusal = { .error = ENOMEM, .times = 1 };

		tap_row("operation %u", operation);
		CHECK(hm_spare_keep());
		stubborn_begin_at((uintptr_t)page, (uintptr_t)page + PAGE);
		stubborn.map = stubborn.unmap = stubborn.protect = refusal;
		CHECK_HR(call(operation, page),
			 gives_back[operation] ? S_OK : E_OUTOFMEMORY);
		CHECK_U32(stubborn.map.calls + stubborn.unmap.calls +
				  stubborn.protect.calls,
			  gives_back[operation] ? 2 : 1);
		stubborn_end();
		/* They are gone by now, if they were needed. */
		CHECK(hm_spare_use() == !gives_back[operation]);
		(void)munmap(page, PAGE);
	}
	CHECK(hm_spare_keep());
}

static void what_takes_more_waits_until_the_spare_mappings_are_back(void)
{
	unsigned char *page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);
	struct refusal refusal = { .error = ENOMEM, .times = ALWAYS };
	void *out = page;

	CHECK(hm_spare_use());
	stubborn_begin();
	stubborn.protect = refusal;
	CHECK_HR(hm_memory_map(NULL, PAGE, READ_WRITE, 0, &out), E_OUTOFMEMORY);
	CHECK_POINTER(out, NULL);
	CHECK_HR(hm_memory_protect(page, PAGE, HM_ACCESS_READ), E_OUTOFMEMORY);
	CHECK_U32(stubborn.map.calls, 0);
	stubborn_end();
	CHECK(can_write(page, 1));
	CHECK_HR(hm_memory_protect(page, PAGE, HM_ACCESS_READ), S_OK);
	CHECK(hm_spare_use());
	CHECK(munmap(page, PAGE) == 0 && hm_spare_keep());
}

static void blank_pages_have_no_access_and_no_past(void)
{
	unsigned char *pages = pages_of_ours(4 * PAGE, PROT_READ | PROT_WRITE);

	memset(pages, 0x5A, 4 * PAGE);
	errno = ERRNO;
	CHECK_HR(hm_memory_blank(pages + PAGE, 2 * PAGE), S_OK);
	CHECK_INT(errno, ERRNO);
	CHECK(!can_read(pages + PAGE) && !can_read(pages + 2 * PAGE));
	CHECK_INT(pages[PAGE - 1], 0x5A);
	CHECK_INT(pages[3 * PAGE], 0x5A);
	CHECK(mprotect(pages, 4 * PAGE, PROT_READ) == 0);
	CHECK(is_zero(pages + PAGE, 2 * PAGE));
	CHECK(munmap(pages, 4 * PAGE) == 0);
}

static void clearing_takes_away_what_can_be_had(void)
{
	static const struct {
		int map_error, protect_error, advise_error;
		HRESULT want;
		bool contents, access;
	} rows[] = {
		{ 0, 0, 0, S_OK, false, false },
		{ ENOMEM, 0, 0, S_OK, false, false },
		{ EAGAIN, 0, 0, S_OK, false, false },
		{ ENOMEM, ENOMEM, 0, S_FALSE, false, true },
		/* Access is not taken before the contents are gone. */
		{ ENOMEM, 0, EINVAL, E_FAIL, true, true },
		{ ENOMEM, ENOMEM, EINVAL, E_FAIL, true, true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *pages = pages_of_ours(2 * PAGE, PROT_READ | PROT_WRITE);

		tap_row("row %zu", i);
		memset(pages, 0x5A, 2 * PAGE);
		CHECK(hm_spare_keep());
		stubborn_begin_at((uintptr_t)pages, (uintptr_t)pages + 2 * PAGE);
		stubborn.map = (struct refusal){ rows[i].map_error, .times = ALWAYS };
		stubborn.protect = (struct refusal){ rows[i].protect_error,
						     .times = ALWAYS };
		stubborn.advise = (struct refusal){ rows[i].advise_error,
						    .times = ALWAYS };
		CHECK_HR(hm_memory_clear(pages, 2 * PAGE), rows[i].want);
		stubborn_end();
		CHECK(can_read(pages + PAGE) == rows[i].access);
		CHECK(mprotect(pages, 2 * PAGE, PROT_READ) == 0);
		CHECK(is_zero(pages, 2 * PAGE) == !rows[i].contents);
		CHECK(munmap(pages, 2 * PAGE) == 0);
	}
	CHECK(hm_spare_keep());
}

static void check_dropping(bool locked, unsigned refused, bool want)
{
	unsigned char *pages = pages_of_ours(2 * PAGE, PROT_READ | PROT_WRITE);
	bool done;

	memset(pages, 0x5A, 2 * PAGE);
	if (locked && !lock_pages(pages, 2 * PAGE)) {
		tap_skip("no memory can be locked here");
		CHECK(munmap(pages, 2 * PAGE) == 0);
		return;
	}
	stubborn_begin();
	stubborn.advise = (struct refusal){ .error = EINVAL, .times = refused };
	done = hm_memory_drop(pages, 2 * PAGE);
	stubborn_end();
	CHECK(done == want);
	CHECK(is_zero(pages, 2 * PAGE) == want);
	CHECK(can_write(pages, 1) && can_write(pages + PAGE, 1));
	CHECK(munmap(pages, 2 * PAGE) == 0);
}

static void dropped_pages_are_zero_and_have_their_access(void)
{
	check_dropping(false, 0, true);
	check_dropping(false, ALWAYS, false);
}

static void locked_pages_are_dropped_too(void)
{
	check_dropping(true, 0, true);
	check_dropping(true, 1, true);
	check_dropping(true, ALWAYS, false);
}

static void discarding_is_advice(void)
{
	unsigned char *page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);

	for (unsigned refused = 0; refused < 2; refused++) {
		page[7] = 7;
		stubborn_begin();
		stubborn.advise.error = refused ? EINVAL : 0;
		stubborn.advise.times = ALWAYS;
		stubborn.advise.only = MADV_FREE;
		hm_memory_discard(page, PAGE);
		CHECK_U32(stubborn.advise.calls, 1);
		stubborn_end();
		CHECK(page[7] == 7 || (!refused && page[7] == 0));
		CHECK(can_write(page, 1));
	}
	CHECK(munmap(page, PAGE) == 0);
}

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

static void try_executing(void)
{
	unsigned char *page = pages_of_ours(PAGE, PROT_READ | PROT_WRITE);
	void *out = page;

	if (prctl(PR_SET_MDWE, 1UL, 0UL, 0UL, 0UL) != 0) {
		tap_skip("the kernel has no PR_SET_MDWE");
		return;
	}
	errno = ERRNO;
	CHECK_HR(hm_memory_protect(page, PAGE, HM_ACCESS_EXECUTE), E_ACCESSDENIED);
	CHECK_HR(hm_memory_map(NULL, PAGE, HM_ACCESS_WRITE | HM_ACCESS_EXECUTE, 0, &out),
		 E_ACCESSDENIED);
	CHECK_POINTER(out, NULL);
	CHECK_INT(errno, ERRNO);
	CHECK(can_write(page, 1));
}

static void what_a_policy_forbids_is_denied(void)
{
	in_child(try_executing);
}

int main(void)
{
	access_install();
	CHECK(hm_spare_keep());
	TAP_RUN(mapped_memory_is_zero_and_has_its_access);
	TAP_RUN(access_is_changed_to_any_other);
	TAP_RUN(what_can_be_written_or_run_can_be_read);
	TAP_RUN(an_exact_place_that_is_taken_is_left_alone);
	TAP_RUN(every_refusal_is_told_in_our_words_and_changes_nothing);
	TAP_RUN(only_giving_back_asks_twice_for_a_mapping);
	TAP_RUN(what_takes_more_waits_until_the_spare_mappings_are_back);
	TAP_RUN(blank_pages_have_no_access_and_no_past);
	TAP_RUN(clearing_takes_away_what_can_be_had);
	TAP_RUN(dropped_pages_are_zero_and_have_their_access);
	TAP_RUN(locked_pages_are_dropped_too);
	TAP_RUN(discarding_is_advice);
	TAP_RUN(what_a_policy_forbids_is_denied);
	return tap_done();
}
