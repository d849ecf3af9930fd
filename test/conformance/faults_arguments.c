/*
 * AddFault and RemoveFault: what is refused, with which answer, and that it leaves
 * nothing behind.  What rules do to requests is not asked here.
 */
#include "com_rules.h"

#include <math.h>

struct fixture {
	struct host host;
	IHostMemorySimulator *simulator;
};

static bool fixture_make(struct fixture *fixture)
{
	if (!host_create(&fixture->host, 0))
		return false;
	fixture->simulator =
		(IHostMemorySimulator *)com_face((IUnknown *)fixture->host.manager,
						 &IID_IHostMemorySimulator);
	return true;
}

static void fixture_end(struct fixture *fixture)
{
	IHostMemorySimulator_Release(fixture->simulator);
	host_destroy(&fixture->host);
}

/* AddFault; the cookie is 0 if and only if the call failed. */
static HRESULT add(const struct fixture *fixture, const HostMemFault *fault,
		   uint64_t *cookie)
{
	HRESULT hr;

	*cookie = POISON_SIZE;
	hr = IHostMemorySimulator_AddFault(fixture->simulator, fault, cookie);
	CHECK(*cookie != POISON_SIZE);
	CHECK((*cookie == 0) == FAILED(hr));
	return hr;
}

static HRESULT take_away(const struct fixture *fixture, uint64_t cookie)
{
	return IHostMemorySimulator_RemoveFault(fixture->simulator, cookie);
}

/* Cookies count the rules that were added; one that was refused took no number. */
static void check_count(const struct fixture *fixture, uint64_t before)
{
	static const HostMemFault next = HOSTMEM_FAULT_INIT;
	uint64_t cookie;

	CHECK_HR(add(fixture, &next, &cookie), S_OK);
	CHECK_SIZE(cookie, before + 1);
	CHECK_HR(take_away(fixture, cookie), S_OK);
}

#define COMPLETE .cbSize = sizeof(HostMemFault)
#define REFUSES COMPLETE, .result = E_OUTOFMEMORY

static const struct {
	HostMemFault fault;
	HRESULT want;
} rows[] = {
	{ HOSTMEM_FAULT_INIT, S_OK },
	/* Operations: 2 and 3 are frees, 5 is a mapping, 6 is not there. */
	{ { REFUSES, .operations = 0x01 }, S_OK },
	{ { REFUSES, .operations = 0x02 }, S_OK },
	{ { REFUSES, .operations = 0x04 }, E_INVALIDARG },
	{ { REFUSES, .operations = 0x08 }, E_INVALIDARG },
	{ { REFUSES, .operations = 0x10 }, S_OK },
	{ { REFUSES, .operations = 0x20 }, E_INVALIDARG },
	{ { REFUSES, .operations = 0x2C }, E_INVALIDARG },
	{ { REFUSES, .operations = 0x2D }, S_OK },
	{ { REFUSES, .operations = 0x3F }, S_OK },
	{ { REFUSES, .operations = 0x40 }, E_INVALIDARG },
	{ { REFUSES, .operations = 0x41 }, E_INVALIDARG },
	{ { REFUSES, .operations = 0x80000001 }, E_INVALIDARG },
	{ { REFUSES, .operations = UINT32_MAX }, E_INVALIDARG },
	{ { REFUSES, .levels = 0x07 }, S_OK },
	{ { REFUSES, .levels = 0x08 }, E_INVALIDARG },
	{ { REFUSES, .levels = 0x0F }, E_INVALIDARG },
	{ { REFUSES, .levels = 0x80000001 }, E_INVALIDARG },
	{ { REFUSES, .place = HOSTMEM_FAULT_SYSTEM }, S_OK },
	{ { REFUSES, .place = 2 }, E_INVALIDARG },
	{ { REFUSES, .place = UINT32_MAX }, E_INVALIDARG },
	{ { REFUSES, .cbMin = SIZE_MAX }, S_OK },
	{ { REFUSES, .cbMax = 1 }, S_OK },
	{ { REFUSES, .cbMin = PAGE, .cbMax = PAGE }, S_OK },
	{ { REFUSES, .cbMin = PAGE + 1, .cbMax = PAGE }, E_INVALIDARG },
	{ { REFUSES, .cbMin = SIZE_MAX, .cbMax = 1 }, E_INVALIDARG },
	{ { REFUSES, .nth = UINT64_MAX, .every = UINT64_MAX, .count = UINT64_MAX },
	  S_OK },
	{ { REFUSES, .every = 3 }, S_OK },
	{ { REFUSES, .nth = 1, .probability = 0.5 }, E_INVALIDARG },
	{ { REFUSES, .every = 1, .probability = 1 }, E_INVALIDARG },
	{ { REFUSES, .nth = 1, .every = 1, .probability = 0.5 }, E_INVALIDARG },
	{ { REFUSES, .nth = 1, .probability = -0.0 }, S_OK },
	{ { REFUSES, .probability = 1, .seed = UINT64_MAX }, S_OK },
	{ { REFUSES, .probability = 0x1p-1074 }, S_OK },
	{ { REFUSES, .probability = 0x1.0000000000001p0 }, E_INVALIDARG },
	{ { REFUSES, .probability = -0x1p-1074 }, E_INVALIDARG },
	{ { REFUSES, .probability = (double)INFINITY }, E_INVALIDARG },
	{ { REFUSES, .probability = -(double)INFINITY }, E_INVALIDARG },
	{ { REFUSES, .probability = (double)NAN }, E_INVALIDARG },
	{ { REFUSES, .nth = 1, .probability = (double)NAN }, E_INVALIDARG },
	{ { COMPLETE, .result = S_OK }, E_INVALIDARG },
	{ { COMPLETE, .result = S_FALSE }, E_INVALIDARG },
	{ { COMPLETE, .result = INT32_MAX }, E_INVALIDARG },
	{ { COMPLETE, .result = E_FAIL }, S_OK },
	{ { COMPLETE, .result = INT32_MIN }, S_OK },
	{ { REFUSES, .msDelay = UINT32_MAX }, S_OK },
};

