/*
 * What the samples share: a host with a heap, and the books that are kept about it.
 *
 * Three books are kept apart, so that a number which is printed has been seen from more
 * than one side.  The adapter's calls go through sample_alloc and sample_free, for pages,
 * and sample_block and its like, for the heap, which count what was asked.  A subscriber
 * hears the host's events and adds them up.  And the host has its own account.
 * sample_report.h prints and compares them.
 *
 * Pages and the heap are charged to one budget.  A part of it is kept for process-critical
 * requests, so that task-critical ones fail first.
 *
 * The subscriber runs on the thread that asks for memory, in the middle of the request.
 * It takes a lock of its own and calls nobody, so it can neither wait for the runtime nor
 * ask it for memory.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <hostmem/hostmem.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SAMPLE_COLUMNS = 64, /* of the drawing */
	SAMPLE_HEADROOM = 16 /* the part of the limit that only process-critical requests
				may use, as a divisor */
};

struct sample_count {
	uint64_t times, bytes;
};

struct sample {
	IHostMemoryControl *control; /* the side of the program */
	IHostMemoryManager *memory;  /* the side of the runtime */
	IHostMalloc2 *heap;          /* the runtime's; NULL: it is attached, and its calls
					are not ours to count */

	/* Calls about blocks that were S_OK, but for `refused`: Alloc and Realloc. */
	_Atomic uint64_t blocks, resized, blocks_freed, refused_blocks;

	pthread_mutex_t lock;              /* of everything below */
	struct sample_count allocs, frees; /* calls of the adapter that were S_OK */
	struct sample_count granted[3], freed, refused; /* heard; by critical level */
	struct sample_count heap_granted, heap_freed; /* the heap's pages, in the above */
	size_t committed, peak;                       /* added up from what was heard */

	struct timespec start;
	double slice;     /* seconds that a column of the drawing stands for */
	unsigned columns; /* in use */
	size_t column[SAMPLE_COLUMNS]; /* most bytes committed at a time in that slice */

	MEMORY_BASIC_INFORMATION *runs; /* the last walk */
	size_t run_count, runs_with_room;
};

static inline double sample_seconds(const struct sample *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - s->start.tv_sec) +
	       (double)(now.tv_nsec - s->start.tv_nsec) / 1e9;
}

/*
 * Brings the drawing up to now; `before` is what was committed until now.  When the
 * columns are used up each two become one, so a run of any length fits.
 */
static inline void sample_plot(struct sample *s, size_t before)
{
	double now = sample_seconds(s);

	while (now >= s->slice * SAMPLE_COLUMNS) {
		for (unsigned i = 0; i < SAMPLE_COLUMNS; i += 2) {
			size_t left = i < s->columns ? s->column[i] : 0;
			size_t right = i + 1 < s->columns ? s->column[i + 1] : 0;

			s->column[i / 2] = left > right ? left : right;
		}
		s->columns = (s->columns + 1) / 2;
		s->slice *= 2;
	}
	while (s->columns <= (unsigned)(now / s->slice))
		s->column[s->columns++] = before;
	if (s->column[s->columns - 1] < s->committed)
		s->column[s->columns - 1] = s->committed;
}

static inline void sample_add(struct sample_count *count, size_t size)
{
	count->times++;
	count->bytes += size;
}

/* An earlier event of the request was counted as granted: takes that back. */
static inline void sample_withdraw(struct sample *s, const HostMemEvent *event)
{
	struct sample_count *counts[] = { &s->granted[event->level], &s->heap_granted };

	for (int i = 0; i < (event->operation == HostMemHeap ? 2 : 1); i++) {
		counts[i]->times--;
		counts[i]->bytes -= event->cbWithdrawn;
	}
	s->committed -= event->cbWithdrawn;
}

static inline BOOL HOSTMEM_CALL sample_heard(void *state, const HostMemEvent *event)
{
	struct sample *s = state;
	bool heap = event->operation == HostMemHeap;
	size_t before;

	pthread_mutex_lock(&s->lock);
	before = s->committed;
	if (event->announced)
		sample_withdraw(s, event);
	if (event->type == HostMemEventFree) {
		sample_add(&s->freed, event->size);
		if (heap)
			sample_add(&s->heap_freed, event->size);
		s->committed -= event->size;
	} else if (event->type == HostMemEventAllocate) {
		sample_add(&s->granted[event->level], event->size);
		if (heap)
			sample_add(&s->heap_granted, event->size);
		s->committed += event->size;
	} else {
		sample_add(&s->refused, event->size);
	}
	if (s->peak < s->committed)
		s->peak = s->committed;
	sample_plot(s, before);
	pthread_mutex_unlock(&s->lock);
	return TRUE; /* FALSE would refuse an allocation */
}

static inline void sample_count_call(struct sample *s, struct sample_count *count,
				     size_t size, HRESULT hr)
{
	if (FAILED(hr))
		return;
	pthread_mutex_lock(&s->lock);
	sample_add(count, size);
	pthread_mutex_unlock(&s->lock);
}

