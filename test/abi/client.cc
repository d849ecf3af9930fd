/*
 * A C++ program in the place of a runtime and of an embedding program: it calls the host
 * through the abstract classes, and hands it an object of a class of its own.
 */
#include "abi/hostmem.h"
#include "tap.h"

#include <atomic>
#include <functional>
#include <map>
#include <utility>

namespace
{

/* The library's objects have no C++ type information, which -fsanitize=vptr looks for. */
#define CALLS_HOST __attribute__((no_sanitize("vptr")))

constexpr size_t page = 4096;
constexpr size_t granule = 65536;

/* Which slot a member pointer calls: in the Itanium ABI its first word is the offset in
   the vtable, with a bit in front on some machines. */
template <class Method> size_t slot(Method method)
{
	uintptr_t words[2];

	static_assert(sizeof(method) == sizeof(words), "two words");
	memcpy(words, &method, sizeof(words));
	return words[0] / sizeof(void *);
}

void classes_have_the_slots_of_the_tables()
{
	CHECK_SIZE(slot(&IUnknown::QueryInterface), 0);
	CHECK_SIZE(slot(&IUnknown::AddRef), 1);
	CHECK_SIZE(slot(&IUnknown::Release), 2);
	CHECK_SIZE(slot(&IClassFactory::CreateInstance), 3);
	CHECK_SIZE(slot(&IClassFactory::LockServer), 4);
	CHECK_SIZE(slot(&IHostControl::GetHostManager), 3);
	CHECK_SIZE(slot(&IHostControl::SetAppDomainManager), 4);
	CHECK_SIZE(slot(&IHostMemoryManager::CreateMalloc), 3);
	CHECK_SIZE(slot(&IHostMemoryManager::VirtualAlloc), 4);
	CHECK_SIZE(slot(&IHostMemoryManager::VirtualFree), 5);
	CHECK_SIZE(slot(&IHostMemoryManager::VirtualQuery), 6);
	CHECK_SIZE(slot(&IHostMemoryManager::VirtualProtect), 7);
	CHECK_SIZE(slot(&IHostMemoryManager::GetMemoryLoad), 8);
	CHECK_SIZE(slot(&IHostMemoryManager::RegisterMemoryNotificationCallback), 9);
	CHECK_SIZE(slot(&IHostMemoryManager::NeedsVirtualAddressSpace), 10);
	CHECK_SIZE(slot(&IHostMemoryManager::AcquiredVirtualAddressSpace), 11);
	CHECK_SIZE(slot(&IHostMemoryManager::ReleasedVirtualAddressSpace), 12);
	CHECK_SIZE(slot(&IHostMalloc::Alloc), 3);
	CHECK_SIZE(slot(&IHostMalloc::DebugAlloc), 4);
	CHECK_SIZE(slot(&IHostMalloc::Free), 5);
	CHECK_SIZE(slot(&ICLRMemoryNotificationCallback::OnMemoryNotification), 3);
	CHECK_SIZE(slot(&IHostGCManager::ThreadIsBlockingForSuspension), 3);
	CHECK_SIZE(slot(&IHostGCManager::SuspensionStarting), 4);
	CHECK_SIZE(slot(&IHostGCManager::SuspensionEnding), 5);
}

void classes_of_our_own_have_the_slots_of_the_tables()
{
	CHECK_SIZE(slot(&IHostMemoryControl::SetBudget), 3);
	CHECK_SIZE(slot(&IHostMemoryControl::GetBudget), 4);
	CHECK_SIZE(slot(&IHostMemoryControl::GetUsage), 5);
	CHECK_SIZE(slot(&IHostMemoryControl::Subscribe), 6);
	CHECK_SIZE(slot(&IHostMemoryControl::Unsubscribe), 7);
	CHECK_SIZE(slot(&IHostMemoryControl::SetReclaimer), 8);
	CHECK_SIZE(slot(&IHostMemoryControl::NotifyMemory), 9);
	CHECK_SIZE(slot(&IHostMemoryControl::EnterGate), 10);
	CHECK_SIZE(slot(&IHostMemoryControl::LeaveGate), 11);
	CHECK_SIZE(slot(&IHostMemoryControl::WalkRegions), 12);
	CHECK_SIZE(slot(&IHostMemoryControl::Shutdown), 13);
	CHECK_SIZE(slot(&IHostMemorySimulator::AddFault), 3);
	CHECK_SIZE(slot(&IHostMemorySimulator::RemoveFault), 4);
	CHECK_SIZE(slot(&IHostMemorySimulator::SetMemoryLoad), 5);
	CHECK_SIZE(slot(&IHostMemorySimulator::ClearMemoryLoad), 6);
	CHECK_SIZE(slot(&IHostMemorySimulator::SetAvailability), 7);
	CHECK_SIZE(slot(&IHostMemorySimulator::ClearAvailability), 8);
	CHECK_SIZE(slot(&IHostMemorySimulator::SetVirtualTime), 9);
	CHECK_SIZE(slot(&IHostMemorySimulator::Advance), 10);
	CHECK_SIZE(slot(&IHostMemoryPages::ReserveAligned), 3);
	CHECK_SIZE(slot(&IHostMemoryPages::ReleaseRange), 4);
	CHECK_SIZE(slot(&IHostMemoryMonitor::GetSource), 3);
	CHECK_SIZE(slot(&IHostMemoryMonitor::SetThresholds), 4);
	CHECK_SIZE(slot(&IHostMemoryMonitor::GetThresholds), 5);
	CHECK_SIZE(slot(&IHostMemoryMonitor::Look), 6);
	CHECK_SIZE(slot(&IHostMemoryMonitor::WalkBounds), 7);
	CHECK_SIZE(slot(&IHostMemoryMonitor::GetSystem), 8);
	CHECK_SIZE(slot(&IHostMalloc2::Alloc), 3);
	CHECK_SIZE(slot(&IHostMalloc2::DebugAlloc), 4);
	CHECK_SIZE(slot(&IHostMalloc2::Free), 5);
	CHECK_SIZE(slot(&IHostMalloc2::AllocAligned), 6);
	CHECK_SIZE(slot(&IHostMalloc2::Realloc), 7);
	CHECK_SIZE(slot(&IHostMalloc2::GetSize), 8);
	CHECK_SIZE(slot(&IHostMalloc2::Trim), 9);
}

void initialisers_serve_cxx_too()
{
	const HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	const HostMemConfig config = HOSTMEM_CONFIG_INIT;
	const HostMemUsage usage = HOSTMEM_USAGE_INIT;
	const HostMemFault fault = HOSTMEM_FAULT_INIT;
	const HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;
	const HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;
	const HostMemSystem system = HOSTMEM_SYSTEM_INIT;

	CHECK_U32(budget.cbSize, sizeof(budget));
	CHECK_SIZE(budget.cbLargest[eProcessCritical], SIZE_MAX);
	CHECK_U32(config.cbSize, sizeof(config));
	CHECK_POINTER(config.loop, nullptr);
	CHECK(config.report == nullptr);
	CHECK_POINTER(config.reportState, nullptr);
	CHECK_U32(usage.cbSize, sizeof(usage));
	CHECK_U32(fault.cbSize, sizeof(fault));
	CHECK_HR(fault.result, E_OUTOFMEMORY);
	CHECK_U32(fault.msDelay, 0);
	CHECK_U32(state.cbSize, sizeof(state));
	CHECK_HR(state.result, S_FALSE);
	CHECK_U32(thresholds.cbSize, sizeof(thresholds));
	CHECK_SIZE(thresholds.cbEnough, static_cast<size_t>(192) << 20);
	CHECK_U32(system.cbSize, sizeof(system));

	static_assert(HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS) ==
			      HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS),
		      "a constant expression in C++");
}

