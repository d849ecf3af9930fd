/*
 * The wrapper's VirtualAlloc.
 *
 * A defect changes what is asked of the good host, does something besides, or changes what the
 * good host has answered.
 */
#include "wrapper.h"

#include <string.h>
#include <unistd.h>

#define BOTH (MEM_RESERVE | MEM_COMMIT)
#define KNOWN_TYPES \
	(BOTH | MEM_TOP_DOWN | MEM_RESET | MEM_RESET_UNDO | MEM_LARGE_PAGES | \
	 MEM_WRITE_WATCH | MEM_PHYSICAL)
#define NOT_THERE HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

struct request {
	void *address;
	SIZE_T size;
	DWORD type, protect;
	EMemoryCriticalLevel level;
	void **out;
	/* The first page as it was before. */
	MEMORY_BASIC_INFORMATION before;
};

static HRESULT ask(struct wrapper *self, const struct request *r)
{
	return IHostMemoryManager_VirtualAlloc(self->memory, r->address, r->size, r->type,
					       r->protect, r->level, r->out);
}

static bool commits_again(const struct request *r)
{
	return r->type == MEM_COMMIT && r->before.State == MEM_COMMIT;
}

/* ---- What is asked ---- */

/* Bad sizes, places and types that become good ones. */
static void accept_more(struct request *r)
{
	if (defect("alloc-size-0-accepted") && r->size == 0)
		r->size = PAGE;
	if (defect("alloc-size-wraps") && r->size > SIZE_MAX - PAGE)
		r->size += PAGE;
	if (defect("alloc-size-cut-to-32-bits"))
		r->size = (uint32_t)r->size;
	if (defect("alloc-low-address-accepted") && (uintptr_t)r->address < GRANULE)
		r->address = NULL;
	if (defect("alloc-unknown-flags-accepted"))
		r->type &= KNOWN_TYPES;
	if (defect("alloc-physical-accepted"))
		r->type &= ~MEM_PHYSICAL;
	if (defect("alloc-reset-with-others-accepted") && (r->type & MEM_RESET) != 0)
		r->type = MEM_RESET;
	if (defect("alloc-top-down-alone-accepted") && r->type == MEM_TOP_DOWN)
		r->type = MEM_TOP_DOWN | MEM_RESERVE;
	if (defect("alloc-level-3-accepted") && r->level > eProcessCritical)
		r->level = eProcessCritical;
}

static void accept_protections(struct request *r)
{
	if (defect("alloc-protection-0-accepted") && r->protect == 0)
		r->protect = PAGE_READWRITE;
	if (defect("alloc-writecopy-accepted") && r->protect == PAGE_WRITECOPY)
		r->protect = PAGE_READWRITE;
	if (defect("alloc-two-protections-accepted"))
		r->protect &= 0U - r->protect; /* the lowest bit */
	if (defect("alloc-guard-dropped"))
		r->protect &= ~PAGE_GUARD;
	if (defect("alloc-execute-dropped") && r->protect == PAGE_EXECUTE_READWRITE)
		r->protect = PAGE_READWRITE;
	if (defect("alloc-readonly-is-writable") && r->protect == PAGE_READONLY)
		r->protect = PAGE_READWRITE;
}

/* Good arguments that become other ones. */
static void ask_for_something_else(struct request *r)
{
	size_t before_it = (uintptr_t)r->address % PAGE;

	if (defect("commit-page-less") && r->type == MEM_COMMIT && r->size > PAGE)
		r->size -= PAGE;
	if (defect("alloc-size-rounds-down") && r->size > PAGE)
		r->size &= ~(SIZE_T)(PAGE - 1);
	/* Rounds the size, and then the address. */
	if (defect("commit-second-page-forgotten") && r->type == MEM_COMMIT &&
	    r->size <= PAGE - 1 && before_it + r->size > PAGE)
		r->address = at(r->address, 0 - before_it);
	if (defect("budget-level-ignored") && r->level < eProcessCritical)
		r->level = eProcessCritical;
	if (defect("budget-levels-upside-down") && (DWORD)r->level <= eProcessCritical)
		r->level = (EMemoryCriticalLevel)(eProcessCritical - r->level);
	if (defect("reserve-commits") && r->type == MEM_RESERVE &&
	    r->protect == PAGE_READWRITE)
		r->type = BOTH;
	if (defect("reset-page-more") && r->type == MEM_RESET)
		r->size += PAGE;
}

