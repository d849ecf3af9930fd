/*
 * What a runtime asks its host for besides memory: IHostControl, IHostGCManager and
 * RegisterMemoryNotificationCallback.
 */
#include "com_rules.h"
#include "test/callback.h"

static struct host host;

static IHostControl *hosting(void)
{
	return (IHostControl *)com_face((IUnknown *)host.manager, &IID_IHostControl);
}

static void gethostmanager_gives_a_reference(void)
{
	static const IID *const managers[] = { &IID_IHostMemoryManager,
					       &IID_IHostGCManager };
	IHostControl *control = hosting();

	for (size_t i = 0; i < ROWS(managers); i++) {
		ULONG before = com_count((IUnknown *)control);
		void *manager = POISON;

		tap_row("manager %zu", i);
		CHECK_HR(IHostControl_GetHostManager(control, managers[i], &manager),
			 S_OK);
		if (!CHECK(manager != NULL && manager != POISON))
			continue;
		CHECK_U32(com_count((IUnknown *)control), before + 1);
		CHECK(com_same_identity((IUnknown *)control, (IUnknown *)manager));
		CHECK_U32(IUnknown_Release((IUnknown *)manager), before);
	}
	IHostControl_Release(control);
}

static void gethostmanager_knows_two_managers(void)
{
	static const IID policy = { 0x7AE49844,
				    0xB1E3,
				    0x4683,
				    { 0xBA, 0x7C, 0x1E, 0x82, 0x12, 0xEA, 0x3B, 0x79 } };
	const IID *const others[] = { &IID_IUnknown,           &IID_IHostControl,
				      &IID_IHostMemoryControl, &IID_IHostMemorySimulator,
				      &IID_IHostMemoryPages,   &IID_IHostMemoryMonitor,
				      &IID_IHostMalloc,        &policy };
	IHostControl *control = hosting();
	ULONG before = com_count((IUnknown *)control);
	void *out = POISON;

	for (size_t i = 0; i < ROWS(others); i++) {
		tap_row("manager %zu", i);
		out = POISON;
		CHECK_HR(IHostControl_GetHostManager(control, others[i], &out),
			 E_NOINTERFACE);
		CHECK_POINTER(out, NULL);
	}
	out = POISON;
	CHECK_HR(IHostControl_GetHostManager(control, NULL, &out), E_POINTER);
	CHECK_POINTER(out, NULL);
	CHECK_HR(IHostControl_GetHostManager(control, &IID_IHostMemoryManager, NULL),
		 E_POINTER);
	CHECK_U32(com_count((IUnknown *)control), before);
	IHostControl_Release(control);
}

static void an_app_domain_manager_is_not_kept(void)
{
	IHostControl *control = hosting();
	ULONG before = com_count((IUnknown *)host.manager);

	CHECK_HR(IHostControl_SetAppDomainManager(control, 1, NULL), S_OK);
	CHECK_HR(IHostControl_SetAppDomainManager(control, 2, (IUnknown *)host.manager),
		 S_OK);
	CHECK_U32(com_count((IUnknown *)host.manager), before);
	IHostControl_Release(control);
}

static void a_suspension_may_end_that_never_started(void)
{
	IHostGCManager *collector = (IHostGCManager *)com_face((IUnknown *)host.manager,
							       &IID_IHostGCManager);
	void *base;

	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 2), S_OK);
	CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
	CHECK_HR(IHostGCManager_ThreadIsBlockingForSuspension(collector), S_OK);
	/* A collector allocates between the two. */
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0xFFFFFFFF), S_OK);
	IHostGCManager_Release(collector);
}

static HRESULT keep(const struct host *in, struct callback *callback)
{
	return IHostMemoryManager_RegisterMemoryNotificationCallback(
		in->manager, callback != NULL ? &callback->iface : NULL);
}

/* Which callbacks are registered one after the other, and who is held afterwards. */
static void the_host_holds_one_reference_to_the_registered_callback(void)
{
	struct callback first = callback_new(), second = callback_new();
	const struct {
		const char *what;
		struct callback *callback;
		unsigned first, second;
	} rows[] = {
		{ "nobody, when there was nobody", NULL, 1, 1 },
		{ "the first", &first, 2, 1 },
		{ "the same again", &first, 2, 1 },
		{ "another in its place", &second, 1, 2 },
		{ "nobody", NULL, 1, 1 },
		{ "the first once more", &first, 2, 1 },
	};
	struct host other;

	if (!host_create(&other, 0))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(keep(&other, rows[i].callback), S_OK);
		CHECK_U32(first.references, rows[i].first);
		CHECK_U32(second.references, rows[i].second);
	}
	tap_row("shutdown and the last release");
	CHECK_HR(IHostMemoryControl_Shutdown(other.control), S_OK);
	CHECK_HR(keep(&other, &second), HOST_E_CLRNOTAVAILABLE);
	CHECK_U32(second.references, 1);
	host_destroy(&other);
	CHECK_U32(first.references, 1);
	CHECK_U32(first.calls + second.calls, 0);
}

static ICLRMemoryNotificationCallback *registered_from_within;

/* A Release that calls back into the host: no lock is held around it. */
static void register_and_allocate(struct callback *callback)
{
	(void)callback;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 host.manager, registered_from_within),
		 S_OK);
	CHECK_HR(vm_release(&host, vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE)),
		 S_OK);
}

static void a_callback_that_is_let_go_may_call_the_host(void)
{
	struct callback nested = callback_new(), outer = callback_new();

	outer.on_release = register_and_allocate;
	registered_from_within = &nested.iface;
	CHECK_HR(keep(&host, &outer), S_OK);
	CHECK_HR(keep(&host, NULL), S_OK);
	CHECK_U32(outer.references, 1);
	/* The nested call came last. */
	CHECK_U32(nested.references, 2);
	CHECK_HR(keep(&host, NULL), S_OK);
	CHECK_U32(nested.references, 1);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(gethostmanager_gives_a_reference);
	TAP_RUN(gethostmanager_knows_two_managers);
	TAP_RUN(an_app_domain_manager_is_not_kept);
	TAP_RUN(a_suspension_may_end_that_never_started);
	TAP_RUN(the_host_holds_one_reference_to_the_registered_callback);
	TAP_RUN(a_callback_that_is_let_go_may_call_the_host);
	host_destroy(&host);
	return tap_done();
}
