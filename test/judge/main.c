/*
 * The judge: the conformance suite as a program for Windows, asked of the real Win32 calls.
 *
 *	judge.exe                 all cases, each in a process of its own
 *	judge.exe NAME...         these cases in this process, for a debugger
 *	judge.exe --list          the cases, with the sources of their rules
 *	judge.exe --told NAME     one case, as it tells the process above
 *
 * What our own host has to answer is what Windows does; so the cases are asked of somebody
 * who was not written by us.  Under Wine that is an approximation whose differences are known,
 * and named in the cases.
 */
#include "apart.h"
#include "host.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>

/* hostmem/com/result.c */
static const struct hm_target target = {
	.create = judge_host_create,
	.fault_entry = judge_host_fault,
	.result_name = HostMemResultName,
};

/* ---- A trial in this process ---- */

static const struct hm_trial *current;

/* At once and in one piece: it may be the last that this process does. */
static void say(const char *format, const char *text)
{
	char line[JUDGE_LINE];
	DWORD written;
	int length = snprintf(line, sizeof(line) - 1, format, text);

	if (length < 0)
		return;
	if ((size_t)length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	for (int i = 0; i < length; i++) {
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	}
	line[length++] = '\n';
	(void)WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), line, (DWORD)length, &written,
			NULL);
}

static void say_finding(void *state, enum hm_finding finding, const char *text)
{
	const char format[] = { (char)finding, ' ', '%', 's', '\0' };

	(void)state;
	say(format, text);
}

static void say_end(enum hm_end end, const char *what)
{
	say(end == HM_END_CRASH ? "F crashed with %s"
				: "F did not end in time, stopped by %s",
	    what);
	if (current != NULL && current->row[0] != '\0')
		say("F ... at: %s", current->row);
}

static void format_numbers(char *line, size_t size, const struct hm_trial *t)
{
	(void)snprintf(line, size, "E %u %u %u", t->checks, t->failures, t->known);
}

static int run_told(const struct hm_entry *entry)
{
	struct hm_trial t = { .target = &target,
			      .codes = entry->codes,
			      .tells = say_finding };
	char numbers[64];

	(void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
	current = &t;
	hm_probe_begin(JUDGE_LIMIT_MS, say_end);
	judge_faults_begin();
	if (hm_trial_run(&t, entry->what)) {
		format_numbers(numbers, sizeof(numbers), &t);
		say("%s", numbers);
	}
	return 0;
}

/* ---- All of them ---- */

static int run_all(void)
{
	struct judge_summary summary = { 0 };

	(void)printf("TAP version 13\n1..%zu\n", hm_suite_size());
	judge_run_apart(&summary);
	judge_report_end(&summary);
	return summary.failed == 0 ? 0 : 1;
}

/* ---- Cases by name ---- */

/* Behind the last one: no such case. */
static size_t find(const char *name)
{
	size_t i = 0;

	while (i < hm_suite_size() && strcmp(hm_suite_entry(i).name, name) != 0)
		i++;
	return i;
}

struct here {
	struct judge_summary summary;
	struct judge_outcome outcome;
};

static void hear(void *state, enum hm_finding finding, const char *text)
{
	struct here *here = (struct here *)state;
	char line[JUDGE_LINE];

	(void)snprintf(line, sizeof(line), "%c %s", (int)finding, text);
	judge_report_line(&here->summary, &here->outcome, line);
	(void)fflush(stdout);
}

static void run_here(struct here *here, const char *name, size_t number)
{
	struct hm_trial t = { .target = &target, .tells = hear, .tells_state = here };
	char numbers[64];

	memset(&here->outcome, 0, sizeof(here->outcome));
	here->outcome.entry = hm_suite_entry(find(name));
	t.codes = here->outcome.entry.codes;
	if (hm_trial_run(&t, here->outcome.entry.what)) {
		format_numbers(numbers, sizeof(numbers), &t);
		judge_report_line(&here->summary, &here->outcome, numbers);
	}
	judge_report_case(&here->summary, &here->outcome, number);
}

static int run_named(int count, char **names)
{
	struct here here = { .summary = { 0 } };

	for (int i = 0; i < count; i++) {
		if (find(names[i]) == hm_suite_size()) {
			(void)fprintf(stderr, "judge: no such case: %s\n", names[i]);
			return 2;
		}
	}
	hm_probe_begin(0, NULL);
	judge_faults_begin();
	(void)printf("TAP version 13\n1..%d\n", count);
	for (int i = 0; i < count; i++)
		run_here(&here, names[i], (size_t)i + 1);
	judge_report_end(&here.summary);
	return here.summary.failed == 0 ? 0 : 1;
}

static int list(void)
{
	for (size_t i = 0; i < hm_suite_size(); i++) {
		struct hm_entry entry = hm_suite_entry(i);

		(void)printf("%-14s  %-48s  %s\n", hm_group_name(entry.group), entry.name,
			     entry.what->source);
	}
	return 0;
}

int main(int argc, char **argv)
{
	(void)_setmode(_fileno(stdout), _O_BINARY); /* lines end with \n */
	if (argc == 1)
		return run_all();
	if (strcmp(argv[1], "--list") == 0)
		return list();
	if (argc == 3 && strcmp(argv[1], "--told") == 0 &&
	    find(argv[2]) < hm_suite_size()) {
		struct hm_entry entry = hm_suite_entry(find(argv[2]));

		return run_told(&entry);
	}
	return run_named(argc - 1, argv + 1);
}
