/*
 * A reservation of a page source on the real kernel, and what each of its pages has to
 * be: every operation goes to both, and plot_check sets one beside the other.
 */
#ifndef HOSTMEM_UNIT_PLOT_H
#define HOSTMEM_UNIT_PLOT_H

#include "hostmem/arenapages.h"
#include "hostmem/arenas.h"
#include "hostmem/os/spare.h"
#include "hostmem/shelf.h"
#include "hostmem/tidy.h"
#include "stubborn.h"

#define NONE HM_ACCESS_NONE
#define READS HM_ACCESS_READ
#define WRITES (HM_ACCESS_READ | HM_ACCESS_WRITE)
#define EXECUTES (HM_ACCESS_READ | HM_ACCESS_EXECUTE)

#define GRANULE_PAGES (UNIT / PAGE)
#define PLOT_PAGES ((size_t)2048)

struct plot {
	struct hm_page_history history;
	const struct hm_page_source *source;
	unsigned char *base;
	size_t count; /* pages; 0: there is no reservation */
	struct plot_page {
		bool committed;
		uint8_t access, value; /* value: what its bytes are */
	} pages[PLOT_PAGES];
};

/* The sources there are, by number; NULL behind the last. */
static inline const struct hm_page_source *plot_source(size_t i)
{
	if (i == 0 && !hm_memory_has_guards())
		i = 1;
	tap_row("source %zu", i);
	return i == 0   ? hm_pages_with_guards
	       : i == 1 ? hm_pages_without_guards
	       : i == 2 ? hm_pages_without_arenas
			: NULL;
}

static inline struct hm_page_run plot_run_at(const struct hm_page_history *self,
					     void *address)
{
	const struct plot *plot = hm_const_container_of(self, struct plot, history);
	size_t first = (size_t)((unsigned char *)address - plot->base) / PAGE;
	const struct plot_page *page = &plot->pages[first];
	size_t end = first;

	if (!CHECK(first < plot->count))
		abort();
	while (end < plot->count && plot->pages[end].committed == page->committed &&
	       (!page->committed || plot->pages[end].access == page->access))
		end++;
	return (struct hm_page_run){ (end - first) * PAGE, page->committed,
				     page->access };
}

static inline void plot_found(struct plot *plot, unsigned char *base, size_t count)
{
	plot->base = base;
	plot->count = count;
	plot->history = (struct hm_page_history){ plot_run_at, (uintptr_t)base,
						  (uintptr_t)base + count * PAGE };
}

static inline HRESULT plot_reserve_at(struct plot *plot,
				      const struct hm_page_source *source, void *wanted,
				      size_t count, unsigned flags, unsigned access)
{
	void *out = plot;
	HRESULT hr;

	memset(plot, 0, sizeof(*plot));
	plot->source = source;
	errno = ERRNO;
	hr = source->reserve(source, wanted, count * PAGE, UNIT, flags, access, &out);
	CHECK_INT(errno, ERRNO);
	CHECK((out == NULL) == FAILED(hr));
	if (FAILED(hr))
		return hr;
	CHECK(wanted == NULL ? (uintptr_t)out % UNIT == 0 : out == wanted);
	plot_found(plot, out, count);
	for (size_t i = 0; i < count && (flags & HM_RESERVE_COMMITTED); i++)
		plot->pages[i] = (struct plot_page){ true, (uint8_t)access, 0 };
	return hr;
}

static inline void plot_reserve(struct plot *plot, const struct hm_page_source *source,
				size_t count)
{
	if (!CHECK_HR(plot_reserve_at(plot, source, NULL, count, 0, NONE), S_OK))
		abort();
}

static inline HRESULT plot_commit(struct plot *plot, size_t first, size_t count,
				  unsigned access)
{
	HRESULT hr;

	errno = ERRNO;
	hr = plot->source->commit(plot->source, plot->base + first * PAGE, count * PAGE,
				  access, &plot->history);
	CHECK_INT(errno, ERRNO);
	for (size_t i = first; i < first + count && SUCCEEDED(hr); i++) {
		if (!plot->pages[i].committed)
			plot->pages[i].value = 0;
		plot->pages[i].committed = true;
		plot->pages[i].access = (uint8_t)access;
	}
	return hr;
}

