/*
 * Names of source files: a small table of strings, counted by use.
 *
 * They come from callers, who may say anything: nothing, a mebibyte, bytes of no
 * encoding.  Of a long name the end is kept, which says more than the root of somebody's
 * tree, and it does not begin within a character of UTF-8, if it is that.  What is never
 * used any more goes, and there is a limit to how many there are, so that a program which
 * makes names up does not fill the library's memory; a block whose name is one too many
 * has none.
 *
 * A name is a string to be compared and copied.  It is never a format.
 *
 * No locks.
 */
#include "filenames.h"
#include "metadata.h"

#include <string.h>

#define CHARACTER 4U /* bytes that UTF-8 has at most */

const char *hm_filename_end(const char *name, size_t *length)
{
	size_t whole = strlen(name);
	const char *end = name;

	if (whole > HM_FILENAME_LARGEST) {
		end = name + (whole - HM_FILENAME_LARGEST);
		for (unsigned i = 1;
		     i < CHARACTER && ((unsigned char)*end & 0xC0) == 0x80; i++)
			end++;
	}
	*length = whole - (size_t)(end - name);
	return end;
}

static struct hm_filename **bucket_of(struct hm_filenames *names, const char *text,
				      size_t length)
{
	uint64_t hash = UINT64_C(0xCBF29CE484222325);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
	return &names->buckets[(hash >> 32) % HM_FILENAME_BUCKETS];
}

static size_t bytes_of(size_t length)
{
	return sizeof(struct hm_filename) + length + 1;
}

struct hm_filename *hm_filenames_hold(struct hm_filenames *names, const char *text,
				      size_t length)
{
	struct hm_filename **bucket = bucket_of(names, text, length);
	struct hm_filename *name = *bucket;

	while (name != NULL &&
	       (name->length != length || memcmp(name->text, text, length) != 0))
		name = name->next;
	if (name == NULL && names->count < HM_FILENAMES_MOST) {
		name = hm_metadata_alloc(bytes_of(length));
		if (name == NULL)
			return NULL;
		memcpy(name->text, text, length);
		name->length = (uint32_t)length;
		name->next = *bucket;
		*bucket = name;
		names->count++;
	}
	if (name != NULL)
		name->uses++;
	return name;
}

void hm_filenames_drop(struct hm_filenames *names, struct hm_filename *name)
{
	struct hm_filename **place;

	if (name == NULL || --name->uses != 0)
		return;
	place = bucket_of(names, name->text, name->length);
	while (*place != name)
		place = &(*place)->next;
	*place = name->next;
	names->count--;
	hm_metadata_free(name, bytes_of(name->length));
}
