/*
 * What the samples share whose runtime has no hook for its memory: a host to which the
 * process is attached, see abi/attach.h.
 *
 * The runtime's calls go to the translator and from there to the host, past the sample.  So
 * the books are those of the host and of the subscriber.  The host is for the rest of the
 * process: such runtimes do not give back what they have, and run code until the very end.
 */
#ifndef SAMPLE_ATTACHED_H
#define SAMPLE_ATTACHED_H

#include "sample_report.h"

#include <hostmem/attach.h>

/* What is kept for requests that the runtime does not survive without: this part of the
 * limit, as a divisor, and no more than so many bytes. */
enum { SAMPLE_SLACK = 4, SAMPLE_MOST_SLACK = 32 << 20 };

/*
 * A host with a budget in two levels, attached under a profile.  The runtime has yet to start;
 * the sample says when it has.
 */
static inline HRESULT sample_attach(struct sample *s, size_t limit, const char *profile)
{
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	size_t slack = limit / SAMPLE_SLACK;
	HRESULT hr = sample_open(s, 0, 0);

	if (FAILED(hr))
		return hr;
	IHostMalloc2_Release(s->heap); /* the attached one has its own */
	s->heap = NULL;
	if (limit != 0) {
		slack = slack < SAMPLE_MOST_SLACK ? slack : SAMPLE_MOST_SLACK;
		budget.cbLimit = limit;
		budget.cbHeadroom[eTaskCritical] = slack;
		budget.cbHeadroom[eAppDomainCritical] = slack;
		hr = IHostMemoryControl_SetBudget(s->control, &budget);
	}
	how.dwFlags = HOSTMEM_ATTACH_STARTING;
	how.profile = profile;
	return SUCCEEDED(hr) ? HostMemAttach((IUnknown *)s->control, &how) : hr;
}

/* One of the host's faces for which the program holds no reference: it has the host. */
static inline IHostMemorySimulator *sample_simulator(struct sample *s)
{
	IHostMemorySimulator *simulator = NULL;

	IHostMemoryControl_QueryInterface(s->control, &IID_IHostMemorySimulator,
					  (void **)&simulator);
	IHostMemorySimulator_Release(simulator);
	return simulator;
}

/*
 * From now on so many percent of the requests that commit `least` bytes or more, and that the
 * runtime survives without, are refused at random: always the same ones, if the runtime makes the
 * same requests.  Returns what ends it.
 */
static inline uint64_t sample_refuse_some(struct sample *s, unsigned percent,
					  size_t least)
{
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookie = 0;

	fault.operations = 1U << HostMemCommit;
	fault.levels = 1U << eTaskCritical;
	fault.cbMin = least;
	fault.count = 0;
	fault.probability = percent / 100.0;
	fault.seed = 7;
	IHostMemorySimulator_AddFault(sample_simulator(s), &fault, &cookie);
	return cookie;
}

static inline void sample_refuse_no_more(struct sample *s, uint64_t cookie)
{
	IHostMemorySimulator_RemoveFault(sample_simulator(s), cookie);
}

#endif /* SAMPLE_ATTACHED_H */