/* All pages are committed. */
static inline HRESULT plot_protect(struct plot *plot, size_t first, size_t count,
				   unsigned access)
{
	HRESULT hr;

	errno = ERRNO;
	hr = plot->source->protect(plot->source, plot->base + first * PAGE, count * PAGE,
				   access, &plot->history);
	CHECK_INT(errno, ERRNO);
	for (size_t i = first; i < first + count && SUCCEEDED(hr); i++)
		plot->pages[i].access = (uint8_t)access;
	return hr;
}

static inline HRESULT plot_decommit(struct plot *plot, size_t first, size_t count)
{
	HRESULT hr;

	errno = ERRNO;
	hr = plot->source->decommit(plot->source, plot->base + first * PAGE, count * PAGE,
				    &plot->history);
	CHECK_INT(errno, ERRNO);
	if (SUCCEEDED(hr))
		memset(&plot->pages[first], 0, count * sizeof(plot->pages[0]));
	return hr;
}

/* Releases a part; what is right of it becomes a plot of its own. */
static inline HRESULT plot_cut(struct plot *plot, size_t first, size_t count,
			       struct plot *right)
{
	unsigned char *start = plot->base + first * PAGE;
	size_t behind = first + count;
	HRESULT hr;

	errno = ERRNO;
	plot->source->divide(plot->source, start, count * PAGE, &plot->history);
	/* The part is a reservation of its own now. */
	plot->history.start = (uintptr_t)start;
	plot->history.end = plot->history.start + count * PAGE;
	hr = plot->source->release(plot->source, start, count * PAGE, &plot->history);
	CHECK_INT(errno, ERRNO);
	if (FAILED(hr))
		return hr;
	right->source = plot->source;
	memcpy(right->pages, &plot->pages[behind],
	       (plot->count - behind) * sizeof(plot->pages[0]));
	plot_found(right, plot->base + behind * PAGE, plot->count - behind);
	plot_found(plot, plot->base, first);
	return hr;
}

static inline HRESULT plot_release(struct plot *plot)
{
	HRESULT hr;

	errno = ERRNO;
	hr = plot->source->release(plot->source, plot->base, plot->count * PAGE,
				   &plot->history);
	CHECK_INT(errno, ERRNO);
	if (SUCCEEDED(hr))
		plot->count = 0;
	return hr;
}

/* Writes to those pages of a range that allow it. */
static inline void plot_write(struct plot *plot, size_t first, size_t count,
			      uint8_t value)
{
	for (size_t i = first; i < first + count; i++) {
		struct plot_page *page = &plot->pages[i];

		if (!page->committed || !(page->access & HM_ACCESS_WRITE))
			continue;
		memset(plot->base + i * PAGE, value, PAGE);
		page->value = value;
	}
}

static inline bool plot_all(const unsigned char *page, uint8_t value)
{
	return page[0] == value && memcmp(page, page + 1, PAGE - 1) == 0;
}

static inline bool plot_check_page(const struct plot *plot, size_t i)
{
	struct plot_page page = plot->pages[i];
	unsigned char *address = plot->base + i * PAGE;
	bool reads = page.committed && page.access != NONE;
	bool writes = page.committed && (page.access & HM_ACCESS_WRITE);

	if (CHECK(can_read(address) == reads) &&
	    (!reads || CHECK(plot_all(address, page.value))) &&
	    CHECK(can_write(address, page.value) == writes))
		return true;
	printf("# that was page %zu of %zu\n", i, plot->count);
	return false;
}

static inline bool plot_check_range(const struct plot *plot, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		if (!plot_check_page(plot, i))
			return false;
	}
	return true;
}

static inline bool plot_check(const struct plot *plot)
{
	return plot_check_range(plot, 0, plot->count);
}

/* Looking at a page that may not be read: its contents outlive that. */
static inline void plot_check_contents(const struct plot *plot, size_t i)
{
	unsigned char *address = plot->base + i * PAGE;

	CHECK(mprotect(address, PAGE, PROT_READ) == 0);
	CHECK(plot_all(address, plot->pages[i].value));
	CHECK(mprotect(address, PAGE, PROT_NONE) == 0);
}

/* Free granules of all arenas of a source. */
static inline size_t plot_room(const struct hm_page_source *source)
{
	struct hm_arenas *set = hm_pages_arenas(source);
	size_t room = 0;

	if (set == NULL)
		return 0;
	(void)hm_shelves_clear(set);
	for (struct hm_arena *arena = set->first; arena != NULL;
	     arena = arena->next_in_set)
		room += arena->room;
	CHECK_STR(hm_arenas_check(set), NULL);
	return room;
}

#endif
