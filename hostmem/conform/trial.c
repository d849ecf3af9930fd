/*
 * Trials: how a case gets its host, and leaves nothing behind.
 *
 * Nothing here believes in the host: whatever it answers, the trial comes to an end, or the
 * process does.
 *
 * What a case leaves behind is judged too.  The references that are left before the last
 * Release have to be as many as the host began with, and after it the process has to have
 * as much address space, as many descriptors and threads as before the host was made.  What a
 * module keeps for good it has made by then: one host has come and gone before.
 *
 * Locks: none; the counters are atomic, all else belongs to the thread of the case.
 */
#include "trial.h"
#include "callback.h"
#include "comrules.h"
#include "memory.h"

#include <stdlib.h>

enum {
	LEAK = 1024 * 1024, /* more address space than before that is no coincidence */
	PATIENCE_MS = 500,  /* until a thread that has ended is seen to be gone */
	PATIENCE_STEP_MS = 5
};

/* ---- Hosts and their faces ---- */

void hm_own(struct hm_trial *t, void *object)
{
	if (t->face_count == HM_FACES)
		CHECK(t, t->face_count < HM_FACES);
	else
		t->faces[t->face_count++] = (IUnknown *)object;
}

ULONG hm_drop(struct hm_trial *t, void *object)
{
	for (unsigned i = 0; i < t->face_count; i++) {
		if (t->faces[i] == object) {
			t->faces[i] = t->faces[--t->face_count];
			break;
		}
	}
	return IUnknown_Release((IUnknown *)object);
}

void *hm_has(struct hm_trial *t, REFIID riid)
{
	void *face = NULL;

	if (FAILED(IHostMemoryManager_QueryInterface(t->memory, riid, &face)) ||
	    face == NULL)
		return NULL;
	hm_own(t, face);
	return face;
}

void *hm_need(struct hm_trial *t, REFIID riid, const char *name)
{
	void *face = hm_has(t, riid);

	if (face == NULL)
		hm_skip(t, "the host has no %s", name);
	return face;
}

bool hm_chooses(struct hm_trial *t, const char *otherwise)
{
	if (hm_has(t, &IID_IHostMemoryControl) != NULL)
		return false;
	hm_skip(t, "the documents are silent, and the host %s", otherwise);
	return true;
}

/* The count after the one reference that is given back; it may be anything. */
static ULONG references_of(IUnknown *object)
{
	(void)IUnknown_AddRef(object);
	return IUnknown_Release(object);
}

/* A host as a runtime gets one: from its IHostControl, or bare where there is none. */
static HRESULT make_host(struct hm_trial *t, IHostControl **control,
			 IHostMemoryManager **memory)
{
	void *first = NULL, *second = NULL;
	HRESULT hr = t->target->create(t->target->state, &IID_IHostControl, &first);

	*control = NULL;
	if (SUCCEEDED(hr) && first != NULL) {
		*control = (IHostControl *)first;
		hr = IHostControl_GetHostManager(*control, &IID_IHostMemoryManager,
						 &second);
	} else {
		hr = t->target->create(t->target->state, &IID_IHostMemoryManager,
				       &second);
	}
	*memory = (IHostMemoryManager *)second;
	return hr;
}

/* The manager alone, or NULL. */
static HRESULT make_manager(struct hm_trial *t, IHostMemoryManager **memory)
{
	IHostControl *control;
	HRESULT hr = make_host(t, &control, memory);

	if (control != NULL)
		(void)IHostControl_Release(control);
	return hr;
}

IHostMemoryManager *hm_new_host(struct hm_trial *t)
{
	IHostMemoryManager *memory;

	return make_manager(t, &memory) == S_OK ? memory : NULL;
}

IHostMemoryManager *hm_another_host(struct hm_trial *t)
{
	IHostMemoryManager *memory;

	CHECK_HR(t, make_manager(t, &memory), S_OK);
	if (!CHECK(t, memory != NULL))
		return NULL;
	if (hm_same_object(memory, t->memory)) {
		(void)IHostMemoryManager_Release(memory);
		hm_skip(t, "there is one host, whoever asks for another");
		return NULL;
	}
	return memory;
}

/* A page and a block, each come and gone, a block that cannot be, and a look at memory that is
 * not the host's. */
