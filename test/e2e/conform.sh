#!/bin/sh
#
# `hostmem conform`: each format is read by a parser that is not ours; whatever a module does
# while it is loaded is one line and status 2; whatever it does in a case fails that case and
# no other; and nothing that it has started is left when the command ends.

set -u
LC_ALL=C
export LC_ALL
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
built=$top_builddir/hostmem/cli/hostmem
ours=${HOSTMEM_MODULE:-$top_builddir/.libs/hostmem-module.so}
forwarding=${HOSTMEM_FORWARDING_MODULE:-$top_builddir/.libs/forwarding-module.so}
plain=${HOSTMEM_PLAIN_MODULE:-$top_builddir/.libs/plain-module.so}
hostile=${HOSTMEM_HOSTILE_MODULE:-$top_builddir/.libs/hostile-module.so}
count=0
failed=0
unset HOSTMEM_PAGES HOSTMEM_HOSTILE HOSTMEM_FORWARDING_FAULT HOSTMEM_PLAIN SOURCE_DATE_EPOCH
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
: >"$folder/out"
: >"$folder/err"

# Where libtool has put a script in its place, the program: a shell has no room under limits.
program=$built
if [ -x "${built%/*}/.libs/hostmem" ]; then
	program=${built%/*}/.libs/hostmem
fi
LD_LIBRARY_PATH=$top_builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

# check NAME COMMAND...: ok if the command succeeds.
check()
{
	count=$((count + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $count - $name"
	else
		head -n 40 "$folder/out" "$folder/err" | sed 's/^/# /'
		echo "not ok $count - $name"
		failed=1
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# conform ARGUMENT...: output in out and err, the status in $status.
conform()
{
	"$program" conform "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

says()
{
	grep -Eq -- "$1" "$folder/out"
}

# Nothing on stdout, status 2, and one line on stderr that has the argument.
one_line()
{
	[ "$status" = 2 ] && [ ! -s "$folder/out" ] && [ "$(wc -l <"$folder/err")" = 1 ] &&
		grep -Eq -- "^hostmem conform: .*$1" "$folder/err" &&
		! grep -q '[^ -~]' "$folder/err"
}

# ---- Help, the list, the manual ----

fits()
{
	[ "$status" = 0 ] && [ -s "$folder/out" ] && [ ! -s "$folder/err" ] &&
		! grep -q '^.\{81\}' "$folder/out"
}

manual_has_all()
{
	page=$top_srcdir/hostmem/cli/hostmem-conform.1
	{
		grep -oE -- '--[a-z-]+' "$folder/help"
		sed -n '1,/^$/s/^\([a-z-]*\)  .*/\1/p' "$folder/list" | sort -u
		sed -n '/^Sources:/,$s/^  \([A-Z]*\) .*/\1/p' "$folder/list"
	} | while read -r word; do
		sed 's/\\-/-/g' "$page" | grep -qwe "$word" || echo "hostmem-conform.1 lacks $word"
	done >"$folder/err"
	[ ! -s "$folder/err" ]
}

conform --help
cp "$folder/out" "$folder/help"
check 'help fits a terminal' fits
conform --list
cp "$folder/out" "$folder/list"
check 'the list has cases, groups and sources' eval \
	'says "^required  +com/one-identity  +COM" && says "^Sources:" && says "^  MS +Microsoft"'
check 'the manual has each option, group and source' manual_has_all
conform --list --filter com/one
check 'a filter is a part of a name' eval '[ "$(grep -c "  com/" "$folder/out")" = 1 ]'
conform --list --filter='*/one-identity'
check 'after an equals sign, too' eval '[ "$(grep -c "  com/" "$folder/out")" = 1 ]'
conform --list --filter '*/one-identity'
check 'or a pattern' eval '[ "$(grep -c "  com/" "$folder/out")" = 1 ]'

# ---- What is not understood ----

while IFS='|' read -r arguments want; do
	# shellcheck disable=SC2086 # words
	conform $arguments
	check "'$arguments': one line, status 2" one_line "$want.*; see 'hostmem conform --help'\$"
