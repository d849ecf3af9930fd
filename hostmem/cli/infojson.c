/*
 * `hostmem info --json`: the same for programs.
 *
 * Names and their meaning stay; there may be more of them later.  All sizes are bytes, all
 * times ms.  What is not known or not limited is null, so that no reader takes a number for
 * it.  hostmem-info.1 lists the members.
 */
#include "info.h"
#include "json.h"

static void put_size(struct hm_json *json, const char *name, uint64_t value,
		     uint64_t nothing)
{
	if (value == nothing)
		hm_json_null(json, name);
	else
		hm_json_number(json, name, value);
}

static void put_bounds(struct hm_json *json, const struct hm_info *info)
{
	hm_json_open(json, "bounds", '[');
	for (size_t i = 0; i < info->bound_count; i++) {
		const struct hm_info_bound *bound = &info->bounds[i];

		hm_json_open(json, NULL, '{');
		hm_json_string(json, "name", hm_info_bound_name(bound->kind));
		put_size(json, "limit", bound->limit, UINT64_MAX);
		hm_json_number(json, "used", bound->used);
		if (bound->kind == HostMemBoundGroup) {
			hm_json_number(json, "version", bound->version);
			hm_json_string(json, "path", bound->path);
		}
		hm_json_close(json, '}');
	}
	hm_json_close(json, ']');
}

static void put_system(struct hm_json *json, const struct hm_info *info)
{
	const HostMemSystem *system = &info->system;
	const char *why;

	hm_json_open(json, "system", '{');
	hm_json_number(json, "page", system->cbPage);
	hm_json_number(json, "granularity", system->cbGranularity);
	put_size(json, "large_page", system->cbLargePage, 0);
	hm_json_number(json, "large_pages_free", system->cLargePages);
	hm_json_bool(json, "guard_pages",
		     (system->dwFeatures & HOSTMEM_FEATURE_GUARD_PAGES) != 0);
	hm_json_bool(json, "membarrier",
		     (system->dwFeatures & HOSTMEM_FEATURE_QUICK_CALLS) != 0);
	hm_json_bool(json, "psi", hm_info_has_stalls(info, &why));
	hm_json_close(json, '}');
}

static void put_sources(struct hm_json *json, const struct hm_info *info)
{
	hm_json_open(json, "sources", '[');
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		HostMemSource source = (HostMemSource)i;
		HRESULT result = info->sources[i].result;

		hm_json_open(json, NULL, '{');
		hm_json_string(json, "name", hm_info_source_name(source));
		hm_json_bool(json, "active", result == S_OK);
		hm_json_string(json, "result", HostMemResultName(result));
		hm_json_string(json, "reason",
			       result == S_OK ? NULL
					      : hm_info_source_reason(source, result));
		hm_json_close(json, '}');
	}
	hm_json_close(json, ']');
}

static void put_thresholds(struct hm_json *json, const HostMemThresholds *at)
{
	hm_json_open(json, "thresholds", '{');
	hm_json_number(json, "low_load", at->dwLowLoad);
	hm_json_number(json, "calm_load", at->dwCalmLoad);
	hm_json_number(json, "high_load", at->dwHighLoad);
	hm_json_number(json, "neutral_load", at->dwNeutralLoad);
	hm_json_number(json, "calm_ms", at->msCalm);
	hm_json_number(json, "plenty_ms", at->msPlenty);
	hm_json_number(json, "stall_ms", at->msStall);
	hm_json_number(json, "scarce", at->cbScarce);
	hm_json_number(json, "enough", at->cbEnough);
	hm_json_close(json, '}');
}

void hm_info_print_json(const struct hm_info *info, FILE *out)
{
	struct hm_json json = { out, 0, false };

	hm_json_open(&json, NULL, '{');
	hm_json_string(&json, "version", info->version);
	if (info->available == SIZE_MAX)
		hm_json_null(&json, "load");
	else
		hm_json_number(&json, "load", info->load);
	put_size(&json, "available", info->available, SIZE_MAX);
	put_bounds(&json, info);
	put_system(&json, info);
	put_sources(&json, info);
	put_thresholds(&json, &info->thresholds);
	hm_json_close(&json, '}');
}
