/*
 * CPython 3.11 with its arenas under a host.
 *
 * CPython takes the memory of its objects (those of at most 512 bytes, nearly all) from
 * arenas of 1 MiB, and the frames of Python functions from stacks of 16 KiB.  Both come
 * from its arena allocator, which an embedding program may replace: one function that
 * allocates, one that frees, always whole blocks.  Here they are VirtualAlloc and
 * VirtualFree of a host.
 *
 * The hook is set after Py_PreInitialize, which puts CPython's own allocators in place,
 * and before Py_InitializeFromConfig, which makes the first object.
 *
 * Until CPython is up it cannot do without the memory it asks for, it would end the
 * process: those requests are process-critical.  Later ones are task-critical: what is
 * refused there costs at most the Python code that was at work.
 *
 * What does not come by here: objects above 512 bytes, which are malloc's.  And an arena
 * that is refused is no MemoryError yet, since CPython then tries malloc in its place: to
 * limit CPython its RAW allocator has to be under the host, too.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sample_report.h"

#include <unistd.h>

enum { SMALLEST_ARENA = 256 * 1024 }; /* what is smaller is a stack */

/* One for the process, as is CPython. */
static struct adapter {
	struct sample host;
	pid_t process; /* in a child that Python forks nothing is printed */
	bool up;       /* CPython can take a refusal */
	bool untrue;   /* a check failed */
	size_t arenas, arenas_freed, stacks, stacks_freed;
} adapter;

static const char workload[] =
	"import collections, gc, json, random, re, time\n\n"
	"CITIES = 'Lisbon Bergen Kyoto Quito Accra Hobart Turin Tampere'.split()\n"
	"ITEMS = 'kettle lamp chair rug clock vase shelf stool'.split()\n"
	"LINE = re.compile(r'2026-(\\d+)-\\d+ (\\w+) sold (\\w+) x(\\d+) for (\\d+)')\n\n"
	"class Sale:\n"
	"    def __init__(self, month, city, item, pieces, cents):\n"
	"        self.month, self.city, self.item = int(month), city, item\n"
	"        self.pieces, self.cents = int(pieces), int(cents)\n\n"
	"def log(month, lines):\n"
	"    pick = random.Random(month).randrange\n"
	"    for _ in range(lines):\n"
	"        day = f'2026-{month:02}-{pick(28) + 1:02}'\n"
	"        if pick(50) == 0:\n"
	"            yield f'{day} till {pick(99)} is out of paper'\n"
	"        else:\n"
	"            yield (f'{day} {CITIES[pick(8)]} sold {ITEMS[pick(8)]}'\n"
	"                   f' x{pick(9) + 1} for {pick(20000) + 100}')\n\n"
	"def month(number, lines):\n"
	"    text = list(log(number, lines))\n"
	"    sales = [Sale(*m.groups()) for m in map(LINE.match, text) if m]\n"
	"    record = json.dumps([vars(sale) for sale in sales])\n"
	"    copy = json.loads(record)\n"
	"    copy.sort(key=lambda sale: (-sale['cents'], sale['city']))\n"
	"    taken = collections.Counter()\n"
	"    for sale in sales:\n"
	"        taken[sale.city] += sale.cents\n"
	"    assert sum(taken.values()) == sum(sale['cents'] for sale in copy)\n"
	"    print(f'  month {number}: {len(text):6,} lines, {len(sales):6,} sales, '\n"
	"          f'{len(record) / 1e6:4.1f} MB of JSON, '\n"
	"          f'most in {taken.most_common(1)[0][0]}')\n"
	"    return taken\n\n"
	"started = time.perf_counter()\n"
	"print('Four months of tills: read, summed, stored as JSON, read back, sorted')\n"
	"total = collections.Counter()\n"
	"for number, lines in enumerate((20000, 60000, 90000, 40000), 1):\n"
	"    total += month(number, lines)\n"
	"gc.collect()\n"
	"for city, cents in total.most_common(3):\n"
	"    print(f'  {city:8} {cents / 100:14,.2f}')\n"
	"print(f'  in {time.perf_counter() - started:.2f} s')\n";

