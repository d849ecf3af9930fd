/*
 * Files of the kernel that no kernel has written: what is opened has the contents that a test
 * has said, and nothing else is there.
 */
#ifndef HOSTMEM_UNIT_FILES_H
#define HOSTMEM_UNIT_FILES_H

#include "hostmem/os/system.h"
#include "test/tap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define ERRNO 4711 /* nobody's: what errno has to be after every call */

struct file {
	const char *path, *text;
	size_t size; /* 0: as long as the text */
};

static const struct file *files; /* up to one without a path */
static unsigned files_opened, files_closed;
static int files_interruptions; /* reads that are interrupted first; below 0: all fail */
static struct hm_system_calls files_real;

static int files_open(const char *path, int flags)
{
	(void)flags;
	for (const struct file *file = files; file->path != NULL; file++) {
		size_t size = file->size != 0 ? file->size : strlen(file->text);
		int opened;

		if (strcmp(file->path, path) != 0)
			continue;
		opened = memfd_create("file", MFD_CLOEXEC);
		if (opened < 0 || write(opened, file->text, size) != (ssize_t)size ||
		    lseek(opened, 0, SEEK_SET) != 0)
			abort();
		files_opened++;
		return opened;
	}
	errno = ENOENT;
	return -1;
}

static long files_read_at(int file, void *buffer, size_t size, long offset)
{
	if (files_interruptions < 0) {
		errno = EIO;
		return -1;
	}
	if (files_interruptions > 0) {
		files_interruptions--;
		errno = EINTR;
		return -1;
	}
	return files_real.read_at(file, buffer, size, offset);
}

static int files_close(int file)
{
	files_closed++;
	return files_real.close(file);
}

static inline void files_begin(const struct file *those)
{
	files = those;
	files_opened = files_closed = 0;
	files_interruptions = 0;
	files_real = hm_system;
	hm_system.open = files_open;
	hm_system.read_at = files_read_at;
	hm_system.close = files_close;
	errno = ERRNO;
}

/* Nothing stays open, and nobody sees what errors there were. */
static inline void files_end(void)
{
	CHECK_INT(errno, ERRNO);
	CHECK_U32(files_opened, files_closed);
	hm_system = files_real;
}

#endif
