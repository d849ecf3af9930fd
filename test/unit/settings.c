/*
 * The checked form of settings: there and back again, and what is not it.
 *
 * SEED in the environment begins the random tests elsewhere.
 */
#include "hostmem/attach/settingswords.h"
#include "hostmem/cli/settingstext.h"

#include "test/tap.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define BIT(action) (1U << (action))

static struct hm_settings given, got;
static char text[HM_SETTINGS_TEXT], again[HM_SETTINGS_TEXT];

/* ---- Random settings ---- */

static uint64_t state;

static uint64_t draw(void)
{
	uint64_t number = state += 0x9E3779B97F4A7C15;

	number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9;
	number = (number ^ (number >> 27)) * 0x94D049BB133111EB;
	return number ^ (number >> 31);
}

static uint64_t below(uint64_t bound)
{
	return draw() % bound;
}

/* Small numbers and powers of two as often as others. */
static uint64_t draw_between(uint64_t least, uint64_t most)
{
	uint64_t number = draw() >> below(64);

	switch (below(4)) {
	case 0:
		return least;
	case 1:
		return most;
	default:
		return number < least ? least : number > most ? most : number;
	}
}

static void draw_name(char *name, uint64_t most)
{
	uint64_t length = below(3) == 0 ? most : below(most);

	for (uint64_t i = 0; i < length; i++)
		name[i] = (char)(1 + below(255));
}

/* Some of the rows, so that each may be there and not. */
static void draw_rows(const struct hm_settings_word *words, size_t count, void *record)
{
	for (size_t i = 0; i < count; i++) {
		if (words[i].action != 0 || below(2) == 0)
			continue;
		if (words[i].kind == HM_WORD_NAME) {
			draw_name((char *)record + words[i].offset, words[i].most);
			continue;
		}
		for (uint32_t number = 0; number < words[i].count; number++)
			hm_word_store(&words[i], record, number,
				      draw_between(words[i].least, words[i].most));
	}
}

static void draw_step(struct hm_step *step)
{
	step->trigger = (uint32_t)below(HM_TRIGGERS);
	step->when = draw_between(0, UINT64_MAX);
	if (step->trigger != HM_TRIGGER_CHARGED && below(2) == 0) {
		step->every = draw_between(1, UINT64_MAX);
		step->times = draw_between(0, 100);
	}
	for (size_t i = 0; i < HM_STEP_WORDS; i++) {
		const struct hm_settings_word *word = &hm_step_words[i];

		if (word->action == 0 || (below(3) != 0 && i != HM_STEP_WORDS - 1))
			continue;
		step->actions |= word->action;
		for (uint32_t number = 0; number < word->count; number++)
			hm_word_store(word, step, number,
				      draw_between(word->least, word->most));
	}
	if (step->value[HM_ACTION_LOAD] > 100) {
		step->value[HM_ACTION_LOAD] = HM_LOAD_REAL;
		step->value[HM_ACTION_FREE] = 0;
	}
}

static void draw_settings(void)
{
	hm_settings_init(&given);
	draw_rows(hm_settings_words, HM_SETTINGS_WORDS, &given);
	given.step_count = (uint32_t)draw_between(0, below(8));
	given.fault_count = (uint32_t)draw_between(0, below(8));
	for (uint32_t i = 0; i < given.step_count; i++)
		draw_step(&given.steps[i]);
	for (uint32_t i = 0; i < given.fault_count; i++) {
		hm_settings_init_fault(&given.faults[i]);
		draw_rows(hm_fault_words, HM_FAULT_WORDS, &given.faults[i]);
	}
}

static void begin_random(void)
{
	const char *seed = getenv("SEED");

	state = seed != NULL ? strtoull(seed, NULL, 0) : 1;
}

/* ---- There and back ---- */

static const char printable[] = "\n !\"#$%&'()*+,-./0123456789:;<=>?@"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
				"abcdefghijklmnopqrstuvwxyz{|}~";

