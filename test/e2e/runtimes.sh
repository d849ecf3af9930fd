#!/bin/sh
#
# `hostmem run` with the runtimes that are installed: a limit ends in the runtime's own
# out-of-memory error, which is caught, and after which it goes on; and a limit that is too
# small for it to start is told in one line, with what was needed.

set -u
. "${top_srcdir:-${srcdir:-.}}/test/e2e/running.sh"

if [ -n "$cannot" ]; then
	echo "1..0 # SKIP $cannot"
	exit
fi
built=$(cd "$top_builddir" && pwd)
cd "$folder" || exit
# What a runtime may end in is nothing to look into later.
ulimit -c 0

# recovers ERROR: the runtime said so, went on, and ended well.
recovers()
{
	[ "$status" = 0 ] && says "^caught.*$1" && says '^recovered$'
}

# Nothing was refused that is not task-critical.
refused_tasks()
{
	tells '^  refused +([1-9][0-9]*): \1 task-critical, 0 '
}

# What would be enough is not what there was, to the last digit.
needs_more()
{
	[ -z "$(sed -n 's/.*: the limit of \([0-9.]* [a-zA-Z]*\) .* needs at least \1.*/same/p' err)" ]
}

# too_small NAME: it failed, and the line says why.
too_small()
{
	[ "$status" != 0 ] && tells \
		"^hostmem: $1: the limit of [0-9.]+ [a-zA-Z]+ (is|may be) too small .* needs at least [1-9]" &&
		[ "$(grep -c ' too small ' err)" = 1 ] && needs_more
}

# small LIMIT NAME COMMAND...: which hello-size programs do not start with.
small()
{
	limit=$1
	file=$2
	shift 2
	run --limit "$limit" "$@"
	check "$file: with a limit of $limit it says what it needs" too_small "$file"
}

# missing NAME: if it is not installed; then that is said.
missing()
{
	command -v "$1" >/dev/null && return 1
	skip "$1" 'it is not installed'
}

# ---- CPython ----

cat >fill.py <<'END'
def fill(size):
    rows = []
    while True:
        rows.append(bytearray(size))
for size in 1 << 20, 1000, 1 << 24:
    try:
        fill(size)
    except MemoryError as error:
        print("caught MemoryError", size)
print(sum(range(1000)))
print("recovered", flush=True)
END
cat >forks.py <<'END'
import os
rows = bytearray(60 << 20)
del rows
child = os.fork()
if child == 0:
    rows = bytearray(9 << 20)
    os._exit(0)
os.waitpid(child, 0)
END

# Of each account, in the order of their ends.
peaks()
{
	sed -n 's/^  peak  *\([0-9]*\)\.[0-9] MiB.*/\1/p' err
}

forks_have_their_own_peak()
{
	[ "$status" = 0 ] && [ "$(peaks | wc -l)" = 2 ] &&
		[ "$(peaks | head -n 1)" -lt 40 ] && [ "$(peaks | tail -n 1)" -ge 60 ]
}

python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null)
if [ -z "$python" ]; then
	skip python3 'it is not installed'
