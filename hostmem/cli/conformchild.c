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

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Set before the trial begins; a signal handler reads them. */
static int report_to = -1;
static const struct hm_trial *current;

/* ---- Lines ---- */

/* A line of parts, the last of them NULL; none of them may break it. */
static void say(const char *const *parts)
{
	char line[1024];
	size_t length = 0;

	for (; *parts != NULL; parts++) {
		for (const char *c = *parts; *c != '\0' && length < sizeof(line) - 1; c++)
			line[length++] = (char)(*c == '\n' || *c == '\r' ? ' ' : *c);
	}
	line[length++] = '\n';
	while (write(report_to, line, length) == -1 && errno == EINTR)
		continue;
}

#define SAY(...) say((const char *const[]){ __VA_ARGS__, NULL })

static void tell(void *state, enum hm_finding finding, const char *text)
{
	const char letter[] = { (char)finding, ' ', '\0' };

	(void)state;
	SAY(letter, text);
}

/* In a signal handler. */
static void tell_end(enum hm_end end, const char *what)
{
	bool known = current != NULL && current->row[0] != '\0';

	SAY(end == HM_END_CRASH ? "F crashed with "
				: "F did not end in time, stopped by ",
	    what, known ? ", at: " : "", known ? current->row : "");
}

/* ---- Processes ---- */

static int no_core(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none);
}

/* In the child: the standard streams are the pipe of the output and nothing to read. */
static void enter(struct hm_child *child, const int *report, const int *output)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)setpgid(0, 0);
	(void)no_core();
	(void)dup2(nothing, STDIN_FILENO);
	(void)dup2(output[1], STDOUT_FILENO);
	(void)dup2(output[1], STDERR_FILENO);
	(void)close(nothing);
	(void)close(output[0]);
	(void)close(output[1]);
	(void)close(report[0]);
	report_to = report[1];
	child->report = child->output = -1;
}

static void close_both(const int *ends)
{
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* As fork: 0 in the child, else its number, or -1. */
static int start(struct hm_child *child)
{
	int report[2], output[2], error;

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
		enter(child, report, output);
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

static void tell_numbers(const struct hm_trial *t)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "E %u %u", t->checks, t->failures);
	SAY(text);
}

_Noreturn static void run_trial(const struct hm_run *run, const struct hm_entry *entry)
{
	struct hm_target target;
	struct hm_trial t = { .target = &target, .codes = entry->codes, .tells = tell };
	const char *why;

	current = &t;
	hm_probe_begin(run->ms, tell_end);
	why = hm_conform_open(run->module, &target);
	if (*why != '\0')
		SAY("F ", why);
	else if (hm_trial_run(&t, entry->what))
		tell_numbers(&t);
	/* With the handlers of exit, among which a leak detector's may be. */
	exit(EXIT_SUCCESS);
}

int hm_child_start(struct hm_child *child, const struct hm_run *run,
		   const struct hm_entry *entry)
{
	int pid = start(child);

	if (pid == 0)
		run_trial(run, entry);
	return pid == -1 ? errno : 0;
}

int hm_child_start_loading(struct hm_child *child, const struct hm_run *run)
{
	int pid = start(child);
	struct hm_target target;
	const char *why;

	if (pid != 0)
		return pid == -1 ? errno : 0;
	why = hm_conform_open(run->module, &target);
	if (*why != '\0')
		SAY(why);
	_exit(EXIT_SUCCESS);
}
