/*
 * The search along PATH.
 *
 * As a shell has it: an empty part is the working folder, without PATH the system's own is
 * taken, and a file that may not be executed is passed over, but remembered, since that it
 * was there is what its owner wants to know.
 */
#include "runsearch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int hm_search_look(const char *path)
{
	struct stat is;

	if (stat(path, &is) == -1)
		return errno;
	if (S_ISDIR(is.st_mode))
		return EISDIR;
	if (!S_ISREG(is.st_mode))
		return EACCES;
	return eaccess(path, X_OK) == 0 ? 0 : errno;
}

static int keep(const char *folder, size_t length, const char *name, char path[PATH_MAX])
{
	int written;

	if (length == 0)
		written = snprintf(path, PATH_MAX, "./%s", name);
	else
		written = snprintf(path, PATH_MAX, "%.*s/%s", (int)length, folder, name);
	if (written < 0 || written >= PATH_MAX)
		return ENAMETOOLONG;
	return hm_search_look(path);
}

static int search_along(const char *folders, const char *name, char path[PATH_MAX])
{
	int found = ENOENT;

	for (;;) {
		size_t length = strcspn(folders, ":");
		int error = length < PATH_MAX ? keep(folders, length, name, path)
					      : ENAMETOOLONG;

		if (error == 0)
			return 0;
		/* In a folder that may not be searched nothing is there. */
		if (error == EISDIR || (error == EACCES && access(path, F_OK) == 0))
			found = error;
		if (folders[length] == '\0')
			return found;
		folders += length + 1;
	}
}

int hm_search(const char *name, char path[PATH_MAX])
{
	const char *folders = getenv("PATH");
	char usual[256];

	if (*name == '\0')
		return ENOENT;
	if (strlen(name) >= PATH_MAX)
		return ENAMETOOLONG;
	if (strchr(name, '/') != NULL) {
		(void)memcpy(path, name, strlen(name) + 1);
		return hm_search_look(path);
	}
	if (folders == NULL) {
		(void)confstr(_CS_PATH, usual, sizeof(usual));
		folders = usual;
	}
	return search_along(folders, name, path);
}
