/*
 * Threads that a collector holds still, wherever they are, by a signal whose handler waits.
 *
 * Nobody tells the host: a runtime that was never written for one has its own collector.  It
 * asks the system for pages while the others stand still, and the system gives them; so must
 * the host, though one of those threads may have been about to ask for memory itself.  Blocks
 * are another matter: a collector asks nobody for blocks, since the C library's own malloc
 * would not answer.
 *
 * A call that never returns is found by the watchdog.
 */
#include "attach.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MUTATORS = 3,
	ROUNDS = 1000,
	ROUNDS_AT_LIMIT = 300,
	ROUNDS_OF_FORKS = 300,
	HANG = 240, /* s; it takes a few */
	KEPT = 64,  /* blocks of one mutator */
};

static struct {
	_Atomic bool over, hold, forks;
	_Atomic unsigned held, turns;
	pthread_t threads[MUTATORS];
} stage;

static void hold_still(int number)
{
	int kept = errno;

	(void)number;
	atomic_fetch_add(&stage.held, 1);
	while (atomic_load(&stage.hold))
		(void)sched_yield();
	atomic_fetch_sub(&stage.held, 1);
	errno = kept;
}

static uint32_t draw(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

/* Small ones that are at hand, and others for which the heap wants pages. */
static void change_block(void **block, uint32_t *state)
{
	static const size_t most[] = { 200, 200, 200, 3000, 20000, 300000 };
	size_t size = 1 + draw(state) % most[draw(state) % ROWS(most)];

	if (*block != NULL && draw(state) % 4 == 0) {
		void *made = HostMemRealloc(*block, size);

		if (made != NULL)
			*block = made;
	} else {
		HostMemFree(*block);
		*block = HostMemMalloc(size);
	}
}

static void change_pages(uint32_t *state)
{
	size_t size = (1 + draw(state) % 30) * PAGE;
	void *base = HostMemMmap(NULL, size, PROT_NONE, NEW, -1, 0);

	if (base == MAP_FAILED)
		return;
	(void)HostMemMprotect(base, size, RW);
	(void)HostMemMunmap(base, size);
}

static void fork_a_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		HostMemFree(HostMemMalloc(100000));
		_exit(0);
	}
	CHECK(child > 0 && waitpid(child, NULL, 0) == child);
}

static void *mutate(void *argument)
{
	uint32_t state = (uint32_t)(uintptr_t)argument;
	void *blocks[KEPT] = { NULL };

	while (!atomic_load(&stage.over)) {
		change_block(&blocks[draw(&state) % KEPT], &state);
		if (draw(&state) % 16 == 0)
			change_pages(&state);
		if (atomic_load(&stage.forks) && draw(&state) % 64 == 0)
			fork_a_child();
		atomic_fetch_add(&stage.turns, 1);
	}
	for (size_t i = 0; i < KEPT; i++)
		HostMemFree(blocks[i]);
	return NULL;
}

static void begin(void)
{
	struct sigaction action = { .sa_handler = hold_still, .sa_flags = SA_RESTART };

	CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
	atomic_store(&stage.over, false);
	for (uintptr_t i = 0; i < MUTATORS; i++) {
		if (pthread_create(&stage.threads[i], NULL, mutate, (void *)(i + 1)) != 0)
			abort();
	}
}

static void end(void)
{
	atomic_store(&stage.over, true);
	for (size_t i = 0; i < MUTATORS; i++)
		(void)pthread_join(stage.threads[i], NULL);
}

static void stop_all(void)
{
	unsigned turns = atomic_load(&stage.turns);

	while (atomic_load(&stage.turns) - turns < 20)
		(void)sched_yield();
	atomic_store(&stage.hold, true);
	for (size_t i = 0; i < MUTATORS; i++)
		CHECK_INT(pthread_kill(stage.threads[i], SIGUSR1), 0);
	while (atomic_load(&stage.held) != MUTATORS)
		(void)sched_yield();
}

static void let_go(void)
{
	atomic_store(&stage.hold, false);
	while (atomic_load(&stage.held) != 0)
		(void)sched_yield();
}

/* What a collector does: marks and new sections, and old ones given back. */
static void collect(uint32_t *state)
{
	size_t size = (2 + draw(state) % 40) * PAGE;
	unsigned char *base = map_new(size, RW);

	base[0] = base[size - 1] = 1;
	CHECK_KEPT(HostMemMprotect(base, PAGE, PROT_NONE));
	map_over(base, PAGE, RW);
	CHECK_INT(base[0], 0);
	unmap_all(base, PAGE);
	unmap_all(base + PAGE, size - PAGE);
}

static void pages_are_had_while_threads_stand_still(void)
{
	uint32_t state = 1;

	begin();
	for (int i = 0; i < ROUNDS && !tap_failed(); i++) {
		stop_all();
		collect(&state);
		let_go();
	}
	end();
}

/* The host looks for what it can give back, and must not wait for those who have it. */
static void a_request_that_is_refused_is_refused_while_threads_stand_still(void)
{
	begin();
	for (int i = 0; i < ROUNDS_AT_LIMIT && !tap_failed(); i++) {
		stop_all();
		attach_limit(MIB);
		CHECK_NO_MAP(HostMemMmap(NULL, 64 * MIB, RW, NEW, -1, 0), ENOMEM);
		attach_limit(SIZE_MAX);
		let_go();
	}
	end();
}

static void who_forks_may_be_held_too(void)
{
	uint32_t state = 1;

	atomic_store(&stage.forks, true);
	begin();
	for (int i = 0; i < ROUNDS_OF_FORKS && !tap_failed(); i++) {
		stop_all();
		collect(&state);
		let_go();
	}
	end();
	atomic_store(&stage.forks, false);
}

int main(void)
{
	(void)alarm(HANG);
	if (!attach_with(NULL, 0))
		return tap_done();
	TAP_RUN(pages_are_had_while_threads_stand_still);
	TAP_RUN(who_forks_may_be_held_too);
	TAP_RUN(a_request_that_is_refused_is_refused_while_threads_stand_still);
	return tap_done();
}
