/*
 * Charging: two phases, one limit, three levels.
 */
#include "hostmem/budget.h"
#include "fake.h"

static struct hm_budget fresh(size_t limit)
{
	struct hm_budget budget;

	HostMemBudget given = HOSTMEM_BUDGET_INIT;

	given.cbLimit = limit;
	memset(&budget, 0, sizeof(budget));
	hm_budget_init(&budget, &given);
	return budget;
}

static void check_figures(const struct hm_budget *budget, size_t claimed, size_t charged,
			  size_t peak)
{
	CHECK_SIZE(budget->claimed, claimed);
	CHECK_SIZE(budget->charged, charged);
	CHECK_SIZE(budget->peak, peak);
}

static void a_new_budget_has_no_limit(void)
{
	struct hm_budget budget;
	HostMemReason reason = HostMemNoReason;

	budget = fresh(SIZE_MAX);
	CHECK_SIZE(budget.limit, SIZE_MAX);
	CHECK(hm_budget_admit(&budget, eTaskCritical, SIZE_MAX, &reason));
	CHECK_SIZE(budget.claimed, SIZE_MAX);
}

static void the_limit_may_be_reached_and_not_passed(void)
{
	static const struct {
		size_t limit, before, size;
		bool admitted;
		HostMemReason reason;
	} rows[] = {
		{ 100, 0, 100, true, HostMemNoReason },
		{ 100, 0, 101, false, HostMemByBudget },
		{ 100, 99, 1, true, HostMemNoReason },
		{ 100, 100, 0, true, HostMemNoReason },
		{ 100, 100, 1, false, HostMemByBudget },
		{ 0, 0, 0, true, HostMemNoReason },
		{ 0, 0, 1, false, HostMemByBudget },
		{ SIZE_MAX, 1, SIZE_MAX - 1, true, HostMemNoReason },
		{ SIZE_MAX, 1, SIZE_MAX, false, HostMemByOverflow },
		{ SIZE_MAX, SIZE_MAX, 1, false, HostMemByOverflow },
		{ 100, 50, SIZE_MAX - 49, false, HostMemByOverflow },
		{ 100, 50, SIZE_MAX - 50, false, HostMemByBudget },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_budget budget = fresh(rows[i].limit);
		HostMemReason reason = HostMemNoReason;
		size_t want = rows[i].before + (rows[i].admitted ? rows[i].size : 0);

		tap_row("%zu + %zu of %zu", rows[i].before, rows[i].size, rows[i].limit);
		CHECK(hm_budget_admit(&budget, eTaskCritical, rows[i].before, &reason));
		CHECK_INT(hm_budget_admit(&budget, eTaskCritical, rows[i].size, &reason),
			  rows[i].admitted);
		CHECK_INT(reason, rows[i].reason);
		check_figures(&budget, want, 0, 0);
	}
}

static void what_is_pending_counts_against_the_limit_but_not_as_use(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	CHECK(hm_budget_admit(&budget, eTaskCritical, 60, &reason));
	check_figures(&budget, 60, 0, 0);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 50, &reason));
	hm_budget_settle(&budget, 60);
	check_figures(&budget, 60, 60, 60);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 50, &reason));
	CHECK(hm_budget_admit(&budget, eTaskCritical, 40, &reason));
	hm_budget_cancel(&budget, 40);
	check_figures(&budget, 60, 60, 60);
}

static void the_peak_is_of_what_was_charged(void)
{
	struct hm_budget budget = fresh(SIZE_MAX);
	HostMemReason reason = HostMemNoReason;

	CHECK(hm_budget_admit(&budget, eTaskCritical, 500, &reason));
	hm_budget_cancel(&budget, 500);
	check_figures(&budget, 0, 0, 0);
	CHECK(hm_budget_admit(&budget, eTaskCritical, 300, &reason));
	hm_budget_settle(&budget, 300);
	hm_budget_refund(&budget, 200);
	check_figures(&budget, 100, 100, 300);
	CHECK(hm_budget_admit(&budget, eTaskCritical, 150, &reason));
	hm_budget_settle(&budget, 150);
	check_figures(&budget, 250, 250, 300);
	CHECK(hm_budget_admit(&budget, eTaskCritical, 51, &reason));
	hm_budget_settle(&budget, 51);
	check_figures(&budget, 301, 301, 301);
}

