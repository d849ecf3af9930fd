/*
 * Cases about the entry of a host module, DllGetClassObject, and what comes from it.
 *
 * Whoever loads a host finds it here, before there is a host that could be asked anything.
 * A factory may be one static object or a new one each time: its counts are not looked at.
 */
#include "areas.h"
#include "comrules.h"
#include "memory.h"

enum { HOSTS = 1000, SLACK = 2 * 1024 * 1024 };

static bool there_is_a_module(struct hm_trial *t)
{
	if (t->target->class_entry == NULL)
		hm_skip(t, "the host does not come from a module");
	return t->target->class_entry != NULL;
}

static HRESULT enter(struct hm_trial *t, REFCLSID clsid, REFIID riid, void **ppv)
{
	*ppv = HM_POISON;
	return t->target->class_entry(clsid, riid, ppv);
}

/* The factory; released at the end of the trial.  NULL if the case is over. */
static IClassFactory *factory_of(struct hm_trial *t)
{
	void *factory;

	if (!there_is_a_module(t) ||
	    !CHECK_HR(t, enter(t, &CLSID_HostMemory, &IID_IClassFactory, &factory),
		      S_OK) ||
	    !CHECK(t, factory != NULL && factory != HM_POISON))
		return NULL;
	hm_own(t, factory);
	return (IClassFactory *)factory;
}

/* Refused, and the out pointer cleared; in a ".codes" with that very code. */
static void refused(struct hm_trial *t, HRESULT hr, HRESULT want, void *out)
{
	if (t->codes)
		hm_check_hr(t, hr, want, "the refusal", __FILE__, __LINE__);
	else
		CHECK(t, FAILED(hr) && out == NULL);
	if (SUCCEEDED(hr) && out != NULL && out != HM_POISON)
		(void)IUnknown_Release((IUnknown *)out);
}

/* ---- The entry ---- */

static void the_class_is_there(struct hm_trial *t)
{
	static const struct hm_face faces[] = {
		{ "IClassFactory", &IID_IClassFactory },
		{ "IUnknown", &IID_IUnknown },
	};

	for (size_t i = 0; there_is_a_module(t) && i < HM_ROWS(faces); i++) {
		void *factory, *other;

		hm_row(t, "%s", faces[i].name);
		CHECK_HR(t, enter(t, &CLSID_HostMemory, faces[i].iid, &factory), S_OK);
		if (!CHECK(t, factory != NULL && factory != HM_POISON))
			continue;
		other = hm_face_of(t, factory, &IID_IClassFactory);
		if (other != NULL)
			(void)IUnknown_Release((IUnknown *)other);
		(void)IUnknown_Release((IUnknown *)factory);
	}
}

static void other_classes_are_not_there(struct hm_trial *t)
{
	static const CLSID none = { 0, 0, 0, { 0, 0, 0, 0, 0, 0, 0, 0 } };
	void *out;
	HRESULT hr;

	if (!there_is_a_module(t))
		return;
	hm_row(t, "no name");
	hr = enter(t, &none, &IID_IClassFactory, &out);
	refused(t, hr, CLASS_E_CLASSNOTAVAILABLE, out);
	hm_row(t, "the name of an interface");
	hr = enter(t, &IID_IHostMemoryManager, &IID_IClassFactory, &out);
	refused(t, hr, CLASS_E_CLASSNOTAVAILABLE, out);
	hm_row(t, "nor has it such a face");
	hr = enter(t, &none, &IID_IHostMalloc, &out);
	refused(t, hr, CLASS_E_CLASSNOTAVAILABLE, out);
	/* A bit of each byte: a module that compares only some of them is found. */
	for (unsigned byte = 0; byte < sizeof(CLSID); byte++) {
		CLSID flipped = hm_flipped(&CLSID_HostMemory, byte * 8 + byte % 8);

		hm_row(t, "CLSID_HostMemory, byte %u", byte);
		hr = enter(t, &flipped, &IID_IClassFactory, &out);
		refused(t, hr, CLASS_E_CLASSNOTAVAILABLE, out);
	}
}

