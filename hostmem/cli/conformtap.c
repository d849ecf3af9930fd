/*
 * The report as TAP 13: a line for each case, and below it, as a YAML block, what is known of it.
 *
 * Each text in a block is a double-quoted scalar on one line, without any character that YAML
 * or a line of TAP could take for something else: what is no plain text is shown as \xNN by
 * hm_display_text's rule, and stays that text.  So the reader of TAP::Parser, which knows but
 * a few of YAML's escapes, and a real one of YAML read the same.
 *
 * In a strict report a case that was skipped fails, and TAP has no directive for that: it is
 * then a plain "not ok", with the reason as a finding.
 */
#include "conform.h"
#include "display.h"

#include <string.h>

/* `length` bytes of a text, quoted. */
static void print_scalar(const char *text, size_t length, FILE *out)
{
	(void)fputc('"', out);
	while (length != 0) {
		unsigned taken = hm_display_length(text);

		if (taken == 0 || taken > length)
			(void)fprintf(out, "\\\\x%02x", (unsigned char)*text);
		else if (*text == '"' || *text == '\\')
			(void)fprintf(out, "\\%c", *text);
		else
			(void)fwrite(text, 1, taken, out);
		taken = taken == 0 || taken > length ? 1 : taken;
		text += taken;
		length -= taken;
	}
	(void)fputc('"', out);
}

/* A list of the lines of a text; nothing if there are none. */
static void print_list(const char *name, const char *text, FILE *out)
{
	if (*text != '\0')
		(void)fprintf(out, "  %s:\n", name);
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		(void)fputs("    - ", out);
		print_scalar(text, length, out);
		(void)fputc('\n', out);
		text += length + (text[length] == '\n' ? 1 : 0);
	}
}

static void print_block(const struct hm_outcome *outcome, bool good, FILE *out)
{
	const char *source = outcome->entry.what->source;

	(void)fprintf(out, "  ---\n  group: %s\n  source: ",
		      hm_group_name(outcome->entry.group));
	print_scalar(source, strlen(source), out);
	(void)fprintf(out, "\n  checks: %u\n  failures: %u\n  duration_ms: %.0f\n",
		      outcome->checks, outcome->failures, outcome->seconds * 1000);
	print_list("findings", outcome->findings, out);
	if (!good)
		print_list("output", outcome->output, out);
	if (outcome->verdict == HM_SKIPPED)
		print_list("skipped", outcome->skip, out);
	(void)fputs("  ...\n", out);
}

/* A '#' would begin a directive. */
static void print_name(const char *name, FILE *out)
{
	for (; *name != '\0'; name++) {
		if (*name == '#' || *name == '\\')
			(void)fputc('\\', out);
		(void)fputc(*name, out);
	}
}

void hm_conform_print_tap(const struct hm_report *report, FILE *out)
{
	(void)fprintf(out, "TAP version 13\n1..%zu\n", report->count);
	for (size_t i = 0; i < report->count; i++) {
		const struct hm_outcome *outcome = &report->outcomes[i];
		bool good = hm_outcome_is_good(report, outcome);

		(void)fprintf(out, "%s %zu - ", good ? "ok" : "not ok", i + 1);
		print_name(outcome->entry.name, out);
		if (good && outcome->verdict == HM_SKIPPED) {
			(void)fputs(" # SKIP ", out);
			hm_display_text(out, outcome->skip);
		}
		(void)fputc('\n', out);
		print_block(outcome, good, out);
	}
}
