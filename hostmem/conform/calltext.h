#ifndef HOSTMEM_CONFORM_CALLTEXT_H
#define HOSTMEM_CONFORM_CALLTEXT_H

#include "abi/hostmem.h"

/*
 * A call as its caller would have written it, for a finding:
 *
 *	VirtualAlloc(NULL, 0x1000, MEM_RESERVE|MEM_COMMIT, PAGE_READWRITE, eTaskCritical)
 *
 * Its text is made when there is a finding, since most calls do what they should.
 */
enum hm_method {
	HM_VIRTUAL_ALLOC,
	HM_VIRTUAL_FREE,
	HM_VIRTUAL_PROTECT,
	HM_VIRTUAL_QUERY
};

struct hm_call {
	enum hm_method method;
	const void *address;
	SIZE_T size; /* of VirtualQuery: the length */
	DWORD type;
	DWORD protect;
	EMemoryCriticalLevel level;
};

/* A value, so that a line may have several.  Longer ones are cut. */
struct hm_call_text {
	char text[160];
};
struct hm_call_text hm_text_of(const struct hm_call *call);

#endif