void guids_compare_as_values()
{
	const IID copy = IID_IHostMemoryManager;

	CHECK(copy == IID_IHostMemoryManager);
	CHECK(copy != IID_IHostMalloc);
	CHECK(IsEqualIID(IID_IHostMemoryNeededCallback,
			 IID_ICLRMemoryNotificationCallback));
}

/* One face of a host, held for a scope. */
template <class Interface> struct Face {
	explicit Face(REFIID riid)
	{
		void *face = this;

		result = HostMemCreate(nullptr, riid, &face);
		pointer = static_cast<Interface *>(face);
	}
	CALLS_HOST Face(IUnknown *other, REFIID riid)
	{
		void *face = this;

		result = other->QueryInterface(riid, &face);
		pointer = static_cast<Interface *>(face);
	}
	Face(const Face &) = delete;
	Face &operator=(const Face &) = delete;
	CALLS_HOST ~Face()
	{
		if (pointer != nullptr)
			pointer->Release();
	}
	Interface *operator->() const
	{
		return pointer;
	}

	HRESULT result;
	Interface *pointer;
};

CALLS_HOST void check_run(IHostMemoryManager *manager, void *address, DWORD state,
			  DWORD protect)
{
	MEMORY_BASIC_INFORMATION run;
	SIZE_T written = 0;

	memset(&run, 0xAA, sizeof(run));
	CHECK_HR(manager->VirtualQuery(address, &run, sizeof(run), &written), S_OK);
	CHECK_SIZE(written, sizeof(run));
	CHECK_POINTER(run.BaseAddress, address);
	CHECK_U32(run.State, state);
	CHECK_U32(run.Protect, protect);
}

