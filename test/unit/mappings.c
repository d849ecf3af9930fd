/*
 * The process's mappings: both ways of asking, and a file that others close.
 */
#include "hostmem/os/mappings.h"
#include "fake.h"
#include "hostmem/os/pages.h"
#include "hostmem/os/size.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_WRITE (HM_ACCESS_READ | HM_ACCESS_WRITE)

static struct hm_system_calls kept;
static _Atomic unsigned controls, reads, opens;

static int count_control(int file, unsigned long request, void *argument)
{
	atomic_fetch_add(&controls, 1);
	return kept.control(file, request, argument);
}

static long count_read(int file, void *buffer, size_t size)
{
	atomic_fetch_add(&reads, 1);
	return kept.read(file, buffer, size);
}

static int count_open(const char *path, int flags)
{
	atomic_fetch_add(&opens, 1);
	CHECK(flags & O_CLOEXEC);
	return kept.open(path, flags);
}

static void count_calls(void)
{
	controls = reads = opens = 0;
	kept = hm_system;
	hm_system.control = count_control;
	hm_system.read = count_read;
	hm_system.open = count_open;
}

static void check_this_page(void)
{
	struct hm_mapping out;
	int here = 0;
	uintptr_t address = (uintptr_t)&here;

	errno = 4711;
	CHECK_HR(hm_mapping_find(address, &out), S_OK);
	CHECK_INT(errno, 4711);
	CHECK(out.start <= address && address < out.end);
	CHECK_U32(out.access & READ_WRITE, READ_WRITE);
	CHECK_SIZE(out.inode, 0);
}

enum { AREA = 40 };

/* Mappings of all sorts between two that stay as they are. */
static uintptr_t map_all_sorts(void)
{
	int file = memfd_create("hostmem-test", MFD_CLOEXEC);
	char *area = mmap(NULL, AREA * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);

	if (!CHECK(file >= 0 && area != MAP_FAILED))
		exit(1);
	CHECK_INT(ftruncate(file, 4 * (off_t)PAGE), 0);
	for (size_t page = 1; page < AREA - 1; page++) {
		char *place = area + page * PAGE;
		int protection = (int)page & (PROT_READ | PROT_WRITE | PROT_EXEC);
		int shared = page % 5 == 0 ? MAP_SHARED : MAP_PRIVATE;

		if (page % 7 == 0)
			CHECK_INT(munmap(place, PAGE), 0);
		else if (page % 3 == 0)
			CHECK_POINTER(mmap(place, PAGE, protection, MAP_FIXED | shared,
					   file, (off_t)(page % 4 * PAGE)),
				      place);
		else
			CHECK_INT(mprotect(place, PAGE, protection), 0);
	}
	CHECK_INT(close(file), 0);
	return (uintptr_t)area;
}

static void the_list_is_opened_once_and_stays_open(void)
{
	count_calls();
	check_this_page();
	check_this_page();
	hm_system = kept;
	CHECK_U32(opens, 1);
}

/* The descriptor that the module has open now, by what it opened last. */
static int last_opened;

static int note_open(const char *path, int flags)
{
	last_opened = kept.open(path, flags);
	atomic_fetch_add(&opens, 1);
	return last_opened;
}

/* Makes the module open its list anew, through note_open; as a fork child would. */
static void reopen(void)
{
	hm_mappings_after_fork();
	opens = 0;
	kept = hm_system;
	hm_system.open = note_open;
	check_this_page();
	CHECK_U32(opens, 1);
}

static void a_descriptor_closed_behind_our_back_is_opened_again(void)
{
	reopen();
	CHECK_INT(close(last_opened), 0);
	check_this_page();
	CHECK_U32(opens, 2);
	hm_system = kept;
}

static void a_number_that_others_use_now_is_left_alone(void)
{
	struct stat before, after;
	int number, other;

	reopen();
	number = last_opened;
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK_INT(dup2(other, number), number);
	CHECK_INT(fstat(number, &before), 0);
	check_this_page();
	CHECK_U32(opens, 2);
	CHECK(last_opened != number);
	/* Theirs is still open, and still theirs. */
	CHECK_INT(fstat(number, &after), 0);
	CHECK_SIZE(after.st_ino, before.st_ino);
	hm_mappings_after_fork();
	CHECK_INT(fstat(number, &after), 0);
	hm_system = kept;
	CHECK_INT(close(number), 0);
	CHECK_INT(close(other), 0);
}

