/*
 * `hostmem info --json`: members and their order are promised, see hostmem-info.1.
 */
#include "printed.h"

static void it_is_all_there(void)
{
	static const char *const lines[] = {
		"{",
		"  \"version\": \"1.2.3\",",
		"  \"load\": 25,",
		"  \"available\": 402653184,",
		"  \"bounds\": [",
		"    {",
		"      \"name\": \"machine\",",
		"      \"limit\": 17179869184,",
		"      \"used\": 2147483648",
		"    },",
		"    {",
		"      \"name\": \"group\",",
		"      \"limit\": null,",
		"      \"used\": 1073741824,",
		"      \"version\": 2,",
		"      \"path\": \"/sys/fs/cgroup\"",
		"    }",
		"  ],",
		"  \"system\": {",
		"    \"page\": 4096,",
		"    \"granularity\": 65536,",
		"    \"large_page\": 2097152,",
		"    \"large_pages_free\": 7,",
		"    \"guard_pages\": true,",
		"    \"membarrier\": true,",
		"    \"psi\": true",
		"  },",
		"  \"sources\": [",
	};
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);
	char *text, *after;

	bounds[1] = bounds[3];
	info.bound_count = 2;
	text = printed_by(hm_info_print_json, &info);
	if (text == NULL)
		return;
	after = strstr(text, "\"sources\": [\n");
	if (CHECK(after != NULL))
		after[strlen("\"sources\": [\n")] = '\0';
	printed_is(text, lines, ROWS(lines));
}

static void sources_have_a_result_and_a_reason(void)
{
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);

	printed_has(hm_info_print_json, &info,
		    "    {\n"
		    "      \"name\": \"timer\",\n"
		    "      \"active\": true,\n"
		    "      \"result\": \"S_OK\",\n"
		    "      \"reason\": null\n"
		    "    },\n");
	printed_has(hm_info_print_json, &info,
		    "    {\n"
		    "      \"name\": \"all-stalled\",\n"
		    "      \"active\": false,\n"
		    "      \"result\": \"E_ACCESSDENIED\",\n"
		    "      \"reason\": \"not permitted\"\n"
		    "    }\n"
		    "  ],\n"
		    "  \"thresholds\": {\n"
		    "    \"low_load\": 90,\n"
		    "    \"calm_load\": 85,\n"
		    "    \"high_load\": 70,\n"
		    "    \"neutral_load\": 75,\n"
		    "    \"calm_ms\": 2000,\n"
		    "    \"plenty_ms\": 5000,\n"
		    "    \"stall_ms\": 4000,\n"
		    "    \"scarce\": 67108864,\n"
		    "    \"enough\": 201326592\n"
		    "  }\n"
		    "}\n");
}

static void what_is_not_known_is_null(void)
{
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);

	info.available = SIZE_MAX;
	info.bound_count = 0;
	info.system.cbLargePage = 0;
	info.sources[HostMemSourceSomeStalled].result = E_ABORT;
	printed_has(hm_info_print_json, &info,
		    "  \"load\": null,\n  \"available\": null,\n  \"bounds\": [],\n");
	printed_has(hm_info_print_json, &info, "    \"large_page\": null,\n");
	printed_has(hm_info_print_json, &info, "    \"psi\": false\n");
}

int main(void)
{
	TAP_RUN(it_is_all_there);
	TAP_RUN(sources_have_a_result_and_a_reason);
	TAP_RUN(what_is_not_known_is_null);
	return tap_done();
}
