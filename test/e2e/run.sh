#!/bin/sh
#
# `hostmem run`, the command: whatever can be wrong is one line, and has its own status; and
# what it starts is the program itself, with all that it was given and nothing beside it, its
# account but for that.

set -u
. "${top_srcdir:-${srcdir:-.}}/test/e2e/running.sh"
line_end='
'

# ---- Help and the manual ----

manual_has_all()
{
	page=$top_srcdir/hostmem/cli/hostmem-run.1
	{
		grep -oE -- '--[a-z-]+' "$folder/out"
		printf '%s\n' coreclr hotspot v8 mono cpython lua generic
	} | sort -u | while read -r word; do
		sed 's/\\-/-/g' "$page" | grep -qwe "$word" || echo "hostmem-run.1 lacks $word"
	done >"$folder/err"
	[ ! -s "$folder/err" ]
}

run --help
check 'help fits a terminal' eval 'says "^usage: hostmem run " && [ ! -s "$folder/err" ] &&
	! grep -q "^.\{81\}" "$folder/out"'
check 'it tells no option that is not there' eval '! says "[-]-(trace|report)"'
check 'the manual has each option and each profile' manual_has_all

# ---- What is not understood ----

# line STATUS LINE: nothing on stdout, and that line on stderr.
line()
{
	[ "$status" = "$1" ] && [ ! -s "$folder/out" ] && printf '%s\n' "$2" |
		diff - "$folder/err" >"$folder/out"
}

# misused LINE ARGUMENT...
misused()
{
	want=$1
	shift
	run "$@"
	check "$(printf "'%s': %s" "$*" "$want" | tr '\n' ' ')" line 2 "hostmem run: $want; see 'hostmem run --help'"
}

size='wants a size like 64K, 256M or 2G, not'
list='--headroom is no list like task=16M,domain=8M,process=0'
names='coreclr, hotspot, v8, mono, cpython, lua, generic'
misused 'no program given'
misused 'no program given' --
misused 'no program given' --limit 1M
misused "unknown option '--bogus'" --bogus
misused "unknown option '--bogus=1'" --bogus=1 true
misused "unknown option '--trace'" --trace f true
misused "unknown option '--report'" --report f true
misused "unknown option '-l'" -l 3 true
misused "unknown option '-abc'" --summary -abc true
misused "unknown option '--summary=1'" --summary=1 true
misused "no value for '--limit'" --limit
misused "no value for '--scenario'" --summary --scenario
misused "--limit $size ''" --limit= true
misused "--limit $size '12X'" --limit 12X true
misused "--limit $size '-1'" --limit -1 true
misused "--limit $size '+1'" --limit +1 true
misused "--limit $size ' 1'" --limit ' 1' true
misused "--limit $size '1.5G'" --limit 1.5G true
misused "--limit $size '64k'" --limit 64k true
misused "--limit $size '64MB'" --limit=64MB true
misused "--limit $size '18446744073709551616'" --limit 18446744073709551616 true
misused "--limit $size '99999999999G'" --limit 99999999999G true
misused "--limit $size 'a\\x0ab'" --limit "a${line_end}b" true
misused "--soft $size 'x'" --soft x true
misused "--profile is none of $names 'pyhton'" --profile pyhton true
misused "--profile is none of $names ''" --profile '' true
misused "$list ''" --headroom '' true
misused "$list '16M'" --headroom 16M true
misused "$list 'task'" --headroom task true
misused "$list 'task=1M,task=2M'" --headroom task=1M,task=2M true
misused "$list 'task=1M,'" --headroom task=1M, true
misused "$list 'tasks=1M'" --headroom tasks=1M true
misused "$list 'task=1M domain=1M'" --headroom 'task=1M domain=1M' true
misused "--headroom has to fall from task to domain to process 'task=1M,domain=2M'" \
	--limit 8M --headroom task=1M,domain=2M true
misused "--headroom has to fall from task to domain to process 'process=2M,domain=1M'" \
	--limit 8M --headroom process=2M,domain=1M true
