/*
 * Every system call of a set of scenarios is refused in turn.
 *
 * A scenario is a list of calls on a furnished host.  It is run again and again, each
 * time in a child of its own that has never used the library before: first call number 0
 * is refused, then number 1, and so on until the scenario ends with nothing refused; each
 * time once, and once for good from there on; and all of that also on a host whose own
 * records are used up, so that the books need the system, too.  Then guard pages alone are
 * refused, as locked memory does; and at last, on a host that was made where the system
 * promises no more memory than it has, what it would have to charge.
 *
 * Whatever is refused: a call that fails has the precise result and has changed nothing;
 * a call that gives memory back does not fail; the account, the walk and the real access
 * of every page agree; the host works again when refusals stop; and at the end nothing is
 * left mapped but the library's own records.
 */
#include "test/fault/refusing.h"
#include "test/fault/scenarios.h"

#include "hostmem/arenapages.h"
#include "hostmem/metadata.h"

#include <sys/wait.h>
#include <unistd.h>

enum {
	MAX_STEPS = 200,
	PASSED_AND_REFUSED = 0, /* exit codes of a child */
	FAILED_ANYHOW = 1,
	NOTHING_WAS_REFUSED = 2,
};

struct plan {
	uint64_t first;
	enum refusing_kind kind;
	bool for_good, drained;
};

/* How many calls of each kind were refused, of all scenarios. */
static uint64_t refused[REFUSING_KINDS];

/*
 * What was reserved and comes to nothing is given up, and what the system will neither
 * guard nor map over nor drop nor protect then stays taken: benign, since it takes a
 * system that refuses all of that, and costs addresses.
 */
static void note_stuck(struct scene *scene, const struct plan *plan, uint64_t times)
{
	scene->stuck |= plan->for_good && plan->kind == REFUSING_ALL && times >= 4;
}

/* Does `call` and looks whether all is as it must be afterwards. */
static HRESULT perform(struct scene *scene, const struct scenario_call *call,
		       const struct plan *plan)
{
	static struct picture before, after;
	uint64_t before_it = refusing_refused();
	HRESULT hr;

	/* Looking makes no system call through the table. */
	scene_paint(scene, &before);
	hr = call->run(scene);
	if (call->kind == GIVE && refusing_refused() > before_it + 1)
		scene->loose = true;
	scene_paint(scene, &after);
	note_stuck(scene, plan, refusing_refused() - before_it);
	if (hr == E_FAIL) {
		/* Half a change that could not be undone; or nothing would take the
		 * contents of pages away, neither a mapping nor either advice. */
		CHECK(plan->for_good || refusing_was_absurd());
		CHECK(refusing_refused() - before_it >= (call->kind == GRANT ? 2 : 3) ||
		      refusing_was_absurd());
		scene->loose = true;
	} else if (FAILED(hr)) {
		CHECK_INT(call->kind, GRANT);
		CHECK_HR(hr, E_OUTOFMEMORY);
		CHECK(refusing_refused() > before_it);
	}
	if (FAILED(hr) || call->kind == OBSERVE)
		scene_check_same(&before, &after, hr == E_FAIL);
	scene_check_true(scene, &after);
	return hr;
}

static void perform_all(struct scene *scene, const struct scenario *scenario,
			const struct plan *plan)
{
	HRESULT hr = S_OK;

	for (size_t i = 0; i < SCENARIO_CALLS && scenario->calls[i].run != NULL; i++) {
		hr = perform(scene, &scenario->calls[i], plan);
		if (hr == E_FAIL)
			break;
	}
	refusing_disarm();
	if (scenario->finish != NULL)
		scenario->finish(scene);
	if (hr == E_FAIL) {
		scene_check_latched(scene);
		return;
	}
	scene_check_works(scene);
	scene_check_fresh(scene);
	scene_check_empties(scene);
}

/* A scenario may end with blocks live. */
static void HOSTMEM_CALL ignore_report(void *state, const HostMemReport *report)
{
	(void)state, (void)report;
}

/* The host of a scenario, and what there is before its calls. */
static bool set_stage(struct scene *scene, const struct scenario *scenario)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = scenario->flags;
	config.cbRetain = scenario->retain;
	config.report = ignore_report;
	if (!CHECK_HR(scene_open(scene, &config), S_OK) || !scene_watch(scene) ||
	    (!scenario->bare && !scene_furnish(scene)))
		return false;
	if (scenario->prepare != NULL)
		scenario->prepare(scene);
	return !tap_failed();
}

