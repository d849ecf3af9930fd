/*
 * Huge pages: how large the kernel's default ones are, from /proc/meminfo.
 *
 * Whether there are any to give is not asked here; the mapping that wants them finds out.
 * The answer is read each time, since large pages are rare and an administrator may change
 * the machine under us.
 *
 * No locks.
 */
#include "largepages.h"
#include "size.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

/* More than any machine has, and far from overflow. */
#define MOST_KIB (SIZE_MAX / 20480)

static size_t number_at(const char *text)
{
	size_t figure = 0;

	text += strspn(text, " ");
	for (; *text >= '0' && *text <= '9'; text++) {
		if (figure > MOST_KIB)
			return 0;
		figure = figure * 10 + (size_t)(*text - '0');
	}
	return figure * 1024;
}

size_t hm_meminfo_figure(const char *text, const char *name)
{
	size_t length = strlen(name);

	while (text != NULL && *text != '\0') {
		if (strncmp(text, name, length) == 0)
			return number_at(text + length);
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	return 0;
}

static size_t read_figure(const char *name)
{
	char text[4096];
	size_t used = 0;
	int kept = errno;
	int file = hm_system.open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	long got = 0;

	if (file < 0) {
		errno = kept;
		return 0;
	}
	do {
		got = hm_system.read(file, text + used, sizeof(text) - 1 - used);
		if (got > 0)
			used += (size_t)got;
	} while (got > 0 && used < sizeof(text) - 1);
	text[used] = '\0';
	(void)hm_system.close(file);
	errno = kept;
	return hm_meminfo_figure(text, name);
}

size_t hm_large_page_size(void)
{
	size_t size = read_figure("Hugepagesize:");

	return hm_is_power_of_two(size) ? size : 0;
}

size_t hm_large_pages_free(void)
{
	/* A number of pages and not of KiB. */
	return read_figure("HugePages_Free:") / 1024;
}
