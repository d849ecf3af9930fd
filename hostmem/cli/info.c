/*
 * `hostmem info`: what this machine offers to a host.
 *
 * It is not worked out here.  The command makes a host, as any program does, and asks it:
 * what is printed is what the library will go by in this place, with these rights, limits
 * and groups, and nothing that a second reader of /proc believes.
 *
 * A monitor watches for somebody, so a callback is registered, which does nothing.  The
 * monitor may start on a thread of its own: until each source is active or has a reason why
 * not, it is asked again, for a second at most.
 *
 * Everything is asked before anything is printed, and the host is gone by then.
 */
#include "info.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PATIENCE = 100,     /* looks at the sources ... */
	BETWEEN = 10000000, /* ... and ns from one to the next */
};

/* ---- A callback to which nothing matters ---- */

static HRESULT HOSTMEM_CALL idle_QueryInterface(ICLRMemoryNotificationCallback *self,
						REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualGUID(riid, &IID_IUnknown) &&
	    !IsEqualGUID(riid, &IID_ICLRMemoryNotificationCallback))
		return E_NOINTERFACE;
	*ppv = self;
	return S_OK;
}

/* It lives as long as the program. */
static ULONG HOSTMEM_CALL idle_AddRef(ICLRMemoryNotificationCallback *self)
{
	(void)self;
	return 2;
}

static ULONG HOSTMEM_CALL idle_Release(ICLRMemoryNotificationCallback *self)
{
	(void)self;
	return 1;
}

static HRESULT HOSTMEM_CALL idle_OnMemoryNotification(
	ICLRMemoryNotificationCallback *self, EMemoryAvailable available)
{
	(void)self;
	(void)available;
	return S_OK;
}

static const ICLRMemoryNotificationCallbackVtbl idle_vtbl = {
	.QueryInterface = idle_QueryInterface,
	.AddRef = idle_AddRef,
	.Release = idle_Release,
	.OnMemoryNotification = idle_OnMemoryNotification,
};

static ICLRMemoryNotificationCallback idle = { &idle_vtbl };

/* ---- Asking ---- */

struct bounds {
	struct hm_info *info;
	size_t room;
	bool lost; /* there was no memory for one */
};

static bool take_bound(struct bounds *self, const HostMemBound *bound)
{
	struct hm_info *info = self->info;
	struct hm_info_bound *taken;

	if (info->bound_count == self->room) {
		size_t room = self->room == 0 ? 16 : 2 * self->room;

		taken = realloc(info->bounds, room * sizeof(*taken));
		if (taken == NULL)
			return false;
		info->bounds = taken;
		self->room = room;
	}
	taken = &info->bounds[info->bound_count];
	*taken = (struct hm_info_bound){ bound->kind, bound->version, bound->cbLimit,
					 bound->cbUsed, NULL };
	if (bound->path != NULL) {
		taken->path = strdup(bound->path);
		if (taken->path == NULL)
			return false;
	}
	info->bound_count++;
	return true;
}

static BOOL HOSTMEM_CALL heard_of_bound(void *state, const HostMemBound *bound)
{
	struct bounds *self = state;

	self->lost = !take_bound(self, bound);
	return !self->lost;
}

static HRESULT ask_for_bounds(IHostMemoryMonitor *monitor, struct hm_info *info)
{
	struct bounds bounds = { info, 0, false };
	HRESULT hr = IHostMemoryMonitor_WalkBounds(monitor, heard_of_bound, &bounds);

	return SUCCEEDED(hr) && bounds.lost ? E_OUTOFMEMORY : hr;
}

/* *starting: one of them is neither active nor has it a reason yet. */
static HRESULT look_at_sources(IHostMemoryMonitor *monitor, HostMemSourceState *sources,
			       bool *starting)
{
	*starting = false;
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		HRESULT hr;

		sources[i] = (HostMemSourceState)HOSTMEM_SOURCE_STATE_INIT;
		hr = IHostMemoryMonitor_GetSource(monitor, (HostMemSource)i, &sources[i]);
		if (FAILED(hr))
			return hr;
		if (sources[i].result == S_FALSE)
			*starting = true;
	}
	return S_OK;
}

