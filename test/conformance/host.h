/*
 * What the conformance tests share: a host and its faces, calls whose out pointers are
 * poisoned, and the picture of a whole host before a call that must change nothing.
 */
#ifndef HOSTMEM_CONFORMANCE_HOST_H
#define HOSTMEM_CONFORMANCE_HOST_H

#include "abi/hostmem.h"
#include "test/tap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAGE ((size_t)0x1000)
#define UNIT ((size_t)0x10000)
#define USER_END ((uintptr_t)0x7FFFFFFF0000)

#define HR_INVALID_ADDRESS HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)
#define HR_BAD_LENGTH HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_LENGTH)
#define HR_NOT_SUPPORTED HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
#define HR_NO_PRIVILEGE HOSTMEM_HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD)

/* What an out parameter holds before a call, so that one left alone shows. */
#define POISON ((void *)(uintptr_t)0x5A5A5A5A5A5A5A5A)
#define POISON_SIZE ((SIZE_T)0x5A5A5A5A5A5A5A5A)
#define POISON_DWORD ((DWORD)0x5A5A5A5A)
#define POISON_BYTE 0x5A

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

struct host {
	IHostMemoryManager *manager;
	IHostMemoryControl *control;
	IHostMemoryPages *pages;
};

static inline void *at(const void *base, size_t offset)
{
	return (void *)((uintptr_t)base + offset);
}

static inline uintptr_t page_of(const void *address)
{
	return (uintptr_t)address & ~(uintptr_t)(PAGE - 1);
}

static inline bool host_create_with(struct host *host, const HostMemConfig *config)
{
	void *manager = NULL, *control = NULL, *pages = NULL;

	*host = (struct host){ NULL, NULL, NULL };
	if (!CHECK_HR(HostMemCreate(config, &IID_IHostMemoryManager, &manager), S_OK))
		return false;
	host->manager = (IHostMemoryManager *)manager;
	CHECK_HR(IHostMemoryManager_QueryInterface(host->manager, &IID_IHostMemoryControl,
						   &control),
		 S_OK);
	host->control = (IHostMemoryControl *)control;
	CHECK_HR(IHostMemoryManager_QueryInterface(host->manager, &IID_IHostMemoryPages,
						   &pages),
		 S_OK);
	host->pages = (IHostMemoryPages *)pages;
	return host->control != NULL && host->pages != NULL;
}

/* A host with HOSTMEM_... flags, its monitor off. */
static inline bool host_create(struct host *host, uint32_t flags)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF | flags;
	return host_create_with(host, &config);
}

/* Gives back the references that host_create took; they were the last ones. */
static inline void host_destroy(struct host *host)
{
	IHostMemoryPages_Release(host->pages);
	IHostMemoryControl_Release(host->control);
	CHECK_U32(IHostMemoryManager_Release(host->manager), 0);
	*host = (struct host){ NULL, NULL, NULL };
}

/* VirtualAlloc; the out pointer is NULL if and only if the call failed. */
static inline HRESULT vm_alloc_at_level(const struct host *host, void *address,
					size_t size, DWORD type, DWORD protect,
					EMemoryCriticalLevel level, void **out)
{
	HRESULT hr;

	*out = POISON;
	hr = IHostMemoryManager_VirtualAlloc(host->manager, address, size, type, protect,
					     level, out);
	CHECK(*out != POISON);
	CHECK((*out == NULL) == FAILED(hr));
	return hr;
}

static inline HRESULT vm_alloc(const struct host *host, void *address, size_t size,
			       DWORD type, DWORD protect, void **out)
{
	return vm_alloc_at_level(host, address, size, type, protect, eTaskCritical, out);
}

/* Memory that the test needs in order to begin; NULL has been reported as a failure. */
static inline void *vm_new(const struct host *host, size_t size, DWORD type,
			   DWORD protect)
{
	void *base;

	CHECK_HR(vm_alloc(host, NULL, size, type, protect, &base), S_OK);
	return base;
}

static inline HRESULT vm_commit(const struct host *host, void *address, size_t size,
				DWORD protect)
{
	void *base;

	return vm_alloc(host, address, size, MEM_COMMIT, protect, &base);
}