static void a_factory_has_no_other_face(struct hm_trial *t)
{
	if (!there_is_a_module(t))
		return;
	for (size_t i = 0; i < hm_face_count; i++) {
		void *out;
		HRESULT hr;

		if (hm_faces[i].iid == &IID_IUnknown ||
		    hm_faces[i].iid == &IID_IClassFactory)
			continue;
		hm_row(t, "%s", hm_faces[i].name);
		hr = enter(t, &CLSID_HostMemory, hm_faces[i].iid, &out);
		refused(t, hr, E_NOINTERFACE, out);
	}
}

static void null_pointers_are_refused_by_the_entry(struct hm_trial *t)
{
	hm_class_entry entry = t->target->class_entry;
	void *out;
	HRESULT hr;

	if (!there_is_a_module(t))
		return;
	hm_row(t, "no out pointer");
	CHECK_REFUSED(t, entry(&CLSID_HostMemory, &IID_IClassFactory, NULL), E_POINTER);
	hm_row(t, "no class");
	hr = enter(t, NULL, &IID_IClassFactory, &out);
	refused(t, hr, E_POINTER, out);
	hm_row(t, "no interface");
	hr = enter(t, &CLSID_HostMemory, NULL, &out);
	refused(t, hr, E_POINTER, out);
	hm_row(t, "nothing at all");
	CHECK_REFUSED(t, entry(NULL, NULL, NULL), E_POINTER);
}

/* ---- The factory ---- */

static void a_factory_keeps_the_rules(struct hm_trial *t)
{
	IClassFactory *factory = factory_of(t);

	if (factory == NULL)
		return;
	hm_com_reaches(t, factory);
	hm_com_identity(t, factory);
	hm_row(t, "a near miss of IClassFactory");
	/* One of them would be IUnknown: the lowest bit is the only one that differs. */
	for (unsigned byte = 0; byte < sizeof(IID); byte++) {
		IID flipped = hm_flipped(&IID_IClassFactory, byte * 8 + 7 - byte % 8);

		(void)hm_refused_face(t, factory, &flipped);
	}
}

static HRESULT create(IClassFactory *factory, IUnknown *outer, REFIID riid, void **out)
{
	*out = HM_POISON;
	return IClassFactory_CreateInstance(factory, outer, riid, out);
}

/* That this is the face which was asked for, and not whichever was the first, is seen only
 * when it is used. */
static void gives_a_heap(struct hm_trial *t, IHostMemoryManager *memory)
{
	IHostMalloc *heap = NULL;

	CHECK_HR(t, IHostMemoryManager_CreateMalloc(memory, MALLOC_THREADSAFE, &heap),
		 S_OK);
	if (heap != NULL)
		(void)IHostMalloc_Release(heap);
}

static void a_factory_makes_hosts(struct hm_trial *t)
{
	IClassFactory *factory = factory_of(t);
	void *first, *host;
	ULONG count;

	if (factory == NULL ||
	    !CHECK_HR(t, create(factory, NULL, &IID_IUnknown, &first), S_OK) ||
	    !CHECK(t, first != NULL && first != HM_POISON))
		return;
	count = hm_count_of(first);
	for (size_t i = 0; i < hm_face_count; i++) {
		/* What one host of this module has, a new one has; the memory manager may be
		 * an object behind it. */
		if (!hm_has_face(first, hm_faces[i].iid))
			continue;
		hm_row(t, "%s", hm_faces[i].name);
		CHECK_HR(t, create(factory, NULL, hm_faces[i].iid, &host), S_OK);
		if (!CHECK(t, host != NULL && host != HM_POISON))
			continue;
		CHECK(t, hm_has_face(host, hm_faces[i].iid));
		if (hm_faces[i].iid == &IID_IHostMemoryManager)
			gives_a_heap(t, (IHostMemoryManager *)host);
		/* One reference, whichever face was asked for. */
		CHECK_SIZE(t, hm_count_of(host),
			   hm_same_object(host, first) && hm_tells_count(host) ? count + 1
									       : count);
		(void)IUnknown_Release((IUnknown *)host);
	}
	hm_row(t, "the last");
	if (count == 1 && hm_tells_count(first))
		CHECK_SIZE(t, IUnknown_Release((IUnknown *)first), 0);
	else
		(void)IUnknown_Release((IUnknown *)first);
}

