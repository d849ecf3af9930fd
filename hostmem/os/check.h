#ifndef HOSTMEM_OS_CHECK_H
#define HOSTMEM_OS_CHECK_H

/*
 * hm_assert: what our own code promises itself.  Checked builds (configure
 * --enable-checked) print the broken promise and abort; others compile it away.
 * What a caller can get wrong is never asserted, it gets its HRESULT.
 */
#ifdef HM_CHECKED
#include <stdio.h>
#include <stdlib.h>

#define hm_assert(condition) \
	((condition) ? (void)0 : hm_check_failed(#condition, __FILE__, __LINE__))

static inline _Noreturn void hm_check_failed(const char *condition, const char *file,
					     int line)
{
	fprintf(stderr, "hostmem: %s:%d: broken: %s\n", file, line, condition);
	abort();
}
#else
#define hm_assert(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
