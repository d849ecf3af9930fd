/*
 * Marks: fences around blocks, and patterns in them.
 *
 * A fence is as long as the alignment of its block, so that the block still lies at a
 * multiple of that; behind it is what its size class has in excess, and 16 bytes at least.
 * Of a long fence in front only the page next to the block is filled and looked at: who
 * misses a block by more hits another one.
 *
 * The three patterns differ from each other and from zero, as pointers lead nowhere and as
 * numbers are conspicuous.  Fresh bytes have one so that a program which relies on zero
 * fails every time and not once a month.
 *
 * Where a tool watches, nothing is written: the tool knows each byte, and would be told
 * wrongly by us who touch what nobody may.
 *
 * No locks.
 */
#include "marks.h"
#include "os/size.h"
#include "os/tools.h"

#include <string.h>

#define FENCE_LOOKED_AT HM_PAGE_SIZE

size_t hm_marks_front(enum hm_marks marks, size_t alignment)
{
	return marks == HM_MARKS_NONE ? 0 : hm_max(alignment, HM_FENCE_SIZE);
}

size_t hm_marks_behind(enum hm_marks marks)
{
	return marks == HM_MARKS_NONE ? 0 : HM_FENCE_SIZE;
}

/* ---- The parts of a place ---- */

static char *block_of(const struct hm_record *record)
{
	return (char *)hm_record_block(record);
}

static size_t front_of(const struct hm_record *record)
{
	return hm_min(hm_record_front(record), FENCE_LOOKED_AT);
}

static size_t behind_of(const struct hm_record *record)
{
	return record->length - hm_record_front(record) - record->size;
}

static struct hm_tools_place place_of(const struct hm_record *record)
{
	return (struct hm_tools_place){ (void *)record->base, record->length };
}

/* ---- Marking ---- */

void hm_marks_give(enum hm_marks marks, const struct hm_record *record, bool zeroed,
		   bool fresh)
{
	char *block = block_of(record);
	struct hm_tools_place place = place_of(record);

	if (marks == HM_MARKS_TOOLS)
		hm_tools_give(&place, block, record->size, zeroed && fresh);
	if (zeroed && !fresh)
		memset(block, 0, record->size);
	if (marks != HM_MARKS_PATTERNS)
		return;
	if (!zeroed)
		memset(block, HM_MARK_FRESH, record->size);
	memset(block - front_of(record), HM_MARK_FENCE, front_of(record));
	memset(block + record->size, HM_MARK_FENCE, behind_of(record));
}

void hm_marks_resize(enum hm_marks marks, const struct hm_record *record, size_t before,
		     size_t length)
{
	char *block = block_of(record);
	struct hm_tools_place place = place_of(record);

	if (marks == HM_MARKS_TOOLS) {
		struct hm_tools_place rest = { (char *)place.base + record->length,
					       length - record->length };

		if (length > record->length)
			hm_tools_forget(&rest);
		hm_tools_resize(&place, block, before, record->size);
	} else if (marks == HM_MARKS_PATTERNS) {
		if (record->size > before)
			memset(block + before, HM_MARK_FRESH, record->size - before);
		memset(block + record->size, HM_MARK_FENCE, behind_of(record));
	}
}

void hm_marks_take(enum hm_marks marks, const struct hm_record *record)
{
	if (marks == HM_MARKS_PATTERNS)
		memset(block_of(record), HM_MARK_DEAD, record->size);
	else if (marks == HM_MARKS_TOOLS)
		hm_tools_take(block_of(record), record->size);
}

void hm_marks_forget(enum hm_marks marks, const struct hm_record *record)
{
	struct hm_tools_place place = place_of(record);

	if (marks == HM_MARKS_TOOLS)
		hm_tools_forget(&place);
}

/* ---- Looking ---- */

/* Whether a byte is another one; *where it is. */
static bool differs(const char *start, size_t size, unsigned char pattern,
		    const char **where)
{
	const unsigned char *bytes = (const unsigned char *)start;
	size_t i = 0;

	/* All the same as the first one, and that as it should be: mostly so. */
	if (size == 0 || (bytes[0] == pattern && memcmp(bytes, bytes + 1, size - 1) == 0))
		return false;
	while (bytes[i] == pattern)
		i++;
	*where = start + i;
	return true;
}

static bool damaged(const struct hm_record *record, ptrdiff_t from, size_t size,
		    unsigned char pattern, ptrdiff_t *offset)
{
	const char *where;
	bool found = differs(block_of(record) + from, size, pattern, &where);

	if (found)
		*offset = where - block_of(record);
	return found;
}

bool hm_marks_underrun(const struct hm_record *record, ptrdiff_t *offset)
{
	return damaged(record, -(ptrdiff_t)front_of(record), front_of(record),
		       HM_MARK_FENCE, offset);
}

bool hm_marks_overrun(const struct hm_record *record, ptrdiff_t *offset)
{
	return damaged(record, (ptrdiff_t)record->size, behind_of(record), HM_MARK_FENCE,
		       offset);
}

bool hm_marks_touched(const struct hm_record *record, ptrdiff_t *offset)
{
	return hm_marks_underrun(record, offset) ||
	       damaged(record, 0, record->size, HM_MARK_DEAD, offset) ||
	       hm_marks_overrun(record, offset);
}
