/*
 * A kernel that is an array of pages, behind the library's table of system calls.
 */
#ifndef HOSTMEM_UNIT_KERNEL_H
#define HOSTMEM_UNIT_KERNEL_H

#include "fake.h"
#include "hostmem/os/pages.h"
#include "hostmem/os/size.h"
#include "hostmem/os/spare.h"

#define WINDOW FAKE_BASE
#define WINDOW_PAGES 512U
#define CONTENTS 0x5AU

/* The kernel: pages of a window, and the calls that refuse. */
static struct {
	struct page {
		bool mapped;
		int protection;
		uint8_t contents; /* 0: reads as zero */
	} pages[WINDOW_PAGES];
	uintptr_t places[2]; /* what map without an address gives, in turn */
	uintptr_t wanted;    /* the address of the last map */
	bool exact_is_hint;  /* an old kernel, which does not know MAP_FIXED_NOREPLACE */
	unsigned anywhere, unmaps, protects, advices;
	int map_error, unmap_error, protect_error, advise_error; /* refuse, 0 = do not */
	unsigned protect_refusals;     /* so many calls, then no more */
	size_t half_way;               /* pages that a refusing protect has changed */
	bool no_spare;                 /* the spare mappings cannot be let go */
	unsigned spares;               /* changes of the spare mappings */
	int flags, protection, advice; /* of the last call */
	const char *text;              /* of a file */
	size_t chunk;                  /* bytes of it that one read gives */
	unsigned opened, closed;
} kernel;

static struct hm_system_calls kept;
static const struct hm_page_source *source = &hm_pages_posix;

static inline struct page *page_at(uintptr_t address)
{
	size_t number = (address - WINDOW) / PAGE;

	CHECK_SIZE(address % PAGE, 0);
	return CHECK(number < WINDOW_PAGES) ? &kernel.pages[number] : &kernel.pages[0];
}

static inline int refuse(int error)
{
	errno = error;
	return -1;
}

static inline bool in_window(uintptr_t page)
{
	return page - WINDOW < WINDOW_PAGES * PAGE;
}

/* Where a mapping goes; 0 = the wanted place is taken. */
static inline uintptr_t kernel_place(uintptr_t wanted, size_t size, int flags)
{
	bool exact = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;

	if (!exact || kernel.exact_is_hint)
		return kernel.places[kernel.anywhere++ % 2];
	for (uintptr_t page = wanted; page < wanted + size; page += PAGE) {
		if (!(flags & MAP_FIXED) && in_window(page) && page_at(page)->mapped)
			return 0;
	}
	return wanted;
}

static inline void *kernel_map(void *address, size_t size, int protection, int flags,
			       int file, long offset)
{
	uintptr_t at;

	CHECK_INT(file, -1);
	CHECK_INT(offset, 0);
	kernel.flags = flags;
	kernel.protection = protection;
	kernel.wanted = (uintptr_t)address;
	at = kernel_place(kernel.wanted, size, flags);
	if (kernel.map_error != 0 || at == 0) {
		errno = kernel.map_error != 0 ? kernel.map_error : EEXIST;
		return MAP_FAILED;
	}
	for (uintptr_t page = at; page < at + size; page += PAGE) {
		if (in_window(page))
			*page_at(page) = (struct page){ true, protection, 0 };
	}
	return (void *)at;
}

static inline int kernel_unmap(void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address;

	kernel.unmaps++;
	if (kernel.unmap_error != 0)
		return refuse(kernel.unmap_error);
	for (uintptr_t page = at; page < at + size; page += PAGE) {
		if (in_window(page))
			*page_at(page) = (struct page){ false, 0, 0 };
	}
	return 0;
}

static inline int kernel_protect(void *address, size_t size, int protection)
{
	uintptr_t at = (uintptr_t)address, end = at + size;
	bool refuses;

	if (!in_window(at)) {
		kernel.spares++;
		return kernel.no_spare ? refuse(ENOMEM)
				       : kept.protect(address, size, protection);
	}
	refuses = kernel.protects++ < kernel.protect_refusals;
	kernel.protection = protection;
	if (refuses && kernel.half_way * PAGE < size)
		end = at + kernel.half_way * PAGE;
	for (uintptr_t page = at; page < end; page += PAGE)
		page_at(page)->protection = protection;
	return refuses ? refuse(kernel.protect_error) : 0;
}

static inline int kernel_advise(void *address, size_t size, int advice)
{
	uintptr_t at = (uintptr_t)address;

	kernel.advices++;
	kernel.advice = advice;
	if (kernel.advise_error != 0)
		return refuse(kernel.advise_error);
	for (uintptr_t page = at; page < at + size; page += PAGE)
		page_at(page)->contents = 0;
	return 0;
}

static inline int kernel_name(void *address, size_t size, const char *name)
{
	(void)address, (void)size;
	CHECK(strcmp(name, "hostmem") == 0);
	return refuse(EINVAL);
}

static inline int kernel_open(const char *path, int flags)
{
	(void)path, (void)flags;
	if (kernel.text == NULL)
		return refuse(ENOENT);
	kernel.opened++;
	return 100;
}

static inline long kernel_read(int file, void *buffer, size_t size)
{
	size_t left = strlen(kernel.text);

	CHECK_INT(file, 100);
	size = hm_min(hm_min(size, left), kernel.chunk);
	memcpy(buffer, kernel.text, size);
	kernel.text += size;
	return (long)size;
}

static inline int kernel_close(int file)
{
	CHECK_INT(file, 100);
	kernel.closed++;
	return refuse(EINTR);
}

/* The spare mappings are made by the real kernel, and are no part of the array. */
static inline void start(void)
{
	memset(&kernel, 0, sizeof(kernel));
	CHECK(hm_spare_keep());
	kept = hm_system;
	hm_system.map = kernel_map;
	hm_system.unmap = kernel_unmap;
	hm_system.protect = kernel_protect;
	hm_system.advise = kernel_advise;
	hm_system.name = kernel_name;
	hm_system.open = kernel_open;
	hm_system.read = kernel_read;
	hm_system.close = kernel_close;
	errno = 4711;
}

static inline void end(void)
{
	CHECK_INT(errno, 4711);
	hm_system = kept;
}

static inline void *at_page(size_t page)
{
	return (void *)(WINDOW + page * PAGE);
}

static inline size_t mapped_pages(void)
{
	size_t count = 0;

	for (size_t i = 0; i < WINDOW_PAGES; i++)
		count += kernel.pages[i].mapped;
	return count;
}

#endif
