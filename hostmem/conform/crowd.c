/*
 * Threads of a case.
 *
 * Whoever asks whether a host bears several threads has to have them there at the same time: a
 * thread that is started when the one before has ended asks nothing.  So they meet first.
 */
#include "trial.h"

enum {
	MOST = 16,
	PATIENCE_MS = 8000, /* for what takes milliseconds */
	SPINS = 100000      /* before it is taken that the others need this processor */
};

struct hm_helper *hm_start(struct hm_trial *t, void (*run)(void *state), void *state)
{
	struct hm_helper *helper = hm_helper_start(run, state);

	t->threads = true;
	CHECK(t, helper != NULL);
	return helper;
}

/* Static: a thread that does not end in time still uses it. */
static struct {
	void (*run)(void *state);
	void *state;
	_Atomic unsigned missing; /* have not come yet */
} crowd;

static void run_with_the_others(void *state)
{
	unsigned spins = 0;

	(void)state;
	crowd.missing--;
	while (crowd.missing != 0) {
		if (++spins > SPINS)
			hm_pause(1);
	}
	crowd.run(crowd.state);
}

void hm_together(struct hm_trial *t, unsigned count, void (*run)(void *state),
		 void *state)
{
	struct hm_helper *helpers[MOST];
	unsigned long long until = hm_now_ms() + PATIENCE_MS;

	crowd.run = run;
	crowd.state = state;
	crowd.missing = count;
	for (unsigned i = 0; i < count; i++) {
		helpers[i] = hm_start(t, run_with_the_others, NULL);
		if (helpers[i] == NULL)
			crowd.missing--;
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned long long now = hm_now_ms();

		if (helpers[i] != NULL)
			CHECK(t,
			      hm_helper_ends(helpers[i],
					     until > now ? (unsigned)(until - now) : 0));
	}
}
