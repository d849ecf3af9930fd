/*
 * The same seed and the same calls give the same events, wherever memory lies.
 *
 * The workload (workload.h) runs on a host with a heap (workload_heap.h), a budget, fault rules with probabilities, a
 * reclaimer, a subscriber that says no, and calls from inside all of these.  Time is
 * virtual: requests wait, rules take their time, memory is said to run low and to come
 * back.  What each call answers, what each event says and what the runtime is told goes
 * into a log of text, in which an address is the number of a region and a page in it.  All compilers, kinds of builds and ways of making
 * pages have to come to the one digest below.
 *
 * LOG=1 in the environment prints the log of the first run.
 */
#include "workload_heap.h"

#include "test/callback.h"

#include <stdarg.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW_BUILD 1
#endif
#endif

#ifdef SLOW_BUILD
enum { RUNS = 50 };
#else
enum { RUNS = 1000 };
#endif

enum { CALLS = 400 };

#define SEED 81

/* Of SEED.  A change of it is a change of what callers see: say so in NEWS. */
#define DIGEST UINT64_C(0xC7BB2F3CA9200293)

/* ---- The log ---- */

static uint64_t digest; /* FNV-1a, 64 bits */
static size_t lines;
static uint64_t refusals[3];
static size_t notifications, timeouts;
static bool printing;

TAP_FORMAT static void log_line(const char *format, ...)
{
	char text[240];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	CHECK(length > 0 && (size_t)length < sizeof(text));
	for (int i = 0; i < length; i++)
		digest = (digest ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
	digest = (digest ^ '\n') * UINT64_C(0x100000001B3);
	lines++;
	if (printing)
		printf("# %s\n", text);
}

static void log_call(struct workload *workload, const char *call,
		     const struct workload_region *region, size_t page, size_t pages,
		     HRESULT hr)
{
	uint32_t number = region != NULL ? region->number : 0;

	if (number != 0)
		page += ((uintptr_t)region->base - (uintptr_t)region->origin) / PAGE;
	log_line("%u %s r%" PRIu32 "+%zu %zu 0x%08" PRIx32, workload->depth, call, number,
		 page, pages, (uint32_t)hr);
}

static bool holds(const struct workload_region *region, const void *address)
{
	return region->number != 0 && address >= region->base &&
	       address < (void *)at(region->base, region->pages * PAGE);
}

/* The region of an event: one that is being released, or one that is there. */
static const struct workload_region *find(const struct workload *workload,
					  const HostMemEvent *event)
{
	for (unsigned i = workload->leaving_count; i-- > 0;) {
		if (event->operation == HostMemRelease &&
		    holds(&workload->leaving[i], event->address))
			return &workload->leaving[i];
	}
	for (unsigned i = 0; i < WORKLOAD_DEPTH * WORKLOAD_SLOTS; i++) {
		const struct workload_region *slot =
			&workload->slots[i / WORKLOAD_SLOTS][i % WORKLOAD_SLOTS];

		if (holds(slot, event->address))
			return slot;
	}
	return NULL;
}

/* Nothing, a place in a region, or one that the workload has chosen itself. */
static void name_place(const HostMemEvent *event, char text[40])
{
	uintptr_t address = (uintptr_t)event->address;
	const struct workload_region *region;

	snprintf(text, 40, "-");
	if (address == 0)
		return;
	region = find(workload_current, event);
	if (event->operation == HostMemHeap)
		snprintf(text, 40, "heap");
	else if (event->operation == HostMemMapping)
		snprintf(text, 40, "m%zx", (size_t)address);
	else if (CHECK(region != NULL))
		snprintf(text, 40, "r%" PRIu32 "+%zu", region->number,
			 (size_t)(address - (uintptr_t)region->origin) / PAGE);
}

static BOOL HOSTMEM_CALL log_event(void *state, const HostMemEvent *event)
{
	char place[40];

	name_place(event, place);
	timeouts += event->reason == HostMemByTimeout;
	log_line("%u %s t%d o%d l%d w%d 0x%08" PRIx32 " a%d n%" PRIu32 " q%" PRIu64
		 " %zu %s %zu/%zu/%zu",
		 workload_current->depth, (const char *)state, (int)event->type,
		 (int)event->operation, (int)event->level, (int)event->reason,
		 (uint32_t)event->result, event->announced != FALSE, event->attempt,
		 event->request, event->size, place, event->cbCharged, event->cbLimit,
		 event->cbPeak);
	return TRUE;
}

static void log_notification(struct callback *callback, EMemoryAvailable available)
{
	(void)callback;
	notifications++;
	log_line("%u tell %d", workload_current->depth, (int)available);
}

static void log_usage(const struct host *host)
{
	HostMemUsage usage = host_usage(host);

	log_line("%zu %zu %zu %zu %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		 " %" PRIu64,
		 usage.cbReserved, usage.cbCommitted, usage.cbExternal, usage.cbCharged,
		 usage.cbPeakCharged, usage.cRegions, usage.cRefusedBudget,
		 usage.cRefusedCallback, usage.cRefusedInjected, usage.cFailedOs);
	log_line("%zu %zu %" PRIu64 " %zu %" PRIu64, usage.cbHeap, usage.cbHeapPages,
		 usage.cBlocks, usage.cbLeaked, usage.cLeakedBlocks);
	refusals[0] += usage.cRefusedBudget;
	refusals[1] += usage.cRefusedCallback;
	refusals[2] += usage.cRefusedInjected;
}

/* ---- Runs ---- */

static void subscribe(const struct host *host, HostMemEventCallback callback,
		      const char *name)
{
	uint64_t cookie;

	CHECK_HR(IHostMemoryControl_Subscribe(host->control, ALL_BITS, callback,
					      (void *)(uintptr_t)name, &cookie),
		 S_OK);
}

/* On one host; `flags` of the host, `charge` of its budgets. */
static void run(uint64_t seed, uint32_t flags, uint32_t charge)
{
	HostMemBudget budget = budget_of(WORKLOAD_LIMIT * PAGE);
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	static struct workload_heap heap;
	static struct workload work;
	struct callback runtime = callback_new();
	struct host host;

	budget.dwFlags = charge;
	config.dwFlags = HOSTMEM_MONITOR_OFF | flags;
	config.budget = &budget;
	if (!host_create_with(&host, &config))
		return;
	workload_start(&work, &host, REACH_PAGES, seed);
	work.budget_flags = charge;
	work.in_virtual_time = true;
	runtime.then = log_notification;
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(work.simulator, TRUE), S_OK);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(host.manager,
								       &runtime.iface),
		 S_OK);
	work.note = log_call;
	workload_add_heap(&work, &heap, 0);
	CHECK_HR(IHostMemoryControl_SetReclaimer(host.control, workload_reclaim, NULL),
		 S_OK);
	subscribe(&host, log_event, "first");
	subscribe(&host, workload_meddle, NULL);
	subscribe(&host, workload_meddle, NULL);
	subscribe(&host, log_event, "last");
	for (unsigned i = 0; i < CALLS; i++)
		workload_call(&work);
	work.quiet = true;
	CHECK(heap.seeds > CALLS / 10); /* blocks */
	log_usage(&host);
	workload_end_heap(&work);
	workload_end(&work);
	log_usage(&host);
	host_destroy(&host);
	CHECK_U32(runtime.references, 1);
}

