/*
 * Where the preload library is.
 *
 * Command and library go together: what the one writes the other reads.  So the library is
 * looked for beside the command first: in the folders of a build, or, from where the command
 * is, on the way that leads from one to the other where they were to be installed; then a
 * tree that was moved is one that works.  Only then it is what configure was told.
 */
#include "runlibrary.h"
#include "command.h"
#include "display.h"

#include "hostmem/attach/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of this program's file; false: it is not known. */
static bool find_own_folder(char folder[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (length <= 0)
		return false;
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), part = strlen(end);

	return length >= part && strcmp(text + length - part, end) == 0;
}

static bool is_there(char path[PATH_MAX], const char *folder, const char *way)
{
	char whole[PATH_MAX + 256];
	int length = snprintf(whole, sizeof(whole), "%s%s/" HM_SETTINGS_PRELOAD, folder,
			      way);

	return length > 0 && (size_t)length < sizeof(whole) &&
	       realpath(whole, path) != NULL && access(path, R_OK) == 0;
}

/* "/.." for each folder of HM_BINDIR that HM_PKGLIBDIR does not share, and then down. */
static void find_way(char *way, size_t room)
{
	static const char from[] = HM_BINDIR, to[] = HM_PKGLIBDIR;
	size_t same = 0, length = 0;

	for (size_t i = 0; from[i] == to[i] && from[i] != '\0'; i++) {
		if (from[i] == '/')
			same = i;
	}
	way[0] = '\0';
	for (const char *part = from + same; part != NULL && length < room;
	     part = strchr(part + 1, '/'))
		length += (size_t)snprintf(way + length, room - length, "/..");
	if (length < room)
		(void)snprintf(way + length, room - length, "%s", to + same);
}

static bool find_beside(char path[PATH_MAX])
{
	char folder[PATH_MAX], way[PATH_MAX];

	if (!find_own_folder(folder))
		return false;
	if (ends_with(folder, "/hostmem/cli/.libs") &&
	    is_there(path, folder, "/../../../.libs"))
		return true;
	if (ends_with(folder, "/hostmem/cli") && is_there(path, folder, "/../../.libs"))
		return true;
	find_way(way, sizeof(way));
	return is_there(path, folder, way);
}

int hm_preload_find(char path[PATH_MAX])
{
	if (!find_beside(path) && !is_there(path, HM_PKGLIBDIR, "")) {
		(void)hm_command_failed(
			"run", HM_SETTINGS_PRELOAD " is missing",
			"neither beside this command nor in " HM_PKGLIBDIR);
		return HM_COMMAND_MISUSED;
	}
	if (strpbrk(path, " :") == NULL)
		return 0;
	(void)fputs("hostmem run: ", stderr);
	hm_display_text(stderr, path);
	(void)fputs(" cannot be preloaded: LD_PRELOAD takes no path with a blank or a "
		    "colon\n",
		    stderr);
	return HM_COMMAND_MISUSED;
}

bool hm_preload_prepend(const char *path)
{
	const char *others = getenv("LD_PRELOAD");
	size_t length = strlen(path);
	char *both;
	bool is_set;

	if (others == NULL || *others == '\0')
		return setenv("LD_PRELOAD", path, 1) == 0;
	if (strncmp(others, path, length) == 0 && strchr(": ", others[length]) != NULL)
		return true; /* this command runs under another one; "" ends with a NUL */
	both = (char *)malloc(length + strlen(others) + 2);
	if (both == NULL)
		return false;
	(void)sprintf(both, "%s:%s", path, others);
	is_set = setenv("LD_PRELOAD", both, 1) == 0;
	free(both);
	return is_set;
}
