#ifndef HOSTMEM_OS_LOADED_H
#define HOSTMEM_OS_LOADED_H

#include "abi/hresult.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A loaded ELF object, as the dynamic linker has it, and the words through which it reaches
 * what other objects define.  For images_elf.c alone, on systems that have <link.h>.
 */
struct hm_loaded {
	uintptr_t base, start, end; /* what is added to its addresses; where it is */
	const ElfW(Phdr) * headers;
	size_t header_count;
	void *handle; /* our reference */
	const ElfW(Sym) * symbols;
	const char *names;
	struct hm_relocations {
		const ElfW(Rela) * first;
		size_t count;
	} tables[2]; /* of calls, which may be bound late; all others */
};

/*
 * The object that hm_image_patch means, held by a reference until hm_loaded_drop.  The same
 * results as there; *out is cleared on failure.
 */
HRESULT hm_loaded_find(const char *library, const void *inside, struct hm_loaded *out);
void hm_loaded_drop(struct hm_loaded *object);

bool hm_loaded_has(const struct hm_loaded *object, uintptr_t address);

/* What the page of that address was made by the linker: a set of enum hm_access. */
unsigned hm_loaded_access(const struct hm_loaded *object, uintptr_t address);

/* A word that the linker has filled in with the address of a symbol. */
struct hm_import_word {
	uintptr_t address;
	const ElfW(Sym) * symbol;
	const char *name;
	bool in_data; /* initialised data, else a word that only code reads */
};

/* Goes through them: start with a cursor of zeros.  False at the end. */
struct hm_word_cursor {
	size_t table, index;
};
bool hm_loaded_next(const struct hm_loaded *object, struct hm_word_cursor *cursor,
		    struct hm_import_word *out);

#endif