static void *arena_alloc(void *context, size_t size)
{
	struct adapter *self = context;
	EMemoryCriticalLevel level = self->up ? eTaskCritical : eProcessCritical;
	void *arena;

	if (FAILED(sample_alloc(&self->host, size, level, &arena)))
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

/* How many arenas CPython says it asked for and gave back; false if it does not say. */
static bool ask_python(size_t *arenas, size_t *freed)
{
	PyObject *tell = PySys_GetObject("_debugmallocstats");
	FILE *text = tmpfile();
	int standard_error = dup(STDERR_FILENO);
	unsigned found = 0;
	char line[128];

	if (tell == NULL || text == NULL || standard_error < 0)
		return false;
	fflush(stderr);
	dup2(fileno(text), STDERR_FILENO); /* it writes there and nowhere else */
	Py_XDECREF(PyObject_CallNoArgs(tell));
	fflush(stderr);
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);

	rewind(text);
	while (fgets(line, sizeof(line), text) != NULL) {
		found += sscanf(line, "# arenas allocated total = %zu", arenas) == 1;
		found += sscanf(line, "# arenas reclaimed = %zu", freed) == 1;
	}
	fclose(text);
	return found == 2;
}

/* CPython calls it at its exit, the script's objects still in place. */
static PyObject *report(PyObject *module, PyObject *nothing)
{
	size_t arenas, freed;
	bool good;

	(void)module, (void)nothing;
	if (getpid() != adapter.process)
		Py_RETURN_NONE;
	PyRun_SimpleString("import sys; sys.stdout.flush()");

	sample_report(&adapter.host);
	printf("\n%-36s %11s %9s %13s\n", "What CPython did with it", "asked for",
	       "gave back", "holds");
	printf("  %-34s %11zu %9zu %13zu\n", "arenas, for objects", adapter.arenas,
	       adapter.arenas_freed, adapter.arenas - adapter.arenas_freed);
	printf("  %-34s %11zu %9zu %13zu\n", "stacks, for frames", adapter.stacks,
	       adapter.stacks_freed, adapter.stacks - adapter.stacks_freed);

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
	PyObjectArenaAllocator hook = { &adapter, arena_alloc, arena_free };
	PyPreConfig before;
	PyConfig config;
	PyStatus status;

	PyPreConfig_InitPythonConfig(&before);
	before.allocator = PYMEM_ALLOCATOR_PYMALLOC; /* whatever PYTHONMALLOC says */
	status = Py_PreInitializeFromBytesArgs(&before, argc, argv);
	if (PyStatus_Exception(status))
		return status;
	PyObject_SetArenaAllocator(&hook);

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
	PyStatus status;
	HRESULT hr;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		puts("usage: cpython [SCRIPT [ARGUMENT...]]\n"
		     "Runs a Python script, or a built-in one, with its memory under a "
		     "host, and\n"
		     "prints what the host saw.  Options before SCRIPT are those of "
		     "python3.  The\n"
		     "exit status is Python's, but 3 if one of the numbers turned out "
		     "untrue.");
		return 0;
	}
	adapter.process = getpid();
	hr = sample_open(&adapter.host);
	if (FAILED(hr)) {
		fprintf(stderr, "cpython: no host: %s\n", HostMemResultName(hr));
		return 1;
	}
	status = start_python(argc, argv);
	if (PyStatus_IsExit(status)) /* it has said why */
		return status.exitcode;
	if (PyStatus_Exception(status) || !report_at_exit()) {
		fprintf(stderr,
			"cpython: CPython does not start: %s; is all of it installed?\n",
			status.err_msg != NULL ? status.err_msg : "atexit does not work");
		return 1;
	}
	printf("CPython %.*s, its arenas from hostmem %s\n\n",
	       (int)strcspn(Py_GetVersion(), " "), Py_GetVersion(), HostMemVersion());
	fflush(stdout);
	return Py_RunMain();
}
