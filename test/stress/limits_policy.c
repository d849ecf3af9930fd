/*
 * Limits that are somebody's decision: memory that is locked, memory that must not become
 * executable.  For the others see limits.c.
 */
#include "test/stress/limits.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define SET_MDWE 65          /* PR_SET_MDWE */
#define REFUSE_EXEC_GAIN 1UL /* PR_MDWE_REFUSE_EXEC_GAIN */

/* Root may lock as much as it likes, unless it gives that up. */
static bool give_up_locking(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2];

	if (syscall(SYS_capget, &header, sets) != 0)
		return false;
	sets[CAP_IPC_LOCK / 32].effective &= ~(1U << CAP_IPC_LOCK % 32);
	return syscall(SYS_capset, &header, sets) == 0;
}

static void locked(void)
{
	struct faces faces;
	HostMemUsage before;
	char *base;
	void *out;

	if (FACES_SANITIZED) {
		tap_skip("a sanitizer turns mlockall off");
		return;
	}
	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	check_works(&faces); /* the records of the library are not to be locked */
	trim_arenas();
	limit(RLIMIT_MEMLOCK, 4 * MIB);
	if (!give_up_locking() || mlockall(MCL_FUTURE) != 0) {
		tap_skip("mlockall is not permitted here");
		return;
	}
	before = faces_usage(&faces);
	check_refused(&faces, &before, grant(&faces, 16 * MIB, MEM_RESERVE, &out),
		      E_OUTOFMEMORY);
	/* More than half of what may be locked: nothing can be mapped over it. */
	base = faces_reserve(&faces, 3 * MIB);
	CHECK_HR(faces_commit(&faces, base, 3 * MIB), S_OK);
	memset(base, 1, 3 * MIB);
	CHECK_HR(faces_decommit(&faces, base, 3 * MIB), S_OK);
	CHECK(!readable(base));
	CHECK_HR(faces_commit(&faces, base, 3 * MIB), S_OK);
	CHECK_INT(base[0], 0);
	CHECK_INT(base[3 * MIB - 1], 0);
	CHECK_HR(faces_free(&faces, base), S_OK);
	clear(&faces);
}

static void locked_memory_is_limited_and_comes_back_zero(void)
{
	in_child(locked);
}

static void check_gone(const struct faces *faces, char *from, size_t size)
{
	CHECK_HR(faces_decommit(faces, from, size), S_OK);
	CHECK(!readable(from));
	CHECK(!readable(from + size - PAGE));
	CHECK_HR(faces_commit(faces, from, size), S_OK);
	CHECK_INT(from[0], 0);
	CHECK_INT(from[size - PAGE], 0);
	memset(from, 1, size);
}

/* The program has locked what it was given: such memory has no guard pages. */
static void locked_by_the_program(void)
{
	struct faces faces;
	char *base;
	void *out;

	if (FACES_SANITIZED) {
		tap_skip("a sanitizer turns mlock off");
		return;
	}
	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	base = faces_reserve(&faces, 2 * MIB);
	CHECK_HR(faces_commit(&faces, base, 2 * MIB - UNIT), S_OK);
	memset(base, 1, 2 * MIB - UNIT);
	if (mlock(base + UNIT, MIB) != 0) {
		tap_skip("mlock is not permitted here");
		return;
	}
	check_gone(&faces, base + 2 * UNIT, UNIT);
	check_gone(&faces, base + UNIT / 2, UNIT);      /* half of it is locked */
	check_gone(&faces, base + UNIT, 10 * UNIT);     /* so many are closed */
	check_gone(&faces, base + 12 * UNIT, 2 * PAGE); /* still locked */
	CHECK_HR(faces_protect(&faces, base + 13 * UNIT, UNIT, PAGE_READONLY), S_OK);
	check_gone(&faces, base + 13 * UNIT, UNIT);
	CHECK_HR(IHostMemoryPages_ReleaseRange(faces.pages, base + 15 * UNIT,
					       UNIT + PAGE),
		 S_OK);
	CHECK(!readable(base + 15 * UNIT));
	CHECK_INT(base[15 * UNIT - 1] + base[16 * UNIT + PAGE], 2);
	CHECK_HR(faces_free(&faces, base), S_OK);
	CHECK_HR(faces_free(&faces, base + 16 * UNIT + PAGE), S_OK);
	CHECK(!readable(base));
	/* What had been locked is as good as any. */
	CHECK_HR(faces_alloc(&faces, base, 2 * MIB, MEM_RESERVE | MEM_COMMIT,
			     PAGE_READWRITE, &out),
		 S_OK);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		CHECK_INT(base[i], 0);
	check_gone(&faces, base, 2 * MIB);
	CHECK_HR(faces_free(&faces, base), S_OK);
	clear(&faces);
}

static void memory_that_the_program_has_locked_goes_all_the_same(void)
{
	in_child(locked_by_the_program);
}

static void writable_code(void)
{
	struct faces faces;
	HostMemUsage before;
	char *base;
	void *out;

	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	if (prctl(SET_MDWE, REFUSE_EXEC_GAIN, 0UL, 0UL, 0UL) != 0) {
		tap_skip("the kernel has no PR_SET_MDWE");
		return;
	}
	base = faces_reserve(&faces, 8 * PAGE);
	CHECK_HR(faces_commit(&faces, base, 4 * PAGE), S_OK);
	base[0] = 1;
	before = faces_usage(&faces);
	check_refused(&faces, &before,
		      faces_alloc(&faces, NULL, PAGE, MEM_RESERVE | MEM_COMMIT,
				  PAGE_EXECUTE_READWRITE, &out),
		      E_ACCESSDENIED);
	CHECK_POINTER(out, NULL);
	check_refused(&faces, &before,
		      faces_alloc(&faces, base + 2 * PAGE, 4 * PAGE, MEM_COMMIT,
				  PAGE_EXECUTE_READWRITE, &out),
		      E_ACCESSDENIED);
	check_refused(&faces, &before,
		      faces_protect(&faces, base, 2 * PAGE, PAGE_EXECUTE_READ),
		      E_ACCESSDENIED);
	CHECK_INT(base[0]++, 1);
	CHECK(!readable(base + 4 * PAGE));
	CHECK_HR(faces_alloc(&faces, NULL, PAGE, MEM_RESERVE | MEM_COMMIT,
			     PAGE_EXECUTE_READ, &out),
		 S_OK);
	CHECK_HR(faces_free(&faces, out), S_OK);
	CHECK_HR(faces_free(&faces, base), S_OK);
	clear(&faces);
}

static void where_the_system_forbids_writable_code_access_is_denied(void)
{
	in_child(writable_code);
}

int main(void)
{
	if (FACES_THREAD_SANITIZER) {
		tap_skip("the thread sanitizer does not live within limits");
		return tap_done();
	}
	make_shared_text();
	TAP_RUN(locked_memory_is_limited_and_comes_back_zero);
	TAP_RUN(memory_that_the_program_has_locked_goes_all_the_same);
	TAP_RUN(where_the_system_forbids_writable_code_access_is_denied);
	return tap_done();
}
