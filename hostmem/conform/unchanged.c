/*
 * "Nothing has changed", asked of the host and of the machine: VirtualQuery over all that the
 * case has taken, the bytes of every page that can be read, and, where the host is one of
 * ours, its own figures.
 *
 * Pages and contents are kept as hashes: which page it was is not told, the call is.
 *
 * How far a run goes is what the host says, and may be any number.  So a look has an end: a host
 * that makes up sizes fails the cases about sizes, and does not keep all others waiting.
 */
#include "memory.h"

#include <string.h>

/* Of one reservation, and more than any case has; a page that cannot be read takes longest. */
enum { MOST_RUNS = 4096, MOST_PAGES = 65536, MOST_UNREADABLE = 256 };

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001B3;
}

/* What may still be looked at. */
struct rest {
	size_t runs, pages, unreadable;
};

/* Every 64th byte, and the last of each page: what a host writes it writes in lines. */
static uint64_t hash_contents(uint64_t hash, const unsigned char *base, size_t size,
			      struct rest *rest)
{
	for (size_t page = 0; page < size && rest->pages != 0 && rest->unreadable != 0;
	     page += HM_PAGE) {
		rest->pages--;
		if (!hm_can_read(base + page)) {
			rest->unreadable--;
			hash = mix(hash, 0x100);
			continue;
		}
		for (size_t i = 0; i < HM_PAGE; i += 64)
			hash = mix(hash, base[page + i]);
		hash = mix(hash, base[page + HM_PAGE - 1]);
	}
	return hash;
}

static void look_at_reservation(struct hm_trial *t, void *base, struct hm_state *state)
{
	MEMORY_BASIC_INFORMATION run;
	const unsigned char *at = (const unsigned char *)base;
	struct rest rest = { MOST_RUNS, MOST_PAGES, MOST_UNREADABLE };
	SIZE_T length = 0;

	/* Asked directly: a host whose VirtualQuery is wrong fails the cases about that. */
	while (rest.runs-- != 0 &&
	       SUCCEEDED(IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)at,
							 &run, sizeof(run), &length)) &&
	       length == sizeof(run) && run.AllocationBase == base &&
	       run.RegionSize != 0) {
		state->runs = mix(state->runs, (uintptr_t)run.BaseAddress);
		state->runs = mix(state->runs, run.RegionSize);
		state->runs = mix(state->runs, ((uint64_t)run.State << 32) | run.Protect);
		state->runs = mix(state->runs, run.AllocationProtect);
		/* A look at a guard page would take the guard away. */
		if (run.State == MEM_COMMIT && (run.Protect & PAGE_GUARD) == 0)
			state->contents = hash_contents(state->contents, at,
							run.RegionSize, &rest);
		at += run.RegionSize;
	}
}

void hm_look(struct hm_trial *t, struct hm_state *state)
{
	void *face = NULL;

	memset(state, 0, sizeof(*state));
	for (size_t i = 0; i < t->kept_count; i++)
		look_at_reservation(t, t->kept[i], state);
	if (SUCCEEDED(IHostMemoryManager_QueryInterface(t->memory,
							&IID_IHostMemoryControl,
							&face)) &&
	    face != NULL) {
		state->usage = (HostMemUsage)HOSTMEM_USAGE_INIT;
		(void)IHostMemoryControl_GetUsage((IHostMemoryControl *)face,
						  &state->usage);
		(void)IHostMemoryControl_Release((IHostMemoryControl *)face);
	}
}

bool hm_check_unchanged(struct hm_trial *t, const struct hm_state *before,
			const char *file, int line)
{
	struct hm_state now;
	const HostMemUsage *is = &now.usage, *was = &before->usage;
	bool same;

	hm_look(t, &now);
	same = hm_check(t, now.runs == before->runs, "pages are as they were", file,
			line);
	same &= hm_check(t, now.contents == before->contents, "contents are as they were",
			 file, line);
	same &= hm_check(t,
			 is->cbReserved == was->cbReserved &&
				 is->cbCommitted == was->cbCommitted &&
				 is->cbHeap == was->cbHeap &&
				 is->cbExternal == was->cbExternal &&
				 is->cbCharged == was->cbCharged &&
				 is->cRegions == was->cRegions &&
				 is->cBlocks == was->cBlocks,
			 "the host's figures are as they were", file, line);
	return same;
}
