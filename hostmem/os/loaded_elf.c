/*
 * Loaded ELF objects: finding one, holding it, reading its relocations.
 *
 * The dynamic linker lists what is loaded (dl_iterate_phdr).  It holds its lock while it
 * does, so the list is only looked at there; the reference is taken afterwards, and if the
 * object has gone in between, it was not there.
 *
 * An object calls what it imports through words in its own data: one for calls (JUMP_SLOT),
 * one for addresses that code takes (GLOB_DAT), and any number in initialised data (the
 * plain address).  Its relocations, which are still there when it runs, say which words
 * these are and whose names belong to them.  Both processors we know have relocations with
 * addends only (DT_RELA).
 *
 * After linking, some of the words are made read-only (PT_GNU_RELRO).  The program headers
 * say where, so nobody has to ask the system.
 *
 * No locks of ours.
 */
#include "loaded.h"
#include "memory.h"
#include "size.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

#if defined(__x86_64__)
#define FOR_CALLS R_X86_64_JUMP_SLOT
#define FOR_ADDRESSES R_X86_64_GLOB_DAT
#define FOR_DATA R_X86_64_64
#elif defined(__aarch64__)
#define FOR_CALLS R_AARCH64_JUMP_SLOT
#define FOR_ADDRESSES R_AARCH64_GLOB_DAT
#define FOR_DATA R_AARCH64_ABS64
#endif

struct search {
	const char *library;
	uintptr_t inside;
	unsigned matches;
	struct hm_loaded object;
	char path[PATH_MAX]; /* "" is the program */
};

static bool is_named(const char *path, const char *library)
{
	size_t length = strlen(path), wanted = strlen(library);
	const char *end;

	if (wanted == 0 || wanted > length)
		return false;
	end = path + (length - wanted);
	return strcmp(end, library) == 0 &&
	       (end == path || end[-1] == '/' || library[0] == '/');
}

static void find_bounds(struct hm_loaded *object)
{
	object->start = UINTPTR_MAX;
	for (size_t i = 0; i < object->header_count; i++) {
		const ElfW(Phdr) *header = &object->headers[i];
		uintptr_t start = object->base + header->p_vaddr;

		if (header->p_type != PT_LOAD)
			continue;
		if (start < object->start)
			object->start = start;
		if (start + header->p_memsz > object->end)
			object->end = start + header->p_memsz;
	}
}

bool hm_loaded_has(const struct hm_loaded *object, uintptr_t address)
{
	return address >= object->start && address < object->end;
}

/* The linker calls it for each object. */
static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
	struct search *search = context;
	struct hm_loaded object = {
		.base = info->dlpi_addr,
		.headers = info->dlpi_phdr,
		.header_count = info->dlpi_phnum,
	};

	(void)size;
	find_bounds(&object);
	if (search->library != NULL ? !is_named(info->dlpi_name, search->library)
				    : !hm_loaded_has(&object, search->inside))
		return 0;
	if (strlen(info->dlpi_name) >= sizeof(search->path))
		return 0;
	strcpy(search->path, info->dlpi_name);
	search->object = object;
	search->matches++;
	return 0;
}

/* Keeps it loaded; false if it is not any more. */
static bool hold(struct hm_loaded *object, const char *path)
{
	struct link_map *map;

	object->handle = dlopen(path[0] == '\0' ? NULL : path, RTLD_LAZY | RTLD_NOLOAD);
	if (object->handle == NULL)
		return false;
	if (dlinfo(object->handle, RTLD_DI_LINKMAP, &map) == 0 &&
	    map->l_addr == object->base)
		return true;
	hm_loaded_drop(object);
	return false;
}

void hm_loaded_drop(struct hm_loaded *object)
{
	(void)dlclose(object->handle);
}

static void read_entry(struct hm_loaded *object, const ElfW(Dyn) * entry)
{
	uintptr_t address = entry->d_un.d_ptr;

	/* Some linkers leave it as it is in the file. */
	if (!hm_loaded_has(object, address))
		address += object->base;
	switch (entry->d_tag) {
	case DT_SYMTAB:
		object->symbols = (const ElfW(Sym) *)address;
		break;
	case DT_STRTAB:
		object->names = (const char *)address;
		break;
	case DT_JMPREL:
		object->tables[0].first = (const ElfW(Rela) *)address;
		break;
	case DT_PLTRELSZ:
		object->tables[0].count = entry->d_un.d_val / sizeof(ElfW(Rela));
		break;
	case DT_RELA:
		object->tables[1].first = (const ElfW(Rela) *)address;
		break;
	case DT_RELASZ:
		object->tables[1].count = entry->d_un.d_val / sizeof(ElfW(Rela));
		break;
	default:
		break;
	}
}

