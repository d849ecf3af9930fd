/*
 * Imports of loaded libraries, replaced and restored.
 */
#include "hostmem/os/mappings.h"
#include "images.h"

#include <fcntl.h>
#include <sys/stat.h>

static const char *const files[] = { LAZY, NOW };

static void every_way_to_call_an_import_is_replaced_and_restored(void)
{
	for (size_t i = 0; i < ROWS(files); i++) {
		struct hm_image_import import = replaced_import();
		struct hm_image_patch *patch;
		struct library library;

		tap_row("%s", files[i]);
		if (!load(files[i], &library))
			return;
		CHECK_HR(hm_image_patch(files[i], NULL, &import, 1, &patch), S_OK);
		CHECK(import.slots >= 3);
		check_calls(&library, REPLACED);
		CHECK_INT(function_at(original)(), getppid());
		check_calls(&library, REPLACED);
		CHECK_HR(hm_image_restore(patch), S_OK);
		check_calls(&library, getppid());
		dlclose(library.handle);
		CHECK(!is_loaded(files[i]));
	}
}

/* A library that is bound late has only a stub of its own until then. */
static void the_original_of_what_was_never_called_can_be_called(void)
{
	for (size_t i = 0; i < ROWS(files); i++) {
		struct hm_image_import import = { "getpgrp", address_of(replacement),
						  &original, 0 };
		struct hm_image_patch *patch;
		struct library library;

		tap_row("%s", files[i]);
		if (!load(files[i], &library))
			return;
		CHECK_HR(hm_image_patch(files[i], NULL, &import, 1, &patch), S_OK);
		CHECK_SIZE(import.slots, 1);
		CHECK_INT(function_at(original)(), getpgrp());
		CHECK_INT(library.call_only(), REPLACED);
		CHECK_HR(hm_image_restore(patch), S_OK);
		CHECK_INT(library.call_only(), getpgrp());
		CHECK_INT(library.call_only(), getpgrp());
		dlclose(library.handle);
	}
}

static void what_was_called_before_is_replaced_as_well(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library;

	if (!load(LAZY, &library))
		return;
	check_calls(&library, getppid());
	CHECK_HR(hm_image_patch(LAZY, NULL, &import, 1, &patch), S_OK);
	check_calls(&library, REPLACED);
	CHECK_INT(function_at(original)(), getppid());
	CHECK_HR(hm_image_restore(patch), S_OK);
	check_calls(&library, getppid());
	dlclose(library.handle);
}

static void other_libraries_call_what_they_did(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library lazy, now;

	if (!load(LAZY, &lazy) || !load(NOW, &now))
		return;
	CHECK_HR(hm_image_patch(NOW, NULL, &import, 1, &patch), S_OK);
	check_calls(&now, REPLACED);
	check_calls(&lazy, getppid());
	CHECK_HR(hm_image_restore(patch), S_OK);
	dlclose(lazy.handle);
	dlclose(now.handle);
}

static void a_library_is_found_by_an_address_in_it(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library;

	if (!load(LAZY, &library))
		return;
	CHECK_HR(hm_image_patch(NULL, library.variable, &import, 1, &patch), S_OK);
	check_calls(&library, REPLACED);
	CHECK_HR(hm_image_restore(patch), S_OK);
	CHECK_HR(hm_image_patch(NULL, address_of(library.call), &import, 1, &patch),
		 S_OK);
	check_calls(&library, REPLACED);
	CHECK_HR(hm_image_restore(patch), S_OK);
	dlclose(library.handle);
}

static void so_is_the_program(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	pid_t parent = getppid();

	CHECK_HR(hm_image_patch(NULL, files, &import, 1, &patch), S_OK);
	CHECK(import.slots > 0);
	CHECK_INT(getppid(), REPLACED);
	CHECK_INT(function_at(original)(), parent);
	CHECK_HR(hm_image_restore(patch), S_OK);
	CHECK_INT(getppid(), parent);
}

