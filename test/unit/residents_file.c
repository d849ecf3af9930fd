/*
 * The open list of residents: whose file it is.  Its number belongs to a program that may
 * close it and open another file, and a fork child inherits its parent's list.
 */
#include "hostmem/calls.h"
#include "hostmem/os/residents.h"
#include "stubborn.h"

#include <fcntl.h>
#include <sys/stat.h>

#define PAGES ((size_t)32)

static unsigned char *memory;

/* Written pages must come out as zero. */
static void check_zeroing(void)
{
	memory = pages_of_ours(PAGES * PAGE, PROT_READ | PROT_WRITE);
	memset(memory, 0x5A, PAGES * PAGE);
	errno = ERRNO;
	CHECK(hm_residents_zero(memory, PAGES * PAGE));
	CHECK_INT(errno, ERRNO);
	CHECK(is_zero(memory, PAGES * PAGE));
	CHECK(munmap(memory, PAGES * PAGE) == 0);
}

/* Open files of the process that are its own list of residents; *last is one of them. */
static unsigned lists(int *last)
{
	char want[64], path[64], name[256];
	unsigned count = 0;

	snprintf(want, sizeof(want), "/proc/%d/pagemap", (int)getpid());
	for (int file = 0; file < 256; file++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
		length = readlink(path, name, sizeof(name) - 1);
		if (length <= 0)
			continue;
		name[length] = '\0';
		if (strcmp(name, want) == 0) {
			*last = file;
			count++;
		}
	}
	return count;
}

/* The number of the open list; negative, and the test is skipped, if there is none. */
static int number(void)
{
	int file = -1;

	check_zeroing();
	if (lists(&file) == 0)
		tap_skip("/proc/self/pagemap cannot be opened");
	return file;
}

static void it_is_opened_once_and_not_inherited_by_programs(void)
{
	int file = number(), again = -1;

	if (file < 0)
		return;
	check_zeroing();
	CHECK_U32(lists(&again), 1);
	CHECK_INT(again, file);
	CHECK((fcntl(file, F_GETFD) & FD_CLOEXEC) != 0);
}

static void a_list_that_was_closed_is_opened_again(void)
{
	int file = number(), again = -1;

	if (file < 0)
		return;
	CHECK(close(file) == 0);
	check_zeroing();
	CHECK_U32(lists(&again), 1);
}

static int child_pagemap(pid_t child)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)child);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A process in which nothing of our memory is, and its list of residents. */
static int foreign_list(pid_t *child)
{
	int ends[2];
	char byte = 0;
	int file;

	CHECK(pipe(ends) == 0);
	*child = fork();
	if (*child == 0) {
		(void)alarm(60);
		for (int other = 3; other < 256; other++) {
			if (other != ends[1])
				(void)close(other);
		}
		(void)!write(ends[1], &byte, 1);
		(void)pause();
		_exit(0);
	}
	CHECK(read(ends[0], &byte, 1) == 1);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
	file = child_pagemap(*child);
	return file;
}

/* Makes a number another file's. */
static void reuse(int file, int other)
{
	CHECK(other >= 0);
	CHECK_INT(dup2(other, file), file);
}

static void another_file_under_its_number_is_neither_asked_nor_closed(void)
{
	static const char *const files[] = { "/dev/null", "/dev/zero", "/proc/self/maps",
					     "/proc/self/mem" };
	int file = number();

	for (size_t i = 0; i < ROWS(files) && file >= 0; i++) {
		struct stat before, after;
		int other = open(files[i], O_RDONLY | O_CLOEXEC);

		tap_row("%s", files[i]);
		reuse(file, other);
		CHECK(fstat(file, &before) == 0);
		check_zeroing();
		CHECK(fstat(file, &after) == 0);
		CHECK(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
		CHECK(close(other) == 0 && close(file) == 0);
		hm_residents_after_fork();
		file = number();
	}
}

static void another_process_is_not_taken_for_ours(void)
{
	int file = number(), other;
	pid_t child;

	if (file < 0)
		return;
	other = foreign_list(&child);
	if (other >= 0) {
		reuse(file, other);
		check_zeroing();
		CHECK(close(other) == 0 && close(file) == 0);
	} else {
		tap_skip("another process's pagemap cannot be opened");
	}
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

/* The child writes where nothing is in the parent. */
static void zero_in_child(void)
{
	int list = -1;

	memset(memory, 0x5A, PAGES * PAGE);
	errno = ERRNO;
	CHECK(hm_residents_zero(memory, PAGES * PAGE));
	CHECK_INT(errno, ERRNO);
	CHECK(is_zero(memory, PAGES * PAGE));
	CHECK(lists(&list) <= 1);
	check_zeroing();
}

static void a_child_does_not_ask_about_its_parent(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	for (unsigned touched = 0; touched < 2; touched++) {
		check_zeroing();
		memory = pages_of_ours(PAGES * PAGE, PROT_READ | PROT_WRITE);
		if (touched)
			memset(memory, 0x77, PAGES * PAGE);
		in_child(zero_in_child);
		CHECK(is_zero(memory, PAGES * PAGE) == !touched);
		CHECK(munmap(memory, PAGES * PAGE) == 0);
	}
}

static int inherited;

static void look_at_inherited(void)
{
	CHECK(fcntl(inherited, F_GETFD) < 0);
}

static void the_parents_list_is_closed_in_a_child(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	inherited = number();
	if (inherited >= 0)
		in_child(look_at_inherited);
}

static void look_at_reused(void)
{
	CHECK(fcntl(inherited, F_GETFD) >= 0);
	check_zeroing();
	CHECK(fcntl(inherited, F_GETFD) >= 0);
}

static void a_child_does_not_close_what_is_the_programs(void)
{
	int other = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK_HR(hm_calls_prepare(), S_OK);
	inherited = number();
	if (inherited >= 0) {
		reuse(inherited, other);
		in_child(look_at_reused);
		CHECK(close(inherited) == 0);
	}
	CHECK(close(other) == 0);
}

int main(void)
{
	TAP_RUN(it_is_opened_once_and_not_inherited_by_programs);
	TAP_RUN(a_list_that_was_closed_is_opened_again);
	TAP_RUN(another_file_under_its_number_is_neither_asked_nor_closed);
	TAP_RUN(another_process_is_not_taken_for_ours);
	TAP_RUN(a_child_does_not_ask_about_its_parent);
	TAP_RUN(the_parents_list_is_closed_in_a_child);
	TAP_RUN(a_child_does_not_close_what_is_the_programs);
	return tap_done();
}