static void a_record_is_checked_and_a_bad_one_leaves_nothing(void)
{
	struct fixture fixture;
	struct snapshot before;
	uint64_t added = 0;

	if (!fixture_make(&fixture))
		return;
	snapshot_take(&before, &fixture.host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t cookie;

		tap_row("row %zu", i);
		CHECK_HR(add(&fixture, &rows[i].fault, &cookie), rows[i].want);
		if (rows[i].want == S_OK) {
			CHECK_SIZE(cookie, ++added);
			continue;
		}
		/* The number that it did not get is the next one's. */
		CHECK_HR(take_away(&fixture, added + 1), E_INVALIDARG);
		check_count(&fixture, added++);
	}
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

static void a_smaller_record_ends_with_a_field(void)
{
	static const size_t ends[] = {
		offsetof(HostMemFault, levels),      offsetof(HostMemFault, place),
		offsetof(HostMemFault, cbMin),       offsetof(HostMemFault, cbMax),
		offsetof(HostMemFault, nth),         offsetof(HostMemFault, every),
		offsetof(HostMemFault, probability), offsetof(HostMemFault, seed),
		offsetof(HostMemFault, count),       offsetof(HostMemFault, result),
		offsetof(HostMemFault, msDelay),     sizeof(HostMemFault),
	};
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	struct fixture fixture;
	uint64_t added = 0, cookie;
	size_t next = 0;

	if (!fixture_make(&fixture))
		return;
	for (uint32_t size = 0; size < 2 * sizeof(fault); size++) {
		bool ends_here = next < ROWS(ends) && ends[next] == size;

		tap_row("size %u", size);
		fault.cbSize = size;
		CHECK_HR(add(&fixture, &fault, &cookie), ends_here ? S_OK : E_INVALIDARG);
		CHECK_SIZE(cookie, ends_here ? ++added : 0);
		next += ends_here;
	}
	CHECK_SIZE(next, ROWS(ends));
	fault.cbSize = UINT32_MAX;
	CHECK_HR(add(&fixture, &fault, &cookie), E_INVALIDARG);
	check_count(&fixture, added);
	fixture_end(&fixture);
}

/* Each of these is bad with the field in which `from` begins, and good without it. */
static void what_a_smaller_record_lacks_is_not_looked_at(void)
{
	static const struct {
		size_t from;
		HostMemFault fault;
	} bad[] = {
		{ offsetof(HostMemFault, levels), { .levels = 8 } },
		{ offsetof(HostMemFault, place), { .place = 2 } },
		{ offsetof(HostMemFault, cbMax), { .cbMin = 2, .cbMax = 1 } },
		{ offsetof(HostMemFault, probability), { .nth = 1, .probability = 1 } },
		{ offsetof(HostMemFault, result), { .result = S_OK } },
	};
	struct fixture fixture;

	if (!fixture_make(&fixture))
		return;
	for (size_t i = 0; i < ROWS(bad); i++) {
		HostMemFault fault = bad[i].fault;
		uint64_t cookie;

		tap_row("row %zu", i);
		if (bad[i].from != offsetof(HostMemFault, result))
			fault.result = E_OUTOFMEMORY;
		fault.cbSize = sizeof(fault);
		CHECK_HR(add(&fixture, &fault, &cookie), E_INVALIDARG);
		fault.cbSize = (uint32_t)bad[i].from;
		CHECK_HR(add(&fixture, &fault, &cookie), S_OK);
	}
	fixture_end(&fixture);
}

static void the_record_is_copied(void)
{
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	struct fixture fixture;
	uint64_t cookie;

	if (!fixture_make(&fixture))
		return;
	CHECK_HR(add(&fixture, &fault, &cookie), S_OK);
	CHECK_U32(fault.cbSize, sizeof(fault));
	memset(&fault, POISON_BYTE, sizeof(fault));
	CHECK_HR(take_away(&fixture, cookie), S_OK);
	fixture_end(&fixture);
}

static void a_cookie_is_good_once(void)
{
	static const HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookies[3], again;
	struct fixture fixture;

	if (!fixture_make(&fixture))
		return;
	CHECK_HR(take_away(&fixture, 1), E_INVALIDARG);
	for (size_t i = 0; i < ROWS(cookies); i++)
		CHECK_HR(add(&fixture, &fault, &cookies[i]), S_OK);
	CHECK_HR(take_away(&fixture, 0), E_INVALIDARG);
	CHECK_HR(take_away(&fixture, UINT64_MAX), E_INVALIDARG);
	CHECK_HR(take_away(&fixture, cookies[2] + 1), E_INVALIDARG);
	for (size_t i = ROWS(cookies); i-- > 0;) {
		CHECK_HR(take_away(&fixture, cookies[i]), S_OK);
		CHECK_HR(take_away(&fixture, cookies[i]), E_INVALIDARG);
	}
	CHECK_HR(add(&fixture, &fault, &again), S_OK);
	CHECK(again > cookies[2]);
	fixture_end(&fixture);
}

static void hosts_have_rules_of_their_own(void)
{
	static const HostMemFault fault = HOSTMEM_FAULT_INIT;
	struct fixture one, other;
	uint64_t cookie;

	if (!fixture_make(&one) || !fixture_make(&other))
		return;
	CHECK_HR(add(&one, &fault, &cookie), S_OK);
	CHECK_HR(take_away(&other, cookie), E_INVALIDARG);
	CHECK_HR(take_away(&one, cookie), S_OK);
	fixture_end(&other);
	fixture_end(&one);
}

/* Out pointers, then the host's state, then arguments. */
static void what_is_looked_at_first_answers(void)
{
	static const HostMemFault good = HOSTMEM_FAULT_INIT;
	static const HostMemFault bad = { .cbSize = 0 };
	struct fixture fixture;
	uint64_t cookie, rule;

	if (!fixture_make(&fixture))
		return;
	CHECK_HR(add(&fixture, &good, &rule), S_OK);
	for (unsigned down = 0; down < 2; down++) {
		HRESULT gone = HOST_E_CLRNOTAVAILABLE;

		tap_row("down: %u", down);
		CHECK_HR(IHostMemorySimulator_AddFault(fixture.simulator, &good, NULL),
			 E_POINTER);
		CHECK_HR(IHostMemorySimulator_AddFault(fixture.simulator, NULL, NULL),
			 E_POINTER);
		CHECK_HR(add(&fixture, NULL, &cookie), E_POINTER);
		CHECK_HR(add(&fixture, &bad, &cookie), down ? gone : E_INVALIDARG);
		CHECK_HR(take_away(&fixture, rule + 1), down ? gone : E_INVALIDARG);
		CHECK_HR(IHostMemoryControl_Shutdown(fixture.host.control),
			 down ? gone : S_OK);
	}
	CHECK_HR(add(&fixture, &good, &cookie), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(take_away(&fixture, rule), HOST_E_CLRNOTAVAILABLE);
	fixture_end(&fixture);
}

int main(void)
{
	TAP_RUN(a_record_is_checked_and_a_bad_one_leaves_nothing);
	TAP_RUN(a_smaller_record_ends_with_a_field);
	TAP_RUN(what_a_smaller_record_lacks_is_not_looked_at);
	TAP_RUN(the_record_is_copied);
	TAP_RUN(a_cookie_is_good_once);
	TAP_RUN(hosts_have_rules_of_their_own);
	TAP_RUN(what_is_looked_at_first_answers);
	return tap_done();
}