static HRESULT read_tables(struct hm_loaded *object)
{
#ifdef FOR_CALLS
	for (size_t i = 0; i < object->header_count; i++) {
		const ElfW(Phdr) *header = &object->headers[i];
		const ElfW(Dyn) * entry;

		if (header->p_type != PT_DYNAMIC)
			continue;
		entry = (const ElfW(Dyn) *)(object->base + header->p_vaddr);
		for (; entry->d_tag != DT_NULL; entry++)
			read_entry(object, entry);
	}
	if (object->symbols == NULL || object->names == NULL)
		return HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT);
	return S_OK;
#else
	(void)read_entry;
	return HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
#endif
}

HRESULT hm_loaded_find(const char *library, const void *inside, struct hm_loaded *out)
{
	struct search search = { .library = library, .inside = (uintptr_t)inside };
	HRESULT hr;

	memset(out, 0, sizeof(*out));
	(void)dl_iterate_phdr(look_at, &search);
	if (search.matches > 1)
		return HRESULT_FROM_WIN32(ERROR_INVALID_NAME);
	if (search.matches == 0 || !hold(&search.object, search.path))
		return HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND);
	hr = read_tables(&search.object);
	if (FAILED(hr))
		hm_loaded_drop(&search.object);
	else
		*out = search.object;
	return hr;
}

static bool is_in(const struct hm_loaded *object, const ElfW(Phdr) * header,
		  uintptr_t address)
{
	uintptr_t start = object->base + header->p_vaddr;

	return address >= start && address - start < header->p_memsz;
}

unsigned hm_loaded_access(const struct hm_loaded *object, uintptr_t address)
{
	uintptr_t page = hm_round_down(address, HM_PAGE_SIZE);
	unsigned access = HM_ACCESS_NONE;

	for (size_t i = 0; i < object->header_count; i++) {
		const ElfW(Phdr) *header = &object->headers[i];
		uintptr_t end = object->base + header->p_vaddr + header->p_memsz;

		if (header->p_type == PT_LOAD && is_in(object, header, address))
			access = (header->p_flags & PF_R ? HM_ACCESS_READ : 0U) |
				 (header->p_flags & PF_W ? HM_ACCESS_WRITE : 0U) |
				 (header->p_flags & PF_X ? HM_ACCESS_EXECUTE : 0U);
		/* A last page that is not whole is left out by the linker. */
		if (header->p_type == PT_GNU_RELRO && is_in(object, header, address) &&
		    page < hm_round_down(end, HM_PAGE_SIZE))
			return HM_ACCESS_READ;
	}
	return access;
}

#ifdef FOR_CALLS
/* False if it is of another kind. */
static bool read_word(const struct hm_loaded *object, const ElfW(Rela) * relocation,
		      struct hm_import_word *out)
{
	switch (ELF64_R_TYPE(relocation->r_info)) {
	case FOR_CALLS:
	case FOR_ADDRESSES:
		out->in_data = false;
		break;
	case FOR_DATA:
		out->in_data = true;
		break;
	default:
		return false;
	}
	out->address = object->base + relocation->r_offset;
	out->symbol = &object->symbols[ELF64_R_SYM(relocation->r_info)];
	out->name = object->names + out->symbol->st_name;
	return true;
}
#endif

bool hm_loaded_next(const struct hm_loaded *object, struct hm_word_cursor *cursor,
		    struct hm_import_word *out)
{
#ifdef FOR_CALLS
	for (; cursor->table < 2; cursor->table++, cursor->index = 0) {
		const struct hm_relocations *table = &object->tables[cursor->table];

		while (cursor->index < table->count) {
			if (read_word(object, &table->first[cursor->index++], out))
				return true;
		}
	}
#endif
	(void)object, (void)cursor, (void)out;
	return false;
}
