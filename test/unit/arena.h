/*
 * What the tests of arenas share: the system's calls counted, refused and led to a place,
 * the kernel's own word on what a page is, and arenas that are there for one test.
 */
#ifndef HOSTMEM_UNIT_ARENA_H
#define HOSTMEM_UNIT_ARENA_H

#include "fake.h"
#include "hostmem/opening.h"
#include "hostmem/os/memory.h"
#include "hostmem/os/spare.h"
#include "hostmem/shelf.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALLEST_GRANULES ((uint32_t)(HM_ARENA_SMALLEST >> HM_GRANULE_SHIFT))

static struct hm_arenas *const both_sets[] = { &hm_arenas_with_guards,
					       &hm_arenas_without_guards };

/* ---- The system's calls ---- */

enum seam_call {
	CALL_MAP,
	CALL_BLANK, /* a fresh mapping over what is there */
	CALL_UNMAP,
	CALL_PROTECT,
	CALL_GUARD,
	CALL_UNGUARD,
	CALL_DROP,
	CALL_DUMP,  /* in core dumps or not */
	CALL_APART, /* merged with its neighbours or not */
	SEAM_CALLS
};

static struct {
	struct hm_system_calls real;
	unsigned calls[SEAM_CALLS];
	unsigned pass[SEAM_CALLS]; /* so many calls more are let through */
	int error[SEAM_CALLS];     /* after those, they are refused with this; 0 = not */
	size_t most;               /* the largest mapping there is; 0 = any */
	bool no_records;           /* no mapping that can be written */
	bool exact_is_hint;        /* a kernel before 4.17: an exact place is a wish */
	uintptr_t place;           /* where the next arena goes; 0 = anywhere */
	uintptr_t last;            /* where the last mapping went */
} seam;

static inline bool seam_refuses(enum seam_call call)
{
	seam.calls[call]++;
	if (seam.error[call] == 0)
		return false;
	if (seam.pass[call] != 0) {
		seam.pass[call]--;
		return false;
	}
	errno = seam.error[call];
	return true;
}

static inline void *seam_map(void *address, size_t size, int protection, int flags,
			     int file, long offset)
{
	void *mapped;

	if (seam_refuses(flags & MAP_FIXED ? CALL_BLANK : CALL_MAP))
		return MAP_FAILED;
	if ((seam.most != 0 && size > seam.most) ||
	    (seam.no_records && (protection & PROT_WRITE))) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (seam.exact_is_hint && (flags & MAP_FIXED_NOREPLACE)) {
		flags &= ~MAP_FIXED_NOREPLACE;
		address = NULL;
	} else if (seam.place != 0 && size >= HM_ARENA_SMALLEST &&
		   !(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))) {
		address = (void *)seam.place;
		seam.place = 0;
	}
	mapped = seam.real.map(address, size, protection, flags, file, offset);
	seam.last = (uintptr_t)mapped;
	return mapped;
}

static inline int seam_unmap(void *address, size_t size)
{
	return seam_refuses(CALL_UNMAP) ? -1 : seam.real.unmap(address, size);
}

static inline int seam_protect(void *address, size_t size, int protection)
{
	return seam_refuses(CALL_PROTECT) ? -1
					  : seam.real.protect(address, size, protection);
}

static inline int seam_advise(void *address, size_t size, int advice)
{
	enum { GUARD_INSTALL = 102, GUARD_REMOVE = 103 };
	enum seam_call call = advice == GUARD_INSTALL  ? CALL_GUARD
			      : advice == GUARD_REMOVE ? CALL_UNGUARD
			      : advice == MADV_DODUMP || advice == MADV_DONTDUMP
				      ? CALL_DUMP
			      : advice == MADV_RANDOM || advice == MADV_NORMAL
				      ? CALL_APART
				      : CALL_DROP;

	return seam_refuses(call) ? -1 : seam.real.advise(address, size, advice);
}

static inline void seam_install(void)
{
	memset(&seam, 0, sizeof(seam));
	seam.real = hm_system;
	hm_system.map = seam_map;
	hm_system.unmap = seam_unmap;
	hm_system.protect = seam_protect;
	hm_system.advise = seam_advise;
}

