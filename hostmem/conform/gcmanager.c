/*
 * Cases about IHostGCManager: a collection stops the threads of the runtime, and says so.
 *
 * The manager comes from the control, or is a face of the memory manager.  A host need not have
 * one.  What all this is for is the host's business; but a collector goes on to call the host
 * while its threads stand still, and is not to be kept waiting.
 */
#include "areas.h"
#include "blocks.h"
#include "callback.h"
#include "comrules.h"

#include <stdatomic.h>

enum { DEEP = 100, THREADS = 4, TURNS = 200 };

static IHostGCManager *collector(struct hm_trial *t)
{
	void *manager = NULL;

	if (t->control == NULL)
		return (IHostGCManager *)hm_need(t, &IID_IHostGCManager,
						 "IHostGCManager");
	if (FAILED(IHostControl_GetHostManager(t->control, &IID_IHostGCManager,
					       &manager)) ||
	    manager == NULL) {
		hm_skip(t, "the host has no IHostGCManager");
		return NULL;
	}
	hm_own(t, manager);
	return (IHostGCManager *)manager;
}

static void it_keeps_the_rules_of_com(struct hm_trial *t)
{
	IHostGCManager *gc = collector(t);
	IUnknown *face;

	if (gc == NULL)
		return;
	face = hm_face_of(t, gc, &IID_IHostGCManager);
	if (face != NULL)
		(void)IUnknown_Release(face);
	hm_com_reaches(t, gc);
	hm_com_identity(t, gc);
	hm_com_counts(t, gc);
	hm_com_null_out(t, gc);
}

static void a_collection_is_told(struct hm_trial *t)
{
	static const DWORD generations[] = { 0, 1, 2, 3, 0x7FFFFFFF, 0xFFFFFFFF };
	IHostGCManager *gc = collector(t);

	for (size_t i = 0; gc != NULL && i < HM_ROWS(generations); i++) {
		hm_row(t, "generation 0x%x", (unsigned)generations[i]);
		CHECK_HR(t, IHostGCManager_SuspensionStarting(gc), S_OK);
		CHECK_HR(t, IHostGCManager_ThreadIsBlockingForSuspension(gc), S_OK);
		CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, generations[i]), S_OK);
	}
}

static void a_page_comes_and_goes(struct hm_trial *t)
{
	void *page = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

	if (page != NULL)
		(void)hm_give(t, page);
}

static void an_end_without_a_start_is_nothing(struct hm_trial *t)
{
	IHostGCManager *gc = collector(t);

	if (gc == NULL)
		return;
	hm_row(t, "at the beginning");
	CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, 0), S_OK);
	CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, 2), S_OK);
	CHECK_HR(t, IHostGCManager_ThreadIsBlockingForSuspension(gc), S_OK);
	hm_row(t, "after a collection");
	CHECK_HR(t, IHostGCManager_SuspensionStarting(gc), S_OK);
	CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, 0), S_OK);
	CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, 0), S_OK);
	a_page_comes_and_goes(t);
}

static void collections_may_nest(struct hm_trial *t)
{
	IHostGCManager *gc = collector(t);
	HRESULT all = S_OK;

	if (gc == NULL)
		return;
	for (int i = 0; i < DEEP; i++) {
		HRESULT hr = IHostGCManager_SuspensionStarting(gc);

		all = hr != S_OK ? hr : all;
	}
	CHECK_HR(t, all, S_OK);
	a_page_comes_and_goes(t);
	for (int i = 0; i < DEEP; i++) {
		HRESULT hr = IHostGCManager_SuspensionEnding(gc, 0);

		all = hr != S_OK ? hr : all;
	}
	CHECK_HR(t, all, S_OK);
	a_page_comes_and_goes(t);
}