static void a_name_is_the_end_of_a_path(void)
{
	static const struct {
		const char *name;
		HRESULT want;
	} rows[] = {
		{ "images-lazy.so", S_OK },
		{ ".libs/images-lazy.so", S_OK },
		{ "/images-lazy.so", S_OK },
		{ "lazy.so", NOT_LOADED },
		{ "images-lazy.s", NOT_LOADED },
		{ "images-lazy", NOT_LOADED },
		{ "images-now.so", NOT_LOADED },
		{ "x/images-lazy.so", NOT_LOADED },
		{ "", NOT_LOADED },
	};
	struct library library;

	if (!load(LAZY, &library))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_image_import import = replaced_import();
		struct hm_image_patch *patch = (void *)&library;

		tap_row("%s", rows[i].name);
		CHECK_HR(hm_image_patch(rows[i].name, NULL, &import, 1, &patch),
			 rows[i].want);
		CHECK((patch != NULL) == SUCCEEDED(rows[i].want));
		CHECK((original != NULL) == SUCCEEDED(rows[i].want));
		CHECK((import.slots != 0) == SUCCEEDED(rows[i].want));
		if (patch != NULL)
			CHECK_HR(hm_image_restore(patch), S_OK);
		check_calls(&library, getppid());
	}
	dlclose(library.handle);
}

static bool copy_file(const char *from, const char *to)
{
	int source = open(from, O_RDONLY), target = open(to, O_WRONLY | O_CREAT, 0700);
	char buffer[4096];
	ssize_t got = -1;

	while (source >= 0 && target >= 0 &&
	       (got = read(source, buffer, sizeof(buffer))) > 0) {
		if (!CHECK_INT(write(target, buffer, (size_t)got), got))
			break;
	}
	close(source);
	close(target);
	return CHECK_INT(got, 0);
}

static void two_libraries_of_one_name_are_told_apart_by_their_folders(void)
{
	char folder[] = "/tmp/hostmem-images-XXXXXX", path[2 * PATH_MAX], copy[64];
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library, second;

	if (!load(LAZY, &library) || !CHECK(mkdtemp(folder) != NULL))
		return;
	path_of(LAZY, path, sizeof(path));
	snprintf(copy, sizeof(copy), "%s/" LAZY, folder);
	if (copy_file(path, copy) && load_from(copy, &second)) {
		CHECK_HR(hm_image_patch(LAZY, NULL, &import, 1, &patch),
			 HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_NAME));
		CHECK_POINTER(patch, NULL);
		CHECK_HR(hm_image_patch(copy, NULL, &import, 1, &patch), S_OK);
		check_calls(&second, REPLACED);
		check_calls(&library, getppid());
		CHECK_HR(hm_image_restore(patch), S_OK);
		dlclose(second.handle);
	}
	unlink(copy);
	rmdir(folder);
	dlclose(library.handle);
}

static void what_is_not_imported_is_counted_as_none(void)
{
	void *others[3] = { &others, &others, &others };
	struct hm_image_import imports[] = {
		{ "getuid", address_of(replacement), &others[0], 7 },
		{ "images_nobodys", address_of(replacement), &others[1], 7 },
		replaced_import(),
		{ "getppi", address_of(replacement), &others[2], 7 },
		{ "images_own", address_of(replacement), NULL, 7 },
	};
	struct hm_image_patch *patch;
	struct library library;

	if (!load(LAZY, &library))
		return;
	CHECK_HR(hm_image_patch(LAZY, NULL, imports, ROWS(imports), &patch), S_OK);
	for (size_t i = 0; i < ROWS(others); i++) {
		CHECK_SIZE(imports[i + (i > 1)].slots, 0);
		CHECK_POINTER(others[i], NULL);
	}
	CHECK_INT(library.has_nobodys(), 0);
	check_calls(&library, REPLACED);
	CHECK(imports[4].slots > 0);
	CHECK_INT(library.call_own(), REPLACED);
	CHECK_HR(hm_image_restore(patch), S_OK);
	CHECK_INT(library.call_own(), 5);
	CHECK_HR(hm_image_patch(LAZY, NULL, NULL, 0, &patch), S_OK);
	CHECK_HR(hm_image_restore(patch), S_OK);
	dlclose(library.handle);
}

