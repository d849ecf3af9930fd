/*
 * Guarded pages that several threads touch at once, with a SIGSEGV handler as a program
 * has it: it asks HostMemHandleFault and retries.
 *
 * Of the threads that fault on one page one takes the guard away; for the others the
 * page is accessible by the time they ask.  They have to be let through as well, however
 * often that happens: a page that is guarded again and again to stop threads at a
 * safepoint is such a page.
 */
#include "test/stress/crowd.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>

enum { THREADS = 4, PAGES = 40 };

struct stage {
	struct faces faces;
	char *base;
	unsigned rounds, pages;
	_Atomic unsigned hits;   /* faults that were to be retried */
	_Atomic unsigned denied; /* faults that were said not to be ours */
	_Atomic bool over;
};

static struct stage *shown; /* to the handler */
static _Thread_local sigjmp_buf way_out;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (HostMemHandleFault(info->si_addr, TRUE) == S_OK) {
		atomic_fetch_add(&shown->hits, 1);
		return;
	}
	atomic_fetch_add(&shown->denied, 1);
	siglongjmp(way_out, 1);
}

static bool set_stage(struct stage *stage, unsigned rounds, unsigned pages)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	memset(stage, 0, sizeof(*stage));
	stage->rounds = rounds;
	stage->pages = pages;
	shown = stage;
	(void)sigaction(SIGSEGV, &action, NULL);
	if (!CHECK_HR(faces_create(&stage->faces), S_OK))
		return false;
	stage->base = faces_reserve(&stage->faces, PAGES * PAGE);
	return stage->base != NULL &&
	       CHECK_HR(faces_commit(&stage->faces, stage->base, PAGES * PAGE), S_OK);
}

static void clear_stage(struct stage *stage)
{
	(void)signal(SIGSEGV, SIG_DFL);
	CHECK_SIZE(atomic_load(&stage->denied), 0);
	CHECK_HR(faces_free(&stage->faces, stage->base), S_OK);
	faces_check_empty(&stage->faces);
	CHECK_SIZE(faces_release(&stage->faces), 0);
}

static void arm(struct stage *stage, size_t page)
{
	CHECK_HR(faces_protect(&stage->faces, stage->base + page * PAGE, PAGE,
			       PAGE_READWRITE | PAGE_GUARD),
		 S_OK);
}

static void touch(struct stage *stage, size_t page, unsigned number)
{
	volatile char *byte = stage->base + page * PAGE + number;

	if (sigsetjmp(way_out, 1) == 0)
		*byte = 1;
}

/* All stop at the page, and all are let through. */
static void *touch_together(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	for (unsigned round = 0; round < stage->rounds; round++) {
		size_t page = round % stage->pages;

		if (self->number == 0)
			arm(stage, page);
		crowd_meet(self);
		touch(stage, page, self->number);
		crowd_meet(self);
	}
	return NULL;
}

static void all_threads_get_through_a_guarded_page(void)
{
	struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(10000, 1000), PAGES))
		return;
	crowd_run(THREADS, touch_together, &stage);
	CHECK(atomic_load(&stage.hits) >= stage.rounds);
	clear_stage(&stage);
}

static void all_threads_get_through_the_same_page_every_time(void)
{
	struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(10000, 1000), 1))
		return;
	crowd_run(THREADS, touch_together, &stage);
	CHECK(atomic_load(&stage.hits) >= stage.rounds);
	clear_stage(&stage);
}

/* Two threads have faulted; number 0 is always the first to ask. */
static void *ask_in_turn(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	for (unsigned round = 0; round < stage->rounds; round++) {
		if (self->number == 0)
			arm(stage, 0);
		crowd_meet(self);
		if (self->number == 0)
			CHECK_HR(HostMemHandleFault(stage->base, TRUE), S_OK);
		crowd_meet(self);
		if (self->number == 1)
			CHECK_HR(HostMemHandleFault(stage->base, TRUE), S_OK);
		crowd_meet(self);
	}
	return NULL;
}

static void whoever_is_second_at_a_guard_is_let_through_every_time(void)
{
	struct stage stage;

	if (!set_stage(&stage, 500, 1))
		return;
	crowd_run(2, ask_in_turn, &stage);
	clear_stage(&stage);
}

/* Pages are armed at random while they are being touched. */
static void *arm_or_touch(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	crowd_meet(self);
	for (unsigned round = 0; self->number == 0 && round < stage->rounds; round++)
		arm(stage, crowd_draw(self, stage->pages));
	if (self->number == 0)
		atomic_store(&stage->over, true);
	while (!atomic_load(&stage->over))
		touch(stage, crowd_draw(self, stage->pages), self->number);
	return NULL;
}

static void guards_may_be_armed_while_others_run_into_them(void)
{
	struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(30000, 3000), 8))
		return;
	crowd_run(THREADS, arm_or_touch, &stage);
	arm(&stage, 0);
	for (size_t page = 0; page < stage.pages; page++)
		touch(&stage, page, 0);
	CHECK(atomic_load(&stage.hits) != 0);
	clear_stage(&stage);
}

int main(void)
{
	TAP_RUN(all_threads_get_through_a_guarded_page);
	TAP_RUN(all_threads_get_through_the_same_page_every_time);
	TAP_RUN(whoever_is_second_at_a_guard_is_let_through_every_time);
	TAP_RUN(guards_may_be_armed_while_others_run_into_them);
	return tap_done();
}
