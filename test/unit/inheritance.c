/*
 * What programs inherit: nothing of ours, and all that was there besides.
 */
#include "hostmem/attach/inheritance.h"
#include "hostmem/attach/settings.h"

#include "test/tap.h"

#include <stdlib.h>
#include <string.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define OURS "/usr/lib/hostmem/" HM_SETTINGS_PRELOAD

static void others_are_still_preloaded(void)
{
	static const struct {
		const char *before, *after;
	} rows[] = {
		{ OURS, NULL },
		{ HM_SETTINGS_PRELOAD, NULL },
		{ OURS ":" OURS " " OURS, NULL },
		{ OURS ":a.so", "a.so" },
		{ OURS " a.so", "a.so" },
		{ "a.so:" OURS, "a.so:" },
		{ "a.so:" OURS ":/b/c.so d.so", "a.so:/b/c.so d.so" },
		{ "a.so  " OURS "::b.so", "a.so  b.so" },
		{ "a.so", "a.so" },
		{ "my-" HM_SETTINGS_PRELOAD, "my-" HM_SETTINGS_PRELOAD },
		{ OURS ".1", OURS ".1" },
		{ "", NULL },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *after;

		tap_row("\"%s\"", rows[i].before);
		CHECK(setenv("LD_PRELOAD", rows[i].before, 1) == 0);
		hm_inheritance_end();
		after = getenv("LD_PRELOAD");
		CHECK((after == NULL) == (rows[i].after == NULL));
		if (after != NULL && rows[i].after != NULL)
			CHECK_STR(after, rows[i].after);
	}
}

static void there_are_no_settings(void)
{
	CHECK(setenv(HM_SETTINGS_VARIABLE, "hostmem 1\n", 1) == 0);
	CHECK(unsetenv("LD_PRELOAD") == 0);
	hm_inheritance_end();
	CHECK(getenv(HM_SETTINGS_VARIABLE) == NULL);
	CHECK(getenv("LD_PRELOAD") == NULL);
}

int main(void)
{
	TAP_RUN(others_are_still_preloaded);
	TAP_RUN(there_are_no_settings);
	return tap_done();
}
