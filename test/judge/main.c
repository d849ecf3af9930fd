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
#include "host.h"
#include "report.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>

enum {
	LIMIT_MS = 10000, /* of a case; the process then ends itself */
	GRACE_MS = 2000,  /* until it is ended */
	LOOK_MS = 2
};

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
	hm_probe_begin(LIMIT_MS, say_end);
	judge_faults_begin();
	if (hm_trial_run(&t, entry->what)) {
		format_numbers(numbers, sizeof(numbers), &t);
		say("%s", numbers);
	}
	return 0;
}

/* ---- A trial in a process of its own ---- */

struct reader {
	struct judge_summary *summary;
	struct judge_outcome *outcome;
	char line[JUDGE_LINE];
	size_t length;
};

static void take(struct reader *reader, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != '\n') {
			if (reader->length < sizeof(reader->line) - 1 && bytes[i] != '\r')
				reader->line[reader->length++] = bytes[i];
			continue;
		}
		reader->line[reader->length] = '\0';
		judge_report_line(reader->summary, reader->outcome, reader->line);
		reader->length = 0;
	}
}

/* What is there now; false: nothing is. */
static bool take_available(struct reader *reader, HANDLE pipe)
{
	char bytes[4096];
	DWORD count = 0;

	if (!PeekNamedPipe(pipe, NULL, 0, NULL, &count, NULL) || count == 0)
		return false;
	if (count > sizeof(bytes))
		count = sizeof(bytes);
	if (!ReadFile(pipe, bytes, count, &count, NULL))
		return false;
	take(reader, bytes, count);
	return true;
}

static bool start(const struct hm_entry *entry, HANDLE output,
		  PROCESS_INFORMATION *process)
{
	char program[MAX_PATH], command[MAX_PATH + 128];
	STARTUPINFOA startup = { .cb = sizeof(startup),
				 .dwFlags = STARTF_USESTDHANDLES,
				 .hStdOutput = output,
				 .hStdError = GetStdHandle(STD_ERROR_HANDLE) };

	if (GetModuleFileNameA(NULL, program, sizeof(program)) == 0)
		return false;
	(void)snprintf(command, sizeof(command), "\"%s\" --told %s", program,
		       entry->name);
	return CreateProcessA(program, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup,
			      process);
}

static void follow(struct reader *reader, HANDLE pipe, HANDLE process)
{
	unsigned long long deadline = hm_now_ms() + LIMIT_MS + GRACE_MS;

	while (WaitForSingleObject(process, LOOK_MS) == WAIT_TIMEOUT) {
		while (take_available(reader, pipe))
			continue;
		if (hm_now_ms() >= deadline)
			(void)TerminateProcess(process, WAIT_TIMEOUT);
	}
	while (take_available(reader, pipe))
		continue;
}

static void run_apart(struct judge_summary *summary, struct judge_outcome *outcome)
{
	SECURITY_ATTRIBUTES inherited = { sizeof(inherited), NULL, TRUE };
	struct reader reader = { .summary = summary, .outcome = outcome };
	PROCESS_INFORMATION process;
	HANDLE read_end, write_end;

	if (!CreatePipe(&read_end, &write_end, &inherited, 64 * 1024))
		return;
	if (start(&outcome->entry, write_end, &process)) {
		follow(&reader, read_end, process.hProcess);
		(void)CloseHandle(process.hThread);
		(void)CloseHandle(process.hProcess);
	}
	(void)CloseHandle(write_end);
	(void)CloseHandle(read_end);
}

static int run_all(void)
{
	struct judge_summary summary = { 0 };

	(void)printf("TAP version 13\n1..%zu\n", hm_suite_size());
	for (size_t i = 0; i < hm_suite_size(); i++) {
		struct judge_outcome outcome = { .entry = hm_suite_entry(i) };

		run_apart(&summary, &outcome);
		judge_report_case(&summary, &outcome, i + 1);
	}
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
