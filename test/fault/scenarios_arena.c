/*
 * The calls of the fault sweep that go to the parts of the library that deal with arenas:
 * opening and closing granules, odd ones, shared ones, retained memory, lending.
 *
 * As all calls of scenarios, each can be made at any point and any number of times,
 * whatever was refused before.  Where a host has no arenas, they are calls like others.
 */
#include "test/fault/scenarios.h"

#include "hostmem/arenas.h"

/* ---- Granules of an arena ---- */

/* A reservation without a committed page. */
static void prepare_fresh(struct scene *s, size_t units)
{
	s->fresh = faces_reserve(&s->faces, units * UNIT);
}

static void prepare_small(struct scene *s)
{
	prepare_fresh(s, 6);
}

static void prepare_large(struct scene *s)
{
	prepare_fresh(s, 40);
}

/* In a blank granule, which is opened with its window. */
static HRESULT commit_first(struct scene *s)
{
	return faces_commit(&s->faces, s->fresh + 3 * UNIT + 2 * PAGE, 5 * PAGE);
}

/* From granules that are open into some that are not, in another window. */
static HRESULT commit_onwards(struct scene *s)
{
	return faces_commit(&s->faces, s->fresh + 5 * PAGE, 36 * UNIT);
}

static void write_all(struct scene *s, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		*(uint64_t *)(void *)(s->fresh + i * PAGE) = i + 1;
}

/* So many granules at once that they are opened by themselves. */
static HRESULT commit_many(struct scene *s)
{
	HRESULT hr = faces_commit(&s->faces, s->fresh + 7 * UNIT + PAGE, 20 * UNIT);

	if (SUCCEEDED(hr))
		write_all(s, 8 * UNIT / PAGE, 8);
	return hr;
}

static bool is_committed(const struct scene *s, char *from, size_t size)
{
	MEMORY_BASIC_INFORMATION run;

	for (char *at = from; at < from + size; at += run.RegionSize) {
		if (faces_query(&s->faces, at, &run) != S_OK || run.State != MEM_COMMIT)
			return false;
	}
	return true;
}

static HRESULT commit_as(struct scene *s, size_t first, size_t count, DWORD protect)
{
	void *out;

	return faces_alloc(&s->faces, s->fresh + first * PAGE, count * PAGE, MEM_COMMIT,
			   protect, &out);
}

static HRESULT commit_readonly(struct scene *s)
{
	return commit_as(s, 12, 8, PAGE_READONLY);
}

static HRESULT commit_without_access(struct scene *s)
{
	return commit_as(s, 30, 20, PAGE_NOACCESS);
}

static HRESULT commit_where_it_is_odd(struct scene *s)
{
	return commit_as(s, 5, 40, PAGE_READWRITE);
}

/* If it is committed, all of which was refused perhaps. */
static HRESULT protect_granule(struct scene *s, DWORD protect)
{
	HRESULT hr = faces_protect(&s->faces, s->fresh + UNIT, UNIT, protect);

	return hr == INVALID_ADDRESS && !is_committed(s, s->fresh + UNIT, UNIT) ? S_OK
										: hr;
}

static HRESULT protect_whole_granules(struct scene *s)
{
	return protect_granule(s, PAGE_READONLY);
}

/* For the first time these are set apart. */
static HRESULT protect_them_back(struct scene *s)
{
	return protect_granule(s, PAGE_READWRITE);
}

static HRESULT decommit_odd(struct scene *s)
{
	return faces_decommit(&s->faces, s->fresh + 10 * PAGE, 27 * PAGE);
}

static void check_zero(const char *from, size_t pages)
{
	for (size_t i = 0; i < pages * PAGE / 8; i++) {
		if (!CHECK_SIZE(((const uint64_t *)(const void *)from)[i], 0))
			return;
	}
}

/* What was decommitted is zero, whatever it was before; then it is no more. */
static HRESULT commit_what_was_odd(struct scene *s)
{
	HRESULT hr = commit_as(s, 10, 20, PAGE_READWRITE);

	/* Up to page 37 all of it was decommitted, the first time. */
	if (SUCCEEDED(hr))
		check_zero(s->fresh + 10 * PAGE, 20);
	return hr;
}

static HRESULT decommit_many(struct scene *s)
{
	return faces_decommit(&s->faces, s->fresh + 5 * PAGE, 20 * UNIT);
}

