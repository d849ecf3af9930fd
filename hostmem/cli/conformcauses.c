/*
 * What failing cases have in common.
 *
 * A host that is not finished fails in hundreds of cases for a handful of reasons, and its
 * author wants to know these.  Two cases have failed for the same reason, as far as one can
 * tell, if the first finding of both is of the same call with the same results.  Where it was
 * made, in which row, and what the arguments were, differs and is left out:
 *
 *	memory.c:9: [size 1] VirtualAlloc(NULL, 0x1, 0x2000, 0x4): got E_FAIL, want S_OK
 *	VirtualAlloc(...): got E_FAIL, want S_OK
 *
 * Of a crash, what was asked when it came is left out.
 */
#include "conformcauses.h"

#include <stdlib.h>
#include <string.h>

/* Behind "file.c:9: " and "[row] ", as far as they are there. */
static const char *skip_place(const char *text)
{
	size_t word = strcspn(text, " \n");
	const char *end;

	if (word != 0 && text[word] == ' ' && text[word - 1] == ':')
		text += word + 1;
	if (*text != '[')
		return text;
	end = strstr(text, "] ");
	return end != NULL ? end + 2 : text;
}

static void set_text(struct hm_cause *cause, const char *finding)
{
	const char *text = skip_place(finding), *results, *at;
	char line[1024];
	size_t call;

	(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
	at = strstr(line, ", at: ");
	if (at != NULL)
		line[at - line] = '\0';
	results = strstr(line, "): ");
	call = strcspn(line, "(");
	if (results != NULL && call != 0 && line + call < results)
		(void)snprintf(cause->text, sizeof(cause->text), "%.*s(...%s", (int)call,
			       line, results);
	else
		(void)snprintf(cause->text, sizeof(cause->text), "%.159s", line);
}

static int more_frequent(const void *left, const void *right)
{
	const struct hm_cause *a = (const struct hm_cause *)left;
	const struct hm_cause *b = (const struct hm_cause *)right;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* One more case of this cause, which may be the first. */
static void count_in(struct hm_cause *causes, size_t *count, const struct hm_cause *cause)
{
	size_t i = 0;

	while (i < *count && strcmp(causes[i].text, cause->text) != 0)
		i++;
	if (i == *count)
		causes[(*count)++] = *cause;
	causes[i].count++;
}

struct hm_cause *hm_conform_causes(const struct hm_report *report, size_t *count)
{
	struct hm_cause *causes = (struct hm_cause *)calloc(report->count,
							    sizeof(*causes));

	*count = 0;
	for (size_t i = 0; causes != NULL && i < report->count; i++) {
		struct hm_cause cause = { "", 0, i };

		if (report->outcomes[i].verdict != HM_FAILED)
			continue;
		set_text(&cause, report->outcomes[i].findings);
		count_in(causes, count, &cause);
	}
	if (*count != 0)
		qsort(causes, *count, sizeof(*causes), more_frequent);
	return causes;
}
