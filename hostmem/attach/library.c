/*
 * One loaded library's imports, made those of the translator.
 *
 * The patch is never undone: the library's memory is the host's from then on.
 *
 * Locks: the system's of loaded libraries, while the imports are replaced.
 */
#include "attached.h"
#include "hostmem/os/images.h"

#include <stdint.h>

#define IMPORT(symbol, function) \
	{ \
		symbol, (void *)(uintptr_t)(function), NULL, 0 \
	}

HRESULT HostMemAttachLibrary(const char *library, uint32_t *pSlots)
{
	struct hm_image_import imports[] = {
		IMPORT("mmap", HostMemMmap),
		IMPORT("mmap64", HostMemMmap),
		IMPORT("munmap", HostMemMunmap),
		IMPORT("mprotect", HostMemMprotect),
		IMPORT("madvise", HostMemMadvise),
		IMPORT("mremap", HostMemMremap),
		IMPORT("malloc", HostMemMalloc),
		IMPORT("calloc", HostMemCalloc),
		IMPORT("realloc", HostMemRealloc),
		IMPORT("reallocarray", HostMemReallocArray),
		IMPORT("free", HostMemFree),
		IMPORT("posix_memalign", HostMemPosixMemalign),
		IMPORT("aligned_alloc", HostMemAlignedAlloc),
		IMPORT("memalign", HostMemAlignedAlloc),
		IMPORT("malloc_usable_size", HostMemMallocUsableSize),
		IMPORT("strdup", HostMemStrdup),
		IMPORT("__strdup", HostMemStrdup),
		IMPORT("strndup", HostMemStrndup),
	};
	const size_t count = sizeof(imports) / sizeof(imports[0]);
	struct hm_image_patch *patch;
	uint32_t slots = 0;
	HRESULT hr;

	if (pSlots != NULL)
		*pSlots = 0;
	if (library == NULL)
		return E_POINTER;
	if (!hm_is_attached())
		return HOST_E_INVALIDOPERATION;
	hr = hm_image_patch(library, NULL, imports, count, &patch);
	for (size_t i = 0; i < count; i++)
		slots += (uint32_t)imports[i].slots;
	if (SUCCEEDED(hr) && pSlots != NULL)
		*pSlots = slots;
	return SUCCEEDED(hr) ? S_OK : hr;
}