done <<'END'
--bogus|unknown option '--bogus'
-h|unknown option
here|unexpected argument 'here'
-- --list|unexpected argument '--list'
--list=all|unknown option '--list=all'
--f|unknown option '--f'
--module|no value for '--module'
--filter|no value for
--format|no value for
--jobs|no value for
--time-limit|no value for
--case|no value for
--format xml|unknown format 'xml'
--format TAP|unknown format
--format=xml|unknown format 'xml'
--jobs 0|--jobs is no number
--jobs 257|--jobs is no number
--jobs -1|--jobs is no number
--jobs 2x|--jobs is no number
--jobs 99999999999999999999|--jobs is no number
--time-limit 0|--time-limit is no number
--time-limit 86401|--time-limit is no number
--time-limit 1.5|--time-limit is no number
--filter nothing-has-this-name|no case matches 'nothing-has-this-name'
--filter [|no case matches
--case com/one|no such case 'com/one'
--case com/none.codes|no such case
END
conform --filter ''
check 'an empty filter is a part of every name' [ "$status" != 2 ]
conform --jobs ''
check 'no number at all: one line, status 2' one_line '--jobs is no number'
conform --module ''
check 'a module without a name: one line, status 2' one_line 'No such file'

# ---- One case ----

conform --case module/class
check 'one case, which is skipped without a module' eval '[ "$status" = 0 ] && says "^skipped: "'
conform --case module/class --strict
check 'that is a failure where it has to be asked' eval '[ "$status" = 1 ] && says "^skipped: "'

# A debugger switches it off, and then the stack begins beyond the addresses of a host.
if setarch "$(uname -m)" -R true 2>/dev/null; then
	setarch "$(uname -m)" -R "$program" conform --filter .codes >"$folder/out" \
		2>"$folder/err" </dev/null
	status=$?
	check 'where addresses are not random the same is found' eval \
		'[ "$status" = 0 ] && says "^places " && says "^The host conforms"'
else
	skip 'where addresses are not random the same is found' 'that cannot be had here'
fi

# ---- What is no module ----

: >"$folder/empty.so"
echo 'This is no module.' >"$folder/text.so"
head -c 3000 "$ours" >"$folder/short.so"
: >"$folder/unreadable.so"
chmod 0 "$folder/unreadable.so"
mkfifo "$folder/fifo.so"
ln -s loop.so "$folder/loop.so"
libc=$(awk '/\/libc(\.so\.6|-2.*\.so)$/ { print $6; exit }' /proc/self/maps)
line_end='
'

# bad NAME FILE WANT
bad()
{
	conform --module "$2" --filter com/one-identity
	check "$1: one line, status 2" one_line "$3"
}

bad 'no such file' "$folder/none.so" 'none.so: No such file'
bad 'a name of several lines' "a${line_end}b$(printf '\033\377')" 'a\\x0ab\\x1b\\xff: No such file'
bad 'a directory' "$folder" ': it is a directory$'
bad 'a file below a file' "$folder/text.so/x.so" ': Not a directory$'
bad 'a link to itself' "$folder/loop.so" ': Too many levels'
bad 'a pipe, which would never be read' "$folder/fifo.so" ': it is no file$'
bad 'a device' /dev/null ': it is no file$'
bad 'an empty file' "$folder/empty.so" ': it cannot be loaded: file too short$'
bad 'a text' "$folder/text.so" ': it cannot be loaded: '
bad 'a module that was cut' "$folder/short.so" ': it (cannot be loaded|crashes in dlopen): '
if [ "$(id -u)" = 0 ]; then
	skip 'an unreadable file: one line, status 2' 'root can read it'
else
	bad 'an unreadable file' "$folder/unreadable.so" ': it cannot be loaded: .*Permission denied'
fi
if [ -n "$libc" ]; then
	bad 'a library' "$libc" ': it is no host module: it exports no DllGetClassObject$'
else
	skip 'a library: one line, status 2' 'there is no libc.so'
fi

while IFS='|' read -r fault want; do
	HOSTMEM_FORWARDING_FAULT=$fault
	export HOSTMEM_FORWARDING_FAULT
	bad "a module with $fault" "$forwarding" ": $want\$"
done <<'END'
no-class|DllGetClassObject: the module has no class CLSID_HostMemory .CLASS_E_CLASSNOTAVAILABLE.
null-factory|DllGetClassObject said S_OK and gave no object
null-object|CreateInstance said S_OK and gave no object
object-on-failure|CreateInstance failed: E_ABORT
END
unset HOSTMEM_FORWARDING_FAULT

# ---- A module that misbehaves while it is loaded ----

# Some of it is what a sanitizer is for, or in its way.
sanitized=$(sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile" 2>/dev/null)

# hostile DEEDS ARGUMENT...: with the hostile module; it is waited for as long as it needs.
hostile()
{
	HOSTMEM_HOSTILE=$1
	shift
	export HOSTMEM_HOSTILE
	case $HOSTMEM_HOSTILE in
	*hang*) conform --module "$hostile" --time-limit 1 "$@" ;;
	*) conform --module "$hostile" "$@" ;;
	esac
	unset HOSTMEM_HOSTILE
}

