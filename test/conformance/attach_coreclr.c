/*
 * What may be refused to an attached CoreCLR: commits in its collected heap, and no others.
 */
#include <hostmem/attach.h>

#include "test/tap.h"

#include <errno.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)

/* Reservations, anywhere, as CoreCLR makes them. */
#define FOR_CODE ((size_t)0x7FFF0000)
#define FOR_OBJECTS (256 * MIB)
#define FOR_TABLES (2 * MIB)

/* 16 MiB, of which task-critical requests may have 8. */
static bool attach(void)
{
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IUnknown *host;
	bool good;

	budget.cbLimit = 16 * MIB;
	budget.cbHeadroom[eTaskCritical] = 8 * MIB;
	budget.cbHeadroom[eAppDomainCritical] = 8 * MIB;
	config.budget = &budget;
	how.dwFlags = HOSTMEM_ATTACH_STARTING;
	how.profile = "coreclr";
	good = CHECK_HR(HostMemCreate(&config, &IID_IUnknown, (void **)&host), S_OK) &&
	       CHECK_HR(HostMemAttach(host, &how), S_OK);
	IUnknown_Release(host);
	return good;
}

/* What comes of so many bytes committed in a new reservation: 0 or an errno. */
static int commit(size_t reserved, size_t size)
{
	void *memory = HostMemMmap(NULL, reserved, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int error = 0;

	if (!CHECK(memory != MAP_FAILED))
		return -1;
	if (HostMemMprotect(memory, size, PROT_READ | PROT_WRITE) != 0)
		error = errno;
	CHECK_INT(HostMemMunmap(memory, reserved), 0);
	return error;
}

static void nothing_but_the_limit_is_in_the_way_of_its_start(void)
{
	CHECK_INT(commit(FOR_OBJECTS, 12 * MIB), 0);
	CHECK_INT(commit(FOR_OBJECTS, 17 * MIB), ENOMEM);
}

static void then_its_objects_leave_room_for_the_others(void)
{
	HostMemAttachStarted();
	CHECK_INT(commit(FOR_OBJECTS, 4 * MIB), 0);
	CHECK_INT(commit(FOR_OBJECTS, 12 * MIB), ENOMEM);
	CHECK_INT(commit(FOR_TABLES, 2 * MIB), 0);
}

/* It takes that from anywhere where there is no room near its library. */
static void its_code_is_one_of_them(void)
{
	CHECK_INT(commit(FOR_CODE, 12 * MIB), 0);
	CHECK_INT(commit(FOR_CODE - 0x10000, 12 * MIB), ENOMEM);
}

int main(void)
{
	if (attach()) {
		TAP_RUN(nothing_but_the_limit_is_in_the_way_of_its_start);
		TAP_RUN(then_its_objects_leave_room_for_the_others);
		TAP_RUN(its_code_is_one_of_them);
	}
	return tap_done();
}
