/*
 * Identity and lifetime of the public objects: the host, whichever face it is made with,
 * its heaps, and the class factory of the host module.  A new object is one new test.
 */
#include "com_rules.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

static void the_host_keeps_the_rules_whichever_face_it_is_made_with(void)
{
	for (size_t i = 0; i < ROWS(com_host_iids); i++) {
		void *object = POISON;

		CHECK_HR(HostMemCreate(NULL, com_host_iids[i], &object), S_OK);
		if (!CHECK(object != NULL && object != POISON))
			return;
		CHECK_U32(com_count((IUnknown *)object), 1);
		com_rules((IUnknown *)object, com_host_iids, ROWS(com_host_iids));
		CHECK_U32(IUnknown_Release((IUnknown *)object), 0);
	}
}

static void the_host_keeps_the_rules_after_shutdown(void)
{
	struct host host;

	if (!host_create(&host, 0))
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	com_rules((IUnknown *)host.manager, com_host_iids, ROWS(com_host_iids));
	host_destroy(&host);
}

static void two_hosts_are_two_objects(void)
{
	struct host first, second;

	if (!host_create(&first, 0) || !host_create(&second, 0))
		return;
	CHECK(!com_same_identity((IUnknown *)first.manager, (IUnknown *)second.manager));
	CHECK(com_same_identity((IUnknown *)first.manager, (IUnknown *)first.pages));
	host_destroy(&first);
	host_destroy(&second);
}

static void a_heap_keeps_the_rules_and_is_no_face_of_its_host(void)
{
	struct host host;

	if (!host_create(&host, 0))
		return;
	for (DWORD type = 0; type < 4; type++) {
		IHostMalloc *heap = NULL, *other = NULL;

		if (!CHECK_HR(IHostMemoryManager_CreateMalloc(host.manager, type, &heap),
			      S_OK) ||
		    !CHECK_HR(IHostMemoryManager_CreateMalloc(host.manager, type, &other),
			      S_OK))
			break;
		CHECK_U32(com_count((IUnknown *)heap), 1);
		com_rules((IUnknown *)heap, com_heap_iids, ROWS(com_heap_iids));
		CHECK(!com_same_identity((IUnknown *)heap, (IUnknown *)host.manager));
		CHECK(!com_same_identity((IUnknown *)heap, (IUnknown *)other));
		com_rules((IUnknown *)host.manager, com_host_iids, ROWS(com_host_iids));
		CHECK_U32(IHostMalloc_Release(heap), 0);
		CHECK_U32(IHostMalloc_Release(other), 0);
		CHECK_U32(com_count((IUnknown *)host.manager), 3);
	}
	host_destroy(&host);
}

static void a_heap_keeps_the_rules_after_shutdown(void)
{
	IHostMalloc *heap = NULL;
	struct host host;

	if (!host_create(&host, 0))
		return;
	CHECK_HR(IHostMemoryManager_CreateMalloc(host.manager, MALLOC_THREADSAFE, &heap),
		 S_OK);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	if (heap != NULL) {
		com_rules((IUnknown *)heap, com_heap_iids, ROWS(com_heap_iids));
		CHECK_U32(IHostMalloc_Release(heap), 0);
	}
	host_destroy(&host);
}

typedef HRESULT(HOSTMEM_CALL *get_class_object)(REFCLSID clsid, REFIID riid, void **ppv);

/* The entry of hostmem-module.so; NULL was reported. */
static get_class_object module_entry(void)
{
	const char *path = getenv("HOSTMEM_MODULE");
	get_class_object entry = NULL;
	void *module, *symbol;

	module = dlopen(path != NULL ? path : "./.libs/hostmem-module.so",
			RTLD_NOW | RTLD_LOCAL);
	if (!CHECK(module != NULL))
		return NULL;
	symbol = dlsym(module, "DllGetClassObject");
	CHECK(symbol != NULL);
	memcpy(&entry, &symbol, sizeof(entry));
	return entry;
}

static void the_class_factory_keeps_the_rules(void)
{
	static const IID *const iids[] = { &IID_IUnknown, &IID_IClassFactory };
	get_class_object entry = module_entry();

	for (size_t i = 0; entry != NULL && i < ROWS(iids); i++) {
		void *factory = POISON;

		CHECK_HR(entry(&CLSID_HostMemory, iids[i], &factory), S_OK);
		if (!CHECK(factory != NULL && factory != POISON))
			return;
		com_rules((IUnknown *)factory, iids, ROWS(iids));
		IUnknown_Release((IUnknown *)factory);
	}
}

