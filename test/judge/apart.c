/*
 * Trials in processes of their own: this program again, with --told.
 *
 * What each tells is kept until all before it have been reported, so the report does not depend
 * on who is quicker.  Several at a time are worth it even on one processor: most of the time of
 * a short case is Wine's, for the process, and is spent waiting.
 */
#include "apart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum {
	MOST_JOBS = 16,
	GRACE_MS = 5000, /* after the time limit of the process itself */
	LOOK_MS = 2,
	TRIES = 3
};

/* What a trial has told so far; it ends with a NUL. */
struct text {
	char *bytes;
	size_t length;
};

/* A trial that runs. */
struct running {
	struct text *text; /* NULL: this place is free */
	HANDLE process, pipe;
	unsigned long long deadline;
};

/* ---- What it tells ---- */

static void append(struct text *text, const char *bytes, size_t count)
{
	char *longer = (char *)realloc(text->bytes, text->length + count + 1);

	if (longer == NULL)
		return;
	memcpy(longer + text->length, bytes, count);
	text->bytes = longer;
	text->length += count;
	longer[text->length] = '\0';
}

/* What is there now, without waiting for more. */
static void take(struct running *self)
{
	char bytes[4096];
	DWORD count = 0;

	while (PeekNamedPipe(self->pipe, NULL, 0, NULL, &count, NULL) && count != 0) {
		if (count > sizeof(bytes))
			count = sizeof(bytes);
		if (!ReadFile(self->pipe, bytes, count, &count, NULL))
			return;
		append(self->text, bytes, count);
	}
}

static void say(struct text *text, const char *format, DWORD number)
{
	char line[128];

	(void)snprintf(line, sizeof(line), format, (unsigned)number);
	append(text, line, strlen(line));
}

static void report(struct judge_summary *summary, size_t index, struct text *text)
{
	struct judge_outcome outcome = { .entry = hm_suite_entry(index) };

	for (char *line = text->bytes, *end; line != NULL; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		if (*line != '\0')
			judge_report_line(summary, &outcome, line);
	}
	judge_report_case(summary, &outcome, index + 1);
	free(text->bytes);
	text->bytes = NULL;
}

/* ---- Processes ---- */

static bool create(const char *name, HANDLE output, HANDLE *process)
{
	char program[MAX_PATH], command[MAX_PATH + 128];
	STARTUPINFOA startup = { .cb = sizeof(startup),
				 .dwFlags = STARTF_USESTDHANDLES,
				 .hStdOutput = output,
				 .hStdError = GetStdHandle(STD_ERROR_HANDLE) };
	PROCESS_INFORMATION created;

	if (GetModuleFileNameA(NULL, program, sizeof(program)) == 0)
		return false;
	(void)snprintf(command, sizeof(command), "\"%s\" --told %s", program, name);
	if (!CreateProcessA(program, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup,
			    &created))
		return false;
	(void)CloseHandle(created.hThread);
	*process = created.hProcess;
	return true;
}

static void start(struct running *self, size_t index, struct text *text)
{
	SECURITY_ATTRIBUTES inherited = { sizeof(inherited), NULL, TRUE };
	struct hm_entry entry = hm_suite_entry(index);
	bool created = false;
	HANDLE output;

	if (!CreatePipe(&self->pipe, &output, &inherited, 0)) {
		say(text, "F there is no pipe for it: error %u\n", GetLastError());
		return;
	}
	(void)SetHandleInformation(self->pipe, HANDLE_FLAG_INHERIT, 0);
	/* On a busy machine Wine loses one new process in some thousands, before its first
	 * instruction. */
	for (int i = 0; i < TRIES && !created; i++)
		created = create(entry.name, output, &self->process);
	if (created) {
		self->text = text;
		self->deadline = hm_now_ms() + JUDGE_LIMIT_MS + GRACE_MS;
	} else {
		say(text, "F there is no process for it: error %u\n", GetLastError());
		(void)CloseHandle(self->pipe);
	}
	(void)CloseHandle(output);
}

/* True: it is over. */
static bool look_after(struct running *self)
{
	bool over = WaitForSingleObject(self->process, 0) == WAIT_OBJECT_0;
	DWORD status = 0;

	take(self);
	if (!over && hm_now_ms() >= self->deadline)
		(void)TerminateProcess(self->process, WAIT_TIMEOUT);
	if (!over)
		return false;
	if (!GetExitCodeProcess(self->process, &status) || status != 0)
		say(self->text, "F the process ended with status 0x%x\n", status);
	(void)CloseHandle(self->process);
	(void)CloseHandle(self->pipe);
	self->text = NULL;
	return true;
}

static unsigned jobs(void)
{
	SYSTEM_INFO system;

	GetSystemInfo(&system);
	return system.dwNumberOfProcessors < MOST_JOBS ? system.dwNumberOfProcessors + 1
						       : MOST_JOBS;
}

static bool is_running(const struct running *running, const struct text *text)
{
	for (unsigned i = 0; i < MOST_JOBS; i++) {
		if (running[i].text == text)
			return true;
	}
	return false;
}

void judge_run_apart(struct judge_summary *summary)
{
	size_t count = hm_suite_size(), begun = 0, reported = 0;
	struct text *texts = (struct text *)calloc(count, sizeof(*texts));
	struct running running[MOST_JOBS] = { { NULL, NULL, NULL, 0 } };

	while (texts != NULL && reported < count) {
		for (unsigned i = 0; i < jobs(); i++) {
			if (running[i].text != NULL && !look_after(&running[i]))
				continue;
			if (begun < count) {
				start(&running[i], begun, &texts[begun]);
				begun++;
			}
		}
		while (reported < begun && !is_running(running, &texts[reported])) {
			report(summary, reported, &texts[reported]);
			reported++;
		}
		Sleep(LOOK_MS);
	}
	free(texts);
}
