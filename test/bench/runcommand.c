/*
 * A command that is timed as a whole process.
 *
 * From just before the fork to the moment when its end is known: that is what somebody who
 * waits for it waits for.  Its processor time is what the kernel adds up for a process that
 * has ended, and so has no part of ours.
 */
#include "runcommand.h"
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_SIZE = 16384 };

/* A process that has its processors for itself is taken away from them so often in a second
 * at most; where others want them, several times as often. */
#define PREEMPTIONS 100

static _Noreturn void become(char *const words[], int out, int err)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (in >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(err, STDERR_FILENO) >= 0)
		(void)execvp(words[0], words);
	dprintf(STDERR_FILENO, "%s: %s\n", words[0], strerror(errno));
	_exit(127);
}

/* From the beginning of a file of our own. */
static size_t read_text(int file, char *text, size_t size)
{
	ssize_t length = pread(file, text, size - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	return strlen(text);
}

static void put_last_line(int file, char note[NOTE_SIZE])
{
	static char text[TEXT_SIZE];
	size_t length = read_text(file, text, sizeof(text));
	const char *line;

	while (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	line = strrchr(text, '\n');
	snprintf(note, NOTE_SIZE, "%.*s", NOTE_SIZE - 1, line != NULL ? line + 1 : text);
}

static bool ended_well(int status, int err, char note[NOTE_SIZE])
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	put_last_line(err, note);
	if (note[0] == '\0' && WIFSIGNALED(status))
		snprintf(note, NOTE_SIZE, "it was ended by signal %d", WTERMSIG(status));
	else if (note[0] == '\0')
		snprintf(note, NOTE_SIZE, "it ended with status %d", WEXITSTATUS(status));
	return false;
}

static double nanoseconds(struct timeval time)
{
	return (double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3;
}

static bool run(char *const words[], int out, int err, struct run_times *times,
		char note[NOTE_SIZE])
{
	struct rusage usage;
	double begin = measure_now();
	pid_t process = fork();
	int status;

	if (process == 0)
		become(words, out, err);
	if (process < 0) {
		snprintf(note, NOTE_SIZE, "fork: %s", strerror(errno));
		return false;
	}
	while (wait4(process, &status, 0, &usage) < 0 && errno == EINTR)
		continue;
	times->wall = measure_now() - begin;
	times->processor = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
	times->clean = (double)usage.ru_nivcsw * 1e9 <= PREEMPTIONS * times->processor;
	return ended_well(status, err, note);
}

/* A file that nobody else sees. */
static int open_file(FILE **file)
{
	*file = tmpfile();
	if (*file == NULL)
		return -1;
	return fileno(*file);
}

bool run_command(char *const words[], struct run_times *times, char note[NOTE_SIZE])
{
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	FILE *errors;
	int err = open_file(&errors);
	bool well = false;

	snprintf(note, NOTE_SIZE, "no file can be opened");
	if (out >= 0 && err >= 0)
		well = run(words, out, err, times, note);
	if (out >= 0)
		(void)close(out);
	if (errors != NULL)
		(void)fclose(errors);
	return well;
}

static void split(char *text, char *out[RUN_WORDS])
{
	size_t count = 0;
	char *rest = text;
	char *word;

	while (count < RUN_WORDS - 1 && (word = strsep(&rest, "\n")) != NULL) {
		if (*word != '\0')
			out[count++] = word;
	}
	out[count] = NULL;
}

bool run_words(char *const words[], char *out[RUN_WORDS], char note[NOTE_SIZE])
{
	static char text[TEXT_SIZE];
	struct run_times times;
	FILE *output, *errors;
	int from = open_file(&output), err = open_file(&errors);
	bool well = false;

	snprintf(note, NOTE_SIZE, "no file can be opened");
	if (from >= 0 && err >= 0)
		well = run(words, from, err, &times, note);
	if (well) {
		(void)read_text(from, text, sizeof(text));
		split(text, out);
	}
	if (output != NULL)
		(void)fclose(output);
	if (errors != NULL)
		(void)fclose(errors);
	return well && out[0] != NULL;
}
