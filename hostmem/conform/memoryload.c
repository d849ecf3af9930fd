/*
 * Cases about GetMemoryLoad.
 *
 * A collector asks inside a collection: so the answer has to come at once, whatever other
 * threads do, and both figures have to be there.  What they are is the machine's business.
 */
#include "areas.h"
#include "memory.h"

#include <stdatomic.h>

enum { THREADS = 4, TURNS = 50, AT_ONCE_MS = 2000 };

static HRESULT ask(struct hm_trial *t, DWORD *load, SIZE_T *available)
{
	*load = 0x5A5A5A5A;
	*available = (SIZE_T)HM_POISON;
	return IHostMemoryManager_GetMemoryLoad(t->memory, load, available);
}

static void both_figures_are_there(struct hm_trial *t)
{
	DWORD load;
	SIZE_T available;
	HRESULT hr = ask(t, &load, &available);

	/* On any other success the CLR would keep the system's figures, and so it does on a
	 * failure. */
	CHECK(t, hr == S_OK || FAILED(hr));
	if (hr != S_OK) {
		hm_skip(t, "GetMemoryLoad fails: %s", t->target->result_name(hr));
		return;
	}
	CHECK(t, load <= 100);
	CHECK(t, available != (SIZE_T)HM_POISON);
	/* Nothing at all only where all is in use: else a collector never stops. */
	CHECK(t, available != 0 || load == 100);
}

static void there_is_an_answer(struct hm_trial *t)
{
	DWORD load;
	SIZE_T available;
	HRESULT hr = ask(t, &load, &available);

	if (!hm_check_hr(t, hr, S_OK, "GetMemoryLoad", __FILE__, __LINE__)) {
		CHECK_SIZE(t, load, 0);
		CHECK_SIZE(t, available, 0);
	}
}

static void asking_changes_nothing(struct hm_trial *t)
{
	void *page = hm_take(t, NULL, 4 * HM_PAGE, HM_BOTH, PAGE_READWRITE);
	struct hm_state before;
	DWORD load;
	SIZE_T available;

	if (page == NULL)
		return;
	hm_look(t, &before);
	for (int i = 0; i < 3; i++)
		(void)ask(t, &load, &available);
	CHECK_UNCHANGED(t, &before);
}

static void a_null_pointer_is_refused(struct hm_trial *t)
{
	DWORD load = 0x5A5A5A5A;
	SIZE_T available = (SIZE_T)HM_POISON;

	hm_row(t, "no load");
	CHECK_REFUSED(t, IHostMemoryManager_GetMemoryLoad(t->memory, NULL, &available),
		      E_POINTER);
	if (!t->codes)
		CHECK_SIZE(t, available, 0);
	hm_row(t, "no available bytes");
	CHECK_REFUSED(t, IHostMemoryManager_GetMemoryLoad(t->memory, &load, NULL),
		      E_POINTER);
	if (!t->codes)
		CHECK_SIZE(t, load, 0);
	hm_row(t, "neither");
	CHECK_REFUSED(t, IHostMemoryManager_GetMemoryLoad(t->memory, NULL, NULL),
		      E_POINTER);
}

/* Far more than it may take: what hangs, sleeps or walks all memory is found. */
static void the_answer_comes_at_once(struct hm_trial *t)
{
	unsigned long long begin = hm_now_ms();
	DWORD load;
	SIZE_T available;

	for (int i = 0; i < 20; i++)
		(void)ask(t, &load, &available);
	CHECK(t, hm_now_ms() - begin < AT_ONCE_MS);
}

static struct {
	struct hm_trial *trial;
	HRESULT alone; /* what one thread is told */
	atomic_uint wrong;
} crowd;

static void ask_often(void *state)
{
	(void)state;
	for (int i = 0; i < TURNS; i++) {
		DWORD load;
		SIZE_T available;

		if (ask(crowd.trial, &load, &available) != crowd.alone ||
		    (crowd.alone == S_OK &&
		     (load > 100 || available == (SIZE_T)HM_POISON)))
			atomic_fetch_add(&crowd.wrong, 1);
	}
}

static void many_threads_may_ask(struct hm_trial *t)
{
	DWORD load;
	SIZE_T available;

	crowd.trial = t;
	crowd.alone = ask(t, &load, &available);
	hm_together(t, THREADS, ask_often, NULL);
	CHECK_SIZE(t, atomic_load(&crowd.wrong), 0);
}

/* What the simulator says is what a runtime is told, to the byte. */
static void simulated_figures_are_told(struct hm_trial *t)
{
	static const struct {
		DWORD load;
		SIZE_T available;
	} rows[] = { { 0, SIZE_MAX }, { 1, 1 }, { 97, 12345 }, { 100, 0 } };
	IHostMemorySimulator *simulator =
		(IHostMemorySimulator *)hm_need(t, &IID_IHostMemorySimulator,
						"IHostMemorySimulator");
	DWORD load;
	SIZE_T available;

	if (simulator == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%u per cent, %zu bytes", (unsigned)rows[i].load,
		       rows[i].available);
		CHECK_HR(t,
			 IHostMemorySimulator_SetMemoryLoad(simulator, rows[i].load,
							    rows[i].available),
			 S_OK);
		CHECK_HR(t, ask(t, &load, &available), S_OK);
		CHECK_SIZE(t, load, rows[i].load);
		CHECK_SIZE(t, available, rows[i].available);
	}
	hm_row(t, "not simulated any more");
	CHECK_HR(t, IHostMemorySimulator_ClearMemoryLoad(simulator), S_OK);
	CHECK_HR(t, ask(t, &load, &available), S_OK);
	CHECK(t, load <= 100);
}

static const struct hm_case cases[] = {
	{ "figures", HM_REQUIRED, "HR; CLR uses both on S_OK", both_figures_are_there,
	  HM_NO_GROUP },
	{ "an-answer", HM_DOCUMENTED, "HR GetMemoryLoad", there_is_an_answer,
	  HM_NO_GROUP },
	{ "changes-nothing", HM_REQUIRED, "HR: a guide for the collector",
	  asking_changes_nothing, HM_NO_GROUP },
	{ "null-out", HM_DOCUMENTED, "COM: E_POINTER; HM hostmemory.h: the other is 0",
	  a_null_pointer_is_refused, HM_DOCUMENTED },
	{ "at-once", HM_REQUIRED, "CLR asks inside a collection",
	  the_answer_comes_at_once, HM_NO_GROUP },
	{ "threads", HM_REQUIRED, "CLR asks from any thread", many_threads_may_ask,
	  HM_NO_GROUP },
	{ "simulated", HM_DOCUMENTED, "HM hostmem.h: SetMemoryLoad",
	  simulated_figures_are_told, HM_NO_GROUP },
};

const struct hm_area hm_area_memory_load = HM_AREA("memory-load", cases);
