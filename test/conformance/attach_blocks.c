/*
 * The malloc family by the translated functions: blocks of the host's and of the C library's
 * side by side, and the ways of the C library in all that can be seen.
 */
#include "attach.h"
#include "child.h"

#include <malloc.h>
#include <signal.h>

static char *early; /* a block from before a host was attached */

static uint64_t live_blocks(void)
{
	return host_usage(&attach_host).cBlocks;
}

/* ---- Whose a block is ---- */

static void blocks_come_from_the_host_and_go_back(void)
{
	static const size_t sizes[] = { 0, 1, 16, 100, 4096, 5000, 100000, 4 * MIB };
	uint64_t before = live_blocks();

	for (size_t i = 0; i < ROWS(sizes); i++) {
		unsigned char *block;

		tap_row("%zu bytes", sizes[i]);
		errno = NO_ERROR;
		block = HostMemMalloc(sizes[i]);
		if (!CHECK(block != NULL))
			return;
		CHECK_SIZE((uintptr_t)block % 16, 0);
		CHECK_SIZE(live_blocks(), before + 1);
		CHECK(HostMemMallocUsableSize(block) >= sizes[i]);
		memset(block, 1, HostMemMallocUsableSize(block));
		HostMemFree(block);
		CHECK_INT(errno, NO_ERROR);
		CHECK_SIZE(live_blocks(), before);
	}
}

static void blocks_of_the_c_library_stay_its_own(void)
{
	uint64_t before = live_blocks();
	char *copy = strdup("made by the C library"), *line = NULL;
	size_t room = 0;
	FILE *file = tmpfile();

	CHECK_STR(early, "early");
	early = HostMemRealloc(early, 100000);
	CHECK(early != NULL && strcmp(early, "early") == 0);
	CHECK(HostMemMallocUsableSize(early) >= 100000);
	HostMemFree(early);
	CHECK(HostMemMallocUsableSize(copy) >= strlen(copy) + 1);
	HostMemFree(copy);
	CHECK(fputs("a line\n", file) > 0);
	rewind(file);
	CHECK_INT(getline(&line, &room, file), 7);
	line = HostMemRealloc(line, sizeof("a line\n"));
	CHECK_STR(line, "a line\n");
	HostMemFree(line);
	CHECK_INT(fclose(file), 0);
	CHECK_SIZE(live_blocks(), before);
}

static void texts_are_copied_into_blocks_of_the_host(void)
{
	uint64_t before = live_blocks();
	char *whole = HostMemStrdup("whole"), *part = HostMemStrndup("partly", 4);
	char *none = HostMemStrndup("text", 0);

	CHECK_STR(whole, "whole");
	CHECK_STR(part, "part");
	CHECK_STR(none, "");
	CHECK_SIZE(live_blocks(), before + 3);
	HostMemFree(whole);
	HostMemFree(part);
	HostMemFree(none);
	CHECK_SIZE(live_blocks(), before);
}

/* ---- As glibc does it ---- */

static void nothing_is_done_with_no_block(void)
{
	uint64_t before = live_blocks();
	void *block;

	errno = NO_ERROR;
	HostMemFree(NULL);
	CHECK_SIZE(HostMemMallocUsableSize(NULL), 0);
	block = HostMemRealloc(NULL, 10);
	CHECK(block != NULL);
	CHECK_POINTER(HostMemRealloc(block, 0), NULL);
	block = HostMemRealloc(NULL, 0);
	CHECK(block != NULL);
	HostMemFree(block);
	CHECK_INT(errno, NO_ERROR);
	CHECK_SIZE(live_blocks(), before);
}

