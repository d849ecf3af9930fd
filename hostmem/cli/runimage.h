#ifndef HOSTMEM_CLI_RUNIMAGE_H
#define HOSTMEM_CLI_RUNIMAGE_H

#include <limits.h>
#include <stdbool.h>

/* What the beginning of a program's file says of how it is started. */
enum hm_image_kind {
	HM_IMAGE_UNKNOWN, /* cannot be read, or is nothing that is known */
	HM_IMAGE_TEXT,    /* might be a script of a shell that does not say so */
	HM_IMAGE_SCRIPT,  /* begins with "#!" */
	HM_IMAGE_FOREIGN, /* a program for another processor */
	HM_IMAGE_STATIC,  /* a program that no loader has a part in */
	HM_IMAGE_DYNAMIC  /* a program with a loader */
};

struct hm_image {
	enum hm_image_kind kind;
	char interpreter[PATH_MAX]; /* of a script, or the loader; else "" */
	char argument[PATH_MAX];    /* what a script's first line has behind it */
};

/* Looks at the file at `path`. */
void hm_image_look(const char *path, struct hm_image *image);

/* Whether the loader of a program is of the kind that this program has: another C library
 * has another. */
bool hm_image_has_our_loader(const struct hm_image *image);

#endif