CALLS_HOST void pages_are_managed_through_the_classes()
{
	Face<IHostMemoryManager> manager(IID_IHostMemoryManager);
	void *base = &manager, *committed = &manager;
	DWORD old = 1;

	if (!CHECK_HR(manager.result, S_OK))
		return;

	CHECK_HR(manager->VirtualAlloc(nullptr, 4 * granule, MEM_RESERVE, PAGE_NOACCESS,
				       eTaskCritical, &base),
		 S_OK);
	if (!CHECK(base != nullptr))
		return;
	CHECK_SIZE(reinterpret_cast<uintptr_t>(base) % granule, 0);
	check_run(manager.pointer, base, MEM_RESERVE, 0);

	CHECK_HR(manager->VirtualAlloc(base, 2 * page, MEM_COMMIT, PAGE_READWRITE,
				       eTaskCritical, &committed),
		 S_OK);
	if (CHECK_POINTER(committed, base)) {
		volatile char *bytes = static_cast<char *>(committed);

		CHECK_U32(static_cast<unsigned char>(bytes[2 * page - 1]), 0);
		bytes[0] = 'h';
		bytes[2 * page - 1] = 'm';
		CHECK(bytes[0] == 'h' && bytes[2 * page - 1] == 'm');
	}
	check_run(manager.pointer, base, MEM_COMMIT, PAGE_READWRITE);

	CHECK_HR(manager->VirtualProtect(base, page, PAGE_READONLY, &old), S_OK);
	CHECK_U32(old, PAGE_READWRITE);
	check_run(manager.pointer, base, MEM_COMMIT, PAGE_READONLY);

	CHECK_HR(manager->VirtualFree(base, 2 * page, MEM_DECOMMIT), S_OK);
	check_run(manager.pointer, base, MEM_RESERVE, 0);

	CHECK_HR(manager->VirtualFree(base, 0, MEM_RELEASE), S_OK);
	CHECK_HR(manager->VirtualFree(base, 0, MEM_RELEASE), HOST_E_INVALIDOPERATION);
}

/* Adds events up by the rule of HostMemEvent; one request at a time is enough here. */
struct Sum {
	size_t bytes = 0;
	unsigned allocated = 0, freed = 0, failed = 0;

