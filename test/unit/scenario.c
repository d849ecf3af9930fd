/*
 * Scenarios: what is made of each key, and of files that are damaged.
 *
 * What is told of mistakes is for test/e2e/check.sh.  SEED in the environment begins the
 * random test elsewhere.
 */
#include "hostmem/cli/scenario.h"
#include "hostmem/cli/settingstext.h"

#include "test/tap.h"

#include <unistd.h>

static struct hm_settings settings, again;
static char text[HM_SETTINGS_TEXT];

/* Every key that there is. */
static const char everything[] = "# A comment\n"
				 "seed: 42\n"
				 "budget:\n"
				 "  limit: 256M\n"
				 "  soft: 200M\n"
				 "  headroom: {task: 16M, domain: 8M, process: 64K}\n"
				 "  largest: {task: 1M, domain: 2M, process: any}\n"
				 "  wait: {task: 0ms, domain: 200ms, process: 2s}\n"
				 "steps:\n"
				 "  - at: 2s\n"
				 "    every: 10s\n"
				 "    times: 3\n"
				 "    available: low\n"
				 "    gate: 200ms\n"
				 "  - charged: 128M\n"
				 "    load: 95\n"
				 "    free: 100M\n"
				 "    faults: on\n"
				 "  - request: 1000\n"
				 "    every: 500\n"
				 "    limit: 64M\n"
				 "    soft: none\n"
				 "    headroom: {process: 1M}\n"
				 "    largest: {task: any}\n"
				 "    wait: {domain: 1s}\n"
				 "  - {at: \"0ms\", available: real, load: real, "
				 "faults: off}\n"
				 "  - {at: 0s, load: 25}\n"
				 "faults:\n"
				 "  - level: task\n"
				 "    operations: [commit, heap]\n"
				 "    min: 64K\n"
				 "    max: 1G\n"
				 "    probability: 5%\n"
				 "    seed: 0xFF\n"
				 "    count: 7\n"
				 "    delay: 10ms\n"
				 "  - levels: [task, domain]\n"
				 "    operation: reserve\n"
				 "    nth: 3\n"
				 "    every: 2\n"
				 "    result: E_ACCESSDENIED\n"
				 "    place: system\n"
				 "    armed: no\n"
				 "  - probability: 0.5\n";

static const char its_text[] = "hostmem 1\n"
			       "limit 268435456\n"
			       "soft 209715200\n"
			       "headroom 16777216 8388608 65536\n"
			       "largest 1048576 2097152 18446744073709551615\n"
			       "wait 0 200 2000\n"
			       "step at 2000\n"
			       " every 10000\n"
			       " times 3\n"
			       " available 1\n"
			       " gate 200\n"
			       "step charged 134217728\n"
			       " faults 1\n"
			       " load 95 104857600\n"
			       "step request 1000\n"
			       " every 500\n"
			       " limit 67108864\n"
			       " soft 18446744073709551615\n"
			       " headroom_process 1048576\n"
			       " largest_task 18446744073709551615\n"
			       " wait_domain 1000\n"
			       "step at 0\n"
			       " faults 0\n"
			       " load 101 0\n"
			       " available 0\n"
			       "step at 0\n"
			       " load 25 6442450944\n"
			       "fault\n"
			       " operations 18\n"
			       " levels 1\n"
			       " min 65536\n"
			       " max 1073741824\n"
			       " probability 0x3fa999999999999a\n"
			       " seed 255\n"
			       " count 7\n"
			       " delay 10\n"
			       "fault\n"
			       " unarmed 1\n"
			       " operations 1\n"
			       " levels 3\n"
			       " place 1\n"
			       " nth 3\n"
			       " every 2\n"
			       " result 0x80070005\n"
			       "fault\n"
			       " probability 0x3fe0000000000000\n"
			       /* The third number of splitmix64 from 42. */
			       " seed 5139283748462763858\n";

/* Whether these bytes are a scenario. */
static bool read_bytes(const char *bytes, size_t length)
{
	char path[] = "/tmp/hostmem-scenario-XXXXXX";
	int file = mkstemp(path);
	struct hm_mistakes mistakes = { 0 };
	bool good;

	CHECK(file >= 0 && write(file, bytes, length) == (ssize_t)length);
	(void)close(file);
	hm_settings_init(&settings);
	CHECK_STR(hm_scenario_read(path, &settings, &mistakes), NULL);
	good = !hm_mistakes_any(&mistakes);
	for (size_t i = 0; i < mistakes.count; i++)
		CHECK(mistakes.list[i].line >= 1);
	hm_mistakes_free(&mistakes);
	(void)unlink(path);
	return good;
}