while IFS='|' read -r deed want; do
	if [ "$deed" = hang-without-signals ]; then
		places=entry:DllGetClassObject
	else
		places='constructor:dlopen entry:DllGetClassObject create:CreateInstance'
	fi
	for place in $places; do
		hostile "${place%%:*}:$deed" --filter com/one-identity
		check "$deed in ${place#*:}: one line, status 2" one_line \
			"hostile-module.so: it $(echo "$want" | sed "s/PLACE/${place#*:}/")\$"
	done
done <<'END'
crash|crashes in PLACE: .*
kill|crashes in PLACE: Killed
hang|does not come back from PLACE
hang-without-signals|does not come back from PLACE
exit-3|ends the process in PLACE, with status 3
exit-0|ends the process in PLACE, with status [0-9]+
close|closes descriptors that are not its own
END
hostile destructor:crash --filter com/one-identity
check 'crash at the very end: one line, status 2' one_line 'it crashes in a destructor: '

passes()
{
	[ "$status" = 0 ] && [ ! -s "$folder/err" ] && says '^The host conforms[.,]'
}

for deed in garbage much fork stray writer; do
	hostile "constructor:$deed,entry:$deed,create:$deed" --filter com/one-identity
	check "$deed while it is loaded: that is its own business" passes
done

# ---- A module that misbehaves in a case ----

verdicts()
{
	sed -n 's/^\(ok\|not ok\) [0-9]* - /\1 /p' "$folder/out"
}

# fails_alone WANT: the cases that ask have failed, with this, and the others as without it.
fails_alone()
{
	[ "$status" = 1 ] && [ ! -s "$folder/err" ] && says "^    - \"(.* )?$1" &&
		verdicts | diff "$folder/verdicts" - | grep '^[<>]' | diff - "$folder/others"
}

conform --module "$hostile" --filter com/ --format tap
verdicts >"$folder/verdicts"
cat >"$folder/others" <<'END'
< ok com/unknown-interfaces
< ok com/unknown-interfaces.codes
> not ok com/unknown-interfaces
> not ok com/unknown-interfaces.codes
END

while IFS='|' read -r deed want; do
	case ${sanitized:+$deed} in
	jump | leak-space) # it tells of a jump itself, and takes addresses as it likes
		skip "$deed: that case fails, by name, and no other" 'the sanitizer of this build'
		continue
		;;
	esac
	hostile "query:$deed" --filter com/ --format tap
	check "$deed: that case fails, by name, and no other" fails_alone "$want"
