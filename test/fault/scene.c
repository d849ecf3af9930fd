/*
 * The stage of the fault tests: see scene.h.
 */
#include "test/fault/scene.h"

#include "test/fault/refusing.h"

#include "hostmem/arenas.h"
#include "hostmem/calls.h"
#include "hostmem/metadata.h"
#include "hostmem/os/pages.h"
#include "hostmem/regions.h"
#include "hostmem/shelf.h"

#include <sys/mman.h>
#include <unistd.h>

/* The one that an event replaces or takes back, else one that has been there for long. */
static struct scene_open *find_open(struct scene *scene, const HostMemEvent *event)
{
	for (size_t i = 0; i < SCENE_OPEN && event->announced; i++) {
		if (scene->open[i].request == event->request)
			return &scene->open[i];
	}
	CHECK(!event->announced);
	return &scene->open[event->request % SCENE_OPEN];
}

static BOOL HOSTMEM_CALL add_up(void *state, const HostMemEvent *event)
{
	struct scene *scene = state;
	struct scene_open *open;

	if (event->type == HostMemEventFree) {
		scene->sum -= event->size;
		return TRUE;
	}
	if (event->type == HostMemEventFailure && !event->announced)
		return TRUE;
	open = find_open(scene, event);
	if (event->announced)
		scene->sum -= open->size;
	*open = (struct scene_open){ 0, 0 };
	if (event->type == HostMemEventAllocate) {
		*open = (struct scene_open){ event->request, event->size };
		scene->sum += event->size;
	}
	return TRUE;
}

HRESULT scene_open(struct scene *scene, const HostMemConfig *config)
{
	memset(scene, 0, sizeof(*scene));
	if (!CHECK_INT(pipe(scene->pipe), 0))
		return E_FAIL;
	return faces_create_with(&scene->faces, config);
}

bool scene_watch(struct scene *scene)
{
	return CHECK_HR(IHostMemoryControl_Subscribe(scene->faces.control, 7, add_up,
						     scene, &scene->cookie),
			S_OK);
}

static void stamp(char *from, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		*(uint64_t *)(void *)(from + i * PAGE) = UINT64_C(0x5CE7E000) + i;
}

/* Pages of a file whose first half is writable: for the kernel two mappings, one
 * allocation. */
static char *map_foreign(void)
{
	int file = memfd_create("foreign", MFD_CLOEXEC);
	char *pages = MAP_FAILED;

	if (file >= 0 && ftruncate(file, (off_t)(4 * PAGE)) == 0)
		pages = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	if (file >= 0)
		(void)close(file);
	if (!CHECK(pages != MAP_FAILED))
		return NULL;
	(void)mprotect(pages, 2 * PAGE, PROT_READ | PROT_WRITE);
	return pages;
}

bool scene_furnish(struct scene *scene)
{
	static const struct {
		size_t first, count;
		DWORD protect;
	} runs[] = {
		{ 0, 16, PAGE_READWRITE },    { 24, 8, PAGE_READONLY },
		{ 32, 8, PAGE_EXECUTE_READ }, { 40, 4, PAGE_READWRITE | PAGE_GUARD },
		{ 44, 4, PAGE_NOACCESS },
	};
	void *out;

	scene->foreign = map_foreign();
	scene->base = faces_reserve(&scene->faces, SCENE_PAGES * PAGE);
	if (scene->base == NULL || scene->foreign == NULL)
		return false;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		char *from = scene->base + runs[i].first * PAGE;

		CHECK_HR(faces_commit(&scene->faces, from, runs[i].count * PAGE), S_OK);
		stamp(from, runs[i].count);
		CHECK_HR(faces_alloc(&scene->faces, from, runs[i].count * PAGE,
				     MEM_COMMIT, runs[i].protect, &out),
			 S_OK);
	}
	return !tap_failed();
}

bool scene_accessible(const struct scene *scene, void *address, bool to_write)
{
	char byte = 0;
	bool in, out;

	/* What is written is what is there: it may be a heap's. */
	if (to_write && write(scene->pipe[1], address, 1) == 1)
		(void)!read(scene->pipe[0], &byte, 1);
	in = write(scene->pipe[1], to_write ? &byte : address, 1) == 1;
	out = in && read(scene->pipe[0], to_write ? address : &byte, 1) == 1;

	if (in && !out)
		(void)!read(scene->pipe[0], &byte, 1);
	return in && out;
}

