/*
 * OpenJDK 17 with its memory under a host.
 *
 * HotSpot, the virtual machine of OpenJDK, has no hook for its memory: it asks the system for
 * pages (a reservation without access, a commit and a decommit by mapping over it) and the C
 * library for blocks.  So libjvm.so is loaded, its imports of these functions are replaced by
 * those of <hostmem/attach.h>, and only then JNI_CreateJavaVM makes a virtual machine.
 *
 * Which refusal it survives:
 *
 *   - A commit of the collected heap, by the Serial and the Parallel collector, if the error
 *     is EINVAL: HotSpot takes ENOMEM for the end of the process, and any other error for a
 *     heap that cannot grow.  It collects its garbage and throws an OutOfMemoryError.
 *   - A large block: those are direct buffers, and that is an OutOfMemoryError, too.
 *   - Any other ends the process, or may.  A part of the limit is kept for those.
 *
 * The profile "hotspot" does all of that.  What is refused is what HotSpot asks for beyond
 * the budget; so its own limit, -Xmx, is set to twice as much.  What it begins with, -Xms, is
 * else a 64th of the machine's memory, which may be more than there is.
 *
 * An agent in the same process (JVMTI) hears of each OutOfMemoryError as the virtual machine
 * does, before the program can catch it.  It only counts: it is called where memory has run out.
 *
 * DestroyJavaVM gives nothing back, and there can be no second virtual machine; so the host is
 * the process's until its end.
 *
 * What does not come by here: files (classes, an archive of them), stacks of threads, and what
 * the libraries beside libjvm.so take from the C library.
 */
#include "openjdk_calls.h"
#include "sample_attached.h"

#include <unistd.h>

enum {
	STORY_LIMIT = 192, /* MiB */
	ROUNDS = 6,
	BUFFER_ROUNDS = 2,
	MOST_OPTIONS = 64,
};

static struct adapter {
	struct sample host;
	struct openjdk machine;
	_Atomic unsigned exhausted; /* so often the virtual machine said so */
	bool untrue;                /* a check failed */
} adapter;

static bool failed(const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "openjdk: %s: %s\n", what, why);
	return false;
}

/* ---- Start ---- */

/* On the thread that wants memory, which may have none: it counts and returns. */
static void JNICALL on_exhausted(jvmtiEnv *agent, JNIEnv *java, jint flags,
				 const void *reserved, const char *description)
{
	(void)agent, (void)java, (void)flags, (void)reserved, (void)description;
	adapter.exhausted++;
}

/* Between loading libjvm.so and making a virtual machine its imports are replaced. */
static bool load(struct adapter *self)
{
	uint32_t slots;
	HRESULT hr;

	if (!openjdk_load(&self->machine, OPENJDK_FOLDER "/lib/server/libjvm.so"))
		return failed("OpenJDK cannot be loaded", dlerror());
	hr = HostMemAttachLibrary("/libjvm.so", &slots);
	if (FAILED(hr))
		return failed("OpenJDK cannot be attached", HostMemResultName(hr));
	printf("OpenJDK of %s,\n%u imports replaced, its memory from hostmem %s\n\n",
	       OPENJDK_FOLDER, slots, HostMemVersion());
	fflush(stdout);
	return true;
}

static bool names_collector(char **options, int count)
{
	for (int i = 0; i < count; i++) {
		if (strncmp(options[i], "-XX:+Use", 8) == 0 &&
		    strcmp(options[i] + strlen(options[i]) - 2, "GC") == 0)
			return true;
	}
	return false;
}

/* Options of the user come behind ours, so that they count. */
static bool start(struct adapter *self, char **options, int count, size_t limit)
{
	JavaVMOption all[MOST_OPTIONS + 6];
	char path[PATH_MAX], most[32], first[32];
	int own = 0;

	if (count > MOST_OPTIONS)
		return failed(options[MOST_OPTIONS], "too many options");
	/* Its file of counters is nobody's memory; what it logs the agent hears. */
	all[own++].optionString = "-XX:-UsePerfData";
	all[own++].optionString = "-Xlog:jvmti=off";
	if (!names_collector(options, count))
		all[own++].optionString = "-XX:+UseSerialGC";
	if (limit != 0) {
		snprintf(most, sizeof(most), "-Xmx%zuk", limit / 1024 * 2);
		snprintf(first, sizeof(first), "-Xms%zuk", limit / 1024 / 8);
		all[own++].optionString = most;
		all[own++].optionString = first;
	}
	if (openjdk_class_path(path, sizeof(path)))
		all[own++].optionString = path;
	for (int i = 0; i < count; i++)
		all[own++].optionString = options[i];
	if (!openjdk_start(&self->machine, all, own))
		return failed("OpenJDK", "no virtual machine");
	HostMemAttachStarted();
	return openjdk_listen(&self->machine, on_exhausted) ||
	       failed("OpenJDK", "no agent");
}

