#include <hostmem/hostmem.h>
#include <stdio.h>

static BOOL HOSTMEM_CALL heard(void *state, const HostMemEvent *event)
{
	const char *what = event->type == HostMemEventFree ? "freed" : "wants";

	printf("%s: %s %zu KiB\n", (const char *)state, what, event->size / 1024);
	return TRUE; /* FALSE would refuse the allocation */
}

int main(void)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	MEMORY_BASIC_INFORMATION run;
	IHostMemoryControl *host;   /* for the program */
	IHostMemoryManager *memory; /* for the runtime */
	void *base, *page;
	uint64_t cookie;
	SIZE_T length;

	if (FAILED(HostMemCreate(NULL, &IID_IHostMemoryControl, (void **)&host)))
		return 1;
	IHostMemoryControl_QueryInterface(host, &IID_IHostMemoryManager,
					  (void **)&memory);
	IHostMemoryControl_Subscribe(host, 7, heard, "the runtime", &cookie);

	IHostMemoryManager_VirtualAlloc(memory, NULL, 1 << 20, MEM_RESERVE, PAGE_NOACCESS,
					eTaskCritical, &base);
	if (FAILED(IHostMemoryManager_VirtualAlloc(memory, base, 64 << 10, MEM_COMMIT,
						   PAGE_READWRITE, eTaskCritical, &page)))
		return 1;
	snprintf(page, 64 << 10, "hello from %s", "page 0");
	IHostMemoryManager_VirtualQuery(memory, page, &run, sizeof(run), &length);
	IHostMemoryControl_GetUsage(host, &usage);
	printf("\"%s\" in %zu KiB committed, protection %#x; reserved %zu KiB\n",
	       (char *)page, run.RegionSize / 1024, run.Protect, usage.cbReserved / 1024);
	IHostMemoryManager_VirtualFree(memory, base, 0, MEM_RELEASE);
	IHostMemoryManager_Release(memory);
	return (int)IHostMemoryControl_Release(host);
}
