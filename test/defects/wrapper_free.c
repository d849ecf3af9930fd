/*
 * The wrapper's VirtualFree.
 */
#include "wrapper.h"

#include <string.h>

#define NOT_THE_BASE HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

unsigned char wrapper_contents[PAGE];

struct request {
	void *address;
	SIZE_T size;
	DWORD type;
};

static HRESULT ask(struct wrapper *self, const struct request *r)
{
	return IHostMemoryManager_VirtualFree(self->memory, r->address, r->size, r->type);
}

/* ---- What is asked ---- */

static void accept_more(struct wrapper *self, struct request *r)
{
	MEMORY_BASIC_INFORMATION run;

	if (defect("release-with-size-accepted") && r->type == MEM_RELEASE)
		r->size = 0;
	if (defect("release-inside-accepted") && r->type == MEM_RELEASE && r->size == 0 &&
	    wrapper_look(self, r->address, &run) && run.AllocationBase != NULL)
		r->address = run.AllocationBase;
	if (defect("decommit-size-0-accepted-inside") && r->type == MEM_DECOMMIT &&
	    r->size == 0)
		r->size = 1;
	if (defect("free-both-accepted") && r->type == (MEM_DECOMMIT | MEM_RELEASE))
		r->type = MEM_RELEASE;
	if (defect("free-unknown-flags-accepted"))
		r->type &= MEM_DECOMMIT | MEM_RELEASE;
	if (defect("decommit-past-end-accepted") && r->type == MEM_DECOMMIT &&
	    wrapper_look(self, r->address, &run) &&
	    r->size > run.RegionSize + (uintptr_t)r->address % PAGE)
		r->size = run.RegionSize;
}

static void ask_for_something_else(struct request *r)
{
	if (defect("release-only-decommits") && r->type == MEM_RELEASE && r->size == 0)
		r->type = MEM_DECOMMIT;
	if (defect("decommit-page-less") && r->type == MEM_DECOMMIT && r->size > PAGE)
		r->size -= PAGE;
	if (defect("decommit-whole-pages-only") && r->type == MEM_DECOMMIT &&
	    r->size > PAGE)
		r->size &= ~(SIZE_T)(PAGE - 1);
	if (defect("decommit-size-0-is-a-page") && r->type == MEM_DECOMMIT &&
	    r->size == 0)
		r->size = PAGE;
}

/* The contents of the page, for whoever commits it again. */
static void keep_contents(struct wrapper *self, void *address)
{
	MEMORY_BASIC_INFORMATION run;

	if (!wrapper_look(self, address, &run) || run.State != MEM_COMMIT ||
	    run.Protect != PAGE_READWRITE)
		return;
	memcpy(wrapper_contents, run.BaseAddress, PAGE);
	self->kept = run.BaseAddress;
}

/* ---- What was answered ---- */

static HRESULT spoil_failure(const struct wrapper *self, const struct request *r,
			     HRESULT hr)
{
	bool was_ours = r->address == self->released;

	if (defect("free-foreign-accepted") && hr == HOST_E_INVALIDOPERATION &&
	    !was_ours && r->address != NULL)
		hr = S_OK;
	if (defect("free-twice-accepted") && hr == HOST_E_INVALIDOPERATION && was_ours)
		hr = S_OK;
	if (defect("free-null-accepted") && r->address == NULL)
		hr = S_OK;
	if (defect("free-failure-is-ok"))
		hr = S_OK;
	if (defect("free-foreign-is-win32") && hr == HOST_E_INVALIDOPERATION)
		hr = NOT_THE_BASE;
	if (defect("free-inside-is-e-invalidarg") && hr == NOT_THE_BASE)
		hr = E_INVALIDARG;
	return hr;
}

static bool refuses(struct wrapper *self, const struct request *r)
{
	MEMORY_BASIC_INFORMATION run;

	if (defect("release-at-odd-address-refused") && r->type == MEM_RELEASE &&
	    (uintptr_t)r->address % PAGE != 0)
		return true;
	if (defect("decommit-size-0-refused") && r->type == MEM_DECOMMIT && r->size == 0)
		return true;
	return defect("decommit-of-reserved-refused") && r->type == MEM_DECOMMIT &&
	       wrapper_look(self, r->address, &run) && run.State == MEM_RESERVE;
}

HRESULT HOSTMEM_CALL wrapper_VirtualFree(IHostMemoryManager *self, void *address,
					 SIZE_T size, DWORD type)
{
	struct wrapper *wrapper = wrapper_of_manager(self);
	struct request r = { address, size, type };
	HRESULT hr;

	accept_more(wrapper, &r);
	ask_for_something_else(&r);
	if (refuses(wrapper, &r))
		return E_INVALIDARG;
	if (defect("decommit-does-nothing") && type == MEM_DECOMMIT)
		return S_OK;
	if (defect("release-does-nothing") && type == MEM_RELEASE)
		return S_OK;
	if (defect("decommit-keeps-contents") && type == MEM_DECOMMIT)
		keep_contents(wrapper, address);
	hr = ask(wrapper, &r);
	if (FAILED(hr))
		return spoil_failure(wrapper, &r, hr);
	if (type == MEM_DECOMMIT)
		wrapper->decommitted = address;
	else
		wrapper->released = address;
	if (defect("decommit-page-more") && type == MEM_DECOMMIT && size != 0)
		(void)IHostMemoryManager_VirtualFree(wrapper->memory, at(address, size),
						     1, MEM_DECOMMIT);
	return defect("free-success-is-s-false") ? S_FALSE : hr;
}
