/*
 * Shared objects by path.
 */
#include "hostmem/os/library.h"
#include "fake.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <unistd.h>

#define NOT_FOUND HOSTMEM_HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND)
#define BAD_FORMAT HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT)
#define NO_SYMBOL HOSTMEM_HRESULT_FROM_WIN32(ERROR_PROC_NOT_FOUND)

/* The path of the C library, and of others that lie beside it. */
static char libc_path[512], beside[512];

static bool find_libc(void)
{
	Dl_info info;
	void *address;
	const char *(*function)(void) = gnu_get_libc_version;

	memcpy(&address, &function, sizeof(address));
	if (dladdr(address, &info) == 0 || strchr(info.dli_fname, '/') == NULL ||
	    strstr(info.dli_fname, "libc") == NULL)
		return false;
	snprintf(libc_path, sizeof(libc_path), "%s", info.dli_fname);
	return true;
}

/* A small library of the system's that nobody has loaded; false if there is none. */
static bool find_other(void)
{
	static const char *const names[] = { "libBrokenLocale.so.1", "libnss_hesiod.so.2",
					     "libanl.so.1", "libutil.so.1" };

	for (size_t i = 0; i < ROWS(names); i++) {
		size_t folder = (size_t)(strrchr(libc_path, '/') + 1 - libc_path);
		FILE *file;

		snprintf(beside, sizeof(beside), "%.*s%s", (int)folder, libc_path,
			 names[i]);
		file = fopen(beside, "r");
		if (file == NULL)
			continue;
		fclose(file);
		if (dlopen(beside, RTLD_NOLOAD | RTLD_LAZY) == NULL)
			return true;
	}
	return false;
}

static bool is_loaded(const char *path)
{
	void *handle = dlopen(path, RTLD_NOLOAD | RTLD_LAZY);

	if (handle == NULL)
		return false;
	dlclose(handle);
	return true;
}

static void a_symbol_is_where_the_linker_has_it(void)
{
	void *out = NULL;
	const char *(*function)(void);

	if (!find_libc()) {
		tap_skip("the C library is not a file of its own");
		return;
	}
	CHECK_HR(hm_library_symbol(libc_path, "gnu_get_libc_version", &out), S_OK);
	if (!CHECK(out != NULL))
		return;
	memcpy(&function, &out, sizeof(function));
	CHECK_STR(function(), gnu_get_libc_version());
}

static void what_is_wrong_with_a_file_is_told_apart(void)
{
	static const struct {
		const char *name, *path;
		HRESULT want;
	} rows[] = {
		{ "no such file", "/nonexistent/lib.so", NOT_FOUND },
		{ "no such folder", "/proc/self/exe/lib.so", NOT_FOUND },
		{ "a text", "/proc/self/status", BAD_FORMAT },
		{ "a folder", "/", BAD_FORMAT },
		{ "an empty file", "/dev/null", BAD_FORMAT },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *out = &out;

		tap_row("%s", rows[i].name);
		CHECK_HR(hm_library_symbol(rows[i].path, "main", &out), rows[i].want);
		CHECK_POINTER(out, NULL);
	}
}

static void without_the_symbol_it_is_unloaded(void)
{
	void *out = &out;

	if (!find_libc() || !find_other()) {
		tap_skip("no library of the system's is left to load");
		return;
	}
	CHECK_HR(hm_library_symbol(beside, "hostmem_has_no_such_symbol", &out),
		 NO_SYMBOL);
	CHECK_POINTER(out, NULL);
	CHECK(!is_loaded(beside));
}

static int refuse_open(const char *path, int flags)
{
	(void)path, (void)flags;
	errno = EACCES;
	return -1;
}

static unsigned closed;

static int count_close(int file)
{
	closed++;
	return close(file);
}

static void a_file_that_cannot_be_read_is_as_if_it_were_not_there(void)
{
	struct hm_system_calls kept = hm_system;
	void *out = &out;

	hm_system.open = refuse_open;
	CHECK_HR(hm_library_symbol("/proc/self/status", "main", &out), NOT_FOUND);
	hm_system.open = kept.open;
	hm_system.close = count_close;
	CHECK_HR(hm_library_symbol("/proc/self/status", "main", &out), BAD_FORMAT);
	hm_system = kept;
	CHECK_U32(closed, 1);
}

int main(void)
{
	TAP_RUN(a_symbol_is_where_the_linker_has_it);
	TAP_RUN(what_is_wrong_with_a_file_is_told_apart);
	TAP_RUN(without_the_symbol_it_is_unloaded);
	TAP_RUN(a_file_that_cannot_be_read_is_as_if_it_were_not_there);
	return tap_done();
}