static void contents_go_with_a_block_that_changes_its_size(void)
{
	static const size_t sizes[] = { 10, 100, 5000, 200000, 3 * MIB, 70000, 600, 8 };
	unsigned char *block = HostMemMalloc(8);
	uint64_t blocks = live_blocks();

	memset(block, 5, 8);
	for (size_t i = 0; i < ROWS(sizes); i++) {
		tap_row("%zu bytes", sizes[i]);
		block = HostMemRealloc(block, sizes[i]);
		if (!CHECK(block != NULL) || !CHECK(holds(block, 8, 5)))
			return;
		memset(block, 5, sizes[i]);
		CHECK_SIZE(live_blocks(), blocks);
	}
	HostMemFree(block);
}

static void zero_is_zero_also_in_a_block_that_was_used(void)
{
	unsigned char *block;

	for (size_t size = 1; size < 300000; size = size * 3 + 1) {
		tap_row("%zu bytes", size);
		block = HostMemMalloc(size);
		memset(block, 0xFF, size);
		HostMemFree(block);
		block = HostMemCalloc(size, 1);
		CHECK(block != NULL && holds(block, size, 0));
		HostMemFree(block);
	}
	block = HostMemCalloc(0, 100);
	CHECK(block != NULL);
	HostMemFree(block);
}

static void sizes_that_nobody_has_are_enomem(void)
{
	uint64_t before = live_blocks();
	void *block = HostMemMalloc(100);

	errno = 0;
	CHECK_POINTER(HostMemMalloc(SIZE_MAX), NULL);
	CHECK_INT(errno, ENOMEM);
	errno = 0;
	CHECK_POINTER(HostMemCalloc(SIZE_MAX / 2, 3), NULL);
	CHECK_INT(errno, ENOMEM);
	errno = 0;
	CHECK_POINTER(HostMemReallocArray(block, SIZE_MAX / 2, 3), NULL);
	CHECK_INT(errno, ENOMEM);
	errno = 0;
	CHECK_POINTER(HostMemRealloc(block, SIZE_MAX - 10), NULL);
	CHECK_INT(errno, ENOMEM);
	errno = 0;
	CHECK_POINTER(HostMemAlignedAlloc(4096, SIZE_MAX - 10), NULL);
	CHECK_INT(errno, ENOMEM);
	block = HostMemReallocArray(block, 10, 30);
	CHECK(HostMemMallocUsableSize(block) >= 300);
	HostMemFree(block);
	CHECK_SIZE(live_blocks(), before);
}

static void alignments_are_those_of_glibc(void)
{
	static const struct {
		size_t wanted, got;
	} rows[] = { { 0, 16 },      { 1, 16 },    { 3, 16 },      { 16, 16 },
		     { 24, 32 },     { 100, 128 }, { 4096, 4096 }, { 5000, 8192 },
		     { UNIT, UNIT }, { MIB, MIB } };

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *block;

		tap_row("alignment %zu", rows[i].wanted);
		block = HostMemAlignedAlloc(rows[i].wanted, 100);
		if (!CHECK(block != NULL))
			continue;
		CHECK_SIZE((uintptr_t)block % rows[i].got, 0);
		memset(block, 1, 100);
		block = HostMemRealloc(block, 10000);
		CHECK(block != NULL && holds(block, 100, 1));
		HostMemFree(block);
	}
	errno = 0;
	CHECK_POINTER(HostMemAlignedAlloc(SIZE_MAX / 2 + 2, 100), NULL);
	CHECK_INT(errno, EINVAL);
}

static void posix_memalign_tells_its_error_and_keeps_errno(void)
{
	static const size_t bad[] = { 0, 1, 4, 24, 100, SIZE_MAX };
	void *block = POISON;

	errno = NO_ERROR;
	for (size_t i = 0; i < ROWS(bad); i++)
		CHECK_INT(HostMemPosixMemalign(&block, bad[i], 10), EINVAL);
	CHECK_INT(HostMemPosixMemalign(&block, 64, SIZE_MAX - 10), ENOMEM);
	CHECK_POINTER(block, POISON);
	CHECK_INT(HostMemPosixMemalign(&block, 64, 10), 0);
	CHECK_SIZE((uintptr_t)block % 64, 0);
	CHECK_INT(errno, NO_ERROR);
	HostMemFree(block);
}

