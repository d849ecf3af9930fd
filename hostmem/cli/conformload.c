/*
 * Loading a module, and nothing else; and a trial without a process.
 *
 * What cannot be judged is told in one line, so the module is loaded once before all trials, in
 * a process of its own: it may crash, hang, or end the process.  The process says which step
 * it takes before it takes it, so that the line says where that was.
 */
#include "conformtarget.h"
#include "conformwatch.h"

#include "display.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct load {
	struct hm_child child;
	struct hm_text report, output;
	int status;
	bool killed;
	const char *step; /* the last that it took */
	const char *why;  /* what it said itself, or NULL */
	bool loaded;
};

/* Until it is over, one way or the other. */
static void wait_for_end(struct load *self, unsigned ms)
{
	unsigned long long deadline = hm_now_ms() + ms;

	while (!hm_child_over(&self->child, &self->report, &self->output,
			      &self->status)) {
		if (!self->killed && (hm_now_ms() >= deadline || hm_watch_stopped())) {
			hm_child_kill(&self->child);
			self->killed = true;
		}
		hm_pause(1);
	}
}

static void read_lines(struct load *self)
{
	char *rest = self->report.bytes, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (strncmp(line, "A ", 2) == 0)
			self->step = line + 2;
		else if (strncmp(line, "F ", 2) == 0)
			self->why = line + 2;
		else if (strcmp(line, "L") == 0)
			self->loaded = true;
	}
}

/* In one line, "" if all is well. */
static void judge(const struct load *self, char *why, size_t size)
{
	int status = self->status;

	if (self->why != NULL)
		(void)snprintf(why, size, "%s", self->why);
	else if (self->killed)
		(void)snprintf(why, size, "it does not come back from %s", self->step);
	else if (WIFSIGNALED(status))
		(void)snprintf(why, size, "it crashes in %s: %s", self->step,
			       strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == HM_CHILD_CUT_OFF)
		(void)snprintf(why, size, "it closes descriptors that are not its own");
	else if (WEXITSTATUS(status) != 0 || !self->loaded)
		(void)snprintf(why, size, "it ends the process in %s, with status %d",
			       self->step, WEXITSTATUS(status));
	else
		why[0] = '\0';
}

const char *hm_conform_try(const struct hm_run *run)
{
	static char why[1200];
	struct load self;
	int error;

	memset(&self, 0, sizeof(self));
	self.step = "its first step";
	hm_watch_begin();
	error = hm_child_start_loading(&self.child, run);
	if (error == 0) {
		wait_for_end(&self, run->ms);
		read_lines(&self);
		judge(&self, why, sizeof(why));
	} else {
		(void)snprintf(why, sizeof(why),
			       "no process can be started to load it: %s",
			       strerror(error));
	}
	hm_watch_end();
	free(self.report.bytes);
	free(self.output.bytes);
	return why[0] != '\0' ? why : NULL;
}

static void print_finding(void *state, enum hm_finding finding, const char *text)
{
	(void)state;
	(void)fputs(finding == HM_SKIP ? "skipped: " : "", stdout);
	hm_display_text(stdout, text);
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
}

int hm_conform_here(const char *module, const struct hm_entry *entry, bool strict)
{
	struct hm_target target;
	struct hm_trial t = { .target = &target,
			      .codes = entry->codes,
			      .tells = print_finding };
	const char *why = hm_conform_open(module, &target, NULL);

	if (*why != '\0')
		return hm_conform_cannot(module, why);
	hm_probe_begin(0, NULL);
	(void)hm_trial_run(&t, entry->what);
	(void)printf("%s: %u checks, %u failed\n", entry->name, t.checks, t.failures);
	return t.failures == 0 && !(strict && t.skipped) ? 0 : HM_COMMAND_FAILED;
}
