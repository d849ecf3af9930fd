#!/bin/sh
#
# `make install` gives what a program in another folder needs: it finds hostmem with
# pkg-config, compiles as C and as C++, links, runs, and loads the host module; the same
# with hostmem-jsrt, and with hostmem-interpose.  The command runs from there.  `make
# uninstall` leaves nothing.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
count=0
failed=0

if [ ! -f "$top_builddir/Makefile" ]; then
	echo '1..0 # SKIP not a build folder'
	exit
fi
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
tree=$folder/tree
# This make is not a part of the one that may have called us.
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR

# check NAME COMMAND...: ok if the command succeeds; else what it printed.
check()
{
	count=$((count + 1))
	name=$1
	shift
	if "$@" >"$folder/log" 2>&1; then
		echo "ok $count - $name"
	else
		tail -n 40 "$folder/log" | sed 's/^/# /'
		echo "not ok $count - $name"
		failed=1
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

make_in_build()
{
	(cd "$top_builddir" && "${MAKE:-make}" "$@" DESTDIR="$tree")
}

installed()
{
	find "$tree" -name "$1"
}

# The installed tree stands in for /.
pkg()
{
	PKG_CONFIG_PATH=$config PKG_CONFIG_SYSROOT_DIR=$tree "${PKG_CONFIG:-pkg-config}" "$@"
}

hostmem()
{
	pkg "$@" hostmem
}

headers_are_those_of_abi()
{
	(cd "$top_srcdir/abi" && ls -- *.h) >"$folder/want"
	(cd "$(dirname "$(installed hostmem.h)")" && ls) | diff "$folder/want" -
}

# A library that was built with a sanitizer wants programs that are.
# compile_with PACKAGE COMPILER ARGUMENT...
compile_with()
{
	package=$1
	compiler=$2
	shift 2
	# shellcheck disable=SC2046,SC2086 # words
	$compiler $(sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile") "$@" \
		$(pkg --cflags --libs "$package")
}

compile()
{
	compile_with hostmem "$@"
}

runs()
{
	LD_LIBRARY_PATH=$(dirname "$(installed libhostmem.so)") "$@"
}

in_cplusplus()
{
	cat >"$folder/example.cc" <<'END' || return
#include <hostmem/hostmem.h>

int main(int, char **argv)
{
	IHostMemoryManager *memory = nullptr;
	HRESULT hr = argv[1] != nullptr
			     ? HostMemLoadModule(argv[1], IID_IHostMemoryManager,
						 reinterpret_cast<void **>(&memory))
			     : HostMemCreate(nullptr, IID_IHostMemoryManager,
					     reinterpret_cast<void **>(&memory));
	void *block = nullptr;

	if (FAILED(hr))
		return 1;
	hr = memory->VirtualAlloc(nullptr, 100, MEM_COMMIT, PAGE_READWRITE, eTaskCritical, &block);
	if (FAILED(hr))
		return 2;
	static_cast<char *>(block)[4095] = 1;
	return memory->VirtualFree(block, 0, MEM_RELEASE) != S_OK || memory->Release() != 0;
}
END
	# Vtables that were made in C carry no type information for a sanitizer to look at.
	compile "${CXX:-c++}" -std=c++17 -Wall -Wextra -Werror -fno-sanitize=vptr \
		-o "$folder/in-cplusplus" "$folder/example.cc"
}

finds_no_build_folder()
{
	LC_ALL=C readelf -d "$command" >"$folder/dynamic" &&
		grep -q NEEDED "$folder/dynamic" &&
		! grep -F "$(cd "$top_builddir" && pwd)/.libs" "$folder/dynamic"
}

# They call both libraries; that there are two is the business of hostmem-jsrt.pc.
jsrt_in_c()
{
	cat >"$folder/jsrt.c" <<'END' || return
#include <hostmem/hostmem.h>
#include <hostmem/jsrt.h>

int main(void)
{
	JsRuntimeHandle runtime;
	size_t usage = 0;
	void *memory, *page;

	if (JsCreateRuntime(JsRuntimeAttributeNone, NULL, &runtime) != JsNoError)
		return 1;
	if (HostMemRuntimeGetHost(runtime, &IID_IHostMemoryManager, &memory) != S_OK)
		return 2;
	if (IHostMemoryManager_VirtualAlloc(memory, NULL, 4096, MEM_COMMIT, PAGE_READWRITE,
					    eTaskCritical, &page) != S_OK)
		return 3;
	IHostMemoryManager_Release((IHostMemoryManager *)memory);
	if (JsGetRuntimeMemoryUsage(runtime, &usage) != JsNoError || usage != 4096)
		return 4;
	return JsDisposeRuntime(runtime) != JsNoError;
}
END
	compile_with hostmem-jsrt "${CC:-cc}" -std=c11 -Wall -Wextra -Werror \
		-o "$folder/jsrt-in-c" "$folder/jsrt.c"
}

jsrt_in_cplusplus()
{
	cat >"$folder/jsrt.cc" <<'END' || return
#include <hostmem/hostmem.h>
#include <hostmem/jsrt.h>

static bool HOSTMEM_CALL refuse(void *, JsMemoryEventType event, size_t)
{
	return event != JsMemoryAllocate;
}

int main()
{
	JsRuntimeHandle runtime = nullptr;
	void *face = nullptr, *page = nullptr;

	if (JsCreateRuntime(JsRuntimeAttributeNone, nullptr, &runtime) != JsNoError ||
	    JsSetRuntimeMemoryAllocationCallback(runtime, nullptr, refuse) != JsNoError ||
	    FAILED(HostMemRuntimeGetHost(runtime, IID_IHostMemoryManager, &face)))
		return 1;
	auto *memory = static_cast<IHostMemoryManager *>(face);
	if (memory->VirtualAlloc(nullptr, 4096, MEM_COMMIT, PAGE_READWRITE, eTaskCritical, &page) !=
	    E_OUTOFMEMORY)
		return 2;
	memory->Release();
	return JsDisposeRuntime(runtime) != JsNoError;
}
END
	compile_with hostmem-jsrt "${CXX:-c++}" -std=c++17 -Wall -Wextra -Werror \
		-fno-sanitize=vptr -o "$folder/jsrt-in-cplusplus" "$folder/jsrt.cc"
}

# A library that knows nothing of hostmem asks for pages and blocks.
interposed()
{
	cat >"$folder/ignorant.c" <<'END' || return
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *take_pages(size_t size);
char *take_block(void);
void give_back(void *pages, size_t size, void *block);

void *take_pages(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

char *take_block(void)
{
	return strdup("a block");
}

void give_back(void *pages, size_t size, void *block)
{
	munmap(pages, size);
	free(block);
}
END
	cat >"$folder/interposed.c" <<'END' || return
#include <hostmem/attach.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static IHostMemoryControl *control;

static HostMemUsage usage(void)
{
	HostMemUsage now = HOSTMEM_USAGE_INIT;

	IHostMemoryControl_GetUsage(control, &now);
	return now;
}

int main(int count, char **words)
{
	void *(*take_pages)(size_t size);
	char *(*take_block)(void);
	void (*give_back)(void *pages, size_t size, void *block);
	void *early = malloc(100), *library, *face, *pages;
	HostMemUsage before;
	char *block;

	if (count != 2 || HostMemCreate(NULL, &IID_IHostMemoryControl, &face) != S_OK ||
	    HostMemAttach((IUnknown *)face, NULL) != S_OK)
		return 1;
	control = (IHostMemoryControl *)face;
	free(early);
	library = dlopen(words[1], RTLD_NOW);
	if (library == NULL)
		return 2;
	*(void **)&take_pages = dlsym(library, "take_pages");
	*(void **)&take_block = dlsym(library, "take_block");
	*(void **)&give_back = dlsym(library, "give_back");
	before = usage();
	pages = take_pages(1 << 20);
	block = take_block();
	memset(pages, 1, 1 << 20);
	if (usage().cbCommitted < before.cbCommitted + (1 << 20))
		return 3;
	if (usage().cBlocks != before.cBlocks + 1 || strcmp(block, "a block") != 0)
		return 4;
	give_back(pages, 1 << 20, block);
	if (usage().cBlocks != before.cBlocks)
		return 5;
	return usage().cbCommitted >= before.cbCommitted + (1 << 20);
}
END
	"${CC:-cc}" -shared -fPIC -o "$folder/ignorant.so" "$folder/ignorant.c" &&
		compile_with hostmem-interpose "${CC:-cc}" -std=c11 -Wall -Wextra -Werror \
			-o "$folder/interposed" "$folder/interposed.c"
}

check 'make install' make_in_build install
if [ ! -d "$tree" ]; then
	echo "1..$count"
	exit 1
fi
config=$(dirname "$(installed hostmem.pc)")
check 'hostmem.pc and the headers name one version' [ "$(hostmem --modversion)" = "$(
	sed -n 's/^#define HOSTMEM_VERSION "\(.*\)"$/\1/p' "$(installed hostmem.h)")" ]
check 'hostmem.pc names the folder of the host module' eval \
	'case $(installed hostmem-module.so) in *"$(hostmem --variable=moduledir)"/*) ;; *) false ;; esac'
check 'the headers are those of abi/, no more and no less' headers_are_those_of_abi
check 'the example compiles as C' compile "${CC:-cc}" -std=c11 -Wall -Wextra -Werror \
	-o "$folder/in-c" "$top_srcdir/samples/example.c"
check 'and runs' runs "$folder/in-c"
check 'hostmem-jsrt.pc names the same version' \
	[ "$(pkg --modversion hostmem-jsrt)" = "$(hostmem --modversion)" ]
check 'a program with a JSRT-like runtime compiles as C' jsrt_in_c
check 'and runs' runs "$folder/jsrt-in-c"
check 'hostmem-interpose.pc names the same version' \
	[ "$(pkg --modversion hostmem-interpose)" = "$(hostmem --modversion)" ]
if [ -n "$(sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile")" ]; then
	skip 'a program with hostmem-interpose compiles' 'the sanitizer has a malloc of its own'
else
	check 'a program with hostmem-interpose compiles' interposed
	check 'and what it loads has its memory from the host' \
		runs "$folder/interposed" "$folder/ignorant.so"
fi
if echo 'int main() {}' >"$folder/empty.cc" &&
	"${CXX:-c++}" -std=c++17 -o "$folder/empty" "$folder/empty.cc" 2>/dev/null; then
	check 'a program compiles as C++17' in_cplusplus
	check 'and runs' runs "$folder/in-cplusplus"
	check 'and runs with the installed host module' \
		runs "$folder/in-cplusplus" "$(installed hostmem-module.so)"
	check 'a program with a JSRT-like runtime compiles as C++17' jsrt_in_cplusplus
	check 'and runs' runs "$folder/jsrt-in-cplusplus"
else
	skip 'programs compile as C++17' 'no C++17 compiler'
fi
command=$(installed hostmem | grep '/bin/hostmem$')
check 'the command is of the same version, wherever it is' \
	[ "$(runs "$command" --version)" = "hostmem $(hostmem --modversion)" ]
if sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile" | grep -q .; then
	skip 'it runs programs under a host from there' 'a library with a sanitizer cannot be preloaded'
else
	check 'it runs programs under a host from there' eval \
		'runs "$command" run --summary true 2>&1 | grep "^hostmem: true "'
fi
if command -v readelf >/dev/null; then
	check 'it does not look for libraries where it was built' finds_no_build_folder
else
	skip 'it does not look for libraries where it was built' 'there is no readelf'
fi
check 'the manual is there' [ "$(installed 'hostmem*.[15]' | wc -l)" = \
	"$(ls "$top_srcdir"/hostmem/cli/*.[15] | wc -l)" ]
check 'and so are the scenarios' [ "$(installed '*.yaml' | grep -c '/hostmem/scenarios/')" = 3 ]
check 'make uninstall' make_in_build uninstall
check 'nothing is left' [ -z "$(find "$tree" ! -type d)" ]
echo "1..$count"
exit "$failed"
