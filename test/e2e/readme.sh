#!/bin/sh
#
# The documents keep to the tree: README.md shows samples/example.c, what it prints and what
# samples/levels.c prints, and the files, make targets, options and commands that the documents name exist.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
documents='README.md HACKING.md hostmem/DIFFERENCES.md hostmem/README.md
	hostmem/os/README.md samples/README.md test/README.md'
count=0
failed=0
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT

# check NAME COMMAND...: ok if the command prints nothing and succeeds.
check()
{
	count=$((count + 1))
	name=$1
	shift
	if "$@" >"$folder/log" 2>&1 && [ ! -s "$folder/log" ]; then
		echo "ok $count - $name"
	else
		sed 's/^/# /' "$folder/log"
		echo "not ok $count - $name"
		failed=1
	fi
}

# The lines of the fenced blocks of a kind in a document: block KIND FILE
block()
{
	sed -n '/^```'"$1"'$/,/^```$/p' "$top_srcdir/$2" | sed '/^```/d'
}

listing_is_the_example()
{
	block c README.md | diff - "$top_srcdir/samples/example.c"
}

# What a sample prints stands in the document as one piece: output_is_that_of SAMPLE
output_is_that_of()
{
	"$top_builddir/samples/$1" >"$folder/output" || return
	awk 'NR == FNR { want = want $0 "\n"; next } { text = text $0 "\n" }
		END { if (index(text, "```\n" want "```\n") == 0) printf "README.md lacks:\n%s", want }' \
		"$folder/output" "$top_srcdir/README.md"
}

# Words in backquotes that have the form of a path of the tree: a known folder, or a file
# of the top.  Placeholders (<name>, NAME, *) stand for what is not there yet; a program is
# named without its .c.
paths()
{
	grep -o '`[^`]*`' "$top_srcdir/$1" | tr -d '`' |
		grep -E '^(\.ci|abi|hostmem|samples|test)/|^[A-Za-z.]+\.(md|am|ac|m4|in)$|^(NEWS|LICENSE|bootstrap)$' |
		grep -Ev '[<*[:space:]]|NAME|hostmem/hostmem\.h' | sed 's/:[0-9]*$//; s/\.log$//' | sort -u
}

links()
{
	grep -oE '\]\([^)#]+' "$top_srcdir/$1" | cut -c 3- | grep -v '^https\?:'
}

named_files_exist()
{
	paths "$1" | while IFS= read -r path; do
		[ -e "$top_srcdir/$path" ] || [ -e "$top_srcdir/$path.c" ] ||
			echo "$1 names $path"
	done
	links "$1" | while IFS= read -r path; do
		[ -e "$top_srcdir/$(dirname "$1")/$path" ] || echo "$1 links to $path"
	done
}

# Every word after `make` that is no option, variable or comment, in blocks of commands.
targets_exist()
{
	block sh "$1" | sed 's/#.*//' | grep -oE '(^|[ (])make( [^;&|)]*|$)' | tr ' ' '\n' |
		grep -E '^[a-z]+(-[a-z]+)*$' | grep -vx make | sort -u |
		while IFS= read -r target; do
			grep -Eq "^([a-z -]+ )?$target( [a-z -]+)?:" "$top_builddir/Makefile" ||
				echo "$1 names the target $target"
		done
}

options_exist()
{
	grep -oE -- '--(enable|with)-[a-z]+(-[a-z]+)*' "$top_srcdir/$1" | sort -u |
		while IFS= read -r option; do
			grep -q -- "$option" "$top_srcdir/configure.ac" || echo "$1 names $option"
		done
}

# The words of `./bootstrap`, as far as it knows them.
commands_exist()
{
	grep -oE '\./bootstrap [a-z]+' "$top_srcdir/$1" | sort -u | while read -r _ word; do
		grep -Eq "(^|[ |])$word([ |)]|\$)" "$top_srcdir/bootstrap" ||
			echo "$1 names ./bootstrap $word"
	done
}

check 'README.md shows the example as it is' listing_is_the_example
check 'and what it prints' output_is_that_of example
check 'and what the sample of critical levels prints' output_is_that_of levels
for document in $documents; do
	check "the files that $document names exist" named_files_exist "$document"
	check "and its make targets, options and commands" \
		eval 'targets_exist "$document"; options_exist "$document"; commands_exist "$document"'
done
echo "1..$count"
exit "$failed"
