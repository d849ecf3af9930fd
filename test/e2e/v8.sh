#!/bin/sh
#
# The V8 sample: a script that outgrows the budget gets V8's own RangeError, one that outgrows
# V8's heap is ended, and the next one finds all of it free; the host never refuses what
# V8 cannot do without; and in the end V8 has given everything back.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sample=$top_builddir/samples/v8
runtime='V8 10.2 (see configure --with-v8)'
. "$top_srcdir/test/e2e/sample.sh"

# V8 that waits for ever fails a test and does not stop them all.
run()
{
	timeout 120 "$sample" "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

# after TEXT: the script `$folder/after`, which runs where another has ended.
after()
{
	printf '%s\n' "$1" >"$folder/after"
}

clean()
{
	ended_with "$1" && says '^  ok +now: 0 regions, 0 blocks, 0 charged$' &&
		says '^  ok +the books balance' && says '^  ok +the host has ended$' &&
		! says '^  WRONG'
}

# The number of requests of the level that were refused.
refused()
{
	awk -v level="$1" '$1 == level { getline; print $2; exit }' "$folder/out"
}

# What V8 cannot do without was granted, each time.
kept_alive()
{
	clean "$1" && [ "$(refused process-critical)" = 0 ]
}

terminated()
{
	says "^  $folder/x +terminated: V8's heap was at its limit\$"
}

run
check 'the built-in scripts run, every number is true, and nothing is left' kept_alive 0
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'ArrayBuffers: a RangeError' says '1000 pictures at once +RangeError: Array buffer allocation failed$'
check 'memory of WebAssembly: a RangeError' \
	says 'RangeError: WebAssembly.Memory\(\): could not allocate memory$'
check 'that is to grow: a RangeError' \
	says 'RangeError: WebAssembly.Memory.grow\(\): Unable to grow instance memory$'
check 'it was the host who refused, at the lowest level' more_than "$(refused task-critical)" 3
check 'the heap: the script is ended' says "a list without end +terminated: V8's heap"
check 'the isolate lives, and the sums are right' eval \
	'says "a list of 100000 numbers +4999950000\$" && says "1000 pictures, one by one +124506\$"'
check 'the limit holds' peak_between 40 128
check 'V8 gave back each region' eval \
	'says "^  ok +regions: ([0-9]+) reserved, \1 released\$" && more_than "$(number "ok     regions:" 1)" 100'
check 'and each buffer' says '^  ok +ArrayBuffers: ([0-9]+) blocks, \1 freed$'

# Holds all the ArrayBuffers that there can be, and then needs the heap.
script '
const held = [];
try { for (;;) held.push(new Uint8Array(1 << 20)); } catch (error) { print(error); }
print("held", held.length);
for (;;) held.push({ held });'
after 'print("after", charged() < 8 << 20, Array.from({ length: 20 }, () => new Uint8Array(1 << 20)).length);'
for limit in 64 128 256; do
	run --limit $limit "$folder/x" "$folder/after" "$folder/x" "$folder/after"
	check "of $limit MiB buffers and the heap together take no more than there is" eval \
		'kept_alive 1 && terminated && peak_between 1 '$limit
	check 'and what both had is free again, twice' eval \
		'[ "$(grep -c "^after true 20\$" "$folder/out")" = 2 ] &&
		[ "$(grep -c "^RangeError: Array buffer" "$folder/out")" = 2 ] &&
		[ "$(grep "^held" "$folder/out" | sort -u | wc -l)" = 1 ]'
done

# Each takes the heap in another way.
after 'print("after", [1, 2, 3].map(x => x * 2).join());'
for work in 'const l = []; try { for (;;) l.push({ l }); } finally { print("finally"); }' \
	'const l = []; async function f() { for (;;) { l.push({ l }); await 0; } } f();' \
	'const l = []; for (;;) l.push(new Function("return " + l.length));' \
	'const l = []; function f() { l.push([1]); f(); } for (;;) try { f() } catch (e) {}' \
	'const o = {}; for (let i = 0;; i++) o["k" + i] = i;' \
	'const l = []; for (;;) l.push(123456789012345678901234567890n ** 1000n);'; do
	script "$work"
	run --limit 64 "$folder/x" "$folder/after"
	check "ended, and V8 goes on: $work" eval \
		'kept_alive 1 && terminated && says "^after 2,4,6\$" && ! says finally'
done

script 'const l = []; for (;;) l.push({ l });'
run --limit 64 "$folder/x" "$folder/x" "$folder/x" "$folder/x" "$folder/x" "$folder/x" "$folder/after"
check 'six times the heap is full, and each time its old limit holds again' eval 'kept_alive 1 &&
	[ "$(grep -c "terminated: V8" "$folder/out")" = 6 ] && says "^after 2,4,6\$" &&
	peak_between 16 40'

script '
let zero = true;
for (let i = 0; i < 200; i++) {
  const bytes = new Uint8Array(100 << i % 10);
  zero = zero && bytes.every(byte => byte === 0);
  bytes.fill(255);
}
print("zero", zero);'
run --limit 64 "$folder/x"
check 'a new ArrayBuffer is zero, whatever was there' eval 'kept_alive 0 && says "^zero true\$"'

script '
for (let round = 0; round < 6; round++) {
  const held = [];
  try { for (;;) held.push(new WebAssembly.Memory({ initial: 16, maximum: 32 })); }
  catch (error) { print(held.length > 8, error); }
  const grown = held.filter(memory => {
    try { memory.grow(16); return true; } catch (error) { return false; }
  });
  print("grown", grown.length < 2);
}'
run --limit 64 "$folder/x"
check 'memories of WebAssembly, refused and collected, six rounds' eval 'kept_alive 0 &&
	[ "$(grep -c "^true RangeError: WebAssembly.Memory" "$folder/out")" = 6 ] &&
	[ "$(grep -c "^grown true\$" "$folder/out")" = 6 ]'

script '
const code = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127,
  3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11]);
