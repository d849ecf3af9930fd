/*
 * Attempts of a request that can do with less when memory is short, and what heaps keep
 * for later.
 */
#include "hostmem/attempt.h"
#include "heaps.h"

enum { LIMIT = 100, HOUR = 3600000 };

/* The system's part, and how the work does with less. */
struct thrifty {
	struct hm_work work;
	struct hm_block_want want;
	unsigned system_refusals; /* before it delivers */
	unsigned economies;       /* so often it finds a way ... */
	size_t least;             /* ... to do with this charge */
	unsigned performed, economized;
	bool (*find)(struct hm_work *work, struct hm_request *request);
};

static HRESULT perform(struct hm_work *work, struct hm_request *request)
{
	struct thrifty *self = hm_container_of(work, struct thrifty, work);

	if (self->performed++ < self->system_refusals)
		return E_OUTOFMEMORY;
	hm_request_settle(request);
	return S_OK;
}

static _Atomic uint32_t waiters;

static bool economize(struct hm_work *work, struct hm_request *request)
{
	struct thrifty *self = hm_container_of(work, struct thrifty, work);

	CHECK_POINTER(request->host, host);
	if (self->economized++ >= self->economies)
		return false;
	work->charge = self->least;
	return true;
}

/* A host with LIMIT bytes, of which `charged` are charged; who is refused may wait. */
static void start(size_t charged, uint32_t ms)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	heaps_begin();
	budget.cbLimit = LIMIT;
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = ms;
	CHECK_HR(hm_host_set_budget(host, &budget), S_OK);
	if (charged != 0)
		hm_budget_charge(&host->budget, charged);
}

/* So many bytes are charged after it. */
static void end(size_t charged)
{
	CHECK_SIZE(host->budget.charged, charged);
	CHECK_SIZE(host->budget.claimed, charged);
	CHECK_U32(waiters, 0);
	CHECK_U32(host->waiting.count, 0);
	if (charged != 0)
		hm_budget_refund(&host->budget, charged);
	heaps_end();
}

static HRESULT run(struct thrifty *self, size_t size)
{
	HRESULT hr;

	self->work = (struct hm_work){ .size = size,
				       .charge = size,
				       .perform = perform,
				       .reason = HostMemBySystem,
				       .economize = self->find != NULL ? self->find
								       : economize,
				       .want = &self->want };
	self->want.waiters = &waiters;
	OPEN(request, HostMemHeap);
	hr = hm_request_run(&request, &self->work);
	CHECK_SIZE(request.pending, 0);
	hm_request_close(&request);
	return hr;
}

static void what_fits_is_not_economized(void)
{
	struct thrifty self = { .economies = 1, .least = 1 };

	start(0, 0);
	CHECK_HR(run(&self, LIMIT), S_OK);
	CHECK_U32(self.economized, 0);
	end(LIMIT);
}

static void where_the_budget_is_short_less_will_do(void)
{
	struct thrifty self = { .economies = 1, .least = 30 };

	start(60, 0);
	CHECK_HR(run(&self, 50), S_OK);
	CHECK_U32(self.economized, 1);
	CHECK_U32(self.performed, 1);
	CHECK_SIZE(fake_usage(&fake).cRefusedBudget, 0);
	end(90);
}

static void a_way_without_any_charge_needs_no_budget(void)
{
	struct thrifty self = { .economies = 1, .least = 0 };

	start(LIMIT, 0);
	CHECK_HR(run(&self, 50), S_OK);
	end(LIMIT);
}

static void what_is_still_too_much_is_refused_as_what_it_is_now(void)
{
	struct thrifty self = { .economies = 1, .least = 45 };
	struct listener ear = { .count = 0 };

	start(60, 0);
	listen(host, &ear, ALL_EVENTS);
	CHECK_HR(run(&self, 50), E_OUTOFMEMORY);
	CHECK_U32(self.performed, 0);
	CHECK_SIZE(fake_usage(&fake).cRefusedBudget, 1);
	CHECK_U32(ear.count, 1);
	CHECK_EVENT(&ear, 0, HostMemEventFailure, HostMemHeap, 45);
	end(60);
}

static void the_systems_refusal_is_answered_so_once(void)
{
	for (unsigned refusals = 1; refusals <= 2; refusals++) {
		struct thrifty self = { .economies = 9,
					.least = 10,
					.system_refusals = refusals };

		tap_row("%u refusals", refusals);
		start(0, 0);
		CHECK_HR(run(&self, 50), refusals == 1 ? S_OK : E_OUTOFMEMORY);
		CHECK_U32(self.economized, 1);
		CHECK_U32(self.performed, 2);
		CHECK_SIZE(fake_usage(&fake).cFailedOs, refusals - 1);
		end(refusals == 1 ? 10 : 0);
	}
}

/* Finds nothing at first, and something when it has taken its place. */
static bool find_while_waiting(struct hm_work *work, struct hm_request *request)
{
	struct thrifty *self = hm_container_of(work, struct thrifty, work);

	(void)request;
	self->economized++;
	if (waiters == 0)
		return false;
	CHECK_U32(host->waiting.count, 1);
	work->charge = self->least;
	return true;
}

/* Virtual time moves only if it sleeps. */
static void who_has_taken_his_place_looks_once_more(void)
{
	for (unsigned finds = 0; finds < 2; finds++) {
		struct thrifty self = { .least = 40 };
		uint64_t before;

		tap_row("finds %u", finds);
		start(60, HOUR);
		CHECK(hm_clock_set_virtual(&host->clock, true));
		before = hm_clock_now(&host->clock);
		self.find = finds != 0 ? find_while_waiting : economize;
		CHECK_HR(run(&self, 50), finds != 0 ? S_OK : HOST_E_TIMEOUT);
		CHECK_U32(self.economized, 2);
		CHECK_SIZE(hm_clock_now(&host->clock) - before, finds != 0 ? 0 : HOUR);
		end(finds != 0 ? 100 : 60);
	}
}

/* Of any heap of the host: a request for something else. */
static void what_heaps_keep_goes_before_anybody_is_refused(void)
{
	struct hm_heap heap;
	struct thrifty self = { .economies = 0 };

	heaps_begin();
	heap_make(&heap, MALLOC_THREADSAFE);
	CHECK_HR(heap_free(&heap, heap_take(&heap, 64)), S_OK);
	CHECK_HR(heap_free(&heap, heap_take(&heap, 2 * PAGE)), S_OK);
	fake_limit(host, 4 * PAGE);
	CHECK_HEAPS(0, 0, 3 * PAGE);
	CHECK_HR(run(&self, 4 * PAGE), S_OK);
	CHECK_SIZE(host->heap_pages, 0);
	CHECK_SIZE(host->budget.charged, 4 * PAGE);
	hm_budget_refund(&host->budget, 4 * PAGE);
	hm_heap_destroy(&heap);
	heaps_end();
}

int main(void)
{
	TAP_RUN(what_fits_is_not_economized);
	TAP_RUN(where_the_budget_is_short_less_will_do);
	TAP_RUN(a_way_without_any_charge_needs_no_budget);
	TAP_RUN(what_is_still_too_much_is_refused_as_what_it_is_now);
	TAP_RUN(the_systems_refusal_is_answered_so_once);
	TAP_RUN(who_has_taken_his_place_looks_once_more);
	TAP_RUN(what_heaps_keep_goes_before_anybody_is_refused);
	return tap_done();
}
