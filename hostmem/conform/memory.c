/*
 * The words of cases for memory: calls with their laws, and what has to be unchanged.
 *
 * Each call is made with poisoned out pointers, so that a host which leaves one is found in
 * every case and not only where somebody thought of it.
 *
 * "Nothing has changed" is asked of the host and of the machine: VirtualQuery over all that
 * the case has taken, the bytes of every page that can be read, and, where the host is one of
 * ours, its own figures.  Both are kept as hashes: which page it was is not told, the call
 * is.
 */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- What the trial has taken ---- */

void hm_keep(struct hm_trial *t, void *base)
{
	if (t->kept_count == t->kept_room) {
		size_t room = t->kept_room == 0 ? 32 : 2 * t->kept_room;
		void **kept = (void **)realloc(t->kept, room * sizeof(*kept));

		if (!CHECK(t, kept != NULL))
			return;
		t->kept = kept;
		t->kept_room = room;
	}
	t->kept[t->kept_count++] = base;
}

void hm_forget(struct hm_trial *t, const void *base)
{
	for (size_t i = 0; i < t->kept_count; i++) {
		if (t->kept[i] == base) {
			t->kept[i] = t->kept[--t->kept_count];
			return;
		}
	}
}

/* ---- Calls with the law of out pointers ---- */

HRESULT hm_alloc(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		 DWORD protect, EMemoryCriticalLevel level, void **ppMem)
{
	void *out = HM_POISON;
	HRESULT hr = IHostMemoryManager_VirtualAlloc(t->memory, address, size, type,
						     protect, level, &out);

	CHECK(t, out != HM_POISON);
	if (FAILED(hr))
		CHECK_POINTER(t, out, NULL);
	else
		CHECK(t, hr == S_OK && out != NULL);
	*ppMem = out == HM_POISON ? NULL : out;
	return hr;
}

HRESULT hm_query(struct hm_trial *t, const void *address, MEMORY_BASIC_INFORMATION *run)
{
	SIZE_T length = (SIZE_T)HM_POISON;
	HRESULT hr;

	memset(run, 0x5A, sizeof(*run));
	hr = IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)address, run,
					     sizeof(*run), &length);
	CHECK_SIZE(t, length, SUCCEEDED(hr) ? sizeof(*run) : 0);
	if (SUCCEEDED(hr))
		CHECK(t, hr == S_OK && run->RegionSize != 0);
	return hr;
}

HRESULT hm_reprotect(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
		     DWORD *old)
{
	HRESULT hr;

	*old = 0x5A5A5A5A;
	hr = IHostMemoryManager_VirtualProtect(t->memory, address, size, protect, old);
	CHECK(t, *old != 0x5A5A5A5A);
	if (FAILED(hr))
		CHECK_SIZE(t, *old, 0);
	else
		CHECK(t, hr == S_OK);
	return hr;
}

/* ---- Calls that succeed ---- */

void *hm_take(struct hm_trial *t, void *address, SIZE_T size, DWORD type, DWORD protect)
{
	void *base;

	if (!CHECK_HR(t, hm_alloc(t, address, size, type, protect, eTaskCritical, &base),
		      S_OK))
		return NULL;
	if (base != NULL && ((type & MEM_RESERVE) != 0 || address == NULL))
		hm_keep(t, base);
	return base;
}

bool hm_commit(struct hm_trial *t, void *address, SIZE_T size, DWORD protect)
{
	void *out = hm_take(t, address, size, MEM_COMMIT, protect);

	return CHECK_POINTER(t, out, (void *)((uintptr_t)address & ~(HM_PAGE - 1)));
}

bool hm_decommit(struct hm_trial *t, void *address, SIZE_T size)
{
	return CHECK_HR(t,
			IHostMemoryManager_VirtualFree(t->memory, address, size,
						       MEM_DECOMMIT),
			S_OK);
}

bool hm_give(struct hm_trial *t, void *base)
{
	hm_forget(t, base);
	return CHECK_HR(t,
			IHostMemoryManager_VirtualFree(t->memory, base, 0, MEM_RELEASE),
			S_OK);
}

bool hm_protect(struct hm_trial *t, void *address, SIZE_T size, DWORD protect, DWORD was)
{
	DWORD old;

	return CHECK_HR(t, hm_reprotect(t, address, size, protect, &old), S_OK) &&
	       CHECK_SIZE(t, old, was);
}

/* ---- What cases begin with ---- */

void *hm_hole(struct hm_trial *t, size_t size)
{
	void *base = hm_take(t, NULL, size, MEM_RESERVE, PAGE_NOACCESS);

	return base != NULL && hm_give(t, base) ? base : NULL;
}

