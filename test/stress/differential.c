/*
 * The host beside a flat model, over millions of random operations.
 *
 * Each step makes one call, mostly sensible and now and then not, and compares all that
 * can be seen of it with what model.c says: the result, what was returned, the events,
 * the account.  Now and then everything is compared: each page's contents, a walk of all
 * regions, the library's own check of its books.
 *
 * Every seed has a host of another kind: with guard pages or without, keeping released
 * memory or not.  HOSTMEM_PAGES decides for all of them.
 *
 * SEED=n runs that seed only, OPERATIONS=n so many steps for each seed.  A failure names
 * both and the step; the run of that seed ends there.
 */
#include "test/stress/compare.h"

#include "hostmem/arenas.h"
#include "hostmem/metadata.h"

#include <sys/mman.h>
#include <unistd.h>

enum {
	WINDOW_UNITS = 160,
	CHECK_EVERY = 20000, /* steps between two comparisons of everything */
	CROWDED = 36,        /* regions from which on more is released than reserved */
	LARGE_PAGES = 80000, /* of a large region: its tree of states is four deep */
	HUGE_PAGES = 262144, /* 1 GiB: more is in no arena */
};

static struct model_reservation *any_reservation(struct run *run)
{
	return &run->model.live[draw(run, run->model.count)];
}

static uintptr_t in_window(struct run *run)
{
	return run->model.window + draw(run, run->model.window_end - run->model.window);
}

/* An address that a caller may come up with; `ours`: in a reservation or the window. */
static uintptr_t any_address(struct run *run, bool ours)
{
	static const uintptr_t odd[] = {
		0,
		1,
		0xFFFF,
		0x10000,
		USER_END - 1,
		USER_END,
		(uintptr_t)1 << 47,
		UINTPTR_MAX << 47,
		UINTPTR_MAX - 0xFFF,
		UINTPTR_MAX,
	};
	const struct model_reservation *r;
	uintptr_t address;

	if (run->model.count == 0 || chance(run, 6))
		return in_window(run);
	if (!ours && chance(run, 3))
		return odd[draw(run, sizeof(odd) / sizeof(odd[0]))];
	r = any_reservation(run);
	if (chance(run, 20))
		address = r->base;
	else
		address = r->base + draw(run, r->count) * PAGE;
	if (chance(run, 20))
		address += draw(run, PAGE);
	if (!ours && chance(run, 2))
		address = chance(run, 50) ? r->base - 1 : r->base + r->count * PAGE;
	return address;
}

/* Bytes from an address on: short, to the end of its reservation, or a little beyond. */
static size_t any_size(struct run *run, uintptr_t address)
{
	static const size_t odd[] = {
		0,        SIZE_MAX,        SIZE_MAX - PAGE + 1, (size_t)1 << 63,
		USER_END, USER_END - UNIT,
	};
	const struct model_reservation *r = model_find(&run->model, address);
	size_t rest = r != NULL ? r->base + r->count * PAGE - address : UNIT;

	if (chance(run, 2))
		return odd[draw(run, sizeof(odd) / sizeof(odd[0]))];
	if (chance(run, 15))
		return rest;
	if (chance(run, 3))
		return rest + 1 + draw(run, 2 * UNIT);
	if (chance(run, 60) && rest > 24 * PAGE)
		rest = 24 * PAGE;
	return 1 + draw(run, rest);
}

static DWORD any_protect(struct run *run)
{
	static const DWORD usual[] = {
		PAGE_READWRITE, PAGE_READWRITE,    PAGE_READWRITE,         PAGE_READONLY,
		PAGE_NOACCESS,  PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE,
	};
	DWORD protect = usual[draw(run, sizeof(usual) / sizeof(usual[0]))];

	if (chance(run, 8))
		protect |= PAGE_GUARD;
	if (chance(run, 3))
		protect |= chance(run, 50) ? PAGE_NOCACHE : PAGE_WRITECOMBINE;
	if (chance(run, 3))
		protect |= PAGE_TARGETS_INVALID;
	if (chance(run, 1))
		protect ^= (DWORD)1 << draw(run, 13);
	return protect;
}

