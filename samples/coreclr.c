/*
 * CoreCLR 2.0 with its memory under a host.
 *
 * CoreCLR has no hook for its memory any more: it asks the system for pages, in the very
 * steps of VirtualAlloc (a reservation without access, a commit by mprotect, a decommit by
 * mapping over it), and the C library for blocks.  So its library is loaded, its imports of
 * these functions are replaced by those of <hostmem/attach.h>, and only then it is started.
 *
 * Which refusal it survives:
 *
 *   - A commit in a reservation of the collected heap, which are all large: CoreCLR collects
 *     its garbage and, if that does not help, throws an OutOfMemoryException.  The profile
 *     "coreclr" makes these requests task-critical.
 *   - Any other ends the process, or may: those are process-critical, as is everything until
 *     coreclr_initialize has returned.  A part of the limit is kept for them.
 *
 * Two properties must be set.  CoreCLR 2.0 does not know the ICU of today:
 * System.Globalization.Invariant does without.  And it loads nothing of its framework that
 * TRUSTED_PLATFORM_ASSEMBLIES does not list.
 *
 * coreclr_shutdown gives nothing back, and the runtime cannot be started again; its threads
 * live until the process ends, and so does the host.
 *
 * What does not come by here: images of files, stacks of threads, and what the libraries
 * beside libcoreclr.so (the compiler of its code, for one) take from the C library.
 */
#include "coreclr_functions.h"
#include "sample_attached.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <unistd.h>

enum {
	STORY_LIMIT = 128 << 20,
	FILL_ROUNDS = 6,
	SURVIVE_ROUNDS = 40,
	REFUSED_PERCENT = 30,
};

static struct adapter {
	struct sample host;
	char program[PATH_MAX]; /* our own path, and that of the C# program */
	char assembly[PATH_MAX];
	struct coreclr coreclr;
	void *runtime;
	unsigned domain;
	bool untrue; /* a check failed */
} adapter;

static bool failed(const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "coreclr: %s: %s\n", what, why);
	return false;
}

/* Where we are; what is run, if nobody says, is beside us. */
static bool find_files(struct adapter *self, const char *assembly)
{
	char beside[PATH_MAX + 8];
	ssize_t length = readlink("/proc/self/exe", self->program, PATH_MAX - 1);

	if (length < 0)
		return failed("/proc/self/exe", strerror(errno));
	snprintf(beside, sizeof(beside), "%s.dll", self->program);
	if (realpath(assembly != NULL ? assembly : beside, self->assembly) == NULL)
		return failed(assembly != NULL ? assembly : beside, strerror(errno));
	return true;
}

/* Between loading and starting the runtime its imports are replaced. */
static bool load(struct adapter *self)
{
	uint32_t slots;
	HRESULT hr;

	if (!coreclr_load(&self->coreclr, CORECLR_FOLDER "/libcoreclr.so"))
		return failed("CoreCLR cannot be loaded, is libunwind8 there?",
			      dlerror());
	hr = HostMemAttachLibrary("/libcoreclr.so", &slots);
	if (FAILED(hr))
		return failed("CoreCLR cannot be attached", HostMemResultName(hr));
	printf("CoreCLR of %s,\n%u imports replaced, its memory from hostmem %s\n\n",
	       CORECLR_FOLDER, slots, HostMemVersion());
	fflush(stdout);
	return true;
}

