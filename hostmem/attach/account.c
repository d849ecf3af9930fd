/*
 * The account: a subscriber for failures that counts, and a few lines at the end.
 *
 * Most programs live on after a refusal, so what they were refused is told when they end.  Few
 * live on after one that their process cannot do without, and those end without a word to
 * anybody (a trap, a kill by their own watchdog): that is said at once, in a line.
 *
 * Everything is written with one call, so that it stays together; no floating point and no
 * buffer of the C library, which may be locked by whoever was refused.
 *
 * Locks: none.  Counters are atomic; who prints is decided by an exchange.
 */
#include "account.h"
#include "attached.h"
#include "notices.h"
#include "hostmem/os/console.h"
#include "hostmem/os/process.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* A program that failed, and was refused something in its first so many ms of work and bytes
 * charged, is taken for one that could not start. */
#define START_MS 1000U
#define START_BYTES ((size_t)32 << 20)

/* With less no runtime starts that cannot do without some of what it asks for, and some of
 * them crash at once. */
#define START_LIMIT ((size_t)4 << 20)

struct text {
	char bytes[1200];
	size_t length;
};

/* What could not be had. */
struct shortage {
	size_t size, charged, limit;
	EMemoryCriticalLevel level;
};

static struct {
	struct hm_account_about about;
	IHostMemoryControl *control;
	uint64_t process;
	bool is_heard; /* there was a standard error when it began */
	_Atomic bool told, warned;
	_Atomic uint64_t refused[3], injected, by_system;
	_Atomic bool any; /* the first refusal has been written down: */
	struct shortage first;
	uint64_t work; /* ms, until then */
} account;

static void add(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
	size_t room = sizeof(text->bytes) - text->length;
	va_list rest;
	int length;

	va_start(rest, format);
	length = vsnprintf(text->bytes + text->length, room, format, rest);
	va_end(rest);
	if (length > 0)
		text->length += (size_t)length < room ? (size_t)length : room - 1;
}

/* In the largest unit of which there is one, with a digit behind the point; rounded up by a
 * tenth of a unit less one byte, or not at all. */
static void add_tenths(struct text *text, size_t bytes, bool up)
{
	static const char *const names[] = { "KiB", "MiB", "GiB" };
	size_t unit = 1024, number = 0, tenths;

	if (bytes < unit) {
		add(text, "%zu bytes", bytes);
		return;
	}
	while (bytes / unit >= 1024 && number < 2) {
		unit *= 1024;
		number++;
	}
	tenths = (bytes % unit * 10 + (up ? unit - 1 : 0)) / unit + bytes / unit * 10;
	add(text, "%zu.%zu %s", tenths / 10, tenths % 10, names[number]);
}

static void add_bytes(struct text *text, size_t bytes)
{
	add_tenths(text, bytes, false);
}

static void add_name(struct text *text)
{
	add(text, "hostmem: %s: ",
	    account.about.program[0] != '\0' ? account.about.program : "the program");
}

static void print(const struct text *text)
{
	if (account.is_heard)
		hm_console_write(text->bytes, text->length);
}

/* ---- Refusals ---- */

/* What would have been enough is never less than it says. */
static void add_need(struct text *text, const struct shortage *shortage)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	size_t room = SIZE_MAX - shortage->charged;
	size_t wanted = shortage->size;

	(void)IHostMemoryControl_GetBudget(account.control, &budget);
	if (wanted < room)
		wanted += budget.cbHeadroom[shortage->level];
	add_tenths(text, shortage->size, true);
	add(text, " more were asked for at ");
	add_bytes(text, shortage->charged);
	if (wanted > room)
		return;
	add(text, ", so it needs at least ");
	add_tenths(text, shortage->charged + wanted, true);
}

static void add_warning(struct text *text, const struct shortage *shortage,
			const char *verdict)
{
	add_name(text);
	add(text, "the limit of ");
	add_bytes(text, shortage->limit);
	add(text, "%s: ", verdict);
	add_need(text, shortage);
}

static const char may_be_too_small[] = " may be too small for it";

/* What may be the last that is heard of it. */
static void warn(const struct shortage *shortage)
{
	struct text text = { .length = 0 };

	add_warning(&text, shortage,
		    shortage->level == eProcessCritical
			    ? " is too small for what it cannot do without"
			    : may_be_too_small);
	if (shortage->level == eProcessCritical && account.about.warning != NULL)
		add(&text, "; %s", account.about.warning);
	add(&text, "\n");
	print(&text);
}

static bool is_alarming(const struct shortage *shortage)
{
	if (shortage->limit == SIZE_MAX)
		return false;
	return shortage->level == eProcessCritical ||
	       (account.about.fragile && shortage->limit < START_LIMIT);
}

static BOOL HOSTMEM_CALL on_failure(void *state, const HostMemEvent *event)
{
	const struct shortage shortage = { event->size, event->cbCharged, event->cbLimit,
					   event->level };

	(void)state;
	if (!atomic_exchange(&account.any, true)) {
		account.first = shortage;
		account.work = hm_process_work_ms();
	}
	atomic_fetch_add(&account.refused[event->level], 1);
	if (event->reason == HostMemByFault)
		atomic_fetch_add(&account.injected, 1);
	else if (event->reason == HostMemBySystem)
		atomic_fetch_add(&account.by_system, 1);
	else if (is_alarming(&shortage) && !atomic_exchange(&account.warned, true))
		warn(&shortage);
	return TRUE;
}

