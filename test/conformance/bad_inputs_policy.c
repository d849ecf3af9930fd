/*
 * Well-formed requests that policy, other memory or a callback stand against: rows 28,
 * 29, 32 and 38 of the list of bad inputs.  Row 37 is in bad_inputs_limits.c; 35 and 36
 * wait for budgets.
 */
#include "bad_inputs.h"
#include "maps.h"

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Guards are always accepted here; guard.c shows that they work. */
static void row_28_a_guard_is_accepted_and_real(void)
{
	static const uint32_t flags[] = { 0, HOSTMEM_NO_GUARD_PAGES };

	for (size_t i = 0; i < ROWS(flags); i++) {
		struct fixture fixture;
		void *base;

		tap_row("28, flags %u", flags[i]);
		if (!fixture_make(&fixture, flags[i]))
			return;
		CHECK_HR(vm_alloc(&fixture.host, NULL, PAGE, MEM_COMMIT,
				  PAGE_READWRITE | PAGE_GUARD, &base),
			 S_OK);
		CHECK_U32(vm_protection(&fixture.host, base),
			  PAGE_READWRITE | PAGE_GUARD);
		CHECK_HR(HostMemHandleFault(base, FALSE), S_OK);
		CHECK_U32(vm_protection(&fixture.host, base), PAGE_READWRITE);
		CHECK_HR(vm_release(&fixture.host, base), S_OK);
		fixture_end(&fixture);
	}
}

static void row_29_writable_code_in_a_strict_host(void)
{
	static const DWORD asked[] = { MEM_RESERVE, MEM_COMMIT,
				       MEM_RESERVE | MEM_COMMIT };
	struct fixture fixture;
	struct snapshot before;
	void *out;

	if (!fixture_make(&fixture, HOSTMEM_STRICT_EXECUTE))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(asked); i++) {
		tap_row("29, type 0x%x", asked[i]);
		CHECK_HR(vm_alloc(&fixture.host, NULL, PAGE, asked[i],
				  PAGE_EXECUTE_READWRITE, &out),
			 E_ACCESSDENIED);
		CHECK_UNCHANGED(&before);
	}
	CHECK_HR(vm_commit(&fixture.host, fixture.hole + UNIT, PAGE,
			   PAGE_EXECUTE_READWRITE),
		 E_ACCESSDENIED);
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

/* In a child of its own: the system can be told to allow no new code, for good. */
static void without_executable_memory(void)
{
	struct fixture fixture;
	struct snapshot before;
	void *out;
	DWORD old;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	CHECK_HR(vm_alloc(&fixture.host, NULL, PAGE, MEM_COMMIT, PAGE_EXECUTE_READWRITE,
			  &out),
		 E_ACCESSDENIED);
	CHECK_HR(vm_commit(&fixture.host, fixture.hole + UNIT, 2 * PAGE,
			   PAGE_EXECUTE_READWRITE),
		 E_ACCESSDENIED);
	CHECK_HR(vm_protect(&fixture.host, fixture.hole + UNIT, PAGE, PAGE_EXECUTE_READ,
			    &old),
		 E_ACCESSDENIED);
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

static void row_29_writable_code_that_the_system_forbids(void)
{
	enum { SET_MDWE = 65, NO_NEW_CODE = 1, NOT_HERE = 77 };
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		if (prctl(SET_MDWE, NO_NEW_CODE, 0, 0, 0) != 0)
			_exit(NOT_HERE);
		without_executable_memory();
		_exit(tap_failed());
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE)
		tap_skip("this kernel cannot forbid new code");
	else
		CHECK_INT(status, 0);
}

static void row_32_places_where_others_live(void)
{
	static const DWORD asked[] = { MEM_RESERVE, MEM_RESERVE | MEM_COMMIT,
				       MEM_COMMIT };
	unsigned char *alone = pages_alone(2, PROT_READ | PROT_WRITE);
	struct fixture fixture;
	struct snapshot before;
	int local = 0x1234;
	const struct {
		const char *what;
		const void *address;
	} rows[] = {
		{ "stack", &local },
		{ "libc", stdout },
		{ "vdso", (const void *)getauxval(AT_SYSINFO_EHDR) },
		{ "own code", "text" },
		{ "a mapping", alone },
	};

	if (!fixture_make(&fixture, 0))
		return;
	memset(alone, 0x32, 2 * PAGE);
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows) * ROWS(asked); i++) {
		const void *address = rows[i / ROWS(asked)].address;
		MEMORY_BASIC_INFORMATION was, is;
		void *out;

		tap_row("32, %s, type 0x%x", rows[i / ROWS(asked)].what,
			asked[i % ROWS(asked)]);
		/* Without randomised addresses the stack may lie above user space. */
		if (address == NULL || (uintptr_t)address >= USER_END - PAGE)
			continue;
		CHECK_HR(vm_query(&fixture.host, address, &was), S_OK);
		CHECK_HR(vm_alloc(&fixture.host, at(address, 0), 1,
				  asked[i % ROWS(asked)], PAGE_READWRITE, &out),
			 HR_INVALID_ADDRESS);
		CHECK_HR(vm_query(&fixture.host, address, &is), S_OK);
		snapshot_check_run(&is, &was, __FILE__, __LINE__);
		CHECK_UNCHANGED(&before);
	}
	CHECK_INT(local, 0x1234);
	CHECK_INT(alone[2 * PAGE - 1], 0x32);
	CHECK(munmap(alone, 2 * PAGE) == 0);
	fixture_end(&fixture);
}

static BOOL HOSTMEM_CALL refuse(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return FALSE;
}

/* By a callback, and by the system, which has no such room. */
static void row_38_the_reservation_is_gone_when_its_commit_is_refused(void)
{
	struct fixture fixture;
	struct snapshot before;
	uint64_t cookie;
	void *out;

	if (!fixture_make(&fixture, 0))
		return;
	snapshot_take(&before, &fixture.host);
	CHECK_HR(vm_alloc(&fixture.host, NULL, 0x7FFFFFFE0000, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_UNCHANGED(&before);
	CHECK_HR(IHostMemoryControl_Subscribe(fixture.host.control, 1, refuse, NULL,
					      &cookie),
		 S_OK);
	CHECK_HR(vm_alloc(&fixture.host, NULL, UNIT, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_HR(vm_alloc(&fixture.host, NULL, UNIT, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_HR(vm_alloc(&fixture.host, fixture.hole + 4 * UNIT, UNIT,
			  MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_UNCHANGED(&before);
	CHECK_U32(vm_state(&fixture.host, fixture.hole + 4 * UNIT), MEM_FREE);
	CHECK_HR(IHostMemoryControl_Unsubscribe(fixture.host.control, cookie), S_OK);
	CHECK_HR(vm_alloc(&fixture.host, fixture.hole + 4 * UNIT, UNIT,
			  MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE, &out),
		 S_OK);
	CHECK_HR(vm_release(&fixture.host, out), S_OK);
	fixture_end(&fixture);
}

int main(void)
{
	TAP_RUN(row_28_a_guard_is_accepted_and_real);
	TAP_RUN(row_29_writable_code_in_a_strict_host);
	TAP_RUN(row_29_writable_code_that_the_system_forbids);
	TAP_RUN(row_32_places_where_others_live);
	TAP_RUN(row_38_the_reservation_is_gone_when_its_commit_is_refused);
	return tap_done();
}
