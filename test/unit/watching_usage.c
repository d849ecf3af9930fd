/*
 * A group's usage may waver about a threshold as often as it likes: that source is not left
 * out, since nothing else would tell of what comes next in time.
 */
#include "fake.h"
#include "hostmem/watching.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum { SLOT = 3, CALLS = 5000 };

static struct fake_host fake;
static struct hm_monitor *const monitor = &fake.host.monitor;

static void calls_about_usage_are_never_too_many(void)
{
	int file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	fake_host_init(&fake);
	CHECK(file >= 0);
	monitor->watched[SLOT] = (struct hm_watched){ .source = HostMemSourceGroupUsage,
						      .file = file };
	atomic_store(&monitor->results[HostMemSourceGroupUsage], S_OK);
	for (unsigned i = 0; i < CALLS; i++) {
		tap_row("call %u", i + 1);
		CHECK_INT(eventfd_write(file, 1), 0);
		hm_watching_take(&fake.host, SLOT);
		if (!CHECK_HR(atomic_load(&monitor->results[HostMemSourceGroupUsage]),
			      S_OK))
			break;
	}
	CHECK_SIZE(atomic_load(&monitor->calls[HostMemSourceGroupUsage]), CALLS);
	CHECK_INT(monitor->watched[SLOT].file, file);
	monitor->watched[SLOT].file = -1;
	(void)close(file);
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(calls_about_usage_are_never_too_many);
	return tap_done();
}
