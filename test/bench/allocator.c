/*
 * The heaps that are set beside each other: ours, and three that everybody has.
 *
 * Ours is what a runtime gets that is watched in every way: its host has a limit, and a
 * subscriber that hears all events and does nothing.
 *
 * The others are malloc and free of the process, which was started with their library
 * before the C library's own.  Loading one later, by dlopen, is not the same for all:
 * jemalloc's library wants room in the static TLS block, and there is none then.  Which
 * malloc a process has is asked, not assumed: the loader goes on without a library that it
 * does not find.
 */
#include "allocator.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB ((size_t)1 << 30)

static const struct {
	const char *name;
	const char *library;
	const char *package; /* of Debian and Ubuntu */
} allocators[ALLOCATORS] = {
	[OURS] = { "hostmem", NULL, NULL },
	[MIMALLOC] = { "mimalloc", "libmimalloc.so.2", "libmimalloc2.0" },
	[JEMALLOC] = { "jemalloc", "libjemalloc.so.2", "libjemalloc2" },
	[GLIBC] = { "glibc", NULL, NULL },
};

const char *allocator_name(enum allocator allocator)
{
	return allocators[allocator].name;
}

const char *allocator_library(enum allocator allocator)
{
	return allocators[allocator].library;
}

static BOOL HOSTMEM_CALL hears_and_agrees(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return TRUE;
}

static HRESULT make_host(IHostMemoryControl **control)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	uint64_t cookie;
	HRESULT hr;

	budget.cbLimit = 64 * GIB;
	budget.cbHeadroom[eTaskCritical] = 2 * GIB;
	budget.cbHeadroom[eAppDomainCritical] = GIB;
	config.budget = &budget;
	hr = HostMemCreate(&config, &IID_IHostMemoryControl, (void **)control);
	if (FAILED(hr))
		return hr;
	return IHostMemoryControl_Subscribe(*control, 7, hears_and_agrees, NULL, &cookie);
}

static HRESULT make_heap(IHostMemoryControl *control, IHostMalloc **blocks)
{
	IHostMemoryManager *manager;
	HRESULT hr = IHostMemoryControl_QueryInterface(control, &IID_IHostMemoryManager,
						       (void **)&manager);

	if (FAILED(hr))
		return hr;
	hr = IHostMemoryManager_CreateMalloc(manager, MALLOC_THREADSAFE, blocks);
	(void)IHostMemoryManager_Release(manager);
	return hr;
}

static enum verdict open_ours(struct heap *heap, char note[NOTE_SIZE])
{
	HRESULT hr = make_host(&heap->control);

	if (FAILED(hr)) {
		snprintf(note, NOTE_SIZE, "no host: %s", HostMemResultName(hr));
		return FAILED;
	}
	hr = make_heap(heap->control, &heap->blocks);
	if (SUCCEEDED(hr)) {
		snprintf(note, NOTE_SIZE, "%s, with a limit and an empty subscriber",
			 HostMemVersion());
		return OK;
	}
	snprintf(note, NOTE_SIZE, "CreateMalloc: %s", HostMemResultName(hr));
	return hr == E_NOTIMPL ? SKIPPED : FAILED;
}

/* The version of a library that tells it, as it tells it; else empty. */
static void put_version(char *version, size_t size)
{
	int (*mimalloc)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "mi_version");
	int (*jemalloc)(const char *, void *, size_t *, void *,
			size_t) = (int (*)(const char *, void *, size_t *, void *,
					   size_t))dlsym(RTLD_DEFAULT, "mallctl");
	const char *(*glibc)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT,
								  "gnu_get_libc_version");
	const char *text = "";
	size_t length = sizeof(text);

	version[0] = '\0';
	if (mimalloc != NULL)
		snprintf(version, size, "%d.%d.%d, ", mimalloc() / 100,
			 mimalloc() / 10 % 10, mimalloc() % 10);
	else if (jemalloc != NULL && jemalloc("version", &text, &length, NULL, 0) == 0)
		snprintf(version, size, "%.*s, ", (int)strcspn(text, "-"), text);
	else if (glibc != NULL)
		snprintf(version, size, "%s, ", glibc());
}

/* The file that this process has its malloc from, or NULL. */
static const char *file_of_malloc(void)
{
	void *symbol = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	return symbol != NULL && dladdr(symbol, &info) != 0 ? info.dli_fname : NULL;
}

static enum verdict find_theirs(enum allocator allocator, char note[NOTE_SIZE])
{
	const char *library = allocators[allocator].library;
	const char *file = file_of_malloc();
	char version[40];

	if (file != NULL && strstr(file, library != NULL ? library : "libc.so") != NULL) {
		put_version(version, sizeof(version));
		snprintf(note, NOTE_SIZE, "%s%.100s", version, file);
		return OK;
	}
	if (library != NULL)
		snprintf(note, NOTE_SIZE,
			 "%s is not installed (Debian, Ubuntu: apt install %s)", library,
			 allocators[allocator].package);
	else
		snprintf(note, NOTE_SIZE, "the C library here is another one");
	return SKIPPED;
}

enum verdict heap_open(struct heap *heap, enum allocator allocator, char note[NOTE_SIZE])
{
	enum verdict verdict;

	memset(heap, 0, sizeof(*heap));
	heap->ours = allocator == OURS;
	heap->allocate = malloc;
	heap->release = free;
	if (!heap->ours)
		return find_theirs(allocator, note);
	verdict = open_ours(heap, note);
	if (verdict != OK)
		heap_close(heap);
	return verdict;
}

static _Atomic(const char *) refused_call;
static atomic_int refused_hr;

void heap_refused(const char *call, HRESULT hr)
{
	refused_call = call;
	refused_hr = hr;
}

void heap_put_refusal(char note[NOTE_SIZE])
{
	if (refused_call != NULL)
		snprintf(note, NOTE_SIZE, "%s: %s", refused_call,
			 HostMemResultName(refused_hr));
	else
		snprintf(note, NOTE_SIZE, "Alloc or Free was refused");
}

void heap_close(struct heap *heap)
{
	if (heap->blocks != NULL)
		(void)IHostMalloc_Release(heap->blocks);
	if (heap->control != NULL)
		(void)IHostMemoryControl_Release(heap->control);
	heap->blocks = NULL;
	heap->control = NULL;
}
