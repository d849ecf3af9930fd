/*
 * Cases about what memory is judged to be: by simulated figures, thresholds and the host's own
 * account, in virtual time.
 *
 * Bad news is told at once; what is better has to last.  The tables are walks: each step sets
 * the figures, and then time goes by.
 */
#include "areas.h"
#include "told.h"

#define MIB ((SIZE_T)1 << 20)

/* ---- Figures ---- */

static void check_load(struct hm_trial *t, DWORD percent, SIZE_T available)
{
	SIZE_T got_available = (SIZE_T)HM_POISON;
	DWORD got_percent = 0x5A5A5A5A;

	CHECK_HR(t,
		 IHostMemoryManager_GetMemoryLoad(t->memory, &got_percent,
						  &got_available),
		 S_OK);
	CHECK_SIZE(t, got_percent, percent);
	CHECK_SIZE(t, got_available, available);
}

static void the_load_is_exactly_what_was_set(struct hm_trial *t)
{
	static const struct {
		DWORD percent;
		SIZE_T available;
	} rows[] = {
		{ 0, 0 },
		{ 0, SIZE_MAX },
		{ 1, 1 },
		{ 50, 4096 },
		{ 77, 64 * MIB },
		{ 99, 12345 },
		{ 100, SIZE_MAX - 1 },
		{ 100, 0 },
	};
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%u per cent", (unsigned)rows[i].percent);
		hm_load(&told, rows[i].percent, rows[i].available);
		check_load(t, rows[i].percent, rows[i].available);
	}
	hm_row(t, "what is said of the state is no figure");
	hm_say(&told, HM_HIGH);
	check_load(t, 100, 0);
	hm_row(t, "nor is what is charged");
	(void)hm_limit(t, told.control, 4 * HM_PAGE);
	hm_load(&told, 3, 7 * MIB);
	(void)hm_grant(t, 3, eTaskCritical, S_OK);
	check_load(t, 3, 7 * MIB);
	hm_clear_load(&told);
	told.listener.asked = told.listener.count;
	hm_told_end(&told);
}

static void bad_arguments_are_refused(struct hm_trial *t)
{
	static const DWORD percents[] = { 101, 0x7FFFFFFF, 0xFFFFFFFF };
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	hm_load(&told, 42, 4242 * MIB);
	for (size_t i = 0; i < HM_ROWS(percents); i++) {
		hm_row(t, "0x%x per cent", (unsigned)percents[i]);
		CHECK_REFUSED(t,
			      IHostMemorySimulator_SetMemoryLoad(told.simulator,
								 percents[i], 1),
			      E_INVALIDARG);
		check_load(t, 42, 4242 * MIB);
	}
	hm_row(t, "real time is not to be moved");
	CHECK_HR(t, IHostMemorySimulator_SetVirtualTime(told.simulator, FALSE), S_OK);
	CHECK_REFUSED(t, IHostMemorySimulator_Advance(told.simulator, 0), E_INVALIDARG);
	CHECK_REFUSED(t, IHostMemorySimulator_Advance(told.simulator, 5000),
		      E_INVALIDARG);
	hm_row(t, "what is chosen already is S_OK");
	CHECK_HR(t, IHostMemorySimulator_SetVirtualTime(told.simulator, FALSE), S_OK);
	CHECK_HR(t, IHostMemorySimulator_SetVirtualTime(told.simulator, TRUE), S_OK);
	CHECK_HR(t, IHostMemorySimulator_SetVirtualTime(told.simulator, TRUE), S_OK);
	hm_advance(&told, 0);
	hm_told_end(&told);
}

/* ---- Thresholds ---- */

struct step {
	DWORD percent, mib;
	const char *at_once;
	DWORD ms; /* that then go by */
	const char *later;
};

static void play(struct hm_trial *t, const struct step *steps, size_t count)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	for (size_t i = 0; i < count; i++) {
		hm_row(t, "step %u: %u per cent, %u MiB", (unsigned)i,
		       (unsigned)steps[i].percent, (unsigned)steps[i].mib);
		hm_load(&told, steps[i].percent, steps[i].mib * MIB);
		CHECK_HEARD(t, &told.listener, steps[i].at_once);
		hm_advance(&told, steps[i].ms);
		CHECK_HEARD(t, &told.listener, steps[i].later);
	}
	hm_told_end(&told);
}

static void a_high_load_is_low_memory(struct hm_trial *t)
{
	static const struct step steps[] = {
		{ 80, 4096, "", 20000, "" }, /* neither */
		{ 89, 4096, "", 20000, "" }, /* one below dwLowLoad */
		{ 90, 4096, "1", 0, "" },    /* at once */
		{ 85, 4096, "", 8191, "" },  /* not below dwCalmLoad */
		{ 84, 4096, "", 0, "" },     /* msCalm begins ... */
		{ 90, 4096, "", 0, "" },     /* ... and is over */
		{ 84, 4096, "", 1999, "1" }, /* the Low stands for 8192 ms: told again */
		{ 84, 4096, "", 1, "2" },
		{ 100, 4096, "1", 0, "" },
		{ 0, 4096, "", 2000, "2" },
		{ 0, 4096, "", 3000, "3" }, /* 5 s after the load was that low */
	};

	play(t, steps, HM_ROWS(steps));
}

