/*
 * Cases about protections: which there are, what each lets a thread do, what is told of it.
 *
 * Exactly one of six, perhaps with modifiers.  Accepting more is no kindness: what executes is
 * one bit away from what does not, and a client that mixes them up has to hear of it.
 *
 * A host may forbid, by E_ACCESSDENIED, what executes, or what executes and can be written;
 * what needs it is then not asked.
 */
#include "areas.h"
#include "memory.h"

#define ALL_MODIFIERS 0x40000700U

/* ---- Valid ones ---- */

static void check_told(struct hm_trial *t, const void *base, DWORD first, DWORD now)
{
	MEMORY_BASIC_INFORMATION run;

	if (base == NULL || hm_query(t, base, &run) != S_OK)
		return;
	CHECK_SIZE(t, run.AllocationProtect, first);
	CHECK_SIZE(t, run.Protect, now);
}

/* In each call that takes one, and told without what is never told. */
static void check_valid(struct hm_trial *t, DWORD protect)
{
	const DWORD told = protect & ~(DWORD)PAGE_TARGETS_INVALID;
	unsigned char *base;

	hm_row(t, "protection 0x%x, reserve", (unsigned)protect);
	check_told(t, hm_take(t, NULL, HM_PAGE, MEM_RESERVE, protect), told, 0);
	hm_row(t, "protection 0x%x, commit", (unsigned)protect);
	check_told(t, hm_take(t, NULL, HM_PAGE, MEM_COMMIT, protect), told, told);
	hm_row(t, "protection 0x%x, both", (unsigned)protect);
	check_told(t, hm_take(t, NULL, HM_PAGE, HM_BOTH, protect), told, told);
	hm_row(t, "protection 0x%x, commit of a reservation", (unsigned)protect);
	base = hm_witness(t);
	if (base != NULL && hm_commit(t, base + 2 * HM_PAGE, 4 * HM_PAGE, protect))
		CHECK_RUN(t, base + 2 * HM_PAGE, MEM_COMMIT, told, 4 * HM_PAGE, base);
}

static void protections_of_data(struct hm_trial *t)
{
	check_valid(t, PAGE_NOACCESS);
	check_valid(t, PAGE_READONLY);
	check_valid(t, PAGE_READWRITE);
}

static void protections_of_code(struct hm_trial *t)
{
	if (!hm_need_protection(t, PAGE_EXECUTE_READ))
		return;
	check_valid(t, PAGE_EXECUTE);
	check_valid(t, PAGE_EXECUTE_READ);
}

static void the_protection_of_a_jit(struct hm_trial *t)
{
	if (hm_need_protection(t, PAGE_EXECUTE_READWRITE))
		check_valid(t, PAGE_EXECUTE_READWRITE);
}

/* ChakraCore compares what is told with what it has asked for, without this bit. */
static void the_bit_for_call_targets_is_not_told(struct hm_trial *t)
{
	if (!hm_need_protection(t, PAGE_EXECUTE_READ))
		return;
	check_valid(t, PAGE_EXECUTE | PAGE_TARGETS_INVALID);
	check_valid(t, PAGE_EXECUTE_READ | PAGE_TARGETS_INVALID);
	if (hm_need_protection(t, PAGE_EXECUTE_READWRITE))
		check_valid(t, PAGE_EXECUTE_READWRITE | PAGE_TARGETS_INVALID);
}

/* ---- What each allows ---- */

enum allowed { READ = 1, WRITE = 2, CALL = 4 };

/* A page with code, at its second half, committed anew with the protection. */
static unsigned char *code_with(struct hm_trial *t, DWORD protect)
{
	unsigned char *page = (unsigned char *)hm_take(t, NULL, HM_PAGE, HM_BOTH,
						       PAGE_READWRITE);

	hm_row(t, "protection 0x%x", (unsigned)protect);
	if (page == NULL || !CHECK(t, hm_can_write(page, 0x42)))
		return NULL;
	hm_put_code(page + HM_PAGE / 2);
	return hm_commit(t, page, HM_PAGE, protect) ? page : NULL;
}

