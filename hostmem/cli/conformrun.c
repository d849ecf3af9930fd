/*
 * Running trials, several at a time, each in a process of its own.
 *
 * A trial that is over has said so in its last line.  One without that line has crashed, hung
 * or ended by itself: then it failed, with what it had found until then.  A process that does
 * not end by its own time limit, because the module holds signals back, is killed a little
 * later, with all that it has started.
 *
 * What a module prints is kept and shown with a failure; of both that and findings no more
 * than ROOM bytes.
 */
#include "conformchild.h"
#include "conformtarget.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ROOM = 64 * 1024,
	GRACE_MS = 2000, /* after the time limit of the process itself */
	LOOK_MS = 100    /* from one look at who has ended to the next, at most */
};

struct text {
	char *bytes; /* ends with a NUL */
	size_t length;
};

/* A trial that runs. */
struct running {
	struct hm_child child;
	struct hm_outcome *outcome; /* NULL: this place is free */
	unsigned long long begin, deadline;
	bool killed;
	struct text report, output;
};

/* ---- What it writes ---- */

static bool append(struct text *text, const char *bytes, size_t length)
{
	char *longer;

	if (length > ROOM - text->length)
		length = ROOM - text->length; /* the rest is lost */
	longer = (char *)realloc(text->bytes, text->length + length + 1);
	if (longer == NULL)
		return false;
	memcpy(longer + text->length, bytes, length);
	text->bytes = longer;
	text->length += length;
	text->bytes[text->length] = '\0';
	return true;
}

