/*
 * MEM_RESERVE: address space for the caller.
 *
 * Anywhere, or at an address: then the base goes down to 64 KiB and the end up to a page,
 * and nothing of the covered 64 KiB units may be in use.  The table is asked first, so
 * that a conflict with ourselves raises no event; what others have mapped, only the
 * system knows.
 *
 * Where the address is known, the region is entered as ARRIVING before the system is
 * asked, so that a reader never takes the new mapping for a stranger's.  Anywhere, the
 * system's answer comes first: between it and the entry a reader that happens to look
 * there sees private memory of somebody else.  Nobody can have been told the address yet.
 *
 * Locks: none across the system call; entering the map takes the directory's.
 */
#include "reserve.h"
#include "arenapages.h"
#include "attempt.h"
#include "calls.h"
#include "gate.h"
#include "os/container.h"
#include "os/size.h"
#include "parked.h"
#include "protection.h"
#include "regions.h"
#include "spans.h"

#define NO_ROOM HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

static HRESULT large_pages(const struct hm_host *host, const struct hm_allocation *want)
{
	size_t large = host->pages->large_page_size(host->pages);

	if (large == 0)
		return HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD);
	return want->address % large == 0 && want->size % large == 0 ? S_OK
								     : E_INVALIDARG;
}

/* What there is no way to give. */
static HRESULT policy(const struct hm_host *host, const struct hm_allocation *want)
{
	if (host->strict_execute && hm_protection_writes_and_executes(want->protect))
		return E_ACCESSDENIED;
	if (want->type & (MEM_PHYSICAL | MEM_WRITE_WATCH))
		return HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	return want->type & MEM_LARGE_PAGES ? large_pages(host, want) : S_OK;
}

static bool commits(const struct hm_allocation *want)
{
	return (want->type & MEM_COMMIT) != 0;
}

/* The states a new region starts with; false = no memory. */
static bool first_states(const struct hm_allocation *want, size_t pages,
			 hm_states_root *out)
{
	unsigned levels = hm_states_levels(pages);
	unsigned code = HM_STATE_RESERVED;
	struct hm_states_change change;

	if (commits(want))
		code = hm_code_from_protection(want->protect);
	*out = hm_states_uniform(levels, HM_STATE_RESERVED);
	if (!(code & HM_STATE_GUARD)) {
		*out = hm_states_uniform(levels, code);
		return true;
	}
	if (!hm_states_prepare(*out, levels, 0, pages, code, HM_NEED_NORMAL, &change))
		return false;
	*out = change.after;
	return true;
}

/* Whether the host may have retained such memory, or will retain it later. */
static bool is_retained(const struct hm_host *host, const struct hm_allocation *want,
			size_t size)
{
	return commits(want) && want->address == 0 &&
	       !(want->type & (MEM_LARGE_PAGES | MEM_TOP_DOWN)) &&
	       want->protect == PAGE_READWRITE &&
	       hm_retained_wants(&host->retained, size);
}

static unsigned system_flags(const struct hm_host *host, const struct hm_allocation *want,
			     size_t size)
{
	return (commits(want) ? HM_RESERVE_COMMITTED : 0U) |
	       (want->type & MEM_LARGE_PAGES ? HM_RESERVE_LARGE : 0U) |
	       (want->type & MEM_TOP_DOWN ? HM_RESERVE_TOP_DOWN : 0U) |
	       (is_retained(host, want, size) ? HM_RESERVE_LASTING : 0U);
}

static struct hm_region_fields fields_of(struct hm_host *host,
					 const struct hm_allocation *want, uintptr_t base,
					 size_t size, enum hm_region_phase phase)
{
	return (struct hm_region_fields){
		.host = host,
		.base = base,
		.end = base + size,
		.protection = hm_protection_kept(want->protect),
		.traits = (uint8_t)((want->type & MEM_LARGE_PAGES ? HM_REGION_LARGE : 0) |
				    (want->heap ? HM_REGION_HEAP : 0)),
		.phase = phase,
	};
}

/*
 * Makes what the system has given a live region.  From then on anybody may release it, so
 * it is counted and charged before.
 */
static HRESULT enter(struct hm_request *request, const struct hm_allocation *want,
		     const struct hm_region_fields *fields,
		     const struct hm_region_ticket *arriving)
{
	struct hm_host *host = request->host;
	size_t charge = request->pending;
	size_t size = fields->end - fields->base;
	size_t committed = commits(want) ? size : 0;
	struct hm_region_ticket ticket;
	HRESULT hr;

	/* First, so that nothing was ever counted that could not be had. */
	if (!hm_regions_make_room(fields->base) ||
	    (want->heap && !hm_span_make_room(fields->base)))
		return E_OUTOFMEMORY;
	hm_figures_reserve(&host->figures, (ptrdiff_t)size, 1);
	if (committed != 0)
		hm_figures_commit(&host->figures, (ptrdiff_t)committed);
	hm_request_settle(request);
	if (arriving->region != NULL && hm_regions_arrive(arriving))
		return S_OK;
	hr = hm_regions_enter(fields, want->address != 0, &ticket);
	if (FAILED(hr)) {
		hm_request_unsettle(request, charge);
		hm_figures_commit(&host->figures, -(ptrdiff_t)committed);
		hm_figures_reserve(&host->figures, -(ptrdiff_t)size, -1);
	}
	return hr;
}

