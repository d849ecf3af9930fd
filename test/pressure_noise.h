/*
 * Histories of a memory load with noise, for the tests and the benchmark of the
 * classifier of memory pressure: what a sampler would have read every 100 ms for an hour.
 *
 * A history is about a level and is the sum of what makes loads waver: other programs
 * (each reading by itself, and slowly), an allocator whose collector empties at once what
 * it has filled, or takes turns with it, bursts, and page cache that the system drops and
 * reads again.  All of it is drawn from a seed, in whole numbers, so that a history is
 * the same on every machine.
 *
 * There are two sets.  A `wavering` history is noise about a threshold and nothing else:
 * it never stays below its floor, the figure at which a state is left or plenty begins,
 * for as long as it takes for that to count.  Otherwise a change would be right, and no
 * noise.  About 90 and 75 per cent noise keeps to that by itself.  About 85 and 70, which
 * are those floors, slow noise does not: then one reading is lifted to the floor, fifteen
 * times a minute at most, and `lifted` says how often.  A `swinging` history is not held:
 * the load does go away and come back, and who judges it has to say so.
 *
 * Levels are in thousandths of a per cent, times in ms.
 */
#ifndef HOSTMEM_TEST_PRESSURE_NOISE_H
#define HOSTMEM_TEST_PRESSURE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_ROWS(table) (sizeof(table) / sizeof((table)[0]))

enum {
	NOISE_STEP_MS = 100,
	NOISE_HOUR_MS = 3600000,
	NOISE_HOUR = NOISE_HOUR_MS / NOISE_STEP_MS, /* readings */
	NOISE_PER_CENT = 1000,
	/* Of the sampler's timer, or it would keep step with a wave. */
	NOISE_JITTER_MS = 9
};

enum noise_shape { NOISE_SAW, NOISE_SQUARE };

struct noise_wave {
	enum noise_shape shape;
	int32_t swing;      /* to either side */
	uint32_t period_ms; /* 0: none */
};

/* Something that comes once in so many readings, stays for a while and goes. */
struct noise_event {
	uint32_t every;   /* readings; 0: never */
	uint32_t longest; /* readings */
	int32_t height;   /* at most; below 0 it goes down, and comes back by and by */
};

struct noise_kind {
	const char *name;
	int32_t white; /* of each reading by itself, to either side */
	int32_t walk;  /* so far to either side ... */
	int32_t step;  /* ... in steps of at most so much */
	uint32_t pull; /* of the way back, so many parts are gone in a step; 0: none */
	struct noise_wave wave;
	struct noise_event burst, drop;
};

/* Below `floor` for `longest` readings a state would be left, or plenty begin. */
struct noise_threshold {
	uint32_t about, floor; /* per cent */
	uint32_t longest;
};

struct noise_sample {
	uint32_t load;      /* per cent, rounded down */
	uint64_t available; /* bytes */
};

struct noise_state {
	uint32_t left, length; /* readings, of an event that is under way */
	int32_t height;
};

struct noise {
	const struct noise_kind *kind;
	uint64_t total; /* bytes of the machine, or of the group */
	uint64_t random;
	int32_t mean, walk;
	uint32_t phase_ms;
	struct noise_state burst, drop;
	uint32_t floor, longest; /* 0: not held */
	uint32_t below;          /* readings, up to now */
	uint32_t lifted;         /* readings, in all */
};

/* ---- What there is ---- */

/* Bytes: a small group, a larger one, a machine. */
static inline uint64_t noise_total(size_t i)
{
	static const uint64_t totals[] = {
		UINT64_C(256) << 20,
		UINT64_C(2) << 30,
		UINT64_C(24) << 30,
	};

	return i < NOISE_ROWS(totals) ? totals[i] : 0;
}

