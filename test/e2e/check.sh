#!/bin/sh
#
# `hostmem check`: it is silent about scenarios that are right, those that are installed among
# them, and tells each mistake in others with its line and its key; whatever is no scenario
# at all takes one line; the manual has each key.

set -u
LC_ALL=C
export LC_ALL
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
program=$top_builddir/hostmem/cli/hostmem
libraries=$top_builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
count=0
failed=0
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT

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

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# run ARGUMENT...: in the folder; the output in out and err, the status in $status.
run()
{
	program=$(cd "${program%/*}" && pwd)/hostmem
	(cd "$folder" && LD_LIBRARY_PATH=$libraries "$program" "$@") \
		>"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

silent()
{
	[ "$status" = 0 ] && [ ! -s "$folder/out" ] && [ ! -s "$folder/err" ]
}

# One line on stderr, status 2.
one_line()
{
	[ "$status" = 2 ] && [ ! -s "$folder/out" ] && [ "$(wc -l <"$folder/err")" = 1 ] &&
		grep -Eq -- "$1" "$folder/err" && ! grep -q '[^ -~]' "$folder/err"
}

# good NAME CONTENTS
good()
{
	printf '%b' "$2" >"$folder/f"
	run check f
	check "$1" silent
}

# finds CONTENTS LINE...: all that is told, without the name of the file.
finds()
{
	printf '%b' "$1" >"$folder/f"
	shift
	for line; do
		printf 'f:%s\n' "$line"
	done >"$folder/want"
	run check f
	check "$1" eval '[ "$status" = 2 ] && [ ! -s "$folder/out" ] &&
		diff "$folder/want" "$folder/err" >"$folder/out"'
}

# ---- What is right ----

for scenario in "$top_srcdir"/samples/scenarios/*.yaml; do
	cp "$scenario" "$folder/f"
	run check f
	check "${scenario##*/} is right" silent
done
cp "$folder/f" "$folder/g"
run check f g
check 'several files at once' silent
good 'one key is enough' 'seed: 0xFF\n'
good 'a mark of the byte order, and ends of lines as on Windows' \
	'\0357\0273\0277seed: 1\r\nbudget:\r\n  limit: 1G\r\n'

# ---- Mistakes in values ----

finds 'budget:\n  limit: 64MB\n  soft:\n' \
	'2: budget.limit: "64MB" is not a size; write 256M, 2G, bytes or none' \
	'3: budget.soft: the value is missing; write 256M, 2G, bytes or none'
finds 'steps:\n  - at: 2x\n    available: lo\n    gate: 0ms\n' \
	'2: steps[0].at: "2x" is not a time; write 200ms or 2s' \
	'3: steps[0].available: "lo" is not known here; write low, neutral, high or real' \
	'4: steps[0].gate: "0ms" is not a time that passes; write 200ms or 2s'
finds 'steps:\n  - request: 0\n    load: 101\n  - charged: 0\n    load: [1]\n' \
	'2: steps[0].request: "0" is not a count; write 1 or more' \
	'3: steps[0].load: 101 per cent is too much; write 0 to 100, or real' \
	'4: steps[1].charged: that is so from the start' \
	'5: steps[1].load: a list is not a number; write 42 or 0x2A'
finds 'seed: -1\n' '1: seed: "-1" is not a number; write 42 or 0x2A'
finds 'budget: {wait: {task: 5000000s}}\n' \
	'1: budget.wait.task: "5000000s" is not so short as it must be; write no more than 4294967s'
finds 'faults:\n- {probability: 2, result: S_OK, operation: release}\n' \
	'2: faults[0].probability: "2" is not a probability; write 0.05 or 5%, at most 1' \
	'2: faults[0].result: "S_OK" is not a failure; write E_OUTOFMEMORY or 0x8007000E' \
	'2: faults[0].operation: "release" is not known here; write reserve, commit or heap: nothing else can be refused'
