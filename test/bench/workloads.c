/*
 * What a heap is asked to do while its memory is counted.
 *
 * A workload keeps its live blocks in one table, static and resident beforehand, so that
 * what the process grows by is the heap's.  It frees nothing at its end: a peak is wanted,
 * and the process ends with it.
 *
 * The sizes and the order are the same in every run and for every heap, except that the
 * two threads of Larson's server meet as they happen to.
 */
#include "workloads.h"
#include "random.h"

#include <pthread.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

enum {
	TABLE = 1 << 19,
	LARSON_THREADS = 2,    /* at once */
	LARSON_SLOTS = 100000, /* of each */
	LARSON_GENERATIONS = 20,
	LARSON_REPLACED = 100000, /* by each thread */
	CFRAC_BLOCKS = 10000000,
	CFRAC_KEPT = 32,   /* one in so many */
	CFRAC_WINDOW = 64, /* blocks that die soon */
	CHURN_LIVE = 64 * 1024 * 1024,
	CHURN_REPLACED = 50000,
};

struct entry {
	void *block;
	size_t size;
};

static struct entry table[TABLE];

void workloads_touch(void)
{
	memset(table, 1, sizeof(table));
	memset(table, 0, sizeof(table));
}

/* Puts a new block into an entry, in place of the one that may be there. */
static bool replace(const struct heap *heap, struct entry *entry, size_t size)
{
	if (entry->block != NULL && !heap_give(heap, heap->ours, entry->block))
		return false;
	entry->size = size;
	entry->block = heap_take(heap, heap->ours, size);
	if (entry->block == NULL)
		return false;
	memset(entry->block, (int)size, size);
	return true;
}

/* A line of threads: each has the blocks of the one before. */
struct line {
	const struct heap *heap;
	struct entry *slots;
	uint64_t random;
	bool good;
};

static void *larson_thread(void *state)
{
	struct line *line = state;

	for (size_t i = 0; i < LARSON_REPLACED && line->good; i++) {
		uint64_t number = random_next(&line->random);

		line->good = replace(line->heap, &line->slots[number % LARSON_SLOTS],
				     16 + (number >> 32) % 497);
	}
	return NULL;
}

static bool larson_generation(struct line lines[LARSON_THREADS])
{
	pthread_t threads[LARSON_THREADS];
	unsigned count = 0;
	bool good = true;

	while (count < LARSON_THREADS &&
	       pthread_create(&threads[count], NULL, larson_thread, &lines[count]) == 0)
		count++;
	for (unsigned i = 0; i < count; i++) {
		(void)pthread_join(threads[i], NULL);
		good = good && lines[i].good;
	}
	return good && count == LARSON_THREADS;
}

bool workload_larson(const struct heap *heap, size_t *live)
{
	struct line lines[LARSON_THREADS];
	bool good = true;

	for (unsigned i = 0; i < LARSON_THREADS; i++)
		lines[i] = (struct line){ heap, table + i * LARSON_SLOTS, 1 + i, true };
	for (size_t i = 0; i < LARSON_THREADS * LARSON_SLOTS && good; i++)
		good = replace(heap, &table[i],
			       16 + (random_next(&lines[0].random) >> 32) % 497);
	for (unsigned i = 0; i < LARSON_GENERATIONS && good; i++)
		good = larson_generation(lines);
	*live = 0;
	for (size_t i = 0; i < LARSON_THREADS * LARSON_SLOTS; i++)
		*live += table[i].size;
	return good;
}

bool workload_cfrac(const struct heap *heap, size_t *live)
{
	struct entry *window = table, *kept = table + CFRAC_WINDOW;
	uint64_t random = 1;

	*live = 0;
	for (size_t i = 0; i < CFRAC_BLOCKS; i++) {
		uint64_t number = random_next(&random);
		struct entry *entry = &window[number % CFRAC_WINDOW];

		if (!replace(heap, entry, 16 + (number >> 32) % 113))
			return false;
		if ((number >> 8) % CFRAC_KEPT == 0) {
			*live += entry->size;
			*kept++ = *entry;
			entry->block = NULL;
		}
	}
	return true;
}

/* The live blocks are the first entries of the table. */
struct crowd {
	const struct heap *heap;
	uint64_t random;
	size_t count, live, most;
};

/* Sizes from one power of two to another, each doubling as often as any other. */
struct mix {
	size_t least;
	unsigned doublings;
};

static size_t pick_size(struct crowd *crowd, const struct mix *mix)
{
	uint64_t number = random_next(&crowd->random);
	size_t base = mix->least << number % mix->doublings;

	return base + (number >> 32) % base;
}

static bool grow(struct crowd *crowd, const struct mix *mix, size_t wanted)
{
	while (crowd->live < wanted && crowd->count < TABLE) {
		struct entry *entry = &table[crowd->count];

		entry->block = NULL;
		if (!replace(crowd->heap, entry, pick_size(crowd, mix)))
			return false;
		crowd->count++;
		crowd->live += entry->size;
		if (crowd->live > crowd->most)
			crowd->most = crowd->live;
	}
	return crowd->live >= wanted;
}

static bool shrink(struct crowd *crowd, size_t wanted)
{
	while (crowd->live > wanted && crowd->count > 0) {
		struct entry *entry = &table[random_next(&crowd->random) % crowd->count];

		if (!heap_give(crowd->heap, crowd->heap->ours, entry->block))
			return false;
		crowd->live -= entry->size;
		*entry = table[--crowd->count];
	}
	return true;
}

/* Frees one, and lets others have its room. */
static bool stir(struct crowd *crowd, const struct mix *mix)
{
	for (size_t i = 0; i < CHURN_REPLACED; i++) {
		if (!shrink(crowd, crowd->live - 1) || !grow(crowd, mix, CHURN_LIVE))
			return false;
	}
	return true;
}

bool workload_churn(const struct heap *heap, size_t *live)
{
	static const struct mix all = { 16, 11 }, small = { 32, 5 };
	struct crowd crowd = { .heap = heap, .random = 1 };
	bool good = grow(&crowd, &all, CHURN_LIVE) && stir(&crowd, &all) &&
		    shrink(&crowd, CHURN_LIVE / 3) && grow(&crowd, &small, CHURN_LIVE) &&
		    stir(&crowd, &small);

	*live = crowd.most;
	return good;
}
