/*
 * Quick calls, and stopping them: nobody is inside meanwhile, and nothing that was done
 * inside is lost; where the system has the fence for it, where it has none, and where it
 * changes its mind.
 */
#include "hostmem/quick.h"
#include "fake.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	THREADS = 4,
	CALLS = 60000,
	STOPS = 300,
	LEAST_STOPS = 20,
	DUELS = 20000,
	WATCHDOG = 300
};

/* Registered for good, so none of them is on a stack. */
static struct hm_quick quick[32];
static unsigned used;
static const uint64_t nothing; /* what they are for */

static struct hm_quick *new_quick(bool unusual)
{
	struct hm_quick *fresh = &quick[used++];

	if (used > sizeof(quick) / sizeof(quick[0]))
		abort();
	hm_calls_enter();
	hm_quick_register(fresh);
	hm_quick_lock();
	hm_quick_set_unusual(fresh, unusual);
	hm_quick_unlock();
	hm_calls_leave();
	return fresh;
}

static bool try_quickly(struct hm_quick *self)
{
	bool may = hm_quick_begin(self, &nothing);

	CHECK_U32(self->inside, 1);
	hm_quick_leave(self);
	CHECK_U32(self->inside, 0);
	return may;
}

static void stop(void)
{
	hm_calls_enter();
	CHECK(hm_quick_stop());
}

static void resume(void)
{
	hm_quick_resume();
	hm_calls_leave();
}

/* ---- The system's part ---- */

static struct hm_system_calls real;
static unsigned refusals;
static bool has_fence; /* until it is refused */

static int refuse_barrier(int command)
{
	(void)command;
	refusals++;
	errno = EPERM;
	return -1;
}

/* ---- A crowd ---- */

/* All of it plain: whoever is inside, or has stopped everybody, is alone with it. */
struct worker {
	struct hm_quick *quick;
	size_t begun, done;
	size_t by_stopper;
	_Atomic size_t calls;
	pthread_t thread;
};

static struct worker workers[THREADS];
static _Atomic unsigned working, looks;

static void do_something(struct worker *self)
{
	self->begun++;
	atomic_signal_fence(memory_order_seq_cst);
	self->done++;
}

static void *work(void *argument)
{
	struct worker *self = argument;

	for (unsigned i = 0; i < CALLS || atomic_load(&looks) < LEAST_STOPS; i++) {
		bool may = hm_quick_begin(self->quick, &nothing);

		if (may)
			do_something(self);
		hm_quick_leave(self->quick);
		self->calls++;
		if (may)
			continue;
		hm_quick_enter(self->quick);
		do_something(self);
		hm_quick_leave(self->quick);
	}
	atomic_fetch_sub(&working, 1);
	return NULL;
}

/* While everybody is stopped: nobody is in the middle, and nobody moves. */
static void look(void)
{
	size_t sum = 0, again = 0;

	stop();
	for (size_t i = 0; i < THREADS; i++) {
		CHECK_SIZE(workers[i].begun, workers[i].done);
		workers[i].by_stopper++;
		sum += workers[i].begun;
	}
	for (unsigned i = 0; i < 50; i++)
		(void)sched_yield();
	for (size_t i = 0; i < THREADS; i++)
		again += workers[i].begun;
	CHECK_SIZE(again, sum);
	resume();
}

/* The fence is refused from the stop with that number on. */
static void run_crowd(unsigned refused_at)
{
	atomic_store(&looks, 0);
	atomic_store(&working, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .quick = workers[i].quick };
		if (workers[i].quick == NULL)
			workers[i].quick = new_quick(false);
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < STOPS && atomic_load(&working) != 0; i++) {
		if (i == refused_at)
			hm_system.barrier = refuse_barrier;
		look();
		atomic_store(&looks, i + 1);
	}
	for (size_t i = 0; i < THREADS; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		CHECK_SIZE(workers[i].begun, workers[i].calls);
		CHECK_SIZE(workers[i].done, workers[i].calls);
		CHECK_SIZE(workers[i].by_stopper, looks);
	}
}

/* Two that do nothing else, so that they meet. */
static void *enter_again_and_again(void *argument)
{
	struct worker *self = argument;

	while (atomic_load_explicit(&working, memory_order_relaxed) != 0) {
		hm_quick_enter(self->quick);
		do_something(self);
		hm_quick_leave(self->quick);
	}
	return NULL;
}

static void run_duel(void)
{
	struct worker *self = &workers[0];
	unsigned torn = 0;

	*self = (struct worker){ .quick = new_quick(false) };
	atomic_store(&working, 1);
	if (pthread_create(&self->thread, NULL, enter_again_and_again, self) != 0)
		abort();
	for (unsigned i = 0; i < DUELS; i++) {
		stop();
		for (unsigned spins = 0; spins < i % 32; spins++)
			torn += self->begun != *(volatile size_t *)&self->done;
		torn += self->begun++ != self->done++;
		resume();
	}
	atomic_store(&working, 0);
	(void)pthread_join(self->thread, NULL);
	CHECK_U32(torn, 0);
	CHECK_SIZE(self->begun, self->done);
}

