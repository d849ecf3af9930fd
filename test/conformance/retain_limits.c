/*
 * HostMemConfig.cbRetain: how much is kept, what goes first, and when all of it goes.
 */
#include "access.h"
#include "child.h"
#include "host.h"
#include "retain.h"
#include "test/callback.h"

static void without_it_released_memory_faults_at_once(void)
{
	static const size_t sizes[] = { PAGE, UNIT, MIB, 4 * MIB };
	struct host host;

	if (!host_create(&host, 0))
		return;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		unsigned char *base = vm_new(&host, sizes[i], MEM_COMMIT, PAGE_READWRITE);

		tap_row("%zu bytes", sizes[i]);
		memset(base, 0x5A, sizes[i]);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_SIZE(host_usage(&host).cbRetained, 0);
		CHECK(!can_read(base) && !can_read(base + sizes[i] - 1));
	}
	host_destroy(&host);
}

static void where_nothing_can_be_kept_it_is_as_if_nothing_was_wanted(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	struct host host;
	unsigned char *base;

	if (!pages_are_direct()) {
		tap_skip("memory can be retained here");
		return;
	}
	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.cbRetain = MIB;
	if (!host_create_with(&host, &config))
		return;
	for (unsigned i = 0; i < 3; i++) {
		base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
		CHECK_INT(base[7], 0);
		memset(base, 0x5A, UNIT);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_SIZE(host_usage(&host).cbRetained, 0);
		CHECK(!can_read(base));
	}
	host_destroy(&host);
}

static void as_much_is_kept_as_was_said(void)
{
	static const struct {
		size_t limit, size, most;
	} rows[] = {
		{ MIB, MIB / 2, MIB },        { MIB, MIB, MIB },
		{ MIB, 5 * UNIT, 15 * UNIT }, { 5 * UNIT, 5 * UNIT, 5 * UNIT },
		{ 5 * UNIT, 6 * UNIT, 0 },    { 5 * UNIT, MIB, 0 },
		{ SIZE_MAX, MIB, 20 * MIB },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *bases[20];
		struct host host;

		tap_row("row %zu", i);
		if (!retaining(&host, rows[i].limit))
			return;
		for (size_t j = 0; j < ROWS(bases); j++)
			bases[j] = vm_new(&host, rows[i].size, MEM_COMMIT,
					  PAGE_READWRITE);
		for (size_t j = 0; j < ROWS(bases); j++) {
			size_t sum = (j + 1) * rows[i].size;

			CHECK_HR(vm_release(&host, bases[j]), S_OK);
			CHECK_SIZE(host_usage(&host).cbRetained,
				   sum < rows[i].most ? sum : rows[i].most);
		}
		host_destroy(&host);
	}
}

static void the_oldest_goes_first(void)
{
	unsigned char *bases[6];
	struct host host;

	if (!retaining(&host, 4 * UNIT))
		return;
	for (size_t i = 0; i < ROWS(bases); i++)
		bases[i] = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	for (size_t i = 0; i < ROWS(bases); i++) {
		CHECK_HR(vm_release(&host, bases[i]), S_OK);
		for (size_t j = 0; j <= i; j++) {
			tap_row("%zu after %zu", j, i);
			CHECK(can_read(bases[j]) == (j + 4 > i));
		}
	}
	host_destroy(&host);
}

static void the_last_release_gives_it_back(void)
{
	struct host host;
	unsigned char *base;

	if (!retaining(&host, MIB))
		return;
	base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	memset(base, 0x5A, UNIT);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(host_usage(&host).cbRetained, UNIT);
	CHECK(can_read(base));
	host_destroy(&host);
	CHECK(!can_read(base) && !can_read(base + UNIT - 1));
}

static void what_the_last_release_releases_is_not_kept(void)
{
	struct host host;
	unsigned char *base;

	if (!retaining(&host, MIB))
		return;
	base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	memset(base, 0x5A, UNIT);
	host_destroy(&host);
	CHECK(!can_read(base) && !can_read(base + UNIT - 1));
}

static void each_host_keeps_its_own(void)
{
	struct host host, other;
	unsigned char *base;

	if (!retaining(&host, MIB) || !retaining(&other, MIB))
		return;
	base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(host_usage(&other).cbRetained, 0);
	CHECK(vm_new(&other, UNIT, MEM_COMMIT, PAGE_READWRITE) != base);
	CHECK_SIZE(host_usage(&host).cbRetained, UNIT);
	host_destroy(&other);
	CHECK_SIZE(host_usage(&host).cbRetained, UNIT);
	CHECK_POINTER(vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE), base);
	host_destroy(&host);
}

/* ---- Before the system's refusal becomes ours ---- */

/* A figure of /proc/self/status in bytes. */
static size_t status_of(const char *name)
{
	static char text[8192];
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t got = read(file, text, sizeof(text) - 1);
	const char *found;

	(void)close(file);
	text[got > 0 ? got : 0] = '\0';
	found = strstr(text, name);
	return CHECK(found != NULL) ? strtoull(found + strlen(name), NULL, 10) << 10 : 0;
}

static struct host rich; /* that keeps 32 MiB */

