/*
 * Cases about COM: identity, references, QueryInterface, and what is left of it after
 * Shutdown.
 *
 * The CLR adopts the reference that GetHostManager gives and never releases a manager, so a
 * host that forgets to take one is not found out by it, until somebody else does release.
 *
 * Two rules cannot be asked: a Release too many is an error that nobody could report, and a
 * count of 2^32 takes too long to reach.
 */
#include "areas.h"
#include "comrules.h"
#include "memory.h"

#include <stdatomic.h>

enum { THREADS = 4, TURNS = 10000, HOSTS = 40, PATIENCE = 1000 };

/* ---- QueryInterface ---- */

static void every_face_answers_to_its_own_name(struct hm_trial *t)
{
	static const struct hm_face always[] = {
		{ "IUnknown", &IID_IUnknown },
		{ "IHostMemoryManager", &IID_IHostMemoryManager },
	};

	for (size_t i = 0; i < HM_ROWS(always); i++) {
		IUnknown *face;

		hm_row(t, "%s", always[i].name);
		face = hm_face_of(t, t->memory, always[i].iid);
		if (face != NULL)
			(void)IUnknown_Release(face);
	}
}

static void faces_reach_each_other(struct hm_trial *t)
{
	hm_com_reaches(t, t->memory);
}

static void there_is_one_identity(struct hm_trial *t)
{
	hm_com_identity(t, t->memory);
	hm_row(t, "asked again");
	CHECK(t, hm_same_object(t->memory, t->memory));
}

static void a_face_is_one_pointer(struct hm_trial *t)
{
	hm_com_same_pointers(t, t->memory);
}

static void a_null_out_pointer_is_refused(struct hm_trial *t)
{
	hm_com_null_out(t, t->memory);
}

static void a_null_name_is_refused(struct hm_trial *t)
{
	hm_com_null_name(t, t->memory);
}

static void unknown_interfaces_are_refused(struct hm_trial *t)
{
	hm_com_unknown(t, t->memory, &IID_IHostMemoryManager);
}

/* The control may be an object of its own. */
static void the_control_keeps_the_rules(struct hm_trial *t)
{
	if (t->control == NULL) {
		hm_skip(t, "the host is a bare manager, without IHostControl");
		return;
	}
	hm_com_reaches(t, t->control);
	hm_com_identity(t, t->control);
	hm_com_null_out(t, t->control);
	hm_com_counts(t, t->control);
	hm_row(t, "a near miss of IHostControl");
	for (unsigned bit = 0; bit < 8 * sizeof(IID); bit += 8) {
		IID flipped = hm_flipped(&IID_IHostControl, bit + bit / 8 % 8);

		(void)hm_refused_face(t, t->control, &flipped);
	}
}

/* ---- References ---- */

/* The CLR never asks the manager for IHostControl, and a manager may be an object of its own:
 * only that what is given counts. */
static void every_pointer_counts(struct hm_trial *t)
{
	hm_com_counts(t, t->memory);
}

static void addref_and_release_tell_the_count(struct hm_trial *t)
{
	hm_com_tells_counts(t, t->memory);
}

static void the_last_release_tells_zero(struct hm_trial *t)
{
	IHostMemoryManager *memory = hm_another_host(t);

	if (memory == NULL)
		return;
	CHECK_SIZE(t, hm_count_of(memory), t->references);
	if (t->references == 1)
		CHECK_SIZE(t, IHostMemoryManager_Release(memory), 0);
	else
		(void)IHostMemoryManager_Release(memory);
}

/* Two references a turn. */
static void count_up(void *state)
{
	IUnknown *object = (IUnknown *)state;

	for (int i = 0; i < TURNS; i++) {
		void *face = NULL;

		(void)IUnknown_AddRef(object);
		(void)IUnknown_QueryInterface(object, &IID_IHostMemoryManager, &face);
	}
}

static void count_down(void *state)
{
	IUnknown *object = (IUnknown *)state;

	for (int i = 0; i < 2 * TURNS; i++)
		(void)IUnknown_Release(object);
}

/*
 * A lost AddRef is a crash later, a lost Release only a leak.  First all count up and then all
 * count down: if they did both, what one thread loses would make up for what another does.  So
 * that the host lives through it in either case, it has as many references to lose besides.
 */
static void threads_do_not_lose_references(struct hm_trial *t)
{
	const ULONG all = 2 * THREADS * TURNS;
	ULONG before = hm_count_of(t->memory), up, down;

	if (!hm_tells_count(t->memory)) {
		hm_skip(t, "AddRef does not tell the count");
		return;
	}
	for (ULONG i = 0; i < all; i++)
		(void)IHostMemoryManager_AddRef(t->memory);
	hm_together(t, THREADS, count_up, t->memory);
	up = hm_count_of(t->memory);
	CHECK_SIZE(t, up, before + 2 * all);
	hm_together(t, THREADS, count_down, t->memory);
	down = hm_count_of(t->memory);
	CHECK_SIZE(t, down, up - all);
	/* What was lost is put right, so that the rest of the trial is about one host. */
	while (down-- > before)
		(void)IHostMemoryManager_Release(t->memory);
}

static struct {
	IHostMemoryManager *hosts[HOSTS];
	atomic_uint there[HOSTS]; /* how many have come to it */
	atomic_uint zeros[HOSTS]; /* how many were told that they were the last */
} last;

/* Once apart, threads that do the same would stay apart: they meet at each host. */
static void release_each(void *state)
{
	(void)state;
	for (size_t i = 0; i < HOSTS; i++) {
		atomic_fetch_add(&last.there[i], 1);
		for (int n = 0; last.there[i] < THREADS && n < PATIENCE; n++)
			hm_pause(0);
		if (IHostMemoryManager_Release(last.hosts[i]) == 0)
			atomic_fetch_add(&last.zeros[i], 1);
	}
}

