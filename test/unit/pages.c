/*
 * The page source on a kernel that is an array: what it makes of every refusal to change
 * pages that it has.  How it reserves: see pages_reserve.c.
 */
#include "hostmem/os/pages.h"
#include "kernel.h"

static void access_becomes_the_protection_that_is_meant(void)
{
	static const struct {
		unsigned access;
		int protection;
	} rows[] = {
		{ HM_ACCESS_NONE, PROT_NONE },
		{ HM_ACCESS_READ, PROT_READ },
		{ HM_ACCESS_WRITE, PROT_READ | PROT_WRITE },
		{ HM_ACCESS_READ | HM_ACCESS_WRITE, PROT_READ | PROT_WRITE },
		{ HM_ACCESS_EXECUTE, PROT_READ | PROT_EXEC },
		{ HM_ACCESS_READ | HM_ACCESS_EXECUTE, PROT_READ | PROT_EXEC },
		{ HM_ACCESS_READ | HM_ACCESS_WRITE | HM_ACCESS_EXECUTE,
		  PROT_READ | PROT_WRITE | PROT_EXEC },
	};

	start();
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("access %u", rows[i].access);
		CHECK_HR(source->protect(source, at_page(0), PAGE, rows[i].access, NULL),
			 S_OK);
		CHECK_INT(kernel.protection, rows[i].protection);
		CHECK_HR(source->commit(source, at_page(0), PAGE, rows[i].access, NULL),
			 S_OK);
		CHECK_INT(kernel.protection, rows[i].protection);
		CHECK_HR(hm_pages_protect_foreign(at_page(0), PAGE, rows[i].access),
			 S_OK);
		CHECK_INT(kernel.protection, rows[i].protection);
	}
	end();
}

/* A history: pages 8 to 15 are committed and readable, the others reserved. */
static struct hm_page_run run_at(const struct hm_page_history *self, void *address)
{
	size_t page = ((uintptr_t)address - WINDOW) / PAGE;

	(void)self;
	if (page < 8)
		return (struct hm_page_run){ .size = (8 - page) * PAGE };
	if (page >= 16)
		return (struct hm_page_run){ .size = 1000 * PAGE };
	return (struct hm_page_run){ .size = (16 - page) * PAGE,
				     .committed = true,
				     .access = HM_ACCESS_READ };
}

static const struct hm_page_history history = { .run_at = run_at };

static void set_up_history(void)
{
	start();
	for (size_t i = 0; i < WINDOW_PAGES; i++) {
		bool committed = i >= 8 && i < 16;

		kernel.pages[i] = (struct page){ true, committed ? PROT_READ : PROT_NONE,
						 committed ? CONTENTS : 0 };
	}
}

static void check_history(void)
{
	for (size_t i = 0; i < 32; i++) {
		bool committed = i >= 8 && i < 16;

		CHECK_INT(kernel.pages[i].protection, committed ? PROT_READ : PROT_NONE);
		CHECK_INT(kernel.pages[i].contents, committed ? CONTENTS : 0);
		CHECK(kernel.pages[i].mapped);
	}
}

static void a_change_that_stops_half_way_is_put_back(void)
{
	static const struct {
		int error;
		HRESULT want;
	} rows[] = {
		{ ENOMEM, E_OUTOFMEMORY },  { EAGAIN, E_OUTOFMEMORY },
		{ EACCES, E_ACCESSDENIED }, { EPERM, E_ACCESSDENIED },
		{ EINVAL, E_FAIL },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t half = 0; half <= 20; half++) {
			tap_row("errno %d after %zu pages", rows[i].error, half);
			set_up_history();
			kernel.protect_error = rows[i].error;
			kernel.protect_refusals = 1;
			kernel.half_way = half;
			CHECK_HR(source->commit(source, at_page(4), 20 * PAGE,
						HM_ACCESS_READ | HM_ACCESS_WRITE,
						&history),
				 rows[i].want);
			check_history();
			end();
		}
	}
}