static uint64_t digest_of(uint64_t seed, uint32_t flags)
{
	digest = UINT64_C(0xCBF29CE484222325);
	lines = 0;
	run(seed, flags, HOSTMEM_CHARGE_COMMIT);
	run(seed, flags, HOSTMEM_CHARGE_RESERVE | HOSTMEM_ANNOUNCE_ALWAYS);
	return digest;
}

/* Memory of another host, so that the same call finds another address. */
static void get_in_the_way(const struct host *other, unsigned round)
{
	for (unsigned i = 0; i < round % 5; i++)
		(void)vm_new(other, (1 + round % 11) * UNIT, MEM_RESERVE, PAGE_NOACCESS);
}

static void the_same_seed_gives_the_same_log_in_every_build(void)
{
	static const uint32_t flags[] = { 0, HOSTMEM_NO_GUARD_PAGES,
					  HOSTMEM_PREFER_HUGE_PAGES };
	struct host other;

	printing = getenv("LOG") != NULL;
	CHECK_SIZE(digest_of(SEED, 0), DIGEST);
	printing = false;
	/* It is not made of nothing. */
	CHECK(lines > 4 * CALLS);
	CHECK(refusals[0] > 10 && refusals[1] > 10 && refusals[2] > 10);
	CHECK(notifications > 5 && timeouts > 5);
	if (!host_create(&other, 0))
		return;
	for (unsigned i = 1; i < RUNS && !tap_failed(); i++) {
		tap_row("run %u", i);
		get_in_the_way(&other, i);
		CHECK_SIZE(digest_of(SEED, flags[i % ROWS(flags)]), DIGEST);
	}
	host_destroy(&other);
}

static void another_seed_gives_another_log(void)
{
	for (uint64_t seed = SEED + 1; seed < SEED + 20; seed++) {
		tap_row("seed %u", (unsigned)seed);
		CHECK(digest_of(seed, 0) != DIGEST);
		CHECK(digest_of(seed, 0) == digest_of(seed, HOSTMEM_NO_GUARD_PAGES));
	}
}

int main(void)
{
	TAP_RUN(the_same_seed_gives_the_same_log_in_every_build);
	TAP_RUN(another_seed_gives_another_log);
	return tap_done();
}
