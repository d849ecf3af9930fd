/*
 * A command that is timed as a whole process.
 */
#ifndef HOSTMEM_BENCH_RUNCOMMAND_H
#define HOSTMEM_BENCH_RUNCOMMAND_H

#include "verdict.h"

enum { RUN_WORDS = 32 };

/* What one run took, in ns. */
struct run_times {
	double wall;
	double processor; /* user and system, of all its threads */
	bool clean;       /* others have hardly been in its way */
};

/*
 * Starts the command, its input empty and its output nowhere, and waits for its end.  FALSE:
 * it could not be started, or has not ended well; the note says why, with the last line that
 * it wrote on stderr.
 */
bool run_command(char *const words[], struct run_times *times, char note[NOTE_SIZE]);

/*
 * The words that the command prints, one a line; NULL ends them.  They are valid until the
 * next call.  FALSE: it has not ended well, as above.
 */
bool run_words(char *const words[], char *out[RUN_WORDS], char note[NOTE_SIZE]);

#endif
