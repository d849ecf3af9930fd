/*
 * V8 within a budget: its platform, one isolate, and what becomes of a script that outgrows
 * V8's heap.
 *
 *   - The platform is V8's own but for the two allocators that V8 asks a platform for.
 *   - Of a limit V8's heap may take a quarter.  There V8 calls near_heap_limit, which ends the
 *     script and lends the heap a quarter more, for what the script is just about to
 *     take.  Then its garbage is collected, and the old limit holds.
 *   - Task-critical requests leave five eighths alone.  So when ArrayBuffers and WebAssembly
 *     have taken what they can, there is room for all of that, and for what collections and
 *     compilers take for the moment.  That has to be so: V8 ends the process where
 *     the host refuses one of these.
 *   - When the host says that memory is low, V8 is to collect.  The host may say so on any
 *     thread, also at the end of a request that V8 makes while it collects: so V8 is only
 *     asked to call back when it is at a point where it can.
 *
 * The order of the end is part of the contract: isolate, V8, platform (its threads end there),
 * and then, not here, the host.
 */
#ifndef V8_ISOLATE_H
#define V8_ISOLATE_H

#include "v8_blocks.h"
#include "v8_pages.h"

#include <libplatform/libplatform.h>
#include <v8.h>

#include <cstdio>
#include <memory>
#include <unistd.h>
#include <utility>

/* V8's own, with one thread for its collector and compilers, but for two allocators. */
class HostedPlatform final : public v8::Platform
{
      public:
	HostedPlatform(HostPages *given_pages, HostZones *given_zones)
	    : own(v8::platform::NewDefaultPlatform(1)), pages(given_pages),
	      zones(given_zones)
	{
	}

	/* What is left to do, as when WebAssembly is compiled, until there is nothing. */
	void run_tasks(v8::Isolate *isolate)
	{
		using v8::platform::MessageLoopBehavior;
		MessageLoopBehavior behavior;

		do {
			isolate->PerformMicrotaskCheckpoint();
			behavior = isolate->HasPendingBackgroundTasks()
					   ? MessageLoopBehavior::kWaitForWork
					   : MessageLoopBehavior::kDoNotWait;
		} while (v8::platform::PumpMessageLoop(own.get(), isolate, behavior));
	}

	void forget(v8::Isolate *isolate)
	{
		v8::platform::NotifyIsolateShutdown(own.get(), isolate);
	}

	v8::PageAllocator *GetPageAllocator() override
	{
		return pages;
	}

	v8::ZoneBackingAllocator *GetZoneBackingAllocator() override
	{
		return zones;
	}

	int NumberOfWorkerThreads() override
	{
		return own->NumberOfWorkerThreads();
	}

	std::shared_ptr<v8::TaskRunner> GetForegroundTaskRunner(
		v8::Isolate *isolate) override
	{
		return own->GetForegroundTaskRunner(isolate);
	}

	void CallOnWorkerThread(std::unique_ptr<v8::Task> task) override
	{
		own->CallOnWorkerThread(std::move(task));
	}

	void CallDelayedOnWorkerThread(std::unique_ptr<v8::Task> task,
				       double seconds) override
	{
		own->CallDelayedOnWorkerThread(std::move(task), seconds);
	}

	std::unique_ptr<v8::JobHandle> PostJob(v8::TaskPriority priority,
					       std::unique_ptr<v8::JobTask> job) override
	{
		return own->PostJob(priority, std::move(job));
	}

	double MonotonicallyIncreasingTime() override
	{
		return own->MonotonicallyIncreasingTime();
	}

	double CurrentClockTimeMillis() override
	{
		return own->CurrentClockTimeMillis();
	}

	v8::TracingController *GetTracingController() override
	{
		return own->GetTracingController();
	}

      private:
	const std::unique_ptr<v8::Platform> own;
	HostPages *pages;
	HostZones *zones;
};

class HostedIsolate final : private ICLRMemoryNotificationCallback
{
      public:
	HostedIsolate(const HostFaces *faces, size_t limit)
	    : pages(faces), buffers(faces), zones(faces), host(faces),
	      platform(std::make_unique<HostedPlatform>(&pages, &zones))
	{
		v8::Isolate::CreateParams parameters;

		v8::V8::InitializePlatform(platform.get());
		v8::V8::Initialize();
		parameters.array_buffer_allocator = &buffers;
		if (limit != 0) {
			parameters.constraints.ConfigureDefaultsFromHeapSize(0,
									     limit / 4);
			lent = limit / 4;
		}
		isolate = v8::Isolate::New(parameters);
		isolate->SetOOMErrorHandler(out_of_memory);
		isolate->AddNearHeapLimitCallback(near_heap_limit, this);
		host->memory->RegisterMemoryNotificationCallback(this);
	}

	/* Ends V8.  The allocators are left, and what they have counted. */
	void end()
	{
		host->memory->RegisterMemoryNotificationCallback(nullptr);
		platform->forget(isolate);
		isolate->Dispose();
		v8::V8::Dispose();
		v8::V8::DisposePlatform();
		platform.reset();
	}

	/* After a script, and out of its context: false if it was ended for want of heap. */
	bool recover()
	{
		v8::Isolate::Scope inside(isolate);

		if (old_limit == 0)
			return true;
		isolate->CancelTerminateExecution();
		isolate->LowMemoryNotification();
		isolate->RemoveNearHeapLimitCallback(near_heap_limit, old_limit);
		isolate->AddNearHeapLimitCallback(near_heap_limit, this);
		old_limit = 0;
		return false;
	}

	void run_tasks()
	{
		platform->run_tasks(isolate);
	}

	HostPages pages;
	HostBuffers buffers;
	HostZones zones;
	v8::Isolate *isolate;

      private:
	const HostFaces *host;
	std::unique_ptr<HostedPlatform> platform;
	size_t lent = 64 << 20; /* to the heap of a script that is ended */
	size_t old_limit = 0;   /* of the heap, while something is lent */

	/* V8's heap is all but full, and collections have not helped. */
	static size_t near_heap_limit(void *state, size_t current, size_t initial)
	{
		HostedIsolate *self = static_cast<HostedIsolate *>(state);

		self->old_limit = initial;
		self->isolate->TerminateExecution();
		return current + self->lent;
	}

	/* V8 does not expect it to return. */
	[[noreturn]] static void out_of_memory(const char *where, bool)
	{
		fflush(stdout);
		fprintf(stderr, "v8: V8 cannot go on without memory: %s\n", where);
		_exit(4);
	}

	HRESULT HOSTMEM_CALL OnMemoryNotification(EMemoryAvailable available) override
	{
		auto collect = [](v8::Isolate *now, void *) {
			now->MemoryPressureNotification(
				v8::MemoryPressureLevel::kCritical);
		};

		if (available == eMemoryAvailableLow)
			isolate->RequestInterrupt(collect, nullptr);
		return S_OK;
	}

	HRESULT HOSTMEM_CALL QueryInterface(REFIID riid, void **ppv) override
	{
		bool known = riid == IID_IUnknown ||
			     riid == IID_ICLRMemoryNotificationCallback;

		*ppv = known ? static_cast<ICLRMemoryNotificationCallback *>(this)
			     : nullptr;
		return known ? S_OK : E_NOINTERFACE;
	}

	/* The program has it, not the host. */
	ULONG HOSTMEM_CALL AddRef() override
	{
		return 2;
	}

	ULONG HOSTMEM_CALL Release() override
	{
		return 1;
	}
};

#endif /* V8_ISOLATE_H */
