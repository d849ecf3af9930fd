/*
 * The wrapper itself: its faces, its references, its beginning and its end.
 */
#include "wrapper.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LEAK = 4 * 1024 * 1024 };

static _Atomic(struct wrapper *) newest;

struct wrapper *wrapper_newest(struct wrapper *self)
{
	struct wrapper *other = newest;

	return other->references != 0 ? other : self;
}

/* ---- References ---- */

static void *face_of(struct wrapper *self, REFIID riid)
{
	if (IsEqualIID(riid, &IID_IUnknown))
		return &self->IHostControl_iface;
	if (IsEqualIID(riid, &IID_IHostControl))
		return &self->IHostControl_iface;
	if (IsEqualIID(riid, &IID_IHostMemoryManager))
		return &self->IHostMemoryManager_iface;
	if (IsEqualIID(riid, &IID_IHostGCManager))
		return &self->IHostGCManager_iface;
	if (IsEqualIID(riid, &IID_IHostMemoryControl))
		return &self->IHostMemoryControl_iface;
	if (IsEqualIID(riid, &IID_IHostMemorySimulator))
		return &self->IHostMemorySimulator_iface;
	if (IsEqualIID(riid, &IID_IHostMemoryPages))
		return &self->IHostMemoryPages_iface;
	if (IsEqualIID(riid, &IID_IHostMemoryMonitor))
		return &self->IHostMemoryMonitor_iface;
	return NULL;
}

/* A face that a defect gives, or keeps back, against the rules. */
static void *spoil_face(struct wrapper *self, REFIID riid, void *face)
{
	static const IID in_comments = {
		/* of some copies of the IDL */
		0x02CA073D,
		0x7079,
		0x4860,
		{ 0x88, 0x0A, 0xC2, 0xF7, 0xA4, 0x49, 0xC9, 0x91 }
	};
	static atomic_uint asked;

	if (defect("interface-wrong-iid") && IsEqualIID(riid, &in_comments))
		return &self->IHostControl_iface;
	if (defect("interface-by-data1-only") &&
	    riid->Data1 == IID_IHostMemoryManager.Data1)
		return &self->IHostMemoryManager_iface;
	if (defect("interface-iunknown-refused") && IsEqualIID(riid, &IID_IUnknown))
		return NULL;
	if (defect("identity-changes") && IsEqualIID(riid, &IID_IUnknown) &&
	    asked++ % 2 == 1)
		return &self->IHostMemoryManager_iface;
	if (defect("interface-known-at-times") && asked++ % 2 == 1 &&
	    IsEqualIID(riid, &IID_IHostGCManager))
		return NULL;
	if (defect("interfaces-end-with-shutdown") && self->ended)
		return NULL;
	return face;
}

HRESULT wrapper_query(struct wrapper *self, REFIID riid, void **ppv)
{
	void *face;

	if (defect("interface-null-crashes"))
		touch(ppv);
	if (defect("interface-null-is-e-invalidarg") && ppv == NULL)
		return E_INVALIDARG;
	if (ppv == NULL)
		return E_POINTER;
	if (!defect("interface-out-left"))
		*ppv = NULL;
	if (defect("interface-null-name-is-e-invalidarg") && riid == NULL)
		return E_INVALIDARG;
	if (defect("interface-null-name-crashes") && riid == NULL)
		touch(NULL);
	if (riid == NULL)
		return E_POINTER;
	face = spoil_face(self, riid, face_of(self, riid));
	if (face == NULL)
		return defect("interface-refused-with-e-fail") ? E_FAIL : E_NOINTERFACE;
	*ppv = face;
	if (!defect("interface-without-reference"))
		(void)wrapper_add(self);
	return S_OK;
}

/* A count as a global, which is one for all hosts. */
static _Atomic ULONG *count_of(struct wrapper *self)
{
	static _Atomic ULONG of_all;

	return defect("one-count-for-all-hosts") ? &of_all : &self->references;
}

ULONG wrapper_add(struct wrapper *self)
{
	_Atomic ULONG *count = count_of(self);

	if (defect("count-is-not-atomic")) {
		const struct timespec moment = { 0, 1 }; /* in which others count */
		static _Atomic unsigned calls;
		ULONG before = *count;

		if (++calls % 64 == 0)
			(void)nanosleep(&moment, NULL);
		*count = before + 1;
		return before + 1;
	}
	if (defect("addref-answers-before"))
		return atomic_fetch_add(count, 1);
	return atomic_fetch_add(count, 1) + 1;
}

/* ---- The end, and the beginning ---- */

static void drop(void *face)
{
	if (face != NULL)
		(void)IUnknown_Release((IUnknown *)face);
}

static void let_go(struct wrapper *self)
{
	drop(self->control);
	drop(self->gc);
	drop(self->simulator);
	drop(self->pages);
	drop(self->monitor);
	drop(self->account);
	drop(self->memory);
}

