#ifndef HOSTMEM_EXTENTS_H
#define HOSTMEM_EXTENTS_H

#include "bitmap.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The free space of one arena: which of its granules nobody has taken.
 *
 * Granules are numbers 0 to count - 1.  Neighbouring free granules of one kind are one
 * extent; kinds never merge.  What is taken is not recorded, so whoever gives granules
 * back says how many and of which kind they are now, which need not be the kind they had.
 *
 * The caller holds the arena's lock for every call, the const ones too.  Nothing here
 * takes a lock, calls the system or asks for memory, so nothing but a want of free
 * granules can make a call fail; a call that fails has changed nothing.
 *
 * The structure is large and lies in memory that is zeroed when first touched.  Nothing is
 * written but what describes the first and last granules of free extents: an arena of which
 * one granule is taken has touched three or four pages of it.
 *
 * Counts are not zero, kinds are below HM_EXTENT_KINDS, alignments are powers of two below
 * 2^32, in granules.
 */
#define HM_EXTENTS_MOST 65536U

enum hm_extent_kind {
	HM_EXTENT_BLANK, /* never made accessible, or made as good as that again */
	HM_EXTENT_OPEN,  /* accessible in principle, each page guarded by itself */
	HM_EXTENT_KINDS
};

/* Granules first to first + count - 1. */
struct hm_extent {
	uint32_t first, count;
	enum hm_extent_kind kind;
};

/* Of the last granule of a free extent.  Of the first one, `rest` alone; everything else
 * is garbage. */
struct hm_extent_tag {
	uint16_t next;     /* in its list; itself if it is the last */
	uint16_t previous; /* garbage if it is the first */
	uint16_t rest;     /* how many more granules the extent has */
	uint16_t list;     /* kind * HM_EXTENT_CLASSES + class */
};

#define HM_EXTENT_CLASSES 64U

/* 521 KiB, most of them never touched.  Its fields are this module's own. */
struct hm_extents {
	uint32_t origin, count, free;
	uint64_t used[HM_EXTENT_KINDS]; /* bit i: the list of class i has members */
	uint16_t heads[HM_EXTENT_KINDS * HM_EXTENT_CLASSES]; /* of others garbage */
	struct hm_bitmap lasts; /* the last granules of free extents of all kinds */
	struct hm_extent_tag tags[HM_EXTENTS_MOST];
};

/*
 * All `count` granules, at most HM_EXTENTS_MOST, are free and blank.  *extents is zeroed.
 * `origin` is the number of granule 0 in the whole address space, modulo 2^32: alignment
 * is that of addresses.
 */
void hm_extents_init(struct hm_extents *extents, uint32_t origin, uint32_t count);

/*
 * Takes `count` neighbouring free granules of the kind with
 * (origin + *first) % alignment == 0; false, and *first as it was, if there are none.
 * Granules are taken from the low end of a free extent that fits well.
 *
 * Without alignment and for up to 16 granules, it looks at one extent.  For more, at one
 * or two in most cases; but a fit that exists is found, if it takes a look at every
 * extent of that kind with `count` granules.
 */
bool hm_extents_take(struct hm_extents *extents, enum hm_extent_kind kind, uint32_t count,
		     uint32_t alignment, uint32_t *first);

/* Takes these very granules, of whatever kinds; false if one of them is not free, or is
 * beyond the end. */
bool hm_extents_take_at(struct hm_extents *extents, uint32_t first, uint32_t count);

/*
 * Takes the free granules of the kind that lie directly below `first`, none of them below
 * `limit`; or those from `end` on, all of them below `limit`.  They stop at the first one
 * that is taken or of another kind.  How many they are: zero is an answer like any other.
 * `first` and `end` are at most the arena's count; `limit` is any number, and one on the
 * wrong side leaves nothing to take.
 */
uint32_t hm_extents_take_below(struct hm_extents *extents, enum hm_extent_kind kind,
			       uint32_t first, uint32_t limit);
uint32_t hm_extents_take_above(struct hm_extents *extents, enum hm_extent_kind kind,
			       uint32_t end, uint32_t limit);

/*
 * Gives back granules, none of which is free.  They need not be those of one take.
 * *merged, which may be NULL and may be *given, is the free extent that they belong to now.
 */
void hm_extents_give(struct hm_extents *extents, const struct hm_extent *given,
		     struct hm_extent *merged);

/* How many granules are free, of all kinds. */
uint32_t hm_extents_free(const struct hm_extents *extents);

/* The first free extent that begins at or above `from`; false, and *out as it was, if
 * there is none. */
bool hm_extents_next(const struct hm_extents *extents, uint32_t from,
		     struct hm_extent *out);

/* NULL if bitmap, lists and sizes agree, no extents overlap, neighbours of one kind are
 * one, and the sum is right; else the rule that is broken. */
const char *hm_extents_check(const struct hm_extents *extents);

#endif