static bool refuses(const struct wrapper *self, const struct request *r)
{
	if (defect("gate-stops-its-owner") && self->gates > 0)
		return true;
	if (defect("alloc-process-critical-refused") && r->level == eProcessCritical)
		return true;
	if (defect("alloc-top-down-refused") && (r->type & MEM_TOP_DOWN) != 0)
		return true;
	if (defect("commit-at-null-refused") && r->type == MEM_COMMIT &&
	    r->address == NULL)
		return true;
	if (defect("reset-refused") && r->type == MEM_RESET)
		return true;
	return defect("commit-again-refused") && commits_again(r);
}

/* ---- What is done besides ---- */

/* Commits up to the end of the first reservation, and the rest after it. */
static HRESULT commit_in_two(struct wrapper *self, struct request *r)
{
	MEMORY_BASIC_INFORMATION run = r->before;
	void *first = r->address, *end = at(r->address, r->size);
	void *next = at(run.BaseAddress, run.RegionSize);
	HRESULT hr;

	if (r->type != MEM_COMMIT || (uintptr_t)next >= (uintptr_t)end ||
	    !wrapper_look(self, next, &run) || run.AllocationBase != next)
		return NOT_THERE;
	r->size = (uintptr_t)next - (uintptr_t)first;
	hr = ask(self, r);
	if (FAILED(hr))
		return hr;
	r->address = next;
	r->size = (uintptr_t)end - (uintptr_t)next;
	hr = ask(self, r);
	*r->out = first;
	return hr;
}

static HRESULT try_again(struct wrapper *self, struct request *r, HRESULT hr)
{
	if (defect("commit-across-reservations") && hr == NOT_THERE)
		hr = commit_in_two(self, r);
	if (defect("reserve-goes-elsewhere") && hr == NOT_THERE &&
	    (r->type & MEM_RESERVE) != 0) {
		r->address = NULL;
		hr = ask(self, r);
	}
	if (defect("commit-stops-half-way") && hr == NOT_THERE && r->type == MEM_COMMIT) {
		r->size = 1;
		(void)ask(self, r);
		*r->out = NULL;
	}
	if (defect("failed-commit-leaves-reservation") && hr == E_OUTOFMEMORY &&
	    r->type == BOTH) {
		r->type = MEM_RESERVE;
		(void)ask(self, r);
		*r->out = NULL;
	}
	return hr;
}

static void spoil_pages(struct wrapper *self, const struct request *r)
{
	void *first = *r->out, *kept = self->kept;
	DWORD old;

	if (defect("commit-again-clears") && commits_again(r) &&
	    r->before.Protect == PAGE_READWRITE && r->protect == PAGE_READWRITE)
		memset(first, 0, PAGE);
	if (defect("commit-again-keeps-protection") && commits_again(r))
		(void)IHostMemoryManager_VirtualProtect(self->memory, first, r->size,
							r->before.Protect, &old);
	if (defect("reset-clears-all-touched") && r->type == MEM_RESET)
		memset(r->address, 0, r->size);
	if (defect("reset-decommits") && r->type == MEM_RESET)
		(void)IHostMemoryManager_VirtualFree(self->memory, first, r->size,
						     MEM_DECOMMIT);
	if (defect("fresh-pages-are-dirty") && r->protect == PAGE_READWRITE &&
	    (r->type & MEM_COMMIT) != 0 && r->before.State != MEM_COMMIT)
		((unsigned char *)first)[r->size - 1] = 1;
	/* See "decommit-keeps-contents". */
	if (kept != NULL && (uintptr_t)kept - (uintptr_t)first < r->size &&
	    r->protect == PAGE_READWRITE)
		memcpy(kept, wrapper_contents, PAGE);
}

/* ---- What was answered ---- */

