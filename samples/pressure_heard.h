/*
 * The callback of samples/pressure.c: it notes what it heard and when, and returns at once, as
 * it has to.  It runs on a thread of the host's; whoever owns the memory looks at the notes
 * when it suits him.
 *
 * It lies in memory that a process shares with its children, so the parent reads them too.
 */
#ifndef PRESSURE_HEARD_H
#define PRESSURE_HEARD_H

#include "sample.h"

#include <sys/mman.h>

enum { HEARD_NOTES = 256 }; /* so many of the last are kept */

struct heard_note {
	double at; /* seconds */
	EMemoryAvailable what;
};

struct heard {
	ICLRMemoryNotificationCallback iface; /* first, so that it has the same address */
	const struct sample *clock;
	_Atomic unsigned count;
	struct heard_note notes[HEARD_NOTES];
};

static inline HRESULT HOSTMEM_CALL heard_query(ICLRMemoryNotificationCallback *self,
					       REFIID iid, void **out)
{
	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (!IsEqualGUID(iid, &IID_IUnknown) &&
	    !IsEqualGUID(iid, &IID_ICLRMemoryNotificationCallback))
		return E_NOINTERFACE;
	*out = self;
	return S_OK;
}

/* It lives as long as the process does. */
static inline ULONG HOSTMEM_CALL
heard_add_or_release(ICLRMemoryNotificationCallback *self)
{
	(void)self;
	return 1;
}

static inline HRESULT HOSTMEM_CALL heard_note(ICLRMemoryNotificationCallback *self,
					      EMemoryAvailable available)
{
	struct heard *heard = (struct heard *)self;
	unsigned count = atomic_load(&heard->count);

	heard->notes[count % HEARD_NOTES] =
		(struct heard_note){ sample_seconds(heard->clock), available };
	atomic_store(&heard->count, count + 1); /* one call at a time */
	return S_OK;
}

/* NULL: there is no memory for it. */
static inline struct heard *heard_create(const struct sample *clock)
{
	static const ICLRMemoryNotificationCallbackVtbl table = {
		.QueryInterface = heard_query,
		.AddRef = heard_add_or_release,
		.Release = heard_add_or_release,
		.OnMemoryNotification = heard_note,
	};
	struct heard *heard = mmap(NULL, sizeof(*heard), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (heard == MAP_FAILED)
		return NULL;
	memset(heard, 0, sizeof(*heard)); /* now it is in the group of who makes it */
	heard->iface.lpVtbl = &table;
	heard->clock = clock;
	return heard;
}

static inline unsigned heard_times(const struct heard *heard, EMemoryAvailable what)
{
	unsigned times = 0;

	for (unsigned i = 0; i < heard->count && i < HEARD_NOTES; i++)
		times += heard->notes[i].what == what;
	return times;
}

#endif /* PRESSURE_HEARD_H */
