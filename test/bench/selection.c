/*
 * Which rows of the page layer are to be measured, and at how many live regions.
 */
#include "selection.h"

#include <string.h>

enum { MANY = 1000000 };

static const size_t live_counts[LIVE_COUNTS] = { 1, 1000, 30000, 100000, MANY };

_Static_assert(ROWS + COUNT_ROWS <= OPTIONS_ROWS, "options have room for all rows");

/* First those that are timed, then those that are counted. */
static const char *row_of(size_t index, const char **about)
{
	if (index < ROWS) {
		*about = rows[index].about;
		return rows[index].name;
	}
	index -= ROWS;
	if (index >= COUNT_ROWS)
		return NULL;
	*about = count_rows[index].about;
	return count_rows[index].name;
}

void selection_read(struct selection *selection, int count, char **words)
{
	static const struct options_program program = {
		.name = "pages",
		.about = "Times the page layer of hostmem and plain system calls in "
			 "turn.\n",
		.quick = ", no more than\n30,000 live regions, and nothing that wants "
			 "gigabytes",
		.row = row_of,
		.rounds = 21,
		.quick_rounds = 11,
	};
	const struct options *options = &selection->options;

	memset(selection, 0, sizeof(*selection));
	options_read(&selection->options, &program, count, words);
	selection->live_counts = options->quick ? 3 : LIVE_COUNTS;
	memcpy(selection->live, live_counts, sizeof(live_counts));
	memcpy(selection->row, options->wanted, sizeof(selection->row));
	for (size_t i = 0; i < COUNT_ROWS; i++) {
		bool left_out = options->all && options->quick && count_rows[i].once;

		selection->count_row[i] = options->wanted[ROWS + i] && !left_out;
	}
}

bool selection_has(const struct selection *selection, const struct row *row, size_t live)
{
	return selection->row[row - rows] && (live < MANY || row->many);
}