finds 'faults:\n- {nth: 0, level: [task, all]}\n' \
	'2: faults[0].nth: "0" is not a count; write 1 or more' \
	'2: faults[0].level: "all" is not known here; write task, domain or process'

# ---- Mistakes in keys ----

finds 'sead: 1\nstep: []\nname: x\n' \
	'1: sead: unknown key; did you mean "seed"?' \
	'2: step: unknown key; did you mean "steps"?' \
	'3: name: unknown key; there are seed, budget, steps, faults'
finds 'seed: 1\nbudget: {limit: 1G}\nseed: 1\n' '3: seed: a second time; the first is in line 1'
finds '- seed\n' '1: a scenario has keys, as in "seed: ..."'
finds 'budget: {headroom: 16M}\n' '1: budget.headroom: this has keys, as in "task: ..."'
finds 'steps: {at: 2s}\n' '1: steps: what happens is a list; each begins with a "-"'
finds 'steps:\n- at: 2s\n- just text\n' \
	'2: steps[0]: nothing to do; write available: low, limit: 64M or the like' \
	'3: steps[1]: a step has keys, as in "at: ..."'
finds '[1]: 2\n' '1: a key has to be a word'

# ---- What does not go together ----

finds 'steps:\n- available: low\n- at: 1s\n  charged: 3M\n  limit: 1G\n' \
	'2: steps[0]: no trigger; write at: 2s, charged: 128M or request: 1000' \
	'4: steps[1].charged: a second trigger; write two steps'
finds 'steps:\n- charged: 1M\n  every: 5\n  limit: 0\n- at: 1s\n  times: 2\n  limit: 0\n- at: 1s\n  every: 7\n  limit: 0\n' \
	'3: steps[0].every: goes with at or request' \
	'6: steps[1].times: goes with every' \
	'9: steps[2].every: "7" is not a time; write 200ms or 2s'
finds 'steps:\n- at: 1s\n  free: 1M\n  limit: 1M\n- at: 1s\n  free: 1M\n  load: real\n' \
	'3: steps[0].free: goes with a load of 0 to 100' \
	'6: steps[1].free: goes with a load of 0 to 100'
finds 'budget:\n  limit: 8M\n  soft: 9M\n  headroom:\n    task: 9M\n    domain: 10M\n' \
	'3: budget.soft: above the limit' \
	'4: budget.headroom: above the limit' \
	'5: budget.headroom.task: must not be less than that of domain'
finds 'steps:\n- at: 1s\n  limit: 8M\n  soft: 9M\n  headroom: {process: 9M}\n  largest: {task: 2, process: 1}\n' \
	'4: steps[0].soft: above the limit' \
	'5: steps[0].headroom: above the limit' \
	'6: steps[0].largest.task: must not be more than that of process'
finds 'faults:\n- nth: 1\n  every: 2\n  probability: 1\n- seed: 3\n  min: 2\n  max: 1\n- level: task\n  levels: task\n' \
	'4: faults[0].probability: does not go with nth' \
	'4: faults[0].probability: does not go with every' \
	'5: faults[1].seed: goes with probability' \
	'7: faults[1].max: below min' \
	'9: faults[2].levels: does not go with level'

# ---- What is no scenario ----

finds '' '1: there is nothing in this file'
finds '# only this\n' '1: there is nothing in this file'
finds 'a: b: c\n' '1: not YAML: mapping values are not allowed in this context'
finds 'steps:\n\t- at: 2s\n' \
	'2: not YAML: a tab; lines are indented with blanks, while scanning for the next token from line 2'
finds '"seed: 1\n' \
	'2: not YAML: found unexpected end of stream, while scanning a quoted scalar from line 1'
finds 'seed: 1\n---\nseed: 2\n' '2: a second document; a file has one'
finds 'budget: &a {limit: 1G}\nfaults: *a\nseed: !!int 3\n' \
	'1: "&a": no anchors, please; write it out' \
	'2: "*a": no aliases, please; write it out' \
	'3: "tag:yaml.org,2002:int": no tags, please'
