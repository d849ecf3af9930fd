/*
 * Threads that allocate, wait for memory and free, while others enter the gate again and
 * again: behind it nothing moves, and in the end nothing is left.
 *
 * Bounded by numbers of rounds, not by time.  The thread sanitizer runs this, too.
 */
#include "test/stress/crowd.h"

#include "hostmem/metadata.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { WORKERS = 4, ENTERERS = 2, COMMON_PAGES = 64, WATCHDOG = 600 };

#define LIMIT (48 * PAGE)
#define FOR_EVER UINT32_MAX

struct stage {
	struct faces faces;
	char *common;
	bool listened;
	unsigned rounds;
	size_t in_use;
	_Atomic unsigned inside; /* callbacks that run now */
	_Atomic unsigned owners, entered, waited, busy, reclaimed;
};

static _Thread_local bool is_owner;

/* Nobody else's callback runs behind a closed gate. */
static BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event)
{
	struct stage *stage = state;

	atomic_fetch_add(&stage->inside, 1);
	if (!is_owner)
		CHECK_INT(atomic_load(&stage->owners), 0);
	if (event->request % 8 == 0)
		(void)sched_yield();
	if (!is_owner)
		CHECK_INT(atomic_load(&stage->owners), 0);
	atomic_fetch_sub(&stage->inside, 1);
	return event->request % 32 != 5;
}

static size_t HOSTMEM_CALL reclaim(void *state, size_t wanted)
{
	struct stage *stage = state;

	if (!is_owner)
		CHECK_INT(atomic_load(&stage->owners), 0);
	atomic_fetch_add(&stage->reclaimed, 1);
	CHECK_HR(faces_decommit(&stage->faces, stage->common, PAGE), S_OK);
	if (!is_owner)
		CHECK_INT(atomic_load(&stage->owners), 0);
	return wanted;
}

static bool set_stage(struct stage *stage, bool listened)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	uint64_t cookie;

	memset(stage, 0, sizeof(*stage));
	stage->rounds = FACES_ROUNDS(4000, 1500);
	stage->listened = listened;
	stage->in_use = hm_metadata_in_use();
	budget.cbLimit = LIMIT;
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = i == eTaskCritical ? 1 : 3600000;
	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.budget = &budget;
	config.msGateTimeout = FOR_EVER;
	if (!CHECK_HR(faces_create_with(&stage->faces, &config), S_OK))
		return false;
	stage->common = faces_reserve(&stage->faces, COMMON_PAGES * PAGE);
	CHECK_HR(IHostMemoryControl_SetReclaimer(stage->faces.control, reclaim, stage),
		 S_OK);
	return stage->common != NULL &&
	       (!listened ||
		CHECK_HR(IHostMemoryControl_Subscribe(stage->faces.control, 7, hear,
						      stage, &cookie),
			 S_OK));
}

static void clear_stage(struct stage *stage)
{
	faces_check_account(&stage->faces);
	CHECK_HR(faces_free(&stage->faces, stage->common), S_OK);
	faces_check_empty(&stage->faces);
	CHECK(atomic_load(&stage->entered) != 0);
	CHECK_SIZE(faces_release(&stage->faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), stage->in_use);
}

/* ---- Behind the gate ---- */

static void check_stillness(struct stage *stage)
{
	HostMemUsage before = faces_usage(&stage->faces), after;
	struct faces_sum first = faces_walk(&stage->faces), second;

	(void)sched_yield();
	second = faces_walk(&stage->faces);
	after = faces_usage(&stage->faces);
	CHECK_SIZE(after.cbReserved, before.cbReserved);
	CHECK_SIZE(after.cbCommitted, before.cbCommitted);
	CHECK_SIZE(after.cbCharged, before.cbCharged);
	CHECK_SIZE(after.cRegions, before.cRegions);
	CHECK_SIZE(first.committed, before.cbCommitted);
	CHECK_SIZE(first.reserved, before.cbReserved);
	CHECK_SIZE(second.committed, first.committed);
	CHECK_SIZE(second.reserved, first.reserved);
	CHECK_SIZE(before.cbCharged, before.cbCommitted);
	CHECK_INT(atomic_load(&stage->inside), 0);
}

