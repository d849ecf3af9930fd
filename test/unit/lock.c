/*
 * Locks, waiting on a word, and the order of ranks.
 */
#include "hostmem/os/lock.h"
#include "fake.h"
#include "hostmem/os/thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_zeroed_lock_is_free_and_four_bytes_long(void)
{
	struct hm_lock lock = { 0 };

	CHECK_SIZE(sizeof(lock), 4);
	CHECK(hm_lock_try(&lock, HM_RANK_REGION));
	CHECK(!hm_lock_try(&lock, HM_RANK_REGION));
	hm_lock_release(&lock, HM_RANK_REGION);
	hm_lock_acquire(&lock, HM_RANK_REGION);
	CHECK(!hm_lock_try(&lock, HM_RANK_REGION));
	hm_lock_release(&lock, HM_RANK_REGION);
	CHECK(hm_lock_try(&lock, HM_RANK_REGION));
	hm_lock_release(&lock, HM_RANK_REGION);
	hm_lock_assert_none_held();
}

enum { THREADS = 4, ROUNDS = 20000 };

static struct hm_lock shared;
static size_t counter; /* guarded by shared */

static void *count_under_the_lock(void *argument)
{
	const bool *only_try = argument;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (*only_try) {
			while (!hm_lock_try(&shared, HM_RANK_METADATA))
				hm_thread_yield();
		} else {
			hm_lock_acquire(&shared, HM_RANK_METADATA);
		}
		counter++;
		if (counter % 1024 == 0)
			hm_thread_yield(); /* so that the others come to sleep */
		hm_lock_release(&shared, HM_RANK_METADATA);
	}
	return NULL;
}

static void one_thread_at_a_time_has_the_lock(void)
{
	static bool tries[THREADS] = { false, false, true, false };
	pthread_t threads[THREADS];

	counter = 0;
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, count_under_the_lock,
					 &tries[i]),
			  0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_SIZE(counter, (size_t)THREADS * ROUNDS);
	CHECK_U32(shared.word, 0);
}

static void *take_and_tell(void *told)
{
	hm_lock_acquire(&shared, HM_RANK_METADATA);
	atomic_store((_Atomic bool *)told, true);
	hm_lock_release(&shared, HM_RANK_METADATA);
	return NULL;
}

static void whoever_sleeps_is_woken(void)
{
	_Atomic bool told[THREADS];
	pthread_t threads[THREADS];

	hm_lock_acquire(&shared, HM_RANK_METADATA);
	for (size_t i = 0; i < THREADS; i++) {
		atomic_init(&told[i], false);
		CHECK_INT(pthread_create(&threads[i], NULL, take_and_tell, &told[i]), 0);
	}
	/* 2: somebody has found it held, and sleeps or is about to. */
	while (atomic_load(&shared.word) != 2)
		hm_thread_yield();
	for (size_t i = 0; i < THREADS; i++)
		CHECK(!atomic_load(&told[i]));
	hm_lock_release(&shared, HM_RANK_METADATA);
	for (size_t i = 0; i < THREADS; i++) {
		CHECK_INT(pthread_join(threads[i], NULL), 0);
		CHECK(atomic_load(&told[i]));
	}
	CHECK_U32(shared.word, 0);
}

static _Atomic uint32_t word;

static void *wait_for_the_word(void *unused)
{
	while (atomic_load(&word) == 7)
		hm_word_wait(&word, 7);
	return unused;
}

static void a_word_wakes_all_who_wait_for_it(void)
{
	pthread_t threads[THREADS];

	atomic_store(&word, 7);
	hm_word_wait(&word, 8); /* another value: returns at once */
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, wait_for_the_word, NULL), 0);
	atomic_store(&word, 8);
	hm_word_wake_all(&word);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
}

static void locks_and_words_keep_errno(void)
{
	errno = 4711;
	hm_word_wait(&word, 12345);
	CHECK_INT(errno, 4711);
	hm_word_wake_all(&word);
	CHECK_INT(errno, 4711);
	/* Held, and somebody may sleep: the release asks the kernel to wake them. */
	hm_lock_acquire(&shared, HM_RANK_METADATA);
	atomic_store(&shared.word, 2);
	hm_lock_release(&shared, HM_RANK_METADATA);
	CHECK_INT(errno, 4711);
}

#ifdef HM_CHECKED
static struct hm_lock one, two;

/* Whether the child that does it is aborted. */
static bool aborts(void (*act)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		(void)freopen("/dev/null", "w", stderr);
		act();
		_exit(0);
	}
	CHECK(pid > 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void ascending(void)
{
	hm_lock_acquire(&one, HM_RANK_REGION);
	hm_lock_acquire(&two, HM_RANK_METADATA);
	hm_lock_release(&one, HM_RANK_REGION);
	hm_lock_release(&two, HM_RANK_METADATA);
	hm_lock_assert_none_held();
}

static void descending(void)
{
	hm_lock_acquire(&one, HM_RANK_EVENTS);
	hm_lock_acquire(&two, HM_RANK_DIRECTORY);
}

static void two_of_one_rank(void)
{
	hm_lock_acquire(&one, HM_RANK_REGION);
	hm_lock_acquire(&two, HM_RANK_REGION);
}

static void a_try_out_of_order(void)
{
	hm_lock_acquire(&one, HM_RANK_DIRECTORY);
	(void)hm_lock_try(&two, HM_RANK_REGION);
}

static void a_try_that_fails(void)
{
	two.word = 1;
	hm_lock_acquire(&one, HM_RANK_DIRECTORY);
	(void)hm_lock_try(&two, HM_RANK_REGION);
	hm_lock_release(&one, HM_RANK_DIRECTORY);
}

static void a_release_of_another_rank(void)
{
	hm_lock_acquire(&one, HM_RANK_REGION);
	hm_lock_release(&one, HM_RANK_DIRECTORY);
}

static void a_lock_held_where_none_may_be(void)
{
	hm_lock_acquire(&one, HM_RANK_REGION);
	hm_lock_assert_none_held();
}

static void checked_builds_abort_where_the_order_is_broken(void)
{
	static const struct {
		const char *name;
		void (*act)(void);
		bool want;
	} rows[] = {
		{ "ascending", ascending, false },
		{ "descending", descending, true },
		{ "two of one rank", two_of_one_rank, true },
		{ "a try out of order", a_try_out_of_order, true },
		{ "a try that fails", a_try_that_fails, false },
		{ "a release of another rank", a_release_of_another_rank, true },
		{ "held where none may be", a_lock_held_where_none_may_be, true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].name);
		CHECK_INT(aborts(rows[i].act), rows[i].want);
	}
}
#else
static void checked_builds_abort_where_the_order_is_broken(void)
{
	tap_skip("not a checked build");
}
#endif

int main(void)
{
	TAP_RUN(a_zeroed_lock_is_free_and_four_bytes_long);
	TAP_RUN(one_thread_at_a_time_has_the_lock);
	TAP_RUN(whoever_sleeps_is_woken);
	TAP_RUN(a_word_wakes_all_who_wait_for_it);
	TAP_RUN(locks_and_words_keep_errno);
	TAP_RUN(checked_builds_abort_where_the_order_is_broken);
	return tap_done();
}