static void start(struct run *run, const char *name, uintptr_t address, DWORD type)
{
	run->name = name;
	run->call = (struct model_call){
		.address = address,
		.size = any_size(run, address),
		.type = type,
		.protect = any_protect(run),
		.level = chance(run, 1) ? (int)draw(run, 6) - 2 : (int)draw(run, 3),
		.veto = chance(run, 3),
	};
	run->heard = (struct heard){ .sum = run->heard.sum };
}

static HRESULT call_alloc(struct run *run, void **out)
{
	const struct model_call *call = &run->call;

	*out = &run->call; /* must be overwritten */
	if (call->aligned)
		return IHostMemoryPages_ReserveAligned(run->faces.pages, call->size,
						       call->alignment, call->type,
						       call->protect,
						       (EMemoryCriticalLevel)call->level,
						       out);
	return IHostMemoryManager_VirtualAlloc(run->faces.manager, (void *)call->address,
					       call->size, call->type, call->protect,
					       (EMemoryCriticalLevel)call->level, out);
}

/* Whether nothing but free space is told of the range. */
static bool is_free(const struct run *run, uintptr_t start, uintptr_t end)
{
	MEMORY_BASIC_INFORMATION info;

	for (uintptr_t at = start; at < end; at += info.RegionSize) {
		if (faces_query(&run->faces, (void *)at, &info) != S_OK ||
		    info.State != MEM_FREE)
			return false;
	}
	return true;
}

static bool is_taken(const struct run *run, const struct model_call *call)
{
	uintptr_t end = call->address + call->size + PAGE - 1;

	return !is_free(run, call->address - call->address % UNIT, end - end % PAGE);
}

/* The library's own records may have come to lie there while it made the reservation. */
static void forgive_lost_place(struct run *run, HRESULT hr)
{
	if (!run->call.elsewhere || hr != INVALID_ADDRESS || FAILED(run->want.hr) ||
	    !is_taken(run, &run->call))
		return;
	run->want.hr = hr;
	run->want.out = 0;
}

static void alloc(struct run *run)
{
	void *out;
	HRESULT hr;

	if (run->call.size > (size_t)1 << 40 && run->call.size <= USER_END)
		run->call.size = 1; /* what the machine can give is not our subject */
	run->want = model_alloc(&run->model, &run->call);
	hr = call_alloc(run, &out);
	forgive_lost_place(run, hr);
	if (SUCCEEDED(run->want.hr) && run->want.out == 0 && SUCCEEDED(hr)) {
		run->want.out = (uintptr_t)out;
		compare_place(run, (uintptr_t)out);
	}
	same_size(run, "*ppMem", (uintptr_t)out, run->want.out);
	if (SUCCEEDED(run->want.hr) && !run->diverged)
		model_alloc_done(&run->model, &run->call, run->want.out);
	if (SUCCEEDED(run->want.hr) && !run->diverged && (run->call.type & MEM_RESERVE))
		compare_fresh(run, run->want.out);
	finish(run, hr);
}

static void choose_new_size(struct run *run)
{
	/* Pages of 256 KiB, 512 KiB, 1 MiB, 2 MiB: there the library begins to do things
	 * in another way. */
	static const size_t borders[] = { 64, 128, 256, 512 };
	size_t pages = 1 + draw(run, chance(run, 85) ? 48 : 900);

	if (chance(run, 4))
		pages = 1 + draw(run, LARGE_PAGES);
	if (chance(run, 12))
		pages = borders[draw(run, sizeof(borders) / sizeof(borders[0]))] +
			draw(run, 5) - 2;
	if (draw(run, 8000) == 0)
		pages = HUGE_PAGES + draw(run, 3) - 1;
	if (!chance(run, 1))
		run->call.size = pages * PAGE - (chance(run, 30) ? draw(run, PAGE) : 0);
}

static DWORD reserving_type(struct run *run)
{
	DWORD type = MEM_RESERVE;

	if (chance(run, 40))
		type |= MEM_COMMIT;
	if (chance(run, 10))
		type |= MEM_TOP_DOWN;
	return type;
}

