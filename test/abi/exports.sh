#!/bin/sh
# libhostmem.so shows exactly the names in exports.txt, which are the functions and GUIDs
# that the headers declare, and libhostmem-jsrt.so those in exports-jsrt.txt, which are the
# functions of jsrt.h; the host module shows its entry, what a SIGSEGV handler calls, and no
# more.

set -u
LC_ALL=C
export LC_ALL

srcdir=${top_srcdir:-${srcdir:-.}}
builddir=${top_builddir:-${builddir:-.}}
NM=${NM:-nm}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
number=0
status=0
list=$srcdir/test/abi/exports.txt
jsrt_list=$srcdir/test/abi/exports-jsrt.txt

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

# exported FILE: the names it shows, sorted, without versions.
exported()
{
	$NM -D --defined-only "$1" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u
}

# compare WANT LIBRARY: prints the differences; - is missing, + too many.
compare()
{
	if ! test -f "$2"; then
		echo "there is no $2"
		return
	fi
	exported "$2" >"$work/got" 2>"$work/errors"
	cat "$work/errors"
	diff -u "$1" "$work/got" | sed -n '/^[-+][^-+]/p'
}

# declared HEADER...: the names that they declare, sorted.
declared()
{
	sed -n -e 's/^HOSTMEM_DECLARE_GUID(\([A-Za-z0-9_]*\));.*/\1/p' \
		-e 's/^HOSTMEM_API .*[ *]\(\(HostMem\|Js\)[A-Za-z]*\)(.*/\1/p' "$@" | sort -u
}

sort -u "$list" | diff "$list" - >"$work/log" 2>&1
report "exports.txt is sorted" "$work/log"
sort -u "$jsrt_list" | diff "$jsrt_list" - >"$work/log" 2>&1
report "exports-jsrt.txt is sorted" "$work/log"

# jsrt.h belongs to another library, DllGetClassObject to a module.
set --
for header in "$srcdir"/abi/*.h; do
	case $header in
	*/jsrt.h) ;;
	*) set -- "$@" "$header" ;;
	esac
done
declared "$@" | diff -u "$list" - >"$work/log" 2>&1
report "exports.txt is what the headers declare" "$work/log"
declared "$srcdir/abi/jsrt.h" | diff -u "$jsrt_list" - >"$work/log" 2>&1
report "exports-jsrt.txt is what jsrt.h declares" "$work/log"

library=$builddir/.libs/libhostmem.so
compare "$list" "$library" >"$work/log" 2>&1
report "libhostmem.so exports the names of exports.txt" "$work/log"
compare "$jsrt_list" "$builddir/.libs/libhostmem-jsrt.so" >"$work/log" 2>&1
report "libhostmem-jsrt.so exports the names of exports-jsrt.txt" "$work/log"

# The comparison notices a name too few and one too many.
sed 1d "$list" >"$work/short"
compare "$work/short" "$library" >"$work/found" 2>&1
: >"$work/log"
grep -q "^+$(sed 1q "$list")\$" "$work/found" || echo "not noticed" >"$work/log"
report "a name too many would be noticed" "$work/log"
(cat "$list" && echo zzz) >"$work/long"
compare "$work/long" "$library" >"$work/found" 2>&1
: >"$work/log"
grep -q '^-zzz$' "$work/found" || echo "not noticed" >"$work/log"
report "a name too few would be noticed" "$work/log"

printf "%s\n" DllGetClassObject HostMemHandleFault >"$work/module"
compare "$work/module" "$builddir/.libs/hostmem-module.so" >"$work/log" 2>&1
report "hostmem-module.so exports its entry and HostMemHandleFault only" "$work/log"

echo "1..$number"
exit $status
