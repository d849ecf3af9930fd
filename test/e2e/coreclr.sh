#!/bin/sh
#
# The CoreCLR sample: memory is taken until the budget refuses it, six times as much each time,
# and 40 rounds of work survive what is refused at random; what it prints is complete and
# true, whatever program it runs; and its exit status is the program's.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sample=$top_builddir/samples/coreclr
runtime=CoreCLR
. "$top_srcdir/test/e2e/sample.sh"
# CoreCLR gives nothing back at its end, which a leak checker would report; and at the end of
# a thread it frees the stack for signals that it finds, be it AddressSanitizer's.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0:use_sigaltstack=0"
for name in $(env | sed -n 's/^\(COMPlus_[^=]*\)=.*/\1/p'); do
	unset "$name"
done

# CoreCLR may end in an abort, which is nothing to look into later.
ulimit -c 0

# A refused runtime may hang.
run()
{
	timeout 120 "$sample" "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

# The books, all of which agree; CoreCLR's own count is the story's.
true_books()
{
	ended_with "$1" && says '^  ok +the books balance: ' && says '^  ok +the kernel has ' &&
		! says '^  WRONG'
}

true_story()
{
	true_books 0 && says "^  ok +CoreCLR's own count: as many in each of 6 rounds," &&
		says '^  ok +[0-9]+ of 40 rounds ended in an OutOfMemoryException, none in a wrong sum'
}

# What the first of six rounds came to; nothing if they differ by more than what CoreCLR needs
# itself, or are not six.
blocks()
{
	sed -n 's/^  round [1-6]: \([0-9]*\) blocks of 256 KiB, then OutOfMemoryException$/\1/p' \
		"$folder/out" | awk 'NR == 1 { first = least = most = $1 }
			$1 < least { least = $1 }
			$1 > most { most = $1 }
			END { if (NR == 6 && most - least <= 1 + first / 100) print first }'
}

# A refused commit at random leaves some rounds whole and cuts others short.
survived()
{
	cut=$(sed -n 's/^  ok  *\([0-9]*\) of 40 rounds ended .*/\1/p' "$folder/out")
	more_than "$cut" 0 && more_than 40 "$cut" &&
		more_than "$(sed -n 's/.* \([0-9]*\) requests refused at random$/\1/p' \
			"$folder/out")" 20
}

run
framework=$(sed -n 's/^CoreCLR of \(.*\),$/\1/p' "$folder/out")
check 'the story runs and every number is true' true_story
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'its imports of pages and blocks are replaced' eval \
	'more_than "$(sed -n "s/^\([0-9]*\) imports replaced, .*/\1/p" "$folder/out")" 5'
check 'six times there is as much memory' more_than "$(blocks)" 250
check 'which is what the budget has for the collected heap' more_than 385 "$(blocks)"
check '40 rounds survive what is refused at random' survived
check 'the host refused' more_than "$(number refused 1)" 26
check 'the limit holds' peak_between 90 128
check 'there were requests that CoreCLR needs to live' more_than "$(number process-critical 1)" 50
check 'and more that it does not' more_than "$(number task-critical 1)" 1000
check 'blocks were on a heap of the host' more_than "$(number 'blocks in the heap' 1)" 500

LC_ALL=C run
check 'without UTF-8 the drawing is plain' eval \
	'true_story && ! LC_ALL=C grep -q "[^ -~]" "$folder/out"'

# Where CoreCLR finds room for its code is chance, and which memory that is must not matter.
failures=0
for attempt in 1 2 3 4 5 6; do
	run --limit 256
	true_story && [ -n "$(blocks)" ] || failures=$((failures + 1))
done
check 'where its code lies does not matter' [ "$failures" = 0 ]

run --limit 16
check 'it runs in 16 MiB, too' eval 'true_story && more_than "$(blocks)" 10 && peak_between 8 16'

run --limit 1
check 'with too little memory it does not start' eval '! ended_with 0 && ! ended_with 124'

# Programs of others, compiled as one compiles them.
cat >"$folder/x.cs" <<'END'
using System;
using System.Collections.Generic;
using System.Threading;

static class Program
{
	static List<object> kept = new List<object>();

	static void Grow(int size)
	{
		var list = new List<object>();

		for (long sum = 0; sum < 1L << 30; sum += size)
			list.Add(new byte[size]);
	}

	static int Catch(int size)
	{
		try {
			Grow(size);
		} catch (OutOfMemoryException) {
			return 1;
		}
		return 0;
	}

	static void Threads()
	{
		var threads = new Thread[4];
		int caught = 0;

		for (int i = 0; i < threads.Length; i++) {
			threads[i] = new Thread(() => Interlocked.Add(ref caught, Catch(100000)));
			threads[i].Start();
		}
		foreach (var thread in threads)
			thread.Join();
		Console.WriteLine("caught {0}", caught);
	}

	static int Main(string[] arguments)
	{
		var what = arguments.Length > 0 ? arguments[0] : "";

		Console.WriteLine("{0} arguments: {1}", arguments.Length,
			string.Join("|", arguments));
		switch (what) {
		case "exit":
			Environment.Exit(5);
			break;
		case "throw":
			throw new Exception("gone wrong");
		case "sizes":
			foreach (int size in new[] { 24, 1000, 80000, 100000, 4 << 20, 24 })
				Console.WriteLine("{0}: {1}", size, Catch(size));
			break;
		case "threads":
			Threads();
			break;
		case "keep":
			kept.Add(new byte[200 << 20]);
			Console.WriteLine("has 200 MiB");
			break;
		}
		return 4;
	}
}
END
mcs -noconfig -nostdlib -nowarn:1702 -out:"$folder/x.exe" -lib:"$framework" \
	-r:System.Collections.dll -r:System.Console.dll -r:System.Private.CoreLib.dll \
	-r:System.Runtime.dll -r:System.Runtime.Extensions.dll -r:System.Threading.Thread.dll \
	-r:System.Threading.dll "$folder/x.cs" >"$folder/out" 2>"$folder/err"
check 'a program compiles' [ -f "$folder/x.exe" ]

run "$folder/x.exe" 'one two' three
check 'it gets its arguments, and its status is the exit status' eval \
	'true_books 4 && says "^2 arguments: one two\|three\$"'
check 'it has no limit' eval '! says "the limit"'

run "$folder/x.exe" keep
check 'nor is anything refused' eval 'true_books 4 && says "^has 200 MiB" &&
	[ "$(number refused 1)" = 0 ] && more_than "$(number "at the peak" 1)" 200'

run "$folder/x.exe" exit
check 'Environment.Exit ends it' true_books 5

run "$folder/x.exe" throw
check 'so does an exception, as it ends CoreCLR' eval \
	'ended_with 134 && grep -q "^Unhandled Exception: System.Exception: gone wrong" "$folder/err"'

run --limit 96 "$folder/x.exe" sizes
check 'who outgrows the budget gets an OutOfMemoryException and goes on' eval \
	'true_books 4 && [ "$(grep -c ": 1\$" "$folder/out")" = 6 ]'
check 'the limit holds here, too' peak_between 64 96

run --limit 96 "$folder/x.exe" threads
check 'so does each of four threads' eval 'true_books 4 && says "^caught 4\$"'

run "$folder/missing.exe"
check 'a program that is not there' eval \
	'ended_with 1 && grep -q "^coreclr: .*missing.exe: No such file" "$folder/err"'

run --help
check 'help' eval 'ended_with 0 && says "^usage: coreclr"'

run --no-such-option
check 'an unknown option' eval 'ended_with 2 && grep -q "^usage: coreclr" "$folder/err"'

run --limit 0
check 'a limit that is no size' eval 'ended_with 2 && grep -q "^usage: coreclr" "$folder/err"'

end_of_tests
