/*
 * The counting calls: see refusing.h.
 *
 * A refused call does nothing at all: ENOMEM, or EMFILE of open, EPERM of a barrier, or
 * EINVAL where only guard pages are refused.  What is granted goes into a ledger of mappings, so that whatever the
 * library forgets to give back is known without a look at /proc, where sanitizers and
 * stdio come and go.
 *
 * Not for threads: the tests that use it have one.
 */
#include "test/fault/refusing.h"

#include "hostmem/arenas.h"
#include "hostmem/metadata.h"
#include "hostmem/os/system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Linux 6.13. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum {
	LEDGER_ROOM = 512,
	PAGE_BYTES = 4096,
	SPARE_BYTES = 32 * PAGE_BYTES, /* hostmem/os/spare_posix.c */
};

struct span {
	uintptr_t start, end;
};

static struct hm_system_calls real;
static struct {
	enum refusing_kind kind;
	bool armed, for_good, absurd;
	uint64_t first, calls, refused;
} plan;
static bool counts_memory, has_spare;
static int counting_file = -1; /* in which the system says that it does */
static struct span ledger[LEDGER_ROOM];
static size_t ledger_count;

static bool refuse(enum refusing_kind kind, int error)
{
	uint64_t number;

	if (!plan.armed || (plan.kind != REFUSING_ALL && plan.kind != kind))
		return false;
	number = plan.calls++;
	if (plan.for_good ? number < plan.first : number != plan.first)
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

static enum refusing_kind kind_of(int protection)
{
	return protection & PROT_WRITE ? REFUSING_CHARGED : REFUSING_ALL;
}

/* What stays for good, by design: both are made where the system likes, without access. */
static bool is_kept_for_good(const void *address, size_t size, int protection)
{
	if (address != NULL || protection != PROT_NONE)
		return false;
	if (size == SPARE_BYTES && !has_spare)
		return has_spare = true;
	return size == PAGE_BYTES;
}

static void *count_map(void *address, size_t size, int protection, int flags, int file,
		       long offset)
{
	void *out = MAP_FAILED;

	if (!refuse(kind_of(protection), ENOMEM))
		out = real.map(address, size, protection, flags, file, offset);
	if (out != MAP_FAILED) {
		ledger_take((uintptr_t)out, (uintptr_t)out + size);
		if (!is_kept_for_good(address, size, protection))
			ledger_add((uintptr_t)out, (uintptr_t)out + size);
	}
	return out;
}

static int count_unmap(void *address, size_t size)
{
	int result = refuse(REFUSING_ALL, ENOMEM) ? -1 : real.unmap(address, size);

	if (result == 0)
		ledger_take((uintptr_t)address, (uintptr_t)address + size);
	return result;
}

static int count_protect(void *address, size_t size, int protection)
{
	return refuse(kind_of(protection), ENOMEM)
		       ? -1
		       : real.protect(address, size, protection);
}

static int count_advise(void *address, size_t size, int advice)
{
	bool removes = advice == MADV_GUARD_REMOVE;
	bool guards = advice == MADV_GUARD_INSTALL || removes;

	if (refuse(guards ? REFUSING_GUARDS : REFUSING_ALL,
		   plan.kind == REFUSING_GUARDS ? EINVAL : ENOMEM)) {
		plan.absurd |= removes && plan.kind == REFUSING_GUARDS;
		return -1;
	}
	return real.advise(address, size, advice);
}

static int count_name(void *address, size_t size, const char *name)
{
	return refuse(REFUSING_ALL, ENOMEM) ? -1 : real.name(address, size, name);
}

static int count_open(const char *path, int flags)
{
	int file = refuse(REFUSING_ALL, EMFILE) ? -1 : real.open(path, flags);

	if (file >= 0 && strcmp(path, "/proc/sys/vm/overcommit_memory") == 0)
		counting_file = file;
	return file;
}

static long count_read(int file, void *buffer, size_t size)
{
	if (refuse(REFUSING_ALL, ENOMEM))
		return -1;
	if (file != counting_file || !counts_memory || size == 0)
		return real.read(file, buffer, size);
	*(char *)buffer = '2';
	return 1;
}

static long count_read_at(int file, void *buffer, size_t size, long offset)
{
	return refuse(REFUSING_ALL, EIO) ? -1 : real.read_at(file, buffer, size, offset);
}

/* Into a counter of events, which has room, or a file that does not want it. */
static long count_write(int file, const void *buffer, size_t size)
{
	return refuse(REFUSING_ALL, EACCES) ? -1 : real.write(file, buffer, size);
}

static int count_event(int flags)
{
	return refuse(REFUSING_ALL, EMFILE) ? -1 : real.event(flags);
}

static int count_close(int file)
{
	if (file == counting_file)
		counting_file = -1;
	return real.close(file); /* gives back, and cannot refuse */
}

static int count_control(int file, unsigned long request, void *argument)
{
	return refuse(REFUSING_ALL, ENOMEM) ? -1 : real.control(file, request, argument);
}

static int count_barrier(int command)
{
	return refuse(REFUSING_ALL, EPERM) ? -1 : real.barrier(command);
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
		.name = count_name,
		.open = count_open,
		.read = count_read,
		.read_at = count_read_at,
		.write = count_write,
		.event = count_event,
		.close = count_close,
		.control = count_control,
		.barrier = count_barrier,
	};
}

void refusing_count_memory(void)
{
	counts_memory = true;
}

void refusing_arm(enum refusing_kind kind, uint64_t first, bool for_good)
{
	memset(&plan, 0, sizeof(plan));
	plan.armed = true;
	plan.kind = kind;
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

bool refusing_was_absurd(void)
{
	return plan.absurd;
}

size_t refusing_left_mapped(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < ledger_count; i++) {
		uintptr_t start = ledger[i].start;

		if (!hm_metadata_overlaps(start, ledger[i].end - start) &&
		    hm_arena_at(start) == NULL)
			bytes += ledger[i].end - start;
	}
	return bytes;
}
