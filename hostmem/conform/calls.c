/*
 * Calls as cases make them: with the law of out pointers, and those that have to be refused.
 *
 * Each call is made with poisoned out pointers, so that a host which leaves one is found in
 * every case and not only where somebody thought of it.
 */
#include "calltext.h"
#include "memory.h"

#include <string.h>

/* What an out parameter that is no pointer holds before a call. */
#define POISON_FLAGS 0x5A5A5A5AU

static bool check(struct hm_trial *t, bool passed, const struct hm_call *call,
		  const char *what, struct hm_place place)
{
	char text[sizeof(struct hm_call_text) + 64];

	if (passed)
		return hm_check(t, true, "", place.file, place.line);
	(void)snprintf(text, sizeof(text), "%s: %s", hm_text_of(call).text, what);
	return hm_check(t, false, text, place.file, place.line);
}

/* ---- The law of out pointers ---- */

HRESULT hm_alloc_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		    DWORD protect, EMemoryCriticalLevel level, void **ppMem,
		    struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_ALLOC, address, size, type,
				      protect,          level };
	void *out = HM_POISON;
	HRESULT hr = IHostMemoryManager_VirtualAlloc(t->memory, address, size, type,
						     protect, level, &out);

	check(t, out != HM_POISON, &call, "*ppMem is written", place);
	if (FAILED(hr))
		check(t, out == NULL, &call, "it fails, and *ppMem is NULL", place);
	else
		check(t, hr == S_OK && out != NULL, &call,
		      "it succeeds with S_OK and *ppMem", place);
	*ppMem = out == HM_POISON ? NULL : out;
	return hr;
}

HRESULT hm_query_at(struct hm_trial *t, const void *address,
		    MEMORY_BASIC_INFORMATION *run, struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_QUERY, address, sizeof(*run), 0, 0,
				      eTaskCritical };
	SIZE_T length = (SIZE_T)HM_POISON;
	HRESULT hr;

	memset(run, 0x5A, sizeof(*run));
	hr = IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)address, run,
					     sizeof(*run), &length);
	check(t, length == (SUCCEEDED(hr) ? sizeof(*run) : 0), &call,
	      "*pResult is the size of the record, or 0", place);
	if (SUCCEEDED(hr))
		check(t, hr == S_OK && run->RegionSize != 0, &call,
		      "it succeeds with S_OK and RegionSize is not 0", place);
	return hr;
}

HRESULT hm_reprotect_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
			DWORD *old, struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_PROTECT, address, size, 0, protect,
				      eTaskCritical };
	HRESULT hr;

	*old = POISON_FLAGS;
	hr = IHostMemoryManager_VirtualProtect(t->memory, address, size, protect, old);
	check(t, *old != POISON_FLAGS, &call, "*pOldProtect is written", place);
	if (FAILED(hr))
		check(t, *old == 0, &call, "it fails, and *pOldProtect is 0", place);
	else
		check(t, hr == S_OK, &call, "it succeeds with S_OK", place);
	return hr;
}

/* ---- Calls that fail ---- */

bool hm_check_refused(struct hm_trial *t, HRESULT got, HRESULT want, const char *text,
		      const char *file, int line)
{
	if (t->codes || !FAILED(got))
		return hm_check_hr(t, got, want, text, file, line);
	return hm_check(t, true, text, file, line);
}

static bool refused(struct hm_trial *t, HRESULT got, HRESULT want,
		    const struct hm_call *call, struct hm_place place)
{
	struct hm_call_text text = { "" };

	if (got != want)
		text = hm_text_of(call);
	return hm_check_refused(t, got, want, text.text, place.file, place.line);
}

bool hm_refused_alloc_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
			 DWORD protect, EMemoryCriticalLevel level, HRESULT want,
			 struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_ALLOC, address, size, type,
				      protect,          level };
	struct hm_state before;
	void *out = HM_POISON;
	HRESULT hr;
	bool good;

	if (!t->codes)
		hm_look(t, &before);
	hr = IHostMemoryManager_VirtualAlloc(t->memory, address, size, type, protect,
					     level, &out);
	/* What came all the same, and is nobody's yet, goes back at the end. */
	if (SUCCEEDED(hr) && out != NULL && out != HM_POISON &&
	    (address == NULL || (type & MEM_RESERVE) != 0))
		hm_keep(t, out);
	good = refused(t, hr, want, &call, place);
	if (t->codes)
		return good;
	good &= check(t, out == NULL, &call, "*ppMem is NULL", place);
	good &= hm_check_unchanged(t, &before, place.file, place.line);
	return good;
}

bool hm_refused_free_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
			HRESULT want, struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_FREE, address, size, type, 0,
				      eTaskCritical };
	struct hm_state before;
	HRESULT hr;
	bool good;

	if (!t->codes)
		hm_look(t, &before);
	hr = IHostMemoryManager_VirtualFree(t->memory, address, size, type);
	good = refused(t, hr, want, &call, place);
	if (!t->codes)
		good &= hm_check_unchanged(t, &before, place.file, place.line);
	return good;
}

bool hm_refused_protect_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
			   HRESULT want, struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_PROTECT, address, size, 0, protect,
				      eTaskCritical };
	struct hm_state before;
	DWORD old = POISON_FLAGS;
	HRESULT hr;
	bool good;

	if (!t->codes)
		hm_look(t, &before);
	hr = IHostMemoryManager_VirtualProtect(t->memory, address, size, protect, &old);
	good = refused(t, hr, want, &call, place);
	if (t->codes)
		return good;
	good &= check(t, old == 0, &call, "*pOldProtect is 0", place);
	good &= hm_check_unchanged(t, &before, place.file, place.line);
	return good;
}

bool hm_refused_query_at(struct hm_trial *t, const void *address, SIZE_T length,
			 HRESULT want, struct hm_place place)
{
	const struct hm_call call = { HM_VIRTUAL_QUERY, address, length, 0, 0,
				      eTaskCritical };
	unsigned char buffer[2 * sizeof(MEMORY_BASIC_INFORMATION)];
	unsigned char untouched[sizeof(buffer)];
	SIZE_T result = (SIZE_T)HM_POISON;
	HRESULT hr;
	bool good;

	memset(buffer, 0x5A, sizeof(buffer));
	memset(untouched, 0x5A, sizeof(untouched));
	hr = IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)address,
					     buffer, length, &result);
	good = refused(t, hr, want, &call, place);
	if (t->codes)
		return good;
	good &= check(t, result == 0, &call, "*pResult is 0", place);
	good &= check(t, memcmp(buffer, untouched, sizeof(buffer)) == 0, &call,
		      "the buffer is not touched", place);
	return good;
}
