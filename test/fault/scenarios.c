/*
 * The calls of the fault sweep, and the scenarios they make up: see scenarios.h.
 *
 * Every call can be made at any point and any number of times, whatever was refused
 * before; what it knows to be true of its own answer it checks.
 */
#include "test/fault/scenarios.h"

HRESULT play_reserve(struct scene *s)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, NULL, 5 * PAGE, MEM_RESERVE, PAGE_READWRITE,
				 &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	s->fresh = out;
	return hr;
}

static HRESULT reserve_far(struct scene *s)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, (void *)FACES_FAR, 5 * PAGE, MEM_RESERVE,
				 PAGE_READWRITE, &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	s->fresh = out;
	return hr;
}

HRESULT play_reserve_committed(struct scene *s)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, NULL, 37 * PAGE, MEM_RESERVE | MEM_COMMIT,
				 PAGE_READWRITE, &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	s->fresh = out;
	if (SUCCEEDED(hr))
		s->fresh[36 * PAGE] = 1;
	return hr;
}

static HRESULT reserve_guarded(struct scene *s)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, NULL, 300 * PAGE, MEM_RESERVE | MEM_COMMIT,
				 PAGE_READWRITE | PAGE_GUARD, &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	s->fresh = out;
	return hr;
}

static HRESULT reserve_aligned(struct scene *s)
{
	void *out = s;
	HRESULT hr = IHostMemoryPages_ReserveAligned(s->faces.pages, 9 * PAGE,
						     (size_t)4 << 20,
						     MEM_RESERVE | MEM_COMMIT,
						     PAGE_READONLY, eTaskCritical, &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	CHECK_SIZE((uintptr_t)out % ((size_t)4 << 20), 0);
	s->fresh = out;
	return hr;
}

static HRESULT commit_fresh_pages(struct scene *s)
{
	return faces_commit(&s->faces, s->base + 48 * PAGE, 8 * PAGE);
}

static HRESULT commit_across_all_runs(struct scene *s)
{
	return faces_commit(&s->faces, s->base + 2 * PAGE, 60 * PAGE);
}

static HRESULT commit_again(struct scene *s)
{
	void *out;

	return faces_alloc(&s->faces, s->base, 4 * PAGE, MEM_COMMIT, PAGE_READONLY, &out);
}

static HRESULT protect_one_run(struct scene *s)
{
	return faces_protect(&s->faces, s->base + 3 * PAGE, 4 * PAGE, PAGE_NOACCESS);
}

static HRESULT protect_across_runs(struct scene *s)
{
	return faces_protect(&s->faces, s->base + 25 * PAGE, 22 * PAGE, PAGE_READWRITE);
}

static HRESULT guard_some(struct scene *s)
{
	return faces_protect(&s->faces, s->base + 4 * PAGE, 9 * PAGE,
			     PAGE_READWRITE | PAGE_GUARD);
}

static HRESULT reset_some(struct scene *s)
{
	void *out;

	/* Of pages that are fresh, so that nobody can tell: it changes nothing. */
	return faces_alloc(&s->faces, s->base + 48 * PAGE, 4 * PAGE, MEM_RESET,
			   PAGE_READWRITE, &out);
}

static HRESULT decommit_inside_a_run(struct scene *s)
{
	return faces_decommit(&s->faces, s->base + 5 * PAGE, 3 * PAGE);
}

static HRESULT decommit_across_runs(struct scene *s)
{
	return faces_decommit(&s->faces, s->base + 12 * PAGE, 30 * PAGE);
}

static HRESULT decommit_all(struct scene *s)
{
	return faces_decommit(&s->faces, s->base, 0);
}

/* Pages that were taken away are zero when they come back, whatever was refused. */
static HRESULT commit_decommitted(struct scene *s)
{
	HRESULT hr = faces_commit(&s->faces, s->base + 5 * PAGE, 3 * PAGE);

	for (size_t i = 5; i < 8 && SUCCEEDED(hr); i++)
		CHECK_SIZE(*(uint64_t *)(void *)(s->base + i * PAGE), 0);
	return hr;
}

static HRESULT release(struct scene *s)
{
	return faces_free(&s->faces, s->base);
}

HRESULT play_release_fresh(struct scene *s)
{
	HRESULT hr = s->fresh != NULL ? faces_free(&s->faces, s->fresh) : S_OK;

	s->fresh = NULL;
	return hr;
}

static HRESULT release_middle(struct scene *s)
{
	return IHostMemoryPages_ReleaseRange(s->faces.pages, s->base + 20 * PAGE,
					     10 * PAGE);
}

static HRESULT release_front(struct scene *s)
{
	return IHostMemoryPages_ReleaseRange(s->faces.pages, s->base, 3 * PAGE);
}

static HRESULT release_tail(struct scene *s)
{
	return IHostMemoryPages_ReleaseRange(s->faces.pages, s->base + 50 * PAGE,
					     14 * PAGE);
}

static HRESULT query_own(struct scene *s)
{
	MEMORY_BASIC_INFORMATION run;
	HRESULT hr = faces_query(&s->faces, s->base, &run);

	CHECK_POINTER(run.AllocationBase, s->base);
	return hr;
}

static HRESULT query_foreign(struct scene *s)
{
	MEMORY_BASIC_INFORMATION run;
	HRESULT hr = faces_query(&s->faces, s->foreign + 3 * PAGE, &run);

	if (FAILED(hr))
		return hr;
	CHECK_U32(run.State, MEM_COMMIT);
	CHECK_U32(run.Type, MEM_MAPPED);
	CHECK_POINTER(run.AllocationBase, s->foreign);
	return hr;
}

static HRESULT protect_foreign(struct scene *s)
{
	HRESULT hr = faces_protect(&s->faces, s->foreign, 4 * PAGE, PAGE_READONLY);

	if (hr != E_FAIL)
		CHECK_INT(scene_accessible(s, s->foreign + 8, true), FAILED(hr));
	CHECK_INT(scene_accessible(s, s->foreign + 3 * PAGE + 8, true), 0);
	return hr;
}

static HRESULT need_room(struct scene *s)
{
	return IHostMemoryManager_NeedsVirtualAddressSpace(s->faces.manager, NULL,
							   64 * PAGE);
}

static char *mapping(size_t n)
{
	return (char *)UINT64_C(0x300000000) + n * UNIT;
}

/* S_OK always; what the books had no room for is not charged. */
static HRESULT acquire_many(struct scene *s)
{
	for (size_t i = 0; i < 100; i++)
		CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(s->faces.manager,
									mapping(i), PAGE),
			 S_OK);
	return S_OK;
}

