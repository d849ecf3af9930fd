#include <hostmem/hostmem.h>
#include <stdio.h>

static BOOL HOSTMEM_CALL heard(void *state, const HostMemEvent *event)
{
	printf("%s: event %d, %zu KiB\n", (char *)state, event->type, event->size / 1024);
	return TRUE; /* FALSE would refuse an allocation */
}

int main(void)
{
	IHostMemoryControl *host; /* the program's side */
	IHostMemoryManager *vm;   /* the runtime's side */
	uint64_t cookie;
	void *page;

	if (FAILED(HostMemCreate(NULL, &IID_IHostMemoryControl, (void **)&host)))
		return 1;
	IHostMemoryControl_QueryInterface(host, &IID_IHostMemoryManager, (void **)&vm);
	IHostMemoryControl_Subscribe(host, 7, heard, "the runtime", &cookie);
	if (FAILED(IHostMemoryManager_VirtualAlloc(vm, NULL, 64 << 10, MEM_COMMIT,
						   PAGE_READWRITE, eTaskCritical, &page)))
		return 1;
	IHostMemoryManager_VirtualFree(vm, page, 0, MEM_RELEASE);
	IHostMemoryManager_Release(vm);
	return (int)IHostMemoryControl_Release(host);
}
