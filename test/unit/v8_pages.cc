/*
 * The V8 sample's page allocator, called as V8 10.2 was seen to call it, and as it may.
 * V8 itself is not needed: the class has its base from a header.
 */
#include "samples/v8_pages.h"
#include "tap.h"

namespace
{

using Allocator = v8::PageAllocator;

constexpr size_t page = 4096;
constexpr size_t wasm = 65536;
constexpr size_t chunk = 262144; /* of V8's heap */
constexpr size_t mebibyte = 1 << 20;

/* A host of 16 MiB; what a request of the lowest level may not use is for the test to say. */
struct Scene {
	IHostMemoryControl *control;
	HostFaces faces{};
	HostPages pages{ &faces };

	explicit Scene(size_t headroom = 0)
	{
		HostMemBudget budget = HOSTMEM_BUDGET_INIT;
		HostMemConfig config = HOSTMEM_CONFIG_INIT;

		budget.cbLimit = 16 * mebibyte;
		budget.cbHeadroom[eTaskCritical] = headroom;
		config.budget = &budget;
		CHECK_HR(HostMemCreate(&config, IID_IHostMemoryControl,
				       reinterpret_cast<void **>(&control)),
			 S_OK);
		CHECK_HR(control->QueryInterface(IID_IHostMemoryManager,
						 reinterpret_cast<void **>(
							 &faces.memory)),
			 S_OK);
		CHECK_HR(control->QueryInterface(IID_IHostMemoryPages,
						 reinterpret_cast<void **>(&faces.pages)),
			 S_OK);
	}

	~Scene()
	{
		CHECK_SIZE(usage().cRegions, 0);
		CHECK_SIZE(usage().cbCharged, 0);
		faces.pages->Release();
		faces.memory->Release();
		CHECK_U32(control->Release(), 0);
	}

	Scene(const Scene &) = delete;

	HostMemUsage usage()
	{
		HostMemUsage now = HOSTMEM_USAGE_INIT;

		control->GetUsage(&now);
		return now;
	}

	char *reserve(size_t size, size_t alignment)
	{
		void *region = pages.AllocatePages(nullptr, size, alignment,
						   Allocator::kNoAccess);

		CHECK(region != nullptr);
		CHECK_SIZE(reinterpret_cast<uintptr_t>(region) % alignment, 0);
		return static_cast<char *>(region);
	}

