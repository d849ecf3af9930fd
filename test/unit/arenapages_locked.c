/*
 * Pages in arenas where the kernel has reasons of its own, for real: locked memory, which
 * gets no guard pages, and a policy against new code.  Forks; and what is in core dumps.
 */
#include "plot.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

static struct plot plot, right, other;

/* Everything that can be done to a reservation, looked at after each step. */
static void use(struct plot *used)
{
	CHECK_HR(plot_commit(used, 3, 20, WRITES), S_OK);
	plot_check(used);
	plot_write(used, 0, used->count, 0x33);
	CHECK_HR(plot_decommit(used, 5, 12), S_OK);
	plot_check(used);
	CHECK_HR(plot_commit(used, 0, 10, READS), S_OK);
	plot_check(used);
	CHECK_HR(plot_commit(used, 0, used->count, WRITES), S_OK);
	plot_write(used, 0, used->count, 0x44);
	CHECK_HR(plot_decommit(used, 9, 9), S_OK);
	plot_check(used);
	CHECK_HR(plot_commit(used, 9, 9, WRITES), S_OK);
	plot_check(used);
}

static void locked_pages_go_like_others(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t first = 0; first < 40; first += 7) {
			tap_row("source %zu, pages from %zu on are locked", s, first);
			plot_reserve(&plot, source, 48);
			CHECK_HR(plot_commit(&plot, 0, 48, WRITES), S_OK);
			plot_write(&plot, 0, 48, 0x22);
			if (!lock_pages(plot.base + first * PAGE, 8 * PAGE)) {
				tap_skip("no memory can be locked here");
				CHECK_HR(plot_release(&plot), S_OK);
				return;
			}
			CHECK_HR(plot_decommit(&plot, 0, 48), S_OK);
			plot_check(&plot);
			CHECK_HR(plot_commit(&plot, 0, 48, WRITES), S_OK);
			plot_write(&plot, 0, 48, 0x11);
			(void)lock_pages(plot.base + first * PAGE, 8 * PAGE);
			CHECK_HR(plot_cut(&plot, 20, 5, &right), S_OK);
			plot_check(&plot);
			plot_check(&right);
			use(&right);
			plot_check(&plot);
			CHECK_HR(plot_release(&plot), S_OK);
			CHECK_HR(plot_release(&right), S_OK);
			/* The next one gets the same granules. */
			plot_reserve(&plot, source, 48);
			use(&plot);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

static int lock_flags;

/* Blank, open and odd granules, from before and from after. */
static void lock_all(void)
{
	const struct hm_page_source *source;
	static struct plot before[3];

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		plot_reserve(&before[s % 3], source, 48);
		CHECK_HR(plot_commit(&before[s % 3], 17, 20, WRITES), S_OK);
		CHECK_HR(plot_protect(&before[s % 3], 20, 3, READS), S_OK);
		plot_write(&before[s % 3], 0, 48, 0x5A);
	}
	if (syscall(SYS_mlockall, lock_flags) != 0) {
		tap_skip("the limit of locked memory is too low");
		return;
	}
	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		plot_check(&before[s % 3]);
		CHECK_HR(plot_decommit(&before[s % 3], 10, 17), S_OK);
		plot_check(&before[s % 3]);
		use(&before[s % 3]);
		plot_reserve(&other, source, 200);
		use(&other);
		CHECK_HR(plot_release(&other), S_OK);
		CHECK_HR(plot_release(&before[s % 3]), S_OK);
		plot_reserve(&other, source, 30);
		use(&other);
		/* As large ones are, this one is blank. */
		plot_reserve(&other, source, 40 * GRANULE_PAGES);
		use(&other);
	}
}

static void lock_all_now(void)
{
	lock_flags = MCL_CURRENT | (SANITIZED ? MCL_ONFAULT : 0);
	in_child(lock_all);
}

static void lock_all_later(void)
{
	/* An ordinary user's limit would refuse every mapping from now on. */
	if (geteuid() != 0) {
		tap_skip("only root may lock what is mapped from now on");
		return;
	}
	lock_flags = MCL_FUTURE | MCL_ONFAULT;
	in_child(lock_all);
	lock_flags = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
	in_child(lock_all);
}

static void everything_works_when_all_memory_is_locked(void)
{
	lock_all_now();
}

static void everything_works_when_later_memory_is_locked_too(void)
{
	lock_all_later();
}