static void settings_that_were_written_are_read(void)
{
	begin_random();
	for (unsigned round = 0; round < 20000; round++) {
		size_t length;

		tap_row("SEED=%" PRIu64, state);
		draw_settings();
		length = hm_settings_write(&given, text);
		CHECK_SIZE(length, strlen(text));
		CHECK_SIZE(strspn(text, printable), length);
		if (!CHECK_U32(hm_settings_read(text, &got), 0) ||
		    !CHECK(memcmp(&got, &given, sizeof(got)) == 0))
			return;
	}
}

/* Each row there, each number as long as it can be. */
static void make_longest(const struct hm_settings_word *words, size_t count, void *record)
{
	for (size_t i = 0; i < count; i++) {
		for (uint32_t number = 0; number < words[i].count; number++) {
			if (words[i].kind == HM_WORD_NAME)
				memset((char *)record + words[i].offset, '\x80',
				       words[i].most);
			else
				hm_word_store(&words[i], record, number,
					      words[i].most == words[i].usual
						      ? words[i].most - 1
						      : words[i].most);
		}
	}
}

static void the_longest_settings_have_room(void)
{
	hm_settings_init(&given);
	make_longest(hm_settings_words, HM_SETTINGS_WORDS, &given);
	given.step_count = HM_SETTINGS_STEPS;
	given.fault_count = HM_SETTINGS_FAULTS;
	for (unsigned i = 0; i < HM_SETTINGS_STEPS; i++) {
		struct hm_step *step = &given.steps[i];

		make_longest(hm_step_words, HM_STEP_WORDS, step);
		step->trigger = HM_TRIGGER_REQUEST;
		step->when = UINT64_MAX;
		step->value[HM_ACTION_LOAD] = 100;
		for (unsigned word = 0; word < HM_STEP_WORDS; word++)
			step->actions |= hm_step_words[word].action;
	}
	for (unsigned i = 0; i < HM_SETTINGS_FAULTS; i++) {
		hm_settings_init_fault(&given.faults[i]);
		make_longest(hm_fault_words, HM_FAULT_WORDS, &given.faults[i]);
	}
	CHECK(hm_settings_write(&given, text) < HM_SETTINGS_TEXT - 1);
	CHECK_U32(hm_settings_read(text, &got), 0);
	CHECK(memcmp(&got, &given, sizeof(got)) == 0);
}

static void settings_of_nothing_are_one_line(void)
{
	hm_settings_init(&given);
	(void)hm_settings_write(&given, text);
	CHECK_STR(text, "hostmem 1\n");
}

static void the_text_is_this(void)
{
	static const char want[] = "hostmem 1\n"
				   "program my%20java\n"
				   "profile hotspot\n"
				   "summary 1\n"
				   "limit 268435456\n"
				   "headroom 16777216 8388608 0\n"
				   "step at 2000\n"
				   " every 10000\n"
				   " times 3\n"
				   " load 95 104857600\n"
				   " available 1\n"
				   "step charged 134217728\n"
				   " limit 67108864\n"
				   " faults 1\n"
				   "fault\n"
				   " unarmed 1\n"
				   " levels 1\n"
				   " probability 0x3fe0000000000000\n"
				   " result 0x80070005\n";
	const struct hm_step *step = got.steps;

	CHECK_U32(hm_settings_read(want, &got), 0);
	CHECK_STR(got.program, "my java");
	CHECK_STR(got.profile, "hotspot");
	CHECK_U32(got.summary, 1);
	CHECK_SIZE(got.budget.cbLimit, (size_t)256 << 20);
	CHECK_SIZE(got.budget.cbSoftLimit, SIZE_MAX);
	CHECK_SIZE(got.budget.cbHeadroom[eAppDomainCritical], (size_t)8 << 20);
	CHECK_U32(got.step_count, 2);
	CHECK_U32(step[0].trigger, HM_TRIGGER_AT);
	CHECK_U32(step[0].actions, BIT(HM_ACTION_LOAD) | BIT(HM_ACTION_AVAILABLE));
	CHECK_SIZE(step[0].value[HM_ACTION_FREE], (size_t)100 << 20);
	CHECK_SIZE(step[0].times, 3);
	CHECK_U32(step[1].actions, BIT(HM_ACTION_LIMIT) | BIT(HM_ACTION_FAULTS));
	CHECK_U32(got.fault_count, 1);
	CHECK_U32(got.faults[0].unarmed, 1);
	CHECK(got.faults[0].rule.probability == 0.5);
	CHECK_HR(got.faults[0].rule.result, E_ACCESSDENIED);
	CHECK_SIZE(got.faults[0].rule.count, 0);
	(void)hm_settings_write(&got, again);
	CHECK_STR(again, want);
}

