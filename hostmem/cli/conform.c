/*
 * `hostmem conform`: asks a host all that the suite knows, and says what it answered.
 *
 * The suite is hostmem/conform/; here are the options, which trials are meant, and the
 * printing.  A module is loaded once before all else, in a process of its own: one that cannot
 * be judged is an error in one line, and no list of failures.
 */
#include "conformrun.h"
#include "display.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_S = 30 };
#define LAST_YEAR 253402300800LL /* s until the year 10000, of five digits */

struct options {
	const char *module, *filter, *only;
	char path[PATH_MAX]; /* of the module, with a slash */
	void (*print)(const struct hm_report *report, FILE *out);
	bool help, list, strict;
	unsigned jobs, seconds;
};

static int help(void)
{
	(void)puts("usage: hostmem conform [--module FILE] [OPTION]...\n"
		   "\n"
		   "Judges the HRESULT behaviour of a host memory manager: a shared "
		   "object with\n"
		   "DllGetClassObject for CLSID_HostMemory, or without --module hostmem "
		   "itself.\n"
		   "Each case runs in a process of its own; a crash, a hang or a leak "
		   "fails it.\n"
		   "\n"
		   "  --module FILE         the host module to judge\n"
		   "  --filter PATTERN      only cases whose name contains PATTERN, or "
		   "matches it if\n"
		   "                        it has a '*', a '?' or a '['\n"
		   "  --list                print the cases, their groups and the "
		   "sources of their\n"
		   "                        rules\n"
		   "  --format FORMAT       text (default), tap (TAP 13) or junit (XML)\n"
		   "  --strict              a case that is skipped counts as failed\n"
		   "  --jobs N              cases at a time; by default one more than "
		   "there are\n"
		   "                        processors\n"
		   "  --time-limit SECONDS  for one case; by default 30\n"
		   "  --case NAME           run one case in this process, without a time "
		   "limit, for\n"
		   "                        a debugger\n"
		   "  --help                print this\n"
		   "\n"
		   "The status is 0 if all cases pass, 1 if one fails, 2 if there is "
		   "nothing to\n"
		   "judge or nowhere to print it.");
	return EXIT_SUCCESS;
}

/* ---- Reports ---- */

unsigned hm_report_count(const struct hm_report *report, enum hm_verdict verdict)
{
	unsigned count = 0;

	for (size_t i = 0; i < report->count; i++)
		count += report->outcomes[i].verdict == verdict;
	return count;
}

bool hm_outcome_is_good(const struct hm_report *report, const struct hm_outcome *outcome)
{
	return outcome->verdict == HM_PASSED ||
	       (outcome->verdict == HM_SKIPPED && !report->strict);
}

bool hm_report_is_good(const struct hm_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		if (!hm_outcome_is_good(report, &report->outcomes[i]))
			return false;
	}
	return true;
}

int hm_conform_cannot(const char *module, const char *why)
{
	(void)fputs("hostmem conform: ", stderr);
	hm_display_text(stderr, module != NULL ? module : "hostmem");
	(void)fputs(": ", stderr);
	hm_display_text(stderr, why);
	(void)fputc('\n', stderr);
	return HM_COMMAND_MISUSED;
}