void hm_prefer_huge(struct hm_host *host, uintptr_t address, size_t size)
{
	if (host->huge_pages && size >= HM_HUGE_SIZE)
		host->pages->prefer_huge(host->pages, (void *)address, size);
}

/* A reservation in which huge pages may be wanted begins where one can. */
static size_t alignment_of(const struct hm_host *host, const struct hm_allocation *want,
			   size_t size)
{
	return host->huge_pages && size >= HM_HUGE_SIZE
		       ? hm_max(want->alignment, HM_HUGE_SIZE)
		       : want->alignment;
}

static unsigned first_access(const struct hm_allocation *want)
{
	return commits(want) ? hm_access_from_code(hm_code_from_protection(want->protect))
			     : HM_ACCESS_NONE;
}

/* Enters what was given at fields->base, or gives it up. */
static HRESULT enter_or_give_up(struct hm_request *request,
				const struct hm_allocation *want,
				struct hm_region_fields *fields,
				const struct hm_region_ticket *arriving, void **out)
{
	const struct hm_page_source *pages = request->host->pages;
	HRESULT hr;

	fields->phase = HM_REGION_LIVE;
	hr = enter(request, want, fields, arriving);
	if (SUCCEEDED(hr)) {
		*out = (void *)fields->base;
		return hr;
	}
	pages->give_up(pages, (void *)fields->base, fields->end - fields->base);
	return hr;
}

/* Asks the system and enters what it gives; *fields has the place if that is known. */
static HRESULT ask_system(struct hm_request *request, const struct hm_allocation *want,
			  struct hm_region_fields *fields, void **out)
{
	const struct hm_page_source *pages = request->host->pages;
	struct hm_region_ticket arriving = { NULL, 0 };
	size_t size = fields->end - fields->base;
	void *given;
	HRESULT hr;

	if (want->address != 0) {
		hr = hm_regions_enter(fields, true, &arriving);
		if (FAILED(hr))
			return hr;
	}
	hr = pages->reserve(pages, (void *)fields->base, size,
			    alignment_of(request->host, want, size),
			    system_flags(request->host, want, size), first_access(want),
			    &given);
	if (SUCCEEDED(hr)) {
		if (commits(want))
			hm_prefer_huge(request->host, (uintptr_t)given, size);
		fields->base = (uintptr_t)given;
		fields->end = fields->base + size;
		hr = enter_or_give_up(request, want, fields, &arriving, out);
	}
	if (FAILED(hr) && arriving.region != NULL)
		hm_regions_remove(&arriving);
	return hr;
}

/* Hands out retained memory, if some fits what is wanted; S_FALSE if not. */
static HRESULT reuse(struct hm_request *request, const struct hm_allocation *want,
		     struct hm_region_fields *fields, void **out)
{
	const struct hm_region_ticket none = { NULL, 0 };
	struct hm_host *host = request->host;
	size_t size = fields->end - fields->base;

	if (!is_retained(host, want, size) ||
	    !hm_retained_take(&host->retained, host->pages, size, want->alignment,
			      &fields->base))
		return S_FALSE;
	fields->end = fields->base + size;
	return enter_or_give_up(request, want, fields, &none, out);
}

static HRESULT try_take(struct hm_request *request, const struct hm_allocation *want,
			uintptr_t base, size_t size, void **out)
{
	struct hm_region_fields fields = fields_of(request->host, want, base, size,
						   HM_REGION_ARRIVING);
	HRESULT hr;

	if (!first_states(want, hm_pages(size), &fields.states))
		return E_OUTOFMEMORY;
	hr = reuse(request, want, &fields, out);
	if (hr == S_FALSE)
		hr = ask_system(request, want, &fields, out);
	if (FAILED(hr))
		hm_states_free(fields.states, hm_states_levels(hm_pages(size)));
	return hr;
}

struct reservation {
	struct hm_work work;
	const struct hm_allocation *want;
	uintptr_t base;
	void **out;
};

