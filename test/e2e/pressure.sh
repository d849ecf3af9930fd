#!/bin/sh
#
# The sample of memory pressure: in a control group, a program that listens hears Low before
# the limit and Neutral afterwards, and lives; the same program without a host is killed.  And
# no group is left behind, whatever happens.
#
# Nobody is asked to be quick here: `--fast` is for trying, not for a test.  The kernel writes
# a page of text for each process that it kills, so that happens once.

set -u
LC_ALL=C
export LC_ALL
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sample=$top_builddir/samples/pressure
runtime=libhostmem
. "$top_srcdir/test/e2e/sample.sh"

if ${NM:-nm} "$top_builddir/.libs/libhostmem.so" |
	grep -Eq '__(asan_init|tsan_init|ubsan_handle_)'; then
	echo '1..0 # SKIP what a sanitizer needs for itself does not fit in the group'
	exit
fi

# The sample's process has the number in $folder/pid, and a time to end in that no machine needs.
run()
{
	timeout 120 sh -c 'echo $$ >"$0"; exec "$@"' "$folder/pid" "$sample" "$@" \
		>"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

groups()
{
	find /sys/fs/cgroup -name "hostmem-pressure-$(cat "$folder/pid")" 2>/dev/null
}

is_gone()
{
	[ -z "$(groups)" ]
}

# What was told, in one line.
told()
{
	awk '$2 == "s" && $5 == "%" { printf "%s ", $3 }' "$folder/out"
}

told_matches()
{
	told | grep -Eq "$1"
}

# In MiB: what was left at the time of each Low, the least of it.
least_left()
{
	awk '$2 == "s" && $3 == "Low" && (least == "" || $7 < least) { least = $7 }
		END { print least }' "$folder/out"
}

# In MiB: of what the group has used, the most.
peak()
{
	sed -n 's/.*at the peak \([0-9.]*\) of 256\.0 MiB.*/\1/p' "$folder/out"
}

# Since the machine started, in us: how long all tasks stood still for want of memory.
stalled()
{
	sed -n 's/^full .*total=//p' /proc/pressure/memory 2>/dev/null | grep . || echo 0
}

# Where all tasks stood still memory is short, whatever the group has.
is_nearly_full()
{
	more_than "$(peak)" 128 || more_than "$(stalled)" $((stalled_before + 99999))
}

one_line_about_usage()
{
	ended_with 2 && [ ! -s "$folder/out" ] && [ "$(wc -l <"$folder/err")" -eq 1 ] &&
		grep -q '^usage: pressure' "$folder/err"
}

stalled_before=$(stalled)
run --rounds 2
if ended_with 77; then
	echo "1..0 # SKIP $(cat "$folder/err")"
	exit
fi
check 'with the host it lives' eval 'ended_with 0 && says "^lived at "'
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'it hears Low, then Neutral, and that again' told_matches \
	'^(Neutral |High )*(Low )+(Neutral |High )+(Low )+(Neutral |High )+$'
check 'each Low comes before the limit' more_than "$(least_left)" 0
check 'the group was nearly full' is_nearly_full
check 'and never full' more_than 256 "$(peak)"
check 'the drawing shows when' says '^ +was told +L'
check 'the group is gone' is_gone

run --without-host
check 'without the host it is killed' eval 'ended_with 1 && says "^killed .*\(signal 9\) at "'
check 'by the kernel' says '^killed by the kernel '
check 'at the limit' more_than "$(peak)" 250
check 'after it was told nothing' eval '[ -z "$(told)" ] && ! says "was told"'
check 'this group is gone, too' is_gone

# The shell has SIGINT ignored for what it runs beside itself.
: >"$folder/pid"
run &
for second in 1 2 3 4 5 6 7 8 9 10; do
	sleep 1
	[ -s "$folder/pid" ] && ! is_gone && break
done
check 'while it runs there is a group' eval '! is_gone'
kill -INT "$(cat "$folder/pid")"
wait $!
check 'after SIGINT there is none' is_gone
check 'nor a process' eval '! kill -0 "$(cat "$folder/pid")" 2>/dev/null'

for arguments in --no-such-option --rounds '--rounds 0' '--rounds x' '--rounds 4294967297' more \
	'--fast more' '--help more'; do
	# shellcheck disable=SC2086 # one word per argument
	run $arguments
	check "wrong arguments are one line: $arguments" one_line_about_usage
done

run --help
check 'help' eval 'ended_with 0 && says "^usage: pressure" && [ ! -s "$folder/err" ]'

end_of_tests
