/*
 * What the judge prints: TAP 13, a line for each case.
 *
 * A case whose failing checks are all known differences of Wine is "not ok" with the directive
 * TODO: it is no failure, and it does not look like a rule that was confirmed either.
 *
 * A difference that is not there any more is to be noticed.  One mark stands for the case and
 * for its ".codes", and one of the two may well pass; so a mark is needless if both say so.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOLD = 12 };

/* ---- Marks that nothing needs ---- */

/* The lines that the case before has told, where this is the ".codes" of that case. */
static char *pending;

static void append(char **lines, const char *line, size_t length)
{
	size_t before = *lines != NULL ? strlen(*lines) : 0;
	char *longer = (char *)realloc(*lines, before + length + 2);

	if (longer == NULL)
		return;
	memcpy(longer + before, line, length);
	memcpy(longer + before + length, "\n", 2);
	*lines = longer;
}

static bool has_line(const char *lines, const char *line, size_t length)
{
	for (; lines != NULL && *lines != '\0'; lines = strchr(lines, '\n') + 1) {
		if (strncmp(lines, line, length) == 0 && lines[length] == '\n')
			return true;
	}
	return false;
}

static void note_needless(struct judge_summary *summary,
			  const struct judge_outcome *outcome, const char *text)
{
	char line[JUDGE_LINE];

	/* Without the ".codes". */
	(void)snprintf(line, sizeof(line), "%s/%s: %s", outcome->entry.area,
		       outcome->entry.what->name, text);
	if (outcome->entry.what->codes == HM_NO_GROUP)
		append(&summary->needless, line, strlen(line));
	else if (!outcome->entry.codes)
		append(&pending, line, strlen(line));
	else if (has_line(pending, line, strlen(line)))
		append(&summary->needless, line, strlen(line));
}

/* ---- Lines of one case ---- */

static void tell(struct judge_outcome *outcome, const char *text)
{
	outcome->told++;
	if (outcome->told <= MOST_TOLD)
		(void)printf("# %s\n", text);
}

static void note_known(struct judge_outcome *outcome, const char *text)
{
	const char *reason = strstr(text, "on Wine: ");

	if (outcome->reason[0] == '\0' && reason != NULL)
		(void)snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
	tell(outcome, text);
}

void judge_report_line(struct judge_summary *summary, struct judge_outcome *outcome,
		       const char *line)
{
	const char *text = strlen(line) >= 2 ? line + 2 : "";

	switch (line[0]) {
	case HM_FAILURE:
		tell(outcome, text);
		break;
	case HM_KNOWN:
		note_known(outcome, text);
		break;
	case HM_SKIP:
		(void)snprintf(outcome->skip, sizeof(outcome->skip), "%s", text);
		break;
	case HM_NEEDLESS:
		note_needless(summary, outcome, text);
		break;
	case 'E':
		outcome->ended = sscanf(text, "%u %u %u", &outcome->checks,
					&outcome->failures, &outcome->known) == 3;
		break;
	default: /* what somebody printed */
		(void)printf("# %s\n", line);
		break;
	}
}

/* ---- Verdicts ---- */

void judge_report_case(struct judge_summary *summary, struct judge_outcome *outcome,
		       size_t number)
{
	const char *name = outcome->entry.name;

	summary->cases++;
	summary->checks += outcome->checks;
	summary->known += outcome->known;
	if (outcome->told > MOST_TOLD)
		(void)printf("# and %u more\n", outcome->told - MOST_TOLD);
	if (!outcome->ended || outcome->failures != 0) {
		summary->failed++;
		if (!outcome->ended)
			(void)puts("# the case did not come to its end");
		(void)printf("not ok %zu - %s\n", number, name);
	} else if (outcome->skip[0] != '\0') {
		summary->skipped++;
		(void)printf("ok %zu - %s # SKIP %s\n", number, name, outcome->skip);
	} else if (outcome->known != 0) {
		summary->differ++;
		(void)printf("not ok %zu - %s # TODO %s\n", number, name,
			     outcome->reason);
	} else {
		summary->passed++;
		(void)printf("ok %zu - %s\n", number, name);
	}
	(void)fflush(stdout);
	if (outcome->entry.codes || outcome->entry.what->codes == HM_NO_GROUP) {
		free(pending);
		pending = NULL;
	}
}

void judge_report_end(struct judge_summary *summary)
{
	unsigned marks = 0;

	(void)printf("# %u cases: %u passed, %u differ on Wine as known, %u failed, "
		     "%u skipped\n",
		     summary->cases, summary->passed, summary->differ, summary->failed,
		     summary->skipped);
	(void)printf("# %u checks, of which %u differ on Wine as known\n",
		     summary->checks, summary->known);
	for (char *line = summary->needless, *end; line != NULL && *line != '\0';
	     line = end + 1) {
		end = strchr(line, '\n');
		(void)printf("# no difference any more: %.*s\n", (int)(end - line), line);
		marks++;
	}
	(void)printf("# %u marks of Wine's differences were needless\n", marks);
	free(summary->needless);
	summary->needless = NULL;
}
