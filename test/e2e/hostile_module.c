/*
 * A host module that does what no host may: the plain forwarding host of
 * test/conformance/forwarding_module.c, which is a part of it, with a misdeed in one place.
 *
 * HOSTMEM_HOSTILE in the environment is "PLACE:DEED", or several with commas.  Places are a
 * constructor, a destructor, DllGetClassObject ("entry"), CreateInstance ("create"), and
 * "query": QueryInterface for an IID that is nearly that of IHostMemoryManager, which is asked
 * by one case of the suite and never while a module is loaded.  "manager:huge-runs" is no deed
 * but an answer: VirtualQuery tells of runs without end.
 */
#undef DllGetClassObject
#include "abi/hostmem.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The entry of the good host. */
HRESULT HOSTMEM_CALL forwarding_DllGetClassObject(REFCLSID clsid, REFIID riid,
						  void **ppv);

static jmp_buf long_gone;

/* ---- Misdeeds ---- */

static void crash(void)
{
	void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(volatile char *)page = 1;
}

static void hang(void)
{
	for (;;)
		(void)pause();
}

static void hang_without_signals(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	hang();
}

static void exit_0(void)
{
	exit(0);
}

static void exit_3(void)
{
	_exit(3);
}

static void be_killed(void)
{
	(void)raise(SIGKILL);
}

static void jump(void)
{
	longjmp(long_gone, 1);
}

static void end_thread(void)
{
	pthread_exit(NULL);
}

static void close_all(void)
{
	for (int i = 0; i < 256; i++)
		(void)close(i);
}

/* What is no line, no text, and would act in a terminal or in XML. */
static void print_garbage(void)
{
	static const char garbage[] =
		"\033[2J ]]> <&\"'\x01\xff\xc3 # \r\n...\n---\nok 1\n";

	(void)!write(STDOUT_FILENO, garbage, sizeof(garbage) - 1);
	(void)!write(STDERR_FILENO, garbage, sizeof(garbage) - 1);
}

static void print_much(void)
{
	static char line[1024];

	memset(line, 'x', sizeof(line));
	for (int i = 0; i < 1024; i++)
		(void)!write(STDOUT_FILENO, line, sizeof(line));
}

/* A process that keeps the pipes open; with `own`, in a group of its own. */
static void leave_a_process(bool own)
{
	if (fork() != 0)
		return;
	if (own)
		(void)setsid();
	for (;;)
		(void)pause();
}

static void fork_one(void)
{
	leave_a_process(false);
}

static void fork_stray(void)
{
	leave_a_process(true);
}

/* Writes for ever, from a process that goes on when this one has ended. */
static void fork_writer(void)
{
	if (fork() != 0)
		return;
	(void)signal(SIGPIPE, SIG_IGN);
	for (;;)
		print_much();
}

static void leak_descriptor(void)
{
	(void)!dup(STDIN_FILENO);
}

static void *sleep_for_ever(void *argument)
{
	hang();
	return argument;
}

static void leak_thread(void)
{
	pthread_t thread;

	(void)pthread_create(&thread, NULL, sleep_for_ever, NULL);
}

static void leak_space(void)
{
	(void)!mmap(NULL, (size_t)64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
}

static const struct {
	const char *name;
	void (*run)(void);
} deeds[] = {
	{ "close", close_all },
	{ "crash", crash },
	{ "end-thread", end_thread },
	{ "exit-0", exit_0 },
	{ "exit-3", exit_3 },
	{ "fork", fork_one },
	{ "garbage", print_garbage },
	{ "hang", hang },
	{ "hang-without-signals", hang_without_signals },
	{ "jump", jump },
	{ "kill", be_killed },
	{ "leak-descriptor", leak_descriptor },
	{ "leak-space", leak_space },
	{ "leak-thread", leak_thread },
	{ "much", print_much },
	{ "stray", fork_stray },
	{ "writer", fork_writer },
};

static void do_deed(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (strlen(deeds[i].name) == length &&
		    strncmp(name, deeds[i].name, length) == 0)
			deeds[i].run();
	}
}

/* What the environment says of this place; the first time that somebody comes there. */
static void misbehave(const char *place, bool *done)
{
	const char *what = getenv("HOSTMEM_HOSTILE");
	size_t length = strlen(place);

	if (*done)
		return;
	*done = true;
	while (what != NULL && *what != '\0') {
		size_t end = strcspn(what, ",");

		if (strncmp(what, place, length) == 0 && what[length] == ':')
			do_deed(what + length + 1, end - length - 1);
		what += end + (what[end] == ',' ? 1 : 0);
	}
}

