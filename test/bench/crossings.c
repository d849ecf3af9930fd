/*
 * Ways to make memory short, whoever listens.
 *
 * In a group page after page is touched, and its usage is read after each; what counts is
 * the moment before the page with which usage has reached the threshold.  The kernel looks at
 * its thresholds only once in so many pages, so touching goes on until somebody has heard.
 *
 * The limit of the process is lowered instead: nobody tells of that, and no memory is needed.
 */
#include "apart.h"
#include "crossings.h"
#include "measure.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define SWING ((size_t)32 << 20) /* bytes that may be touched for a crossing */
#define FURTHER 1024U            /* pages, behind the threshold */

static char *swing;

/* ---- A group ---- */

uint64_t crossing_threshold(void)
{
	return (APART_LIMIT * LOW_LOAD + 99) / 100;
}

bool crossing_is_group_short(void)
{
	return apart_usage() >= crossing_threshold();
}

bool crossing_prepare_group(void)
{
	swing = mmap(NULL, SWING, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (swing == MAP_FAILED)
		return false;
	(void)madvise(swing, SWING, MADV_NOHUGEPAGE);
	/* A host needs some more. */
	return apart_use(APART_LIMIT * (CALM_LOAD - 2) / 100);
}

double crossing_use_group(void)
{
	double from = NAN;
	unsigned further = 0;

	for (size_t at = 0; at < SWING && further < FURTHER; at += PAGE) {
		double before = measure_now();

		swing[at] = 1;
		if (isnan(from) && crossing_is_group_short())
			from = before;
		if (!isnan(from) && latency_is_heard())
			break;
		if (!isnan(from))
			further++;
	}
	return from;
}

void crossing_leave_group(void)
{
	(void)madvise(swing, SWING, MADV_DONTNEED);
}

/* ---- A limit of the process ---- */

/* What RLIMIT_DATA counts, in bytes. */
static uint64_t data(void)
{
	char text[128] = "", *at = text;
	int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t got = read(file, text, sizeof(text) - 1);
	uint64_t pages = 0;

	(void)close(file);
	for (unsigned i = 0; got > 0 && i < 6; i++)
		pages = strtoull(at, &at, 10);
	return pages * PAGE;
}

static bool set_limit(uint64_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_DATA, &limit) != 0)
		return false;
	limit.rlim_cur = bytes;
	return setrlimit(RLIMIT_DATA, &limit) == 0;
}

double crossing_lower_limit(void)
{
	uint64_t used = data();
	double from = measure_now();

	return set_limit(used + used / 20) ? from : NAN;
}

/* Half of it is used then, which is so little that a monitor looks as often as it does. */
void crossing_raise_limit(void)
{
	(void)set_limit(2 * data());
}

bool crossing_is_limit_short(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	       data() >= limit.rlim_cur / 100 * LOW_LOAD;
}
