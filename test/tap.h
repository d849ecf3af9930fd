/*
 * The whole test library: TAP on stdout, for C11 and C++17.
 *
 *	static void sum_of_two_sizes(void)
 *	{
 *		CHECK_SIZE(sum(1, 2), 3);
 *	}
 *
 *	int main(void)
 *	{
 *		TAP_RUN(sum_of_two_sizes);
 *		return tap_done();
 *	}
 *
 * prints
 *
 *	ok 1 - sum of two sizes
 *	1..1
 *
 * A failing check prints both values and the source line, counts, and lets the
 * test go on; its value is false, so that a test which cannot go on may say
 * `if (!CHECK(...)) return;`.  Checks may fail on any thread, and their
 * arguments are evaluated once.  In a forked child the counters are the
 * child's own: it ends with `_exit(tap_failed())`, and the parent checks that.
 *
 * TAP_ONLY=text in the environment runs only the tests whose name contains the
 * text, written with spaces or with underscores.
 */

#ifndef HOSTMEM_TEST_TAP_H
#define HOSTMEM_TEST_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond) tap_check((cond) ? true : false, #cond, __FILE__, __LINE__)
#define CHECK_HR(got, want) tap_check_hr((got), (want), #got, __FILE__, __LINE__)
#define CHECK_SIZE(got, want) tap_check_unsigned((got), (want), #got, __FILE__, __LINE__)
#define CHECK_U32(got, want) tap_check_u32((got), (want), #got, __FILE__, __LINE__)
#define CHECK_INT(got, want) tap_check_int((got), (want), #got, __FILE__, __LINE__)
#define CHECK_STR(got, want) tap_check_str((got), (want), #got, __FILE__, __LINE__)
#define CHECK_POINTER(got, want) \
	tap_check_pointer((got), (want), #got, __FILE__, __LINE__)

/* Runs one `static void function(void)` and reports it as one test. */
#define TAP_RUN(function) tap_run(#function, (function))

/*
 * Weak, so that the source files of one program share one set of books although
 * each of them includes this header.
 */
#ifdef _WIN32
#define TAP_SHARED __attribute__((selectany))
#else
#define TAP_SHARED __attribute__((weak))
#endif
#ifdef __MINGW_PRINTF_FORMAT
#define TAP_FORMAT __attribute__((format(__MINGW_PRINTF_FORMAT, 1, 2)))
#else
#define TAP_FORMAT __attribute__((format(printf, 1, 2)))
#endif

enum {
	TAP_TEXT = 240, /* bytes of a row's or a skip's text */
	TAP_SHOWN = 25, /* failing checks of one test that are printed */
};

/* Tests are about heaps as they are without a tool that watches, see hostmem/os/tools.h. */
#ifdef __cplusplus
extern "C" {
#endif
TAP_SHARED __attribute__((visibility("default"))) void hostmem_hides_blocks(void);
TAP_SHARED void hostmem_hides_blocks(void)
{
}
#ifdef __cplusplus
}
#endif

struct tap_books {
	unsigned tests; /* run so far */
	unsigned failed_tests;
	unsigned failures; /* checks since the current test began; any thread */
	bool skipped;
	char skip[TAP_TEXT];
};

TAP_SHARED struct tap_books tap_books = { 0, 0, 0, false, { 0 } };

/* Of each thread its own, so that table tests may run on several at once. */
TAP_SHARED __thread char tap_row_text[TAP_TEXT] = { 0 };

/* Counts a failing check; *show says whether its values are to be printed. */
static inline bool tap_passed(bool passed, bool *show)
{
	unsigned before;

	*show = false;
	if (passed)
		return true;
	before = __atomic_fetch_add(&tap_books.failures, 1u, __ATOMIC_RELAXED);
	*show = before < TAP_SHOWN;
	if (before == TAP_SHOWN)
		printf("# more failing checks of this test are not shown\n");
	return false;
}

/* One printf per failure, so that the lines of two threads do not mix. */
static inline void tap_show(const char *got, const char *want, const char *text,
			    const char *file, int line)
{
	bool row = tap_row_text[0] != '\0';

	printf("# %s:%d: got %s, want %s: %s%s%s%s\n", file, line, got, want, text,
	       row ? " [" : "", tap_row_text, row ? "]" : "");
}

static inline bool tap_check(bool passed, const char *text, const char *file, int line)
{
	bool show;

	tap_passed(passed, &show);
	if (show)
		tap_show("false", "true", text, file, line);
	return passed;
}

static inline bool tap_check_hr(int32_t got, int32_t want, const char *text,
				const char *file, int line)
{
	char got_text[16], want_text[16];
	bool show;

	if (tap_passed(got == want, &show))
		return true;
	snprintf(got_text, sizeof(got_text), "0x%08" PRIx32, (uint32_t)got);
	snprintf(want_text, sizeof(want_text), "0x%08" PRIx32, (uint32_t)want);
	if (show)
		tap_show(got_text, want_text, text, file, line);
	return false;
}

/* Size, count or address: nobody knows which, so decimal and hexadecimal. */
static inline bool tap_check_unsigned(uint64_t got, uint64_t want, const char *text,
				      const char *file, int line)
{
	char got_text[48], want_text[48];
	bool show;

	if (tap_passed(got == want, &show))
		return true;
	snprintf(got_text, sizeof(got_text), "%" PRIu64 " (0x%" PRIx64 ")", got, got);
	snprintf(want_text, sizeof(want_text), "%" PRIu64 " (0x%" PRIx64 ")", want, want);
	if (show)
		tap_show(got_text, want_text, text, file, line);
	return false;
}

static inline bool tap_check_u32(uint32_t got, uint32_t want, const char *text,
				 const char *file, int line)
{
	return tap_check_unsigned(got, want, text, file, line);
}

static inline bool tap_check_int(int64_t got, int64_t want, const char *text,
				 const char *file, int line)
{
	char got_text[24], want_text[24];
	bool show;

	if (tap_passed(got == want, &show))
		return true;
	snprintf(got_text, sizeof(got_text), "%" PRId64, got);
	snprintf(want_text, sizeof(want_text), "%" PRId64, want);
	if (show)
		tap_show(got_text, want_text, text, file, line);
	return false;
}

/* NULL equals only NULL. */
static inline bool tap_check_str(const char *got, const char *want, const char *text,
				 const char *file, int line)
{
	char got_text[TAP_TEXT], want_text[TAP_TEXT];
	bool show;
	bool equal = got == NULL || want == NULL ? got == want : strcmp(got, want) == 0;

	if (tap_passed(equal, &show))
		return true;
	snprintf(got_text, sizeof(got_text), got != NULL ? "\"%s\"" : "NULL", got);
	snprintf(want_text, sizeof(want_text), want != NULL ? "\"%s\"" : "NULL", want);
	if (show)
		tap_show(got_text, want_text, text, file, line);
	return false;
}

static inline bool tap_check_pointer(const volatile void *got, const volatile void *want,
				     const char *text, const char *file, int line)
{
	char got_text[24], want_text[24];
	bool show;

	if (tap_passed(got == want, &show))
		return true;
	snprintf(got_text, sizeof(got_text), "0x%" PRIxPTR, (uintptr_t)got);
	snprintf(want_text, sizeof(want_text), "0x%" PRIxPTR, (uintptr_t)want);
	if (show)
		tap_show(got_text, want_text, text, file, line);
	return false;
}

/*
 * Names the row of a table (or the seed, or the step) that the checks which
 * follow on this thread belong to.  Empty at the start of each test.
 */
TAP_FORMAT static inline void tap_row(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(tap_row_text, sizeof(tap_row_text), format, arguments);
	va_end(arguments);
}

/*
 * Inside a test function: marks it as skipped; the function then returns.  A
 * check that failed before still makes it fail.  Before the first test: skips
 * the program, whose main then returns tap_done().
 */
TAP_FORMAT static inline void tap_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(tap_books.skip, sizeof(tap_books.skip), format, arguments);
	va_end(arguments);
	tap_books.skipped = true;
}

