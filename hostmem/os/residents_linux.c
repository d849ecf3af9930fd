/*
 * Which pages are there: PAGEMAP_SCAN (Linux 6.7) on /proc/self/pagemap.
 *
 * mincore was rejected: it does not see pages that are swapped out, and what it misses
 * would be handed out with somebody's data.  Where the scan cannot be had, the pages are
 * given back to the kernel, which is right as well, and slow.
 *
 * The file stays open.  As with the list of mappings (mappings_linux.c), its number may
 * have been closed by the program and be another file's now, so device and inode are
 * compared before each use.
 *
 * Locks: none.  Whoever opens the file publishes its number; who comes second closes his
 * own.
 */
#include "residents.h"
#include "memory.h"
#include "size.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* linux/fs.h of 6.7; older headers lack it. */
struct page_region {
	uint64_t start, end, categories;
};

struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN _IOWR('f', 16, struct pm_scan_arg)
#define IS_PRESENT (UINT64_C(1) << 3)
#define IS_SWAPPED (UINT64_C(1) << 4)
#define IS_ZERO (UINT64_C(1) << 5)

#define RUNS 16

/* The number of the open file + 1, and its identity; 0: not open. */
static struct {
	_Atomic int file;
	_Atomic uint64_t device, inode;
} pagemap;

static bool is_ours(int file)
{
	struct stat status;

	return fstat(file, &status) == 0 && status.st_dev == pagemap.device &&
	       status.st_ino == pagemap.inode;
}

/* An open pagemap; negative if there is none. */
static int open_pagemap(void)
{
	int known = pagemap.file;
	struct stat status;
	int file;

	if (known > 0 && is_ours(known - 1))
		return known - 1;
	file = hm_system.open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	if (fstat(file, &status) != 0) {
		(void)hm_system.close(file);
		return -1;
	}
	/* All descriptors of one process's pagemap have one identity. */
	pagemap.device = status.st_dev;
	pagemap.inode = status.st_ino;
	if (!atomic_compare_exchange_strong(&pagemap.file, &known, file + 1)) {
		(void)hm_system.close(file);
		return -1;
	}
	return file;
}

/* Zeroes what one scan finds from *start on, and moves *start behind it. */
static bool zero_some(int file, uint64_t *start, uint64_t end)
{
	struct page_region runs[RUNS];
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = *start,
		.end = end,
		.vec = (uintptr_t)runs,
		.vec_len = RUNS,
		.category_anyof_mask = IS_PRESENT | IS_SWAPPED,
		.return_mask = IS_PRESENT | IS_SWAPPED | IS_ZERO,
	};
	int found = hm_system.control(file, SCAN, &scan);

	if (found < 0 || found > RUNS || scan.walk_end <= *start)
		return false;
	for (int i = 0; i < found; i++) {
		/* The kernel's page of zeros is zero already. */
		if (!(runs[i].categories & IS_ZERO))
			memset((void *)(uintptr_t)runs[i].start, 0,
			       (size_t)(runs[i].end - runs[i].start));
	}
	*start = scan.walk_end;
	return true;
}

bool hm_residents_zero(void *address, size_t size)
{
	uint64_t start = (uintptr_t)address, end = start + size;
	int kept = errno;
	int file = open_pagemap();

	while (file >= 0 && start < end && zero_some(file, &start, end))
		;
	errno = kept;
	return start >= end ||
	       hm_memory_drop((void *)(uintptr_t)start, (size_t)(end - start));
}

void hm_residents_after_fork(void)
{
	int file = atomic_exchange(&pagemap.file, 0);

	if (file > 0 && is_ours(file - 1))
		(void)hm_system.close(file - 1);
}