print("now", new WebAssembly.Instance(new WebAssembly.Module(code)).exports.add(40, 5));
WebAssembly.instantiate(code).then(({ instance }) => {
  let sum = 0;
  for (let i = 0; i < 1e6; i++) sum = instance.exports.add(sum, i % 10);
  print("later", sum);
});'
run --limit 64 "$folder/x"
check 'a program of WebAssembly runs, also one that is compiled on another thread' eval \
	'kept_alive 0 && says "^now 45\$" && says "^later 4500000\$"'

script '
let garbage = [];
for (let i = 0; i < 200000; i++) garbage.push({ i });
garbage = null;
const before = charged();
low();
for (let i = 0; i < 1e7 && charged() > before / 2; i++);
print("collected", before > 8 << 20, charged() <= before / 2);'
run "$folder/x"
check 'V8 collects when the host says that memory is low' eval \
	'kept_alive 0 && says "^collected true true\$"'

script 'const l = []; for (;;) l.push(new SharedArrayBuffer(1 << 20));'
run --limit 64 "$folder/x" "$folder/after"
check 'nobody catches the error' eval 'kept_alive 1 && says "^after 2,4,6\$" &&
	grep -q "^v8: $folder/x: RangeError: Array buffer allocation failed\$" "$folder/err"'

script 'print(new Array(3e7).fill(1.5).length)'
run --limit 64 "$folder/x" "$folder/after"
check 'one object of V8 that is larger than all of its heap is the end, and it says so' eval \
	'ended_with 4 && tail -n 1 "$folder/err" | grep -q "^v8: V8 cannot go on without memory: "'

run "$folder/x"
check 'a script has no limit' eval 'clean 0 && says "^30000000\$" && ! says "the limit"'

script 'let x = ;'
run "$folder/x"
check 'a syntax error is an error' eval 'clean 1 && grep -q "SyntaxError" "$folder/err"'

script 'throw "a text"'
run "$folder/x"
check 'so is what is thrown' eval 'clean 1 && grep -q "^v8: $folder/x: a text\$" "$folder/err"'

run "$folder/missing.js" "$folder/after"
check 'and a script that is not there' eval \
	'clean 1 && grep -q "missing.js" "$folder/err" && says "^after"'

run --limit 32 "$folder/after"
check 'the least limit suffices' eval 'kept_alive 0 && says "^after 2,4,6\$"'

for bad in '--limit 31' '--limit much' '--limit' '--no-such-option' '--limit 64 --jitless'; do
	# shellcheck disable=SC2086 # words
	run $bad
	check "not an option: $bad" eval 'ended_with 2 && grep -q "^usage: v8" "$folder/err"'
done

run --help
check 'help' eval 'ended_with 0 && says "^usage: v8"'

end_of_tests