finds 'seed: 1\nx: \0000\n' '2: a NUL byte; this is no text'
finds 'seed: "\\0"\n' '1: a NUL in a text'
finds 'seed: 1\n# \0377\n' '2: byte 0xff is not UTF-8'
finds 'seed: \0033[2J\n' '1: a control character, 0x1b'
finds 'seed: "\\e[2J"\n' '1: seed: "\x1b[2J" is not a number; write 42 or 0x2A'
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "[" }' >"$folder/f"
run check f
check 'what is nested without end' one_line '^f:1: nested too deeply$'
awk 'BEGIN { for (i = 0; i < 100000; i++) print "a:" }' >"$folder/f"
run check f
check 'what goes on without end' one_line '^f:501: too much of the same kind$'
head -c 2000000 /dev/zero >"$folder/f"
run check f
check 'what is huge' one_line '^hostmem check: f: it is larger than 1 MiB$'
run check .
check 'a directory' one_line '^hostmem check: \.: Is a directory$'
run check nowhere "nowhere
else"
check 'what is not there, also under a name of two lines' eval \
	'[ "$status" = 2 ] && [ "$(wc -l <"$folder/err")" = 2 ]'
: >"$folder/locked"
chmod 0 "$folder/locked"
if [ -r "$folder/locked" ]; then
	skip 'what may not be read' 'this user may read everything'
else
	run check locked
	check 'what may not be read' one_line '^hostmem check: locked: Permission denied$'
fi
printf 'seed: 1\n' >"$folder/f"
printf 'sead: 1\n' >"$folder/g"
run check g f
check 'one of several is enough' one_line '^g:1: '

# ---- Arguments ----

run check --help
check 'help' eval '[ "$status" = 0 ] && grep -q "^usage: hostmem check " "$folder/out"'
run check
check 'no file' one_line "^hostmem check: no file given; see 'hostmem check --help'\$"
run check --quiet f
check 'an unknown option' one_line "unknown option '--quiet'; see 'hostmem check --help'\$"
run check -x
check 'a short one' one_line "unknown option '-x'"
mv "$folder/f" "$folder/-f"
run check -- -f
check 'a file with a dash' silent
if [ -c /dev/full ]; then
	(cd "$folder" && LD_LIBRARY_PATH=$libraries "$program" check --help) \
		>/dev/full 2>"$folder/err"
	status=$?
	: >"$folder/out"
	check 'to a full device' eval '[ "$status" = 1 ] && [ "$(wc -l <"$folder/err")" = 1 ]'
else
	skip 'to a full device' 'there is no /dev/full'
fi

# ---- The manual, and what the library needs ----

manual_has_all_keys()
{
	printf 'q: 1\nbudget: {q: 1}\nsteps: [{at: 1s, q: 1}]\nfaults: [{q: 1}]\n' >"$folder/f"
	run check f
	sed -n 's/.*unknown key; there are //p' "$folder/err" | tr -d ' ' | tr ',' '\n' |
		sort -u >"$folder/keys"
	[ "$(wc -l <"$folder/keys")" -gt 25 ] || return
	while read -r key; do
		sed 's/\\-/-/g' "$top_srcdir/hostmem/cli/hostmem-scenario.5" |
			grep -Eqx "(\.BR? )?.*\b$key\b.*" || echo "the manual lacks $key"
	done <"$folder/keys" >"$folder/err"
	[ ! -s "$folder/err" ]
}

well_formed()
{
	groff -man -ww -z -Tascii "$top_srcdir/hostmem/cli/hostmem-scenario.5" >"$folder/err" 2>&1
	[ ! -s "$folder/err" ]
}

check 'the manual has all keys' manual_has_all_keys
if command -v groff >/dev/null; then
	check 'and is well-formed' well_formed
else
	skip 'and is well-formed' 'there is no groff'
fi
check 'the library does without YAML' eval \
	'! ldd "$top_builddir/.libs/libhostmem.so" | grep -q yaml'

echo "1..$count"
exit "$failed"