static void a_forgotten_peak_begins_at_what_is_charged(void)
{
	struct hm_budget budget = fresh(SIZE_MAX);

	hm_budget_charge(&budget, 300);
	hm_budget_refund(&budget, 200);
	hm_budget_forget_peak(&budget);
	check_figures(&budget, 100, 100, 100);
	hm_budget_charge(&budget, 50);
	check_figures(&budget, 150, 150, 150);
}

static void a_charge_may_become_pending_again(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	CHECK(hm_budget_admit(&budget, eTaskCritical, 100, &reason));
	hm_budget_settle(&budget, 100);
	hm_budget_unsettle(&budget, 70);
	check_figures(&budget, 100, 30, 100);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 1, &reason));
	hm_budget_cancel(&budget, 70);
	check_figures(&budget, 30, 30, 100);
}

static void refunded_bytes_can_be_had_again(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	for (unsigned i = 0; i < 3; i++) {
		CHECK(hm_budget_admit(&budget, eTaskCritical, 100, &reason));
		hm_budget_settle(&budget, 100);
		hm_budget_refund(&budget, 100);
	}
	check_figures(&budget, 0, 0, 100);
}

static void what_cannot_be_refused_is_charged_beyond_any_limit(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	hm_budget_charge(&budget, 150);
	check_figures(&budget, 150, 150, 150);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 1, &reason));
	CHECK_INT(reason, HostMemByBudget);
	hm_budget_refund(&budget, 150);
	check_figures(&budget, 0, 0, 150);
}

/* ---- By level ---- */

static struct hm_budget fresh_from(const HostMemBudget *given)
{
	struct hm_budget budget;

	memset(&budget, 0, sizeof(budget));
	CHECK_HR(hm_budget_check(given), S_OK);
	hm_budget_init(&budget, given);
	return budget;
}

#define BY_LEVEL \
	{ \
		.cbSize = sizeof(HostMemBudget), .cbLimit = 1000, \
		.cbSoftLimit = SIZE_MAX, .cbHeadroom = { 300, 100, 0 }, \
		.cbLargest = { 400, 500, SIZE_MAX }, .msWait = { 1, 0, 3 }, \
	}

static const HostMemBudget by_level = BY_LEVEL;

static void each_level_has_a_ceiling_and_a_largest_request(void)
{
	static const struct {
		size_t before, size;
		bool admitted[3];
		bool possible[3]; /* with nothing charged */
		size_t lacks[3];
	} rows[] = {
		{ 0, 0, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 0, 0 } },
		{ 0, 400, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 0, 0 } },
		{ 0, 401, { 0, 1, 1 }, { 0, 1, 1 }, { 0, 0, 0 } },
		{ 0, 500, { 0, 1, 1 }, { 0, 1, 1 }, { 0, 0, 0 } },
		{ 0, 501, { 0, 0, 1 }, { 0, 0, 1 }, { 0, 0, 0 } },
		{ 0, 1000, { 0, 0, 1 }, { 0, 0, 1 }, { 300, 100, 0 } },
		{ 0, 1001, { 0, 0, 0 }, { 0, 0, 0 }, { 301, 101, 1 } },
		{ 300, 400, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 0, 0 } },
		{ 301, 400, { 0, 1, 1 }, { 1, 1, 1 }, { 1, 0, 0 } },
		{ 500, 400, { 0, 1, 1 }, { 1, 1, 1 }, { 200, 0, 0 } },
		{ 501, 400, { 0, 0, 1 }, { 1, 1, 1 }, { 201, 1, 0 } },
		{ 699, 1, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 0, 0 } },
		{ 700, 1, { 0, 1, 1 }, { 1, 1, 1 }, { 1, 0, 0 } },
		{ 900, 1, { 0, 0, 1 }, { 1, 1, 1 }, { 1, 1, 0 } },
		{ 1000, 1, { 0, 0, 0 }, { 1, 1, 1 }, { 1, 1, 1 } },
		{ 1200, 7, { 0, 0, 0 }, { 1, 1, 1 }, { 7, 7, 7 } },
		{ 1,
		  SIZE_MAX,
		  { 0, 0, 0 },
		  { 0, 0, 0 },
		  { SIZE_MAX - 699, SIZE_MAX - 899, SIZE_MAX - 999 } },
	};

	for (size_t i = 0; i < ROWS(rows) * 3; i++) {
		size_t row = i / 3;
		EMemoryCriticalLevel level = (EMemoryCriticalLevel)(i % 3);
		struct hm_budget budget = fresh_from(&by_level);
		HostMemReason reason;
		bool admitted = rows[row].admitted[level];

		tap_row("%zu + %zu at level %u", rows[row].before, rows[row].size,
			(unsigned)level);
		hm_budget_charge(&budget, rows[row].before);
		CHECK_INT(hm_budget_could_admit(&budget, level, rows[row].size),
			  rows[row].possible[level]);
		CHECK_SIZE(hm_budget_lacks(&budget, level, rows[row].size),
			   rows[row].lacks[level]);
		CHECK_INT(hm_budget_admit(&budget, level, rows[row].size, &reason),
			  admitted);
		CHECK_SIZE(budget.claimed,
			   rows[row].before + (admitted ? rows[row].size : 0));
	}
}

