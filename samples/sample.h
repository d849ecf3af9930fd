/*
 * What the samples share: a host, and the books that are kept about it.
 *
 * Three books are kept apart, so that a number which is printed has been seen from more
 * than one side.  The adapter's calls go through sample_alloc and sample_free, which
 * count what was asked.  A subscriber hears the host's events and adds them up.  And the
 * host has its own account.  sample_report.h prints and compares them.
 *
 * The subscriber runs on the thread that asks for memory, in the middle of the request.
 * It takes a lock of its own and calls nobody, so it can neither wait for the runtime nor
 * ask it for memory.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <hostmem/hostmem.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLE_COLUMNS = 64 }; /* of the drawing */

struct sample_count {
	uint64_t times, bytes;
};

struct sample {
	IHostMemoryControl *control; /* the side of the program */
	IHostMemoryManager *memory;  /* the side of the runtime */

	pthread_mutex_t lock;              /* of everything below */
	struct sample_count allocs, frees; /* calls of the adapter that were S_OK */
	struct sample_count granted[3], freed, refused; /* heard; by critical level */
	size_t committed, peak;                         /* added up from what was heard */

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

static inline BOOL HOSTMEM_CALL sample_heard(void *state, const HostMemEvent *event)
{
	struct sample *s = state;
	struct sample_count *count = &s->refused;
	size_t before;

	pthread_mutex_lock(&s->lock);
	before = s->committed;
	if (event->announced) {
		/* An earlier event of the request was counted as granted: take that back. */
		s->granted[event->level].times--;
		s->granted[event->level].bytes -= event->cbWithdrawn;
		s->committed -= event->cbWithdrawn;
	}
	if (event->type == HostMemEventFree) {
		count = &s->freed;
		s->committed -= event->size;
	} else if (event->type == HostMemEventAllocate) {
		count = &s->granted[event->level];
		s->committed += event->size;
	}
	count->times++;
	count->bytes += event->size;
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
	count->times++;
	count->bytes += size;
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

/*
 * A host as an embedding program makes it; a runtime would be handed the IHostControl and
 * ask it for its managers.  On failure nothing is left behind.
 */
static inline HRESULT sample_open(struct sample *s)
{
	IHostControl *host = NULL;
	uint64_t cookie;
	HRESULT hr;

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	clock_gettime(CLOCK_MONOTONIC, &s->start);
	s->slice = 1e-3;

	hr = HostMemCreate(NULL, &IID_IHostControl, (void **)&host);
	if (SUCCEEDED(hr))
		hr = IHostControl_GetHostManager(host, &IID_IHostMemoryManager,
						 (void **)&s->memory);
	if (SUCCEEDED(hr))
		hr = IHostControl_QueryInterface(host, &IID_IHostMemoryControl,
						 (void **)&s->control);
	if (SUCCEEDED(hr))
		hr = IHostMemoryControl_Subscribe(s->control, 7, sample_heard, s,
						  &cookie);
	if (FAILED(hr)) {
		IHostMemoryControl_Release(s->control);
		IHostMemoryManager_Release(s->memory);
	}
	IHostControl_Release(host); /* two faces are left, each with a reference */
	return hr;
}

#endif /* SAMPLE_H */
