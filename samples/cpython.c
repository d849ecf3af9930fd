/*
 * CPython 3.11 with its memory under a host.
 *
 * CPython takes the memory of its objects (those of at most 512 bytes, nearly all) from
 * arenas of 1 MiB, and the frames of Python functions from stacks of 16 KiB.  Both come
 * from its arena allocator, which an embedding program may replace: one function that
 * allocates, one that frees, always whole blocks.  Here they are VirtualAlloc and
 * VirtualFree of a host.
 *
 * All else, larger objects and what CPython needs for itself, comes from its RAW allocator,
 * here a heap of the same host.  CPython calls it from any thread, also without the GIL, so
 * the heap is MALLOC_THREADSAFE.  RAW is also where CPython turns to when an arena is
 * refused; that both are charged to one budget is what makes a refusal a MemoryError.
 *
 * The hooks are set after Py_PreInitialize, which puts CPython's own allocators in place,
 * and before Py_InitializeFromConfig, which makes the first object.  A block that was
 * allocated before comes back by the new hooks: the heap says that it is not its own
 * (HOST_E_INVALIDOPERATION), and it goes to where it came from, the C library.
 *
 * Until CPython is up, and when it ends, it cannot do without the memory it asks for: those
 * requests are process-critical.  The others are task-critical: what is refused there costs
 * at most the Python code that was at work.
 *
 * What does not come by here: what CPython takes with its own RAW allocator on purpose, as
 * its first locks, and what C libraries take from malloc.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "cpython_counts.h"
#include "cpython_workload.h"
#include "sample_report.h"

#include <unistd.h>

enum { SMALLEST_ARENA = 256 * 1024 }; /* what is smaller is a stack */

/* One for the process, as is CPython. */
static struct adapter {
	struct sample host;
	pid_t process;  /* in a child that Python forks nothing is printed */
	atomic_bool up; /* CPython can take a refusal */
	bool untrue;    /* a check failed */
	size_t arenas, arenas_freed, stacks, stacks_freed;
} adapter;

static EMemoryCriticalLevel level_of(const struct adapter *self)
{
	return self->up ? eTaskCritical : eProcessCritical;
}

static void *arena_alloc(void *context, size_t size)
{
	struct adapter *self = context;
	void *arena;

	if (FAILED(sample_alloc(&self->host, size, level_of(self), &arena)))
		return NULL;
	*(size < SMALLEST_ARENA ? &self->stacks : &self->arenas) += 1;
	return arena;
}

static void arena_free(void *context, void *arena, size_t size)
{
	struct adapter *self = context;

	if (SUCCEEDED(sample_free(&self->host, arena, size)))
		*(size < SMALLEST_ARENA ? &self->stacks_freed : &self->arenas_freed) += 1;
}

static void *raw_malloc(void *context, size_t size)
{
	struct adapter *self = context;
	void *block = NULL;

	(void)sample_block(&self->host, size, 0, level_of(self), &block);
	return block;
}

/* CPython has looked whether the product can be expressed. */
static void *raw_calloc(void *context, size_t count, size_t size)
{
	struct adapter *self = context;
	void *block = NULL;

	(void)sample_block(&self->host, count * size, HOSTMEM_HEAP_ZERO, level_of(self),
			   &block);
	return block;
}

static void *raw_realloc(void *context, void *block, size_t size)
{
	struct adapter *self = context;
	void *resized = NULL;
	HRESULT hr = sample_resize(&self->host, block, size, level_of(self), &resized);

	if (hr == HOST_E_INVALIDOPERATION)
		return realloc(block, size + (size == 0)); /* a size of 0 would free it */
	return resized;
}

static void raw_free(void *context, void *block)
{
	struct adapter *self = context;

	if (sample_free_block(&self->host, block) == HOST_E_INVALIDOPERATION)
		free(block);
}

/*
 * CPython says that a thread has ended before that has freed all it had, without its lock;
 * and when CPython ends it puts its own RAW allocator in our place for moments, for all
 * threads: a block of ours that is freed then goes to the C library, which aborts.
 */
static void wait_for_threads(void)
{
	PyThreadState *state = PyEval_SaveThread();

	sample_wait_alone();
	PyEval_RestoreThread(state);
}

