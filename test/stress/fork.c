/*
 * Fork while other threads are in the middle of everything.
 *
 * The child has one thread and a host whose books are true: it can allocate, commit, ask,
 * free, subscribe, and throw the host away.  A child that waits for a thread which was
 * left behind is ended by its alarm, and that is a failure.  What becomes of arenas is
 * fork_arenas.c's.
 */
#include "test/stress/crowd.h"
#include "test/stress/forked.h"

#include "hostmem/metadata.h"
#include "hostmem/os/system.h"
#include "hostmem/regions.h"

#include <errno.h>
#include <stdatomic.h>

enum {
	HAMMERS = 4,
	COMMON_PAGES = 64,
	CHILD_SECONDS = FACES_ROUNDS(5, 60),
};

struct stage {
	struct faces faces;
	char *common;
	uint64_t cookie;
	size_t in_use;
	_Atomic uint64_t events;
	_Atomic bool over;
};

/* For the test of forks in callbacks: what is forked at, and who is who. */
static struct {
	HostMemEventType type;
	bool armed;
	pid_t child; /* 0 in the child */
	size_t nested;
} forking;
static _Thread_local bool forks; /* the thread that does */

static BOOL HOSTMEM_CALL count(void *state, const HostMemEvent *event)
{
	struct stage *stage = state;

	(void)event;
	atomic_fetch_add(&stage->events, 1);
	return TRUE;
}

static bool set_stage(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	stage->in_use = hm_metadata_in_use();
	if (!CHECK_HR(faces_create(&stage->faces), S_OK) ||
	    !CHECK_HR(IHostMemoryControl_Subscribe(stage->faces.control, 7, count, stage,
						   &stage->cookie),
		      S_OK))
		return false;
	stage->common = faces_reserve(&stage->faces, COMMON_PAGES * PAGE);
	return stage->common != NULL;
}

static void clear_stage(struct stage *stage)
{
	faces_check_account(&stage->faces);
	CHECK_HR(faces_free(&stage->faces, stage->common), S_OK);
	faces_check_empty(&stage->faces);
	CHECK_SIZE(faces_release(&stage->faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), stage->in_use);
}

static void hammer(struct crowd_member *self, struct stage *stage)
{
	char *common = stage->common + crowd_draw(self, COMMON_PAGES) * PAGE;
	size_t size = (1 + crowd_draw(self, 40)) * PAGE;
	MEMORY_BASIC_INFORMATION run;
	uint64_t cookie;
	void *out;

	CHECK_HR(faces_alloc(&stage->faces, NULL, size, MEM_RESERVE | MEM_COMMIT,
			     PAGE_READWRITE, &out),
		 S_OK);
	*(char *)out = 1;
	CHECK_HR(faces_commit(&stage->faces, common, PAGE), S_OK);
	CHECK_HR(faces_query(&stage->faces, out, &run), S_OK);
	CHECK_SIZE(run.RegionSize, size);
	CHECK_HR(faces_protect(&stage->faces, out, PAGE, PAGE_READONLY), S_OK);
	CHECK_HR(faces_decommit(&stage->faces, common, PAGE), S_OK);
	switch (self->number) {
	case 0: /* has the file of the mappings, most of the time */
		CHECK_HR(faces_query(&stage->faces, stage, &run), S_OK);
		break;
	case 1: /* has the list of subscribers */
		CHECK_HR(IHostMemoryControl_Subscribe(stage->faces.control, 7, count,
						      stage, &cookie),
			 S_OK);
		CHECK_HR(IHostMemoryControl_Unsubscribe(stage->faces.control, cookie),
			 S_OK);
		break;
	case 2: /* has the acquired mappings */
		CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(
				 stage->faces.manager, stage, PAGE),
			 S_OK);
		CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(
				 stage->faces.manager, stage),
			 S_OK);
		break;
	default:
		CHECK_HR(IHostMemoryPages_ReleaseRange(stage->faces.pages, out, PAGE),
			 S_OK);
		if (size == PAGE)
			return;
		out = (char *)out + PAGE;
	}
	CHECK_HR(faces_free(&stage->faces, out), S_OK);
}

static void *hammer_until_over(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	while (!atomic_load(&stage->over))
		hammer(self, stage);
	return NULL;
}

