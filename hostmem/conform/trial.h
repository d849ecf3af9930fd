#ifndef HOSTMEM_CONFORM_TRIAL_H
#define HOSTMEM_CONFORM_TRIAL_H

#include "probe.h"

#include "abi/hostmem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A trial: one case, asked of one host, in a process of its own.
 *
 *	static void a_page_is_zero(struct hm_trial *t)
 *	{
 *		unsigned char *page = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
 *
 *		if (page != NULL)
 *			CHECK_SIZE(t, page[0], 0);
 *	}
 *
 * A failing check is told, counts, and lets the case go on; its value is false, for what
 * cannot go on.  Checks may fail on any thread; all other functions are for the thread of the
 * case.  Memory that was taken and not given back is given back at the end, and so are the
 * faces; what is left of the host then is a failure of its own.
 */

/* How much it matters that a case passes. */
enum hm_group {
	HM_NO_GROUP,
	HM_REQUIRED,      /* COM itself, and what a runtime breaks without */
	HM_DOCUMENTED,    /* promised in the documents of the interface */
	HM_WINDOWS_DETAIL /* what Windows does, by tests on Windows or models of it */
};

struct hm_trial;

struct hm_case {
	const char *name; /* "bad-sizes": unique in its area */
	enum hm_group group;
	const char
		*source; /* whose words or whose behaviour the rule is, see sources.c */
	void (*run)(struct hm_trial *t);
	/* If set, the case is there a second time as "bad-sizes.codes", in this group: then
	 * hm_refused looks at nothing but the exact result of each call, in the first
	 * at everything else. */
	enum hm_group codes;
};

struct hm_area {
	const char *name; /* "virtual-alloc" */
	const struct hm_case *cases;
	size_t count;
};

#define HM_AREA(name, cases) \
	{ \
		name, cases, sizeof(cases) / sizeof((cases)[0]) \
	}
#define HM_ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* ---- What is judged ---- */

typedef HRESULT(HOSTMEM_CALL *hm_class_entry)(REFCLSID clsid, REFIID riid, void **ppv);
typedef HRESULT(HOSTMEM_CALL *hm_fault_entry)(void *address, BOOL write);

struct hm_target {
	/* A new host; as any such function of COM. */
	HRESULT (*create)(void *state, REFIID riid, void **ppv);
	void *state;
	hm_class_entry class_entry; /* the module's DllGetClassObject, or NULL */
	hm_fault_entry fault_entry; /* its HostMemHandleFault, or NULL */
	const char *(*result_name)(HRESULT result); /* never NULL */
};

/* ---- The record of a trial ---- */

enum hm_finding {
	HM_FAILURE = 'F',
	HM_KNOWN = 'K',    /* a failing check that is a known difference of Wine */
	HM_NEEDLESS = 'N', /* no check failed where Wine was said to be different */
	HM_SKIP = 'S'      /* the rest of the case was not asked; the text says why */
};

/* Hears of each finding as it is made; one line, without its end.  On any thread. */
typedef void (*hm_tells)(void *state, enum hm_finding finding, const char *text);

enum { HM_ROW_TEXT = 160, HM_FACES = 32 };

struct hm_trial {
	const struct hm_target *target;
	IHostControl *control;      /* NULL: a bare manager */
	IHostMemoryManager *memory; /* NULL: there is none, and no case runs */
	bool codes;                 /* this is the ".codes" of its case */

	/* The rest is trial.c's. */
	hm_tells tells;
	void *tells_state;
	_Atomic unsigned checks;
	_Atomic unsigned failures;
	_Atomic unsigned known;
	bool skipped;
	bool threads;         /* it has started some: their stacks stay */
	bool watches;         /* see hm_warm_up_watching */
	bool ended;           /* the host was thrown away by the case */
	const char *wine;     /* why the checks that follow may fail there, or NULL */
	unsigned wine_checks; /* the counters when that was said */
	unsigned wine_known;
	char row[HM_ROW_TEXT];
	ULONG references; /* to the manager at the end */
	struct hm_footprint before;
	IUnknown *faces[HM_FACES];
	unsigned face_count;
	void **kept; /* bases of what was taken */
	size_t kept_count, kept_room;
};