static void what_the_library_defines_itself_is_its_original(void)
{
	for (size_t i = 0; i < ROWS(files); i++) {
		void *own = NULL;
		struct hm_image_import import = { "images_own", address_of(replacement),
						  &own, 0 };
		struct hm_image_patch *patch;
		struct library library;

		tap_row("%s", files[i]);
		if (!load(files[i], &library))
			return;
		CHECK_HR(hm_image_patch(files[i], NULL, &import, 1, &patch), S_OK);
		CHECK_INT(library.call_own(), REPLACED);
		CHECK_POINTER(own, dlsym(library.handle, "images_own"));
		CHECK_HR(hm_image_restore(patch), S_OK);
		CHECK_INT(library.call_own(), 5);
		dlclose(library.handle);
	}
}

/* Loaded for all others, so that what it defines is what they call. */
static bool load_globally(const char *file, struct library *out)
{
	char path[2 * PATH_MAX];

	path_of(file, path, sizeof(path));
	return load(file, out) &&
	       CHECK(dlopen(path, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL) == out->handle);
}

static void unload_global(const struct library *library)
{
	dlclose(library->handle);
	dlclose(library->handle);
}

static void of_two_definitions_the_original_is_what_the_library_would_call(void)
{
	for (int called = 1; called >= 0; called--) {
		void *own = NULL;
		struct hm_image_import import = { "images_own", address_of(replacement),
						  &own, 0 };
		struct hm_image_patch *patch;
		struct library lazy, now;

		tap_row(called ? "called before there was another" : "not called yet");
		if (called && (!load(LAZY, &lazy) || !CHECK_INT(lazy.call_own(), 5)))
			return;
		if (!load_globally(NOW, &now) || (!called && !load(LAZY, &lazy)))
			return;
		CHECK_HR(hm_image_patch(LAZY, NULL, &import, 1, &patch), S_OK);
		CHECK_INT(lazy.call_own(), REPLACED);
		CHECK_POINTER(own,
			      dlsym(called ? lazy.handle : now.handle, "images_own"));
		CHECK_HR(hm_image_restore(patch), S_OK);
		dlclose(lazy.handle);
		unload_global(&now);
	}
}

static int other_function(void)
{
	return 11;
}

static void a_variable_that_was_set_since_is_left_alone(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library;

	if (!load(LAZY, &library))
		return;
	*library.variable = other_function;
	CHECK_HR(hm_image_patch(LAZY, NULL, &import, 1, &patch), S_OK);
	CHECK_INT(library.call_by_table(), REPLACED);
	CHECK_INT(library.call_by_variable(), 11);
	CHECK_HR(hm_image_restore(patch), S_OK);
	CHECK_INT(library.call_by_variable(), 11);
	dlclose(library.handle);
}

static void what_somebody_else_has_set_meanwhile_is_left_to_him(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library;

	if (!load(LAZY, &library))
		return;
	CHECK_HR(hm_image_patch(LAZY, NULL, &import, 1, &patch), S_OK);
	*library.variable = other_function;
	CHECK_HR(hm_image_restore(patch), S_FALSE);
	CHECK_INT(library.call_by_variable(), 11);
	CHECK_INT(library.call(), getppid());
	CHECK_INT(library.call_by_table(), getppid());
	dlclose(library.handle);
}

static void two_patches_are_a_chain(void)
{
	void *inner = NULL;
	struct hm_image_import import = replaced_import();
	struct hm_image_import second = { "getppid", address_of(other_function), &inner,
					  0 };
	struct hm_image_patch *patches[2];
	struct library library;

	if (!load(LAZY, &library))
		return;
	CHECK_HR(hm_image_patch(LAZY, NULL, &import, 1, &patches[0]), S_OK);
	CHECK_HR(hm_image_patch(LAZY, NULL, &second, 1, &patches[1]), S_OK);
	CHECK_SIZE(second.slots, import.slots);
	CHECK_POINTER(inner, address_of(replacement));
	check_calls(&library, 11);
	CHECK_HR(hm_image_restore(patches[1]), S_OK);
	check_calls(&library, REPLACED);
	CHECK_HR(hm_image_restore(patches[0]), S_OK);
	check_calls(&library, getppid());
	dlclose(library.handle);
}