/* ---- What is not it ---- */

static void what_the_writer_would_not_write_is_refused(void)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{ "", 1 },
		{ "hostmem 1", 1 },
		{ "hostmem 2\n", 1 },
		{ "hostmem 1\n\n", 2 },
		{ "hostmem 1\nlimits 1\n", 2 },
		{ "hostmem 1\nlimit 1", 2 },
		{ "hostmem 1\nlimit 01\n", 2 },
		{ "hostmem 1\nlimit +1\n", 2 },
		{ "hostmem 1\nlimit  1\n", 2 },
		{ "hostmem 1\nlimit 1 \n", 2 },
		{ "hostmem 1\nlimit 1 2\n", 2 },
		{ "hostmem 1\nlimit 0x1\n", 2 },
		{ "hostmem 1\nlimit\n", 2 },
		{ "hostmem 1\n limit 1\n", 2 },
		{ "hostmem 1\nlimit 18446744073709551615\n", 2 },
		{ "hostmem 1\nlimit 18446744073709551616\n", 2 },
		{ "hostmem 1\nlimit 99999999999999999999\n", 2 },
		{ "hostmem 1\nlimit 1\nlimit 1\n", 3 },
		{ "hostmem 1\nlimit 1\nsummary 1\n", 3 },
		{ "hostmem 1\nsummary 2\n", 2 },
		{ "hostmem 1\nsummary 0\n", 2 },
		{ "hostmem 1\nheadroom 1 0\n", 2 },
		{ "hostmem 1\nheadroom 0 0 0\n", 2 },
		{ "hostmem 1\nwait 4294967296 0 0\n", 2 },
		{ "hostmem 1\nprofile \n", 2 },
		{ "hostmem 1\nprofile a b\n", 2 },
		{ "hostmem 1\nprofile %41\n", 2 },
		{ "hostmem 1\nprofile %0A\n", 2 },
		{ "hostmem 1\nprofile %00\n", 2 },
		{ "hostmem 1\nprofile %", 2 },
		{ "hostmem 1\nprofile 12345678901234567890123456789012\n", 2 },
		{ "hostmem 1\nstep at 1\n", 3 },
		{ "hostmem 1\nstep on 1\n limit 1\n", 2 },
		{ "hostmem 1\nstep at 1\nlimit 1\n", 3 },
		{ "hostmem 1\nstep at 1\n gate 1\n limit 1\n", 4 },
		{ "hostmem 1\nstep at 1\n available 4\n", 3 },
		{ "hostmem 1\nstep at 1\n load 102 0\n", 4 },
		{ "hostmem 1\nstep at 1\n load 101 1\n", 4 },
		{ "hostmem 1\nstep at 1\n load 95\n", 3 },
		{ "hostmem 1\nstep at 1\n times 1\n limit 1\n", 5 },
		{ "hostmem 1\nstep charged 1\n every 1\n limit 1\n", 5 },
		{ "hostmem 1\nstep at 1\n faults 2\n", 3 },
		{ "hostmem 1\nfault \n", 2 },
		{ "hostmem 1\nfault\nstep at 1\n limit 1\n", 3 },
		{ "hostmem 1\nfault\n operations 64\n", 3 },
		{ "hostmem 1\nfault\n levels 8\n", 3 },
		{ "hostmem 1\nfault\n place 2\n", 3 },
		{ "hostmem 1\nfault\n result 0x0\n", 3 },
		{ "hostmem 1\nfault\n result 0x8007000e\n", 3 },
		{ "hostmem 1\nfault\n result 0x80070005\n delay 0\n", 4 },
		{ "hostmem 1\nfault\n result 0x80070005a\n", 3 },
		{ "hostmem 1\nfault\n result 0X80070005\n", 3 },
		{ "hostmem 1\nfault\n result 2147942405\n", 3 },
		{ "hostmem 1\nfault\n probability 0x3ff0000000000001\n", 3 },
		{ "hostmem 1\nfault\n probability 0x8000000000000000\n", 3 },
		{ "hostmem 1\nfault\n probability 0x7ff8000000000000\n", 3 },
	};

	hm_settings_init(&given);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		memset(&got, 0xEE, sizeof(got));
		CHECK_U32(hm_settings_read(rows[i].text, &got), rows[i].line);
		CHECK(memcmp(&got, &given, sizeof(got)) == 0);
	}
}