else
	file=$(basename "$python")
	run --limit 64M --summary "$python" fill.py
	check 'CPython: MemoryError, three times' eval 'recovers MemoryError &&
		[ "$(grep -c ^caught out)" = 3 ] && account_of "$file" && refused_tasks'
	check 'it has all of the limit' tells '^  peak +6[0-9]\.[0-9] MiB of 64\.0 MiB$'
	run --limit 64M "$python" -c "$(printf 'x = bytearray(1 << 30)\n')"
	check 'one that is not caught is the end, by its own error' eval '[ "$status" = 1 ] &&
		tells "^MemoryError" && account_of "$file" && tells "[1-9]\.[0-9] GiB more were asked for"'
	run --limit 64M sh -c "\"\$0\" fill.py; exit 9" "$python"
	check 'in a shell it has its own profile and limit' eval '[ "$status" = 9 ] &&
		says "^recovered" && tells "^  peak .* of 64\.0 MiB\$"'
	ln -s "$python" thing
	script job "#!$folder/thing -S" 'print("profile of the interpreter")'
	run --limit 64M --summary ./job
	check 'a script has that of its interpreter' eval '[ "$status" = 0 ] &&
		account_of "$file" && tells "^  peak .* of 64\.0 MiB\$"'
	run --summary "$python" forks.py
	check 'a fork child has a peak of its own' forks_have_their_own_peak
	cat >many.yaml <<-'END'
		seed: 7
		faults:
		  - level: task
		    probability: 0.5
		    min: 1M
	END
	run --scenario many.yaml "$python" fill.py
	check 'refusals of a scenario' eval 'recovers MemoryError && tells "by a rule of the scenario"'
	cat >soft.py <<-'END'
		import sys, time
		rows = bytearray(64 << 20)
		time.sleep(float(sys.argv[1]))
	END
	for seconds in 0.2 2 8 30; do
		run --soft 32M --summary "$python" soft.py "$seconds"
		tells ' Low' && break
	done
	check 'a soft limit says Low' tells '^  notifications +[1-9][0-9]*: [1-9][0-9]* Low'
	small 0 "$file" "$python" -c 'print(1)'
	small 64K "$file" "$python" -c 'print(1)'
	small 1M "$file" "$python" -c 'print(1)'
fi

# ---- HotSpot ----

cat >Fill.java <<'END'
import java.util.*;
public class Fill {
	public static void main(String[] words) {
		List<byte[]> rows = new ArrayList<>();
		try {
			for (;;)
				rows.add(new byte[Integer.parseInt(words[0])]);
		} catch (OutOfMemoryError error) {
			rows = null;
			System.out.println("caught " + error);
		}
		System.out.println(new byte[100000].length > 0 ? "recovered" : "");
	}
}
END

if ! command -v javac >/dev/null || ! javac Fill.java >out 2>&1; then
	skip java 'no Java compiler is installed'
else
	cp out err
	java=$(command -v java)
	quiet='-XX:-UsePerfData -XX:-CreateCoredumpOnCrash -Xshare:auto'
	# A heap above the limit, so that it is the host which refuses.
	for collector in Serial Parallel; do
		most=200m
		[ "$collector" = Parallel ] && most=100m
		# shellcheck disable=SC2086 # words
		run --limit 160M --summary "$java" $quiet -Xmx$most -XX:+Use${collector}GC \
			-cp . Fill 1000000
		check "HotSpot, $collector: OutOfMemoryError" eval \
			'recovers java.lang.OutOfMemoryError && account_of java'
		[ "$collector" = Serial ] && check 'it was the host that refused' refused_tasks
	done
	# shellcheck disable=SC2086 # words
	run --limit 192M "$java" $quiet -cp . Fill 1000000
	check 'it sizes its heap by the limit, and nothing is refused' eval \
		'recovers java.lang.OutOfMemoryError && [ ! -s err ]'
	# shellcheck disable=SC2086 # words
	small 16M java "$java" $quiet -cp . Fill 1000
fi

# ---- V8 ----

cat >fill.js <<'END'
const rows = [];
try {
	for (;;)
		rows.push(new Uint8Array(4 << 20).fill(1));
} catch (error) {
	rows.length = 0;
	console.log('caught', error.name, error.message);
}
console.log([1, 2].map(x => x * 2).length === 2 ? 'recovered' : '');
END

if ! missing node; then
	node=$(readlink -f "$(command -v node)")
	run --limit 192M "$node" fill.js
	check 'V8: RangeError of an array buffer' eval 'recovers RangeError &&
		account_of node && refused_tasks && tells "^  note +V8 survives"'
	small 64K node "$node" -e 'console.log(1)'
	small 4M node "$node" -e 'console.log(1)'
fi

# ---- Lua ----

