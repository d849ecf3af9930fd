/*
 * A range cut into pieces: whose each part of it is.
 */
#include "hostmem/attach/attached.h"
#include "hostmem/attach/overlays.h"
#include "hostmem/attach/pieces.h"

#include "test/stress/faces.h"

#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)

static struct faces faces, other;
static unsigned char *window; /* of 16 units */

/* Units 2 and 3 are one reservation, 4 another; in 3 is an overlay; 6 is another host's. */
static bool furnish(void)
{
	size_t size = 16 * UNIT;
	void *gap = mmap(NULL, size + UNIT, PROT_NONE, NEW | MAP_NORESERVE, -1, 0);
	void *out;

	if (!CHECK(gap != MAP_FAILED) || !CHECK_INT(munmap(gap, size + UNIT), 0))
		return false;
	window = (unsigned char *)(((uintptr_t)gap + UNIT - 1) / UNIT * UNIT);
	CHECK_HR(faces_alloc(&faces, window + 2 * UNIT, 2 * UNIT,
			     MEM_RESERVE | MEM_TOP_DOWN, PAGE_NOACCESS, &out),
		 S_OK);
	CHECK_HR(faces_alloc(&faces, window + 4 * UNIT, UNIT - PAGE,
			     MEM_RESERVE | MEM_TOP_DOWN, PAGE_NOACCESS, &out),
		 S_OK);
	CHECK_HR(faces_alloc(&other, window + 6 * UNIT, UNIT, MEM_RESERVE | MEM_TOP_DOWN,
			     PAGE_NOACCESS, &out),
		 S_OK);
	return CHECK(hm_overlays_add((uintptr_t)window + 3 * UNIT,
				     (uintptr_t)window + 3 * UNIT + 2 * PAGE));
}

static void a_range_is_cut_where_its_owner_changes(void)
{
	static const struct {
		enum hm_piece_owner owner;
		size_t end;
	} rows[] = {
		{ HM_PIECE_SYSTEM, 2 * 65536 },
		{ HM_PIECE_HOST, 3 * 65536 },
		{ HM_PIECE_OVERLAY, 3 * 65536 + 2 * 4096 },
		{ HM_PIECE_HOST, 4 * 65536 },
		{ HM_PIECE_HOST, 5 * 65536 - 4096 },
		{ HM_PIECE_SYSTEM, 6 * 65536 },
		{ HM_PIECE_SYSTEM, 16 * 65536 },
	};
	uintptr_t start = (uintptr_t)window, end = start + 16 * UNIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hm_piece piece = hm_piece_at(start, end);

		tap_row("piece %zu", i);
		CHECK_INT(piece.owner, rows[i].owner);
		CHECK_SIZE(piece.start, start);
		CHECK_SIZE(piece.end - (uintptr_t)window, rows[i].end);
		CHECK_SIZE(hm_piece_size(&piece), piece.end - piece.start);
		if (piece.owner != HM_PIECE_SYSTEM)
			CHECK(piece.region.base <= start &&
			      piece.region.end >= piece.end);
		start = piece.end;
	}
	CHECK_SIZE(start, end);
}

static void a_piece_ends_with_the_range(void)
{
	uintptr_t start = (uintptr_t)window;
	struct hm_piece piece = hm_piece_at(start + 2 * UNIT + PAGE,
					    start + 2 * UNIT + 3 * PAGE);

	CHECK_INT(piece.owner, HM_PIECE_HOST);
	CHECK_SIZE(hm_piece_size(&piece), 2 * PAGE);
	piece = hm_piece_at(start + 3 * UNIT + PAGE, start + 3 * UNIT + 2 * PAGE);
	CHECK_INT(piece.owner, HM_PIECE_OVERLAY);
	CHECK_SIZE(hm_piece_size(&piece), PAGE);
	piece = hm_piece_at(start, start + PAGE);
	CHECK_INT(piece.owner, HM_PIECE_SYSTEM);
	CHECK_SIZE(hm_piece_size(&piece), PAGE);
	/* Beyond all that can be anybody's. */
	piece = hm_piece_at(USER_END, UINTPTR_MAX - PAGE + 1);
	CHECK_INT(piece.owner, HM_PIECE_SYSTEM);
	CHECK_SIZE(piece.end, UINTPTR_MAX - PAGE + 1);
}

static void ours_is_found_anywhere_in_a_range(void)
{
	static const struct {
		size_t first, end; /* units */
		bool ours;
	} rows[] = { { 0, 2, false }, { 0, 3, true },   { 3, 4, true }, { 5, 6, false },
		     { 6, 7, false }, { 5, 16, false }, { 0, 16, true } };
	uintptr_t start = (uintptr_t)window;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_row("units %zu to %zu", rows[i].first, rows[i].end);
		CHECK_INT(hm_pieces_any_ours(start + rows[i].first * UNIT,
					     start + rows[i].end * UNIT),
			  rows[i].ours);
		CHECK(!hm_pieces_any_heaps(start + rows[i].first * UNIT,
					   start + rows[i].end * UNIT));
	}
}

static void pages_of_a_heap_are_told_apart(void)
{
	void *block = HostMemMalloc(100000);
	uintptr_t start = (uintptr_t)block / UNIT * UNIT;
	struct hm_piece piece = hm_piece_at(start, start + UNIT);

	CHECK_INT(piece.owner, HM_PIECE_HEAP);
	CHECK(hm_pieces_any_heaps(start - UNIT, start + PAGE));
	CHECK(hm_pieces_any_ours(start, start + PAGE));
	HostMemFree(block);
}

int main(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	if (!CHECK_HR(faces_create_with(&faces, &config), S_OK) ||
	    !CHECK_HR(faces_create_with(&other, &config), S_OK) ||
	    !CHECK_HR(HostMemAttach((IUnknown *)faces.manager, NULL), S_OK) || !furnish())
		return tap_done();
	TAP_RUN(a_range_is_cut_where_its_owner_changes);
	TAP_RUN(a_piece_ends_with_the_range);
	TAP_RUN(ours_is_found_anywhere_in_a_range);
	TAP_RUN(pages_of_a_heap_are_told_apart);
	return tap_done();
}
