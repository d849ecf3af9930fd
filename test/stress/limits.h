/*
 * What the tests of the system's limits share: children whose limits die with them, and
 * the look at a call that was refused.
 */
#ifndef HOSTMEM_TEST_STRESS_LIMITS_H
#define HOSTMEM_TEST_STRESS_LIMITS_H

#include "test/stress/faces.h"
#include "test/proc.h"

#include "hostmem/arenas.h"
#include "hostmem/calls.h"
#include "hostmem/metadata.h"
#include "hostmem/regions.h"
#include "hostmem/shelf.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

enum { SKIPPED = 77 };

/* What a child that skips wants to say. */
static char *shared_text;

static inline void make_shared_text(void)
{
	shared_text = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
}

static inline void in_child(void (*body)(void))
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)alarm(120);
		tap_books.failures = 0;
		body();
		memcpy(shared_text, tap_books.skip, sizeof(tap_books.skip));
		_exit(tap_failed() ? 1 : tap_books.skipped ? SKIPPED : 0);
	}
	if (!CHECK(child > 0) || !CHECK_INT(waitpid(child, &status, 0), child))
		return;
	CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		tap_skip("%s", shared_text);
	else
		CHECK_INT(WEXITSTATUS(status), 0);
}

static inline void limit(__rlimit_resource_t resource, size_t value)
{
	struct rlimit now;

	CHECK_INT(getrlimit(resource, &now), 0);
	now.rlim_cur = value < now.rlim_max ? value : now.rlim_max;
	CHECK_INT(setrlimit(resource, &now), 0);
}

static inline void lift(__rlimit_resource_t resource)
{
	limit(resource, RLIM_INFINITY);
}

static inline HRESULT grant(const struct faces *faces, size_t size, DWORD type,
			    void **out)
{
	return faces_alloc(faces, NULL, size, type, PAGE_READWRITE, out);
}

/* A refused call: the code, and the account and the regions as before. */
static inline void check_refused(const struct faces *faces, const HostMemUsage *before,
				 HRESULT hr, HRESULT want)
{
	HostMemUsage after = faces_usage(faces);

	CHECK_HR(hr, want);
	CHECK_SIZE(after.cbReserved, before->cbReserved);
	CHECK_SIZE(after.cbCommitted, before->cbCommitted);
	CHECK_SIZE(after.cbCharged, before->cbCharged);
	CHECK_SIZE(after.cRegions, before->cRegions);
	faces_check_account(faces);
	CHECK_STR(hm_regions_check(), NULL);
}

static inline void check_works(const struct faces *faces)
{
	void *out;

	if (!CHECK_HR(grant(faces, 3 * PAGE, MEM_RESERVE | MEM_COMMIT, &out), S_OK))
		return;
	*(char *)out = 1;
	CHECK_HR(faces_decommit(faces, out, PAGE), S_OK);
	CHECK_HR(faces_commit(faces, out, PAGE), S_OK);
	CHECK_INT(*(char *)out, 0);
	CHECK_HR(faces_free(faces, out), S_OK);
}

static inline void clear(struct faces *faces)
{
	check_works(faces);
	faces_check_empty(faces);
	CHECK_SIZE(faces_release(faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), 0);
}

/* Arenas in which nothing is taken are kept, unless somebody asks. */
static inline void trim_arenas(void)
{
	hm_calls_enter();
	(void)hm_shelves_clear(&hm_arenas_with_guards);
	(void)hm_shelves_clear(&hm_arenas_without_guards);
	(void)hm_arenas_trim();
	hm_calls_leave();
}

static inline bool readable(void *address)
{
	int ends[2];
	bool yes;

	if (!CHECK_INT(pipe(ends), 0))
		return true;
	yes = write(ends[1], address, 1) == 1;
	(void)close(ends[0]);
	(void)close(ends[1]);
	return yes;
}

#endif