/* Runs the case from the first call to the last; false: the host could not even be made. */
bool hm_trial_run(struct hm_trial *t, const struct hm_case *what);

/* ---- Checks ---- */

/* A line of a case. */
struct hm_place {
	const char *file;
	int line;
};
#define HM_HERE ((struct hm_place){ __FILE__, __LINE__ })

#define CHECK(t, condition) \
	hm_check(t, (condition) ? true : false, #condition, __FILE__, __LINE__)
#define CHECK_HR(t, got, want) hm_check_hr(t, got, want, #got, __FILE__, __LINE__)
/* Sizes, counts, flags. */
#define CHECK_SIZE(t, got, want) hm_check_size(t, got, want, #got, __FILE__, __LINE__)
#define CHECK_POINTER(t, got, want) \
	hm_check_pointer(t, got, want, #got, __FILE__, __LINE__)

bool hm_check(struct hm_trial *t, bool passed, const char *text, const char *file,
	      int line);
bool hm_check_hr(struct hm_trial *t, HRESULT got, HRESULT want, const char *text,
		 const char *file, int line);
bool hm_check_size(struct hm_trial *t, uint64_t got, uint64_t want, const char *text,
		   const char *file, int line);
bool hm_check_pointer(struct hm_trial *t, const volatile void *got,
		      const volatile void *want, const char *text, const char *file,
		      int line);

/* Which printf formats are checked for; a build for Windows, which has two, says gnu_printf. */
#ifndef HM_PRINTF
#define HM_PRINTF printf
#endif
#define HM_PRINTS(text, first) __attribute__((format(HM_PRINTF, text, first)))

/* Names the row of a table, or the step, that the checks which follow belong to, and forgets
 * what was said of Wine. */
HM_PRINTS(2, 3) void hm_row(struct hm_trial *t, const char *format, ...);
/* The checks that follow may fail on Wine, because there it is otherwise: the evidence.
 * NULL, and the next row, end that. */
void hm_wine(struct hm_trial *t, const char *evidence);
/* The rest of the case cannot be asked of this host; the case then returns. */
HM_PRINTS(2, 3) void hm_skip(struct hm_trial *t, const char *format, ...);
/* Another face of the host, until the trial ends; NULL, and the case is skipped, if the host
 * has no such face.  hm_has only asks. */
void *hm_need(struct hm_trial *t, REFIID riid, const char *name);
void *hm_has(struct hm_trial *t, REFIID riid);
/* For a rule that is hostmem's own, where the documents are silent, and a host that "takes any
 * level" or the like: true, and the case is skipped, unless the host has hostmem's interfaces
 * and is held to its words by that. */
bool hm_chooses(struct hm_trial *t, const char *otherwise);
/* A reference of the case's own that goes at the end of the trial, or before it by hm_drop,
 * which tells what Release said. */
void hm_own(struct hm_trial *t, void *object);
ULONG hm_drop(struct hm_trial *t, void *object);
/* A second host of the same kind, as its memory manager; NULL after a failed check, or if there
 * is but one host, and the case is skipped.  The case releases it. */
IHostMemoryManager *hm_another_host(struct hm_trial *t);
/* The same without a check. */
IHostMemoryManager *hm_new_host(struct hm_trial *t);
/* Before the first callback of a trial, hm_register does it: a host that watches memory may open
 * files for the process, once.  Another one does so here, and what stays is no leak.  Not for all
 * trials, since it takes Linux some 100 ms to end the watch of a file about stalls. */
void hm_warm_up_watching(struct hm_trial *t);
/* hm_helper_start of a case, checked. */
struct hm_helper *hm_start(struct hm_trial *t, void (*run)(void *state), void *state);
/* Runs `run` on `count` threads, at most 16, which begin at once; returns when all have ended,
 * or after a failed check if they do not. */
void hm_together(struct hm_trial *t, unsigned count, void (*run)(void *state),
		 void *state);

#endif
