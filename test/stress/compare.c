/*
 * What can be seen of the host must be what the model says: see compare.h.
 */
#include "test/stress/compare.h"

#include "hostmem/arenas.h"
#include "hostmem/regions.h"

#include <unistd.h>

uint64_t draw(struct run *run, uint64_t below)
{
	uint64_t x = run->random += UINT64_C(0x9E3779B97F4A7C15);

	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
	return (x ^ x >> 31) % below;
}

bool chance(struct run *run, unsigned percent)
{
	return draw(run, 100) < percent;
}

void diverge(struct run *run)
{
	const struct model_call *call = &run->call;

	run->diverged = true;
	tap_row("SEED=%" PRIu64 ", step %" PRIu64 ": %s(0x%" PRIxPTR
		", 0x%zx, 0x%x, 0x%x%s)",
		run->seed, run->step, run->name, call->address, call->size, call->type,
		call->protect, call->veto ? ", vetoed" : "");
}

void same_size(struct run *run, const char *what, size_t got, size_t want)
{
	if (got == want)
		return;
	if (!run->diverged)
		diverge(run);
	tap_check_unsigned(got, want, what, __FILE__, __LINE__);
}

void same_hr(struct run *run, HRESULT got, HRESULT want)
{
	if (got == want)
		return;
	if (!run->diverged)
		diverge(run);
	tap_check_hr(got, want, "result", __FILE__, __LINE__);
}

BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event)
{
	struct run *run = state;
	struct heard *heard = &run->heard;

	switch (event->type) {
	case HostMemEventAllocate:
		heard->allocated++;
		heard->charged += event->size;
		heard->sum += event->size;
		heard->last = event->size;
		return !run->call.veto; /* of a mapping it must not matter */
	case HostMemEventFree:
		heard->freed++;
		heard->refunded += event->size;
		heard->sum -= event->size;
		return TRUE;
	default:
		if (event->announced) {
			heard->announced++;
			heard->sum -= heard->last;
		}
		return TRUE;
	}
}

static void compare_events(struct run *run)
{
	const struct model_answer *want = &run->want;
	const struct heard *heard = &run->heard;

	same_size(run, "allocate events", heard->allocated, want->charged != 0);
	same_size(run, "bytes announced", heard->charged, want->charged);
	same_size(run, "free events", heard->freed, want->refunded != 0);
	same_size(run, "bytes refunded", heard->refunded, want->refunded);
	same_size(run, "announced failures", heard->announced,
		  want->charged != 0 && FAILED(want->hr));
}

void compare_account(struct run *run)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	size_t external = model_external(&run->model);

	(void)IHostMemoryControl_GetUsage(run->faces.control, &usage);
	model_settle(&run->model);
	same_size(run, "cRegions", usage.cRegions, run->model.count);
	same_size(run, "cbCommitted", usage.cbCommitted, run->model.committed);
	same_size(run, "cbExternal", usage.cbExternal, external);
	same_size(run, "cbCharged", usage.cbCharged, run->model.committed + external);
	same_size(run, "cbPeakCharged", usage.cbPeakCharged, run->model.peak);
	same_size(run, "cRefusedCallback", usage.cRefusedCallback, run->vetoes);
	same_size(run, "sum of events", run->heard.sum, usage.cbCharged);
	same_size(run, "retained beyond what may be", usage.cbRetained > run->retain, 0);
}

void compare_query(struct run *run, uintptr_t address)
{
	MEMORY_BASIC_INFORMATION got, want;
	bool known = model_query(&run->model, address, &want);

	same_hr(run, faces_query(&run->faces, (void *)address, &got), S_OK);
	same_size(run, "BaseAddress", (uintptr_t)got.BaseAddress,
		  address - address % PAGE);
	if (!known) {
		/* Somebody else's, or nobody's: anything but that it is ours. */
		for (size_t i = 0; i < run->model.count; i++)
			same_size(run, "reservations in a run of others",
				  run->model.live[i].base - (uintptr_t)got.BaseAddress <
					  got.RegionSize,
				  0);
		return;
	}
	same_size(run, "AllocationBase", (uintptr_t)got.AllocationBase,
		  (uintptr_t)want.AllocationBase);
	same_size(run, "AllocationProtect", got.AllocationProtect,
		  want.AllocationProtect);
	same_size(run, "RegionSize", got.RegionSize, want.RegionSize);
	same_size(run, "State", got.State, want.State);
	same_size(run, "Protect", got.Protect, want.Protect);
	same_size(run, "Type", got.Type, want.Type);
}

/* Whether the system lets one read, or write, the second word; it is always 0. */
static bool accessible(struct run *run, uintptr_t address, bool to_write)
{
	char zero = 0;
	void *other = to_write ? (void *)address : &zero;
	const void *source = to_write ? &zero : (const void *)address;
	bool in = write(run->pipe[1], source, 1) == 1;
	bool out = in && read(run->pipe[0], other, 1) == 1;

	if (in && !out)
		(void)!read(run->pipe[0], &zero, 1);
	return in && out;
}

