/*
 * HostMemCreate: the record of settings, its size, what is refused.  And the two
 * functions that only tell something.
 */
#include "com_rules.h"

/* Makes a host with these settings and throws it away. */
static HRESULT create(const HostMemConfig *config)
{
	void *object = POISON;
	HRESULT hr = HostMemCreate(config, &IID_IHostMemoryManager, &object);

	CHECK(object != POISON);
	CHECK((object == NULL) == FAILED(hr));
	if (object != NULL)
		CHECK_U32(IUnknown_Release((IUnknown *)object), 0);
	return hr;
}

static void out_pointers_and_interfaces(void)
{
	HostMemConfig bad = HOSTMEM_CONFIG_INIT;
	void *object = POISON;

	bad.cbSize = 1;
	CHECK_HR(HostMemCreate(NULL, &IID_IHostControl, NULL), E_POINTER);
	CHECK_HR(HostMemCreate(&bad, &IID_IHostControl, NULL), E_POINTER);
	CHECK_HR(HostMemCreate(NULL, NULL, &object), E_POINTER);
	CHECK_POINTER(object, NULL);
	object = POISON;
	CHECK_HR(HostMemCreate(NULL, &IID_IHostMalloc, &object), E_NOINTERFACE);
	CHECK_POINTER(object, NULL);
	object = POISON;
	CHECK_HR(HostMemCreate(NULL, &IID_IClassFactory, &object), E_NOINTERFACE);
	CHECK_POINTER(object, NULL);
}

static void a_host_without_settings_has_the_default_ones(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	CHECK_HR(create(NULL), S_OK);
	CHECK_HR(create(&config), S_OK);
	config.budget = &budget;
	CHECK_HR(create(&config), S_OK);
}

static void flags_of_a_host(void)
{
	static const struct {
		uint32_t flags;
		HRESULT want;
	} rows[] = {
		{ 0, S_OK },
		{ HOSTMEM_MONITOR_OFF, S_OK },
		{ HOSTMEM_STRICT_EXECUTE, S_OK },
		{ HOSTMEM_NO_GUARD_PAGES, S_OK },
		{ HOSTMEM_PREFER_HUGE_PAGES, S_OK },
		{ HOSTMEM_DEBUG_HEAP, S_OK },
		{ HOSTMEM_MONITOR_OFF | HOSTMEM_STRICT_EXECUTE | HOSTMEM_NO_GUARD_PAGES |
			  HOSTMEM_PREFER_HUGE_PAGES,
		  S_OK },
		{ HOSTMEM_MONITOR_LOOP, E_INVALIDARG }, /* without a loop */
		{ HOSTMEM_MONITOR_LOOP | HOSTMEM_MONITOR_OFF, E_INVALIDARG },
	};
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("flags %u", rows[i].flags);
		config.dwFlags = rows[i].flags;
		CHECK_HR(create(&config), rows[i].want);
	}
	for (unsigned bit = 6; bit < 32; bit++) {
		tap_row("bit %u", bit);
		config.dwFlags = (uint32_t)1 << bit;
		CHECK_HR(create(&config), E_INVALIDARG);
		config.dwFlags |= HOSTMEM_MONITOR_OFF | HOSTMEM_DEBUG_HEAP;
		CHECK_HR(create(&config), E_INVALIDARG);
	}
}