	static BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event)
	{
		Sum *sum = static_cast<Sum *>(state);

		CHECK_U32(event->cbSize, sizeof(*event));
		switch (event->type) {
		case HostMemEventAllocate:
			sum->bytes += event->size;
			sum->allocated++;
			break;
		case HostMemEventFree:
			sum->bytes -= event->size;
			sum->freed++;
			break;
		case HostMemEventFailure:
			if (event->announced)
				sum->bytes -= event->size;
			sum->failed++;
			break;
		}
		return TRUE;
	}
};

CALLS_HOST void events_add_up_to_the_usage()
{
	Face<IHostMemoryManager> manager(IID_IHostMemoryManager);
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	uint64_t cookie = 0;
	void *base = nullptr;
	Sum sum;

	if (!CHECK_HR(manager.result, S_OK))
		return;
	Face<IHostMemoryControl> control(manager.pointer, IID_IHostMemoryControl);
	if (!CHECK_HR(control.result, S_OK))
		return;

	CHECK_HR(control->Subscribe(1U << HostMemEventAllocate | 1U << HostMemEventFree |
					    1U << HostMemEventFailure,
				    Sum::hear, &sum, &cookie),
		 S_OK);
	CHECK_HR(manager->VirtualAlloc(nullptr, 16 * page, MEM_RESERVE | MEM_COMMIT,
				       PAGE_READWRITE, eProcessCritical, &base),
		 S_OK);
	CHECK_HR(control->GetUsage(&usage), S_OK);
	CHECK_SIZE(usage.cbReserved, 16 * page);
	CHECK_SIZE(usage.cbCommitted, 16 * page);
	CHECK_SIZE(usage.cbCharged, 16 * page);
	CHECK_SIZE(usage.cRegions, 1);
	CHECK_SIZE(sum.bytes, usage.cbCharged);

	CHECK_HR(manager->VirtualFree(base, 4 * page, MEM_DECOMMIT), S_OK);
	CHECK_SIZE(sum.bytes, 12 * page);
	CHECK_HR(manager->VirtualFree(base, 0, MEM_RELEASE), S_OK);
	CHECK_HR(control->GetUsage(&usage), S_OK);
	CHECK_SIZE(usage.cbCharged, 0);
	CHECK_SIZE(usage.cbPeakCharged, 16 * page);
	CHECK_SIZE(sum.bytes, 0);
	CHECK_U32(sum.allocated, 1);
	CHECK_U32(sum.freed, 2);
	CHECK_U32(sum.failed, 0);

	CHECK_HR(control->Unsubscribe(cookie), S_OK);
	CHECK_HR(control->Unsubscribe(cookie), E_INVALIDARG);
}

BOOL HOSTMEM_CALL refuse(void *, const HostMemEvent *)
{
	return FALSE;
}

CALLS_HOST void a_subscriber_refuses_a_request()
{
	Face<IHostMemoryManager> manager(IID_IHostMemoryManager);
	uint64_t cookie = 0;
	void *base = &manager;

	if (!CHECK_HR(manager.result, S_OK))
		return;
	Face<IHostMemoryControl> control(manager.pointer, IID_IHostMemoryControl);
	if (!CHECK_HR(control.result, S_OK))
		return;

	CHECK_HR(control->Subscribe(1U << HostMemEventAllocate, refuse, nullptr, &cookie),
		 S_OK);
	CHECK_HR(manager->VirtualAlloc(nullptr, page, MEM_COMMIT, PAGE_READWRITE,
				       eTaskCritical, &base),
		 E_OUTOFMEMORY);
	CHECK_POINTER(base, nullptr);
	CHECK_HR(control->Unsubscribe(cookie), S_OK);
}

