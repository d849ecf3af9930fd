/*
 * Writing the checked form of settings, for the variable that the attached program reads.
 *
 * What it looks like stands in hostmem/attach/settings.h; here the rows of the words that
 * both sides share are walked once.  There is no room to run out of: a test writes the
 * longest settings that there can be.
 */
#include "settingstext.h"

#include "hostmem/attach/settingswords.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct writing {
	char *text;
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct writing *writing,
						      const char *format, ...)
{
	size_t room = HM_SETTINGS_TEXT - writing->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(writing->text + writing->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		writing->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void add_name(struct writing *writing, const char *name)
{
	add(writing, " ");
	for (; *name != '\0'; name++) {
		unsigned char byte = (unsigned char)*name;

		add(writing, hm_word_shows(byte) ? "%c" : "%%%02x", byte);
	}
}

static void add_number(struct writing *writing, const struct hm_settings_word *word,
		       uint64_t value)
{
	if (word->kind == HM_WORD_HEX32 || word->kind == HM_WORD_HEX64)
		add(writing, " 0x%" PRIx64, value);
	else
		add(writing, " %" PRIu64, value);
}

static void add_rows(struct writing *writing, const char *indent,
		     const struct hm_settings_word *words, size_t count,
		     const void *record)
{
	for (size_t i = 0; i < count; i++) {
		const struct hm_settings_word *word = &words[i];

		if (!hm_word_is_told(word, record))
			continue;
		add(writing, "%s%s", indent, word->word);
		if (word->kind == HM_WORD_NAME)
			add_name(writing, (const char *)record + word->offset);
		else
			for (uint32_t number = 0; number < word->count; number++)
				add_number(writing, word,
					   hm_word_load(word, record, number));
		add(writing, "\n");
	}
}

size_t hm_settings_write(const struct hm_settings *settings, char *text)
{
	struct writing writing = { text, 0 };

	add(&writing, "hostmem 1\n");
	add_rows(&writing, "", hm_settings_words, HM_SETTINGS_WORDS, settings);
	for (uint32_t i = 0; i < settings->step_count; i++) {
		const struct hm_step *step = &settings->steps[i];

		add(&writing, "step %s %" PRIu64 "\n", hm_trigger_words[step->trigger],
		    step->when);
		add_rows(&writing, " ", hm_step_words, HM_STEP_WORDS, step);
	}
	for (uint32_t i = 0; i < settings->fault_count; i++) {
		add(&writing, "fault\n");
		add_rows(&writing, " ", hm_fault_words, HM_FAULT_WORDS,
			 &settings->faults[i]);
	}
	return writing.length;
}
