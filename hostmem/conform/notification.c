/*
 * Cases about RegisterMemoryNotificationCallback: who is held, how often, until when.
 *
 * The CLR registers one static object, once, before it starts, and never looks at the result.
 * What it is told, and when, is judged elsewhere; here a host that tells nobody passes.  The
 * machine may run short of memory at any moment: how often the callback is called in between
 * is not counted.
 */
#include "areas.h"
#include "callback.h"
#include "memory.h"

static struct hm_listener first, second;

static HRESULT keep_in(IHostMemoryManager *memory, struct hm_listener *listener)
{
	return IHostMemoryManager_RegisterMemoryNotificationCallback(
		memory, listener != NULL ? &listener->ICLRMemoryNotificationCallback_iface
					 : NULL);
}

/* What the host has of it; beyond all bounds if it was released too often. */
static ULONG held(const struct hm_listener *listener)
{
	return listener->references - 1;
}

/* The CLR does not look at the answer: that a callback is taken has a case of its own. */
static bool start_in(struct hm_trial *t, IHostMemoryManager *memory,
		     enum hm_manners manners)
{
	HRESULT hr;

	hm_warm_up_watching(t);
	hm_listener_init(&first);
	hr = keep_in(memory, &first);
	(void)keep_in(memory, NULL);
	hm_listener_init(&first);
	hm_listener_init(&second);
	first.manners = second.manners = manners;
	if (FAILED(hr))
		hm_skip(t, "the host takes no callback: %s", t->target->result_name(hr));
	return SUCCEEDED(hr);
}

static bool start(struct hm_trial *t, enum hm_manners manners)
{
	return start_in(t, t->memory, manners);
}

static void a_callback_is_taken(struct hm_trial *t)
{
	hm_listener_init(&first);
	(void)hm_register(t, &first);
	(void)hm_register(t, NULL);
}

/* Which are registered one after the other, and who is held afterwards. */
static void one_reference_is_held(struct hm_trial *t)
{
	static const struct {
		const char *what;
		struct hm_listener *callback;
		unsigned first, second;
	} rows[] = {
		{ "nobody, when there was nobody", NULL, 0, 0 },
		{ "the first", &first, 1, 0 },
		{ "the same again", &first, 1, 0 },
		{ "and again", &first, 1, 0 },
		{ "another in its place", &second, 0, 1 },
		{ "nobody", NULL, 0, 0 },
		{ "nobody once more", NULL, 0, 0 },
		{ "the first once more", &first, 1, 0 },
		{ "the other at last", &second, 0, 1 },
		{ "nobody at the end", NULL, 0, 0 },
	};

	if (!start(t, HM_PROPER))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		if (!hm_register(t, rows[i].callback))
			continue;
		/* Who calls nobody need not keep a pointer. */
		if (rows[i].first != 0 && held(&first) == 0 &&
		    hm_chooses(t, "keeps no callback"))
			return;
		CHECK_SIZE(t, held(&first), rows[i].first);
		CHECK_SIZE(t, held(&second), rows[i].second);
	}
}

/* As above, for a host that holds nobody: nothing is released that was not taken, and nobody
 * is held who was replaced. */
static void what_is_taken_is_given_back(struct hm_trial *t)
{
	if (!start(t, HM_PROPER))
		return;
	hm_row(t, "one after the other");
	(void)hm_register(t, &first);
	(void)hm_register(t, &second);
	CHECK_SIZE(t, held(&first), 0);
	CHECK(t, held(&second) <= 1);
	hm_row(t, "the same a hundred times");
	for (int i = 0; i < 100; i++)
		(void)keep_in(t->memory, &second);
	CHECK(t, held(&second) <= 1);
	hm_row(t, "nobody");
	(void)hm_register(t, NULL);
	CHECK_SIZE(t, held(&second), 0);
}

static void the_last_release_lets_the_callback_go(struct hm_trial *t)
{
	IHostMemoryManager *memory = hm_another_host(t);
	bool taken;

	if (memory == NULL)
		return;
	/* Only there: a second host with a callback may have a second thread. */
	taken = start_in(t, memory, HM_PROPER) &&
		CHECK_HR(t, keep_in(memory, &first), S_OK);
	(void)IHostMemoryManager_Release(memory);
	if (!taken)
		return;
	hm_row(t, "after the last Release");
	CHECK_SIZE(t, held(&first), 0);
}

/* A second host has a callback of its own. */
static void hosts_have_their_own_callbacks(struct hm_trial *t)
{
	IHostMemoryManager *other = start(t, HM_PROPER) ? hm_another_host(t) : NULL;
	ULONG before;

	/* Two hosts may have two threads, whose stacks stay. */
	t->threads = true;
	if (other == NULL || !hm_register(t, &first))
		return;
	before = held(&first);
	CHECK_HR(t, keep_in(other, &second), S_OK);
	CHECK_SIZE(t, held(&first), before);
	(void)IHostMemoryManager_Release(other);
	CHECK_SIZE(t, held(&first), before);
	CHECK_SIZE(t, held(&second), 0);
	(void)hm_register(t, NULL);
	CHECK_SIZE(t, held(&first), 0);
}

