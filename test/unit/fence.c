/*
 * The fence on all processors: what is asked of the system, what its answers mean, and
 * that it is one.
 */
#include "hostmem/os/fence.h"
#include "fake.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { ERRNO = 4711, ROUNDS = 10000, WATCHDOG = 300 };

/* ---- What is asked, and answered ---- */

static struct {
	int command, calls;
	int error; /* 0: it does it */
} barrier;

static int fake_barrier(int command)
{
	barrier.command = command;
	barrier.calls++;
	errno = barrier.error != 0 ? barrier.error : EAGAIN;
	return barrier.error != 0 ? -1 : 0;
}

static void what_the_system_says_is_passed_on_and_errno_is_kept(void)
{
	static const int errors[] = { 0, EINVAL, ENOSYS, EPERM, EACCES };
	struct hm_system_calls kept = hm_system;

	hm_system.barrier = fake_barrier;
	for (size_t i = 0; i < ROWS(errors); i++) {
		tap_row("errno %d", errors[i]);
		barrier.error = errors[i];
		barrier.calls = 0;
		errno = ERRNO;
		CHECK_HR(hm_fence_prepare(), errors[i] == 0 ? S_OK : E_OUTOFMEMORY);
		CHECK_INT(barrier.command, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
		CHECK(hm_fence_others() == (errors[i] == 0));
		CHECK_INT(barrier.command, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
		CHECK_INT(barrier.calls, 2);
		CHECK_INT(errno, ERRNO);
	}
	hm_system = kept;
}

/* ---- That it is one ---- */

/* Each says a word and then looks at the other's: one at least sees it. */
static struct {
	_Alignas(64) _Atomic unsigned mine;
	_Alignas(64) _Atomic unsigned others;
	_Alignas(64) _Atomic unsigned begun, seen, done;
} words;

/* Soon, if the other has a processor of its own. */
static void wait_for(const _Atomic unsigned *word, unsigned value)
{
	for (unsigned spins = 0; atomic_load(word) != value; spins++) {
		if (spins > 2000)
			(void)sched_yield();
	}
}

/* Has no fence of its own. */
static void *speak(void *unused)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		wait_for(&words.begun, round);
		atomic_store_explicit(&words.others, round, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
		atomic_store_explicit(&words.seen,
				      atomic_load_explicit(&words.mine,
							   memory_order_relaxed),
				      memory_order_relaxed);
		atomic_store(&words.done, round);
	}
	return unused;
}

static void either_the_one_or_the_other_sees_it(void)
{
	unsigned missed = 0;
	pthread_t thread;

	if (FAILED(hm_fence_prepare())) {
		tap_skip("no membarrier here");
		return;
	}
	if (pthread_create(&thread, NULL, speak, NULL) != 0)
		abort();
	for (unsigned round = 1; round <= ROUNDS; round++) {
		unsigned seen;

		atomic_store(&words.begun, round);
		/* So that neither is always the first. */
		for (unsigned i = 0; i < round % 64; i++)
			atomic_signal_fence(memory_order_seq_cst);
		atomic_store_explicit(&words.mine, round, memory_order_relaxed);
		CHECK(hm_fence_others());
		seen = atomic_load_explicit(&words.others, memory_order_relaxed);
		wait_for(&words.done, round);
		missed += seen != round && atomic_load(&words.seen) != round;
	}
	(void)pthread_join(thread, NULL);
	CHECK_U32(missed, 0);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(what_the_system_says_is_passed_on_and_errno_is_kept);
	TAP_RUN(either_the_one_or_the_other_sees_it);
	return tap_done();
}
