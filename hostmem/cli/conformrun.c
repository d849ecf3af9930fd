/*
 * Running trials, several at a time, each in a process of its own.
 *
 * A trial that is over has said so in its last line.  One without that line has crashed, hung
 * or ended by itself: then it failed, with what it had found until then.  A process that does
 * not end by its own time limit, because the module holds signals back, is killed a little
 * later, with all that it has started.
 *
 * A host that never comes back would take half a minute for each of hundreds of trials.  After
 * ten of them nobody learns more from waiting for the others, so these get a tenth of the time.
 *
 * Where the system has no process or descriptor left for one more, fewer run at a time.
 */
#include "conformwatch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
	GRACE_MS = 2000, /* after the time limit of the process itself */
	LOOK_MS = 100,   /* from one look at who has ended to the next, at most */
	MOST_LATE = 10, /* trials that ended by the limit; later ones get less time ... */
	LESS_TIME = 10, /* ... by so much ... */
	LEAST_TIME_MS = 1000 /* ... but not below that */
};

/* A trial that runs. */
struct running {
	struct hm_child child;
	struct hm_outcome *outcome; /* NULL: this place is free */
	unsigned long long begin, deadline;
	bool killed;
	struct hm_text report, output;
};

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

struct end {
	bool numbers, told; /* the last line; how it ended */
	bool lost;          /* there was no memory for why it was skipped */
};

static struct end read_report(struct hm_outcome *outcome, char *report)
{
	struct end end = { false, false, false };
	char *rest = report, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == 'X' && line[1] == ' ')
			end.told = true;
		if ((line[0] == 'F' || line[0] == 'X') && line[1] == ' ') {
			outcome->failures++;
			add_finding(outcome, line + 2);
		} else if (line[0] == 'S' && line[1] == ' ' && outcome->skip == NULL) {
			outcome->skip = strdup(line + 2);
			end.lost = outcome->skip == NULL;
		} else if (sscanf(line, "E %u %u", &outcome->checks,
				  &outcome->failures) == 2) {
			end.numbers = true;
		}
	}
	return end;
}

/* Why it did not end well, where the process could not tell it itself. */
static void add_end(struct hm_outcome *outcome, int status, bool killed)
{
	char text[96];

	if (killed)
		(void)snprintf(text, sizeof(text), "did not end in time, killed");
	else if (WIFSIGNALED(status))
		(void)snprintf(text, sizeof(text), "ended by signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == HM_CHILD_CUT_OFF)
		(void)snprintf(text, sizeof(text),
			       "closed descriptors that are not the host's");
	else
		(void)snprintf(text, sizeof(text),
			       "the process ended by itself, with status %d",
			       WEXITSTATUS(status));
	outcome->failures++;
	add_finding(outcome, text);
}

static void judge(struct running *self, int status)
{
	struct hm_outcome *outcome = self->outcome;
	struct end end = { false, false, false };

	if (self->report.bytes != NULL)
		end = read_report(outcome, self->report.bytes);
	if (end.lost) { /* it must not pass; the last line has its own count of failures */
		outcome->failures++;
		add_finding(outcome, "was skipped, and there was no memory for why");
	}
	outcome->broke = !end.numbers || end.told || !WIFEXITED(status) ||
			 WEXITSTATUS(status) != 0;
	if (outcome->broke && !end.told)
		add_end(outcome, status, self->killed);
	outcome->seconds = (double)(hm_now_ms() - self->begin) / 1000;
	outcome->output = self->output.bytes != NULL ? self->output.bytes : strdup("");
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

static bool is_late(const struct running *self)
{
	return hm_now_ms() >= self->deadline - GRACE_MS;
}

/* True: it is over, and judged. */
static bool look_after(struct running *self)
{
	int status = 0;

	if (!self->killed && hm_now_ms() >= self->deadline) {
		hm_child_kill(&self->child);
		self->killed = true;
	}
	if (!hm_child_over(&self->child, &self->report, &self->output, &status))
		return false;
	judge(self, status);
	return true;
}

/* Until one of them writes or ends. */
static void wait_for_any(const struct running *running, unsigned jobs)
{
	struct pollfd files[2 * HM_MOST_JOBS];
	int ms = LOOK_MS;
	nfds_t count = 0;

	for (unsigned i = 0; i < jobs; i++) {
		const struct hm_child *child = &running[i].child;

		if (running[i].outcome == NULL)
			continue;
		/* It has closed its pipes, and is about to end. */
		if (child->report == -1 && child->output == -1)
			ms = 1;
		files[count++] = (struct pollfd){ child->report, POLLIN, 0 };
		files[count++] = (struct pollfd){ child->output, POLLIN, 0 };
	}
	(void)poll(files, count, ms);
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

static bool any_runs(const struct running *running, unsigned jobs)
{
	for (unsigned i = 0; i < jobs; i++) {
		if (running[i].outcome != NULL)
			return true;
	}
	return false;
}

/* The next trials that have not begun go to the places that are free. */
static int fill(struct running *running, const struct hm_run *run,
		struct hm_outcome *outcomes, size_t count, size_t *begun)
{
	for (unsigned i = 0; i < run->jobs && *begun < count; i++) {
		int error;

		if (running[i].outcome != NULL)
			continue;
		error = start(&running[i], run, &outcomes[*begun]);
		if (error != 0) /* one more, when one has ended */
			return any_runs(running, run->jobs) ? 0 : error;
		++*begun;
	}
	return 0;
}

/* How many are over; *late counts those that were by then beyond their limit. */
static size_t look_after_all(struct running *running, unsigned jobs, unsigned *late)
{
	size_t over = 0;

	for (unsigned i = 0; i < jobs; i++) {
		bool beyond;

		if (running[i].outcome == NULL)
			continue;
		beyond = is_late(&running[i]);
		if (!look_after(&running[i]))
			continue;
		over++;
		*late += beyond;
	}
	return over;
}

static unsigned less_time(unsigned ms)
{
	unsigned less = ms / LESS_TIME > LEAST_TIME_MS ? ms / LESS_TIME : LEAST_TIME_MS;

	return ms < less ? ms : less;
}

int hm_conform_run(const struct hm_run *run, struct hm_outcome *outcomes, size_t count)
{
	struct running *running = (struct running *)calloc(run->jobs, sizeof(*running));
	struct hm_run now = *run;
	size_t begun = 0, over = 0;
	unsigned late = 0;
	int error = running != NULL ? 0 : ENOMEM;

	for (size_t i = 0; i < count; i++) {
		outcomes[i].findings = strdup("");
		if (outcomes[i].findings == NULL)
			error = ENOMEM;
	}
	hm_watch_begin();
	while (error == 0 && over < count) {
		if (late >= MOST_LATE)
			now.ms = less_time(run->ms);
		error = fill(running, &now, outcomes, count, &begun);
		if (error != 0)
			break;
		wait_for_any(running, run->jobs);
		over += look_after_all(running, run->jobs, &late);
		if (run->over != NULL)
			run->over(over, count);
		if (hm_watch_stopped())
			error = EINTR;
	}
	if (running != NULL)
		end_all(running, run->jobs);
	free(running);
	hm_watch_end();
	return error;
}

void hm_outcome_free(struct hm_outcome *outcome)
{
	free(outcome->skip);
	free(outcome->findings);
	free(outcome->output);
}