static inline void seam_remove(void)
{
	hm_system = seam.real;
}

/* Counts from here on, and refuses nothing. */
static inline void seam_count(void)
{
	memset(seam.calls, 0, sizeof(seam.calls));
	memset(seam.pass, 0, sizeof(seam.pass));
	memset(seam.error, 0, sizeof(seam.error));
	seam.most = 0;
	seam.no_records = seam.exact_is_hint = false;
}

/* ---- What a page is, in the kernel's words ---- */

static inline const int *probe_pipe(void)
{
	static int ends[2];

	if (ends[1] == 0 && pipe(ends) != 0)
		abort();
	return ends;
}

/* A byte goes through a pipe and back to where it was. */
static inline unsigned access_at(uintptr_t address)
{
	const int *ends = probe_pipe();
	char byte;

	if (write(ends[1], (const void *)address, 1) != 1)
		return HM_ACCESS_NONE;
	if (read(ends[0], (void *)address, 1) == 1)
		return HM_ACCESS_READ | HM_ACCESS_WRITE;
	return read(ends[0], &byte, 1) == 1 ? HM_ACCESS_READ : HM_ACCESS_NONE;
}

static inline bool is_mapped(uintptr_t address)
{
	unsigned char resident;

	return mincore((void *)address, PAGE, &resident) == 0;
}

static inline uint8_t *bytes_at(uintptr_t address)
{
	return (uint8_t *)address;
}

/* The first byte of each page. */
static inline void write_to(uintptr_t address, size_t size, uint8_t value)
{
	for (size_t at = 0; at < size; at += PAGE)
		*bytes_at(address + at) = value;
}

static inline void check_bytes(uintptr_t address, size_t size, uint8_t value)
{
	for (size_t at = 0; at < size; at += PAGE) {
		if (!CHECK_U32(*bytes_at(address + at), value))
			return;
	}
}

/* Whether core dumps have the page. */
static inline bool is_dumped(uintptr_t address)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	uintptr_t low, high;
	char line[512];
	bool dumped = false, inside = false;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &low, &high) == 2)
			inside = address >= low && address < high;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			dumped = strstr(line, " dd") == NULL;
	}
	if (CHECK(file != NULL))
		fclose(file);
	return dumped;
}

/* How many mappings begin in a range. */
static inline unsigned mappings_between(uintptr_t start, uintptr_t end)
{
	FILE *file = fopen("/proc/self/maps", "re");
	uintptr_t low, high;
	char line[512];
	unsigned count = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		count += sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &low, &high) == 2 &&
			 low >= start && low < end;
	if (CHECK(file != NULL))
		fclose(file);
	return count;
}

#define CHECK_ACCESS(start, end, access) \
	check_access((start), (end), (access), __FILE__, __LINE__)

/* Every page of a range; those that can be read are zero. */
static inline void check_access(uintptr_t start, uintptr_t end, unsigned access,
				const char *file, int line)
{
	for (uintptr_t at = start; at < end; at += PAGE) {
		unsigned got = access_at(at);

		if (!tap_check_unsigned(got, access, "access of a page", file, line) ||
		    ((got & HM_ACCESS_READ) &&
		     !tap_check_unsigned(*bytes_at(at), 0, "contents", file, line))) {
			printf("# page %zu of %zu\n", (at - start) / PAGE,
			       (end - start) / PAGE);
			return;
		}
	}
}

/* ---- Arenas for one test ---- */

static inline void check_arenas(const char *file, int line)
{
	for (size_t i = 0; i < ROWS(both_sets); i++)
		tap_check_str(hm_arenas_check(both_sets[i]), NULL, "hm_arenas_check",
			      file, line);
}

#define CHECK_ARENAS() check_arenas(__FILE__, __LINE__)

static inline unsigned live_arenas(const struct hm_arenas *set)
{
	unsigned count = 0;

	for (struct hm_arena *arena = set->first; arena != NULL;
	     arena = arena->next_in_set)
		count += arena->phase == HM_ARENA_LIVE;
	return count;
}

