/*
 * The rules of Win32 virtual memory, page by page: see model.h.
 *
 * Written from the rules and not from the library: nothing here knows about trees,
 * mappings or system calls.  Speed does not matter, shape does: a rule is a loop.
 */
#include "test/stress/model.h"

static uintptr_t down(uintptr_t value, size_t unit)
{
	return value - value % unit;
}

static uintptr_t up(uintptr_t value, size_t unit)
{
	return down(value + unit - 1, unit);
}

static bool in_user_space(uintptr_t address, size_t size)
{
	return address < USER_END && size <= USER_END - address;
}

static uintptr_t end_of(const struct model_reservation *r)
{
	return r->base + r->count * PAGE;
}

static DWORD sticky(DWORD protect)
{
	return protect & (PAGE_NOCACHE | PAGE_WRITECOMBINE);
}

static DWORD page_protect(DWORD protect)
{
	return protect & ~(PAGE_NOCACHE | PAGE_WRITECOMBINE | PAGE_TARGETS_INVALID);
}

bool model_protect_valid(DWORD protect)
{
	DWORD base = protect & 0xFF;
	DWORD bits = protect & ~0xFFU;
	bool executes = base == PAGE_EXECUTE || base == PAGE_EXECUTE_READ ||
			base == PAGE_EXECUTE_READWRITE;

	if (base != PAGE_NOACCESS && base != PAGE_READONLY && base != PAGE_READWRITE &&
	    !executes)
		return false;
	if ((bits & PAGE_TARGETS_INVALID) && !executes)
		return false;
	bits &= ~PAGE_TARGETS_INVALID;
	if (bits == 0)
		return true;
	/* The three exclude each other and NOACCESS. */
	return base != PAGE_NOACCESS &&
	       (bits == PAGE_GUARD || bits == PAGE_NOCACHE || bits == PAGE_WRITECOMBINE);
}

bool model_readable(const struct model_page *page)
{
	return page->protect != 0 && page->protect != PAGE_NOACCESS &&
	       !(page->protect & PAGE_GUARD);
}

bool model_writable(const struct model_page *page)
{
	return page->protect == PAGE_READWRITE || page->protect == PAGE_EXECUTE_READWRITE;
}

struct model_reservation *model_find(const struct model *model, uintptr_t address)
{
	for (size_t i = 0; i < model->count; i++) {
		const struct model_reservation *r = &model->live[i];

		if (r->base <= address && address < end_of(r))
			return (struct model_reservation *)(uintptr_t)r;
	}
	return NULL;
}

struct model_page *model_page(const struct model *model, uintptr_t address)
{
	struct model_reservation *r = model_find(model, address);

	return r != NULL ? &r->pages[(address - r->base) / PAGE] : NULL;
}

size_t model_reserved(const struct model *model)
{
	size_t pages = 0;

	for (size_t i = 0; i < model->count; i++)
		pages += model->live[i].count;
	return pages * PAGE;
}

static size_t committed_of(const struct model_reservation *r, size_t first, size_t count)
{
	size_t pages = 0;

	for (size_t i = first; i < first + count; i++)
		pages += r->pages[i].protect != 0;
	return pages * PAGE;
}

size_t model_count_committed(const struct model *model)
{
	size_t bytes = 0;

	for (size_t i = 0; i < model->count; i++)
		bytes += committed_of(&model->live[i], 0, model->live[i].count);
	return bytes;
}

size_t model_external(const struct model *model)
{
	size_t pages = 0;

	for (size_t i = 0; i < MODEL_MAPPINGS; i++)
		pages += model->owner[i] != 0;
	return pages * PAGE;
}

static struct model_answer answer(HRESULT hr)
{
	return (struct model_answer){ .hr = hr };
}

/* The pages that a range touches, if they all lie in the reservation of the first. */
static struct model_reservation *within(const struct model *model, uintptr_t address,
					size_t size, size_t *first, size_t *count)
{
	struct model_reservation *r = model_find(model, address);

	if (r == NULL || up(address + size, PAGE) > end_of(r))
		return NULL;
	*first = (address - r->base) / PAGE;
	*count = (up(address + size, PAGE) - down(address, PAGE)) / PAGE;
	return r;
}

