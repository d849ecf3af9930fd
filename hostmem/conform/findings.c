/*
 * What a trial finds: checks, and how they are told.
 *
 * A finding is told the moment it is made, so that what was found before a crash is not lost
 * with the process.  It is one line: where the case made the check, the row it was at, what was
 * asked and both values.
 *
 * Locks: none; the counters are atomic, and a row belongs to the thread of the case.
 */
#include "trial.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = 512 }; /* bytes of a finding; longer ones are cut */

static void tell(struct hm_trial *t, enum hm_finding finding, const char *text)
{
	t->tells(t->tells_state, finding, text);
}

/* Behind the last slash, or the last backslash where the compiler was Windows'. */
static const char *base_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash != NULL ? slash + 1 : file;
}

static bool passed(struct hm_trial *t, bool ok, const char *text, const char *got,
		   const char *want, const char *file, int line)
{
	char finding[TEXT];
	bool known = !ok && t->wine != NULL;

	t->checks++;
	if (ok)
		return true;
	(void)snprintf(finding, sizeof(finding), "%s:%d:%s%s%s %s: got %s, want %s%s%s",
		       base_name(file), line, t->row[0] != '\0' ? " [" : "", t->row,
		       t->row[0] != '\0' ? "]" : "", text, got, want,
		       known ? "; on Wine: " : "", known ? t->wine : "");
	if (known)
		t->known++;
	else
		t->failures++;
	tell(t, known ? HM_KNOWN : HM_FAILURE, finding);
	return false;
}

bool hm_check(struct hm_trial *t, bool ok, const char *text, const char *file, int line)
{
	return passed(t, ok, text, "false", "true", file, line);
}

bool hm_check_hr(struct hm_trial *t, HRESULT got, HRESULT want, const char *text,
		 const char *file, int line)
{
	return passed(t, got == want, text, t->target->result_name(got),
		      t->target->result_name(want), file, line);
}

bool hm_check_size(struct hm_trial *t, uint64_t got, uint64_t want, const char *text,
		   const char *file, int line)
{
	char got_text[48], want_text[48];

	(void)snprintf(got_text, sizeof(got_text), "%" PRIu64 " (0x%" PRIx64 ")", got,
		       got);
	(void)snprintf(want_text, sizeof(want_text), "%" PRIu64 " (0x%" PRIx64 ")", want,
		       want);
	return passed(t, got == want, text, got_text, want_text, file, line);
}

bool hm_check_pointer(struct hm_trial *t, const volatile void *got,
		      const volatile void *want, const char *text, const char *file,
		      int line)
{
	char got_text[24], want_text[24];

	(void)snprintf(got_text, sizeof(got_text), "0x%" PRIxPTR, (uintptr_t)got);
	(void)snprintf(want_text, sizeof(want_text), "0x%" PRIxPTR, (uintptr_t)want);
	return passed(t, got == want, text, got_text, want_text, file, line);
}

/* Whoever says that Wine is different is told if it is not. */
static void end_wine(struct hm_trial *t)
{
	char finding[TEXT];

	if (t->wine != NULL && t->checks != t->wine_checks && t->known == t->wine_known) {
		(void)snprintf(finding, sizeof(finding), "[%s] %s", t->row, t->wine);
		tell(t, HM_NEEDLESS, finding);
	}
	t->wine = NULL;
}

void hm_row(struct hm_trial *t, const char *format, ...)
{
	va_list arguments;

	end_wine(t);
	va_start(arguments, format);
	(void)vsnprintf(t->row, sizeof(t->row), format, arguments);
	va_end(arguments);
}

void hm_wine(struct hm_trial *t, const char *evidence)
{
	end_wine(t);
	t->wine = hm_on_wine() ? evidence : NULL;
	t->wine_checks = t->checks;
	t->wine_known = t->known;
}

void hm_skip(struct hm_trial *t, const char *format, ...)
{
	char text[TEXT];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	t->skipped = true;
	tell(t, HM_SKIP, text);
}
