/*
 * Accesses that may fault: a SIGSEGV handler jumps back to the probe.
 *
 * One handler for the whole program; any thread may probe.  A program may put a
 * function of its own first (access_first), which says whether the access is to be tried
 * again.
 */
#ifndef HOSTMEM_CONFORMANCE_ACCESS_H
#define HOSTMEM_CONFORMANCE_ACCESS_H

#include "abi/hresult.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static __thread sigjmp_buf *volatile access_escape;
static __thread volatile BOOL access_writes;
static bool (*access_first)(void *address, BOOL write);

static inline void access_on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (access_first != NULL && access_first(info->si_addr, access_writes))
		return;
	if (access_escape == NULL)
		abort();
	siglongjmp(*access_escape, 1);
}

static inline void access_install(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = access_on_fault;
	action.sa_flags = SA_SIGINFO;
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* Whether a byte can be read. */
static inline bool can_read(const void *address)
{
	sigjmp_buf escape;
	volatile bool done = false;

	access_writes = FALSE;
	access_escape = &escape;
	if (sigsetjmp(escape, 1) == 0) {
		(void)*(const volatile unsigned char *)address;
		done = true;
	}
	access_escape = NULL;
	return done;
}

/* Whether a byte can be written; it then holds `value`. */
static inline bool can_write(void *address, unsigned char value)
{
	sigjmp_buf escape;
	volatile bool done = false;

	access_writes = TRUE;
	access_escape = &escape;
	if (sigsetjmp(escape, 1) == 0) {
		*(volatile unsigned char *)address = value;
		done = true;
	}
	access_escape = NULL;
	return done;
}

/* A function that returns at once, in machine code. */
#if defined(__x86_64__) || defined(__i386__)
static const unsigned char access_code[] = { 0xC3 };
#elif defined(__aarch64__)
static const unsigned char access_code[] = { 0xC0, 0x03, 0x5F, 0xD6 };
#endif

/* Whether access_code at `address` can be run. */
static inline bool can_execute(void *address)
{
	void (*function)(void);
	sigjmp_buf escape;
	volatile bool done = false;

	memcpy(&function, &address, sizeof(function));
	access_writes = FALSE;
	access_escape = &escape;
	if (sigsetjmp(escape, 1) == 0) {
		function();
		done = true;
	}
	access_escape = NULL;
	return done;
}

#endif