static void the_module_entry_checks_its_arguments(void)
{
	static const CLSID other = { 0xEA89A24E,
				     0xE38F,
				     0x4286,
				     { 0x8A, 0x33, 0x2E, 0xB0, 0x2E, 0x93, 0xD7, 0x91 } };
	get_class_object entry = module_entry();
	const struct {
		const char *what;
		const CLSID *clsid;
		const IID *iid;
		HRESULT want;
	} rows[] = {
		{ "another class", &other, &IID_IClassFactory,
		  CLASS_E_CLASSNOTAVAILABLE },
		{ "an interface as class", &IID_IUnknown, &IID_IUnknown,
		  CLASS_E_CLASSNOTAVAILABLE },
		{ "no such face", &CLSID_HostMemory, &IID_IHostControl, E_NOINTERFACE },
		{ "NULL class", NULL, &IID_IClassFactory, E_POINTER },
		{ "NULL interface", &CLSID_HostMemory, NULL, E_POINTER },
	};

	for (size_t i = 0; entry != NULL && i < ROWS(rows); i++) {
		void *out = POISON;

		tap_row("%s", rows[i].what);
		CHECK_HR(entry(rows[i].clsid, rows[i].iid, &out), rows[i].want);
		CHECK_POINTER(out, NULL);
		CHECK_HR(entry(rows[i].clsid, rows[i].iid, NULL), E_POINTER);
	}
}

static void the_class_factory_makes_hosts_that_keep_the_rules(void)
{
	get_class_object entry = module_entry();
	IClassFactory *factory;
	void *out = NULL;

	if (entry == NULL ||
	    !CHECK_HR(entry(&CLSID_HostMemory, &IID_IClassFactory, &out), S_OK))
		return;
	factory = (IClassFactory *)out;
	CHECK_HR(IClassFactory_LockServer(factory, TRUE), S_OK);
	CHECK_HR(IClassFactory_LockServer(factory, FALSE), S_OK);
	for (size_t i = 0; i < ROWS(com_host_iids); i++) {
		out = POISON;
		CHECK_HR(IClassFactory_CreateInstance(factory, NULL, com_host_iids[i],
						      &out),
			 S_OK);
		if (!CHECK(out != NULL && out != POISON))
			return;
		com_rules((IUnknown *)out, com_host_iids, ROWS(com_host_iids));
		CHECK_U32(IUnknown_Release((IUnknown *)out), 0);
	}
	out = POISON;
	CHECK_HR(IClassFactory_CreateInstance(factory, (IUnknown *)factory, &IID_IUnknown,
					      &out),
		 CLASS_E_NOAGGREGATION);
	CHECK_POINTER(out, NULL);
	out = POISON;
	CHECK_HR(IClassFactory_CreateInstance(factory, NULL, &IID_IHostMalloc, &out),
		 E_NOINTERFACE);
	CHECK_POINTER(out, NULL);
	out = POISON;
	CHECK_HR(IClassFactory_CreateInstance(factory, NULL, NULL, &out), E_POINTER);
	CHECK_POINTER(out, NULL);
	CHECK_HR(IClassFactory_CreateInstance(factory, NULL, &IID_IUnknown, NULL),
		 E_POINTER);
	IClassFactory_Release(factory);
}

enum { THREADS = 16, CHANGES = 20000 };

static void *change_counts(void *state)
{
	IUnknown *object = (IUnknown *)state;

	for (size_t i = 0; i < CHANGES; i++) {
		IUnknown *face = com_face(object, com_host_iids[i % ROWS(com_host_iids)]);

		IUnknown_AddRef(face);
		IUnknown_AddRef(object);
		IUnknown_Release(face);
		IUnknown_Release(face);
		IUnknown_Release(object);
	}
	return NULL;
}

static void counts_are_right_after_16_threads_changed_them(void)
{
	pthread_t threads[THREADS];
	struct host host;

	if (!host_create(&host, 0))
		return;
	for (size_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, change_counts, host.manager) ==
		      0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK_U32(com_count((IUnknown *)host.manager), 3);
	host_destroy(&host);
}

static atomic_uint last_releases;

static void *release_one(void *state)
{
	if (IUnknown_Release((IUnknown *)state) == 0)
		atomic_fetch_add(&last_releases, 1);
	return NULL;
}

static void one_of_16_threads_releases_last(void)
{
	for (int round = 0; round < 50; round++) {
		pthread_t threads[THREADS];
		void *object = NULL;

		tap_row("round %d", round);
		atomic_store(&last_releases, 0);
		CHECK_HR(HostMemCreate(NULL, &IID_IHostControl, &object), S_OK);
		for (size_t i = 1; i < THREADS; i++)
			IUnknown_AddRef((IUnknown *)object);
		for (size_t i = 0; i < THREADS; i++)
			CHECK(pthread_create(&threads[i], NULL, release_one, object) ==
			      0);
		for (size_t i = 0; i < THREADS; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
		CHECK_U32(last_releases, 1);
	}
}

int main(void)
{
	TAP_RUN(the_host_keeps_the_rules_whichever_face_it_is_made_with);
	TAP_RUN(the_host_keeps_the_rules_after_shutdown);
	TAP_RUN(two_hosts_are_two_objects);
	TAP_RUN(a_heap_keeps_the_rules_and_is_no_face_of_its_host);
	TAP_RUN(a_heap_keeps_the_rules_after_shutdown);
	TAP_RUN(the_class_factory_keeps_the_rules);
	TAP_RUN(the_module_entry_checks_its_arguments);
	TAP_RUN(the_class_factory_makes_hosts_that_keep_the_rules);
	TAP_RUN(counts_are_right_after_16_threads_changed_them);
	TAP_RUN(one_of_16_threads_releases_last);
	return tap_done();
}
