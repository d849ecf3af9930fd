/*
 * A cache that grows until it hears that memory is short.
 *
 * A child process is put into a control group of 256 MiB and fills a cache with blocks of
 * 1 MiB, as a server does that keeps what it has once worked out.  Nothing bounds the cache
 * itself: how large it may be is for those to say who know what memory there is.
 *
 * With a host, that is the host's monitor.  Nobody tells it about the group: it finds the
 * limit by itself, and its thresholds are the defaults.  It says Low before the limit is met;
 * the cache drops three quarters of its blocks, and while memory is short, each new block
 * takes the place of an old one.  Low is told once, not each time that something is dropped:
 * who grows on regardless will meet the limit.  When it has been calm for two seconds the
 * monitor says Neutral, and the cache grows again; that is one round.
 *
 * Without a host the same program asks mmap for the same blocks, hears nothing, and is
 * killed: a control group never refuses memory.
 *
 * The callback has to return at once, on whatever thread.  So it notes what it heard, and the
 * thread that owns the cache looks there before each block.
 *
 * The parent stays outside of the group, looks every few milliseconds how full it is, tells
 * how the child has ended, and removes the group, also after a signal.
 */
#include "pressure_watch.h"

#include <sys/prctl.h>

enum {
	LIMIT = 256 << 20, /* bytes, of the group */
	BLOCK = 1 << 20,   /* bytes */
	BLOCKS = 1024,     /* four times the limit */
	KEPT = 4,          /* when memory is short: the part that is kept, as a divisor */
	RATE = 200,        /* blocks a second, unless it is to be fast */
	NO_GROUP = 77      /* exit status; a test that ends with it is skipped */
};

static struct {
	bool without_host, fast;
	unsigned long rounds;
} options = { .rounds = 3 };

static struct watch watch;  /* the parent's, but for the clock */
static struct heard *heard; /* both processes see it */

/* ---- In the group ---- */

static struct cache {
	IHostMemoryManager *memory; /* NULL: blocks come from mmap */
	void *blocks[BLOCKS];       /* a ring, the oldest first */
	unsigned first, count;
	unsigned taken; /* of what was heard */
	bool is_short;
	unsigned rounds;
} cache;

static bool put_block(void)
{
	void *block = NULL;

	if (cache.memory == NULL) {
		block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		block = block == MAP_FAILED ? NULL : block;
	} else {
		(void)IHostMemoryManager_VirtualAlloc(cache.memory, NULL, BLOCK,
						      MEM_RESERVE | MEM_COMMIT,
						      PAGE_READWRITE, eTaskCritical,
						      &block);
	}
	if (block == NULL)
		return false;
	memset(block, 1, BLOCK); /* what is not touched, the group does not have */
	cache.blocks[(cache.first + cache.count++) % BLOCKS] = block;
	return true;
}

static void drop_blocks(unsigned count)
{
	for (; count > 0; count--) {
		(void)IHostMemoryManager_VirtualFree(cache.memory,
						     cache.blocks[cache.first], 0,
						     MEM_RELEASE);
		cache.first = (cache.first + 1) % BLOCKS;
		cache.count--;
	}
}

static void act_on(const struct heard_note *note)
{
	static const char *const names[] = { "", "Low", "Neutral", "High" };
	DWORD load = 0;
	SIZE_T left = 0;
	unsigned dropped = 0;

	(void)IHostMemoryManager_GetMemoryLoad(cache.memory, &load, &left);
	cache.rounds += cache.is_short && note->what != eMemoryAvailableLow;
	cache.is_short = note->what == eMemoryAvailableLow;
	if (cache.is_short)
		dropped = cache.count - cache.count / KEPT;
	drop_blocks(dropped);
	printf("  %6.2f s  %-8s %3u %% full, %5.1f MiB left: ", note->at,
	       names[note->what], (unsigned)load, (double)left / (1 << 20));
	if (cache.is_short)
		printf("drops %u blocks, keeps %u\n", dropped, cache.count);
	else
		puts(cache.rounds < options.rounds ? "grows again" : "has seen enough");
}

