/*
 * The table of profiles.
 *
 * The figures were found by refusing requests of real runtimes one by one and looking at
 * what came of it: their own out-of-memory error, or the end of the process.  They are
 * cautious: what is not known to be survived is process-critical.
 *
 * No state, no locks.
 */
#include "profiles.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static const struct hm_profile profiles[] = {
	/* Its collected heap is committed by mprotect in reservations of 256 MiB and more; what
	 * else it reserves as large, the code, it wants at an address near the library. */
	{ "coreclr", HM_NEVER, HM_NEVER, 1, HM_NEVER, ENOMEM, 4, 32 * MIB, NULL },
	/* ENOMEM ends the virtual machine at once; after EINVAL it lives on.  Metaspace and code
	 * come in smaller steps.  Large blocks are direct buffers. */
	{ "hotspot", HM_NEVER, 256 * KIB, HM_NEVER, MIB, EINVAL, 4, 64 * MIB,
	  "only the Serial and Parallel collectors survive a refusal; others end the "
	  "process" },
	{ "v8", HM_NEVER, HM_NEVER, HM_NEVER, MIB, ENOMEM, 4, 64 * MIB,
	  "V8 survives a refused ArrayBuffer and no other refusal; --max-old-space-size "
	  "bounds its objects" },
	{ "mono", MIB, HM_NEVER, HM_NEVER, HM_NEVER, ENOMEM, 4, 32 * MIB,
	  "Mono survives a refused large object and no other refusal" },
	/* A refused arena is asked for again, block by block: all or nothing. */
	{ "cpython", 1, 1, 1, 1, ENOMEM, 0, 0, NULL },
	{ "lua", 1, 1, 1, 1, ENOMEM, 0, 0, NULL },
	{ "generic", MIB, HM_NEVER, HM_NEVER, 64 * KIB, ENOMEM, 4, 32 * MIB, NULL },
};

const struct hm_profile *hm_profile_find(const char *name)
{
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	}
	return NULL;
}

size_t hm_profile_slack(const struct hm_profile *profile, size_t limit)
{
	size_t part;

	if (profile->slack_part == 0 || limit == SIZE_MAX)
		return 0;
	part = limit / profile->slack_part;
	return part < profile->slack_most ? part : profile->slack_most;
}