static void check_access(struct hm_trial *t, DWORD protect, unsigned allowed)
{
	unsigned char *page = code_with(t, protect);

	if (page == NULL)
		return;
	CHECK_SIZE(t, hm_can_read(page), (allowed & READ) != 0);
	CHECK_SIZE(t, hm_can_write(page + 1, 1), (allowed & WRITE) != 0);
	if ((allowed & READ) != 0)
		CHECK_SIZE(t, page[0], 0x42);
	if ((allowed & CALL) != 0)
		CHECK(t, hm_can_call(page + HM_PAGE / 2));
}

static void data_can_be_read_and_written(struct hm_trial *t)
{
	check_access(t, PAGE_NOACCESS, 0);
	check_access(t, PAGE_READONLY, READ);
	check_access(t, PAGE_READWRITE, READ | WRITE);
}

static void code_can_be_called_and_not_written(struct hm_trial *t)
{
	unsigned char *page;

	if (!hm_need_protection(t, PAGE_EXECUTE_READ))
		return;
	check_access(t, PAGE_EXECUTE_READ, READ | CALL);
	page = code_with(t, PAGE_EXECUTE);
	if (page == NULL)
		return;
	CHECK(t, hm_can_call(page + HM_PAGE / 2));
	CHECK(t, !hm_can_write(page, 1));
}

/* The processor knows no page that executes and cannot be read. */
static void code_can_be_read(struct hm_trial *t)
{
	if (hm_need_protection(t, PAGE_EXECUTE))
		check_access(t, PAGE_EXECUTE, READ | CALL);
}

static void a_jit_can_do_everything(struct hm_trial *t)
{
	if (hm_need_protection(t, PAGE_EXECUTE_READWRITE))
		check_access(t, PAGE_EXECUTE_READWRITE, READ | WRITE | CALL);
}

static void data_cannot_be_called(struct hm_trial *t)
{
	static const DWORD protections[] = { PAGE_NOACCESS, PAGE_READONLY,
					     PAGE_READWRITE };

	for (size_t i = 0; i < HM_ROWS(protections); i++) {
		unsigned char *page = code_with(t, protections[i]);

		if (page != NULL)
			CHECK(t, !hm_can_call(page + HM_PAGE / 2));
	}
}

/* ---- Invalid ones ---- */

/* Pages that are committed, and pages that are not. */
static void refuse(struct hm_trial *t, unsigned char *base, DWORD protect)
{
	hm_refused_alloc(t, base, 8 * HM_PAGE, MEM_COMMIT, protect, eTaskCritical,
			 E_INVALIDARG);
}

static void exactly_one_of_six(struct hm_trial *t)
{
	unsigned char *base = hm_witness(t);

	for (DWORD protect = 0; base != NULL && protect <= 0xFF; protect++) {
		if (protect == PAGE_NOACCESS || protect == PAGE_READONLY ||
		    protect == PAGE_READWRITE || protect == PAGE_EXECUTE ||
		    protect == PAGE_EXECUTE_READ || protect == PAGE_EXECUTE_READWRITE)
			continue;
		hm_row(t, "protection 0x%02x", (unsigned)protect);
		refuse(t, base, protect);
	}
}

/* A reservation alone has no use for one, and needs it all the same. */
static void reserving_needs_one_too(struct hm_trial *t)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_COMMIT, HM_BOTH };
	static const DWORD protections[] = {
		0,
		PAGE_READONLY | PAGE_READWRITE,
		PAGE_NOACCESS | PAGE_READWRITE,
		PAGE_WRITECOPY,
		PAGE_EXECUTE | PAGE_READWRITE,
		PAGE_EXECUTE_WRITECOPY,
		0xFF,
	};

	for (size_t i = 0; i < HM_ROWS(types) * HM_ROWS(protections); i++) {
		DWORD protect = protections[i / HM_ROWS(types)];
		DWORD type = types[i % HM_ROWS(types)];

		hm_row(t, "protection 0x%x, type 0x%x", (unsigned)protect,
		       (unsigned)type);
		hm_refused_alloc(t, NULL, HM_PAGE, type, protect, eTaskCritical,
				 E_INVALIDARG);
	}
}

