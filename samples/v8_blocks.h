/*
 * What V8 would take from malloc, as blocks of a host's heap: the contents of ArrayBuffers,
 * and zones, in which its parser and compilers work.
 *
 * Contents are task-critical: V8 collects twice when they are refused, and then throws a
 * RangeError.  Zones are process-critical, since V8 ends the process without them.  Both
 * are freed on threads of V8's, too, so the heap is MALLOC_THREADSAFE.
 *
 * One zone stays for as long as the process, after V8::Dispose too: a table that V8's
 * optimizing compiler has made once.
 */
#ifndef V8_BLOCKS_H
#define V8_BLOCKS_H

#include "v8_pages.h"

#include <v8-array-buffer.h>

/* What both allocators of blocks count. */
struct BlockCounts {
	std::atomic<uint64_t> allocated{ 0 }, freed{ 0 };

	void *count(HRESULT hr, void *block)
	{
		allocated += SUCCEEDED(hr);
		return block; /* NULL if it was refused */
	}

	void free(IHostMalloc2 *heap, void *block)
	{
		freed += block != nullptr && SUCCEEDED(heap->Free(block));
	}
};

class HostBuffers final : public v8::ArrayBuffer::Allocator, public BlockCounts
{
      public:
	explicit HostBuffers(const HostFaces *faces) : host(faces)
	{
	}

	void *Allocate(size_t length) override
	{
		return allocate(length, HOSTMEM_HEAP_ZERO);
	}

	void *AllocateUninitialized(size_t length) override
	{
		return allocate(length, 0);
	}

	void Free(void *block, size_t) override
	{
		free(host->heap, block);
	}

      private:
	const HostFaces *host;

	void *allocate(size_t length, DWORD flags)
	{
		void *block;
		HRESULT hr = host->heap->AllocAligned(length, 0, flags, eTaskCritical,
						      &block);

		return count(hr, block);
	}
};

/* V8 takes plain functions here, so there is one for the process. */
class HostZones final : public v8::ZoneBackingAllocator, public BlockCounts
{
      public:
	explicit HostZones(const HostFaces *faces) : host(faces)
	{
		only = this;
	}

	MallocFn GetMallocFn() const override
	{
		return [](size_t size) {
			void *block;
			HRESULT hr = only->host->heap->Alloc(size, eProcessCritical,
							     &block);

			return only->count(hr, block);
		};
	}

	FreeFn GetFreeFn() const override
	{
		return [](void *block) { only->free(only->host->heap, block); };
	}

      private:
	static inline HostZones *only;

	const HostFaces *host;
};

#endif /* V8_BLOCKS_H */