done <<'END'
crash|(crashed with SIGSEGV|ended by)
kill|ended by signal 9 .Killed.
hang|did not end in time, stopped by SIGALRM, at:
hang-without-signals|did not end in time, killed
exit-0|the process ended by itself, with status
exit-3|the process ended by itself, with status 3
end-thread|the process ended by itself, with status
jump|
close|closed descriptors that are not the host's
leak-descriptor|open descriptors: got
leak-thread|threads: got
leak-space|bytes of address space: got
END
for deed in garbage much fork stray writer; do
	hostile "query:$deed" --filter 'com/unknown-interfaces*'
	check "$deed: that is no failure" passes
done

# ---- A host that is odd ----

hostile manager:huge-runs --filter bad-free/ --time-limit 10
check 'a host that makes up sizes fails, and keeps nobody waiting' eval \
	'[ "$status" = 1 ] && says "^FAILED" && ! says "did not end in time"'

# ---- What others read ----

# Things that no format may trip over: garbage in each process, and cases that fail.
worst=constructor:garbage,query:crash

tap_is_parsed()
{
	perl -MTAP::Parser -e '
		local $/;
		my $parser = TAP::Parser->new({ tap => <STDIN> });
		my ($tests, $blocks) = (0, 0);
		while (my $line = $parser->next) {
			$tests++ if $line->is_test;
			$blocks++ if $line->is_yaml && $line->data->{group} && $line->data->{source} &&
				$line->data->{checks} =~ /^[0-9]+$/ &&
				$line->data->{duration_ms} =~ /^[0-9]+$/;
			print "unknown: ", $line->as_string, "\n" if $line->is_unknown;
		}
		print map("$_\n", $parser->parse_errors);
		print "version\n" if $parser->version != 13;
		print "$tests tests, $blocks blocks\n" if !$tests || $tests != $blocks;
		print "failed: ", scalar($parser->failed), "\n" if $parser->failed != $ARGV[0];
		' "$1" <"$folder/out" >"$folder/err"
	[ ! -s "$folder/err" ]
}

blocks_are_yaml()
{
	python3 - "$folder/out" <<'END' >"$folder/err" 2>&1
import sys, yaml
number, block = 0, None
for line in open(sys.argv[1], encoding='utf-8'):
    if line == '  ---\n':
        block = ''
    elif line == '  ...\n':
        case = yaml.safe_load(block)
        number, block = number + 1, None
        assert set(case) <= {'group', 'source', 'checks', 'failures', 'duration_ms', 'findings',
                             'output', 'skipped'}, case
        assert type(case['checks']) is int and type(case['source']) is str, case
        assert all(type(text) is str for text in case.get('findings', [])), case
        assert bool(case['failures']) == ('findings' in case), case
        if 'output' in case:
            assert case['output'][0] == '\\x1b[2J ]]> <&"\'\\x01\\xff\\xc3 # \\x0d', case
    elif block is not None:
        block += line
assert number > 0 and block is None
END
}

hostile "$worst" --format tap --filter 'com/unknown-interfaces*'
if perl -MTAP::Parser -e 1 2>/dev/null; then
	check 'TAP of cases that failed is read by TAP::Parser' eval \
		'[ "$status" = 1 ] && tap_is_parsed 2'
else
	skip 'TAP of cases that failed is read by TAP::Parser' 'there is no TAP::Parser'
fi
if python3 -c 'import yaml' 2>/dev/null; then
	check 'and its blocks by a parser of YAML' blocks_are_yaml
else
	skip 'and its blocks by a parser of YAML' 'there is no yaml for python3'
fi
conform --module "$ours" --format tap --filter com/
if perl -MTAP::Parser -e 1 2>/dev/null; then
	check 'so is TAP of cases that passed' eval '[ "$status" = 0 ] && tap_is_parsed 0'
else
	skip 'so is TAP of cases that passed' 'there is no TAP::Parser'
fi

is_valid()
{
	xmllint --noout --schema "$top_srcdir/test/e2e/junit.xsd" "$folder/out" 2>"$folder/err"
}