static void warm_up_memory(IHostMemoryManager *memory)
{
	MEMORY_BASIC_INFORMATION run;
	IHostMalloc *heap = NULL;
	void *base = NULL, *block = NULL;
	SIZE_T length;
	DWORD load;

	(void)IHostMemoryManager_VirtualQuery(memory, &run, &run, sizeof(run), &length);
	(void)IHostMemoryManager_GetMemoryLoad(memory, &load, &length);
	(void)IHostMemoryManager_VirtualAlloc(memory, NULL, HM_PAGE, HM_BOTH,
					      PAGE_READWRITE, eTaskCritical, &base);
	if (base != NULL)
		(void)IHostMemoryManager_VirtualFree(memory, base, 0, MEM_RELEASE);
	(void)IHostMemoryManager_CreateMalloc(memory, MALLOC_THREADSAFE, &heap);
	if (heap == NULL)
		return;
	(void)IHostMalloc_Alloc(heap, 1, eTaskCritical, &block);
	if (block != NULL)
		(void)IHostMalloc_Free(heap, block);
	/* libc tries what it cannot do in another arena, whose room it keeps. */
	(void)IHostMalloc_Alloc(heap, (SIZE_T)1 << 62, eTaskCritical, &block);
	(void)IHostMalloc_Release(heap);
}

/* Makes and drops a host that has been used.  What a module makes once and for all is there
 * then, and how many references are left at the end is known: the manager may be one object
 * with the control, or another, which the control keeps or does not. */
static void warm_up(struct hm_trial *t)
{
	IHostMemoryManager *memory;

	(void)make_manager(t, &memory);
	if (memory == NULL)
		return;
	warm_up_memory(memory);
	t->references = references_of((IUnknown *)memory);
	(void)IHostMemoryManager_Release(memory);
}

/* A thread that has returned is listed for a little while. */
static bool threads_are_gone(size_t before)
{
	for (unsigned ms = 0; ms < PATIENCE_MS; ms += PATIENCE_STEP_MS) {
		if (hm_footprint().threads <= before)
			return true;
		hm_pause(PATIENCE_STEP_MS);
	}
	return false;
}

static size_t growth(size_t before, size_t after)
{
	return after > before ? after - before : 0;
}

void hm_warm_up_watching(struct hm_trial *t)
{
	static struct hm_listener listener;
	struct hm_footprint before = hm_footprint(), after;
	IHostMemoryManager *memory;

	if (t->watches)
		return;
	t->watches = true;
	(void)make_manager(t, &memory);
	if (memory == NULL)
		return;
	hm_listener_init(&listener);
	(void)IHostMemoryManager_RegisterMemoryNotificationCallback(
		memory, &listener.ICLRMemoryNotificationCallback_iface);
	(void)IHostMemoryManager_Release(memory);
	/* A thread sanitizer has one of its own from the first thread on. */
	(void)threads_are_gone(before.threads);
	after = hm_footprint();
	t->before.files += growth(before.files, after.files);
	t->before.threads += growth(before.threads, after.threads);
	t->before.address_space += growth(before.address_space, after.address_space);
}

static bool get_host(struct hm_trial *t)
{
	return CHECK_HR(t, make_host(t, &t->control, &t->memory), S_OK) &&
	       CHECK(t, t->memory != NULL);
}

/* ---- The end ---- */

static void give_memory_back(struct hm_trial *t)
{
	for (size_t i = 0; i < t->kept_count; i++)
		(void)IHostMemoryManager_VirtualFree(t->memory, t->kept[i], 0,
						     MEM_RELEASE);
	free(t->kept);
}

static void drop_faces(struct hm_trial *t)
{
	while (t->face_count > 0)
		(void)IUnknown_Release(t->faces[--t->face_count]);
	/* The memory manager stays until the control is gone: it is the last to be asked. */
	if (t->control != NULL)
		(void)IHostControl_Release(t->control);
}

/* A check whose finding says how many there are, and how many there should be. */
static void no_more(struct hm_trial *t, const char *what, size_t now, size_t before)
{
	hm_check_size(t, now > before ? now : before, before, what, __FILE__, __LINE__);
}

static void look_for_leaks(struct hm_trial *t)
{
	struct hm_footprint now;
	bool gone = t->threads || threads_are_gone(t->before.threads);

	hm_row(t, "leak: after the last Release");
	now = hm_footprint();
	no_more(t, "open descriptors", now.files, t->before.files);
	if (t->threads)
		return;
	no_more(t, "threads", gone ? 0 : now.threads, t->before.threads);
	if (now.address_space > t->before.address_space + LEAK)
		no_more(t, "bytes of address space", now.address_space,
			t->before.address_space);
	else
		no_more(t, "bytes of address space", 0, t->before.address_space);
}

/* A host that the case has thrown away is not asked any more. */
static void finish(struct hm_trial *t)
{
	ULONG left;

	if (t->ended)
		return;
	hm_row(t, "leak: references to the host at the end");
	give_memory_back(t);
	drop_faces(t);
	left = references_of((IUnknown *)t->memory);
	CHECK_SIZE(t, left, t->references);
	(void)IHostMemoryManager_Release(t->memory);
	if (left == 1 && t->references == 1)
		look_for_leaks(t);
}

bool hm_trial_run(struct hm_trial *t, const struct hm_case *what)
{
	warm_up(t);
	t->before = hm_footprint();
	if (!get_host(t))
		return false;
	what->run(t);
	hm_wine(t, NULL);
	finish(t);
	return true;
}
