/*
 * A region that one thread takes round through some states, while others ask what it is.
 *
 * First it goes round once with nobody else about, to see what each state looks like.  Then
 * whatever a reader is told has to be one of these, from beginning to end.
 */
#ifndef HOSTMEM_TEST_STRESS_RACE_H
#define HOSTMEM_TEST_STRESS_RACE_H

#include "test/stress/crowd.h"

#include "hostmem/regions.h"

#include <stdatomic.h>

enum {
	PAGES = 600, /* of most regions: their tree of states is two deep */
	PROBES = 5,
	STATES = 8, /* most states of one race */
	READERS = 2,
};

/* A region that goes round through some states, and what may be seen of it. */
struct race {
	struct faces faces;
	_Atomic(char *) base;
	char *window;
	const size_t *probes; /* pages that are asked about */
	unsigned states, rounds, place;
	void (*next)(struct race *race, unsigned state); /* from there to the one after */
	MEMORY_BASIC_INFORMATION seen[PROBES][STATES];
	_Atomic bool over;
};

static inline char *at(struct race *race, size_t page)
{
	return atomic_load(&race->base) + page * PAGE;
}

static inline bool race_same(const MEMORY_BASIC_INFORMATION *a,
			     const MEMORY_BASIC_INFORMATION *b)
{
	/* How far free memory goes is not ours alone. */
	if (a->State == MEM_FREE && b->State == MEM_FREE)
		return a->BaseAddress == b->BaseAddress &&
		       a->AllocationBase == b->AllocationBase &&
		       a->Protect == b->Protect && a->Type == b->Type &&
		       a->RegionSize != 0;
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Addresses as distances from the base, so that the region may move. */
static inline HRESULT race_look(struct race *race, size_t probe,
				MEMORY_BASIC_INFORMATION *out)
{
	char *base = atomic_load(&race->base);
	HRESULT hr = faces_query(&race->faces, base + race->probes[probe] * PAGE, out);

	out->BaseAddress = (void *)((uintptr_t)out->BaseAddress - (uintptr_t)base);
	if (out->AllocationBase != NULL)
		out->AllocationBase =
			(void *)((uintptr_t)out->AllocationBase - (uintptr_t)base + 1);
	return hr;
}

static inline void race_read(struct race *race, size_t probe)
{
	MEMORY_BASIC_INFORMATION got;
	bool was_ever_true = false;

	if (!CHECK_HR(race_look(race, probe, &got), S_OK))
		return;
	for (unsigned i = 0; i < race->states && !was_ever_true; i++)
		was_ever_true = race_same(&got, &race->seen[probe][i]);
	if (!was_ever_true)
		tap_row("page %zu: base %p, allocation %p, %zu pages, state 0x%x, "
			"protect 0x%x",
			race->probes[probe], got.BaseAddress, got.AllocationBase,
			got.RegionSize / PAGE, got.State, got.Protect);
	CHECK(was_ever_true);
}

static inline void *race_member(void *argument)
{
	struct crowd_member *self = argument;
	struct race *race = self->state;

	crowd_meet(self);
	if (self->number < READERS) {
		while (!atomic_load(&race->over))
			race_read(race, crowd_draw(self, PROBES));
		return NULL;
	}
	for (unsigned i = 0; i < race->rounds * race->states; i++)
		race->next(race, i % race->states);
	atomic_store(&race->over, true);
	return NULL;
}

static inline void run_race(struct race *race)
{
	for (unsigned i = 0; i < race->states; i++) {
		for (size_t probe = 0; probe < PROBES; probe++)
			CHECK_HR(race_look(race, probe, &race->seen[probe][i]), S_OK);
		race->next(race, i);
	}
	crowd_run(READERS + 1, race_member, race);
	CHECK_STR(hm_regions_check(), NULL);
	CHECK_SIZE(faces_release(&race->faces), 0);
}

/* A race of a host, without a region yet; false has been reported. */
static inline bool set_host(struct race *race, const HostMemConfig *config,
			    unsigned states,
			    void (*next)(struct race *race, unsigned state))
{
	static const size_t probes[PROBES] = { 0, 50, 200, 410, PAGES - 1 };

	memset(race, 0, sizeof(*race));
	race->probes = probes;
	race->states = states;
	race->next = next;
	race->rounds = FACES_ROUNDS(15000, 3000);
	return CHECK_HR(faces_create_with(&race->faces, config), S_OK);
}

#endif