/* Records that are in use before a run, but for those that the first run only makes. */
static size_t count_records(const struct scenario *scenario)
{
	if (scenario->settle != NULL && !scenario->bare)
		scenario->settle();
	return hm_metadata_in_use();
}

/* And as many after it. */
static void check_records(const struct scenario *scenario, size_t in_use)
{
	if (scenario->settle != NULL && scenario->bare) {
		scenario->settle();
		in_use = hm_metadata_in_use();
		scenario->settle();
	}
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

/* One run, in a child; the exit code. */
static int run_once(const struct scenario *scenario, const struct plan *plan)
{
	struct scene scene;
	struct scene_drain drain = { NULL };
	size_t in_use;

	refusing_install();
	in_use = count_records(scenario);
	if (plan->kind == REFUSING_CHARGED)
		refusing_count_memory();
	if (!set_stage(&scene, scenario))
		return FAILED_ANYHOW;
	if (plan->kind == REFUSING_CHARGED)
		CHECK(hm_pages_arenas(hm_pages_choose(scenario->flags)) == NULL);
	if (plan->drained)
		scene_drain(&drain);
	refusing_arm(plan->kind, plan->first, plan->for_good);
	perform_all(&scene, scenario, plan);
	scene_refill(&drain);
	scene_close(&scene);
	check_records(scenario, in_use);
	if (tap_failed())
		return FAILED_ANYHOW;
	return refusing_refused() != 0 ? PASSED_AND_REFUSED : NOTHING_WAS_REFUSED;
}

/* The exit code of `run` in a child. */
static int in_child(int (*run)(const struct scenario *, const struct plan *),
		    const struct scenario *scenario, const struct plan *plan)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		tap_books.failures = 0; /* those of the parent are known */
		(void)alarm(60);
		_exit(run(scenario, plan));
	}
	if (!CHECK(child > 0 && waitpid(child, &status, 0) == child) ||
	    !CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0))
		return FAILED_ANYHOW;
	return WEXITSTATUS(status);
}

static void sweep_one_way(int (*run)(const struct scenario *, const struct plan *),
			  const struct scenario *scenario, struct plan plan)
{
	static const char *const kinds[] = { "call", "guard", "charge" };
	int code = PASSED_AND_REFUSED;

	for (plan.first = 0; plan.first < MAX_STEPS && code != NOTHING_WAS_REFUSED;
	     plan.first++) {
		tap_row("%s %" PRIu64 "%s%s", kinds[plan.kind], plan.first,
			plan.for_good ? ", for good" : "",
			plan.drained ? ", no free records" : "");
		code = in_child(run, scenario, &plan);
		if (!CHECK(code != FAILED_ANYHOW))
			return;
	}
	/* It ended. */
	CHECK_INT(code, NOTHING_WAS_REFUSED);
	refused[plan.kind] += plan.first - 1;
	if (plan.kind == REFUSING_ALL)
		CHECK(plan.first > 1);
}

static void sweep(const struct scenario *scenario)
{
	for (int way = 0; way < 4; way++)
		sweep_one_way(run_once, scenario,
			      (struct plan){ .for_good = way & 1, .drained = way & 2 });
	for (int way = 0; way < 2; way++) {
		sweep_one_way(run_once, scenario,
			      (struct plan){ .kind = REFUSING_GUARDS,
					     .for_good = way & 1 });
		sweep_one_way(run_once, scenario,
			      (struct plan){ .kind = REFUSING_CHARGED,
					     .for_good = way & 1 });
	}
}