/* ---- Tests ---- */

/* Before anybody has a thread: a process in which the fence was never to be had. */
static void without_a_fence_from_the_start_each_brings_his_own(void)
{
	struct hm_quick *self;
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)alarm(WATCHDOG);
		hm_system.barrier = refuse_barrier;
		hm_quick_prepare();
		CHECK_U32(refusals, 1);
		self = new_quick(false);
		CHECK_SIZE(self->purpose, HM_QUICK_FENCE);
		CHECK(!try_quickly(self));
		run_crowd(UINT32_MAX);
		run_duel();
		/* It is not asked again. */
		CHECK_U32(refusals, 1);
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
}

static void quick_calls_are_for_the_usual(void)
{
	struct hm_quick *self;

	hm_calls_enter();
	hm_quick_register(&quick[used]);
	hm_calls_leave();
	self = &quick[used++];
	CHECK(!try_quickly(self)); /* nobody has said yet that it is usual */
	hm_quick_set_unusual(self, false);
	CHECK(try_quickly(self) == has_fence);
	hm_quick_set_unusual(self, true);
	CHECK(!try_quickly(self));
	/* Whoever has to may enter all the same. */
	hm_quick_enter(self);
	CHECK_U32(self->inside, 1);
	hm_quick_leave(self);
	hm_quick_set_unusual(self, true);
	hm_quick_set_unusual(self, false);
	CHECK(try_quickly(self) == has_fence);
}

static void quick_calls_are_for_one_purpose(void)
{
	static const uint64_t one = 1, most = HM_QUICK_PURPOSE;
	struct hm_quick *self = new_quick(false);

	hm_quick_lock();
	hm_quick_set_purpose(self, most);
	hm_quick_unlock();
	CHECK_SIZE(hm_quick_purpose(self), most);
	CHECK(!try_quickly(self));
	CHECK(!hm_quick_begin(self, &one));
	CHECK(hm_quick_begin(self, &most) == has_fence);
	hm_quick_leave(self);
	/* Whatever else is to be said leaves that as it is, and the other way round. */
	hm_quick_lock();
	hm_quick_set_unusual(self, true);
	CHECK_SIZE(hm_quick_purpose(self), most);
	hm_quick_set_purpose(self, one);
	hm_quick_unlock();
	CHECK_SIZE(hm_quick_purpose(self), one);
	CHECK(self->purpose & HM_QUICK_UNUSUAL);
	CHECK(!hm_quick_begin(self, &one));
	hm_quick_leave(self);
	hm_quick_lock();
	hm_quick_set_unusual(self, false);
	hm_quick_unlock();
	CHECK(hm_quick_begin(self, &one) == has_fence);
	hm_quick_leave(self);
}

static void while_stopped_nobody_begins(void)
{
	struct hm_quick *usual = new_quick(false), *unusual = new_quick(true);

	stop();
	CHECK(!try_quickly(usual));
	CHECK(!try_quickly(unusual));
	CHECK(usual->purpose & HM_QUICK_CLOSED);
	CHECK(unusual->purpose & HM_QUICK_CLOSED);
	/* May be decided anew meanwhile, and does not let anybody in. */
	hm_quick_set_unusual(usual, false);
	CHECK(!try_quickly(usual));
	resume();
	CHECK(try_quickly(usual) == has_fence);
	CHECK_SIZE(usual->purpose, has_fence ? 0 : HM_QUICK_FENCE);
	CHECK(!try_quickly(unusual));
	CHECK(unusual->purpose & HM_QUICK_UNUSUAL);
}

static _Atomic bool is_inside, is_leaving, is_going_on;

static void *stay_inside(void *argument)
{
	hm_quick_enter(argument);
	atomic_store(&is_inside, true);
	for (unsigned i = 0; i < 500; i++)
		(void)sched_yield();
	atomic_store(&is_leaving, true);
	hm_quick_leave(argument);
	return NULL;
}

static void stopping_waits_for_who_is_inside(void)
{
	struct hm_quick *self = new_quick(false);
	pthread_t thread;

	if (pthread_create(&thread, NULL, stay_inside, self) != 0)
		abort();
	while (!atomic_load(&is_inside))
		(void)sched_yield();
	stop();
	CHECK(atomic_load(&is_leaving));
	CHECK_U32(self->inside, 0);
	resume();
	(void)pthread_join(thread, NULL);
}

static void *come_in(void *argument)
{
	atomic_store(&is_inside, false);
	hm_quick_enter(argument);
	CHECK(atomic_load(&is_going_on));
	hm_quick_leave(argument);
	return NULL;
}

static void who_comes_meanwhile_sleeps_until_it_goes_on(void)
{
	struct hm_quick *self = new_quick(false);
	pthread_t thread;

	atomic_store(&is_inside, true);
	stop();
	if (pthread_create(&thread, NULL, come_in, self) != 0)
		abort();
	while (atomic_load(&is_inside))
		(void)sched_yield();
	for (unsigned i = 0; i < 500; i++)
		(void)sched_yield();
	atomic_store(&is_going_on, true);
	resume();
	(void)pthread_join(thread, NULL);
}