/* On a line of its own, which goes when all are over: what comes then begins there. */
static void show_progress(size_t count, size_t all)
{
	(void)fprintf(stderr, "\r%zu of %zu", count, all);
	if (count == all)
		(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
}

/* Now; or, for reports that come out the same twice, what SOURCE_DATE_EPOCH says. */
static long long time_of_report(void)
{
	const char *fixed = getenv("SOURCE_DATE_EPOCH");
	char *end;
	long long when;

	if (fixed == NULL || *fixed == '\0')
		return (long long)time(NULL);
	errno = 0;
	when = strtoll(fixed, &end, 10);
	return errno == 0 && *end == '\0' && when >= 0 && when < LAST_YEAR
		       ? when
		       : (long long)time(NULL);
}

/* ---- Which trials ---- */

static bool is_meant(const struct hm_entry *entry, const char *filter)
{
	if (filter == NULL)
		return true;
	if (strpbrk(filter, "*?[") != NULL)
		return fnmatch(filter, entry->name, 0) == 0;
	return strstr(entry->name, filter) != NULL;
}

static int list(const char *filter)
{
	for (size_t i = 0; i < hm_suite_size(); i++) {
		struct hm_entry entry = hm_suite_entry(i);

		if (is_meant(&entry, filter))
			(void)printf("%-14s  %-48s  %s\n", hm_group_name(entry.group),
				     entry.name, entry.what->source);
	}
	(void)puts("\nSources:");
	for (const struct hm_source *source = hm_sources; source->code != NULL; source++)
		(void)printf("  %-4s %s\n", source->code, source->meaning);
	return EXIT_SUCCESS;
}

static int run_here(const struct options *options)
{
	for (size_t i = 0; i < hm_suite_size(); i++) {
		struct hm_entry entry = hm_suite_entry(i);

		if (strcmp(entry.name, options->only) == 0)
			return hm_conform_here(options->module, &entry, options->strict);
	}
	return hm_command_misused("conform", "no such case", options->only);
}

static struct hm_outcome *choose(const char *filter, size_t *count)
{
	struct hm_outcome *outcomes = (struct hm_outcome *)calloc(hm_suite_size(),
								  sizeof(*outcomes));

	*count = 0;
	for (size_t i = 0; outcomes != NULL && i < hm_suite_size(); i++) {
		struct hm_entry entry = hm_suite_entry(i);

		if (is_meant(&entry, filter))
			outcomes[(*count)++].entry = entry;
	}
	return outcomes;
}

/* ---- Judging ---- */

static int judge(const struct options *options, struct hm_outcome *outcomes, size_t count)
{
	const struct hm_run run = { options->module, options->jobs,
				    options->seconds * 1000,
				    isatty(STDERR_FILENO) ? show_progress : NULL };
	char computer[256] = "";
	struct hm_report report = { options->module, outcomes, count, 0,
				    options->strict, computer, 0 };
	unsigned long long begin = hm_now_ms();
	const char *why = hm_conform_try(&run);
	int error;

	if (why != NULL)
		return hm_conform_cannot(options->module, why);
	report.when = time_of_report();
	(void)gethostname(computer, sizeof(computer) - 1);
	error = hm_conform_run(&run, outcomes, count);
	if (error != 0) {
		/* Its line is wanted for what went wrong. */
		if (run.over != NULL)
			run.over(count, count);
		(void)hm_command_failed("conform", "no process can be started",
					strerror(error));
		return HM_COMMAND_MISUSED;
	}
	report.seconds = (double)(hm_now_ms() - begin) / 1000;
	options->print(&report, stdout);
	return hm_report_is_good(&report) ? EXIT_SUCCESS : HM_COMMAND_FAILED;
}

static int run_all(const struct options *options)
{
	size_t count;
	struct hm_outcome *outcomes = choose(options->filter, &count);
	int status;

	if (outcomes == NULL)
		return hm_conform_cannot(options->module, "no memory");
	if (count == 0)
		status = hm_command_misused("conform", "no case matches",
					    options->filter);
	else
		status = judge(options, outcomes, count);
	for (size_t i = 0; i < count; i++)
		hm_outcome_free(&outcomes[i]);
	free(outcomes);
	return status;
}

/* ---- Options ---- */

static bool read_number(const char *text, unsigned most, unsigned *number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value == 0 ||
	    value > most)
		return false;
	*number = (unsigned)value;
	return true;
}

static bool read_format(const char *text, struct options *options)
{
	if (strcmp(text, "text") == 0)
		options->print = hm_conform_print_text;
	else if (strcmp(text, "tap") == 0)
		options->print = hm_conform_print_tap;
	else if (strcmp(text, "junit") == 0)
		options->print = hm_conform_print_junit;
	else
		return false;
	return true;
}

