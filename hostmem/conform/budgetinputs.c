/*
 * Cases about SetBudget and GetBudget: what is accepted, refused, and told again.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

/* A budget in which no two fields are alike. */
static const HostMemBudget whole = {
	sizeof(HostMemBudget),
	HOSTMEM_CHARGE_COMMIT,
	(size_t)1 << 40,
	(size_t)1 << 39,
	{ 3 * HM_PAGE, 2 * HM_PAGE, HM_PAGE },
	{ (size_t)1 << 30, (size_t)1 << 31, (size_t)1 << 32 },
	{ 10, 20, 30 },
};

static void check_budget(struct hm_trial *t, IHostMemoryControl *control,
			 const HostMemBudget *want)
{
	HostMemBudget got = HOSTMEM_BUDGET_INIT;

	CHECK_HR(t, IHostMemoryControl_GetBudget(control, &got), S_OK);
	CHECK_SIZE(t, got.cbSize, sizeof(got));
	CHECK_SIZE(t, got.dwFlags, want->dwFlags);
	CHECK_SIZE(t, got.cbLimit, want->cbLimit);
	CHECK_SIZE(t, got.cbSoftLimit, want->cbSoftLimit);
	for (size_t i = 0; i < 3; i++) {
		CHECK_SIZE(t, got.cbHeadroom[i], want->cbHeadroom[i]);
		CHECK_SIZE(t, got.cbLargest[i], want->cbLargest[i]);
		CHECK_SIZE(t, got.msWait[i], want->msWait[i]);
	}
}

/* ---- What is accepted ---- */

static void alter_nothing(HostMemBudget *budget)
{
	(void)budget;
}

static void set_announce_always(HostMemBudget *budget)
{
	budget->dwFlags = HOSTMEM_ANNOUNCE_ALWAYS;
}

static void set_all_zero(HostMemBudget *budget)
{
	memset(budget, 0, sizeof(*budget));
	budget->cbSize = sizeof(*budget);
}

static void set_headroom_to_the_limit(HostMemBudget *budget)
{
	for (size_t i = 0; i < 3; i++)
		budget->cbHeadroom[i] = budget->cbLimit;
}

static void set_levels_alike(HostMemBudget *budget)
{
	for (size_t i = 0; i < 3; i++) {
		budget->cbHeadroom[i] = HM_PAGE;
		budget->cbLargest[i] = HM_PAGE;
	}
}

static void set_soft_above_the_limit(HostMemBudget *budget)
{
	budget->cbSoftLimit = budget->cbLimit + 1;
}

static void set_waits_in_any_order(HostMemBudget *budget)
{
	budget->msWait[0] = UINT32_MAX;
	budget->msWait[2] = 0;
}

static void set_odd_sizes(HostMemBudget *budget)
{
	budget->cbLimit = 12345677;
	budget->cbHeadroom[0] = 3;
	budget->cbHeadroom[1] = 2;
	budget->cbHeadroom[2] = 1;
}

static void good_budgets_are_told_again(struct hm_trial *t)
{
	static const struct {
		const char *name;
		void (*alter)(HostMemBudget *budget);
	} rows[] = {
		{ "all fields different", alter_nothing },
		{ "HOSTMEM_ANNOUNCE_ALWAYS", set_announce_always },
		{ "all zero", set_all_zero },
		{ "headroom as large as the limit", set_headroom_to_the_limit },
		{ "all levels alike", set_levels_alike },
		{ "a soft limit above the limit", set_soft_above_the_limit },
		{ "waits in any order", set_waits_in_any_order },
		{ "sizes that are no multiples of a page", set_odd_sizes },
	};
	IHostMemoryControl *control = hm_control(t);

	for (size_t i = 0; control != NULL && i < HM_ROWS(rows); i++) {
		HostMemBudget budget = whole;

		hm_row(t, "%s", rows[i].name);
		rows[i].alter(&budget);
		if (hm_set_budget(t, control, &budget))
			check_budget(t, control, &budget);
	}
}

static void shorter_records_mean_defaults(struct hm_trial *t)
{
	static const size_t sizes[] = { offsetof(HostMemBudget, cbSoftLimit),
					offsetof(HostMemBudget, cbHeadroom),
					offsetof(HostMemBudget, cbLargest),
					offsetof(HostMemBudget, msWait) };
	IHostMemoryControl *control = hm_control(t);

	for (size_t i = 0; control != NULL && i < HM_ROWS(sizes); i++) {
		HostMemBudget budget = whole, want = HOSTMEM_BUDGET_INIT;

		hm_row(t, "cbSize %u", (unsigned)sizes[i]);
		budget.cbSize = (uint32_t)sizes[i];
		memcpy(&want, &whole, sizes[i]);
		if (hm_set_budget(t, control, &budget))
			check_budget(t, control, &want);
	}
}

static void get_budget_fills_what_there_is(struct hm_trial *t)
{
	static const uint32_t sizes[] = { 16, 24, 48, sizeof(HostMemBudget) };
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL || !hm_set_budget(t, control, &whole))
		return;
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		unsigned char bytes[sizeof(HostMemBudget) + 16];

		hm_row(t, "cbSize %u", (unsigned)sizes[i]);
		memset(bytes, 0x5A, sizeof(bytes));
		memcpy(bytes, &sizes[i], sizeof(sizes[i]));
		CHECK_HR(t, IHostMemoryControl_GetBudget(control, (HostMemBudget *)bytes),
			 S_OK);
		CHECK(t, memcmp(bytes, &sizes[i], sizeof(sizes[i])) == 0);
		CHECK(t, memcmp(bytes + 4, (const unsigned char *)&whole + 4,
				sizes[i] - 4) == 0);
		CHECK_FILLED(t, bytes + sizes[i], sizeof(bytes) - sizes[i], 0x5A);
	}
}

