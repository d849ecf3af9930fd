/*
 * Cases about VirtualQuery's own arguments: buffers and lengths, and addresses that nothing can
 * be at.
 *
 * Callers hand over one record and trust the host with its size.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

enum { RECORD = sizeof(MEMORY_BASIC_INFORMATION) };

static void lengths_that_are_too_short(struct hm_trial *t)
{
	static const size_t rows[] = { 0, 1, 27, 28, 40, RECORD - 1 };
	void *base = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

	for (size_t i = 0; base != NULL && i < HM_ROWS(rows); i++) {
		int local = 0;

		hm_row(t, "length %zu", rows[i]);
		hm_refused_query(t, base, rows[i], HM_BAD_LENGTH);
		hm_refused_query(t, &local, rows[i], HM_BAD_LENGTH);
		hm_refused_query(t, NULL, rows[i], HM_BAD_LENGTH);
	}
}

/* Nothing is written behind the record, however much room there is. */
static void lengths_that_are_long_enough(struct hm_trial *t)
{
	static unsigned char buffer[4096];
	static const size_t rows[] = { RECORD, RECORD + 1, 2 * RECORD, sizeof(buffer) };
	void *base = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

	for (size_t i = 0; base != NULL && i < HM_ROWS(rows); i++) {
		MEMORY_BASIC_INFORMATION run;
		SIZE_T length = 0;

		hm_row(t, "length %zu", rows[i]);
		memset(buffer, 0x5A, sizeof(buffer));
		CHECK_HR(t,
			 IHostMemoryManager_VirtualQuery(t->memory, base, buffer, rows[i],
							 &length),
			 S_OK);
		CHECK_SIZE(t, length, RECORD);
		memcpy(&run, buffer, sizeof(run));
		CHECK_POINTER(t, run.BaseAddress, base);
		CHECK_SIZE(t, run.RegionSize, HM_PAGE);
		CHECK_FILLED(t, buffer + RECORD, sizeof(buffer) - RECORD, 0x5A);
	}
}

static void pointers_that_are_null(struct hm_trial *t)
{
	void *base = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
	SIZE_T length = (SIZE_T)HM_POISON;
	MEMORY_BASIC_INFORMATION run;

	if (base == NULL)
		return;
	hm_row(t, "no buffer");
	CHECK_REFUSED(t,
		      IHostMemoryManager_VirtualQuery(t->memory, base, NULL, RECORD,
						      &length),
		      E_POINTER);
	if (!t->codes)
		CHECK_SIZE(t, length, 0);
	hm_row(t, "no result");
	memset(&run, 0x5A, sizeof(run));
	CHECK_REFUSED(t,
		      IHostMemoryManager_VirtualQuery(t->memory, base, &run, RECORD,
						      NULL),
		      E_POINTER);
	if (!t->codes)
		CHECK_FILLED(t, &run, sizeof(run), 0x5A);
	hm_row(t, "neither");
	CHECK_REFUSED(t,
		      IHostMemoryManager_VirtualQuery(t->memory, base, NULL, RECORD,
						      NULL),
		      E_POINTER);
}

static void addresses_beyond_user_space(struct hm_trial *t)
{
	static const uintptr_t rows[] = { HM_USER_END,         HM_USER_END + 0x1234,
					  0x7FFFFFFFF000,      0x800000000000,
					  0x123456789ABC0000,  0xFFFF800000000000,
					  UINTPTR_MAX - 0xFFF, UINTPTR_MAX };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *address = (void *)rows[i];

		hm_row(t, "0x%zx", (size_t)rows[i]);
		/* Where addresses are not random the stack may be there. */
		if (!hm_can_read(address))
			hm_refused_query(t, address, RECORD, E_INVALIDARG);
	}
}

static const struct hm_case cases[] = {
	{ "short-lengths", HM_REQUIRED, "WT: ERROR_BAD_LENGTH, nothing written",
	  lengths_that_are_too_short, HM_WINDOWS_DETAIL },
	{ "long-lengths", HM_REQUIRED, "MS VirtualQuery: returns the bytes written",
	  lengths_that_are_long_enough, HM_NO_GROUP },
	{ "null-pointers", HM_REQUIRED, "COM: E_POINTER", pointers_that_are_null,
	  HM_DOCUMENTED },
	{ "beyond-user-space", HM_REQUIRED, "MS VirtualQuery: ERROR_INVALID_PARAMETER",
	  addresses_beyond_user_space, HM_DOCUMENTED },
};

const struct hm_area hm_area_bad_query = HM_AREA("bad-query", cases);
