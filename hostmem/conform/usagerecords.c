/*
 * Cases about the record of GetUsage, which grows at its end: its caller says how much it has.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

static void records_are_filled_as_far_as_they_go(struct hm_trial *t)
{
	static const uint32_t sizes[] = {
		16, 24, 32, 64, sizeof(HostMemUsage) - 8, sizeof(HostMemUsage)
	};
	IHostMemoryControl *control = hm_control(t);
	HostMemUsage whole;

	if (control == NULL || hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE) == NULL)
		return;
	whole = hm_usage(t, control);
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		unsigned char bytes[sizeof(HostMemUsage) + 64];
		HostMemUsage usage;

		hm_row(t, "cbSize %u", (unsigned)sizes[i]);
		memset(bytes, 0x5A, sizeof(bytes));
		memcpy(bytes, &sizes[i], sizeof(sizes[i]));
		CHECK_HR(t, IHostMemoryControl_GetUsage(control, (HostMemUsage *)bytes),
			 S_OK);
		memcpy(&usage, bytes, sizeof(usage));
		CHECK_SIZE(t, usage.cbSize, sizes[i]);
		CHECK(t,
		      memcmp(bytes + 8, (unsigned char *)&whole + 8, sizes[i] - 8) == 0);
		CHECK_FILLED(t, bytes + sizes[i], sizeof(bytes) - sizes[i], 0x5A);
	}
}

static void a_longer_record_is_filled_as_far_as_the_host_knows(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct {
		HostMemUsage usage;
		unsigned char more[4096]; /* more than any host knows of */
	} record;

	if (control == NULL)
		return;
	memset(&record, 0x5A, sizeof(record));
	record.usage.cbSize = sizeof(record);
	CHECK_HR(t, IHostMemoryControl_GetUsage(control, &record.usage), S_OK);
	CHECK(t, record.usage.cbSize >= sizeof(record.usage));
	CHECK(t, record.usage.cbSize < sizeof(record));
	if (record.usage.cbSize <= sizeof(record))
		CHECK_FILLED(t, (unsigned char *)&record + record.usage.cbSize,
			     sizeof(record) - record.usage.cbSize, 0x5A);
}

static void other_sizes_are_refused(struct hm_trial *t)
{
	static const uint32_t sizes[] = { 0, 1, 4, 8, 15, 17, 20, 60, UINT32_MAX };
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL)
		return;
	CHECK_REFUSED(t, IHostMemoryControl_GetUsage(control, NULL), E_POINTER);
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		unsigned char bytes[sizeof(HostMemUsage)];

		hm_row(t, "cbSize %u", (unsigned)sizes[i]);
		memset(bytes, 0x5A, sizeof(bytes));
		memcpy(bytes, &sizes[i], sizeof(sizes[i]));
		CHECK_REFUSED(t,
			      IHostMemoryControl_GetUsage(control, (HostMemUsage *)bytes),
			      E_INVALIDARG);
		CHECK(t, memcmp(bytes, &sizes[i], sizeof(sizes[i])) == 0);
		CHECK_FILLED(t, bytes + 4, sizeof(bytes) - 4, 0x5A);
	}
}

static const struct hm_case cases[] = {
	{ "filled", HM_DOCUMENTED, "HM header: GetUsage, cbSize",
	  records_are_filled_as_far_as_they_go, HM_NO_GROUP },
	{ "longer", HM_DOCUMENTED, "HM header: GetUsage sets cbSize",
	  a_longer_record_is_filled_as_far_as_the_host_knows, HM_NO_GROUP },
	{ "refused", HM_DOCUMENTED, "HM header: GetUsage, Errors",
	  other_sizes_are_refused, HM_DOCUMENTED },
};

const struct hm_area hm_area_usage_records = HM_AREA("usage-records", cases);
