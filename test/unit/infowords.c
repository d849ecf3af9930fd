/*
 * The words of `hostmem info`: each source has a name, and each result a reason.
 */
#include "tap.h"
#include "hostmem/cli/info.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void names_of_sources(void)
{
	static const char *const names[] = { "budget",       "timer",
					     "group-usage",  "group-events",
					     "some-stalled", "all-stalled" };

	CHECK_SIZE(ROWS(names), HOSTMEM_SOURCES);
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		CHECK_STR(hm_info_source_name((HostMemSource)i), names[i]);
		CHECK(hm_info_source_watches((HostMemSource)i) != NULL);
	}
}

static void names_of_bounds(void)
{
	static const char *const names[] = { "budget", "machine", "RLIMIT_AS",
					     "RLIMIT_DATA", "group" };

	for (unsigned i = 0; i < ROWS(names); i++)
		CHECK_STR(hm_info_bound_name((HostMemBoundKind)i), names[i]);
}

static void reasons(void)
{
	static const struct {
		HostMemSource source;
		HRESULT result;
		const char *words;
	} rows[] = {
		{ HostMemSourceTimer, S_FALSE, "the monitor is not running" },
		{ HostMemSourceGroupUsage, E_ACCESSDENIED, "not permitted" },
		{ HostMemSourceBudget, E_OUTOFMEMORY, "no memory for it" },
		{ HostMemSourceGroupEvents, E_ABORT,
		  "left out, it failed or called too often" },
		{ HostMemSourceSomeStalled, HOSTMEM_HRESULT_FROM_WIN32(4),
		  "no file descriptor left" },
		{ HostMemSourceGroupUsage, HOSTMEM_HRESULT_FROM_WIN32(50),
		  "no memory groups of version 1" },
		{ HostMemSourceGroupEvents, HOSTMEM_HRESULT_FROM_WIN32(50),
		  "no memory groups of version 2" },
		{ HostMemSourceAllStalled, HOSTMEM_HRESULT_FROM_WIN32(50),
		  "the kernel has none" },
		{ HostMemSourceTimer, HOSTMEM_HRESULT_FROM_WIN32(50),
		  "this system has none" },
		{ HostMemSourceGroupUsage, HOSTMEM_HRESULT_FROM_WIN32(1168),
		  "no group of version 1 has a limit" },
		{ HostMemSourceGroupEvents, HOSTMEM_HRESULT_FROM_WIN32(1168),
		  "no group of version 2 has a limit" },
		{ HostMemSourceTimer, E_UNEXPECTED, "failed" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_STR(hm_info_source_reason(rows[i].source, rows[i].result),
			  rows[i].words);
	}
}

static void one_of_both_is_enough_for_stalls(void)
{
	struct hm_info info = { .version = "" };
	const char *why = "untouched";

	info.sources[HostMemSourceAllStalled].result = E_ACCESSDENIED;
	CHECK(hm_info_has_stalls(&info, &why));
	CHECK_STR(why, "untouched");
	info.sources[HostMemSourceSomeStalled].result = E_ACCESSDENIED;
	CHECK(!hm_info_has_stalls(&info, &why));
	CHECK_STR(why, "not permitted");
	info.sources[HostMemSourceAllStalled].result = S_OK;
	CHECK(hm_info_has_stalls(&info, &why));
}

int main(void)
{
	TAP_RUN(names_of_sources);
	TAP_RUN(names_of_bounds);
	TAP_RUN(reasons);
	TAP_RUN(one_of_both_is_enough_for_stalls);
	return tap_done();
}
