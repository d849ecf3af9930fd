/*
 * Critical levels at work: who fails first when memory is short, and who never does.
 *
 * The host may charge 1 MiB.  The last 256 KiB of that are not for task-critical requests,
 * the last 128 KiB not for domain-critical ones, and a process-critical request that is
 * refused waits for up to ten seconds.  Three requests meet in that order a host that is
 * all but full: the first is refused, the second is granted from what was kept for it, and
 * the third waits until another thread gives memory back.
 *
 * That thread is asked by the reclaimer, which the host calls before anybody waits.  It
 * goes through the gate, which lets nobody in while a request is on its way: when it is
 * inside, the third request is asleep.  So every run prints the same.
 *
 * The log is the callback's: it runs on the thread that asks, before the answer.
 */
#include <hostmem/hostmem.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#define KIB ((size_t)1 << 10)

static const char *const levels[] = { "task", "domain", "process" };

static IHostMemoryControl *host; /* the program's side */
static IHostMemoryManager *vm;   /* the runtime's side */
static sem_t asked;              /* the other thread to give memory back */

static BOOL HOSTMEM_CALL heard(void *state, const HostMemEvent *event)
{
	static const char *const types[] = { "may it have", "gave back", "failed on" };

	(void)state;
	printf("  %-11s %4zu KiB", types[event->type], event->size / KIB);
	if (event->type != HostMemEventFree)
		printf("  %s-critical, attempt %u", levels[event->level], event->attempt);
	if (event->type == HostMemEventFailure)
		printf(", %s", HostMemResultName(event->result));
	printf("; charged %zu of %zu KiB\n", event->cbCharged / KIB,
	       event->cbLimit / KIB);
	return TRUE;
}

static void *ask(size_t size, EMemoryCriticalLevel level)
{
	void *pages;
	HRESULT hr;

	printf("%s-critical code asks for %zu KiB\n", levels[level], size / KIB);
	hr = IHostMemoryManager_VirtualAlloc(vm, NULL, size, MEM_RESERVE | MEM_COMMIT,
					     PAGE_READWRITE, level, &pages);
	printf("  -> %s\n", HostMemResultName(hr));
	return pages;
}

static void give_back(void *pages)
{
	if (pages != NULL)
		(void)IHostMemoryManager_VirtualFree(vm, pages, 0, MEM_RELEASE);
}

static size_t HOSTMEM_CALL ask_the_other(void *state, size_t wanted)
{
	(void)state;
	printf("  short of %zu KiB, another thread is asked\n", wanted / KIB);
	sem_post(&asked);
	return 0;
}

static void *give_back_when_asked(void *pages)
{
	while (sem_wait(&asked) != 0)
		; /* a signal came */
	if (FAILED(IHostMemoryControl_EnterGate(host, UINT32_MAX)))
		return NULL;
	printf("the other thread gives its memory back\n");
	give_back(pages);
	(void)IHostMemoryControl_LeaveGate(host);
	return NULL;
}

static HRESULT open_host(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	uint64_t cookie;
	HRESULT hr;

	budget.cbLimit = 1024 * KIB;
	budget.cbHeadroom[eTaskCritical] = 256 * KIB;
	budget.cbHeadroom[eAppDomainCritical] = 128 * KIB;
	budget.msWait[eProcessCritical] = 10000;
	config.budget = &budget;
	hr = HostMemCreate(&config, &IID_IHostMemoryControl, (void **)&host);
	if (FAILED(hr))
		return hr;
	hr = IHostMemoryControl_QueryInterface(host, &IID_IHostMemoryManager,
					       (void **)&vm);
	if (SUCCEEDED(hr))
		hr = IHostMemoryControl_Subscribe(host, 7, heard, NULL, &cookie);
	return hr;
}

int main(void)
{
	void *first, *second, *third;
	pthread_t other;
	HRESULT hr;

	setvbuf(stdout, NULL, _IOLBF, 0);
	hr = open_host();
	if (FAILED(hr)) {
		fprintf(stderr, "levels: no host: %s\n", HostMemResultName(hr));
		return EXIT_FAILURE;
	}
	first = ask(768 * KIB, eTaskCritical);
	(void)ask(64 * KIB, eTaskCritical); /* refused */
	second = ask(64 * KIB, eAppDomainCritical);
	if (first == NULL || second == NULL || sem_init(&asked, 0, 0) != 0 ||
	    pthread_create(&other, NULL, give_back_when_asked, first) != 0 ||
	    FAILED(IHostMemoryControl_SetReclaimer(host, ask_the_other, NULL)))
		return EXIT_FAILURE;
	third = ask(512 * KIB, eProcessCritical); /* waits for the other thread */
	pthread_join(other, NULL);
	give_back(third);
	give_back(second);
	(void)IHostMemoryManager_Release(vm);
	return IHostMemoryControl_Release(host) == 0 && third != NULL ? EXIT_SUCCESS
								      : EXIT_FAILURE;
}
