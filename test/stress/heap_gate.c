/*
 * Threads at work in a heap, and somebody who looks on: through the gate, behind which
 * nothing changes, and without it.
 */
#include "test/stress/traffic.h"

#include <sched.h>

static void *hand_on_until_over(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	while (!atomic_load(&stage->over)) {
		hand_on(self, stage);
		if (crowd_draw(self, 2000) == 0)
			(void)heap_trim(stage->heap);
	}
	return NULL;
}

static void check_same_usage(const HostMemUsage *a, const HostMemUsage *b)
{
	CHECK_SIZE(a->cbHeap, b->cbHeap);
	CHECK_SIZE(a->cBlocks, b->cBlocks);
	CHECK_SIZE(a->cbHeapPages, b->cbHeapPages);
	CHECK_SIZE(a->cbCharged, b->cbCharged);
	CHECK_SIZE(a->cbCommitted, b->cbCommitted);
	CHECK_SIZE(a->cRegions, b->cRegions);
}

/* Its owner may look at everything, and use the heap himself. */
static void nothing_changes_while_the_gate_is_closed(void)
{
	static struct stage stage;
	struct crowd crowd;

	if (!set_stage(&stage, 0) ||
	    !crowd_start(&crowd, THREADS, hand_on_until_over, &stage))
		return;
	for (int i = 0; i < FACES_ROUNDS(300, 60) && !tap_failed(); i++) {
		HostMemUsage first, later;

		tap_row("round %d", i);
		CHECK_HR(IHostMemoryControl_EnterGate(stage.faces.control, UINT32_MAX),
			 S_OK);
		first = faces_usage(&stage.faces);
		faces_check_account(&stage.faces);
		for (int n = 0; n < 20; n++) {
			(void)sched_yield();
			later = faces_usage(&stage.faces);
			check_same_usage(&first, &later);
		}
		CHECK_HR(heap_free(stage.heap, heap_take(stage.heap, 100)), S_OK);
		CHECK_SIZE(faces_usage(&stage.faces).cBlocks, first.cBlocks);
		CHECK_SIZE(faces_usage(&stage.faces).cbHeap, first.cbHeap);
		CHECK_HR(IHostMemoryControl_LeaveGate(stage.faces.control), S_OK);
	}
	atomic_store(&stage.over, true);
	crowd_join(&crowd);
	clear_stage(&stage);
}

/* Never less than nothing, nor more than can be on its way. */
static void the_account_can_be_read_at_any_time(void)
{
	static struct stage stage;
	struct crowd crowd;

	if (!set_stage(&stage, 0) ||
	    !crowd_start(&crowd, THREADS, hand_on_until_over, &stage))
		return;
	for (int i = 0; i < FACES_ROUNDS(30000, 3000) && !tap_failed(); i++) {
		HostMemUsage usage = faces_usage(&stage.faces);

		tap_row("look %d", i);
		CHECK(usage.cBlocks <= PLACES + 2 * THREADS);
		CHECK(usage.cbHeap <= (PLACES + 2 * THREADS) * 2 * UNIT);
		CHECK(usage.cbHeapPages < UNIT * UNIT);
	}
	atomic_store(&stage.over, true);
	crowd_join(&crowd);
	clear_stage(&stage);
}

int main(void)
{
	TAP_RUN(nothing_changes_while_the_gate_is_closed);
	TAP_RUN(the_account_can_be_read_at_any_time);
	return tap_done();
}
