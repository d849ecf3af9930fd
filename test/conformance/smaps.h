/*
 * What the kernel says about the process's mappings: their number, and of one of them its
 * access, name and flags.
 */
#ifndef HOSTMEM_CONFORMANCE_SMAPS_H
#define HOSTMEM_CONFORMANCE_SMAPS_H

#include "test/tap.h"

#include <fcntl.h>
#include <unistd.h>

struct smaps_mapping {
	uintptr_t start, end;
	char access[5];
	char name[80];
	char flags[160];
};

/* Reads a line of a file, without malloc, whose mappings are part of what is read. */
struct smaps_reader {
	int file;
	size_t have, at;
	char text[1 << 14];
};

static inline bool smaps_line(struct smaps_reader *reader, char *line, size_t room)
{
	size_t length = 0;

	for (;;) {
		if (reader->at == reader->have) {
			ssize_t got = read(reader->file, reader->text,
					   sizeof(reader->text));

			if (got <= 0)
				return false;
			reader->have = (size_t)got;
			reader->at = 0;
		}
		line[length] = reader->text[reader->at++];
		if (line[length] == '\n')
			break;
		length += length + 1 < room;
	}
	line[length] = '\0';
	return true;
}

/* Whether a line is the head of a mapping. */
static inline bool smaps_is_head(const char *line, struct smaps_mapping *out)
{
	unsigned long start, end;

	out->name[0] = '\0';
	out->flags[0] = '\0';
	if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %79s", &start, &end, out->access,
		   out->name) < 3)
		return false;
	out->start = start;
	out->end = end;
	return true;
}

/* The mapping of an address; false if there is none, or no such file. */
static inline bool smaps_find(const void *address, struct smaps_mapping *out)
{
	static struct smaps_reader reader;
	char line[256];
	bool found = false;

	reader.file = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	reader.have = reader.at = 0;
	if (reader.file < 0)
		return false;
	while (smaps_line(&reader, line, sizeof(line))) {
		struct smaps_mapping head;

		if (smaps_is_head(line, &head)) {
			if (found)
				break;
			*out = head;
			found = head.start <= (uintptr_t)address &&
				(uintptr_t)address < head.end;
		} else if (found && strncmp(line, "VmFlags:", 8) == 0) {
			snprintf(out->flags, sizeof(out->flags), "%.150s ", line + 8);
		}
	}
	(void)close(reader.file);
	return found;
}

/* Whether the mapping of an address has a flag of two letters. */
static inline bool smaps_has(const void *address, const char *flag)
{
	struct smaps_mapping mapping;
	char word[8];

	snprintf(word, sizeof(word), " %s ", flag);
	return CHECK(smaps_find(address, &mapping)) &&
	       strstr(mapping.flags, word) != NULL;
}

/* How many mappings the process has. */
static inline size_t smaps_count(void)
{
	static struct smaps_reader reader;
	char line[256];
	size_t count = 0;

	reader.file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	reader.have = reader.at = 0;
	while (reader.file >= 0 && smaps_line(&reader, line, sizeof(line)))
		count++;
	if (reader.file >= 0)
		(void)close(reader.file);
	return count;
}

#endif
