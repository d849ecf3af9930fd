/*
 * The gate.
 *
 * Where it is open it costs each call one load, and so nobody counts who is inside.  What
 * there is to know is known elsewhere: a thread that is in the library's own code is
 * counted by calls.c, for the sake of fork; and a request that may call out, or a delivery
 * that tells the runtime (notify.c), holds the host until it is closed.  So whoever closes
 * the gate first writes that it is closed, then lets everybody leave the library's code
 * once, and then waits until nobody holds the host but the references, those who sleep,
 * and itself.  A call looks at the gate after it was counted, in either way: it is seen,
 * or it sees.
 *
 * Those who are inside already pass, else a callback that allocates would wait for a gate
 * that waits for the callback.  A request that holds the host late, or gives up at the
 * closed gate, is not inside: nobody waited for it, so what its callbacks do does not pass.
 *
 * Who sleeps (for memory, for a callback, or at the gate) keeps its holds, so that the host
 * lives, and says in `asleep` how many those are.  That and `holds` are two words, and
 * whoever falls asleep between two looks would be taken for somebody awake that is not
 * there any more.  So `asleep` also tells that it has moved, and then nothing is known; who
 * sleeps throughout holds throughout.  A sleeper that nobody told of is the reason why
 * closing looks again every millisecond.
 *
 * Locks: none.  `turn` moves whenever somebody who waits should look again.
 */
#include "gate.h"
#include "calls.h"
#include "os/thread.h"
#include "request.h"

static _Atomic uint32_t threads;
static HM_THREAD_LOCAL uint32_t own_number;

static uint32_t me(void)
{
	while (own_number == 0)
		own_number = 1 +
			     atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
	return own_number;
}

/* What this thread has under way on the host, and holds it by: requests, and telling the
 * runtime.  Those of it that were there before the gate was closed. */
static uint32_t own_holds(const struct hm_host *host)
{
	return hm_request_holds(host) + hm_notify_holds(host);
}

static uint32_t own_holds_inside(const struct hm_host *host)
{
	return hm_request_inside(host) + hm_notify_inside(host);
}

static void set_inside(const struct hm_host *host, bool inside)
{
	hm_request_set_inside(host, inside);
	hm_notify_set_inside(host, inside);
}

bool hm_gate_is_mine(const struct hm_host *host)
{
	uint32_t owner = atomic_load(&host->gate.owner);

	return owner != 0 && owner == own_number;
}

bool hm_gate_passes_closed(const struct hm_host *host)
{
	return hm_gate_is_mine(host) || own_holds_inside(host) != 0;
}

static void next_turn(struct hm_host *host)
{
	atomic_fetch_add(&host->gate.turn, 1);
	hm_word_wake_all(&host->gate.turn);
}

static bool has_ended(const struct hm_host *host)
{
	return FAILED(hm_host_check(host)) || hm_host_abandoned(host);
}

/* ---- Waiting ---- */

/* How long somebody is willing to wait, by the host's clock. */
struct patience {
	bool for_ever;
	uint64_t deadline;
};

static struct patience patience_of(const struct hm_host *host, uint32_t ms)
{
	return (struct patience){
		.for_ever = ms == UINT32_MAX,
		.deadline = hm_clock_now(&host->clock) + ms,
	};
}

/* Sleeps while *word == value, no longer than `most` ms; false: time is up. */
static bool rest(struct hm_host *host, const struct patience *patience,
		 const _Atomic uint32_t *word, uint32_t value, uint64_t most)
{
	uint64_t now = hm_clock_now(&host->clock), left;

	if (patience->for_ever) {
		hm_word_wait_for(word, value, most);
		return true;
	}
	if (now >= patience->deadline)
		return false;
	left = patience->deadline - now;
	if (hm_clock_is_virtual(&host->clock))
		hm_clock_move(&host->clock, left);
	else
		hm_word_wait_for(word, value, left < most ? left : most);
	return true;
}

#define MOVE (UINT64_C(1) << 32)

void hm_gate_fall_asleep(struct hm_host *host)
{
	atomic_fetch_add(&host->gate.asleep, MOVE + own_holds(host));
}

static void rise(struct hm_host *host)
{
	atomic_fetch_add(&host->gate.asleep, MOVE - own_holds(host));
}

/* Whether the gate is open, now that this thread counts as awake; if not, it is asleep
 * again.  Its own frames must not let it pass: the owner did not wait for them. */
static bool stays_awake(struct hm_host *host)
{
	if (!hm_gate_is_open(host) && !hm_gate_is_mine(host))
		return false;
	rise(host);
	if (hm_gate_is_open(host) || hm_gate_is_mine(host))
		return true;
	hm_gate_fall_asleep(host);
	return false;
}

/*
 * Giving up is for who has no other call in flight: what is outside this one would go on
 * behind a closed gate, so it waits.
 */
