/*
 * HostMemLoadModule: what it takes for a host module, what it refuses; ours, and one of
 * other hands.
 *
 * HOSTMEM_MODULE and HOSTMEM_FORWARDING_MODULE in the environment say where they are.
 */
#include "access.h"
#include "com_rules.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *path_of(const char *variable, const char *otherwise)
{
	const char *path = getenv(variable);

	return path != NULL ? path : otherwise;
}

static const char *our_module(void)
{
	return path_of("HOSTMEM_MODULE", "./.libs/hostmem-module.so");
}

static const char *forwarding_module(void)
{
	return path_of("HOSTMEM_FORWARDING_MODULE", "./.libs/forwarding-module.so");
}

/* A host from a module; the out pointer is NULL if and only if there is none. */
static HRESULT load(const char *path, const IID *iid, IUnknown **object)
{
	void *out = POISON;
	HRESULT hr = HostMemLoadModule(path, iid, &out);

	CHECK(out != POISON);
	CHECK((out == NULL) == FAILED(hr));
	*object = (IUnknown *)out;
	return hr;
}

/* A file of the test's own under a name with a slash. */
static const char *file_with(const char *text, size_t length)
{
	static char path[64];
	int file = memfd_create("module", 0);

	CHECK(file >= 0);
	CHECK_INT(write(file, text, length), (int)length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return path;
}

static void bad_arguments(void)
{
	static const char *const names[] = { "", "hostmem-module.so", "missing.so", "." };
	IUnknown *object;

	CHECK_HR(HostMemLoadModule(our_module(), &IID_IUnknown, NULL), E_POINTER);
	CHECK_HR(HostMemLoadModule(NULL, NULL, NULL), E_POINTER);
	CHECK_HR(load(NULL, &IID_IUnknown, &object), E_POINTER);
	CHECK_HR(load(our_module(), NULL, &object), E_POINTER);
	for (size_t i = 0; i < ROWS(names); i++) {
		tap_row("no slash: \"%s\"", names[i]);
		CHECK_HR(load(names[i], &IID_IUnknown, &object), E_INVALIDARG);
	}
}

static void files_that_are_no_host_modules(void)
{
	static const char elf[] = "\177ELF\2\1\1";
	static char long_name[8192];
	Dl_info libc = { .dli_fname = NULL };
	const struct {
		const char *what;
		const char *path;
		HRESULT want;
	} rows[] = {
		{ "missing", "./no-such-module.so",
		  HOSTMEM_HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND) },
		{ "missing folder", "/no/such/folder/module.so",
		  HOSTMEM_HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND) },
		{ "too long a name", long_name,
		  HOSTMEM_HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND) },
		{ "a directory", "/tmp/",
		  HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT) },
		{ "a device", "/dev/null",
		  HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT) },
	};
	IUnknown *object;

	memset(long_name, '/', sizeof(long_name) - 1);
	long_name[1] = 'x';
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(load(rows[i].path, &IID_IUnknown, &object), rows[i].want);
	}
	tap_row("a text");
	CHECK_HR(load(file_with("text", 4), &IID_IUnknown, &object),
		 HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT));
	tap_row("the beginning of an object");
	CHECK_HR(load(file_with(elf, sizeof(elf)), &IID_IUnknown, &object),
		 HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT));
	tap_row("an object without the entry");
	if (CHECK(dladdr(dlsym(RTLD_DEFAULT, "qsort"), &libc) != 0))
		CHECK_HR(load(libc.dli_fname, &IID_IUnknown, &object),
			 HOSTMEM_HRESULT_FROM_WIN32(ERROR_PROC_NOT_FOUND));
}

static void our_module_makes_hosts(void)
{
	for (size_t i = 0; i < ROWS(com_host_iids); i++) {
		IUnknown *object;

		tap_row("face %zu", i);
		if (!CHECK_HR(load(our_module(), com_host_iids[i], &object), S_OK))
			return;
		CHECK_U32(com_count(object), 1);
		com_rules(object, com_host_iids, ROWS(com_host_iids));
		CHECK_U32(IUnknown_Release(object), 0);
	}
}