unsigned char *hm_witness(struct hm_trial *t)
{
	const size_t committed = HM_WITNESS_COMMITTED * HM_PAGE;
	void *base = hm_take(t, NULL, HM_WITNESS_PAGES * HM_PAGE, MEM_RESERVE,
			     PAGE_NOACCESS);

	if (base == NULL || !hm_commit(t, base, committed, PAGE_READWRITE) ||
	    !CHECK(t, hm_can_write(hm_at(base, committed - 1), 0x5A)))
		return NULL;
	memset(base, 0x5A, committed);
	return (unsigned char *)base;
}

bool hm_need_protection(struct hm_trial *t, DWORD protect)
{
	void *page;
	HRESULT hr = hm_alloc(t, NULL, HM_PAGE, HM_BOTH, protect, eTaskCritical, &page);

	if (hr == E_ACCESSDENIED)
		hm_skip(t, "the host's policy forbids protection 0x%x",
			(unsigned)protect);
	if (page != NULL)
		hm_keep(t, page);
	return hr != E_ACCESSDENIED;
}

unsigned char *hm_neighbours(struct hm_trial *t)
{
	void *hole = hm_hole(t, 4 * HM_GRANULE);
	void *first, *second;

	if (hole == NULL)
		return NULL;
	first = hm_take(t, hm_at(hole, HM_GRANULE), HM_GRANULE, HM_BOTH, PAGE_READWRITE);
	second = hm_take(t, hm_at(hole, 2 * HM_GRANULE), HM_GRANULE, HM_BOTH,
			 PAGE_READWRITE);
	if (!CHECK_POINTER(t, first, hm_at(hole, HM_GRANULE)) ||
	    !CHECK_POINTER(t, second, hm_at(hole, 2 * HM_GRANULE)))
		return NULL;
	memset(first, 0x31, HM_GRANULE);
	memset(second, 0x32, HM_GRANULE);
	return (unsigned char *)first;
}

/* ---- Nothing has changed ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001B3;
}

/* Every 64th byte, and the last of each page: what a host writes it writes in lines. */
static uint64_t hash_contents(uint64_t hash, const unsigned char *base, size_t size)
{
	for (size_t page = 0; page < size; page += HM_PAGE) {
		if (!hm_can_read(base + page)) {
			hash = mix(hash, 0x100);
			continue;
		}
		for (size_t i = 0; i < HM_PAGE; i += 64)
			hash = mix(hash, base[page + i]);
		hash = mix(hash, base[page + HM_PAGE - 1]);
	}
	return hash;
}

static void look_at_reservation(struct hm_trial *t, void *base, struct hm_state *state)
{
	MEMORY_BASIC_INFORMATION run;
	const unsigned char *at = (const unsigned char *)base;
	SIZE_T length = 0;

	/* Asked directly: a host whose VirtualQuery is wrong fails the cases about that. */
	while (SUCCEEDED(IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)at,
							 &run, sizeof(run), &length)) &&
	       length == sizeof(run) && run.AllocationBase == base &&
	       run.RegionSize != 0) {
		state->runs = mix(state->runs, (uintptr_t)run.BaseAddress);
		state->runs = mix(state->runs, run.RegionSize);
		state->runs = mix(state->runs, ((uint64_t)run.State << 32) | run.Protect);
		state->runs = mix(state->runs, run.AllocationProtect);
		/* A look at a guard page would take the guard away. */
		if (run.State == MEM_COMMIT && (run.Protect & PAGE_GUARD) == 0)
			state->contents = hash_contents(state->contents, at,
							run.RegionSize);
		at += run.RegionSize;
	}
}

void hm_look(struct hm_trial *t, struct hm_state *state)
{
	void *face = NULL;

	memset(state, 0, sizeof(*state));
	for (size_t i = 0; i < t->kept_count; i++)
		look_at_reservation(t, t->kept[i], state);
	if (SUCCEEDED(IHostMemoryManager_QueryInterface(t->memory,
							&IID_IHostMemoryControl,
							&face)) &&
	    face != NULL) {
		state->usage = (HostMemUsage)HOSTMEM_USAGE_INIT;
		(void)IHostMemoryControl_GetUsage((IHostMemoryControl *)face,
						  &state->usage);
		(void)IHostMemoryControl_Release((IHostMemoryControl *)face);
	}
}

bool hm_check_unchanged(struct hm_trial *t, const struct hm_state *before,
			const char *file, int line)
{
	struct hm_state now;
	const HostMemUsage *is = &now.usage, *was = &before->usage;
	bool same;

	hm_look(t, &now);
	same = hm_check(t, now.runs == before->runs, "pages are as they were", file,
			line);
	same &= hm_check(t, now.contents == before->contents, "contents are as they were",
			 file, line);
	same &= hm_check(t,
			 is->cbReserved == was->cbReserved &&
				 is->cbCommitted == was->cbCommitted &&
				 is->cbHeap == was->cbHeap &&
				 is->cbExternal == was->cbExternal &&
				 is->cbCharged == was->cbCharged &&
				 is->cRegions == was->cRegions &&
				 is->cBlocks == was->cBlocks,
			 "the host's figures are as they were", file, line);
	return same;
}

