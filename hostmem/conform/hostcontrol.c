/*
 * Cases about IHostControl: which managers there are, and how they are handed out.
 *
 * The CLR asks for nine managers when it starts, each once, and takes one if the answer is
 * S_OK and a pointer.  It adopts the reference that comes with it.  A host that says S_OK
 * without a pointer, or leaves one on a failure, makes it call into nothing.
 */
#include "areas.h"
#include "blocks.h"
#include "callback.h"
#include "comrules.h"

enum { THREADS = 4, TURNS = 2000 };

/* In the order of the CLR. */
static const struct manager {
	const char *name;
	IID iid;
} managers[] = {
	{ "IHostMemoryManager",
	  { 0x7BC698D1,
	    0xF9E3,
	    0x4460,
	    { 0x9C, 0xDE, 0xD0, 0x42, 0x48, 0xE9, 0xFA, 0x25 } } },
	{ "IHostTaskManager",
	  { 0x997FF24C,
	    0x43B7,
	    0x4352,
	    { 0x86, 0x67, 0x0D, 0xC0, 0x4F, 0xAF, 0xD3, 0x54 } } },
	{ "IHostThreadpoolManager",
	  { 0x983D50E2,
	    0xCB15,
	    0x466B,
	    { 0x80, 0xFC, 0x84, 0x5D, 0xC6, 0xE8, 0xC5, 0xFD } } },
	{ "IHostIoCompletionManager",
	  { 0x8BDE9D80,
	    0xEC06,
	    0x41D6,
	    { 0x83, 0xE6, 0x22, 0x58, 0x0E, 0xFF, 0xCC, 0x20 } } },
	{ "IHostSyncManager",
	  { 0x234330C7,
	    0x5F10,
	    0x4F20,
	    { 0x96, 0x15, 0x51, 0x22, 0xDA, 0xB7, 0xA0, 0xAC } } },
	{ "IHostAssemblyManager",
	  { 0x613DABD7,
	    0x62B2,
	    0x493E,
	    { 0x9E, 0x65, 0xC1, 0xE3, 0x2A, 0x1E, 0x0C, 0x5E } } },
	{ "IHostGCManager",
	  { 0x5D4EC34E,
	    0xF248,
	    0x457B,
	    { 0xB6, 0x03, 0x25, 0x5F, 0xAA, 0xBA, 0x0D, 0x21 } } },
	{ "IHostSecurityManager",
	  { 0x75AD2468,
	    0xA349,
	    0x4D02,
	    { 0xA7, 0x64, 0x76, 0xA6, 0x8A, 0xEE, 0x0C, 0x4F } } },
	{ "IHostPolicyManager",
	  { 0x7AE49844,
	    0xB1E3,
	    0x4683,
	    { 0xBA, 0x7C, 0x1E, 0x82, 0x12, 0xEA, 0x3B, 0x79 } } },
};

static bool there_is_a_control(struct hm_trial *t)
{
	if (t->control == NULL)
		hm_skip(t, "the host is a bare manager, without IHostControl");
	return t->control != NULL;
}

static HRESULT get(struct hm_trial *t, const IID *iid, void **manager)
{
	*manager = HM_POISON;
	return IHostControl_GetHostManager(t->control, iid, manager);
}

/* Refused, and the out pointer cleared; one check. */
static void refused(struct hm_trial *t, const IID *iid)
{
	void *manager;
	HRESULT hr = get(t, iid, &manager);

	if (t->codes)
		CHECK_HR(t, hr, E_NOINTERFACE);
	else
		CHECK(t, FAILED(hr) && manager == NULL);
	if (manager != NULL && manager != HM_POISON)
		(void)IUnknown_Release((IUnknown *)manager);
}

/* ---- GetHostManager ---- */