static void check_system_truth(struct stage *stage)
{
	MEMORY_BASIC_INFORMATION run;
	void *own = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!CHECK(own != MAP_FAILED))
		return;
	(void)munmap((char *)own + PAGE, PAGE);
	CHECK_HR(faces_query(&stage->faces, own, &run), S_OK);
	CHECK_U32(run.State, MEM_COMMIT);
	CHECK_U32(run.Protect, PAGE_READONLY);
	CHECK_HR(faces_query(&stage->faces, (char *)own + PAGE, &run), S_OK);
	CHECK_U32(run.State, MEM_FREE);
	CHECK_SIZE(run.RegionSize, PAGE);
	(void)munmap((char *)own + 2 * PAGE, PAGE);
	(void)munmap(own, PAGE);
}

static void check_requests(struct stage *stage)
{
	void *out = NULL;
	MEMORY_BASIC_INFORMATION run;
	uint64_t cookie, before;

	CHECK_HR(IHostMemoryControl_Subscribe(stage->faces.control, 7, count, stage,
					      &cookie),
		 S_OK);
	before = atomic_load(&stage->events);
	CHECK_HR(faces_alloc(&stage->faces, NULL, 20 * PAGE, MEM_RESERVE, PAGE_READWRITE,
			     &out),
		 S_OK);
	CHECK_HR(faces_commit(&stage->faces, out, 10 * PAGE), S_OK);
	/* Twice, and twice more for each subscriber that a lost thread has left. */
	CHECK(atomic_load(&stage->events) - before >= 2);
	((char *)out)[9 * PAGE] = 1;
	CHECK_HR(faces_query(&stage->faces, out, &run), S_OK);
	CHECK_SIZE(run.RegionSize, 10 * PAGE);
	CHECK_HR(faces_commit(&stage->faces, stage->common, COMMON_PAGES * PAGE), S_OK);
	faces_check_account(&stage->faces);
	CHECK_HR(faces_free(&stage->faces, out), S_OK);
	/* Nobody waits for callbacks whose threads were left behind. */
	CHECK_HR(IHostMemoryControl_Unsubscribe(stage->faces.control, cookie), S_OK);
	CHECK_HR(IHostMemoryControl_Unsubscribe(stage->faces.control, stage->cookie),
		 S_OK);
}

static _Noreturn void be_the_child(struct stage *stage)
{
	faces_check_account(&stage->faces);
	CHECK_STR(hm_regions_check(), NULL);
	check_requests(stage);
	check_system_truth(stage);
	faces_check_account(&stage->faces);
	CHECK_SIZE(faces_release(&stage->faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), stage->in_use);
	CHECK_STR(hm_regions_check(), NULL);
	_exit(tap_failed());
}

static void a_child_of_a_busy_process_has_a_host_that_works(void)
{
	struct stage stage;
	struct crowd crowd;

	if (!set_stage(&stage) ||
	    !crowd_start(&crowd, HAMMERS, hammer_until_over, &stage))
		return;
	for (int i = 0; i < FACES_ROUNDS(200, 50); i++) {
		pid_t child = fork_checked(CHILD_SECONDS);

		if (child == 0)
			be_the_child(&stage);
		tap_row("fork %d", i);
		check_child(child);
	}
	atomic_store(&stage.over, true);
	crowd_join(&crowd);
	clear_stage(&stage);
}

static BOOL HOSTMEM_CALL fork_here(void *state, const HostMemEvent *event)
{
	struct stage *stage = state;
	void *out;

	if (!forks)
		return TRUE;
	if (!forking.armed || event->type != forking.type)
		return event->size != 13 * PAGE;
	forking.armed = false;
	forking.child = fork_checked(CHILD_SECONDS);
	/* On both sides a callback may do what it likes. */
	CHECK_HR(faces_alloc(&stage->faces, NULL, 3 * PAGE, MEM_RESERVE | MEM_COMMIT,
			     PAGE_READWRITE, &out),
		 S_OK);
	forking.nested++;
	return event->size != 13 * PAGE;
}

