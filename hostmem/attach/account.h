#ifndef HOSTMEM_ATTACH_ACCOUNT_H
#define HOSTMEM_ATTACH_ACCOUNT_H

#include "abi/hostmem.h"

#include <stdbool.h>

/*
 * The account of an attached program: what it was refused, and what a person is told of it
 * on the standard error.
 */
struct hm_account_about {
	const char *program; /* kept; "" = not known */
	const char *warning; /* of the profile; NULL = none */
	bool always;         /* also where nothing was refused */
	bool fragile;        /* there are requests that it cannot do without */
};

/* Begins to listen.  Once per process; E_OUTOFMEMORY. */
HRESULT hm_account_begin(IHostMemoryControl *control,
			 const struct hm_account_about *about);

/*
 * Prints the account if there is something to tell, once per process; `failed`: the process
 * ends with an error.  Any thread; allocates nothing.  In a child that shares the memory of
 * its parent until it execs, nothing is printed.
 */
void hm_account_end(bool failed);

/* The host whose account it is; NULL before hm_account_begin. */
IHostMemoryControl *hm_account_control(void);

/* In a fork child: its own account begins, and what its parent was refused is not its own. */
void hm_account_after_fork(void);

#endif
