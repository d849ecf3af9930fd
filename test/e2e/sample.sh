# What the tests of samples share; they read it in, with
#
#	sample   the program
#	runtime  what it calls its runtime, as in "CPython's own count"
#
# set.  It ends a test whose program was not built.

count=0
failed=0

if [ ! -x "$sample" ]; then
	echo "1..0 # SKIP samples/${sample##*/} was not built: configure found no $runtime"
	exit
fi
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

# run ARGUMENT...: the sample's output in out and err, its status in $status.
run()
{
	"$sample" "$@" >"$folder/out" 2>"$folder/err" </dev/null
	status=$?
}

# script TEXT: what the script `$folder/x` holds from now on.
script()
{
	printf '%s\n' "$1" >"$folder/x"
}

ended_with()
{
	[ "$status" = "$1" ]
}

says()
{
	grep -Eq -- "$1" "$folder/out"
}

# The status of a program, and a report whose every check holds.
true_report()
{
	ended_with "$1" && says '^  ok +the books balance: ' && says '^  ok +.*the last Release' &&
		says "^  ok +$runtime's own count" && ! says '^  WRONG'
}

# The number in column $2 of the first line that starts with $1, blanks before it aside.
number()
{
	awk -v name="$1" -v column="$2" '
		{ line = $0; sub(/^ +/, "", line) }
		index(line, name) == 1 {
			$0 = substr(line, length(name) + 1)
			print $column
			exit
		}' "$folder/out"
}

more_than()
{
	awk -v got="$1" -v than="$2" 'BEGIN { exit !(got != "" && got + 0 > than + 0) }'
}

# The most that was charged, in MiB, is above $1 and at most $2.
peak_between()
{
	says 'at the peak +[0-9.]+ MiB' && more_than "$(number 'at the peak' 1)" "$1" &&
		! more_than "$(number 'at the peak' 1)" "$2"
}

end_of_tests()
{
	echo "1..$count"
	exit "$failed"
}
