#!/bin/sh
#
# `make install` gives what a program in another folder needs: it finds hostmem with
# pkg-config, compiles as C and as C++, links, runs, and loads the host module.
# `make uninstall` leaves nothing.

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
hostmem()
{
	PKG_CONFIG_PATH=$config PKG_CONFIG_SYSROOT_DIR=$tree "${PKG_CONFIG:-pkg-config}" \
		"$@" hostmem
}

headers_are_those_of_abi()
{
	(cd "$top_srcdir/abi" && ls -- *.h) >"$folder/want"
	(cd "$(dirname "$(installed hostmem.h)")" && ls) | diff "$folder/want" -
}

# A library that was built with a sanitizer wants programs that are.
compile()
{
	compiler=$1
	shift
	# shellcheck disable=SC2046,SC2086 # words
	$compiler $(sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile") "$@" \
		$(hostmem --cflags --libs)
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
if echo 'int main() {}' >"$folder/empty.cc" &&
	"${CXX:-c++}" -std=c++17 -o "$folder/empty" "$folder/empty.cc" 2>/dev/null; then
	check 'a program compiles as C++17' in_cplusplus
	check 'and runs' runs "$folder/in-cplusplus"
	check 'and runs with the installed host module' \
		runs "$folder/in-cplusplus" "$(installed hostmem-module.so)"
else
	skip 'a program compiles as C++17' 'no C++17 compiler'
fi
check 'make uninstall' make_in_build uninstall
check 'nothing is left' [ -z "$(find "$tree" ! -type d)" ]
echo "1..$count"
exit "$failed"