static HRESULT acquire_inside(struct scene *s)
{
	return IHostMemoryManager_AcquiredVirtualAddressSpace(s->faces.manager,
							      mapping(1) + 8, 16);
}

static HRESULT give_up_mappings(struct scene *s)
{
	for (size_t i = 0; i < 100; i++) {
		size_t before = faces_usage(&s->faces).cbExternal;
		HRESULT hr =
			IHostMemoryManager_ReleasedVirtualAddressSpace(s->faces.manager,
								       mapping(i));

		if (hr != HOST_E_INVALIDOPERATION)
			CHECK_HR(hr, S_OK);
		else
			CHECK_SIZE(faces_usage(&s->faces).cbExternal, before);
	}
	(void)IHostMemoryManager_ReleasedVirtualAddressSpace(s->faces.manager,
							     mapping(1) + 8);
	CHECK_SIZE(faces_usage(&s->faces).cbExternal, 0);
	return S_OK;
}

static BOOL HOSTMEM_CALL agree(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return TRUE;
}

static HRESULT subscribe_and_leave(struct scene *s)
{
	uint64_t cookie = 1;
	HRESULT hr = IHostMemoryControl_Subscribe(s->faces.control, 7, agree, NULL,
						  &cookie);

	CHECK_INT(cookie != 0, SUCCEEDED(hr));
	if (SUCCEEDED(hr))
		CHECK_HR(IHostMemoryControl_Unsubscribe(s->faces.control, cookie), S_OK);
	return hr;
}

static HRESULT walk(struct scene *s)
{
	faces_check_account(&s->faces);
	return S_OK;
}

const struct scenario scenario_reserve = {
	.calls = {
		{ GRANT, play_reserve },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_far },
		{ GRANT, reserve_guarded },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_reserve_commit = {
	.calls = {
		{ GRANT, play_reserve_committed },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_aligned },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_commit = {
	.calls = {
		{ GRANT, commit_fresh_pages },
		{ GRANT, reset_some },
		{ GRANT, commit_again },
		{ GRANT, commit_across_all_runs },
	},
};

const struct scenario scenario_protect = {
	.calls = {
		{ GRANT, protect_one_run },
		{ GRANT, guard_some },
		{ GRANT, protect_across_runs },
	},
};

const struct scenario scenario_decommit = {
	.calls = {
		{ GIVE, decommit_inside_a_run },
		{ GRANT, commit_decommitted },
		{ GIVE, decommit_across_runs },
		{ GIVE, decommit_all },
		{ GRANT, commit_decommitted },
	},
};

const struct scenario scenario_release = {
	.calls = {
		{ GIVE, release },
		{ GRANT, play_reserve },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_split = {
	.calls = {
		{ GRANT, release_middle },
		{ GRANT, release_front },
		{ GRANT, release_tail },
	},
};

/* What cannot be read is left out. */
static HRESULT ask_for_the_load(struct scene *s)
{
	DWORD load = 101;
	SIZE_T available = 0;
	HRESULT hr = IHostMemoryManager_GetMemoryLoad(s->faces.manager, &load,
						      &available);

	CHECK(load <= 100);
	CHECK(available != 0);
	return hr;
}

const struct scenario scenario_foreign = {
	.calls = {
		{ OBSERVE, query_own },
		{ GRANT, query_foreign },
		{ GRANT, protect_foreign },
		{ GRANT, need_room },
		{ OBSERVE, walk },
		{ OBSERVE, ask_for_the_load },
	},
};

const struct scenario scenario_mappings = {
	.calls = {
		{ GIVE, acquire_many },
		{ GIVE, acquire_inside },
		{ GIVE, give_up_mappings },
	},
};

const struct scenario scenario_subscribe = {
	.calls = {
		{ GRANT, subscribe_and_leave },
	},
};

const struct scenario scenario_many_regions = {
	.calls = {
		{ GRANT, play_reserve_committed },
		{ GRANT, release_middle },
		{ GIVE, acquire_inside },
	},
};