static inline HRESULT vm_free(const struct host *host, void *address, size_t size,
			      DWORD type)
{
	return IHostMemoryManager_VirtualFree(host->manager, address, size, type);
}

static inline HRESULT vm_release(const struct host *host, void *address)
{
	return vm_free(host, address, 0, MEM_RELEASE);
}

/* VirtualProtect; the old protection is 0 if and only if the call failed. */
static inline HRESULT vm_protect(const struct host *host, void *address, size_t size,
				 DWORD protect, DWORD *old)
{
	HRESULT hr;

	*old = POISON_DWORD;
	hr = IHostMemoryManager_VirtualProtect(host->manager, address, size, protect,
					       old);
	CHECK(*old != POISON_DWORD);
	CHECK((*old == 0) == FAILED(hr));
	return hr;
}

/* VirtualQuery; a failing one leaves *info cleared. */
static inline HRESULT vm_query(const struct host *host, const void *address,
			       MEMORY_BASIC_INFORMATION *info)
{
	SIZE_T length = POISON_SIZE;
	HRESULT hr;

	memset(info, 0, sizeof(*info));
	hr = IHostMemoryManager_VirtualQuery(host->manager, at(address, 0), info,
					     sizeof(*info), &length);
	CHECK_SIZE(length, SUCCEEDED(hr) ? sizeof(*info) : 0);
	return hr;
}

static inline DWORD vm_state(const struct host *host, const void *address)
{
	MEMORY_BASIC_INFORMATION info;

	CHECK_HR(vm_query(host, address, &info), S_OK);
	return info.State;
}

static inline DWORD vm_protection(const struct host *host, const void *address)
{
	MEMORY_BASIC_INFORMATION info;

	CHECK_HR(vm_query(host, address, &info), S_OK);
	return info.Protect;
}

/* Checks a run from `address` on. */
#define CHECK_RUN(host, address, size, state, protect) \
	vm_check_run((host), (address), (size), (state), (protect), __FILE__, __LINE__)

static inline void vm_check_run(const struct host *host, const void *address, size_t size,
				DWORD state, DWORD protect, const char *file, int line)
{
	MEMORY_BASIC_INFORMATION info;

	CHECK_HR(vm_query(host, address, &info), S_OK);
	tap_check_pointer(info.BaseAddress, at(NULL, page_of(address)), "BaseAddress",
			  file, line);
	tap_check_unsigned(info.RegionSize, size, "RegionSize", file, line);
	tap_check_u32(info.State, state, "State", file, line);
	tap_check_u32(info.Protect, protect, "Protect", file, line);
}

static inline HostMemUsage host_usage(const struct host *host)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;

	CHECK_HR(IHostMemoryControl_GetUsage(host->control, &usage), S_OK);
	return usage;
}

/* An address with `size` bytes of free space behind it, a multiple of 64 KiB. */
static inline void *host_hole(const struct host *host, size_t size)
{
	void *base = vm_new(host, size, MEM_RESERVE, PAGE_NOACCESS);

	if (base != NULL)
		CHECK_HR(vm_release(host, base), S_OK);
	return base;
}

/* ---- The "nothing changed" check ---- */

enum {
	SNAPSHOT_RUNS = 200,
	SNAPSHOT_BYTES = 1 << 20, /* of each run, that the sum of its contents covers */
};

/* Usage, every run of every region, and the contents of what may be read. */
struct snapshot {
	const struct host *host;
	HostMemUsage usage;
	size_t count;
	MEMORY_BASIC_INFORMATION runs[SNAPSHOT_RUNS];
	uint64_t sums[SNAPSHOT_RUNS];
};

static inline uint64_t snapshot_sum(const MEMORY_BASIC_INFORMATION *run)
{
	size_t words =
		(run->RegionSize < SNAPSHOT_BYTES ? run->RegionSize : SNAPSHOT_BYTES) / 8;
	const volatile uint64_t *word = (const volatile uint64_t *)run->BaseAddress;
	uint64_t sum = 0xCBF29CE484222325;

	if (run->State != MEM_COMMIT ||
	    (run->Protect & (PAGE_NOACCESS | PAGE_GUARD)) != 0)
		return 0;
	for (size_t i = 0; i < words; i++)
		sum = (sum ^ word[i]) * 0x100000001B3;
	return sum;
}

