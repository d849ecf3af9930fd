/*
 * What is believed of a file that tells of stalls: its first call may be about the time before
 * it was watched.
 */
#include "fake.h"
#include "hostmem/os/sources.h"
#include "hostmem/watching.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOT = 3 };

static struct fake_host fake;
static struct hm_monitor *const monitor = &fake.host.monitor;
static int file;

static void write_text(const char *text)
{
	if (ftruncate(file, 0) != 0 ||
	    pwrite(file, text, strlen(text), 0) != (ssize_t)strlen(text))
		abort();
}

/* Some tasks have stood still for much longer, which does not matter here. */
static void write_stalled(unsigned us)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "some avg10=0.00 avg60=0.00 avg300=0.00 total=99%u\n"
		 "full avg10=0.00 avg60=0.00 avg300=0.00 total=%u\n",
		 us, us);
	write_text(text);
}

static void begin(void)
{
	fake_host_init(&fake);
	file = memfd_create("stalls", MFD_CLOEXEC);
	if (file < 0)
		abort();
}

static void watch_from(unsigned us)
{
	write_stalled(us);
	monitor->watched[SLOT] = (struct hm_watched){
		.source = HostMemSourceAllStalled,
		.file = file,
		.stalled = hm_source_stalled(file),
	};
	atomic_store(&monitor->results[HostMemSourceAllStalled], S_OK);
}

static bool a_call_counts_at(unsigned us)
{
	write_stalled(us);
	atomic_store(&monitor->stalled, 0);
	hm_watching_take(&fake.host, SLOT);
	return atomic_load(&monitor->stalled) != 0;
}

static void end(void)
{
	CHECK_HR(atomic_load(&monitor->results[HostMemSourceAllStalled]), S_OK);
	monitor->watched[SLOT].file = -1;
	(void)close(file);
	fake_host_end(&fake);
}

static void what_was_before_the_watch_is_no_stall(void)
{
	begin();
	watch_from(878767);
	CHECK(!a_call_counts_at(879112));
	end();
}

static void but_a_hundred_milliseconds_since_then_are(void)
{
	begin();
	watch_from(878767);
	CHECK(a_call_counts_at(978767));
	end();
	begin();
	watch_from(878767);
	CHECK(!a_call_counts_at(978766));
	end();
}

static void later_calls_are_believed(void)
{
	begin();
	watch_from(878767);
	CHECK(!a_call_counts_at(878768));
	/* Where the window of the kernel begins is not for us to see. */
	CHECK(a_call_counts_at(878769));
	CHECK(a_call_counts_at(1000000));
	end();
}

static void the_total_is_read_where_there_is_one(void)
{
	static const struct {
		const char *text;
		uint64_t us;
	} rows[] = {
		{ "", 0 },
		{ "\n", 0 },
		{ "full", 0 },
		{ "full \n", 0 },
		{ "full total=\n", 0 },
		{ "full total=7", 7 },
		{ "full total=7\n", 7 },
		{ "full avg10=0.00 total=12345678901\n", 12345678901 },
		{ "some avg10=0.00 total=5\n", 0 },
		{ "some total=5\nfull avg10=99.99 avg60=1.00 total=6\n", 6 },
		{ "fuller total=6\n", 0 },
		{ "full xtotal=6\n", 0 },
	};

	begin();
	for (unsigned i = 0; i < ROWS(rows); i++) {
		write_text(rows[i].text);
		tap_row("\"%s\"", rows[i].text);
		CHECK_SIZE(hm_source_stalled(file), rows[i].us);
	}
	CHECK_SIZE(hm_source_stalled(-1), 0);
	(void)close(file);
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(what_was_before_the_watch_is_no_stall);
	TAP_RUN(but_a_hundred_milliseconds_since_then_are);
	TAP_RUN(later_calls_are_believed);
	TAP_RUN(the_total_is_read_where_there_is_one);
	return tap_done();
}
