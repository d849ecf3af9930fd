#!/bin/sh
#
# The Mono sample: large arrays are taken until the budget refuses one, six times as many each
# time, and 40 rounds survive what is refused at random; blocks that were trimmed and given
# back in part leave the books, the host and the kernel with the same bytes; and programs of
# others run, with threads that Mono stops by signals.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sample=$top_builddir/samples/mono
runtime=Mono
. "$top_srcdir/test/e2e/sample.sh"
# Mono gives not all back at its end, which a leak checker would report, and looks for null
# pointers by what comes of them.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0:handle_segv=0:use_sigaltstack=0"
# Else it calls a debugger when it ends in an abort.
export MONO_DEBUG=no-gdb-backtrace
unset MONO_GC_DEBUG MONO_GC_PARAMS MONO_ENV_OPTIONS MONO_PATH
ulimit -c 0

# A refused runtime may hang.
run()
{
	timeout 120 "$sample" "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

# The books, all of which agree, to the byte.
true_books()
{
	ended_with "$1" && says '^  ok +the books balance: ' && says '^  ok +the kernel has ' &&
		! says '^  WRONG'
}

true_story()
{
	true_books 0 && says '^  ok +10 rounds of small objects$' &&
		says '^  ok +as many arrays in each of 6 rounds$' &&
		says '^  ok +[0-9]+ of 40 rounds ended in an OutOfMemoryException, none in a wrong sum' &&
		[ "$(grep -c "^  ok  *$runtime's own count: " "$folder/out")" = 2 ]
}

# What the six rounds came to; nothing if they differ, or are not six.
arrays()
{
	sed -n 's/^  round [1-6]: \([0-9]*\) arrays of 2048 KiB, then OutOfMemoryException$/\1/p' \
		"$folder/out" | sort | uniq -c | awk '{ if (NR == 1 && $1 == 6) n = $2; else n = "" }
			END { print n }'
}

# A refused request at random leaves some rounds whole and cuts others short.
survived()
{
	cut=$(sed -n 's/^  ok  *\([0-9]*\) of 40 rounds ended .*/\1/p' "$folder/out")
	more_than "$cut" 0 && more_than 40 "$cut" &&
		more_than "$(sed -n 's/.* \([0-9]*\) requests refused at random$/\1/p' \
			"$folder/out")" 20
}

run
check 'the story runs and every number is true' true_story
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'its imports of pages and blocks are replaced' eval \
	'more_than "$(sed -n "s/^Mono, \([0-9]*\) imports replaced, .*/\1/p" "$folder/out")" 9'
check 'six times there is as much memory' more_than "$(arrays)" 25
check 'which is what the budget has for large arrays' more_than 48 "$(arrays)"
check '40 rounds survive what is refused at random' survived
check 'the host refused' more_than "$(number refused 1)" 26
check 'the limit holds' peak_between 70 128
check 'there were requests that Mono needs to live, and blocks that it trimmed' \
	more_than "$(number process-critical 1)" 1500
check 'and more bytes that it does not' more_than "$(number task-critical 2)" 400
check 'blocks were on a heap of the host' more_than "$(number 'blocks in the heap' 1)" 500
check 'most of what it had it has given back' more_than 40 "$(number 'charged now' 1)"

LC_ALL=C run
check 'without UTF-8 the drawing is plain' eval \
	'true_story && ! LC_ALL=C grep -q "[^ -~]" "$folder/out"'

run --limit 64
check 'it runs in 64 MiB, too' eval 'true_story && more_than "$(arrays)" 5 && peak_between 40 64'

run --limit 1
check 'with too little memory it does not start, and says so' eval \
	'! ended_with 0 && ! ended_with 124 && [ -s "$folder/err" ]'

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

	/* Small objects, and collections, for which each thread is stopped by a signal. */
	static int Collect()
	{
		int sum = 0;

		for (int i = 0; i < 300000; i++) {
			var item = new object[] { i, new byte[i % 100] };

			sum += item.Length;
			if (i % 30000 == 0)
				GC.Collect();
		}
		return sum == 600000 ? 1 : 0;
	}

	static int Threads(int count, Func<int> work)
	{
		var threads = new Thread[count];
		int sum = 0;

		for (int i = 0; i < threads.Length; i++) {
			threads[i] = new Thread(() => Interlocked.Add(ref sum, work()));
			threads[i].Start();
		}
		foreach (var thread in threads)
			thread.Join();
		return sum;
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
			foreach (int size in new[] { 1 << 20, 3 << 20, (4 << 20) + 5, 2 << 20 })
				Console.WriteLine("{0}: {1}", size, Catch(size));
			break;
		case "threads":
			Console.WriteLine("caught {0}", Threads(4, () => Catch(2 << 20)));
			break;
		case "collect":
			Console.WriteLine("collected {0}", Threads(8, Collect));
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
mcs -out:"$folder/x.exe" "$folder/x.cs" >"$folder/out" 2>"$folder/err"
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
check 'so does an exception' eval \
	'true_books 1 && grep -q "^System.Exception: gone wrong" "$folder/err"'

run --limit 96 "$folder/x.exe" sizes
check 'who outgrows the budget gets an OutOfMemoryException and goes on' eval \
	'true_books 4 && [ "$(grep -c ": 1\$" "$folder/out")" = 4 ]'
check 'the limit holds here, too' peak_between 60 96

run --limit 96 "$folder/x.exe" threads
check 'so does each of four threads' eval 'true_books 4 && says "^caught 4\$"'

failures=0
for attempt in 1 2 3 4 5 6; do
	run "$folder/x.exe" collect
	true_books 4 && says '^collected 8$' || failures=$((failures + 1))
done
check 'eight threads are stopped for collections while they ask for memory' [ "$failures" = 0 ]

run "$folder/missing.exe"
check 'a program that is not there' eval \
	'ended_with 1 && grep -q "^mono: .*missing.exe: No such file" "$folder/err"'

run "$folder/x.cs"
check 'what is no program' eval \
	'ended_with 1 && grep -q "^mono: .*x.cs: it is no program for Mono" "$folder/err"'

run --help
check 'help' eval 'ended_with 0 && says "^usage: mono"'

run --no-such-option
check 'an unknown option' eval 'ended_with 2 && grep -q "^usage: mono" "$folder/err"'

run --limit 0
check 'a limit that is no size' eval 'ended_with 2 && grep -q "^usage: mono" "$folder/err"'

end_of_tests
