/*
 * Waiting for a block of a heap: who is handed one, and a wait that is called off.
 */
#include "hostmem/waiting.h"
#include "hostmem/host.h"
#include "fake.h"

enum { LIMIT = 1000, MANY = 5 };

static struct hm_budget budget;
static struct hm_waiting waiting;
static struct hm_waiter waiters[MANY];
static struct hm_block_want wants[MANY];
static char heaps[2];

static const struct hm_heap *heap(size_t i)
{
	return (const struct hm_heap *)(const void *)&heaps[i];
}

static void start(void)
{
	HostMemBudget given = HOSTMEM_BUDGET_INIT;

	memset(&budget, 0, sizeof(budget));
	memset(&waiting, 0, sizeof(waiting));
	memset(waiters, 0, sizeof(waiters));
	memset(wants, 0, sizeof(wants));
	given.cbLimit = LIMIT;
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_budget_init(&budget, &given);
	hm_budget_charge(&budget, LIMIT);
}

static void end(void)
{
	hm_calls_enter();
	hm_waiting_end(&waiting);
	hm_calls_leave();
	CHECK_U32(waiting.count, 0);
}

/* Takes its place; a size of 0: it wants pages. */
static void wait_as(size_t i, EMemoryCriticalLevel level, size_t of_heap, size_t size,
		    size_t alignment)
{
	wants[i] = (struct hm_block_want){ heap(of_heap), size, alignment, NULL, NULL };
	waiters[i] = (struct hm_waiter){ .level = level,
					 .charge = 100,
					 .deadline = UINT64_MAX,
					 .want = size != 0 ? &wants[i] : NULL };
	hm_waiting_begin(&waiting, &budget, &waiters[i]);
	CHECK_U32(waiters[i].wake, HM_WAKE_NOT);
}

/* A block at that address; who has got it, MANY = nobody. */
static size_t hand_over(size_t of_heap, uintptr_t block, size_t size)
{
	size_t got = MANY, count = 0;
	bool handed;

	hm_calls_enter();
	handed = hm_waiting_hand_over(&waiting, heap(of_heap), (void *)block, size);
	hm_calls_leave();
	for (size_t i = 0; i < MANY; i++) {
		if (wants[i].block != (void *)block)
			continue;
		got = i;
		count++;
		CHECK_U32(waiters[i].wake, HM_WAKE_AGAIN);
	}
	CHECK_SIZE(count, handed);
	return got;
}

static void a_block_goes_to_the_first_who_is_content_with_it(void)
{
	start();
	wait_as(0, eTaskCritical, 0, 64, 16);
	wait_as(1, eProcessCritical, 1, 64, 16);   /* of another heap */
	wait_as(2, eProcessCritical, 0, 128, 16);  /* larger */
	wait_as(3, eProcessCritical, 0, 16, 4096); /* aligned otherwise */
	wait_as(4, eProcessCritical, 0, 0, 0);     /* wants pages */
	CHECK_SIZE(hand_over(0, FAKE_BASE + 32, 32), MANY);
	CHECK_U32(waiting.count, MANY);
	CHECK_SIZE(hand_over(0, FAKE_BASE + 64, 64), 0);
	CHECK_SIZE(hand_over(0, FAKE_BASE + 64 + 64, 64), MANY);
	CHECK_SIZE(hand_over(0, FAKE_BASE + 4096, 16), 3);
	CHECK_SIZE(hand_over(0, FAKE_BASE + 256, 256), 2);
	CHECK_SIZE(hand_over(1, FAKE_BASE + UNIT, 64), 1);
	CHECK_U32(waiting.count, 1);
	CHECK_U32(waiters[4].wake, HM_WAKE_NOT);
	end();
}

static void the_most_critical_comes_first_then_who_came_first(void)
{
	static const size_t order[] = { 1, 4, 2, 0, 3 };
	static const EMemoryCriticalLevel levels[] = {
		eTaskCritical, eProcessCritical, eAppDomainCritical,
		eTaskCritical, eProcessCritical,
	};

	start();
	for (size_t i = 0; i < MANY; i++)
		wait_as(i, levels[i], 0, 16, 16);
	for (size_t i = 0; i < MANY; i++) {
		tap_row("block %zu", i);
		CHECK_SIZE(hand_over(0, FAKE_BASE + 16 * i, 16), order[i]);
		CHECK_U32(waiting.count, (uint32_t)(MANY - 1 - i));
	}
	/* Nothing was granted for it. */
	CHECK_SIZE(budget.claimed, LIMIT);
	end();
}

/* It waits again with a block that it has not looked at yet. */
static void who_has_a_block_gets_no_second_one(void)
{
	start();
	wait_as(0, eTaskCritical, 0, 16, 16);
	wants[0].block = &heaps;
	CHECK_SIZE(hand_over(0, FAKE_BASE, 16), MANY);
	CHECK_POINTER(wants[0].block, &heaps);
	end();
	CHECK_U32(waiters[0].wake, HM_WAKE_ENDED);
}

static void who_calls_off_his_wait_looks_again(void)
{
	struct hm_clock clocks;

	memset(&clocks, 0, sizeof(clocks));
	start();
	wait_as(0, eTaskCritical, 0, 16, 16);
	wait_as(1, eTaskCritical, 0, 16, 16);
	hm_waiting_cancel(&waiting, &waiters[0]);
	CHECK_U32(waiting.count, 1);
	CHECK_POINTER(waiting.first, &waiters[1]);
	CHECK_INT(hm_waiting_sleep(&waiting, &clocks, &waiters[0]), HM_WAKE_AGAIN);
	/* What was granted in the moment between stays granted. */
	hm_calls_enter();
	hm_budget_refund(&budget, 100);
	hm_waiting_offer(&waiting, &budget, true);
	hm_calls_leave();
	hm_waiting_cancel(&waiting, &waiters[1]);
	CHECK_INT(hm_waiting_sleep(&waiting, &clocks, &waiters[1]), HM_WAKE_GRANTED);
	CHECK_SIZE(budget.claimed, LIMIT);
	end();
}

int main(void)
{
	TAP_RUN(a_block_goes_to_the_first_who_is_content_with_it);
	TAP_RUN(the_most_critical_comes_first_then_who_came_first);
	TAP_RUN(who_has_a_block_gets_no_second_one);
	TAP_RUN(who_calls_off_his_wait_looks_again);
	return tap_done();
}
