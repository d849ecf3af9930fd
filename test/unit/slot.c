/*
 * A callback that is replaced while it runs, from inside and from outside; what a slot
 * remembers of it.  Threads in numbers, and forks: conformance/jsrt_threads.
 */
#include "hostmem/com/slot.h"
#include "test/tap.h"

#include <pthread.h>
#include <sched.h>

static void function_a(void)
{
}

static void function_b(void)
{
}

static struct hm_slot slot, neighbour;

static unsigned records(const struct hm_slot *of)
{
	unsigned count = 0;

	for (const struct hm_registration *r = atomic_load(&of->all); r != NULL;
	     r = r->next)
		count++;
	return count;
}

static void set(hm_slot_function function, void *state)
{
	CHECK_HR(hm_slot_set(&slot, function, state), S_OK);
}

static void end(void)
{
	hm_slot_destroy(&slot);
	memset(&slot, 0, sizeof(slot));
}

static void an_empty_slot_has_nothing_to_call(void)
{
	struct hm_slot_call call;

	CHECK(!hm_slot_enter(&slot, &slot, &call));
	set(NULL, NULL);
	CHECK(!hm_slot_enter(&slot, &slot, &call));
	CHECK_U32(records(&slot), 0);
	end();
}

static void a_call_gets_function_and_state_as_they_were_set(void)
{
	struct hm_slot_call call;
	int state;

	set(function_a, &state);
	if (CHECK(hm_slot_enter(&slot, &slot, &call))) {
		CHECK(call.function == function_a);
		CHECK_POINTER(call.state, &state);
		hm_slot_leave(&call);
	}
	set(NULL, &state);
	CHECK(!hm_slot_enter(&slot, &slot, &call));
	end();
}

/* Nobody is inside, so one record and its successor take turns. */
static void records_are_used_again(void)
{
	for (int i = 0; i < 100; i++)
		set(i % 2 != 0 ? function_a : function_b, NULL);
	CHECK_U32(records(&slot), 2);
	end();
}

static void who_replaces_from_inside_does_not_wait_and_keeps_what_it_has(void)
{
	struct hm_slot_call calls[4];
	int states[5];

	set(function_a, &states[0]);
	for (int i = 0; i < 4; i++) {
		CHECK(hm_slot_enter(&slot, &slot, &calls[i]));
		set(function_b, &states[i + 1]);
	}
	/* Four that are in use, and the current one. */
	CHECK_U32(records(&slot), 5);
	for (int i = 4; i-- > 0;) {
		CHECK_POINTER(calls[i].state, &states[i]);
		hm_slot_leave(&calls[i]);
	}
	for (int i = 0; i < 100; i++)
		set(function_a, NULL);
	CHECK_U32(records(&slot), 5);
	end();
}

static void a_thread_knows_where_it_is(void)
{
	struct hm_slot_call outer, inner;
	int one, other;

	set(function_a, NULL);
	CHECK_HR(hm_slot_set(&neighbour, function_b, NULL), S_OK);
	CHECK(!hm_slot_is_inside(&one, NULL));
	CHECK(hm_slot_enter(&slot, &one, &outer));
	CHECK(hm_slot_is_inside(&one, NULL));
	CHECK(hm_slot_is_inside(&one, &slot));
	CHECK(!hm_slot_is_inside(&one, &neighbour));
	CHECK(!hm_slot_is_inside(&other, NULL));
	CHECK(hm_slot_enter(&neighbour, &other, &inner));
	CHECK(hm_slot_is_inside(&one, &slot));
	CHECK(hm_slot_is_inside(&other, &neighbour));
	CHECK(!hm_slot_is_inside(&other, &slot));
	hm_slot_leave(&inner);
	CHECK(!hm_slot_is_inside(&other, NULL));
	hm_slot_leave(&outer);
	CHECK(!hm_slot_is_inside(&one, NULL));
	hm_slot_destroy(&neighbour);
	memset(&neighbour, 0, sizeof(neighbour));
	end();
}

/* ---- Another thread inside ---- */

static atomic_int inside, leaving, left;

static void *visit(void *state)
{
	struct hm_slot_call call;

	(void)state;
	if (!CHECK(hm_slot_enter(&slot, &slot, &call)))
		return NULL;
	atomic_store(&inside, 1);
	while (atomic_load(&leaving) == 0)
		sched_yield();
	for (int i = 0; i < 2000; i++)
		sched_yield();
	atomic_store(&left, 1);
	hm_slot_leave(&call);
	return NULL;
}

static pthread_t visitor(void)
{
	pthread_t thread;

	atomic_store(&inside, 0);
	atomic_store(&leaving, 0);
	atomic_store(&left, 0);
	if (pthread_create(&thread, NULL, visit, NULL) != 0)
		abort();
	while (atomic_load(&inside) == 0)
		sched_yield();
	return thread;
}

static void who_replaces_from_outside_waits(void)
{
	static const hm_slot_function successors[] = { NULL, function_b };

	for (size_t i = 0; i < 2; i++) {
		pthread_t thread;

		tap_row("successor %zu", i);
		set(function_a, NULL);
		thread = visitor();
		atomic_store(&leaving, 1);
		set(successors[i], NULL);
		CHECK_INT(atomic_load(&left), 1);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	end();
}

/* It would wait for itself, so it does not wait for the other one either. */
static void from_inside_nobody_is_waited_for(void)
{
	struct hm_slot_call call;
	pthread_t thread;

	set(function_a, NULL);
	CHECK(hm_slot_enter(&slot, &slot, &call));
	thread = visitor();
	set(function_b, NULL);
	CHECK_INT(atomic_load(&left), 0);
	hm_slot_leave(&call);
	/* The old record is in use, and its callback not the one that is replaced now. */
	set(function_a, NULL);
	set(NULL, NULL);
	CHECK_INT(atomic_load(&left), 0);
	CHECK_U32(records(&slot), 3);
	atomic_store(&leaving, 1);
	CHECK(pthread_join(thread, NULL) == 0);
	end();
}

int main(void)
{
	CHECK_HR(hm_slot_prepare(), S_OK);
	TAP_RUN(an_empty_slot_has_nothing_to_call);
	TAP_RUN(a_call_gets_function_and_state_as_they_were_set);
	TAP_RUN(records_are_used_again);
	TAP_RUN(who_replaces_from_inside_does_not_wait_and_keeps_what_it_has);
	TAP_RUN(a_thread_knows_where_it_is);
	TAP_RUN(who_replaces_from_outside_waits);
	TAP_RUN(from_inside_nobody_is_waited_for);
	return tap_done();
}
