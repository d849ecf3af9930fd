/*
 * What `hostmem run` costs a runtime: the wall clock, and processor time, of a whole program
 * under a host beside the same program without one.
 *
 * The two take turns, the even rounds forwards and the odd ones backwards, after one run of
 * each that does not count.  There is no limit and no subscriber: nothing is refused, and
 * all is charged.
 *
 * A missed target does not fail the program, nor does a runtime that is not installed: that
 * is said.  One that fails under a host, or without, does.
 */
#include "runcommand.h"
#include "machine.h"
#include "runreport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN, HOSTED, SIDES };

static const struct runtime {
	const char *name, *about;
} runtimes[] = {
	{ "python3", "CPython" },
	{ "java-serial", "HotSpot, its collector is Serial" },
	{ "java-g1", "HotSpot, its collector is G1" },
	{ "node", "V8" },
	{ "lua5.4", "Lua" },
	{ "mono", "Mono" },
	{ "ruby", "Ruby" },
	{ "guile", "Guile" },
	{ "dotnet", "CoreCLR: that of configure --with-coreclr, or one in PATH" },
};

enum { RUNTIMES = sizeof(runtimes) / sizeof(runtimes[0]) };

static struct options options;
static char folder[] = "/tmp/hostmem-bench-XXXXXX";

static const char *row_of(size_t index, const char **about)
{
	if (index >= RUNTIMES)
		return NULL;
	*about = runtimes[index].about;
	return runtimes[index].name;
}

/* The command as it is, and below `hostmem run`. */
struct commands {
	char *words[SIDES][RUN_WORDS + 3];
};

static bool prepare(const char *name, struct commands *commands, char note[NOTE_SIZE])
{
	static char shell[] = "sh", script[] = RUNTIMES_FOLDER "/command.sh",
		    hostmem[] = HOSTMEM_COMMAND, run[] = "run", end[] = "--";
	char runtime[64];
	char *ask[] = { shell, script, runtime, folder, NULL };
	char *words[RUN_WORDS];
	char **hosted = commands->words[HOSTED];

	snprintf(runtime, sizeof(runtime), "%s", name);
	if (!run_words(ask, words, note))
		return false;
	memcpy(commands->words[PLAIN], words, sizeof(words));
	hosted[0] = hostmem;
	hosted[1] = run;
	hosted[2] = end;
	memcpy(hosted + 3, words, sizeof(words));
	return true;
}

/* The samples that each side has taken. */
static struct {
	struct measure_side wall, processor;
} samples[SIDES];

static bool take(const struct commands *commands, unsigned side, unsigned round,
		 char note[NOTE_SIZE])
{
	struct run_times times;

	if (!run_command(commands->words[side], &times, note))
		return false;
	samples[side].wall.samples[round] = times.wall;
	samples[side].wall.clean[round] = times.clean;
	samples[side].processor.samples[round] = times.processor;
	samples[side].processor.clean[round] = true;
	return true;
}

static bool take_all(const char *name, const struct commands *commands,
		     char note[NOTE_SIZE])
{
	/* What the first round takes is written over by the second. */
	for (unsigned count = 0; count <= options.plan.rounds; count++) {
		unsigned round = count == 0 ? 0 : count - 1;

		machine_progress("%s: round %u of %u", name, round + 1,
				 options.plan.rounds);
		for (unsigned i = 0; i < SIDES; i++) {
			unsigned side = round % 2 == 0 ? i : SIDES - 1 - i;

			if (!take(commands, side, round, note))
				return false;
		}
	}
	return true;
}

static struct run_side figures_of(unsigned side)
{
	return (struct run_side){
		measure_figures(&samples[side].wall, options.plan.rounds),
		measure_figures(&samples[side].processor, options.plan.rounds),
	};
}

static void run_row(const char *name)
{
	struct run_result result = { .name = name, .verdict = SKIPPED };
	struct commands commands;

	machine_progress("%s", name);
	if (prepare(name, &commands, result.note)) {
		result.decidable = machine_processors(&options.plan) >= ENOUGH_PROCESSORS;
		result.verdict = take_all(name, &commands, result.note) ? OK : FAILED;
	}
	if (result.verdict == OK) {
		result.plain = figures_of(PLAIN);
		result.hosted = figures_of(HOSTED);
		result.decidable = result.decidable && result.plain.wall.clean &&
				   result.hosted.wall.clean;
		result.note[0] = '\0';
	}
	machine_progress("%s", "");
	runreport_row(&result);
}

static bool make_folder(void)
{
	if (mkdtemp(folder) != NULL)
		return true;
	perror(folder);
	return false;
}

static void remove_folder(void)
{
	static char rm[] = "rm", flags[] = "-rf";
	char *words[] = { rm, flags, folder, NULL };
	struct run_times times;
	char note[NOTE_SIZE];

	(void)run_command(words, &times, note);
}

static void introduce(void)
{
	machine_print();
	machine_print_processors(&options.plan);
	printf("Medians of %u rounds, both sides in turn.  * the target is missed, ? the "
	       "processors were\nnot free\n",
	       options.plan.rounds);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct options_program program = {
		.name = "run",
		.about = "Times whole programs of managed runtimes under `hostmem run`, "
			 "and "
			 "without.\nA runtime that is missing is named and left out.\n",
		.quick = "",
		.row = row_of,
		.rounds = 11,
		.quick_rounds = 3,
	};
	bool well;

	options_read(&options, &program, argc, argv);
	if (!runreport_open(&options) || !make_folder())
		return 1;
	(void)setenv("CORECLR", CORECLR_FOLDER, 0);
	introduce();
	for (unsigned i = 0; i < RUNTIMES; i++) {
		if (options.wanted[i])
			run_row(runtimes[i].name);
	}
	well = runreport_close();
	remove_folder();
	return well ? 0 : 1;
}
