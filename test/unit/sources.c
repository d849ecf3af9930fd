/*
 * What the system tells without being asked, of files that no kernel has written, and, where
 * it has them, of the kernel's own.
 */
#include "hostmem/os/sources.h"
#include "groups.h"

#include "abi/hresult.h"

#include <poll.h>
#include <sys/eventfd.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define NOT_SUPPORTED HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
#define TOO_MANY_FILES HOSTMEM_HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES)

static const struct {
	int error;
	HRESULT result;
} refusals[] = {
	{ EACCES, E_ACCESSDENIED },    { EPERM, E_ACCESSDENIED },
	{ EROFS, E_ACCESSDENIED },     { ENOMEM, E_OUTOFMEMORY },
	{ EMFILE, TOO_MANY_FILES },    { ENFILE, TOO_MANY_FILES },
	{ ENOENT, NOT_SUPPORTED },     { EINVAL, NOT_SUPPORTED },
	{ EOPNOTSUPP, NOT_SUPPORTED }, { ENODEV, NOT_SUPPORTED },
	{ EBUSY, NOT_SUPPORTED },      { ELOOP, NOT_SUPPORTED },
	{ EIO, NOT_SUPPORTED },        { 4711, NOT_SUPPORTED },
};

static void begin(void)
{
	groups_begin();
	group_set("/g/memory.usage_in_bytes", "4096\n");
	group_set("/g/cgroup.event_control", "");
	group_set("/g/memory.events", "low 0\n");
	group_set("/proc/pressure/memory", "some avg10=0.00\n");
}

static void end(void)
{
	CHECK_INT(errno, GROUPS_ERRNO);
	groups_end();
}

/* Each open of each source is refused in each way. */
static HRESULT open_usage(int *file)
{
	HRESULT hr = hm_source_open_usage(file);

	if (SUCCEEDED(hr)) {
		hr = hm_source_add_usage(*file, "/g", 1234567);
		hm_source_close(*file);
		*file = -1;
	}
	return hr;
}

static HRESULT open_events(int *file)
{
	return hm_source_open_events("/g", file);
}

static HRESULT open_some(int *file)
{
	return hm_source_open_stalls(false, file);
}

static HRESULT open_all(int *file)
{
	return hm_source_open_stalls(true, file);
}

static const struct {
	HRESULT (*open)(int *file);
	const char *path; /* NULL: the event file */
	bool written;
} ways[] = {
	{ open_usage, NULL, false },
	{ open_usage, "/g/memory.usage_in_bytes", false },
	{ open_usage, "/g/cgroup.event_control", false },
	{ open_usage, "/g/cgroup.event_control", true },
	{ open_events, "/g/memory.events", false },
	{ open_some, "/proc/pressure/memory", false },
	{ open_some, "/proc/pressure/memory", true },
	{ open_all, "/proc/pressure/memory", false },
	{ open_all, "/proc/pressure/memory", true },
};

static void refuse(size_t way, int error)
{
	if (ways[way].path == NULL)
		groups_made.event_error = error;
	else if (ways[way].written)
		group_file(ways[way].path)->write_error = error;
	else
		group_file(ways[way].path)->open_error = error;
}

static void a_refusal_says_why_and_leaves_nothing_open(void)
{
	for (size_t way = 0; way < ROWS(ways); way++) {
		for (size_t i = 0; i < ROWS(refusals); i++) {
			int file = 4711;

			tap_row("way %zu, %s", way, strerror(refusals[i].error));
			begin();
			refuse(way, refusals[i].error);
			CHECK_HR(ways[way].open(&file), refusals[i].result);
			CHECK_INT(file, -1);
			end();
		}
	}
}

static void without_a_refusal_they_are_opened(void)
{
	for (size_t way = 0; way < ROWS(ways); way++) {
		int file = 4711;

		tap_row("way %zu", way);
		begin();
		CHECK_HR(ways[way].open(&file), S_OK);
		CHECK(ways[way].open == open_usage || file >= 0);
		hm_source_close(file);
		end();
	}
}

static void a_threshold_is_written_as_the_kernel_reads_it(void)
{
	static const uint64_t thresholds[] = { 0, 4096, UINT64_C(1) << 40, UINT64_MAX };

	for (size_t i = 0; i < ROWS(thresholds); i++) {
		char wanted[64];
		int file, event = 0, usage = 0;
		unsigned long long bytes = 1;

		tap_row("row %zu", i);
		begin();
		CHECK_HR(hm_source_open_usage(&file), S_OK);
		CHECK_INT(file, groups_made.event);
		CHECK_HR(hm_source_add_usage(file, "/g", thresholds[i]), S_OK);
		CHECK_U32(groups_made.written, 1);
		CHECK_INT(sscanf(groups_made.writes[0].text, "%d %d %llu", &event, &usage,
				 &bytes),
			  3);
		CHECK_INT(event, file);
		CHECK(usage >= 0 && usage != event);
		CHECK_SIZE(bytes, thresholds[i]);
		(void)snprintf(wanted, sizeof(wanted), "%d %d %llu", event, usage, bytes);
		CHECK_U32(groups_written("/g/cgroup.event_control", wanted), 1);
		hm_source_close(file);
		end();
	}
}

/* ---- Stalls ---- */

static void in_a_group(void)
{
	group_set("/proc/self/cgroup", "0::/c\n");
	group_set("/proc/self/mountinfo", "3 1 0:3 / /g rw - cgroup2 c rw\n");
	group_set("/g/c/memory.pressure", "some avg10=0.00\n");
}

