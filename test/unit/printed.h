/* What `hostmem info` prints of a host that there is not. */
#ifndef HOSTMEM_TEST_UNIT_PRINTED_H
#define HOSTMEM_TEST_UNIT_PRINTED_H

#include "tap.h"
#include "hostmem/cli/info.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define GIB ((uint64_t)1 << 30)

/* A machine of 16 GiB and one group of each kind; not all sources can be had. */
static inline struct hm_info printed_info(struct hm_info_bound bounds[4])
{
	static char own[] = "/sys/fs/cgroup/a", top[] = "/sys/fs/cgroup";
	struct hm_info info = { .version = "1.2.3",
				.load = 25,
				.available = 384 << 20,
				.system = { sizeof(HostMemSystem), 3, 4096, 65536,
					    2 << 20, 7 },
				.thresholds = HOSTMEM_THRESHOLDS_INIT,
				.bounds = bounds,
				.bound_count = 4 };

	bounds[0] = (struct hm_info_bound){ HostMemBoundMachine, 0, 16 * GIB, 2 * GIB,
					    NULL };
	bounds[1] = (struct hm_info_bound){ HostMemBoundData, 0, 3 * GIB / 2, GIB / 1024,
					    NULL };
	bounds[2] = (struct hm_info_bound){ HostMemBoundGroup, 2, GIB / 2, GIB / 8, own };
	bounds[3] = (struct hm_info_bound){ HostMemBoundGroup, 2, UINT64_MAX, GIB, top };
	info.sources[HostMemSourceGroupUsage].result =
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	info.sources[HostMemSourceAllStalled].result = E_ACCESSDENIED;
	return info;
}

/* What `print` writes; to be freed. */
static inline char *printed_by(void (*print)(const struct hm_info *info, FILE *out),
			       const struct hm_info *info)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!CHECK(out != NULL))
		return NULL;
	print(info, out);
	CHECK_INT(fclose(out), 0);
	return text;
}

/* Line by line, so that a difference is told as one. */
static inline void printed_is(char *text, const char *const *lines, size_t count)
{
	char *rest = text;

	for (size_t i = 0; text != NULL && i < count; i++) {
		char *end = strchr(rest, '\n');

		tap_row("line %zu", i + 1);
		if (!CHECK(end != NULL))
			break;
		*end = '\0';
		CHECK_STR(rest, lines[i]);
		rest = end + 1;
	}
	tap_row("%s", "");
	if (text != NULL)
		CHECK_STR(rest, "");
	free(text);
}

static inline void printed_has(void (*print)(const struct hm_info *info, FILE *out),
			       const struct hm_info *info, const char *part)
{
	char *text = printed_by(print, info);

	tap_row("%s", part);
	CHECK(text != NULL && strstr(text, part) != NULL);
	tap_row("%s", "");
	free(text);
}

#endif
