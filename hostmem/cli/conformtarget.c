/*
 * Getting hosts from a module.
 *
 * HostMemLoadModule tells by one code what went wrong.  Whoever writes a module wants to know
 * which step it was, so the steps are gone through by hand first; what the cases get comes
 * from HostMemLoadModule.
 */
#include "conformtarget.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * Under valgrind or a sanitizer hostmem's heaps are others, which tell the tool where blocks
 * begin and end.  What is judged is what a program has without: the library looks for this
 * name (hostmem/os/tools.h), and leaves its heaps as they are.
 */
__attribute__((visibility("default"))) void hostmem_hides_blocks(void);
void hostmem_hides_blocks(void)
{
}

static char reason[512];
/* Hears of each step before it is taken; NULL: nobody does. */
static void (*tells_step)(const char *step);

__attribute__((format(printf, 1, 2))) static const char *because(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	return reason;
}

static HRESULT make_our_own(void *state, REFIID riid, void **ppv)
{
	(void)state;
	return HostMemCreate(NULL, riid, ppv);
}

static HRESULT make_of_module(void *state, REFIID riid, void **ppv)
{
	return HostMemLoadModule((const char *)state, riid, ppv);
}

/* ISO C has no cast from an object pointer to a function; POSIX promises the bits. */
static bool find(void *library, const char *name, void *entry)
{
	void *symbol = dlsym(library, name);

	memcpy(entry, &symbol, sizeof(symbol));
	return symbol != NULL;
}

static void begin(const char *step)
{
	if (tells_step != NULL)
		tells_step(step);
}

/* A step of COM: success with an object, or why not. */
static const char *look_at_step(const char *step, HRESULT hr, const void *object)
{
	if (hr == CLASS_E_CLASSNOTAVAILABLE)
		return because("%s: the module has no class CLSID_HostMemory "
			       "(CLASS_E_CLASSNOTAVAILABLE)",
			       step);
	if (FAILED(hr))
		return because("%s failed: %s", step, HostMemResultName(hr));
	if (object == NULL)
		return because("%s said %s and gave no object", step,
			       HostMemResultName(hr));
	return "";
}

static const char *look_at_host(IClassFactory *factory)
{
	void *host = NULL;
	HRESULT hr;

	begin("CreateInstance");
	hr = IClassFactory_CreateInstance(factory, NULL, &IID_IHostControl, &host);
	if (hr == E_NOINTERFACE)
		hr = IClassFactory_CreateInstance(factory, NULL, &IID_IHostMemoryManager,
						  &host);
	if (hr == E_NOINTERFACE)
		return because("its objects have neither IHostControl nor "
			       "IHostMemoryManager");
	if (SUCCEEDED(hr) && host != NULL) {
		begin("Release");
		(void)IUnknown_Release((IUnknown *)host);
	}
	return look_at_step("CreateInstance", hr, host);
}

static const char *look_at_module(hm_class_entry entry)
{
	void *factory = NULL;
	HRESULT hr;
	const char *why;

	begin("DllGetClassObject");
	hr = entry(&CLSID_HostMemory, &IID_IClassFactory, &factory);
	why = look_at_step("DllGetClassObject", hr, factory);
	if (*why != '\0')
		return why;
	why = look_at_host((IClassFactory *)factory);
	(void)IClassFactory_Release((IClassFactory *)factory);
	return why;
}

/* dlerror begins with the path, and so does the line that this becomes a part of. */
static const char *load_error(const char *path)
{
	const char *text = dlerror();
	size_t length = strlen(path);

	if (strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0)
		text += length + 2;
	return because("it cannot be loaded: %s", text);
}

const char *hm_conform_open(const char *path, struct hm_target *target,
			    void (*begins)(const char *step))
{
	void *library;

	memset(target, 0, sizeof(*target));
	tells_step = begins;
	target->result_name = HostMemResultName;
	if (path == NULL) {
		target->create = make_our_own;
		target->fault_entry = HostMemHandleFault;
		return "";
	}
	begin("dlopen");
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return load_error(path);
	if (!find(library, "DllGetClassObject", &target->class_entry))
		return because("it is no host module: it exports no DllGetClassObject");
	(void)find(library, "HostMemHandleFault", &target->fault_entry);
	target->create = make_of_module;
	target->state = (void *)(uintptr_t)path;
	return look_at_module(target->class_entry);
}
