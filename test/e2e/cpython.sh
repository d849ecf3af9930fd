#!/bin/sh
#
# The CPython sample: what it prints is complete and true, whatever program it runs, and
# its exit status is the program's.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sample=$top_builddir/samples/cpython
runtime=CPython
. "$top_srcdir/test/e2e/sample.sh"
# CPython itself keeps memory to its end, which a leak checker would report.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONINSPECT

run
check 'the workload runs and every number is true' true_report 0
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'it prints its own result' says 'Hobart +2,628,160\.60'
check 'arenas were asked for before CPython was up' more_than "$(number process-critical 1)" 0
check 'and after' more_than "$(number task-critical 1)" 20
check 'arenas came back while it ran' more_than "$(number 'VirtualFree, release' 1)" 20
check 'large objects were blocks' more_than "$(number 'Alloc, for a block' 1)" 100000
check 'which came back, too' more_than "$(number 'Free' 1)" 100000
check 'what it had at the end is less than the peak' more_than "$(number 'at the peak' 1)" \
	"$(number 'charged now' 1)"
check 'a year at once is refused' says '^  the year: MemoryError'
check 'by the host' more_than "$(number refused 1)" 0
check 'who keeps to the limit' peak_between 110 128
check 'and what follows gives the right sum' says 'Lisbon +2,238,273\.33'

LC_ALL=C run
check 'without UTF-8 the drawing is plain' eval 'true_report 0 && ! LC_ALL=C grep -q "[^ -~]" "$folder/out"'

script 'import sys; print("arguments", sys.argv[1:], __name__, sys.path[0])'
run "$folder/x" one 'two three'
check 'a script runs as with python3' eval \
	'true_report 0 && says "arguments .*one.*two three.* __main__ $folder\$"'

script 'import sys; sys.exit(5)'
run "$folder/x"
check 'the exit status is that of the script' true_report 5

script 'x = ('
run "$folder/x"
check 'a syntax error is an error' eval 'ended_with 1 && grep -q "^SyntaxError" "$folder/err"'

script '1 / 0'
run "$folder/x"
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
run "$folder/x"
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
run "$folder/x"
check 'threads' true_report 0

script '
import os, sys
data = [[i] for i in range(50000)]
child = os.fork()
if child == 0:
    data = [[i] for i in range(50000)]
    sys.exit(7)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))'
run "$folder/x"
check 'a child goes on by itself and reports nothing' eval \
	'true_report 0 && says "^child 7" && [ "$(grep -c "the books balance" "$folder/out")" = 1 ]'

# What asks for memory in several ways, and does not know when to stop.
script '
def arenas():
    return [[i] for i in range(10**8)]
def blocks():
    return [bytes(5000) for i in range(10**8)]
def dictionary():
    return {str(i): i for i in range(10**8)}
def growing():
    data = bytearray()
    while True:
        data += b"x" * 4096
def parsing():
    return compile("x = [" + "a + b, " * 10**6 + "]", "large", "exec")
for turn in range(3):
    for work in (arenas, blocks, dictionary, growing, parsing):
        try:
            work()
        except MemoryError:
            print("MemoryError in", work.__name__)
    assert sum([i * i for i in range(1000)]) == 332833500
    assert len({str(i): i for i in range(10000)}) == 10000'
run --limit 48 "$folder/x"
check 'who outgrows the budget gets a MemoryError and goes on, again and again' eval \
	'true_report 0 && [ "$(grep -c "^MemoryError in" "$folder/out")" = 15 ]'
check 'the limit holds' peak_between 40 48

# CPython calls for these blocks without its lock.
script '
import lzma, threading
text = lzma.compress(bytes(3 << 20), preset=0)
results = []
def work():
    for turn in range(400):
        if turn >= 8 and "MemoryError" in results:
            break
        try:
            results.append(len([lzma.decompress(text) for i in range(4)]) == 4)
        except MemoryError:
            results.append("MemoryError")
threads = [threading.Thread(target=work) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(len(results) >= 32, set(results) <= {True, "MemoryError"}, "MemoryError" in results)'
run --limit 32 "$folder/x"
check 'threads that outgrow it together' eval 'true_report 0 && says "^True True True"'

script 'print(len(bytearray(300 << 20)))'
run "$folder/x"
check 'a script has no limit' eval 'true_report 0 && says "^314572800" && ! says "the limit"'

run --limit 100 "$folder/x"
check 'unless it is given one; nobody catches that' eval \
	'true_report 1 && grep -q "^MemoryError" "$folder/err"'

run --limit 1 -c 'print(45)'
check 'with too little memory it does not start, and says so' eval \
	'[ "$status" != 0 ] && [ -s "$folder/err" ] && ! says 45'

run --limit 8 -c 'print(45)'
check 'a little is enough' eval 'true_report 0 && says "^45\$"'

PYTHONMALLOC=malloc run -c 'pass'
check 'PYTHONMALLOC does not take the arenas away' eval \
	'true_report 0 && more_than "$(number "arenas, for objects" 1)" 0'

run --help
check 'help' eval 'ended_with 0 && says "^usage: cpython"'

run --limit much
check 'a limit that is no number' eval 'ended_with 2 && grep -q "^usage: cpython" "$folder/err"'

run --no-such-option
check 'an unknown option' eval 'ended_with 2 && [ -s "$folder/err" ]'

end_of_tests
