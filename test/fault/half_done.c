/*
 * mprotect walks the kernel's mappings one by one and may stop half-way, with ENOMEM and
 * the first ones changed.  A call that hits this fails and has changed nothing: the pages
 * that were changed are put back.
 *
 * What is stopped is the change of the whole range, not the putting back, which is done run
 * by run; and twice, as a call asks once more when it has found something to give back.
 */
#include "test/fault/refusing.h"
#include "test/fault/scene.h"

#include "hostmem/os/system.h"

#include <errno.h>
#include <sys/mman.h>

#define INSTALL_GUARD 102 /* MADV_GUARD_INSTALL, Linux 6.13 */

static struct {
	size_t pages; /* that are changed before it stops; SIZE_MAX = all, and no error */
	size_t range; /* pages of the calls that stop; 0 = all */
	unsigned times; /* how many of them from now on stop */
	unsigned stopped;
} plan;

static int half_protect(void *address, size_t size, int protection)
{
	size_t done = plan.pages * PAGE;

	if (plan.times == 0 || done >= size ||
	    (plan.range != 0 && size != plan.range * PAGE))
		return mprotect(address, size, protection);
	plan.times--;
	plan.stopped++;
	if (done != 0)
		(void)mprotect(address, done, protection);
	errno = ENOMEM;
	return -1;
}

static void *no_map(void *address, size_t size, int protection, int flags, int file,
		    long offset)
{
	(void)address;
	(void)size;
	(void)protection;
	(void)flags;
	(void)file;
	(void)offset;
	errno = ENOMEM;
	return MAP_FAILED;
}

/* As of locked memory. */
static int no_guards(void *address, size_t size, int advice)
{
	if (advice != INSTALL_GUARD)
		return madvise(address, size, advice);
	errno = EINVAL;
	return -1;
}

static bool set_stage(struct scene *scene)
{
	refusing_install();
	plan.times = 0;
	plan.range = 0;
	return CHECK_HR(scene_open(scene, NULL), S_OK) && scene_watch(scene) &&
	       scene_furnish(scene);
}

/* The same call, stopped after each possible number of pages. */
static void stop_everywhere(HRESULT (*call)(struct scene *scene), size_t pages)
{
	static struct picture before, after;
	struct scene scene;

	if (!set_stage(&scene))
		return;
	hm_system.protect = half_protect;
	plan.range = pages;
	for (plan.pages = 0; plan.pages < pages; plan.pages++) {
		tap_row("stopped after %zu pages", plan.pages);
		plan.stopped = 0;
		scene_paint(&scene, &before);
		plan.times = 2;
		CHECK_HR(call(&scene), E_OUTOFMEMORY);
		plan.times = 0;
		CHECK(plan.stopped != 0);
		scene_paint(&scene, &after);
		scene_check_same(&before, &after, false);
		scene_check_true(&scene, &after);
	}
	CHECK_HR(call(&scene), S_OK);
	scene_check_works(&scene);
	scene_check_empties(&scene);
	scene_close(&scene);
}

static HRESULT commit_over_everything(struct scene *scene)
{
	return faces_commit(&scene->faces, scene->base, SCENE_PAGES * PAGE);
}

static HRESULT protect_over_everything(struct scene *scene)
{
	return faces_protect(&scene->faces, scene->base + 24 * PAGE, 24 * PAGE,
			     PAGE_EXECUTE_READ);
}

static void a_commit_that_stops_half_way_is_put_back(void)
{
	stop_everywhere(commit_over_everything, SCENE_PAGES);
}

static void a_protect_that_stops_half_way_is_put_back(void)
{
	stop_everywhere(protect_over_everything, 24);
}

/* Nobody knows what the pages are: the host says so, and gives all back at its end. */
static void a_host_that_cannot_put_back_serves_no_more(void)
{
	static struct picture before, after;
	struct scene scene;

	if (!set_stage(&scene))
		return;
	hm_system.protect = half_protect;
	scene_paint(&scene, &before);
	plan.pages = 1;
	plan.times = 1000;
	CHECK_HR(protect_over_everything(&scene), E_FAIL);
	plan.times = 0;
	scene_paint(&scene, &after);
	CHECK_SIZE(after.usage.cbCommitted, before.usage.cbCommitted);
	CHECK_SIZE(after.usage.cbCharged, before.usage.cbCharged);
	CHECK_SIZE(scene.sum, before.usage.cbCharged);
	scene_check_latched(&scene);
	scene_close(&scene);
}

/* No guards, no room for a fresh mapping and none for a split: memory goes, access may
 * stay. */
static void a_decommit_that_stops_half_way_succeeds(void)
{
	struct scene scene;
	struct hm_system_calls kept;

	if (!set_stage(&scene))
		return;
	kept = hm_system;
	hm_system.protect = half_protect;
	hm_system.map = no_map;
	hm_system.advise = no_guards;
	plan.range = 8;
	for (plan.pages = 0; plan.pages < 8; plan.pages++) {
		tap_row("stopped after %zu pages", plan.pages);
		plan.times = 1;
		CHECK_HR(faces_decommit(&scene.faces, scene.base + 4 * PAGE, 8 * PAGE),
			 S_OK);
		plan.times = 0;
		faces_check_account(&scene.faces);
		CHECK_SIZE(scene.sum, faces_usage(&scene.faces).cbCharged);
		CHECK_HR(faces_commit(&scene.faces, scene.base + 4 * PAGE, 8 * PAGE),
			 S_OK);
		for (size_t i = 4; i < 12; i++) {
			uint64_t *word = (uint64_t *)(void *)(scene.base + i * PAGE);

			CHECK_SIZE(*word, 0);
			*word = 1;
		}
	}
	hm_system = kept;
	scene_check_works(&scene);
	scene_check_empties(&scene);
	scene_close(&scene);
}

int main(void)
{
	TAP_RUN(a_commit_that_stops_half_way_is_put_back);
	TAP_RUN(a_protect_that_stops_half_way_is_put_back);
	TAP_RUN(a_host_that_cannot_put_back_serves_no_more);
	TAP_RUN(a_decommit_that_stops_half_way_succeeds);
	return tap_done();
}
