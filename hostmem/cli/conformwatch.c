/*
 * What the command sees of its children, and that none of them outlives it.
 *
 * A module may do anything in a child: start processes that keep the pipes open, write without
 * end, leave its process group.  So a pipe is never read to its end, but as far as it is
 * filled, and not without a pause; a group is ended as soon as its first process is over; and
 * who has left his group is found at the end, because orphans become children of the command.
 *
 * Each child leads a process group, so that an interrupt from the terminal reaches the command
 * only.  It ends the children and then itself, by the same signal, as its caller expects.
 */
#include "conformwatch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ROOM = 64 * 1024, /* bytes of a text that are kept */
	READS = 64,       /* of 4 KiB, in one go */
	ROUNDS = 5000     /* of ending strays, 1 ms each: they may fork meanwhile */
};

static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
/* A sanitizer that the command was built with would make a status of them. */
static const int faults[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPIPE, SIGSEGV };
static struct sigaction before[HM_ROWS(ends)];
static volatile sig_atomic_t stopped_by;

/* Children that the command has from whoever was this process before it: a shell that has
 * become the command, with a pipe of its own to the output.  They are left alone. */
static int inherited[HM_MOST_JOBS];
static unsigned inherited_count;

/* ---- Signals ---- */

static void on_signal(int number)
{
	stopped_by = number;
}

/* The next number of a list from the kernel; 0 at its end. */
static int next_child(FILE *list)
{
	int pid = 0;

	return fscanf(list, "%d", &pid) == 1 ? pid : 0;
}

static FILE *list_children(void)
{
	return fopen("/proc/thread-self/children", "re");
}

static void remember_inherited(void)
{
	FILE *list = list_children();

	inherited_count = 0;
	if (list == NULL)
		return;
	for (int pid = next_child(list); pid != 0 && inherited_count < HM_MOST_JOBS;
	     pid = next_child(list))
		inherited[inherited_count++] = pid;
	(void)fclose(list);
}

void hm_watch_begin(void)
{
	struct sigaction action;

	remember_inherited();
	memset(&action, 0, sizeof(action));
	(void)sigemptyset(&action.sa_mask);
	/* Who ignores it gets no status of its children. */
	action.sa_handler = SIG_DFL;
	(void)sigaction(SIGCHLD, &action, NULL);
	action.sa_handler = on_signal;
	for (size_t i = 0; i < HM_ROWS(ends); i++) {
		(void)sigaction(ends[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			(void)sigaction(ends[i], &action, NULL);
	}
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
}

bool hm_watch_stopped(void)
{
	return stopped_by != 0;
}

void hm_watch_as_child(int command)
{
	sigset_t none;

	(void)sigemptyset(&none);
	for (size_t i = 0; i < HM_ROWS(ends); i++)
		(void)signal(ends[i], SIG_DFL);
	for (size_t i = 0; i < HM_ROWS(faults); i++)
		(void)signal(faults[i], SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL);
	if (getppid() != command)
		_exit(EXIT_FAILURE); /* it was too late */
}

/* ---- The end of children ---- */

void hm_child_kill(const struct hm_child *child)
{
	/* Whoever has not become its group's leader yet is ended by his number. */
	(void)kill(-child->pid, SIGKILL);
	(void)kill(child->pid, SIGKILL);
}

static bool is_inherited(int pid)
{
	for (unsigned i = 0; i < inherited_count; i++) {
		if (inherited[i] == pid)
			return true;
	}
	return inherited_count == HM_MOST_JOBS; /* who knows */
}

/* How many there were. */
static unsigned kill_strays(void)
{
	FILE *list = list_children();
	unsigned count = 0;

	if (list == NULL)
		return 0;
	for (int pid = next_child(list); pid != 0; pid = next_child(list)) {
		if (is_inherited(pid))
			continue;
		(void)kill(pid, SIGKILL);
		count++;
	}
	(void)fclose(list);
	return count;
}

/* Whether to look again: who was killed takes his time to go. */
static bool any_left(void)
{
	unsigned strays = kill_strays();
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid == 0 && (strays != 0 || inherited_count == 0);
}

void hm_watch_end(void)
{
	for (unsigned round = 0; round < ROUNDS && any_left(); round++)
		hm_pause(1);
	for (size_t i = 0; i < HM_ROWS(ends); i++)
		(void)sigaction(ends[i], &before[i], NULL);
	if (stopped_by != 0)
		(void)raise(stopped_by);
}

/* ---- What a child writes ---- */

static void append(struct hm_text *text, const char *bytes, size_t length)
{
	char *longer;

	if (length > ROOM - text->length)
		length = ROOM - text->length; /* the rest is lost */
	if (length == 0)
		return;
	longer = (char *)realloc(text->bytes, text->length + length + 1);
	if (longer == NULL)
		return;
	memcpy(longer + text->length, bytes, length);
	text->bytes = longer;
	text->length += length;
	text->bytes[text->length] = '\0';
}

static void close_it(int *descriptor)
{
	if (*descriptor != -1)
		(void)close(*descriptor);
	*descriptor = -1;
}

/* Takes what is there; the descriptor is closed, and -1, at its end. */
static void take(int *descriptor, struct hm_text *text)
{
	char bytes[4096];

	for (unsigned i = 0; i < READS && *descriptor != -1; i++) {
		ssize_t length = read(*descriptor, bytes, sizeof(bytes));

		if (length > 0)
			append(text, bytes, (size_t)length);
		else if (length == -1 && errno == EAGAIN)
			return;
		else if (length == 0 || errno != EINTR)
			close_it(descriptor);
	}
}

/* It stays a zombie. */
static bool has_ended(int pid)
{
	siginfo_t ended;

	ended.si_pid = 0;
	if (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == -1)
		return errno != EINTR;
	return ended.si_pid != 0;
}

bool hm_child_over(struct hm_child *child, struct hm_text *report, struct hm_text *output,
		   int *status)
{
	take(&child->report, report);
	take(&child->output, output);
	if (!has_ended(child->pid))
		return false;
	/* What it has started is no part of the trial, and may hold the pipes open.  Until its
	 * leader is waited for, the number of the group is nobody else's. */
	(void)kill(-child->pid, SIGKILL);
	(void)waitpid(child->pid, status, 0);
	take(&child->report, report);
	take(&child->output, output);
	close_it(&child->report);
	close_it(&child->output);
	return true;
}