/* The system's part and ours, with nobody called out. */
static HRESULT take_or_relieve(struct hm_request *request,
			       const struct hm_allocation *want, uintptr_t base,
			       size_t size, void **out)
{
	struct hm_host *host = request->host;
	bool relieved = false;
	HRESULT hr;

	hm_unpark(host->pages);
	hr = try_take(request, want, base, size, out);
	if (hr == E_OUTOFMEMORY)
		relieved = hm_host_relieve(host);
	else if (hr == NO_ROOM)
		relieved = hm_hosts_drop_retained();
	return relieved ? try_take(request, want, base, size, out) : hr;
}

static HRESULT take(struct hm_work *work, struct hm_request *request)
{
	struct reservation *self = hm_container_of(work, struct reservation, work);

	return take_or_relieve(request, self->want, self->base, work->size, self->out);
}

HRESULT hm_reserve_granted(struct hm_request *request, const struct hm_allocation *want,
			   size_t size, void **out)
{
	return take_or_relieve(request, want, 0, size, out);
}

/* The reservation with all that belongs to it. */
static HRESULT reserve_asking(struct hm_host *host, const struct hm_allocation *want,
			      uintptr_t base, size_t size, void **out)
{
	bool charged = commits(want) || hm_budget_charges_reserve(&host->budget);
	struct reservation self = {
		.work = { .size = size,
			  .charge = charged ? size : 0,
			  .perform = take,
			  .reason = HostMemBySystem },
		.want = want,
		.base = base,
		.out = out,
	};
	struct hm_request request;
	HRESULT hr;

	hr = hm_request_open(&request, host,
			     commits(want) ? HostMemCommit : HostMemReserve, want->level,
			     (void *)base);
	if (FAILED(hr))
		return hr;
	hr = hm_request_run(&request, &self.work);
	hm_request_close(&request);
	return hr;
}

/* Makes a live region of reserved pages; false = no memory for it. */
static bool enter_plainly(struct hm_host *host, const struct hm_allocation *want,
			  uintptr_t base, size_t size)
{
	struct hm_region_fields fields = fields_of(host, want, base, size,
						   HM_REGION_LIVE);
	struct hm_region_ticket ticket;

	fields.states = hm_states_uniform(hm_states_levels(hm_pages(size)),
					  HM_STATE_RESERVED);
	hm_figures_reserve(&host->figures, (ptrdiff_t)size, 1);
	if (SUCCEEDED(hm_regions_enter(&fields, false, &ticket)))
		return true;
	hm_figures_reserve(&host->figures, -(ptrdiff_t)size, -1);
	host->pages->give_up(host->pages, (void *)base, size);
	return false;
}

bool hm_reserve_is_nobodys_business(const struct hm_host *host)
{
	return !hm_budget_charges_reserve(&host->budget) && !hm_faults_any(&host->faults);
}

/*
 * The plain reservation: anywhere, nothing to charge, so nobody is asked or told.  Runtimes
 * make them by the million, and a request would cost as much again.  false: it has to be
 * made with all that belongs to it.
 */
static bool reserve_plainly(struct hm_host *host, const struct hm_allocation *want,
			    size_t size, void **out)
{
	uintptr_t base;
	bool done;

	hm_calls_enter();
	if (!hm_gate_passes(host)) {
		hm_calls_leave();
		return false;
	}
	hm_unpark(host->pages);
	done = hm_pages_take(host->pages, size, alignment_of(host, want, size), &base) &&
	       enter_plainly(host, want, base, size);
	hm_calls_leave();
	if (done)
		*out = (void *)base;
	return done;
}

HRESULT hm_reserve(struct hm_host *host, const struct hm_allocation *want, void **out)
{
	uintptr_t base = hm_round_down(want->address, HM_GRANULE_SIZE);
	uintptr_t end = hm_round_up(want->address + want->size, HM_PAGE_SIZE);
	HRESULT hr;

	if (want->address != 0 && hm_regions_units_in_use(base, end))
		return NO_ROOM;
	hr = policy(host, want);
	if (FAILED(hr))
		return hr;
	if (want->type == MEM_RESERVE && base == 0 &&
	    hm_reserve_is_nobodys_business(host) && reserve_plainly(host, want, end, out))
		return S_OK;
	return reserve_asking(host, want, base, end - base, out);
}

bool hm_reserve_probe(struct hm_host *host, uintptr_t start, size_t size)
{
	uintptr_t base = hm_round_down(start, HM_GRANULE_SIZE);
	size_t bytes = hm_max(size, 1);
	bool room;

	if (!hm_range_valid(start, bytes) || (start != 0 && start < HM_USER_START))
		return false;
	bytes = hm_round_up(start + bytes, HM_PAGE_SIZE) - base;
	if (base != 0 && hm_regions_units_in_use(base, base + bytes))
		return false;
	hm_calls_enter();
	room = hm_pages_probe(host->pages, base, bytes);
	hm_calls_leave();
	return room;
}
