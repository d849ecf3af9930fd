/*
 * A heap in a process whose address space is nearly used up.
 *
 * What is refused is refused with its code and has changed nothing; what was handed out is
 * what the account says and keeps its contents; giving back works even there, and what was
 * given back can be had again.
 */
#include "test/heap.h"
#include "test/stress/limits.h"

enum {
	ROOM = 64,      /* MiB that the process may still map */
	MOST = 2 << 20, /* blocks */
	REFUSALS = 20,  /* of each size, in a row */
};

static const struct mix {
	const char *name;
	size_t sizes[3]; /* in turn; one that was refused is not asked for any more */
} mixes[] = {
	{ "large ones first", { 300000, 4096, 100 } },
	{ "small ones first", { 100, 4096, 300000 } },
	{ "a page each", { 4096, 4096, 4096 } },
	{ "small ones", { 48, 100, 1000 } },
};

static struct {
	struct faces faces;
	IHostMalloc2 *heap;
	size_t count, live, bytes;
	struct {
		void *at; /* NULL: it was freed */
		uint32_t asked, size;
	} blocks[MOST];
} store;

static void check_account(void)
{
	HostMemUsage usage = faces_usage(&store.faces);

	CHECK_SIZE(usage.cbHeap, store.bytes);
	CHECK_SIZE(usage.cBlocks, store.live);
	CHECK(usage.cbHeapPages >= store.bytes);
	CHECK_SIZE(usage.cbCharged, usage.cbHeapPages);
	faces_check_account(&store.faces);
}

static bool take(size_t i, size_t size)
{
	void *block;
	HRESULT hr = heap_alloc(store.heap, size, &block);

	if (hr != S_OK) {
		CHECK_HR(hr, E_OUTOFMEMORY);
		return false;
	}
	store.blocks[i].at = block;
	store.blocks[i].asked = (uint32_t)size;
	store.blocks[i].size = (uint32_t)heap_size(store.heap, block);
	heap_fill(block, store.blocks[i].size, i);
	store.bytes += store.blocks[i].size;
	store.live++;
	return true;
}

static void give(size_t i)
{
	CHECK(heap_holds(store.blocks[i].at, store.blocks[i].size, i));
	CHECK_HR(heap_free(store.heap, store.blocks[i].at), S_OK);
	store.blocks[i].at = NULL;
	store.bytes -= store.blocks[i].size;
	store.live--;
}

/* Everything that is there, and a few attempts more. */
static void take_all(const struct mix *mix)
{
	void *out;

	for (size_t i = 0; i < 3; i++) {
		while (store.count < MOST && take(store.count, mix->sizes[i]))
			store.count++;
	}
	CHECK(store.count < MOST);
	check_account();
	for (size_t i = 0; i < 3 * (size_t)REFUSALS; i++)
		CHECK_HR(heap_alloc(store.heap, mix->sizes[i % 3], &out), E_OUTOFMEMORY);
	CHECK_HR(heap_alloc(store.heap, 2 * ROOM * MIB, &out), E_OUTOFMEMORY);
	check_account();
}

/* What two in three have left serves the same sizes.  Only for a mapping of its own the
 * system needs more room than it gets in the end. */
static void replace_most(void)
{
	size_t refused = 0;

	for (size_t i = 0; i < store.count; i++) {
		if (i % 3 != 0)
			give(i);
	}
	check_account();
	for (size_t i = 0; i < store.count; i++) {
		if (i % 3 != 0)
			refused += !take(i, store.blocks[i].asked);
	}
	CHECK(refused <= 1);
	check_account();
}

static void give_all(void)
{
	for (size_t i = 0; i < store.count; i++) {
		if (store.blocks[i].at != NULL)
			give(i);
	}
	store.count = 0;
	(void)heap_trim(store.heap);
	check_account();
	CHECK_SIZE(faces_usage(&store.faces).cbHeapPages, 0);
}

static const struct mix *chosen;

static void fill_the_process(void)
{
	size_t first;

	if (!CHECK_HR(faces_create(&store.faces), S_OK))
		return;
	check_works(&store.faces);
	trim_arenas();
	limit(RLIMIT_AS, figure("/proc/self/statm", "") * PAGE + ROOM * MIB);
	store.heap = heap_new(store.faces.manager, MALLOC_THREADSAFE);
	if (store.heap == NULL)
		return;
	take_all(chosen);
	CHECK(store.bytes > ROOM * MIB / 2);
	first = store.bytes;
	replace_most();
	give_all();
	take_all(chosen);
	CHECK(store.bytes > first / 10 * 9);
	/* They go with their heap. */
	CHECK_SIZE(IHostMalloc2_Release(store.heap), 0);
	CHECK_SIZE(faces_usage(&store.faces).cLeakedBlocks, store.live);
	CHECK_SIZE(faces_usage(&store.faces).cbLeaked, store.bytes);
	clear(&store.faces);
}

static void out_of_address_space_a_heap_refuses_and_freeing_helps(void)
{
	for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
		chosen = &mixes[i];
		tap_row("%s", chosen->name);
		in_child(fill_the_process);
	}
}

int main(void)
{
	if (FACES_THREAD_SANITIZER) {
		tap_skip("the thread sanitizer does not live within limits");
		return tap_done();
	}
	make_shared_text();
	TAP_RUN(out_of_address_space_a_heap_refuses_and_freeing_helps);
	return tap_done();
}
