#!/bin/sh
# The core of the library, which is linked into programs that do not know of it: it links
# with the C library alone, and asks for nothing that such a program may have of its own: not
# libuv, and not the functions that may stand on the host themselves, which would call it
# forever.

set -u
LC_ALL=C
export LC_ALL

builddir=${top_builddir:-${builddir:-.}}
NM=${NM:-nm}
CC=${CC:-cc}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
number=0
status=0
core=$builddir/.libs/libhostmem-core.a
whole=$builddir/.libs/libhostmem-internal.a
sanitizers=$(sed -n 's/^SANITIZERS = //p' "$builddir/Makefile")

# report TEXT FILE: passes if the file is empty.
report()
{
	number=$((number + 1))
	if test -s "$2"; then
		echo "not ok $number - $1"
		sed 's/^/# /' "$2"
		status=1
	else
		echo "ok $number - $1"
	fi
}

skip()
{
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# wanted ARCHIVE: what its files ask of each other and of others, a name a line.
wanted()
{
	$NM -u "$1" | awk 'NF == 2 { sub(/@.*/, "", $2); print $2 }' | sort -u
}

# found EXPRESSION ARCHIVE: which of it such a name is.
found()
{
	wanted "$2" 2>&1 | grep -Ex "$1"
}

libuv='uv_.*'
heap='malloc|calloc|realloc|free|(posix_)?memalign|aligned_alloc|strdup|reallocarray'
pages='mmap|mmap64|munmap|mprotect|madvise|mremap'

: >"$work/log"
test -n "$(wanted "$core")" || echo "$core asks for nothing" >"$work/log"
report "the core is there" "$work/log"
: >"$work/log"
test -n "$(found "$libuv" "$whole")" || echo "no libuv in $whole" >"$work/log"
report "what asks for libuv is found" "$work/log"
found "$libuv" "$core" >"$work/log"
report "the core does not ask for libuv" "$work/log"
if test -n "$sanitizers"; then
	skip "the core does not ask for malloc" "the blocks of before are a sanitizer's"
else
	found "$heap" "$core" >"$work/log"
	report "the core does not ask for malloc" "$work/log"
fi

found "$pages" "$core" >"$work/log"
report "the core does not ask for mmap" "$work/log"
if test -n "$sanitizers"; then
	skip "the core links with the C library alone" "a sanitizer is linked later"
else
	$CC -shared -pthread -Wl,-z,defs -o "$work/core.so" \
		-Wl,--whole-archive "$core" -Wl,--no-whole-archive >"$work/log" 2>&1
	readelf -d "$work/core.so" 2>>"$work/log" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -Evx 'lib(c|pthread|gcc_s)\.so\.[0-9]+|ld-.*' >>"$work/log"
	report "the core links with the C library alone" "$work/log"
fi

echo "1..$number"
exit $status
