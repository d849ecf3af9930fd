/*
 * What the tests of the classifier share: figures of a system, and the laws.
 *
 * The laws are said once more, in words of their own, by an observer who sees the figures
 * and the levels and knows nothing of how these are found.  Each says either what a level
 * must have behind it or what it must not have, so that together they allow one level
 * only at each step; a classifier that keeps them all is right, with whatever rules.
 */
#ifndef HOSTMEM_UNIT_PRESSURE_H
#define HOSTMEM_UNIT_PRESSURE_H

#include "hostmem/pressure.h"
#include "fake.h"

#define LOW eMemoryAvailableLow
#define NEUTRAL eMemoryAvailableNeutral
#define HIGH eMemoryAvailableHigh
#define MIB ((size_t)1 << 20)
#define NEVER HM_PRESSURE_NEVER

/* A system with nothing on its account. */
static inline struct hm_pressure_figures system_at(uint32_t load, size_t available)
{
	return (struct hm_pressure_figures){ .known = true,
					     .load = load,
					     .available = available,
					     .limit = SIZE_MAX,
					     .soft_limit = SIZE_MAX };
}

/* The default rules as they are promised, so that none of them changes unnoticed. */
static inline const struct hm_pressure_rules *promised_rules(void)
{
	static const struct hm_pressure_rules promised = {
		.low_load = 90,
		.calm_load = 85,
		.high_load = 70,
		.neutral_load = 75,
		.scarce = 64 * MIB,
		.enough = 192 * MIB,
		.calm_ms = 2000,
		.plenty_ms = 5000,
		.stall_ms = 4000,
	};

	return &promised;
}

/* ---- What figures mean ---- */

/* In these tests a limit is 100 bytes or none. */
static inline uint32_t own_load(const struct hm_pressure_figures *f)
{
	return f->limit == 100 ? (uint32_t)f->charged : 0;
}

static inline bool must_be_low(const struct hm_pressure_rules *rules,
			       const struct hm_pressure_figures *f)
{
	if (f->stalled || f->charged > f->soft_limit)
		return true;
	if (own_load(f) >= rules->low_load)
		return true;
	return f->known && (f->load >= rules->low_load || f->available <= rules->scarce);
}

/* What is not known of the system speaks neither for a shortage nor against one. */
static inline bool may_be_below(const struct hm_pressure_rules *rules,
				const struct hm_pressure_figures *f, uint32_t load)
{
	if (must_be_low(rules, f) || own_load(f) >= load)
		return false;
	return !f->known || (f->load < load && f->available >= rules->enough);
}

static inline bool may_be_plenty(const struct hm_pressure_rules *rules,
				 const struct hm_pressure_figures *f, uint32_t load)
{
	return f->known && may_be_below(rules, f, load);
}

/* ---- The observer ---- */

struct observer {
	const struct hm_pressure_rules *rules;
	EMemoryAvailable told;       /* by the last edge */
	unsigned edges[HIGH + 1];    /* to each level */
	uint64_t low_at;             /* the last edge to Low */
	uint64_t calm_at, plenty_at; /* since when; NEVER: it is not */
	uint64_t stalled_at;         /* NEVER: it was not */
};

static inline struct observer observer_of(const struct hm_pressure_rules *rules)
{
	return (struct observer){ .rules = rules,
				  .told = NEUTRAL,
				  .calm_at = NEVER,
				  .plenty_at = NEVER,
				  .stalled_at = NEVER };
}

static inline void keep_time(uint64_t *since, bool holds, uint64_t now)
{
	if (!holds)
		*since = NEVER;
	else if (*since == NEVER)
		*since = now;
}

static inline bool is_long_ago(uint64_t since, uint32_t ms, uint64_t now)
{
	return since != NEVER && now - since >= ms;
}

/* A stall that never was is over. */
static inline bool may_end_low(const struct observer *o, uint64_t now)
{
	return is_long_ago(o->calm_at, o->rules->calm_ms, now) &&
	       (o->stalled_at == NEVER || now - o->stalled_at >= o->rules->stall_ms);
}

/* An edge to Low is told at once, and only of a shortage; it lasts, but not for ever. */
static inline void observe_low(const struct observer *o, EMemoryAvailable to,
			       const struct hm_pressure_figures *f, uint64_t now)
{
	if (must_be_low(o->rules, f))
		CHECK_INT(to, LOW);
	else if (o->told == LOW)
		CHECK_INT(to != LOW, may_end_low(o, now));
	else
		CHECK(to != LOW);
	if (o->told == LOW && to != LOW)
		CHECK(now - o->low_at >= o->rules->calm_ms);
}

/* High has had plenty behind it all the time, and ends when the load is there again. */
static inline void observe_high(const struct observer *o, EMemoryAvailable to,
				const struct hm_pressure_figures *f, uint64_t now)
{
	bool lasted = is_long_ago(o->plenty_at, o->rules->plenty_ms, now);
	bool goes_on = may_be_plenty(o->rules, f, o->rules->neutral_load);

	if (to == HIGH)
		CHECK(goes_on);
	if (to == HIGH && o->told != HIGH)
		CHECK(lasted);
	if (to == NEUTRAL)
		CHECK(!lasted && !(o->told == HIGH && goes_on));
}

/* One step, with these figures, has led to this state. */
static inline void observe(struct observer *o, const struct hm_pressure_figures *f,
			   const struct hm_pressure *state, uint64_t now)
{
	const struct hm_pressure_rules *rules = o->rules;
	EMemoryAvailable to = state->level;

	if (!CHECK(to >= LOW && to <= HIGH))
		return;
	if (f->stalled)
		o->stalled_at = now;
	keep_time(&o->calm_at, may_be_below(rules, f, rules->calm_load), now);
	keep_time(&o->plenty_at, may_be_plenty(rules, f, rules->high_load), now);
	observe_low(o, to, f, now);
	observe_high(o, to, f, now);
	CHECK(state->due > now);
	if (to == o->told)
		return;
	/* Whoever is told a Low is told its end, too, before the next. */
	CHECK(to != LOW || o->told != LOW);
	CHECK(o->told != LOW || to == NEUTRAL || to == HIGH);
	if (to == LOW)
		o->low_at = now;
	o->told = to;
	o->edges[to]++;
}

#endif