static inline BOOL HOSTMEM_CALL snapshot_run(void *state,
					     const MEMORY_BASIC_INFORMATION *run)
{
	struct snapshot *snapshot = (struct snapshot *)state;

	if (!CHECK(snapshot->count < SNAPSHOT_RUNS))
		return FALSE;
	snapshot->runs[snapshot->count] = *run;
	snapshot->sums[snapshot->count] = snapshot_sum(run);
	snapshot->count++;
	return TRUE;
}

static inline void snapshot_take(struct snapshot *snapshot, const struct host *host)
{
	snapshot->host = host;
	snapshot->count = 0;
	snapshot->usage = host_usage(host);
	CHECK_HR(IHostMemoryControl_WalkRegions(host->control, snapshot_run, snapshot),
		 S_OK);
}

#define CHECK_UNCHANGED(before) snapshot_check((before), __FILE__, __LINE__)

static inline void snapshot_check_usage(const HostMemUsage *now,
					const HostMemUsage *before, const char *file,
					int line)
{
	tap_check_unsigned(now->cbReserved, before->cbReserved, "cbReserved", file, line);
	tap_check_unsigned(now->cbCommitted, before->cbCommitted, "cbCommitted", file,
			   line);
	tap_check_unsigned(now->cbHeap, before->cbHeap, "cbHeap", file, line);
	tap_check_unsigned(now->cbExternal, before->cbExternal, "cbExternal", file, line);
	tap_check_unsigned(now->cbCharged, before->cbCharged, "cbCharged", file, line);
	tap_check_unsigned(now->cbPeakCharged, before->cbPeakCharged, "cbPeakCharged",
			   file, line);
	tap_check_unsigned(now->cbRetained, before->cbRetained, "cbRetained", file, line);
	tap_check_unsigned(now->cRegions, before->cRegions, "cRegions", file, line);
	tap_check_unsigned(now->cBlocks, before->cBlocks, "cBlocks", file, line);
	tap_check_unsigned(now->cNotifications, before->cNotifications, "cNotifications",
			   file, line);
	tap_check_unsigned(now->cbHeapPages, before->cbHeapPages, "cbHeapPages", file,
			   line);
	tap_check_unsigned(now->cbLeaked, before->cbLeaked, "cbLeaked", file, line);
	tap_check_unsigned(now->cLeakedBlocks, before->cLeakedBlocks, "cLeakedBlocks",
			   file, line);
}

static inline void snapshot_check_run(const MEMORY_BASIC_INFORMATION *now,
				      const MEMORY_BASIC_INFORMATION *before,
				      const char *file, int line)
{
	tap_check_pointer(now->BaseAddress, before->BaseAddress, "BaseAddress", file,
			  line);
	tap_check_pointer(now->AllocationBase, before->AllocationBase, "AllocationBase",
			  file, line);
	tap_check_u32(now->AllocationProtect, before->AllocationProtect,
		      "AllocationProtect", file, line);
	tap_check_unsigned(now->RegionSize, before->RegionSize, "RegionSize", file, line);
	tap_check_u32(now->State, before->State, "State", file, line);
	tap_check_u32(now->Protect, before->Protect, "Protect", file, line);
	tap_check_u32(now->Type, before->Type, "Type", file, line);
}

static inline void snapshot_check(const struct snapshot *before, const char *file,
				  int line)
{
	struct snapshot now;

	snapshot_take(&now, before->host);
	snapshot_check_usage(&now.usage, &before->usage, file, line);
	if (!tap_check_unsigned(now.count, before->count, "runs of the walk", file, line))
		return;
	for (size_t i = 0; i < now.count; i++) {
		snapshot_check_run(&now.runs[i], &before->runs[i], file, line);
		tap_check_unsigned(now.sums[i], before->sums[i], "contents", file, line);
	}
}

#endif