static HRESULT ask_for_sources(IHostMemoryMonitor *monitor, HostMemSourceState *sources)
{
	const struct timespec between = { 0, BETWEEN };
	bool starting = true;
	HRESULT hr = S_OK;

	for (unsigned look = 0; SUCCEEDED(hr) && starting && look < PATIENCE; look++) {
		if (look != 0)
			(void)nanosleep(&between, NULL);
		hr = look_at_sources(monitor, sources, &starting);
	}
	return hr;
}

static HRESULT ask_for_load(IHostMemoryManager *memory, struct hm_info *info)
{
	DWORD load = 0;
	SIZE_T available = 0;
	HRESULT hr = IHostMemoryManager_GetMemoryLoad(memory, &load, &available);

	info->load = load;
	info->available = available;
	return hr;
}

/* All that a host tells while it is watching. */
static HRESULT ask(IHostMemoryManager *memory, IHostMemoryMonitor *monitor,
		   struct hm_info *info)
{
	HRESULT hr = IHostMemoryManager_RegisterMemoryNotificationCallback(memory, &idle);

	if (FAILED(hr))
		return hr;
	hr = ask_for_sources(monitor, info->sources);
	if (SUCCEEDED(hr))
		hr = ask_for_bounds(monitor, info);
	if (SUCCEEDED(hr))
		hr = ask_for_load(memory, info);
	if (SUCCEEDED(hr))
		hr = IHostMemoryMonitor_GetSystem(monitor, &info->system);
	if (SUCCEEDED(hr))
		hr = IHostMemoryMonitor_GetThresholds(monitor, &info->thresholds);
	(void)IHostMemoryManager_RegisterMemoryNotificationCallback(memory, NULL);
	return hr;
}

/* 0, or the exit status after the line that says why. */
static int collect(struct hm_info *info)
{
	void *memory, *monitor;
	HRESULT hr = HostMemCreate(NULL, &IID_IHostMemoryManager, &memory);

	if (FAILED(hr))
		return hm_command_failed("info", "no host can be made",
					 HostMemResultName(hr));
	hr = IHostMemoryManager_QueryInterface((IHostMemoryManager *)memory,
					       &IID_IHostMemoryMonitor, &monitor);
	if (FAILED(hr)) {
		(void)IHostMemoryManager_Release((IHostMemoryManager *)memory);
		return hm_command_failed("info", "the host has no IHostMemoryMonitor",
					 HostMemResultName(hr));
	}
	hr = ask(memory, monitor, info);
	(void)IHostMemoryMonitor_Release((IHostMemoryMonitor *)monitor);
	(void)IHostMemoryManager_Release((IHostMemoryManager *)memory);
	if (FAILED(hr))
		return hm_command_failed("info", "the host does not answer",
					 HostMemResultName(hr));
	return EXIT_SUCCESS;
}

/* ---- The command ---- */

static int help(void)
{
	(void)puts(
		"usage: hostmem info [--json]\n"
		"\n"
		"Prints what this machine offers to a host: how full memory is and what\n"
		"bounds it, the system's pages, what wakes a host's monitor and why the\n"
		"rest does not, and when memory is said to be low.\n"
		"\n"
		"  --json     print JSON; sizes are bytes, times ms\n"
		"  --help     print this");
	return EXIT_SUCCESS;
}

static int report(void (*print)(const struct hm_info *info, FILE *out))
{
	struct hm_info info = { .version = HostMemVersion(),
				.pages = getenv("HOSTMEM_PAGES"),
				.system = HOSTMEM_SYSTEM_INIT,
				.thresholds = HOSTMEM_THRESHOLDS_INIT };
	int status = collect(&info);

	if (status == EXIT_SUCCESS)
		print(&info, stdout);
	for (size_t i = 0; i < info.bound_count; i++)
		free(info.bounds[i].path);
	free(info.bounds);
	return status;
}

static int run(int argc, char **argv)
{
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return help();
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (argv[i][0] == '-')
			return hm_command_misused("info", "unknown option", argv[i]);
		else
			return hm_command_misused("info", "unexpected argument", argv[i]);
	}
	return report(json ? hm_info_print_json : hm_info_print_text);
}

const struct hm_command hm_info_command = {
	"info",
	"what this machine offers to a host",
	run,
	HM_COMMAND_FAILED,
};
