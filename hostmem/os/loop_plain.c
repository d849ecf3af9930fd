/*
 * Loops without libuv: each is a thread that sleeps on a word.
 *
 * For a host that is linked into a program without being asked for, as a preloaded library is:
 * the program may have a libuv of its own, of which two would become one.  There is time and
 * waking; files are not watched, so what the system has to tell of memory is found when the
 * time is up.
 *
 * The program's malloc may stand on this very host, so a record comes from the system, and
 * takes a page.  A fork child keeps the page of what it cannot use, see loop_thread.c.
 *
 * Locks: none.
 */
#include "container.h"
#include "loop_thread.h"
#include "pages.h"
#include "size.h"

#include <errno.h>
#include <stddef.h>

struct hm_loop {
	struct hm_loop_thread thread;
};

_Static_assert(sizeof(struct hm_loop) <= HM_PAGE_SIZE, "a record fits into its page");

static void give_back(struct hm_loop_thread *thread)
{
	hm_pages_unmap_metadata(hm_container_of(thread, struct hm_loop, thread),
				HM_PAGE_SIZE);
}

HRESULT hm_loop_start(const struct hm_loop_client *client, struct uv_loop_s *program,
		      struct hm_loop **out)
{
	int kept = errno;
	struct hm_loop *loop;
	HRESULT hr;

	*out = NULL;
	if (program != NULL)
		return HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	loop = hm_pages_map_metadata(HM_PAGE_SIZE);
	if (loop == NULL)
		return E_OUTOFMEMORY;
	hm_loop_thread_init(&loop->thread, client, give_back);
	hr = hm_loop_thread_start(&loop->thread, hm_loop_thread_sleep);
	if (FAILED(hr))
		give_back(&loop->thread);
	else
		*out = loop;
	errno = kept;
	return hr;
}

/* ---- While it runs ---- */

void hm_loop_wake(struct hm_loop *loop)
{
	hm_loop_thread_wake(&loop->thread);
}

bool hm_loop_is_own_thread(const struct hm_loop *loop)
{
	return hm_loop_thread_is_own(&loop->thread);
}

void hm_loop_set_timer(struct hm_loop *loop, uint64_t ms)
{
	loop->thread.sleep = ms;
}

HRESULT hm_loop_watch(struct hm_loop *loop, unsigned slot, int file,
		      enum hm_loop_news news)
{
	(void)loop, (void)slot, (void)file, (void)news;
	return HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
}

void hm_loop_unwatch(struct hm_loop *loop, unsigned slot)
{
	(void)loop, (void)slot;
}

bool hm_loop_is_free(const struct hm_loop *loop, unsigned slot)
{
	(void)loop;
	return slot < HM_LOOP_FILES;
}

/* ---- The end ---- */

void hm_loop_stop(struct hm_loop *loop)
{
	if (!hm_loop_thread_stop(&loop->thread) || hm_loop_is_own_thread(loop))
		return;
	hm_loop_wake(loop);
	hm_loop_await_end(loop);
}

void hm_loop_await_end(struct hm_loop *loop)
{
	hm_loop_thread_await_end(&loop->thread);
}

void hm_loop_free(struct hm_loop *loop)
{
	if (!hm_loop_thread_free(&loop->thread))
		give_back(&loop->thread);
}

void hm_loop_after_fork(struct hm_loop *loop, struct hm_loop **out)
{
	*out = hm_loop_thread_after_fork(&loop->thread) ? NULL : loop;
}