/* All libraries of the framework, with colons between them; NULL without memory. */
static char *list_assemblies(void)
{
	char *list = NULL;
	size_t size;
	FILE *out = open_memstream(&list, &size);
	glob_t found;

	if (out == NULL)
		return NULL;
	if (glob(CORECLR_FOLDER "/*.dll", 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			fprintf(out, "%s:", found.gl_pathv[i]);
		globfree(&found);
	}
	fclose(out);
	return list;
}

static bool start(struct adapter *self)
{
	static const char *const keys[] = {
		"TRUSTED_PLATFORM_ASSEMBLIES",   "APP_PATHS",
		"NATIVE_DLL_SEARCH_DIRECTORIES", "System.GC.Server",
		"System.GC.Concurrent",          "System.Globalization.Invariant",
	};
	char *assemblies = list_assemblies(), *folder = strdup(self->assembly);
	const char *values[] = { assemblies, folder,  CORECLR_FOLDER,
				 "false",    "false", "true" };
	int hr = E_OUTOFMEMORY;

	if (assemblies != NULL && folder != NULL) {
		char *slash = strrchr(folder, '/');

		*(slash != NULL ? slash : folder) = '\0';
		hr = self->coreclr.initialize(self->program, "sample",
					      sizeof(keys) / sizeof(*keys), keys, values,
					      &self->runtime, &self->domain);
	}
	free(assemblies);
	free(folder);
	if (FAILED(hr))
		return failed("CoreCLR does not start", HostMemResultName(hr));
	HostMemAttachStarted();
	return true;
}

/* Calls `int Story.method(int)` of the C# program; -1 if it is not there. */
static int call(struct adapter *self, const char *method, int argument)
{
	int (*function)(int);
	void *address;
	int hr;

	fflush(stdout);
	hr = self->coreclr.create_delegate(self->runtime, self->domain, "coreclr",
					   "Story", method, &address);
	if (FAILED(hr)) {
		(void)failed(method, HostMemResultName(hr));
		return -1;
	}
	memcpy(&function, &address, sizeof(function));
	return function(argument);
}

/* So many rounds with a part of what the collected heap asks for refused at random. */
static bool survive(struct adapter *self)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	uint64_t cookie = sample_refuse_some(&self->host, REFUSED_PERCENT, 0);
	int cut = call(self, "Survive", SURVIVE_ROUNDS);

	sample_refuse_no_more(&self->host, cookie);
	IHostMemoryControl_GetUsage(self->host.control, &usage);
	return sample_check(cut >= 0 && usage.cRefusedInjected > 0,
			    "%d of %d rounds ended in an OutOfMemoryException, none in a "
			    "wrong sum; %llu requests refused at random",
			    cut, SURVIVE_ROUNDS,
			    (unsigned long long)usage.cRefusedInjected);
}

static bool tell_story(struct adapter *self)
{
	bool good = sample_check(call(self, "Fill", FILL_ROUNDS) == 0,
				 "CoreCLR's own count: as many in each of %d rounds, "
				 "but for one in a hundred",
				 FILL_ROUNDS);

	return survive(self) && good;
}

/* The C library calls it, since Environment.Exit does not return to main. */
static void finish(void)
{
	sample_report(&adapter.host);
	if (sample_verify(&adapter.host) && !adapter.untrue)
		return;
	fflush(NULL);
	_exit(3);
}

static int usage(int status)
{
	fputs("usage: coreclr [--limit MIB] [PROGRAM.dll [ARGUMENT...]]\n"
	      "Runs a program for CoreCLR 2.0, or a built-in one, with its memory under "
	      "a\n"
	      "host, and prints what the host saw.  The exit status is the program's, "
	      "and\n"
	      "3 if one of the numbers turned out untrue.\n",
	      status == 0 ? stdout : stderr);
	return status;
}

int main(int argc, char **argv)
{
	struct adapter *self = &adapter;
	size_t limit = 0;
	unsigned status = 0;
	HRESULT hr;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (!sample_limit(&argc, &argv, &limit) || (argc > 1 && argv[1][0] == '-'))
		return usage(2);
	if (argc == 1 && limit == 0)
		limit = STORY_LIMIT;
	if (!find_files(self, argc > 1 ? argv[1] : NULL))
		return 1;
	hr = sample_attach(&self->host, limit, "coreclr");
	if (FAILED(hr))
		return !failed("no host", HostMemResultName(hr));
	if (!load(self) || !start(self) || atexit(finish) != 0)
		return 1;
	if (argc == 1)
		self->untrue = !tell_story(self);
	else
		hr = self->coreclr.execute_assembly(self->runtime, self->domain, argc - 2,
						    (const char *const *)argv + 2,
						    self->assembly, &status);
	if (FAILED(hr))
		return !failed(argv[1], HostMemResultName(hr));
	self->coreclr.shut_down(self->runtime, self->domain);
	return (int)status;
}
