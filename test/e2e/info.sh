#!/bin/sh
#
# The hostmem command and `hostmem info`: what it prints is complete, the same for people and
# for programs, and true where /proc can tell; whatever it cannot do or understand takes one
# line and has its own status; and limits of the process take figures away, and nothing else.

set -u
LC_ALL=C
export LC_ALL
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
built=$top_builddir/hostmem/cli/hostmem
count=0
failed=0
unset HOSTMEM_PAGES
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
: >"$folder/out"
: >"$folder/err"

# Where libtool has put a script in its place, the program: a shell has no room under limits.
program=$built
if [ -x "${built%/*}/.libs/hostmem" ]; then
	program=${built%/*}/.libs/hostmem
fi
libraries=$top_builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

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

hostmem()
{
	LD_LIBRARY_PATH=$libraries "$program" "$@"
}

# run ARGUMENT...: the command's output in out and err, its status in $status.
run()
{
	hostmem "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

# limited LIMIT VALUE ARGUMENT...: the same under a limit of the shell's ulimit.
limited()
{
	(
		# What make hands down counts, too.
		exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
		ulimit "$1" "$2" || exit 99
		shift 2
		LD_LIBRARY_PATH=$libraries
		export LD_LIBRARY_PATH
		exec "$program" "$@"
	) >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

says()
{
	grep -Eq -- "$1" "$folder/out"
}

ended_well()
{
	[ "$status" = 0 ] && [ -s "$folder/out" ] && [ ! -s "$folder/err" ]
}

# The status, nothing on stdout, and one line on stderr that has the second argument.
one_line()
{
	[ "$status" = "$1" ] && [ ! -s "$folder/out" ] && [ "$(wc -l <"$folder/err")" = 1 ] &&
		grep -Eq -- "^hostmem( info)?: .*$2" "$folder/err" &&
		! grep -q '[^ -~]' "$folder/err"
}

# misused NAME ARGUMENT...
misused()
{
	name=$1
	shift
	run "$@"
	check "$name: one line, status 2" one_line 2 "; see 'hostmem( info)? --help'\$"
}

# ---- What it prints ----

is_whole()
{
	ended_well && says '^hostmem [0-9.]+: ' && says '^Bounds ' && says '^System$' &&
		says '^What wakes the monitor$' && says '^Notifications$' && says '^  Neutral  else$' &&
		! grep -q ' $' "$folder/out"
}

text_sources()
{
	sed -n '/^What wakes/,/^$/s/^  \([a-z-]*\) .*/\1/p' "$1"
}

# Each source is active, or the name of a result stands at the end of its line.
sources_have_reasons()
{
	[ "$(text_sources "$folder/out" | wc -l)" = 6 ] &&
		! sed -n '/^What wakes/,/^$/p' "$folder/out" | sed 1d |
			grep -Evq '^$|^  [a-z-]+ +active   .|^  [a-z-]+ +no   .+ \(([A-Z][A-Z_]+|0x[0-9a-f]{8})\)$'
}

