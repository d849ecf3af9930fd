#ifndef HOSTMEM_CONFORM_PROBE_H
#define HOSTMEM_CONFORM_PROBE_H

#include "abi/hresult.h"

#include <stdbool.h>

/*
 * What a case needs of the system besides the host: accesses that may fault, threads, time,
 * and what the process has.  One file for each system.
 */

/* How a process ends that cannot go on. */
enum hm_end {
	HM_END_CRASH,     /* a fault that was no probe's */
	HM_END_TIME_LIMIT /* the time is up */
};

/*
 * Installs the handlers; once in a process, before anything else here.  `ends` hears why the
 * process cannot go on, in a signal handler and maybe on another thread, and may do what is
 * allowed there; after it the process ends by itself.  ms 0: no limit, and a crash is left
 * to whoever watches, a debugger for example.
 */
typedef void (*hm_ends)(enum hm_end end, const char *what);
void hm_probe_begin(unsigned ms, hm_ends ends);

/* Whether a byte can be read, or written (it then holds `value`). */
bool hm_can_read(const volatile void *address);
bool hm_can_write(volatile void *address, unsigned char value);
/* Whether code at `address` runs: puts a function there that returns at once, which takes
 * hm_code_size bytes and access to write, and calls it.  hm_can_call only calls. */
extern const size_t hm_code_size;
void hm_put_code(void *address);
bool hm_can_call(void *address);

/* Tried first when an access faults: true = the access is to be made again. */
typedef bool (*hm_repairs)(void *address, BOOL write);
void hm_probe_repairs(hm_repairs repairs);

/* Pages of the system's own, readable and writable, that no host knows of. */
void *hm_foreign_pages(size_t size);
void hm_foreign_done(void *pages, size_t size);

/* A thread.  `ms` is the longest wait: false = it still runs; what it uses has to stay. */
struct hm_helper;
struct hm_helper *hm_helper_start(void (*run)(void *state), void *state);
bool hm_helper_ends(struct hm_helper *helper, unsigned ms);

void hm_pause(unsigned ms);
unsigned long long hm_now_ms(void);

/* What the process has; 0 where the system does not tell. */
struct hm_footprint {
	size_t address_space; /* bytes */
	size_t files;         /* open descriptors */
	size_t threads;
};
struct hm_footprint hm_footprint(void);

/* Wine, whose differences from Windows some cases know. */
bool hm_on_wine(void);

#endif