static bool type_valid(const struct model_call *call)
{
	if (call->aligned)
		return (call->type & ~(MEM_COMMIT | MEM_TOP_DOWN)) == MEM_RESERVE;
	if (call->type == MEM_RESET || call->type == MEM_RESET_UNDO)
		return true;
	return (call->type & ~(MEM_RESERVE | MEM_COMMIT | MEM_TOP_DOWN)) == 0 &&
	       (call->type & (MEM_RESERVE | MEM_COMMIT)) != 0;
}

static bool alignment_valid(const struct model_call *call)
{
	size_t alignment = call->alignment;

	return !call->aligned || alignment == 0 ||
	       (alignment >= PAGE && (alignment & (alignment - 1)) == 0);
}

static struct model_answer reserve(const struct model *model,
				   const struct model_call *call)
{
	uintptr_t base = down(call->address, UNIT);
	uintptr_t end = up(call->address + call->size, PAGE);
	struct model_answer result = answer(S_OK);
	bool foreign = false;

	for (size_t i = 0; i < model->count && base != 0; i++) {
		const struct model_reservation *r = &model->live[i];

		/* Not even the rest of a unit can be had. */
		if (down(r->base, UNIT) < up(end, UNIT) && base < up(end_of(r), UNIT))
			return answer(INVALID_ADDRESS);
	}
	for (uintptr_t page = base; page < end && base != 0 && !call->elsewhere;
	     page += PAGE)
		foreign |= page >= model->window_end ||
			   (page >= model->foreign &&
			    page < model->foreign + MODEL_FOREIGN * PAGE);
	foreign |= call->elsewhere && call->taken;
	result.out = base;
	if (call->type & MEM_COMMIT)
		result.charged = end - base;
	if (call->veto && result.charged != 0)
		result.hr = E_OUTOFMEMORY;
	else if (foreign)
		result.hr = INVALID_ADDRESS; /* but only the system knows */
	if (FAILED(result.hr))
		result.out = 0;
	return result;
}

static struct model_answer commit(const struct model *model,
				  const struct model_call *call)
{
	struct model_answer result = answer(S_OK);
	size_t first, count;
	const struct model_reservation *r = within(model, call->address, call->size,
						   &first, &count);

	if (r == NULL)
		return answer(INVALID_ADDRESS);
	result.out = down(call->address, PAGE);
	result.charged = count * PAGE - committed_of(r, first, count);
	if (call->veto && result.charged != 0) {
		result.hr = E_OUTOFMEMORY;
		result.out = 0;
	}
	return result;
}

static struct model_answer reset(const struct model *model, const struct model_call *call)
{
	struct model_answer result = answer(S_OK);
	size_t first, count;
	const struct model_reservation *r = within(model, call->address, call->size,
						   &first, &count);

	if (r == NULL)
		return answer(INVALID_ADDRESS);
	if (call->type == MEM_RESET_UNDO && r->reset)
		return answer(NOT_SUPPORTED);
	result.out = down(call->address, PAGE);
	return result;
}

struct model_answer model_alloc(const struct model *model, const struct model_call *call)
{
	if (call->size == 0 || !in_user_space(call->address, call->size) ||
	    (call->address != 0 && call->address < UNIT) || !type_valid(call) ||
	    !alignment_valid(call) || !model_protect_valid(call->protect) ||
	    call->level < 0 || call->level > 2)
		return answer(E_INVALIDARG);
	if (call->type == MEM_RESET || call->type == MEM_RESET_UNDO)
		return reset(model, call);
	if ((call->type & MEM_RESERVE) || call->address == 0)
		return reserve(model, call);
	return commit(model, call);
}

static struct model_reservation *add(struct model *model, uintptr_t base, size_t count,
				     DWORD protect)
{
	struct model_reservation *r = &model->live[model->count++];

	*r = (struct model_reservation){ .base = base,
					 .count = count,
					 .protect = protect };
	r->pages = calloc(count, sizeof(*r->pages));
	if (r->pages == NULL)
		abort();
	return r;
}

static void set(struct model *model, struct model_reservation *r, size_t first,
		size_t count, DWORD protect)
{
	model->committed -= committed_of(r, first, count);
	model->committed += protect != 0 ? count * PAGE : 0;
	for (size_t i = first; i < first + count; i++) {
		struct model_page *page = &r->pages[i];

		if (page->protect == 0 || protect == 0)
			*page = (struct model_page){ .stamp = 0 };
		page->protect = page_protect(protect);
	}
}

