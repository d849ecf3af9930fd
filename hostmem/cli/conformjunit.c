/*
 * The report as JUnit's XML.
 *
 * There is no one schema of it.  What is printed here is valid by the two that most readers
 * were made for, those of Ant's JUnit task and of Jenkins: so a suite has all attributes, both
 * system-out and system-err, and a case no more than one element.  test/e2e/junit.xsd has that
 * subset.  A suite is an area.  A case that failed by its checks is a failure, whose type is its
 * group; one whose process crashed, hung or ended by itself is an error.
 *
 * XML has no way to write most control characters, and readers stop at a byte that is no UTF-8.
 * What is no plain text is shown as \xNN, but for ends of lines and tabs.
 */
#include "conform.h"
#include "display.h"

#include "abi/hostmem.h"

#include <string.h>
#include <time.h>

struct suite {
	const struct hm_outcome *first;
	size_t count;
	unsigned failures, errors, skipped;
	double seconds;
};

/* ---- Text ---- */

/* In an attribute a line ends with a reference, since a reader makes a space of the end. */
static void print_text(const char *text, bool attribute, FILE *out)
{
	while (*text != '\0') {
		unsigned length = hm_display_length(text);

		if (*text == '\n')
			(void)fputs(attribute ? "&#10;" : "\n", out);
		else if (*text == '\t')
			(void)fputs(attribute ? "&#9;" : "\t", out);
		else if (length == 0)
			(void)fprintf(out, "\\x%02x", (unsigned char)*text);
		else if (*text == '<')
			(void)fputs("&lt;", out);
		else if (*text == '>')
			(void)fputs("&gt;", out);
		else if (*text == '&')
			(void)fputs("&amp;", out);
		else if (*text == '"' && attribute)
			(void)fputs("&quot;", out);
		else
			(void)fwrite(text, 1, length, out);
		text += length == 0 ? 1 : length;
	}
}

static void print_attribute(const char *name, const char *value, FILE *out)
{
	(void)fprintf(out, " %s=\"", name);
	print_text(value, true, out);
	(void)fputc('"', out);
}

static void print_property(const char *name, const char *value, FILE *out)
{
	(void)fputs("      <property", out);
	print_attribute("name", name, out);
	print_attribute("value", value, out);
	(void)fputs("/>\n", out);
}

/* ---- Cases ---- */

static void print_skipped(const struct hm_outcome *outcome, FILE *out)
{
	(void)fputs(">\n      <skipped", out);
	print_attribute("message", outcome->skip, out);
	(void)fputs("/>\n    </testcase>\n", out);
}

/* All of it in the text; the first line as the message, which is what lists show. */
static void print_failed(const struct hm_outcome *outcome, FILE *out)
{
	const char *element = outcome->broke ? "error" : "failure";
	const char *text = outcome->verdict == HM_SKIPPED ? outcome->skip
							  : outcome->findings;
	char message[1024];

	(void)snprintf(message, sizeof(message), "%.*s", (int)strcspn(text, "\n"), text);
	(void)fprintf(out, ">\n      <%s", element);
	print_attribute("type", hm_group_name(outcome->entry.group), out);
	print_attribute("message", message, out);
	(void)fputs(">rule: ", out);
	print_text(outcome->entry.what->source, false, out);
	(void)fputc('\n', out);
	print_text(text, false, out);
	(void)fprintf(out, "</%s>\n    </testcase>\n", element);
}

static void print_case(const struct hm_report *report, const struct hm_outcome *outcome,
		       FILE *out)
{
	/* The area is the class. */
	const char *name = outcome->entry.name + strlen(outcome->entry.area) + 1;

	(void)fputs("    <testcase", out);
	print_attribute("classname", outcome->entry.area, out);
	print_attribute("name", name, out);
	(void)fprintf(out, " time=\"%.3f\"", outcome->seconds);
	if (!hm_outcome_is_good(report, outcome))
		print_failed(outcome, out);
	else if (outcome->verdict == HM_SKIPPED)
		print_skipped(outcome, out);
	else
		(void)fputs("/>\n", out);
}

/* ---- Suites ---- */

/* The outcomes from `first` on that are of one area. */
static struct suite suite_at(const struct hm_report *report, size_t first)
{
	struct suite suite = { &report->outcomes[first], 0, 0, 0, 0, 0 };
	const char *area = suite.first->entry.area;

	for (size_t i = first;
	     i < report->count && strcmp(report->outcomes[i].entry.area, area) == 0;
	     i++) {
		const struct hm_outcome *outcome = &report->outcomes[i];

		suite.count++;
		suite.seconds += outcome->seconds;
		if (hm_outcome_is_good(report, outcome))
			suite.skipped += outcome->verdict == HM_SKIPPED;
		else if (outcome->broke)
			suite.errors++;
		else
			suite.failures++;
	}
	return suite;
}

/* "2026-01-31T12:00:00", UTC; a zone is not allowed. */
static void print_timestamp(long long when, FILE *out)
{
	time_t seconds = (time_t)when;
	struct tm parts;
	char text[32];

	memset(&parts, 0, sizeof(parts));
	(void)gmtime_r(&seconds, &parts);
	if (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts) != 0)
		print_attribute("timestamp", text, out);
}

static void print_head(const struct hm_report *report, const struct suite *suite,
		       unsigned id, FILE *out)
{
	(void)fputs("  <testsuite", out);
	print_attribute("name", suite->first->entry.area, out);
	print_attribute("package", "hostmem.conform", out);
	(void)fprintf(out, " id=\"%u\"", id);
	print_timestamp(report->when, out);
	print_attribute("hostname",
			*report->computer != '\0' ? report->computer : "localhost", out);
	(void)fprintf(out,
		      " tests=\"%zu\" failures=\"%u\" errors=\"%u\" skipped=\"%u\""
		      " time=\"%.3f\">\n",
		      suite->count, suite->failures, suite->errors, suite->skipped,
		      suite->seconds);
	(void)fputs("    <properties>\n", out);
	print_property("module", report->module != NULL ? report->module : "hostmem",
		       out);
	print_property("hostmem", HostMemVersion(), out);
	(void)fputs("    </properties>\n", out);
}

/* What the module printed in cases that failed; which stream it was, nobody knows. */
static void print_output(const struct hm_report *report, const struct suite *suite,
			 FILE *out)
{
	(void)fputs("    <system-out>", out);
	for (size_t i = 0; i < suite->count; i++) {
		const struct hm_outcome *outcome = &suite->first[i];
		const char *text = outcome->output;

		if (*text == '\0' || hm_outcome_is_good(report, outcome))
			continue;
		(void)fprintf(out, "%s:\n", outcome->entry.name);
		print_text(text, false, out);
		if (text[strlen(text) - 1] != '\n')
			(void)fputc('\n', out);
	}
	(void)fputs("</system-out>\n    <system-err></system-err>\n", out);
}

void hm_conform_print_junit(const struct hm_report *report, FILE *out)
{
	unsigned id = 0;

	(void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", out);
	for (size_t i = 0; i < report->count;) {
		struct suite suite = suite_at(report, i);

		print_head(report, &suite, id++, out);
		for (size_t k = 0; k < suite.count; k++)
			print_case(report, &suite.first[k], out);
		print_output(report, &suite, out);
		(void)fputs("  </testsuite>\n", out);
		i += suite.count;
	}
	(void)fputs("</testsuites>\n", out);
}