static void what_cannot_be_put_back_is_impossible(void)
{
	set_up_history();
	kernel.no_spare = true;
	kernel.protect_error = ENOMEM;
	kernel.protect_refusals = 2;
	kernel.half_way = 10;
	tap_row("the access of committed pages");
	CHECK_HR(source->protect(source, at_page(8), 8 * PAGE, HM_ACCESS_WRITE, &history),
		 E_FAIL);
	CHECK_U32(kernel.spares, 1);
	end();
	set_up_history();
	kernel.protect_error = ENOMEM;
	kernel.protect_refusals = UINT32_MAX;
	kernel.map_error = ENOMEM;
	kernel.half_way = 4;
	kernel.advise_error = EINVAL;
	tap_row("reserved pages that keep their contents");
	CHECK_HR(source->commit(source, at_page(0), 8 * PAGE, HM_ACCESS_WRITE, &history),
		 E_FAIL);
	end();
}

/* That is how a decommit may have left them. */
static void reserved_pages_that_stay_accessible_are_as_they_were(void)
{
	set_up_history();
	kernel.protect_error = ENOMEM;
	kernel.protect_refusals = UINT32_MAX;
	kernel.map_error = ENOMEM;
	kernel.half_way = 4;
	CHECK_HR(source->commit(source, at_page(0), 8 * PAGE, HM_ACCESS_WRITE, &history),
		 E_OUTOFMEMORY);
	end();
}

/* What gives back asks once more when the spare mappings have been let go; what takes
 * does not. */
static void the_spare_mappings_are_for_putting_back(void)
{
	set_up_history();
	kernel.protect_error = ENOMEM;
	kernel.protect_refusals = 2;
	kernel.half_way = 10;
	CHECK_HR(source->protect(source, at_page(8), 8 * PAGE, HM_ACCESS_WRITE, &history),
		 E_OUTOFMEMORY);
	CHECK_U32(kernel.spares, 1);
	CHECK_U32(kernel.protects, 3);
	check_history();
	tap_row("nothing is granted until they are there again");
	kernel.no_spare = true;
	CHECK_HR(source->commit(source, at_page(8), 8 * PAGE, HM_ACCESS_WRITE, &history),
		 E_OUTOFMEMORY);
	CHECK_U32(kernel.protects, 4);
	CHECK_INT(kernel.protection, PROT_READ);
	check_history();
	kernel.no_spare = false;
	CHECK_HR(source->commit(source, at_page(8), 8 * PAGE, HM_ACCESS_WRITE, &history),
		 S_OK);
	CHECK_INT(kernel.pages[8].protection, PROT_READ | PROT_WRITE);
	end();
}

static void decommitted_pages_are_reserved_whatever_the_system_has_room_for(void)
{
	static const struct {
		int map_error, protect_error, advise_error;
		HRESULT want;
		int protection;
		uint8_t contents;
	} rows[] = {
		{ 0, 0, 0, S_OK, PROT_NONE, 0 },
		{ ENOMEM, 0, 0, S_OK, PROT_NONE, 0 },
		{ ENOMEM, ENOMEM, 0, S_OK, PROT_READ, 0 },
		/* Contents that stay would be found again at the next commit. */
		{ ENOMEM, 0, EINVAL, E_FAIL, PROT_READ, CONTENTS },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		set_up_history();
		kernel.map_error = rows[i].map_error;
		kernel.protect_error = rows[i].protect_error;
		kernel.protect_refusals = rows[i].protect_error ? 1 : 0;
		kernel.advise_error = rows[i].advise_error;
		CHECK_HR(source->decommit(source, at_page(8), 8 * PAGE, NULL),
			 rows[i].want);
		CHECK_INT(kernel.pages[8].protection, rows[i].protection);
		CHECK_INT(kernel.pages[15].contents, rows[i].contents);
		CHECK(kernel.pages[8].mapped);
		end();
	}
}

