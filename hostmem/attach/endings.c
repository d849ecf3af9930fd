/*
 * Where a process ends by its own doing: main returns, or exit, _exit or abort is called.
 *
 * The account is printed before anything of the program's own runs at its end: many a
 * program closes its standard error there, as all of the GNU core utilities do, to learn
 * whether it could be written.  To be there first the end of main has to be seen, and for that
 * its caller in the C library is called with another one.  What ends otherwise, with its last
 * thread, comes to what preload.c has registered.
 *
 * Locks: none.
 */
#include "account.h"
#include "hostmem/os/next.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef int main_function(int argc, char **argv, char **environment);
typedef int start_function(main_function *own, int argc, char **argv, void (*begin)(void),
			   void (*end)(void), void (*loader_end)(void), void *stack);

static struct {
	void (*abort)(void);
	void (*exit)(int status);
	main_function *main;
} next;

/* Looking for them may allocate, so it is done before they are needed. */
__attribute__((constructor)) static void find_next(void)
{
	(void)hm_next_function("abort", &next.abort);
	(void)hm_next_function("exit", &next.exit);
}

static _Noreturn void end_at_once(int status)
{
	for (;;)
		(void)syscall(SYS_exit_group, status);
}

HOSTMEM_VISIBLE _Noreturn void _exit(int status)
{
	hm_account_end(status != 0);
	end_at_once(status);
}

HOSTMEM_VISIBLE _Noreturn void _Exit(int status)
{
	_exit(status);
}

HOSTMEM_VISIBLE _Noreturn void exit(int status)
{
	hm_account_end(status != 0);
	if (next.exit == NULL)
		find_next(); /* somebody's constructor ends the process */
	if (next.exit != NULL)
		next.exit(status);
	end_at_once(status);
}

HOSTMEM_VISIBLE _Noreturn void abort(void)
{
	hm_account_end(true);
	if (next.abort != NULL)
		next.abort();
	end_at_once(134);
}

static int main_and_account(int argc, char **argv, char **environment)
{
	int status = next.main(argc, argv, environment);

	hm_account_end(status != 0);
	return status;
}

int __libc_start_main(main_function *own, int argc, char **argv, void (*begin)(void),
		      void (*end)(void), void (*loader_end)(void), void *stack);

HOSTMEM_VISIBLE int __libc_start_main(main_function *own, int argc, char **argv,
				      void (*begin)(void), void (*end)(void),
				      void (*loader_end)(void), void *stack)
{
	start_function *start;

	if (!hm_next_function("__libc_start_main", &start))
		end_at_once(127);
	next.main = own;
	return start(main_and_account, argc, argv, begin, end, loader_end, stack);
}
