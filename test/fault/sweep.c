/*
 * Every system call of a set of scenarios is refused in turn.
 *
 * A scenario is a list of calls on a furnished host.  It is run again and again, each
 * time in a child of its own that has never used the library before: first call number 0
 * is refused, then number 1, and so on until the scenario ends with nothing refused; each
 * time once, and once for good from there on; and all of that also on a host whose own
 * records are used up, so that the books need the system, too.
 *
 * Whatever is refused: a call that fails has the precise result and has changed nothing;
 * a call that gives memory back does not fail; the account, the walk and the real access
 * of every page agree; the host works again when refusals stop; and at the end nothing is
 * left mapped but the library's own records.
 */
#include "test/fault/refusing.h"
#include "test/fault/scenarios.h"

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
	bool for_good, drained;
};

/* Does `call` and looks whether all is as it must be afterwards. */
static HRESULT perform(struct scene *scene, const struct scenario_call *call,
		       const struct plan *plan)
{
	static struct picture before, after;
	uint64_t refused = refusing_refused();
	HRESULT hr;

	/* Looking makes no system call through the table. */
	scene_paint(scene, &before);
	hr = call->run(scene);
	if (call->kind == GIVE && refusing_refused() > refused + 1)
		scene->loose = true;
	scene_paint(scene, &after);
	if (hr == E_FAIL) {
		/* Half a change that could not be undone; or nothing would take the
		 * contents of pages away, neither a mapping nor either advice. */
		CHECK(plan->for_good);
		CHECK(refusing_refused() - refused >= (call->kind == GRANT ? 2 : 3));
		scene->loose = true;
	} else if (FAILED(hr)) {
		CHECK_INT(call->kind, GRANT);
		CHECK_HR(hr, E_OUTOFMEMORY);
		CHECK(refusing_refused() > refused);
	}
	if (FAILED(hr) || call->kind == OBSERVE)
		scene_check_same(&before, &after);
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
	if (hr == E_FAIL) {
		scene_check_latched(scene);
		return;
	}
	scene_check_works(scene);
	scene_check_fresh(scene);
	scene_check_empties(scene);
}

/* One run, in a child; the exit code. */
static int run_once(const struct scenario *scenario, const struct plan *plan)
{
	struct scene scene;
	struct scene_drain drain = { NULL };
	size_t in_use = hm_metadata_in_use();

	refusing_install();
	if (!CHECK_HR(scene_open(&scene), S_OK) || !scene_watch(&scene) ||
	    !scene_furnish(&scene))
		return FAILED_ANYHOW;
	if (plan->drained)
		scene_drain(&drain);
	refusing_arm(plan->first, plan->for_good);
	perform_all(&scene, scenario, plan);
	scene_refill(&drain);
	scene_close(&scene);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
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
	int code = PASSED_AND_REFUSED;

	for (plan.first = 0; plan.first < MAX_STEPS && code != NOTHING_WAS_REFUSED;
	     plan.first++) {
		tap_row("call %" PRIu64 "%s%s", plan.first,
			plan.for_good ? ", for good" : "",
			plan.drained ? ", no free records" : "");
		code = in_child(run, scenario, &plan);
		if (!CHECK(code != FAILED_ANYHOW))
			return;
	}
	/* It did refuse something, and it ended. */
	CHECK(plan.first > 1);
	CHECK_INT(code, NOTHING_WAS_REFUSED);
}

static void sweep(const struct scenario *scenario)
{
	for (int way = 0; way < 4; way++)
		sweep_one_way(run_once, scenario,
			      (struct plan){ .for_good = way & 1, .drained = way & 2 });
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
	refusing_arm(plan->first, plan->for_good);
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
	if (CHECK_HR(scene_open(&scene), S_OK) && scene_watch(&scene)) {
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
	if (!CHECK_HR(scene_open(&scene), S_OK) || !scene_watch(&scene) ||
	    !scene_furnish(&scene) || !CHECK_HR(scene_open(&other), S_OK))
		return FAILED_ANYHOW;
	for (size_t i = 0; i < SCENARIO_CALLS && scenario->calls[i].run != NULL; i++)
		CHECK_HR(scenario->calls[i].run(&scene), S_OK);
	refusing_arm(plan->first, plan->for_good);
	CHECK_SIZE(faces_release(&scene.faces), 0);
	refusing_disarm();
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
	sweep_one_way(destroy_once, &scenario_many_regions,
		      (struct plan){ .for_good = false });
	sweep_one_way(destroy_once, &scenario_many_regions,
		      (struct plan){ .for_good = true });
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
	TAP_RUN(the_last_release_gives_everything_back);
	return tap_done();
}
