/*
 * Several threads that do the same thing at once.
 */
#ifndef HOSTMEM_TEST_STRESS_CROWD_H
#define HOSTMEM_TEST_STRESS_CROWD_H

#include "test/stress/faces.h"

#include <pthread.h>

enum { CROWD_MOST = 32 };

struct crowd;

struct crowd_member {
	struct crowd *crowd;
	void *state;     /* the same for all */
	unsigned number; /* from 0 */
	uint64_t random;
	pthread_t thread;
};

struct crowd {
	unsigned count;
	pthread_barrier_t barrier;
	struct crowd_member members[CROWD_MOST];
};

/* All wait until all have come. */
static inline void crowd_meet(struct crowd_member *member)
{
	(void)pthread_barrier_wait(&member->crowd->barrier);
}

static inline uint64_t crowd_draw(struct crowd_member *member, uint64_t below)
{
	uint64_t x = member->random += UINT64_C(0x9E3779B97F4A7C15);

	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
	return (x ^ x >> 31) % below;
}

static inline bool crowd_start(struct crowd *crowd, unsigned count, void *(*body)(void *),
			       void *state)
{
	crowd->count = 0;
	if (!CHECK_INT(pthread_barrier_init(&crowd->barrier, NULL, count), 0))
		return false;
	for (unsigned i = 0; i < count; i++) {
		struct crowd_member *member = &crowd->members[i];

		*member = (struct crowd_member){
			.crowd = crowd, .state = state, .number = i, .random = i
		};
		/* With one missing the others would meet for ever. */
		if (pthread_create(&member->thread, NULL, body, member) != 0)
			abort();
		crowd->count++;
	}
	return true;
}

static inline void crowd_join(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->count; i++)
		(void)pthread_join(crowd->members[i].thread, NULL);
	(void)pthread_barrier_destroy(&crowd->barrier);
}

/* `count` threads call body with a struct crowd_member each; returns when all have. */
static inline void crowd_run(unsigned count, void *(*body)(void *), void *state)
{
	struct crowd crowd;

	if (crowd_start(&crowd, count, body, state))
		crowd_join(&crowd);
}

#endif