/* Registered, told something where that can be done, and let go. */
static void use(struct hm_trial *t, IHostMemoryControl *control)
{
	unsigned calls;

	if (!hm_register(t, &first))
		return;
	/* One of the two is a change, whatever the machine has said before. */
	if (control != NULL) {
		(void)IHostMemoryControl_NotifyMemory(control, eMemoryAvailableLow);
		(void)IHostMemoryControl_NotifyMemory(control, eMemoryAvailableHigh);
		CHECK(t, first.count != 0);
	}
	(void)hm_register(t, &second);
	(void)hm_register(t, NULL);
	calls = first.count + second.count;
	if (control != NULL) {
		(void)IHostMemoryControl_NotifyMemory(control, eMemoryAvailableLow);
		(void)IHostMemoryControl_NotifyMemory(control, eMemoryAvailableNeutral);
	}
	CHECK_SIZE(t, first.count + second.count, calls);
	CHECK_SIZE(t, held(&first), 0);
	CHECK_SIZE(t, held(&second), 0);
	/* There is no value but these three. */
	for (unsigned i = 0; i < first.count && i < HM_HEARD; i++)
		CHECK(t, first.values[i] >= eMemoryAvailableLow &&
				 first.values[i] <= eMemoryAvailableHigh);
}

/* The CLR's callback is one of these: static, and its QueryInterface counts nothing. */
static void callbacks_with_bad_manners_are_callbacks(struct hm_trial *t)
{
	static const struct {
		const char *what;
		enum hm_manners manners;
	} rows[] = {
		{ "a proper object", HM_PROPER },
		{ "AddRef and Release say 1, as the CLR's", HM_STATIC },
		{ "QueryInterface refuses everything", HM_NO_FACES },
		{ "OnMemoryNotification says E_FAIL", HM_SAYS_FAILED },
	};
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_has(t, &IID_IHostMemoryControl);

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		if (!start(t, rows[i].manners))
			return;
		use(t, control);
	}
	hm_row(t, "the host lives");
	(void)hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
}

static struct hm_trial *trial; /* for what runs inside a callback */

static void register_the_other(struct hm_listener *self)
{
	self->on_release = NULL;
	CHECK_HR(trial, keep_in(trial->memory, &second), S_OK);
	(void)hm_take(trial, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
}

/* A Release may do anything: no lock of the host is held around it. */
static void a_callback_that_is_let_go_may_call_the_host(struct hm_trial *t)
{
	trial = t;
	if (!start(t, HM_PROPER) || !hm_register(t, &first))
		return;
	if (held(&first) == 0) {
		hm_skip(t, "the host holds no callback");
		(void)hm_register(t, NULL);
		return;
	}
	first.on_release = register_the_other;
	(void)hm_register(t, NULL);
	CHECK_SIZE(t, held(&first), 0);
	/* The one from within came last. */
	CHECK_SIZE(t, held(&second), 1);
	(void)hm_register(t, NULL);
	CHECK_SIZE(t, held(&second), 0);
}

static void register_often(void *state)
{
	static struct hm_listener *const turns[] = { &first, &second, NULL };
	IHostMemoryManager *memory = (IHostMemoryManager *)state;

	for (unsigned i = 0; i < 300; i++)
		(void)keep_in(memory, turns[i % HM_ROWS(turns)]);
}

static void threads_may_register_at_once(struct hm_trial *t)
{
	if (!start(t, HM_PROPER))
		return;
	hm_together(t, 4, register_often, t->memory);
	(void)hm_register(t, NULL);
	CHECK_SIZE(t, held(&first), 0);
	CHECK_SIZE(t, held(&second), 0);
}

static const struct hm_case cases[] = {
	{ "taken", HM_DOCUMENTED, "HR RegisterMemoryNotificationCallback",
	  a_callback_is_taken, HM_NO_GROUP },
	{ "balance", HM_REQUIRED, "COM: what is taken is given back, once",
	  what_is_taken_is_given_back, HM_NO_GROUP },
	{ "one-reference", HM_DOCUMENTED,
	  "COM: who keeps a pointer holds a reference; HM hostmemory.h",
	  one_reference_is_held, HM_NO_GROUP },
	{ "last-release", HM_REQUIRED, "COM: what is taken is given back, once",
	  the_last_release_lets_the_callback_go, HM_NO_GROUP },
	{ "two-hosts", HM_DOCUMENTED, "HM hostmem.h: each host has its own account",
	  hosts_have_their_own_callbacks, HM_NO_GROUP },
	{ "manners", HM_REQUIRED, "CLR: a static callback, whose answers mean nothing",
	  callbacks_with_bad_manners_are_callbacks, HM_NO_GROUP },
	{ "release-calls-back", HM_DOCUMENTED, "HM hostmemory.h: with no lock held",
	  a_callback_that_is_let_go_may_call_the_host, HM_NO_GROUP },
	{ "threads", HM_REQUIRED, "HM hostmemory.h: any thread; COM",
	  threads_may_register_at_once, HM_NO_GROUP },
};

const struct hm_area hm_area_notification = HM_AREA("notification", cases);