/* ---- The built-in program ---- */

/* What is committed in the smallest reservation of so many bytes or some more: OpenJDK may have
 * put pages for null pointers before its heap.  SIZE_MAX if there is none. */
static size_t committed_in_space(struct sample *s, size_t reserved)
{
	size_t size = 0, committed = 0, best = SIZE_MAX, found = SIZE_MAX;

	s->run_count = 0;
	IHostMemoryControl_WalkRegions(s->control, sample_walked, s);
	for (size_t i = 0; i < s->run_count; i++) {
		const MEMORY_BASIC_INFORMATION *run = &s->runs[i];

		if (run->BaseAddress == run->AllocationBase)
			size = committed = 0;
		size += run->RegionSize;
		committed += run->State == MEM_COMMIT ? run->RegionSize : 0;
		if (i + 1 < s->run_count && run[1].AllocationBase == run->AllocationBase)
			continue;
		if (size >= reserved && size < best) {
			best = size;
			found = committed;
		}
	}
	return found;
}

static bool compare_heap(struct adapter *self)
{
	size_t reserved = (size_t)openjdk_call_long(&self->machine, "reservedHeap");
	size_t committed = (size_t)openjdk_call_long(&self->machine, "committedHeap");
	size_t seen = committed_in_space(&self->host, reserved);

	return committed == 0 ||
	       sample_check(
		       seen == committed,
		       "OpenJDK's own count: %s of the heap committed, the host has %s",
		       sample_size(committed), sample_size(seen));
}

/* Direct buffers come first: not every collector makes the heap small again. */
static bool tell_story(struct adapter *self)
{
	int fewer = openjdk_call_int(&self->machine, "fillBuffers", BUFFER_ROUNDS);
	unsigned before = self->exhausted;
	bool good;

	good = sample_check(fewer == 0, "as many direct buffers in each of %d rounds",
			    BUFFER_ROUNDS);
	good &= compare_heap(self);
	fewer = openjdk_call_int(&self->machine, "fill", ROUNDS);
	good &= sample_check(fewer == 0, "as many arrays in each of %d rounds", ROUNDS);
	good &= sample_check(self->exhausted - before == ROUNDS,
			     "the agent heard of %u OutOfMemoryErrors, of each",
			     self->exhausted - before);
	return compare_heap(self) && good;
}

/* ---- The program ---- */

/* The C library calls it, since System.exit does not return to main. */
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
	fputs("usage: openjdk [--limit MIB] [JAVA-OPTION...] [CLASS [ARGUMENT...]]\n"
	      "Runs a Java program, or a built-in one, with its memory under a host, "
	      "and\n"
	      "prints what the host saw.  Options are those of JNI_CreateJavaVM, as\n"
	      "-Djava.class.path=FOLDER or -XX:+UseParallelGC.  The exit status is the\n"
	      "program's, 1 after an exception, and 3 if one of the numbers turned out\n"
	      "untrue.\n",
	      status == 0 ? stdout : stderr);
	return status;
}

int main(int argc, char **argv)
{
	struct adapter *self = &adapter;
	size_t limit = 0;
	int count = 0;
	bool good;
	HRESULT hr;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (!sample_limit(&argc, &argv, &limit))
		return usage(2);
	while (1 + count < argc && argv[1 + count][0] == '-')
		count++;
	if (count > 0 && argv[1][1] == '-')
		return usage(2);
	if (1 + count == argc && limit == 0)
		limit = (size_t)STORY_LIMIT << 20;
	hr = sample_attach(&self->host, limit, "hotspot");
	if (FAILED(hr))
		return !failed("no host", HostMemResultName(hr));
	if (!load(self) || !start(self, argv + 1, count, limit) || atexit(finish) != 0)
		return 1;
	if (1 + count < argc) {
		good = openjdk_main(&self->machine, argv[1 + count], argv + 2 + count,
				    argc - 2 - count);
	} else {
		good = tell_story(self);
		self->untrue = !good;
	}
	good &= sample_check(openjdk_end(&self->machine), "DestroyJavaVM");
	return good ? 0 : 1;
}
