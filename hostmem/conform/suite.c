/*
 * The suite: which areas there are, and whose words the codes of a source stand for.
 *
 * An area is a table of cases in a file of its own; adding one is a line in areas.h.
 */
#include "suite.h"
#include "areas.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS(name) &hm_area_##name,
static const struct hm_area *const areas[] = { HM_AREAS(ADDRESS) };

const struct hm_source hm_sources[] = {
	{ "COM", "the rules of the Component Object Model" },
	{ "HR",
	  "the CLR hosting reference (IHostControl, IHostMemoryManager, IHostMalloc)" },
	{ "CLR",
	  "what the CLR does with its host: SSCLI 2.0, CoreCLR until February 2017" },
	{ "MS", "Microsoft's documentation of the Win32 function" },
	{ "WT", "Wine's own tests (kernel32, ntdll), written to pass on Windows" },
	{ "WN", "the same, of newer releases of Wine" },
	{ "RT", "ReactOS' tests, written against Windows" },
	{ "PAL", "tests of CoreCLR's platform layer" },
	{ "CH", "ChakraCore depends on it on Windows" },
	{ "MI", "mimalloc depends on it on Windows" },
	{ "RK", "ReactOS' source: a model of Windows, not an observation" },
	{ "K", "generally known, without a test" },
	{ "HM",
	  "hostmem's public headers: the terms of its own interfaces, and where the "
	  "documents are silent" },
	{ NULL, NULL },
};

static size_t trials_of(const struct hm_case *what)
{
	return what->codes != HM_NO_GROUP ? 2 : 1;
}

size_t hm_suite_size(void)
{
	size_t size = 0;

	for (size_t a = 0; a < HM_ROWS(areas); a++) {
		for (size_t c = 0; c < areas[a]->count; c++)
			size += trials_of(&areas[a]->cases[c]);
	}
	return size;
}

static struct hm_entry entry_of(const struct hm_area *area, const struct hm_case *what,
				bool codes)
{
	struct hm_entry entry = { area->name, what, codes,
				  codes ? what->codes : what->group, "" };

	(void)snprintf(entry.name, sizeof(entry.name), "%s/%s%s", area->name, what->name,
		       codes ? ".codes" : "");
	return entry;
}

struct hm_entry hm_suite_entry(size_t index)
{
	for (size_t a = 0; a < HM_ROWS(areas); a++) {
		for (size_t c = 0; c < areas[a]->count; c++) {
			const struct hm_case *what = &areas[a]->cases[c];

			if (index < trials_of(what))
				return entry_of(areas[a], what, index == 1);
			index -= trials_of(what);
		}
	}
	return (struct hm_entry){ NULL, NULL, false, HM_NO_GROUP, "" };
}

const char *hm_group_name(enum hm_group group)
{
	switch (group) {
	case HM_REQUIRED:
		return "required";
	case HM_DOCUMENTED:
		return "documented";
	case HM_WINDOWS_DETAIL:
		return "windows-detail";
	case HM_NO_GROUP:
		break;
	}
	return "";
}