/* Forks at an event of the type; both sides go on with the request and check it. */
static void fork_at(struct stage *stage, HostMemEventType type)
{
	size_t size = type == HostMemEventFailure ? 13 * PAGE : 7 * PAGE;
	uint64_t cookie;
	void *out;

	CHECK_HR(IHostMemoryControl_Subscribe(stage->faces.control, 7, fork_here, stage,
					      &cookie),
		 S_OK);
	forking.type = type;
	forking.armed = true;
	CHECK_HR(faces_alloc(&stage->faces, NULL, size, MEM_RESERVE | MEM_COMMIT,
			     PAGE_READWRITE, &out),
		 type == HostMemEventFailure ? E_OUTOFMEMORY : S_OK);
	if (out != NULL)
		CHECK_HR(faces_free(&stage->faces, out), S_OK);
	CHECK(!forking.armed);
	CHECK_HR(IHostMemoryControl_Unsubscribe(stage->faces.control, cookie), S_OK);
	if (forking.child == 0)
		be_the_child(stage);
	check_child(forking.child);
}

static void fork_at_each_event(struct stage *stage)
{
	forks = true;
	for (int i = 0; i < FACES_ROUNDS(20, 8); i++) {
		tap_row("round %d", i);
		fork_at(stage, HostMemEventAllocate);
		fork_at(stage, HostMemEventFailure);
		fork_at(stage, HostMemEventFree);
	}
}

static BOOL HOSTMEM_CALL release_small(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct stage *stage = state;

	if (run->AllocationBase != stage->common)
		CHECK_HR(faces_free(&stage->faces, run->AllocationBase), S_OK);
	return TRUE;
}

static void fork_in_a_callback_leaves_two_hosts_that_work(void)
{
	struct stage stage;

	if (!set_stage(&stage))
		return;
	fork_at_each_event(&stage);
	CHECK(forking.nested != 0);
	/* What the callbacks have allocated; a walk may release what it is told. */
	CHECK_HR(IHostMemoryControl_WalkRegions(stage.faces.control, release_small,
						&stage),
		 S_OK);
	clear_stage(&stage);
}

static void fork_in_a_callback_of_a_busy_process_works_too(void)
{
	struct stage stage;
	struct crowd crowd;

	if (!set_stage(&stage) ||
	    !crowd_start(&crowd, HAMMERS, hammer_until_over, &stage))
		return;
	fork_at_each_event(&stage);
	atomic_store(&stage.over, true);
	crowd_join(&crowd);
	CHECK_HR(IHostMemoryControl_WalkRegions(stage.faces.control, release_small,
						&stage),
		 S_OK);
	clear_stage(&stage);
}

static int no_control(int file, unsigned long request, void *argument)
{
	(void)file;
	(void)request;
	(void)argument;
	errno = ENOTTY;
	return -1;
}

/* The file that the parent has open shows the parent's mappings. */
static void ask_of_the_system_on_both_sides(struct stage *stage)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MEMORY_BASIC_INFORMATION run;
	pid_t child;

	CHECK_HR(faces_query(&stage->faces, page, &run), S_OK);
	CHECK_U32(run.State, MEM_COMMIT);
	child = fork_checked(CHILD_SECONDS);
	if (child == 0) {
		(void)munmap(page, PAGE);
		CHECK_HR(faces_query(&stage->faces, page, &run), S_OK);
		CHECK_U32(run.State, MEM_FREE);
		check_system_truth(stage);
		_exit(tap_failed());
	}
	check_child(child);
	CHECK_HR(faces_query(&stage->faces, page, &run), S_OK);
	CHECK_U32(run.State, MEM_COMMIT);
	(void)munmap(page, PAGE);
}

static void memory_of_others_in_a_child_is_the_childs(void)
{
	struct stage stage;

	if (!set_stage(&stage))
		return;
	ask_of_the_system_on_both_sides(&stage);
	hm_system.control = no_control; /* as on kernels before 6.11 */
	ask_of_the_system_on_both_sides(&stage);
	clear_stage(&stage);
}

int main(void)
{
	TAP_RUN(a_child_of_a_busy_process_has_a_host_that_works);
	TAP_RUN(fork_in_a_callback_leaves_two_hosts_that_work);
	TAP_RUN(fork_in_a_callback_of_a_busy_process_works_too);
	TAP_RUN(memory_of_others_in_a_child_is_the_childs);
	return tap_done();
}