/* ---- What is refused ---- */

static void make_size_zero(HostMemBudget *budget)
{
	budget->cbSize = 0;
}

static void make_size_within_a_field(HostMemBudget *budget)
{
	budget->cbSize = (uint32_t)offsetof(HostMemBudget, cbSoftLimit) + 1;
}

static void make_size_one_short(HostMemBudget *budget)
{
	budget->cbSize--;
}

static void make_size_too_large(HostMemBudget *budget)
{
	budget->cbSize = UINT32_MAX;
}

static void make_unknown_flag(HostMemBudget *budget)
{
	budget->dwFlags |= 4;
}

static void make_highest_flag(HostMemBudget *budget)
{
	budget->dwFlags |= 0x80000000U;
}

static void make_other_charge(HostMemBudget *budget)
{
	budget->dwFlags |= HOSTMEM_CHARGE_RESERVE;
}

static void make_headroom_rise(HostMemBudget *budget)
{
	budget->cbHeadroom[1] = budget->cbHeadroom[0] + 1;
}

static void make_headroom_rise_at_the_top(HostMemBudget *budget)
{
	budget->cbHeadroom[2] = budget->cbHeadroom[1] + 1;
}

static void make_headroom_above_the_limit(HostMemBudget *budget)
{
	budget->cbLimit = budget->cbHeadroom[0] - 1;
}

static void make_largest_fall(HostMemBudget *budget)
{
	budget->cbLargest[1] = budget->cbLargest[0] - 1;
}

static void make_largest_fall_at_the_top(HostMemBudget *budget)
{
	budget->cbLargest[2] = budget->cbLargest[1] - 1;
}

static void bad_budgets_change_nothing(struct hm_trial *t)
{
	static const struct {
		const char *name;
		void (*spoil)(HostMemBudget *budget);
	} rows[] = {
		{ "cbSize 0", make_size_zero },
		{ "cbSize within a field", make_size_within_a_field },
		{ "cbSize one byte short", make_size_one_short },
		{ "cbSize far too large", make_size_too_large },
		{ "flag 4", make_unknown_flag },
		{ "flag 0x80000000", make_highest_flag },
		{ "another charge mode", make_other_charge },
		{ "headroom: domain above task", make_headroom_rise },
		{ "headroom: process above domain", make_headroom_rise_at_the_top },
		{ "headroom above the limit", make_headroom_above_the_limit },
		{ "largest: domain below task", make_largest_fall },
		{ "largest: process below domain", make_largest_fall_at_the_top },
	};
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL || !hm_set_budget(t, control, &whole))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		HostMemBudget budget = whole;

		hm_row(t, "%s", rows[i].name);
		budget.cbLimit /= 2;
		rows[i].spoil(&budget);
		CHECK_REFUSED(t, IHostMemoryControl_SetBudget(control, &budget),
			      E_INVALIDARG);
		if (!t->codes)
			check_budget(t, control, &whole);
	}
	hm_row(t, "no budget");
	CHECK_REFUSED(t, IHostMemoryControl_SetBudget(control, NULL), E_POINTER);
}

static void bad_records_are_not_filled(struct hm_trial *t)
{
	static const uint32_t sizes[] = { 0, 8, 15, 20, UINT32_MAX };
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL)
		return;
	CHECK_REFUSED(t, IHostMemoryControl_GetBudget(control, NULL), E_POINTER);
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		unsigned char bytes[sizeof(HostMemBudget)];

		hm_row(t, "cbSize %u", (unsigned)sizes[i]);
		memset(bytes, 0x5A, sizeof(bytes));
		memcpy(bytes, &sizes[i], sizeof(sizes[i]));
		CHECK_REFUSED(t,
			      IHostMemoryControl_GetBudget(control,
							   (HostMemBudget *)bytes),
			      E_INVALIDARG);
		CHECK(t, memcmp(bytes, &sizes[i], sizeof(sizes[i])) == 0);
		CHECK_FILLED(t, bytes + 4, sizeof(bytes) - 4, 0x5A);
	}
}

static const struct hm_case cases[] = {
	{ "accepted", HM_DOCUMENTED, "HM header: SetBudget, GetBudget",
	  good_budgets_are_told_again, HM_NO_GROUP },
	{ "shorter-records", HM_DOCUMENTED,
	  "HM header: what a smaller record lacks counts as its default",
	  shorter_records_mean_defaults, HM_NO_GROUP },
	{ "get-budget", HM_DOCUMENTED, "HM header: GetBudget, cbSize as by GetUsage",
	  get_budget_fills_what_there_is, HM_NO_GROUP },
	{ "refused", HM_DOCUMENTED, "HM header: SetBudget, Errors",
	  bad_budgets_change_nothing, HM_DOCUMENTED },
	{ "bad-records", HM_DOCUMENTED, "HM header: GetBudget, Errors",
	  bad_records_are_not_filled, HM_DOCUMENTED },
};

const struct hm_area hm_area_budget_inputs = HM_AREA("budget-inputs", cases);
