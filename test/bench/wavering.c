/*
 * How often a noisy load brings a change that is none.
 *
 * The histories of test/pressure_noise.h, an hour each, go through the classifier with its
 * default rules; beside it is whoever knows one threshold, the one that the load wavers
 * about.  An edge to a level that was not told before is no change: it had to be told.
 */
#include "wavering.h"
#include "hostmem/pressure.h"
#include "test/pressure_noise.h"

struct judge {
	struct hm_pressure state;
	bool told[eMemoryAvailableHigh + 1];
	unsigned changes;
};

static void judge_step(struct judge *judge, const struct noise_sample *sample,
		       uint64_t total, uint64_t now)
{
	const struct hm_pressure_figures figures = {
		.known = true,
		.load = sample->load,
		.available = (size_t)sample->available,
		.total = (size_t)total,
		.limit = SIZE_MAX,
		.soft_limit = SIZE_MAX,
	};
	EMemoryAvailable before = judge->state.level, after;

	judge->state = hm_pressure_step(&hm_pressure_defaults, &judge->state, &figures,
					now);
	after = judge->state.level;
	if (after == before)
		return;
	judge->changes += judge->told[after];
	judge->told[after] = true;
}

static void play(struct noise noise, uint32_t threshold, struct wavering_result *result)
{
	struct judge judge = { .state = hm_pressure_start() };
	unsigned edges = 0;
	bool is_short = false;

	judge.told[eMemoryAvailableNeutral] = true;
	for (unsigned i = 0; i < NOISE_HOUR; i++) {
		struct noise_sample sample = noise_next(&noise);
		bool was_short = is_short;

		judge_step(&judge, &sample, noise.total, (uint64_t)i * NOISE_STEP_MS);
		is_short = sample.load >= threshold;
		edges += is_short != was_short;
	}
	result->hours++;
	result->rules += judge.changes;
	result->threshold += edges != 0 ? edges - 1 : 0;
}

void wavering_play(unsigned seeds, struct wavering_result *result)
{
	const struct noise_threshold *threshold;
	const struct noise_kind *kind;
	uint64_t total;

	*result = (struct wavering_result){ 0 };
	for (size_t i = 0; (threshold = noise_threshold(i)) != NULL; i++)
		for (size_t j = 0; (kind = noise_wavering(j)) != NULL; j++)
			for (size_t k = 0; (total = noise_total(k)) != 0; k++)
				for (uint64_t seed = 1; seed <= seeds; seed++) {
					struct noise noise = noise_begin(kind,
									 threshold->about,
									 total, seed);

					noise_hold(&noise, threshold);
					play(noise, threshold->about, result);
				}
	result->rules /= result->hours;
	result->threshold /= result->hours;
}
