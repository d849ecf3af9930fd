/*
 * The command line of a benchmark: rows by name, how many rounds, where the figures go.
 *
 * What rows there are, and what follows from a word beyond the number of samples, the
 * program knows; here are names only, so that all benchmarks are called alike.
 */
#include "options.h"

#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_SIZE = 256 };

static const struct options_program *program;

static _Noreturn void help(void)
{
	const char *about, *name;

	printf("usage: %s [--csv FILE] [--markdown] [--rounds N] [ROWS]\n\n%s\n"
	       "  --csv FILE   where all figures go; else beside the program\n"
	       "  --markdown   tables in Markdown\n"
	       "  --rounds N   samples of each, an odd number; else %u\n",
	       program->name, program->about, program->rounds);
	if (program->seconds != 0)
		printf("  --seconds N  that what costs little is watched; else %u\n",
		       program->seconds);
	printf("  --help       this\n\n"
	       "ROWS are names, parts of names or patterns with *, between commas; none\n"
	       "means all.  The word `quick` among them: fewer samples%s.\n\n",
	       program->quick);
	for (size_t i = 0; (name = program->row(i, &about)) != NULL; i++)
		printf("  %-27s %s\n", name, about);
	exit(0);
}

static _Noreturn void wrong(const char *what, const char *word)
{
	fprintf(stderr, "%s: %s '%s'; see --help\n", program->name, what, word);
	exit(2);
}

static bool matches(const char *pattern, const char *name)
{
	return strstr(name, pattern) != NULL || fnmatch(pattern, name, 0) == 0;
}

static void pick(struct options *options, const char *pattern)
{
	const char *about, *name;
	bool found = false;

	if (strcmp(pattern, "quick") == 0) {
		options->quick = true;
		return;
	}
	options->all = false;
	for (size_t i = 0; (name = program->row(i, &about)) != NULL; i++) {
		options->wanted[i] |= matches(pattern, name);
		found |= matches(pattern, name);
	}
	if (!found)
		wrong("no row has the name", pattern);
}

static void pick_each(struct options *options, const char *list)
{
	char pattern[PATTERN_SIZE];

	while (*list != '\0') {
		size_t length = strcspn(list, ", ");

		if (length >= sizeof(pattern))
			wrong("no row has the name", list);
		memcpy(pattern, list, length);
		pattern[length] = '\0';
		if (length > 0)
			pick(options, pattern);
		list += length;
		list += strspn(list, ", ");
	}
}

static unsigned rounds(const char *word)
{
	char *end;
	unsigned long number = strtoul(word, &end, 10);

	if (*end != '\0' || number % 2 == 0 || number > MEASURE_ROUNDS)
		wrong("an odd number of rounds up to 101 is wanted, not", word);
	return (unsigned)number;
}

static unsigned seconds(const char *word)
{
	char *end;
	unsigned long number = strtoul(word, &end, 10);

	if (*end != '\0' || number == 0 || number > 86400 || program->seconds == 0)
		wrong("a number of seconds up to 86400 is wanted, where any is, not",
		      word);
	return (unsigned)number;
}

static void read_words(struct options *options, int count, char **words)
{
	static const struct option known[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "markdown", no_argument, NULL, 'm' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->csv = optarg;
			break;
		case 'h':
			help();
			break;
		case 'm':
			options->markdown = true;
			break;
		case 'r':
			options->plan.rounds = rounds(optarg);
			break;
		case 's':
			options->seconds = seconds(optarg);
			break;
		default: /* getopt_long has said what is wrong */
			exit(2);
		}
	}
	for (; optind < count; optind++)
		pick_each(options, words[optind]);
}

static const char *beside(const char *path_of_program)
{
	static char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s.csv", path_of_program) >=
	    sizeof(path))
		wrong("the path is too long:", path_of_program);
	return path;
}

void options_read(struct options *options, const struct options_program *of, int count,
		  char **words)
{
	memset(options, 0, sizeof(*options));
	program = of;
	options->program = of->name;
	options->all = true;
	read_words(options, count, words);
	if (options->csv == NULL)
		options->csv = beside(words[0]);
	if (options->plan.rounds == 0)
		options->plan.rounds = options->quick ? of->quick_rounds : of->rounds;
	if (options->seconds == 0)
		options->seconds = options->quick ? of->quick_seconds : of->seconds;
	options->plan.sample = options->quick ? 5e5 : 1.5e6;
	for (size_t i = 0; options->all && i < OPTIONS_ROWS; i++)
		options->wanted[i] = true;
}
