/*
 * The command line.
 */
#include "options.h"

#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 1000000, PATTERN_SIZE = 256 };

static const size_t live_counts[LIVE_COUNTS] = { 1, 1000, 30000, 100000, MANY };

static void help(void)
{
	printf("usage: pages [--csv FILE] [--markdown] [--rounds N] [ROWS]\n\n"
	       "Times the page layer of hostmem and plain system calls in turn.\n\n"
	       "  --csv FILE   where all figures go; else beside the program\n"
	       "  --markdown   tables in Markdown\n"
	       "  --rounds N   samples of each, an odd number; else 21\n"
	       "  --help       this\n\n"
	       "ROWS are names, parts of names or patterns with *, between commas; none\n"
	       "means all.  The word `quick` among them: fewer samples, no more than\n"
	       "30,000 live regions, and nothing that wants gigabytes.\n\n");
	for (size_t i = 0; i < ROWS; i++)
		printf("  %-27s %s\n", rows[i].name, rows[i].about);
	for (size_t i = 0; i < COUNT_ROWS; i++)
		printf("  %-27s %s\n", count_rows[i].name, count_rows[i].about);
	exit(0);
}

static _Noreturn void wrong(const char *what, const char *word)
{
	fprintf(stderr, "pages: %s '%s'; see --help\n", what, word);
	exit(2);
}

static bool matches(const char *pattern, const char *name)
{
	return strstr(name, pattern) != NULL || fnmatch(pattern, name, 0) == 0;
}

static void pick(struct options *options, const char *pattern)
{
	bool found = false;

	if (strcmp(pattern, "quick") == 0) {
		options->quick = true;
		return;
	}
	options->all = false;
	for (size_t i = 0; i < ROWS; i++) {
		options->row[i] |= matches(pattern, rows[i].name);
		found |= matches(pattern, rows[i].name);
	}
	for (size_t i = 0; i < COUNT_ROWS; i++) {
		options->count_row[i] |= matches(pattern, count_rows[i].name);
		found |= matches(pattern, count_rows[i].name);
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

static void read_words(struct options *options, int count, char **words)
{
	static const struct option known[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "markdown", no_argument, NULL, 'm' },
		{ "rounds", required_argument, NULL, 'r' },
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
		default: /* getopt_long has said what is wrong */
			exit(2);
		}
	}
	for (; optind < count; optind++)
		pick_each(options, words[optind]);
}

static const char *beside(const char *program)
{
	static char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s.csv", program) >= sizeof(path))
		wrong("the path is too long:", program);
	return path;
}

void options_read(struct options *options, int count, char **words)
{
	memset(options, 0, sizeof(*options));
	options->all = true;
	read_words(options, count, words);
	if (options->csv == NULL)
		options->csv = beside(words[0]);
	if (options->plan.rounds == 0)
		options->plan.rounds = options->quick ? 11 : 21;
	options->plan.sample = options->quick ? 5e5 : 1.5e6;
	options->live_counts = options->quick ? 3 : LIVE_COUNTS;
	memcpy(options->live, live_counts, sizeof(live_counts));
	for (size_t i = 0; i < ROWS; i++)
		options->row[i] |= options->all;
	for (size_t i = 0; i < COUNT_ROWS; i++) {
		options->count_row[i] |= options->all &&
					 !(options->quick && count_rows[i].once);
	}
}

bool options_want(const struct options *options, const struct row *row, size_t live)
{
	return options->row[row - rows] && (live < MANY || row->many);
}
