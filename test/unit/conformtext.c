/*
 * `hostmem conform` as people see it: order, what is cut, and that it fits a terminal.
 */
#include "reported.h"

static void failures_come_by_group_and_the_verdict_last(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text = reported_by(hm_conform_print_text, &report);

	reported_has(text, "---- Required: COM itself, and what a runtime breaks without "
			   "----\n\nFAILED com/crash\n  rule: COM: a \"rule\"; MS\n"
			   "  crashed\n\n---- Documented: ");
	reported_has(text, "FAILED com/bad\n  rule: COM: a \"rule\"; MS\n"
			   "  one.c:1: first\n  two.c:2: " HOSTILE_SHOWN "\n"
			   "  it printed:\n    hm\n\nSkipped, because\n"
			   "     2  the host has no IHostMalloc2\n\n");
	reported_has(text, "\n6 cases, 60 checks, 1.2 s: 2 passed, 2 failed, 2 skipped\n"
			   "The host does not conform: failed are 1 required, "
			   "1 documented, 0 details;\n"
			   "1 of them crashed, hung, or ended the process.\n");
	free(text);
}

static void the_table_has_areas_and_groups(void)
{
	static const char *const lines[] = {
		"Passed                     required       documented   "
		"windows-detail   skipped\n",
		"com                          1 of 2 !         0 of 1 !"
		"              -         -\n",
		"heap                              -                -  "
		"         1 of 1         2\n",
		"all                          1 of 2 !         0 of 1 !"
		"         1 of 1         2\n",
	};
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text = reported_by(hm_conform_print_text, &report);

	for (size_t i = 0; i < ROWS(lines); i++)
		reported_has(text, lines[i]);
	free(text);
}

static void one_case_has_five_findings_at_most(void)
{
	static char many[] = "1\n2\n3\n4\n5\n6\n7\n";
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	outcomes[1].findings = many;
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "  4\n  5\n  ... and 2 more\n");
	free(text);
}

static void what_many_have_in_common_is_counted(void)
{
	static char one[] = "a.c:1: [row 1] call(x, f(y)): got 1, want 2\nb.c:3: more\n";
	static char other[] = "b.c:2: call(z): got 1, want 2\n";
	static char crash[] = "crashed with SIGSEGV, at: row 1\n";
	static char again[] = "crashed with SIGSEGV, at: row [2] b\n";
	static char alone[] = "c.c:1: [row 1] call(x): got 3, want 2\n";
	char *const findings[REPORTED] = { one, other, one, crash, again, alone };
	struct hm_outcome outcomes[2 * REPORTED], half[REPORTED];
	struct hm_report report = reported(half);
	char *text;

	for (size_t i = 0; i < 2 * REPORTED; i++) {
		outcomes[i] = half[i % REPORTED];
		outcomes[i].verdict = i == 11 ? HM_PASSED : HM_FAILED;
		outcomes[i].findings = findings[i % REPORTED];
	}
	report.outcomes = outcomes;
	report.count = 2 * REPORTED;
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "What was found first in most of them\n"
			   "     6  call(...): got 1, want 2\n"
			   "     4  crashed with SIGSEGV\n\n");
	free(text);
}

static void long_lines_go_on_in_the_next(void)
{
	static char line[] = "file.c:100: [a row of a table that says what was asked] "
			     "IHostMemoryManager_VirtualAlloc(memory, NULL): got S_OK, "
			     "want E_INVALIDARG";
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	outcomes[1].findings = line;
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "  file.c:100: [a row of a table that says what was asked]\n"
			   "    IHostMemoryManager_VirtualAlloc(memory, NULL): got S_OK, "
			   "want E_INVALIDARG\n");
	for (const char *rest = text; rest != NULL && *rest != '\0';
	     rest += strcspn(rest, "\n") + 1)
		CHECK(strcspn(rest, "\n") < 90); /* bytes, of which some are hidden */
	free(text);
}

static void a_word_that_is_too_long_is_whole(void)
{
	static char word[201];
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	memset(word, 'w', sizeof(word) - 1);
	outcomes[1].findings = word;
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, word);
	free(text);
}

static void who_passes_reads_little(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	report.count = 1;
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "\n1 cases, 10 checks, 1.2 s: 1 passed, 0 failed, 0 skipped\n"
			   "The host conforms.\n");
	CHECK(text != NULL && strstr(text, "FAILED") == NULL);
	free(text);
	report.outcomes = &outcomes[3];
	report.count = 3;
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "\nThe host conforms, as far as it could be asked.\n");
	free(text);
}

static void strict_skips_are_failures(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	report.strict = true;
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "FAILED heap/none\n  rule: COM: a \"rule\"; MS\n"
			   "  skipped: the host has no IHostMalloc2\n");
	reported_has(text, ": 2 passed, 4 failed, 2 skipped\n");
	free(text);
}

/* Of the first case of the group that matters most. */
static void the_hint_can_be_pasted(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "\n  hostmem conform --module FILE --case com/crash\n");
	free(text);
	report.module = "/lib/a.so";
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "\n  hostmem conform --module /lib/a.so --case com/crash\n");
	free(text);
	report.module = "/lib/a\rb.so"; /* which a terminal would act upon */
	text = reported_by(hm_conform_print_text, &report);
	reported_has(text, "\n  hostmem conform --module FILE --case com/crash\n");
	free(text);
}

int main(void)
{
	TAP_RUN(failures_come_by_group_and_the_verdict_last);
	TAP_RUN(the_table_has_areas_and_groups);
	TAP_RUN(one_case_has_five_findings_at_most);
	TAP_RUN(what_many_have_in_common_is_counted);
	TAP_RUN(long_lines_go_on_in_the_next);
	TAP_RUN(a_word_that_is_too_long_is_whole);
	TAP_RUN(who_passes_reads_little);
	TAP_RUN(strict_skips_are_failures);
	TAP_RUN(the_hint_can_be_pasted);
	return tap_done();
}