/* Only pages that lie wholly in the range may lose what they hold. */
static void doubt(struct model_reservation *r, const struct model_call *call)
{
	for (uintptr_t page = up(call->address, PAGE);
	     page + PAGE <= call->address + call->size; page += PAGE) {
		r->reset = true;
		r->pages[(page - r->base) / PAGE].doubtful = true;
	}
}

void model_alloc_done(struct model *model, const struct model_call *call, uintptr_t out)
{
	struct model_reservation *r;
	uintptr_t end = up(call->address + call->size, PAGE);

	if (call->type == MEM_RESET_UNDO)
		return;
	r = model_find(model, out);
	if (call->type == MEM_RESET) {
		doubt(r, call);
	} else if (call->address == 0 || (call->type & MEM_RESERVE)) {
		size_t bytes = call->address == 0 ? end : end - out;

		r = add(model, out, bytes / PAGE, call->protect & ~PAGE_TARGETS_INVALID);
		if (call->type & MEM_COMMIT)
			set(model, r, 0, r->count, call->protect);
	} else {
		set(model, r, (out - r->base) / PAGE, (end - out) / PAGE, call->protect);
	}
}

static void drop(struct model *model, struct model_reservation *r)
{
	model->committed -= committed_of(r, 0, r->count);
	free(r->pages);
	*r = model->live[--model->count];
}

struct model_answer model_free(struct model *model, const struct model_call *call)
{
	struct model_reservation *r = model_find(model, call->address);
	bool whole = call->type == MEM_RELEASE || call->size == 0;
	struct model_answer result = answer(S_OK);
	size_t first = 0, count;

	if ((call->type != MEM_RELEASE && call->type != MEM_DECOMMIT) ||
	    (call->type == MEM_RELEASE && call->size != 0) ||
	    !in_user_space(call->address, call->size))
		return answer(E_INVALIDARG);
	if (r == NULL)
		return answer(HOST_E_INVALIDOPERATION);
	if (whole && call->address >= r->base + PAGE)
		return answer(INVALID_ADDRESS);
	count = r->count;
	if (!whole && within(model, call->address, call->size, &first, &count) == NULL)
		return answer(E_INVALIDARG);
	result.refunded = committed_of(r, first, count);
	if (call->type == MEM_RELEASE)
		drop(model, r);
	else
		set(model, r, first, count, 0);
	return result;
}

struct model_answer model_release_range(struct model *model,
					const struct model_call *call)
{
	struct model_reservation *r = model_find(model, call->address);
	struct model_answer result = answer(S_OK);
	size_t first, count, rest;

	if (call->address % PAGE != 0 || call->size == 0 ||
	    !in_user_space(call->address, call->size))
		return answer(E_INVALIDARG);
	if (r == NULL)
		return answer(HOST_E_INVALIDOPERATION);
	if (within(model, call->address, call->size, &first, &count) == NULL)
		return answer(E_INVALIDARG);
	result.refunded = committed_of(r, first, count);
	rest = r->count - first - count;
	if (rest != 0) {
		struct model_reservation *right =
			add(model, r->base + (first + count) * PAGE, rest, r->protect);

		right->reset = r->reset;
		memcpy(right->pages, r->pages + first + count,
		       rest * sizeof(*right->pages));
	}
	model->committed -= result.refunded;
	r->count = first;
	if (first == 0)
		drop(model, r);
	return result;
}

static struct model_answer protect_foreign(struct model *model,
					   const struct model_call *call)
{
	uintptr_t end = model->foreign + MODEL_FOREIGN * PAGE;
	struct model_answer result = answer(S_OK);

	if (call->address < model->foreign || call->address >= end ||
	    up(call->address + call->size, PAGE) > end)
		return answer(INVALID_ADDRESS);
	if (call->protect & PAGE_GUARD)
		return answer(NOT_SUPPORTED);
	result.old = model->foreign_protect;
	/* The system keeps rwx, and to execute is to read. */
	model->foreign_protect = page_protect(call->protect);
	if (model->foreign_protect == PAGE_EXECUTE)
		model->foreign_protect = PAGE_EXECUTE_READ;
	return result;
}

