/*
 * The counting calls: see refusing.h.
 *
 * A refused call does nothing at all: ENOMEM, or EMFILE of open.  What is granted goes
 * into a ledger of mappings, so that whatever the library forgets to give back is known
 * without a look at /proc, where sanitizers and stdio come and go.
 *
 * Not for threads: the tests that use it have one.
 */
#include "test/fault/refusing.h"

#include "hostmem/metadata.h"
#include "hostmem/os/system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LEDGER_ROOM = 512 };

struct span {
	uintptr_t start, end;
};

static struct hm_system_calls real;
static struct {
	bool armed, for_good;
	uint64_t first, calls, refused;
} plan;
static struct span ledger[LEDGER_ROOM];
static size_t ledger_count;

static bool refuse(int error)
{
	uint64_t number = plan.calls++;

	if (!plan.armed || (plan.for_good ? number < plan.first : number != plan.first))
		return false;
	plan.refused++;
	errno = error;
	return true;
}

static void ledger_add(uintptr_t start, uintptr_t end)
{
	if (start >= end)
		return;
	if (ledger_count == LEDGER_ROOM) {
		fprintf(stderr, "refusing.c: the ledger is full\n");
		abort();
	}
	ledger[ledger_count++] = (struct span){ .start = start, .end = end };
}

static void ledger_take(uintptr_t start, uintptr_t end)
{
	for (size_t i = ledger_count; i-- > 0;) {
		struct span span = ledger[i];

		if (span.end <= start || end <= span.start)
			continue;
		ledger[i] = ledger[--ledger_count];
		ledger_add(span.start, start);
		ledger_add(end, span.end);
	}
}

static void *count_map(void *address, size_t size, int protection, int flags, int file,
		       long offset)
{
	void *out = MAP_FAILED;

	if (!refuse(ENOMEM))
		out = real.map(address, size, protection, flags, file, offset);
	if (out != MAP_FAILED) {
		ledger_take((uintptr_t)out, (uintptr_t)out + size);
		ledger_add((uintptr_t)out, (uintptr_t)out + size);
	}
	return out;
}

static int count_unmap(void *address, size_t size)
{
	int result = refuse(ENOMEM) ? -1 : real.unmap(address, size);

	if (result == 0)
		ledger_take((uintptr_t)address, (uintptr_t)address + size);
	return result;
}

static int count_protect(void *address, size_t size, int protection)
{
	return refuse(ENOMEM) ? -1 : real.protect(address, size, protection);
}

static int count_advise(void *address, size_t size, int advice)
{
	return refuse(ENOMEM) ? -1 : real.advise(address, size, advice);
}

static int count_open(const char *path, int flags)
{
	return refuse(EMFILE) ? -1 : real.open(path, flags);
}

static long count_read(int file, void *buffer, size_t size)
{
	return refuse(ENOMEM) ? -1 : real.read(file, buffer, size);
}

static int count_control(int file, unsigned long request, void *argument)
{
	return refuse(ENOMEM) ? -1 : real.control(file, request, argument);
}

void refusing_install(void)
{
	if (real.map != NULL)
		return;
	real = hm_system;
	hm_system = (struct hm_system_calls){
		.map = count_map,
		.unmap = count_unmap,
		.protect = count_protect,
		.advise = count_advise,
		.open = count_open,
		.read = count_read,
		.close = real.close, /* gives back, and cannot refuse */
		.control = count_control,
	};
}

void refusing_arm(uint64_t first, bool for_good)
{
	memset(&plan, 0, sizeof(plan));
	plan.armed = true;
	plan.for_good = for_good;
	plan.first = first;
}

void refusing_disarm(void)
{
	plan.armed = false;
}

uint64_t refusing_refused(void)
{
	return plan.refused;
}

size_t refusing_left_mapped(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < ledger_count; i++) {
		uintptr_t start = ledger[i].start;

		if (!hm_metadata_overlaps(start, ledger[i].end - start))
			bytes += ledger[i].end - start;
	}
	return bytes;
}
