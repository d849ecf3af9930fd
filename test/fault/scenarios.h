/*
 * What the fault sweep plays: lists of calls on a furnished host.
 */
#ifndef HOSTMEM_TEST_FAULT_SCENARIOS_H
#define HOSTMEM_TEST_FAULT_SCENARIOS_H

#include "test/fault/scene.h"

enum { SCENARIO_CALLS = 9 };

enum scenario_kind {
	GRANT,   /* may fail with E_OUTOFMEMORY, and has changed nothing then */
	GIVE,    /* gives memory back: S_OK, whatever the system has no room for */
	OBSERVE, /* S_OK, always, and never changes anything */
};

struct scenario_call {
	enum scenario_kind kind;
	HRESULT (*run)(struct scene *scene);
};

struct scenario {
	uint32_t flags; /* of the host */
	size_t retain;  /* bytes that it keeps for reuse */
	bool bare;      /* the host is not furnished: it has not made anything yet */
	void (*prepare)(struct scene *scene); /* what no call may be refused of; NULL */
	struct scenario_call calls[SCENARIO_CALLS];
	void (*finish)(struct scene *scene); /* of what may be left then; NULL */
	void (*settle)(void); /* makes records that stay for good; NULL: there are none */
};

/* Calls of more than one file: `fresh` is reserved, with all of it committed, released. */
HRESULT play_reserve(struct scene *scene);
HRESULT play_reserve_committed(struct scene *scene);
HRESULT play_release_fresh(struct scene *scene);

extern const struct scenario
	scenario_close; /* of granules that nothing is committed in */
extern const struct scenario scenario_commit;
extern const struct scenario scenario_decommit;
extern const struct scenario scenario_excess; /* of open granules */
extern const struct scenario scenario_first;  /* reservation of the process */
extern const struct scenario scenario_foreign;
extern const struct scenario scenario_heap;
extern const struct scenario scenario_heap_debug; /* of a host that looks for damage */
extern const struct scenario scenario_heap_end;   /* with blocks live */
extern const struct scenario scenario_heap_first; /* of the host */
extern const struct scenario scenario_heap_named; /* a block by DebugAlloc */
extern const struct scenario scenario_huge;
extern const struct scenario scenario_lend; /* part of an arena, and all of the place */
extern const struct scenario scenario_lend_all;
extern const struct scenario scenario_many_regions; /* for the last Release */
extern const struct scenario scenario_mappings;
extern const struct scenario scenario_meddle; /* subscribers that ask for more */
extern const struct scenario scenario_odd;
extern const struct scenario scenario_open;
extern const struct scenario scenario_policy;
extern const struct scenario scenario_protect;
extern const struct scenario scenario_reclaim;
extern const struct scenario scenario_release;
extern const struct scenario scenario_reserve;
extern const struct scenario scenario_reserve_commit;
extern const struct scenario scenario_retain;
extern const struct scenario scenario_share; /* a granule */
extern const struct scenario scenario_split;
extern const struct scenario scenario_subscribe;

#endif
