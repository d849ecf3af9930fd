/*
 * What each profile takes for task-critical, as a subscriber hears it: the same request, in
 * different shapes.
 */
#include "attach.h"
#include "child.h"
#include "maps.h"

#define KIB ((size_t)1 << 10)

static struct {
	size_t size; /* the request that is meant */
	int level;   /* -1 = nobody heard of it */
} heard;

static BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event)
{
	(void)state;
	if (event->size >= heard.size)
		heard.level = (int)event->level;
	return TRUE;
}

static void expect(size_t size)
{
	heard.size = size;
	heard.level = -1;
}

/* ---- Shapes ---- */

static void map_pages(size_t size)
{
	expect(size);
	(void)map_new(size, RW);
}

static void map_code(size_t size)
{
	expect(size);
	(void)map_new(size, RW | PROT_EXEC);
}

static void map_over_space(size_t space, size_t size)
{
	unsigned char *base = map_new(space, PROT_NONE);

	expect(size);
	map_over(base + MIB, size, RW);
}

static void map_over_reserved(size_t size)
{
	map_over_space(32 * MIB, size);
}

static void map_over_heap(size_t size)
{
	map_over_space(64 * MIB, size);
}

static void map_over_wanted(size_t size)
{
	unsigned char *hole = pages_hole(64 * MIB), *base;

	base = HostMemMmap(hole, 64 * MIB, PROT_NONE, NEW, -1, 0);
	CHECK_POINTER(base, hole);
	expect(size);
	map_over(base + MIB, size, RW);
}

static void commit_in_a_space(size_t size)
{
	unsigned char *base = map_new(64 * MIB, PROT_NONE);

	expect(size);
	CHECK_KEPT(HostMemMprotect(base + MIB, size, RW));
}

static void commit_in_a_wanted_space(size_t size)
{
	unsigned char *hole = pages_hole(64 * MIB), *base;

	base = HostMemMmap(hole, 64 * MIB, PROT_NONE, NEW, -1, 0);
	expect(size);
	CHECK_KEPT(HostMemMprotect(base + MIB, size, RW));
}

static void commit_in_little_room(size_t size)
{
	unsigned char *base = map_new(8 * MIB, PROT_NONE);

	expect(size);
	CHECK_KEPT(HostMemMprotect(base, size, RW));
}

static void take_a_block(size_t size)
{
	expect(size);
	CHECK(HostMemMalloc(size) != NULL);
}

/* ---- Profiles ---- */

enum { T = eTaskCritical, P = eProcessCritical };

static const struct row {
	const char *profile;
	void (*shape)(size_t size);
	size_t size;
	int level;
} rows[] = {
	{ "generic", map_pages, MIB, T },
	{ "generic", map_pages, MIB - PAGE, P },
	{ "generic", map_code, 2 * MIB, P },
	{ "generic", map_over_reserved, 2 * MIB, P },
	{ "generic", commit_in_a_space, 2 * MIB, P },
	{ "generic", take_a_block, 64 * KIB, T },
	{ "generic", take_a_block, 60 * KIB, P },
	{ "coreclr", map_pages, 2 * MIB, P },
	{ "coreclr", commit_in_a_space, PAGE, T },
	{ "coreclr", commit_in_a_wanted_space, MIB, P },
	{ "coreclr", commit_in_little_room, MIB, P },
	{ "coreclr", take_a_block, 2 * MIB, P },
	{ "hotspot", map_over_reserved, 128 * KIB, P },
	{ "hotspot", map_over_reserved, 64 * KIB, P },
	{ "hotspot", map_over_reserved, 12 * KIB, P },
	{ "hotspot", map_over_heap, 128 * KIB, T },
	{ "hotspot", map_over_heap, 12 * KIB, T },
	{ "hotspot", map_over_heap, 64 * KIB, P },
	{ "hotspot", map_over_wanted, 12 * KIB, T },
	{ "hotspot", map_over_wanted, 64 * KIB, P },
	{ "hotspot", commit_in_a_space, MIB, P },
	{ "hotspot", map_pages, 2 * MIB, P },
	{ "hotspot", take_a_block, MIB, T },
	{ "hotspot", take_a_block, MIB / 2, P },
	{ "v8", map_pages, 2 * MIB, P },
	{ "v8", commit_in_a_space, 2 * MIB, P },
	{ "v8", take_a_block, MIB, T },
	{ "v8", take_a_block, MIB / 2, P },
	{ "mono", map_pages, MIB, T },
	{ "mono", map_pages, MIB / 2, P },
	{ "mono", take_a_block, 2 * MIB, P },
	{ "cpython", map_pages, PAGE, T },
	{ "cpython", map_code, MIB, P },
	{ "cpython", commit_in_a_space, PAGE, T },
	{ "cpython", commit_in_little_room, PAGE, P },
	{ "cpython", take_a_block, 5000, T },
	{ "lua", take_a_block, 5000, T },
	{ "lua", map_code, MIB, P },
};

static const struct row *current;

static void ask_as_the_row_says(void)
{
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	uint64_t cookie;

	how.profile = current->profile;
	if (!host_create(&attach_host, 0) ||
	    !CHECK_HR(HostMemAttach((IUnknown *)attach_host.manager, &how), S_OK) ||
	    !CHECK_HR(IHostMemoryControl_Subscribe(attach_host.control,
						   1U << HostMemEventAllocate, hear, NULL,
						   &cookie),
		      S_OK))
		return;
	current->shape(current->size);
	CHECK_INT(heard.level, current->level);
}

static void a_request_has_the_level_of_its_shape(void)
{
	for (current = rows; current < rows + ROWS(rows); current++) {
		tap_row("%s, row %zu", current->profile, (size_t)(current - rows));
		in_child(ask_as_the_row_says);
	}
}

int main(void)
{
	TAP_RUN(a_request_has_the_level_of_its_shape);
	return tap_done();
}