static HRESULT spoil_success(struct request *r, HRESULT hr)
{
	if (defect("alloc-success-is-s-false"))
		hr = S_FALSE;
	if (defect("alloc-address-not-rounded") && r->address != NULL)
		*r->out = r->address;
	if (defect("alloc-out-not-written"))
		*r->out = NULL;
	return hr;
}

static HRESULT spoil_failure(struct request *r, HRESULT hr, void *before)
{
	if (defect("alloc-out-left"))
		*r->out = before;
	if (defect("alloc-out-is-address"))
		*r->out = r->address;
	if (defect("alloc-short-of-memory-is-win32") && hr == E_OUTOFMEMORY)
		hr = HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_ENOUGH_MEMORY);
	if (defect("alloc-short-of-memory-is-e-fail") && hr == E_OUTOFMEMORY)
		hr = E_FAIL;
	if (defect("alloc-conflict-is-e-invalidarg") && hr == NOT_THERE)
		hr = E_INVALIDARG;
	if (defect("write-watch-refused-with-e-notimpl") &&
	    (r->type & MEM_WRITE_WATCH) != 0)
		hr = E_NOTIMPL;
	if (defect("alloc-timeout-is-e-outofmemory") && hr == HOST_E_TIMEOUT)
		hr = E_OUTOFMEMORY;
	if (defect("alloc-failure-is-ok"))
		hr = S_OK;
	return hr;
}

/* The next one begins a granule further, however large the last one was. */
static bool overlaps(struct wrapper *self, struct request *r)
{
	if (!defect("reserve-overlaps") || r->type != BOTH || r->address != NULL ||
	    r->size + GRANULE > self->reserved_size)
		return false;
	*r->out = at(self->reserved, GRANULE);
	return true;
}

static HRESULT answer(struct wrapper *self, struct request *r)
{
	void *before = *r->out;
	HRESULT hr;

	if (refuses(self, r)) {
		*r->out = NULL;
		return E_INVALIDARG;
	}
	/* It begins a page after the multiple of 64 KiB. */
	if (defect("reserve-not-aligned") && r->address == NULL &&
	    (r->type & BOTH) != 0) {
		r->size += PAGE;
		hr = ask(self, r);
		*r->out = SUCCEEDED(hr) ? at(*r->out, PAGE) : NULL;
		return hr;
	}
	if (overlaps(self, r))
		return S_OK;
	hr = try_again(self, r, ask(self, r));
	if (FAILED(hr))
		return spoil_failure(r, hr, before);
	spoil_pages(self, r);
	if (r->type == BOTH) {
		self->reserved_size = r->size;
		self->reserved = *r->out;
	}
	return spoil_success(r, hr);
}

/* A failure event for arguments that were no request. */
static void announce(struct wrapper *self, const struct request *r)
{
	const HostMemEvent event = { .cbSize = sizeof(event),
				     .type = HostMemEventFailure,
				     .operation = HostMemReserve,
				     .level = r->level,
				     .reason = HostMemBySystem,
				     .result = E_INVALIDARG,
				     .attempt = 1,
				     .size = r->size };

	wrapper_pretend(self, &event);
}

HRESULT HOSTMEM_CALL wrapper_VirtualAlloc(IHostMemoryManager *self, void *address,
					  SIZE_T size, DWORD type, DWORD protect,
					  EMemoryCriticalLevel level, void **ppMem)
{
	struct wrapper *wrapper = wrapper_of_manager(self);
	struct request r = { .address = address,
			     .size = size,
			     .type = type,
			     .protect = protect,
			     .level = level,
			     .out = ppMem };
	HRESULT hr;

	if (defect("alloc-null-crashes"))
		touch(ppMem);
	while (defect("alloc-size-0-hangs") && size == 0)
		(void)pause();
	if (ppMem == NULL)
		return ask(wrapper, &r);
	if (address != NULL && (type & MEM_COMMIT) != 0)
		(void)wrapper_look(wrapper, address, &r.before);
	accept_more(&r);
	accept_protections(&r);
	ask_for_something_else(&r);
	wrapper_enter(wrapper);
	hr = answer(wrapper, &r);
	wrapper_leave(wrapper);
	if (defect("event-for-bad-arguments") && hr == E_INVALIDARG)
		announce(wrapper, &r);
	return hr;
}
