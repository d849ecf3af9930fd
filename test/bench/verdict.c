/*
 * What became of a figure.
 *
 * A target that is missed is no failure: machines differ, and are busy.  What a program
 * ends with goes by FAILED only.
 */
#include "verdict.h"

#include <math.h>
#include <stdio.h>

static const char *const names[VERDICTS] = {
	[NO_TARGET] = "-",   [OK] = "ok",           [UNDECIDED] = "undecided",
	[MISSED] = "MISSED", [SKIPPED] = "skipped", [FAILED] = "FAILED",
};

enum verdict verdict_of(double figure, double target, bool at_least, bool decidable)
{
	if (isnan(target))
		return NO_TARGET;
	if (at_least ? figure >= target : figure <= target)
		return OK;
	return decidable ? MISSED : UNDECIDED;
}

const char *verdict_name(enum verdict verdict)
{
	return names[verdict];
}

const char *verdict_mark(enum verdict verdict)
{
	return verdict == MISSED ? "*" : verdict == UNDECIDED ? "?" : "";
}

void verdict_print_counts(const struct verdict_counts *counts)
{
	printf("\n%u ok, %u missed, %u undecided, %u without a target, %u skipped, "
	       "%u failed\n",
	       counts->of[OK], counts->of[MISSED], counts->of[UNDECIDED],
	       counts->of[NO_TARGET], counts->of[SKIPPED], counts->of[FAILED]);
}
