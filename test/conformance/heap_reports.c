/*
 * How a heap with HOSTMEM_DEBUG_HEAP reports: as a line, to a callback that may call
 * anything, and from several threads at once.
 */
#include "heap_debug.h"
#include "child.h"

#include <pthread.h>
#include <unistd.h>

static struct yard yard;
static struct reports reports;

/* ---- Lines ---- */

static void make_every_kind_of_line(void)
{
	void *block, *leak, *stray = &block;

	if (!debug_yard(&yard, MALLOC_THREADSAFE, HOSTMEM_DEBUG_HEAP, NULL))
		return;
	CHECK_HR(heap_alloc_debug(yard.heap, 100, "%s\n%n.c", 31, &block), S_OK);
	scribble(block, 100);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	scribble(block, 100);
	scribble(block, -2);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	scribble(block, -2);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	CHECK_HR(heap_free(yard.heap, stray), HOST_E_INVALIDOPERATION);
	scribble(block, 5);
	leak = heap_take(yard.heap, 7);
	printf("# %p %p\n", block, leak);
	yard_end(&yard);
}

static void read_lines(char *text, size_t size)
{
	int ends[2], kept = dup(STDERR_FILENO);
	ssize_t got;

	text[0] = '\0';
	if (!CHECK(pipe(ends) == 0) || !CHECK(dup2(ends[1], STDERR_FILENO) >= 0))
		return;
	make_every_kind_of_line();
	CHECK(dup2(kept, STDERR_FILENO) >= 0);
	(void)close(kept);
	(void)close(ends[1]);
	got = read(ends[0], text, size - 1);
	text[got > 0 ? got : 0] = '\0';
	(void)close(ends[0]);
}

static void each_report_is_one_line_that_names_the_block(void)
{
	static const char *const parts[][4] = {
		{ "hostmem: overrun of block 0x", "(100 bytes, %s?%n.c:31)",
		  "at byte 100", "" },
		{ "hostmem: underrun of block 0x", "(100 bytes, %s?%n.c:31)",
		  "at byte -2", "" },
		{ "hostmem: double free of block 0x", "(100 bytes, %s?%n.c:31)", "", "" },
		{ "hostmem: 0x", "is freed, and no block of its heap", "", "" },
		{ "hostmem: write after free of block 0x", "(100 bytes, %s?%n.c:31)",
		  "at byte 5", "" },
		{ "hostmem: leak of block 0x", "(7 bytes)", "", "" },
	};
	char text[4096], *line = text;

	read_lines(text, sizeof(text));
	for (size_t i = 0; i < ROWS(parts); i++) {
		char *end = strchr(line, '\n');

		tap_row("line %zu", i);
		if (!CHECK(end != NULL))
			break;
		*end = '\0';
		for (size_t j = 0; j < 4; j++) {
			if (!CHECK(strstr(line, parts[i][j]) != NULL))
				printf("# %s\n", line);
		}
		line = end + 1;
	}
	CHECK_INT(*line, '\0');
}

/* ---- Callbacks ---- */

static IHostMalloc2 *other;
static size_t calls;

static void HOSTMEM_CALL use_heaps(void *state, const HostMemReport *report)
{
	IHostMalloc2 *heap = (IHostMalloc2 *)state;
	void *block;

	calls++;
	block = heap_take(other, 50);
	CHECK_HR(heap_free(other, block), S_OK);
	(void)host_usage(&yard.host);
	if (report->kind == HostMemReportLeak)
		return;
	CHECK(heap != NULL);
	block = heap_take(yard.heap, report->size + 1);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	heap_trim(yard.heap);
}