static void one_of_many_threads_is_the_last(struct hm_trial *t)
{
	if (t->references != 1) {
		hm_skip(t, "the host is held by others, so no Release is the last");
		return;
	}
	if (!hm_tells_count(t->memory)) {
		hm_skip(t, "AddRef does not tell the count");
		return;
	}
	for (size_t i = 0; i < HOSTS; i++) {
		last.hosts[i] = hm_another_host(t);
		if (last.hosts[i] == NULL)
			return;
		for (size_t n = 1; n < THREADS; n++)
			(void)IHostMemoryManager_AddRef(last.hosts[i]);
	}
	hm_together(t, THREADS, release_each, NULL);
	for (size_t i = 0; i < HOSTS; i++) {
		hm_row(t, "host %zu", i);
		CHECK_SIZE(t, atomic_load(&last.zeros[i]), 1);
	}
}

/* ---- Two hosts, and one that is shut down ---- */

static void two_hosts_are_two_objects(struct hm_trial *t)
{
	IHostMemoryManager *other = hm_another_host(t);
	ULONG before = hm_count_of(t->memory);
	void *page = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

	if (other == NULL)
		return;
	CHECK_SIZE(t, hm_count_of(t->memory), before);
	(void)IHostMemoryManager_Release(other);
	CHECK_SIZE(t, hm_count_of(t->memory), before);
	if (page != NULL && CHECK(t, hm_can_write(page, 1)))
		CHECK(t, hm_give(t, page));
}

/* Whoever holds a leaked reference gets answers, and the object ends like any other. */
static void shutdown_leaves_com_as_it_was(struct hm_trial *t)
{
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_need(t, &IID_IHostMemoryControl,
					      "IHostMemoryControl");

	if (control == NULL)
		return;
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), S_OK);
	every_face_answers_to_its_own_name(t);
	hm_row(t, "IHostMemoryControl");
	CHECK(t, hm_has_face(t->memory, &IID_IHostMemoryControl));
	hm_com_reaches(t, t->memory);
	hm_com_counts(t, t->memory);
}

/* The rest of what it refuses is an area of its own. */
static void shutdown_refuses_managers(struct hm_trial *t)
{
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_need(t, &IID_IHostMemoryControl,
					      "IHostMemoryControl");
	void *out = HM_POISON;

	if (control == NULL)
		return;
	if (t->control == NULL) {
		hm_skip(t, "the host is a bare manager, without IHostControl");
		return;
	}
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), S_OK);
	CHECK_HR(t,
		 IHostControl_GetHostManager(t->control, &IID_IHostMemoryManager, &out),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_POINTER(t, out, NULL);
	CHECK_HR(t, IHostControl_SetAppDomainManager(t->control, 1, NULL),
		 HOST_E_CLRNOTAVAILABLE);
}

static const struct hm_case cases[] = {
	{ "every-face-answers", HM_REQUIRED, "COM; CLR accepts a manager by its IID",
	  every_face_answers_to_its_own_name, HM_NO_GROUP },
	{ "faces-reach-each-other", HM_REQUIRED,
	  "COM: reflexive, symmetric, transitive, and the answer never changes",
	  faces_reach_each_other, HM_NO_GROUP },
	{ "one-identity", HM_REQUIRED, "COM: identity", there_is_one_identity,
	  HM_NO_GROUP },
	{ "same-pointers", HM_DOCUMENTED, "HM unknown.h: the answer never changes",
	  a_face_is_one_pointer, HM_NO_GROUP },
	{ "null-out", HM_REQUIRED, "COM; MS IUnknown::QueryInterface: E_POINTER",
	  a_null_out_pointer_is_refused, HM_DOCUMENTED },
	{ "null-name", HM_DOCUMENTED, "HM unknown.h: riid is NULL",
	  a_null_name_is_refused, HM_DOCUMENTED },
	{ "unknown-interfaces", HM_REQUIRED, "COM: E_NOINTERFACE and NULL",
	  unknown_interfaces_are_refused, HM_REQUIRED },
	{ "control", HM_REQUIRED, "COM", the_control_keeps_the_rules, HM_NO_GROUP },
	{ "every-pointer-counts", HM_REQUIRED, "COM: AddRef before a pointer is returned",
	  every_pointer_counts, HM_NO_GROUP },
	{ "counts-are-told", HM_DOCUMENTED, "MS IUnknown::AddRef: the new count",
	  addref_and_release_tell_the_count, HM_NO_GROUP },
	{ "last-release", HM_DOCUMENTED, "MS IUnknown::Release: the new count",
	  the_last_release_tells_zero, HM_NO_GROUP },
	{ "threads", HM_REQUIRED, "COM: counting is safe from any thread",
	  threads_do_not_lose_references, HM_NO_GROUP },
	{ "last-of-threads", HM_REQUIRED, "COM: counting is safe from any thread",
	  one_of_many_threads_is_the_last, HM_NO_GROUP },
	{ "two-hosts", HM_REQUIRED, "COM: each object has its own references",
	  two_hosts_are_two_objects, HM_NO_GROUP },
	{ "after-shutdown", HM_DOCUMENTED, "HM hostmemory.h: IUnknown's methods work on",
	  shutdown_leaves_com_as_it_was, HM_NO_GROUP },
	{ "shutdown-refuses", HM_DOCUMENTED, "HR: HOST_E_CLRNOTAVAILABLE; HM Shutdown",
	  shutdown_refuses_managers, HM_NO_GROUP },
};

const struct hm_area hm_area_com = HM_AREA("com", cases);
