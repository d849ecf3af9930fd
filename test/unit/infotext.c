/*
 * `hostmem info` as people see it.
 */
#include "printed.h"

static void all_of_it_is_aligned(void)
{
	static const char *const lines[] = {
		"hostmem 1.2.3: memory is 25 % full, 384 MiB left",
		"",
		"Bounds              limit       used",
		"  machine          16 GiB      2 GiB    12 %",
		"  RLIMIT_DATA     1.5 GiB      1 MiB     0 %",
		"  RLIMIT_AS          none",
		"  group, v2       512 MiB    128 MiB    25 %   /sys/fs/cgroup/a",
		"  group, v2          none      1 GiB           /sys/fs/cgroup",
		"",
		"System",
		"  page              4 KiB",
		"  granularity      64 KiB   reservations start at multiples of it",
		"  large pages       2 MiB   7 free",
		"  guard pages         yes   committing changes no mapping",
		"  membarrier          yes   heaps need no fences",
		"  PSI                 yes   stalls for want of memory are told",
		"",
		"What wakes the monitor",
		"  budget           active   the host's own budget",
		"  timer            active   a look every 100 ms to 1 s",
		"  group-usage          no   no memory groups of version 1 "
		"(ERROR_NOT_SUPPORTED)",
		"  group-events     active   memory.events of control groups, version 2",
		"  some-stalled     active   PSI: some tasks stand still",
		"  all-stalled          no   not permitted (E_ACCESSDENIED)",
		"",
		"Notifications",
		"  Low      from 90 % full, with 64 MiB left, or when all tasks stand "
		"still",
		"           until below 85 % with 192 MiB left for 2 s, and no such "
		"stall for "
		"4 s",
		"  High     after 5 s below 70 % with 192 MiB left, until 75 %",
		"  Neutral  else",
		"           of a small bound an eighth counts as few, a quarter as "
		"enough",
	};
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);

	printed_is(printed_by(hm_info_print_text, &info), lines, ROWS(lines));
}

static void what_could_not_be_read_is_not_called_unlimited(void)
{
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);

	info.bound_count = 0;
	info.available = SIZE_MAX;
	printed_has(hm_info_print_text, &info, ": how full memory is cannot be read\n");
	printed_has(hm_info_print_text, &info, "\n  machine         unknown\n");
	printed_has(hm_info_print_text, &info, "\n  RLIMIT_AS       unknown\n");
	printed_has(hm_info_print_text, &info, "\n  RLIMIT_DATA     unknown\n");
	printed_has(hm_info_print_text, &info, "\n  group           unknown\n");
}

static void who_is_in_no_group_has_none(void)
{
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);

	info.bound_count = 1;
	printed_has(hm_info_print_text, &info, "\n  group              none\n");
}

static void what_is_missing_says_why(void)
{
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);

	info.system.dwFeatures = 0;
	info.system.cbLargePage = 0;
	info.sources[HostMemSourceSomeStalled].result =
		HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	printed_has(hm_info_print_text, &info, "\n  large pages        none\n");
	printed_has(hm_info_print_text, &info,
		    "\n  guard pages          no   Linux has ");
	printed_has(hm_info_print_text, &info,
		    "\n  membarrier           no   heaps have ");
	printed_has(hm_info_print_text, &info,
		    "\n  PSI                  no   the kernel has none\n");
	info.pages = "guard";
	printed_has(hm_info_print_text, &info,
		    "\n  guard pages          no   Linux has ");
	info.pages = "protect";
	printed_has(hm_info_print_text, &info,
		    "\n  guard pages          no   HOSTMEM_PAGES is set\n");
}

static void a_path_stays_on_its_line(void)
{
	static char path[] = "/a\nb\x1b[2J\xff\\x2d";
	struct hm_info_bound bounds[4];
	struct hm_info info = printed_info(bounds);

	bounds[2].path = path;
	printed_has(hm_info_print_text, &info, "   /a\\x0ab\\x1b[2J\\xff\\x2d\n");
}

int main(void)
{
	TAP_RUN(all_of_it_is_aligned);
	TAP_RUN(what_could_not_be_read_is_not_called_unlimited);
	TAP_RUN(who_is_in_no_group_has_none);
	TAP_RUN(what_is_missing_says_why);
	TAP_RUN(a_path_stays_on_its_line);
	return tap_done();
}
