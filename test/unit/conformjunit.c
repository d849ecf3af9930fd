/*
 * `hostmem conform --format junit`: suites, what counts as what, and text that XML can hold.
 */
#include "reported.h"

static void an_area_is_a_suite(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text = reported_by(hm_conform_print_junit, &report);

	reported_has(text, "<testsuite name=\"com\" package=\"hostmem.conform\" id=\"0\" "
			   "timestamp=\"1970-01-01T23:59:59\" hostname=\"here\" "
			   "tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\" "
			   "time=\"0.750\">");
	reported_has(text,
		     "<testsuite name=\"heap\" package=\"hostmem.conform\" id=\"1\"");
	reported_has(text, "tests=\"3\" failures=\"0\" errors=\"0\" skipped=\"2\"");
	reported_has(text, "<property name=\"module\" value=\"/lib/&quot;a&quot;.so\"/>");
	free(text);
}

static void a_case_has_one_element(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text = reported_by(hm_conform_print_junit, &report);

	reported_has(text, "<testcase classname=\"com\" name=\"good\" time=\"0.250\"/>");
	reported_has(text,
		     "<failure type=\"documented\" message=\"one.c:1: first\">rule: "
		     "COM: a \"rule\"; MS\none.c:1: first\ntwo.c:2: ");
	reported_has(text, "<error type=\"required\" message=\"crashed\">");
	reported_has(text, "<skipped message=\"the host has no IHostMalloc2\"/>");
	free(text);
}

static void text_is_what_xml_can_hold(void)
{
	static char lines[] = "\ta\r\n" HOSTILE;
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	outcomes[1].output = lines;
	report.module = "a\nb\tc";
	text = reported_by(hm_conform_print_junit, &report);
	reported_has(text, "two.c:2: \\x1b[2J #\\ \"]]&gt;&lt;&amp;'\\x01\\x7f\\xff\\xc3 "
			   "\\xe2\\x80\\xa8 \\xef\\xbf\\xbe \xc3\xbc\n</failure>");
	reported_has(text, "<system-out>com/bad:\n\ta\\x0d\n\\x1b[2J #");
	reported_has(text, "<property name=\"module\" value=\"a&#10;b&#9;c\"/>");
	free(text);
}

static void strict_skips_are_failures(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	report.strict = true;
	text = reported_by(hm_conform_print_junit, &report);
	reported_has(text, "tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"0\"");
	reported_has(text, "<failure type=\"required\" message=\"the host has no "
			   "IHostMalloc2\">");
	free(text);
}

static void a_computer_without_a_name_is_localhost(void)
{
	struct hm_outcome outcomes[REPORTED];
	struct hm_report report = reported(outcomes);
	char *text;

	report.computer = "";
	report.module = NULL;
	text = reported_by(hm_conform_print_junit, &report);
	reported_has(text, " hostname=\"localhost\" ");
	reported_has(text, "<property name=\"module\" value=\"hostmem\"/>");
	free(text);
}

int main(void)
{
	TAP_RUN(an_area_is_a_suite);
	TAP_RUN(a_case_has_one_element);
	TAP_RUN(text_is_what_xml_can_hold);
	TAP_RUN(strict_skips_are_failures);
	TAP_RUN(a_computer_without_a_name_is_localhost);
	return tap_done();
}