/* A runtime's callback.  It outlives its last Release, so that the count can be read. */
struct Callback final : ICLRMemoryNotificationCallback {
	HRESULT HOSTMEM_CALL QueryInterface(REFIID riid, void **ppv) override
	{
		if (ppv == nullptr)
			return E_POINTER;
		*ppv = nullptr;
		if (riid != IID_IUnknown && riid != IID_ICLRMemoryNotificationCallback)
			return E_NOINTERFACE;
		*ppv = static_cast<ICLRMemoryNotificationCallback *>(this);
		AddRef();
		return S_OK;
	}
	ULONG HOSTMEM_CALL AddRef() override
	{
		return ++references;
	}
	ULONG HOSTMEM_CALL Release() override
	{
		return --references;
	}
	HRESULT HOSTMEM_CALL OnMemoryNotification(EMemoryAvailable) override
	{
		return S_OK;
	}

	std::atomic<ULONG> references{ 1 }; /* the one is ours */
};

CALLS_HOST void a_callback_is_held_while_it_is_registered()
{
	Callback first, second;

	{
		Face<IHostMemoryManager> manager(IID_IHostMemoryManager);

		if (!CHECK_HR(manager.result, S_OK))
			return;

		CHECK_HR(manager->RegisterMemoryNotificationCallback(&first), S_OK);
		CHECK_U32(first.references, 2);
		CHECK_HR(manager->RegisterMemoryNotificationCallback(&first), S_OK);
		CHECK_U32(first.references, 2);

		CHECK_HR(manager->RegisterMemoryNotificationCallback(&second), S_OK);
		CHECK_U32(first.references, 1);
		CHECK_U32(second.references, 2);

		CHECK_HR(manager->RegisterMemoryNotificationCallback(nullptr), S_OK);
		CHECK_U32(second.references, 1);

		CHECK_HR(manager->RegisterMemoryNotificationCallback(&second), S_OK);
		CHECK_U32(second.references, 2);
	}
	/* The last Release of the host gives the callback back. */
	CHECK_U32(first.references, 1);
	CHECK_U32(second.references, 1);
}

/* What a C++ program puts its containers on. */
template <class Value> struct HeapAllocator {
	using value_type = Value;

	explicit HeapAllocator(IHostMalloc2 *pointer) : heap(pointer)
	{
	}
	template <class Other>
	HeapAllocator(const HeapAllocator<Other> &other) : heap(other.heap)
	{
	}
	CALLS_HOST Value *allocate(size_t count)
	{
		void *block = this;

		CHECK_HR(heap->AllocAligned(count * sizeof(Value), alignof(Value), 0,
					    eProcessCritical, &block),
			 S_OK);
		return static_cast<Value *>(block);
	}
	CALLS_HOST void deallocate(Value *block, size_t)
	{
		CHECK_HR(heap->Free(block), S_OK);
	}
	bool operator==(const HeapAllocator &other) const
	{
		return heap == other.heap;
	}
	bool operator!=(const HeapAllocator &other) const
	{
		return heap != other.heap;
	}

	IHostMalloc2 *heap;
};

CALLS_HOST void a_container_lives_on_a_heap()
{
	Face<IHostMemoryManager> manager(IID_IHostMemoryManager);
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	IHostMalloc *made = nullptr;

	if (!CHECK_HR(manager.result, S_OK) ||
	    !CHECK_HR(manager->CreateMalloc(MALLOC_THREADSAFE, &made), S_OK))
		return;
	Face<IHostMemoryControl> control(manager.pointer, IID_IHostMemoryControl);
	Face<IHostMalloc2> heap(made, IID_IHostMalloc2);
	made->Release();
	if (!CHECK_HR(control.result, S_OK) || !CHECK_HR(heap.result, S_OK))
		return;
	{
		std::map<unsigned, unsigned, std::less<unsigned>,
			 HeapAllocator<std::pair<const unsigned, unsigned>>>
			squares{ HeapAllocator<std::pair<const unsigned, unsigned>>(
				heap.pointer) };

		for (unsigned i = 0; i < 1000; i++)
			squares[i] = i * i;
		CHECK_SIZE(squares.size(), 1000);
		CHECK_U32(squares[999], 998001);
		CHECK_HR(control->GetUsage(&usage), S_OK);
		CHECK_SIZE(usage.cBlocks, 1000);
		CHECK(usage.cbHeap >= 1000 * 2 * sizeof(unsigned));
	}
	CHECK_HR(control->GetUsage(&usage), S_OK);
	CHECK_SIZE(usage.cBlocks, 0);
	CHECK_SIZE(usage.cbHeap, 0);
}

