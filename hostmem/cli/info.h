#ifndef HOSTMEM_CLI_INFO_H
#define HOSTMEM_CLI_INFO_H

#include "command.h"

#include "abi/hostmem.h"

#include <stdbool.h>
#include <stdio.h>

/* `hostmem info [--json]` */
extern const struct hm_command hm_info_command;

/* HostMemBound, with a path of its own. */
struct hm_info_bound {
	HostMemBoundKind kind;
	uint32_t version;
	uint64_t limit, used; /* bytes; UINT64_MAX: no limit */
	char *path;           /* of a group; else NULL */
};

/* What a host has told.  Printing it asks nobody, so that it can be tested. */
struct hm_info {
	const char *version; /* of the library */
	const char *pages;   /* HOSTMEM_PAGES of the environment, or NULL */
	uint32_t load;       /* per cent */
	uint64_t available;  /* bytes; SIZE_MAX: nothing bounds memory that
				      could be read, and `load` is not known */
	HostMemSystem system;
	HostMemThresholds thresholds;
	HostMemSourceState sources[HOSTMEM_SOURCES];
	struct hm_info_bound *bounds; /* in the order of WalkBounds */
	size_t bound_count;
};

void hm_info_print_text(const struct hm_info *info, FILE *out);
void hm_info_print_json(const struct hm_info *info, FILE *out);

/* ---- Words, the same in both ---- */

const char *hm_info_bound_name(HostMemBoundKind kind);
const char *hm_info_source_name(HostMemSource source);

/* What an active source wakes the monitor for, in a few words. */
const char *hm_info_source_watches(HostMemSource source);

/* Why a source is not active, in words for `result`. */
const char *hm_info_source_reason(HostMemSource source, HRESULT result);

/* Whether the monitor hears of pressure stalls; if not, *why says why. */
bool hm_info_has_stalls(const struct hm_info *info, const char **why);

/* Whether that bound was told. */
bool hm_info_is_told(const struct hm_info *info, HostMemBoundKind kind);

#endif
