/*
 * Every system call of the translated functions is refused in turn.
 *
 * A runtime's life in short (reserve, commit, a file mapped over a part, memory over the file,
 * blocks that grow and move, parts given back) is played again and again: first system call
 * number 0 is refused, then number 1, until it comes to its end with nothing refused; each
 * time once, and once until the call of the runtime's is through.
 *
 * Whatever is refused: a call fails with ENOMEM, or does what it was to do; asked again it
 * does; what it was not about is as it was; and in the end nothing is left, neither in the
 * books nor of mappings.
 */
#include "test/stress/faces.h"
#include "test/stress/forked.h"

#include "abi/attach.h"
#include "hostmem/attach/overlays.h"
#include "hostmem/os/system.h"

#include <errno.h>
#include <unistd.h>

#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)
#define OVER (NEW | MAP_FIXED)
#define RW (PROT_READ | PROT_WRITE)

enum {
	MOST_CALLS = 400,
	PASSED_AND_REFUSED = 0, /* exit codes of a child */
	FAILED_ANYHOW = 1,
	NOTHING_WAS_REFUSED = 2,
	HOST_HAS_ENDED = 3,
};

/* ---- Refusing ---- */

static struct hm_system_calls real;
static struct {
	bool armed, for_good;
	uint64_t first, calls, refused;
} plan;

static bool refuse(void)
{
	uint64_t number = plan.calls;

	if (!plan.armed)
		return false;
	plan.calls++;
	if (plan.for_good ? number < plan.first : number != plan.first)
		return false;
	plan.refused++;
	errno = ENOMEM;
	return true;
}

static void *map(void *address, size_t size, int protection, int flags, int file,
		 long offset)
{
	return refuse() ? MAP_FAILED
			: real.map(address, size, protection, flags, file, offset);
}

static void *remap(void *address, size_t size, size_t wanted, int flags, void *place)
{
	return refuse() ? MAP_FAILED : real.remap(address, size, wanted, flags, place);
}

static int unmap(void *address, size_t size)
{
	return refuse() ? -1 : real.unmap(address, size);
}

static int protect(void *address, size_t size, int protection)
{
	return refuse() ? -1 : real.protect(address, size, protection);
}

static int advise(void *address, size_t size, int advice)
{
	return refuse() ? -1 : real.advise(address, size, advice);
}

static void install(void)
{
	real = hm_system;
	hm_system.map = map;
	hm_system.remap = remap;
	hm_system.unmap = unmap;
	hm_system.protect = protect;
	hm_system.advise = advise;
}

/* ---- A life ---- */

static struct faces faces;
static int64_t sum;
static int file = -1;

static struct {
	unsigned char *base, *moved, *low, *bystander;
} life;

static void *map_new(size_t size, int protection)
{
	return HostMemMmap(NULL, size, protection, NEW, -1, 0);
}

static bool reserve(void)
{
	life.base = map_new(4 * UNIT, PROT_NONE);
	return life.base != MAP_FAILED;
}

static bool commit(void)
{
	return HostMemMprotect(life.base, 2 * UNIT, RW) == 0;
}

static bool write_marks(void)
{
	memset(life.base, 1, 2 * UNIT);
	return true;
}

static bool renew(void)
{
	return HostMemMmap(life.base + PAGE, UNIT, RW, OVER, -1, 0) != MAP_FAILED;
}

static bool close_some(void)
{
	return HostMemMprotect(life.base + UNIT, 2 * PAGE, PROT_NONE) == 0;
}

static bool cover(void)
{
	return HostMemMmap(life.base + 8 * PAGE, 6 * PAGE, RW, MAP_PRIVATE | MAP_FIXED,
			   file, 0) != MAP_FAILED;
}

static bool uncover(void)
{
	return HostMemMmap(life.base + 10 * PAGE, 2 * PAGE, RW, OVER, -1, 0) !=
	       MAP_FAILED;
}

static bool drop_cover(void)
{
	return HostMemMunmap(life.base + 9 * PAGE, PAGE) == 0;
}