static void the_manager_comes_with_one_reference(struct hm_trial *t)
{
	void *first, *second;
	ULONG before;

	if (!there_is_a_control(t) ||
	    !CHECK_HR(t, get(t, &IID_IHostMemoryManager, &first), S_OK) ||
	    !CHECK(t, first != NULL && first != HM_POISON))
		return;
	before = hm_count_of(first);
	hm_row(t, "a second one");
	CHECK_HR(t, get(t, &IID_IHostMemoryManager, &second), S_OK);
	/* One that is made anew each time counts for itself. */
	if (second == first && hm_tells_count(first)) {
		CHECK_SIZE(t, hm_count_of(first), before + 1);
		CHECK_SIZE(t, IUnknown_Release((IUnknown *)second), before);
	} else if (CHECK(t, second != NULL && second != HM_POISON)) {
		(void)IUnknown_Release((IUnknown *)second);
	}
	hm_row(t, "its own name");
	second = hm_face_of(t, first, &IID_IHostMemoryManager);
	if (second != NULL)
		(void)IUnknown_Release((IUnknown *)second);
	(void)IUnknown_Release((IUnknown *)first);
}

static void it_is_the_same_manager_each_time(struct hm_trial *t)
{
	if (!there_is_a_control(t))
		return;
	for (int i = 0; i < 2; i++) {
		void *manager;

		hm_row(t, "asked %d times more", i + 1);
		if (get(t, &IID_IHostMemoryManager, &manager) != S_OK)
			continue;
		CHECK(t, hm_same_object(manager, t->memory));
		(void)IUnknown_Release((IUnknown *)manager);
	}
}

/* A page that one pointer to the manager has given is taken back by the other. */
static void every_pointer_leads_to_the_same_memory(struct hm_trial *t)
{
	void *manager, *page;

	if (!there_is_a_control(t) ||
	    !CHECK_HR(t, get(t, &IID_IHostMemoryManager, &manager), S_OK) ||
	    !CHECK(t, manager != NULL))
		return;
	page = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
	if (page != NULL) {
		hm_forget(t, page);
		CHECK_HR(t,
			 IHostMemoryManager_VirtualFree((IHostMemoryManager *)manager,
							page, 0, MEM_RELEASE),
			 S_OK);
	}
	(void)IUnknown_Release((IUnknown *)manager);
}

/* A host need not have them; and if it has one, that is a success with a pointer. */
static void other_managers_are_there_or_not(struct hm_trial *t)
{
	if (!there_is_a_control(t))
		return;
	for (size_t i = 0; i < HM_ROWS(managers); i++) {
		void *manager;
		HRESULT hr;

		hm_row(t, "%s", managers[i].name);
		hr = get(t, &managers[i].iid, &manager);
		if (SUCCEEDED(hr) && manager != NULL && manager != HM_POISON) {
			CHECK_HR(t, hr, S_OK);
			(void)IUnknown_Release((IUnknown *)manager);
		} else if (t->codes) {
			CHECK_HR(t, hr, E_NOINTERFACE);
		} else {
			CHECK(t, FAILED(hr) && manager == NULL);
		}
	}
}

static void what_is_no_manager_is_refused(struct hm_trial *t)
{
	static const struct manager strangers[] = {
		{ "no name", { 0, 0, 0, { 0, 0, 0, 0, 0, 0, 0, 0 } } },
		{ "IHostControl as a comment of the IDL has it",
		  { 0x02CA073D,
		    0x7079,
		    0x4860,
		    { 0x88, 0x0A, 0xC2, 0xF7, 0xA4, 0x49, 0xC9, 0x91 } } },
		{ "ICLRControl",
		  { 0x9065597E,
		    0xD1A1,
		    0x4FB2,
		    { 0xB6, 0xBA, 0x7E, 0x1F, 0xCE, 0x23, 0x0F, 0x61 } } },
		{ "ICLRGCManager",
		  { 0x54D9007E,
		    0xA8E2,
		    0x4885,
		    { 0xB7, 0xBF, 0xF9, 0x98, 0xDE, 0xEE, 0x4F, 0x2A } } },
	};
	ULONG before;

	if (!there_is_a_control(t))
		return;
	before = hm_count_of(t->memory);
	for (size_t i = 0; i < HM_ROWS(strangers); i++) {
		hm_row(t, "%s", strangers[i].name);
		refused(t, &strangers[i].iid);
	}
	/* A bit of each byte: a host that compares only some of them is found. */
	for (unsigned byte = 0; byte < sizeof(IID); byte++) {
		IID flipped = hm_flipped(&IID_IHostMemoryManager, byte * 8 + byte % 8);

		hm_row(t, "IID_IHostMemoryManager, byte %u", byte);
		refused(t, &flipped);
	}
	hm_row(t, "nothing was counted");
	if (!t->codes)
		CHECK_SIZE(t, hm_count_of(t->memory), before);
}

