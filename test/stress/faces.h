/*
 * One host with the faces that the stress and fault tests call, and short words for
 * the calls.
 */
#ifndef HOSTMEM_TEST_STRESS_FACES_H
#define HOSTMEM_TEST_STRESS_FACES_H

#include "abi/hostmem.h"
#include "test/tap.h"

#include <sys/mman.h>

#if defined(__SANITIZE_THREAD__)
#define FACES_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FACES_THREAD_SANITIZER 1
#endif
#endif
#ifndef FACES_THREAD_SANITIZER
#define FACES_THREAD_SANITIZER 0
#endif

#if defined(__SANITIZE_ADDRESS__) || FACES_THREAD_SANITIZER
#define FACES_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FACES_SANITIZED 1
#endif
#endif
#ifndef FACES_SANITIZED
#define FACES_SANITIZED 0
#endif

/* A number of rounds: many, or few where a sanitizer makes each one dear. */
#define FACES_ROUNDS(plain, sanitized) (FACES_SANITIZED ? (sanitized) : (plain))

#define PAGE ((size_t)4096)
#define UNIT ((size_t)65536)
#define USER_END ((uintptr_t)0x7FFFFFFF0000)
#define INVALID_ADDRESS HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)
#define NOT_SUPPORTED HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)

struct faces {
	IHostMemoryManager *manager;
	IHostMemoryControl *control;
	IHostMemoryPages *pages;
};

static inline HRESULT faces_create_with(struct faces *faces, const HostMemConfig *config)
{
	void *face = NULL;
	HRESULT hr = HostMemCreate(config, &IID_IHostMemoryManager, &face);

	memset(faces, 0, sizeof(*faces));
	if (FAILED(hr))
		return hr;
	faces->manager = face;
	(void)IHostMemoryManager_QueryInterface(faces->manager, &IID_IHostMemoryControl,
						&face);
	faces->control = face;
	(void)IHostMemoryManager_QueryInterface(faces->manager, &IID_IHostMemoryPages,
						&face);
	faces->pages = face;
	return faces->control != NULL && faces->pages != NULL ? S_OK : E_NOINTERFACE;
}

static inline HRESULT faces_create(struct faces *faces)
{
	return faces_create_with(faces, NULL);
}

/* What the last Release returned: 0 if the host is gone. */
static inline ULONG faces_release(struct faces *faces)
{
	(void)IHostMemoryPages_Release(faces->pages);
	(void)IHostMemoryControl_Release(faces->control);
	return IHostMemoryManager_Release(faces->manager);
}

static inline HRESULT faces_alloc(const struct faces *faces, void *address, size_t size,
				  DWORD type, DWORD protect, void **out)
{
	return IHostMemoryManager_VirtualAlloc(faces->manager, address, size, type,
					       protect, eProcessCritical, out);
}

/* Reserves anywhere; NULL and a failed check if that does not work. */
static inline char *faces_reserve(const struct faces *faces, size_t size)
{
	void *out = NULL;

	CHECK_HR(faces_alloc(faces, NULL, size, MEM_RESERVE, PAGE_NOACCESS, &out), S_OK);
	return out;
}

static inline HRESULT faces_commit(const struct faces *faces, void *address, size_t size)
{
	void *out;

	return faces_alloc(faces, address, size, MEM_COMMIT, PAGE_READWRITE, &out);
}

static inline HRESULT faces_decommit(const struct faces *faces, void *address,
				     size_t size)
{
	return IHostMemoryManager_VirtualFree(faces->manager, address, size,
					      MEM_DECOMMIT);
}

static inline HRESULT faces_free(const struct faces *faces, void *address)
{
	return IHostMemoryManager_VirtualFree(faces->manager, address, 0, MEM_RELEASE);
}

static inline HRESULT faces_protect(const struct faces *faces, void *address, size_t size,
				    DWORD protect)
{
	DWORD old;

	return IHostMemoryManager_VirtualProtect(faces->manager, address, size, protect,
						 &old);
}

static inline HRESULT faces_query(const struct faces *faces, const void *address,
				  MEMORY_BASIC_INFORMATION *out)
{
	SIZE_T length;

	memset(out, 0, sizeof(*out));
	return IHostMemoryManager_VirtualQuery(faces->manager, (void *)(uintptr_t)address,
					       out, sizeof(*out), &length);
}

static inline HostMemUsage faces_usage(const struct faces *faces)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;

	CHECK_HR(IHostMemoryControl_GetUsage(faces->control, &usage), S_OK);
	return usage;
}

/* What a walk of the host's regions adds up to. */
struct faces_sum {
	size_t reserved, committed;
	uint64_t regions;
	const void *base;
};

static inline BOOL HOSTMEM_CALL faces_add_run(void *state,
					      const MEMORY_BASIC_INFORMATION *run)
{
	struct faces_sum *sum = state;

	sum->reserved += run->RegionSize;
	if (run->State == MEM_COMMIT)
		sum->committed += run->RegionSize;
	if (sum->regions == 0 || run->AllocationBase != sum->base)
		sum->regions++;
	sum->base = run->AllocationBase;
	return TRUE;
}

static inline struct faces_sum faces_walk(const struct faces *faces)
{
	struct faces_sum sum = { 0, 0, 0, NULL };

	CHECK_HR(IHostMemoryControl_WalkRegions(faces->control, faces_add_run, &sum),
		 S_OK);
	return sum;
}

/* The account says the same as a walk: true when no other thread is at work. */
static inline void faces_check_account(const struct faces *faces)
{
	HostMemUsage usage = faces_usage(faces);
	struct faces_sum sum = faces_walk(faces);

	CHECK_SIZE(usage.cbReserved, sum.reserved);
	CHECK_SIZE(usage.cbCommitted, sum.committed);
	CHECK_SIZE(usage.cRegions, sum.regions);
	CHECK_SIZE(usage.cbCharged, usage.cbCommitted + usage.cbExternal);
}

/* Nothing is reserved, committed, acquired or charged. */
static inline void faces_check_empty(const struct faces *faces)
{
	HostMemUsage usage = faces_usage(faces);

	CHECK_SIZE(usage.cbReserved, 0);
	CHECK_SIZE(usage.cbCommitted, 0);
	CHECK_SIZE(usage.cbExternal, 0);
	CHECK_SIZE(usage.cbCharged, 0);
	CHECK_SIZE(usage.cRegions, 0);
	CHECK_SIZE(faces_walk(faces).regions, 0);
}

/*
 * An address where nobody maps anything by himself, far from where the system does.  A
 * sanitizer claims most of the address space; the thread sanitizer even ends a program
 * that asks for an address of its own.
 */
#define FACES_FAR ((uintptr_t)(FACES_THREAD_SANITIZER ? 0x4000000000 : 0x200000000000))

/* Maps addresses there, without access; 0 if they are not to be had. */
static inline uintptr_t faces_map_window(size_t size)
{
	void *at = mmap((void *)FACES_FAR, size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			-1, 0);

	if (at == (void *)FACES_FAR)
		return FACES_FAR;
	if (at != MAP_FAILED)
		(void)munmap(at, size);
	return 0;
}

#endif