static void a_fork_child_reads_its_own_list(void)
{
	int status = -1;
	pid_t pid;

	CHECK_HR(hm_calls_prepare(), S_OK);
	check_this_page();
	pid = fork();
	if (pid == 0) {
		/* What the parent's list has not, as this is mapped in the child only. */
		uintptr_t own = map_all_sorts();
		struct hm_mapping out;

		CHECK_HR(hm_mapping_find(own + PAGE, &out), S_OK);
		CHECK_SIZE(out.start, own + PAGE);
		CHECK_SIZE(out.end, own + 2 * PAGE);
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	check_this_page();
}

static int refuse_open(const char *path, int flags)
{
	(void)path, (void)flags;
	errno = EMFILE;
	return -1;
}

static void without_a_descriptor_the_list_cannot_be_read(void)
{
	struct hm_mapping out;

	hm_mappings_after_fork();
	kept = hm_system;
	hm_system.open = refuse_open;
	memset(&out, 0x5A, sizeof(out));
	errno = 4711;
	CHECK_HR(hm_mapping_find(PAGE, &out), E_OUTOFMEMORY);
	CHECK_INT(errno, 4711);
	CHECK_SIZE(out.start + out.end + out.inode, 0);
	hm_system = kept;
	check_this_page();
}

/* ---- The two ways agree ---- */

static struct answer {
	uintptr_t address;
	HRESULT hr;
	struct hm_mapping mapping;
} answers[2 * AREA];

static void ask_everywhere(uintptr_t area)
{
	for (size_t i = 0; i < ROWS(answers); i++) {
		uintptr_t page = area + (1 + i / 2 % (AREA - 2)) * PAGE;

		answers[i].address = i % 2 == 0 ? page : page + PAGE - 1;
		answers[i].hr = hm_mapping_find(answers[i].address, &answers[i].mapping);
	}
}

static int no_such_request(int file, unsigned long request, void *argument)
{
	(void)file, (void)request, (void)argument;
	atomic_fetch_add(&controls, 1);
	errno = ENOTTY;
	return -1;
}

/* From here on this process asks by reading the text: comes after all that ask. */
static void the_text_gives_the_same_answers_as_the_query(void)
{
	struct hm_mapping out;
	uintptr_t area = map_all_sorts();

	ask_everywhere(area);
	count_calls();
	hm_system.control = no_such_request;
	for (size_t i = 0; i < ROWS(answers); i++) {
		const struct answer *want = &answers[i];

		tap_row("0x%zx", (size_t)want->address);
		CHECK_HR(hm_mapping_find(want->address, &out), want->hr);
		CHECK_SIZE(out.start, want->mapping.start);
		CHECK_SIZE(out.end, want->mapping.end);
		CHECK_U32(out.access, want->mapping.access);
		CHECK_INT(out.shared, want->mapping.shared);
		CHECK_SIZE(out.device, want->mapping.device);
		CHECK_SIZE(out.inode, want->mapping.inode);
	}
	hm_system = kept;
	/* A kernel that has no query is not asked again. */
	CHECK(controls <= 1);
	CHECK(reads >= ROWS(answers));
	CHECK_INT(munmap((void *)area, AREA * PAGE), 0);
}

/* A text that no kernel has written, in pieces of any size. */
static const char *text;
static size_t piece;

static long read_text(int file, void *buffer, size_t size)
{
	size_t left = strlen(text);

	(void)file;
	if (piece == 0) {
		errno = EIO;
		return -1;
	}
	size = hm_min(hm_min(size, left), piece);
	memcpy(buffer, text, size);
	text += size;
	return (long)size;
}

static void the_text_is_read_in_pieces_of_any_size(void)
{
	static const char list[] = "1000-2000 r--p 0 0:0 0 \n"
				   "no line at all\n"
				   "5000-7000 rw-s 0 8:2 9 /a/path\n"
				   "9000-a000 ---p 0 0:0 0";
	static const struct {
		uintptr_t address, start;
		HRESULT want;
	} rows[] = {
		{ 0, 0x1000, S_OK },
		{ 0x1fff, 0x1000, S_OK },
		{ 0x2000, 0x5000, S_OK },
		{ 0x6fff, 0x5000, S_OK },
		/* The last one is not a line yet. */
		{ 0x7000, 0, S_FALSE },
	};

	kept = hm_system;
	hm_system.read = read_text;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (piece = 0; piece < sizeof(list) + 1; piece++) {
			struct hm_mapping out;

			text = list;
			tap_row("0x%zx in pieces of %zu", (size_t)rows[i].address, piece);
			CHECK_HR(hm_mapping_find(rows[i].address, &out),
				 piece == 0 ? E_OUTOFMEMORY : rows[i].want);
			CHECK_SIZE(out.start, piece == 0 ? 0 : rows[i].start);
		}
	}
	hm_system = kept;
}

static void *ask_often(void *unused)
{
	for (unsigned i = 0; i < 200; i++)
		check_this_page();
	return unused;
}

static void two_threads_do_not_read_one_position(void)
{
	pthread_t other;

	CHECK_INT(pthread_create(&other, NULL, ask_often, NULL), 0);
	(void)ask_often(NULL);
	CHECK_INT(pthread_join(other, NULL), 0);
}

int main(void)
{
	TAP_RUN(the_list_is_opened_once_and_stays_open);
	TAP_RUN(a_descriptor_closed_behind_our_back_is_opened_again);
	TAP_RUN(a_number_that_others_use_now_is_left_alone);
	TAP_RUN(a_fork_child_reads_its_own_list);
	TAP_RUN(without_a_descriptor_the_list_cannot_be_read);
	TAP_RUN(the_text_gives_the_same_answers_as_the_query);
	TAP_RUN(the_text_is_read_in_pieces_of_any_size);
	TAP_RUN(two_threads_do_not_read_one_position);
	return tap_done();
}