static void few_bytes_are_low_memory(struct hm_trial *t)
{
	static const struct step steps[] = {
		{ 72, 193, "", 20000, "" }, /* neither: dwHighLoad is passed */
		{ 72, 65, "", 20000, "" },  /* one MiB more than cbScarce */
		{ 72, 64, "1", 0, "" },     /* at once */
		{ 72, 191, "", 3000, "" },  /* not yet cbEnough */
		{ 72, 192, "", 1999, "" },  { 72, 192, "", 1, "2" },
		{ 72, 191, "", 20000, "" }, /* between the two */
	};

	play(t, steps, HM_ROWS(steps));
}

static void plenty_has_to_last(struct hm_trial *t)
{
	static const struct step steps[] = {
		{ 70, 4096, "", 20000, "" }, /* not below dwHighLoad */
		{ 69, 4096, "", 4999, "" },
		{ 69, 4096, "", 1, "3" },    /* msPlenty is over */
		{ 74, 4096, "", 20000, "" }, /* below dwNeutralLoad: still */
		{ 75, 4096, "2", 0, "" },    /* at once */
		{ 69, 4096, "", 4000, "" },
		{ 70, 4096, "", 0, "" }, /* it begins anew */
		{ 69, 4096, "", 4999, "" },
		{ 69, 4096, "", 1, "3" },
		{ 69, 191, "2", 20000, "" }, /* fewer bytes than cbEnough, at once */
		{ 69, 192, "", 5000, "3" },
	};

	play(t, steps, HM_ROWS(steps));
}

/* ---- The host's own account ---- */

static void what_is_charged_counts_as_load(struct hm_trial *t)
{
	struct hm_told told;
	void *base;

	if (!hm_told_begin(&told, t))
		return;
	(void)hm_limit(t, told.control, 100 * HM_PAGE);
	hm_load(&told, 75, 4096 * MIB);
	base = hm_grant(t, 89, eTaskCritical, S_OK);
	hm_advance(&told, 0);
	CHECK_HEARD(t, &told.listener, "");
	hm_row(t, "90 per cent of the limit");
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	hm_advance(&told, 0);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "given back");
	if (base != NULL)
		(void)hm_give(t, base);
	hm_advance(&told, 0);
	hm_advance(&told, 1999);
	CHECK_HEARD(t, &told.listener, "");
	hm_advance(&told, 1);
	CHECK_HEARD(t, &told.listener, "2");
	hm_told_end(&told);
}

static void the_soft_limit_is_exact(struct hm_trial *t)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	struct hm_told told;
	void *last;

	if (!hm_told_begin(&told, t))
		return;
	hm_load(&told, 75, 4096 * MIB);
	budget.cbSoftLimit = 8 * HM_PAGE;
	(void)hm_set_budget(t, told.control, &budget);
	(void)hm_grant(t, 8, eTaskCritical, S_OK);
	hm_advance(&told, 0);
	CHECK_HEARD(t, &told.listener, "");
	hm_row(t, "one page beyond it");
	last = hm_grant(t, 1, eTaskCritical, S_OK);
	hm_advance(&told, 0);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "back at it");
	if (last != NULL)
		(void)hm_give(t, last);
	hm_advance(&told, 0);
	hm_advance(&told, 2000);
	CHECK_HEARD(t, &told.listener, "2");
	hm_row(t, "a limit that comes down");
	budget.cbSoftLimit = 8 * HM_PAGE - 1;
	(void)hm_set_budget(t, told.control, &budget);
	hm_advance(&told, 0);
	CHECK_HEARD(t, &told.listener, "1");
	budget.cbSoftLimit = SIZE_MAX;
	(void)hm_set_budget(t, told.control, &budget);
	hm_advance(&told, 0);
	hm_advance(&told, 2000);
	CHECK_HEARD(t, &told.listener, "2");
	hm_told_end(&told);
}

static const struct hm_case cases[] = {
	{ "figures", HM_DOCUMENTED, "HM header: SetMemoryLoad, GetMemoryLoad exactly",
	  the_load_is_exactly_what_was_set, HM_NO_GROUP },
	{ "bad-arguments", HM_DOCUMENTED, "HM header: SetMemoryLoad, Advance, Errors",
	  bad_arguments_are_refused, HM_DOCUMENTED },
	{ "load", HM_DOCUMENTED, "HM header: HostMemThresholds, dwLowLoad, dwCalmLoad",
	  a_high_load_is_low_memory, HM_NO_GROUP },
	{ "available", HM_DOCUMENTED, "HM header: HostMemThresholds, cbScarce, cbEnough",
	  few_bytes_are_low_memory, HM_NO_GROUP },
	{ "plenty", HM_DOCUMENTED, "HM header: HostMemThresholds, msPlenty",
	  plenty_has_to_last, HM_NO_GROUP },
	{ "charged", HM_DOCUMENTED,
	  "HM header: SetMemoryLoad, the charged part of cbLimit in per cent",
	  what_is_charged_counts_as_load, HM_NO_GROUP },
	{ "soft-limit", HM_DOCUMENTED, "HM header: HostMemBudget.cbSoftLimit",
	  the_soft_limit_is_exact, HM_NO_GROUP },
};

const struct hm_area hm_area_low_memory = HM_AREA("low-memory", cases);
