/*
 * The words of `hostmem info`: names of bounds and sources, and why a source is not active.
 *
 * Names are for both kinds of output, and stay as they are: scripts look for them.  Reasons
 * are for people and may change; a script looks at the name of the result.
 */
#include "info.h"

const char *hm_info_bound_name(HostMemBoundKind kind)
{
	switch (kind) {
	case HostMemBoundBudget:
		return "budget";
	case HostMemBoundMachine:
		return "machine";
	case HostMemBoundAddressSpace:
		return "RLIMIT_AS";
	case HostMemBoundData:
		return "RLIMIT_DATA";
	case HostMemBoundGroup:
		return "group";
	}
	return "unknown"; /* of a newer library */
}

const char *hm_info_source_name(HostMemSource source)
{
	static const char *const names[HOSTMEM_SOURCES] = {
		[HostMemSourceBudget] = "budget",
		[HostMemSourceTimer] = "timer",
		[HostMemSourceGroupUsage] = "group-usage",
		[HostMemSourceGroupEvents] = "group-events",
		[HostMemSourceSomeStalled] = "some-stalled",
		[HostMemSourceAllStalled] = "all-stalled",
	};

	return names[source];
}

const char *hm_info_source_watches(HostMemSource source)
{
	static const char *const watches[HOSTMEM_SOURCES] = {
		[HostMemSourceBudget] = "the host's own budget",
		[HostMemSourceTimer] = "a look every 100 ms to 1 s",
		[HostMemSourceGroupUsage] = "thresholds of control groups, version 1",
		[HostMemSourceGroupEvents] = "memory.events of control groups, version 2",
		[HostMemSourceSomeStalled] = "PSI: some tasks stand still",
		[HostMemSourceAllStalled] = "PSI: all tasks stand still",
	};

	return watches[source];
}

/* What is not there. */
static const char *lacks(HostMemSource source, const char *usage, const char *events,
			 const char *stalls, const char *other)
{
	switch (source) {
	case HostMemSourceGroupUsage:
		return usage;
	case HostMemSourceGroupEvents:
		return events;
	case HostMemSourceSomeStalled:
	case HostMemSourceAllStalled:
		return stalls;
	default:
		return other;
	}
}

const char *hm_info_source_reason(HostMemSource source, HRESULT result)
{
	switch (result) {
	case S_FALSE:
		return "the monitor is not running";
	case E_ACCESSDENIED:
		return "not permitted";
	case E_OUTOFMEMORY:
		return "no memory for it";
	case E_ABORT:
		return "left out, it failed or called too often";
	case HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES):
		return "no file descriptor left";
	case HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED):
		return lacks(source, "no memory groups of version 1",
			     "no memory groups of version 2", "the kernel has none",
			     "this system has none");
	case HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_FOUND):
		return lacks(source, "no group of version 1 has a limit",
			     "no group of version 2 has a limit", "nothing to watch",
			     "nothing to watch");
	default:
		return "failed";
	}
}

bool hm_info_has_stalls(const struct hm_info *info, const char **why)
{
	HRESULT some = info->sources[HostMemSourceSomeStalled].result;
	HRESULT all = info->sources[HostMemSourceAllStalled].result;

	if (some == S_OK || all == S_OK)
		return true;
	*why = hm_info_source_reason(HostMemSourceSomeStalled, some);
	return false;
}

bool hm_info_is_told(const struct hm_info *info, HostMemBoundKind kind)
{
	for (size_t i = 0; i < info->bound_count; i++) {
		if (info->bounds[i].kind == kind)
			return true;
	}
	return false;
}