/* What an older caller's record lacks counts as the default, whatever lies there. */
static void sizes_of_the_settings(void)
{
	static const struct {
		uint32_t size;
		HRESULT want;
	} rows[] = {
		{ 0, E_INVALIDARG },
		{ 4, E_INVALIDARG },
		{ 7, E_INVALIDARG },
		{ offsetof(HostMemConfig, budget), S_OK },
		{ offsetof(HostMemConfig, budget) + 1, E_INVALIDARG },
		{ offsetof(HostMemConfig, budget) + 4, E_INVALIDARG },
		{ sizeof(HostMemConfig), S_OK },
		{ sizeof(HostMemConfig) + 1, E_INVALIDARG },
		{ sizeof(HostMemConfig) + 8, E_INVALIDARG },
		{ UINT32_MAX, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemConfig config = HOSTMEM_CONFIG_INIT;

		tap_row("cbSize %u", rows[i].size);
		config.cbSize = rows[i].size;
		if (rows[i].size <= offsetof(HostMemConfig, budget)) {
			config.budget = (const HostMemBudget *)POISON;
			config.cbRetain = 1;
		}
		CHECK_HR(create(&config), rows[i].want);
	}
}

static void a_record_may_end_with_any_field(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.budget = &budget;
	config.cbSize = offsetof(HostMemConfig, cbRetain);
	config.cbRetain = 1;
	CHECK_HR(create(&config), S_OK);
	config.cbRetain = 0;
	config.cbSize = offsetof(HostMemConfig, msGateTimeout);
	CHECK_HR(create(&config), S_OK);
	config.cbSize = offsetof(HostMemConfig, msGateTimeout) +
			sizeof(config.msGateTimeout);
	CHECK_HR(create(&config), S_OK);
	config.cbSize = sizeof(config);
	config.msGateTimeout = UINT32_MAX;
	CHECK_HR(create(&config), S_OK);
}

static void any_amount_may_be_kept_for_reuse(void)
{
	static const size_t rows[] = { 0, 1, 0x1000, (size_t)1 << 40, SIZE_MAX };
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("cbRetain %zu", rows[i]);
		config.cbRetain = rows[i];
		CHECK_HR(create(&config), S_OK);
	}
}

static void a_malformed_budget_is_an_invalid_argument(void)
{
	static const struct {
		uint32_t size, flags;
		HRESULT want;
	} rows[] = {
		{ 0, 0, E_INVALIDARG },
		{ 4, 0, E_INVALIDARG },
		{ offsetof(HostMemBudget, cbLimit), 0, S_OK },
		{ offsetof(HostMemBudget, cbSoftLimit), 0, S_OK },
		{ offsetof(HostMemBudget, cbHeadroom), 0, S_OK },
		{ offsetof(HostMemBudget, cbLargest), 0, S_OK },
		{ offsetof(HostMemBudget, cbLimit) + 4, 0, E_INVALIDARG },
		{ sizeof(HostMemBudget) + 8, 0, E_INVALIDARG },
		{ sizeof(HostMemBudget), 4, E_INVALIDARG },
		{ sizeof(HostMemBudget), 0x80000000, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemBudget budget = HOSTMEM_BUDGET_INIT;
		HostMemConfig config = HOSTMEM_CONFIG_INIT;

		tap_row("cbSize %u, flags 0x%x", rows[i].size, rows[i].flags);
		budget.cbSize = rows[i].size;
		budget.dwFlags = rows[i].flags;
		config.budget = &budget;
		CHECK_HR(create(&config), rows[i].want);
	}
}

static void settings_are_copied(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	struct host host;
	void *base;

	config.budget = &budget;
	if (!host_create_with(&host, &config))
		return;
	memset(&budget, POISON_BYTE, sizeof(budget));
	memset(&config, POISON_BYTE, sizeof(config));
	base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_EXECUTE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	host_destroy(&host);
}

static void results_have_names(void)
{
	static const struct {
		HRESULT hr;
		const char *want;
	} rows[] = {
		{ S_OK, "S_OK" },
		{ S_FALSE, "S_FALSE" },
		{ E_OUTOFMEMORY, "E_OUTOFMEMORY" },
		{ E_INVALIDARG, "E_INVALIDARG" },
		{ HOST_E_TIMEOUT, "HOST_E_TIMEOUT" },
		{ HOST_E_INVALIDOPERATION, "HOST_E_INVALIDOPERATION" },
		{ (HRESULT)0x8007ABCD, "0x8007abcd" },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		CHECK_STR(HostMemResultName(rows[i].hr), rows[i].want);
	for (uint32_t hr = 0; hr < 0x10000; hr += 7)
		CHECK(HostMemResultName((HRESULT)(0x80070000U | hr)) != NULL);
	CHECK_STR(HostMemVersion(), HOSTMEM_VERSION);
}

int main(void)
{
	TAP_RUN(out_pointers_and_interfaces);
	TAP_RUN(a_host_without_settings_has_the_default_ones);
	TAP_RUN(flags_of_a_host);
	TAP_RUN(sizes_of_the_settings);
	TAP_RUN(a_record_may_end_with_any_field);
	TAP_RUN(any_amount_may_be_kept_for_reuse);
	TAP_RUN(a_malformed_budget_is_an_invalid_argument);
	TAP_RUN(settings_are_copied);
	TAP_RUN(results_have_names);
	return tap_done();
}
