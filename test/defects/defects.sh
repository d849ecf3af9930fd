#!/bin/sh
#
# That the conformance suite bites: for each defect of defects.txt the case that stands beside
# it has to fail, and without a defect the whole suite has to pass.
#
# With --matrix (`make check-defects`) each defect is put before the whole suite instead, and a
# table in Markdown tells which cases find it.  A defect that no case finds is a failure; a case
# that finds no defect is only named, for there are more ways to be wrong than stand here.

set -u
LC_ALL=C
export LC_ALL
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sources=$top_srcdir/test/defects
module=$top_builddir/.libs/defective-module.so
processes=$(($(getconf _NPROCESSORS_ONLN) + 1))
unset HOSTMEM_DEFECT
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
table=$folder/table
grep -v '^#' "$sources/defects.txt" | grep . >"$table"
[ -s "$table" ] || exit
# Only those whose line matches, for whoever works on some.
grep -E -- "${DEFECTS:-.}" "$table" >"$folder/chosen"

# Where libtool has put a script in its place, the program: it is started very often.
program=$top_builddir/hostmem/cli/hostmem
if [ -x "${program%/*}/.libs/hostmem" ]; then
	program=${program%/*}/.libs/hostmem
fi
LD_LIBRARY_PATH=$top_builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

# judge NAME OPTION...: what the suite says of the module with that defect.
judge()
{
	defect=$1
	shift
	HOSTMEM_DEFECT=$defect "$program" conform --module "$module" --format tap \
		--jobs 1 --time-limit 5 "$@" >"$folder/$defect.tap" 2>&1 </dev/null
	echo $? >"$folder/$defect.status"
}

by_its_case()
{
	judge "$1" --filter "$2"
}

by_all_cases()
{
	judge "$1"
}

# for_each COMMAND: the command for each defect, on some of them at a time.
for_each()
{
	for process in $(seq "$processes"); do
		awk "NR % $processes == $process - 1" "$folder/chosen" |
			while read -r name case wrong; do
				"$1" "$name" "$case"
			done &
	done
	wait
}

# ---- The test ----

# check STATUS NAME [FILE]: one test line; the file is shown if it failed.
check()
{
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
		return
	fi
	[ $# = 2 ] || sed 's/^/# /' "$3"
	echo "not ok $count - $2"
	failed=1
}

# Names that are not once in the table and once in the sources.
misplaced()
{
	{
		cut -d ' ' -f 1 "$table"
		sed -n 's/^.*defect("\([^"]*\)").*$/\1/p' "$sources"/*.c
	} | sort | uniq -c | awk '$1 != 2 { print $2 }'
}

is_found()
{
	[ "$(cat "$folder/$1.status")" = 1 ] &&
		grep -qx "not ok [0-9]* - $2" "$folder/$1.tap"
}

test_all()
{
	count=0
	failed=0
	echo "1..$(($(wc -l <"$folder/chosen") + 2))"
	misplaced >"$folder/misplaced"
	[ ! -s "$folder/misplaced" ]
	check $? "each defect has one line in the table and one place" "$folder/misplaced"
	"$program" conform --module "$module" >"$folder/good" 2>&1
	check $? "without a defect the whole suite passes" "$folder/good"
	for_each by_its_case
	while read -r name case wrong; do
		is_found "$name" "$case"
		check $? "$name: $case" "$folder/$name.tap"
	done <"$folder/chosen"
	exit $failed
}

# ---- The matrix ----

print_matrix()
{
	while read -r name case wrong; do
		sed -n "s/^not ok [0-9]* - /$name /p" "$folder/$name.tap"
	done <"$folder/chosen" >"$folder/found"
	"$program" conform --list | awk '$2 ~ /\// { print $2 }' >"$folder/cases"
	awk '
		FILENAME ~ /chosen$/ {
			names[++defects] = $1
			sub(/^[^ ]+ +[^ ]+ +/, "")
			wrong[names[defects]] = $0
		}
		FILENAME ~ /found$/ { count[$1]++; by[$1] = by[$1] " " $2; finds[$2]++ }
		FILENAME ~ /cases$/ { cases[++known] = $1 }
		END {
			print "| defect | what is wrong | cases | which |"
			print "| --- | --- | --- | --- |"
			for (i = 1; i <= defects; i++) {
				name = names[i]
				printf "| %s | %s | %d |%s |\n", name, wrong[name],
					count[name], by[name]
			}
			printf "\n%d defects, %d cases.\n", defects, known
			for (i = 1; i <= known; i++) {
				if (finds[cases[i]] == 0)
					print "finds no defect: " cases[i]
			}
			for (i = 1; i <= defects; i++) {
				if (count[names[i]] == 0) {
					print "FOUND BY NO CASE: " names[i]
					missed = 1
				}
			}
			exit missed
		}' "$folder/chosen" "$folder/found" "$folder/cases"
}

case ${1-} in
--matrix)
	for_each by_all_cases
	print_matrix
	;;
*)
	test_all
	;;
esac
