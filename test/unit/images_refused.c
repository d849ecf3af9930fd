/*
 * Imports that cannot be replaced: the system refuses, or the arguments are wrong.  Then
 * nothing has changed.
 */
#include "hostmem/os/spare.h"
#include "images.h"

static struct hm_system_calls kept;
static unsigned protects, refuse_from, refuse_to; /* calls that are refused, 1-based */
static int refuse_error;
static unsigned unmaps;

static int refusing_protect(void *address, size_t size, int protection)
{
	protects++;
	if (protects < refuse_from || protects > refuse_to)
		return kept.protect(address, size, protection);
	errno = refuse_error;
	return -1;
}

static int counting_unmap(void *address, size_t size)
{
	unmaps++;
	return kept.unmap(address, size);
}

static void refuse(unsigned from, unsigned to, int error)
{
	CHECK(hm_spare_keep()); /* so that nobody else calls protect */
	kept = hm_system;
	protects = 0;
	refuse_from = from;
	refuse_to = to;
	refuse_error = error;
	hm_system.protect = refusing_protect;
}

static void patch_is_refused(const struct library *library, HRESULT want)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch = (void *)&import;

	errno = ENOTTY;
	CHECK_HR(hm_image_patch(NOW, NULL, &import, 1, &patch), want);
	CHECK_INT(errno, ENOTTY);
	hm_system = kept;
	CHECK_POINTER(patch, NULL);
	CHECK_POINTER(original, NULL);
	CHECK_SIZE(import.slots, 0);
	check_calls(library, getppid());
}

/* How many pages have to be made writable; as many are made read-only again. */
static unsigned pages_to_unlock(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;

	refuse(UINT_MAX, UINT_MAX, 0);
	CHECK_HR(hm_image_patch(NOW, NULL, &import, 1, &patch), S_OK);
	CHECK_U32(protects % 2, 0);
	CHECK_HR(hm_image_restore(patch), S_OK);
	hm_system = kept;
	return protects / 4;
}

static void where_memory_cannot_be_made_writable_nothing_changes(void)
{
	static const struct {
		int error;
		HRESULT want;
	} rows[] = {
		{ ENOMEM, E_OUTOFMEMORY },
		{ EACCES, E_ACCESSDENIED },
		{ EPERM, E_ACCESSDENIED },
		{ EINVAL, E_FAIL },
	};
	struct library library;
	unsigned pages;

	if (!load(NOW, &library))
		return;
	pages = pages_to_unlock();
	CHECK(pages > 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (unsigned nth = 1; nth <= pages; nth++) {
			tap_row("%d, page %u of %u", rows[i].error, nth, pages);
			refuse(nth, nth, rows[i].error);
			hm_system.unmap = counting_unmap;
			unmaps = 0;
			patch_is_refused(&library, rows[i].want);
			/* Each that was unlocked is locked. */
			CHECK_U32(protects, 2 * nth - 1);
			CHECK_U32(unmaps, 1);
		}
	}
	dlclose(library.handle);
	CHECK(!is_loaded(NOW));
}

static void what_cannot_be_locked_again_is_told(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library;
	unsigned pages;

	if (!load(NOW, &library))
		return;
	pages = pages_to_unlock();
	refuse(pages + 1, UINT_MAX, EACCES);
	CHECK_HR(hm_image_patch(NOW, NULL, &import, 1, &patch), S_FALSE);
	hm_system = kept;
	CHECK(import.slots >= 3);
	check_calls(&library, REPLACED);
	CHECK_HR(hm_image_restore(patch), S_OK);
	check_calls(&library, getppid());
	dlclose(library.handle);
}

static void restoring_can_be_tried_again(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library;

	if (!load(NOW, &library))
		return;
	CHECK_HR(hm_image_patch(NOW, NULL, &import, 1, &patch), S_OK);
	refuse(1, 1, EACCES);
	errno = ENOTTY;
	CHECK_HR(hm_image_restore(patch), E_ACCESSDENIED);
	CHECK_INT(errno, ENOTTY);
	hm_system = kept;
	check_calls(&library, REPLACED);
	CHECK_HR(hm_image_restore(patch), S_OK);
	check_calls(&library, getppid());
	dlclose(library.handle);
	CHECK(!is_loaded(NOW));
}

static void *refuse_map(void *address, size_t size, int protection, int flags, int file,
			long offset)
{
	(void)address, (void)size, (void)protection, (void)flags, (void)file,
		(void)offset;
	errno = ENOMEM;
	return MAP_FAILED;
}

static void without_memory_nothing_changes(void)
{
	struct library library;

	if (!load(NOW, &library))
		return;
	kept = hm_system;
	hm_system.map = refuse_map;
	patch_is_refused(&library, E_OUTOFMEMORY);
	dlclose(library.handle);
	CHECK(!is_loaded(NOW));
}

static void bad_arguments_change_nothing(void)
{
	struct library library;

	if (!load(NOW, &library))
		return;
	for (int i = 0; i < 4; i++) {
		void *others[2] = { others, others };
		struct hm_image_import imports[] = {
			{ "getppid", address_of(replacement), &others[0], 7 },
			{ "getuid", address_of(replacement), &others[1], 7 },
		};
		struct hm_image_patch *patch = (void *)imports;

		tap_row("%d", i);
		if (i == 0)
			imports[1].name = NULL;
		if (i == 1)
			imports[0].replacement = NULL;
		CHECK_HR(hm_image_patch(i == 2 ? NULL : NOW,
					i == 3 ? library.variable : NULL, imports, 2,
					&patch),
			 E_INVALIDARG);
		CHECK_POINTER(patch, NULL);
		CHECK(others[0] == NULL && others[1] == NULL);
		CHECK(imports[0].slots == 0 && imports[1].slots == 0);
		check_calls(&library, getppid());
	}
	dlclose(library.handle);
}

static void an_address_in_no_library_is_not_found(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	int here = 0;

	CHECK_HR(hm_image_patch(NULL, &here, &import, 1, &patch), NOT_LOADED);
	CHECK_POINTER(patch, NULL);
}

int main(void)
{
	TAP_RUN(where_memory_cannot_be_made_writable_nothing_changes);
	TAP_RUN(what_cannot_be_locked_again_is_told);
	TAP_RUN(restoring_can_be_tried_again);
	TAP_RUN(without_memory_nothing_changes);
	TAP_RUN(bad_arguments_change_nothing);
	TAP_RUN(an_address_in_no_library_is_not_found);
	return tap_done();
}