struct painter {
	const struct scene *scene;
	struct picture *picture;
};

static BOOL HOSTMEM_CALL paint_run(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct painter *painter = state;
	struct picture *picture = painter->picture;
	char *at = run->BaseAddress;

	if (!CHECK(picture->runs < SCENE_RUNS))
		return FALSE;
	picture->run[picture->runs++] = *run;
	for (; at < (char *)run->BaseAddress + run->RegionSize; at += PAGE) {
		struct scene_page *page = &picture->page[picture->pages];

		if (picture->pages == SCENE_SEEN)
			return TRUE;
		page->readable = scene_accessible(painter->scene, at + 8, false);
		page->writable = scene_accessible(painter->scene, at + 8, true);
		page->word = page->readable ? *(uint64_t *)(void *)at : 0;
		picture->pages++;
	}
	return TRUE;
}

void scene_paint(const struct scene *scene, struct picture *out)
{
	struct painter painter = { .scene = scene, .picture = out };

	memset(out, 0, sizeof(*out));
	out->usage = faces_usage(&scene->faces);
	CHECK_HR(IHostMemoryControl_WalkRegions(scene->faces.control, paint_run,
						&painter),
		 S_OK);
}

static void check_same_pages(const struct picture *before, const struct picture *after,
			     bool half)
{
	for (size_t i = 0; i < after->pages; i++) {
		const struct scene_page *was = &before->page[i], *is = &after->page[i];

		if (!half || (was->readable && is->readable))
			CHECK_SIZE(is->word, was->word);
		if (half)
			continue;
		CHECK_INT(is->readable, was->readable);
		CHECK_INT(is->writable, was->writable);
	}
}

void scene_check_same(const struct picture *before, const struct picture *after,
		      bool half)
{
	CHECK_SIZE(after->usage.cbReserved, before->usage.cbReserved);
	CHECK_SIZE(after->usage.cbCommitted, before->usage.cbCommitted);
	CHECK_SIZE(after->usage.cbExternal, before->usage.cbExternal);
	CHECK_SIZE(after->usage.cbCharged, before->usage.cbCharged);
	CHECK_SIZE(after->usage.cbPeakCharged, before->usage.cbPeakCharged);
	CHECK_SIZE(after->usage.cRegions, before->usage.cRegions);
	CHECK_SIZE(after->usage.cbHeap, before->usage.cbHeap);
	CHECK_SIZE(after->usage.cBlocks, before->usage.cBlocks);
	CHECK_SIZE(after->usage.cbHeapPages, before->usage.cbHeapPages);
	if (!CHECK_SIZE(after->runs, before->runs) ||
	    !CHECK_SIZE(after->pages, before->pages))
		return;
	for (size_t i = 0; i < after->runs; i++) {
		CHECK_POINTER(after->run[i].BaseAddress, before->run[i].BaseAddress);
		CHECK_POINTER(after->run[i].AllocationBase,
			      before->run[i].AllocationBase);
		CHECK_SIZE(after->run[i].RegionSize, before->run[i].RegionSize);
		CHECK_U32(after->run[i].State, before->run[i].State);
		CHECK_U32(after->run[i].Protect, before->run[i].Protect);
	}
	check_same_pages(before, after, half);
}

static bool may_read(DWORD protect)
{
	return protect != 0 && !(protect & (PAGE_NOACCESS | PAGE_GUARD));
}

static bool may_write(DWORD protect)
{
	return may_read(protect) && (protect & (PAGE_READWRITE | PAGE_EXECUTE_READWRITE));
}