/* A limit that the next mapping would break: EAGAIN. */
static void meet_the_limit_of_locked_memory(void)
{
	const struct hm_page_source *source;

	if (SANITIZED) {
		tap_skip("a sanitizer maps memory of its own");
		return;
	}
	if (geteuid() == 0 && syscall(SYS_setresuid, 65534, 65534, 65534) != 0) {
		tap_skip("this process cannot become an ordinary one");
		return;
	}
	if (!child_limit(RLIMIT_MEMLOCK, 64 * UNIT) ||
	    syscall(SYS_mlockall, MCL_FUTURE) != 0) {
		tap_skip("no memory can be locked here");
		return;
	}
	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		CHECK_HR(plot_reserve_at(&plot, source, NULL, 100 * GRANULE_PAGES, 0,
					 NONE),
			 E_OUTOFMEMORY);
	}
}

static void a_limit_of_locked_memory_is_want_of_memory(void)
{
	in_child(meet_the_limit_of_locked_memory);
}

static void try_executing(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		plot_reserve(&plot, source, 48);
		CHECK_HR(plot_commit(&plot, 10, 10, WRITES), S_OK);
		plot_write(&plot, 0, 48, 0x5A);
		if (prctl(PR_SET_MDWE, 1UL, 0UL, 0UL, 0UL) != 0 && s == 0) {
			tap_skip("the kernel has no PR_SET_MDWE");
			return;
		}
		CHECK_HR(plot_commit(&plot, 0, 48, EXECUTES), E_ACCESSDENIED);
		plot_check(&plot);
		CHECK_HR(plot_protect(&plot, 12, 3, EXECUTES), E_ACCESSDENIED);
		plot_check(&plot);
		CHECK_HR(plot_commit(&plot, 30, 3, EXECUTES), E_ACCESSDENIED);
		plot_check(&plot);
		use(&plot);
		CHECK_HR(plot_release(&plot), S_OK);
		CHECK_HR(plot_reserve_at(&plot, source, NULL, 16, HM_RESERVE_COMMITTED,
					 WRITES | EXECUTES),
			 E_ACCESSDENIED);
	}
}

static void a_policy_against_new_code_is_kept_and_changes_nothing_else(void)
{
	in_child(try_executing);
}

static void use_in_child(void)
{
	plot_check(&plot);
	use(&plot);
	CHECK_HR(plot_release(&plot), S_OK);
	plot_reserve(&other, plot.source, 48);
	use(&other);
}

static void a_child_has_pages_of_its_own(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		plot_reserve(&plot, source, 48);
		CHECK_HR(plot_commit(&plot, 2, 30, WRITES), S_OK);
		plot_write(&plot, 0, 48, 0x5A);
		in_child(use_in_child);
		plot_check(&plot);
		use(&plot);
		CHECK_HR(plot_release(&plot), S_OK);
	}
}

static void check_dumped(const struct plot *dumped)
{
	for (size_t i = 0; i < dumped->count; i++) {
		if (dumped->pages[i].committed &&
		    !CHECK(!smaps_has(dumped->base + i * PAGE, "dd")))
			return;
	}
}

/* However the granule has come to be open. */
static void committed_pages_are_in_core_dumps(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t cut = 0; cut < 48; cut += 7) {
			tap_row("source %zu, page %zu released before", s, cut);
			plot_reserve(&plot, source, 600);
			CHECK_HR(plot_cut(&plot, cut, 1, &right), S_OK);
			if (plot.count != 0) {
				CHECK_HR(plot_commit(&plot, plot.count - 1, 1, WRITES),
					 S_OK);
				check_dumped(&plot);
			}
			CHECK_HR(plot_commit(&right, 0, 3, WRITES), S_OK);
			CHECK_HR(plot_commit(&right, 100, 300, READS), S_OK);
			check_dumped(&right);
			CHECK_HR(plot_decommit(&right, 90, 300), S_OK);
			CHECK_HR(plot_commit(&right, 95, 3, WRITES), S_OK);
			check_dumped(&right);
			if (plot.count != 0)
				CHECK_HR(plot_release(&plot), S_OK);
			CHECK_HR(plot_release(&right), S_OK);
		}
	}
}

int main(void)
{
	access_install();
	CHECK_HR(hm_calls_prepare(), S_OK);
	CHECK(hm_spare_keep());
	/* First, while there are no arenas to reserve in. */
	TAP_RUN(a_limit_of_locked_memory_is_want_of_memory);
	TAP_RUN(locked_pages_go_like_others);
	TAP_RUN(everything_works_when_all_memory_is_locked);
	TAP_RUN(everything_works_when_later_memory_is_locked_too);
	TAP_RUN(a_policy_against_new_code_is_kept_and_changes_nothing_else);
	TAP_RUN(a_child_has_pages_of_its_own);
	TAP_RUN(committed_pages_are_in_core_dumps);
	return tap_done();
}
