/*
 * The end of a host beside or inside a call: in a walk, in a runtime's callback, and
 * while another thread is in a subscriber.
 */
#include "recorder.h"

#include <pthread.h>
#include <sched.h>

/* Looks at memory after its host is gone. */
static struct host witness;

static BOOL HOSTMEM_CALL let_go_in_a_walk(void *state,
					  const MEMORY_BASIC_INFORMATION *run)
{
	struct host *host = (struct host *)state;

	CHECK(run->RegionSize != 0);
	if (host->manager != NULL)
		CHECK_U32(IHostMemoryControl_Release(host->control), 0);
	host->manager = NULL;
	return TRUE;
}

/* A walk is a call in flight too. */
static void the_host_may_be_let_go_inside_a_walk(void)
{
	struct host host;
	void *base;

	if (!host_create(&host, 0))
		return;
	base = vm_new(&host, 4 * PAGE, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
	(void)vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	IHostMemoryPages_Release(host.pages);
	IHostMemoryManager_Release(host.manager);
	CHECK(SUCCEEDED(
		IHostMemoryControl_WalkRegions(host.control, let_go_in_a_walk, &host)));
	CHECK(host.manager == NULL);
	CHECK_U32(vm_state(&witness, base), MEM_FREE);
}

struct keeper {
	ICLRMemoryNotificationCallback iface;
	struct host host;
	unsigned references;
};

static HRESULT HOSTMEM_CALL keeper_query(ICLRMemoryNotificationCallback *self,
					 REFIID riid, void **ppv)
{
	(void)self;
	(void)riid;
	*ppv = NULL;
	return E_NOINTERFACE;
}

static ULONG HOSTMEM_CALL keeper_add(ICLRMemoryNotificationCallback *self)
{
	return ++((struct keeper *)self)->references;
}

/* Lets its own reference to the host go; the first member is the interface. */
static ULONG HOSTMEM_CALL keeper_release(ICLRMemoryNotificationCallback *self)
{
	struct keeper *keeper = (struct keeper *)self;

	if (keeper->host.manager != NULL) {
		CHECK_U32(IHostMemoryManager_Release(keeper->host.manager), 0);
		keeper->host.manager = NULL;
	}
	return --keeper->references;
}

static HRESULT HOSTMEM_CALL keeper_notify(ICLRMemoryNotificationCallback *self,
					  EMemoryAvailable available)
{
	(void)self;
	(void)available;
	return S_OK;
}

static void the_host_may_be_let_go_by_the_callback_that_is_replaced(void)
{
	static const ICLRMemoryNotificationCallbackVtbl table = {
		.QueryInterface = keeper_query,
		.AddRef = keeper_add,
		.Release = keeper_release,
		.OnMemoryNotification = keeper_notify,
	};
	struct keeper keeper = { .iface = { &table }, .references = 1 };
	IHostMemoryManager *manager;
	void *base;

	if (!host_create(&keeper.host, 0))
		return;
	manager = keeper.host.manager;
	base = vm_new(&keeper.host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(manager,
								       &keeper.iface),
		 S_OK);
	IHostMemoryControl_Release(keeper.host.control);
	IHostMemoryPages_Release(keeper.host.pages);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(manager, NULL),
		 S_OK);
	CHECK_U32(keeper.references, 1);
	CHECK_U32(vm_state(&witness, base), MEM_FREE);
}

/* ---- Shutdown beside a callback on another thread ---- */

struct visit {
	struct host *host;
	atomic_int inside, leaving, left;
	HRESULT result;
};

static BOOL HOSTMEM_CALL stay_until_shutdown_begins(void *state,
						    const HostMemEvent *event)
{
	struct visit *visit = (struct visit *)state;

	if (event->type != HostMemEventAllocate)
		return TRUE;
	atomic_store(&visit->inside, 1);
	while (atomic_load(&visit->leaving) == 0)
		sched_yield();
	/* Time for a Shutdown that does not wait to come back too early. */
	for (int i = 0; i < 2000; i++)
		sched_yield();
	atomic_store(&visit->left, 1);
	return TRUE;
}

static void *commit_beside_shutdown(void *state)
{
	struct visit *visit = (struct visit *)state;
	void *out;

	visit->result = vm_alloc(visit->host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE,
				 &out);
	return NULL;
}

static void shutdown_returns_when_callbacks_have_ended(void)
{
	struct host host;
	struct visit visit = { .host = &host };
	uint64_t cookie;
	pthread_t thread;

	if (!host_create(&host, 0))
		return;
	CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALL_BITS,
					      stay_until_shutdown_begins, &visit,
					      &cookie),
		 S_OK);
	CHECK(pthread_create(&thread, NULL, commit_beside_shutdown, &visit) == 0);
	while (atomic_load(&visit.inside) == 0)
		sched_yield();
	atomic_store(&visit.leaving, 1);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	CHECK_INT(atomic_load(&visit.left), 1);
	CHECK(pthread_join(thread, NULL) == 0);
	/* Abandoned if Shutdown came first, granted if it came after the callback. */
	CHECK(visit.result == HOST_E_ABANDONED || visit.result == S_OK);
	CHECK_SIZE(host_usage(&host).cbCharged, visit.result == S_OK ? PAGE : 0);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, cookie), S_OK);
	host_destroy(&host);
}

int main(void)
{
	if (!host_create(&witness, 0))
		return 1;
	TAP_RUN(the_host_may_be_let_go_inside_a_walk);
	TAP_RUN(the_host_may_be_let_go_by_the_callback_that_is_replaced);
	TAP_RUN(shutdown_returns_when_callbacks_have_ended);
	host_destroy(&witness);
	return tap_done();
}
