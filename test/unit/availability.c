/*
 * Who says how much memory there is, and what time does about it.
 */
#include "hostmem/availability.h"
#include "fake.h"
#include "test/callback.h"

#define LOW eMemoryAvailableLow
#define NEUTRAL eMemoryAvailableNeutral
#define HIGH eMemoryAvailableHigh

static struct fake_host fake;
static struct hm_host *const host = &fake.host;
static struct callback callback;

static void begin(void)
{
	fake_host_init(&fake);
	callback = callback_new();
	hm_notify_register(host, &callback.iface);
}

static void begin_in_virtual_time(void)
{
	begin();
	CHECK_HR(hm_availability_set_virtual(host, true), S_OK);
}

static void load(uint32_t percent)
{
	CHECK_HR(hm_availability_simulate(host, percent, SIZE_MAX), S_OK);
}

static void force(EMemoryAvailable value)
{
	CHECK_HR(hm_availability_force(host, value), S_OK);
}

static void let_be(void)
{
	CHECK_HR(hm_availability_let_be(host), S_OK);
}

static void clear(void)
{
	CHECK_HR(hm_availability_clear(host), S_OK);
}

static void advance(uint32_t ms)
{
	uint64_t before = hm_clock_now(&host->clock);

	CHECK_HR(hm_availability_advance(host, ms), S_OK);
	CHECK_SIZE(hm_clock_now(&host->clock) - before, ms);
}

static void what_is_said_holds_until_the_figures_bring_an_edge(void)
{
	begin_in_virtual_time();
	load(70);
	force(LOW);
	CHECK_HEARD(&callback, "1");
	/* Neutral as before: no edge. */
	load(80);
	advance(5000);
	CHECK_HEARD(&callback, "");
	load(10);
	advance(4999);
	/* Only that it stands. */
	CHECK_HEARD(&callback, "1");
	advance(1);
	CHECK_HEARD(&callback, "3");
	load(80);
	CHECK_HEARD(&callback, "2");
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "");
}

static void letting_be_tells_what_the_figures_say(void)
{
	begin_in_virtual_time();
	let_be();
	CHECK_HEARD(&callback, "");
	force(HIGH);
	let_be();
	CHECK_HEARD(&callback, "32");
	let_be();
	CHECK_HEARD(&callback, "");
	load(95);
	force(HIGH);
	let_be();
	CHECK_HEARD(&callback, "131");
	force(HIGH);
	load(95);
	/* A Low as before, so what was said holds. */
	CHECK_HEARD(&callback, "3");
	fake_host_end(&fake);
}

static void clearing_the_figures_starts_afresh(void)
{
	uint32_t percent = 7;
	size_t available = 7;

	begin_in_virtual_time();
	clear();
	CHECK(!hm_availability_figures(&host->availability, &percent, &available));
	CHECK_U32(percent, 7);
	CHECK_SIZE(available, 7);
	load(95);
	CHECK_HEARD(&callback, "1");
	clear();
	CHECK_HEARD(&callback, "2");
	CHECK(!hm_availability_figures(&host->availability, &percent, &available));
	load(0);
	CHECK(hm_availability_figures(&host->availability, &percent, &available));
	CHECK_U32(percent, 0);
	CHECK_SIZE(available, SIZE_MAX);
	advance(4000);
	clear();
	load(0);
	advance(4999);
	CHECK_HEARD(&callback, "");
	advance(1);
	CHECK_HEARD(&callback, "3");
	clear();
	CHECK_HEARD(&callback, "2");
	fake_host_end(&fake);
}

/* What was said is not the figures', and stays when they go without an edge. */
static void clearing_the_figures_leaves_what_was_said(void)
{
	begin_in_virtual_time();
	load(50);
	force(HIGH);
	clear();
	CHECK_HEARD(&callback, "3");
	load(95);
	force(HIGH);
	clear();
	/* From Low to Neutral: an edge. */
	CHECK_HEARD(&callback, "132");
	fake_host_end(&fake);
}

static uint64_t heard_at[8];

static void note_time(struct callback *self, EMemoryAvailable available)
{
	unsigned number = atomic_load(&self->calls) - 1;

	(void)available;
	if (number < ROWS(heard_at))
		heard_at[number] = hm_clock_now(&host->clock);
}