static void reserve_anywhere(struct run *run)
{
	start(run, "alloc", 0, chance(run, 5) ? MEM_COMMIT : reserving_type(run));
	choose_new_size(run);
	alloc(run);
}

static void reserve_exactly(struct run *run)
{
	uintptr_t address = in_window(run);

	if (chance(run, 10) && run->model.count != 0)
		address = any_reservation(run)->base;
	start(run, "alloc", address, reserving_type(run));
	run->call.size = 1 + draw(run, chance(run, 80) ? 4 * UNIT : 24 * UNIT);
	alloc(run);
}

/* Inside an arena, or across one of its ends. */
static void reserve_in_arena(struct run *run)
{
	uintptr_t near = any_reservation(run)->base;
	const struct hm_arena *arena = hm_arena_of(near);
	uintptr_t back = UNIT * draw(run, 9);

	if (arena != NULL && chance(run, 30))
		near = chance(run, 50) ? arena->base : arena->end;
	else if (arena != NULL && chance(run, 30))
		near = arena->base + draw(run, arena->end - arena->base);
	if (near < back + UNIT)
		return;
	start(run, "in arena", near - back + (chance(run, 20) ? draw(run, UNIT) : 0),
	      reserving_type(run));
	run->call.size = 1 + draw(run, chance(run, 80) ? 8 * UNIT : 40 * UNIT);
	run->call.elsewhere = run->call.address >= run->model.window_end ||
			      run->call.address + run->call.size <= run->model.window;
	run->call.taken = run->call.elsewhere && is_taken(run, &run->call);
	alloc(run);
}

static void reserve_aligned(struct run *run)
{
	start(run, "aligned", 0, reserving_type(run));
	choose_new_size(run);
	run->call.aligned = true;
	run->call.alignment = chance(run, 10) ? 0 : (size_t)1 << (10 + draw(run, 14));
	if (chance(run, 3))
		run->call.alignment += 1 + draw(run, PAGE);
	if (chance(run, 3))
		run->call.type ^= (DWORD)1 << draw(run, 30);
	alloc(run);
}

static void reserve(struct run *run)
{
	if (run->model.count >= CROWDED)
		return;
	if (chance(run, 50))
		reserve_anywhere(run);
	else if (chance(run, 40) && run->model.count != 0)
		reserve_in_arena(run);
	else if (chance(run, 60))
		reserve_exactly(run);
	else
		reserve_aligned(run);
}

static void commit(struct run *run)
{
	uintptr_t address = any_address(run, false);

	if (address == 0)
		return;
	start(run, "commit", address, MEM_COMMIT | (chance(run, 5) ? MEM_TOP_DOWN : 0));
	alloc(run);
}

static void reset(struct run *run)
{
	start(run, "reset", any_address(run, false),
	      chance(run, 70) ? MEM_RESET : MEM_RESET_UNDO);
	if (chance(run, 5))
		run->call.type |= MEM_COMMIT;
	alloc(run);
}

static void odd_type(struct run *run)
{
	uintptr_t address = any_address(run, true);

	start(run, "odd type", address, (DWORD)1 << draw(run, 12));
	if (chance(run, 50))
		run->call.type |= MEM_COMMIT | MEM_DECOMMIT;
	else if (chance(run, 50))
		run->call.type = chance(run, 50) ? MEM_TOP_DOWN : 0;
	alloc(run);
}

static void release_range(struct run *run)
{
	if (run->model.count >= MODEL_ROOM - 1)
		return;
	start(run, "release range", any_address(run, false), 0);
	if (!chance(run, 5))
		run->call.address -= run->call.address % PAGE;
	run->want = model_release_range(&run->model, &run->call);
	finish(run,
	       IHostMemoryPages_ReleaseRange(run->faces.pages, (void *)run->call.address,
					     run->call.size));
}

static void free_some(struct run *run, uintptr_t address, size_t size, DWORD type)
{
	run->call.address = address;
	run->call.size = size;
	run->call.type = type;
	run->want = model_free(&run->model, &run->call);
	finish(run, IHostMemoryManager_VirtualFree(run->faces.manager, (void *)address,
						   size, type));
}