void scene_check_true(const struct scene *scene, const struct picture *picture)
{
	size_t page = 0;

	faces_check_account(&scene->faces);
	CHECK_STR(hm_regions_check(), NULL);
	CHECK_STR(hm_arenas_check(&hm_arenas_with_guards), NULL);
	CHECK_STR(hm_arenas_check(&hm_arenas_without_guards), NULL);
	if (scene->cookie != 0)
		CHECK_SIZE(scene->sum, picture->usage.cbCharged);
	for (size_t i = 0; i < picture->runs && !scene->loose; i++) {
		const MEMORY_BASIC_INFORMATION *run = &picture->run[i];

		for (size_t n = 0; n < run->RegionSize / PAGE && page < picture->pages;
		     n++) {
			CHECK_INT(picture->page[page].readable, may_read(run->Protect));
			CHECK_INT(picture->page[page].writable, may_write(run->Protect));
			page++;
		}
	}
}

/* A mapping of its own, after which the system is offered again what it would not take. */
static void check_top_down(const struct scene *scene)
{
	void *out = NULL;

	if (!CHECK_HR(faces_alloc(&scene->faces, NULL, PAGE,
				  MEM_RESERVE | MEM_COMMIT | MEM_TOP_DOWN, PAGE_READWRITE,
				  &out),
		      S_OK))
		return;
	*(char *)out = 1;
	CHECK_HR(faces_free(&scene->faces, out), S_OK);
}

void scene_check_works(struct scene *scene)
{
	struct picture picture;
	MEMORY_BASIC_INFORMATION run;
	void *out = NULL;

	if (!CHECK_HR(faces_alloc(&scene->faces, NULL, 3 * PAGE, MEM_RESERVE | MEM_COMMIT,
				  PAGE_READWRITE, &out),
		      S_OK))
		return;
	*(char *)out = 1;
	CHECK_HR(faces_protect(&scene->faces, out, PAGE, PAGE_READONLY), S_OK);
	CHECK_HR(faces_query(&scene->faces, (char *)out + PAGE, &run), S_OK);
	CHECK_SIZE(run.RegionSize, 2 * PAGE);
	CHECK_HR(faces_query(&scene->faces, &picture, &run), S_OK);
	CHECK_U32(run.State, MEM_COMMIT);
	CHECK_HR(faces_decommit(&scene->faces, out, 2 * PAGE), S_OK);
	CHECK_HR(faces_commit(&scene->faces, out, PAGE), S_OK);
	CHECK_INT(*(char *)out, 0);
	CHECK_HR(faces_free(&scene->faces, out), S_OK);
	check_top_down(scene);
	scene_paint(scene, &picture);
	scene_check_true(scene, &picture);
}

static BOOL HOSTMEM_CALL note_reserved(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct picture *picture = state;

	if (run->State == MEM_RESERVE && picture->runs < SCENE_RUNS)
		picture->run[picture->runs++] = *run;
	return TRUE;
}

void scene_check_fresh(struct scene *scene)
{
	static struct picture reserved;

	reserved.runs = 0;
	CHECK_HR(IHostMemoryControl_WalkRegions(scene->faces.control, note_reserved,
						&reserved),
		 S_OK);
	for (size_t i = 0; i < reserved.runs; i++) {
		char *at = reserved.run[i].BaseAddress;
		size_t size = reserved.run[i].RegionSize;

		CHECK_HR(faces_commit(&scene->faces, at, size), S_OK);
		for (size_t done = 0; done < size; done += PAGE) {
			if (!CHECK_SIZE(*(uint64_t *)(void *)(at + done), 0))
				break;
		}
	}
}