static void advancing_stops_wherever_something_is_due(void)
{
	static const uint64_t after[] = { 0, 8192, 16384, 20000 + 2000, 20000 + 5000 };
	uint64_t start;

	begin_in_virtual_time();
	callback.then = note_time;
	start = hm_clock_now(&host->clock);
	load(95);
	advance(20000);
	load(0);
	advance(UINT32_MAX);
	for (size_t i = 0; i < ROWS(after); i++)
		CHECK_SIZE(heard_at[i] - start, after[i]);
	CHECK_HEARD(&callback, "11123");
	fake_host_end(&fake);
}

static void a_low_that_stands_is_repeated_whoever_said_it(void)
{
	begin_in_virtual_time();
	force(LOW);
	advance(8191);
	CHECK_HEARD(&callback, "1");
	/* Not a call, nor does it put the next one off. */
	force(LOW);
	advance(1);
	CHECK_HEARD(&callback, "1");
	force(HIGH);
	advance(100000);
	CHECK_HEARD(&callback, "3");
	fake_host_end(&fake);
}

static void a_repeat_that_is_held_back_comes_once(void)
{
	begin_in_virtual_time();
	force(LOW);
	CHECK_HR(hm_notify_suspend(host), S_OK);
	advance(100000);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(hm_notify_resume(host), S_OK);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(hm_notify_suspend(host), S_OK);
	advance(8192);
	force(NEUTRAL);
	CHECK_HR(hm_notify_resume(host), S_OK);
	CHECK_HEARD(&callback, "2");
	fake_host_end(&fake);
}

static void a_repeat_that_is_held_back_is_not_told_at_the_end(void)
{
	struct callback later = callback_new();

	begin_in_virtual_time();
	force(LOW);
	CHECK_HR(hm_notify_suspend(host), S_OK);
	advance(8192);
	hm_notify_register(host, &later.iface);
	CHECK_HEARD(&callback, "1");
	fake_host_end(&fake);
	CHECK_HEARD(&later, "");
}

static void who_comes_later_hears_of_a_low_by_its_repeat(void)
{
	struct callback later = callback_new();

	begin_in_virtual_time();
	force(LOW);
	advance(4000);
	hm_notify_register(host, &later.iface);
	advance(4191);
	CHECK_HEARD(&later, "");
	advance(1);
	CHECK_HEARD(&later, "1");
	CHECK_HEARD(&callback, "1");
	hm_notify_register(host, NULL);
	/* Quick, since there is nobody to repeat it to. */
	advance(UINT32_MAX);
	fake_host_end(&fake);
}

static void advance_more(struct callback *self, EMemoryAvailable available)
{
	(void)self;
	if (available == LOW)
		advance(3000);
}

static void a_callback_may_advance_time_itself(void)
{
	begin_in_virtual_time();
	callback.then = advance_more;
	load(95);
	CHECK_HEARD(&callback, "1");
	load(80);
	advance(1999);
	CHECK_HEARD(&callback, "");
	advance(1);
	CHECK_HEARD(&callback, "2");
	fake_host_end(&fake);
}

static void shut_down(struct callback *self, EMemoryAvailable available)
{
	(void)self;
	if (available == NEUTRAL)
		CHECK_HR(hm_host_shut_down(host), S_OK);
}

