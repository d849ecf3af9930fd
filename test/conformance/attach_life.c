/*
 * The attached host from before it is there until after its end: how a process is attached,
 * forks, threads that come and go, signal handlers, and a host that is shut down.
 */
#include "access.h"
#include "attach.h"
#include "child.h"
#include "maps.h"

#include <pthread.h>
#include <signal.h>

/* ---- Attaching ---- */

static void nothing_is_attached_at_first(void)
{
	void *face = POISON, *base;

	CHECK_HR(HostMemAttachedHost(&IID_IUnknown, &face), S_FALSE);
	CHECK_POINTER(face, NULL);
	CHECK_HR(HostMemAttachedHost(&IID_IUnknown, NULL), E_POINTER);
	CHECK_HR(HostMemAttachLibrary("libc.so.6", NULL), HOST_E_INVALIDOPERATION);
	HostMemAttachStarted();
	/* Meanwhile all is the system's, and the C library's. */
	base = HostMemMmap(NULL, UNIT, RW, NEW, -1, 0);
	CHECK(base != MAP_FAILED && can_write(base, 1));
	CHECK_KEPT(HostMemMprotect(base, PAGE, PROT_READ));
	CHECK_KEPT(HostMemMadvise(base, UNIT, MADV_DONTNEED));
	CHECK_POINTER(HostMemMremap(base, UNIT, PAGE, 0, NULL), base);
	unmap_all(base, PAGE);
	CHECK(!can_read(base));
	CHECK_ERROR(HostMemMunmap(base, 0), EINVAL);
	HostMemFree(HostMemRealloc(HostMemMalloc(10), 100000));
}

static void only_a_host_of_this_library_is_attached_and_once(void)
{
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	struct host host;
	void *face;

	CHECK_HR(HostMemAttach(NULL, NULL), E_POINTER);
	if (!host_create(&host, 0))
		return;
	how.cbSize = 3;
	CHECK_HR(HostMemAttach((IUnknown *)host.manager, &how), E_INVALIDARG);
	how = (HostMemAttachment)HOSTMEM_ATTACHMENT_INIT;
	how.dwFlags = 2;
	CHECK_HR(HostMemAttach((IUnknown *)host.manager, &how), E_INVALIDARG);
	how = (HostMemAttachment)HOSTMEM_ATTACHMENT_INIT;
	how.profile = "Mono";
	CHECK_HR(HostMemAttach((IUnknown *)host.manager, &how), E_INVALIDARG);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	CHECK_HR(HostMemAttach((IUnknown *)host.manager, NULL), HOST_E_CLRNOTAVAILABLE);
	host_destroy(&host);
	if (!host_create(&host, 0))
		return;
	CHECK_HR(HostMemAttach((IUnknown *)host.control, NULL), S_OK);
	CHECK_HR(HostMemAttach((IUnknown *)host.control, NULL), HOST_E_INVALIDOPERATION);
	CHECK_HR(HostMemAttachedHost(&IID_IHostMemoryManager, &face), S_OK);
	CHECK_POINTER(face, host.manager);
	CHECK_HR(HostMemAttachedHost(&IID_IClassFactory, &face), E_NOINTERFACE);
	CHECK_POINTER(face, NULL);
	CHECK_HR(HostMemAttachLibrary(NULL, NULL), E_POINTER);
	CHECK_HR(HostMemAttachLibrary("no-such-library.so", NULL),
		 HOSTMEM_HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND));
}

static void attaching_is_for_one_host(void)
{
	in_child(only_a_host_of_this_library_is_attached_and_once);
}

/* While the runtime starts no request is worth less than the process. */
static void starting_makes_every_request_critical(void)
{
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	void *base;

	how.dwFlags = HOSTMEM_ATTACH_STARTING;
	how.profile = "cpython";
	if (!host_create(&attach_host, 0) ||
	    !CHECK_HR(HostMemAttach((IUnknown *)attach_host.manager, &how), S_OK))
		return;
	budget.cbLimit = 8 * MIB;
	budget.cbHeadroom[eTaskCritical] = 6 * MIB;
	CHECK_HR(IHostMemoryControl_SetBudget(attach_host.control, &budget), S_OK);
	base = map_new(3 * MIB, RW);
	HostMemAttachStarted();
	CHECK_NO_MAP(HostMemMmap(NULL, PAGE, RW, NEW, -1, 0), ENOMEM);
	CHECK_POINTER(HostMemMalloc(100), NULL);
	unmap_all(base, 3 * MIB);
	unmap_all(map_new(PAGE, RW), PAGE);
}

static void the_start_is_told_apart(void)
{
	in_child(starting_makes_every_request_critical);
}

/* ---- Forks ---- */

static unsigned char *inherited;

static void use_as_the_parent_did(void)
{
	char *block = HostMemMalloc(1000);
	struct attach_books books = attach_open_books();
	unsigned char *base = map_new(4 * UNIT, RW);

	CHECK(holds(inherited, UNIT, 1));
	map_over(inherited, PAGE, RW);
	fill_pages(inherited, PAGE, 2);
	base[0] = 1;
	CHECK(block != NULL);
	HostMemFree(block);
	unmap_all(base, 4 * UNIT);
	unmap_all(inherited, UNIT);
	CHECK_SIZE(books.usage.cbCommitted - host_usage(&attach_host).cbCommitted, UNIT);
}

static void a_fork_child_has_a_host_of_its_own(void)
{
	inherited = map_new(UNIT, RW);
	fill_pages(inherited, UNIT, 1);
	in_child(use_as_the_parent_did);
	CHECK(holds(inherited, UNIT, 1));
	unmap_all(inherited, UNIT);
}

/* ---- Threads ---- */

