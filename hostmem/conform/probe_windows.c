/*
 * Probes on Windows, and on Wine: faults as exceptions, threads as threads.
 *
 * An access is probed under a vectored handler, which takes the thread back to where the probe
 * began.  gcc has no __try; and setjmp would unwind frames, which it cannot do from here: so
 * the registers are kept by __builtin_setjmp.
 *
 * There is no time limit here: whoever starts the process has one.
 */
#include "probe.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

static hm_ends tell_end;
static hm_repairs repair;
static __thread void *volatile *volatile escape;
static __thread volatile BOOL writing;

/* ---- Faults ---- */

static void resume(void)
{
	__builtin_longjmp((void **)(uintptr_t)escape, 1);
}

static LONG CALLBACK on_exception(EXCEPTION_POINTERS *exception)
{
	DWORD code = exception->ExceptionRecord->ExceptionCode;

	if (code != EXCEPTION_ACCESS_VIOLATION && code != STATUS_GUARD_PAGE_VIOLATION &&
	    code != EXCEPTION_IN_PAGE_ERROR && code != EXCEPTION_ILLEGAL_INSTRUCTION &&
	    code != EXCEPTION_STACK_OVERFLOW)
		return EXCEPTION_CONTINUE_SEARCH;
	if (escape == NULL) {
		if (tell_end != NULL)
			tell_end(HM_END_CRASH, "an exception");
		return EXCEPTION_CONTINUE_SEARCH;
	}
	if (repair != NULL &&
	    repair((void *)exception->ExceptionRecord->ExceptionInformation[1], writing))
		return EXCEPTION_CONTINUE_EXECUTION;
	/* The system restores the thread, and it goes on in resume(). */
	exception->ContextRecord->Rip = (DWORD64)(uintptr_t)resume;
	exception->ContextRecord->Rsp = (exception->ContextRecord->Rsp & ~(DWORD64)15) -
					40;
	return EXCEPTION_CONTINUE_EXECUTION;
}

void hm_probe_begin(unsigned ms, hm_ends ends)
{
	(void)ms;
	tell_end = ends;
	(void)AddVectoredExceptionHandler(1, on_exception);
}

void hm_probe_repairs(hm_repairs repairs)
{
	repair = repairs;
}

static bool touch(volatile void *address, BOOL write, unsigned char value)
{
	void *here[5];
	volatile bool done = false;

	writing = write;
	escape = here;
	if (__builtin_setjmp(here) == 0) {
		if (write)
			*(volatile unsigned char *)address = value;
		else
			(void)*(volatile unsigned char *)address;
		done = true;
	}
	escape = NULL;
	return done;
}

bool hm_can_read(const volatile void *address)
{
	return touch((volatile void *)(uintptr_t)address, FALSE, 0);
}

bool hm_can_write(volatile void *address, unsigned char value)
{
	return touch(address, TRUE, value);
}

/* A function that returns at once. */
static const unsigned char code[] = { 0xC3 };
const size_t hm_code_size = sizeof(code);

void hm_put_code(void *address)
{
	memcpy(address, code, sizeof(code));
}

bool hm_can_call(void *address)
{
	void (*function)(void);
	void *here[5];
	volatile bool done = false;

	memcpy(&function, &address, sizeof(function));
	writing = FALSE;
	escape = here;
	if (__builtin_setjmp(here) == 0) {
		function();
		done = true;
	}
	escape = NULL;
	return done;
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

static DWORD WINAPI helper_main(void *argument)
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

struct hm_footprint hm_footprint(void)
{
	return (struct hm_footprint){ 0, 0, 0 };
}

bool hm_on_wine(void)
{
	HMODULE library = GetModuleHandleA("ntdll.dll");

	return library != NULL && GetProcAddress(library, "wine_get_version") != NULL;
}