__attribute__((constructor)) static void begin(void)
{
	static bool done;

	misbehave("constructor", &done);
}

__attribute__((destructor)) static void end(void)
{
	static bool done;

	misbehave("destructor", &done);
}

/* ---- Between the suite and the good host ---- */

static const IHostMemoryManagerVtbl *good;
static IHostMemoryManagerVtbl hostile;

/* IID_IHostMemoryManager but for its last half. */
static bool is_nearly(REFIID riid)
{
	return riid != NULL && !IsEqualIID(riid, &IID_IHostMemoryManager) &&
	       memcmp(riid, &IID_IHostMemoryManager, sizeof(*riid) / 2) == 0;
}

static HRESULT HOSTMEM_CALL query(IHostMemoryManager *self, REFIID riid, void **ppv)
{
	static bool done;

	if (is_nearly(riid))
		misbehave("query", &done);
	return good->QueryInterface(self, riid, ppv);
}

static HRESULT HOSTMEM_CALL query_huge(IHostMemoryManager *self, void *address,
				       void *buffer, SIZE_T length, SIZE_T *result)
{
	const MEMORY_BASIC_INFORMATION run = {
		.BaseAddress = address,
		.AllocationBase = address,
		.RegionSize = (SIZE_T)1 << 62,
		.State = MEM_COMMIT,
		.Protect = PAGE_READWRITE,
	};

	(void)self;
	if (buffer == NULL || result == NULL || length < sizeof(run))
		return E_INVALIDARG;
	memcpy(buffer, &run, sizeof(run));
	*result = sizeof(run);
	return S_OK;
}

static void come_between(IUnknown *host)
{
	const char *what = getenv("HOSTMEM_HOSTILE");
	void *face = NULL;
	IHostMemoryManager *manager;

	if (FAILED(IUnknown_QueryInterface(host, &IID_IHostMemoryManager, &face)))
		return;
	manager = (IHostMemoryManager *)face;
	if (good == NULL) {
		good = manager->lpVtbl;
		hostile = *good;
		hostile.QueryInterface = query;
		if (what != NULL && strcmp(what, "manager:huge-runs") == 0)
			hostile.VirtualQuery = query_huge;
	}
	manager->lpVtbl = &hostile;
	(void)IHostMemoryManager_Release(manager);
}

static HRESULT HOSTMEM_CALL factory_query(IClassFactory *self, REFIID riid, void **ppv)
{
	if (!IsEqualIID(riid, &IID_IUnknown) && !IsEqualIID(riid, &IID_IClassFactory)) {
		*ppv = NULL;
		return E_NOINTERFACE;
	}
	*ppv = self;
	return S_OK;
}

static ULONG HOSTMEM_CALL factory_count(IClassFactory *self)
{
	(void)self;
	return 1;
}

static HRESULT HOSTMEM_CALL factory_create(IClassFactory *self, IUnknown *outer,
					   REFIID riid, void **ppv)
{
	static bool done;
	void *factory = NULL;
	HRESULT hr = forwarding_DllGetClassObject(&CLSID_HostMemory, &IID_IClassFactory,
						  &factory);

	(void)self;
	misbehave("create", &done);
	if (FAILED(hr))
		return hr;
	hr = IClassFactory_CreateInstance((IClassFactory *)factory, outer, riid, ppv);
	if (SUCCEEDED(hr) && *ppv != NULL)
		come_between((IUnknown *)*ppv);
	return hr;
}

static HRESULT HOSTMEM_CALL factory_lock(IClassFactory *self, BOOL lock)
{
	(void)self;
	(void)lock;
	return S_OK;
}

static const IClassFactoryVtbl factory_table = {
	.QueryInterface = factory_query,
	.AddRef = factory_count,
	.Release = factory_count,
	.CreateInstance = factory_create,
	.LockServer = factory_lock,
};

static IClassFactory the_factory = { &factory_table };

HRESULT HOSTMEM_CALL DllGetClassObject(REFCLSID clsid, REFIID riid, void **ppv)
{
	static bool done;
	HRESULT hr = forwarding_DllGetClassObject(clsid, riid, ppv);

	misbehave("entry", &done);
	if (setjmp(long_gone) != 0)
		return E_FAIL; /* to whoever has been at this place of the stack */
	if (SUCCEEDED(hr) && *ppv != NULL)
		*ppv = &the_factory;
	return hr;
}