static void a_callback_may_use_heaps(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	void *block, *written;

	config.dwFlags = HOSTMEM_MONITOR_OFF | HOSTMEM_DEBUG_HEAP;
	config.report = use_heaps;
	config.reportState = &yard;
	calls = 0;
	if (!yard_make_with(&yard, &config, MALLOC_THREADSAFE))
		return;
	other = heap_new(yard.host.manager, MALLOC_THREADSAFE);
	block = heap_take(yard.heap, 10);
	written = heap_take(yard.heap, 20);
	scribble(block, 10);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	CHECK_HR(heap_free(yard.heap, written), S_OK);
	scribble(written, 1);
	heap_trim(yard.heap);
	CHECK_SIZE(calls, 2);
	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	CHECK_SIZE(calls, 4); /* it is damaged and lost */
	CHECK_U32(IHostMalloc2_Release(other), 0);
	host_destroy(&yard.host);
}

/* ---- Threads ---- */

enum { THREADS = 4, ROUNDS = 2000, HELD = 16 };

static _Atomic size_t counted;

static void HOSTMEM_CALL count_report(void *state, const HostMemReport *report)
{
	(void)state;
	CHECK_INT((int)report->kind, (int)HostMemReportDoubleFree);
	counted++;
}

static void *work(void *argument)
{
	uint64_t state = (uintptr_t)argument;
	void *held[HELD] = { NULL };

	for (int i = 0; i < ROUNDS; i++) {
		size_t slot = heap_draw(&state, HELD), size = heap_draw(&state, 3000);

		if (held[slot] != NULL)
			CHECK_HR(heap_free(yard.heap, held[slot]), S_OK);
		if (i % 100 == 0 && held[slot] != NULL)
			CHECK_HR(heap_free(yard.heap, held[slot]),
				 HOST_E_INVALIDOPERATION);
		CHECK_HR(heap_alloc_debug(yard.heap, size, "threads.c", i, &held[slot]),
			 S_OK);
		if (i % 512 == 0)
			heap_trim(yard.heap);
	}
	for (size_t i = 0; i < HELD; i++)
		CHECK_HR(heap_free(yard.heap, held[i]), S_OK);
	return NULL;
}

static void several_threads_may_use_one_heap(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	pthread_t threads[THREADS];

	for (int plain = 0; plain < 2; plain++) {
		config.dwFlags = HOSTMEM_MONITOR_OFF | (plain ? 0 : HOSTMEM_DEBUG_HEAP);
		config.report = plain ? NULL : count_report;
		counted = 0;
		if (!yard_make_with(&yard, &config, MALLOC_THREADSAFE))
			return;
		for (uintptr_t i = 0; i < THREADS; i++)
			CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) ==
			      0);
		for (size_t i = 0; i < THREADS; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
		CHECK_HEAP(&yard, 0, 0);
		yard_end(&yard);
		if (plain)
			CHECK_SIZE(counted, 0);
	}
}

static void *free_both(void *argument)
{
	HRESULT hr = heap_free(yard.heap, argument);

	return (void *)(uintptr_t)(hr == S_OK);
}

static void of_two_frees_at_once_one_is_refused(void)
{
	if (!debug_yard(&yard, MALLOC_THREADSAFE, HOSTMEM_DEBUG_HEAP, &reports))
		return;
	for (int i = 0; i < 30; i++) {
		void *block = heap_take(yard.heap, 100), *result = NULL;
		pthread_t thread;
		size_t freed;

		reports.count = 0;
		CHECK(pthread_create(&thread, NULL, free_both, block) == 0);
		freed = heap_free(yard.heap, block) == S_OK;
		CHECK(pthread_join(thread, &result) == 0);
		CHECK_SIZE(freed + (uintptr_t)result, 1);
		CHECK_SIZE(reports.count, 1);
	}
	yard_end(&yard);
}

int main(void)
{
	TAP_RUN(each_report_is_one_line_that_names_the_block);
	TAP_RUN(a_callback_may_use_heaps);
	TAP_RUN(several_threads_may_use_one_heap);
	TAP_RUN(of_two_frees_at_once_one_is_refused);
	return tap_done();
}
