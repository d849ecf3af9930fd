/*
 * The table of profiles.
 *
 * The figures were found by refusing requests of real runtimes one by one and looking at
 * what came of it: their own out-of-memory error, or the end of the process.  They are
 * cautious: what is not known to be survived is process-critical.
 *
 * Which program has which profile goes by the name of its file, which links to it and
 * scripts that it runs do not change.  What is not in the second table is taken for generic:
 * other implementations of a language (PyPy, LuaJIT) are other runtimes.
 *
 * The command has this file, too, to know the names; it includes plain C alone.
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
	 * else it reserves as large, the code, it wants at an address near the library.  If
	 * there is no room near it, it takes 2 GiB less 64 KiB from anywhere. */
	{ .name = "coreclr",
	  .map = HM_NEVER,
	  .over = HM_NEVER,
	  .heap_over = HM_NEVER,
	  .odd_over = HM_NEVER,
	  .commit = 1,
	  .block = HM_NEVER,
	  .hint = 0,
	  .code = 0x7FFF0000,
	  .refused_over = ENOMEM,
	  .slack_part = 4,
	  .slack_most = 32 * MIB },
	/*
	 * ENOMEM ends the virtual machine at once; after EINVAL it lives on.  It wants the
	 * collected heap at low addresses, if it is below 32 GiB and references are
	 * compressed, else anywhere.  Where that cannot grow by much any more, it grows by
	 * single pages; so many of them that nothing would be left for the others.  Metaspace
	 * grows by units of 64 KiB, seldom by two at a time.  The tables of the collectors grow
	 * after the heap, which is too late to refuse them.  Large blocks are direct buffers.
	 */
	{ .name = "hotspot",
	  .map = HM_NEVER,
	  .over = HM_NEVER,
	  .heap_over = 128 * KIB,
	  .odd_over = 1,
	  .commit = HM_NEVER,
	  .block = MIB,
	  .hint = 0,
	  .refused_over = EINVAL,
	  .slack_part = 4,
	  .slack_most = 64 * MIB,
	  .warning = "only the Serial and Parallel collectors survive a refusal, and the "
		     "Parallel one tries for long if -Xmx is above the limit" },
	/* Large blocks are array buffers.  Pages of its heap, 256 KiB, it wants at random
	 * addresses, all over the address space; each would cost tables of its own, here and
	 * in the kernel. */
	{ .name = "v8",
	  .map = HM_NEVER,
	  .over = HM_NEVER,
	  .heap_over = HM_NEVER,
	  .odd_over = HM_NEVER,
	  .commit = HM_NEVER,
	  .block = MIB,
	  .hint = MIB,
	  .refused_over = ENOMEM,
	  .slack_part = 4,
	  .slack_most = 64 * MIB,
	  .warning = "V8 survives a refused ArrayBuffer and no other refusal; "
		     "--max-old-space-size bounds its objects" },
	/* Large mappings are sections of large objects. */
	{ .name = "mono",
	  .map = MIB,
	  .over = HM_NEVER,
	  .heap_over = HM_NEVER,
	  .odd_over = HM_NEVER,
	  .commit = HM_NEVER,
	  .block = HM_NEVER,
	  .hint = 0,
	  .refused_over = ENOMEM,
	  .slack_part = 4,
	  .slack_most = 32 * MIB,
	  .warning = "Mono survives a refused large object and no other refusal" },
	/* A refused arena is asked for again, block by block: all or nothing. */
	{ .name = "cpython",
	  .map = 1,
	  .over = 1,
	  .heap_over = 1,
	  .odd_over = 1,
	  .commit = 1,
	  .block = 0,
	  .hint = 0,
	  .refused_over = ENOMEM },
	{ .name = "lua",
	  .map = 1,
	  .over = 1,
	  .heap_over = 1,
	  .odd_over = 1,
	  .commit = 1,
	  .block = 0,
	  .hint = 0,
	  .refused_over = ENOMEM },
	{ .name = "generic",
	  .map = MIB,
	  .over = HM_NEVER,
	  .heap_over = HM_NEVER,
	  .odd_over = HM_NEVER,
	  .commit = HM_NEVER,
	  .block = 64 * KIB,
	  .hint = 0,
	  .refused_over = ENOMEM,
	  .slack_part = 4,
	  .slack_most = 32 * MIB },
};

/* Programs by their name, behind which a version may stand: python3.11, mono-sgen. */
static const struct {
	const char *program, *profile;
} programs[] = {
	{ "corerun", "coreclr" }, { "dotnet", "coreclr" }, { "java", "hotspot" },
	{ "javac", "hotspot" },   { "jshell", "hotspot" }, { "lua", "lua" },
	{ "mono", "mono" },       { "node", "v8" },        { "nodejs", "v8" },
	{ "python", "cpython" },
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

const struct hm_profile *hm_profile_at(size_t index)
{
	return index < ROWS(profiles) ? &profiles[index] : NULL;
}

const struct hm_profile *hm_profile_find(const char *name)
{
	for (size_t i = 0; i < ROWS(profiles); i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	}
	return NULL;
}

static bool is_version(const char *text)
{
	return *text == '\0' || *text == '.' || *text == '-' ||
	       (*text >= '0' && *text <= '9');
}

const struct hm_profile *hm_profile_of_program(const char *program)
{
	for (size_t i = 0; i < ROWS(programs); i++) {
		size_t length = strlen(programs[i].program);

		if (strncmp(program, programs[i].program, length) == 0 &&
		    is_version(program + length))
			return hm_profile_find(programs[i].profile);
	}
	return hm_profile_find("generic");
}

size_t hm_profile_slack(const struct hm_profile *profile, size_t limit)
{
	size_t part;

	if (profile->slack_part == 0 || limit == SIZE_MAX)
		return 0;
	part = limit / profile->slack_part;
	return part < profile->slack_most ? part : profile->slack_most;
}
