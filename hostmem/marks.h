#ifndef HOSTMEM_MARKS_H
#define HOSTMEM_MARKS_H

#include "records.h"

/*
 * What is around and in a block that is looked after.
 *
 *	base            block            block + size        base + length
 *	| front, fence  | the user's     | behind, fence     |
 *
 * Nothing here takes a lock or is told to anybody; the record is the caller's.
 */
enum hm_marks {
	HM_MARKS_NONE,     /* the place is the user's, there is only a record */
	HM_MARKS_PATTERNS, /* bytes that are looked at later */
	HM_MARKS_TOOLS,    /* a tool is told, and looks by itself: os/tools.h */
};

/* Of fences, of fresh bytes, of freed ones. */
#define HM_MARK_FENCE 0xFD
#define HM_MARK_FRESH 0xCD
#define HM_MARK_DEAD 0xDD

#define HM_FENCE_SIZE ((size_t)16)

/* Bytes in front of a block with that alignment, and at least behind it. */
size_t hm_marks_front(enum hm_marks marks, size_t alignment);
size_t hm_marks_behind(enum hm_marks marks);

/* The block is given out; `zeroed`: it is to read as zero, and `fresh`: does so already. */
void hm_marks_give(enum hm_marks marks, const struct hm_record *record, bool zeroed,
		   bool fresh);
/* It has been `before` bytes large, and its place `length`. */
void hm_marks_resize(enum hm_marks marks, const struct hm_record *record, size_t before,
		     size_t length);
/* It has been freed. */
void hm_marks_take(enum hm_marks marks, const struct hm_record *record);
/* Its place is the heap's again. */
void hm_marks_forget(enum hm_marks marks, const struct hm_record *record);

/* Where the first damaged byte is, counted from the block. */
bool hm_marks_underrun(const struct hm_record *record, ptrdiff_t *offset);
bool hm_marks_overrun(const struct hm_record *record, ptrdiff_t *offset);
/* The same for a block that was freed, fences included. */
bool hm_marks_touched(const struct hm_record *record, ptrdiff_t *offset);

#endif
