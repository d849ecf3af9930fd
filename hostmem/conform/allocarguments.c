/*
 * Cases about arguments of VirtualAlloc that are wrong by themselves: sizes, addresses, levels,
 * no out pointer; and what a call is told that has two things wrong.
 *
 * Win32 answers all of them with one code, before it looks at the address space.  What a
 * host gets wrong here it mostly gets wrong by arithmetic: the end of a range that wraps is
 * below its beginning, and an address below 64 KiB rounds down to NULL, which means anywhere.
 */
#include "areas.h"
#include "memory.h"

#include <limits.h>

struct call {
	const char *what;
	bool inside; /* the address counts from a reservation, see hm_witness */
	uintptr_t address;
	SIZE_T size;
	DWORD type, protect;
};

#define R MEM_RESERVE
#define C MEM_COMMIT
#define RC HM_BOTH
#define RW PAGE_READWRITE

/* On Wine it may be refused by another code. */
static void refuse(struct hm_trial *t, const struct call *calls, size_t count,
		   HRESULT want, const char *wine)
{
	unsigned char *base = hm_witness(t);

	for (size_t i = 0; base != NULL && i < count; i++) {
		const struct call *call = &calls[i];
		uintptr_t from = call->inside ? (uintptr_t)base : 0;

		hm_row(t, "%s", call->what);
		hm_wine(t, t->codes ? wine : NULL);
		hm_refused_alloc(t, (void *)(from + call->address), call->size,
				 call->type, call->protect, eTaskCritical, want);
	}
}

static void size_zero_is_refused(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "reserve at NULL", false, 0, 0, R, RW },
		{ "commit at NULL", false, 0, 0, C, RW },
		{ "both at NULL", false, 0, 0, RC, RW },
		{ "top down at NULL", false, 0, 0, R | MEM_TOP_DOWN, RW },
		{ "reserve inside", true, 0x1000, 0, R, RW },
		{ "commit inside", true, 0x1000, 0, C, RW },
		{ "commit inside, between pages", true, 0x1234, 0, C, PAGE_READONLY },
		{ "commit of reserved pages", true, 0x8000, 0, C, RW },
		{ "both inside", true, 0, 0, RC, RW },
	};

	refuse(t, calls, HM_ROWS(calls), E_INVALIDARG, NULL);
}

static void sizes_beyond_all_addresses_are_refused(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "2^64 - 1", false, 0, 0xFFFFFFFFFFFFFFFF, R, RW },
		{ "2^64 - 4095", false, 0, 0xFFFFFFFFFFFFF001, R, RW },
		{ "2^64 - 4096", false, 0, 0xFFFFFFFFFFFFF000, R, RW },
		{ "2^64 - 65536", false, 0, 0xFFFFFFFFFFFF0000, R, RW },
		{ "2^63", false, 0, 0x8000000000000000, R, RW },
		{ "2^64 - 1, commit", false, 0, 0xFFFFFFFFFFFFFFFF, C, RW },
		{ "2^64 - 4095, both", false, 0, 0xFFFFFFFFFFFFF001, RC, RW },
		{ "user space and a byte", false, 0, 0x7FFFFFFF0001, R, RW },
		{ "user space and a byte, commit", false, 0, 0x7FFFFFFF0001, C, RW },
		{ "2147483647000000, commit", false, 0, 2147483647000000, C, RW },
		{ "2^64 - 1, commit inside", true, 0, 0xFFFFFFFFFFFFFFFF, C, RW },
		{ "wraps to itself", true, 0, 0xFFFFFFFFFFFFF001, C, RW },
		{ "wraps to before", true, 0, 0xFFFFFFFFFFFF0000, C, RW },
		{ "wraps to the last byte", true, 0x1FFF, 0xFFFFFFFFFFFFF001, C, RW },
		{ "leaves user space inside", true, 0, 0x7FFFFFFF0000, C, RW },
		{ "wraps to NULL", false, 0x10000, 0xFFFFFFFFFFFF0000, R, RW },
		{ "wraps to a byte", false, 0x10000, 0xFFFFFFFFFFFF0001, R, RW },
		{ "leaves user space", false, 0x7FFFFFFE0000, 0x10001, R, RW },
	};

	refuse(t, calls, HM_ROWS(calls), E_INVALIDARG, NULL);
}

