/*
 * The preload library: brings the program that it is loaded into under a host.
 *
 * It has all of the host in it, and asks for nothing but the C library.  What it is to do
 * stands in the environment (settings.h); without that it does nothing at all.  The host is
 * made by a constructor, before main; what was mapped and allocated earlier stays the
 * system's and the C library's.
 *
 * The account is printed where the process ends by its own doing: exit, _exit, abort.  A
 * program that is killed has no account.
 *
 * A program that asks how much memory the machine has is told no more than its limit, as in a
 * container: runtimes size their heaps by that.
 *
 * Locks: none.
 */
#include "account.h"
#include "attached.h"
#include "settings.h"
#include "hostmem/os/console.h"
#include "hostmem/os/next.h"
#include "hostmem/os/thread.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct hm_settings settings;

static struct {
	void (*abort)(void);
	long (*sysconf)(int name);
} next;

static void say(const char *text)
{
	hm_console_write(text, strlen(text));
}

/* ---- The beginning ---- */

static HRESULT create(IHostMemoryControl **control)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	void *face;
	HRESULT hr;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	if (settings.debug_heap)
		config.dwFlags |= HOSTMEM_DEBUG_HEAP;
	config.budget = &settings.budget;
	how.profile = settings.profile[0] != '\0' ? settings.profile : NULL;
	hr = HostMemCreate(&config, &IID_IHostMemoryControl, &face);
	if (FAILED(hr))
		return hr;
	*control = face;
	return HostMemAttach((IUnknown *)face, &how);
}

static HRESULT listen(IHostMemoryControl *control)
{
	const struct hm_account_about about = {
		.program = settings.program,
		.warning = hm_attached.profile->warning,
		.always = settings.summary != 0,
	};

	return hm_account_begin(control, &about);
}

static void nothing(void)
{
}

static void at_exit(int status, void *state)
{
	(void)state;
	hm_account_end(status != 0);
}

/* Programs that this one starts find nothing of us. */
static void leave_no_trace(void)
{
	(void)unsetenv("LD_PRELOAD");
	(void)unsetenv(HM_SETTINGS_VARIABLE);
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv(HM_SETTINGS_VARIABLE);
	IHostMemoryControl *control;
	HRESULT hr;

	(void)hm_next_function("abort", &next.abort);
	(void)hm_next_function("sysconf", &next.sysconf);
	if (text == NULL)
		return;
	if (hm_settings_read(text, &settings) != 0) {
		say("hostmem: " HM_SETTINGS_VARIABLE
		    " is not what this release of hostmem writes; the program runs "
		    "without a host\n");
		return;
	}
	if (settings.alone)
		leave_no_trace();
	hr = create(&control);
	if (SUCCEEDED(hr))
		hr = listen(control);
	if (SUCCEEDED(hr))
		hr = hm_fork_handlers(nothing, nothing, hm_account_after_fork);
	if (SUCCEEDED(hr))
		hr = on_exit(at_exit, NULL) == 0 ? S_OK : E_OUTOFMEMORY;
	if (FAILED(hr))
		say("hostmem: the host could not be made, the program runs without "
		    "one\n");
}

/* ---- The end ---- */

HOSTMEM_VISIBLE _Noreturn void _exit(int status)
{
	hm_account_end(status != 0);
	for (;;)
		(void)syscall(SYS_exit_group, status);
}

HOSTMEM_VISIBLE _Noreturn void _Exit(int status)
{
	_exit(status);
}

HOSTMEM_VISIBLE _Noreturn void abort(void)
{
	hm_account_end(true);
	if (next.abort != NULL)
		next.abort();
	for (;;)
		(void)syscall(SYS_exit_group, 134);
}

/* ---- What the machine has ---- */

static long pages_allowed(bool left)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IHostMemoryControl *control = hm_account_control();
	size_t bytes;

	if (control == NULL || FAILED(IHostMemoryControl_GetBudget(control, &budget)) ||
	    FAILED(IHostMemoryControl_GetUsage(control, &usage)))
		return LONG_MAX;
	bytes = budget.cbLimit;
	if (left)
		bytes -= usage.cbCharged < bytes ? usage.cbCharged : bytes;
	return (long)(bytes / (size_t)next.sysconf(_SC_PAGESIZE));
}

HOSTMEM_VISIBLE long sysconf(int name)
{
	long value;

	/* Somebody's constructor may come before ours. */
	if (next.sysconf == NULL)
		(void)hm_next_function("sysconf", &next.sysconf);
	value = next.sysconf(name);
	if (name == _SC_PHYS_PAGES || name == _SC_AVPHYS_PAGES) {
		long allowed = pages_allowed(name == _SC_AVPHYS_PAGES);

		return value < allowed ? value : allowed;
	}
	return value;
}