static void two_hosts_of_a_factory_are_two(struct hm_trial *t)
{
	IClassFactory *factory = factory_of(t);
	void *first, *second;

	if (factory == NULL || create(factory, NULL, &IID_IUnknown, &first) != S_OK)
		return;
	if (CHECK_HR(t, create(factory, NULL, &IID_IUnknown, &second), S_OK)) {
		CHECK(t, !hm_same_object(first, second));
		(void)IUnknown_Release((IUnknown *)second);
	}
	/* The other is as good as before. */
	CHECK(t, hm_same_object(first, first));
	(void)IUnknown_Release((IUnknown *)first);
}

static void a_host_outlives_its_factory(struct hm_trial *t)
{
	IClassFactory *factory = factory_of(t);
	void *host, *face;

	if (factory == NULL || create(factory, NULL, &IID_IUnknown, &host) != S_OK)
		return;
	(void)hm_drop(t, factory);
	face = hm_face_of(t, host, &IID_IUnknown);
	if (face != NULL)
		(void)IUnknown_Release((IUnknown *)face);
	(void)IUnknown_Release((IUnknown *)host);
}

static void a_host_is_no_part_of_another_object(struct hm_trial *t)
{
	static const struct hm_face faces[] = {
		{ "IUnknown", &IID_IUnknown },
		{ "IHostMemoryManager", &IID_IHostMemoryManager },
	};
	IClassFactory *factory = factory_of(t);
	ULONG before = hm_count_of(t->memory);

	for (size_t i = 0; factory != NULL && i < HM_ROWS(faces); i++) {
		void *out;
		HRESULT hr;

		hm_row(t, "%s", faces[i].name);
		hr = create(factory, (IUnknown *)t->memory, faces[i].iid, &out);
		refused(t, hr, CLASS_E_NOAGGREGATION, out);
	}
	if (!t->codes)
		CHECK_SIZE(t, hm_count_of(t->memory), before);
}

static void a_host_has_no_other_face(struct hm_trial *t)
{
	static const struct hm_face faces[] = {
		{ "IHostMalloc", &IID_IHostMalloc },
		{ "IClassFactory", &IID_IClassFactory },
		{ "ICLRMemoryNotificationCallback", &IID_ICLRMemoryNotificationCallback },
	};
	IClassFactory *factory = factory_of(t);

	for (size_t i = 0; factory != NULL && i < HM_ROWS(faces); i++) {
		void *out;
		HRESULT hr;

		hm_row(t, "%s", faces[i].name);
		hr = create(factory, NULL, faces[i].iid, &out);
		refused(t, hr, E_NOINTERFACE, out);
	}
}

static void null_pointers_are_refused_by_the_factory(struct hm_trial *t)
{
	IClassFactory *factory = factory_of(t);
	void *out;
	HRESULT hr;

	if (factory == NULL)
		return;
	hm_row(t, "no out pointer");
	CHECK_REFUSED(t, IClassFactory_CreateInstance(factory, NULL, &IID_IUnknown, NULL),
		      E_POINTER);
	hm_row(t, "no interface");
	hr = create(factory, NULL, NULL, &out);
	refused(t, hr, E_POINTER, out);
}

static void a_server_can_be_locked(struct hm_trial *t)
{
	IClassFactory *factory = factory_of(t);
	void *host;

	if (factory == NULL)
		return;
	CHECK_HR(t, IClassFactory_LockServer(factory, TRUE), S_OK);
	CHECK_HR(t, IClassFactory_LockServer(factory, TRUE), S_OK);
	CHECK_HR(t, IClassFactory_LockServer(factory, FALSE), S_OK);
	CHECK_HR(t, IClassFactory_LockServer(factory, FALSE), S_OK);
	hm_row(t, "after that");
	if (CHECK_HR(t, create(factory, NULL, &IID_IUnknown, &host), S_OK))
		(void)IUnknown_Release((IUnknown *)host);
}

