/*
 * The other side of samples/pressure.c: a process outside of the control group, which looks
 * how full it is, draws that, tells how the program in it has ended, and removes it.
 *
 * A signal that would end this process ends the other one first; then the group is removed,
 * and then the signal has its way.
 */
#ifndef PRESSURE_WATCH_H
#define PRESSURE_WATCH_H

#include "pressure_group.h"
#include "pressure_heard.h"
#include "sample_report.h"

#include <signal.h>
#include <sys/wait.h>

struct watch {
	struct group group;
	struct sample picture; /* of the group's use; no host */
};

static volatile sig_atomic_t watch_signal;

static inline void watch_note_signal(int number)
{
	watch_signal = number;
}

/* NULL, or why it cannot be. */
static inline const char *watch_open(struct watch *watch, uint64_t limit)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM };
	const struct sigaction note = { .sa_handler = watch_note_signal };

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &note, NULL);
	memset(watch, 0, sizeof(*watch));
	watch->picture.slice = 1e-3;
	clock_gettime(CLOCK_MONOTONIC, &watch->picture.start);
	return group_make(&watch->group, limit);
}

static inline void watch_close(struct watch *watch)
{
	if (!group_remove(&watch->group))
		fprintf(stderr, "pressure: cannot remove %s\n", watch->group.path);
	if (watch_signal == 0)
		return;
	(void)signal(watch_signal, SIG_DFL);
	(void)raise(watch_signal);
}

/* Returns the child's status, as waitpid tells it. */
static inline int watch_child(struct watch *watch, pid_t child)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	struct sample *picture = &watch->picture;
	int status = 0;

	while (waitpid(child, &status, WNOHANG) == 0) {
		size_t before = picture->committed;

		picture->committed = group_read(&watch->group, GROUP_USED, NULL);
		sample_plot(picture, before);
		if (watch_signal != 0)
			(void)kill(child, SIGKILL);
		nanosleep(&pause, NULL);
	}
	return status;
}

/* Below the drawing, in its columns: L for Low, N for Neutral, H for High. */
static inline void watch_draw_notes(const struct sample *picture,
				    const struct heard *heard)
{
	char marks[SAMPLE_COLUMNS + 1];
	unsigned count = heard->count;

	if (count == 0)
		return;
	memset(marks, ' ', sizeof(marks));
	for (unsigned i = count > HEARD_NOTES ? count - HEARD_NOTES : 0; i < count; i++) {
		const struct heard_note *note = &heard->notes[i % HEARD_NOTES];
		unsigned column = (unsigned)(note->at / picture->slice);

		if (column < SAMPLE_COLUMNS)
			marks[column] = " LNH"[note->what];
	}
	marks[picture->columns] = '\0';
	printf("  %12s  %s\n", "was told", marks);
}

/* Prints how it went; returns 0 if the program lived to its end. */
static inline int watch_report(struct watch *watch, int status, const struct heard *heard)
{
	struct sample *picture = &watch->picture;
	double peak = (double)group_read(&watch->group, GROUP_PEAK, NULL);
	double mib = 1 << 20;

	if (peak == 0) /* the kernel does not keep it: the most that was seen */
		peak = (double)picture->peak;
	picture->peak = watch->group.limit; /* the height of the drawing */
	setlocale(LC_CTYPE, "");
	sample_draw(picture, "Memory of the group over the run");
	watch_draw_notes(picture, heard);
	putchar('\n');
	if (WIFSIGNALED(status))
		printf("killed %s(signal %d)",
		       group_read(&watch->group, GROUP_KILLED, "oom_kill ") != 0
			       ? "by the kernel "
			       : "",
		       WTERMSIG(status));
	else
		fputs(WEXITSTATUS(status) == 0 ? "lived" : "failed", stdout);
	printf(" at %.2f s; at the peak %.1f of %.1f MiB", sample_seconds(picture),
	       peak / mib, (double)watch->group.limit / mib);
	if (heard->count != 0)
		printf("; told Low %u times, Neutral %u times",
		       heard_times(heard, eMemoryAvailableLow),
		       heard_times(heard, eMemoryAvailableNeutral));
	putchar('\n');
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

#endif /* PRESSURE_WATCH_H */
