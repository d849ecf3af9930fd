/*
 * What programs inherit that this one starts: two variables of the environment, one of which
 * may be somebody else's as well.
 *
 * LD_PRELOAD is shortened where it stands.  It has been read by the loader, and setenv would
 * allocate from a host that is not there yet.
 *
 * No state, no locks.
 */
#include "inheritance.h"
#include "settings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_ours(const char *path, size_t length)
{
	static const char name[] = HM_SETTINGS_PRELOAD;
	const size_t size = sizeof(name) - 1;

	return length >= size && memcmp(path + length - size, name, size) == 0 &&
	       (length == size || path[length - size - 1] == '/');
}

/* Takes our own path out of a list of them, with what parts it from the next one. */
static void shorten(char *list)
{
	static const char between[] = ": ";

	while (*list != '\0') {
		size_t length = strcspn(list, between);
		size_t whole = length + strspn(list + length, between);

		if (is_ours(list, length))
			(void)memmove(list, list + whole, strlen(list + whole) + 1);
		else
			list += whole;
	}
}

void hm_inheritance_end(void)
{
	char *list = getenv("LD_PRELOAD");

	if (list != NULL)
		shorten(list);
	if (list != NULL && *list == '\0')
		(void)unsetenv("LD_PRELOAD");
	(void)unsetenv(HM_SETTINGS_VARIABLE);
}