/* An owner's calls pass; it may be short of memory, but does not wait for it. */
static void use_it(struct crowd_member *self, struct stage *stage)
{
	char *at = stage->common + crowd_draw(self, COMMON_PAGES) * PAGE;
	HRESULT hr = faces_commit(&stage->faces, at, PAGE);

	if (hr != E_OUTOFMEMORY)
		CHECK_HR(hr, S_OK);
	CHECK_HR(faces_decommit(&stage->faces, at, PAGE), S_OK);
}

static void own_it(struct crowd_member *self, struct stage *stage)
{
	static const DWORD patience[] = { FOR_EVER, 0, 1 };
	IHostMemoryControl *control = stage->faces.control;
	HRESULT hr = IHostMemoryControl_EnterGate(control, patience[crowd_draw(self, 3)]);

	if (hr == HOST_E_TIMEOUT) {
		atomic_fetch_add(&stage->busy, 1);
		return;
	}
	CHECK_HR(hr, S_OK);
	is_owner = true;
	CHECK_INT(atomic_fetch_add(&stage->owners, 1), 0);
	atomic_fetch_add(&stage->entered, 1);
	check_stillness(stage);
	if (crowd_draw(self, 4) == 0)
		use_it(self, stage);
	check_stillness(stage);
	atomic_fetch_sub(&stage->owners, 1);
	CHECK_HR(IHostMemoryControl_LeaveGate(control), S_OK);
	is_owner = false;
}

/* ---- Outside ---- */

static bool is_refusal(HRESULT hr)
{
	return hr == E_OUTOFMEMORY || hr == HOST_E_TIMEOUT;
}

static void work(struct crowd_member *self, struct stage *stage)
{
	size_t first = crowd_draw(self, COMMON_PAGES);
	char *from = stage->common + first * PAGE;
	size_t size = (1 + crowd_draw(self, 15)) * PAGE;
	EMemoryCriticalLevel level = (EMemoryCriticalLevel)crowd_draw(self, 3);
	void *out = NULL;
	HRESULT hr;

	switch (crowd_draw(self, 4)) {
	case 0:
		hr = faces_commit(&stage->faces, from, PAGE);
		if (!is_refusal(hr))
			CHECK_HR(hr, S_OK);
		/* What stays would be missed by those who wait for it. */
		CHECK_HR(faces_decommit(&stage->faces, from, PAGE), S_OK);
		return;
	case 1:
		out = faces_reserve(&stage->faces, size);
		break;
	default:
		hr = IHostMemoryManager_VirtualAlloc(stage->faces.manager, NULL, size,
						     MEM_COMMIT, PAGE_READWRITE, level,
						     &out);
		if (hr == HOST_E_TIMEOUT)
			atomic_fetch_add(&stage->waited, 1);
		if (is_refusal(hr))
			return;
		CHECK_HR(hr, S_OK);
	}
	if (out != NULL)
		CHECK_HR(faces_free(&stage->faces, out), S_OK);
}

static void *play(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	crowd_meet(self);
	for (unsigned round = 0; round < stage->rounds; round++) {
		if (self->number >= WORKERS)
			own_it(self, stage);
		else
			work(self, stage);
	}
	return NULL;
}

static void behind_the_gate_nothing_moves(void)
{
	struct stage stage;

	if (!set_stage(&stage, false))
		return;
	crowd_run(WORKERS + ENTERERS, play, &stage);
	clear_stage(&stage);
}

static void behind_the_gate_no_callback_runs(void)
{
	struct stage stage;

	if (!set_stage(&stage, true))
		return;
	crowd_run(WORKERS + ENTERERS, play, &stage);
	clear_stage(&stage);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(behind_the_gate_nothing_moves);
	TAP_RUN(behind_the_gate_no_callback_runs);
	return tap_done();
}
