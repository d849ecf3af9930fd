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
#include "hostmem/os/console.h"
#include "hostmem/os/process.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* A program that was refused something in its first so many ms of work, and failed, is taken
 * for one that could not start. */
#define START_MS 1000U

struct text {
	char bytes[1200];
	size_t length;
};

static struct {
	struct hm_account_about about;
	IHostMemoryControl *control;
	uint64_t process;
	_Atomic bool told, urgent;
	_Atomic uint64_t refused[3], injected, by_system;
	_Atomic bool any; /* the first refusal has been written down: */
	size_t size, charged, limit;
	uint64_t work; /* ms */
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

/* In the largest unit of which there is one, with a digit behind the point. */
static void add_bytes(struct text *text, size_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB" };
	size_t tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024;
	size_t unit = 0;

	while (tenths >= 10240 && unit < 2) {
		tenths /= 1024;
		unit++;
	}
	add(text, "%zu.%zu %s", tenths / 10, tenths % 10, units[unit]);
}

static void add_name(struct text *text)
{
	add(text, "hostmem: %s: ",
	    account.about.program[0] != '\0' ? account.about.program : "the program");
}

static void print(const struct text *text)
{
	hm_console_write(text->bytes, text->length);
}

/* ---- Refusals ---- */

static void add_need(struct text *text)
{
	add_bytes(text, account.size);
	add(text, " more were asked for at ");
	add_bytes(text, account.charged);
	add(text, ", so it needs at least ");
	add_bytes(text, account.charged + account.size);
}

static void warn(void)
{
	struct text text = { .length = 0 };

	add_name(&text);
	add(&text, "the limit of ");
	add_bytes(&text, account.limit);
	add(&text, " is too small for what it cannot do without: ");
	add_need(&text);
	add(&text, "\n");
	print(&text);
}

static BOOL HOSTMEM_CALL on_failure(void *state, const HostMemEvent *event)
{
	bool first = !atomic_exchange(&account.any, true);

	(void)state;
	if (first) {
		account.size = event->size;
		account.charged = event->cbCharged;
		account.limit = event->cbLimit;
		account.work = hm_process_work_ms();
	}
	atomic_fetch_add(&account.refused[event->level], 1);
	if (event->reason == HostMemByFault)
		atomic_fetch_add(&account.injected, 1);
	else if (event->reason == HostMemBySystem)
		atomic_fetch_add(&account.by_system, 1);
	else if (event->level == eProcessCritical && event->cbLimit != SIZE_MAX &&
		 first && !atomic_exchange(&account.urgent, true))
		warn();
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
	add_bytes(text, account.size);
	add(text, " at ");
	add_bytes(text, account.charged);
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
	add(text,
	    "\n  notifications     %" PRIu64 "\n  slowest callback  %" PRIu64 ".%" PRIu64
	    " us\n",
	    usage->cNotifications, usage->nsSlowestCallback / 1000,
	    usage->nsSlowestCallback % 1000 / 100);
	if (atomic_load(&account.any) && account.about.warning != NULL)
		add(text, "  note              %s\n", account.about.warning);
}

static bool is_to_be_told(void)
{
	return account.control != NULL && hm_process_number() == account.process &&
	       (account.about.always || atomic_load(&account.any)) &&
	       !atomic_exchange(&account.told, true);
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
	if (failed && atomic_load(&account.any) && account.limit != SIZE_MAX &&
	    account.work < START_MS && !atomic_load(&account.urgent)) {
		add_name(&text);
		add(&text, "the limit of ");
		add_bytes(&text, account.limit);
		add(&text, " may be too small to start with: ");
		add_need(&text);
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
	atomic_store(&account.told, false);
	atomic_store(&account.any, false);
	atomic_store(&account.urgent, false);
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
	account.control = control;
	return IHostMemoryControl_Subscribe(control, mask, on_failure, NULL, &cookie);
}
