/*
 * A trial in a process of its own: the side of the process.
 *
 * It is a fork and no new program: the command has no threads and has loaded nothing yet, so a
 * fork is as clean, and there is no need to find the program's own file.  It is the leader of
 * a process group, so that what a module starts can be ended with it.
 *
 * Lines are written with write(2), one at a time: the end may come from a signal handler, and
 * what a buffer holds is lost in a crash.
 */
#include "conformchild.h"
#include "conformtarget.h"
#include "conformwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	REPORT = 3,       /* its descriptor, the first behind the standard ones */
	TOLD = 48 * 1024, /* bytes of findings; the parent keeps not much more */
	LINE = 1024
};

/* Set before the trial begins; a signal handler reads it. */
static const struct hm_trial *current;

/* ---- Lines ---- */

/* A line of parts, the last of them NULL; none of them may break it. */
static size_t say(const char *const *parts)
{
	char line[LINE];
	size_t length = 0;

	for (; *parts != NULL; parts++) {
		for (const char *c = *parts; *c != '\0' && length < sizeof(line) - 1; c++)
			line[length++] = (char)(*c == '\n' || *c == '\r' ? ' ' : *c);
	}
	line[length++] = '\n';
	while (write(REPORT, line, length) == -1 && errno == EINTR)
		continue;
	return length;
}

#define SAY(...) say((const char *const[]){ __VA_ARGS__, NULL })

/* A case that fails a thousand times over must not lose its last line. */
static void tell(void *state, enum hm_finding finding, const char *text)
{
	static atomic_size_t told;
	const char letter[] = { (char)finding, ' ', '\0' };
	size_t before = atomic_load(&told);

	(void)state;
	if (finding != HM_SKIP && before >= TOLD)
		return;
	before = atomic_fetch_add(&told,
				  say((const char *const[]){ letter, text, NULL }));
	if (finding != HM_SKIP && before < TOLD && atomic_load(&told) >= TOLD)
		(void)SAY("F and more, too much to be kept");
}

/* In a signal handler. */
static void tell_end(enum hm_end end, const char *what)
{
	bool known = current != NULL && current->row[0] != '\0';

	(void)SAY(end == HM_END_CRASH ? "X crashed with "
				      : "X did not end in time, stopped by ",
		  what, known ? ", at: " : "", known ? current->row : "");
}

/* ---- Processes ---- */

static void no_core(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
}

/* In the child: the standard streams are the pipe of the output and nothing to read; of all
 * other descriptors it has the report.  Those of other trials are none of its business. */
static void enter(const int *report, const int *output, int command)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)setpgid(0, 0);
	hm_watch_as_child(command);
	no_core();
	(void)dup2(nothing, STDIN_FILENO);
	(void)dup2(output[1], STDOUT_FILENO);
	(void)dup2(output[1], STDERR_FILENO);
	(void)dup2(report[1], REPORT);
	closefrom(REPORT + 1);
	(void)fcntl(REPORT, F_SETFD, FD_CLOEXEC);
}

static void close_both(const int *ends)
{
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* As fork: 0 in the child, else its number, or -1. */
static int start(struct hm_child *child)
{
	int report[2], output[2], error, command = (int)getpid();

	(void)fflush(NULL); /* or the child writes it, too */
	if (pipe2(report, O_CLOEXEC) == -1)
		return -1;
	if (pipe2(output, O_CLOEXEC) == -1) {
		error = errno;
		close_both(report);
		errno = error;
		return -1;
	}
	child->pid = (int)fork();
	if (child->pid == 0) {
		enter(report, output, command);
		return 0;
	}
	error = errno;
	(void)close(report[1]);
	(void)close(output[1]);
	child->report = report[0];
	child->output = output[0];
	(void)fcntl(report[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(output[0], F_SETFL, O_NONBLOCK);
	if (child->pid == -1) {
		(void)close(report[0]);
		(void)close(output[0]);
	}
	errno = error;
	return child->pid;
}

/* With the handlers of exit, among which a leak detector's may be. */
_Noreturn static void leave(void)
{
	exit(fcntl(REPORT, F_GETFD) == -1 ? HM_CHILD_CUT_OFF : EXIT_SUCCESS);
}

_Noreturn static void run_trial(const struct hm_run *run, const struct hm_entry *entry)
{
	struct hm_target target;
	struct hm_trial t = { .target = &target, .codes = entry->codes, .tells = tell };
	const char *why;
	char numbers[64];

	current = &t;
	hm_probe_begin(run->ms, tell_end);
	why = hm_conform_open(run->module, &target, NULL);
	if (*why == '\0')
		(void)hm_trial_run(&t, entry->what);
	else
		(void)SAY("F ", why);
	(void)snprintf(numbers, sizeof(numbers), "E %u %u", t.checks,
		       t.failures + (*why != '\0' ? 1 : 0));
	(void)SAY(numbers);
	leave();
}

int hm_child_start(struct hm_child *child, const struct hm_run *run,
		   const struct hm_entry *entry)
{
	int pid = start(child);

	if (pid == 0)
		run_trial(run, entry);
	return pid == -1 ? errno : 0;
}

static void tell_step(const char *step)
{
	(void)SAY("A ", step);
}

int hm_child_start_loading(struct hm_child *child, const struct hm_run *run)
{
	int pid = start(child);
	struct hm_target target;
	const char *why;

	if (pid != 0)
		return pid == -1 ? errno : 0;
	why = hm_conform_open(run->module, &target, tell_step);
	(void)SAY(*why == '\0' ? "L" : "F ", why);
	tell_step("a destructor");
	leave();
}