struct model_answer model_protect(struct model *model, const struct model_call *call)
{
	struct model_answer result = answer(S_OK);
	struct model_reservation *r;
	size_t first, count;

	if (call->size == 0 || !in_user_space(call->address, call->size) ||
	    !model_protect_valid(call->protect))
		return answer(E_INVALIDARG);
	if (model_find(model, call->address) == NULL)
		return protect_foreign(model, call);
	r = within(model, call->address, call->size, &first, &count);
	if (r == NULL || committed_of(r, first, count) != count * PAGE)
		return answer(INVALID_ADDRESS);
	result.old = r->pages[first].protect | sticky(r->protect);
	set(model, r, first, count, call->protect);
	return result;
}

bool model_fault(struct model *model, uintptr_t address, bool write, HRESULT got)
{
	struct model_page *page = model_page(model, address);

	if (page != NULL && (page->protect & PAGE_GUARD)) {
		page->protect &= ~PAGE_GUARD;
		return got == S_OK;
	}
	/* An access that is allowed by now: "retry" is as true as "not ours". */
	if (page != NULL && (write ? model_writable(page) : model_readable(page)))
		return got == S_OK || got == S_FALSE;
	return got == S_FALSE;
}

void model_acquired(struct model *model, size_t first, size_t count)
{
	for (size_t i = 0; i < MODEL_MAPPINGS; i++) {
		if (i >= first && i < first + count)
			model->owner[i] = (uint8_t)(first + 1);
		else if (model->owner[i] == first + 1)
			model->owner[i] = 0;
	}
	model->announced[first] = true;
}

HRESULT model_released(struct model *model, size_t first)
{
	if (!model->announced[first])
		return HOST_E_INVALIDOPERATION;
	for (size_t i = 0; i < MODEL_MAPPINGS; i++) {
		if (model->owner[i] == first + 1)
			model->owner[i] = 0;
	}
	model->announced[first] = false;
	return S_OK;
}

static void query_reservation(const struct model_reservation *r, uintptr_t address,
			      MEMORY_BASIC_INFORMATION *out)
{
	size_t first = (address - r->base) / PAGE;
	DWORD protect = r->pages[first].protect;
	size_t last = first;

	while (last < r->count && r->pages[last].protect == protect)
		last++;
	out->AllocationBase = (void *)r->base;
	out->AllocationProtect = r->protect;
	out->RegionSize = (last - first) * PAGE;
	out->State = protect != 0 ? MEM_COMMIT : MEM_RESERVE;
	out->Protect = protect != 0 ? protect | sticky(r->protect) : 0;
	out->Type = MEM_PRIVATE;
}

static bool is_foreign(const struct model *model, uintptr_t address)
{
	return address >= model->foreign &&
	       address < model->foreign + MODEL_FOREIGN * PAGE;
}

bool model_query(const struct model *model, uintptr_t address,
		 MEMORY_BASIC_INFORMATION *out)
{
	const struct model_reservation *r = model_find(model, address);
	uintptr_t page = down(address, PAGE);

	memset(out, 0, sizeof(*out));
	out->BaseAddress = (void *)page;
	if (r != NULL) {
		query_reservation(r, address, out);
		return true;
	}
	if (address < model->window || address >= model->window_end)
		return false;
	if (is_foreign(model, page)) {
		out->AllocationBase = (void *)model->foreign;
		out->AllocationProtect = model->foreign_protect;
		out->RegionSize = model->foreign + MODEL_FOREIGN * PAGE - page;
		out->State = MEM_COMMIT;
		out->Protect = model->foreign_protect;
		out->Type = MEM_PRIVATE;
		return true;
	}
	out->State = MEM_FREE;
	out->Protect = PAGE_NOACCESS;
	while (page < model->window_end && !is_foreign(model, page) &&
	       model_find(model, page) == NULL)
		page += PAGE;
	out->RegionSize = page - down(address, PAGE);
	return true;
}

void model_settle(struct model *model)
{
	size_t charged = model->committed + model_external(model);

	if (charged > model->peak)
		model->peak = charged;
}

void model_clear(struct model *model)
{
	while (model->count != 0)
		drop(model, &model->live[0]);
}
