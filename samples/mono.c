/*
 * Mono 6.8 with its memory under a host.
 *
 * Mono has a hook for its memory, mono_set_allocator_vtable, which says yes and is then never
 * called: the builds of distributions leave it out.  So the imports of libmonosgen-2.0.so are
 * replaced by the functions of <hostmem/attach.h>, before mono_jit_init.
 *
 * What Mono asks for is rough.  It maps committed memory and never reserves; for each block of
 * 16 KiB of its heap it maps twice as much and gives back both ends; it wants code below 2 GiB.
 *
 * Which refusal it survives:
 *
 *   - A mapping of 1 MiB and more: that is a section for large objects, and Mono throws an
 *     OutOfMemoryException.  The profile "mono" makes these requests task-critical.
 *   - Any other ends the process, and be it for a small object: "Garbage collector could not
 *     allocate".  A part of the limit is kept for those; but a program that fills memory with
 *     small objects ends when that is used up, too.
 *
 * mono_jit_cleanup leaves some of it, and Mono cannot be started again; so the host is the
 * process's until its end.
 *
 * What does not come by here: images of files, stacks of threads, and what other libraries take
 * from the C library.
 */
#include "sample_attached.h"

#include <errno.h>
#include <limits.h>
#include <mono/jit/jit.h>
#include <mono/metadata/assembly.h>
#include <mono/metadata/environment.h>
#include <mono/metadata/mono-config.h>
#include <mono/metadata/mono-gc.h>
#include <unistd.h>

enum {
	STORY_LIMIT = 128 << 20,
	CHURN_ROUNDS = 10,
	FILL_ROUNDS = 6,
	SURVIVE_ROUNDS = 40,
	REFUSED_PERCENT = 50,
	LARGE = 1 << 20, /* from so many bytes on a request may be refused */
};

static struct adapter {
	struct sample host;
	char assembly[PATH_MAX]; /* the C# program */
	MonoDomain *domain;
	MonoAssembly *program;
	bool untrue; /* a check failed */
} adapter;

static bool failed(const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "mono: %s: %s\n", what, why);
	return false;
}

/* What is run, if nobody says, is beside us. */
static bool find_assembly(struct adapter *self, const char *assembly)
{
	char beside[PATH_MAX + 8] = "";
	ssize_t length = readlink("/proc/self/exe", beside, PATH_MAX - 1);

	if (length < 0)
		return failed("/proc/self/exe", strerror(errno));
	strcpy(beside + length, ".dll");
	if (realpath(assembly != NULL ? assembly : beside, self->assembly) == NULL)
		return failed(assembly != NULL ? assembly : beside, strerror(errno));
	return true;
}

static bool start(struct adapter *self)
{
	uint32_t slots;
	HRESULT hr = HostMemAttachLibrary("/libmonosgen-2.0.so.1", &slots);

	if (FAILED(hr))
		return failed("Mono cannot be attached", HostMemResultName(hr));
	mono_config_parse(NULL);
	self->domain = mono_jit_init_version("sample", "v4.0.30319");
	if (self->domain == NULL)
		return failed("Mono", "it does not start");
	self->program = mono_domain_assembly_open(self->domain, self->assembly);
	if (self->program == NULL)
		return failed(self->assembly, "it is no program for Mono");
	HostMemAttachStarted();
	printf("Mono, %u imports replaced, its memory from hostmem %s\n\n", slots,
	       HostMemVersion());
	fflush(stdout);
	return true;
}

/* Calls `int Story.method(int)` of the C# program; -1 if that ends in an exception. */
static int call(struct adapter *self, const char *method, int argument)
{
	MonoImage *image = mono_assembly_get_image(self->program);
	MonoClass *story = mono_class_from_name(image, "", "Story");
	MonoObject *exception = NULL, *result;
	void *arguments[] = { &argument };

	fflush(stdout);
	result = mono_runtime_invoke(mono_class_get_method_from_name(story, method, 1),
				     NULL, arguments, &exception);
	if (exception == NULL)
		return *(int *)mono_object_unbox(result);
	mono_print_unhandled_exception(exception);
	return -1;
}

/* So many rounds with a part of the large mappings refused at random. */
static bool survive(struct adapter *self)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	uint64_t cookie = sample_refuse_some(&self->host, REFUSED_PERCENT, LARGE);
	int cut = call(self, "Survive", SURVIVE_ROUNDS);

	sample_refuse_no_more(&self->host, cookie);
	IHostMemoryControl_GetUsage(self->host.control, &usage);
	return sample_check(cut >= 0 && usage.cRefusedInjected > 0,
			    "%d of %d rounds ended in an OutOfMemoryException, none in a "
			    "wrong sum; %llu requests refused at random",
			    cut, SURVIVE_ROUNDS,
			    (unsigned long long)usage.cRefusedInjected);
}

/* Mono counts what its collector has mapped; the host has that, and code and tables. */
static bool compare_heap(struct adapter *self)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	size_t heap = (size_t)mono_gc_get_heap_size();

	IHostMemoryControl_GetUsage(self->host.control, &usage);
	return sample_check(heap <= usage.cbCommitted,
			    "Mono's own count: %s for its heap, of %s that the host has",
			    sample_size(heap), sample_size(usage.cbCommitted));
}

static bool tell_story(struct adapter *self)
{
	bool good = sample_check(call(self, "Churn", CHURN_ROUNDS) == 0,
				 "%d rounds of small objects", CHURN_ROUNDS);

	good &= sample_check(call(self, "Fill", FILL_ROUNDS) == 0,
			     "as many arrays in each of %d rounds", FILL_ROUNDS);

	good &= compare_heap(self);
	call(self, "Drop", 2);
	good &= survive(self);
	call(self, "Drop", 2);
	return compare_heap(self) && good;
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
	fputs("usage: mono [--limit MIB] [PROGRAM.exe [ARGUMENT...]]\n"
	      "Runs a program for Mono, or a built-in one, with its memory under a "
	      "host,\n"
	      "and prints what the host saw.  The exit status is the program's, and 3 "
	      "if\n"
	      "one of the numbers turned out untrue.\n",
	      status == 0 ? stdout : stderr);
	return status;
}

int main(int argc, char **argv)
{
	struct adapter *self = &adapter;
	size_t limit = 0;
	int status = 0;
	HRESULT hr;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (!sample_limit(&argc, &argv, &limit) || (argc > 1 && argv[1][0] == '-'))
		return usage(2);
	if (argc == 1 && limit == 0)
		limit = STORY_LIMIT;
	if (!find_assembly(self, argc > 1 ? argv[1] : NULL))
		return 1;
	hr = sample_attach(&self->host, limit, "mono");
	if (FAILED(hr))
		return !failed("no host", HostMemResultName(hr));
	if (!start(self) || atexit(finish) != 0)
		return 1;
	if (argc == 1)
		self->untrue = !tell_story(self);
	else
		status = mono_jit_exec(self->domain, self->program, argc - 1, argv + 1);
	mono_jit_cleanup(self->domain);
	return status;
}
