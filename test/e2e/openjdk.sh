#!/bin/sh
#
# The OpenJDK sample: memory is taken until the budget refuses it, six times as much each time,
# with the Serial and the Parallel collector; direct buffers, too; the virtual machine's own
# figures are the host's; programs of others run, with threads that outgrow the budget
# together, and their exit status is the sample's.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sample=$top_builddir/samples/openjdk
runtime=OpenJDK
. "$top_srcdir/test/e2e/sample.sh"
# OpenJDK gives nothing back at its end, which a leak checker would report, and looks for null
# pointers by what comes of them.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0:handle_segv=0"
unset CLASSPATH JAVA_OPTIONS JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS

# OpenJDK may end in an abort, which is nothing to look into later; and a refused runtime may
# hang.
ulimit -c 0

run()
{
	timeout 120 "$sample" "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

true_books()
{
	ended_with "$1" && says '^  ok +the books balance: ' && says '^  ok +the kernel has ' &&
		says '^  ok +DestroyJavaVM$' && ! says '^  WRONG'
}

# The same after System.exit.
true_exit()
{
	ended_with "$1" && says '^  ok +the books balance: ' && ! says '^  WRONG'
}

true_story()
{
	true_books 0 && says '^  ok +as many arrays in each of 6 rounds$' &&
		says '^  ok +the agent heard of 6 OutOfMemoryErrors, of each$' &&
		says '^  ok +as many direct buffers in each of 2 rounds$' &&
		[ "$(arrays | wc -l)" = 6 ] && [ "$(buffers | wc -l)" = 2 ]
}

# What each round came to.
arrays()
{
	sed -n 's/^  round [1-6]: \([0-9]*\) arrays of 256 KiB, then OutOfMemoryError: Java heap space$/\1/p' \
		"$folder/out" | sort -n
}

buffers()
{
	sed -n 's/^  round [12]: \([0-9]*\) direct buffers of 4096 KiB, then OutOfMemoryError: Unable to allocate 4194304 bytes$/\1/p' \
		"$folder/out" | sort -n
}

# nearly_equal A B: the greater one is not greater by more than a 50th.
nearly_equal()
{
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b && b <= a * 1.02) }'
}

run
jdk=$(sed -n 's/^OpenJDK of \(.*\),$/\1/p' "$folder/out")
check 'the story runs and every number is true' true_story
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'its imports of pages and blocks are replaced' eval \
	'more_than "$(sed -n "s/^\([0-9]*\) imports replaced, .*/\1/p" "$folder/out")" 7'
check 'six times there is as much memory' nearly_equal "$(arrays | head -n 1)" "$(arrays | tail -n 1)"
check 'which is most of what the budget has' more_than "$(arrays | head -n 1)" 440
check 'direct buffers come from the same budget' more_than "$(buffers | head -n 1)" 20
check 'the heap has what OpenJDK says, small and large' eval \
	'[ "$(grep -c "^  ok  *OpenJDK.s own count: " "$folder/out")" = 2 ]'
check 'the host refused' more_than "$(number refused 1)" 8
check 'the limit holds' peak_between 140 192
check 'there were requests that OpenJDK needs to live' more_than "$(number process-critical 1)" 50
check 'and more bytes that it does not' more_than "$(number task-critical 2)" 500
check 'blocks were on a heap of the host' more_than "$(number 'blocks in the heap' 1)" 1000

LC_ALL=C run
check 'without UTF-8 the drawing is plain' eval \
	'true_story && ! LC_ALL=C grep -q "[^ -~]" "$folder/out"'

run -XX:+UseParallelGC
check 'the Parallel collector goes on, too' true_story
check 'and keeps to the limit' peak_between 140 192

# Programs of others, compiled as one compiles them.
cat >"$folder/Program.java" <<'END'
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

class Program {
	static List<Object> kept = new ArrayList<>();

	static void grow(int size) {
		List<Object> list = new ArrayList<>();

		for (long sum = 0; sum < 1L << 30; sum += size)
			list.add(new byte[size]);
	}

	static int caught(int size) {
		try {
			grow(size);
		} catch (OutOfMemoryError error) {
			return 1;
		}
		return 0;
	}

