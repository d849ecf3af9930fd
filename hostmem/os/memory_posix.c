/*
 * The system's memory calls: translates errors, keeps errno, knows which call does what.
 *
 * Mappings are private, anonymous and not charged (MAP_NORESERVE).  Where the kernel has
 * no room for one more mapping, calls that give memory back ask once more after the
 * mappings that are kept back for them have been let go (spare.h); calls that take memory
 * first see to it that those are there.
 *
 * No locks.  errno is kept: it is the runtime's, and may be in use by its caller.
 */
#include "memory.h"
#include "check.h"
#include "size.h"
#include "spare.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* Linux 6.13. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define OUR_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define HUGE_PAGE ((size_t)2 << 20)

static HRESULT hresult_from_errno(int error)
{
	switch (error) {
	case ENOMEM:
	case EAGAIN: /* RLIMIT_MEMLOCK under mlockall */
		return E_OUTOFMEMORY;
	case EACCES:
	case EPERM: /* a policy such as PR_SET_MDWE */
		return E_ACCESSDENIED;
	case EEXIST:
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	default:
		return E_FAIL;
	}
}

static int protection_from_access(unsigned access)
{
	int protection = PROT_NONE;

	if (access & HM_ACCESS_READ)
		protection |= PROT_READ;
	if (access & HM_ACCESS_WRITE)
		protection |= PROT_READ | PROT_WRITE;
	/* PROT_EXEC alone may become execute-only, which PAGE_EXECUTE on x86-64 is not. */
	if (access & HM_ACCESS_EXECUTE)
		protection |= PROT_READ | PROT_EXEC;
	return protection;
}

static void assert_range(const void *address, size_t size)
{
	hm_assert(size != 0 && size % HM_PAGE_SIZE == 0);
	hm_assert((uintptr_t)address % HM_PAGE_SIZE == 0);
	(void)address;
	(void)size;
}

/* So that a reader of /proc/PID/maps knows whose memory it is. */
static void give_name(void *address, size_t size)
{
	static _Atomic bool unknown;
	int kept = errno;

	/* Before Linux 5.17, or built without: no need to ask again. */
	if (atomic_load_explicit(&unknown, memory_order_relaxed))
		return;
	if (hm_system.name(address, size, "hostmem") != 0 && errno == EINVAL)
		atomic_store_explicit(&unknown, true, memory_order_relaxed);
	errno = kept;
}

static HRESULT map(void *wanted, size_t size, int protection, int flags, void **out)
{
	int kept = errno;
	void *address;
	HRESULT hr;

	assert_range(wanted, size);
	address = hm_system.map(wanted, size, protection, flags, -1, 0);
	*out = NULL;
	if (address == MAP_FAILED) {
		hr = hresult_from_errno(errno);
		errno = kept;
		return hr;
	}
	give_name(address, size);
	*out = address;
	return S_OK;
}

HRESULT hm_memory_map(void *wanted, size_t size, unsigned access, unsigned flags,
		      void **out)
{
	int mapping = OUR_FLAGS;

	*out = NULL;
	if (!hm_spare_keep())
		return E_OUTOFMEMORY;
	if (flags & HM_MAP_LARGE)
		mapping = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	if (flags & HM_MAP_EXACTLY)
		mapping |= MAP_FIXED_NOREPLACE;
	return map(wanted, size, protection_from_access(access), mapping, out);
}

static HRESULT unmap(void *address, size_t size)
{
	int kept = errno;
	HRESULT hr;

	assert_range(address, size);
	if (hm_system.unmap(address, size) == 0)
		return S_OK;
	hr = hresult_from_errno(errno);
	errno = kept;
	return hr;
}

HRESULT hm_memory_unmap(void *address, size_t size)
{
	HRESULT hr = unmap(address, size);

	return hr == E_OUTOFMEMORY && hm_spare_use() ? unmap(address, size) : hr;
}

static HRESULT protect(void *address, size_t size, unsigned access)
{
	int kept = errno;
	HRESULT hr;

	assert_range(address, size);
	if (hm_system.protect(address, size, protection_from_access(access)) == 0)
		return S_OK;
	hr = hresult_from_errno(errno);
	errno = kept;
	return hr;
}

HRESULT hm_memory_put_back(void *address, size_t size, unsigned access)
{
	HRESULT hr = protect(address, size, access);

	return hr == E_OUTOFMEMORY && hm_spare_use() ? protect(address, size, access)
						     : hr;
}

HRESULT hm_memory_protect(void *address, size_t size, unsigned access)
{
	/* Taking all access away is giving back. */
	if (access == HM_ACCESS_NONE)
		return hm_memory_put_back(address, size, access);
	return hm_spare_keep() ? protect(address, size, access) : E_OUTOFMEMORY;
}

