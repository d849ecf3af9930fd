/*
 * A library that imports one function, getppid, in every way there is, another, getpgrp,
 * just to call it, and some other names; built twice, see test/local.mk.
 */
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
EXPORT int images_own(void);

/* Nobody defines it. */
extern int images_nobodys(void) __attribute__((weak));

typedef pid_t (*pid_function)(void);

/* Exported, so that the compiler does not know what they hold. */
EXPORT extern const pid_function images_table[1024];
EXPORT extern pid_function images_variable;

/* On more than one page. */
const pid_function images_table[1024] = { [0] = getppid, [1023] = getppid };
pid_function images_variable = getppid;

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
	return images_table[0]() == images_table[1023]() ? images_table[0]() : -1;
}

pid_t images_call_by_variable(void)
{
	return images_variable();
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
