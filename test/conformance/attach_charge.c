/*
 * The translated functions under a host that charges what is reserved: a page is a page.
 */
#include "attach.h"

static void a_small_mapping_is_charged_what_it_has(void)
{
	size_t before = host_usage(&attach_host).cbCharged;
	unsigned char *small = map_new(PAGE, RW);

	CHECK_SIZE(host_usage(&attach_host).cbCharged, before + PAGE);
	unmap_all(small, PAGE);
	CHECK_SIZE(host_usage(&attach_host).cbCharged, before);
}

int main(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	budget.dwFlags = HOSTMEM_CHARGE_RESERVE;
	config.budget = &budget;
	if (host_create_with(&attach_host, &config) &&
	    CHECK_HR(HostMemAttach((IUnknown *)attach_host.manager, NULL), S_OK))
		TAP_RUN(a_small_mapping_is_charged_what_it_has);
	return tap_done();
}
