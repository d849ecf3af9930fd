/*
 * The wrapper's VirtualQuery and VirtualProtect.
 */
#include "wrapper.h"

#include <string.h>

#define NOT_THERE HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

/* ---- VirtualQuery ---- */

static void spoil_sizes(struct wrapper *self, MEMORY_BASIC_INFORMATION *run)
{
	MEMORY_BASIC_INFORMATION next;
	void *start = run->BaseAddress;

	if (defect("query-region-size-0"))
		run->RegionSize = 0;
	if (defect("query-free-region-size-0") && run->State == MEM_FREE)
		run->RegionSize = 0;
	if (defect("query-region-size-from-run-start")) {
		start = wrapper_run_start(self, run->BaseAddress);
		run->RegionSize += (uintptr_t)run->BaseAddress - (uintptr_t)start;
	}
	if (defect("query-base-is-run-start"))
		run->BaseAddress = wrapper_run_start(self, run->BaseAddress);
	if (defect("query-one-page-runs"))
		run->RegionSize = PAGE;
	if (defect("query-merges-reservations") && run->State != MEM_FREE &&
	    wrapper_look(self, at(start, run->RegionSize), &next) &&
	    next.AllocationBase != run->AllocationBase && next.State == run->State &&
	    next.Protect == run->Protect)
		run->RegionSize += next.RegionSize;
}

static void spoil_run(const struct wrapper *self, const void *address,
		      MEMORY_BASIC_INFORMATION *run)
{
	if (defect("query-base-not-rounded"))
		run->BaseAddress = (void *)(uintptr_t)address;
	if (defect("query-allocation-base-is-page") && run->State != MEM_FREE)
		run->AllocationBase = run->BaseAddress;
	if (defect("query-allocation-protect-follows") && run->State == MEM_COMMIT)
		run->AllocationProtect = run->Protect;
	if (defect("query-reserved-has-protection") && run->State == MEM_RESERVE)
		run->Protect = run->AllocationProtect;
	if (defect("query-free-has-no-protection") && run->State == MEM_FREE)
		run->Protect = 0;
	if (defect("query-decommitted-stays-committed") &&
	    run->BaseAddress == self->decommitted && run->State == MEM_RESERVE)
		run->State = MEM_COMMIT;
	if (defect("query-type-missing"))
		run->Type = 0;
	if (defect("query-guard-not-told"))
		run->Protect &= ~PAGE_GUARD;
}

/* What goes into the buffer of a caller, who may have said less than a whole record. */
static HRESULT spoil_buffer(void *buffer, SIZE_T length,
			    const MEMORY_BASIC_INFORMATION *run, SIZE_T *pResult)
{
	memcpy(buffer, run, sizeof(*run));
	if (defect("query-writes-beyond-record") && length > sizeof(*run))
		memset(at(buffer, sizeof(*run)), 0, length - sizeof(*run));
	if (defect("query-result-is-length"))
		*pResult = length;
	return defect("query-success-is-s-false") ? S_FALSE : S_OK;
}

static HRESULT spoil_query_failure(void *buffer, SIZE_T length, SIZE_T *pResult,
				   SIZE_T before, HRESULT hr)
{
	if (defect("query-clears-buffer-on-failure"))
		memset(buffer, 0, length);
	if (defect("query-result-left"))
		*pResult = before;
	if (defect("query-result-of-failure-is-size"))
		*pResult = sizeof(MEMORY_BASIC_INFORMATION);
	if (defect("query-failure-is-ok"))
		hr = S_OK;
	if (defect("query-short-is-e-invalidarg") &&
	    hr == HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_LENGTH))
		hr = E_INVALIDARG;
	return hr;
}

static HRESULT query(struct wrapper *self, void *address, void *buffer, SIZE_T length,
		     SIZE_T *pResult)
{
	MEMORY_BASIC_INFORMATION run;
	SIZE_T before = *pResult;
	HRESULT hr;

	if (defect("query-short-buffer-accepted") && length < sizeof(run)) {
		hr = IHostMemoryManager_VirtualQuery(self->memory, address, &run,
						     sizeof(run), pResult);
		memcpy(buffer, &run, length);
		return hr;
	}
	hr = IHostMemoryManager_VirtualQuery(self->memory, address, &run, length,
					     pResult);
	if (FAILED(hr))
		return spoil_query_failure(buffer, length, pResult, before, hr);
	if (defect("query-foreign-refused") && run.State != MEM_FREE &&
	    !wrapper_owns(self, address)) {
		*pResult = 0;
		return E_INVALIDARG;
	}
	if (defect("query-result-not-written"))
		*pResult = before;
	spoil_sizes(self, &run);
	spoil_run(self, address, &run);
	return spoil_buffer(buffer, length, &run, pResult);
}