/* Other faces are reached through QueryInterface. */
static void other_faces_are_no_managers(struct hm_trial *t)
{
	if (!there_is_a_control(t))
		return;
	for (size_t i = 0; i < hm_face_count; i++) {
		if (hm_faces[i].iid == &IID_IHostMemoryManager ||
		    hm_faces[i].iid == &IID_IHostGCManager)
			continue;
		hm_row(t, "%s", hm_faces[i].name);
		refused(t, hm_faces[i].iid);
	}
}

static void a_null_out_pointer_is_refused(struct hm_trial *t)
{
	ULONG before;

	if (!there_is_a_control(t))
		return;
	before = hm_count_of(t->memory);
	hm_row(t, "a manager");
	CHECK_REFUSED(t,
		      IHostControl_GetHostManager(t->control, &IID_IHostMemoryManager,
						  NULL),
		      E_POINTER);
	hm_row(t, "a stranger");
	CHECK_REFUSED(t, IHostControl_GetHostManager(t->control, &managers[1].iid, NULL),
		      E_POINTER);
	if (!t->codes)
		CHECK_SIZE(t, hm_count_of(t->memory), before);
}

static void a_null_name_is_refused(struct hm_trial *t)
{
	void *manager;

	if (!there_is_a_control(t))
		return;
	CHECK_REFUSED(t, get(t, NULL, &manager), E_POINTER);
	if (!t->codes)
		CHECK_POINTER(t, manager, NULL);
}

static void get_often(void *state)
{
	IHostControl *control = (IHostControl *)state;

	for (int i = 0; i < TURNS; i++) {
		void *manager = NULL;

		if (IHostControl_GetHostManager(control, &IID_IHostMemoryManager,
						&manager) == S_OK &&
		    manager != NULL)
			(void)IUnknown_Release((IUnknown *)manager);
	}
}

static void many_threads_may_ask(struct hm_trial *t)
{
	ULONG before;

	if (!there_is_a_control(t))
		return;
	before = hm_count_of(t->memory);
	hm_together(t, THREADS, get_often, t->control);
	CHECK_SIZE(t, hm_count_of(t->memory), before);
}

/* ---- SetAppDomainManager ---- */

static void domain_managers_are_taken_note_of(struct hm_trial *t)
{
	static const DWORD domains[] = { 1, 2, 1, 0, 0xFFFFFFFF };
	static struct hm_listener object;

	if (!there_is_a_control(t))
		return;
	hm_listener_init(&object);
	for (size_t i = 0; i < HM_ROWS(domains); i++) {
		hm_row(t, "domain %u", (unsigned)domains[i]);
		CHECK_HR(
			t,
			IHostControl_SetAppDomainManager(
				t->control, domains[i],
				(IUnknown *)&object.ICLRMemoryNotificationCallback_iface),
			S_OK);
		CHECK(t, object.references >= 1);
	}
	hm_row(t, "no manager");
	CHECK_HR(t, IHostControl_SetAppDomainManager(t->control, 1, NULL), S_OK);
}