enum {
	OPTION_CASE = 1,
	OPTION_FILTER,
	OPTION_FORMAT,
	OPTION_HELP,
	OPTION_JOBS,
	OPTION_LIST,
	OPTION_MODULE,
	OPTION_STRICT,
	OPTION_TIME_LIMIT
};

static const struct option known[] = {
	{ "case", required_argument, NULL, OPTION_CASE },
	{ "filter", required_argument, NULL, OPTION_FILTER },
	{ "format", required_argument, NULL, OPTION_FORMAT },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "jobs", required_argument, NULL, OPTION_JOBS },
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "module", required_argument, NULL, OPTION_MODULE },
	{ "strict", no_argument, NULL, OPTION_STRICT },
	{ "time-limit", required_argument, NULL, OPTION_TIME_LIMIT },
	{ NULL, 0, NULL, 0 },
};

/* 0, or the status after what is wrong was said. */
static int read_option(struct options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_CASE:
		options->only = value;
		return 0;
	case OPTION_FILTER:
		options->filter = value;
		return 0;
	case OPTION_FORMAT:
		if (read_format(value, options))
			return 0;
		return hm_command_misused("conform", "unknown format", value);
	case OPTION_HELP:
		options->help = true;
		return 0;
	case OPTION_JOBS:
		if (read_number(value, HM_MOST_JOBS, &options->jobs))
			return 0;
		return hm_command_misused("conform", "--jobs is no number from 1 to 256",
					  value);
	case OPTION_LIST:
		options->list = true;
		return 0;
	case OPTION_MODULE:
		options->module = value;
		return 0;
	case OPTION_STRICT:
		options->strict = true;
		return 0;
	default:
		if (read_number(value, 86400, &options->seconds))
			return 0;
		return hm_command_misused(
			"conform", "--time-limit is no number of seconds from 1 to 86400",
			value);
	}
}

static int read_options(struct options *options, int argc, char **argv)
{
	int option, status = 0;

	opterr = 0; /* what is wrong is said here, in one line */
	while (status == 0 && !options->help &&
	       (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (option == ':')
			status = hm_command_misused("conform", "no value for", word);
		else if (option == '?')
			status = hm_command_misused("conform", "unknown option", word);
		else
			status = read_option(options, option, optarg);
	}
	if (status == 0 && !options->help && optind < argc)
		status = hm_command_misused("conform", "unexpected argument",
					    argv[optind]);
	return status;
}

/* HostMemLoadModule wants a slash, lest the system searches; a user means a file.  What is no
 * file may let dlopen wait for ever. */
static int find_module(struct options *options)
{
	struct stat is;

	if (options->module == NULL)
		return 0;
	if (stat(options->module, &is) == -1 ||
	    realpath(options->module, options->path) == NULL)
		return hm_conform_cannot(options->module, strerror(errno));
	if (S_ISDIR(is.st_mode))
		return hm_conform_cannot(options->module, "it is a directory");
	if (!S_ISREG(is.st_mode))
		return hm_conform_cannot(options->module, "it is no file");
	options->module = options->path;
	return 0;
}

static int run(int argc, char **argv)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct options options = { .print = hm_conform_print_text, .seconds = LIMIT_S };
	int status;

	if (processors >= HM_MOST_JOBS)
		options.jobs = HM_MOST_JOBS;
	else
		options.jobs = processors > 0 ? (unsigned)processors + 1 : 2;
	status = read_options(&options, argc, argv);
	if (status != 0)
		return status;
	if (options.help)
		return help();
	if (options.list)
		return list(options.filter);
	status = find_module(&options);
	if (status != 0)
		return status;
	return options.only != NULL ? run_here(&options) : run_all(&options);
}

const struct hm_command hm_conform_command = {
	"conform", "judges the HRESULT behaviour of a host module", run,
	HM_COMMAND_MISUSED, /* 1 is a verdict */
};
