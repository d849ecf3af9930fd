#!/bin/sh
#
# The CPython sample: what it prints is complete and true, whatever program it runs, and
# its exit status is the program's.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
cpython=$top_builddir/samples/cpython
count=0
failed=0

if [ ! -x "$cpython" ]; then
	echo '1..0 # SKIP samples/cpython was not built: configure found no CPython'
	exit
fi
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
# CPython itself keeps memory to its end, which a leak checker would report.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONINSPECT

# check NAME COMMAND...: ok if the command succeeds.
check()
{
	count=$((count + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $count - $name"
	else
		sed 's/^/# /' "$folder/out" "$folder/err"
		echo "not ok $count - $name"
		failed=1
	fi
}

# run ARGUMENT...: the sample's output in out and err, its status in $status.
run()
{
	"$cpython" "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

# script TEXT: what the script `x.py` holds from now on.
script()
{
	printf '%s\n' "$1" >"$folder/x.py"
}

ended_with()
{
	[ "$status" = "$1" ]
}

says()
{
	grep -Eq -- "$1" "$folder/out"
}

# The status of a program, and a report whose every check holds.
true_report()
{
	ended_with "$1" && says '^  ok +the books balance: ' && says '^  ok +.*the last Release' &&
		says "^  ok +CPython's own count" && ! says '^  WRONG'
}

# The number in column $2 of the first line that starts with $1, blanks before it aside.
number()
{
	awk -v name="$1" -v column="$2" '
		{ line = $0; sub(/^ +/, "", line) }
		index(line, name) == 1 {
			$0 = substr(line, length(name) + 1)
			print $column
			exit
		}' "$folder/out"
}

more_than()
{
	awk -v got="$1" -v than="$2" 'BEGIN { exit !(got != "" && got + 0 > than + 0) }'
}

run
check 'the workload runs and every number is true' true_report 0
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'it prints its own result' says 'Hobart +2,628,160\.60'
check 'the peak is above 20 MiB' more_than "$(number 'at the peak' 1)" 20
check 'arenas were asked for before CPython was up' more_than "$(number process-critical 1)" 0
check 'and after' more_than "$(number task-critical 1)" 20
check 'arenas came back while it ran' more_than "$(number 'VirtualFree, release' 1)" 20
check 'the peak is above what is left' more_than "$(number 'at the peak' 1)" \
	"$(number now 2)"

LC_ALL=C run
check 'without UTF-8 the drawing is plain' eval 'true_report 0 && ! LC_ALL=C grep -q "[^ -~]" "$folder/out"'

script 'import sys; print("arguments", sys.argv[1:], __name__, sys.path[0])'
run "$folder/x.py" one 'two three'
check 'a script runs as with python3' eval \
	'true_report 0 && says "arguments .*one.*two three.* __main__ $folder\$"'

script 'import sys; sys.exit(5)'
run "$folder/x.py"
check 'the exit status is that of the script' true_report 5

script 'x = ('
run "$folder/x.py"
check 'a syntax error is an error' eval 'ended_with 1 && grep -q "^SyntaxError" "$folder/err"'

script '1 / 0'
run "$folder/x.py"
check 'so is an exception' eval 'true_report 1 && grep -q "^ZeroDivisionError" "$folder/err"'

run "$folder/missing.py"
check 'a script that is not there takes one line' eval \
	'ended_with 2 && [ "$(wc -l <"$folder/err")" = 1 ] && grep -q missing.py "$folder/err"'

script '
import sys
def deep(n):
    return n and deep(n - 1) + 1
sys.setrecursionlimit(20000)
print(deep(10000))'
run "$folder/x.py"
check 'deep recursion takes stacks from the host' eval \
	'true_report 0 && more_than "$(number "stacks, for frames" 1)" 10'

script '
import threading
def work():
    for turn in range(5):
        data = [str(i) * 3 for i in range(20000)]
threads = [threading.Thread(target=work) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()'
run "$folder/x.py"
check 'threads' true_report 0

script '
import os, sys
data = [[i] for i in range(50000)]
child = os.fork()
if child == 0:
    data = [[i] for i in range(50000)]
    sys.exit(7)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))'
run "$folder/x.py"
check 'a child goes on by itself and reports nothing' eval \
	'true_report 0 && says "^child 7" && [ "$(grep -c "the books balance" "$folder/out")" = 1 ]'

PYTHONMALLOC=malloc run -c 'pass'
check 'PYTHONMALLOC does not take the arenas away' eval \
	'true_report 0 && more_than "$(number "arenas, for objects" 1)" 0'

run --help
check 'help' eval 'ended_with 0 && says "^usage: cpython"'

run --no-such-option
check 'an unknown option' eval 'ended_with 2 && [ -s "$folder/err" ]'

echo "1..$count"
exit "$failed"
