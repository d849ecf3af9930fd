# What the tests of `hostmem run` share.  It makes $folder, and says in $cannot why programs
# cannot be attached by this build, if so.

LC_ALL=C
export LC_ALL
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
count=0
failed=0
unset HOSTMEM_PAGES HOSTMEM_SETTINGS LD_PRELOAD
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
: >"$folder/out"
: >"$folder/err"

# Where libtool has put a script in its place, the program.
program=$top_builddir/hostmem/cli/hostmem
if [ -x "${program%/*}/.libs/hostmem" ]; then
	program=${program%/*}/.libs/hostmem
fi
program=$(cd "${program%/*}" && pwd)/hostmem
libraries=$(cd "$top_builddir/.libs" && pwd)
LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

cannot=
if sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile" | grep -q .; then
	cannot='a library of this build has a sanitizer, and cannot be preloaded'
fi
case $libraries in
*[\ :]*) cannot='the name of the build folder has a blank or a colon' ;;
esac

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
		echo "# status $status"
		echo "not ok $count - $name"
		failed=1
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

finish()
{
	echo "1..$count"
	exit "$failed"
}

# hostmem ARGUMENT...: by a watchdog.
hostmem()
{
	timeout -k 5 120 "$program" "$@"
}

# run ARGUMENT...: the output in out and err, the status in $status.
run()
{
	hostmem run "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

# ended STATUS OUTPUT: and nothing on stderr.
ended()
{
	[ "$status" = "$1" ] && [ "$(cat "$folder/out")" = "$2" ] && [ ! -s "$folder/err" ]
}

# says PATTERN: on stdout; tells PATTERN: on stderr.
says()
{
	grep -Eq -- "$1" "$folder/out"
}

tells()
{
	grep -Eq -- "$1" "$folder/err"
}

# An account of a program whose name fits the pattern.
account_of()
{
	tells "^hostmem: $1 \\([0-9]+\\)\$" &&
		tells '^  peak +[0-9.]+ (bytes|[KMG]iB)( of [0-9.]+ ([KMG]iB|bytes)|$)' &&
		tells '^  refused +[0-9]+($|: [0-9]+ task-critical, [0-9]+ domain-critical, [0-9]+ process-critical)' &&
		tells '^  notifications +[0-9]+' && tells '^  slowest callback +[0-9]+\.[0-9] us$'
}

# script NAME LINE...: an executable file in the folder.
script()
{
	name=$folder/$1
	shift
	printf '%s\n' "$@" >"$name"
	chmod +x "$name"
}
