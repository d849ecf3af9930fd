/*
 * One heap in a process of its own: how it is started, asked and ended.
 *
 * Orders and answers are messages of a socket, which keeps their borders and tells when the
 * other side is gone.  A worker waits there, asleep, so that the processors are left to the
 * one that works; what it measures it measures itself, and no message is in it.
 */
#include "worker.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The loader tells on stderr of a library that it does not find; so does the worker, in
 * its first answer, and better.  What the process says later is not lost.
 */
static int hush(void)
{
	int voice = dup(STDERR_FILENO);
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (nowhere >= 0)
		(void)dup2(nowhere, STDERR_FILENO);
	return voice;
}

static _Noreturn void become(enum allocator allocator, int line)
{
	const char *library = allocator_library(allocator);
	char numbers[3][16];
	char name[] = "heap", word[] = "--worker";
	char *words[] = { name, word, numbers[0], numbers[1], numbers[2], NULL };

	(void)fcntl(line, F_SETFD, 0);
	snprintf(numbers[0], sizeof(numbers[0]), "%d", (int)allocator);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", line);
	snprintf(numbers[2], sizeof(numbers[2]), "%d", hush());
	if (library != NULL)
		(void)setenv("LD_PRELOAD", library, 1);
	else
		(void)unsetenv("LD_PRELOAD");
	(void)execv("/proc/self/exe", words);
	_exit(127);
}

bool worker_start(struct worker *worker, enum allocator allocator)
{
	int ends[2];

	worker->allocator = allocator;
	worker->process = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	fflush(NULL);
	worker->process = fork();
	if (worker->process == 0)
		become(allocator, ends[1]);
	(void)close(ends[1]);
	worker->line = ends[0];
	if (worker->process > 0)
		return true;
	(void)close(ends[0]);
	worker->process = 0;
	return false;
}

static bool exchange(int line, const struct worker_order *order,
		     struct worker_answer *answer)
{
	ssize_t got;

	if (send(line, order, sizeof(*order), MSG_NOSIGNAL) != (ssize_t)sizeof(*order))
		return false;
	do {
		got = recv(line, answer, sizeof(*answer), 0);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(*answer);
}

void worker_ask(struct worker *worker, const struct worker_order *order,
		struct worker_answer *answer)
{
	const char *why = "no process to be had";

	if (worker->process != 0 && exchange(worker->line, order, answer))
		return;
	if (worker->process != 0) {
		(void)close(worker->line);
		why = process_end(worker->process);
		worker->process = 0;
	}
	memset(answer, 0, sizeof(*answer));
	answer->verdict = FAILED;
	snprintf(answer->note, sizeof(answer->note), "%s", why);
}

void worker_stop(struct worker *worker)
{
	if (worker->process == 0)
		return;
	(void)close(worker->line);
	(void)process_end(worker->process);
	worker->process = 0;
}