cat >fill.lua <<'END'
local rows = {}
local ok, why = pcall(function()
	for i = 1, 1e9 do
		rows[i] = ("x"):rep(100000) .. i
	end
end)
rows = nil
collectgarbage()
print("caught", why)
print(#("y"):rep(100000) > 0 and "recovered")
END

if ! missing lua5.4; then
	lua=$(readlink -f "$(command -v lua5.4)")
	run --limit 32M "$lua" fill.lua
	check 'Lua: not enough memory' eval 'recovers "not enough memory" &&
		account_of "lua5\.4" && refused_tasks'
	small 8K lua5.4 "$lua" -e 'print(1)'
fi

# ---- Ruby ----

cat >fill.rb <<'END'
rows = []
begin
  loop { rows << "x" * (1 << 20) }
rescue NoMemoryError => error
  rows = nil
  puts "caught NoMemoryError #{error.message}"
end
puts "recovered"
END

if ! missing ruby; then
	ruby=$(readlink -f "$(command -v ruby)")
	file=$(basename "$ruby")
	run --limit 128M "$ruby" fill.rb
	check 'Ruby: NoMemoryError' eval 'recovers NoMemoryError && account_of "$file" && refused_tasks'
	small 64K "$file" "$ruby" -e 'print 1'
	small 1M "$file" "$ruby" -e 'print 1'
fi

# ---- Guile ----

cat >fill.scm <<'END'
(use-modules (rnrs bytevectors))
(catch 'out-of-memory
  (lambda ()
    (let loop ((rows '()))
      (loop (cons (make-bytevector 4000000 1) rows))))
  (lambda error
    (display "caught out-of-memory")
    (newline)))
(display "recovered")
(newline)
END

if ! missing guile; then
	guile=$(readlink -f "$(command -v guile)")
	file=$(basename "$guile")
	run --limit 128M "$guile" --no-auto-compile fill.scm
	check 'Guile: out-of-memory' eval 'recovers out-of-memory && account_of "$file"'
	small 64K "$file" "$guile" --no-auto-compile -c '(display 1)'
fi

# ---- Mono and CoreCLR ----

cat >Fill.cs <<'END'
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
static class Fill {
	[MethodImpl(MethodImplOptions.NoInlining)]
	static void All() {
		var rows = new List<byte[]>();
		try {
			for (;;)
				rows.Add(new byte[2000000]);
		} catch (OutOfMemoryException error) {
			rows.Clear();
			Console.WriteLine("caught " + error.GetType());
		}
	}
	/* Nothing of it is left on the stack, which the collector takes for what it may be. */
	[MethodImpl(MethodImplOptions.NoInlining)]
	static int Over(int depth) {
		return depth == 0 ? 0 : Over(depth - 1) + 1;
	}
	static void Main() {
		All();
		Over(1000);
		GC.Collect();
		Console.WriteLine(new byte[2000000].Length > 0 ? "recovered" : "");
	}
}
END

if ! command -v mcs >/dev/null || ! mcs Fill.cs >out 2>&1; then
	skip 'mono and dotnet' 'no C# compiler is installed'
else
	cp out err
	export MONO_DEBUG=no-gdb-backtrace
	if ! missing mono; then
		mono=$(readlink -f "$(command -v mono)")
		file=$(basename "$mono")
		run --limit 128M "$mono" Fill.exe
		check 'Mono: OutOfMemoryException' eval 'recovers System.OutOfMemoryException &&
			account_of "$file" && refused_tasks && tells "^  note +Mono survives"'
		small 1M "$file" "$mono" Fill.exe
	fi
	coreclr=$(sed -n 's/^hm_coreclr = //p' "$built/Makefile")
	dotnet=$coreclr/../../../dotnet
	if [ ! -x "$dotnet" ]; then
		skip CoreCLR 'configure was told of none, or of one without a program to start it'
	else
		for library in System.Private.CoreLib System.Runtime System.Runtime.Extensions \
			System.Console System.Collections; do
			set -- "$@" "-r:$coreclr/$library.dll"
		done
		mcs -nostdlib -noconfig "$@" -out:fill.dll Fill.cs >out 2>&1
		printf '{ "runtimeOptions": { "framework": { "name": "%s", "version": "%s" },
			"configProperties": { "System.Globalization.Invariant": true } } }\n' \
			Microsoft.NETCore.App "$(basename "$coreclr")" >fill.runtimeconfig.json
		run --limit 96M "$dotnet" fill.dll
		check 'CoreCLR: OutOfMemoryException' eval 'recovers System.OutOfMemoryException &&
			account_of dotnet && refused_tasks'
		small 1M dotnet "$dotnet" fill.dll
	fi
fi
finish