/* What is charged has no say in whether a request could ever be granted. */
static void what_could_be_admitted_does_not_depend_on_what_is_charged(void)
{
	struct hm_budget budget = fresh(SIZE_MAX);

	hm_budget_charge(&budget, SIZE_MAX);
	CHECK(hm_budget_could_admit(&budget, eTaskCritical, SIZE_MAX));
	CHECK_SIZE(hm_budget_lacks(&budget, eTaskCritical, SIZE_MAX), SIZE_MAX);
	CHECK_SIZE(hm_budget_lacks(&budget, eTaskCritical, 0), 0);
}

static void a_malformed_budget_is_told(void)
{
#define MOST SIZE_MAX
#define ANY \
	{ \
		MOST, MOST, MOST \
	}
	static const struct {
		const char *what;
		HostMemBudget budget;
		HRESULT want;
	} rows[] = {
		{ "none", HOSTMEM_BUDGET_INIT, S_OK },
		{ "by level", BY_LEVEL, S_OK },
		{ "both flags", { .dwFlags = 3, .cbLargest = ANY }, S_OK },
		{ "flag 4", { .dwFlags = 4, .cbLargest = ANY }, E_INVALIDARG },
		{ "flag 31", { .dwFlags = 0x80000003, .cbLargest = ANY }, E_INVALIDARG },
		{ "all 0", { .dwFlags = 0 }, S_OK },
		{ "limit 0, headroom 1", { .cbHeadroom = { 1, 0, 0 } }, E_INVALIDARG },
		{ "all equal",
		  { .cbLimit = 5, .cbHeadroom = { 5, 5, 5 }, .cbLargest = { 5, 5, 5 } },
		  S_OK },
		{ "task above",
		  { .cbLimit = 5, .cbHeadroom = { 6, 5, 5 } },
		  E_INVALIDARG },
		{ "all above",
		  { .cbLimit = 5, .cbHeadroom = { 6, 6, 6 } },
		  E_INVALIDARG },
		{ "domain above task",
		  { .cbLimit = 9, .cbHeadroom = { 5, 6, 5 } },
		  E_INVALIDARG },
		{ "process above domain",
		  { .cbLimit = 9, .cbHeadroom = { 6, 5, 6 } },
		  E_INVALIDARG },
		{ "rising", { .cbLimit = 9, .cbHeadroom = { 1, 2, 3 } }, E_INVALIDARG },
		{ "all of it", { .cbLimit = MOST, .cbHeadroom = ANY }, S_OK },
		{ "largest falls", { .cbLargest = { 3, 2, 1 } }, E_INVALIDARG },
		{ "task largest", { .cbLargest = { 3, 2, 3 } }, E_INVALIDARG },
		{ "domain largest", { .cbLargest = { 3, 4, 3 } }, E_INVALIDARG },
		{ "process only", { .cbLargest = { 0, 0, MOST } }, S_OK },
		{ "soft above hard", { .cbSoftLimit = MOST }, S_OK },
		{ "waits in no order", { .msWait = { 1, 0, UINT32_MAX } }, S_OK },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(hm_budget_check(&rows[i].budget), rows[i].want);
	}
}