SOURCE_DATE_EPOCH=86399
export SOURCE_DATE_EPOCH
hostile "$worst" --format junit --filter com/
check 'in JUnit a crash is an error, of its group' eval '[ "$status" = 1 ] &&
	says "errors=\"2\"" && says "<error type=\"required\" message=\"(crashed|ended)"'
check 'the time is as SOURCE_DATE_EPOCH says' says ' timestamp="1970-01-01T23:59:59" '
unset SOURCE_DATE_EPOCH
if command -v xmllint >/dev/null; then
	check 'it is valid by junit.xsd' is_valid
	conform --module "$forwarding" --format junit
	check 'so is all of it, of a host that fails and skips' is_valid
	echo '<testsuites><testsuite name="x"/></testsuites>' >"$folder/out"
	check 'which would notice' eval '! is_valid'
else
	skip 'it is valid by junit.xsd' 'there is no xmllint'
	skip 'so is all of it, of a host that fails and skips' 'there is no xmllint'
	skip 'which would notice' 'there is no xmllint'
fi

conform --module "$forwarding"
check 'the text fits a terminal' eval '[ "$status" != 2 ] &&
	! grep -v "^  .*/[^ ]*$" "$folder/out" | grep -q "^.\{81\}"'
check 'and ends with the verdict' eval 'tail -n 3 "$folder/out" | grep -q "^The host "'

# ---- The module of HACKING.md ----

