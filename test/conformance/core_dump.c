/*
 * A core dump of a process with a host: what is committed is in it, and a reserve costs
 * nothing, neither in its headers nor on the disk.
 *
 * The dump is a real one, in a folder of its own; where the system sends dumps elsewhere,
 * there is nothing to look at.
 */
#include "child.h"
#include "host.h"
#include "retain.h"

#include <dirent.h>
#include <elf.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#ifndef SEEK_DATA
#define SEEK_DATA 3
#endif

#define RESERVE (1024 * MIB)
#define OURS (64 * MIB) /* more than all the rest of this process */

enum { PIECES = 8 };

/* What the child that dies has written where: shared with its parent. */
static struct notes {
	unsigned char *base;
	uint64_t size;
	struct piece {
		unsigned char *address;
		size_t size;
		unsigned char value;
	} pieces[PIECES];
	unsigned count;
	unsigned char *holes; /* open, and not committed */
	size_t hole_size;
} * notes;

static char folder[] = "/tmp/hostmem-core-XXXXXX";
static int core = -1;

/* ---- The process that dies ---- */

static void write_piece(const struct host *host, unsigned char *address, size_t size,
			DWORD protect)
{
	struct piece *piece = &notes->pieces[notes->count++];
	DWORD old;

	CHECK_HR(vm_commit(host, address, size, PAGE_READWRITE), S_OK);
	*piece = (struct piece){ address, size, (unsigned char)(0x11 * notes->count) };
	memset(address, piece->value, size);
	if (protect != PAGE_READWRITE)
		CHECK_HR(vm_protect(host, address, size, protect, &old), S_OK);
}

static void furnish(void)
{
	unsigned char *base, *small;
	struct host host;

	notes->count = 0;
	if (!host_create(&host, 0))
		return;
	base = vm_new(&host, RESERVE, MEM_RESERVE, PAGE_READWRITE);
	notes->base = base;
	notes->size = RESERVE;
	write_piece(&host, base + 10 * PAGE, PAGE, PAGE_READWRITE);
	write_piece(&host, base + 100 * MIB, 3 * PAGE, PAGE_READONLY);
	write_piece(&host, base + 500 * MIB + 17 * PAGE, 2 * MIB, PAGE_READWRITE);
	write_piece(&host, base + RESERVE - PAGE, PAGE, PAGE_READWRITE);
	/* Open memory with next to nothing in it. */
	notes->holes = base + 200 * MIB;
	notes->hole_size = MIB;
	CHECK_HR(vm_commit(&host, notes->holes, MIB, PAGE_READWRITE), S_OK);
	memset(notes->holes, 0x77, MIB);
	CHECK_HR(vm_free(&host, notes->holes + PAGE, MIB / 4, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_free(&host, notes->holes + MIB / 4, 3 * MIB / 4, MEM_DECOMMIT), S_OK);
	/* A reservation that has lost a page. */
	small = vm_new(&host, 2 * UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, small + 3 * PAGE, PAGE), S_OK);
	write_piece(&host, small + PAGE, PAGE, PAGE_READWRITE);
	write_piece(&host, small + 5 * PAGE, 2 * PAGE, PAGE_READONLY);
}

static void die(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) != 0 || chdir(folder) != 0)
		_exit(2);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_CORE, &limit);
	(void)prctl(PR_SET_DUMPABLE, 1);
	furnish();
	if (tap_failed())
		_exit(3);
	(void)signal(SIGABRT, SIG_DFL);
	abort();
}

/* ---- Its dump ---- */

/* Whether dumps are files in the folder that a process is in; else why not. */
static const char *obstacle(void)
{
	static char pattern[256];
	struct rlimit limit;
	int file = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	ssize_t got = file >= 0 ? read(file, pattern, sizeof(pattern) - 1) : -1;

	if (file >= 0)
		(void)close(file);
	if (got <= 1)
		return "the system's pattern for core dumps cannot be read";
	if (pattern[0] == '|' || strchr(pattern, '/') != NULL)
		return "core dumps go elsewhere on this system";
	if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max < 2 * OURS)
		return "core dumps are not allowed";
	return SANITIZED ? "a sanitizer's memory is in its dumps" : NULL;
}

/* Opens the one file of the folder, and removes it. */
static int take_dump(void)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	int file = -1;

	while (CHECK(directory != NULL) && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		file = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
		CHECK(unlinkat(dirfd(directory), entry->d_name, 0) == 0);
	}
	if (directory != NULL)
		(void)closedir(directory);
	CHECK(rmdir(folder) == 0);
	return file;
}

