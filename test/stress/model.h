/*
 * The dumbest possible model of Win32 virtual memory: each reservation is an array with
 * one cell for each page, and every answer is found by looking at the cells one by one.
 *
 * It knows of its own reservations, wherever they are, and of one window of addresses in
 * which nobody else maps anything, but for MODEL_FOREIGN pages in its middle that belong
 * to the test and one page right behind its end.  Of other addresses the caller says
 * whether somebody else has them.
 */
#ifndef HOSTMEM_TEST_STRESS_MODEL_H
#define HOSTMEM_TEST_STRESS_MODEL_H

#include "test/stress/faces.h"

enum {
	MODEL_ROOM = 48,     /* reservations */
	MODEL_FOREIGN = 4,   /* foreign pages in the window */
	MODEL_MAPPINGS = 96, /* pages of made-up addresses for acquired mappings */
};

struct model_page {
	uint64_t stamp; /* first and last word of the page; 0 = fresh */
	DWORD protect;  /* 0 = reserved; else without NOCACHE and WRITECOMBINE */
	bool doubtful;  /* MEM_RESET: the stamp, or 0 */
};

struct model_reservation {
	uintptr_t base;
	size_t count;  /* pages */
	DWORD protect; /* of the reserving call */
	bool reset;    /* MEM_RESET has covered a page of it */
	struct model_page *pages;
};

struct model {
	struct model_reservation live[MODEL_ROOM];
	size_t count;
	uintptr_t window, window_end;
	uintptr_t foreign;
	DWORD foreign_protect;
	size_t committed;              /* bytes, kept up to date */
	size_t peak;                   /* of what is charged */
	uint8_t owner[MODEL_MAPPINGS]; /* number of the acquired page + 1 */
	bool announced[MODEL_MAPPINGS];
};

struct model_call {
	uintptr_t address;
	size_t size;
	DWORD type, protect;
	int level;
	bool aligned; /* ReserveAligned instead of VirtualAlloc */
	size_t alignment;
	bool veto;      /* the subscriber will say no */
	bool elsewhere; /* the address is not in the window; */
	bool taken;     /* and somebody else has a page of the range */
};

/* What the library has to answer. */
struct model_answer {
	HRESULT hr;
	uintptr_t out; /* 0 on failure, and where the host chooses */
	DWORD old;
	size_t charged;  /* bytes of the allocate event; 0 = there is none */
	size_t refunded; /* bytes of the free event; 0 = there is none */
};

bool model_protect_valid(DWORD protect);
bool model_readable(const struct model_page *page);
bool model_writable(const struct model_page *page);

struct model_reservation *model_find(const struct model *model, uintptr_t address);
/* The page's cell, or NULL where nothing is reserved. */
struct model_page *model_page(const struct model *model, uintptr_t address);
size_t model_reserved(const struct model *model);
size_t model_count_committed(const struct model *model); /* by looking at each page */
size_t model_external(const struct model *model);

/* Predicts; model_alloc_done then applies what succeeded, at `out`. */
struct model_answer model_alloc(const struct model *model, const struct model_call *call);
void model_alloc_done(struct model *model, const struct model_call *call, uintptr_t out);

/* Predict and apply. */
struct model_answer model_free(struct model *model, const struct model_call *call);
struct model_answer model_release_range(struct model *model,
					const struct model_call *call);
struct model_answer model_protect(struct model *model, const struct model_call *call);
/* Whether the answer to a fault is right. */
bool model_fault(struct model *model, uintptr_t address, bool write, HRESULT got);
void model_acquired(struct model *model, size_t first, size_t count);
HRESULT model_released(struct model *model, size_t first);

/* false: outside of what the model knows. */
bool model_query(const struct model *model, uintptr_t address,
		 MEMORY_BASIC_INFORMATION *out);

/* Records the peak; to be called after each operation. */
void model_settle(struct model *model);
void model_clear(struct model *model);

#endif
