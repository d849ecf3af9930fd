/*
 * The words of cases for memory: what a trial has taken, calls that have to succeed, and what is
 * there then.
 */
#include "calltext.h"
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

/* ---- Calls that succeed ---- */

static bool succeeded(struct hm_trial *t, HRESULT hr, const struct hm_call *call,
		      struct hm_place place)
{
	struct hm_call_text text = { "" };

	if (hr != S_OK)
		text = hm_text_of(call);
	return hm_check_hr(t, hr, S_OK, text.text, place.file, place.line);
}

void *hm_take_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		 DWORD protect, struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_ALLOC, address,      size, type,
				      protect,          eTaskCritical };
	void *base;

	if (!succeeded(t,
		       hm_alloc_at(t, address, size, type, protect, eTaskCritical, &base,
				   place),
		       &call, place))
		return NULL;
	if (base != NULL && ((type & MEM_RESERVE) != 0 || address == NULL))
		hm_keep(t, base);
	return base;
}

bool hm_commit_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
		  struct hm_place place)
{
	void *out = hm_take_at(t, address, size, MEM_COMMIT, protect, place);

	return hm_check_pointer(t, out, (void *)((uintptr_t)address & ~(HM_PAGE - 1)),
				"*ppMem of a commit", place.file, place.line);
}

static bool free_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		    struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_FREE, address, size, type, 0,
				      eTaskCritical };

	return succeeded(t,
			 IHostMemoryManager_VirtualFree(t->memory, address, size, type),
			 &call, place);
}

bool hm_decommit_at(struct hm_trial *t, void *address, SIZE_T size, struct hm_place place)
{
	return free_at(t, address, size, MEM_DECOMMIT, place);
}

bool hm_give_at(struct hm_trial *t, void *base, struct hm_place place)
{
	hm_forget(t, base);
	return free_at(t, base, 0, MEM_RELEASE, place);
}

bool hm_protect_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
		   DWORD was, struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_PROTECT, address, size, 0, protect,
				      eTaskCritical };
	DWORD old;

	return succeeded(t, hm_reprotect_at(t, address, size, protect, &old, place),
			 &call, place) &&
	       hm_check_size(t, old, was, "the old protection", place.file, place.line);
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

/* ---- What is there ---- */

bool hm_check_run(struct hm_trial *t, const void *address, DWORD state, DWORD protect,
		  SIZE_T size, const void *base, const char *file, int line)
{
	const struct hm_call call = {
		HM_VIRTUAL_QUERY, address, sizeof(MEMORY_BASIC_INFORMATION), 0, 0,
		eTaskCritical
	};
	const struct hm_place place = { file, line };
	MEMORY_BASIC_INFORMATION run;
	bool same;

	if (!succeeded(t, hm_query_at(t, address, &run, place), &call, place))
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

static bool is_filled(const unsigned char *bytes, size_t size, unsigned char value)
{
	return size == 0 ||
	       (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
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
