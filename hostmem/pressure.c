/*
 * The classifier of memory pressure.
 *
 * A load that wavers about one threshold would send a runtime into a collection several
 * times a second.  So each state is entered and left at different figures, and for the
 * better only after these have held for a while; for the worse it goes at once:
 *
 *	          entered                            left
 *	Low       load >= 90 %, or <= 64 MiB         load < 85 % and >= 192 MiB available
 *	          available, or the soft limit is    and within the soft limit, for 2 s, and
 *	          crossed, or a stall; at once       no stall for 4 s
 *	High      load < 70 % and all that ends a    any of that no more, where load >= 75 %
 *	          Low, for 5 s                       counts; at once
 *	Neutral   else
 *
 * Bytes count where memory is not large: of 64 GiB a tenth is plenty for most.  But 192 MiB are
 * nearly all of a container of 256 MiB, whose Low would never end; so of what has the fewest
 * bytes left, no more than an eighth is too few, and no more than a quarter is asked for.
 *
 * The load is the system's or that of the host's own limit, whichever is higher.  So High
 * is not told while the own account is short, however much the system has: that is SQL
 * Server's rule.  90 and 85 per cent with 2 s are what makes of thousands of changes an
 * hour none, in a load with noise.  Three times the lower mark is the distance that
 * Windows keeps between its own two events; two windows of 2 s are what the kernel lets a
 * process without privileges watch for stalls.
 *
 * From this follow the laws: a Low lasts 2 s at least and a High is preceded by 5 s of
 * plenty, so edges are few whatever the figures do; and since a state is left by an edge
 * to another one, a Low is always followed by a Neutral or a High.
 *
 * What this is not: it neither reads figures nor tells anybody.  Dwell times that run in a
 * timer were rejected, since a test would have to wait for it; `due` says when to ask
 * again, and a clock that is an argument may be virtual.
 *
 * Locks: none.
 */
#include "pressure.h"

const struct hm_pressure_rules hm_pressure_defaults = {
	.low_load = 90,
	.calm_load = 85,
	.high_load = 70,
	.neutral_load = 75,
	.scarce = (size_t)64 << 20,
	.enough = (size_t)192 << 20,
	.calm_ms = 2000,
	.plenty_ms = 5000,
	.stall_ms = 4000,
};

struct hm_pressure hm_pressure_start(void)
{
	return (struct hm_pressure){
		.level = eMemoryAvailableNeutral,
		.calm_since = HM_PRESSURE_NEVER,
		.plenty_since = HM_PRESSURE_NEVER,
		.due = HM_PRESSURE_NEVER,
	};
}

/* The end of time is never reached, so nothing is due there. */
static uint64_t later(uint64_t time, uint32_t ms)
{
	return time > HM_PRESSURE_NEVER - ms ? HM_PRESSURE_NEVER : time + ms;
}

static uint64_t since(bool holds, uint64_t before, uint64_t now)
{
	if (!holds)
		return HM_PRESSURE_NEVER;
	return before < now ? before : now;
}

static bool has_lasted(uint64_t begun, uint32_t ms, uint64_t now)
{
	return begun != HM_PRESSURE_NEVER && now - begun >= ms;
}

/* The least of the whole that is so many per cent of it, without a product that may
 * overflow. */
static uint64_t least(uint32_t per_cent, uint64_t whole)
{
	return whole / 100 * per_cent + (whole % 100 * per_cent + 99) / 100;
}

uint32_t hm_per_cent(uint64_t part, uint64_t whole)
{
	uint32_t result;

	if (part >= whole)
		return 100;
	if (whole <= UINT64_MAX / 100)
		return (uint32_t)(part * 100 / whole);
	/* No product overflows; it is one too many at most. */
	result = (uint32_t)(part / (whole / 100));
	return part < least(result, whole) ? result - 1 : result;
}

/* The most of the whole that is less than so many per cent of it. */
static size_t less_than(uint32_t per_cent, size_t whole)
{
	size_t part = least(per_cent, whole);

	return part == 0 ? 0 : part - 1;
}

size_t hm_pressure_most_charged(const struct hm_pressure_rules *rules,
				EMemoryAvailable level,
				const struct hm_pressure_figures *figures)
{
	uint32_t load = level == eMemoryAvailableHigh ? rules->neutral_load
						      : rules->low_load;
	size_t most = figures->soft_limit;

	if (level == eMemoryAvailableLow)
		return SIZE_MAX;
	if (figures->limit != SIZE_MAX && less_than(load, figures->limit) < most)
		most = less_than(load, figures->limit);
	return most;
}