static void an_interface_that_the_host_lacks(void)
{
	IUnknown *object;

	CHECK_HR(load(our_module(), &IID_IHostMalloc, &object), E_NOINTERFACE);
	CHECK_HR(load(our_module(), &IID_IClassFactory, &object), E_NOINTERFACE);
	CHECK_HR(load(forwarding_module(), &IID_IHostMemoryControl, &object),
		 E_NOINTERFACE);
}

/* One region, used and given back, through a manager of any module. */
static void use_the_manager(IHostMemoryManager *manager)
{
	unsigned char *base;
	void *out = POISON;

	CHECK_HR(IHostMemoryManager_VirtualAlloc(manager, NULL, 3 * PAGE,
						 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &out),
		 S_OK);
	if (!CHECK(out != NULL && out != POISON))
		return;
	base = (unsigned char *)out;
	CHECK_INT(base[3 * PAGE - 1], 0);
	memset(base, 0x61, 3 * PAGE);
	CHECK_HR(IHostMemoryManager_VirtualFree(manager, base, 0, MEM_RELEASE), S_OK);
	CHECK(!can_read(base));
	CHECK_HR(IHostMemoryManager_VirtualFree(manager, base, 0, MEM_RELEASE),
		 HOST_E_INVALIDOPERATION);
}

static void a_manager_of_any_module_gives_pages(void)
{
	const char *const paths[] = { our_module(), forwarding_module() };

	for (size_t i = 0; i < ROWS(paths); i++) {
		void *manager = POISON;
		IUnknown *object;

		tap_row("%s", paths[i]);
		if (!CHECK_HR(load(paths[i], &IID_IHostControl, &object), S_OK))
			continue;
		CHECK_HR(IHostControl_GetHostManager((IHostControl *)object,
						     &IID_IHostMemoryManager, &manager),
			 S_OK);
		use_the_manager((IHostMemoryManager *)manager);
		CHECK_U32(IHostMemoryManager_Release((IHostMemoryManager *)manager), 1);
		CHECK_U32(IUnknown_Release(object), 0);
	}
}

static void a_second_module_keeps_the_rules_of_com(void)
{
	static const IID *const iids[] = { &IID_IUnknown, &IID_IHostControl,
					   &IID_IHostMemoryManager };
	IUnknown *object, *other;

	if (!CHECK_HR(load(forwarding_module(), &IID_IUnknown, &object), S_OK))
		return;
	CHECK_HR(load(forwarding_module(), &IID_IHostMemoryManager, &other), S_OK);
	CHECK(!com_same_identity(object, other));
	com_rules(object, iids, ROWS(iids));
	com_rules(other, iids, ROWS(iids));
	CHECK_U32(IUnknown_Release(object), 0);
	CHECK_U32(IUnknown_Release(other), 0);
}

static void a_module_that_breaks_its_promises(void)
{
	static const struct {
		const char *fault;
		HRESULT want;
	} rows[] = {
		{ "no-class", CLASS_E_CLASSNOTAVAILABLE },
		{ "null-factory", E_UNEXPECTED },
		{ "null-object", E_UNEXPECTED },
		{ "object-on-failure", E_ABORT },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		IUnknown *object;

		tap_row("%s", rows[i].fault);
		setenv("HOSTMEM_FORWARDING_FAULT", rows[i].fault, 1);
		CHECK_HR(load(forwarding_module(), &IID_IUnknown, &object), rows[i].want);
		unsetenv("HOSTMEM_FORWARDING_FAULT");
	}
}

int main(void)
{
	access_install();
	TAP_RUN(bad_arguments);
	TAP_RUN(files_that_are_no_host_modules);
	TAP_RUN(our_module_makes_hosts);
	TAP_RUN(an_interface_that_the_host_lacks);
	TAP_RUN(a_manager_of_any_module_gives_pages);
	TAP_RUN(a_second_module_keeps_the_rules_of_com);
	TAP_RUN(a_module_that_breaks_its_promises);
	return tap_done();
}
