/*
 * Imports of a loaded ELF object, replaced.
 *
 * loaded_elf.c finds the object and the words in it that hold addresses of what it imports.
 * To replace an import is to write to its words.  What is to be known:
 *
 *   - A call that was never made holds the address of a stub in the object itself, which
 *     binds it and writes the result over the word.  To hand that out as the original
 *     would undo the replacement at its first use, so the linker is asked for the name in
 *     its stead: what every object sees comes first, as it does for the linker.
 *   - A word in data may have been given another value since.  It is an import only as
 *     long as it holds the address that the name is bound to.
 *   - Words may be read-only by now.  Their pages are made writable for as long.
 *   - While its imports are replaced the object is held by a reference of ours: had it gone,
 *     restoring would write to memory of somebody else.
 *
 * The order keeps the promise that nothing changes on failure: all that can fail comes
 * before the first word is written, and the originals are told before that, too.  What is
 * remembered stands in pages of its own, as the object may be the one that calls malloc
 * through us.
 *
 * No locks of ours.
 */
#include "images.h"
#include "loaded.h"
#include "memory.h"
#include "size.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* A word that is replaced. */
struct word {
	_Atomic uintptr_t *place;
	uintptr_t before, after;
	size_t import;
	bool unlocked; /* its page is read-only, and was made writable for it */
};

struct hm_image_patch {
	size_t size; /* of the memory that this is in */
	struct hm_loaded object;
	const struct hm_image_import *imports; /* while patching */
	size_t import_count;
	uintptr_t
		*bound; /* what each import stands for; 0 = nothing that can be called */
	size_t word_count;
	struct word *words;
};

/* The next word of one of the imports, whose number is in *import. */
static bool next_word(const struct hm_loaded *object,
		      const struct hm_image_import *imports, size_t count,
		      struct hm_word_cursor *cursor, struct hm_import_word *word,
		      size_t *import)
{
	while (hm_loaded_next(object, cursor, word)) {
		if (word->address % sizeof(uintptr_t) != 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			if (strcmp(word->name, imports[i].name) == 0) {
				*import = i;
				return true;
			}
		}
	}
	return false;
}

/* Makes room for all words there may be. */
static HRESULT make_patch(const struct hm_loaded *object,
			  const struct hm_image_import *imports, size_t count,
			  struct hm_image_patch **out)
{
	struct hm_word_cursor cursor = { 0 };
	struct hm_import_word word;
	struct hm_image_patch *patch;
	size_t import, words = 0, size;
	void *memory;
	HRESULT hr;

	while (next_word(object, imports, count, &cursor, &word, &import))
		words++;
	size = sizeof(*patch) + words * sizeof(struct word) + count * sizeof(uintptr_t);
	size = hm_round_up(size, HM_PAGE_SIZE);
	hr = hm_memory_map(NULL, size, HM_ACCESS_READ | HM_ACCESS_WRITE, 0, &memory);
	if (FAILED(hr))
		return hr;
	patch = memory;
	patch->size = size;
	patch->object = *object;
	patch->imports = imports;
	patch->import_count = count;
	patch->words = (struct word *)(patch + 1);
	patch->bound = (uintptr_t *)(patch->words + words);
	*out = patch;
	return S_OK;
}

/* Whether a word's value is more than the object's own way to have it bound. */
static bool can_be_called(const struct hm_loaded *object,
			  const struct hm_import_word *word, uintptr_t value)
{
	return !hm_loaded_has(object, value) ||
	       (word->symbol->st_shndx != SHN_UNDEF &&
		value == object->base + word->symbol->st_value);
}

static void add_word(struct hm_image_patch *patch, const struct hm_import_word *found,
		     size_t import, uintptr_t value)
{
	patch->words[patch->word_count++] = (struct word){
		.place = (_Atomic uintptr_t *)found->address,
		.before = value,
		.after = (uintptr_t)patch->imports[import].replacement,
		.import = import,
	};
}

static uintptr_t value_of(const struct hm_import_word *word)
{
	return atomic_load_explicit((_Atomic uintptr_t *)word->address,
				    memory_order_acquire);
}

/* The words for code, and what they are bound to where that is known. */
static void add_words_for_code(struct hm_image_patch *patch)
{
	struct hm_word_cursor cursor = { 0 };
	struct hm_import_word word;
	size_t import;

	while (next_word(&patch->object, patch->imports, patch->import_count, &cursor,
			 &word, &import)) {
		uintptr_t value = value_of(&word);

		if (word.in_data)
			continue;
		add_word(patch, &word, import, value);
		if (patch->bound[import] == 0 &&
		    can_be_called(&patch->object, &word, value))
			patch->bound[import] = value;
	}
}

/* Has the linker bind the others. */
static void bind_the_others(struct hm_image_patch *patch)
{
	for (size_t i = 0; i < patch->import_count; i++) {
		const char *name = patch->imports[i].name;

		if (patch->bound[i] == 0)
			patch->bound[i] = (uintptr_t)dlsym(RTLD_DEFAULT, name);
		if (patch->bound[i] == 0)
			patch->bound[i] = (uintptr_t)dlsym(patch->object.handle, name);
		if (patch->bound[i] == (uintptr_t)patch->imports[i].replacement)
			patch->bound[i] = 0;
	}
}

