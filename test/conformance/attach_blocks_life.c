/*
 * Blocks of the translated malloc family that outlive what made them: a thread, a fork's
 * parent, the host; and pages of blocks that are changed like other pages.
 */
#include "attach.h"
#include "child.h"

#include <pthread.h>

enum { HEAP_BLOCKS = 200 };

static uint64_t live_blocks(void)
{
	return host_usage(&attach_host).cBlocks;
}

static void *allocate_and_leave(void *argument)
{
	void **blocks = argument;

	for (int i = 0; i < HEAP_BLOCKS; i++) {
		HostMemFree(blocks[i]);
		blocks[i] = HostMemMalloc((size_t)(i * i) % 20000);
	}
	return NULL;
}

static void blocks_outlive_the_threads_that_made_them(void)
{
	uint64_t before = live_blocks();
	void *blocks[4][HEAP_BLOCKS] = { { NULL } };
	pthread_t threads[4];

	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < 4; i++) {
			if (pthread_create(&threads[i], NULL, allocate_and_leave,
					   blocks[(i + (size_t)round) % 4]) != 0)
				abort();
		}
		for (size_t i = 0; i < 4; i++)
			(void)pthread_join(threads[i], NULL);
	}
	for (size_t i = 0; i < 4; i++) {
		for (size_t k = 0; k < HEAP_BLOCKS; k++)
			HostMemFree(blocks[i][k]);
	}
	CHECK_SIZE(live_blocks(), before);
}

static char *inherited;

static void use_blocks_in_a_child(void)
{
	CHECK_STR(inherited, "inherited");
	inherited = HostMemRealloc(inherited, 50000);
	CHECK_STR(inherited, "inherited");
	HostMemFree(inherited);
	HostMemFree(HostMemMalloc(100));
}

static void a_fork_child_has_the_blocks_too(void)
{
	inherited = HostMemStrdup("inherited");
	in_child(use_blocks_in_a_child);
	CHECK_STR(inherited, "inherited");
	HostMemFree(inherited);
}

static void use_blocks_after_shutdown(void)
{
	char *text = HostMemStrdup("from before"), *large = HostMemMalloc(100000);
	char *fresh;

	memset(large, 1, 100000);
	CHECK_HR(IHostMemoryControl_Shutdown(attach_host.control), S_OK);
	CHECK(HostMemMallocUsableSize(text) >= strlen(text) + 1);
	CHECK(HostMemMallocUsableSize(large) >= 100000);
	text = HostMemRealloc(text, 1000);
	CHECK_STR(text, "from before");
	text = HostMemRealloc(text, 5);
	CHECK(text != NULL && memcmp(text, "from ", 5) == 0);
	large = HostMemRealloc(large, 200000);
	CHECK(large != NULL && holds((unsigned char *)large, 100000, 1));
	HostMemFree(large);
	HostMemFree(text);
	fresh = HostMemCalloc(10, 10);
	CHECK(fresh != NULL && HostMemMallocUsableSize(fresh) >= 100);
	HostMemFree(fresh);
	CHECK_INT(HostMemPosixMemalign((void **)&fresh, 64, 100), 0);
	HostMemFree(fresh);
}

static void blocks_outlive_the_host(void)
{
	in_child(use_blocks_after_shutdown);
}

/* Pages that a runtime takes from malloc and protects. */
static void access_of_a_blocks_pages_can_be_changed(void)
{
	unsigned char *block = HostMemAlignedAlloc(PAGE, 4 * PAGE);

	memset(block, 3, 4 * PAGE);
	attach_limit(0);
	CHECK_KEPT(HostMemMprotect(block + PAGE, PAGE, PROT_READ));
	CHECK_KEPT(HostMemMprotect(block, 4 * PAGE, PROT_READ));
	CHECK(holds(block, 4 * PAGE, 3));
	CHECK_KEPT(HostMemMprotect(block, 4 * PAGE, RW));
	memset(block, 4, 4 * PAGE);
	/* They are not for anything else. */
	CHECK_ERROR(HostMemMunmap(block, PAGE), EINVAL);
	CHECK_NO_MAP(HostMemMmap(block, PAGE, RW, OVER, -1, 0), EINVAL);
	CHECK_NO_MAP(HostMemMremap(block, PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL), EINVAL);
	CHECK(holds(block, 4 * PAGE, 4));
	attach_limit(SIZE_MAX);
	HostMemFree(block);
}

int main(void)
{
	if (!attach_with(NULL, 0))
		return tap_done();
	TAP_RUN(blocks_outlive_the_threads_that_made_them);
	TAP_RUN(a_fork_child_has_the_blocks_too);
	TAP_RUN(blocks_outlive_the_host);
	TAP_RUN(access_of_a_blocks_pages_can_be_changed);
	return tap_done();
}
