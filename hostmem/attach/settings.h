#ifndef HOSTMEM_ATTACH_SETTINGS_H
#define HOSTMEM_ATTACH_SETTINGS_H

#include "abi/hostmem.h"

#include <stddef.h>
#include <stdint.h>

/*
 * What the command hands to a program that it brings under a host: the options of `hostmem
 * run` and the checked form of a scenario, in one record, and as text in one variable of the
 * environment.
 *
 * The text is made of words and whole numbers, one setting a line, printable ASCII and ends
 * of lines only:
 *
 *	hostmem 1
 *	profile cpython
 *	limit 268435456
 *	headroom 16777216 8388608 0
 *	step at 2000
 *	 every 10000
 *	 available 1
 *	fault
 *	 levels 1
 *	 probability 0x3fa999999999999a
 *
 * Sizes are bytes, times ms, probabilities the bits of a double.  The words stand in the
 * order of settingswords.c, and what is as hm_settings_init leaves it has no line: so there
 * is one text for each record, and what the reader accepts is what the writer writes.
 *
 * This header is what the command and the attached program share, so it has abi/ and nothing
 * else.  The record is some 20 KiB; it has no pointers and needs no freeing.
 */
#define HM_SETTINGS_VARIABLE "HOSTMEM_SETTINGS"

/* The library that reads them, in LD_PRELOAD. */
#define HM_SETTINGS_PRELOAD "libhostmem-preload.so"

enum {
	HM_SETTINGS_STEPS = 64,
	HM_SETTINGS_FAULTS = 64,
	HM_SETTINGS_PROFILE = 32,  /* bytes of a profile's name, with the NUL */
	HM_SETTINGS_PROGRAM = 256, /* bytes of a program's name, with the NUL */
	HM_SETTINGS_TEXT = 100000, /* bytes of the longest text, with the NUL; Linux takes
				      128 KiB in one variable */
};

/* What sets a step off, and what `when` then counts. */
enum hm_trigger {
	HM_TRIGGER_AT = 0,      /* ms since the start */
	HM_TRIGGER_CHARGED = 1, /* bytes charged, once it is so many or more */
	HM_TRIGGER_REQUEST = 2, /* requests that ask for memory, granted or not */
	HM_TRIGGERS
};

/* What a step does, in the order in which it does it. */
enum hm_action {
	HM_ACTION_LIMIT,         /* bytes; SIZE_MAX = none */
	HM_ACTION_SOFT,          /* bytes; SIZE_MAX = none */
	HM_ACTION_HEADROOM_TASK, /* bytes */
	HM_ACTION_HEADROOM_DOMAIN,
	HM_ACTION_HEADROOM_PROCESS,
	HM_ACTION_LARGEST_TASK, /* bytes; SIZE_MAX = any */
	HM_ACTION_LARGEST_DOMAIN,
	HM_ACTION_LARGEST_PROCESS,
	HM_ACTION_WAIT_TASK, /* ms */
	HM_ACTION_WAIT_DOMAIN,
	HM_ACTION_WAIT_PROCESS,
	HM_ACTION_FAULTS, /* 1: arms all fault rules anew; 0: takes them away */
	HM_ACTION_LOAD,   /* per cent; HM_LOAD_REAL = what the system says */
	HM_ACTION_FREE,   /* bytes; goes with HM_ACTION_LOAD and has no bit of its own */
	HM_ACTION_AVAILABLE, /* EMemoryAvailable; 0 = as it is judged */
	HM_ACTION_GATE,      /* ms for which the host is held still */
	HM_ACTIONS
};

#define HM_LOAD_REAL 101U

struct hm_step {
	uint32_t trigger; /* enum hm_trigger */
	uint32_t actions; /* bit a = enum hm_action a; at least one */
	uint64_t when;
	uint64_t every; /* again after each so many; 0 = once; not with CHARGED */
	uint64_t times; /* how often at most; 0 = for good; only with `every` */
	uint64_t value[HM_ACTIONS];
};

struct hm_settings_fault {
	HostMemFault rule;
	uint32_t unarmed; /* 1: not in force before a step arms the rules */
};

struct hm_settings {
	char program[HM_SETTINGS_PROGRAM]; /* for the summary; "" = its own name */
	char profile[HM_SETTINGS_PROFILE]; /* "" = that of its own name */
	uint32_t summary;                  /* 1: the account is printed at the end */
	uint32_t alone;      /* the number of the only process to be attached, whatever it
			   executes; 0 = all that inherit these settings are */
	uint32_t debug_heap; /* 1: HOSTMEM_DEBUG_HEAP */
	uint32_t slack; /* 1: nobody spoke of headroom, and each limit has that of the
			   profile */
	HostMemBudget budget;
	uint32_t step_count, fault_count;
	struct hm_step steps[HM_SETTINGS_STEPS];
	struct hm_settings_fault faults[HM_SETTINGS_FAULTS];
};

/* No limits, no steps, no rules, nothing told. */
void hm_settings_init(struct hm_settings *settings);
/* A rule that fires with each request that can be refused, for good. */
void hm_settings_init_fault(struct hm_settings_fault *fault);

/*
 * Reads a text; 0, or the number of the line that is not what the writer writes, and then
 * *settings is as hm_settings_init leaves it.  Takes any bytes up to a NUL; allocates
 * nothing, keeps errno.
 */
unsigned hm_settings_read(const char *text, struct hm_settings *settings);

#endif
