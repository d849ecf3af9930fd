/*
 * Protections: which there are, how they are kept, what the system is asked for.
 */
#include "hostmem/os/pages.h"
#include "hostmem/pagestates.h"
#include "hostmem/protection.h"
#include "test/tap.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define TARGETS PAGE_TARGETS_INVALID

static const DWORD bases[] = { PAGE_NOACCESS, PAGE_READONLY,     PAGE_READWRITE,
			       PAGE_EXECUTE,  PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE };

static bool is_base(DWORD protect)
{
	for (size_t i = 0; i < ROWS(bases); i++) {
		if (bases[i] == protect)
			return true;
	}
	return false;
}

static bool executes(DWORD protect)
{
	return (protect & (PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE)) !=
	       0;
}

/* The rules once more, in other words. */
static bool valid(DWORD protect)
{
	DWORD modifiers = protect & (PAGE_GUARD | PAGE_NOCACHE | PAGE_WRITECOMBINE);

	if (!is_base(protect & 0xFF) || (protect & ~(0x7FFU | TARGETS)))
		return false;
	if (modifiers & (modifiers - 1))
		return false;
	if (modifiers != 0 && (protect & PAGE_NOACCESS))
		return false;
	return !(protect & TARGETS) || executes(protect);
}

static void exactly_these_protections_are_valid(void)
{
	for (DWORD low = 0; low < 0x1000; low++) {
		tap_row("0x%x", low);
		CHECK_INT(hm_protection_valid(low), valid(low));
		tap_row("0x%x with the targets bit", low);
		CHECK_INT(hm_protection_valid(low | TARGETS), valid(low | TARGETS));
	}
	for (unsigned bit = 12; bit < 32; bit++) {
		tap_row("bit %u", bit);
		CHECK_INT(hm_protection_valid(PAGE_READWRITE | 1U << bit), false);
		CHECK_INT(hm_protection_valid(PAGE_EXECUTE | 1U << bit), bit == 30);
	}
}