	DWORD protection(char *address)
	{
		MEMORY_BASIC_INFORMATION run;
		SIZE_T length;

		CHECK_HR(faces.memory->VirtualQuery(address, &run, sizeof(run), &length),
			 S_OK);
		return run.State == MEM_COMMIT ? run.Protect : 0;
	}
};

void a_reservation_is_aligned_and_charges_nothing()
{
	Scene scene;

	for (size_t alignment : { page, wasm, chunk, 16 * mebibyte }) {
		char *region = scene.reserve(chunk, alignment);

		CHECK_SIZE(scene.usage().cbCharged, 0);
		CHECK(scene.pages.FreePages(region, chunk));
	}
	/* As V8 reserves for code. */
	char *code = scene.reserve(128 * mebibyte, page);

	CHECK_SIZE(scene.usage().cbCharged, 0);
	CHECK(scene.pages.FreePages(code, 128 * mebibyte));
}

void pages_may_be_usable_at_once()
{
	Scene scene;
	void *region = scene.pages.AllocatePages(nullptr, chunk, page,
						 Allocator::kReadWrite);

	CHECK(region != nullptr);
	memset(region, 7, chunk);
	CHECK_SIZE(scene.usage().cbCharged, chunk);
	CHECK(scene.pages.FreePages(region, chunk));
	region = scene.pages.AllocatePages(nullptr, chunk, page,
					   Allocator::kNoAccessWillJitLater);
	CHECK_SIZE(scene.usage().cbCharged, 0);
	CHECK(scene.pages.FreePages(region, chunk));
}

void the_tail_is_released_and_the_rest_is_kept()
{
	Scene scene;

	/* Those that V8 10.2 asks for. */
	for (size_t kept : { 253952, 73728, 8192 }) {
		char *region = scene.reserve(chunk, chunk);

		CHECK(scene.pages.SetPermissions(region, chunk, Allocator::kReadWrite));
		memset(region, 7, chunk);
		CHECK(scene.pages.ReleasePages(region, chunk, kept));
		CHECK_SIZE(scene.usage().cRegions, 1);
		CHECK_SIZE(scene.usage().cbReserved, kept);
		CHECK_SIZE(scene.usage().cbCharged, kept);
		CHECK(region[0] == 7 && region[kept - 1] == 7);
		CHECK(scene.pages.SetPermissions(region, kept, Allocator::kRead));
		CHECK(scene.pages.FreePages(region, kept));
	}
}

void a_rounded_length_frees_what_is_left_and_no_more()
{
	Scene scene;

	for (size_t kept : { 253952, 73728, 8192 }) {
		char *region = scene.reserve(chunk, chunk);
		char *neighbour = nullptr;
		void *place;

		CHECK(scene.pages.SetPermissions(region, kept, Allocator::kReadWrite));
		CHECK(scene.pages.ReleasePages(region, chunk, kept));
		/* Somebody else may have what was released by now. */
		if (kept < chunk / 2 &&
		    SUCCEEDED(scene.faces.memory->VirtualAlloc(
			    region + chunk / 2, chunk / 2, MEM_RESERVE | MEM_COMMIT,
			    PAGE_READWRITE, eProcessCritical, &place))) {
			neighbour = static_cast<char *>(place);
			neighbour[0] = 9;
		}
		CHECK(scene.pages.FreePages(region, chunk));
		if (neighbour != nullptr) {
			CHECK_INT(neighbour[0], 9);
			CHECK(scene.pages.FreePages(neighbour, chunk / 2));
		}
		CHECK_SIZE(scene.usage().cRegions, 0);
	}
}

void what_is_not_a_region_is_not_freed()
{
	Scene scene;
	char *region = scene.reserve(chunk, chunk);
	char outside;

	CHECK(!scene.pages.FreePages(&outside, page));
	CHECK(!scene.pages.FreePages(nullptr, page));
	CHECK(!scene.pages.ReleasePages(region, 2 * chunk, chunk / 2));
	CHECK_SIZE(scene.usage().cbReserved, chunk);
	CHECK(scene.pages.FreePages(region, chunk));
	CHECK(!scene.pages.FreePages(region, chunk));
	CHECK_SIZE(scene.pages.released, 1);
	CHECK_SIZE(scene.pages.shrunk, 0);
}

void permissions_are_those_of_the_host()
{
	static const struct {
		Allocator::Permission permission;
		DWORD protection;
	} rows[] = {
		{ Allocator::kReadWrite, PAGE_READWRITE },
		{ Allocator::kRead, PAGE_READONLY },
		{ Allocator::kReadExecute, PAGE_EXECUTE_READ },
		{ Allocator::kReadWriteExecute, PAGE_EXECUTE_READWRITE },
		{ Allocator::kNoAccess, 0 },
	};
	Scene scene;
	char *region = scene.reserve(chunk, page);

	for (const auto &row : rows) {
		CHECK(scene.pages.SetPermissions(region + page, page, row.permission));
		CHECK_U32(scene.protection(region + page), row.protection);
		CHECK_SIZE(scene.usage().cbCharged, row.protection == 0 ? 0 : page);
	}
	CHECK_SIZE(scene.pages.committed, 1);
	CHECK_SIZE(scene.pages.changed, 3);
	CHECK(scene.pages.FreePages(region, chunk));
}

void what_is_taken_away_comes_back_as_zero()
{
	Scene scene;
	char *region = scene.reserve(chunk, chunk);

	for (int way = 0; way < 2; way++) {
		CHECK(scene.pages.SetPermissions(region, chunk, Allocator::kReadWrite));
		memset(region, 7, chunk);
		CHECK(way == 0 ? scene.pages.DecommitPages(region, 2 * page)
			       : scene.pages.SetPermissions(region, 2 * page,
							    Allocator::kNoAccess));
		CHECK_SIZE(scene.usage().cbCharged, chunk - 2 * page);
		CHECK(scene.pages.SetPermissions(region, 3 * page,
						 Allocator::kReadWrite));
		CHECK(region[0] == 0 && region[2 * page - 1] == 0);
		CHECK(region[2 * page] == 7);
	}
	CHECK(scene.pages.FreePages(region, chunk));
}

void what_is_discarded_stays_usable()
{
	Scene scene;
	char *region = scene.reserve(chunk, chunk);

	CHECK(scene.pages.SetPermissions(region, chunk, Allocator::kReadWrite));
	memset(region, 7, chunk);
	CHECK(scene.pages.DiscardSystemPages(region, 4 * page));
	CHECK(region[0] == 7 || region[0] == 0);
	region[0] = 5;
	CHECK_INT(region[0], 5);
	CHECK_INT(region[4 * page], 7);
	CHECK_SIZE(scene.usage().cbCharged, chunk);
	CHECK(scene.pages.FreePages(region, chunk));
}

void only_memory_of_webassembly_is_refused_to_leave_room()
{
	Scene scene(15 * mebibyte);
	char *program = scene.reserve(64 * mebibyte, wasm);
	char *heap = scene.reserve(4 * mebibyte, chunk);
	char *code = scene.reserve(128 * mebibyte, page);

	CHECK(scene.pages.SetPermissions(program, wasm, Allocator::kReadWrite));
	CHECK(!scene.pages.SetPermissions(program + wasm, mebibyte,
					  Allocator::kReadWrite));
	CHECK(!scene.pages.SetPermissions(program + 63 * mebibyte, mebibyte,
					  Allocator::kReadWrite));
	CHECK_SIZE(scene.pages.refused, 2);
	CHECK_SIZE(scene.usage().cbCharged, wasm);

	CHECK(scene.pages.SetPermissions(heap, 4 * mebibyte, Allocator::kReadWrite));
	CHECK(scene.pages.SetPermissions(code, 4 * mebibyte,
					 Allocator::kReadWriteExecute));
	CHECK_SIZE(scene.pages.refused, 2);

	CHECK(scene.pages.FreePages(program, 64 * mebibyte));
	CHECK(scene.pages.FreePages(heap, 4 * mebibyte));
	CHECK(scene.pages.FreePages(code, 128 * mebibyte));
}

void a_place_where_such_memory_was_is_not_refused()
{
	Scene scene(16 * mebibyte);
	char *program = scene.reserve(mebibyte, wasm);

	CHECK(!scene.pages.SetPermissions(program, page, Allocator::kReadWrite));
	CHECK(scene.pages.FreePages(program, mebibyte));

	char *heap = scene.reserve(mebibyte, chunk);

	for (size_t offset = 0; offset < mebibyte; offset += chunk)
		CHECK(scene.pages.SetPermissions(heap + offset, page,
						 Allocator::kReadWrite));
	CHECK(scene.pages.FreePages(heap, mebibyte));
}

void a_change_of_permissions_is_not_refused_where_nothing_is_left()
{
	Scene scene(0);
	char *program = scene.reserve(16 * mebibyte, wasm);
	char *code = scene.reserve(mebibyte, page);

	CHECK(scene.pages.SetPermissions(program, 16 * mebibyte, Allocator::kReadWrite));
	CHECK(!scene.pages.SetPermissions(code, page, Allocator::kReadWrite));
	CHECK(scene.pages.SetPermissions(program, mebibyte, Allocator::kReadExecute));
	CHECK(scene.pages.SetPermissions(program, mebibyte, Allocator::kReadWrite));
	CHECK(scene.pages.SetPermissions(program, page, Allocator::kNoAccess));
	CHECK(scene.pages.SetPermissions(code, page, Allocator::kReadWrite));
	CHECK(scene.pages.FreePages(program, 16 * mebibyte));
	CHECK(scene.pages.FreePages(code, mebibyte));
}

void the_page_size_keeps_code_and_webassembly_apart()
{
	Scene scene;

	CHECK_SIZE(scene.pages.AllocatePageSize(), page);
	CHECK_SIZE(scene.pages.CommitPageSize(), page);
	CHECK_POINTER(scene.pages.GetRandomMmapAddr(), nullptr);
}

} /* namespace */

int main()
{
	TAP_RUN(a_reservation_is_aligned_and_charges_nothing);
	TAP_RUN(pages_may_be_usable_at_once);
	TAP_RUN(the_tail_is_released_and_the_rest_is_kept);
	TAP_RUN(a_rounded_length_frees_what_is_left_and_no_more);
	TAP_RUN(what_is_not_a_region_is_not_freed);
	TAP_RUN(permissions_are_those_of_the_host);
	TAP_RUN(what_is_taken_away_comes_back_as_zero);
	TAP_RUN(what_is_discarded_stays_usable);
	TAP_RUN(only_memory_of_webassembly_is_refused_to_leave_room);
	TAP_RUN(a_place_where_such_memory_was_is_not_refused);
	TAP_RUN(a_change_of_permissions_is_not_refused_where_nothing_is_left);
	TAP_RUN(the_page_size_keeps_code_and_webassembly_apart);
	return tap_done();
}
