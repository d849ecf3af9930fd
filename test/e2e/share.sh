#!/bin/sh
#
# At the peak of a workload, at least 98 % of a runtime's memory is the host's.
#
# The workloads are those of the benchmark (test/bench/runtimes).  Each says when it has the most
# that it will ever have, and then waits.  What its process has is asked from inside, see
# share_probe.c: the kernel's count of anonymous pages, and those of them that lie in
# reservations of the host.
#
# Pages of private mappings of files are anonymous once they are written to: the data of
# libraries, assemblies of CoreCLR, and Java's archive of classes, which Java relocates when it
# starts, 10 MiB of it.  Such a page is a changed copy of a file's; it was never asked for as
# memory, and a host is not asked for it.  So these are on neither side of the quotient: they
# do not count as the host's, not even where the file lies over a reservation of the host,
# and they do not count against it.  How much they are, and what the share would be with
# them, is printed.

set -u
LC_ALL=C
export LC_ALL
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
runtimes=$top_srcdir/test/bench/runtimes
preload=$top_builddir/.libs/libhostmem-preload.so
probe=$top_builddir/.libs/share-probe.so
WANTED=98
# The largest of the workloads takes 300 MiB.
NEEDED_KIB=1048576
MOST_TENTHS=1800
count=0
failed=0

if sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile" | grep -q .; then
	echo '1..0 # SKIP a library with a sanitizer cannot be preloaded'
	exit 0
fi
if [ ! -r /proc/self/smaps ] || [ ! -r /proc/self/pagemap ]; then
	echo '1..0 # SKIP this kernel does not tell what a process has'
	exit 0
fi
folder=$(mktemp -d) || exit
process=
trap '[ -z "$process" ] || kill "$process" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

check()
{
	count=$((count + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $count - $name"
	else
		sort -k 2 -n "$folder/share" 2>/dev/null | tail -n 20 | sed 's/^/# /'
		tail -n 20 "$folder/err" 2>/dev/null | sed 's/^/# /'
		echo "not ok $count - $name"
		failed=1
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# appears COMMAND...: waits until it succeeds, as long as the workload is there.
appears()
{
	tenths=0
	until "$@"; do
		[ "$tenths" -lt "$MOST_TENTHS" ] && kill -0 "$process" 2>/dev/null || return
		sleep 0.1
		tenths=$((tenths + 1))
	done
}

# hold PROFILE COMMAND...: to its peak and from there to its end, 0: with a share in between.
# It waits for the end of its input, which is also what it gets if this script ends.
hold()
{
	settings="hostmem 1
profile $1
"
	shift
	mkfifo "$folder/in"
	: >"$folder/out"
	timeout -k 5 400 env HOSTMEM_SHARE="$folder" HOSTMEM_SETTINGS="$settings" \
		LD_PRELOAD="$preload $probe" "$@" \
		<"$folder/in" >"$folder/out" 2>"$folder/err" &
	process=$!
	exec 3>"$folder/in"
	appears grep -q '^peak' "$folder/out" && : >"$folder/peak" &&
		appears test -e "$folder/share"
	exec 3>&-
	[ -e "$folder/share" ] || kill "$process" 2>/dev/null
	wait "$process"
	status=$?
	process=
	[ "$status" = 0 ] && grep -q '^share' "$folder/share"
}

# The sums, for people.
tell()
{
	awk -v runtime="$1" '$1 == "share" {
		printf "# %s: %.1f of %.1f MiB, %.2f %%; ", runtime, $3 / 1048576,
			($2 - $4) / 1048576, 100 * $3 / ($2 - $4)
		printf "changed copies of files %.1f MiB, with them %.2f %%\n",
			$4 / 1048576, 100 * $3 / $2
	}' "$folder/share"
}

suffices()
{
	awk -v wanted="$WANTED" '$1 == "share" { found = 100 * $3 >= wanted * ($2 - $4) }
		END { exit !found }' "$folder/share"
}

# A share of nothing would be easy to have.
is_large()
{
	awk '$1 == "share" { found = $2 >= 100 * 1048576 } END { exit !found }' "$folder/share"
}

# share RUNTIME PROFILE
share()
{
	rm -f "$folder/in" "$folder/out" "$folder/err" "$folder/peak" "$folder/share"
	if ! sh "$runtimes/command.sh" "$1" "$folder" >"$folder/words" 2>"$folder/err"; then
		skip "$1" "$(tail -n 1 "$folder/err")"
		return
	fi
	if [ "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)" -lt "$NEEDED_KIB" ]; then
		skip "$1" 'less than 1 GiB of memory is available'
		return
	fi
	runtime=$1
	profile=$2
	set --
	while IFS= read -r word; do
		set -- "$@" "$word"
	done <"$folder/words"
	check "$runtime comes to its peak and to its end" hold "$profile" "$@"
	[ -e "$folder/share" ] || return
	tell "$runtime"
	check "$runtime has more than 100 MiB there" is_large
	check "$runtime: $WANTED % of it are the host's" suffices
}

share python3 cpython
share java-serial hotspot
share node v8
share dotnet coreclr

echo "1..$count"
exit "$failed"