/* CPython calls it at its exit, the script's objects still in place. */
static PyObject *report(PyObject *module, PyObject *nothing)
{
	size_t arenas, freed;
	bool good;

	(void)module, (void)nothing;
	wait_for_threads();
	adapter.up = false; /* it is about to end */
	if (getpid() != adapter.process)
		Py_RETURN_NONE;
	PyRun_SimpleString("import sys; sys.stdout.flush()");

	sample_report(&adapter.host);
	print_counts_title();
	print_counts("arenas, for objects", adapter.arenas, adapter.arenas_freed);
	print_counts("stacks, for frames", adapter.stacks, adapter.stacks_freed);
	print_counts("blocks, for all else", adapter.host.blocks,
		     adapter.host.blocks_freed);

	good = sample_verify(&adapter.host);
	if (ask_python(&arenas, &freed))
		good &= sample_check(
			arenas == adapter.arenas && freed == adapter.arenas_freed,
			"CPython's own count: %zu arenas asked for, %zu given back",
			arenas, freed);
	adapter.untrue = !good;
	fflush(stdout);
	Py_RETURN_NONE;
}

/* The C library calls it, since sys.exit() does not return to main. */
static void close_host(void)
{
	if (getpid() != adapter.process)
		return;
	if (!sample_close(&adapter.host) || adapter.untrue) {
		fflush(NULL);
		_exit(3);
	}
}

/* With arguments CPython is what python3 is; without, it runs the workload, isolated. */
static PyStatus start_python(int argc, char **argv)
{
	PyObjectArenaAllocator arenas = { &adapter, arena_alloc, arena_free };
	PyMemAllocatorEx raw = { &adapter, raw_malloc, raw_calloc, raw_realloc,
				 raw_free };
	PyPreConfig before;
	PyConfig config;
	PyStatus status;

	PyPreConfig_InitPythonConfig(&before);
	before.allocator = PYMEM_ALLOCATOR_PYMALLOC; /* whatever PYTHONMALLOC says */
	status = Py_PreInitializeFromBytesArgs(&before, argc, argv);
	if (PyStatus_Exception(status))
		return status;
	PyObject_SetArenaAllocator(&arenas);
	PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &raw);

	if (argc > 1) {
		PyConfig_InitPythonConfig(&config);
		status = PyConfig_SetBytesArgv(&config, argc, argv);
	} else {
		PyConfig_InitIsolatedConfig(&config);
		status = PyConfig_SetBytesString(&config, &config.run_command, workload);
	}
	if (!PyStatus_Exception(status))
		status = PyConfig_SetBytesString(&config, &config.program_name, argv[0]);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	adapter.up = true;
	return status;
}

static bool report_at_exit(void)
{
	static PyMethodDef method = { "report", report, METH_NOARGS, NULL };
	PyObject *module = PyImport_ImportModule("atexit");
	PyObject *function = PyCFunction_New(&method, NULL);
	PyObject *result = NULL;

	if (module != NULL && function != NULL)
		result = PyObject_CallMethod(module, "register", "O", function);
	Py_XDECREF(result);
	Py_XDECREF(function);
	Py_XDECREF(module);
	return result != NULL && atexit(close_host) == 0;
}

int main(int argc, char **argv)
{
	size_t limit = 0;
	PyStatus status;
	HRESULT hr;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (!sample_limit(&argc, &argv, &limit))
		return usage(2);
	if (argc == 1 && limit == 0)
		limit = WORKLOAD_LIMIT;
	adapter.process = getpid();
	hr = sample_open(&adapter.host, limit, MALLOC_THREADSAFE);
	if (FAILED(hr)) {
		fprintf(stderr, "cpython: no host: %s\n", HostMemResultName(hr));
		return 1;
	}
	status = start_python(argc, argv);
	if (PyStatus_IsExit(status)) /* it has said why */
		return status.exitcode;
	if (PyStatus_Exception(status) || !report_at_exit()) {
		fprintf(stderr, "cpython: CPython does not start: %s; is %s?\n",
			status.err_msg != NULL ? status.err_msg : "atexit does not work",
			limit == 0 ? "all of it installed" : "the limit too low");
		return 1;
	}
	printf("CPython %.*s, its memory from hostmem %s\n\n",
	       (int)strcspn(Py_GetVersion(), " "), Py_GetVersion(), HostMemVersion());
	fflush(stdout);
	return Py_RunMain();
}
