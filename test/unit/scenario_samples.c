/*
 * The scenarios that are installed: they do what their comments say.
 */
#include "playing.h"

#include "hostmem/cli/scenario.h"

static bool read_sample(const char *name)
{
	const char *folder = getenv("top_srcdir");
	struct hm_mistakes mistakes = { 0 };
	char path[4096];
	bool good;

	snprintf(path, sizeof(path), "%s/samples/scenarios/%s.yaml",
		 folder != NULL ? folder : ".", name);
	hm_settings_init(&settings);
	good = CHECK_STR(hm_scenario_read(path, &settings, &mistakes), NULL) &&
	       CHECK(!hm_mistakes_any(&mistakes));
	hm_mistakes_free(&mistakes);
	return good;
}

static bool has(const struct hm_step *step, enum hm_action action)
{
	return (step->actions & BIT(action)) != 0;
}

/* Less with each step, and all of it at the end; never less than the headroom. */
static void a_slow_squeeze_takes_a_bit_at_a_time_and_gives_all_back(void)
{
	uint64_t limit, least = UINT64_MAX;
	uint32_t falls = 0;

	if (!read_sample("slow-squeeze"))
		return;
	limit = settings.budget.cbLimit;
	for (uint32_t i = 0; i < settings.step_count; i++) {
		const struct hm_step *step = &settings.steps[i];

		tap_row("step %u", (unsigned)i);
		CHECK_U32(step->trigger, HM_TRIGGER_AT);
		CHECK(i == 0 || step->when > step[-1].when);
		if (!has(step, HM_ACTION_LIMIT))
			continue;
		falls += step->value[HM_ACTION_LIMIT] < limit;
		limit = step->value[HM_ACTION_LIMIT];
		least = limit < least ? limit : least;
	}
	CHECK(falls >= 3);
	CHECK_SIZE(limit, settings.budget.cbLimit);
	CHECK(settings.budget.cbHeadroom[eTaskCritical] < least);
	CHECK_SIZE(settings.steps[settings.step_count - 1].value[HM_ACTION_LOAD],
		   HM_LOAD_REAL);
}

static void a_sudden_low_comes_at_once_and_ends(void)
{
	const struct hm_step *first = &settings.steps[0];
	const struct hm_step *last;

	if (!read_sample("sudden-low") || !CHECK(settings.step_count >= 2))
		return;
	last = &settings.steps[settings.step_count - 1];
	CHECK(has(first, HM_ACTION_AVAILABLE));
	CHECK_SIZE(first->value[HM_ACTION_AVAILABLE], eMemoryAvailableLow);
	CHECK_SIZE(last->value[HM_ACTION_AVAILABLE], 0);
	CHECK_SIZE(last->value[HM_ACTION_LOAD], HM_LOAD_REAL);
	CHECK_U32(settings.fault_count, 0);
}

/* How many of some requests of a level are refused. */
static unsigned count_refused(EMemoryCriticalLevel level, unsigned requests)
{
	unsigned refused = 0;

	for (unsigned i = 0; i < requests; i++) {
		void *page;
		HRESULT hr = IHostMemoryManager_VirtualAlloc(memory, NULL, 4096,
							     MEM_RESERVE | MEM_COMMIT,
							     PAGE_READWRITE, level,
							     &page);

		CHECK(hr == S_OK || hr == E_OUTOFMEMORY);
		if (hr == S_OK)
			(void)IHostMemoryManager_VirtualFree(memory, page, 0,
							     MEM_RELEASE);
		refused += hr != S_OK;
	}
	return refused;
}

static void random_refusals_begin_late_and_concern_tasks_only(void)
{
	unsigned refused[2];

	for (unsigned i = 0; i < 2; i++) {
		open_host();
		if (!read_sample("random-refusals"))
			return;
		CHECK_HR(start(), S_OK);
		CHECK_U32(count_refused(eTaskCritical, 100), 0);
		CHECK_HR(commit(16 * MIB), S_OK);
		refused[i] = count_refused(eTaskCritical, 400);
		CHECK_U32(count_refused(eProcessCritical, 500), 0);
		hm_player_stop(&player);
		close_host();
	}
	CHECK(refused[0] > 5 && refused[0] < 60);
	CHECK_U32(refused[1], refused[0]);
}

int main(void)
{
	(void)alarm(120);
	TAP_RUN(a_slow_squeeze_takes_a_bit_at_a_time_and_gives_all_back);
	TAP_RUN(a_sudden_low_comes_at_once_and_ends);
	TAP_RUN(random_refusals_begin_late_and_concern_tasks_only);
	return tap_done();
}
