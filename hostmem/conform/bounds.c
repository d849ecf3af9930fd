/*
 * Cases about what a host says of the system: what bounds its memory, and how its pages are.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

struct bounds {
	struct hm_trial *t;
	unsigned count, stop_after, kinds[5];
	uint64_t limit, used; /* of the budget */
	size_t first;         /* which kind came first */
};

static BOOL HOSTMEM_CALL hear_bound(void *state, const HostMemBound *bound)
{
	struct bounds *bounds = (struct bounds *)state;

	CHECK(bounds->t, bound->cbSize >= sizeof(*bound) && (unsigned)bound->kind < 5);
	CHECK(bounds->t, (bound->kind == HostMemBoundGroup) == (bound->path != NULL));
	CHECK(bounds->t, (bound->kind == HostMemBoundGroup) == (bound->version != 0));
	if (bounds->count++ == 0)
		bounds->first = bound->kind;
	if ((unsigned)bound->kind < 5)
		bounds->kinds[bound->kind]++;
	if (bound->kind == HostMemBoundBudget) {
		bounds->limit = bound->cbLimit;
		bounds->used = bound->cbUsed;
	}
	return bounds->count == bounds->stop_after ? FALSE : TRUE;
}

static void bounds_are_the_budget_and_what_the_system_has(struct hm_trial *t)
{
	IHostMemoryMonitor *monitor = hm_monitor(t);
	IHostMemoryControl *control = monitor != NULL ? hm_control(t) : NULL;
	struct bounds bounds = { .t = t };

	if (control == NULL)
		return;
	CHECK_HR(t, IHostMemoryMonitor_WalkBounds(monitor, hear_bound, &bounds), S_OK);
	CHECK_SIZE(t, bounds.kinds[HostMemBoundBudget], 0);
	CHECK(t, bounds.kinds[HostMemBoundMachine] <= 1);
	hm_row(t, "a budget with a limit");
	(void)hm_limit(t, control, 100 * HM_PAGE);
	(void)hm_grant(t, 7, eTaskCritical, S_OK);
	memset(&bounds, 0, sizeof(bounds));
	bounds.t = t;
	CHECK_HR(t, IHostMemoryMonitor_WalkBounds(monitor, hear_bound, &bounds), S_OK);
	CHECK_SIZE(t, bounds.kinds[HostMemBoundBudget], 1);
	CHECK_SIZE(t, bounds.first, HostMemBoundBudget);
	CHECK_SIZE(t, bounds.limit, 100 * HM_PAGE);
	CHECK_SIZE(t, bounds.used, 7 * HM_PAGE);
	hm_row(t, "FALSE ends the walk");
	memset(&bounds, 0, sizeof(bounds));
	bounds.t = t;
	bounds.stop_after = 1;
	CHECK_HR(t, IHostMemoryMonitor_WalkBounds(monitor, hear_bound, &bounds), S_OK);
	CHECK_SIZE(t, bounds.count, 1);
	hm_row(t, "no callback");
	CHECK_HR(t, IHostMemoryMonitor_WalkBounds(monitor, NULL, NULL), E_POINTER);
}

static void the_system_is_as_it_must_be(struct hm_trial *t)
{
	IHostMemoryMonitor *monitor = hm_monitor(t);
	HostMemSystem system = HOSTMEM_SYSTEM_INIT;

	if (monitor == NULL)
		return;
	CHECK_HR(t, IHostMemoryMonitor_GetSystem(monitor, &system), S_OK);
	CHECK_SIZE(t, system.cbSize, sizeof(system));
	CHECK_SIZE(t, system.cbPage, HM_PAGE);
	CHECK_SIZE(t, system.cbGranularity, HM_GRANULE);
	CHECK_SIZE(t, system.cbLargePage % HM_PAGE, 0);
	CHECK(t, system.cbLargePage != 0 || system.cLargePages == 0);
}

static const struct hm_case cases[] = {
	{ "walk", HM_DOCUMENTED, "HM header: WalkBounds",
	  bounds_are_the_budget_and_what_the_system_has, HM_NO_GROUP },
	{ "system", HM_DOCUMENTED, "HM header: GetSystem", the_system_is_as_it_must_be,
	  HM_NO_GROUP },
};

const struct hm_area hm_area_bounds = HM_AREA("bounds", cases);