static void a_budget_is_replaced_as_a_whole(void)
{
	HostMemBudget given = by_level, out;
	struct hm_budget budget = fresh(50);
	HostMemReason reason;

	given.dwFlags = HOSTMEM_ANNOUNCE_ALWAYS;
	given.cbSoftLimit = 800;
	CHECK(hm_budget_admit(&budget, eTaskCritical, 50, &reason));
	CHECK(!hm_budget_announces_always(&budget));
	CHECK_HR(hm_budget_set(&budget, &given), S_OK);
	hm_budget_get(&budget, &out);
	CHECK_INT(memcmp(&out, &given, sizeof(out)), 0);
	CHECK(hm_budget_announces_always(&budget));
	CHECK_SIZE(budget.limit, 1000);
	for (unsigned level = 0; level < 3; level++)
		CHECK_U32(hm_budget_wait(&budget, (EMemoryCriticalLevel)level),
			  given.msWait[level]);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 401, &reason));
	CHECK_INT(reason, HostMemByBudget);
	check_figures(&budget, 50, 0, 0);
}

static void the_way_of_charging_stays(void)
{
	for (uint32_t mode = 0; mode < 2; mode++) {
		HostMemBudget given = HOSTMEM_BUDGET_INIT, out;
		struct hm_budget budget;

		given.dwFlags = mode;
		budget = fresh_from(&given);
		CHECK_INT(hm_budget_charges_reserve(&budget), mode);
		given.dwFlags = mode ^ HOSTMEM_CHARGE_RESERVE;
		given.cbLimit = 7;
		CHECK_HR(hm_budget_set(&budget, &given), E_INVALIDARG);
		given.dwFlags |= HOSTMEM_ANNOUNCE_ALWAYS;
		CHECK_HR(hm_budget_set(&budget, &given), E_INVALIDARG);
		hm_budget_get(&budget, &out);
		CHECK_U32(out.dwFlags, mode);
		CHECK_SIZE(out.cbLimit, SIZE_MAX);
		CHECK_SIZE(budget.limit, SIZE_MAX);
		given.dwFlags ^= HOSTMEM_CHARGE_RESERVE;
		CHECK_HR(hm_budget_set(&budget, &given), S_OK);
		CHECK_INT(hm_budget_charges_reserve(&budget), mode);
	}
}

static void a_fork_child_forgets_what_others_had_under_way(void)
{
	static const size_t own[] = { 0, 7, 40 };

	for (size_t i = 0; i < ROWS(own); i++) {
		struct hm_budget budget = fresh(SIZE_MAX);
		HostMemReason reason = HostMemNoReason;

		tap_row("%zu of its own", own[i]);
		CHECK(hm_budget_admit(&budget, eTaskCritical, 30, &reason));
		hm_budget_settle(&budget, 30);
		CHECK(hm_budget_admit(&budget, eTaskCritical, 40, &reason));
		hm_budget_after_fork(&budget, own[i]);
		check_figures(&budget, 30 + own[i], 30, 30);
	}
}

int main(void)
{
	TAP_RUN(a_new_budget_has_no_limit);
	TAP_RUN(the_limit_may_be_reached_and_not_passed);
	TAP_RUN(what_is_pending_counts_against_the_limit_but_not_as_use);
	TAP_RUN(the_peak_is_of_what_was_charged);
	TAP_RUN(a_forgotten_peak_begins_at_what_is_charged);
	TAP_RUN(a_charge_may_become_pending_again);
	TAP_RUN(refunded_bytes_can_be_had_again);
	TAP_RUN(what_cannot_be_refused_is_charged_beyond_any_limit);
	TAP_RUN(each_level_has_a_ceiling_and_a_largest_request);
	TAP_RUN(what_could_be_admitted_does_not_depend_on_what_is_charged);
	TAP_RUN(a_malformed_budget_is_told);
	TAP_RUN(a_budget_is_replaced_as_a_whole);
	TAP_RUN(the_way_of_charging_stays);
	TAP_RUN(a_fork_child_forgets_what_others_had_under_way);
	return tap_done();
}