misused 'the headroom is above the limit' --limit 8M --headroom task=9M true
misused '--headroom is a part of --limit, which is not given' --headroom task=9M true
misused 'the soft limit is above the limit' --limit 8M --soft 9M true

printf 'budget:\n  limit: 8M\n  headroom:\n    task: 4M\n' >"$folder/right.yaml"
printf 'budget:\n  limits: 8M\nsteps:\n  - at: 5\n    available: low\n' >"$folder/wrong.yaml"
misused 'the headroom is above the limit' --scenario "$folder/right.yaml" --limit 2M true
run --scenario "$folder/none.yaml" true
check 'no such scenario' line 2 "hostmem run: $folder/none.yaml: No such file or directory"
run --scenario "$folder" true
check 'a folder is no scenario' line 2 "hostmem run: $folder: Is a directory"
run --scenario "$folder/wrong.yaml" true
check 'each mistake of a scenario has its line' eval '[ "$status" = 2 ] && [ ! -s "$folder/out" ] &&
	[ "$(grep -c "^$folder/wrong.yaml:[0-9]*: " "$folder/err")" = "$(wc -l <"$folder/err")" ] &&
	tells ":2: .*limits" && tells ":4: .*at"'

# ---- What cannot be run ----

# refused STATUS LINE ARGUMENT...
refused()
{
	want=$2
	code=$1
	shift 2
	run "$@"
	check "$want: status $code" line "$code" "hostmem run: $want"
}

mkdir "$folder/bin"
printf 'no program\0\1\2' >"$folder/bin/garbage"
cp "$folder/bin/garbage" "$folder/bin/closed"
chmod +x "$folder/bin/garbage"
script lost '#!/nonexistent/interpreter -x'
script unable "#!$folder/bin/closed"
script itself "#! $folder/itself"
refused 127 'no-such-program: there is no such program in PATH' no-such-program
refused 127 ': there is no such program in PATH' ''
refused 127 "$folder/none: No such file or directory" "$folder/none"
refused 127 "$folder/lost/none: Not a directory" "$folder/lost/none"
refused 127 "$folder/lost: its interpreter /nonexistent/interpreter: No such file or directory" \
	"$folder/lost"
refused 126 "$folder/unable: its interpreter $folder/bin/closed: Permission denied" "$folder/unable"
refused 126 "$folder/bin/closed: Permission denied" "$folder/bin/closed"
refused 126 "$folder: Is a directory" "$folder"
refused 126 "$folder/bin/garbage: Exec format error" "$folder/bin/garbage"
refused 126 "$folder/itself: Too many levels of symbolic links" "$folder/itself"
PATH=$folder:$folder/bin:$PATH
refused 126 'closed: Permission denied' closed
refused 126 'bin: Is a directory' bin

# ---- What cannot be attached ----

# part NAME BYTES OFFSET OCTALS: this program's first bytes, some of them replaced.
part()
{
	head -c "$2" "$program" >"$folder/$1"
	printf "$4" | dd of="$folder/$1" bs=1 seek="$3" conv=notrunc 2>/dev/null
	chmod +x "$folder/$1"
}

# cannot_attach NAME REASON
cannot_attach()
{
	refused 2 "$folder/$1 cannot be attached: $2" "$folder/$1"
}

static='it is statically linked, and has no loader that could preload anything'
part static 64 56 '\0\0'
part foreign 64 18 '\377\0'
part narrow 64 4 '\1'
sed 's,/ld-linux,/ld-muslx,g' "$program" >"$folder/musl"
chmod +x "$folder/musl"
cannot_attach static "$static"
cannot_attach foreign 'it is for another processor'
cannot_attach narrow 'it is for another processor'
cannot_attach musl 'its loader is that of another C library'
script by-static "#!$folder/static" true
script by-script "#!$folder/by-static -x" true
script by-env '#!/usr/bin/env -S A=1 static -x' true
refused 2 "$folder/by-static: its interpreter $folder/static cannot be attached: $static" \
	"$folder/by-static"
refused 2 "$folder/by-script: its interpreter $folder/static cannot be attached: $static" \
	"$folder/by-script"
