#ifndef HOSTMEM_DEBUGBLOCKS_H
#define HOSTMEM_DEBUGBLOCKS_H

#include "debugheap.h"
#include "marks.h"
#include "records.h"
#include "reports.h"

/*
 * What the files of debug heaps share: the heap of the blocks with records, and what one
 * call finds out about them.
 */
struct hm_debug_heap {
	struct hm_heap heap;
	struct hm_records records;
	void *identity; /* what reports call the heap in front of it */
	enum hm_marks marks;
};

static inline struct hm_debug_heap *hm_debug_of(struct hm_heap *heap)
{
	return atomic_load(&heap->debug);
}

/* The same, made if there is none; NULL = no memory. */
struct hm_debug_heap *hm_debug_obtain(struct hm_heap *heap);

/* What one call has found. */
struct hm_findings {
	unsigned count;
	struct hm_finding list[2];
};

/* Adds what has become of the fences of a live block. */
void hm_debug_look(const struct hm_debug_heap *debug, const struct hm_record *record,
		   struct hm_findings *findings);
/* Whether a freed block has been written to. */
bool hm_debug_look_at_freed(const struct hm_debug_heap *debug,
			    const struct hm_record *record, struct hm_findings *findings);
/* Outside of hm_calls_enter, without a lock. */
void hm_debug_tell(const struct hm_debug_heap *debug, struct hm_findings *findings);

/* Bytes of freed blocks that are kept. */
#define HM_DEBUG_KEPT ((size_t)1 << 20)

/* Of the blocks that are kept after they were freed: those that are too many go, and all of
 * them where nothing is kept or somebody waits for memory.  Outside of hm_calls_enter. */
void hm_debug_throw_out(struct hm_debug_heap *debug);
/* At the heap's end: their records go. */
void hm_debug_forget_freed(struct hm_debug_heap *debug);

#endif
