/*
 * Records of blocks: a table with a chain for each bucket, and two lists through it.
 *
 * The table doubles when it has a record for each bucket; if there is no memory for that
 * the chains grow longer, and nothing fails.
 *
 * Freeing takes a while, since what is around a block is looked at and its contents are
 * filled.  Nobody waits for that: the record is claimed first, and who comes then finds a
 * block that is being freed.
 *
 * Locks: each set has one (HM_RANK_RECORDS), held for a few steps through a chain and for
 * the memory of a record, never across a look at a block: that may fault.
 */
#include "records.h"
#include "metadata.h"
#include "os/check.h"

#define FIRST_ROOM ((size_t)64)

static void lock(struct hm_records *records)
{
	hm_lock_acquire(&records->lock, HM_RANK_RECORDS);
}

static void unlock(struct hm_records *records)
{
	hm_lock_release(&records->lock, HM_RANK_RECORDS);
}

/* ---- Lists ---- */

static void append(struct hm_record_list *list, struct hm_record *record)
{
	record->later = NULL;
	record->earlier = list->last;
	if (list->last != NULL)
		list->last->later = record;
	else
		list->first = record;
	list->last = record;
	list->count++;
	list->bytes += record->length;
}

static void prepend(struct hm_record_list *list, struct hm_record *record)
{
	record->earlier = NULL;
	record->later = list->first;
	if (list->first != NULL)
		list->first->earlier = record;
	else
		list->last = record;
	list->first = record;
	list->count++;
	list->bytes += record->length;
}

static void take_out(struct hm_record_list *list, struct hm_record *record)
{
	if (record->earlier != NULL)
		record->earlier->later = record->later;
	else
		list->first = record->later;
	if (record->later != NULL)
		record->later->earlier = record->earlier;
	else
		list->last = record->earlier;
	list->count--;
	list->bytes -= record->length;
}

/* ---- The table ---- */

static struct hm_record **bucket_of(const struct hm_records *records, uintptr_t block)
{
	uint64_t hash = (block >> 4) * UINT64_C(0x9E3779B97F4A7C15);

	return &records->buckets[(hash >> 32) & (records->room - 1)];
}

static struct hm_record *find_locked(const struct hm_records *records, uintptr_t block)
{
	struct hm_record *record = records->room != 0 ? *bucket_of(records, block) : NULL;

	while (record != NULL && hm_record_block(record) != block)
		record = record->next;
	return record;
}

static void enter_locked(struct hm_records *records, struct hm_record *record)
{
	struct hm_record **bucket = bucket_of(records, hm_record_block(record));

	record->next = *bucket;
	*bucket = record;
}

static void leave_locked(struct hm_records *records, const struct hm_record *record)
{
	struct hm_record **place = bucket_of(records, hm_record_block(record));

	while (*place != record)
		place = &(*place)->next;
	*place = record->next;
	records->count--;
}

/* false = there is no table at all. */
static bool make_room_locked(struct hm_records *records)
{
	size_t before = records->room, room = before != 0 ? before * 2 : FIRST_ROOM;
	struct hm_record **old = records->buckets, **buckets;

	if (records->count < before)
		return true;
	buckets = hm_metadata_alloc(room * sizeof(struct hm_record *));
	if (buckets == NULL)
		return before != 0;
	records->buckets = buckets;
	records->room = room;
	for (size_t i = 0; i < before; i++) {
		struct hm_record *next;

		for (struct hm_record *record = old[i]; record != NULL; record = next) {
			next = record->next;
			enter_locked(records, record);
		}
	}
	hm_metadata_free(old, before * sizeof(struct hm_record *));
	return true;
}

/* ---- Life ---- */

struct hm_record *hm_records_new(struct hm_records *records)
{
	struct hm_record *record = hm_metadata_alloc(sizeof(*record));
	bool room;

	if (record == NULL)
		return NULL;
	lock(records);
	room = make_room_locked(records);
	unlock(records);
	if (room)
		return record;
	hm_metadata_free(record, sizeof(*record));
	return NULL;
}

void hm_records_add(struct hm_records *records, struct hm_record *record,
		    const struct hm_record_wish *wish)
{
	const char *name = NULL;
	size_t length = 0;

	if (wish->file != NULL)
		name = hm_filename_end(wish->file, &length);
	record->hidden = ~(uintptr_t)wish->block;
	record->base = wish->base;
	record->length = wish->length;
	record->size = wish->size;
	record->line = wish->line;
	record->named = wish->named;
	record->state = HM_RECORD_LIVE;
	lock(records);
	if (name != NULL)
		record->name = hm_filenames_hold(&records->names, name, length);
	hm_assert(find_locked(records, (uintptr_t)wish->block) == NULL);
	enter_locked(records, record);
	records->count++;
	append(&records->live, record);
	atomic_fetch_add(&records->live_bytes, record->size);
	atomic_fetch_add(&records->live_count, 1);
	unlock(records);
}

