/*
 * `hostmem info` for people: what is full, what bounds it, what the host builds on, and
 * what wakes its monitor.
 *
 * The first line is the answer to most questions.  Below it columns are the same in all
 * parts, and what is not there says why on its own line.  Paths come last on theirs, since
 * they have any length.
 */
#include "display.h"
#include "info.h"

#include <inttypes.h>
#include <string.h>

/* A name, a figure, and a remark or NULL. */
static void print_row(FILE *out, const char *name, const char *figure, const char *remark)
{
	(void)fprintf(out, "  %-13s%10s", name, figure);
	if (remark != NULL)
		(void)fprintf(out, "   %s", remark);
	(void)fputc('\n', out);
}

static void print_headline(const struct hm_info *info, FILE *out)
{
	(void)fprintf(out, "hostmem %s: ", info->version);
	if (info->available == SIZE_MAX)
		(void)fputs("how full memory is cannot be read\n", out);
	else
		(void)fprintf(out, "memory is %u %% full, %s left\n",
			      (unsigned)info->load,
			      hm_display_size(info->available).text);
}

/* ---- Bounds ---- */

static void print_bound(const struct hm_info_bound *bound, FILE *out)
{
	bool limited = bound->limit != UINT64_MAX;
	char name[32];

	if (bound->kind == HostMemBoundGroup)
		(void)snprintf(name, sizeof(name), "%s, v%u",
			       hm_info_bound_name(bound->kind), (unsigned)bound->version);
	else
		(void)snprintf(name, sizeof(name), "%s", hm_info_bound_name(bound->kind));
	(void)fprintf(out, "  %-13s%10s%11s", name,
		      limited ? hm_display_size(bound->limit).text : "none",
		      hm_display_size(bound->used).text);
	if (limited)
		(void)fprintf(out, "%8s",
			      hm_display_share(bound->used, bound->limit).text);
	if (bound->path != NULL) {
		(void)fprintf(out, "%*s", limited ? 3 : 11, "");
		hm_display_text(out, bound->path);
	}
	(void)fputc('\n', out);
}

/*
 * Limits of the process that are not set are not told, and neither is what cannot be read.
 * The machine's is always there, so where it is missing too there was nothing to be read.
 */
static void print_absent(const struct hm_info *info, HostMemBoundKind kind, FILE *out)
{
	bool readable = hm_info_is_told(info, HostMemBoundMachine);

	if (!hm_info_is_told(info, kind))
		print_row(out, hm_info_bound_name(kind), readable ? "none" : "unknown",
			  NULL);
}

static void print_bounds(const struct hm_info *info, FILE *out)
{
	(void)fprintf(out, "\n%-15s%10s%11s\n", "Bounds", "limit", "used");
	for (size_t i = 0; i < info->bound_count; i++) {
		if (info->bounds[i].kind != HostMemBoundGroup)
			print_bound(&info->bounds[i], out);
	}
	print_absent(info, HostMemBoundMachine, out);
	print_absent(info, HostMemBoundAddressSpace, out);
	print_absent(info, HostMemBoundData, out);
	for (size_t i = 0; i < info->bound_count; i++) {
		if (info->bounds[i].kind == HostMemBoundGroup)
			print_bound(&info->bounds[i], out);
	}
	print_absent(info, HostMemBoundGroup, out);
}

/* ---- The system ---- */

static void print_large_pages(const struct hm_info *info, FILE *out)
{
	char free_now[48];

	if (info->system.cbLargePage == 0) {
		print_row(out, "large pages", "none", NULL);
		return;
	}
	(void)snprintf(free_now, sizeof(free_now), "%" PRIu64 " free",
		       info->system.cLargePages);
	print_row(out, "large pages", hm_display_size(info->system.cbLargePage).text,
		  free_now);
}

static void print_guard_pages(const struct hm_info *info, FILE *out)
{
	if (info->system.dwFeatures & HOSTMEM_FEATURE_GUARD_PAGES)
		print_row(out, "guard pages", "yes", "committing changes no mapping");
	else if (info->pages != NULL && (strcmp(info->pages, "protect") == 0 ||
					 strcmp(info->pages, "direct") == 0))
		print_row(out, "guard pages", "no", "HOSTMEM_PAGES is set");
	else
		print_row(out, "guard pages", "no",
			  "Linux has them since 6.13; not with overcommit_memory=2");
}

static void print_system(const struct hm_info *info, FILE *out)
{
	bool quick = (info->system.dwFeatures & HOSTMEM_FEATURE_QUICK_CALLS) != 0;
	const char *why = "stalls for want of memory are told";
	bool stalls = hm_info_has_stalls(info, &why);

	(void)fputs("\nSystem\n", out);
	print_row(out, "page", hm_display_size(info->system.cbPage).text, NULL);
	print_row(out, "granularity", hm_display_size(info->system.cbGranularity).text,
		  "reservations start at multiples of it");
	print_large_pages(info, out);
	print_guard_pages(info, out);
	print_row(out, "membarrier", quick ? "yes" : "no",
		  quick ? "heaps need no fences" : "heaps have fences of their own");
	print_row(out, "PSI", stalls ? "yes" : "no", why);
}

/* ---- The monitor ---- */

static void print_source(const struct hm_info *info, HostMemSource source, FILE *out)
{
	HRESULT result = info->sources[source].result;
	bool active = result == S_OK;

	(void)fprintf(out, "  %-13s%10s   %s", hm_info_source_name(source),
		      active ? "active" : "no",
		      active ? hm_info_source_watches(source)
			     : hm_info_source_reason(source, result));
	if (!active)
		(void)fprintf(out, " (%s)", HostMemResultName(result));
	(void)fputc('\n', out);
}

static void print_thresholds(const HostMemThresholds *at, FILE *out)
{
	const struct hm_display scarce = hm_display_size(at->cbScarce);
	const struct hm_display enough = hm_display_size(at->cbEnough);

	(void)fputs("\nNotifications\n", out);
	(void)fprintf(out,
		      "  Low      from %u %% full, with %s left, or when all tasks stand "
		      "still\n",
		      (unsigned)at->dwLowLoad, scarce.text);
	(void)fprintf(out,
		      "           until below %u %% with %s left for %s, and no such "
		      "stall for %s\n",
		      (unsigned)at->dwCalmLoad, enough.text,
		      hm_display_time(at->msCalm).text,
		      hm_display_time(at->msStall).text);
	(void)fprintf(out, "  High     after %s below %u %% with %s left, until %u %%\n",
		      hm_display_time(at->msPlenty).text, (unsigned)at->dwHighLoad,
		      enough.text, (unsigned)at->dwNeutralLoad);
	(void)fputs("  Neutral  else\n"
		    "           of a small bound an eighth counts as few, a quarter as "
		    "enough\n",
		    out);
}

void hm_info_print_text(const struct hm_info *info, FILE *out)
{
	print_headline(info, out);
	print_bounds(info, out);
	print_system(info, out);
	(void)fputs("\nWhat wakes the monitor\n", out);
	for (unsigned source = 0; source < HOSTMEM_SOURCES; source++)
		print_source(info, (HostMemSource)source, out);
	print_thresholds(&info->thresholds, out);
}