/* True if it has lived through all rounds. */
static bool serve(void)
{
	const struct timespec pause = { .tv_nsec = 1000000000 / RATE };

	while (cache.rounds < options.rounds) {
		while (cache.taken != atomic_load(&heard->count))
			act_on(&heard->notes[cache.taken++ % HEARD_NOTES]);
		if (cache.is_short && cache.count > 0)
			drop_blocks(1);
		if (cache.count == BLOCKS || !put_block())
			return false;
		if (!options.fast)
			nanosleep(&pause, NULL);
	}
	return true;
}

static bool serve_with_host(void)
{
	HostMemSourceState usage = HOSTMEM_SOURCE_STATE_INIT, timer = usage;
	IHostMemoryMonitor *monitor;
	bool good = false;

	if (FAILED(HostMemCreate(NULL, &IID_IHostMemoryManager, (void **)&cache.memory)))
		return false;
	(void)IHostMemoryManager_QueryInterface(cache.memory, &IID_IHostMemoryMonitor,
						(void **)&monitor);
	if (SUCCEEDED(
		    IHostMemoryManager_RegisterMemoryNotificationCallback(cache.memory,
									  &heard->iface)))
		good = serve();
	drop_blocks(cache.count);
	(void)IHostMemoryMonitor_GetSource(monitor, HostMemSourceGroupUsage, &usage);
	(void)IHostMemoryMonitor_GetSource(monitor, HostMemSourceTimer, &timer);
	printf("\nThe monitor was woken %llu times by the group, %llu times by its "
	       "timer.\n",
	       (unsigned long long)usage.cCalls, (unsigned long long)timer.cCalls);
	(void)IHostMemoryMonitor_Release(monitor);
	return IHostMemoryManager_Release(cache.memory) == 0 && good;
}

/* ---- Outside of it ---- */

static _Noreturn void run_child(void)
{
	bool good;

	/* With the parent goes who would remove the group. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || !group_enter(&watch.group))
		_exit(1);
	good = options.without_host ? serve() : serve_with_host();
	fflush(stdout);
	_exit(good ? 0 : 1); /* the group is the parent's */
}

/* The exit status. */
static int run(void)
{
	pid_t child;

	heard = heard_create(&watch.picture);
	child = heard != NULL ? fork() : -1;
	if (child < 0)
		return 1;
	if (child == 0)
		run_child();
	return watch_report(&watch, watch_child(&watch, child), heard);
}

static int usage(int status)
{
	fputs("usage: pressure [--without-host] [--fast] [--rounds N]\n",
	      status == 0 ? stdout : stderr);
	if (status == 0)
		fputs("Fills a cache in a control group of 256 MiB, which is made for "
		      "it,\n"
		      "and drops it when the host says that memory is short, N times "
		      "(3);\n"
		      "without a host it is killed.  --fast fills it as fast as it can.\n"
		      "The exit status is 0 if the program lived, 1 if it did not, and\n"
		      "77 if no group can be made here.\n",
		      stdout);
	return status;
}

static bool read_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *end = NULL;

		if (strcmp(argv[i], "--without-host") == 0) {
			options.without_host = true;
		} else if (strcmp(argv[i], "--fast") == 0) {
			options.fast = true;
		} else if (strcmp(argv[i], "--rounds") == 0 && ++i < argc) {
			options.rounds = strtoul(argv[i], &end, 10);
			if (*end != '\0' || options.rounds < 1 || options.rounds > 100)
				return false;
		} else {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *why;
	int status;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (!read_options(argc, argv))
		return usage(2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	why = watch_open(&watch, LIMIT);
	if (why != NULL) {
		fprintf(stderr, "pressure: %s\n", why);
		return NO_GROUP;
	}
	if (options.without_host)
		puts("A cache in a control group of 256 MiB, without a host");
	else
		printf("A cache in a control group of 256 MiB, its pages from hostmem "
		       "%s\n\n",
		       HostMemVersion());
	status = run();
	watch_close(&watch);
	return status;
}
