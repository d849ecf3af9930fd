/*
 * Whether a library can be preloaded into a program.
 *
 * The program's own loader does that, and says nothing where it does not: a program without
 * one, with another, or with more rights than its user has would run without a host, and
 * nobody would know.  So it is looked at before.
 *
 * Of a script its interpreter is looked at, and of that its own, as deep as the kernel goes;
 * env(1), which is in most first lines only to search PATH, is looked through.  What cannot
 * be read or is of no known kind is left to the kernel.
 */
#include "runattach.h"
#include "runimage.h"
#include "runsearch.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DEPTH = 5 };

/* ---- A program ---- */

static bool takes_no_rights(const char *path)
{
	struct statvfs mount;

	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	       (statvfs(path, &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0);
}

/* Why the loader would not trust its user. */
static const char *look_at_rights(const char *path)
{
	struct stat is;

	if (stat(path, &is) == -1 || takes_no_rights(path))
		return NULL;
	if ((is.st_mode & S_ISUID) != 0 && is.st_uid != getuid())
		return "it is setuid, and the loader preloads nothing into such a "
		       "program";
	if ((is.st_mode & S_ISGID) != 0 && (is.st_mode & S_IXGRP) != 0 &&
	    is.st_gid != getgid())
		return "it is setgid, and the loader preloads nothing into such a "
		       "program";
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return "it has capabilities, and the loader preloads nothing into such "
		       "a program";
	return NULL;
}

static const char *look_at_image(const char *path, const struct hm_image *image)
{
	switch (image->kind) {
	case HM_IMAGE_FOREIGN:
		return "it is for another processor";
	case HM_IMAGE_STATIC:
		return "it is statically linked, and has no loader that could preload "
		       "anything";
	case HM_IMAGE_DYNAMIC:
		if (!hm_image_has_our_loader(image))
			return "its loader is that of another C library";
		return look_at_rights(path);
	default:
		return NULL;
	}
}

/* ---- A script ---- */

/* The program that env is to search for; false: none that is found. */
static bool look_through_env(const struct hm_image *image, char path[PATH_MAX])
{
	const char *slash = strrchr(image->interpreter, '/');
	char words[PATH_MAX];
	char *rest = words;
	char *word;

	if (slash == NULL || strcmp(slash, "/env") != 0)
		return false;
	(void)memcpy(words, image->argument, sizeof(words));
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (*word != '\0' && *word != '-' && strchr(word, '=') == NULL)
			return hm_search(word, path) == 0;
	}
	return false;
}

/* To what runs it; false: there is nothing more to be looked at. */
static bool move_on(struct hm_attachable *attachable, const struct hm_image *image)
{
	char path[PATH_MAX];

	attachable->is_interpreter = true;
	if (image->kind == HM_IMAGE_TEXT) {
		(void)strcpy(attachable->path, HM_SHELL);
		return true;
	}
	(void)memcpy(attachable->path, image->interpreter, sizeof(attachable->path));
	attachable->error = hm_search_look(attachable->path);
	if (attachable->error != 0)
		return false;
	if (look_through_env(image, path))
		(void)memcpy(attachable->path, path, sizeof(path));
	return true;
}

void hm_attachable_look(const char *path, struct hm_attachable *attachable)
{
	struct hm_image image;

	*attachable = (struct hm_attachable){ .why = NULL };
	(void)strncpy(attachable->path, path, sizeof(attachable->path) - 1);
	for (unsigned depth = 0; depth < DEPTH; depth++) {
		hm_image_look(attachable->path, &image);
		if (image.kind != HM_IMAGE_SCRIPT && image.kind != HM_IMAGE_TEXT)
			break;
		/* Only a shell runs that, and only what it was given itself. */
		if (image.kind == HM_IMAGE_TEXT && depth != 0)
			return;
		attachable->by_shell = image.kind == HM_IMAGE_TEXT;
		if (!move_on(attachable, &image))
			return;
	}
	attachable->why = look_at_image(attachable->path, &image);
}
