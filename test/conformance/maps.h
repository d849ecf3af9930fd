/*
 * Memory that is no host's: mappings of the test's own, and what the text of
 * /proc/self/maps says about an address, as VirtualQuery has to tell it.
 */
#ifndef HOSTMEM_CONFORMANCE_MAPS_H
#define HOSTMEM_CONFORMANCE_MAPS_H

#include "host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The pages in the middle of a gap, so that the system merges them with nothing else. */
static inline unsigned char *pages_alone(size_t pages, int protect)
{
	unsigned char *gap = (unsigned char *)mmap(NULL, (pages + 2) * PAGE, PROT_NONE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!CHECK(gap != MAP_FAILED))
		return NULL;
	CHECK(munmap(gap, PAGE) == 0);
	CHECK(munmap(gap + (pages + 1) * PAGE, PAGE) == 0);
	CHECK(mprotect(gap + PAGE, pages * PAGE, protect) == 0);
	return gap + PAGE;
}

/*
 * Addresses that are nobody's, not even kept by a host for later; a multiple of UNIT.  They
 * are the low end of a gap, as what is mapped next goes to the high one.
 */
static inline unsigned char *pages_hole(size_t size)
{
	size_t all = size + 0x4000000;
	char *gap = (char *)mmap(NULL, all, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!CHECK(gap != MAP_FAILED))
		return NULL;
	CHECK(munmap(gap, all) == 0);
	return (unsigned char *)(((uintptr_t)gap + UNIT - 1) / UNIT * UNIT);
}

struct maps_line {
	uintptr_t start, end;
	char access[5];
	char device[16];
	unsigned long inode;
};

enum { MAPS_LINES = 4096 };

static struct maps_line maps_lines[MAPS_LINES];
static size_t maps_count;

static inline void maps_parse(const char *text)
{
	struct maps_line *line = &maps_lines[maps_count];
	unsigned long start, end;

	if (maps_count < MAPS_LINES &&
	    sscanf(text, "%lx-%lx %4s %*x %15s %lu", &start, &end, line->access,
		   line->device, &line->inode) == 5) {
		line->start = start;
		line->end = end;
		maps_count++;
	}
}

/* Without malloc, whose arena is part of what is read. */
static inline void maps_read(void)
{
	static char text[1 << 20];
	size_t length = 0;
	ssize_t got;
	int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	maps_count = 0;
	if (file < 0)
		return;
	while (length < sizeof(text) - 1 &&
	       (got = read(file, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	close(file);
	text[length] = '\0';
	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL;
	     line = end + 1) {
		*end = '\0';
		maps_parse(line);
	}
}

static inline DWORD maps_protection(const struct maps_line *line)
{
	bool reads = line->access[0] == 'r';
	bool writes = line->access[1] == 'w';

	if (line->access[2] == 'x')
		return writes  ? PAGE_EXECUTE_READWRITE
		       : reads ? PAGE_EXECUTE_READ
			       : PAGE_EXECUTE;
	return writes ? PAGE_READWRITE : reads ? PAGE_READONLY : PAGE_NOACCESS;
}

/* Whether a line and the one after it are one allocation. */
static inline bool maps_joined(size_t line)
{
	const struct maps_line *a = &maps_lines[line], *b = a + 1;

	return line + 1 < maps_count && a->end == b->start && a->inode != 0 &&
	       a->inode == b->inode && strcmp(a->device, b->device) == 0;
}

static inline void maps_describe(size_t at, uintptr_t page,
				 MEMORY_BASIC_INFORMATION *want)
{
	DWORD protect = maps_protection(&maps_lines[at]);
	bool executable = false;
	size_t first = at, last = at;

	while (first > 0 && maps_joined(first - 1))
		first--;
	while (maps_joined(last) && maps_protection(&maps_lines[last + 1]) == protect)
		last++;
	for (size_t line = first; line == first || maps_joined(line - 1); line++)
		executable |= maps_lines[line].access[2] == 'x';
	want->BaseAddress = (void *)page;
	want->AllocationBase = (void *)maps_lines[first].start;
	want->AllocationProtect = maps_protection(&maps_lines[first]);
	want->RegionSize = maps_lines[last].end - page;
	want->State = MEM_COMMIT;
	want->Protect = protect;
	want->Type = maps_lines[at].inode == 0 ? MEM_PRIVATE
		     : executable              ? MEM_IMAGE
					       : MEM_MAPPED;
}

/* What VirtualQuery has to tell about an address; false: nothing is mapped there. */
static inline bool maps_truth(const void *address, MEMORY_BASIC_INFORMATION *want)
{
	uintptr_t page = (uintptr_t)address & ~(uintptr_t)0xFFF;

	memset(want, 0, sizeof(*want));
	maps_read();
	for (size_t line = 0; line < maps_count; line++) {
		if (page >= maps_lines[line].start && page < maps_lines[line].end) {
			maps_describe(line, page, want);
			return true;
		}
	}
	return false;
}

#endif
