/*
 * Methods whose work comes with a later release: they are there, check their out
 * pointers and arguments as they will then, and answer E_NOTIMPL.  A row goes when its
 * method comes.
 */
#include "com_rules.h"

static struct host host;

/* Without simulated figures there are none. */
static void memory_load(void)
{
	SIZE_T available = POISON_SIZE;
	DWORD load = POISON_DWORD;

	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &load, &available),
		 E_NOTIMPL);
	CHECK_U32(load, 0);
	CHECK_SIZE(available, 0);
	load = POISON_DWORD;
	available = POISON_SIZE;
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &load, NULL), E_POINTER);
	CHECK_U32(load, 0);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, NULL, &available),
		 E_POINTER);
	CHECK_SIZE(available, 0);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, NULL, NULL), E_POINTER);
}

static void nothing_of_this_changes_the_host(void)
{
	struct snapshot before;
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);

	snapshot_take(&before, &host);
	memory_load();
	CHECK_UNCHANGED(&before);
	CHECK_U32(com_count((IUnknown *)host.manager), 3);
	CHECK_HR(vm_release(&host, base), S_OK);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(memory_load);
	TAP_RUN(nothing_of_this_changes_the_host);
	host_destroy(&host);
	return tap_done();
}
