/*
 * Size-first records: reading those of callers, and filling theirs.
 *
 * A caller that was compiled with an older header has a shorter record; what it lacks is
 * the default.  A size at which no field ends is a mistake, and so is a larger one when
 * reading, since what lies behind our end would be dropped without a word.
 *
 * No locks.
 */
#include "record.h"
#include "hostmem/budget.h"

#include <string.h>

#define LEAST_ROOM 16U

static uint32_t size_of(const void *record)
{
	uint32_t size;

	memcpy(&size, record, sizeof(size));
	return size;
}

static void set_size(void *record, size_t size)
{
	uint32_t given = (uint32_t)size;

	memcpy(record, &given, sizeof(given));
}

HRESULT record_read(void *record, size_t size, const void *from, const size_t *ends,
		    size_t count)
{
	uint32_t given = size_of(from);

	for (size_t i = 0; i < count; i++) {
		if (ends[i] != given)
			continue;
		memcpy(record, from, given);
		/* From here on it is a record of ours. */
		set_size(record, size);
		return S_OK;
	}
	return E_INVALIDARG;
}

HRESULT record_write(void *to, const void *record, size_t size)
{
	uint32_t room = size_of(to);

	if (room < LEAST_ROOM || room % 8 != 0)
		return E_INVALIDARG;
	if (room < size)
		size = room;
	memcpy(to, record, size);
	set_size(to, size);
	return S_OK;
}

HRESULT budget_read(const HostMemBudget *from, HostMemBudget *out)
{
	static const size_t ends[] = {
		RECORD_END(HostMemBudget, dwFlags),
		RECORD_END(HostMemBudget, cbLimit),
		RECORD_END(HostMemBudget, cbSoftLimit),
		RECORD_END(HostMemBudget, cbHeadroom),
		RECORD_END(HostMemBudget, cbLargest),
		RECORD_END(HostMemBudget, msWait),
		sizeof(HostMemBudget),
	};
	HRESULT hr;

	*out = (HostMemBudget)HOSTMEM_BUDGET_INIT;
	hr = record_read(out, sizeof(*out), from, ends, sizeof(ends) / sizeof(ends[0]));
	return FAILED(hr) ? hr : hm_budget_check(out);
}