/* Takes what is there; the descriptor is closed, and -1, at its end. */
static void take(int *descriptor, struct text *text)
{
	char bytes[4096];
	ssize_t length;

	while (*descriptor != -1) {
		length = read(*descriptor, bytes, sizeof(bytes));
		if (length > 0) {
			(void)append(text, bytes, (size_t)length);
		} else if (length == 0 || (errno != EINTR && errno != EAGAIN)) {
			(void)close(*descriptor);
			*descriptor = -1;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

static void stop_taking(int *descriptor)
{
	if (*descriptor != -1)
		(void)close(*descriptor);
	*descriptor = -1;
}

/* ---- What it means ---- */

static void add_finding(struct hm_outcome *outcome, const char *text)
{
	size_t before = strlen(outcome->findings), length = strlen(text);
	char *longer = (char *)realloc(outcome->findings, before + length + 2);

	if (longer == NULL)
		return;
	memcpy(longer + before, text, length);
	memcpy(longer + before + length, "\n", 2);
	outcome->findings = longer;
}

/* Lines of the report; true: the last one is there. */
static bool read_report(struct hm_outcome *outcome, char *report)
{
	bool ended = false;
	char *rest = report, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == 'F' && line[1] == ' ')
			add_finding(outcome, line + 2);
		else if (line[0] == 'S' && line[1] == ' ' && outcome->skip == NULL)
			outcome->skip = strdup(line + 2);
		else if (sscanf(line, "E %u %u", &outcome->checks, &outcome->failures) ==
			 2)
			ended = true;
	}
	return ended;
}

/* Why there is no last line, where the process could not tell it itself. */
static void add_end(struct hm_outcome *outcome, int status, bool killed)
{
	char text[96];

	outcome->failures++;
	if (killed) {
		add_finding(outcome, "did not end in time, killed");
	} else if (WIFEXITED(status)) {
		(void)snprintf(text, sizeof(text),
			       "the process ended by itself, with status %d",
			       WEXITSTATUS(status));
		add_finding(outcome, text);
	} else if (outcome->findings[0] == '\0') {
		(void)snprintf(text, sizeof(text), "ended by signal %d",
			       WTERMSIG(status));
		add_finding(outcome, text);
	}
}

static void judge(struct running *self, int status)
{
	struct hm_outcome *outcome = self->outcome;
	bool ended = read_report(outcome, self->report.bytes != NULL ? self->report.bytes
								     : (char[]){ "" });

	if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		add_end(outcome, status, self->killed);
	outcome->seconds = (double)(hm_now_ms() - self->begin) / 1000;
	if (self->output.bytes != NULL)
		outcome->output = self->output.bytes;
	else
		outcome->output = strdup("");
	outcome->verdict = outcome->failures != 0  ? HM_FAILED
			   : outcome->skip != NULL ? HM_SKIPPED
						   : HM_PASSED;
	free(self->report.bytes);
	self->outcome = NULL;
}

/* ---- Processes ---- */

static int start(struct running *self, const struct hm_run *run,
		 struct hm_outcome *outcome)
{
	int error;

	memset(self, 0, sizeof(*self));
	error = hm_child_start(&self->child, run, &outcome->entry);
	if (error != 0)
		return error;
	self->outcome = outcome;
	self->begin = hm_now_ms();
	self->deadline = self->begin + run->ms + GRACE_MS;
	return 0;
}

static void end(const struct hm_child *child)
{
	/* Whoever has not become its group's leader yet is ended by his number. */
	(void)kill(-child->pid, SIGKILL);
	(void)kill(child->pid, SIGKILL);
}

/* True: it is over, and judged. */
static bool look_after(struct running *self)
{
	int status;
	pid_t pid;

	take(&self->child.report, &self->report);
	take(&self->child.output, &self->output);
	if (!self->killed && hm_now_ms() >= self->deadline) {
		end(&self->child);
		self->killed = true;
	}
	pid = waitpid(self->child.pid, &status, WNOHANG);
	if (pid == 0 || (pid == -1 && errno == EINTR))
		return false;
	/* What it has started is no part of the trial, and may hold the pipes open. */
	(void)kill(-self->child.pid, SIGKILL);
	take(&self->child.report, &self->report);
	take(&self->child.output, &self->output);
	stop_taking(&self->child.report);
	stop_taking(&self->child.output);
	judge(self, status);
	return true;
}

/* Until one of them writes or ends. */
static void wait_for_any(struct running *running, unsigned jobs)
{
	struct pollfd files[2 * 256];
	nfds_t count = 0;

	for (unsigned i = 0; i < jobs; i++) {
		if (running[i].outcome == NULL)
			continue;
		files[count++] = (struct pollfd){ running[i].child.report, POLLIN, 0 };
		files[count++] = (struct pollfd){ running[i].child.output, POLLIN, 0 };
	}
	(void)poll(files, count, LOOK_MS);
}

static void end_all(struct running *running, unsigned jobs)
{
	for (unsigned i = 0; i < jobs; i++) {
		if (running[i].outcome != NULL)
			running[i].deadline = 0;
		while (running[i].outcome != NULL && !look_after(&running[i]))
			hm_pause(1);
	}
}

/* The next trial that has not begun goes to a place that is free. */
static int fill(struct running *running, const struct hm_run *run,
		struct hm_outcome *outcomes, size_t count, size_t *begun)
{
	for (unsigned i = 0; i < run->jobs && *begun < count; i++) {
		int error;

		if (running[i].outcome != NULL)
			continue;
		error = start(&running[i], run, &outcomes[*begun]);
		if (error != 0)
			return error;
		++*begun;
	}
	return 0;
}

int hm_conform_run(const struct hm_run *run, struct hm_outcome *outcomes, size_t count)
{
	struct running *running = (struct running *)calloc(run->jobs, sizeof(*running));
	size_t begun = 0, over = 0;
	int error = running != NULL ? 0 : ENOMEM;

	for (size_t i = 0; i < count; i++)
		outcomes[i].findings = strdup("");
	while (error == 0 && over < count) {
		error = fill(running, run, outcomes, count, &begun);
		if (error != 0)
			break;
		wait_for_any(running, run->jobs);
		for (unsigned i = 0; i < run->jobs; i++) {
			if (running[i].outcome == NULL || !look_after(&running[i]))
				continue;
			over++;
			if (run->over != NULL)
				run->over(over, count);
		}
	}
	if (running != NULL)
		end_all(running, run->jobs);
	free(running);
	return error;
}

void hm_outcome_free(struct hm_outcome *outcome)
{
	free(outcome->skip);
	free(outcome->findings);
	free(outcome->output);
}

/* ---- Loading, and a trial without a process ---- */

const char *hm_conform_try(const struct hm_run *run)
{
	static char why[1024];
	struct running self;
	int status = 0;
	pid_t pid = 0;

	memset(&self, 0, sizeof(self));
	if (hm_child_start_loading(&self.child, run) != 0)
		return "no process can be started to load it";
	self.deadline = hm_now_ms() + run->ms;
	while (pid == 0 && hm_now_ms() < self.deadline) {
		take(&self.child.output, &self.output);
		take(&self.child.report, &self.report);
		pid = waitpid(self.child.pid, &status, WNOHANG);
		if (pid == 0)
			hm_pause(1);
	}
	end(&self.child);
	take(&self.child.report, &self.report);
	stop_taking(&self.child.report);
	stop_taking(&self.child.output);
	if (pid == 0) {
		(void)waitpid(self.child.pid, &status, 0);
		(void)snprintf(why, sizeof(why),
			       "it does not come back from being loaded");
	} else if (WIFSIGNALED(status)) {
		(void)snprintf(why, sizeof(why), "it crashes when it is loaded: %s",
			       strsignal(WTERMSIG(status)));
	} else if (WEXITSTATUS(status) != 0) {
		(void)snprintf(why, sizeof(why),
			       "it ends the process that loads it, with status %d",
			       WEXITSTATUS(status));
	} else {
		(void)snprintf(why, sizeof(why), "%s",
			       self.report.bytes != NULL ? self.report.bytes : "");
	}
	free(self.report.bytes);
	free(self.output.bytes);
	why[strcspn(why, "\n")] = '\0';
	return why[0] != '\0' ? why : NULL;
}

static void print_finding(void *state, enum hm_finding finding, const char *text)
{
	(void)state;
	(void)printf("%s%s\n", finding == HM_SKIP ? "skipped: " : "", text);
	(void)fflush(stdout);
}

int hm_conform_here(const char *module, const struct hm_entry *entry)
{
	struct hm_target target;
	struct hm_trial t = { .target = &target,
			      .codes = entry->codes,
			      .tells = print_finding };
	const char *why = hm_conform_open(module, &target);

	if (*why != '\0')
		return hm_command_failed("conform", why, NULL), HM_COMMAND_MISUSED;
	hm_probe_begin(0, NULL);
	(void)hm_trial_run(&t, entry->what);
	(void)printf("%s: %u checks, %u failed\n", entry->name, t.checks, t.failures);
	return t.failures == 0 ? 0 : HM_COMMAND_FAILED;
}