static void time_goes_on_when_a_callback_shuts_the_host_down(void)
{
	begin_in_virtual_time();
	callback.then = shut_down;
	load(95);
	load(0);
	advance(60000);
	CHECK_HEARD(&callback, "12");
	CHECK_HR(hm_availability_advance(host, 1), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(hm_availability_force(host, LOW), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(hm_availability_let_be(host), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(hm_availability_simulate(host, 95, 0), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(hm_availability_clear(host), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(hm_availability_set_virtual(host, false), HOST_E_CLRNOTAVAILABLE);
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "");
}

static void end_the_host(struct callback *self, EMemoryAvailable available)
{
	(void)available;
	self->then = NULL;
	CHECK_U32(hm_host_release(host), 0);
}

static void the_host_may_go_in_the_middle_of_an_advance(void)
{
	begin_in_virtual_time();
	load(95);
	load(0);
	callback.then = end_the_host;
	CHECK_HR(hm_availability_advance(host, 60000), S_OK);
	CHECK_U32(fake.destroyed, 1);
	CHECK_HEARD(&callback, "123");
	CHECK_U32(callback.references, 1);
}

static void only_virtual_time_can_be_advanced(void)
{
	begin();
	CHECK_HR(hm_availability_advance(host, 0), E_INVALIDARG);
	CHECK_HR(hm_availability_set_virtual(host, true), S_OK);
	advance(0);
	CHECK_HR(hm_availability_set_virtual(host, false), S_OK);
	CHECK_HR(hm_availability_advance(host, 0), E_INVALIDARG);
	fake_host_end(&fake);
}

static void the_end_of_time_is_no_trap(void)
{
	begin_in_virtual_time();
	load(95);
	hm_clock_move(&host->clock, UINT64_MAX);
	CHECK_HR(hm_availability_advance(host, 1), S_OK);
	CHECK_HR(hm_availability_advance(host, UINT32_MAX), S_OK);
	load(0);
	CHECK_HR(hm_availability_advance(host, UINT32_MAX), S_OK);
	/* One repetition on the way there, and then nothing any more. */
	CHECK_HEARD(&callback, "11");
	fake_host_end(&fake);
}

static void without_simulated_figures_there_is_nothing_to_clear(void)
{
	begin_in_virtual_time();
	host->budget.limit = 10 * PAGE;
	hm_budget_charge(&host->budget, 9 * PAGE);
	let_be();
	hm_budget_refund(&host->budget, 9 * PAGE);
	let_be();
	clear();
	CHECK_HEARD(&callback, "1");
	advance(1999);
	CHECK_HEARD(&callback, "");
	advance(1);
	CHECK_HEARD(&callback, "2");
	fake_host_end(&fake);
}

/* The host's own account stays in the picture. */
static void the_account_is_judged_with_simulated_figures(void)
{
	begin_in_virtual_time();
	host->budget.limit = 10 * PAGE;
	hm_budget_charge(&host->budget, 9 * PAGE);
	load(10);
	CHECK_HEARD(&callback, "1");
	clear();
	CHECK_HEARD(&callback, "");
	hm_budget_refund(&host->budget, 9 * PAGE);
	fake_host_end(&fake);
}

/* SetMemoryLoad replaces what the monitor sees, and so does virtual time. */
static void a_stall_of_the_machine_counts_where_its_figures_do(void)
{
	begin();
	atomic_store(&host->monitor.stalled, 1);
	load(80);
	CHECK_HEARD(&callback, "");
	atomic_store(&host->monitor.stalled, 1);
	hm_availability_look(host);
	CHECK_HEARD(&callback, "");
	clear();
	CHECK_HEARD(&callback, "");
	atomic_store(&host->monitor.stalled, 1);
	hm_availability_look(host);
	CHECK_HEARD(&callback, "1");
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "2");
	begin_in_virtual_time();
	atomic_store(&host->monitor.stalled, 1);
	hm_availability_look(host);
	CHECK_HR(hm_availability_set_virtual(host, false), S_OK);
	hm_availability_look(host);
	CHECK_HEARD(&callback, "");
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(what_is_said_holds_until_the_figures_bring_an_edge);
	TAP_RUN(letting_be_tells_what_the_figures_say);
	TAP_RUN(clearing_the_figures_starts_afresh);
	TAP_RUN(clearing_the_figures_leaves_what_was_said);
	TAP_RUN(advancing_stops_wherever_something_is_due);
	TAP_RUN(a_low_that_stands_is_repeated_whoever_said_it);
	TAP_RUN(a_repeat_that_is_held_back_comes_once);
	TAP_RUN(a_repeat_that_is_held_back_is_not_told_at_the_end);
	TAP_RUN(who_comes_later_hears_of_a_low_by_its_repeat);
	TAP_RUN(a_callback_may_advance_time_itself);
	TAP_RUN(time_goes_on_when_a_callback_shuts_the_host_down);
	TAP_RUN(the_host_may_go_in_the_middle_of_an_advance);
	TAP_RUN(only_virtual_time_can_be_advanced);
	TAP_RUN(the_end_of_time_is_no_trap);
	TAP_RUN(without_simulated_figures_there_is_nothing_to_clear);
	TAP_RUN(the_account_is_judged_with_simulated_figures);
	TAP_RUN(a_stall_of_the_machine_counts_where_its_figures_do);
	return tap_done();
}