static bool keep_much(void)
{
	static unsigned char *bases[32];

	if (SANITIZED) {
		tap_skip("a sanitizer needs more memory than any limit leaves");
		return false;
	}
	if (!retaining(&rich, 32 * MIB))
		return false;
	for (size_t i = 0; i < ROWS(bases); i++) {
		bases[i] = vm_new(&rich, MIB, MEM_COMMIT, PAGE_READWRITE);
		memset(bases[i], 0x5A, MIB);
	}
	for (size_t i = 0; i < ROWS(bases); i++)
		CHECK_HR(vm_release(&rich, bases[i]), S_OK);
	CHECK_SIZE(host_usage(&rich).cbRetained, 32 * MIB);
	return true;
}

static bool asks_another; /* host than the one that keeps */

static void want_data(void)
{
	struct host host, *asking = asks_another ? &host : &rich;
	unsigned char *base, *none;

	if (!keep_much() || !host_create(&host, 0))
		return;
	base = vm_new(asking, 24 * MIB, MEM_RESERVE, PAGE_READWRITE);
	CHECK(child_limit(RLIMIT_DATA, status_of("VmData:") + MIB));
	CHECK_HR(vm_commit(asking, base, 24 * MIB, PAGE_READWRITE), S_OK);
	CHECK_SIZE(host_usage(&rich).cbRetained, 0);
	CHECK_SIZE(host_usage(asking).cFailedOs, 0);
	memset(base, 1, 24 * MIB);
	/* Now there is nothing left to give back. */
	none = vm_new(asking, 256 * MIB, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(asking, none, 256 * MIB, PAGE_READWRITE), E_OUTOFMEMORY);
	CHECK_SIZE(host_usage(asking).cFailedOs, 1);
}

static void want_addresses(void)
{
	struct host host, *asking = asks_another ? &host : &rich;
	void *base;

	if (!keep_much() || !host_create(&host, 0))
		return;
	CHECK(child_limit(RLIMIT_AS, status_of("VmSize:") + MIB));
	/* The addresses that the memory came from go with it. */
	CHECK_HR(vm_alloc(asking, NULL, 1536 * MIB, MEM_RESERVE, PAGE_READWRITE, &base),
		 S_OK);
	CHECK_SIZE(host_usage(&rich).cbRetained, 0);
	CHECK_HR(vm_alloc(asking, NULL, (size_t)1 << 40, MEM_RESERVE, PAGE_READWRITE,
			  &base),
		 E_OUTOFMEMORY);
}

static void want_at_once(void)
{
	void *base;

	if (!keep_much())
		return;
	CHECK(child_limit(RLIMIT_DATA, status_of("VmData:") + MIB));
	CHECK_HR(vm_alloc(&rich, NULL, 24 * MIB, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
			  &base),
		 S_OK);
	CHECK_SIZE(host_usage(&rich).cbRetained, 0);
}

static void it_goes_before_memory_is_refused(void)
{
	asks_another = false;
	in_child(want_data);
	in_child(want_at_once);
}

static void it_goes_before_addresses_are_refused(void)
{
	asks_another = false;
	in_child(want_addresses);
}

static void it_goes_before_another_host_is_refused(void)
{
	asks_another = true;
	in_child(want_data);
	in_child(want_addresses);
}

/* Before the runtime hears of it: it is to have the first of what that brings. */
static void look_at_what_is_kept(struct callback *self, EMemoryAvailable available)
{
	const struct host *host = self->state;

	CHECK_SIZE(host_usage(host).cbRetained,
		   available == eMemoryAvailableLow ? 0 : MIB / 2);
}

static void it_goes_when_memory_is_low(void)
{
	static const EMemoryAvailable values[] = { eMemoryAvailableHigh,
						   eMemoryAvailableNeutral,
						   eMemoryAvailableLow };
	struct callback callback = callback_new();
	struct host host;

	if (!retaining(&host, MIB))
		return;
	callback.then = look_at_what_is_kept;
	callback.state = &host;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(host.manager,
								       &callback.iface),
		 S_OK);
	for (size_t i = 0; i < ROWS(values); i++) {
		unsigned char *base = vm_new(&host, MIB / 2, MEM_COMMIT, PAGE_READWRITE);

		memset(base, 0x5A, MIB / 2);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_HR(IHostMemoryControl_NotifyMemory(host.control, values[i]), S_OK);
		CHECK_SIZE(callback.calls, i + 1);
		if (values[i] == eMemoryAvailableLow)
			CHECK(!can_read(base));
	}
	callback.then = NULL; /* a Neutral is owed */
	host_destroy(&host);
}

int main(void)
{
	access_install();
	TAP_RUN(without_it_released_memory_faults_at_once);
	TAP_RUN(where_nothing_can_be_kept_it_is_as_if_nothing_was_wanted);
	TAP_RUN(as_much_is_kept_as_was_said);
	TAP_RUN(the_oldest_goes_first);
	TAP_RUN(the_last_release_gives_it_back);
	TAP_RUN(what_the_last_release_releases_is_not_kept);
	TAP_RUN(each_host_keeps_its_own);
	TAP_RUN(it_goes_when_memory_is_low);
	TAP_RUN(it_goes_before_memory_is_refused);
	TAP_RUN(it_goes_before_addresses_are_refused);
	TAP_RUN(it_goes_before_another_host_is_refused);
	return tap_done();
}