enum { THREADS = 8, STORMS = 6, CALLS = 300 };

static _Atomic unsigned handled;

static void *use_memory(void *argument)
{
	uint32_t state = (uint32_t)(uintptr_t)argument * 2654435761U + 1;
	unsigned char mark = (unsigned char)(uintptr_t)argument;

	for (int i = 0; i < CALLS && !tap_failed(); i++) {
		size_t pages = 1 + (state = state * 1664525U + 1013904223U) / 65536 % 40;
		size_t size = pages * PAGE;
		unsigned char *base = map_new(size, PROT_NONE);

		CHECK_KEPT(HostMemMprotect(base, size, RW));
		fill_pages(base, size, mark);
		if (pages > 2)
			map_over(base + PAGE, PAGE, RW);
		CHECK(base[0] == mark && base[size - 1] == mark);
		/* What is given back may be another thread's at once. */
		unmap_all(base, pages / 2 * PAGE + PAGE);
		if (pages > pages / 2 + 1)
			unmap_all(base + (pages / 2 + 1) * PAGE,
				  (pages - pages / 2 - 1) * PAGE);
	}
	return NULL;
}

static void threads_that_come_and_go_leave_nothing(void)
{
	struct attach_books books = attach_open_books();
	pthread_t threads[THREADS];

	for (int storm = 0; storm < STORMS; storm++) {
		for (uintptr_t i = 0; i < THREADS; i++) {
			if (pthread_create(&threads[i], NULL, use_memory,
					   (void *)(i + 1)) != 0)
				abort();
		}
		for (size_t i = 0; i < THREADS; i++)
			(void)pthread_join(threads[i], NULL);
	}
	CHECK_BOOKS(&books);
}

/* It comes at any time, in the middle of other calls, too. */
static void map_in_handler(int number)
{
	int kept = errno;
	void *base = HostMemMmap(NULL, 3 * PAGE, RW, NEW, -1, 0);

	(void)number;
	if (base == MAP_FAILED || HostMemMprotect(base, PAGE, PROT_READ) != 0 ||
	    HostMemMunmap(base, 3 * PAGE) != 0)
		abort();
	atomic_fetch_add(&handled, 1);
	errno = kept;
}

static void handlers_may_ask_for_pages(void)
{
	struct sigaction action = { .sa_handler = map_in_handler,
				    .sa_flags = SA_RESTART };
	struct attach_books books = attach_open_books();
	HostMemUsage now;
	pthread_t thread;
	void *blocks[16] = { NULL };

	CHECK_INT(sigaction(SIGUSR2, &action, NULL), 0);
	if (pthread_create(&thread, NULL, use_memory, (void *)(uintptr_t)7) != 0)
		abort();
	for (int i = 0; i < 2000; i++) {
		(void)pthread_kill(i % 2 == 0 ? thread : pthread_self(), SIGUSR2);
		HostMemFree(blocks[i % 16]);
		blocks[i % 16] = HostMemMalloc((size_t)(i % 50) * 1000);
		if (i == 1000)
			(void)pthread_join(thread, NULL);
		if (i >= 1000)
			thread = pthread_self();
	}
	for (int i = 0; i < 16; i++)
		HostMemFree(blocks[i]);
	CHECK(atomic_load(&handled) > 500);
	/* A heap keeps pages for later. */
	now = host_usage(&attach_host);
	CHECK_SIZE(now.cbCommitted - now.cbHeapPages,
		   books.usage.cbCommitted - books.usage.cbHeapPages);
}

/* ---- The end ---- */

static void live_on_after_shutdown(void)
{
	unsigned char *base = map_new(4 * UNIT, PROT_NONE), *to;

	CHECK_KEPT(HostMemMprotect(base, UNIT, RW));
	fill_pages(base, UNIT, 1);
	CHECK_HR(IHostMemoryControl_Shutdown(attach_host.control), S_OK);
	/* What is there stays, and can be used as before. */
	CHECK(holds(base, UNIT, 1));
	CHECK_KEPT(HostMemMprotect(base, 2 * UNIT, PROT_READ));
	CHECK(!can_write(base, 1) && can_read(base + UNIT));
	CHECK_KEPT(HostMemMprotect(base, 2 * UNIT, RW));
	CHECK(holds(base, UNIT, 1) && can_write(base + UNIT, 1));
	map_over(base, PAGE, RW);
	CHECK(holds(base, PAGE, 0) && holds(base + PAGE, PAGE, 1));
	map_over(base + 3 * UNIT, UNIT, PROT_NONE);
	to = HostMemMremap(base + PAGE, PAGE, 8 * UNIT, MREMAP_MAYMOVE, NULL);
	CHECK(to != MAP_FAILED && holds(to, PAGE, 1) && can_write(to + 8 * UNIT - 1, 1));
	unmap_all(to, 8 * UNIT);
	unmap_all(base, 4 * UNIT);
	/* What is new is the system's. */
	to = map_new(UNIT, RW);
	to[0] = 1;
	unmap_all(to, UNIT);
	CHECK(!can_read(to));
}

static void the_process_lives_on_after_shutdown(void)
{
	in_child(live_on_after_shutdown);
}

int main(void)
{
	access_install();
	TAP_RUN(nothing_is_attached_at_first);
	TAP_RUN(attaching_is_for_one_host);
	TAP_RUN(the_start_is_told_apart);
	if (!attach_with(NULL, 0))
		return tap_done();
	TAP_RUN(a_fork_child_has_a_host_of_its_own);
	TAP_RUN(threads_that_come_and_go_leave_nothing);
	TAP_RUN(handlers_may_ask_for_pages);
	TAP_RUN(the_process_lives_on_after_shutdown);
	return tap_done();
}
