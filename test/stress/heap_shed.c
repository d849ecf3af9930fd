/*
 * A thread that gives idle spans back, while others free blocks of its spans.
 *
 * The owner takes blocks of many sizes in bursts of several mebibytes and frees most of each
 * burst himself, so that again and again he has more idle spans than he may keep.  Some are
 * freed by other threads, at that very time.  A block that is handed out twice overlaps
 * another one or has its contents; one that is lost is missed in the account.
 */
#include "test/heap.h"
#include "test/stress/crowd.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
	RUN = 150,        /* blocks of the same size, one after another */
	BURST = 32 * RUN, /* some 10 MiB */
	FREEING = 3,
	OFFERED_RUNS = BURST / RUN / 2,
	SHARE = 5, /* in every second run one in so many is freed by another thread */
	OFFERS = OFFERED_RUNS * RUN / SHARE,
	SHOWN = 100, /* bytes of a block that have contents */
	HANG = 120,  /* s */
};

enum turn { MINE, OFFERED, TAKEN, GONE };

struct item {
	char *at;
	size_t size; /* as GetSize tells it */
	uint64_t seed;
	_Atomic int turn; /* enum turn */
};

static struct {
	struct faces faces;
	IHostMalloc2 *heap;
	struct item items[BURST];
	uint64_t seeds;
	unsigned given_back; /* rounds in which pages were */
	_Atomic size_t next; /* to be freed by others */
	_Atomic bool over;
} yard;

static const size_t sizes[] = { 4096, 500, 3000, 1500, 4000, 100, 2000, 1000 };

static size_t shown(const struct item *item)
{
	return item->size < SHOWN ? item->size : SHOWN;
}

static void give(struct item *item)
{
	CHECK(heap_holds(item->at, shown(item), item->seed));
	CHECK_HR(heap_free(yard.heap, item->at), S_OK);
	item->at = NULL;
}

/* ---- Those who free ---- */

/* In the order in which they are offered, round after round. */
static struct item *next_item(void)
{
	size_t number = atomic_fetch_add(&yard.next, 1) % OFFERS * SHARE;

	return &yard.items[(number / RUN * 2 + 1) * RUN + number % RUN];
}

static void *free_what_is_offered(void *argument)
{
	(void)argument;
	for (;;) {
		struct item *item = next_item();
		int turn = OFFERED;

		/* Who is late meets the one who has it in the next round. */
		while (!atomic_compare_exchange_weak(&item->turn, &turn, TAKEN)) {
			if (atomic_load(&yard.over))
				return NULL;
			turn = OFFERED;
			(void)sched_yield();
		}
		give(item);
		atomic_store(&item->turn, GONE);
	}
}

/* ---- The owner ---- */

static bool is_offered(size_t i)
{
	return i / RUN % 2 == 1 && i % SHARE == 0;
}

/* Until the next round. */
static bool stays(size_t i)
{
	return i / RUN % 8 == 3 && i % SHARE == 1;
}

static void take(struct item *item, size_t size)
{
	item->at = heap_take(yard.heap, size);
	if (item->at == NULL)
		return;
	item->size = heap_size(yard.heap, item->at);
	item->seed = yard.seeds++;
	CHECK(item->size >= size);
	heap_fill(item->at, shown(item), item->seed);
}

static int by_address(const void *a, const void *b)
{
	const struct item *const *first = a, *const *second = b;

	return ((*first)->at > (*second)->at) - ((*first)->at < (*second)->at);
}

static void check_all_are_apart(void)
{
	static const struct item *in_order[BURST];

	for (size_t i = 0; i < BURST; i++)
		in_order[i] = &yard.items[i];
	qsort(in_order, BURST, sizeof(in_order[0]), by_address);
	for (size_t i = 1; i < BURST; i++)
		CHECK(in_order[i - 1]->at + in_order[i - 1]->size <= in_order[i]->at);
}

static void check_account(void)
{
	HostMemUsage usage = faces_usage(&yard.faces);
	size_t bytes = 0, count = 0;

	for (size_t i = 0; i < BURST; i++) {
		if (yard.items[i].at == NULL)
			continue;
		bytes += yard.items[i].size;
		count++;
	}
	CHECK_SIZE(usage.cBlocks, count);
	CHECK_SIZE(usage.cbHeap, bytes);
	CHECK(usage.cbHeapPages >= bytes);
}

static void free_mine(void)
{
	for (size_t i = 0; i < BURST; i++) {
		if (is_offered(i))
			atomic_store(&yard.items[i].turn, OFFERED);
		else if (!stays(i))
			give(&yard.items[i]);
	}
	for (size_t i = 0; i < BURST; i++) {
		while (is_offered(i) && atomic_load(&yard.items[i].turn) != GONE)
			(void)sched_yield();
	}
}

static void play_round(void)
{
	size_t pages;

	for (size_t i = 0; i < BURST; i++) {
		if (yard.items[i].at != NULL)
			give(&yard.items[i]);
		take(&yard.items[i], sizes[i / RUN % (sizeof(sizes) / sizeof(sizes[0]))]);
	}
	check_all_are_apart();
	check_account();
	pages = faces_usage(&yard.faces).cbHeapPages;
	free_mine();
	check_account();
	yard.given_back += faces_usage(&yard.faces).cbHeapPages < pages;
}

static void end(void)
{
	for (size_t i = 0; i < BURST; i++) {
		if (yard.items[i].at != NULL)
			give(&yard.items[i]);
	}
	(void)heap_trim(yard.heap);
	check_account();
	CHECK_SIZE(faces_usage(&yard.faces).cbHeapPages, 0);
	CHECK_SIZE(IHostMalloc2_Release(yard.heap), 0);
	faces_check_empty(&yard.faces);
	CHECK_SIZE(faces_release(&yard.faces), 0);
}

static void blocks_are_freed_by_others_while_their_owner_gives_spans_back(void)
{
	unsigned rounds = FACES_ROUNDS(250, 30);
	struct crowd crowd;

	if (!CHECK_HR(faces_create(&yard.faces), S_OK))
		return;
	yard.heap = heap_new(yard.faces.manager, MALLOC_THREADSAFE);
	if (yard.heap == NULL ||
	    !crowd_start(&crowd, FREEING, free_what_is_offered, &yard))
		return;
	for (unsigned i = 0; i < rounds && !tap_failed(); i++) {
		tap_row("round %u", i);
		play_round();
	}
	CHECK(yard.given_back > rounds / 2);
	atomic_store(&yard.over, true);
	crowd_join(&crowd);
	end();
}

int main(void)
{
	(void)alarm(HANG);
	TAP_RUN(blocks_are_freed_by_others_while_their_owner_gives_spans_back);
	return tap_done();
}
