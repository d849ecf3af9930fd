/*
 * Playing settings while several threads make requests, twice the same, and in a fork child.
 */
#include "playing.h"

#include <pthread.h>
#include <sys/wait.h>

enum { THREADS = 4, REQUESTS = 2000 };

/* ---- Threads ---- */

static void *commit_often(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < REQUESTS; i++) {
		void *page;

		if (!CHECK_HR(IHostMemoryManager_VirtualAlloc(memory, NULL, 4096,
							      MEM_RESERVE | MEM_COMMIT,
							      PAGE_READWRITE,
							      eTaskCritical, &page),
			      S_OK))
			return NULL;
		(void)IHostMemoryManager_VirtualFree(memory, page, 0, MEM_RELEASE);
	}
	return NULL;
}

static void commit_on_threads(void)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, commit_often, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

/* The last of many is the last that is played, whoever plays it. */
static void each_step_is_played_once_and_in_order(void)
{
	open_host();
	for (unsigned i = 1; i <= HM_SETTINGS_STEPS; i++)
		add_simple(HM_TRIGGER_REQUEST, i * 100, HM_ACTION_SOFT, (65 - i) * MIB);
	CHECK_HR(start(), S_OK);
	commit_on_threads();
	CHECK_SIZE(played(), HM_SETTINGS_STEPS);
	CHECK_SIZE(player.budget.cbSoftLimit, MIB);
	hm_player_stop(&player);
	close_host();
}

static size_t limit(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	CHECK_HR(IHostMemoryControl_GetBudget(control, &budget), S_OK);
	return budget.cbLimit;
}

static void gates_timed_steps_and_requests_do_not_wait_for_each_other(void)
{
	struct hm_step *step;

	open_host();
	step = add_step(HM_TRIGGER_REQUEST, 10);
	step->every = 100;
	step->times = 20;
	add_action(step, HM_ACTION_GATE, 1);
	step = add_step(HM_TRIGGER_AT, 1);
	step->every = 1;
	add_action(step, HM_ACTION_GATE, 1);
	add_action(step, HM_ACTION_AVAILABLE, eMemoryAvailableLow);
	add_simple(HM_TRIGGER_REQUEST, THREADS * REQUESTS, HM_ACTION_LIMIT, 0);
	CHECK_HR(start(), S_OK);
	commit_on_threads();
	/* The timed thread may have the last one to play. */
	while (limit() != 0)
		wait_for(played() + 1);
	hm_player_stop(&player);
	close_host();
}

/* ---- The same twice ---- */

static void fill_steps(void)
{
	struct hm_step *step;
	struct hm_settings_fault *fault = &settings.faults[0];

	settings.budget.cbLimit = 8 * MIB;
	settings.fault_count = 1;
	hm_settings_init_fault(fault);
	fault->rule.probability = 0.2;
	fault->rule.seed = 42;
	fault->unarmed = 1;
	step = add_step(HM_TRIGGER_REQUEST, 10);
	step->every = 50;
	add_action(step, HM_ACTION_FAULTS, 1);
	step = add_step(HM_TRIGGER_REQUEST, 40);
	step->every = 50;
	add_action(step, HM_ACTION_FAULTS, 0);
	add_simple(HM_TRIGGER_CHARGED, 2 * MIB, HM_ACTION_LIMIT, MIB);
	add_simple(HM_TRIGGER_CHARGED, MIB, HM_ACTION_LIMIT, 3 * MIB);
}

/* Which of some requests are granted, as a sum that differs if one differs. */
static uint64_t play_once(unsigned *granted)
{
	uint64_t sum = 14695981039346656037U;

	open_host();
	fill_steps();
	CHECK_HR(start(), S_OK);
	*granted = 0;
	for (unsigned i = 0; i < 400; i++) {
		HRESULT hr = commit(4096 * (size_t)(1 + i % 5));

		sum = (sum ^ (uint32_t)hr) * 1099511628211U;
		*granted += hr == S_OK;
	}
	hm_player_stop(&player);
	close_host();
	return sum;
}

static void the_same_requests_get_the_same_answers(void)
{
	unsigned first, second;
	uint64_t sum = play_once(&first);

	CHECK_SIZE(play_once(&second), sum);
	CHECK_U32(second, first);
	CHECK(first > 100 && first < 350);
}

/* ---- Fork ---- */

static void in_the_child(void)
{
	hm_player_after_fork(&player);
	CHECK(!player.has_thread);
	CHECK_HR(commit(4096), S_OK);
	CHECK_HR(commit(4096), S_OK);
	CHECK_SIZE(played(), 1);
	hm_player_stop(&player);
	_exit(tap_failed());
}

static void in_a_fork_child_requests_go_on_and_time_does_not(void)
{
	pid_t child;
	int status = -1;

	open_host();
	add_simple(HM_TRIGGER_REQUEST, 3, HM_ACTION_SOFT, MIB);
	add_simple(HM_TRIGGER_AT, 100000000, HM_ACTION_SOFT, 2 * MIB);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(4096), S_OK);
	child = fork();
	if (child == 0)
		in_the_child();
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	CHECK_SIZE(played(), 0);
	hm_player_stop(&player);
	close_host();
}

int main(void)
{
	(void)alarm(120);
	TAP_RUN(each_step_is_played_once_and_in_order);
	TAP_RUN(gates_timed_steps_and_requests_do_not_wait_for_each_other);
	TAP_RUN(the_same_requests_get_the_same_answers);
	TAP_RUN(in_a_fork_child_requests_go_on_and_time_does_not);
	return tap_done();
}
