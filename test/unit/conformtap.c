/*
 * `hostmem conform --format tap`: lines of TAP 13, and blocks that YAML reads.
 */
#include "reported.h"

static void each_case_is_a_line_and_a_block(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text = reported_by(hm_conform_print_tap, &report);

	reported_has(text, "TAP version 13\n1..6\n"
			   "ok 1 - com/good\n"
			   "  ---\n"
			   "  group: required\n"
			   "  source: \"COM: a \\\"rule\\\"; MS\"\n"
			   "  checks: 10\n"
			   "  failures: 0\n"
			   "  duration_ms: 250\n"
			   "  ...\n"
			   "not ok 2 - com/bad\n");
	reported_has(text, "\nok 5 - heap/none # SKIP the host has no IHostMalloc2\n");
	free(text);
}

static void findings_are_lists_of_plain_text(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text = reported_by(hm_conform_print_tap, &report);

	reported_has(text, "  findings:\n"
			   "    - \"one.c:1: first\"\n"
			   "    - \"two.c:2: \\\\x1b[2J #\\\\ \\\"]]><&'\\\\x01\\\\x7f");
	reported_has(text, "\\\\xff\\\\xc3 \\\\xe2\\\\x80\\\\xa8 \\\\xef\\\\xbf\\\\xbe "
			   "\xc3\xbc\"\n  output:\n    - \"hm\"\n  ...\n");
	free(text);
}

static void a_name_is_no_directive(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	(void)snprintf(outcomes[0].entry.name, sizeof(outcomes[0].entry.name),
		       "com/a # SKIP \\");
	text = reported_by(hm_conform_print_tap, &report);
	reported_has(text, "\nok 1 - com/a \\# SKIP \\\\\n");
	free(text);
}

static void a_reason_stays_on_its_line(void)
{
	static char why[] = "no # \n ok";
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	outcomes[4].skip = why;
	text = reported_by(hm_conform_print_tap, &report);
	reported_has(text, "\nok 5 - heap/none # SKIP no # \\x0a ok\n");
	free(text);
}

static void strict_skips_are_failures(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	report.strict = true;
	text = reported_by(hm_conform_print_tap, &report);
	reported_has(text, "\nnot ok 5 - heap/none\n");
	reported_has(text, "\n  skipped:\n    - \"the host has no IHostMalloc2\"\n");
	free(text);
}

int main(void)
{
	TAP_RUN(each_case_is_a_line_and_a_block);
	TAP_RUN(findings_are_lists_of_plain_text);
	TAP_RUN(a_name_is_no_directive);
	TAP_RUN(a_reason_stays_on_its_line);
	TAP_RUN(strict_skips_are_failures);
	return tap_done();
}
