/*
 * Probes on POSIX systems: faults as signals, threads as pthreads, figures from /proc.
 *
 * The handlers run on a stack of their own, so that a case which has used up its stack is
 * told, too.  A host may install handlers of its own later and take a fault away from here;
 * then the probe that waits for it never returns, and the time limit tells.
 */
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static hm_ends tell_end;
static hm_repairs repair;
static _Thread_local sigjmp_buf *volatile escape;
static _Thread_local volatile BOOL writing;

/* ---- Faults ---- */

/* The default action then ends the process, with the signal as its status. */
static void give_up(int number)
{
	const char *name = number == SIGSEGV   ? "SIGSEGV"
			   : number == SIGBUS  ? "SIGBUS"
			   : number == SIGFPE  ? "SIGFPE"
			   : number == SIGILL  ? "SIGILL"
			   : number == SIGABRT ? "SIGABRT"
					       : "SIGALRM";

	if (tell_end != NULL)
		tell_end(number == SIGALRM ? HM_END_TIME_LIMIT : HM_END_CRASH, name);
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number == SIGSEGV || number == SIGBUS) {
		if (repair != NULL && escape != NULL && repair(info->si_addr, writing))
			return;
		if (escape != NULL)
			siglongjmp(*escape, 1);
	}
	give_up(number);
}

static void handle(int number)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_signal;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(number, &action, NULL);
}

void hm_probe_begin(unsigned ms, hm_ends ends)
{
	static char stack[64 * 1024];
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct itimerval limit = {
		.it_value = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 }
	};

	tell_end = ends;
	(void)sigaltstack(&alternate, NULL);
	handle(SIGSEGV);
	handle(SIGBUS);
	if (ms == 0)
		return;
	handle(SIGABRT);
	handle(SIGALRM);
	handle(SIGFPE);
	handle(SIGILL);
	(void)setitimer(ITIMER_REAL, &limit, NULL);
}

void hm_probe_repairs(hm_repairs repairs)
{
	repair = repairs;
}

bool hm_can_read(const volatile void *address)
{
	sigjmp_buf here;
	volatile bool done = false;

	writing = FALSE;
	escape = &here;
	if (sigsetjmp(here, 1) == 0) {
		(void)*(const volatile unsigned char *)address;
		done = true;
	}
	escape = NULL;
	return done;
}

bool hm_can_write(volatile void *address, unsigned char value)
{
	sigjmp_buf here;
	volatile bool done = false;

	writing = TRUE;
	escape = &here;
	if (sigsetjmp(here, 1) == 0) {
		*(volatile unsigned char *)address = value;
		done = true;
	}
	escape = NULL;
	return done;
}

/* A function that returns at once. */
#if defined(__aarch64__)
static const unsigned char code[] = { 0xC0, 0x03, 0x5F, 0xD6 };
#else
static const unsigned char code[] = { 0xC3 };
#endif
const size_t hm_code_size = sizeof(code);

void hm_put_code(void *address)
{
	memcpy(address, code, sizeof(code));
	__builtin___clear_cache((char *)address, (char *)address + sizeof(code));
}

bool hm_can_call(void *address)
{
	void (*function)(void);
	sigjmp_buf here;
	volatile bool done = false;

	memcpy(&function, &address, sizeof(function));
	writing = FALSE;
	escape = &here;
	if (sigsetjmp(here, 1) == 0) {
		function();
		done = true;
	}
	escape = NULL;
	return done;
}

void *hm_foreign_pages(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void hm_foreign_done(void *pages, size_t size)
{
	(void)munmap(pages, size);
}

/* ---- Threads and time ---- */

struct hm_helper {
	pthread_t thread;
	void (*run)(void *state);
	void *state;
	atomic_bool over;
};

static void *helper_main(void *argument)
{
	struct hm_helper *helper = (struct hm_helper *)argument;

	helper->run(helper->state);
	atomic_store(&helper->over, true);
	return NULL;
}

struct hm_helper *hm_helper_start(void (*run)(void *state), void *state)
{
	struct hm_helper *helper = (struct hm_helper *)calloc(1, sizeof(*helper));

	if (helper == NULL)
		return NULL;
	helper->run = run;
	helper->state = state;
	if (pthread_create(&helper->thread, NULL, helper_main, helper) != 0) {
		free(helper);
		return NULL;
	}
	return helper;
}

bool hm_helper_ends(struct hm_helper *helper, unsigned ms)
{
	unsigned long long until = hm_now_ms() + ms;

	while (!atomic_load(&helper->over)) {
		if (hm_now_ms() >= until)
			return false;
		hm_pause(1);
	}
	(void)pthread_join(helper->thread, NULL);
	free(helper);
	return true;
}

void hm_pause(unsigned ms)
{
	struct timespec rest = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (nanosleep(&rest, &rest) == -1 && errno == EINTR)
		continue;
}

unsigned long long hm_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long long)now.tv_sec * 1000 +
	       (unsigned long long)now.tv_nsec / 1000000;
}

/* ---- Figures ---- */

static size_t count_entries(const char *path)
{
	DIR *folder = opendir(path);
	size_t count = 0;

	if (folder == NULL)
		return 0;
	while (readdir(folder) != NULL)
		count++;
	(void)closedir(folder);
	return count;
}

/* A sanitizer keeps what was freed, and has a shadow of it: that grows, and is no leak. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESS_SPACE_TELLS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ADDRESS_SPACE_TELLS 0
#endif
#endif
#ifndef ADDRESS_SPACE_TELLS
#define ADDRESS_SPACE_TELLS 1
#endif

/* What was freed and is kept by libc for later is no leak either: a host whose books were
 * large for a moment would seem to have one. */
static void give_back_what_is_free(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

static size_t address_space(void)
{
	char text[64];
	int file = ADDRESS_SPACE_TELLS ? open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
				       : -1;
	ssize_t length = file == -1 ? -1 : read(file, text, sizeof(text) - 1);

	if (file != -1)
		(void)close(file);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	return (size_t)strtoull(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

struct hm_footprint hm_footprint(void)
{
	struct hm_footprint now;

	now.files = count_entries("/proc/self/fd");
	now.threads = count_entries("/proc/self/task");
	give_back_what_is_free();
	now.address_space = address_space();
	return now;
}

bool hm_on_wine(void)
{
	return false;
}
