/*
 * Playing a scenario.
 *
 * Each trigger has a count that only grows (ms, bytes, requests) and the place where its
 * next step is due.  Whoever moves a count beyond that place tries for the turn; who has it
 * plays all that is due, gives it back, and looks again, because somebody may have come in
 * vain meanwhile.  So nobody waits for anybody, no step is lost, and no two run at once: a
 * lock would have to be held across EnterGate and whatever a notification does.
 *
 * A request that sets nothing off costs one addition and two comparisons.
 *
 * Not here: what a step does (playeractions.c), the text of the settings (settings.c), and
 * the monitor, which sees what is simulated by itself.
 */
#include "playeractions.h"

#include "hostmem/os/lock.h"

#include <string.h>

#define NEVER UINT64_MAX

#define EVENTS (1U << HostMemEventAllocate | 1U << HostMemEventFailure)

enum { A_WHILE = 10 }; /* ms until the turn is looked at again */

/* ---- What is due ---- */

static void find_soonest(struct hm_player *player)
{
	const struct hm_settings *settings = player->settings;
	uint64_t soonest[HM_TRIGGERS] = { NEVER, NEVER, NEVER };

	for (uint32_t i = 0; i < settings->step_count; i++) {
		uint64_t *of_trigger = &soonest[settings->steps[i].trigger];

		if (player->steps[i].next < *of_trigger)
			*of_trigger = player->steps[i].next;
	}
	for (unsigned i = 0; i < HM_TRIGGERS; i++)
		atomic_store(&player->soonest[i], soonest[i]);
}

/* The first of those that are due; step_count: none is. */
static uint32_t find_due(const struct hm_player *player)
{
	const struct hm_step *steps = player->settings->steps;
	uint32_t count = player->settings->step_count;
	uint32_t first = count;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t next = player->steps[i].next;

		if (next == NEVER ||
		    next > atomic_load(&player->counted[steps[i].trigger]))
			continue;
		if (first == count || (steps[i].trigger == steps[first].trigger &&
				       next < player->steps[first].next))
			first = i;
	}
	return first;
}

/* To when it is due again: beyond where its trigger has come. */
static void move_on(struct hm_player *player, uint32_t index)
{
	const struct hm_step *step = &player->settings->steps[index];
	struct hm_player_step *state = &player->steps[index];
	uint64_t missed;

	if (state->left != NEVER)
		state->left--;
	if (step->every == 0 || state->left == 0) {
		state->next = NEVER;
		return;
	}
	missed = (atomic_load(&player->counted[step->trigger]) - state->next) /
		 step->every;
	if (missed >= (NEVER - state->next) / step->every)
		state->next = NEVER;
	else
		state->next += (missed + 1) * step->every;
}

static void play_due(struct hm_player *player)
{
	uint32_t index;

	while (!hm_player_is_stopped(player) &&
	       (index = find_due(player)) != player->settings->step_count) {
		/* Before it is played, so that a fork child does not play it again. */
		move_on(player, index);
		hm_player_act(player, &player->settings->steps[index]);
		(void)atomic_fetch_add(&player->played, 1);
	}
	find_soonest(player);
}

static bool is_due(const struct hm_player *player)
{
	for (unsigned i = 0; i < HM_TRIGGERS; i++) {
		uint64_t soonest = atomic_load(&player->soonest[i]);

		if (soonest != NEVER && atomic_load(&player->counted[i]) >= soonest)
			return true;
	}
	return false;
}

static void play(struct hm_player *player)
{
	while (!hm_player_is_stopped(player) && is_due(player)) {
		uint32_t nobody = 0;

		if (!atomic_compare_exchange_strong(&player->turn, &nobody, 1))
			return; /* who has it looks again */
		play_due(player);
		atomic_store(&player->turn, 0);
	}
}

/* ---- Triggers ---- */

/* Counts only grow. */
static void raise(_Atomic uint64_t *count, uint64_t value)
{
	uint64_t before = atomic_load_explicit(count, memory_order_relaxed);

	while (before < value && !atomic_compare_exchange_weak(count, &before, value))
		;
}

static BOOL HOSTMEM_CALL heard(void *state, const HostMemEvent *event)
{
	struct hm_player *player = state;

	/* What another attempt announces again, or what fails after it was announced, has been
	 * counted. */
	if (!event->announced)
		(void)atomic_fetch_add(&player->counted[HM_TRIGGER_REQUEST], 1);
	if (event->type == HostMemEventAllocate)
		raise(&player->counted[HM_TRIGGER_CHARGED],
		      event->cbCharged + event->size);
	play(player);
	return TRUE;
}

static void *keep_time(void *argument)
{
	struct hm_player *player = argument;

	while (!hm_player_is_stopped(player)) {
		uint64_t now = hm_thread_now() - player->begin;
		uint64_t soonest;

		raise(&player->counted[HM_TRIGGER_AT], now);
		play(player);
		soonest = atomic_load(&player->soonest[HM_TRIGGER_AT]);
		if (soonest == NEVER)
			break;
		/* It is another one's turn, who plays ours as well. */
		hm_word_wait_for(&player->stopped, 0,
				 soonest > now ? soonest - now : A_WHILE);
	}
	return NULL;
}

