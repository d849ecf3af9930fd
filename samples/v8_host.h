/*
 * The host of the V8 sample, its books, and what is printed at the end; for C++ what
 * sample.h and sample_report.h are for C.
 *
 * A subscriber hears the host's events and adds them up; the host has its own account; and
 * the adapter counts its calls.  So a number that is printed has been seen from more than
 * one side.  The subscriber runs in the middle of V8's requests, on any thread: it adds to
 * atomics, calls nobody, and refuses nothing.
 */
#ifndef V8_HOST_H
#define V8_HOST_H

#include "v8_blocks.h"
#include "v8_pages.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

class Host final : public HostFaces
{
      public:
	IHostMemoryControl *control = nullptr;

	/* The limit is in bytes, 0 = none.  Half of it is for process-critical requests. */
	HRESULT open(size_t limit)
	{
		HostMemBudget budget = HOSTMEM_BUDGET_INIT;
		HostMemConfig config = HOSTMEM_CONFIG_INIT;
		IHostMalloc *own = nullptr;
		uint64_t cookie;
		HRESULT hr;

		if (limit != 0) {
			budget.cbLimit = limit;
			budget.cbHeadroom[eTaskCritical] = limit / 8 * 5;
			budget.cbHeadroom[eAppDomainCritical] = limit / 8 * 5;
		}
		config.budget = &budget;
		hr = HostMemCreate(&config, IID_IHostMemoryControl, face(&control));
		if (SUCCEEDED(hr))
			hr = control->QueryInterface(IID_IHostMemoryManager,
						     face(&memory));
		if (SUCCEEDED(hr))
			hr = control->QueryInterface(IID_IHostMemoryPages, face(&pages));
		if (SUCCEEDED(hr))
			hr = control->Subscribe(7, heard, this, &cookie);
		if (SUCCEEDED(hr))
			hr = memory->CreateMalloc(MALLOC_THREADSAFE, &own);
		if (SUCCEEDED(hr)) {
			hr = own->QueryInterface(IID_IHostMalloc2, face(&heap));
			own->Release();
		}
		return hr; /* a program that has no host ends */
	}

	HostMemUsage usage() const
	{
		HostMemUsage now = HOSTMEM_USAGE_INIT;

		control->GetUsage(&now);
		return now;
	}

	void report() const
	{
		static const char *const names[] = { "task-critical", "domain-critical",
						     "process-critical" };
		HostMemBudget budget = HOSTMEM_BUDGET_INIT;

		printf("\n%-36s %11s %13s\n", "What the host saw", "requests", "KiB");
		for (int level = eProcessCritical; level >= eTaskCritical; level -= 2) {
			row(names[level], granted[level].times, granted[level].bytes);
			row("  refused", refused[level].times, refused[level].bytes);
		}
		control->GetBudget(&budget);
		printf("  %-46s %13.1f MiB\n", "at the peak", mib(usage().cbPeakCharged));
		if (budget.cbLimit != SIZE_MAX)
			printf("  %-46s %13.1f MiB\n", "the limit", mib(budget.cbLimit));
	}

	/* After the end of V8: what it has given back, and what the host takes back. */
	bool close(const HostPages &hosted, const HostBuffers &buffers,
		   const HostZones &zones)
	{
		uint64_t kept = zones.allocated - zones.freed, charged;
		HostMemUsage now;
		bool good;

		printf("\nAre these numbers true?\n");
		good = check(hosted.reserved == hosted.released,
			     "regions: %" PRIu64 " reserved, %" PRIu64 " released",
			     hosted.reserved.load(), hosted.released.load());
		good &= check(buffers.allocated == buffers.freed,
			      "ArrayBuffers: %" PRIu64 " blocks, %" PRIu64 " freed",
			      buffers.allocated.load(), buffers.freed.load());
		good &= check(kept <= 1 && usage().cBlocks == kept,
			      "zones: %" PRIu64 " blocks, %" PRIu64
			      " freed; the host says so, too",
			      zones.allocated.load(), zones.freed.load());
		good &= check(heap->Release() == 0, "the heap has ended");
		now = usage();
		good &= check(now.cRegions == 0 && now.cBlocks == 0 && now.cbCharged == 0,
			      "now: %" PRIu64 " regions, %" PRIu64 " blocks, %zu charged",
			      now.cRegions, now.cBlocks, now.cbCharged);
		charged = granted[0].bytes + granted[1].bytes + granted[2].bytes;
		good &= check(charged == given_back,
			      "the books balance: %" PRIu64 " charged, %" PRIu64
			      " given back",
			      charged, given_back.load());
		pages->Release();
		memory->Release();
		return check(control->Release() == 0, "the host has ended") && good;
	}

      private:
	struct Count {
		std::atomic<uint64_t> times{ 0 }, bytes{ 0 };
	};

	Count granted[3], refused[3]; /* by critical level */
	std::atomic<uint64_t> given_back{ 0 };

	template <class Face> static void **face(Face **out)
	{
		return reinterpret_cast<void **>(out);
	}

	static double mib(uint64_t bytes)
	{
		return static_cast<double>(bytes) / (1 << 20);
	}

	static void row(const char *name, uint64_t times, uint64_t bytes)
	{
		printf("  %-34s %11" PRIu64 " %13" PRIu64 "\n", name, times,
		       bytes / 1024);
	}

	__attribute__((format(printf, 2, 3))) static bool check(bool holds,
								const char *format, ...)
	{
		va_list arguments;

		printf("  %s  ", holds ? "ok   " : "WRONG");
		va_start(arguments, format);
		vprintf(format, arguments);
		va_end(arguments);
		putchar('\n');
		return holds;
	}

	static BOOL HOSTMEM_CALL heard(void *state, const HostMemEvent *event)
	{
		Host *self = static_cast<Host *>(state);
		Count *counts = event->type == HostMemEventFailure ? self->refused
								   : self->granted;

		if (event->type == HostMemEventFree) {
			self->given_back += event->size;
		} else {
			counts[event->level].times++;
			counts[event->level].bytes += event->size;
		}
		if (event->announced) /* an earlier event of the request holds no more */
			self->given_back += event->cbWithdrawn;
		return TRUE;
	}
};

#endif /* V8_HOST_H */