/* As large as user space, from where the host likes: the call is right, and cannot be met. */
static void sizes_that_cannot_be_had_are_out_of_memory(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "reserve user space", false, 0, 0x7FFFFFFF0000, R, RW },
		{ "commit user space", false, 0, 0x7FFFFFFF0000, C, RW },
		{ "both, a unit less", false, 0, 0x7FFFFFFE0000, RC, RW },
		{ "top down", false, 0, 0x7FFFFFFF0000, R | MEM_TOP_DOWN, RW },
	};

	refuse(t, calls, HM_ROWS(calls), E_OUTOFMEMORY, NULL);
}

static void addresses_below_64k_are_refused(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "1", false, 1, 0x1000, R, RW },
		{ "0x1000", false, 0x1000, 0x1000, R, RW },
		{ "0xFFFF", false, 0xFFFF, 0x1000, R, RW },
		{ "0x8000, into the next unit", false, 0x8000, 0x20000, R, RW },
		{ "1, both", false, 1, 0x1000, RC, RW },
		{ "0xFFFF, both", false, 0xFFFF, 1, RC, RW },
		{ "1, commit", false, 1, 0x1000, C, RW },
		{ "0xFFFF, commit", false, 0xFFFF, 1, C, RW },
	};

	refuse(t, calls, HM_ROWS(calls), E_INVALIDARG, NULL);
}

static void addresses_beyond_user_space_are_refused(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "its end", false, 0x7FFFFFFF0000, 0x1000, R, RW },
		{ "its end, commit", false, 0x7FFFFFFF0000, 0x1000, C, RW },
		{ "2^47", false, 0x800000000000, 0x1000, R, RW },
		{ "2^63, of nobody's", false, 0x8000000000000000, 0x1000, R, RW },
		{ "the system's half", false, 0xFFFF800000000000, 0x1000, R, RW },
		{ "the system's half, commit", false, 0xFFFF800000000000, 0x1000, C, RW },
		{ "the last page", false, 0xFFFFFFFFFFFFF000, 0x1000, R, RW },
		{ "the last byte, both", false, 0xFFFFFFFFFFFFFFFF, 1, RC, RW },
		{ "the last byte, and one more", false, 0xFFFFFFFFFFFFFFFF, 2, C, RW },
	};

	refuse(t, calls, HM_ROWS(calls), E_INVALIDARG, NULL);
}

/* ---- Two things wrong ---- */

/* What is wrong with the address space is found last. */
static void bad_arguments_are_told_before_bad_places(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "no type, behind a reservation", true, 0x20000, 0x1000, 0, RW },
		{ "MEM_TOP_DOWN, inside", true, 0, 0x1000, MEM_TOP_DOWN, RW },
		{ "bad type, conflict", true, 0, 0x1000, R | MEM_RELEASE, RW },
		{ "size 0, conflict", true, 0, 0, RC, RW },
		{ "size 0, past the end", true, 0x10000, 0, C, RW },
		{ "beyond user space, conflict", true, 0, 0x7FFFFFFF0000, R, RW },
		{ "bad protection, conflict", true, 0, 0x1000, R, 0 },
	};

	refuse(t, calls, HM_ROWS(calls), E_INVALIDARG, NULL);
}

static void a_bad_protection_is_told_before_a_bad_place(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "no protection, past the end", true, 0x10000, 0x1000, C, 0 },
		{ "two, past the end", true, 0xF000, 0x1001, C, PAGE_READONLY | RW },
	};

	refuse(t, calls, HM_ROWS(calls), E_INVALIDARG,
	       "Wine 8 looks at the protection last; RK: first");
}

/* ---- Levels ---- */

static void every_level_is_granted(struct hm_trial *t)
{
	for (int level = eTaskCritical; level <= eProcessCritical; level++) {
		void *base;

		hm_row(t, "level %d", level);
		CHECK_HR(t,
			 hm_alloc(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_NOACCESS,
				  (EMemoryCriticalLevel)level, &base),
			 S_OK);
		if (base == NULL)
			continue;
		hm_keep(t, base);
		CHECK_HR(t,
			 hm_alloc(t, base, HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
				  (EMemoryCriticalLevel)level, &base),
			 S_OK);
		CHECK(t, base != NULL && hm_can_write(base, 1));
	}
}

/* The reference has three levels and says nothing of others: a host may not look at them. */
static bool takes_any_level(struct hm_trial *t)
{
	void *base;

	if (hm_alloc(t, NULL, HM_PAGE, R, RW, (EMemoryCriticalLevel)3, &base) != S_OK)
		return false;
	hm_keep(t, base);
	return hm_chooses(t, "takes any level");
}

