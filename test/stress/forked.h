/*
 * Children that check, and whose failures are their parent's.
 */
#ifndef HOSTMEM_TEST_STRESS_FORKED_H
#define HOSTMEM_TEST_STRESS_FORKED_H

#include "test/tap.h"

#include <sys/wait.h>
#include <unistd.h>

/* Ends in the child: what was true in the parent is no excuse.  A child that waits for ever
 * is ended after so many seconds. */
static inline pid_t fork_checked(unsigned seconds)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		tap_books.failures = 0;
		(void)alarm(seconds);
	}
	return child;
}

static inline void check_child(pid_t child)
{
	int status = 0;

	if (!CHECK(child > 0) || !CHECK_INT(waitpid(child, &status, 0), child))
		return;
	CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : 0, 0);
}

/* Whether a byte can be read: it goes into a pipe, which is emptied again.  Each process
 * has a pipe of its own; one thread of it asks. */
static inline bool readable(const char *address)
{
	static int ends[2];
	static pid_t owner;
	char byte;

	if (owner != getpid()) {
		if (pipe(ends) != 0)
			abort();
		owner = getpid();
	}
	return write(ends[1], address, 1) == 1 && read(ends[0], &byte, 1) == 1;
}

#endif
