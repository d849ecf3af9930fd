#ifndef HOSTMEM_FILENAMES_H
#define HOSTMEM_FILENAMES_H

#include <stddef.h>
#include <stdint.h>

/*
 * The names of source files that DebugAlloc was told, each kept once for one heap.
 *
 * Nobody but the caller locks: a set belongs to whoever has the lock of its records.
 */
#define HM_FILENAME_LARGEST ((size_t)255)
#define HM_FILENAMES_MOST 1024U
#define HM_FILENAME_BUCKETS 64U

struct hm_filename {
	struct hm_filename *next;
	uint32_t uses;
	uint32_t length;
	char text[]; /* ends with a zero */
};

struct hm_filenames {
	struct hm_filename *buckets[HM_FILENAME_BUCKETS];
	size_t count;
};

/* Where what is kept of a name begins: all of it, or so many bytes of its end.  Looks at
 * the whole name, so it is not for within a lock. */
const char *hm_filename_end(const char *name, size_t *length);

/* A name, one use more; NULL: there are too many, or no memory.  Between hm_calls_enter and
 * hm_calls_leave; so is the other. */
struct hm_filename *hm_filenames_hold(struct hm_filenames *names, const char *text,
				      size_t length);
/* One use less; NULL is nobody's. */
void hm_filenames_drop(struct hm_filenames *names, struct hm_filename *name);

#endif