CALLS_HOST void a_block_grows_and_tells_its_size()
{
	Face<IHostMemoryManager> manager(IID_IHostMemoryManager);
	IHostMalloc *made = nullptr;
	void *block = nullptr;
	SIZE_T size = 0;

	if (!CHECK_HR(manager.result, S_OK) ||
	    !CHECK_HR(manager->CreateMalloc(0, &made), S_OK))
		return;
	Face<IHostMalloc2> heap(made, IID_IHostMalloc2);
	made->Release();
	if (!CHECK_HR(heap.result, S_OK))
		return;
	CHECK_HR(heap->Alloc(5, eTaskCritical, &block), S_OK);
	memcpy(block, "host", 5);
	CHECK_HR(heap->Realloc(block, 5000, 0, eTaskCritical, &block), S_OK);
	CHECK_HR(heap->GetSize(block, &size), S_OK);
	CHECK(size >= 5000);
	CHECK_STR(static_cast<char *>(block), "host");
	CHECK_HR(heap->Free(block), S_OK);
	CHECK_HR(heap->Free(block), HOST_E_INVALIDOPERATION);
	CHECK_HR(heap->Trim(&size), S_OK);
}

CALLS_HOST void every_face_leads_to_every_other()
{
	static const IID *const iids[] = {
		&IID_IUnknown,         &IID_IHostControl,       &IID_IHostMemoryManager,
		&IID_IHostGCManager,   &IID_IHostMemoryControl, &IID_IHostMemorySimulator,
		&IID_IHostMemoryPages, &IID_IHostMemoryMonitor,
	};

	for (const IID *from : iids) {
		Face<IUnknown> start(*from);

		if (!CHECK_HR(start.result, S_OK))
			continue;
		for (const IID *to : iids) {
			Face<IUnknown> face(start.pointer, *to);

			CHECK_HR(face.result, S_OK);
		}
		Face<IUnknown> heap(start.pointer, IID_IHostMalloc);
		CHECK_HR(heap.result, E_NOINTERFACE);
		CHECK_POINTER(heap.pointer, nullptr);
	}
}

void library_and_headers_are_of_one_release()
{
	CHECK_STR(HostMemVersion(), HOSTMEM_VERSION);
	CHECK_STR(HostMemResultName(HOST_E_TIMEOUT), "HOST_E_TIMEOUT");
	CHECK_STR(HostMemResultName(static_cast<HRESULT>(0x8007ABCD)), "0x8007abcd");
	CHECK_HR(HostMemHandleFault(nullptr, FALSE), S_FALSE);
}

} // namespace

int main()
{
	TAP_RUN(classes_have_the_slots_of_the_tables);
	TAP_RUN(classes_of_our_own_have_the_slots_of_the_tables);
	TAP_RUN(initialisers_serve_cxx_too);
	TAP_RUN(guids_compare_as_values);
	TAP_RUN(pages_are_managed_through_the_classes);
	TAP_RUN(events_add_up_to_the_usage);
	TAP_RUN(a_subscriber_refuses_a_request);
	TAP_RUN(a_callback_is_held_while_it_is_registered);
	TAP_RUN(a_container_lives_on_a_heap);
	TAP_RUN(a_block_grows_and_tells_its_size);
	TAP_RUN(every_face_leads_to_every_other);
	TAP_RUN(library_and_headers_are_of_one_release);
	return tap_done();
}
