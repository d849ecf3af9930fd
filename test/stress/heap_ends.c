/*
 * Threads that end at the same time, each with blocks of its own in several heaps, while
 * somebody trims these heaps.
 *
 * What a thread has is passed on at its end, in all heaps, and all of that is done by many
 * at once.  Blocks that were left behind are anybody's to free, the account is exact, and
 * when nothing is live no page is left.
 */
#include "test/heap.h"
#include "test/stress/crowd.h"

#include <stdatomic.h>
#include <unistd.h>

enum {
	ENDING = 8, /* threads of a generation */
	HEAPS = 3,
	OWN = 60,  /* blocks that each of them has, of a heap */
	LEFT = 16, /* of these it leaves behind */
	PLACES = ENDING * HEAPS * LEFT,
	HANG = 120, /* s */
};

struct left {
	_Atomic(void *) at;
	size_t size; /* as GetSize tells it */
};

static struct convoy {
	struct faces faces;
	IHostMalloc2 *heaps[HEAPS];
	struct left left[PLACES]; /* those of heap h: h, h + HEAPS, ... */
	_Atomic unsigned ended;
} convoy;

static bool set_convoy(void)
{
	memset(&convoy, 0, sizeof(convoy));
	if (!CHECK_HR(faces_create(&convoy.faces), S_OK))
		return false;
	for (size_t h = 0; h < HEAPS; h++) {
		convoy.heaps[h] = heap_new(convoy.faces.manager, MALLOC_THREADSAFE);
		if (convoy.heaps[h] == NULL)
			return false;
	}
	return true;
}

/* ---- A thread that ends ---- */

static size_t any_size(struct crowd_member *self)
{
	return (size_t)crowd_draw(self, UINT64_C(1) << (4 + crowd_draw(self, 10)));
}

/* Frees what another generation has left there, if nobody else does. */
static void replace(size_t place, void *block, size_t size)
{
	struct left *left = &convoy.left[place];
	void *found = atomic_exchange(&left->at, NULL);

	if (found != NULL) {
		CHECK(heap_holds(found, left->size, place));
		CHECK_HR(heap_free(convoy.heaps[place % HEAPS], found), S_OK);
	}
	if (block == NULL)
		return;
	left->size = size;
	heap_fill(block, size, place);
	atomic_store(&left->at, block);
}

static size_t place_of(size_t thread, size_t h, size_t i)
{
	return (thread % ENDING * LEFT + i) * HEAPS + h;
}

/* Every second thread has spans that are full. */
static void use_heap(struct crowd_member *self, size_t h)
{
	IHostMalloc2 *heap = convoy.heaps[h];
	bool fills = self->number % 2 != 0;
	void *own[OWN];

	for (size_t i = 0; i < OWN; i++)
		own[i] = heap_take(heap, fills && i < LEFT ? 4000 : any_size(self));
	for (size_t i = LEFT; i < OWN; i++)
		CHECK_HR(heap_free(heap, own[i]), S_OK);
	for (size_t i = 0; i < LEFT; i++)
		replace(place_of(self->number, h, i), own[i], heap_size(heap, own[i]));
}

/* Frees what two others have, who end meanwhile. */
static void free_some_of_others(size_t number)
{
	for (size_t h = 0; h < HEAPS; h++) {
		for (size_t i = 0; i < LEFT; i++)
			replace(place_of(number + 1 + i % 2, h, i), NULL, 0);
	}
}

/* The last one does not end with the others: it trims meanwhile. */
static void *live_and_end(void *argument)
{
	struct crowd_member *self = argument;

	self->random += *(const uint64_t *)self->state;
	if (self->number == ENDING) {
		crowd_meet(self);
		while (atomic_load(&convoy.ended) < ENDING)
			(void)heap_trim(convoy.heaps[crowd_draw(self, HEAPS)]);
		for (unsigned i = 0; i < 20; i++)
			(void)heap_trim(convoy.heaps[i % HEAPS]);
		return NULL;
	}
	for (size_t h = 0; h < HEAPS; h++)
		use_heap(self, (h + self->number) % HEAPS);
	crowd_meet(self);
	if (self->number % 4 == 0)
		free_some_of_others(self->number);
	atomic_fetch_add(&convoy.ended, 1);
	return NULL;
}

/* ---- What they leave ---- */

static void check_left(void)
{
	HostMemUsage usage = faces_usage(&convoy.faces);
	size_t bytes = 0, count = 0;

	for (size_t i = 0; i < PLACES; i++) {
		void *at = atomic_load(&convoy.left[i].at);

		if (at == NULL)
			continue;
		CHECK(heap_holds(at, convoy.left[i].size, i));
		bytes += convoy.left[i].size;
		count++;
	}
	CHECK_SIZE(usage.cbHeap, bytes);
	CHECK_SIZE(usage.cBlocks, count);
	faces_check_account(&convoy.faces);
}

static void free_left(void)
{
	for (size_t i = 0; i < PLACES; i++)
		replace(i, NULL, 0);
	for (size_t h = 0; h < HEAPS; h++)
		(void)heap_trim(convoy.heaps[h]);
	CHECK_SIZE(faces_usage(&convoy.faces).cbHeapPages, 0);
	check_left();
}

static void what_threads_leave_that_end_together_is_everybodys(void)
{
	if (!set_convoy())
		return;
	for (uint64_t i = 0; i < FACES_ROUNDS(150, 40) && !tap_failed(); i++) {
		tap_row("generation %" PRIu64, i);
		atomic_store(&convoy.ended, 0);
		crowd_run(ENDING + 1, live_and_end, &i);
		check_left();
		if (i % 10 == 0)
			free_left();
	}
	free_left();
	for (size_t h = 0; h < HEAPS; h++)
		CHECK_SIZE(IHostMalloc2_Release(convoy.heaps[h]), 0);
	CHECK_SIZE(faces_usage(&convoy.faces).cLeakedBlocks, 0);
	faces_check_empty(&convoy.faces);
	CHECK_SIZE(faces_release(&convoy.faces), 0);
}

int main(void)
{
	(void)alarm(HANG);
	TAP_RUN(what_threads_leave_that_end_together_is_everybodys);
	return tap_done();
}
