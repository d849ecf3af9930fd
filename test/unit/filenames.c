/*
 * Names of source files: each is kept once, cut, and no more of them than there may be.
 */
#include "hostmem/filenames.h"
#include "hostmem/calls.h"
#include "hostmem/metadata.h"
#include "test/tap.h"

static struct hm_filenames names;

static struct hm_filename *hold(const char *text)
{
	size_t length;
	const char *end = hm_filename_end(text, &length);

	return hm_filenames_hold(&names, end, length);
}

static void a_name_is_kept_once(void)
{
	char text[] = "a/b.c";
	struct hm_filename *first = hold(text), *second;

	memset(text, 'x', 1);
	CHECK_STR(first->text, "a/b.c");
	second = hold("a/b.c");
	CHECK_POINTER(second, first);
	CHECK_SIZE(names.count, 1);
	CHECK(hold(text) != first);
	hm_filenames_drop(&names, first);
	CHECK_SIZE(names.count, 2);
	hm_filenames_drop(&names, second);
	CHECK_SIZE(names.count, 1);
	second = hold("x/b.c");
	hm_filenames_drop(&names, NULL);
	hm_filenames_drop(&names, second);
	hm_filenames_drop(&names, second);
	CHECK_SIZE(names.count, 0);
}

static void of_a_long_name_the_end_is_kept(void)
{
	static char text[1000];
	size_t length;

	memset(text, 'y', sizeof(text) - 1);
	for (size_t whole = 250; whole < 260; whole++) {
		const char *start = text + sizeof(text) - 1 - whole;
		const char *end = hm_filename_end(start, &length);

		CHECK_SIZE(length, whole < 255 ? whole : 255);
		CHECK_POINTER(end + length, text + sizeof(text) - 1);
	}
	(void)hm_filename_end("", &length);
	CHECK_SIZE(length, 0);
}

static void it_does_not_begin_within_a_character(void)
{
	static char text[300];
	size_t length;
	const char *end;

	memset(text, 'y', sizeof(text) - 1);
	memcpy(text + 43, "\xE2\x82\xAC", 3); /* the cut would be behind its first byte */
	end = hm_filename_end(text, &length);
	CHECK_SIZE(length, 253);
	CHECK_POINTER(end, text + 46);
	memset(text, 0x80, sizeof(text) - 1); /* no UTF-8 at all */
	(void)hm_filename_end(text, &length);
	CHECK(length >= 252);
}

static void there_is_a_limit(void)
{
	struct hm_filename *held[HM_FILENAMES_MOST];
	size_t before = hm_metadata_in_use();
	char text[20];

	for (unsigned i = 0; i < HM_FILENAMES_MOST; i++) {
		(void)snprintf(text, sizeof(text), "file%u.c", i);
		held[i] = hold(text);
		CHECK(held[i] != NULL);
	}
	CHECK_POINTER(hold("one too many.c"), NULL);
	CHECK_POINTER(hold("file7.c"), held[7]);
	hm_filenames_drop(&names, held[7]);
	hm_filenames_drop(&names, held[8]);
	held[8] = hold("one too many.c");
	CHECK(held[8] != NULL);
	for (unsigned i = 0; i < HM_FILENAMES_MOST; i++)
		hm_filenames_drop(&names, held[i]);
	CHECK_SIZE(names.count, 0);
	CHECK_SIZE(hm_metadata_in_use(), before);
}

int main(void)
{
	hm_calls_enter();
	TAP_RUN(a_name_is_kept_once);
	TAP_RUN(of_a_long_name_the_end_is_kept);
	TAP_RUN(it_does_not_begin_within_a_character);
	TAP_RUN(there_is_a_limit);
	hm_calls_leave();
	return tap_done();
}