/* ---- Modifiers ---- */

static void modifiers_do_not_stand_alone(struct hm_trial *t)
{
	static const DWORD modifiers[] = {
		PAGE_GUARD,
		PAGE_NOCACHE,
		PAGE_WRITECOMBINE,
		PAGE_TARGETS_INVALID,
		PAGE_GUARD | PAGE_NOCACHE,
		ALL_MODIFIERS,
	};
	unsigned char *base = hm_witness(t);

	for (size_t i = 0; base != NULL && i < HM_ROWS(modifiers); i++) {
		hm_row(t, "modifiers 0x%x", (unsigned)modifiers[i]);
		refuse(t, base, modifiers[i]);
		hm_refused_alloc(t, NULL, HM_PAGE, MEM_RESERVE, modifiers[i],
				 eTaskCritical, E_INVALIDARG);
	}
}

static void modifiers_exclude_each_other(struct hm_trial *t)
{
	static const DWORD protections[] = {
		PAGE_NOACCESS | PAGE_GUARD,
		PAGE_NOACCESS | PAGE_NOCACHE,
		PAGE_NOACCESS | PAGE_WRITECOMBINE,
		PAGE_READWRITE | PAGE_GUARD | PAGE_NOCACHE,
		PAGE_READWRITE | PAGE_GUARD | PAGE_WRITECOMBINE,
		PAGE_READWRITE | PAGE_NOCACHE | PAGE_WRITECOMBINE,
		PAGE_READONLY | PAGE_GUARD | PAGE_NOCACHE | PAGE_WRITECOMBINE,
	};
	unsigned char *base = hm_witness(t);

	for (size_t i = 0; base != NULL && i < HM_ROWS(protections); i++) {
		hm_row(t, "protection 0x%x", (unsigned)protections[i]);
		hm_wine(t, "Wine 8 accepts it; MS: cannot be used together");
		hm_refused_alloc(t, NULL, HM_PAGE, HM_BOTH, protections[i], eTaskCritical,
				 E_INVALIDARG);
		refuse(t, base, protections[i]);
	}
}

static void unknown_bits_are_refused(struct hm_trial *t)
{
	unsigned char *base = hm_witness(t);

	for (unsigned i = 8; base != NULL && i < 32; i++) {
		DWORD bit = (DWORD)1 << i;

		if ((bit & ALL_MODIFIERS) != 0)
			continue;
		hm_row(t, "bit 0x%x", (unsigned)bit);
		hm_wine(t, "Wine 8 ignores the bit; RK: invalid");
		refuse(t, base, PAGE_READONLY | bit);
	}
}

static void only_code_has_call_targets(struct hm_trial *t)
{
	static const DWORD protections[] = { PAGE_NOACCESS, PAGE_READONLY,
					     PAGE_READWRITE };
	unsigned char *base = hm_witness(t);

	for (size_t i = 0; base != NULL && i < HM_ROWS(protections); i++) {
		hm_row(t, "protection 0x%x", (unsigned)protections[i]);
		hm_wine(t, "Wine 8 ignores the bit; MS: for pages that execute");
		refuse(t, base, protections[i] | PAGE_TARGETS_INVALID);
	}
}

/* What the first call says of caches is told of every page for good; later calls are heard,
 * and change nothing about it. */