/* From here on inside the library, with no arena. */
static inline void arenas_begin(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_calls_enter();
	CHECK(hm_metadata_prepare());
	CHECK(hm_spare_keep());
	(void)hm_memory_has_guards();
	seam_install();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		struct hm_arenas *set = both_sets[i];

		CHECK_U32(live_arenas(set), 0);
		set->largest = HM_ARENA_LARGEST;
		set->openings = 0;
		for (size_t home = 0; home < HM_ARENA_HOMES; home++)
			set->homes[home] = NULL;
	}
}

static inline void arenas_end(void)
{
	seam_remove();
	CHECK_ARENAS();
	for (size_t i = 0; i < ROWS(both_sets); i++)
		(void)hm_shelves_clear(both_sets[i]);
	(void)hm_arenas_trim();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		CHECK_U32(live_arenas(both_sets[i]), 0);
		CHECK_U32(both_sets[i]->idle, 0);
	}
	hm_calls_leave();
}

static inline struct hm_arena *needed(struct hm_arena *arena)
{
	if (arena != NULL)
		return arena;
	printf("Bail out! There is no arena.\n");
	exit(1);
}

static inline size_t size_of(const struct hm_arena *arena)
{
	return arena->end - arena->base;
}

/*
 * 4 GiB, at a multiple of that, where nothing is mapped, nor in the 4 GiB around; `below`
 * others like it.
 */
static inline uintptr_t empty_block(size_t below)
{
	size_t size = (below + 4) * HM_ARENA_LARGEST;
	void *address = mmap(NULL, size, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (address == MAP_FAILED || munmap(address, size) != 0)
		abort();
	return hm_round_up((uintptr_t)address, HM_ARENA_LARGEST) + HM_ARENA_LARGEST;
}

/* An arena of the smallest size, 4 MiB, at a place; 0 = anywhere. */
static inline struct hm_arena *small_arena(struct hm_arenas *set, uintptr_t place)
{
	struct hm_arena *arena;

	seam.place = place;
	set->largest = HM_ARENA_SMALLEST;
	arena = needed(hm_arena_make(set, HM_ARENA_SMALLEST));
	CHECK_SIZE(size_of(arena), HM_ARENA_SMALLEST);
	CHECK(place == 0 || arena->base == place);
	return arena;
}

/* What hosts do when nothing is taken in it any more. */
static inline bool unmap_arena(struct hm_arena *arena)
{
	if (!hm_arena_lock(arena))
		return false;
	hm_arena_unmap_locked(arena);
	return true;
}

static inline struct hm_place place_in(struct hm_arena *arena, uint32_t first,
				       uint32_t count)
{
	return (struct hm_place){ arena, first, count };
}

/* The same, taken. */
static inline struct hm_place taken(struct hm_arena *arena, uint32_t first,
				    uint32_t count)
{
	struct hm_place place = place_in(arena, first, count);

	CHECK(hm_place_take_exactly(&place));
	return place;
}

static inline void give(struct hm_place place)
{
	hm_place_give(&place, NULL);
}

static inline void set_state(struct hm_arena *arena, uint32_t first, uint32_t count,
			     enum hm_granule_state state)
{
	hm_granules_set(&arena->book.granules, first, count, state);
}

#define CHECK_STATES(arena, first, count, state) \
	check_states((arena), (first), (count), (state), __FILE__, __LINE__)

/* All of these granules have the state. */
static inline void check_states(const struct hm_arena *arena, uint32_t first,
				uint32_t count, enum hm_granule_state state,
				const char *file, int line)
{
	enum hm_granule_state got = HM_GRANULE_BLANK;

	tap_check_unsigned(hm_granules_run(&arena->book.granules, first, count, &got),
			   count, "granules of one state", file, line);
	tap_check_int(got, state, "their state", file, line);
}

/* Runs in a child, which is not inside the library at first; its checks count here. */
static inline void in_child(void (*body)(void))
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		body();
		fflush(stdout);
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
}

#endif
