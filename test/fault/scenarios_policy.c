/*
 * Scenarios in which a refusal of the system is not the end of a request, or not its
 * beginning: budgets, a reclaimer, and subscribers that make requests of their own.
 *
 * What the reclaimer gives back is room in the budget, which no picture shows; and what is
 * made inside callbacks goes again before they return.
 */
#include "test/fault/scenarios.h"

static bool inside;         /* a callback: what it does, does not call it again */
static bool fails_for_good; /* a call inside has put the host out of use */

static void limit_to(struct scene *s, size_t limit)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = limit;
	CHECK_HR(IHostMemoryControl_SetBudget(s->faces.control, &budget), S_OK);
}

/* Makes a region and releases it. */
static void make_and_release(struct scene *s)
{
	void *out = NULL;
	HRESULT hr;

	if (inside)
		return;
	inside = true;
	hr = faces_alloc(&s->faces, NULL, 2 * PAGE, MEM_RESERVE | MEM_COMMIT,
			 PAGE_READWRITE, &out);
	if (SUCCEEDED(hr))
		hr = faces_free(&s->faces, out);
	if (hr == E_FAIL)
		fails_for_good = true;
	else
		/* The last: what it is called for has put the host out of use. */
		CHECK(hr == S_OK || hr == E_OUTOFMEMORY || hr == HOST_E_CLRNOTAVAILABLE);
	inside = false;
}

static size_t HOSTMEM_CALL make_room(void *state, size_t wanted)
{
	struct scene *s = state;

	CHECK(wanted != 0);
	limit_to(s, SIZE_MAX);
	make_and_release(s);
	return wanted;
}

static BOOL HOSTMEM_CALL ask_for_more(void *state, const HostMemEvent *event)
{
	if (event->type != HostMemEventFree)
		make_and_release(state);
	return TRUE;
}

static void set_reclaimer(struct scene *s)
{
	void *out;

	inside = fails_for_good = false;
	CHECK_HR(IHostMemoryControl_SetReclaimer(s->faces.control, make_room, s), S_OK);
	/* So that what is made inside is never the most that was charged. */
	CHECK_HR(faces_alloc(&s->faces, NULL, 200 * PAGE, MEM_RESERVE | MEM_COMMIT,
			     PAGE_READWRITE, &out),
		 S_OK);
	CHECK_HR(faces_free(&s->faces, out), S_OK);
}

static void set_reclaimer_and_subscriber(struct scene *s)
{
	uint64_t cookie;

	set_reclaimer(s);
	CHECK_HR(IHostMemoryControl_Subscribe(s->faces.control, 7, ask_for_more, s,
					      &cookie),
		 S_OK);
}

/* Whoever put the host out of use inside, this one hears of it as E_FAIL. */
static HRESULT result(HRESULT hr)
{
	return FAILED(hr) && fails_for_good ? E_FAIL : hr;
}

static HRESULT commit_in_plenty(struct scene *s)
{
	limit_to(s, SIZE_MAX);
	return result(faces_commit(&s->faces, s->base + 17 * PAGE, 5 * PAGE));
}

/* Refused by the budget first, so that the system's part comes with the second attempt. */
static HRESULT commit_at_the_limit(struct scene *s)
{
	limit_to(s, faces_usage(&s->faces).cbCharged + 2 * PAGE);
	return result(faces_commit(&s->faces, s->base + 48 * PAGE, 8 * PAGE));
}

static HRESULT reserve_at_the_limit(struct scene *s)
{
	limit_to(s, faces_usage(&s->faces).cbCharged);
	return result(play_reserve_committed(s));
}

static HRESULT lift_the_limit(struct scene *s)
{
	limit_to(s, SIZE_MAX);
	return S_OK;
}

static HRESULT change_reclaimer(struct scene *s)
{
	return IHostMemoryControl_SetReclaimer(s->faces.control, make_room, s);
}

static HRESULT add_rule_and_take_it_away(struct scene *s)
{
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookie = 1;
	void *simulator = NULL;
	HRESULT hr;

	CHECK_HR(IHostMemoryControl_QueryInterface(s->faces.control,
						   &IID_IHostMemorySimulator, &simulator),
		 S_OK);
	hr = IHostMemorySimulator_AddFault((IHostMemorySimulator *)simulator, &fault,
					   &cookie);
	CHECK_INT(cookie != 0, SUCCEEDED(hr));
	if (SUCCEEDED(hr))
		CHECK_HR(IHostMemorySimulator_RemoveFault(simulator, cookie), S_OK);
	(void)IHostMemorySimulator_Release((IHostMemorySimulator *)simulator);
	return hr;
}

const struct scenario scenario_reclaim = {
	.prepare = set_reclaimer,
	.calls = {
		{ GRANT, commit_in_plenty },
		{ GRANT, commit_at_the_limit },
		{ GRANT, reserve_at_the_limit },
		{ GIVE, play_release_fresh },
		{ OBSERVE, lift_the_limit },
	},
};

const struct scenario scenario_meddle = {
	.prepare = set_reclaimer_and_subscriber,
	.calls = {
		{ GRANT, commit_in_plenty },
		{ GRANT, commit_at_the_limit },
		{ GRANT, reserve_at_the_limit },
		{ GIVE, play_release_fresh },
		{ OBSERVE, lift_the_limit },
	},
};

const struct scenario scenario_policy = {
	.calls = {
		{ GRANT, change_reclaimer },
		{ GRANT, add_rule_and_take_it_away },
	},
};
