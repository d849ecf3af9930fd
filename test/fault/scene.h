/*
 * The stage of the fault tests: a host with one region in which every kind of page
 * stands, and pictures of all that can be seen of it.
 */
#ifndef HOSTMEM_TEST_FAULT_SCENE_H
#define HOSTMEM_TEST_FAULT_SCENE_H

#include "test/stress/faces.h"

enum {
	SCENE_PAGES = 64,  /* of the region */
	SCENE_RUNS = 64,   /* of a picture */
	SCENE_SEEN = 1024, /* pages of a picture */
	SCENE_BLOCKS = 12,
	SCENE_OPEN = 8, /* requests inside each other */
};

/* An allocate event that may still be replaced or taken back. */
struct scene_open {
	uint64_t request;
	size_t size;
};

struct scene {
	struct faces faces;
	uint64_t cookie;
	size_t sum; /* of the events */
	struct scene_open open[SCENE_OPEN];
	int pipe[2];                /* through which the system is asked about access */
	char *base;                 /* of the region, SCENE_PAGES long */
	char *fresh;                /* what a call under test has made */
	char *blocks[SCENE_BLOCKS]; /* what was made beforehand, to be released */
	char *wanted;               /* where it is to be made */
	char *foreign; /* pages of the test's own, of a file and so two mappings */
	bool loose;    /* the system would not even take access away */
	bool stuck;    /* nor contents, so granules that were given up stay taken */
};

struct scene_page {
	uint64_t word;
	bool readable, writable;
};

struct picture {
	HostMemUsage usage;
	size_t runs, pages;
	MEMORY_BASIC_INFORMATION run[SCENE_RUNS];
	struct scene_page page[SCENE_SEEN];
};

/* Makes the host (NULL: the default one), subscribes; then the region.  No call may be
 * refused meanwhile. */
HRESULT scene_open(struct scene *scene, const HostMemConfig *config);
bool scene_watch(struct scene *scene);
bool scene_furnish(struct scene *scene);

/* Whether the system lets one read, or write, at an address. */
bool scene_accessible(const struct scene *scene, void *address, bool to_write);

void scene_paint(const struct scene *scene, struct picture *out);
/* The two pictures show the same, figures of refusals apart; `half`: and the access of
 * pages, after a change that could be neither finished nor undone. */
void scene_check_same(const struct picture *before, const struct picture *after,
		      bool half);
/* The account is that of the walk, and the access to each page is what it ought to be. */
void scene_check_true(const struct scene *scene, const struct picture *picture);

/* The host does all it did before. */
void scene_check_works(struct scene *scene);
/* What is not committed is zero when it is. */
void scene_check_fresh(struct scene *scene);
/* The host refuses everything but what is to work for ever. */
void scene_check_latched(struct scene *scene);
/* Releases all regions one by one: nothing is left. */
void scene_check_empties(struct scene *scene);
/* The last Release leaves nothing mapped but arenas in which nothing is taken, and these
 * go when there is a need. */
void scene_close(struct scene *scene);

/* Leaves the library without a free record of its own, until it is given back. */
struct scene_drain {
	void *blocks;
};
void scene_drain(struct scene_drain *drain);
void scene_refill(struct scene_drain *drain);

#endif