/* ---- The end ---- */

static void add_refusals(struct text *text)
{
	uint64_t task = atomic_load(&account.refused[eTaskCritical]);
	uint64_t domain = atomic_load(&account.refused[eAppDomainCritical]);
	uint64_t process = atomic_load(&account.refused[eProcessCritical]);

	add(text, "\n  refused           %" PRIu64, task + domain + process);
	if (task + domain + process == 0)
		return;
	add(text,
	    ": %" PRIu64 " task-critical, %" PRIu64 " domain-critical, %" PRIu64
	    " process-critical",
	    task, domain, process);
	if (atomic_load(&account.injected) != 0)
		add(text, "; %" PRIu64 " of them by a rule of the scenario",
		    atomic_load(&account.injected));
	if (atomic_load(&account.by_system) != 0)
		add(text, "; %" PRIu64 " of them by the system",
		    atomic_load(&account.by_system));
	add(text, "\n  first refused     ");
	add_tenths(text, account.first.size, true);
	add(text, " at ");
	add_bytes(text, account.first.charged);
}

static void add_notifications(struct text *text)
{
	static const char *const names[] = { NULL, "Low", "Neutral", "High" };
	uint64_t sum = 0, count;
	const char *between = ": ";

	for (int value = eMemoryAvailableLow; value <= eMemoryAvailableHigh; value++)
		sum += hm_notices_count((EMemoryAvailable)value);
	add(text, "\n  notifications     %" PRIu64, sum);
	for (int value = eMemoryAvailableLow; value <= eMemoryAvailableHigh; value++) {
		count = hm_notices_count((EMemoryAvailable)value);
		if (count == 0)
			continue;
		add(text, "%s%" PRIu64 " %s", between, count, names[value]);
		between = ", ";
	}
}

static void add_account(struct text *text, const HostMemUsage *usage,
			const HostMemBudget *budget)
{
	add(text, "hostmem: %s (%" PRIu64 ")\n  peak              ",
	    account.about.program[0] != '\0' ? account.about.program : "the program",
	    account.process);
	add_bytes(text, usage->cbPeakCharged);
	if (budget->cbLimit != SIZE_MAX) {
		add(text, " of ");
		add_bytes(text, budget->cbLimit);
		if (budget->cbHeadroom[eTaskCritical] != 0) {
			add(text, ", of which ");
			add_bytes(text, budget->cbHeadroom[eTaskCritical]);
			add(text, " are not for task-critical requests");
		}
	}
	add_refusals(text);
	add_notifications(text);
	add(text, "\n  slowest callback  %" PRIu64 ".%" PRIu64 " us\n",
	    usage->nsSlowestCallback / 1000, usage->nsSlowestCallback % 1000 / 100);
	if (atomic_load(&account.any) && account.about.warning != NULL)
		add(text, "  note              %s\n", account.about.warning);
}

static bool is_to_be_told(void)
{
	return account.control != NULL && hm_process_number() == account.process &&
	       (account.about.always || atomic_load(&account.any)) &&
	       !atomic_exchange(&account.told, true);
}

static bool could_not_start(void)
{
	return atomic_load(&account.any) && account.first.limit != SIZE_MAX &&
	       account.work < START_MS && account.first.charged < START_BYTES &&
	       !atomic_load(&account.warned);
}

void hm_account_end(bool failed)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	struct text text = { .length = 0 };

	if (!is_to_be_told())
		return;
	(void)IHostMemoryControl_GetUsage(account.control, &usage);
	(void)IHostMemoryControl_GetBudget(account.control, &budget);
	if (failed && could_not_start()) {
		add_warning(&text, &account.first, may_be_too_small);
		add(&text, "\n");
	}
	add_account(&text, &usage, &budget);
	print(&text);
}

IHostMemoryControl *hm_account_control(void)
{
	return account.control;
}

void hm_account_after_fork(void)
{
	account.process = hm_process_number();
	hm_attached_forget_peak();
	hm_notices_after_fork();
	atomic_store(&account.told, false);
	atomic_store(&account.any, false);
	atomic_store(&account.warned, false);
	for (int level = 0; level < 3; level++)
		atomic_store(&account.refused[level], 0);
	atomic_store(&account.injected, 0);
	atomic_store(&account.by_system, 0);
}

HRESULT hm_account_begin(IHostMemoryControl *control,
			 const struct hm_account_about *about)
{
	const DWORD mask = 1U << HostMemEventFailure | HOSTMEM_TIME_CALLBACK;
	uint64_t cookie;

	account.about = *about;
	account.process = hm_process_number();
	account.is_heard = hm_console_is_open();
	account.control = control;
	return IHostMemoryControl_Subscribe(control, mask, on_failure, NULL, &cookie);
}