static void decommit(struct run *run)
{
	start(run, "decommit", any_address(run, false), MEM_DECOMMIT);
	free_some(run, run->call.address, chance(run, 10) ? 0 : run->call.size,
		  MEM_DECOMMIT);
}

static void release(struct run *run)
{
	static const DWORD odd[] = { 0, MEM_COMMIT, MEM_DECOMMIT | MEM_RELEASE, MEM_FREE,
				     MEM_RELEASE | 1 };
	uintptr_t address = any_address(run, false);
	DWORD type = MEM_RELEASE;

	if (chance(run, 3))
		type = odd[draw(run, sizeof(odd) / sizeof(odd[0]))];
	start(run, "release", address, type);
	if (run->model.count != 0 && (chance(run, 50) || run->model.count >= CROWDED))
		address = any_reservation(run)->base +
			  (chance(run, 10) ? draw(run, PAGE) : 0);
	free_some(run, address, chance(run, 3) ? run->call.size : 0, type);
}

static bool is_foreign(const struct run *run, uintptr_t address)
{
	return address >= run->model.foreign &&
	       address < run->model.foreign + MODEL_FOREIGN * PAGE;
}

static void protect(struct run *run)
{
	DWORD old = 0xDEAD;
	HRESULT hr;

	/* Not elsewhere: what is somebody else's would really be changed. */
	start(run, "protect", any_address(run, true), 0);
	if (chance(run, 2) || is_foreign(run, run->call.address)) {
		run->call.address = run->model.foreign;
		run->call.size = MODEL_FOREIGN * PAGE - draw(run, PAGE);
	}
	run->want = model_protect(&run->model, &run->call);
	hr = IHostMemoryManager_VirtualProtect(run->faces.manager,
					       (void *)run->call.address, run->call.size,
					       run->call.protect, &old);
	same_size(run, "old protection", old, run->want.old);
	finish(run, hr);
}

static void query(struct run *run)
{
	MEMORY_BASIC_INFORMATION got;

	start(run, "query", any_address(run, false), 0);
	if (run->call.address >= USER_END)
		same_hr(run, faces_query(&run->faces, (void *)run->call.address, &got),
			E_INVALIDARG);
	else
		compare_query(run, run->call.address);
}

static void touch(struct run *run)
{
	start(run, "touch", any_address(run, true), 0);
	compare_access(run, run->call.address);
	compare_contents(run, run->call.address);
	stamp(run, run->call.address);
}

static void fault(struct run *run)
{
	bool write = chance(run, 50);
	HRESULT hr;

	start(run, "fault", any_address(run, false), 0);
	hr = HostMemHandleFault((void *)run->call.address, write);
	if (!model_fault(&run->model, run->call.address, write, hr))
		same_hr(run, hr, hr == S_OK ? S_FALSE : S_OK);
	compare_access(run, run->call.address);
}

static void external(struct run *run)
{
	size_t first = draw(run, MODEL_MAPPINGS);
	size_t count = draw(run, MODEL_MAPPINGS - first + 1);
	uintptr_t address = UINT64_C(0x100000000) + first * PAGE;

	start(run, "mapping", address, 0);
	run->call.size = count * PAGE;
	if (chance(run, 50)) {
		model_acquired(&run->model, first, count);
		same_hr(run,
			IHostMemoryManager_AcquiredVirtualAddressSpace(run->faces.manager,
								       (void *)address,
								       run->call.size),
			S_OK);
	} else {
		same_hr(run,
			IHostMemoryManager_ReleasedVirtualAddressSpace(run->faces.manager,
								       (void *)address),
			model_released(&run->model, first));
	}
	compare_account(run);
}

static void step(struct run *run)
{
	static const struct {
		unsigned weight;
		void (*operation)(struct run *run);
	} operations[] = {
		{ 10, reserve }, { 24, commit },       { 12, decommit }, { 14, protect },
		{ 5, release },  { 3, release_range }, { 10, query },    { 12, touch },
		{ 2, reset },    { 4, fault },         { 3, external },  { 1, odd_type },
	};
	uint64_t number = draw(run, 100);

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (number < operations[i].weight) {
			operations[i].operation(run);
			return;
		}
		number -= operations[i].weight;
	}
}