static bool grow(void)
{
	life.moved = HostMemMremap(life.bystander, UNIT, 3 * UNIT, MREMAP_MAYMOVE, NULL);
	if (life.moved != MAP_FAILED)
		life.bystander = life.moved;
	return life.moved != MAP_FAILED;
}

static bool move_over(void)
{
	if (HostMemMremap(life.bystander, UNIT, UNIT, MREMAP_MAYMOVE | MREMAP_FIXED,
			  life.base + 2 * UNIT) == MAP_FAILED)
		return false;
	return life.base[2 * UNIT] == 3;
}

static bool map_low(void)
{
	life.low = HostMemMmap(NULL, PAGE, RW, NEW | MAP_32BIT, -1, 0);
	return life.low != MAP_FAILED;
}

static bool decommit(void)
{
	return HostMemMmap(life.base, 4 * PAGE, PROT_NONE, OVER, -1, 0) != MAP_FAILED;
}

static bool cut(void)
{
	return HostMemMunmap(life.base + 3 * UNIT, 5 * PAGE) == 0;
}

static bool fill_hole(void)
{
	return HostMemMmap(life.base + 3 * UNIT, 5 * PAGE, RW, OVER, -1, 0) != MAP_FAILED;
}

static bool give_back_some(void)
{
	return HostMemMunmap(life.low, PAGE) == 0 &&
	       HostMemMunmap(life.bystander + UNIT, 2 * UNIT) == 0;
}

static bool give_back(void)
{
	return HostMemMunmap(life.base, 4 * UNIT) == 0;
}

static const struct {
	const char *name;
	bool (*run)(void);
} calls[] = {
	{ "reserve", reserve },
	{ "commit", commit },
	{ "write", write_marks },
	{ "renew", renew },
	{ "close some", close_some },
	{ "cover", cover },
	{ "uncover", uncover },
	{ "drop a cover", drop_cover },
	{ "grow", grow },
	{ "move over", move_over },
	{ "map low", map_low },
	{ "decommit", decommit },
	{ "cut", cut },
	{ "fill the hole", fill_hole },
	{ "give back some", give_back_some },
	{ "give back", give_back },
};

/* ---- The sweep ---- */

static BOOL HOSTMEM_CALL add_up(void *unused, const HostMemEvent *event)
{
	(void)unused;
	if (event->type == HostMemEventAllocate)
		sum += (int64_t)event->size;
	else if (event->type == HostMemEventFree || event->announced)
		sum -= (int64_t)event->size;
	return TRUE;
}

static bool bystander_is_whole(void)
{
	for (size_t i = 0; i < UNIT; i++) {
		if (life.bystander[i] != 3)
			return false;
	}
	return true;
}

/* What is refused is asked for again, of a system that refuses nothing. */
static void play(size_t number)
{
	bool done;

	errno = 0;
	done = calls[number].run();
	CHECK_INT(errno, done ? 0 : ENOMEM);
	/* What was not covered after all is the host's again. */
	if (!done && calls[number].run == cover && !plan.for_good)
		CHECK_SIZE(atomic_load(&hm_overlays_count), 0);
	if (plan.refused == 0 && !CHECK(done))
		return;
	if (plan.refused != 0)
		plan.armed = false;
	if (!done && !CHECK(calls[number].run()))
		printf("# errno %d\n", errno);
	if (calls[number].run != move_over && number < 9)
		CHECK(bystander_is_whole());
}

static void live(uint64_t first, bool for_good)
{
	life.bystander = map_new(UNIT, RW);
	if (!CHECK(life.bystander != MAP_FAILED))
		return;
	memset(life.bystander, 3, UNIT);
	plan.calls = plan.refused = 0;
	plan.first = first;
	plan.for_good = for_good;
	plan.armed = true;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !tap_failed(); i++) {
		tap_row("system call %" PRIu64 "%s, %s", first,
			for_good ? " and those behind it" : "", calls[i].name);
		play(i);
	}
	plan.armed = false;
}