static HRESULT commit_many_again(struct scene *s)
{
	HRESULT hr = faces_commit(&s->faces, s->fresh + 8 * UNIT, 9 * UNIT);

	if (SUCCEEDED(hr))
		check_zero(s->fresh + 8 * UNIT, 8);
	return hr;
}

static HRESULT release_inside_a_blank_granule(struct scene *s)
{
	return IHostMemoryPages_ReleaseRange(s->faces.pages, s->fresh + 20 * PAGE,
					     3 * PAGE);
}

/* Pages of both parts, which share a granule. */
static HRESULT commit_beside(struct scene *s)
{
	return commit_as(s, 14, 6, PAGE_READWRITE);
}

static HRESULT commit_behind(struct scene *s)
{
	MEMORY_BASIC_INFORMATION run;

	/* If the range was not released, this is inside the one reservation. */
	CHECK_HR(faces_query(&s->faces, s->fresh + 23 * PAGE, &run), S_OK);
	CHECK(run.State != MEM_FREE);
	return commit_as(s, 23, 12, PAGE_READWRITE);
}

static HRESULT release_the_left_part(struct scene *s)
{
	return faces_free(&s->faces, s->fresh);
}

/* ---- Reservations of all kinds ---- */

static HRESULT reserve_large(struct scene *s)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, NULL, 40 * UNIT, MEM_RESERVE, PAGE_READWRITE,
				 &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	s->fresh = out;
	return hr;
}

static HRESULT reserve_written(struct scene *s, size_t pages)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, NULL, pages * PAGE, MEM_RESERVE | MEM_COMMIT,
				 PAGE_READWRITE, &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	s->fresh = out;
	if (FAILED(hr))
		return hr;
	check_zero(out, pages);
	memset(out, 0xC7, pages * PAGE);
	return hr;
}

/* Released, it is kept for reuse; then it is found again, or not. */
static HRESULT reserve_kept(struct scene *s)
{
	return reserve_written(s, 37);
}

static HRESULT reserve_more_than_is_kept(struct scene *s)
{
	return reserve_written(s, 70);
}

/* Twelve reservations of which so many granules are open that some are closed. */
static void prepare_many_open(struct scene *s)
{
	for (size_t i = 0; i < SCENE_BLOCKS; i++) {
		s->blocks[i] = faces_reserve(&s->faces, 31 * UNIT);
		CHECK_HR(faces_commit(&s->faces, s->blocks[i] + 3 * UNIT, 2 * PAGE),
			 S_OK);
	}
}

static HRESULT release_blocks(struct scene *s)
{
	for (size_t i = 0; i < SCENE_BLOCKS; i++) {
		HRESULT hr = faces_free(&s->faces, s->blocks[i]);

		if (FAILED(hr))
			return hr;
	}
	return S_OK;
}

static bool is_free(const struct scene *s, char *at, size_t size)
{
	MEMORY_BASIC_INFORMATION run;

	return faces_query(&s->faces, at, &run) == S_OK && run.State == MEM_FREE &&
	       run.RegionSize >= size;
}

static HRESULT reserve_wanted_outside(struct scene *s, const struct hm_arena *arena)
{
	bool below = s->wanted < (char *)arena->base;
	void *out;
	HRESULT hr = faces_alloc(&s->faces, below ? s->wanted : s->wanted + 2 * UNIT,
				 UNIT, MEM_RESERVE, PAGE_READWRITE, &out);

	return SUCCEEDED(hr) ? faces_free(&s->faces, out) : hr;
}

/* Four units, two of which are in an arena: at its beginning, or at its end. */
static void prepare_border(struct scene *s)
{
	const struct hm_arena *arena;
	char *border;

	s->wanted = (char *)FACES_FAR;
	prepare_large(s);
	arena = hm_arena_of((uintptr_t)s->fresh);
	CHECK_HR(faces_free(&s->faces, s->fresh), S_OK);
	s->fresh = NULL;
	if (arena == NULL || arena->end == 0)
		return;
	border = (char *)arena->base;
	if (!is_free(s, border - 2 * UNIT, 4 * UNIT))
		border = (char *)arena->end;
	s->wanted = border - 2 * UNIT;
	/* So that the books of the addresses outside are not mapped later, right there. */
	CHECK_HR(reserve_wanted_outside(s, arena), S_OK);
	CHECK(is_free(s, s->wanted, 4 * UNIT));
}