static void stalls_are_those_of_the_own_group_if_it_tells(void)
{
	int some, all;

	begin();
	in_a_group();
	CHECK_HR(hm_source_open_stalls(false, &some), S_OK);
	CHECK_HR(hm_source_open_stalls(true, &all), S_OK);
	CHECK_U32(groups_made.written, 2);
	CHECK_U32(groups_written("/g/c/memory.pressure", "some 100000 2000000"), 1);
	CHECK_U32(groups_written("/g/c/memory.pressure", "full 100000 2000000"), 1);
	hm_source_close(some);
	hm_source_close(all);
	end();
}

static void else_they_are_those_of_the_machine(void)
{
	static const struct {
		const char *text; /* of the group's file */
		int open_error, write_error;
	} rows[] = {
		{ NULL, 0, 0 },
		{ "", EACCES, 0 },
		{ "", 0, EOPNOTSUPP },
		{ "", 0, EINVAL },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct group_file *file;
		int opened;

		tap_row("row %zu", i);
		begin();
		in_a_group();
		file = group_set("/g/c/memory.pressure", rows[i].text);
		file->open_error = rows[i].open_error;
		file->write_error = rows[i].write_error;
		CHECK_HR(hm_source_open_stalls(true, &opened), S_OK);
		CHECK_U32(groups_written("/proc/pressure/memory", "full 100000 2000000"),
			  1);
		hm_source_close(opened);
		/* What the machine says is what is told. */
		group_file("/proc/pressure/memory")->open_error = EPERM;
		CHECK_HR(hm_source_open_stalls(true, &opened), E_ACCESSDENIED);
		end();
	}
}

static void a_path_that_is_too_long_is_none(void)
{
	static char path[2000];
	int file;

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	begin();
	CHECK_HR(hm_source_open_events(path, &file), NOT_SUPPORTED);
	CHECK_INT(file, -1);
	CHECK_HR(hm_source_add_usage(0, path, 1), NOT_SUPPORTED);
	CHECK_U32(groups_made.opened, 0);
	end();
}

/* ---- Taking ---- */

static void an_event_is_taken_once(void)
{
	uint64_t count = 3;
	int file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	errno = GROUPS_ERRNO;
	/* Nothing to take is no failure. */
	CHECK(hm_source_take(file));
	CHECK(write(file, &count, sizeof(count)) > 0);
	CHECK(hm_source_take(file));
	CHECK_INT(errno, GROUPS_ERRNO);
	CHECK_INT(read(file, &count, sizeof(count)), -1);
	CHECK_INT(errno, EAGAIN);
	(void)close(file);
}

static void a_file_of_the_kernel_is_read_from_its_beginning(void)
{
	int file;

	begin();
	CHECK_HR(hm_source_open_events("/g", &file), S_OK);
	for (unsigned i = 0; i < 100; i++)
		CHECK(hm_source_take(file));
	hm_source_close(file);
	end();
}

static void a_file_that_fails_is_dead(void)
{
	static const struct {
		int error;
		bool alive;
	} rows[] = { { ENODEV, false }, { EIO, false },        { EBADF, false },
		     { EAGAIN, true },  { EOPNOTSUPP, false }, { EINTR, true } };
	int file;

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", strerror(rows[i].error));
		begin();
		CHECK_HR(hm_source_open_events("/g", &file), S_OK);
		group_file("/g/memory.events")->read_error = rows[i].error;
		CHECK(hm_source_take(file) == rows[i].alive);
		hm_source_close(file);
		end();
	}
	begin();
	tap_row("at its end");
	group_set("/g/memory.events", "");
	CHECK_HR(hm_source_open_events("/g", &file), S_OK);
	CHECK(!hm_source_take(file));
	CHECK(!hm_source_take(-1));
	hm_source_close(file);
	hm_source_close(-1);
	end();
}

/* ---- The kernel's own ---- */

static void the_kernel_takes_what_we_ask_of_it(void)
{
	struct pollfd polled = { .events = POLLPRI };
	HRESULT hr;
	int file;

	errno = GROUPS_ERRNO;
	hr = hm_source_open_stalls(false, &file);
	CHECK_INT(errno, GROUPS_ERRNO);
	if (FAILED(hr)) {
		CHECK_INT(file, -1);
		tap_skip("this system does not tell of stalls: 0x%08x", (unsigned)hr);
		return;
	}
	polled.fd = file;
	CHECK(poll(&polled, 1, 0) >= 0);
	CHECK((polled.revents & POLLERR) == 0);
	CHECK(hm_source_take(file));
	/* It is for us alone. */
	CHECK_INT(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CHECK_INT(fcntl(file, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	hm_source_close(file);
	CHECK_INT(fcntl(file, F_GETFD), -1);
}

int main(void)
{
	TAP_RUN(a_refusal_says_why_and_leaves_nothing_open);
	TAP_RUN(without_a_refusal_they_are_opened);
	TAP_RUN(a_threshold_is_written_as_the_kernel_reads_it);
	TAP_RUN(stalls_are_those_of_the_own_group_if_it_tells);
	TAP_RUN(else_they_are_those_of_the_machine);
	TAP_RUN(a_path_that_is_too_long_is_none);
	TAP_RUN(an_event_is_taken_once);
	TAP_RUN(a_file_of_the_kernel_is_read_from_its_beginning);
	TAP_RUN(a_file_that_fails_is_dead);
	TAP_RUN(the_kernel_takes_what_we_ask_of_it);
	return tap_done();
}