static void add_words_in_data(struct hm_image_patch *patch)
{
	struct hm_word_cursor cursor = { 0 };
	struct hm_import_word word;
	size_t import;

	while (next_word(&patch->object, patch->imports, patch->import_count, &cursor,
			 &word, &import)) {
		uintptr_t value = value_of(&word);

		if (word.in_data && value == patch->bound[import])
			add_word(patch, &word, import, value);
	}
}

/* What cannot be called once it is replaced stays as it is. */
static void remove_unbound(struct hm_image_patch *patch)
{
	size_t kept = 0;

	for (size_t i = 0; i < patch->word_count; i++) {
		if (patch->bound[patch->words[i].import] != 0)
			patch->words[kept++] = patch->words[i];
	}
	patch->word_count = kept;
}

/* S_FALSE: a page stays writable. */
static HRESULT lock_pages(struct hm_image_patch *patch)
{
	HRESULT hr = S_OK;

	for (size_t i = 0; i < patch->word_count; i++) {
		uintptr_t place = (uintptr_t)patch->words[i].place;
		void *page = (void *)hm_round_down(place, HM_PAGE_SIZE);

		if (!patch->words[i].unlocked)
			continue;
		patch->words[i].unlocked = false;
		if (FAILED(hm_memory_put_back(page, HM_PAGE_SIZE,
					      hm_loaded_access(&patch->object, place))))
			hr = S_FALSE;
	}
	return hr;
}

static HRESULT unlock_pages(struct hm_image_patch *patch)
{
	for (size_t i = 0; i < patch->word_count; i++) {
		uintptr_t place = (uintptr_t)patch->words[i].place;
		void *page = (void *)hm_round_down(place, HM_PAGE_SIZE);
		unsigned access = hm_loaded_access(&patch->object, place);
		HRESULT hr;

		if ((access & HM_ACCESS_WRITE) != 0)
			continue;
		hr = hm_memory_protect(page, HM_PAGE_SIZE, access | HM_ACCESS_WRITE);
		if (FAILED(hr)) {
			(void)lock_pages(patch);
			return hr;
		}
		patch->words[i].unlocked = true;
	}
	return S_OK;
}

static void tell_originals(const struct hm_image_patch *patch,
			   struct hm_image_import *imports)
{
	for (size_t i = 0; i < patch->word_count; i++) {
		struct hm_image_import *import = &imports[patch->words[i].import];

		import->slots++;
		if (import->original != NULL)
			*import->original = (void *)patch->bound[patch->words[i].import];
	}
}

static HRESULT patch_object(const struct hm_loaded *object,
			    struct hm_image_import *imports, size_t count,
			    struct hm_image_patch **out)
{
	struct hm_image_patch *patch;
	HRESULT hr = make_patch(object, imports, count, &patch);

	if (FAILED(hr))
		return hr;
	add_words_for_code(patch);
	bind_the_others(patch);
	add_words_in_data(patch);
	remove_unbound(patch);
	hr = unlock_pages(patch);
	if (FAILED(hr)) {
		(void)hm_memory_unmap(patch, patch->size);
		return hr;
	}
	tell_originals(patch, imports);
	for (size_t i = 0; i < patch->word_count; i++)
		atomic_store_explicit(patch->words[i].place, patch->words[i].after,
				      memory_order_release);
	*out = patch;
	return lock_pages(patch);
}

HRESULT hm_image_patch(const char *library, const void *inside,
		       struct hm_image_import *imports, size_t count,
		       struct hm_image_patch **out)
{
	struct hm_loaded object;
	int kept = errno;
	HRESULT hr = S_OK;

	*out = NULL;
	for (size_t i = 0; i < count; i++) {
		imports[i].slots = 0;
		if (imports[i].original != NULL)
			*imports[i].original = NULL;
		if (imports[i].name == NULL || imports[i].replacement == NULL)
			hr = E_INVALIDARG;
	}
	if (FAILED(hr) || (library == NULL) == (inside == NULL))
		return E_INVALIDARG;
	hr = hm_loaded_find(library, inside, &object);
	if (SUCCEEDED(hr)) {
		hr = patch_object(&object, imports, count, out);
		if (FAILED(hr))
			hm_loaded_drop(&object);
	}
	errno = kept;
	return hr;
}

HRESULT hm_image_restore(struct hm_image_patch *patch)
{
	struct hm_loaded object = patch->object;
	int kept = errno;
	HRESULT hr = unlock_pages(patch), locked;

	if (FAILED(hr)) {
		errno = kept;
		return hr;
	}
	for (size_t i = 0; i < patch->word_count; i++) {
		uintptr_t expected = patch->words[i].after;

		if (!atomic_compare_exchange_strong(patch->words[i].place, &expected,
						    patch->words[i].before))
			hr = S_FALSE;
	}
	locked = lock_pages(patch);
	(void)hm_memory_unmap(patch, patch->size);
	hm_loaded_drop(&object);
	errno = kept;
	return hr == S_OK ? locked : hr;
}
