#ifndef HOSTMEM_METADATA_H
#define HOSTMEM_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Memory for the library's own records, apart from the client's and from malloc.
 *
 * Blocks of a typed kind are only ever reused for that kind and stay readable for good:
 * readers without a lock may follow a pointer to one that has just been freed, and find
 * out by a version that what they read means nothing.
 */
enum hm_metadata_kind {
	HM_METADATA_STATES,      /* 128 bytes: a node of page states */
	HM_METADATA_REGION,      /* 64 bytes: a region record that shares its granule */
	HM_METADATA_SPAN_COARSE, /* spans of a heap, by the number of their marks */
	HM_METADATA_SPAN_MIDDLE,
	HM_METADATA_SPAN_FINE,
	HM_METADATA_SPAN_FINEST,
	HM_METADATA_SPAN_WHOLE,
	HM_METADATA_TYPED_KINDS
};

enum hm_metadata_need {
	HM_NEED_NORMAL,
	HM_NEED_TO_FREE, /* for a call that gives memory back: may use what is set aside */
};

/* Sets the blocks aside that calls which free memory may use; false = no memory. */
bool hm_metadata_prepare(void);

/* A block of a typed kind: zero, or as it was given back but for the first word.  NULL = no
 * memory. */
void *hm_metadata_take(enum hm_metadata_kind kind, enum hm_metadata_need need);
void hm_metadata_give(enum hm_metadata_kind kind, void *block);

/* Memory of any size, zeroed, 64-byte aligned; NULL = no memory. */
void *hm_metadata_alloc(size_t size);
void hm_metadata_free(void *block, size_t size);

/* The end of an object to which callers have pointers: given back, or buried in a checked
 * build, so that one Release too many is caught and not a crash. */
void hm_metadata_free_object(void *object, size_t size);

/* Counts a block as given back and never hands it out again: for checked builds, where
 * what is dead must stay recognisable. */
void hm_metadata_bury(const void *block, size_t size);

/* Bytes handed out and not yet given back. */
size_t hm_metadata_in_use(void);

/* Whether a page of [address, address + size) holds records of ours. */
bool hm_metadata_overlaps(uintptr_t address, size_t size);

/* A table, zeroed, untouched and never given back; counted for overlaps only.  It is
 * 64-byte aligned, and from a page on it has pages of its own.  NULL = no memory. */
void *hm_metadata_map_forever(size_t size);

#endif