static void more_steps_and_rules_than_fit_are_refused(void)
{
	char *end = text + sprintf(text, "hostmem 1\n");

	for (unsigned i = 0; i <= HM_SETTINGS_STEPS; i++)
		end += sprintf(end, "step at 1\n limit 1\n");
	CHECK_U32(hm_settings_read(text, &got), 2 + 2 * HM_SETTINGS_STEPS);
	end = text + sprintf(text, "hostmem 1\n");
	for (unsigned i = 0; i <= HM_SETTINGS_FAULTS; i++)
		end += sprintf(end, "fault\n");
	CHECK_U32(hm_settings_read(text, &got), 2 + HM_SETTINGS_FAULTS);
}

/* ---- Mutated text ---- */

static void mutate(char *exact, size_t *length)
{
	static const char some[] = "0123456789abcdefx% \n\t+-limtseprauhodfg\x01\x80\xFF";
	size_t place = (size_t)below(*length + 1);
	size_t count = (size_t)below(*length - place + 1);

	switch (below(4)) {
	case 0: /* one byte is another one */
		if (place < *length)
			exact[place] = some[below(sizeof(some))];
		break;
	case 1: /* some are missing */
		count = below(3) == 0 ? count : count != 0;
		memmove(exact + place, exact + place + count, *length - place - count);
		*length -= count;
		break;
	case 2: /* some are there twice */
		count = count < 40 ? count : 40;
		memmove(exact + place + count, exact + place, *length - place);
		*length += count;
		break;
	default: /* the end is missing */
		*length = place;
		break;
	}
}

/* Whatever comes, either it is refused or the writer writes just that. */
static void mutated_text_is_refused_or_is_what_is_written(void)
{
	unsigned accepted = 0;

	begin_random();
	for (unsigned round = 0; round < 50000; round++) {
		size_t length;
		char *exact;

		tap_row("SEED=%" PRIu64, state);
		draw_settings();
		length = hm_settings_write(&given, text);
		for (uint64_t left = 1 + below(3); left != 0; left--)
			mutate(text, &length);
		/* With nothing behind its end, so that a sanitizer sees who reads on. */
		exact = (char *)malloc(length + 1);
		memcpy(exact, text, length);
		exact[length] = '\0';
		if (hm_settings_read(exact, &got) == 0) {
			accepted++;
			(void)hm_settings_write(&got, again);
			CHECK_STR(again, exact);
		}
		free(exact);
	}
	/* Both happen, or nothing was asked. */
	CHECK(accepted > 100 && accepted < 40000);
}

int main(void)
{
	TAP_RUN(settings_that_were_written_are_read);
	TAP_RUN(the_longest_settings_have_room);
	TAP_RUN(settings_of_nothing_are_one_line);
	TAP_RUN(the_text_is_this);
	TAP_RUN(what_the_writer_would_not_write_is_refused);
	TAP_RUN(more_steps_and_rules_than_fit_are_refused);
	TAP_RUN(mutated_text_is_refused_or_is_what_is_written);
	return tap_done();
}
