/*
 * How a process has ended.
 */
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

const char *process_end(pid_t process)
{
	static char why[80];
	int status = 0;

	while (waitpid(process, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "the process was ended by signal %d",
			 WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "the process ended with status %d",
			 WEXITSTATUS(status));
	return why;
}