static void nearby_words_are_told_apart(void)
{
	static const struct {
		DWORD protect;
		bool want;
	} rows[] = {
		{ 0, false },
		{ PAGE_READONLY | PAGE_READWRITE, false },
		{ PAGE_WRITECOPY, false },
		{ PAGE_EXECUTE_WRITECOPY, false },
		{ PAGE_GUARD, false },
		{ PAGE_NOACCESS | PAGE_GUARD, false },
		{ PAGE_NOACCESS | PAGE_NOCACHE, false },
		{ PAGE_NOACCESS | PAGE_WRITECOMBINE, false },
		{ PAGE_READWRITE | PAGE_GUARD, true },
		{ PAGE_READWRITE | PAGE_GUARD | PAGE_NOCACHE, false },
		{ PAGE_READWRITE | PAGE_NOCACHE | PAGE_WRITECOMBINE, false },
		{ PAGE_READWRITE | TARGETS, false },
		{ PAGE_EXECUTE_READ | TARGETS, true },
		{ PAGE_EXECUTE_READ | PAGE_GUARD | TARGETS, true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%x", rows[i].protect);
		CHECK_INT(hm_protection_valid(rows[i].protect), rows[i].want);
	}
}

static void a_code_is_four_bits_and_leads_back(void)
{
	unsigned seen = 1U << HM_STATE_RESERVED;

	for (size_t i = 0; i < ROWS(bases); i++) {
		for (unsigned guard = bases[i] == PAGE_NOACCESS; guard < 2; guard++) {
			/* Without and with the guard, which NOACCESS cannot have. */
			DWORD protect = bases[i] |
					(guard != 0 && bases[i] != PAGE_NOACCESS
						 ? PAGE_GUARD
						 : 0U);
			unsigned code = hm_code_from_protection(protect);

			tap_row("0x%x", protect);
			CHECK(code < 16);
			CHECK((seen >> code & 1) == 0);
			seen |= 1U << code;
			CHECK_INT((code & HM_STATE_GUARD) != 0,
				  (protect & PAGE_GUARD) != 0);
			CHECK_U32(hm_protection_from_code(code), protect);
		}
	}
}

static void modifiers_of_the_reservation_are_no_part_of_a_code(void)
{
	static const DWORD modifiers[] = { PAGE_NOCACHE, PAGE_WRITECOMBINE, TARGETS };

	for (size_t i = 0; i < ROWS(modifiers); i++) {
		DWORD protect = PAGE_EXECUTE_READ | modifiers[i];

		tap_row("0x%x", protect);
		CHECK_U32(hm_code_from_protection(protect),
			  hm_code_from_protection(PAGE_EXECUTE_READ));
	}
}

static void the_system_is_asked_for_what_the_protection_says(void)
{
	static const struct {
		DWORD protect;
		unsigned access;
	} rows[] = {
		{ PAGE_NOACCESS, HM_ACCESS_NONE },
		{ PAGE_READONLY, HM_ACCESS_READ },
		{ PAGE_READWRITE, HM_ACCESS_READ | HM_ACCESS_WRITE },
		{ PAGE_EXECUTE, HM_ACCESS_EXECUTE },
		{ PAGE_EXECUTE_READ, HM_ACCESS_READ | HM_ACCESS_EXECUTE },
		{ PAGE_EXECUTE_READWRITE,
		  HM_ACCESS_READ | HM_ACCESS_WRITE | HM_ACCESS_EXECUTE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned code = hm_code_from_protection(rows[i].protect);

		tap_row("0x%x", rows[i].protect);
		CHECK_U32(hm_access_from_code(code), rows[i].access);
		CHECK_U32(hm_access_from_code(code | HM_STATE_GUARD), HM_ACCESS_NONE);
		CHECK_U32(hm_protection_from_access(rows[i].access), rows[i].protect);
	}
	tap_row("write only, as a file may be mapped");
	CHECK_U32(hm_protection_from_access(HM_ACCESS_WRITE), PAGE_READWRITE);
	CHECK_U32(hm_protection_from_access(HM_ACCESS_WRITE | HM_ACCESS_EXECUTE),
		  PAGE_EXECUTE_READWRITE);
}

static void what_is_kept_and_what_sticks(void)
{
	static const struct {
		DWORD protect, kept, sticky;
		bool writes_and_executes;
	} rows[] = {
		{ PAGE_READWRITE, PAGE_READWRITE, 0, false },
		{ PAGE_EXECUTE_READ | TARGETS, PAGE_EXECUTE_READ, 0, false },
		{ PAGE_READWRITE | PAGE_NOCACHE, PAGE_READWRITE | PAGE_NOCACHE,
		  PAGE_NOCACHE, false },
		{ PAGE_READONLY | PAGE_WRITECOMBINE, PAGE_READONLY | PAGE_WRITECOMBINE,
		  PAGE_WRITECOMBINE, false },
		{ PAGE_READWRITE | PAGE_GUARD, PAGE_READWRITE | PAGE_GUARD, 0, false },
		{ PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_READWRITE, 0, true },
		{ PAGE_EXECUTE_READWRITE | PAGE_GUARD | TARGETS,
		  PAGE_EXECUTE_READWRITE | PAGE_GUARD, 0, true },
		{ PAGE_EXECUTE, PAGE_EXECUTE, 0, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%x", rows[i].protect);
		CHECK_U32(hm_protection_kept(rows[i].protect), rows[i].kept);
		CHECK_U32(hm_protection_sticky(rows[i].protect), rows[i].sticky);
		CHECK_INT(hm_protection_writes_and_executes(rows[i].protect),
			  rows[i].writes_and_executes);
	}
}

int main(void)
{
	TAP_RUN(exactly_these_protections_are_valid);
	TAP_RUN(nearby_words_are_told_apart);
	TAP_RUN(a_code_is_four_bits_and_leads_back);
	TAP_RUN(modifiers_of_the_reservation_are_no_part_of_a_code);
	TAP_RUN(the_system_is_asked_for_what_the_protection_says);
	TAP_RUN(what_is_kept_and_what_sticks);
	return tap_done();
}
