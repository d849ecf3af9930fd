/*
 * What Linux can tell about memory without being asked.
 *
 * Thresholds of usage are what control groups of version 1 have, and the best there is: an
 * event within microseconds, in both directions, without a privilege beyond that of writing
 * into the group's directory.  One eventfd serves all thresholds of all groups, since an
 * event only causes another look.
 *
 * Version 2 has memory.events, which changes when a limit has been met, after the fact; what
 * comes before is for the one who looks from time to time.
 *
 * Pressure stall information is blind to a program that grows quickly, and sees thrashing,
 * which nothing else here does.  2 s is the one window that a process without privileges may
 * ask for; any other is refused.  vmpressure levels of version 1 were rejected: "low" comes
 * with every reclaim, and the others only when it is too late.
 *
 * Files of both kinds are always readable, or stay ready until they are read, so each event
 * is taken by reading the file from its beginning; and where that fails the file is dead:
 * its group has been removed, after which it would call for ever.
 *
 * No locks.
 */
#include "sources.h"
#include "cgroups.h"
#include "lines.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* us; "some" and "full" are the kernel's words. */
#define SOME_TRIGGER "some 100000 2000000"
#define ALL_TRIGGER "full 100000 2000000"

static HRESULT result_of(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
	case EROFS:
		return E_ACCESSDENIED;
	case ENOMEM:
		return E_OUTOFMEMORY;
	case EMFILE:
	case ENFILE:
		return HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES);
	default:
		return HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	}
}

static HRESULT open_at(const char *directory, const char *name, int flags, int *file)
{
	char path[HM_CGROUP_PATH];
	int kept = errno, length;
	HRESULT hr = S_OK;

	*file = -1;
	length = snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (length < 0 || (size_t)length >= sizeof(path))
		return HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	*file = hm_system.open(path, flags | O_CLOEXEC);
	if (*file < 0)
		hr = result_of(errno);
	errno = kept;
	return hr;
}

static HRESULT write_text(int file, const char *text, size_t size)
{
	int kept = errno;
	long done;
	HRESULT hr = S_OK;

	do {
		done = hm_system.write(file, text, size);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		hr = result_of(errno);
	errno = kept;
	return hr;
}

void hm_source_close(int file)
{
	int kept = errno;

	if (file >= 0)
		(void)hm_system.close(file);
	errno = kept;
}

/* ---- Groups ---- */

HRESULT hm_source_open_usage(int *file)
{
	int kept = errno;
	HRESULT hr = S_OK;

	*file = hm_system.event(EFD_CLOEXEC | EFD_NONBLOCK);
	if (*file < 0)
		hr = result_of(errno);
	errno = kept;
	return hr;
}

/* The kernel takes what it needs of the files while it is told about them. */
HRESULT hm_source_add_usage(int file, const char *path, uint64_t threshold)
{
	char text[64];
	int usage, control, length;
	HRESULT hr = open_at(path, "memory.usage_in_bytes", O_RDONLY, &usage);

	if (FAILED(hr))
		return hr;
	hr = open_at(path, "cgroup.event_control", O_WRONLY, &control);
	if (SUCCEEDED(hr)) {
		length = snprintf(text, sizeof(text), "%d %d %llu", file, usage,
				  (unsigned long long)threshold);
		hr = write_text(control, text, (size_t)length + 1);
	}
	hm_source_close(control);
	hm_source_close(usage);
	return hr;
}

HRESULT hm_source_open_events(const char *path, int *file)
{
	return open_at(path, "memory.events", O_RDONLY | O_NONBLOCK, file);
}

/* ---- Stalls ---- */

static HRESULT open_trigger(const char *directory, const char *name, bool all, int *file)
{
	HRESULT hr = open_at(directory, name, O_RDWR | O_NONBLOCK, file);

	if (FAILED(hr))
		return hr;
	/* With the byte that ends it. */
	hr = all ? write_text(*file, ALL_TRIGGER, sizeof(ALL_TRIGGER))
		 : write_text(*file, SOME_TRIGGER, sizeof(SOME_TRIGGER));
	if (FAILED(hr)) {
		hm_source_close(*file);
		*file = -1;
	}
	return hr;
}

HRESULT hm_source_open_stalls(bool all, int *file)
{
	struct hm_cgroup_place place;
	HRESULT hr;

	hm_cgroup_find(2, &place);
	if (place.version != 0) {
		hr = open_trigger(place.path, "memory.pressure", all, file);
		if (SUCCEEDED(hr))
			return hr;
	}
	return open_trigger("/proc/pressure", "memory", all, file);
}

void hm_source_silence(int file)
{
	int kept = errno;
	int fresh = hm_system.event(EFD_CLOEXEC | EFD_NONBLOCK);

	if (fresh >= 0) {
		(void)dup3(fresh, file, O_CLOEXEC);
		(void)hm_system.close(fresh);
	}
	errno = kept;
}

HRESULT hm_source_try(void)
{
	int file;
	HRESULT hr = open_at("/proc/self", "cgroup", O_RDONLY, &file);

	hm_source_close(file);
	return hr;
}

/* "full avg10=0.00 avg60=0.00 avg300=0.00 total=878767" */
static bool look_for_total(void *state, const char *line, size_t length)
{
	static const char all[] = "full ", total[] = " total=";
	const size_t key = sizeof(total) - 1;
	uint64_t *us = state;

	if (length < sizeof(all) - 1 || memcmp(line, all, sizeof(all) - 1) != 0)
		return false;
	for (size_t i = 0; i + key < length; i++) {
		if (memcmp(line + i, total, key) == 0)
			*us = hm_cgroup_parse_bytes(line + i + key, length - i - key);
	}
	return true;
}

uint64_t hm_source_stalled(int file)
{
	uint64_t us = 0;

	(void)hm_lines_visit_file(file, look_for_total, &us);
	return us == UINT64_MAX ? 0 : us;
}

bool hm_source_take(int file)
{
	char buffer[256];
	int kept = errno;
	/* An eventfd cannot be read at an offset, and the others only so again and again. */
	long got = hm_system.read_at(file, buffer, sizeof(buffer), 0);
	bool alive;

	if (got < 0 && errno == ESPIPE)
		got = hm_system.read(file, buffer, sizeof(buffer));
	alive = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
	errno = kept;
	return alive;
}
