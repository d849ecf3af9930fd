#ifndef HOSTMEM_REPORTS_H
#define HOSTMEM_REPORTS_H

#include "host.h"
#include "records.h"

/*
 * What has been found out about a block, copied while it was known, and told later, when
 * nothing is held.
 */
struct hm_finding {
	HostMemReport report;
	char file[HM_FILENAME_LARGEST + 1];
};

/* Of a record; of something that is no block. */
void hm_finding_set(struct hm_finding *finding, HostMemReportKind kind,
		    const struct hm_record *record, ptrdiff_t offset);
void hm_finding_set_unknown(struct hm_finding *finding, void *block);

/* To the host's callback, or as a line.  `heap`: its IUnknown.  Outside of hm_calls_enter,
 * without a lock; the host is held. */
void hm_finding_tell(struct hm_finding *finding, const struct hm_host *host, void *heap);

#endif
