#!/bin/sh
#
# What hostmem is for, in half a minute: `./bootstrap demo`, or, from a build folder,
#
#	top_srcdir=.. sh ../samples/demo.sh

set -u
top_srcdir=${top_srcdir:-..}
hostmem=hostmem/cli/hostmem
scenario=$top_srcdir/samples/scenarios/slow-squeeze.yaml
# The interpreter itself: what is in PATH may be a script that chooses one.
python=$(python3 -c 'import sys; print(sys.executable)') || exit 2

# part TITLE LINE...
part()
{
	printf '\n%s\n' "$1"
	printf '%s\n' "$1" | sed 's/./-/g'
	shift
	printf '%s\n' "$@"
	echo
}

# say COMMAND...: as one would type it.
say()
{
	typed=
	for word; do
		case $word in
		"$hostmem") word=hostmem ;;
		"$python") word=python3 ;;
		*/*) word=${word##*/} ;;
		esac
		typed="$typed $word"
	done
	printf '$%s\n' "$typed"
}

# What is wrong here is no part of the demo.
end_if_failed()
{
	[ "$1" = 0 ] && return
	printf 'demo: that ended with status %d\n' "$1" >&2
	exit "$1"
}

show()
{
	say "$@"
	"$@" 2>&1
	end_if_failed $?
}

# The suite's summary: it has a line for each group of cases, and one for all of them.
judge()
{
	say "$@"
	report=$("$@" 2>&1)
	status=$?
	printf '%s\n' "$report" | sed -n '/^Passed/p; /^com /p; /^all /,$p' |
		sed 's/^all /...\n&/'
	end_if_failed "$status"
}

part '1. A runtime, unchanged, with a budget' \
	'An ordinary Python takes all the memory it can get.  The host stops it at 64 MiB, and' \
	"that is Python's own MemoryError, which a program can catch."
show "$hostmem" run --limit 64M -- "$python" "$top_srcdir/samples/demo.py" greedy

part '2. Low memory, on purpose' \
	'A cache keeps as much as it may.  The scenario gives it 512 MiB, every two seconds less,' \
	'and after 12 seconds all of it again, but for 48 MiB, which are not for the likes of a' \
	'cache.  A # is 10 MiB.'
show "$hostmem" run --scenario "$scenario" -- "$python" "$top_srcdir/samples/demo.py" cache

part '3. Does a host keep the rules?' \
	'The suite asks a host module all that the documents, Win32 and real runtimes demand.  Any' \
	'module will do; here it is our own.'
judge "$hostmem" conform --module .libs/hostmem-module.so

printf '\n%s\n' "More: README.md, and \`hostmem --help' in build/hostmem/cli."