/* By the default rules: a Low ends below 85 % in 2 s, plenty is below 70 % for 5 s. */
static inline const struct noise_threshold *noise_threshold(size_t i)
{
	static const struct noise_threshold thresholds[] = {
		{ .about = 90, .floor = 85, .longest = 20 },
		{ .about = 85, .floor = 85, .longest = 20 },
		{ .about = 75, .floor = 70, .longest = 50 },
		{ .about = 70, .floor = 70, .longest = 50 },
	};

	return i < NOISE_ROWS(thresholds) ? &thresholds[i] : NULL;
}

/* The first is all of it together, as a busy machine has it; the others are one each. */
static inline const struct noise_kind *noise_wavering(size_t i)
{
	static const struct noise_kind kinds[] = {
		{ .name = "all",
		  .white = 350,
		  .walk = 3500,
		  .step = 250,
		  .pull = 100,
		  .wave = { NOISE_SAW, 1200, 9700 },
		  .burst = { 900, 15, 4000 },
		  .drop = { 700, 19, -7500 } },
		{ .name = "white 1 %", .white = 1000 },
		{ .name = "white 2 %", .white = 2000 },
		{ .name = "white 3 %", .white = 3000 },
		{ .name = "walk", .white = 500, .walk = 3500, .step = 300 },
		{ .name = "saw 50 ms", .white = 300, .wave = { NOISE_SAW, 3000, 50 } },
		{ .name = "saw 700 ms", .white = 500, .wave = { NOISE_SAW, 4000, 700 } },
		{ .name = "saw 1.9 s", .white = 500, .wave = { NOISE_SAW, 6000, 1900 } },
		{ .name = "saw 5 s", .white = 500, .wave = { NOISE_SAW, 4000, 5000 } },
		{ .name = "saw 30 s", .white = 1000, .wave = { NOISE_SAW, 4500, 30000 } },
		{ .name = "square 200 ms",
		  .white = 300,
		  .wave = { NOISE_SQUARE, 3000, 200 } },
		{ .name = "square 3 s",
		  .white = 300,
		  .wave = { NOISE_SQUARE, 6000, 3000 } },
		{ .name = "bursts", .white = 1500, .burst = { 300, 30, 7000 } },
		{ .name = "drops", .white = 1500, .drop = { 300, 25, -12000 } },
	};

	return i < NOISE_ROWS(kinds) ? &kinds[i] : NULL;
}

/* About 80 %, to and fro between shortage and plenty. */
static inline const struct noise_kind *noise_swinging(size_t i)
{
	static const struct noise_kind kinds[] = {
		{ .name = "all",
		  .white = 1500,
		  .walk = 8000,
		  .step = 600,
		  .pull = 256,
		  .wave = { NOISE_SAW, 4000, 12000 },
		  .burst = { 300, 40, 15000 },
		  .drop = { 600, 300, -30000 } },
		{ .name = "walk", .white = 1000, .walk = 20000, .step = 1000 },
		{ .name = "saw 3 s", .white = 1000, .wave = { NOISE_SAW, 15000, 3000 } },
		{ .name = "saw 10 s",
		  .white = 1000,
		  .wave = { NOISE_SAW, 20000, 10000 } },
		{ .name = "saw 30 s",
		  .white = 1000,
		  .wave = { NOISE_SAW, 20000, 30000 } },
		{ .name = "square 4.4 s", .wave = { NOISE_SQUARE, 12000, 4400 } },
		{ .name = "square 12 s",
		  .white = 1000,
		  .wave = { NOISE_SQUARE, 15000, 12000 } },
		{ .name = "bursts", .white = 2000, .burst = { 25, 4, 25000 } },
		{ .name = "drops",
		  .white = 2000,
		  .burst = { 60, 20, 20000 },
		  .drop = { 150, 300, -50000 } },
	};

	return i < NOISE_ROWS(kinds) ? &kinds[i] : NULL;
}

/* ---- One of them ---- */

static inline struct noise noise_begin(const struct noise_kind *kind, uint32_t about,
				       uint64_t total, uint64_t seed)
{
	return (struct noise){
		.kind = kind,
		.total = total,
		.random = seed,
		.mean = (int32_t)about * NOISE_PER_CENT,
	};
}

