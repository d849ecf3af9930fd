#ifndef HOSTMEM_RECORDS_H
#define HOSTMEM_RECORDS_H

#include "filenames.h"
#include "os/lock.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * What is known of single blocks of a heap, by the address that its user has.  Records lie
 * apart from the blocks, so nobody damages them by writing past one.
 *
 * The life of a record
 *
 *	new -> add -> live -> claim -> claimed -> retire -> retired -> pop -> nobody finds it -> delete
 *	               ^-- unclaim --'
 *
 * A claimed record belongs to the call that has claimed it, one that was popped to whoever
 * has it.  Everything is called between hm_calls_enter and hm_calls_leave.
 */
enum hm_record_state { HM_RECORD_LIVE, HM_RECORD_CLAIMED, HM_RECORD_RETIRED };

struct hm_record {
	struct hm_record *next;            /* of the same bucket */
	struct hm_record *earlier, *later; /* in the list of its state */
	uintptr_t hidden;                  /* see hm_record_block */
	uintptr_t base;                    /* where the heap's block begins ... */
	size_t length;                     /* ... and its bytes */
	size_t size;                       /* bytes asked for */
	struct hm_filename *name;          /* NULL: none */
	int32_t line;
	bool named; /* DebugAlloc made it */
	uint8_t state;
};

struct hm_record_list {
	struct hm_record *first, *last;
	size_t count, bytes; /* of `length` */
};

struct hm_records {
	struct hm_lock lock; /* HM_RANK_RECORDS */
	struct hm_record **buckets;
	size_t room, count;
	struct hm_record_list live;    /* and claimed; in the order of their making */
	struct hm_record_list retired; /* in the order in which they were freed */
	struct hm_filenames names;
	_Atomic size_t live_bytes, live_count; /* of `size` */
};

/* The address of a block is kept inverted: a tool that searches memory for pointers, to
 * tell what is lost, shall not find this one. */
static inline uintptr_t hm_record_block(const struct hm_record *record)
{
	return ~record->hidden;
}

static inline size_t hm_record_front(const struct hm_record *record)
{
	return hm_record_block(record) - record->base;
}

struct hm_record_wish {
	void *block;
	uintptr_t base;
	size_t length, size;
	bool named;
	const char *file; /* as it was told; NULL = none */
	int32_t line;
};

/* One that nobody finds yet; NULL = no memory.  It is deleted, or becomes a live one. */
struct hm_record *hm_records_new(struct hm_records *records);
void hm_records_add(struct hm_records *records, struct hm_record *record,
		    const struct hm_record_wish *wish);

/* What becomes of an address: the record is the caller's; there is one that is not live,
 * and `found` is told of it before it may vanish; there is none. */
enum hm_claim { HM_CLAIM_MADE, HM_CLAIM_DEAD, HM_CLAIM_UNKNOWN };
enum hm_claim hm_records_claim(struct hm_records *records, const void *block,
			       struct hm_record **record,
			       void (*found)(void *state, const struct hm_record *dead),
			       void *state);
void hm_records_unclaim(struct hm_records *records, struct hm_record *record);
/* A claimed record has another size. */
void hm_records_resize(struct hm_records *records, struct hm_record *record, size_t size,
		       size_t length);
/* The block of a claimed record is not its user's any more; `next`: it is the next one to
 * pop. */
void hm_records_retire(struct hm_records *records, struct hm_record *record, bool next);

/* The record that was retired first, out of the table, if those retired are more than that;
 * else NULL. */
struct hm_record *hm_records_pop(struct hm_records *records, size_t bytes, size_t count);
/* The one that was made first of those live, for the end: it counts as live for good. */
struct hm_record *hm_records_pop_live(struct hm_records *records);
void hm_records_delete(struct hm_records *records, struct hm_record *record);

/* Bytes asked for; false: it is not live. */
bool hm_records_size(struct hm_records *records, const void *block, size_t *size);

/* Gives the table back; no record is left. */
void hm_records_destroy(struct hm_records *records);

/* NULL if all rules hold, else the one that is broken. */
const char *hm_records_check(struct hm_records *records);

#endif