ULONG wrapper_release(struct wrapper *self)
{
	_Atomic ULONG *count = count_of(self);
	ULONG left = atomic_fetch_sub(count, 1) - 1;

	if (defect("release-answers-zero") && left != 0)
		return 0;
	if (left == 0 && !defect("last-release-frees-nothing"))
		let_go(self);
	if (defect("last-release-answers-one") && left == 0)
		return 1;
	/* Counts down, and then looks how many are left. */
	if (defect("release-looks-again")) {
		(void)usleep(100);
		return *count;
	}
	return left;
}

static void *sleep_for_ever(void *nothing)
{
	for (;;)
		(void)pause();
	return nothing;
}

/* What a host may forget when it ends. */
static void begin_leaks(void)
{
	pthread_t thread;

	if (defect("thread-leaks"))
		(void)pthread_create(&thread, NULL, sleep_for_ever, NULL);
	if (defect("descriptor-leaks"))
		(void)dup(STDIN_FILENO);
	if (defect("address-space-leaks"))
		(void)mmap(NULL, LEAK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static HRESULT get_faces(struct wrapper *self)
{
	const struct {
		REFIID iid;
		void **face;
	} rows[] = {
		{ &IID_IHostControl, (void **)&self->control },
		{ &IID_IHostGCManager, (void **)&self->gc },
		{ &IID_IHostMemoryControl, (void **)&self->account },
		{ &IID_IHostMemorySimulator, (void **)&self->simulator },
		{ &IID_IHostMemoryPages, (void **)&self->pages },
		{ &IID_IHostMemoryMonitor, (void **)&self->monitor },
	};
	HRESULT hr = HostMemCreate(NULL, &IID_IHostMemoryManager, (void **)&self->memory);

	for (size_t i = 0; SUCCEEDED(hr) && i < sizeof(rows) / sizeof(rows[0]); i++)
		hr = IHostMemoryManager_QueryInterface(self->memory, rows[i].iid,
						       rows[i].face);
	return hr;
}

static void fill_in(struct wrapper *self)
{
	pthread_mutexattr_t recursive;

	self->IHostControl_iface.lpVtbl = &wrapper_control_table;
	self->IHostMemoryManager_iface.lpVtbl = &wrapper_manager_table;
	self->IHostGCManager_iface.lpVtbl = &wrapper_gc_table;
	self->IHostMemoryControl_iface.lpVtbl = &wrapper_account_table;
	self->IHostMemorySimulator_iface.lpVtbl = &wrapper_simulator_table;
	self->IHostMemoryPages_iface.lpVtbl = &wrapper_pages_table;
	self->IHostMemoryMonitor_iface.lpVtbl = &wrapper_monitor_table;
	++*count_of(self);
	(void)pthread_mutex_init(&self->lock, NULL);
	(void)pthread_mutexattr_init(&recursive);
	(void)pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	(void)pthread_mutex_init(&self->around, &recursive);
	(void)pthread_mutexattr_destroy(&recursive);
	self->older = newest;
	while (!atomic_compare_exchange_weak(&newest, &self->older, self))
		continue;
}

HRESULT wrapper_create(REFIID riid, void **ppv)
{
	struct wrapper *self = (struct wrapper *)calloc(1, sizeof(*self));
	HRESULT hr;

	if (self == NULL)
		return E_OUTOFMEMORY;
	fill_in(self);
	hr = get_faces(self);
	if (SUCCEEDED(hr)) {
		begin_leaks();
		hr = wrapper_query(self, riid, ppv);
	}
	(void)wrapper_release(self);
	return hr;
}

/* ---- Between the files ---- */

bool wrapper_look(struct wrapper *self, const void *address,
		  MEMORY_BASIC_INFORMATION *run)
{
	SIZE_T length;

	return IHostMemoryManager_VirtualQuery(self->memory, (void *)(uintptr_t)address,
					       run, sizeof(*run), &length) == S_OK;
}

void *wrapper_run_start(struct wrapper *self, const void *address)
{
	MEMORY_BASIC_INFORMATION run;
	const void *start;

	if (!wrapper_look(self, address, &run))
		return NULL;
	start = run.AllocationBase != NULL ? run.AllocationBase : run.BaseAddress;
	while (wrapper_look(self, start, &run) &&
	       (uintptr_t)start + run.RegionSize <= (uintptr_t)address)
		start = at(start, run.RegionSize);
	return (void *)(uintptr_t)start;
}

bool wrapper_walks_under_lock(void)
{
	return defect("walk-under-lock");
}

static bool calls_one_by_one(void)
{
	return defect("one-lock-around-calls") || wrapper_walks_under_lock();
}

void wrapper_enter(struct wrapper *self)
{
	if (calls_one_by_one())
		(void)pthread_mutex_lock(&self->around);
}

void wrapper_leave(struct wrapper *self)
{
	if (calls_one_by_one())
		(void)pthread_mutex_unlock(&self->around);
}