/* From here on it wavers about this threshold and does not leave it. */
static inline void noise_hold(struct noise *noise,
			      const struct noise_threshold *threshold)
{
	noise->floor = threshold->floor;
	noise->longest = threshold->longest;
}

/* splitmix64 */
static inline uint32_t noise_draw(struct noise *noise, uint32_t limit)
{
	uint64_t number = noise->random += UINT64_C(0x9E3779B97F4A7C15);

	number = (number ^ (number >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	number = (number ^ (number >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (uint32_t)((number >> 33) % limit);
}

static inline int32_t noise_either_side(struct noise *noise, int32_t most)
{
	return (int32_t)noise_draw(noise, 2 * (uint32_t)most + 1) - most;
}

static inline int32_t noise_limit(int32_t value, int32_t low, int32_t high)
{
	return value < low ? low : value > high ? high : value;
}

static inline int32_t noise_walk(struct noise *noise)
{
	const struct noise_kind *kind = noise->kind;
	int32_t next = noise->walk + noise_either_side(noise, kind->step);

	if (kind->pull != 0)
		next -= next / (int32_t)kind->pull;
	noise->walk = noise_limit(next, -kind->walk, kind->walk);
	return noise->walk;
}

/* A collector empties at once what an allocator fills, or each has its time. */
static inline int32_t noise_wave(struct noise *noise)
{
	const struct noise_wave *wave = &noise->kind->wave;
	int64_t span = 2 * (int64_t)wave->swing;

	if (wave->period_ms == 0)
		return 0;
	noise->phase_ms += NOISE_STEP_MS - NOISE_JITTER_MS +
			   noise_draw(noise, 2 * NOISE_JITTER_MS + 1);
	noise->phase_ms %= wave->period_ms;
	if (wave->shape == NOISE_SQUARE)
		return noise->phase_ms < wave->period_ms / 2 ? -wave->swing : wave->swing;
	return (int32_t)(span * noise->phase_ms / wave->period_ms) - wave->swing;
}

static inline int32_t noise_happen(struct noise *noise, const struct noise_event *event,
				   struct noise_state *state)
{
	int32_t half = event->height / 2;

	if (event->every == 0)
		return 0;
	if (state->left == 0) {
		if (noise_draw(noise, event->every) != 0)
			return 0;
		state->length = state->left = 1 + noise_draw(noise, event->longest);
		state->height = half + half / 100 * (int32_t)noise_draw(noise, 101);
	}
	state->left--;
	if (event->height >= 0)
		return state->height;
	/* What was dropped is read again. */
	return (int32_t)((int64_t)state->height * (state->left + 1) / state->length);
}

static inline uint32_t noise_load(const struct noise *noise, uint64_t used)
{
	return (uint32_t)(used * 100 / noise->total);
}

/* Whether it has been below for as long as it may be; counts the readings. */
static inline bool noise_is_over(struct noise *noise, uint64_t used)
{
	if (noise_load(noise, used) >= noise->floor) {
		noise->below = 0;
		return false;
	}
	if (noise->below < noise->longest) {
		noise->below++;
		return false;
	}
	noise->below = 0;
	noise->lifted++;
	return true;
}

/* The next reading. */
static inline struct noise_sample noise_next(struct noise *noise)
{
	const struct noise_kind *kind = noise->kind;
	int32_t level = noise->mean;
	uint64_t used;

	level += noise_either_side(noise, kind->white);
	level += noise_walk(noise);
	level += noise_wave(noise);
	level += noise_happen(noise, &kind->burst, &noise->burst);
	level += noise_happen(noise, &kind->drop, &noise->drop);
	level = noise_limit(level, 0, 100 * NOISE_PER_CENT);
	used = noise->total * (uint64_t)level / (100 * NOISE_PER_CENT);
	if (noise_is_over(noise, used))
		used = (noise->total * noise->floor + 99) / 100;
	return (struct noise_sample){
		.load = noise_load(noise, used),
		.available = noise->total - used,
	};
}

#endif