void compare_access(struct run *run, uintptr_t address)
{
	const struct model_page *page = model_page(&run->model, address);

	if (page == NULL)
		return;
	address += 8 - address % PAGE;
	same_size(run, "readable", accessible(run, address, false), model_readable(page));
	same_size(run, "writable", accessible(run, address, true), model_writable(page));
}

void compare_contents(struct run *run, uintptr_t address)
{
	struct model_page *page = model_page(&run->model, address);
	const uint64_t *words = (const uint64_t *)(address - address % PAGE);

	if (page == NULL || !model_readable(page))
		return;
	if (page->doubtful && words[0] == 0 && words[PAGE / 8 - 1] == 0) {
		page->stamp = 0;
		page->doubtful = false;
	}
	same_size(run, "first word", words[0],
		  page->doubtful && words[0] == 0 ? 0 : page->stamp);
	same_size(run, "last word", words[PAGE / 8 - 1],
		  page->doubtful && words[PAGE / 8 - 1] == 0 ? 0 : page->stamp);
}

void compare_fresh(struct run *run, uintptr_t base)
{
	const struct model_reservation *r = model_find(&run->model, base);
	/* What was retained is at most 256. */
	size_t most = run->retain != 0 ? 256 : 16;

	for (size_t page = 0; r != NULL && page < r->count && page < most; page++)
		compare_contents(run, base + page * PAGE);
}

void stamp(struct run *run, uintptr_t address)
{
	struct model_page *page = model_page(&run->model, address);
	uint64_t *words = (uint64_t *)(address - address % PAGE);

	if (page == NULL || !model_writable(page))
		return;
	page->stamp = ++run->last_stamp;
	page->doubtful = false;
	words[0] = page->stamp;
	words[PAGE / 8 - 1] = page->stamp;
}

/* An address that the host has chosen: aligned, and in no unit that is in use. */
void compare_place(struct run *run, uintptr_t out)
{
	size_t alignment = run->call.alignment > UNIT ? run->call.alignment : UNIT;

	same_size(run, "base modulo its alignment", out % alignment, 0);
	for (size_t i = 0; i < run->model.count; i++) {
		const struct model_reservation *r = &run->model.live[i];
		uintptr_t low = r->base - r->base % UNIT;
		uintptr_t high = r->base + r->count * PAGE + UNIT - 1;

		high -= high % UNIT;
		same_size(run, "shares a unit with another",
			  low < out + run->call.size && out < high, 0);
	}
}

/* What is known of the first and last page of the call must be true of the system. */
static void compare_edges(struct run *run)
{
	uintptr_t first = run->call.address;
	uintptr_t last = first + run->call.size - 1;

	if (first == 0)
		first = run->want.out;
	if (model_find(&run->model, first) == NULL) {
		if (first >= run->model.window && first < run->model.window_end)
			compare_query(run, first);
		return;
	}
	compare_access(run, first);
	compare_contents(run, first);
	if (chance(run, 50)) {
		stamp(run, first);
		compare_contents(run, last);
		stamp(run, last);
	}
	compare_query(run, first);
}

void finish(struct run *run, HRESULT got)
{
	same_hr(run, got, run->want.hr);
	compare_events(run);
	run->vetoes += run->call.veto && run->want.charged != 0;
	if (!run->diverged)
		compare_edges(run);
	compare_account(run);
}

static BOOL HOSTMEM_CALL compare_run(void *state, const MEMORY_BASIC_INFORMATION *got)
{
	struct run *run = state;
	MEMORY_BASIC_INFORMATION want;

	if (!model_query(&run->model, (uintptr_t)got->BaseAddress, &want) ||
	    memcmp(got, &want, sizeof(want)) != 0) {
		same_size(run, "a run of the walk that is as expected", 0, 1);
		compare_query(run, (uintptr_t)got->BaseAddress);
	}
	run->heard.charged += got->RegionSize;
	return !run->diverged;
}

void compare_all(struct run *run)
{
	const char *const broken[] = { hm_regions_check(),
				       hm_arenas_check(&hm_arenas_with_guards),
				       hm_arenas_check(&hm_arenas_without_guards) };

	run->name = "everything";
	run->heard = (struct heard){ .sum = run->heard.sum };
	(void)IHostMemoryControl_WalkRegions(run->faces.control, compare_run, run);
	same_size(run, "bytes of the walk", run->heard.charged,
		  model_reserved(&run->model));
	same_size(run, "cells committed", model_count_committed(&run->model),
		  run->model.committed);
	for (size_t i = 0; i < run->model.count; i++) {
		const struct model_reservation *r = &run->model.live[i];

		for (size_t page = 0; page < r->count; page++) {
			run->call.address = r->base + page * PAGE;
			if (r->pages[page].stamp != 0)
				compare_contents(run, run->call.address);
		}
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		if (broken[i] != NULL)
			diverge(run);
		CHECK_STR(broken[i], NULL);
	}
}
