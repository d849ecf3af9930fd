/*
 * A part of the benchmark in a process of its own.
 *
 * Hosts leave things behind that are kept for the next one: records, address space that
 * is open already.  In a child each configuration starts with none of it, whatever
 * was measured before, and if it crashes the others still have their figures.
 */
#include "child.h"
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void send_result(void *state, const struct result *result)
{
	/* Less than PIPE_BUF: it arrives whole.  If nobody reads, the signal ends us. */
	ssize_t sent = write(*(int *)state, result, sizeof(*result));

	if (sent != (ssize_t)sizeof(*result))
		_exit(1);
}

static _Noreturn void child(void (*body)(const void *, const struct sink *),
			    const void *argument, int pipe_end)
{
	struct sink sink = { send_result, &pipe_end };
	struct result last;

	body(argument, &sink);
	memset(&last, 0, sizeof(last));
	send_result(&pipe_end, &last);
	_exit(0);
}

/* TRUE: the child has come to its end. */
static bool receive(int pipe_end, const struct sink *sink)
{
	struct result result;
	size_t have = 0;
	ssize_t got;

	for (;;) {
		got = read(pipe_end, (char *)&result + have, sizeof(result) - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		have += (size_t)got;
		if (have < sizeof(result))
			continue;
		if (result.name[0] == '\0')
			return true;
		sink->take(sink->state, &result);
		have = 0;
	}
}

const char *child_run(void (*body)(const void *argument, const struct sink *sink),
		      const void *argument, const struct sink *sink)
{
	const char *why;
	int ends[2];
	pid_t process;
	bool whole;

	fflush(NULL);
	if (pipe(ends) != 0)
		return "no pipe to be had";
	process = fork();
	if (process == 0) {
		(void)close(ends[0]);
		child(body, argument, ends[1]);
	}
	(void)close(ends[1]);
	whole = process > 0 && receive(ends[0], sink);
	(void)close(ends[0]);
	if (process < 0)
		return "no process to be had";
	why = process_end(process);
	return whole ? NULL : why;
}