static void other_levels_are_refused(struct hm_trial *t)
{
	static const int levels[] = { 3, -1, 0x7FFFFFFF, INT_MIN };
	unsigned char *base = hm_witness(t);

	if (base == NULL || takes_any_level(t))
		return;
	for (size_t i = 0; i < HM_ROWS(levels); i++) {
		EMemoryCriticalLevel level = (EMemoryCriticalLevel)levels[i];

		hm_row(t, "level %d", levels[i]);
		hm_refused_alloc(t, NULL, HM_PAGE, R, RW, level, E_INVALIDARG);
		hm_refused_alloc(t, NULL, HM_PAGE, RC, RW, level, E_INVALIDARG);
		hm_refused_alloc(t, base, 8 * HM_PAGE, C, PAGE_READONLY, level,
				 E_INVALIDARG);
		/* Asked before what is there already. */
		hm_refused_alloc(t, base, HM_PAGE, R, RW, level, E_INVALIDARG);
	}
}

/* ---- No out pointer ---- */

/* Asked first, so that all the rest may be wrong as well. */
static void no_out_pointer_is_refused(struct hm_trial *t)
{
	static const struct call calls[] = {
		{ "reserve", false, 0, 0x1000, R, RW },
		{ "both", false, 0, 0x1000, RC, RW },
		{ "commit at NULL", false, 0, 0x1000, C, RW },
		{ "commit inside", true, 0, 0x8000, C, PAGE_READONLY },
		{ "reserve inside", true, 0, 0x1000, R, RW },
		{ "size 0", false, 0, 0, R, RW },
		{ "no type", false, 0, 0x1000, 0, RW },
		{ "no protection", true, 0, 0x1000, C, 0 },
		{ "below 64 KiB", false, 0x1000, 0x1000, R, RW },
	};
	unsigned char *base = hm_witness(t);
	struct hm_state before;

	for (size_t i = 0; base != NULL && i < HM_ROWS(calls); i++) {
		const struct call *call = &calls[i];
		uintptr_t from = call->inside ? (uintptr_t)base : 0;

		hm_row(t, "%s", call->what);
		if (!t->codes)
			hm_look(t, &before);
		CHECK_REFUSED(t,
			      IHostMemoryManager_VirtualAlloc(
				      t->memory, (void *)(from + call->address),
				      call->size, call->type, call->protect,
				      eTaskCritical, NULL),
			      E_POINTER);
		if (!t->codes)
			CHECK_UNCHANGED(t, &before);
	}
}

static const struct hm_case cases[] = {
	{ "no-out-pointer", HM_DOCUMENTED, "COM: E_POINTER; HM VirtualAlloc: ppMem",
	  no_out_pointer_is_refused, HM_DOCUMENTED },
	{ "size-zero", HM_REQUIRED, "WT kernel32 virtual.c: size 0", size_zero_is_refused,
	  HM_WINDOWS_DETAIL },
	{ "size-overflow", HM_REQUIRED, "RK: size and end beyond user space; PAL test22",
	  sizes_beyond_all_addresses_are_refused, HM_WINDOWS_DETAIL },
	{ "size-of-everything", HM_REQUIRED, "HR VirtualAlloc: E_OUTOFMEMORY",
	  sizes_that_cannot_be_had_are_out_of_memory, HM_DOCUMENTED },
	{ "low-addresses", HM_REQUIRED, "RK: below 64 KiB",
	  addresses_below_64k_are_refused, HM_WINDOWS_DETAIL },
	{ "high-addresses", HM_REQUIRED, "RK: beyond user space",
	  addresses_beyond_user_space_are_refused, HM_WINDOWS_DETAIL },
	{ "order", HM_REQUIRED, "RK: arguments before places",
	  bad_arguments_are_told_before_bad_places, HM_WINDOWS_DETAIL },
	{ "order-of-protection", HM_REQUIRED, "RK: protection before places",
	  a_bad_protection_is_told_before_a_bad_place, HM_WINDOWS_DETAIL },
	{ "levels", HM_REQUIRED, "HR EMemoryCriticalLevel", every_level_is_granted,
	  HM_NO_GROUP },
	{ "other-levels", HM_DOCUMENTED, "HM VirtualAlloc: level",
	  other_levels_are_refused, HM_DOCUMENTED },
};

const struct hm_area hm_area_alloc_arguments = HM_AREA("alloc-arguments", cases);