static size_t count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t count = 0;
	int letter;

	while (maps != NULL && (letter = fgetc(maps)) != EOF)
		count += letter == '\n';
	if (maps != NULL)
		(void)fclose(maps);
	return count;
}

/* Where nothing can be undone either, the host ends, and the rest is the system's. */
static bool has_ended(void)
{
	void *page;
	HRESULT hr = faces_alloc(&faces, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &page);

	if (SUCCEEDED(hr))
		CHECK_HR(faces_free(&faces, page), S_OK);
	return hr == HOST_E_CLRNOTAVAILABLE;
}

/* One life of which nothing is refused, so that all is there that stays, and one more. */
static int live_twice(uint64_t first, bool for_good)
{
	HostMemUsage before, after;
	size_t mappings;

	live(MOST_CALLS, false);
	CHECK(!has_ended());
	(void)count_mappings();
	mappings = count_mappings();
	before = faces_usage(&faces);
	live(first, for_good);
	if (has_ended()) {
		CHECK(for_good);
		return tap_failed() ? FAILED_ANYHOW : HOST_HAS_ENDED;
	}
	after = faces_usage(&faces);
	CHECK_SIZE(after.cbReserved, before.cbReserved);
	CHECK_SIZE(after.cbCommitted, before.cbCommitted);
	CHECK_SIZE(after.cRegions, before.cRegions);
	CHECK_INT(sum, (int64_t)after.cbCharged);
	CHECK_SIZE(atomic_load(&hm_overlays_count), 0);
	/* Mappings that were kept back may have been of use.  A place that was only looked at
	 * stays taken where the system takes nothing back at all. */
	if (!FACES_SANITIZED)
		CHECK(count_mappings() <= mappings + (for_good ? 1 : 0));
	if (tap_failed())
		return FAILED_ANYHOW;
	return plan.refused != 0 ? PASSED_AND_REFUSED : NOTHING_WAS_REFUSED;
}

/* In a child of its own; how it ended. */
static int run_once(uint64_t first, bool for_good)
{
	int status = 0;
	pid_t child = fork_checked(60);

	if (child == 0)
		_exit(live_twice(first, for_good));
	if (!CHECK(child > 0 && waitpid(child, &status, 0) == child) ||
	    !CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0))
		return FAILED_ANYHOW;
	return WEXITSTATUS(status);
}

static void sweep(bool for_good)
{
	uint64_t first = 0, ended = 0;
	int result = PASSED_AND_REFUSED;

	for (; first < MOST_CALLS && result != NOTHING_WAS_REFUSED; first++) {
		tap_row("system call %" PRIu64 "%s", first,
			for_good ? " and those behind it" : "");
		result = run_once(first, for_good);
		ended += result == HOST_HAS_ENDED;
		if (!CHECK(result != FAILED_ANYHOW))
			return;
	}
	CHECK(first > 20 && first < MOST_CALLS);
	/* It is the exception. */
	CHECK(ended <= first / 3);
	printf("# %" PRIu64 " system calls, %" PRIu64 " ends\n", first - 1, ended);
}

static void each_call_is_refused_once(void)
{
	sweep(false);
}

static void each_call_is_refused_and_all_behind_it(void)
{
	sweep(true);
}

int main(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	char pages[6 * 4096];
	uint64_t cookie;

	(void)alarm(240);
	memset(pages, 'a', sizeof(pages));
	file = memfd_create("hostmem test", 0);
	config.dwFlags = HOSTMEM_MONITOR_OFF;
	if (!CHECK(write(file, pages, sizeof(pages)) == (ssize_t)sizeof(pages)) ||
	    !CHECK_HR(faces_create_with(&faces, &config), S_OK) ||
	    !CHECK_HR(HostMemAttach((IUnknown *)faces.manager, NULL), S_OK) ||
	    !CHECK_HR(IHostMemoryControl_Subscribe(faces.control, 7, add_up, NULL,
						   &cookie),
		      S_OK))
		return tap_done();
	install();
	TAP_RUN(each_call_is_refused_once);
	TAP_RUN(each_call_is_refused_and_all_behind_it);
	return tap_done();
}