/* ---- The budget ---- */

static void a_full_budget_refuses_new_blocks_and_no_smaller_ones(void)
{
	unsigned char *block = HostMemMalloc(MIB), *small = HostMemMalloc(3000);
	uint64_t before;

	memset(block, 5, MIB);
	memset(small, 6, 3000);
	attach_limit(0);
	before = live_blocks();
	errno = 0;
	CHECK_POINTER(HostMemMalloc(4 * MIB), NULL);
	CHECK_INT(errno, ENOMEM);
	errno = 0;
	CHECK_POINTER(HostMemRealloc(block, 4 * MIB), NULL);
	CHECK_INT(errno, ENOMEM);
	CHECK(holds(block, MIB, 5));
	errno = NO_ERROR;
	small = HostMemRealloc(small, 2000);
	CHECK(small != NULL && holds(small, 2000, 6));
	block = HostMemRealloc(block, MIB / 2);
	CHECK(block != NULL && holds(block, MIB / 2, 5));
	CHECK_INT(errno, NO_ERROR);
	CHECK_SIZE(live_blocks(), before);
	attach_limit(SIZE_MAX);
	HostMemFree(block);
	HostMemFree(small);
}

/* ---- Mistakes ---- */

static int mistake;

static void make_mistake(void)
{
	static const size_t sizes[] = { 100, 100, 100000, 100 };
	char *block = HostMemMalloc(sizes[mistake]), *other = HostMemMalloc(100);
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(SIGABRT, SIG_DFL);
	if (mistake == 3)
		HostMemFree(block + 16);
	HostMemFree(block);
	if (mistake == 1)
		(void)HostMemRealloc(block, 10);
	HostMemFree(block);
	HostMemFree(other);
}

static bool without_arenas(void)
{
	const char *pages = getenv("HOSTMEM_PAGES");

	return pages != NULL && strcmp(pages, "direct") == 0;
}

/* Ends the child by SIGABRT, with a line on the standard error. */
static void a_block_that_is_freed_twice_ends_the_process(void)
{
	static const char *const lines[] = {
		"free(): the block was freed before, or is none\n",
		"realloc(): the block was freed before, or is none\n",
	};

	for (mistake = 0; mistake < 4; mistake++) {
		char text[200] = "";
		int ends[2], status = 0;
		pid_t child;

		/* Without arenas the pages of a large one are nobody's again. */
		if (mistake == 2 && without_arenas())
			continue;
		tap_row("mistake %d", mistake);
		if (!CHECK(pipe(ends) == 0))
			return;
		child = fork();
		if (child == 0) {
			(void)alarm(60);
			(void)dup2(ends[1], 2);
			make_mistake();
			_exit(0);
		}
		(void)close(ends[1]);
		CHECK(read(ends[0], text, sizeof(text) - 1) > 0);
		(void)close(ends[0]);
		CHECK_INT(waitpid(child, &status, 0), child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		CHECK_STR(text, lines[mistake == 1]);
	}
}

int main(void)
{
	early = HostMemStrdup("early");
	if (!attach_with(NULL, 0))
		return tap_done();
	TAP_RUN(blocks_come_from_the_host_and_go_back);
	TAP_RUN(blocks_of_the_c_library_stay_its_own);
	TAP_RUN(texts_are_copied_into_blocks_of_the_host);
	TAP_RUN(nothing_is_done_with_no_block);
	TAP_RUN(contents_go_with_a_block_that_changes_its_size);
	TAP_RUN(zero_is_zero_also_in_a_block_that_was_used);
	TAP_RUN(sizes_that_nobody_has_are_enomem);
	TAP_RUN(alignments_are_those_of_glibc);
	TAP_RUN(posix_memalign_tells_its_error_and_keeps_errno);
	TAP_RUN(a_full_budget_refuses_new_blocks_and_no_smaller_ones);
	TAP_RUN(a_block_that_is_freed_twice_ends_the_process);
	return tap_done();
}