/* Whether a check of the current test failed, on any thread of this process. */
static inline bool tap_failed(void)
{
	return __atomic_load_n(&tap_books.failures, __ATOMIC_RELAXED) != 0;
}

static inline void tap_run(const char *function, void (*test)(void))
{
	const char *only = getenv("TAP_ONLY");
	char name[TAP_TEXT];

	if (tap_books.tests == 0)
		setvbuf(stdout, NULL, _IOLBF, BUFSIZ);

	snprintf(name, sizeof(name), "%s", function);
	for (char *c = name; *c != '\0'; c++) {
		if (*c == '_')
			*c = ' ';
	}
	if (only != NULL && strstr(name, only) == NULL && strstr(function, only) == NULL)
		return;

	tap_books.tests++;
	tap_books.skipped = false;
	tap_row_text[0] = '\0';
	/* A check that failed between two tests counts against the second. */
	test();

	if (tap_failed()) {
		tap_books.failed_tests++;
		printf("not ok %u - %s\n", tap_books.tests, name);
	} else if (tap_books.skipped) {
		printf("ok %u - %s # SKIP %s\n", tap_books.tests, name, tap_books.skip);
	} else {
		printf("ok %u - %s\n", tap_books.tests, name);
	}
	__atomic_store_n(&tap_books.failures, 0u, __ATOMIC_RELAXED);
}

/* Prints the plan.  A program that ran no test, and did not say why, fails. */
static inline int tap_done(void)
{
	if (tap_books.tests == 0 && tap_books.skipped && !tap_failed()) {
		printf("1..0 # SKIP %s\n", tap_books.skip);
		return 0;
	}
	if (tap_books.tests == 0)
		printf("# no test ran\n");
	printf("1..%u\n", tap_books.tests);
	return tap_books.tests == 0 || tap_books.failed_tests != 0 || tap_failed();
}

#endif
