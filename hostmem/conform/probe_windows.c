/*
 * Probes on Windows, and on Wine: faults as exceptions, threads as threads.
 *
 * An access is probed under a vectored handler, which takes the thread back to where the probe
 * began.  gcc has no __try; and setjmp would unwind frames, which it cannot do from here: so
 * the registers are kept by __builtin_setjmp.  The handler looks at what a probe meets and at
 * nothing else: the system has exceptions of its own, which it handles itself.  What nobody
 * handles is a crash.
 *
 * What belongs to a thread is in a slot of the system's: gcc's own would be allocated by the
 * first access, and that may be the handler's.
 */
#include "probe.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <tlhelp32.h>

/* A probe that is under way, on its thread. */
struct probe {
	void *registers[5];
	BOOL write;
};

static DWORD slot = TLS_OUT_OF_INDEXES;
static hm_ends tell_end;
static hm_repairs repair;

/* ---- Faults ---- */

static void resume(void)
{
	__builtin_longjmp(((struct probe *)TlsGetValue(slot))->registers, 1);
}

static LONG CALLBACK on_exception(EXCEPTION_POINTERS *exception)
{
	const EXCEPTION_RECORD *record = exception->ExceptionRecord;
	CONTEXT *thread = exception->ContextRecord;
	struct probe *probe = (struct probe *)TlsGetValue(slot);
	bool access = record->ExceptionCode == EXCEPTION_ACCESS_VIOLATION ||
		      record->ExceptionCode == STATUS_GUARD_PAGE_VIOLATION ||
		      record->ExceptionCode == EXCEPTION_IN_PAGE_ERROR;

	if (probe == NULL ||
	    (!access && record->ExceptionCode != EXCEPTION_ILLEGAL_INSTRUCTION))
		return EXCEPTION_CONTINUE_SEARCH;
	if (access && repair != NULL &&
	    repair((void *)record->ExceptionInformation[1], probe->write))
		return EXCEPTION_CONTINUE_EXECUTION;
	/* The system restores the thread, which goes on in resume() as if that had been
	 * called from the probe. */
	thread->Rip = (DWORD64)(uintptr_t)resume;
	thread->Rsp = (thread->Rsp & ~(DWORD64)15) - 40;
	return EXCEPTION_CONTINUE_EXECUTION;
}

static const char *name_of(DWORD code)
{
	switch (code) {
	case EXCEPTION_ACCESS_VIOLATION:
		return "EXCEPTION_ACCESS_VIOLATION";
	case STATUS_GUARD_PAGE_VIOLATION:
		return "STATUS_GUARD_PAGE_VIOLATION";
	case EXCEPTION_STACK_OVERFLOW:
		return "EXCEPTION_STACK_OVERFLOW";
	case EXCEPTION_ILLEGAL_INSTRUCTION:
		return "EXCEPTION_ILLEGAL_INSTRUCTION";
	default:
		return "an exception";
	}
}

/* No program that asks the user what to do about it is started. */
static LONG CALLBACK on_crash(EXCEPTION_POINTERS *exception)
{
	DWORD code = exception->ExceptionRecord->ExceptionCode;

	if (tell_end != NULL)
		tell_end(HM_END_CRASH, name_of(code));
	(void)TerminateProcess(GetCurrentProcess(), code);
	return EXCEPTION_EXECUTE_HANDLER;
}

static DWORD CALLBACK watch(void *limit)
{
	Sleep((DWORD)(uintptr_t)limit);
	if (tell_end != NULL)
		tell_end(HM_END_TIME_LIMIT, "the clock");
	(void)TerminateProcess(GetCurrentProcess(), WAIT_TIMEOUT);
	return 0;
}

void hm_probe_begin(unsigned ms, hm_ends ends)
{
	HANDLE watcher;

	tell_end = ends;
	slot = TlsAlloc();
	(void)AddVectoredExceptionHandler(1, on_exception);
	if (ms == 0)
		return;
	(void)SetUnhandledExceptionFilter(on_crash);
	watcher = CreateThread(NULL, 0, watch, (void *)(uintptr_t)ms, 0, NULL);
	if (watcher != NULL)
		(void)CloseHandle(watcher);
}

void hm_probe_repairs(hm_repairs repairs)
{
	repair = repairs;
}