/* ---- Calls that fail ---- */

bool hm_check_refused(struct hm_trial *t, HRESULT got, HRESULT want, const char *text,
		      const char *file, int line)
{
	if (t->codes)
		return hm_check_hr(t, got, want, text, file, line);
	return hm_check(t, FAILED(got), text, file, line);
}

bool hm_refused_alloc(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		      DWORD protect, EMemoryCriticalLevel level, HRESULT want)
{
	struct hm_state before;
	void *out = HM_POISON;
	HRESULT hr;
	bool refused;

	if (!t->codes)
		hm_look(t, &before);
	hr = IHostMemoryManager_VirtualAlloc(t->memory, address, size, type, protect,
					     level, &out);
	/* What came all the same, and is nobody's yet, goes back at the end. */
	if (SUCCEEDED(hr) && out != NULL && out != HM_POISON &&
	    (address == NULL || (type & MEM_RESERVE) != 0))
		hm_keep(t, out);
	if (t->codes)
		return CHECK_HR(t, hr, want);
	refused = CHECK(t, FAILED(hr));
	refused &= CHECK_POINTER(t, out, NULL);
	refused &= CHECK_UNCHANGED(t, &before);
	return refused;
}

bool hm_refused_free(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		     HRESULT want)
{
	struct hm_state before;
	HRESULT hr;
	bool refused;

	if (!t->codes)
		hm_look(t, &before);
	hr = IHostMemoryManager_VirtualFree(t->memory, address, size, type);
	if (t->codes)
		return CHECK_HR(t, hr, want);
	refused = CHECK(t, FAILED(hr));
	refused &= CHECK_UNCHANGED(t, &before);
	return refused;
}

bool hm_refused_protect(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
			HRESULT want)
{
	struct hm_state before;
	DWORD old = 0x5A5A5A5A;
	HRESULT hr;
	bool refused;

	if (!t->codes)
		hm_look(t, &before);
	hr = IHostMemoryManager_VirtualProtect(t->memory, address, size, protect, &old);
	if (t->codes)
		return CHECK_HR(t, hr, want);
	refused = CHECK(t, FAILED(hr));
	refused &= CHECK_SIZE(t, old, 0);
	refused &= CHECK_UNCHANGED(t, &before);
	return refused;
}

static bool is_filled(const unsigned char *bytes, size_t size, unsigned char value)
{
	return size == 0 ||
	       (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

bool hm_refused_query(struct hm_trial *t, const void *address, SIZE_T length,
		      HRESULT want)
{
	unsigned char buffer[2 * sizeof(MEMORY_BASIC_INFORMATION)];
	SIZE_T result = (SIZE_T)HM_POISON;
	HRESULT hr;
	bool refused;

	memset(buffer, 0x5A, sizeof(buffer));
	hr = IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)address,
					     buffer, length, &result);
	if (t->codes)
		return CHECK_HR(t, hr, want);
	refused = CHECK(t, FAILED(hr));
	refused &= CHECK_SIZE(t, result, 0);
	refused &= CHECK(t, is_filled(buffer, sizeof(buffer), 0x5A));
	return refused;
}

/* ---- What is there ---- */

bool hm_check_run(struct hm_trial *t, const void *address, DWORD state, DWORD protect,
		  SIZE_T size, const void *base, const char *file, int line)
{
	MEMORY_BASIC_INFORMATION run;
	bool same;

	if (!hm_check_hr(t, hm_query(t, address, &run), S_OK, "VirtualQuery", file, line))
		return false;
	same = hm_check_size(t, run.State, state, "State", file, line);
	same &= hm_check_size(t, run.Protect, protect, "Protect", file, line);
	same &= hm_check_pointer(t, run.AllocationBase, base, "AllocationBase", file,
				 line);
	same &= hm_check_pointer(t, run.BaseAddress,
				 (const void *)((uintptr_t)address & ~(HM_PAGE - 1)),
				 "BaseAddress", file, line);
	if (size != 0)
		same &= hm_check_size(t, run.RegionSize, size, "RegionSize", file, line);
	return same;
}

bool hm_check_filled(struct hm_trial *t, const void *base, size_t size,
		     unsigned char value, const char *file, int line)
{
	const unsigned char *bytes = (const unsigned char *)base;

	for (size_t page = 0; page < size; page += HM_PAGE) {
		if (!hm_can_read(bytes + page))
			return hm_check(t, false, "every page can be read", file, line);
	}
	return hm_check(t, is_filled(bytes, size, value), "every byte has its value",
			file, line);
}