	static synchronized void count(int[] sum, int more) {
		sum[0] += more;
	}

	static void threads() throws InterruptedException {
		Thread[] threads = new Thread[8];
		int[] sum = new int[1];

		for (int i = 0; i < threads.length; i++) {
			threads[i] = new Thread(() -> {
				while (caught(100000) == 0)
					;
				count(sum, 1);
			});
			threads[i].start();
		}
		for (Thread thread : threads)
			thread.join();
		System.out.println("caught " + sum[0]);
	}

	public static void main(String[] arguments) throws Exception {
		String what = arguments.length > 0 ? arguments[0] : "";

		System.out.println(arguments.length + " arguments: " + String.join("|", arguments));
		switch (what) {
		case "exit":
			System.exit(5);
			break;
		case "throw":
			throw new Exception("gone wrong");
		case "sizes":
			for (int size : new int[] { 1000, 65520, 100000, 4 << 20 })
				System.out.println(size + ": " + caught(size));
			break;
		case "small":
			System.out.println("24: " + caught(24));
			break;
		case "threads":
			threads();
			break;
		case "later":
			new Thread(() -> {
				caught(100000);
				System.out.println("later");
			}).start();
			break;
		case "keep":
			kept.add(ByteBuffer.allocateDirect(100 << 20));
			kept.add(new byte[100 << 20]);
			System.out.println("has 200 MiB");
			break;
		}
	}
}
END
"$jdk/bin/javac" -d "$folder" "$folder/Program.java" >"$folder/out" 2>"$folder/err"
check 'a program compiles' [ -f "$folder/Program.class" ]

# program OPTIONS CLASS [ARGUMENT...]
program()
{
	options=$1
	shift
	# shellcheck disable=SC2086 # words
	run $options -Djava.class.path="$folder" "$@"
}

program '' Program 'one two' three
check 'it gets its arguments' eval 'true_books 0 && says "^2 arguments: one two\|three\$"'
check 'it has no limit' eval '! says "the limit"'

program -Xmx512m Program keep
check 'nor is anything refused' eval 'true_books 0 && says "^has 200 MiB" &&
	[ "$(number refused 1)" = 0 ] && more_than "$(number "at the peak" 1)" 200'

program '' Program exit
check 'System.exit ends it' true_exit 5

program '' Program throw
check 'so does an exception' eval \
	'true_books 1 && grep -q "^Exception in thread .* java.lang.Exception: gone wrong" "$folder/err"'

for collector in Serial Parallel; do
	program "--limit 128 -XX:+Use${collector}GC" Program sizes
	check "$collector: who outgrows the budget gets an OutOfMemoryError and goes on" eval \
		'true_books 0 && [ "$(grep -c ": 1\$" "$folder/out")" = 4 ] && peak_between 64 128'

	program "--limit 128 -XX:+Use${collector}GC" Program threads
	check "$collector: so does each of eight threads" eval 'true_books 0 && says "^caught 8\$"'
done

# The Parallel collector does so, too, after minutes.
program '--limit 128' Program small
check 'so does who has many small objects' eval 'true_books 0 && says "^24: 1\$"'

program '--limit 128' Program later
check 'DestroyJavaVM waits for threads' eval 'true_books 0 && says "^later\$"'

run Missing
check 'a class that is not there' eval 'true_books 1 && grep -q "NoClassDefFoundError: Missing" "$folder/err"'

program '--limit 48' Program threads
check 'it runs in 48 MiB, too' eval 'true_books 0 && says "^caught 8\$" && peak_between 16 48'

run --limit 1
check 'with too little memory it does not start' eval '! ended_with 0 && ! ended_with 124'

run -XX:+NoSuchOption
check 'an option that OpenJDK does not know' eval \
	'ended_with 1 && grep -hq "NoSuchOption" "$folder/out" "$folder/err"'

run --help
check 'help' eval 'ended_with 0 && says "^usage: openjdk"'

run --no-such-option
check 'an unknown option' eval 'ended_with 2 && grep -q "^usage: openjdk" "$folder/err"'

run --limit 0
check 'a limit that is no size' eval 'ended_with 2 && grep -q "^usage: openjdk" "$folder/err"'

end_of_tests