/* In an arena of the other set, which a host has left behind. */
static void prepare_others_arena(struct scene *s)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	struct faces others;

	if (!CHECK_HR(faces_create_with(&others, &config), S_OK))
		return;
	s->wanted = faces_reserve(&others, 40 * UNIT);
	CHECK_HR(faces_free(&others, s->wanted), S_OK);
	CHECK_SIZE(faces_release(&others), 0);
}

static HRESULT reserve_wanted(struct scene *s)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, s->wanted, 4 * UNIT, MEM_RESERVE,
				 PAGE_READWRITE, &out);

	CHECK_POINTER(out, SUCCEEDED(hr) ? s->wanted : NULL);
	s->fresh = out;
	return hr;
}

static HRESULT commit_wanted(struct scene *s)
{
	HRESULT hr = S_OK;

	if (s->fresh != NULL)
		hr = commit_as(s, 30, 4, PAGE_READWRITE);
	if (s->fresh != NULL && SUCCEEDED(hr))
		write_all(s, 30, 4);
	return hr;
}

/* ---- Huge pages ---- */

static void prepare_huge(struct scene *s)
{
	prepare_fresh(s, 60);
}

static HRESULT commit_huge(struct scene *s)
{
	return faces_commit(&s->faces, s->fresh + 2 * UNIT, 50 * UNIT);
}

static HRESULT decommit_huge(struct scene *s)
{
	return faces_decommit(&s->faces, s->fresh + UNIT, 59 * UNIT);
}

static HRESULT reserve_huge(struct scene *s)
{
	void *out = s;
	HRESULT hr = faces_alloc(&s->faces, NULL, 32 * UNIT + PAGE,
				 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE, &out);

	CHECK_INT(out != NULL, SUCCEEDED(hr));
	CHECK_SIZE((uintptr_t)out % (32 * UNIT), 0);
	s->fresh = out;
	return hr;
}

const struct scenario scenario_first = {
	.bare = true,
	.calls = {
		{ GRANT, play_reserve },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_large },
		{ GIVE, play_release_fresh },
		{ GRANT, play_reserve_committed },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_open = {
	.prepare = prepare_large,
	.calls = {
		{ GRANT, commit_first },
		{ GRANT, commit_onwards },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_close = {
	.prepare = prepare_large,
	.calls = {
		{ GRANT, commit_many },
		{ GIVE, decommit_many },
		{ GRANT, commit_many_again },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_odd = {
	.prepare = prepare_small,
	.calls = {
		{ GRANT, commit_readonly },
		{ GRANT, commit_without_access },
		{ GRANT, commit_where_it_is_odd },
		{ GRANT, protect_whole_granules },
		{ GRANT, protect_them_back },
		{ GIVE, decommit_odd },
		{ GRANT, commit_what_was_odd },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_share = {
	.prepare = prepare_small,
	.calls = {
		{ GRANT, commit_beside },
		{ GRANT, release_inside_a_blank_granule },
		{ GRANT, commit_behind },
		{ GIVE, release_the_left_part },
	},
};

const struct scenario scenario_retain = {
	.retain = (size_t)1 << 20,
	.calls = {
		{ GRANT, reserve_kept },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_kept },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_more_than_is_kept },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_kept },
	},
};

const struct scenario scenario_excess = {
	.prepare = prepare_many_open,
	.calls = {
		{ GIVE, release_blocks },
		{ GRANT, play_reserve_committed },
	},
};

const struct scenario scenario_lend = {
	.bare = true,
	.prepare = prepare_border,
	.calls = {
		{ GRANT, reserve_wanted },
		{ GRANT, commit_wanted },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_wanted },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_lend_all = {
	.flags = HOSTMEM_NO_GUARD_PAGES,
	.prepare = prepare_others_arena,
	.calls = {
		{ GRANT, reserve_wanted },
		{ GRANT, commit_wanted },
		{ GIVE, play_release_fresh },
	},
};

const struct scenario scenario_huge = {
	.flags = HOSTMEM_PREFER_HUGE_PAGES,
	.prepare = prepare_huge,
	.calls = {
		{ GRANT, commit_huge },
		{ GIVE, decommit_huge },
		{ GIVE, play_release_fresh },
		{ GRANT, reserve_huge },
		{ GIVE, play_release_fresh },
	},
};
