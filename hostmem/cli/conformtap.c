/*
 * The report as TAP 13: a line for each case, what was found as a YAML block below it.
 */
#include "conform.h"

#include <string.h>

void hm_conform_print_tap(const struct hm_report *report, FILE *out)
{
	(void)fprintf(out, "TAP version 13\n1..%zu\n", report->count);
	for (size_t i = 0; i < report->count; i++) {
		const struct hm_outcome *outcome = &report->outcomes[i];

		(void)fprintf(out, "%s %zu - %s",
			      outcome->verdict == HM_FAILED ? "not ok" : "ok", i + 1,
			      outcome->entry.name);
		if (outcome->verdict == HM_SKIPPED)
			(void)fprintf(out, " # SKIP %s", outcome->skip);
		(void)fputc('\n', out);
	}
}
