#ifndef HOSTMEM_CONFORM_MEMORY_H
#define HOSTMEM_CONFORM_MEMORY_H

#include "trial.h"

/*
 * The words in which cases speak of memory.
 *
 * What fails is told with the call and its arguments, and with the line of the case: most of
 * these are macros that add it.
 */

#define HM_PAGE ((size_t)4096)
#define HM_GRANULE ((size_t)65536)              /* where reservations may begin */
#define HM_USER_END ((uintptr_t)0x7FFFFFFF0000) /* of addresses, on 64-bit Windows */
#define HM_BOTH (MEM_RESERVE | MEM_COMMIT)
#define HM_POISON ((void *)(uintptr_t)0x5A5A5A5A5A5A5A5A) /* in outs before a call */

#define HM_INVALID_ADDRESS HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)
#define HM_BAD_LENGTH HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_LENGTH)
#define HM_NOT_SUPPORTED HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
#define HM_NO_PRIVILEGE HOSTMEM_HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD)

/* ---- Calls that succeed ---- */

/* VirtualAlloc with eTaskCritical that has to succeed, and to write its out pointer; NULL
 * after a failed check.  What it reserves is given back at the end of the trial. */
#define hm_take(t, address, size, type, protect) \
	hm_take_at(t, address, size, type, protect, HM_HERE)
void *hm_take_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		 DWORD protect, struct hm_place place);
/* Commits pages of a reservation; has to return the first one. */
#define hm_commit(t, address, size, protect) \
	hm_commit_at(t, address, size, protect, HM_HERE)
bool hm_commit_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
		  struct hm_place place);
#define hm_decommit(t, address, size) hm_decommit_at(t, address, size, HM_HERE)
bool hm_decommit_at(struct hm_trial *t, void *address, SIZE_T size,
		    struct hm_place place);
/* Releases what hm_take has given. */
#define hm_give(t, base) hm_give_at(t, base, HM_HERE)
bool hm_give_at(struct hm_trial *t, void *base, struct hm_place place);
/* Has to succeed and to tell the protection that was there. */
#define hm_protect(t, address, size, protect, was) \
	hm_protect_at(t, address, size, protect, was, HM_HERE)
bool hm_protect_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
		   DWORD was, struct hm_place place);
/* Somebody else's words: remember, or forget, a reservation for the end of the trial. */
void hm_keep(struct hm_trial *t, void *base);
void hm_forget(struct hm_trial *t, const void *base);
/* Where `size` bytes are free, from a granule on: they were reserved a moment ago. */
void *hm_hole(struct hm_trial *t, size_t size);
/* A reservation of HM_WITNESS_PAGES pages, of which the first four are committed, writable, and
 * hold 0x5A: what a refused call has to leave alone.  NULL after a failed check. */
enum { HM_WITNESS_PAGES = 16, HM_WITNESS_COMMITTED = 4 };
unsigned char *hm_witness(struct hm_trial *t);
/* Whether the host grants the protection at all; false, and the case is skipped, if its policy
 * forbids what executes, or what executes and can be written. */
bool hm_need_protection(struct hm_trial *t, DWORD protect);
/* Two reservations of a granule each, side by side, both committed and full of 0x31 and 0x32;
 * before the first and behind the second a granule is free. */
unsigned char *hm_neighbours(struct hm_trial *t);
/* Bytes into memory, as an address. */
static inline void *hm_at(const void *base, size_t offset)
{
	return (void *)((uintptr_t)base + offset);
}

/* ---- Calls as they come, with the law of out pointers checked ---- */

/* On success the out pointer is written, on failure it is NULL.  Nothing is kept. */
#define hm_alloc(t, address, size, type, protect, level, ppMem) \
	hm_alloc_at(t, address, size, type, protect, level, ppMem, HM_HERE)
HRESULT hm_alloc_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
		    DWORD protect, EMemoryCriticalLevel level, void **ppMem,
		    struct hm_place place);
/* On failure the buffer is untouched and the length 0. */
#define hm_query(t, address, run) hm_query_at(t, address, run, HM_HERE)
HRESULT hm_query_at(struct hm_trial *t, const void *address,
		    MEMORY_BASIC_INFORMATION *run, struct hm_place place);
/* On failure the old protection is 0. */
#define hm_reprotect(t, address, size, protect, old) \
	hm_reprotect_at(t, address, size, protect, old, HM_HERE)
HRESULT hm_reprotect_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
			DWORD *old, struct hm_place place);

/* ---- Calls that fail ---- */

/*
 * Each makes one call that has to be refused.  Its result has to be a failure (in a ".codes":
 * `want`), outs have to be cleared, and nothing may have changed: what the trial has taken is
 * as it was, page by page with its contents, and so is what the host says it has given out.
 */
#define hm_refused_alloc(t, address, size, type, protect, level, want) \
	hm_refused_alloc_at(t, address, size, type, protect, level, want, HM_HERE)
bool hm_refused_alloc_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
			 DWORD protect, EMemoryCriticalLevel level, HRESULT want,
			 struct hm_place place);
#define hm_refused_free(t, address, size, type, want) \
	hm_refused_free_at(t, address, size, type, want, HM_HERE)
bool hm_refused_free_at(struct hm_trial *t, void *address, SIZE_T size, DWORD type,
			HRESULT want, struct hm_place place);
#define hm_refused_protect(t, address, size, protect, want) \
	hm_refused_protect_at(t, address, size, protect, want, HM_HERE)
bool hm_refused_protect_at(struct hm_trial *t, void *address, SIZE_T size, DWORD protect,
			   HRESULT want, struct hm_place place);
#define hm_refused_query(t, address, length, want) \
	hm_refused_query_at(t, address, length, want, HM_HERE)
bool hm_refused_query_at(struct hm_trial *t, const void *address, SIZE_T length,
			 HRESULT want, struct hm_place place);

/* For other methods: between these two nothing changes, and the result is refused. */
struct hm_state {
	uint64_t runs, contents; /* hashes over what was taken */
	HostMemUsage usage;      /* all 0 if the host does not tell */
};
void hm_look(struct hm_trial *t, struct hm_state *state);
#define CHECK_UNCHANGED(t, before) hm_check_unchanged(t, before, __FILE__, __LINE__)
bool hm_check_unchanged(struct hm_trial *t, const struct hm_state *before,
			const char *file, int line);
#define CHECK_REFUSED(t, got, want) \
	hm_check_refused(t, got, want, #got, __FILE__, __LINE__)
bool hm_check_refused(struct hm_trial *t, HRESULT got, HRESULT want, const char *text,
		      const char *file, int line);

/* ---- What is there ---- */

/* VirtualQuery at an address: a run of that state and protection, of `size` bytes from there
 * on (0: any), in the allocation that begins at `base`. */
#define CHECK_RUN(t, address, state, protect, size, base) \
	hm_check_run(t, address, state, protect, size, base, __FILE__, __LINE__)
bool hm_check_run(struct hm_trial *t, const void *address, DWORD state, DWORD protect,
		  SIZE_T size, const void *base, const char *file, int line);
/* Every byte has that value; all 0 in fresh pages. */
#define CHECK_FILLED(t, base, size, value) \
	hm_check_filled(t, base, size, value, __FILE__, __LINE__)
bool hm_check_filled(struct hm_trial *t, const void *base, size_t size,
		     unsigned char value, const char *file, int line);

#endif
