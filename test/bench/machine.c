/*
 * What is going on: the machine that is measured on, and how far a run has come.
 *
 * The lines of the machine are on stdout, since figures mean nothing without them.
 * Progress is for somebody who waits, on stderr, and not in any log.
 */
#include "machine.h"
#include "test/proc.h"

#include <hostmem/hostmem.h>

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

void machine_print(void)
{
	struct utsname system;

	if (uname(&system) != 0)
		memset(&system, 0, sizeof(system));
	printf("hostmem %s on %s %s, %ld processors\n", HostMemVersion(), system.sysname,
	       system.release, sysconf(_SC_NPROCESSORS_ONLN));
}

double machine_processors(const struct measure_plan *plan)
{
	double processors = 0;

	if (measure_open()) {
		processors = measure_processors(plan);
		measure_close();
	}
	return processors;
}

void machine_print_processors(const struct measure_plan *plan)
{
	double processors = machine_processors(plan);

	printf("Two threads that only compute do %.2f times the work of one%s\n",
	       processors,
	       processors < ENOUGH_PROCESSORS ? ": two processors are not free" : "");
}

void machine_stay(bool stay)
{
	static cpu_set_t all;
	static bool known;
	cpu_set_t one;
	size_t first = 0;

	if (!known && sched_getaffinity(0, sizeof(all), &all) != 0)
		return; /* figures are less steady then, and no less true */
	known = true;
	while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	(void)sched_setaffinity(0, sizeof(one), stay ? &one : &all);
}

void machine_progress(const char *format, ...)
{
	va_list arguments;

	if (isatty(STDERR_FILENO) != 1)
		return;
	fputs("\r\033[K", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fflush(stderr);
}

size_t machine_bytes(const char *path, const char *name)
{
	return figure(path, name) * 1024;
}
