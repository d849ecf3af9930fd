/*
 * A library that imports one function, getppid, in every way there is, another, getpgrp,
 * just to call it, and some other names; built twice, see test/local.mk.
 */
#include "hostmem/os/compiler.h"

#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT pid_t images_call(void);
EXPORT pid_t images_call_by_address(void);
EXPORT pid_t images_call_by_table(void);
EXPORT pid_t images_call_by_variable(void);
EXPORT pid_t images_call_only(void);
EXPORT int images_has_nobodys(void);
EXPORT int images_call_own(void);
/* Weak, or clang takes it for granted that no other object provides it. */
EXPORT int images_own(void) __attribute__((weak));

/* Nobody defines it. */
extern int images_nobodys(void) __attribute__((weak));

typedef pid_t (*pid_function)(void);

EXPORT pid_function *images_variable(void);

/* Made read-only by the linker, and on more than one page. */
static const pid_function table[1024] = { [0] = getppid, [1023] = getppid };
static pid_function variable = getppid;

pid_t images_call(void)
{
	return getppid();
}

pid_t images_call_by_address(void)
{
	volatile pid_function function = getppid;

	return function();
}

pid_t images_call_by_table(void)
{
	const pid_function *first = table;

	HM_KEEP(first); /* the compiler is not to know what it holds */
	return first[0]() == first[1023]() ? first[0]() : -1;
}

pid_t images_call_by_variable(void)
{
	return variable();
}

pid_function *images_variable(void)
{
	return &variable;
}

pid_t images_call_only(void)
{
	return getpgrp();
}

int images_has_nobodys(void)
{
	return images_nobodys != NULL;
}

/* Exported, so another object may provide it. */
int images_own(void)
{
	return 5;
}

int images_call_own(void)
{
	return images_own();
}