/* ---- What hosts leave behind ---- */

/* A host that has given pages and a block, and was let go. */
static bool one_host(struct hm_trial *t)
{
	IHostMemoryManager *memory = hm_new_host(t);
	IHostMalloc *heap = NULL;
	void *out = NULL;
	bool worked;

	if (memory == NULL)
		return false;
	worked = IHostMemoryManager_VirtualAlloc(memory, NULL, HM_GRANULE, HM_BOTH,
						 PAGE_READWRITE, eTaskCritical,
						 &out) == S_OK &&
		 IHostMemoryManager_VirtualFree(memory, out, 0, MEM_RELEASE) == S_OK &&
		 IHostMemoryManager_CreateMalloc(memory, MALLOC_THREADSAFE, &heap) ==
			 S_OK;
	if (worked) {
		worked = IHostMalloc_Alloc(heap, 100, eTaskCritical, &out) == S_OK &&
			 IHostMalloc_Free(heap, out) == S_OK;
		(void)IHostMalloc_Release(heap);
	}
	(void)IHostMemoryManager_Release(memory);
	return worked;
}

static void a_thousand_hosts_leave_nothing(struct hm_trial *t)
{
	struct hm_footprint before, after;
	unsigned i = 0;

	if (!CHECK(t, one_host(t)))
		return;
	before = hm_footprint();
	while (i < HOSTS && one_host(t))
		i++;
	CHECK_SIZE(t, i, HOSTS);
	if (before.address_space == 0) {
		hm_skip(t, "the system does not tell what a process has");
		return;
	}
	after = hm_footprint();
	CHECK(t, after.address_space <= before.address_space + SLACK);
	CHECK(t, after.files <= before.files);
	CHECK(t, after.threads <= before.threads);
}

static const struct hm_case cases[] = {
	{ "class", HM_REQUIRED, "COM: DllGetClassObject; HM hostmem.h: CLSID_HostMemory",
	  the_class_is_there, HM_NO_GROUP },
	{ "other-classes", HM_REQUIRED, "MS DllGetClassObject: CLASS_E_CLASSNOTAVAILABLE",
	  other_classes_are_not_there, HM_DOCUMENTED },
	{ "other-factories", HM_REQUIRED, "MS DllGetClassObject: E_NOINTERFACE",
	  a_factory_has_no_other_face, HM_DOCUMENTED },
	{ "entry-null", HM_DOCUMENTED, "HM unknown.h: E_POINTER",
	  null_pointers_are_refused_by_the_entry, HM_DOCUMENTED },
	{ "factory", HM_REQUIRED, "COM", a_factory_keeps_the_rules, HM_NO_GROUP },
	{ "instances", HM_REQUIRED, "MS IClassFactory::CreateInstance",
	  a_factory_makes_hosts, HM_NO_GROUP },
	{ "two-instances", HM_DOCUMENTED,
	  "MS IClassFactory::CreateInstance: uninitialized",
	  two_hosts_of_a_factory_are_two, HM_NO_GROUP },
	{ "outlives-factory", HM_REQUIRED, "COM: who has a reference has the object",
	  a_host_outlives_its_factory, HM_NO_GROUP },
	{ "aggregation", HM_REQUIRED, "MS IClassFactory: CLASS_E_NOAGGREGATION",
	  a_host_is_no_part_of_another_object, HM_DOCUMENTED },
	{ "other-faces", HM_REQUIRED, "MS IClassFactory: E_NOINTERFACE",
	  a_host_has_no_other_face, HM_DOCUMENTED },
	{ "factory-null", HM_DOCUMENTED, "HM unknown.h: E_POINTER",
	  null_pointers_are_refused_by_the_factory, HM_DOCUMENTED },
	{ "lock", HM_REQUIRED, "MS IClassFactory::LockServer", a_server_can_be_locked,
	  HM_NO_GROUP },
	{ "thousand-hosts", HM_REQUIRED, "COM: the last Release ends the object",
	  a_thousand_hosts_leave_nothing, HM_NO_GROUP },
};

const struct hm_area hm_area_module = HM_AREA("module", cases);
