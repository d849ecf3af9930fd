#!/bin/sh
#
# Programs under valgrind: they do what they do without it, and no byte is read or written
# that nobody has given them.
#
# What touches memory on purpose that it may not is not for this; nor is what takes long.

set -u
top_builddir=${top_builddir:-.}
programs='unit/extents unit/figures unit/lending unit/opening unit/places unit/shelf unit/tidy
	unit/slot conformance/bad_inputs_heap conformance/events conformance/heap_events
	conformance/heap_faults conformance/heap_malloc2 conformance/jsrt_dispose
	conformance/jsrt_inside conformance/mappings conformance/virtual_query conformance/walk
	stress/differential stress/heap'
count=0
failed=0

if ! command -v valgrind >/dev/null; then
	echo '1..0 # SKIP valgrind is not installed'
	exit 0
fi
# Not by any name of theirs: the library asks for two of AddressSanitizer's where it is there.
if ${NM:-nm} "$top_builddir/.libs/libhostmem.so" |
	grep -Eq '__(asan_init|tsan_init|ubsan_handle_)'; then
	echo '1..0 # SKIP the build has a sanitizer'
	exit 0
fi
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT

# The kernel is asked by write and read whether an address can be touched; and what the
# ioctl of os/residents_linux.c has written, valgrind does not know.
cat >"$folder/known" <<'END'
{
   probing
   Memcheck:Param
   write(buf)
   fun:write
   fun:*
}
{
   probing
   Memcheck:Param
   read(buf)
   fun:read
   fun:accessible
}
{
   scanning
   Memcheck:Cond
   fun:zero_some
}
END

# Of the random operations, a few.
SEED=3
OPERATIONS=2000
export SEED OPERATIONS

for program in $programs; do
	count=$((count + 1))
	if [ ! -x "$top_builddir/test/$program" ]; then
		echo "ok $count - $program runs under valgrind # SKIP it was not built"
	elif valgrind --error-exitcode=9 -q --suppressions="$folder/known" \
		"$top_builddir/test/$program" >"$folder/log" 2>&1 &&
		! grep -q '^==' "$folder/log"; then
		echo "ok $count - $program runs under valgrind"
	elif grep -q 'debuginfo reader' "$folder/log"; then
		# An old valgrind, and what a newer compiler writes.
		echo "ok $count - $program runs under valgrind # SKIP valgrind cannot read it"
	else
		sed 's/^/# /' "$folder/log" | tail -n 60
		echo "not ok $count - $program runs under valgrind"
		failed=1
	fi
done
echo "1..$count"
exit "$failed"