/* ---- Beginning and end ---- */

static HRESULT find_faces(struct hm_player *player, IUnknown *host)
{
	void *control, *simulator;
	HRESULT hr = IUnknown_QueryInterface(host, &IID_IHostMemoryControl, &control);

	if (FAILED(hr))
		return hr;
	hr = IUnknown_QueryInterface(host, &IID_IHostMemorySimulator, &simulator);
	if (FAILED(hr)) {
		(void)IHostMemoryControl_Release((IHostMemoryControl *)control);
		return hr;
	}
	player->control = control;
	player->simulator = simulator;
	return S_OK;
}

static void release_faces(struct hm_player *player)
{
	(void)IHostMemorySimulator_Release(player->simulator);
	(void)IHostMemoryControl_Release(player->control);
}

static void prepare_steps(struct hm_player *player)
{
	for (uint32_t i = 0; i < player->settings->step_count; i++) {
		const struct hm_step *step = &player->settings->steps[i];

		player->steps[i].next = step->when;
		player->steps[i].left = step->every == 0   ? 1
					: step->times == 0 ? NEVER
							   : step->times;
	}
	find_soonest(player);
}

/* Whether it is not over with what is played at the start. */
static bool needs_time(const struct hm_player *player)
{
	const struct hm_settings *settings = player->settings;

	for (uint32_t i = 0; i < settings->step_count; i++) {
		const struct hm_step *step = &settings->steps[i];

		if (step->trigger == HM_TRIGGER_AT &&
		    (step->when != 0 || step->every != 0))
			return true;
	}
	return false;
}

/* What hears of the triggers, where there are such. */
static HRESULT listen(struct hm_player *player)
{
	HRESULT hr = S_OK;

	if (atomic_load(&player->soonest[HM_TRIGGER_REQUEST]) != NEVER ||
	    atomic_load(&player->soonest[HM_TRIGGER_CHARGED]) != NEVER)
		hr = IHostMemoryControl_Subscribe(player->control, EVENTS, heard, player,
						  &player->subscription);
	if (SUCCEEDED(hr) && needs_time(player)) {
		hr = hm_thread_start(&player->thread, "hostmem-player", keep_time,
				     player);
		player->has_thread = SUCCEEDED(hr);
	}
	if (FAILED(hr) && player->subscription != 0)
		(void)IHostMemoryControl_Unsubscribe(player->control,
						     player->subscription);
	return hr;
}

/* With the turn, so that what is due at once has been played when start returns. */
static HRESULT begin(struct hm_player *player)
{
	HRESULT hr;

	atomic_store(&player->turn, 1);
	prepare_steps(player);
	hr = listen(player);
	if (FAILED(hr))
		return hr;
	play_due(player);
	atomic_store(&player->turn, 0);
	play(player);
	return S_OK;
}

static HRESULT apply(struct hm_player *player)
{
	HostMemBudget before = HOSTMEM_BUDGET_INIT;
	HRESULT hr = IHostMemoryControl_GetBudget(player->control, &before);

	if (FAILED(hr))
		return hr;
	player->budget = player->settings->budget;
	player->budget.dwFlags |= before.dwFlags; /* how it charges is fixed */
	hr = IHostMemoryControl_SetBudget(player->control, &player->budget);
	if (FAILED(hr))
		return hr;
	hr = hm_player_arm(player, false);
	if (SUCCEEDED(hr))
		hr = begin(player);
	if (SUCCEEDED(hr))
		return S_OK;
	hm_player_disarm(player);
	(void)IHostMemoryControl_SetBudget(player->control, &before);
	return hr;
}

HRESULT hm_player_start(struct hm_player *player, IUnknown *host,
			const struct hm_settings *settings)
{
	HRESULT hr;

	memset(player, 0, sizeof(*player));
	player->settings = settings;
	player->begin = hm_thread_now();
	hr = find_faces(player, host);
	if (FAILED(hr))
		return hr;
	hr = apply(player);
	if (FAILED(hr))
		release_faces(player);
	return hr;
}

void hm_player_stop(struct hm_player *player)
{
	atomic_store(&player->stopped, 1);
	hm_word_wake_all(&player->stopped);
	if (player->has_thread)
		hm_thread_join(&player->thread);
	if (player->subscription != 0)
		(void)IHostMemoryControl_Unsubscribe(player->control,
						     player->subscription);
	release_faces(player);
}

void hm_player_after_fork(struct hm_player *player)
{
	player->has_thread = false;
	for (uint32_t i = 0; i < player->settings->step_count; i++) {
		if (player->settings->steps[i].trigger == HM_TRIGGER_AT)
			player->steps[i].next = NEVER;
	}
	find_soonest(player);
	atomic_store(&player->turn, 0);
}