static void the_same_patch_again_changes_nothing(void)
{
	struct hm_image_import first = replaced_import();
	struct hm_image_import again = replaced_import();
	struct hm_image_patch *patches[2];
	struct library library;

	if (!load(LAZY, &library))
		return;
	CHECK_HR(hm_image_patch(LAZY, NULL, &first, 1, &patches[0]), S_OK);
	CHECK_HR(hm_image_patch(LAZY, NULL, &again, 1, &patches[1]), S_OK);
	CHECK_SIZE(again.slots, 0);
	CHECK_POINTER(original, NULL);
	CHECK_HR(hm_image_restore(patches[1]), S_OK);
	check_calls(&library, REPLACED);
	CHECK_HR(hm_image_restore(patches[0]), S_OK);
	check_calls(&library, getppid());
	dlclose(library.handle);
}

static void a_patched_library_stays_loaded(void)
{
	struct hm_image_import import = replaced_import();
	struct hm_image_patch *patch;
	struct library library;

	if (!load(NOW, &library))
		return;
	CHECK_HR(hm_image_patch(NOW, NULL, &import, 1, &patch), S_OK);
	dlclose(library.handle);
	CHECK(is_loaded(NOW));
	check_calls(&library, REPLACED);
	CHECK_HR(hm_image_restore(patch), S_OK);
	CHECK(!is_loaded(NOW));
}

/* The mappings of the library from its first page on. */
static size_t list_mappings(const struct library *library, struct hm_mapping list[16])
{
	uintptr_t address;
	size_t count = 0;
	Dl_info info;

	if (!CHECK(dladdr(address_of(library->call), &info) != 0))
		return 0;
	address = (uintptr_t)info.dli_fbase;
	while (count < 16 && hm_mapping_find(address, &list[count]) == S_OK &&
	       list[count].inode != 0 && list[count].inode == list[0].inode &&
	       list[count].start == address)
		address = list[count++].end;
	return count;
}

static void what_was_read_only_is_so_again(void)
{
	for (size_t i = 0; i < ROWS(files); i++) {
		struct hm_image_import import = replaced_import();
		struct hm_mapping before[16] = { { 0 } }, after[16] = { { 0 } };
		struct hm_image_patch *patch;
		struct library library;
		size_t count;

		tap_row("%s", files[i]);
		if (!load(files[i], &library))
			return;
		count = list_mappings(&library, before);
		CHECK(count > 3);
		CHECK_HR(hm_image_patch(files[i], NULL, &import, 1, &patch), S_OK);
		CHECK_SIZE(list_mappings(&library, after), count);
		CHECK(memcmp(before, after, count * sizeof(before[0])) == 0);
		CHECK_HR(hm_image_restore(patch), S_OK);
		CHECK_SIZE(list_mappings(&library, after), count);
		CHECK(memcmp(before, after, count * sizeof(before[0])) == 0);
		dlclose(library.handle);
	}
}

int main(void)
{
	TAP_RUN(every_way_to_call_an_import_is_replaced_and_restored);
	TAP_RUN(the_original_of_what_was_never_called_can_be_called);
	TAP_RUN(what_was_called_before_is_replaced_as_well);
	TAP_RUN(other_libraries_call_what_they_did);
	TAP_RUN(a_library_is_found_by_an_address_in_it);
	TAP_RUN(so_is_the_program);
	TAP_RUN(a_name_is_the_end_of_a_path);
	TAP_RUN(two_libraries_of_one_name_are_told_apart_by_their_folders);
	TAP_RUN(what_is_not_imported_is_counted_as_none);
	TAP_RUN(what_the_library_defines_itself_is_its_original);
	TAP_RUN(a_variable_that_was_set_since_is_left_alone);
	TAP_RUN(what_somebody_else_has_set_meanwhile_is_left_to_him);
	TAP_RUN(two_patches_are_a_chain);
	TAP_RUN(the_same_patch_again_changes_nothing);
	TAP_RUN(a_patched_library_stays_loaded);
	TAP_RUN(what_was_read_only_is_so_again);
	/* The last, since the linker does not unload what was found for all. */
	TAP_RUN(of_two_definitions_the_original_is_what_the_library_would_call);
	return tap_done();
}
