/*
 * The libraries of images_library.c, loaded, and a replacement for what they import.
 */
#ifndef HOSTMEM_UNIT_IMAGES_H
#define HOSTMEM_UNIT_IMAGES_H

#include "hostmem/os/images.h"
#include "fake.h"

#include <dlfcn.h>
#include <limits.h>
#include <sys/types.h>
#include <unistd.h>

#define NOT_LOADED HOSTMEM_HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND)
#define LAZY "images-lazy.so"
#define NOW "images-now.so"

enum { REPLACED = -7 };

typedef int (*int_function)(void);

struct library {
	void *handle;
	int_function call, call_by_address, call_by_table, call_by_variable;
	int_function call_only, has_nobodys, call_own;
	int_function *variable;
};

/* The address of a function as dlsym gives it. */
static inline void *address_of(int_function function)
{
	void *address;

	memcpy(&address, &function, sizeof(address));
	return address;
}

static inline int_function function_at(void *address)
{
	int_function function;

	memcpy(&function, &address, sizeof(function));
	return function;
}

static inline int_function find_function(void *handle, const char *name)
{
	void *address = dlsym(handle, name);

	CHECK(address != NULL);
	return function_at(address);
}

/* Where libtool has built the file. */
static inline void path_of(const char *file, char *path, size_t size)
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	program[length > 0 ? length : 0] = '\0';
	for (int up = 0; up < 3 && strrchr(program, '/') != NULL; up++)
		*strrchr(program, '/') = '\0';
	snprintf(path, size, "%s/.libs/%s", program, file);
}

/* Freshly loaded, so that nothing was called yet. */
static inline bool load_from(const char *path, struct library *out)
{
	int_function *(*variable)(void);
	void *address;

	memset(out, 0, sizeof(*out));
	out->handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!CHECK(out->handle != NULL))
		return false;
	out->call = find_function(out->handle, "images_call");
	out->call_by_address = find_function(out->handle, "images_call_by_address");
	out->call_by_table = find_function(out->handle, "images_call_by_table");
	out->call_by_variable = find_function(out->handle, "images_call_by_variable");
	out->call_only = find_function(out->handle, "images_call_only");
	out->has_nobodys = find_function(out->handle, "images_has_nobodys");
	out->call_own = find_function(out->handle, "images_call_own");
	address = dlsym(out->handle, "images_variable");
	if (!CHECK(address != NULL) || tap_failed())
		return false;
	memcpy(&variable, &address, sizeof(variable));
	out->variable = variable();
	return true;
}

static inline bool load(const char *file, struct library *out)
{
	char path[2 * PATH_MAX];

	path_of(file, path, sizeof(path));
	return load_from(path, out);
}

static inline bool is_loaded(const char *file)
{
	char path[2 * PATH_MAX];
	void *handle;

	path_of(file, path, sizeof(path));
	handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
	if (handle != NULL)
		dlclose(handle);
	return handle != NULL;
}

static inline int replacement(void)
{
	return REPLACED;
}

static void *original;

/* getppid, to be replaced. */
static inline struct hm_image_import replaced_import(void)
{
	struct hm_image_import import = { "getppid", address_of(replacement), &original,
					  7 };

	original = &original; /* to be overwritten */
	return import;
}

/* What each way to call it comes to. */
static inline void check_calls(const struct library *library, int want)
{
	CHECK_INT(library->call(), want);
	CHECK_INT(library->call_by_address(), want);
	CHECK_INT(library->call_by_table(), want);
	CHECK_INT(library->call_by_variable(), want);
}

#endif