static void what_is_written_to_reserved_pages_is_not_found_at_the_next_commit(void)
{
	set_up_history();
	kernel.pages[20].protection = PROT_READ | PROT_WRITE;
	kernel.map_error = ENOMEM;
	kernel.protect_error = ENOMEM;
	kernel.protect_refusals = 1;
	CHECK_HR(source->decommit(source, at_page(20), PAGE, &history), S_OK);
	CHECK_INT(kernel.pages[20].protection, PROT_READ | PROT_WRITE);
	kernel.pages[20].contents = CONTENTS;
	kernel.map_error = 0;
	kernel.protect_error = 0;
	CHECK_HR(source->commit(source, at_page(8), 16 * PAGE, HM_ACCESS_WRITE, &history),
		 S_OK);
	CHECK_INT(kernel.pages[20].contents, 0);
	CHECK_INT(kernel.pages[15].contents, CONTENTS);
	end();
}

static void a_range_is_released_or_kept_for_later(void)
{
	static const struct {
		int unmap_error;
		HRESULT want;
		bool mapped;
		uint8_t contents;
	} rows[] = {
		{ 0, S_OK, false, 0 },
		{ ENOMEM, S_FALSE, true, 0 },
		{ EINVAL, E_FAIL, true, CONTENTS },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("errno %d", rows[i].unmap_error);
		set_up_history();
		kernel.unmap_error = rows[i].unmap_error;
		CHECK_HR(source->release(source, at_page(8), 8 * PAGE, NULL),
			 rows[i].want);
		CHECK_INT(kernel.pages[8].mapped, rows[i].mapped);
		CHECK_INT(kernel.pages[8].contents, rows[i].contents);
		CHECK(kernel.pages[7].mapped && kernel.pages[16].mapped);
		end();
	}
}

static void discarding_is_advice(void)
{
	static const int errors[] = { 0, EINVAL, ENOMEM };

	for (size_t i = 0; i < ROWS(errors); i++) {
		set_up_history();
		kernel.advise_error = errors[i];
		source->discard(source, at_page(8), 8 * PAGE);
		CHECK_INT(kernel.advice, MADV_FREE);
		CHECK_INT(kernel.pages[8].protection, PROT_READ);
		end();
	}
}

static void foreign_memory_that_has_its_own_rules_is_not_for_us(void)
{
	static const struct {
		int error;
		HRESULT want;
	} rows[] = {
		{ ENOMEM, E_OUTOFMEMORY },
		{ EACCES, E_ACCESSDENIED },
		{ EINVAL, E_ACCESSDENIED },
		{ ENOTSUP, E_ACCESSDENIED },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("errno %d", rows[i].error);
		start();
		kernel.protect_error = rows[i].error;
		kernel.protect_refusals = 1;
		CHECK_HR(hm_pages_protect_foreign(at_page(0), PAGE, HM_ACCESS_READ),
			 rows[i].want);
		end();
	}
}

static void records_are_mapped_and_refusals_are_null(void)
{
	start();
	kernel.places[0] = WINDOW;
	CHECK_POINTER(hm_pages_map_metadata(2 * PAGE), at_page(0));
	CHECK_INT(kernel.protection, PROT_READ | PROT_WRITE);
	CHECK_SIZE(mapped_pages(), 2);
	hm_pages_unmap_metadata(at_page(0), 2 * PAGE);
	CHECK_SIZE(mapped_pages(), 0);
	kernel.map_error = ENOMEM;
	CHECK_POINTER(hm_pages_map_metadata(PAGE), NULL);
	kernel.unmap_error = ENOMEM;
	hm_pages_unmap_metadata(at_page(0), PAGE);
	end();
}

int main(void)
{
	TAP_RUN(access_becomes_the_protection_that_is_meant);
	TAP_RUN(a_change_that_stops_half_way_is_put_back);
	TAP_RUN(what_cannot_be_put_back_is_impossible);
	TAP_RUN(reserved_pages_that_stay_accessible_are_as_they_were);
	TAP_RUN(the_spare_mappings_are_for_putting_back);
	TAP_RUN(decommitted_pages_are_reserved_whatever_the_system_has_room_for);
	TAP_RUN(what_is_written_to_reserved_pages_is_not_found_at_the_next_commit);
	TAP_RUN(a_range_is_released_or_kept_for_later);
	TAP_RUN(discarding_is_advice);
	TAP_RUN(foreign_memory_that_has_its_own_rules_is_not_for_us);
	TAP_RUN(records_are_mapped_and_refusals_are_null);
	return tap_done();
}
