/*
 * Reading the checked form of settings, in the attached program.
 *
 * This runs before the program's main, perhaps inside its first malloc: no memory is
 * asked for, no function of the C library is called that might set errno, take a lock or
 * look at the locale, and the record is filled in place.
 *
 * The text comes from the environment, which anybody may have written.  So nothing is
 * taken on trust: each line is compared with the rows of settingswords.c, in their order,
 * and what remains when no row fits any more has to be the next part or the end.  Numbers
 * have one spelling (no sign, no zero in front, no blank too many), and what is usual is
 * not said; hence each record has one text, and a text that is accepted is one that the
 * writer writes.  A text that is cut off anywhere is not accepted, unless by chance at the
 * end of a line, which is why a command puts no more than HM_SETTINGS_TEXT there.
 */
#include "settingswords.h"

#include <stdbool.h>
#include <string.h>

struct reading {
	const char *next;
	unsigned line;
};

void hm_settings_init_fault(struct hm_settings_fault *fault)
{
	*fault = (struct hm_settings_fault){ .rule = HOSTMEM_FAULT_INIT };
	fault->rule.count = 0;
}

void hm_settings_init(struct hm_settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->budget = (HostMemBudget)HOSTMEM_BUDGET_INIT;
}

/* ---- Pieces ---- */

/* Goes on behind `text` if it stands there. */
static bool takes(struct reading *reading, const char *text)
{
	const char *next = reading->next;

	while (*text != '\0') {
		if (*next++ != *text++)
			return false;
	}
	reading->next = next;
	return true;
}

static bool ends_line(struct reading *reading)
{
	if (!takes(reading, "\n"))
		return false;
	reading->line++;
	return true;
}

/* -1 if it is none. */
static int digit(char character, unsigned base)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (base == 16 && character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	return -1;
}

static bool reads_number(struct reading *reading, unsigned base, uint64_t *out)
{
	uint64_t value = 0;
	int next = digit(*reading->next, base);

	/* None, or a zero in front of one. */
	if (next < 0 || (next == 0 && digit(reading->next[1], base) >= 0))
		return false;
	for (; next >= 0; next = digit(*++reading->next, base)) {
		if (value > (UINT64_MAX - (unsigned)next) / base)
			return false;
		value = value * base + (unsigned)next;
	}
	*out = value;
	return true;
}

static bool reads_value(struct reading *reading, const struct hm_settings_word *word,
			uint64_t *out)
{
	bool hex = word->kind == HM_WORD_HEX32 || word->kind == HM_WORD_HEX64;

	if (hex && !takes(reading, "0x"))
		return false;
	return reads_number(reading, hex ? 16 : 10, out) && *out >= word->least &&
	       *out <= word->most;
}

/* One byte of a name; false: there is none, or it is not spelled like that. */
static bool reads_byte(struct reading *reading, char *out)
{
	unsigned char byte = (unsigned char)*reading->next;
	int high, low;

	if (hm_word_shows(byte)) {
		*out = *reading->next++;
		return true;
	}
	if (!takes(reading, "%"))
		return false;
	high = digit(reading->next[0], 16);
	low = high < 0 ? -1 : digit(reading->next[1], 16);
	if (low < 0)
		return false;
	reading->next += 2;
	byte = (unsigned char)(high * 16 + low);
	*out = (char)byte;
	return byte != 0 && !hm_word_shows(byte);
}

static bool reads_name(struct reading *reading, const struct hm_settings_word *word,
		       void *record)
{
	char *name = (char *)record + word->offset;
	uint64_t length = 0;

	while (*reading->next != '\n' && length < word->most) {
		if (!reads_byte(reading, &name[length++]))
			return false;
	}
	return true;
}

/* ---- Lines ---- */

static bool reads_line(struct reading *reading, const struct hm_settings_word *word,
		       void *record)
{
	uint64_t value;

	if (word->kind == HM_WORD_NAME) {
		if (!takes(reading, " ") || !reads_name(reading, word, record))
			return false;
	} else {
		for (uint32_t i = 0; i < word->count; i++) {
			if (!takes(reading, " ") || !reads_value(reading, word, &value))
				return false;
			hm_word_store(word, record, i, value);
		}
	}
	return hm_word_is_told(word, record) && ends_line(reading);
}

/* Whether the next line begins with that word, and then behind it. */
static bool takes_word(struct reading *reading, const char *indent,
		       const struct hm_settings_word *word)
{
	struct reading ahead = *reading;

	if (!takes(&ahead, indent) || !takes(&ahead, word->word) || *ahead.next != ' ')
		return false;
	*reading = ahead;
	return true;
}

static bool reads_rows(struct reading *reading, const char *indent,
		       const struct hm_settings_word *words, size_t count, void *record)
{
	for (size_t i = 0; i < count; i++) {
		if (!takes_word(reading, indent, &words[i]))
			continue;
		if (words[i].action != 0)
			((struct hm_step *)record)->actions |= words[i].action;
		if (!reads_line(reading, &words[i], record))
			return false;
	}
	return true;
}

static bool reads_step(struct reading *reading, struct hm_step *step)
{
	uint32_t trigger = 0;

	while (trigger < HM_TRIGGERS && !takes(reading, hm_trigger_words[trigger]))
		trigger++;
	step->trigger = trigger;
	return trigger < HM_TRIGGERS && takes(reading, " ") &&
	       reads_number(reading, 10, &step->when) && ends_line(reading) &&
	       reads_rows(reading, " ", hm_step_words, HM_STEP_WORDS, step) &&
	       hm_step_is_whole(step);
}

static bool reads_fault(struct reading *reading, struct hm_settings_fault *fault)
{
	hm_settings_init_fault(fault);
	return ends_line(reading) &&
	       reads_rows(reading, " ", hm_fault_words, HM_FAULT_WORDS, fault);
}

static bool reads_all(struct reading *reading, struct hm_settings *settings)
{
	if (!takes(reading, "hostmem 1") || !ends_line(reading) ||
	    !reads_rows(reading, "", hm_settings_words, HM_SETTINGS_WORDS, settings))
		return false;
	while (takes(reading, "step ")) {
		if (settings->step_count == HM_SETTINGS_STEPS ||
		    !reads_step(reading, &settings->steps[settings->step_count]))
			return false;
		settings->step_count++;
	}
	while (takes(reading, "fault")) {
		if (settings->fault_count == HM_SETTINGS_FAULTS ||
		    !reads_fault(reading, &settings->faults[settings->fault_count]))
			return false;
		settings->fault_count++;
	}
	return *reading->next == '\0';
}

unsigned hm_settings_read(const char *text, struct hm_settings *settings)
{
	struct reading reading = { text, 1 };

	hm_settings_init(settings);
	if (reads_all(&reading, settings))
		return 0;
	hm_settings_init(settings);
	return reading.line;
}