static void the_cache_is_the_reservations(struct hm_trial *t)
{
	static const struct {
		DWORD first, later, told;
	} rows[] = {
		{ PAGE_READWRITE, PAGE_READWRITE | PAGE_NOCACHE, PAGE_READWRITE },
		{ PAGE_READONLY, PAGE_READWRITE | PAGE_WRITECOMBINE, PAGE_READWRITE },
		{ PAGE_READWRITE | PAGE_NOCACHE, PAGE_READWRITE,
		  PAGE_READWRITE | PAGE_NOCACHE },
		{ PAGE_READONLY | PAGE_NOCACHE, PAGE_READWRITE | PAGE_NOCACHE,
		  PAGE_READWRITE | PAGE_NOCACHE },
		{ PAGE_READWRITE | PAGE_WRITECOMBINE, PAGE_READONLY,
		  PAGE_READONLY | PAGE_WRITECOMBINE },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *base;

		hm_row(t, "reserved with 0x%x, committed with 0x%x",
		       (unsigned)rows[i].first, (unsigned)rows[i].later);
		if ((rows[i].first & PAGE_WRITECOMBINE) != 0)
			hm_wine(t, "Wine 8 does not tell it; K: Windows does");
		base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, rows[i].first);
		if (base == NULL || !hm_commit(t, base, HM_PAGE, rows[i].later))
			continue;
		check_told(t, base, rows[i].first, rows[i].told);
		hm_decommit(t, base, 0);
		hm_commit(t, base, HM_PAGE, rows[i].later);
		check_told(t, base, rows[i].first, rows[i].told);
	}
}

static const struct hm_case cases[] = {
	{ "data", HM_REQUIRED, "WT kernel32 virtual.c: protections; CLR",
	  protections_of_data, HM_NO_GROUP },
	{ "code", HM_REQUIRED, "WT kernel32 virtual.c: protections", protections_of_code,
	  HM_NO_GROUP },
	{ "jit", HM_REQUIRED, "CLR code heaps: PAGE_EXECUTE_READWRITE",
	  the_protection_of_a_jit, HM_NO_GROUP },
	{ "call-targets", HM_WINDOWS_DETAIL, "CH: PAGE_TARGETS_INVALID is not told",
	  the_bit_for_call_targets_is_not_told, HM_NO_GROUP },
	{ "data-access", HM_REQUIRED, "MS memory protection constants",
	  data_can_be_read_and_written, HM_NO_GROUP },
	{ "code-access", HM_REQUIRED, "MS memory protection constants",
	  code_can_be_called_and_not_written, HM_NO_GROUP },
	{ "code-can-be-read", HM_WINDOWS_DETAIL, "K: as the processor does",
	  code_can_be_read, HM_NO_GROUP },
	{ "jit-access", HM_REQUIRED, "CLR code heaps: code is written in its place",
	  a_jit_can_do_everything, HM_NO_GROUP },
	{ "data-is-no-code", HM_DOCUMENTED, "MS data execution prevention",
	  data_cannot_be_called, HM_NO_GROUP },
	{ "one-of-six", HM_REQUIRED, "WT kernel32 virtual.c: all combinations",
	  exactly_one_of_six, HM_WINDOWS_DETAIL },
	{ "reserve-needs-one", HM_REQUIRED, "WT kernel32 virtual.c: MEM_RESERVE",
	  reserving_needs_one_too, HM_WINDOWS_DETAIL },
	{ "modifiers-alone", HM_REQUIRED, "MS memory protection constants; RK",
	  modifiers_do_not_stand_alone, HM_WINDOWS_DETAIL },
	{ "exclusions", HM_DOCUMENTED, "MS memory protection constants: PAGE_GUARD, ...",
	  modifiers_exclude_each_other, HM_WINDOWS_DETAIL },
	{ "unknown-bits", HM_WINDOWS_DETAIL, "RK: unknown bits", unknown_bits_are_refused,
	  HM_WINDOWS_DETAIL },
	{ "call-targets-of-data", HM_DOCUMENTED,
	  "MS memory protection constants: PAGE_TARGETS_INVALID",
	  only_code_has_call_targets, HM_WINDOWS_DETAIL },
	{ "cache", HM_WINDOWS_DETAIL, "WT kernel32 virtual.c: PAGE_NOCACHE; K",
	  the_cache_is_the_reservations, HM_NO_GROUP },
};

const struct hm_area hm_area_protections = HM_AREA("protections", cases);
