/*
 * What the fault sweep plays: lists of calls on a furnished host.
 */
#ifndef HOSTMEM_TEST_FAULT_SCENARIOS_H
#define HOSTMEM_TEST_FAULT_SCENARIOS_H

#include "test/fault/scene.h"

enum { SCENARIO_CALLS = 8 };

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
	struct scenario_call calls[SCENARIO_CALLS];
};

extern const struct scenario scenario_commit;
extern const struct scenario scenario_decommit;
extern const struct scenario scenario_foreign;
extern const struct scenario scenario_many_regions; /* for the last Release */
extern const struct scenario scenario_mappings;
extern const struct scenario scenario_protect;
extern const struct scenario scenario_release;
extern const struct scenario scenario_reserve;
extern const struct scenario scenario_reserve_commit;
extern const struct scenario scenario_split;
extern const struct scenario scenario_subscribe;

#endif