static void make_dump(void)
{
	int status = 0;
	pid_t child;

	if (!CHECK(mkdtemp(folder) != NULL))
		return;
	notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	child = fork();
	if (child == 0)
		die();
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	core = take_dump();
}

/* ---- Reading it ---- */

static Elf64_Phdr segments[8192];
static size_t segment_count;

static bool read_headers(void)
{
	Elf64_Ehdr head;

	if (core < 0)
		tap_skip("the system wrote no dump, whatever it says");
	if (core < 0 || !CHECK(pread(core, &head, sizeof(head), 0) == sizeof(head)))
		return false;
	segment_count = head.e_phnum;
	return CHECK(memcmp(head.e_ident, ELFMAG, SELFMAG) == 0) &&
	       CHECK(segment_count != 0 && segment_count <= ROWS(segments)) &&
	       CHECK(pread(core, segments, segment_count * sizeof(segments[0]),
			   (off_t)head.e_phoff) ==
		     (ssize_t)(segment_count * sizeof(segments[0])));
}

/* Where a page is in the file; 0 = it is not. */
static off_t offset_of(const unsigned char *address)
{
	for (size_t i = 0; i < segment_count; i++) {
		const Elf64_Phdr *segment = &segments[i];
		uintptr_t into = (uintptr_t)address - segment->p_vaddr;

		if (segment->p_type == PT_LOAD &&
		    (uintptr_t)address >= segment->p_vaddr && into < segment->p_filesz)
			return (off_t)(segment->p_offset + into);
	}
	return 0;
}

static void committed_pages_are_in_it(void)
{
	static unsigned char page[PAGE];

	if (!read_headers())
		return;
	CHECK_U32(notes->count, 6);
	for (unsigned i = 0; i < notes->count; i++) {
		const struct piece *piece = &notes->pieces[i];

		tap_row("piece %u", i);
		for (size_t at_byte = 0; at_byte < piece->size; at_byte += PAGE) {
			off_t offset = offset_of(piece->address + at_byte);

			if (!CHECK(offset != 0) ||
			    !CHECK(pread(core, page, PAGE, offset) == (ssize_t)PAGE) ||
			    !CHECK(page[0] == piece->value &&
				   memcmp(page, page + 1, PAGE - 1) == 0))
				break;
		}
	}
}

/* Bytes of the reservation that the headers say are in the file. */
static uint64_t told(void)
{
	uint64_t start = (uintptr_t)notes->base, end = start + notes->size, sum = 0;

	for (size_t i = 0; i < segment_count; i++) {
		const Elf64_Phdr *segment = &segments[i];
		uint64_t low = segment->p_vaddr > start ? segment->p_vaddr : start;
		uint64_t high = segment->p_vaddr + segment->p_filesz;

		high = high < end ? high : end;
		if (segment->p_type == PT_LOAD && low < high)
			sum += high - low;
	}
	return sum;
}

static void the_reserve_is_not_in_it(void)
{
	struct stat status;

	if (!read_headers())
		return;
	/* Five places in it, with what is around them. */
	CHECK(told() <= 16 * MIB);
	CHECK(fstat(core, &status) == 0);
	CHECK((size_t)status.st_size <= OURS);
	CHECK((size_t)status.st_blocks * 512 <= OURS);
}

/* Whether files in this file system have holes at all. */
static bool has_holes(void)
{
	FILE *file = tmpfile();
	bool has = file != NULL && ftruncate(fileno(file), MIB) == 0 &&
		   lseek(fileno(file), 0, SEEK_DATA) < 0;

	if (file != NULL)
		(void)fclose(file);
	return has;
}

static void pages_that_are_not_committed_cost_no_disk(void)
{
	size_t data = 0;

	if (!read_headers())
		return;
	if (!has_holes()) {
		tap_skip("files have no holes here");
		return;
	}
	for (size_t i = 0; i < notes->hole_size; i += PAGE) {
		off_t offset = offset_of(notes->holes + i);

		if (offset != 0 && lseek(core, offset, SEEK_DATA) == offset)
			data++;
	}
	/* The page that is still committed, and perhaps a block around it. */
	CHECK(data >= 1 && data <= 16);
}

int main(void)
{
	const char *reason = obstacle();

	if (reason != NULL) {
		tap_skip("%s", reason);
		return tap_done();
	}
	make_dump();
	TAP_RUN(committed_pages_are_in_it);
	TAP_RUN(the_reserve_is_not_in_it);
	TAP_RUN(pages_that_are_not_committed_cost_no_disk);
	return tap_done();
}