# The member $2 of the bound or the source $1, or of no matter which object if $1 is empty.
member()
{
	awk -v name="$1" -v key="\"$2\":" '
		$1 == "\"name\":" { gsub(/[",]/, "", $2); current = $2 }
		$1 == key && (name == "" || name == current) { sub(/,$/, "", $2); print $2; exit }' "$3"
}

names_are_the_same()
{
	text_sources "$folder/text" >"$folder/text-names"
	sed -n '/^  "sources"/,/^  \]/s/^ *"name": "\(.*\)",$/\1/p' "$folder/json" |
		diff "$folder/text-names" - && [ -s "$folder/text-names" ]
}

groups_are_the_same()
{
	sed -n 's/^  group, v[12] .* \(\/.*\)/\1/p' "$folder/text" >"$folder/text-groups"
	sed -n 's/^ *"path": "\(.*\)"$/\1/p' "$folder/json" | sed 's/\\\(["\\]\)/\1/g' |
		diff "$folder/text-groups" -
}

machine_is_this_one()
{
	kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
	used=$(member machine used "$folder/json")
	[ "$(member machine limit "$folder/json")" = $((kib * 1024)) ] && [ "$used" -gt 0 ] &&
		[ "$used" -le $((kib * 1024)) ]
}

load_is_a_share()
{
	load=$(member '' load "$folder/json")
	[ "$load" -ge 0 ] && [ "$load" -le 100 ] && [ "$(member '' available "$folder/json")" -gt 0 ]
}

run info
cp "$folder/out" "$folder/text"
check 'info is whole, and says nothing on stderr' is_whole
check 'each source is active or says why not' sources_have_reasons
check 'the host looks by itself, whatever else there is' says '^  timer +active '
check 'but for paths it fits a terminal' eval \
	'! sed "s,   /.*,," "$folder/out" | grep -q "^.\{81\}"'
run info --json
cp "$folder/out" "$folder/json"
check 'so is its JSON' ended_well
if python3 -c 'import json' 2>/dev/null; then
	check 'which is JSON' eval 'python3 -m json.tool "$folder/json" >"$folder/out"'
else
	skip 'which is JSON' 'there is no python3'
fi
check 'both name the same sources' names_are_the_same
check 'and the same groups' groups_are_the_same
check 'the machine has what /proc/meminfo says' machine_is_this_one
check 'a page is one of this system' [ "$(member '' page "$folder/json")" = "$(getconf PAGESIZE)" ]
check 'the load is a share, and something is left' load_is_a_share

HOSTMEM_PAGES=protect run info
check 'without guard pages it says so, and why' \
	eval 'is_whole && says "^  guard pages +no   HOSTMEM_PAGES is set$"'
HOSTMEM_PAGES=protect run info --json
check 'in JSON, too' [ "$(member '' guard_pages "$folder/out")" = false ]

# ---- Help ----

"$built" --version >"$folder/out" 2>"$folder/err"
status=$?
check 'the version is that of the library, also where it was built' eval 'ended_well &&
	[ "$(cat "$folder/out")" = "hostmem $(sed -n \
	"s/^#define HOSTMEM_VERSION \"\(.*\)\"\$/\1/p" "$top_srcdir/abi/hostmem.h")" ]'
run --help
check 'help lists the commands' eval 'ended_well && says "^usage: hostmem " && says "^  info  "'
run info --help
check 'help of info' eval 'ended_well && says "^usage: hostmem info " && says "^  --json  "'
run info --json --help
check 'also after other options' eval 'ended_well && says "^usage: hostmem info "'

manual_has_all()
{
	page=$top_srcdir/hostmem/cli/hostmem-info.1
	{
		sed -n 's/^ *"\([a-z_]*\)": .*/\1/p' "$folder/json"
		text_sources "$folder/text"
		grep -oE -- '--[a-z]+' "$folder/out"
	} | sort -u | while read -r word; do
		sed 's/\\-/-/g' "$page" | grep -qwe "$word" || echo "hostmem-info.1 lacks $word"
	done >"$folder/err"
	[ ! -s "$folder/err" ]
}

manual_is_well_formed()
{
	for page in "$top_srcdir"/hostmem/cli/*.1; do
		groff -man -ww -z -Tascii "$page" || return
	done >"$folder/err" 2>&1
	[ ! -s "$folder/err" ]
}

check 'the manual has each option, each source and each member of the JSON' manual_has_all
if command -v groff >/dev/null; then
	check 'and is well-formed' manual_is_well_formed
else
	skip 'and is well-formed' 'there is no groff'
fi

# ---- What is not understood ----

line_end='
'
misused 'no command'
misused 'an empty command' ''
misused 'an unknown command' inof
misused 'a command of several lines' "in${line_end}fo"
misused 'an unknown option' --bogus
misused 'a short option' -h
misused 'a dash' -
misused 'two dashes' --
misused 'an option of info, without it' --json
misused 'an unknown option of info' info --bogus
misused 'a short option of info' info -j
misused 'a part of an option' info --js
misused 'an option with a value' info --json=1
misused 'a dash for info' info -
misused 'two dashes for info' info --
misused 'an argument of info' info here
misused 'an empty argument' info ''
misused 'an argument after an option' info --json here
misused 'an argument of several lines' info "a${line_end}b$(printf '\033[2J\377')"

# ---- Output that goes nowhere ----

# unwritten ARGUMENT...: to a full device, and to a descriptor that is closed.
unwritten()
{
	if [ -c /dev/full ]; then
		hostmem "$@" >/dev/full 2>"$folder/err" </dev/null
		status=$?
		check "$*, to a full device: one line, status 1" one_line 1 'the output cannot be written'
	else
		skip "$*, to a full device: one line, status 1" 'there is no /dev/full'
	fi
	hostmem "$@" >&- 2>"$folder/err" </dev/null
	status=$?
	check "$*, to nowhere: one line, status 1" one_line 1 'the output cannot be written'
}

: >"$folder/out"
unwritten info
unwritten info --json
unwritten info --help
unwritten --help
unwritten --version
hostmem inof >&- 2>"$folder/err"
status=$?
check 'what is not understood stays so' one_line 2 "; see 'hostmem --help'\$"
hostmem info >"$folder/out" 2>&- <&-
status=$?
: >"$folder/err"
check 'nobody needs the other two' is_whole

# ---- Limits ----

# It is whole, or one line; or it did not even start.
whole_or_one_line()
{
	is_whole || one_line 1 . || { [ "$status" = 127 ] && [ ! -s "$folder/out" ]; }
}

few_descriptors()
{
	for descriptors in 4 5 6 7 8 9 10 11 12 14 16 20; do
		limited -n "$descriptors" info
		is_whole && sources_have_reasons || return
	done
}

little_address_space()
{
	for mib in 3 4 6 8 10 12 16 20 24 32 48 64 96 128 192 256 512 1024 4096; do
		limited -v $((mib * 1024)) info
		whole_or_one_line || return
	done
	is_whole
}

if sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile" | grep -q .; then
	skip 'under limits it is whole' 'the sanitizer of this build needs more'
else
	check 'with few descriptors it is whole, and says what is missing' few_descriptors
	check 'with little address space it is whole, or says in one line why not' \
		little_address_space
	limited -v 2097152 info
	check 'it shows such a limit' says '^  RLIMIT_AS +2 GiB '
	limited -v 2097152 info --json
	check 'in JSON, too' [ "$(member RLIMIT_AS limit "$folder/out")" = 2147483648 ]
	limited -d 1048576 info
	check 'and that of data' says '^  RLIMIT_DATA +1 GiB '
fi

echo "1..$count"
exit "$failed"