/* A reservation of its own, committed and zero. */
static inline HRESULT sample_alloc(struct sample *s, size_t size,
				   EMemoryCriticalLevel level, void **out)
{
	HRESULT hr = IHostMemoryManager_VirtualAlloc(s->memory, NULL, size,
						     MEM_RESERVE | MEM_COMMIT,
						     PAGE_READWRITE, level, out);

	sample_count_call(s, &s->allocs, size, hr);
	return hr;
}

static inline HRESULT sample_free(struct sample *s, void *address, size_t size)
{
	HRESULT hr = IHostMemoryManager_VirtualFree(s->memory, address, 0, MEM_RELEASE);

	sample_count_call(s, &s->frees, size, hr);
	return hr;
}

/* A block of the heap; with HOSTMEM_HEAP_ZERO it reads as zero. */
static inline HRESULT sample_block(struct sample *s, size_t size, DWORD flags,
				   EMemoryCriticalLevel level, void **out)
{
	HRESULT hr = flags == 0 ? IHostMalloc2_Alloc(s->heap, size, level, out)
				: IHostMalloc2_AllocAligned(s->heap, size, 0, flags,
							    level, out);

	atomic_fetch_add(SUCCEEDED(hr) ? &s->blocks : &s->refused_blocks, 1);
	return hr;
}

/*
 * Runtimes take it for granted that a block can shrink.  It may have to move for that, and
 * that may be refused; but it is large enough already, so it is handed out as it is.
 */
static inline HRESULT sample_resize(struct sample *s, void *block, size_t size,
				    EMemoryCriticalLevel level, void **out)
{
	size_t usable;
	HRESULT hr;

	if (block == NULL)
		return sample_block(s, size, 0, level, out);
	hr = IHostMalloc2_Realloc(s->heap, block, size, 0, level, out);
	if (hr == HOST_E_INVALIDOPERATION)
		return hr; /* not a block of this heap */
	if (FAILED(hr) && SUCCEEDED(IHostMalloc2_GetSize(s->heap, block, &usable)) &&
	    size <= usable) {
		*out = block;
		hr = S_OK;
	}
	atomic_fetch_add(SUCCEEDED(hr) ? &s->resized : &s->refused_blocks, 1);
	return hr;
}

static inline HRESULT sample_free_block(struct sample *s, void *block)
{
	HRESULT hr = IHostMalloc2_Free(s->heap, block);

	if (SUCCEEDED(hr) && block != NULL)
		atomic_fetch_add(&s->blocks_freed, 1);
	return hr;
}

static inline HRESULT sample_create(size_t limit, IHostControl **host)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	if (limit != 0) {
		budget.cbLimit = limit;
		budget.cbHeadroom[eTaskCritical] = limit / SAMPLE_HEADROOM;
		budget.cbHeadroom[eAppDomainCritical] = limit / SAMPLE_HEADROOM;
	}
	config.budget = &budget;
	return HostMemCreate(&config, &IID_IHostControl, (void **)host);
}

static inline HRESULT sample_create_heap(struct sample *s, DWORD type)
{
	IHostMalloc *heap;
	HRESULT hr = IHostMemoryManager_CreateMalloc(s->memory, type, &heap);

	if (SUCCEEDED(hr))
		hr = IHostMalloc_QueryInterface(heap, &IID_IHostMalloc2,
						(void **)&s->heap);
	IHostMalloc_Release(heap); /* one face is left, with a reference */
	return hr;
}

/*
 * A host as an embedding program makes it; a runtime would be handed the IHostControl and
 * ask it for its managers.  The limit is in bytes, 0 = none; the type is that of the heap.
 * On failure nothing is left behind.
 */
static inline HRESULT sample_open(struct sample *s, size_t limit, DWORD heap_type)
{
	IHostControl *host = NULL;
	uint64_t cookie;
	HRESULT hr;

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	clock_gettime(CLOCK_MONOTONIC, &s->start);
	s->slice = 1e-3;

	hr = sample_create(limit, &host);
	if (SUCCEEDED(hr))
		hr = IHostControl_GetHostManager(host, &IID_IHostMemoryManager,
						 (void **)&s->memory);
	if (SUCCEEDED(hr))
		hr = IHostControl_QueryInterface(host, &IID_IHostMemoryControl,
						 (void **)&s->control);
	if (SUCCEEDED(hr))
		hr = IHostMemoryControl_Subscribe(s->control, 7, sample_heard, s,
						  &cookie);
	if (SUCCEEDED(hr))
		hr = sample_create_heap(s, heap_type);
	if (FAILED(hr)) {
		IHostMemoryControl_Release(s->control);
		IHostMemoryManager_Release(s->memory);
	}
	IHostControl_Release(host); /* two faces are left, each with a reference */
	return hr;
}

/*
 * Takes a leading `--limit MIB` away from the arguments of main.  False if what stands
 * there is no number.
 */
static inline bool sample_limit(int *argc, char ***argv, size_t *limit)
{
	char *end, *name = (*argv)[0];
	double mib;

	if (*argc < 3 || strcmp((*argv)[1], "--limit") != 0)
		return true;
	mib = strtod((*argv)[2], &end);
	if (*end != '\0' || end == (*argv)[2] || !(mib > 0 && mib < 1 << 30))
		return false;
	*limit = (size_t)(mib * (1 << 20));
	*argc -= 2;
	*argv += 2;
	(*argv)[0] = name;
	return true;
}

#endif /* SAMPLE_H */
