/* What `hostmem conform` prints of cases that never ran. */
#ifndef HOSTMEM_TEST_UNIT_REPORTED_H
#define HOSTMEM_TEST_UNIT_REPORTED_H

#include "hostmem/cli/conform.h"
/* Checks here are those of a test, and not those of a case. */
#undef CHECK
#undef CHECK_HR
#undef CHECK_SIZE
#undef CHECK_POINTER
#include "tap.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
/* Each of what a terminal, TAP, YAML or XML could take for something else, but no line. */
#define HOSTILE "\033[2J #\\ \"]]><&'\x01\x7f\xff\xc3 \xe2\x80\xa8 \xef\xbf\xbe \xc3\xbc"
#define HOSTILE_SHOWN \
	"\\x1b[2J #\\ \"]]><&'\\x01\\x7f\\xff\\xc3 \\xe2\\x80\\xa8 \\xef\\xbf\\xbe " \
	"\xc3\xbc"

enum { REPORTED = 6 };

/* Two areas: what passed, failed, crashed and was skipped. */
static inline struct hm_report reported(struct hm_outcome outcomes[REPORTED])
{
	static const struct hm_case what = { "case", HM_REQUIRED, "COM: a \"rule\"; MS",
					     NULL, HM_NO_GROUP };
	static char none[] = "", why[] = "the host has no IHostMalloc2", words[] = "hm\n";
	static char two[] = "one.c:1: first\ntwo.c:2: " HOSTILE "\n",
		    crash[] = "crashed\n";
	static const struct {
		const char *area, *name;
		enum hm_group group;
		enum hm_verdict verdict;
		unsigned failures;
		bool broke;
		char *skip, *findings, *output;
	} rows[REPORTED] = {
		{ "com", "com/good", HM_REQUIRED, HM_PASSED, 0, false, NULL, none,
		  words },
		{ "com", "com/bad", HM_DOCUMENTED, HM_FAILED, 2, false, NULL, two,
		  words },
		{ "com", "com/crash", HM_REQUIRED, HM_FAILED, 1, true, NULL, crash,
		  none },
		{ "heap", "heap/fine", HM_WINDOWS_DETAIL, HM_PASSED, 0, false, NULL, none,
		  none },
		{ "heap", "heap/none", HM_REQUIRED, HM_SKIPPED, 0, false, why, none,
		  none },
		{ "heap", "heap/nor", HM_DOCUMENTED, HM_SKIPPED, 0, false, why, none,
		  none },
	};
	struct hm_report report = { "/lib/\"a\".so", outcomes, REPORTED, 1.25,
				    false,           "here",   86399 };

	for (size_t i = 0; i < REPORTED; i++) {
		struct hm_outcome *outcome = &outcomes[i];

		memset(outcome, 0, sizeof(*outcome));
		outcome->entry.area = rows[i].area;
		outcome->entry.what = &what;
		outcome->entry.group = rows[i].group;
		(void)snprintf(outcome->entry.name, sizeof(outcome->entry.name), "%s",
			       rows[i].name);
		outcome->verdict = rows[i].verdict;
		outcome->checks = 10;
		outcome->failures = rows[i].failures;
		outcome->broke = rows[i].broke;
		outcome->seconds = 0.25;
		outcome->skip = rows[i].skip;
		outcome->findings = rows[i].findings;
		outcome->output = rows[i].output;
	}
	return report;
}

/* What `print` writes; to be freed. */
static inline char *reported_by(void (*print)(const struct hm_report *report, FILE *out),
				const struct hm_report *report)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!CHECK(out != NULL))
		return NULL;
	print(report, out);
	CHECK_INT(fclose(out), 0);
	return text;
}

static inline void reported_has(const char *text, const char *part)
{
	tap_row("%s", part);
	CHECK(text != NULL && strstr(text, part) != NULL);
	tap_row("%s", "");
}

#endif