refused 2 "by-env: its interpreter $folder/static cannot be attached: $static" by-env

cp "$(command -v ls)" "$folder/other"
if [ "$(id -u)" != 0 ] || ! chown 65534:65534 "$folder/other" || ! chmod 6755 "$folder/other"; then
	skip 'a setuid program of somebody else' 'only root can make one'
elif grep -q '^NoNewPrivs:.1' /proc/self/status || findmnt -no OPTIONS -T "$folder" | grep -q nosuid; then
	skip 'a setuid program of somebody else' 'it would have no rights here'
else
	cannot_attach other 'it is setuid, and the loader preloads nothing into such a program'
	chmod u-s "$folder/other"
	cannot_attach other 'it is setgid, and the loader preloads nothing into such a program'
fi

if [ -n "$cannot" ]; then
	skip 'what it starts' "$cannot"
	finish
fi

# ---- The program is itself ----

run echo --limit --summary -- x
check 'what follows the program is its own' ended 0 '--limit --summary -- x'
run -- echo --limit -- x
check 'so it is after two dashes' ended 0 '--limit -- x'
run sh -c 'exit 3'
check 'its status' ended 3 ''
run sh -c 'kill -TERM $$'
check 'its signals' [ "$status" = 143 ]
run printf '<%s>' 'a  b' '' "c${line_end}d" '*' "$(printf '\377')"
check 'its arguments' ended 0 "<a  b><><c${line_end}d><*><$(printf '\377')>"
head -c 300000 /dev/urandom >"$folder/bytes"
hostmem run cat <"$folder/bytes" >"$folder/out" 2>"$folder/err"
status=$?
check 'its input and output, whatever bytes' eval 'cmp "$folder/bytes" "$folder/out" >"$folder/err"'
env -i A=1 "B=c${line_end}d" LD_LIBRARY_PATH="$LD_LIBRARY_PATH" "$program" run /usr/bin/env \
	>"$folder/all"
sed '/^LD_PRELOAD=/d; /^LD_LIBRARY_PATH=/d; /^HOSTMEM_SETTINGS=/,/^slack 1$/d; /^$/d' "$folder/all" |
	sort >"$folder/out"
: >"$folder/err"
status=0
check 'its environment, and two variables' ended 0 "A=1${line_end}B=c${line_end}d"
LD_PRELOAD=libc.so.6 run sh -c 'echo "$LD_PRELOAD"'
check 'what was preloaded already stays so' eval \
	'says "^/.*/libhostmem-preload\.so:libc\.so\.6\$" && [ ! -s "$folder/err" ]'

# open_of REDIRECTIONS: which of the first three descriptors the program has.
open_of()
{
	script open 'for n in 0 1 2; do' '[ -e /proc/$$/fd/$n ] && open="$open$n"' 'done' \
		'echo "$open" >"$1"'
	: >"$folder/err"
	eval "hostmem run --summary --limit 1G sh \"\$folder/open\" \"\$folder/out\" $1"
	status=$?
}

open_of '<&- 2>"$folder/err"'
check 'without an input it has none' eval 'says "^12\$"'
open_of '>&- 2>"$folder/err"'
check 'nor an output' eval 'says "^02\$"'
open_of '2>&-'
check 'nor a standard error, if a file opened under its number' ended 0 01
hostmem run --summary sh -c 'exec 2>"$1"; echo mine >&2' sh "$folder/out" 2>&-
status=$?
check 'which then has nothing of us' ended 0 mine
(unset PATH; "$program" run ls -d / >"$folder/out" 2>"$folder/err")
status=$?
check 'without PATH the system has one' ended 0 /
printf 'echo here $1 $2\n' >"$folder/here"
chmod +x "$folder/here"
(cd "$folder" && PATH=/none: && "$program" run here a b >"$folder/out" 2>"$folder/err")
status=$?
check 'a script that does not say whose is one of the shell, here by an empty part of PATH' \
	ended 0 'here a b'