enum hm_claim hm_records_claim(struct hm_records *records, const void *block,
			       struct hm_record **record,
			       void (*found)(void *state, const struct hm_record *dead),
			       void *state)
{
	enum hm_claim claim = HM_CLAIM_UNKNOWN;
	struct hm_record *candidate;

	lock(records);
	candidate = find_locked(records, (uintptr_t)block);
	if (candidate != NULL && candidate->state == HM_RECORD_LIVE) {
		candidate->state = HM_RECORD_CLAIMED;
		*record = candidate;
		claim = HM_CLAIM_MADE;
	} else if (candidate != NULL) {
		found(state, candidate);
		claim = HM_CLAIM_DEAD;
	}
	unlock(records);
	return claim;
}

void hm_records_unclaim(struct hm_records *records, struct hm_record *record)
{
	lock(records);
	record->state = HM_RECORD_LIVE;
	unlock(records);
}

void hm_records_resize(struct hm_records *records, struct hm_record *record, size_t size,
		       size_t length)
{
	lock(records);
	atomic_fetch_add(&records->live_bytes, size - record->size);
	records->live.bytes += length - record->length;
	record->size = size;
	record->length = length;
	unlock(records);
}

void hm_records_retire(struct hm_records *records, struct hm_record *record, bool next)
{
	lock(records);
	take_out(&records->live, record);
	atomic_fetch_sub(&records->live_bytes, record->size);
	atomic_fetch_sub(&records->live_count, 1);
	record->state = HM_RECORD_RETIRED;
	if (next)
		prepend(&records->retired, record);
	else
		append(&records->retired, record);
	unlock(records);
}

static struct hm_record *pop_locked(struct hm_records *records,
				    struct hm_record_list *list)
{
	struct hm_record *record = list->first;

	if (record != NULL) {
		take_out(list, record);
		leave_locked(records, record);
	}
	return record;
}

struct hm_record *hm_records_pop(struct hm_records *records, size_t bytes, size_t count)
{
	struct hm_record *record = NULL;

	lock(records);
	if (records->retired.bytes > bytes || records->retired.count > count)
		record = pop_locked(records, &records->retired);
	unlock(records);
	return record;
}

struct hm_record *hm_records_pop_live(struct hm_records *records)
{
	struct hm_record *record;

	lock(records);
	record = pop_locked(records, &records->live);
	unlock(records);
	return record;
}

void hm_records_delete(struct hm_records *records, struct hm_record *record)
{
	lock(records);
	hm_filenames_drop(&records->names, record->name);
	unlock(records);
	hm_metadata_free(record, sizeof(*record));
}

bool hm_records_size(struct hm_records *records, const void *block, size_t *size)
{
	const struct hm_record *record;
	bool live;

	lock(records);
	record = find_locked(records, (uintptr_t)block);
	live = record != NULL && record->state != HM_RECORD_RETIRED;
	if (live)
		*size = record->size;
	unlock(records);
	return live;
}

void hm_records_destroy(struct hm_records *records)
{
	hm_assert(records->count == 0 && records->names.count == 0);
	hm_metadata_free(records->buckets, records->room * sizeof(struct hm_record *));
	records->buckets = NULL;
	records->room = 0;
}

/* ---- Checking ---- */

static const char *check_list(const struct hm_records *records,
			      const struct hm_record_list *list, bool retired)
{
	const struct hm_record *record = list->first, *before = NULL;
	size_t count = 0, bytes = 0;

	for (; record != NULL; before = record, record = record->later) {
		if (record->earlier != before)
			return "a list is not the same from both ends";
		if ((record->state == HM_RECORD_RETIRED) != retired)
			return "a record is in the wrong list";
		if (find_locked(records, hm_record_block(record)) != record)
			return "a record is not found by its address";
		if (record->size > record->length - hm_record_front(record))
			return "a block is larger than its place";
		count++;
		bytes += record->length;
	}
	if (before != list->last)
		return "a list has another end";
	return count != list->count || bytes != list->bytes ? "a list is miscounted"
							    : NULL;
}

const char *hm_records_check(struct hm_records *records)
{
	const char *broken;

	lock(records);
	broken = check_list(records, &records->live, false);
	if (broken == NULL)
		broken = check_list(records, &records->retired, true);
	if (broken == NULL &&
	    records->count != records->live.count + records->retired.count)
		broken = "the table is miscounted";
	if (broken == NULL && records->live.count != atomic_load(&records->live_count))
		broken = "what is live is miscounted";
	unlock(records);
	return broken;
}
