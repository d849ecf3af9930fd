/*
 * What a program's file says of itself.
 *
 * A library is preloaded by the program's loader: by the one that belongs to the C library
 * for which the program was built, if it has a loader at all.  Which processor and which
 * loader are the right ones is not written down here: they are those of this very command,
 * which was built together with the preload library.
 *
 * Nothing here is a check of the file, which is the kernel's business: what it says is taken
 * as far as it goes, and what makes no sense is of no known kind.
 */
#include "runimage.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_LINE = 4096 };

static bool read_at(int file, void *out, size_t size, off_t offset)
{
	return pread(file, out, size, offset) == (ssize_t)size;
}

/* The header of a program for this processor. */
static bool read_own_header(ElfW(Ehdr) * header)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	bool is_read = file >= 0 && read_at(file, header, sizeof(*header), 0);

	if (file >= 0)
		(void)close(file);
	return is_read;
}

static bool is_foreign(const ElfW(Ehdr) * header)
{
	ElfW(Ehdr) own;

	return read_own_header(&own) &&
	       (header->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
		header->e_ident[EI_DATA] != own.e_ident[EI_DATA] ||
		header->e_machine != own.e_machine);
}

static void read_loader(int file, const ElfW(Phdr) * part, struct hm_image *image)
{
	size_t length = part->p_filesz;

	if (length == 0 || length > sizeof(image->interpreter) ||
	    !read_at(file, image->interpreter, length, (off_t)part->p_offset))
		length = 1;
	image->interpreter[length - 1] = '\0';
}

static void look_at_program(int file, const ElfW(Ehdr) * header, struct hm_image *image)
{
	image->kind = HM_IMAGE_FOREIGN;
	if (is_foreign(header))
		return;
	image->kind = HM_IMAGE_STATIC;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		ElfW(Phdr) part;

		if (!read_at(file, &part, sizeof(part),
			     (off_t)(header->e_phoff + i * sizeof(part))))
			break;
		if (part.p_type != PT_INTERP)
			continue;
		image->kind = HM_IMAGE_DYNAMIC;
		read_loader(file, &part, image);
		break;
	}
}

/* "#! interpreter argument", where the argument is all the rest, without blanks around. */
static void look_at_script(char *line, struct hm_image *image)
{
	static const char blanks[] = " \t";
	char *word = line + strspn(line, blanks);
	size_t length = strcspn(word, blanks);
	char *rest = word + length + strspn(word + length, blanks);
	size_t left = strlen(rest);

	while (left > 0 && strchr(blanks, rest[left - 1]) != NULL)
		rest[--left] = '\0';
	image->kind = HM_IMAGE_SCRIPT;
	(void)memcpy(image->interpreter, word, length);
	image->interpreter[length] = '\0';
	(void)memcpy(image->argument, rest, left + 1);
}

static void look_at_file(int file, struct hm_image *image)
{
	union {
		ElfW(Ehdr) header;
		char text[FIRST_LINE];
	} begin;
	ssize_t length;
	size_t line;

	(void)memset(&begin, 0, sizeof(begin));
	length = pread(file, begin.text, sizeof(begin.text) - 1, 0);
	if (length < 0)
		return;
	if (memcmp(begin.header.e_ident, ELFMAG, SELFMAG) == 0) {
		look_at_program(file, &begin.header, image);
		return;
	}
	line = strcspn(begin.text, "\n");
	if (begin.text[line] == '\0' && line != (size_t)length)
		return; /* there are NULs in it */
	begin.text[line] = '\0';
	if (strncmp(begin.text, "#!", 2) == 0)
		look_at_script(begin.text + 2, image);
	else
		image->kind = HM_IMAGE_TEXT;
}

void hm_image_look(const char *path, struct hm_image *image)
{
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	image->kind = HM_IMAGE_UNKNOWN;
	image->interpreter[0] = '\0';
	image->argument[0] = '\0';
	if (file < 0)
		return;
	look_at_file(file, image);
	(void)close(file);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

bool hm_image_has_our_loader(const struct hm_image *image)
{
	struct hm_image own;

	hm_image_look("/proc/self/exe", &own);
	return own.interpreter[0] == '\0' ||
	       strcmp(last_part(own.interpreter), last_part(image->interpreter)) == 0;
}