/* Creating has no host yet on which to look around. */
static int create_once(const struct scenario *scenario, const struct plan *plan)
{
	struct faces faces;
	struct scene scene;
	size_t in_use = hm_metadata_in_use();
	HRESULT hr;

	(void)scenario;
	refusing_install();
	refusing_arm(plan->kind, plan->first, plan->for_good);
	hr = faces_create(&faces);
	refusing_disarm();
	if (refusing_refused() == 0 || SUCCEEDED(hr)) {
		CHECK_HR(hr, S_OK);
		CHECK_SIZE(faces_release(&faces), 0);
	} else {
		CHECK_HR(hr, E_OUTOFMEMORY);
		CHECK_POINTER(faces.manager, NULL);
	}
	CHECK_SIZE(refusing_left_mapped(), 0);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	if (CHECK_HR(scene_open(&scene, NULL), S_OK) && scene_watch(&scene)) {
		scene_check_works(&scene);
		scene_close(&scene);
	}
	if (tap_failed())
		return FAILED_ANYHOW;
	return refusing_refused() != 0 ? PASSED_AND_REFUSED : NOTHING_WAS_REFUSED;
}

static void a_host_is_created_whole_or_not_at_all(void)
{
	sweep_one_way(create_once, NULL, (struct plan){ .for_good = false });
	sweep_one_way(create_once, NULL, (struct plan){ .for_good = true });
}

/*
 * The last Release while the system refuses.  What it would not take then, it is given
 * when it takes something again: at the latest when another host releases a region.
 */
static int destroy_once(const struct scenario *scenario, const struct plan *plan)
{
	struct scene scene, other;
	size_t in_use = hm_metadata_in_use();

	refusing_install();
	if (!set_stage(&scene, scenario) || !CHECK_HR(scene_open(&other, NULL), S_OK))
		return FAILED_ANYHOW;
	for (size_t i = 0; i < SCENARIO_CALLS && scenario->calls[i].run != NULL; i++)
		CHECK_HR(scenario->calls[i].run(&scene), S_OK);
	refusing_arm(plan->kind, plan->first, plan->for_good);
	CHECK_SIZE(faces_release(&scene.faces), 0);
	refusing_disarm();
	note_stuck(&other, plan, refusing_refused());
	CHECK_SIZE(scene.sum, 0);
	scene_check_works(&other);
	scene_close(&other);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	if (tap_failed())
		return FAILED_ANYHOW;
	return refusing_refused() != 0 ? PASSED_AND_REFUSED : NOTHING_WAS_REFUSED;
}

static void the_last_release_gives_everything_back(void)
{
	static const struct scenario *const rows[] = {
		&scenario_many_regions,
		&scenario_retain,
		&scenario_odd,
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int way = 0; way < 2; way++)
			sweep_one_way(destroy_once, rows[i],
				      (struct plan){ .for_good = way & 1 });
	}
}

static void a_reservation_is_made_whole_or_not_at_all(void)
{
	sweep(&scenario_reserve);
}

static void reserve_and_commit_in_one_call_leaves_nothing_when_refused(void)
{
	sweep(&scenario_reserve_commit);
}

static void a_commit_changes_all_pages_or_none(void)
{
	sweep(&scenario_commit);
}

static void a_protect_changes_all_pages_or_none(void)
{
	sweep(&scenario_protect);
}

static void a_decommit_never_fails(void)
{
	sweep(&scenario_decommit);
}

static void a_release_never_fails(void)
{
	sweep(&scenario_release);
}

static void a_split_leaves_three_true_parts_or_one_whole(void)
{
	sweep(&scenario_split);
}

static void memory_of_others_is_asked_of_the_system_only(void)
{
	sweep(&scenario_foreign);
}

static void mappings_are_counted_once_or_not_at_all(void)
{
	for (int way = 2; way < 4; way++)
		sweep_one_way(run_once, &scenario_mappings,
			      (struct plan){ .for_good = way & 1, .drained = true });
}

static void a_subscriber_is_told_or_was_never_there(void)
{
	for (int way = 2; way < 4; way++)
		sweep_one_way(run_once, &scenario_subscribe,
			      (struct plan){ .for_good = way & 1, .drained = true });
}

static void the_first_reservation_is_made_whole_or_not_at_all(void)
{
	sweep(&scenario_first);
}

static void a_blank_granule_is_opened_or_stays_blank(void)
{
	sweep(&scenario_open);
}

static void many_granules_are_closed_and_come_back_zero(void)
{
	sweep(&scenario_close);
}

static void an_odd_granule_is_like_any_other(void)
{
	sweep(&scenario_odd);
}

static void two_reservations_share_a_granule(void)
{
	sweep(&scenario_share);
}