# The listing with the entry, and our host as the reader's.
module_of_the_page()
{
	awk '/^```c$/ { text = ""; on = 1; next }
		/^```$/ { if (on && text ~ /DllGetClassObject/) printf "%s", text; on = 0 }
		on { text = text $0 "\n" }' "$top_srcdir/HACKING.md" >"$folder/page.c" &&
		[ "$(grep -c DllGetClassObject "$folder/page.c")" = 1 ] || return
	cat >"$folder/host.c" <<'END'
#include <hostmem/hostmem.h>

HRESULT my_host_new(REFIID riid, void **ppv);

HRESULT my_host_new(REFIID riid, void **ppv)
{
	return HostMemCreate(NULL, riid, ppv);
}
END
	# shellcheck disable=SC2046,SC2086 # words
	${CC:-cc} $sanitized -std=c11 -Wall -Wextra -Werror -shared -fPIC \
		-I"$top_builddir/build-aux/include" -o "$folder/page.so" "$folder/page.c" \
		"$folder/host.c" -L"$top_builddir/.libs" -lhostmem >"$folder/out" 2>"$folder/err"
}

check 'the module of HACKING.md compiles' module_of_the_page
conform --module "$folder/page.so"
check 'and passes' passes

# ---- A host by other hands ----

# Of a host that is as good as ours, what it is told is fair: these cases fail and no others,
# and most of what needs no extension is asked.
fails_only()
{
	sed -n 's/^not ok [0-9]* - //p' "$folder/out" | sort >"$folder/failed"
	for name in $1; do
		echo "$name"
	done | diff - "$folder/failed" >"$folder/err" &&
		[ "$(grep '^ok ' "$folder/out" | grep -vc '# SKIP')" -ge 280 ]
}

while IFS='|' read -r kind want; do
	HOSTMEM_PLAIN=$kind
	export HOSTMEM_PLAIN
	text="a plain host${kind:+ of the kind $kind}: ${want:-nothing} fails"
	# It ends the process where libc has no block that large.
	if [ -n "$sanitized" ]; then
		skip "$text" 'the sanitizer of this build has a malloc of its own'
		continue
	fi
	conform --module "$plain" --format tap
	check "$text" fails_only "$want"
done <<'END'
|
control|
otherwise|
control,otherwise|
counts|com/counts-are-told heap-objects/counts-are-told
singleton|module/two-instances
END
unset HOSTMEM_PLAIN

# ---- Output that goes nowhere ----

nowhere()
{
	"$program" conform "$@" --filter com/one-identity >&- 2>"$folder/err" </dev/null
	status=$?
}

full()
{
	"$program" conform "$@" --filter com/one-identity >/dev/full 2>"$folder/err" </dev/null
	status=$?
}

unwritten()
{
	[ "$status" = 2 ] && [ "$(cat "$folder/err")" = "hostmem: the output cannot be written: $1" ]
}

: >"$folder/out"
for format in text tap junit; do
	if [ -c /dev/full ]; then
		full --format $format
		check "$format to a full device: one line, status 2" unwritten 'No space left on device'
	else
		skip "$format to a full device: one line, status 2" 'there is no /dev/full'
	fi
	nowhere --format $format
	check "$format to nowhere: one line, status 2" unwritten 'Bad file descriptor'
done

# ---- Limits ----

passes_or_one_line()
{
	passes || one_line . || { [ "$status" = 127 ] && [ ! -s "$folder/out" ]; }
}

few_descriptors()
{
	for descriptors in 4 5 6 7 8 9 10 12 16 20 32; do
		(
			exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
			ulimit -n $descriptors || exit 99
			exec "$program" conform --module "$forwarding" \
				--filter 'com/unknown-interfaces*' --jobs 16
		) >"$folder/out" 2>"$folder/err" </dev/null
		status=$?
		passes_or_one_line || return
	done
	passes
}

# Root has no limit, but may become somebody else.
without_processes()
{
	user=$(id -u)
	(
		ulimit -u 1 2>/dev/null || ulimit -p 1 2>/dev/null || exit 99
		if [ "$user" = 0 ]; then
			exec setpriv --reuid 65533 --clear-groups "$program" conform
		fi
		exec "$program" conform
	) >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

if [ -n "$sanitized" ]; then
	skip 'with few descriptors it passes, or says in one line why not' \
		'the sanitizer of this build needs more'
else
	check 'with few descriptors it passes, or says in one line why not' few_descriptors
fi
without_processes
case ${sanitized:+99}$status in
99* | 126 | 127) skip 'without processes: one line, status 2' 'that cannot be had here' ;;
*) check 'without processes: one line, status 2' one_line 'no process can be started' ;;
esac

# ---- Nothing is left ----

# Whose arguments name the module of this test; those of grep do not.
echo "$folder/module.so" >"$folder/pattern"
left()
{
	(cd "$folder" && grep -lsF -f pattern /proc/[0-9]*/cmdline)
}

# in_background DEED: a command whose cases hang; its number in $pid.
in_background()
{
	HOSTMEM_HOSTILE=query:$1 "$program" conform --module "$folder/module.so" \
		--filter 'com/unknown-interfaces*' >"$folder/out" 2>"$folder/err" </dev/null &
	pid=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ "$(left | wc -l)" -ge 3 ] && return
		sleep 0.1
	done
}

# stopped_by SIGNAL: the command and its cases are gone.
stopped_by()
{
	kill -s "$1" "$pid"
	wait "$pid" 2>/dev/null
	status=$?
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -z "$(left)" ] && break
		sleep 0.1
	done
	[ -z "$(left)" ] && [ "$(kill -l "$status")" = "$1" ]
}

cp "$hostile" "$folder/module.so"
if [ -r "/proc/$$/cmdline" ]; then
	for deed in fork stray writer; do
		HOSTMEM_HOSTILE=constructor:$deed,query:$deed "$program" conform \
			--module "$folder/module.so" --filter com/ >"$folder/out" 2>"$folder/err"
		check "$deed: no process is left" [ -z "$(left)" ]
	done
	# A shell that becomes the command leaves it its children.
	HOSTMEM_HOSTILE=query:stray sh -c 'sleep 60 & echo $! >"$1"; shift; exec "$@"' sh \
		"$folder/before" "$program" conform --module "$folder/module.so" \
		--filter com/unknown >"$folder/out" 2>"$folder/err"
	check 'but who was there before is' kill "$(cat "$folder/before")"
	for signal in HUP TERM KILL; do
		in_background hang-without-signals
		check "SIG$signal ends the command, and all cases with it" stopped_by $signal
	done
else
	skip 'no process is left' 'there is no /proc'
fi

echo "1..$count"
exit "$failed"