/* What a collector does while all others stand still. */
static void the_host_works_meanwhile(struct hm_trial *t)
{
	IHostGCManager *gc = collector(t);
	IHostMalloc *heap = gc != NULL ? hm_new_heap(t, MALLOC_THREADSAFE) : NULL;
	MEMORY_BASIC_INFORMATION run;
	DWORD load;
	SIZE_T available;
	void *base;

	if (heap == NULL)
		return;
	CHECK_HR(t, IHostGCManager_SuspensionStarting(gc), S_OK);
	base = hm_take(t, NULL, 16 * HM_PAGE, MEM_RESERVE, PAGE_NOACCESS);
	if (base != NULL && hm_commit(t, base, 4 * HM_PAGE, PAGE_READWRITE)) {
		CHECK_FILLED(t, base, 4 * HM_PAGE, 0);
		CHECK_HR(t, hm_query(t, base, &run), S_OK);
		CHECK_SIZE(t, run.RegionSize, 4 * HM_PAGE);
		(void)hm_protect(t, base, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
		(void)hm_decommit(t, base, 4 * HM_PAGE);
	}
	CHECK_HR(t, IHostMemoryManager_GetMemoryLoad(t->memory, &load, &available), S_OK);
	(void)hm_free(t, heap, hm_block(t, heap, 100));
	(void)hm_free(t, heap, hm_block(t, heap, 100000));
	CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, 1), S_OK);
	if (base != NULL)
		(void)hm_give(t, base);
}

static struct {
	IHostGCManager *gc;
	atomic_uint wrong;
} crowd;

static void block_often(void *state)
{
	(void)state;
	for (int i = 0; i < TURNS; i++) {
		if (IHostGCManager_SuspensionStarting(crowd.gc) != S_OK ||
		    IHostGCManager_ThreadIsBlockingForSuspension(crowd.gc) != S_OK ||
		    IHostGCManager_SuspensionEnding(crowd.gc, 0) != S_OK)
			atomic_fetch_add(&crowd.wrong, 1);
	}
}

static void many_threads_may_tell(struct hm_trial *t)
{
	crowd.gc = collector(t);
	if (crowd.gc == NULL)
		return;
	hm_together(t, THREADS, block_often, NULL);
	CHECK_SIZE(t, atomic_load(&crowd.wrong), 0);
	a_page_comes_and_goes(t);
}

/* Those who would act on it do not run; it is told when they do. */
static void notifications_are_held_back(struct hm_trial *t)
{
	static struct hm_listener callback;
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_need(t, &IID_IHostMemoryControl,
					      "IHostMemoryControl");
	IHostGCManager *gc = control != NULL ? collector(t) : NULL;

	if (gc == NULL)
		return;
	hm_listener_init(&callback);
	CHECK_HR(t, IHostGCManager_SuspensionStarting(gc), S_OK);
	CHECK_HR(t, IHostGCManager_SuspensionStarting(gc), S_OK);
	(void)hm_register(t, &callback);
	CHECK_HR(t, IHostMemoryControl_NotifyMemory(control, eMemoryAvailableLow), S_OK);
	CHECK_SIZE(t, callback.count, 0);
	hm_row(t, "one of two has ended");
	CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, 0), S_OK);
	CHECK_SIZE(t, callback.count, 0);
	hm_row(t, "both have ended");
	CHECK_HR(t, IHostGCManager_SuspensionEnding(gc, 0), S_OK);
	/* What it is told may be newer: the machine has a say, too. */
	CHECK(t, callback.count != 0);
	(void)hm_register(t, NULL);
}

static const struct hm_case cases[] = {
	{ "com", HM_REQUIRED, "COM", it_keeps_the_rules_of_com, HM_NO_GROUP },
	{ "collection", HM_DOCUMENTED, "HR IHostGCManager", a_collection_is_told,
	  HM_NO_GROUP },
	{ "end-without-start", HM_DOCUMENTED, "HM hostgc.h: S_OK and no effect",
	  an_end_without_a_start_is_nothing, HM_NO_GROUP },
	{ "nested", HM_DOCUMENTED, "HM hostgc.h: it nests", collections_may_nest,
	  HM_NO_GROUP },
	{ "meanwhile", HM_REQUIRED, "CLR calls its host inside a collection",
	  the_host_works_meanwhile, HM_NO_GROUP },
	{ "threads", HM_DOCUMENTED, "HR ThreadIsBlockingForSuspension: on that thread",
	  many_threads_may_tell, HM_NO_GROUP },
	{ "held-back", HM_DOCUMENTED, "HM hostgc.h: notifications are held",
	  notifications_are_held_back, HM_NO_GROUP },
};

const struct hm_area hm_area_gc_manager = HM_AREA("gc-manager", cases);