HRESULT hm_gate_wake_up(struct hm_host *host, enum hm_patience how)
{
	bool patient = how == HM_PATIENT || own_holds_inside(host) > 1;
	struct patience patience = patience_of(host, patient ? UINT32_MAX
							     : host->gate.patience);

	for (;;) {
		uint32_t turn = atomic_load(&host->gate.turn);
		HRESULT hr = S_OK;

		if (stays_awake(host)) {
			set_inside(host, true);
			return S_OK;
		}
		if (has_ended(host))
			hr = HOST_E_ABANDONED;
		else if (!rest(host, &patience, &host->gate.turn, turn, UINT32_MAX))
			hr = HOST_E_TIMEOUT;
		if (FAILED(hr)) {
			/* What it does from here on is giving up. */
			set_inside(host, false);
			rise(host);
			return hr;
		}
	}
}

void hm_gate_turn_away(struct hm_host *host)
{
	if (own_holds_inside(host) > 1)
		(void)hm_gate_wake_up(host, HM_PATIENT);
	else
		rise(host);
}

HRESULT hm_gate_wait(struct hm_host *host, enum hm_patience patience)
{
	struct hm_request visit;
	HRESULT hr;

	if (hm_gate_passes(host))
		return S_OK;
	/* Held, so that the host is there when the gate opens. */
	hm_request_visit(&visit, host);
	hm_gate_fall_asleep(host);
	hr = hm_gate_wake_up(host, patience);
	if (SUCCEEDED(hr) && has_ended(host))
		hr = HOST_E_ABANDONED;
	hm_request_close(&visit);
	return hr;
}

HRESULT hm_gate_enter_calls(struct hm_host *host, enum hm_patience patience)
{
	for (;;) {
		HRESULT hr;

		hm_calls_enter();
		if (hm_gate_passes(host))
			return S_OK;
		hm_calls_leave();
		hr = hm_gate_wait(host, patience);
		if (FAILED(hr))
			return hr;
	}
}

/* ---- Owning ---- */

/* Whether other threads that are awake hold it, as far as that can be told now. */
static bool others_are_inside(const struct hm_host *host)
{
	uint64_t asleep = atomic_load(&host->gate.asleep);
	uint32_t holds = hm_host_holds(host);
	uint32_t own = own_holds(host);

	return atomic_load(&host->gate.asleep) != asleep ||
	       (holds > own && holds - own > (uint32_t)asleep);
}

static bool try_take(struct hm_host *host)
{
	uint32_t owner = 0;

	return atomic_compare_exchange_strong(&host->gate.owner, &owner, me());
}

static HRESULT take(struct hm_host *host, const struct patience *patience)
{
	for (;;) {
		uint32_t turn = atomic_load(&host->gate.turn);

		if (has_ended(host))
			return HOST_E_ABANDONED;
		if (try_take(host))
			return S_OK;
		if (!rest(host, patience, &host->gate.turn, turn, UINT32_MAX))
			return HOST_E_TIMEOUT;
	}
}

/* Whoever closes the gate meanwhile need not wait for who waits here. */
static HRESULT take_asleep(struct hm_host *host, const struct patience *patience)
{
	HRESULT hr;

	hm_gate_fall_asleep(host);
	hr = take(host, patience);
	hm_gate_turn_away(host);
	return hr;
}

static void open_gate(struct hm_host *host)
{
	atomic_store(&host->gate.owner, 0);
	hm_host_refresh(host);
	next_turn(host);
	/* What was given back meanwhile was offered to nobody. */
	hm_host_offer(host, HM_OFFER_MEMORY);
}

static HRESULT close_gate(struct hm_host *host, const struct patience *patience)
{
	HRESULT hr = S_OK;

	hm_host_refresh(host);
	hm_calls_flush();
	while (SUCCEEDED(hr) && others_are_inside(host)) {
		uint32_t turn = atomic_load(&host->gate.turn);

		if (has_ended(host))
			hr = HOST_E_ABANDONED;
		else if (!rest(host, patience, &host->gate.turn, turn, 1))
			hr = HOST_E_TIMEOUT;
	}
	if (FAILED(hr))
		open_gate(host);
	return hr;
}

HRESULT hm_gate_enter(struct hm_host *host, uint32_t ms)
{
	struct patience patience = patience_of(host, ms);
	struct hm_request visit;
	HRESULT hr = S_OK;

	if (hm_gate_is_mine(host)) {
		host->gate.depth++;
		return S_OK;
	}
	hm_request_visit(&visit, host);
	/* Who only tries stays awake: the gate may be closed when he wakes up. */
	if (!try_take(host))
		hr = ms == 0 ? HOST_E_TIMEOUT : take_asleep(host, &patience);
	if (SUCCEEDED(hr))
		hr = close_gate(host, &patience);
	if (SUCCEEDED(hr))
		host->gate.depth = 1;
	hm_request_close(&visit);
	return hr;
}

HRESULT hm_gate_leave(struct hm_host *host)
{
	if (!hm_gate_is_mine(host))
		return HOST_E_NOT_OWNER;
	if (--host->gate.depth != 0)
		return S_OK;
	open_gate(host);
	return S_OK;
}

void hm_gate_wake_all(struct hm_host *host)
{
	next_turn(host);
}

void hm_gate_after_fork(struct hm_host *host)
{
	atomic_store(&host->gate.owner, 0);
	atomic_store(&host->gate.asleep, 0);
	host->gate.depth = 0;
}