/* A function that returns at once. */
static const unsigned char code[] = { 0xC3 };
const size_t hm_code_size = sizeof(code);

static void read_byte(void *address, unsigned char value)
{
	(void)value;
	(void)*(volatile unsigned char *)address;
}

static void write_byte(void *address, unsigned char value)
{
	*(volatile unsigned char *)address = value;
}

static void call_code(void *address, unsigned char value)
{
	void (*function)(void);

	(void)value;
	memcpy(&function, &address, sizeof(function));
	function();
}

/* Whether `access` comes to its end. */
static bool attempt(void (*access)(void *address, unsigned char value), void *address,
		    unsigned char value, BOOL write)
{
	struct probe probe = { .write = write };
	volatile bool done = false;

	(void)TlsSetValue(slot, &probe);
	if (__builtin_setjmp(probe.registers) == 0) {
		access(address, value);
		done = true;
	}
	(void)TlsSetValue(slot, NULL);
	return done;
}

bool hm_can_read(const volatile void *address)
{
	return attempt(read_byte, (void *)(uintptr_t)address, 0, FALSE);
}

bool hm_can_write(volatile void *address, unsigned char value)
{
	return attempt(write_byte, (void *)(uintptr_t)address, value, TRUE);
}

void hm_put_code(void *address)
{
	memcpy(address, code, sizeof(code));
	(void)FlushInstructionCache(GetCurrentProcess(), address, sizeof(code));
}

bool hm_can_call(void *address)
{
	return attempt(call_code, address, 0, FALSE);
}

void *hm_foreign_pages(size_t size)
{
	return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void hm_foreign_done(void *pages, size_t size)
{
	(void)size;
	(void)VirtualFree(pages, 0, MEM_RELEASE);
}

/* ---- Threads and time ---- */

struct hm_helper {
	HANDLE thread;
	void (*run)(void *state);
	void *state;
};

static DWORD CALLBACK helper_main(void *argument)
{
	struct hm_helper *helper = (struct hm_helper *)argument;

	helper->run(helper->state);
	return 0;
}

struct hm_helper *hm_helper_start(void (*run)(void *state), void *state)
{
	struct hm_helper *helper = (struct hm_helper *)calloc(1, sizeof(*helper));

	if (helper == NULL)
		return NULL;
	helper->run = run;
	helper->state = state;
	helper->thread = CreateThread(NULL, 0, helper_main, helper, 0, NULL);
	if (helper->thread == NULL) {
		free(helper);
		return NULL;
	}
	return helper;
}

bool hm_helper_ends(struct hm_helper *helper, unsigned ms)
{
	if (WaitForSingleObject(helper->thread, ms) != WAIT_OBJECT_0)
		return false;
	(void)CloseHandle(helper->thread);
	free(helper);
	return true;
}

void hm_pause(unsigned ms)
{
	Sleep(ms);
}

unsigned long long hm_now_ms(void)
{
	return GetTickCount64();
}

/* ---- Figures ---- */

/* All that is reserved; the end of a walk is a failure. */
static size_t address_space(void)
{
	MEMORY_BASIC_INFORMATION run;
	const unsigned char *at = NULL;
	size_t bytes = 0;

	while (VirtualQuery(at, &run, sizeof(run)) != 0) {
		if (run.State != MEM_FREE)
			bytes += run.RegionSize;
		at = (const unsigned char *)run.BaseAddress + run.RegionSize;
	}
	return bytes;
}

static size_t count_threads(void)
{
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	THREADENTRY32 thread = { .dwSize = sizeof(thread) };
	size_t count = 0;

	if (all == INVALID_HANDLE_VALUE)
		return 0;
	for (BOOL more = Thread32First(all, &thread); more;
	     more = Thread32Next(all, &thread))
		count += thread.th32OwnerProcessID == GetCurrentProcessId();
	(void)CloseHandle(all);
	return count;
}

struct hm_footprint hm_footprint(void)
{
	struct hm_footprint now;
	DWORD handles = 0;

	now.threads = count_threads();
	(void)GetProcessHandleCount(GetCurrentProcess(), &handles);
	now.files = handles;
	now.address_space = address_space();
	return now;
}

bool hm_on_wine(void)
{
	HMODULE library = GetModuleHandleA("ntdll.dll");

	return library != NULL && GetProcAddress(library, "wine_get_version") != NULL;
}