static void with_the_fence_nothing_is_lost(void)
{
	if (!has_fence)
		tap_skip("no membarrier here");
	run_crowd(UINT32_MAX);
	run_duel();
}

static _Atomic bool is_at_work;

static bool look_at_work(const struct hm_quick *self)
{
	(void)self;
	return atomic_load(&is_at_work);
}

static void *be_at_work(void *argument)
{
	atomic_store(&is_at_work, true);
	CHECK(hm_quick_is_for(argument, &nothing) == has_fence);
	atomic_store(&is_inside, true);
	for (unsigned i = 0; i < 500; i++)
		(void)sched_yield();
	atomic_store(&is_leaving, true);
	atomic_store(&is_at_work, false);
	return NULL;
}

static void stopping_waits_for_who_says_so_by_other_words(void)
{
	struct hm_quick *self;
	pthread_t thread;

	quick[used].at_work = look_at_work;
	self = new_quick(false);
	atomic_store(&is_inside, false);
	atomic_store(&is_leaving, false);
	if (pthread_create(&thread, NULL, be_at_work, self) != 0)
		abort();
	while (!atomic_load(&is_inside))
		(void)sched_yield();
	stop();
	CHECK(atomic_load(&is_leaving));
	CHECK(!hm_quick_is_for(self, &nothing));
	resume();
	(void)pthread_join(thread, NULL);
	/* What it has seen before it began may be out of date, until it enters. */
	CHECK(!hm_quick_is_for(self, &nothing));
	CHECK(self->purpose & HM_QUICK_STOPPED);
	CHECK_SIZE(hm_quick_purpose(self), nothing);
	hm_quick_enter(self);
	CHECK(!(self->purpose & HM_QUICK_STOPPED));
	hm_quick_leave(self);
	CHECK(hm_quick_is_for(self, &nothing) == has_fence);
	stop();
	CHECK(!try_quickly(self));
	resume();
	CHECK(!hm_quick_is_for(self, &nothing));
	CHECK(try_quickly(self) == has_fence);
	CHECK(hm_quick_is_for(self, &nothing) == has_fence);
}

/* In a fork's child, where nobody but one is there any more. */
static void after_a_fork_nobody_is_waited_for(void)
{
	struct hm_quick *self = new_quick(false);

	atomic_store(&self->inside, 1);
	hm_quick_after_fork();
	CHECK(hm_quick_stop_alone());
	CHECK(!try_quickly(self));
	hm_quick_resume_alone();
	CHECK(!(self->purpose & HM_QUICK_CLOSED));
}

/* From here on there is none. */
static void where_the_fence_is_refused_later_each_brings_his_own(void)
{
	struct hm_quick *before = new_quick(false), *after;

	refusals = 0;
	run_crowd(LEAST_STOPS / 2);
	CHECK_U32(refusals, has_fence);
	CHECK_SIZE(before->purpose, HM_QUICK_FENCE);
	CHECK(!try_quickly(before));
	after = new_quick(false);
	CHECK_SIZE(after->purpose, HM_QUICK_FENCE);
	run_crowd(0);
	CHECK_U32(refusals, has_fence);
	has_fence = false;
}

/* From here on a stop may be in vain where a processor is away for long, so this comes last. */
static void who_is_held_still_inside_is_given_up(void)
{
	struct hm_quick *held = new_quick(false), *other = new_quick(false);

	hm_quick_expect_stops();
	hm_quick_enter(held);
	hm_calls_enter();
	CHECK(!hm_quick_stop());
	hm_calls_leave();
	/* Nobody is stopped, and nobody has to wait. */
	CHECK_INT(try_quickly(other), has_fence);
	hm_quick_leave(held);
	CHECK_INT(try_quickly(held), has_fence);
	stop();
	CHECK(!try_quickly(other));
	resume();
	CHECK_INT(try_quickly(other), has_fence);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	real = hm_system;
	TAP_RUN(without_a_fence_from_the_start_each_brings_his_own);
	hm_quick_prepare();
	has_fence = !(new_quick(false)->purpose & HM_QUICK_FENCE);
	TAP_RUN(quick_calls_are_for_the_usual);
	TAP_RUN(quick_calls_are_for_one_purpose);
	TAP_RUN(while_stopped_nobody_begins);
	TAP_RUN(stopping_waits_for_who_is_inside);
	TAP_RUN(who_comes_meanwhile_sleeps_until_it_goes_on);
	TAP_RUN(stopping_waits_for_who_says_so_by_other_words);
	TAP_RUN(with_the_fence_nothing_is_lost);
	TAP_RUN(after_a_fork_nobody_is_waited_for);
	TAP_RUN(where_the_fence_is_refused_later_each_brings_his_own);
	TAP_RUN(who_is_held_still_inside_is_given_up);
	hm_system = real;
	return tap_done();
}
