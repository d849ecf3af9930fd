/*
 * "Nothing has changed", asked of the host and of the machine: VirtualQuery over all that the
 * case has taken, the bytes of every page that can be read, and, where the host is one of
 * ours, its own figures.
 *
 * Pages and contents are kept as hashes: which page it was is not told, the call is.
 */
#include "memory.h"

#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001B3;
}

/* Every 64th byte, and the last of each page: what a host writes it writes in lines. */
static uint64_t hash_contents(uint64_t hash, const unsigned char *base, size_t size)
{
	for (size_t page = 0; page < size; page += HM_PAGE) {
		if (!hm_can_read(base + page)) {
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
	SIZE_T length = 0;

	/* Asked directly: a host whose VirtualQuery is wrong fails the cases about that. */
	while (SUCCEEDED(IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)at,
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
							run.RegionSize);
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
