/*
 * Tests that change their whole process, and so run in a forked child: limits, locked
 * memory, policies, a death.
 */
#ifndef HOSTMEM_CONFORMANCE_CHILD_H
#define HOSTMEM_CONFORMANCE_CHILD_H

#include "test/tap.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* else there are mappings that no limit and no lock may meet */
#endif

enum { CHILD_SKIPPED = 77 };

/* What a child says that cannot run here goes through a pipe. */
static inline void child_run(void (*body)(void), int reasons)
{
	ssize_t written;

	(void)alarm(120);
	tap_books.failures = 0;
	body();
	written = write(reasons, tap_books.skip, sizeof(tap_books.skip));
	(void)written;
	_exit(tap_failed() ? 1 : tap_books.skipped ? CHILD_SKIPPED : 0);
}

/* Runs a part of a test in a child; its failures and its skips are the test's own. */
static inline void in_child(void (*body)(void))
{
	char reason[TAP_TEXT] = "";
	int ends[2], status = 0;
	ssize_t got;
	pid_t child;

	if (!CHECK(pipe(ends) == 0))
		return;
	fflush(stdout);
	child = fork();
	if (child == 0)
		child_run(body, ends[1]);
	(void)close(ends[1]);
	got = read(ends[0], reason, sizeof(reason) - 1);
	(void)close(ends[0]);
	if (!CHECK(child > 0) || !CHECK_INT(waitpid(child, &status, 0), child))
		return;
	CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPPED && got > 0)
		tap_skip("%s", reason);
	else
		CHECK_INT(WEXITSTATUS(status), 0);
}

/* For the rest of the child's life. */
static inline bool child_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
		return false;
	limit.rlim_cur = value;
	return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

#endif