static void what_was_kept_for_reuse_is_zero(void)
{
	sweep(&scenario_retain);
}

static void open_granules_in_excess_are_closed_or_stay(void)
{
	sweep(&scenario_excess);
}

static void a_place_across_an_arenas_border_is_had_or_not(void)
{
	sweep(&scenario_lend);
}

static void a_place_in_an_arena_of_the_other_kind_is_had_or_not(void)
{
	sweep(&scenario_lend_all);
}

static void a_request_is_tried_again_whole_or_not_at_all(void)
{
	sweep(&scenario_reclaim);
}

static void requests_inside_callbacks_leave_nothing_behind(void)
{
	sweep(&scenario_meddle);
}

static void a_reclaimer_and_a_rule_are_there_or_never_were(void)
{
	for (int way = 2; way < 4; way++)
		sweep_one_way(run_once, &scenario_policy,
			      (struct plan){ .for_good = way & 1, .drained = true });
}

static void a_heap_is_made_whole_or_not_at_all(void)
{
	sweep(&scenario_heap_first);
}

static void a_block_is_granted_whole_or_not_at_all(void)
{
	sweep(&scenario_heap);
}

static void a_heap_ends_whatever_is_refused(void)
{
	sweep(&scenario_heap_end);
}

static void a_block_with_a_record_is_granted_whole_or_not_at_all(void)
{
	sweep(&scenario_heap_named);
	sweep(&scenario_heap_debug);
}

static void huge_pages_are_advice(void)
{
	sweep(&scenario_huge);
}

/* The sweep itself: there were such calls, where there ought to be some. */
static void calls_of_each_kind_were_refused(void)
{
	bool guards = hm_pages_choose(0) == hm_pages_with_guards;

	if (getenv("TAP_ONLY") != NULL) {
		tap_skip("only some scenarios were played");
		return;
	}
	CHECK(refused[REFUSING_ALL] > 100);
	CHECK((refused[REFUSING_GUARDS] > 20) == guards);
	CHECK(refused[REFUSING_CHARGED] > 20);
}

int main(void)
{
	TAP_RUN(a_host_is_created_whole_or_not_at_all);
	TAP_RUN(a_reservation_is_made_whole_or_not_at_all);
	TAP_RUN(reserve_and_commit_in_one_call_leaves_nothing_when_refused);
	TAP_RUN(a_commit_changes_all_pages_or_none);
	TAP_RUN(a_protect_changes_all_pages_or_none);
	TAP_RUN(a_decommit_never_fails);
	TAP_RUN(a_release_never_fails);
	TAP_RUN(a_split_leaves_three_true_parts_or_one_whole);
	TAP_RUN(memory_of_others_is_asked_of_the_system_only);
	TAP_RUN(mappings_are_counted_once_or_not_at_all);
	TAP_RUN(a_subscriber_is_told_or_was_never_there);
	TAP_RUN(the_first_reservation_is_made_whole_or_not_at_all);
	TAP_RUN(a_blank_granule_is_opened_or_stays_blank);
	TAP_RUN(many_granules_are_closed_and_come_back_zero);
	TAP_RUN(an_odd_granule_is_like_any_other);
	TAP_RUN(two_reservations_share_a_granule);
	TAP_RUN(what_was_kept_for_reuse_is_zero);
	TAP_RUN(open_granules_in_excess_are_closed_or_stay);
	TAP_RUN(a_place_across_an_arenas_border_is_had_or_not);
	TAP_RUN(a_place_in_an_arena_of_the_other_kind_is_had_or_not);
	TAP_RUN(a_heap_is_made_whole_or_not_at_all);
	TAP_RUN(a_block_is_granted_whole_or_not_at_all);
	TAP_RUN(a_heap_ends_whatever_is_refused);
	TAP_RUN(a_block_with_a_record_is_granted_whole_or_not_at_all);
	TAP_RUN(huge_pages_are_advice);
	TAP_RUN(a_request_is_tried_again_whole_or_not_at_all);
	TAP_RUN(requests_inside_callbacks_leave_nothing_behind);
	TAP_RUN(a_reclaimer_and_a_rule_are_there_or_never_were);
	TAP_RUN(the_last_release_gives_everything_back);
	TAP_RUN(calls_of_each_kind_were_refused);
	return tap_done();
}