HRESULT HOSTMEM_CALL wrapper_VirtualQuery(IHostMemoryManager *self, void *address,
					  void *buffer, SIZE_T length, SIZE_T *pResult)
{
	struct wrapper *wrapper = wrapper_of_manager(self);
	HRESULT hr;

	if (defect("query-null-crashes"))
		touch(buffer);
	if (defect("query-drops-a-reference"))
		(void)wrapper_release(wrapper);
	if (buffer == NULL || pResult == NULL) {
		if (defect("query-other-out-not-cleared"))
			return E_POINTER;
		return IHostMemoryManager_VirtualQuery(wrapper->memory, address, buffer,
						       length, pResult);
	}
	wrapper_enter(wrapper);
	hr = query(wrapper, address, buffer, length, pResult);
	wrapper_leave(wrapper);
	return hr;
}

/* ---- VirtualProtect ---- */

struct change {
	void *address;
	SIZE_T size;
	DWORD protect;
	DWORD *old;
};

static HRESULT ask(struct wrapper *self, const struct change *c)
{
	return IHostMemoryManager_VirtualProtect(self->memory, c->address, c->size,
						 c->protect, c->old);
}

static void change_change(struct change *c)
{
	if (defect("protect-size-0-accepted") && c->size == 0)
		c->size = 1;
	if (defect("protect-0-accepted") && c->protect == 0)
		c->protect = PAGE_NOACCESS;
	if (defect("protect-page-less") && c->size > PAGE)
		c->size -= PAGE;
	if (defect("protect-rounds-down") && c->size > PAGE)
		c->size &= ~(SIZE_T)(PAGE - 1);
	if (defect("protect-drops-guard"))
		c->protect &= ~PAGE_GUARD;
}

static void protect_next_page(struct wrapper *self, const struct change *c)
{
	const struct change next = { at(c->address, c->size), 1, c->protect,
				     &(DWORD){ 0 } };

	(void)ask(self, &next);
}

static HRESULT spoil_change(struct wrapper *self, const struct change *c,
			    const MEMORY_BASIC_INFORMATION *last)
{
	if (defect("protect-old-of-last-page"))
		*c->old = last->Protect;
	if (defect("protect-old-is-0"))
		*c->old = 0;
	if (defect("protect-old-is-new"))
		*c->old = c->protect;
	if (defect("protect-page-more"))
		protect_next_page(self, c);
	return defect("protect-success-is-s-false") ? S_FALSE : S_OK;
}

static HRESULT spoil_protect_failure(struct wrapper *self, const struct change *c,
				     DWORD before, HRESULT hr)
{
	const struct change first = { c->address, 1, c->protect, &(DWORD){ 0 } };

	if (defect("protect-stops-half-way"))
		(void)ask(self, &first);
	if (defect("protect-old-left"))
		*c->old = before;
	if (defect("protect-failure-is-ok"))
		hr = S_OK;
	if (defect("protect-reserved-accepted") && hr == NOT_THERE)
		hr = S_OK;
	if (defect("protect-uncommitted-is-e-invalidarg") && hr == NOT_THERE)
		hr = E_INVALIDARG;
	return hr;
}

HRESULT HOSTMEM_CALL wrapper_VirtualProtect(IHostMemoryManager *self, void *address,
					    SIZE_T size, DWORD protect,
					    DWORD *pOldProtect)
{
	struct wrapper *wrapper = wrapper_of_manager(self);
	struct change c = { address, size, protect, pOldProtect };
	MEMORY_BASIC_INFORMATION first = { .Protect = 0 }, last = { .Protect = 0 };
	DWORD before;
	HRESULT hr;

	if (defect("protect-null-crashes"))
		touch(pOldProtect);
	if (defect("protect-null-accepted") && pOldProtect == NULL)
		c.old = &before;
	if (c.old == NULL)
		return ask(wrapper, &c);
	before = *c.old;
	change_change(&c);
	(void)wrapper_look(wrapper, address, &first);
	(void)wrapper_look(wrapper, at(address, size - 1), &last);
	if (defect("protect-does-nothing") && first.State == MEM_COMMIT) {
		*c.old = first.Protect;
		return S_OK;
	}
	hr = ask(wrapper, &c);
	if (FAILED(hr))
		return spoil_protect_failure(wrapper, &c, before, hr);
	return spoil_change(wrapper, &c, &last);
}