static uint32_t load_of(const struct hm_pressure_figures *figures)
{
	uint32_t own = figures->limit == SIZE_MAX
			       ? 0
			       : hm_per_cent(figures->charged, figures->limit);

	return figures->known && figures->load > own ? figures->load : own;
}

static size_t at_most(size_t bytes, size_t total, unsigned part)
{
	return total == 0 || bytes < total / part ? bytes : total / part;
}

size_t hm_pressure_scarce(const struct hm_pressure_rules *rules, size_t total)
{
	return at_most(rules->scarce, total, 8);
}

size_t hm_pressure_enough(const struct hm_pressure_rules *rules, size_t total)
{
	return at_most(rules->enough, total, 4);
}

static bool is_short(const struct hm_pressure_rules *rules,
		     const struct hm_pressure_figures *figures)
{
	return load_of(figures) >= rules->low_load ||
	       (figures->known &&
		figures->available <= hm_pressure_scarce(rules, figures->total)) ||
	       figures->charged > figures->soft_limit || figures->stalled;
}

size_t hm_pressure_lacks(const struct hm_pressure_rules *rules,
			 const struct hm_pressure_figures *figures)
{
	size_t enough = hm_pressure_enough(rules, figures->total);
	size_t scarce = hm_pressure_scarce(rules, figures->total);
	size_t most = figures->soft_limit, lacks = 0;

	/* Both may be the same, and then it has to be more. */
	if (enough <= scarce && scarce != SIZE_MAX)
		enough = scarce + 1;
	if (figures->limit != SIZE_MAX &&
	    less_than(rules->calm_load, figures->limit) < most)
		most = less_than(rules->calm_load, figures->limit);
	if (figures->charged > most)
		lacks = figures->charged - most;
	if (figures->known && figures->available < enough &&
	    enough - figures->available > lacks)
		lacks = enough - figures->available;
	return lacks == 0 ? SIZE_MAX : lacks;
}

/* Whether nothing speaks against it that the load is below so many per cent. */
static bool is_below(const struct hm_pressure_rules *rules,
		     const struct hm_pressure_figures *figures, uint32_t load)
{
	return load_of(figures) < load && !is_short(rules, figures) &&
	       (!figures->known ||
		figures->available >= hm_pressure_enough(rules, figures->total));
}

static EMemoryAvailable judge(const struct hm_pressure_rules *rules,
			      const struct hm_pressure *state,
			      const struct hm_pressure_figures *figures, uint64_t now)
{
	if (is_short(rules, figures))
		return eMemoryAvailableLow;
	if (state->level == eMemoryAvailableLow &&
	    (now < state->stall_until ||
	     !has_lasted(state->calm_since, rules->calm_ms, now)))
		return eMemoryAvailableLow;
	if (state->level == eMemoryAvailableHigh && figures->known &&
	    is_below(rules, figures, rules->neutral_load))
		return eMemoryAvailableHigh;
	if (has_lasted(state->plenty_since, rules->plenty_ms, now))
		return eMemoryAvailableHigh;
	return eMemoryAvailableNeutral;
}

static void at_the_latest(uint64_t *due, uint64_t time, uint64_t now)
{
	if (time > now && time < *due)
		*due = time;
}

/* May be too early, never too late, and never now. */
static uint64_t next_change(const struct hm_pressure_rules *rules,
			    const struct hm_pressure *state, uint64_t now)
{
	uint64_t due = HM_PRESSURE_NEVER;

	at_the_latest(&due, state->stall_until, now);
	if (state->level == eMemoryAvailableLow)
		at_the_latest(&due, later(state->calm_since, rules->calm_ms), now);
	if (state->level != eMemoryAvailableHigh)
		at_the_latest(&due, later(state->plenty_since, rules->plenty_ms), now);
	return due;
}

struct hm_pressure hm_pressure_step(const struct hm_pressure_rules *rules,
				    const struct hm_pressure *before,
				    const struct hm_pressure_figures *figures,
				    uint64_t now)
{
	struct hm_pressure after = *before;

	if (figures->stalled)
		after.stall_until = later(now, rules->stall_ms);
	after.calm_since = since(is_below(rules, figures, rules->calm_load),
				 before->calm_since, now);
	after.plenty_since = since(figures->known &&
					   is_below(rules, figures, rules->high_load),
				   before->plenty_since, now);
	after.level = judge(rules, &after, figures, now);
	after.due = next_change(rules, &after, now);
	return after;
}