HRESULT hm_memory_blank(void *address, size_t size)
{
	int flags = OUR_FLAGS | MAP_FIXED;
	void *mapped;
	HRESULT hr = map(address, size, PROT_NONE, flags, &mapped);

	if (hr == E_OUTOFMEMORY && hm_spare_use())
		hr = map(address, size, PROT_NONE, flags, &mapped);
	return hr;
}

static HRESULT advise(void *address, size_t size, int advice)
{
	int kept = errno;
	HRESULT hr;

	assert_range(address, size);
	if (hm_system.advise(address, size, advice) == 0)
		return S_OK;
	hr = hresult_from_errno(errno);
	errno = kept;
	return hr;
}

HRESULT hm_memory_clear(void *address, size_t size)
{
	if (SUCCEEDED(hm_memory_blank(address, size)))
		return S_OK;
	if (!hm_memory_drop(address, size))
		return E_FAIL;
	return FAILED(hm_memory_protect(address, size, HM_ACCESS_NONE)) ? S_FALSE : S_OK;
}

bool hm_memory_drop(void *address, size_t size)
{
	/* Locked pages (mlockall) go by the second advice only. */
	return SUCCEEDED(advise(address, size, MADV_DONTNEED)) ||
	       SUCCEEDED(advise(address, size, MADV_DONTNEED_LOCKED));
}

void hm_memory_discard(void *address, size_t size)
{
	(void)advise(address, size, MADV_FREE);
}

/* Asks the system for a guard page; S_OK, E_FAIL: it knows none, else: not now. */
static HRESULT try_guard(void)
{
	void *page;
	HRESULT hr = map(NULL, HM_PAGE_SIZE, PROT_NONE, OUR_FLAGS, &page);

	if (FAILED(hr))
		return E_OUTOFMEMORY;
	hr = advise(page, HM_PAGE_SIZE, MADV_GUARD_INSTALL);
	/* A page that stays mapped harms nobody. */
	(void)unmap(page, HM_PAGE_SIZE);
	return hr;
}

bool hm_memory_has_guards(void)
{
	enum { UNKNOWN, YES, NO };
	static _Atomic int answer;
	HRESULT hr;

	if (atomic_load_explicit(&answer, memory_order_relaxed) == UNKNOWN) {
		hr = try_guard();
		if (hr == E_OUTOFMEMORY)
			return false;
		atomic_store_explicit(&answer, SUCCEEDED(hr) ? YES : NO,
				      memory_order_relaxed);
	}
	return atomic_load_explicit(&answer, memory_order_relaxed) == YES;
}

HRESULT hm_memory_guard(void *address, size_t size)
{
	return advise(address, size, MADV_GUARD_INSTALL);
}

HRESULT hm_memory_unguard(void *address, size_t size)
{
	return advise(address, size, MADV_GUARD_REMOVE);
}

void hm_memory_dump(void *address, size_t size, bool included)
{
	(void)advise(address, size, included ? MADV_DODUMP : MADV_DONTDUMP);
}

/*
 * How a mapping is read ahead matters for files only.  That it is a property of the mapping
 * is what counts: the kernel merges those that have the same ones.
 */
void hm_memory_set_apart(void *address, size_t size, enum hm_apart apart)
{
	static const int advice[] = {
		[HM_APART_NOT] = MADV_NORMAL,
		[HM_APART_ONE_WAY] = MADV_RANDOM,
		[HM_APART_OTHER_WAY] = MADV_SEQUENTIAL,
	};

	(void)advise(address, size, advice[apart]);
}

void hm_memory_prefer_huge(void *address, size_t size)
{
	uintptr_t start = hm_round_up((uintptr_t)address, HUGE_PAGE);
	uintptr_t end = hm_round_down((uintptr_t)address + size, HUGE_PAGE);

	if (start < end)
		(void)advise((void *)start, end - start, MADV_HUGEPAGE);
}

bool hm_memory_keep_mergeable(void *address)
{
	if (FAILED(protect(address, HM_PAGE_SIZE, HM_ACCESS_WRITE)))
		return true;
	*(volatile char *)address = 0;
	if (FAILED(hm_memory_put_back(address, HM_PAGE_SIZE, HM_ACCESS_NONE)))
		return false;
	(void)hm_memory_drop(address, HM_PAGE_SIZE);
	return true;
}

static size_t limit_of(__rlimit_resource_t resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return limit.rlim_cur;
}

size_t hm_memory_space(void)
{
	return limit_of(RLIMIT_AS);
}

size_t hm_memory_writable(void)
{
	return limit_of(RLIMIT_DATA);
}

bool hm_memory_is_counted(void)
{
	int kept = errno;
	int file = hm_system.open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
	char digit = '0';

	if (file >= 0) {
		(void)hm_system.read(file, &digit, 1);
		(void)hm_system.close(file);
	}
	errno = kept;
	return digit == '2';
}