void scene_check_latched(struct scene *scene)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	MEMORY_BASIC_INFORMATION run;
	void *out = scene;

	CHECK_HR(faces_alloc(&scene->faces, NULL, PAGE, MEM_RESERVE, PAGE_NOACCESS, &out),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_POINTER(out, NULL);
	CHECK_HR(faces_free(&scene->faces, scene->base), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(faces_protect(&scene->faces, scene->base, PAGE, PAGE_READONLY),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(faces_query(&scene->faces, scene->base, &run), S_OK);
	CHECK_POINTER(run.AllocationBase, scene->base);
	CHECK_HR(IHostMemoryControl_GetUsage(scene->faces.control, &usage), S_OK);
	CHECK_HR(IHostMemoryControl_Unsubscribe(scene->faces.control, scene->cookie),
		 S_OK);
	scene->cookie = 0;
}

struct bases {
	void *base[SCENE_RUNS];
	size_t count;
};

static BOOL HOSTMEM_CALL note_base(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct bases *bases = state;

	if (run->BaseAddress == run->AllocationBase && bases->count < SCENE_RUNS)
		bases->base[bases->count++] = run->AllocationBase;
	return TRUE;
}

void scene_check_empties(struct scene *scene)
{
	struct bases bases = { .count = 0 };

	CHECK_HR(IHostMemoryControl_WalkRegions(scene->faces.control, note_base, &bases),
		 S_OK);
	for (size_t i = 0; i < bases.count; i++)
		CHECK_HR(faces_free(&scene->faces, bases.base[i]), S_OK);
	faces_check_empty(&scene->faces);
	if (scene->cookie != 0)
		CHECK_SIZE(scene->sum, 0);
}

/* An arena that cannot go has lent granules, and all others are free. */
static void check_arenas_left(const struct hm_arenas *set, bool stuck)
{
	for (struct hm_arena *arena = set->first; arena != NULL;
	     arena = arena->next_in_set) {
		uint32_t count = arena->book.extents.count, lent = 0;
		uint32_t unused = hm_extents_free(&arena->book.extents);

		if (arena->phase != HM_ARENA_LIVE)
			continue;
		for (uint32_t i = 0; i < count; i++)
			lent += hm_granules_state(&arena->book.granules, i) ==
				HM_GRANULE_LENT;
		if (stuck)
			continue;
		CHECK_SIZE(unused + lent, count);
		CHECK(lent != 0);
	}
}

void scene_close(struct scene *scene)
{
	void *room;

	CHECK_SIZE(faces_release(&scene->faces), 0);
	if (scene->cookie != 0)
		CHECK_SIZE(scene->sum, 0);
	hm_calls_enter();
	(void)hm_shelves_clear(&hm_arenas_with_guards);
	(void)hm_shelves_clear(&hm_arenas_without_guards);
	(void)hm_arenas_trim();
	/* What it would not take back it is offered again with the next reservation. */
	if (SUCCEEDED(hm_pages_posix.reserve(&hm_pages_posix, NULL, UNIT, UNIT, 0, 0,
					     &room)))
		hm_pages_posix.give_up(&hm_pages_posix, room, UNIT);
	hm_calls_leave();
	check_arenas_left(&hm_arenas_with_guards, scene->stuck);
	check_arenas_left(&hm_arenas_without_guards, scene->stuck);
	CHECK_SIZE(refusing_left_mapped(), 0);
	CHECK_STR(hm_regions_check(), NULL);
	if (scene->foreign != NULL)
		(void)munmap(scene->foreign, 4 * PAGE);
	(void)close(scene->pipe[0]);
	(void)close(scene->pipe[1]);
}

/* A drained block holds the next one and what it is.  No more: the records of regions
 * keep their versions for ever. */
struct drained {
	struct drained *next;
	size_t what; /* its size, or, below 64, its kind */
};

static void keep(struct scene_drain *drain, void *block, size_t what)
{
	struct drained *drained = block;

	*drained = (struct drained){ .next = drain->blocks, .what = what };
	drain->blocks = drained;
}

void scene_drain(struct scene_drain *drain)
{
	void *block;

	drain->blocks = NULL;
	refusing_arm(REFUSING_ALL, 0, true);
	for (size_t size = (size_t)1 << 20; size >= 64; size /= 2) {
		while ((block = hm_metadata_alloc(size)) != NULL)
			keep(drain, block, size);
	}
	for (unsigned kind = 0; kind < HM_METADATA_TYPED_KINDS; kind++) {
		while ((block = hm_metadata_take((enum hm_metadata_kind)kind,
						 HM_NEED_NORMAL)) != NULL)
			keep(drain, block, kind);
	}
	refusing_disarm();
}

void scene_refill(struct scene_drain *drain)
{
	struct drained *block = drain->blocks;

	while (block != NULL) {
		struct drained drained = *block;

		if (drained.what >= 64)
			hm_metadata_free(block, drained.what);
		else
			hm_metadata_give((enum hm_metadata_kind)drained.what, block);
		block = drained.next;
	}
	drain->blocks = NULL;
}
