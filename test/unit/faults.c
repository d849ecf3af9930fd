/*
 * Fault rules: what matches, which matches fire, and the list.  By chance, at random
 * beside a model, and several threads at once: see faults_random.c.
 */
#include "rules.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_mask_has_known_bits_and_something_that_can_be_refused(void)
{
	for (uint32_t mask = 0; mask < 0x100; mask++) {
		HostMemFault fault = HOSTMEM_FAULT_INIT;
		bool refusable = (mask & 0x13) != 0 || mask == 0;

		tap_row("mask 0x%x", mask);
		fault.operations = mask;
		CHECK_HR(hm_faults_check(&fault),
			 mask < 0x40 && refusable ? S_OK : E_INVALIDARG);
		fault.operations = 0;
		fault.levels = mask;
		CHECK_HR(hm_faults_check(&fault), mask < 8 ? S_OK : E_INVALIDARG);
		fault.levels = 0;
		fault.place = mask;
		CHECK_HR(hm_faults_check(&fault), mask < 2 ? S_OK : E_INVALIDARG);
	}
}

static void a_rule_that_cannot_be_is_no_rule(void)
{
	static const struct {
		HostMemFault fault;
		HRESULT want;
	} rows[] = {
		{ HOSTMEM_FAULT_INIT, S_OK },
		{ { .result = S_OK }, E_INVALIDARG },
		{ { .result = S_FALSE }, E_INVALIDARG },
		{ { .result = E_FAIL }, S_OK },
		{ { .operations = 0x80000001, REFUSES }, E_INVALIDARG },
		{ { .levels = 0x80000001, REFUSES }, E_INVALIDARG },
		{ { .place = UINT32_MAX, REFUSES }, E_INVALIDARG },
		{ { .cbMin = 2, .cbMax = 1, REFUSES }, E_INVALIDARG },
		{ { .cbMin = 2, .cbMax = 2, REFUSES }, S_OK },
		{ { .cbMin = SIZE_MAX, REFUSES }, S_OK },
		{ { .nth = 1, .probability = 0.5, REFUSES }, E_INVALIDARG },
		{ { .every = 1, .probability = 0x1p-1074, REFUSES }, E_INVALIDARG },
		{ { .nth = 1, .every = 1, .probability = -0.0, REFUSES }, S_OK },
		{ { .probability = 1, REFUSES }, S_OK },
		{ { .probability = 0x1.0000000000001p0, REFUSES }, E_INVALIDARG },
		{ { .probability = -0x1p-1074, REFUSES }, E_INVALIDARG },
		{ { .probability = (double)INFINITY, REFUSES }, E_INVALIDARG },
		{ { .probability = (double)NAN, REFUSES }, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_HR(hm_faults_check(&rows[i].fault), rows[i].want);
	}
}

static void a_request_matches_by_operation_level_place_and_size(void)
{
	static const struct {
		HostMemFault fault;
		struct hm_fault_query query;
		bool fires;
	} rows[] = {
		{ { REFUSES }, { HostMemReserve, 0, 0, 0 }, true },
		{ { REFUSES }, { HostMemCommit, 1, 0, 1 }, true },
		{ { REFUSES }, { HostMemDecommit, 0, 0, 1 }, false },
		{ { REFUSES }, { HostMemRelease, 0, 0, 1 }, false },
		{ { REFUSES }, { HostMemHeap, 2, 0, SIZE_MAX }, true },
		{ { REFUSES }, { HostMemMapping, 0, 0, 1 }, false },
		{ { .operations = 1, REFUSES }, { HostMemReserve, 0, 0, 1 }, true },
		{ { .operations = 1, REFUSES }, { HostMemCommit, 0, 0, 1 }, false },
		{ { .operations = 2, REFUSES }, { HostMemReserve, 0, 0, 1 }, false },
		{ { .operations = 0x12, REFUSES }, { HostMemHeap, 0, 0, 1 }, true },
		{ { .operations = 0x3F, REFUSES }, { HostMemCommit, 0, 0, 1 }, true },
		{ { .operations = 0x3F, REFUSES }, { HostMemDecommit, 0, 0, 1 }, false },
		{ { .operations = 0x3F, REFUSES }, { HostMemRelease, 0, 0, 1 }, false },
		{ { .operations = 0x3F, REFUSES }, { HostMemMapping, 0, 0, 1 }, false },
		{ { .levels = 1, REFUSES }, { HostMemCommit, 0, 0, 1 }, true },
		{ { .levels = 1, REFUSES }, { HostMemCommit, 1, 0, 1 }, false },
		{ { .levels = 4, REFUSES }, { HostMemCommit, 2, 0, 1 }, true },
		{ { .levels = 6, REFUSES }, { HostMemCommit, 0, 0, 1 }, false },
		{ { .place = 0, REFUSES }, { HostMemCommit, 0, 1, 1 }, false },
		{ { .place = 1, REFUSES }, { HostMemCommit, 0, 1, 1 }, true },
		{ { .place = 1, REFUSES }, { HostMemCommit, 0, 0, 1 }, false },
		{ { .cbMin = 5, REFUSES }, { HostMemCommit, 0, 0, 4 }, false },
		{ { .cbMin = 5, REFUSES }, { HostMemCommit, 0, 0, 5 }, true },
		{ { .cbMin = 5, REFUSES }, { HostMemCommit, 0, 0, SIZE_MAX }, true },
		{ { .cbMax = 5, REFUSES }, { HostMemCommit, 0, 0, 0 }, true },
		{ { .cbMax = 5, REFUSES }, { HostMemCommit, 0, 0, 5 }, true },
		{ { .cbMax = 5, REFUSES }, { HostMemCommit, 0, 0, 6 }, false },
		{ { .cbMin = 5, .cbMax = 5, REFUSES }, { HostMemCommit, 0, 0, 5 }, true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		start_empty();
		(void)add(&rows[i].fault);
		CHECK_HR(pass(&rows[i].query), rows[i].fires ? E_OUTOFMEMORY : S_OK);
		end();
	}
}

static void matches_fire_by_number(void)
{
	static const struct {
		uint64_t nth, every, count;
		const char *fires; /* match by match, from the first on */
	} rows[] = {
		{ 0, 0, 0, "xxxxxxxx" }, { 0, 0, 1, "x......." },
		{ 0, 0, 3, "xxx....." }, { 1, 0, 0, "x......." },
		{ 3, 0, 0, "..x....." }, { 3, 0, 5, "..x....." },
		{ 0, 1, 0, "xxxxxxxx" }, { 0, 3, 0, "..x..x.." },
		{ 0, 3, 1, "..x....." }, { 1, 1, 0, "xxxxxxxx" },
		{ 3, 1, 0, "..xxxxxx" }, { 3, 2, 0, "..x.x.x." },
		{ 2, 4, 0, ".x...x.." }, { 5, 2, 0, "....x.x." },
		{ 3, 2, 2, "..x.x..." }, { 1, 9, 0, "x......." },
		{ 9, 1, 0, "........" }, { UINT64_MAX, 1, 0, "....." },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemFault fault = { .nth = rows[i].nth,
				       .every = rows[i].every,
				       .count = rows[i].count,
				       REFUSES };
		struct hm_fault_query other = { HostMemCommit, eTaskCritical,
						HOSTMEM_FAULT_SYSTEM, PAGE };

		start_empty();
		(void)add(&fault);
		for (size_t j = 0; rows[i].fires[j] != '\0'; j++) {
			tap_row("row %zu, match %zu", i, j + 1);
			/* What does not match does not count. */
			CHECK_HR(pass(&other), S_OK);
			CHECK_HR(pass(&commit),
				 rows[i].fires[j] == 'x' ? E_OUTOFMEMORY : S_OK);
		}
		end();
	}
}

static void the_answer_is_the_rules(void)
{
	static const HostMemFault fault = { .result = HOST_E_TIMEOUT,
					    .msDelay = 1234,
					    .count = 1 };
	HRESULT result = S_FALSE;
	uint32_t ms = 99;

	start_empty();
	CHECK(!hm_faults_fire(&faults, &commit, &result, &ms));
	(void)add(&fault);
	CHECK(hm_faults_fire(&faults, &commit, &result, &ms));
	CHECK_HR(result, HOST_E_TIMEOUT);
	CHECK_U32(ms, 1234);
	result = S_FALSE;
	ms = 99;
	CHECK(!hm_faults_fire(&faults, &commit, &result, &ms));
	CHECK_HR(result, S_FALSE);
	CHECK_U32(ms, 99);
	end();
}

static void the_first_rule_that_fires_ends_the_search(void)
{
	/* The second counts what the first lets by, the third what both let by. */
	static const HostMemFault rules[] = {
		{ .every = 2, .result = E_ACCESSDENIED },
		{ .every = 2, .result = HOST_E_TIMEOUT },
		{ .nth = 2, REFUSES },
	};
	static const HRESULT want[] = { S_OK,           E_ACCESSDENIED, HOST_E_TIMEOUT,
					E_ACCESSDENIED, E_OUTOFMEMORY,  E_ACCESSDENIED,
					HOST_E_TIMEOUT, E_ACCESSDENIED, S_OK };

	start_empty();
	for (size_t i = 0; i < ROWS(rules); i++)
		(void)add(&rules[i]);
	for (size_t i = 0; i < ROWS(want); i++) {
		tap_row("request %zu", i + 1);
		CHECK_HR(pass(&commit), want[i]);
	}
	end();
}

/* Adds five rules that fire once each; which is told by the low digit of their result. */
static void add_five(uint64_t *cookies)
{
	for (HRESULT digit = 1; digit <= 5; digit++) {
		HostMemFault fault = { .result = E_ACCESSDENIED + digit, .count = 1 };

		cookies[digit - 1] = add(&fault);
	}
}

/* Which rules fire, in order, one digit each, until none does. */
static unsigned firing(void)
{
	unsigned digits = 0;
	HRESULT hr;

	while ((hr = pass(&commit)) != S_OK)
		digits = digits * 10 + (unsigned)(hr - E_ACCESSDENIED);
	return digits;
}

static void any_of_them_may_go_and_others_come(void)
{
	static const struct {
		size_t gone[5];
		unsigned left;
	} rows[] = {
		{ { 0 }, 12345 },         { { 1 }, 2345 },          { { 3 }, 1245 },
		{ { 5 }, 1234 },          { { 5, 4 }, 123 },        { { 1, 2 }, 345 },
		{ { 4, 5 }, 123 },        { { 2, 4, 3 }, 15 },      { { 1, 5, 3 }, 24 },
		{ { 5, 4, 3, 2, 1 }, 0 }, { { 1, 2, 3, 4, 5 }, 0 },
	};
	static const HostMemFault seventh = { .result = E_ACCESSDENIED + 7, .count = 1 };

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t cookies[5];

		tap_row("row %zu", i);
		start_empty();
		add_five(cookies);
		for (size_t j = 0; j < 5 && rows[i].gone[j] != 0; j++)
			CHECK_HR(hm_faults_remove(&faults, cookies[rows[i].gone[j] - 1]),
				 S_OK);
		CHECK(hm_faults_any(&faults) == (rows[i].left != 0));
		CHECK_SIZE(add(&seventh), 6);
		CHECK_U32(firing(), rows[i].left * 10 + 7);
		end();
	}
}

static void a_cookie_is_good_once(void)
{
	static const HostMemFault once = HOSTMEM_FAULT_INIT;
	uint64_t cookie;

	start_empty();
	CHECK(!hm_faults_any(&faults));
	CHECK_HR(hm_faults_remove(&faults, 1), E_INVALIDARG);
	cookie = add(&once);
	CHECK_SIZE(cookie, 1);
	CHECK(hm_faults_any(&faults));
	CHECK_HR(hm_faults_remove(&faults, cookie + 1), E_INVALIDARG);
	CHECK_HR(hm_faults_remove(&faults, 0), E_INVALIDARG);
	/* Used up, it is still known. */
	CHECK_HR(pass(&commit), E_OUTOFMEMORY);
	CHECK_HR(pass(&commit), S_OK);
	CHECK(hm_faults_any(&faults));
	CHECK_HR(hm_faults_remove(&faults, cookie), S_OK);
	CHECK_HR(hm_faults_remove(&faults, cookie), E_INVALIDARG);
	CHECK(!hm_faults_any(&faults));
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	/* Numbers are never used again. */
	CHECK_SIZE(add(&once), cookie + 1);
	end();
}

static void without_memory_there_is_no_rule(void)
{
	static const HostMemFault fault = HOSTMEM_FAULT_INIT;
	struct hoard hoard;
	uint64_t cookie = 77;
	pid_t child;

	start_empty();
	hoard_size(&hoard, sizeof(struct hm_fault_rule));
	CHECK_HR(hm_faults_add(&faults, &fault, &cookie), E_OUTOFMEMORY);
	hoard_end_size(&hoard, sizeof(struct hm_fault_rule));
	/* It is not inside any more: a fork would wait for it. */
	CHECK_HR(hm_calls_prepare(), S_OK);
	(void)alarm(60);
	child = fork();
	if (child == 0)
		_exit(0);
	(void)alarm(0);
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK_SIZE(cookie, 77);
	CHECK(!hm_faults_any(&faults));
	CHECK_SIZE(add(&fault), 1);
	end();
}

static void a_host_that_ends_takes_its_rules_with_it(void)
{
	static const HostMemFault fault = HOSTMEM_FAULT_INIT;
	struct fake_host fake;
	uint64_t cookie;

	fake_host_init(&fake);
	for (uint64_t i = 1; i <= 3; i++) {
		CHECK_HR(hm_faults_add(&fake.host.faults, &fault, &cookie), S_OK);
		CHECK_SIZE(cookie, i);
	}
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(a_mask_has_known_bits_and_something_that_can_be_refused);
	TAP_RUN(a_rule_that_cannot_be_is_no_rule);
	TAP_RUN(a_request_matches_by_operation_level_place_and_size);
	TAP_RUN(matches_fire_by_number);
	TAP_RUN(the_answer_is_the_rules);
	TAP_RUN(the_first_rule_that_fires_ends_the_search);
	TAP_RUN(any_of_them_may_go_and_others_come);
	TAP_RUN(a_cookie_is_good_once);
	TAP_RUN(without_memory_there_is_no_rule);
	TAP_RUN(a_host_that_ends_takes_its_rules_with_it);
	return tap_done();
}
