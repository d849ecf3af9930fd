/*
 * The process's mappings: PROCMAP_QUERY (Linux 6.11) on /proc/self/maps, which asks for
 * one address, else the text of that file, read to the place.
 *
 * The file stays open, because a program may be out of descriptors just when it asks.
 * A program may also close every descriptor it does not know, and get the number for a
 * file of its own; so device and inode are compared before each use, and a number that
 * is no longer ours is forgotten, not closed.
 *
 * One lock, so that two threads do not read one file position.  VirtualQuery of memory
 * that is ours never comes here.
 */
#include "mappings.h"
#include "lock.h"
#include "pages.h"
#include "size.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* linux/fs.h of 6.11; older headers lack it. */
struct procmap_query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start;
	uint64_t vma_end;
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t vma_name_size;
	uint32_t build_id_size;
	uint64_t vma_name_addr;
	uint64_t build_id_addr;
};
#define QUERY_MAPPING _IOWR('f', 17, struct procmap_query)
#define QUERY_READABLE 0x01
#define QUERY_WRITABLE 0x02
#define QUERY_EXECUTABLE 0x04
#define QUERY_SHARED 0x08
#define QUERY_COVERING_OR_NEXT 0x10

static struct {
	struct hm_lock lock;
	bool open;
	bool lacks_query; /* this kernel has no PROCMAP_QUERY */
	int file;
	dev_t device;
	ino_t inode;
} maps;

static bool still_ours(void)
{
	struct stat status;

	return maps.open && fstat(maps.file, &status) == 0 &&
	       status.st_dev == maps.device && status.st_ino == maps.inode;
}

static HRESULT open_maps(void)
{
	struct stat status;
	int file;

	if (still_ours())
		return S_OK;
	maps.open = false;
	file = hm_system.open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return E_OUTOFMEMORY;
	if (fstat(file, &status) != 0) {
		(void)hm_system.close(file);
		return E_OUTOFMEMORY;
	}
	maps.file = file;
	maps.device = status.st_dev;
	maps.inode = status.st_ino;
	maps.open = true;
	return S_OK;
}

static HRESULT query(uintptr_t address, struct hm_mapping *out)
{
	struct procmap_query request = {
		.size = sizeof(request),
		.query_flags = QUERY_COVERING_OR_NEXT,
		.query_addr = address,
	};

	if (hm_system.control(maps.file, QUERY_MAPPING, &request) != 0)
		return errno == ENOENT ? S_FALSE : E_NOTIMPL;
	out->start = request.vma_start;
	out->end = request.vma_end;
	out->access = (request.vma_flags & QUERY_READABLE ? HM_ACCESS_READ : 0U) |
		      (request.vma_flags & QUERY_WRITABLE ? HM_ACCESS_WRITE : 0U) |
		      (request.vma_flags & QUERY_EXECUTABLE ? HM_ACCESS_EXECUTE : 0U);
	out->shared = (request.vma_flags & QUERY_SHARED) != 0;
	out->device = makedev(request.dev_major, request.dev_minor);
	out->inode = request.inode;
	return S_OK;
}

/* A number of `base` at *at, which moves behind it; false if there is no digit or the
 * value does not fit. */
static bool parse_number(const char **at, const char *end, unsigned base, uint64_t *out)
{
	const char *start = *at;
	uint64_t value = 0;

	for (; *at < end; (*at)++) {
		char c = **at;
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			break;
		if (digit >= base)
			break;
		if (value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*out = value;
	return *at != start;
}

static bool skip(const char **at, const char *end, char wanted)
{
	if (*at == end || **at != wanted)
		return false;
	(*at)++;
	return true;
}

bool hm_mapping_parse(const char *line, size_t length, struct hm_mapping *out)
{
	const char *at = line;
	const char *end = line + length;
	const char *access;
	uint64_t start, stop, offset, major, minor, inode;

	if (!parse_number(&at, end, 16, &start) || !skip(&at, end, '-') ||
	    !parse_number(&at, end, 16, &stop) || !skip(&at, end, ' ') || end - at < 4)
		return false;
	access = at;
	at += 4;
	if (!skip(&at, end, ' ') || !parse_number(&at, end, 16, &offset) ||
	    !skip(&at, end, ' ') || !parse_number(&at, end, 16, &major) ||
	    !skip(&at, end, ':') || !parse_number(&at, end, 16, &minor) ||
	    !skip(&at, end, ' ') || !parse_number(&at, end, 10, &inode) || start >= stop)
		return false;
	out->start = start;
	out->end = stop;
	out->access = (access[0] == 'r' ? HM_ACCESS_READ : 0U) |
		      (access[1] == 'w' ? HM_ACCESS_WRITE : 0U) |
		      (access[2] == 'x' ? HM_ACCESS_EXECUTE : 0U);
	out->shared = access[3] == 's';
	out->device = makedev((unsigned)major, (unsigned)minor);
	out->inode = inode;
	return true;
}

/*
 * Reads the text to the first line that ends above `address`.  Only the head of a line
 * matters, so a path of any length costs no memory.  The text lists the vsyscall page in
 * the kernel's half, which the query does not know.
 */
static HRESULT scan(uintptr_t address, struct hm_mapping *out)
{
	char buffer[4096], head[128];
	size_t length = 0;
	long got;

	if (lseek(maps.file, 0, SEEK_SET) != 0)
		return E_OUTOFMEMORY;
	while ((got = hm_system.read(maps.file, buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < got; i++) {
			if (buffer[i] != '\n') {
				if (length < sizeof(head))
					head[length++] = buffer[i];
				continue;
			}
			if (hm_mapping_parse(head, length, out) && out->end > address)
				return out->start < HM_SYSTEM_END ? S_OK : S_FALSE;
			length = 0;
		}
	}
	return got == 0 ? S_FALSE : E_OUTOFMEMORY;
}

static HRESULT find_locked(uintptr_t address, struct hm_mapping *out)
{
	HRESULT hr = open_maps();

	if (FAILED(hr))
		return hr;
	if (!maps.lacks_query) {
		hr = query(address, out);
		if (hr != E_NOTIMPL)
			return hr;
		maps.lacks_query = true;
	}
	return scan(address, out);
}

HRESULT hm_mapping_find(uintptr_t address, struct hm_mapping *out)
{
	int kept = errno;
	HRESULT hr;

	hm_lock_acquire(&maps.lock, HM_RANK_MAPPINGS);
	hr = find_locked(address, out);
	hm_lock_release(&maps.lock, HM_RANK_MAPPINGS);
	if (hr != S_OK)
		memset(out, 0, sizeof(*out));
	errno = kept;
	return hr;
}

void hm_mappings_after_fork(void)
{
	int kept = errno;

	if (still_ours())
		(void)close(maps.file);
	maps.open = false;
	errno = kept;
}