/* The window, free but for some pages in the middle and one behind its end. */
static bool open_window(struct model *model)
{
	size_t size = WINDOW_UNITS * UNIT;
	size_t before = size / 2 + 5 * PAGE;

	model->window = faces_map_window(size + PAGE);
	if (!CHECK(model->window != 0))
		return false;
	model->window_end = model->window + size;
	model->foreign = model->window + before;
	model->foreign_protect = PAGE_READWRITE;
	(void)mprotect((void *)model->foreign, MODEL_FOREIGN * PAGE,
		       PROT_READ | PROT_WRITE);
	(void)munmap((void *)model->window, before);
	(void)munmap((void *)(model->foreign + MODEL_FOREIGN * PAGE),
		     size - before - MODEL_FOREIGN * PAGE);
	return true;
}

static void close_window(const struct model *model)
{
	(void)munmap((void *)model->window, model->window_end + PAGE - model->window);
}

static void release_all(struct run *run)
{
	run->call = (struct model_call){ .veto = true }; /* frees are never refused */
	for (size_t i = 0; i < MODEL_MAPPINGS; i++) {
		if (run->model.announced[i])
			CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(
					 run->faces.manager,
					 (void *)(UINT64_C(0x100000000) + i * PAGE)),
				 S_OK);
	}
	for (size_t i = 0; i < run->model.count; i++)
		CHECK_HR(faces_free(&run->faces, (void *)run->model.live[i].base), S_OK);
	faces_check_empty(&run->faces);
	CHECK_SIZE(run->heard.sum, 0);
}

static HRESULT create_host(struct run *run)
{
	static const struct {
		uint32_t flags;
		size_t retain;
	} kinds[] = {
		{ 0, 0 },
		{ 0, (size_t)4 << 20 },
		{ HOSTMEM_NO_GUARD_PAGES, 0 },
		{ HOSTMEM_PREFER_HUGE_PAGES, 3 * UNIT },
		{ 0, 0 },
		{ HOSTMEM_NO_GUARD_PAGES, (size_t)1 << 20 },
	};
	size_t kind = (run->seed - 1) % (sizeof(kinds) / sizeof(kinds[0]));
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = kinds[kind].flags;
	config.cbRetain = run->retain = kinds[kind].retain;
	return faces_create_with(&run->faces, &config);
}

static void run_seed(uint64_t seed, uint64_t operations)
{
	struct run run = { .seed = seed, .random = seed };
	size_t in_use = hm_metadata_in_use();
	uint64_t cookie;

	if (!open_window(&run.model) || !CHECK_INT(pipe(run.pipe), 0) ||
	    !CHECK_HR(create_host(&run), S_OK))
		return;
	CHECK_HR(IHostMemoryControl_Subscribe(run.faces.control, 7, hear, &run, &cookie),
		 S_OK);
	for (run.step = 0; run.step < operations && !run.diverged; run.step++) {
		step(&run);
		if (run.step % CHECK_EVERY == CHECK_EVERY - 1)
			compare_all(&run);
	}
	if (!run.diverged)
		compare_all(&run);
	if (!run.diverged)
		release_all(&run);
	CHECK_SIZE(faces_release(&run.faces), 0);
	if (!run.diverged)
		CHECK_SIZE(hm_metadata_in_use(), in_use);
	model_clear(&run.model);
	close_window(&run.model);
	(void)close(run.pipe[0]);
	(void)close(run.pipe[1]);
}

static uint64_t number_from(const char *variable, uint64_t missing)
{
	const char *text = getenv(variable);

	return text != NULL ? strtoull(text, NULL, 0) : missing;
}

static void random_operations_agree_with_a_model_of_pages(void)
{
	uint64_t only = number_from("SEED", 0);
	uint64_t operations = number_from("OPERATIONS", FACES_ROUNDS(400000, 100000));

	for (uint64_t seed = 1; seed <= 6 && only == 0; seed++)
		run_seed(seed, operations);
	if (only != 0)
		run_seed(only, operations);
}

int main(void)
{
	TAP_RUN(random_operations_agree_with_a_model_of_pages);
	return tap_done();
}
