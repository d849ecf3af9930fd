/*
 * Guard pages, with a SIGSEGV handler of the program's own that asks HostMemHandleFault;
 * and the other thing such handlers do: commit the page that was touched.
 */
#include "access.h"
#include "host.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static struct host host;

/* What HostMemHandleFault said since they were cleared. */
static atomic_int hits, others;
static void *_Atomic last_hit;

/* Asks the library; TRUE: try the access again. */
static bool ask_library(void *address, BOOL write)
{
	if (HostMemHandleFault(address, write) != S_OK) {
		atomic_fetch_add(&others, 1);
		return false;
	}
	atomic_fetch_add(&hits, 1);
	atomic_store(&last_hit, address);
	return true;
}

static void clear_counts(void)
{
	atomic_store(&hits, 0);
	atomic_store(&others, 0);
	atomic_store(&last_hit, NULL);
}

static unsigned char *guarded(size_t pages, DWORD protect)
{
	clear_counts();
	return (unsigned char *)vm_new(&host, pages * PAGE, MEM_COMMIT,
				       protect | PAGE_GUARD);
}

static void each_page_is_reported_once(void)
{
	unsigned char *base = guarded(4, PAGE_READWRITE);

	CHECK_RUN(&host, base, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK(can_read(base + PAGE + 0x123));
	CHECK_INT(hits, 1);
	CHECK_POINTER(last_hit, base + PAGE + 0x123);
	CHECK(can_write(base + PAGE, 9));
	CHECK(can_read(base + 2 * PAGE - 1));
	CHECK_INT(hits, 1);
	CHECK_INT(base[PAGE], 9);
	CHECK_RUN(&host, base, PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK_RUN(&host, base + PAGE, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_RUN(&host, base + 2 * PAGE, 2 * PAGE, MEM_COMMIT,
		  PAGE_READWRITE | PAGE_GUARD);
	CHECK(can_write(base + 3 * PAGE, 1));
	CHECK_INT(hits, 2);
	CHECK(can_write(base, 1));
	CHECK(can_write(base + 2 * PAGE, 1));
	CHECK_INT(hits, 4);
	CHECK_INT(others, 0);
	CHECK_RUN(&host, base, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* After the guard the base protection rules. */
static void the_protection_beneath_a_guard_still_holds(void)
{
	static const struct {
		DWORD protect;
		bool read, write;
	} rows[] = {
		{ PAGE_READONLY, true, false },
		{ PAGE_READWRITE, true, true },
		{ PAGE_EXECUTE, true, false },
		{ PAGE_EXECUTE_READ, true, false },
		{ PAGE_EXECUTE_READWRITE, true, true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = guarded(2, rows[i].protect);

		tap_row("0x%x", rows[i].protect);
		CHECK_INT(can_read(base), rows[i].read);
		CHECK_INT(hits, 1);
		/* First a guard hit, then, tried again, what the protection says. */
		CHECK_INT(can_write(base + PAGE, 1), rows[i].write);
		CHECK_INT(hits, 2);
		CHECK_INT(others, rows[i].write ? 0 : 1);
		CHECK_INT(can_write(base + PAGE, 1), rows[i].write);
		CHECK_INT(hits, 2);
		CHECK_RUN(&host, base, 2 * PAGE, MEM_COMMIT, rows[i].protect);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void contents_survive_arming_and_the_hit(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, 2 * PAGE, MEM_COMMIT,
						      PAGE_READWRITE);
	DWORD old;

	memset(base, 0xA7, 2 * PAGE);
	for (int round = 0; round < 3; round++) {
		tap_row("round %d", round);
		clear_counts();
		CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READWRITE | PAGE_GUARD, &old),
			 S_OK);
		CHECK_U32(old, PAGE_READWRITE);
		CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READWRITE | PAGE_GUARD, &old),
			 S_OK);
		CHECK_U32(old, PAGE_READWRITE | PAGE_GUARD);
		CHECK(can_read(base));
		CHECK_INT(hits, 1);
		CHECK_INT(base[0], 0xA7);
		CHECK_INT(base[PAGE - 1], 0xA7);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void protect_commit_and_decommit_take_the_guard_away(void)
{
	unsigned char *base = guarded(3, PAGE_READWRITE);
	DWORD old;

	CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READWRITE, &old), S_OK);
	CHECK_U32(old, PAGE_READWRITE | PAGE_GUARD);
	CHECK_HR(vm_commit(&host, base + PAGE, PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_free(&host, base + 2 * PAGE, PAGE, MEM_DECOMMIT), S_OK);
	CHECK(can_write(base, 1));
	CHECK(can_write(base + PAGE, 1));
	CHECK_INT(hits, 0);
	CHECK(!can_read(base + 2 * PAGE));
	CHECK_INT(hits, 0);
	CHECK_INT(others, 1);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void a_failed_protect_leaves_guards_armed(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, 4 * PAGE, MEM_RESERVE,
						      PAGE_NOACCESS);
	struct snapshot before;
	DWORD old;

	clear_counts();
	CHECK_HR(vm_commit(&host, base, 3 * PAGE, PAGE_READWRITE | PAGE_GUARD), S_OK);
	snapshot_take(&before, &host);
	CHECK_HR(vm_protect(&host, base, 4 * PAGE, PAGE_READWRITE, &old),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_protect(&host, base, 3 * PAGE, PAGE_WRITECOPY, &old), E_INVALIDARG);
	CHECK_HR(vm_commit(&host, base, 5 * PAGE, PAGE_READWRITE), HR_INVALID_ADDRESS);
	CHECK_HR(vm_free(&host, base, 5 * PAGE, MEM_DECOMMIT), E_INVALIDARG);
	CHECK_UNCHANGED(&before);
	for (size_t page = 0; page < 3; page++)
		CHECK(can_read(base + page * PAGE));
	CHECK_INT(hits, 3);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void a_system_call_gets_efault_and_the_guard_stays(void)
{
	unsigned char *base = guarded(1, PAGE_READWRITE);
	char byte = 0;
	int ends[2];

	if (!CHECK(pipe(ends) == 0))
		return;
	CHECK_INT(write(ends[1], base, 1), -1);
	CHECK_INT(errno, EFAULT);
	CHECK_RUN(&host, base, PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK_INT(hits, 0);
	CHECK_INT(write(ends[1], &byte, 1), 1);
	CHECK_INT(read(ends[0], base, 1), -1);
	CHECK_INT(errno, EFAULT);
	CHECK_RUN(&host, base, PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK(can_write(base, 'x'));
	CHECK_INT(hits, 1);
	CHECK_INT(write(ends[1], base, 1), 1);
	close(ends[0]);
	close(ends[1]);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void addresses_that_are_not_guarded_are_not_ours(void)
{
	unsigned char *base = (unsigned char *)vm_new(&host, 8 * PAGE, MEM_RESERVE,
						      PAGE_READWRITE);
	void *released = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	struct snapshot before;
	int local = 0;
	const struct {
		const char *what;
		void *address;
	} rows[] = {
		{ "NULL", NULL },
		{ "low", (void *)(uintptr_t)0x1000 },
		{ "stack", &local },
		{ "the library's records", host.manager },
		{ "reserved", base },
		{ "no access", base + 2 * PAGE },
		{ "behind the region", base + 8 * PAGE },
		{ "released", released },
		{ "end of user space", (void *)USER_END },
		{ "kernel half", (void *)(uintptr_t)0xFFFF800000000000 },
		{ "top", (void *)UINTPTR_MAX },
	};

	CHECK_HR(vm_release(&host, released), S_OK);
	CHECK_HR(vm_commit(&host, base + 2 * PAGE, PAGE, PAGE_NOACCESS), S_OK);
	CHECK_HR(vm_commit(&host, base + 4 * PAGE, PAGE, PAGE_READWRITE | PAGE_GUARD),
		 S_OK);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(HostMemHandleFault(rows[i].address, FALSE), S_FALSE);
		CHECK_HR(HostMemHandleFault(rows[i].address, TRUE), S_FALSE);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void the_handler_may_be_asked_without_a_fault(void)
{
	unsigned char *base = guarded(2, PAGE_READWRITE);

	CHECK_HR(HostMemHandleFault(base + PAGE + 100, TRUE), S_OK);
	CHECK_RUN(&host, base, PAGE, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
	CHECK_RUN(&host, base + PAGE, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK(can_write(base + PAGE, 1));
	CHECK_INT(hits, 0);
	errno = 1234;
	CHECK_HR(HostMemHandleFault(base, FALSE), S_OK);
	CHECK_HR(HostMemHandleFault(&errno, FALSE), S_FALSE);
	CHECK_INT(errno, 1234);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* Another thread was first: the access is allowed now, so it is to be tried again. */
static void who_comes_late_is_told_to_try_again_if_the_page_allows_it(void)
{
	static const struct {
		DWORD protect;
		BOOL write;
		HRESULT late;
	} rows[] = {
		{ PAGE_READWRITE, FALSE, S_OK },    { PAGE_READWRITE, TRUE, S_OK },
		{ PAGE_READONLY, FALSE, S_OK },     { PAGE_READONLY, TRUE, S_FALSE },
		{ PAGE_EXECUTE_READ, FALSE, S_OK }, { PAGE_EXECUTE_READ, TRUE, S_FALSE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = guarded(1, rows[i].protect);

		tap_row("0x%x, write %d", rows[i].protect, rows[i].write);
		CHECK_HR(HostMemHandleFault(base, rows[i].write), S_OK);
		CHECK_HR(HostMemHandleFault(base, rows[i].write), rows[i].late);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

/* To the library a jump into data looks like a read, which the page would allow. */
static void a_jump_into_data_is_not_tried_for_ever(void)
{
	unsigned char *base = guarded(1, PAGE_READWRITE);

	CHECK(can_write(base, access_code[0]));
	memcpy(base, access_code, sizeof(access_code));
	CHECK(!can_execute(base));
	CHECK_INT(others, 1);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* One handler serves all; and a host that may not use the system's guard pages. */
static void guards_of_every_host_are_served(void)
{
	static const uint32_t flags[] = { 0, HOSTMEM_NO_GUARD_PAGES };

	for (size_t i = 0; i < ROWS(flags); i++) {
		struct host other;
		unsigned char *base;

		tap_row("flags %u", flags[i]);
		if (!host_create(&other, flags[i]))
			return;
		clear_counts();
		base = (unsigned char *)vm_new(&other, 2 * PAGE, MEM_COMMIT,
					       PAGE_READONLY | PAGE_GUARD);
		CHECK(can_read(base));
		CHECK_INT(hits, 1);
		CHECK(!can_write(base, 1));
		CHECK_INT(hits, 1);
		CHECK_RUN(&other, base, PAGE, MEM_COMMIT, PAGE_READONLY);
		CHECK_RUN(&other, base + PAGE, PAGE, MEM_COMMIT,
			  PAGE_READONLY | PAGE_GUARD);
		CHECK_HR(vm_release(&other, base), S_OK);
		host_destroy(&other);
	}
}

enum { RACE_ROUNDS = 200 };

struct race {
	pthread_barrier_t start;
	unsigned char *page;
	atomic_int failed;
};

static void *touch_in_rounds(void *state)
{
	struct race *race = (struct race *)state;

	for (int round = 0; round < RACE_ROUNDS; round++) {
		pthread_barrier_wait(&race->start);
		if (!can_read(race->page))
			atomic_fetch_add(&race->failed, 1);
		pthread_barrier_wait(&race->start);
	}
	return NULL;
}

/* Whoever comes second finds the guard gone, and its access goes through as well. */
static void two_threads_may_hit_one_guard_page(void)
{
	struct race race = { .page = guarded(1, PAGE_READWRITE) };
	pthread_t threads[2];
	DWORD old;

	atomic_init(&race.failed, 0);
	pthread_barrier_init(&race.start, NULL, 3);
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, touch_in_rounds, &race) == 0);
	for (int round = 0; round < RACE_ROUNDS; round++) {
		tap_row("round %d", round);
		clear_counts();
		CHECK_HR(vm_protect(&host, race.page, PAGE, PAGE_READWRITE | PAGE_GUARD,
				    &old),
			 S_OK);
		pthread_barrier_wait(&race.start);
		pthread_barrier_wait(&race.start);
		CHECK(hits >= 1);
		CHECK_INT(race.failed, 0);
		CHECK_RUN(&host, race.page, PAGE, MEM_COMMIT, PAGE_READWRITE);
	}
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	pthread_barrier_destroy(&race.start);
	CHECK_HR(vm_release(&host, race.page), S_OK);
}

static void *lazy_base;
static HRESULT lazy_result;

/* As snmalloc does: the page that was touched is committed by the handler. */
static bool commit_the_page(void *address, BOOL write)
{
	void *page = NULL;

	(void)write;
	if (page_of(address) - (uintptr_t)lazy_base >= UNIT)
		return false;
	lazy_result = IHostMemoryManager_VirtualAlloc(host.manager, address, 1,
						      MEM_COMMIT, PAGE_READWRITE,
						      eProcessCritical, &page);
	atomic_fetch_add(&hits, 1);
	return lazy_result == S_OK && page == (void *)page_of(address);
}

static void a_fault_handler_may_commit(void)
{
	clear_counts();
	lazy_base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_NOACCESS);
	access_first = commit_the_page;
	CHECK(can_read(at(lazy_base, 3 * PAGE + 8)));
	CHECK(can_write(at(lazy_base, 7 * PAGE - 1), 5));
	access_first = ask_library;
	CHECK_HR(lazy_result, S_OK);
	CHECK_INT(hits, 2);
	CHECK_INT(*(unsigned char *)at(lazy_base, 3 * PAGE + 8), 0);
	CHECK_INT(*(unsigned char *)at(lazy_base, 7 * PAGE - 1), 5);
	CHECK_RUN(&host, at(lazy_base, 3 * PAGE), PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_RUN(&host, at(lazy_base, 6 * PAGE), PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_SIZE(host_usage(&host).cbCommitted, 2 * PAGE);
	CHECK_HR(vm_release(&host, lazy_base), S_OK);
}

int main(void)
{
	access_install();
	access_first = ask_library;
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(each_page_is_reported_once);
	TAP_RUN(the_protection_beneath_a_guard_still_holds);
	TAP_RUN(contents_survive_arming_and_the_hit);
	TAP_RUN(protect_commit_and_decommit_take_the_guard_away);
	TAP_RUN(a_failed_protect_leaves_guards_armed);
	TAP_RUN(a_system_call_gets_efault_and_the_guard_stays);
	TAP_RUN(addresses_that_are_not_guarded_are_not_ours);
	TAP_RUN(the_handler_may_be_asked_without_a_fault);
	TAP_RUN(who_comes_late_is_told_to_try_again_if_the_page_allows_it);
	TAP_RUN(a_jump_into_data_is_not_tried_for_ever);
	TAP_RUN(guards_of_every_host_are_served);
	TAP_RUN(two_threads_may_hit_one_guard_page);
	TAP_RUN(a_fault_handler_may_commit);
	host_destroy(&host);
	return tap_done();
}