static void each_key_becomes_its_setting(void)
{
	CHECK(read_bytes(everything, strlen(everything)));
	(void)hm_settings_write(&settings, text);
	CHECK_STR(text, its_text);
}

static void what_the_budget_leaves_out_is_in_order(void)
{
	static const char some[] = "budget:\n"
				   "  headroom: {domain: 8M}\n"
				   "  largest: {domain: 2M}\n";
	const HostMemBudget *budget = &settings.budget;

	CHECK(read_bytes(some, strlen(some)));
	CHECK_SIZE(budget->cbHeadroom[eTaskCritical], 8 << 20);
	CHECK_SIZE(budget->cbHeadroom[eAppDomainCritical], 8 << 20);
	CHECK_SIZE(budget->cbHeadroom[eProcessCritical], 0);
	CHECK_SIZE(budget->cbLargest[eTaskCritical], 2 << 20);
	CHECK_SIZE(budget->cbLargest[eAppDomainCritical], 2 << 20);
	CHECK_SIZE(budget->cbLargest[eProcessCritical], SIZE_MAX);
}

/* Wherever it stands. */
static void the_seed_of_the_scenario_is_that_of_its_rules(void)
{
	static const char before[] = "seed: 7\nfaults: [{probability: 1}]\n";
	static const char after[] = "faults: [{probability: 1}]\nseed: 7\n";
	static const char other[] = "faults: [{probability: 1}]\nseed: 8\n";
	uint64_t seed;

	CHECK(read_bytes(before, strlen(before)));
	seed = settings.faults[0].rule.seed;
	CHECK(read_bytes(after, strlen(after)));
	CHECK_SIZE(settings.faults[0].rule.seed, seed);
	CHECK(read_bytes(other, strlen(other)));
	CHECK(settings.faults[0].rule.seed != seed);
}

static void as_many_as_fit_are_taken_and_no_more(void)
{
	for (unsigned more = 0; more < 2; more++) {
		char *end = text + sprintf(text, "steps:\n");

		for (unsigned i = 0; i < HM_SETTINGS_STEPS + more; i++)
			end += sprintf(end, "- {at: 1s, available: low}\n");
		CHECK(read_bytes(text, (size_t)(end - text)) == (more == 0));
		end = text + sprintf(text, "faults:\n");
		for (unsigned i = 0; i < HM_SETTINGS_FAULTS + more; i++)
			end += sprintf(end, "- {level: task}\n");
		CHECK(read_bytes(text, (size_t)(end - text)) == (more == 0));
	}
}

/* ---- Damage ---- */

static uint64_t state;

static size_t below(size_t bound)
{
	uint64_t number = state += 0x9E3779B97F4A7C15;

	number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9;
	return (size_t)((number ^ (number >> 27)) % bound);
}

static size_t damage(char *bytes, size_t length)
{
	static const char some[] = "0123456789: -{}[],\n\t&*!\"'#%KMGms\x01\x80\xFFnone";
	size_t place = below(length), count = 1 + below(length - place);

	switch (below(3)) {
	case 0:
		bytes[place] = some[below(sizeof(some))];
		return length;
	case 1:
		count = below(2) == 0 ? 1 : count;
		memmove(bytes + place, bytes + place + count, length - place - count);
		return length - count;
	default:
		count = count < 100 ? count : 100;
		memmove(bytes + place + count, bytes + place, length - place);
		return length + count;
	}
}

/* Whatever it was, what is taken for a scenario can be handed on. */
static void a_damaged_file_is_refused_or_can_be_handed_on(void)
{
	const char *seed = getenv("SEED");
	unsigned taken = 0;

	state = seed != NULL ? strtoull(seed, NULL, 0) : 1;
	for (unsigned round = 0; round < 5000; round++) {
		static char bytes[4 * sizeof(everything)];
		size_t length = sizeof(everything) - 1;

		tap_row("SEED=%" PRIu64, state);
		memcpy(bytes, everything, length);
		for (size_t left = 1 + below(3); left != 0 && length != 0; left--)
			length = damage(bytes, length);
		if (!read_bytes(bytes, length))
			continue;
		taken++;
		(void)hm_settings_write(&settings, text);
		CHECK_U32(hm_settings_read(text, &again), 0);
		CHECK(memcmp(&again, &settings, sizeof(again)) == 0);
	}
	CHECK(taken > 50 && taken < 4000);
}

int main(void)
{
	TAP_RUN(each_key_becomes_its_setting);
	TAP_RUN(what_the_budget_leaves_out_is_in_order);
	TAP_RUN(the_seed_of_the_scenario_is_that_of_its_rules);
	TAP_RUN(as_many_as_fit_are_taken_and_no_more);
	TAP_RUN(a_damaged_file_is_refused_or_can_be_handed_on);
	return tap_done();
}
