/*
 * V8's pages as calls of a host.
 *
 * Critical levels.  V8 has an error to throw where it runs out of memory for an ArrayBuffer
 * or for the memory of a WebAssembly program: those requests are task-critical.  It ends the
 * process where it runs out for anything else: those are process-critical.  What pages are
 * for is told by the alignment that V8 asks for: 65536, WebAssembly's own page size, for
 * the memory of such a program; 262144 for a part of its heap; 4096, the least, for code.
 * So AllocatePageSize has to stay 4096: if it was 65536, code would look like such memory.
 *
 * What V8 leaves to its allocator, and what is made of it:
 *
 *   - Addresses that it would like are not looked at; it takes any.
 *   - ReleasePages gives the end of a region back.  FreePages of what is left may come with a
 *     length that is rounded up beyond it, which does no harm: the host knows its length.
 *   - Taking all permissions away decommits, as V8's own allocator does it: the contents may
 *     be lost.  DiscardSystemPages must leave the pages usable, so it is MEM_RESET, and they
 *     stay charged.
 *   - A change of permissions of committed pages charges nothing, and no budget refuses it.
 *
 * V8 calls from several threads.  The lock here is for the list of those few regions that are
 * task-critical; it is not held while the host is called.
 */
#ifndef V8_PAGES_H
#define V8_PAGES_H

#include <hostmem/hostmem.h>

#include <v8-platform.h>

#include <atomic>
#include <map>
#include <mutex>

/* What of a host the adapter calls.  It belongs to the program, and outlives V8. */
struct HostFaces {
	IHostMemoryManager *memory;
	IHostMemoryPages *pages;
	IHostMalloc2 *heap; /* MALLOC_THREADSAFE */
};

class HostPages final : public v8::PageAllocator
{
      public:
	explicit HostPages(const HostFaces *faces) : host(faces)
	{
	}

	/* Calls that did what they were asked for, and commits that the host refused. */
	std::atomic<uint64_t> reserved{ 0 }, released{ 0 }, shrunk{ 0 }, committed{ 0 },
		changed{ 0 }, decommitted{ 0 }, discarded{ 0 }, refused{ 0 };

	size_t AllocatePageSize() override
	{
		return page;
	}

	size_t CommitPageSize() override
	{
		return page;
	}

	void SetRandomMmapSeed(int64_t) override
	{
	}

	void *GetRandomMmapAddr() override
	{
		return nullptr;
	}

	void *AllocatePages(void *, size_t length, size_t alignment,
			    Permission permissions) override
	{
		bool reserve = permissions == kNoAccess ||
			       permissions == kNoAccessWillJitLater;
		EMemoryCriticalLevel level = alignment == wasm_page ? eTaskCritical
								    : eProcessCritical;
		void *region;
		HRESULT hr = host->pages->ReserveAligned(
			length, alignment,
			reserve ? MEM_RESERVE : MEM_RESERVE | MEM_COMMIT,
			protection_of(permissions), level, &region);

		if (count(hr, reserved) && level == eTaskCritical) {
			std::lock_guard<std::mutex> hold(lock);
			refusable[address_of(region)] = length;
		}
		return region;
	}

	/* The length is that of the region, or more. */
	bool FreePages(void *region, size_t) override
	{
		{
			std::lock_guard<std::mutex> hold(lock);
			refusable.erase(address_of(region));
		}
		return count(host->memory->VirtualFree(region, 0, MEM_RELEASE), released);
	}

	bool ReleasePages(void *region, size_t length, size_t kept) override
	{
		return count(host->pages->ReleaseRange(static_cast<char *>(region) + kept,
						       length - kept),
			     shrunk);
	}

	bool SetPermissions(void *address, size_t length, Permission permissions) override
	{
		DWORD old, protect = protection_of(permissions);

		if (protect == PAGE_NOACCESS)
			return DecommitPages(address, length);
		if (count(host->memory->VirtualProtect(address, length, protect, &old),
			  changed))
			return true;
		return count(host->memory->VirtualAlloc(address, length, MEM_COMMIT,
							protect, level_of(address),
							&address),
			     committed);
	}

	bool DiscardSystemPages(void *address, size_t length) override
	{
		return count(host->memory->VirtualAlloc(address, length, MEM_RESET,
							PAGE_NOACCESS, eTaskCritical,
							&address),
			     discarded);
	}

	bool DecommitPages(void *address, size_t length) override
	{
		return count(host->memory->VirtualFree(address, length, MEM_DECOMMIT),
			     decommitted);
	}

      private:
	static constexpr size_t page = 4096;
	static constexpr size_t wasm_page = 65536;

	const HostFaces *host;
	std::mutex lock;                       /* of the list */
	std::map<uintptr_t, size_t> refusable; /* bytes of each region, by its address */

	static uintptr_t address_of(void *address)
	{
		return reinterpret_cast<uintptr_t>(address);
	}

	static DWORD protection_of(Permission permissions)
	{
		switch (permissions) {
		case kRead:
			return PAGE_READONLY;
		case kReadWrite:
			return PAGE_READWRITE;
		case kReadWriteExecute:
			return PAGE_EXECUTE_READWRITE;
		case kReadExecute:
			return PAGE_EXECUTE_READ;
		default:
			return PAGE_NOACCESS;
		}
	}

	EMemoryCriticalLevel level_of(void *address)
	{
		std::lock_guard<std::mutex> hold(lock);
		auto next = refusable.upper_bound(address_of(address));

		if (next == refusable.begin())
			return eProcessCritical;
		--next;
		return address_of(address) - next->first < next->second
			       ? eTaskCritical
			       : eProcessCritical;
	}

	bool count(HRESULT hr, std::atomic<uint64_t> &good)
	{
		if (SUCCEEDED(hr))
			good++;
		else if (hr == E_OUTOFMEMORY)
			refused++;
		return SUCCEEDED(hr);
	}
};

#endif /* V8_PAGES_H */