static void domain_managers_are_not_kept(struct hm_trial *t)
{
	static struct hm_listener object;

	if (!there_is_a_control(t))
		return;
	hm_listener_init(&object);
	CHECK_HR(t,
		 IHostControl_SetAppDomainManager(
			 t->control, 1,
			 (IUnknown *)&object.ICLRMemoryNotificationCallback_iface),
		 S_OK);
	CHECK_SIZE(t, object.references, 1);
}

/* ---- All of it ---- */

/* The first thing a runtime has is a heap. */
static void the_manager_is_taken(struct hm_trial *t, struct hm_listener *callback)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	hm_warm_up_watching(t);
	/* The CLR does not look at the answer. */
	(void)IHostMemoryManager_RegisterMemoryNotificationCallback(
		t->memory, &callback->ICLRMemoryNotificationCallback_iface);
	if (heap != NULL)
		(void)hm_block(t, heap, 0);
}

/* As the CLR does it: managers are never released, the callback is a static object. */
static void a_runtime_starts(struct hm_trial *t)
{
	static struct hm_listener callback;
	void *base;

	hm_listener_init(&callback);
	callback.manners = HM_STATIC;
	the_manager_is_taken(t, &callback);
	for (size_t i = 1; t->control != NULL && i < HM_ROWS(managers); i++) {
		void *manager;

		hm_row(t, "%s", managers[i].name);
		if (get(t, &managers[i].iid, &manager) == S_OK &&
		    CHECK(t, manager != NULL && manager != HM_POISON))
			hm_own(t, manager);
	}
	hm_row(t, "the collector's first heap");
	base = hm_take(t, NULL, (size_t)384 << 20, MEM_RESERVE, PAGE_READWRITE);
	if (base != NULL && hm_commit(t, base, 2 * HM_PAGE, PAGE_READWRITE))
		CHECK_FILLED(t, base, 2 * HM_PAGE, 0);
	hm_row(t, "the end");
	CHECK(t, callback.references >= 1);
	(void)IHostMemoryManager_RegisterMemoryNotificationCallback(t->memory, NULL);
}

static const struct hm_case cases[] = {
	{ "memory-manager", HM_REQUIRED, "CLR adopts the reference; COM",
	  the_manager_comes_with_one_reference, HM_NO_GROUP },
	{ "same-manager", HM_DOCUMENTED, "HM hostmemory.h: a face of the host",
	  it_is_the_same_manager_each_time, HM_NO_GROUP },
	{ "same-memory", HM_REQUIRED, "HR IHostControl",
	  every_pointer_leads_to_the_same_memory, HM_NO_GROUP },
	{ "managers", HM_REQUIRED, "CLR takes a manager on S_OK and a pointer",
	  other_managers_are_there_or_not, HM_DOCUMENTED },
	{ "strangers", HM_REQUIRED, "HR GetHostManager: E_NOINTERFACE",
	  what_is_no_manager_is_refused, HM_DOCUMENTED },
	{ "other-faces", HM_DOCUMENTED, "HM hostcontrol.h: through QueryInterface only",
	  other_faces_are_no_managers, HM_DOCUMENTED },
	{ "null-out", HM_DOCUMENTED, "COM: E_POINTER; HM hostcontrol.h",
	  a_null_out_pointer_is_refused, HM_DOCUMENTED },
	{ "null-name", HM_DOCUMENTED, "HM hostcontrol.h: riid is NULL",
	  a_null_name_is_refused, HM_DOCUMENTED },
	{ "threads", HM_REQUIRED, "COM: counting is safe from any thread",
	  many_threads_may_ask, HM_NO_GROUP },
	{ "domain-managers", HM_DOCUMENTED, "HR SetAppDomainManager",
	  domain_managers_are_taken_note_of, HM_NO_GROUP },
	{ "not-kept", HM_DOCUMENTED, "HM hostcontrol.h: nothing is kept",
	  domain_managers_are_not_kept, HM_NO_GROUP },
	{ "a-runtime-starts", HM_REQUIRED, "CLR", a_runtime_starts, HM_NO_GROUP },
};

const struct hm_area hm_area_host_control = HM_AREA("host-control", cases);