script with-argument '#!/bin/sh -e' 'echo "$0 $1"; false; echo not'
run with-argument 'a b'
check 'a script of an interpreter with an argument' ended 1 "$folder/with-argument a b"
ln -s "$(readlink -f "$(command -v ls)")" "$folder/python3"
run --summary --limit 64M "$folder/python3" -d /
check 'a link is what it leads to' eval 'account_of ls && tells " of which 16\.0 MiB "'

# ---- The account ----

run true
check 'nothing is said without a refusal' ended 0 ''
run --summary sh -c 'exit 4'
shell=$(basename "$(readlink -f /bin/sh)")
check 'but when it is asked for' eval '[ "$status" = 4 ] && account_of "$shell"'
run --summary --limit 64M --headroom domain=8M,process=1M true
check 'a level that is left out has what the next one has' \
	tells ' of 64\.0 MiB, of which 8\.0 MiB are not for task-critical requests$'
run --summary --limit 64M --headroom task=0 true
check 'no headroom, if that is said' tells ' of 64\.0 MiB$'
run --summary --limit 64M true
check 'the profile'"'"'s own, if nothing is' tells ' of 64\.0 MiB, of which 16\.0 MiB '
run --summary --limit 64M --profile lua true
check 'that of the profile that is named' tells ' of 64\.0 MiB$'
run --summary --scenario "$folder/right.yaml" true
check 'the budget of a scenario' tells ' of 8\.0 MiB, of which 4\.0 MiB '
run --summary --scenario "$folder/right.yaml" --limit 16M true
check 'an option goes before it' tells ' of 16\.0 MiB, of which 4\.0 MiB '
printf 'steps:\n  - at: 0s\n    limit: 32M\n' >"$folder/step.yaml"
run --summary --scenario "$folder/step.yaml" true
check 'a step that sets a limit leaves headroom, too' tells ' of 32\.0 MiB, of which 8\.0 MiB '
printf 'steps:\n  - at: 0s\n    available: low\n' >"$folder/low.yaml"
run --summary --scenario "$folder/low.yaml" true
check 'notifications are named' tells '^  notifications +1: 1 Low$'
run --limit 0 sh -c :
check 'a limit too small: what was needed is said once' eval \
	'[ "$(grep -c "^hostmem: .* the limit of 0 bytes .*needs at least [1-9]" "$folder/err")" = 1 ]'
HOSTMEM_SETTINGS='hostmem 0' LD_PRELOAD=$libraries/libhostmem-preload.so sh -c 'exit 6' \
	>"$folder/out" 2>"$folder/err"
status=$?
check 'settings of another release: it runs without a host, and that is said' eval \
	'[ "$status" = 6 ] && tells "^hostmem: HOSTMEM_SETTINGS is not what "'

run --summary ls --help
check 'a program that closes its standard error at its end has one, too' account_of ls

# ---- What it starts ----

run --summary sh -c 'env true; env true; exit 5'
check 'what it starts has an account of its own' eval '[ "$status" = 5 ] && account_of "$shell" &&
	[ "$(grep -c "^hostmem: true ([0-9]*)\$" "$folder/err")" = 2 ]'
LD_PRELOAD=libc.so.6 run --no-children --summary sh -c \
	'env sh -c "env >\"\$0\"" "$0"; env true; exit 5' "$folder/all"
sed -n '/^LD_PRELOAD=/p; /^HOSTMEM_SETTINGS/p' "$folder/all" >"$folder/out"
check 'alone, what it starts has none' eval '[ "$status" = 5 ] && account_of "$shell" &&
	! tells "^hostmem: (true|env)"'
check 'and finds nothing of us, but what was preloaded besides' says '^LD_PRELOAD=libc\.so\.6$'
check 'nor any settings' eval '[ "$(wc -l <"$folder/out")" = 1 ]'
run --no-children --summary env true
check 'what it becomes is still it' account_of true
run --summary "$program" run --summary --limit 8M true
check 'one run in another: the inner one goes before' eval '[ "$(grep -c "^hostmem: true" "$folder/err")" = 1 ] &&
	tells " of 8\\.0 MiB"'
run "$program" run sh -c 'echo "$LD_PRELOAD"'
check 'and the library is preloaded once' eval 'says "^/" && ! says ":"'
finish
