/*
 * Pages that a fault brings: a thread touches reserved memory, and its SIGSEGV handler commits
 * the page, while others are at work in a heap and one keeps stopping their quick calls.
 *
 * The handler runs on a thread that may use the heap itself, and calls the host like anybody
 * else.  Nobody waits for ever, every page is zero when it comes and keeps what is written,
 * and the account is exact in the end.
 */
#include "test/stress/traffic.h"

#include <signal.h>
#include <unistd.h>

enum {
	TOUCHERS = 2,
	WORKERS = 2,
	EACH = 64,  /* pages that a thread touches, before it gives them back */
	HANG = 120, /* s */
};

struct show {
	struct stage stage;
	char *base;
	_Atomic unsigned touching;
	_Atomic uint64_t committed; /* by the handler */
};

static struct show show;
static _Thread_local bool may_fault;

static void on_fault(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr, base = (uintptr_t)show.base;
	void *out;

	(void)number;
	(void)context;
	/* A fault of anybody else, or anywhere else, is one. */
	if (!may_fault || at - base >= (size_t)TOUCHERS * EACH * PAGE ||
	    faces_alloc(&show.stage.faces, info->si_addr, 1, MEM_COMMIT, PAGE_READWRITE,
			&out) != S_OK)
		abort();
	atomic_fetch_add(&show.committed, 1);
}

/* A word that comes from a block of the heap. */
static void touch(struct crowd_member *self, volatile uint64_t *word)
{
	uint64_t *block = heap_take(show.stage.heap, 8 + crowd_draw(self, 2000));
	uint64_t value = 1 + crowd_draw(self, UINT64_MAX - 1);

	if (block == NULL)
		return;
	*block = value;
	may_fault = true;
	CHECK_SIZE(*word, 0);
	may_fault = false;
	*word = *block;
	CHECK_HR(heap_free(show.stage.heap, block), S_OK);
	CHECK_SIZE(*word, value);
}

static void touch_pages(struct crowd_member *self)
{
	char *base = show.base + (size_t)self->number * EACH * PAGE;

	for (unsigned round = 0; round < show.stage.rounds; round++) {
		for (size_t page = 0; page < EACH; page++)
			touch(self, (volatile uint64_t *)(void *)(base + page * PAGE));
		CHECK_HR(faces_decommit(&show.stage.faces, base, EACH * PAGE), S_OK);
	}
	if (atomic_fetch_sub(&show.touching, 1) == 1)
		atomic_store(&show.stage.over, true);
}

static void *play(void *argument)
{
	struct crowd_member *self = argument;

	crowd_meet(self);
	if (self->number < TOUCHERS)
		touch_pages(self);
	while (!atomic_load(&show.stage.over)) {
		if (self->number < TOUCHERS + WORKERS)
			hand_on(self, &show.stage);
		else
			(void)heap_trim(show.stage.heap);
	}
	return NULL;
}

static void a_handler_commits_pages_while_others_are_stopped(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct sigaction before;

	if (!set_stage(&show.stage, FACES_ROUNDS(300, 20)))
		return;
	show.base = faces_reserve(&show.stage.faces, (size_t)TOUCHERS * EACH * PAGE);
	atomic_store(&show.touching, TOUCHERS);
	CHECK_INT(sigaction(SIGSEGV, &action, &before), 0);
	crowd_run(TOUCHERS + WORKERS + 1, play, &show);
	CHECK_INT(sigaction(SIGSEGV, &before, NULL), 0);
	CHECK_SIZE(atomic_load(&show.committed),
		   (uint64_t)TOUCHERS * EACH * show.stage.rounds);
	CHECK_SIZE(faces_usage(&show.stage.faces).cbCommitted,
		   faces_usage(&show.stage.faces).cbHeapPages);
	CHECK_HR(faces_free(&show.stage.faces, show.base), S_OK);
	clear_stage(&show.stage);
}

int main(void)
{
	(void)alarm(HANG);
	TAP_RUN(a_handler_commits_pages_while_others_are_stopped);
	return tap_done();
}
