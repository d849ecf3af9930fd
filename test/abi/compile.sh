#!/bin/sh
# Each public header compiles alone, without a warning, in both languages and with each
# compiler at hand; under mingw-w64 also after windows.h.  And the comments, which are the
# manual, name the parameters that are there.

set -u

srcdir=${top_srcdir:-${srcdir:-.}}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
number=0
status=0
warnings="-Wall -Wextra -Wshadow -Wconversion -Wundef -Werror -fsyntax-only"

# report STATUS TEXT: shows $work/log if the status is not 0.
report()
{
	number=$((number + 1))
	if test "$1" -eq 0; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' "$work/log"
		status=1
	fi
}

# have COMPILER: or reports that it is skipped.
have()
{
	command -v "$1" >/dev/null 2>&1 && return 0
	number=$((number + 1))
	echo "ok $number # SKIP no $1"
	return 1
}

# compiles SUFFIX COMMAND...: what stands in $work/source.SUFFIX, with its log kept.
compiles()
{
	suffix=$1
	shift
	"$@" $warnings -I"$srcdir" -I"$work" "$work/source.$suffix" >"$work/log" 2>&1
}

# alone SUFFIX COMMAND...: each header by itself; then all, twice, as installed.
alone()
{
	suffix=$1
	for header in $headers; do
		echo "#include \"abi/$header\"" >"$work/source.$suffix"
		compiles "$@"
		report $? "$header alone, $2"
	done
	for header in $headers $headers; do
		echo "#include <hostmem/$header>"
	done >"$work/source.$suffix"
	compiles "$@"
	report $? "all headers as installed, $2"
}

# after_windows SUFFIX COMMAND...: each header after windows.h.
after_windows()
{
	suffix=$1
	for header in $headers; do
		printf '#define COBJMACROS\n#include <windows.h>\n#include "abi/%s"\n' \
			"$header" >"$work/source.$suffix"
		compiles "$@"
		report $? "$header after windows.h, $2"
	done
}

# bites LINE SUFFIX COMMAND...: a header with that line is found out.
bites()
{
	{
		echo '#include "abi/hresult.h"'
		printf "$1"
	} >"$work/bad.h"
	shift
	echo '#include "bad.h"' >"$work/source.$1"
	! compiles "$@"
	report $? "a bad header is found out, $2"
}

headers=$(cd "$srcdir/abi" && ls ./*.h | sed 's,^\./,,')
set -- $headers
: >"$work/log"
test $# -ge 10
report $? "there are $# headers"
abi=$(cd "$srcdir/abi" && pwd)
ln -s "$abi" "$work/hostmem"

unused='static inline int bad(int unused)\n{\n\treturn 0;\n}\n'
undocumented='/**\n * Bad.\n *\n * @param nobody  x\n */\nHOSTMEM_API int bad(int a);\n'

if have gcc; then
	bites "$unused" c gcc -std=c11
	alone c gcc -std=c11
fi
if have clang; then
	bites "$unused" c clang -std=c11
	bites "$undocumented" c clang -std=c11 -Wdocumentation
	alone c clang -std=c11 -Wdocumentation
fi
if have g++; then
	bites "$unused" cc g++ -std=c++17
	alone cc g++ -std=c++17
fi
if have clang++; then
	bites "$unused" cc clang++ -std=c++17
	alone cc clang++ -std=c++17 -Wdocumentation
fi
if have x86_64-w64-mingw32-gcc; then
	bites "$unused" c x86_64-w64-mingw32-gcc -std=c11
	alone c x86_64-w64-mingw32-gcc -std=c11
	after_windows c x86_64-w64-mingw32-gcc -std=c11
fi
if have x86_64-w64-mingw32-g++; then
	bites "$unused" cc x86_64-w64-mingw32-g++ -std=c++17
	alone cc x86_64-w64-mingw32-g++ -std=c++17
	after_windows cc x86_64-w64-mingw32-g++ -std=c++17
fi

# -Wdocumentation does not look into macros, so the methods are written out for it.
for header in $headers; do
	sed -e 's/HOSTMEM_METHOD(I[A-Za-z0-9]*, \([A-Z]*\), \([A-Za-z]*\),/virtual \1 \2(/' \
		-e 's/HOSTMEM_METHOD_NONE(I[A-Za-z0-9]*, \([A-Z]*\), \([A-Za-z]*\)/\1 \2(/' \
		"$abi/$header" >"$work/$header"
done
grep -n '^	HOSTMEM_METHOD' "$work"/*.h >"$work/log"
test $? -eq 1
report $? "every method is written out for the check of comments"
if have clang++; then
	echo '#include "hostmem.h"' >"$work/source.cc"
	compiles cc clang++ -std=c++17 -Wdocumentation
	report $? "comments of methods name their parameters"

	sed 's/@param riid/@param nobody/' "$work/hostcontrol.h" >"$work/changed.h"
	mv "$work/changed.h" "$work/hostcontrol.h"
	! compiles cc clang++ -std=c++17 -Wdocumentation
	report $? "a comment that names another parameter is found out"
fi

(cd "$abi" && awk '
	/^\tHOSTMEM_METHOD/ && before != "\t */" { print FILENAME ": " $0 }
	{ before = $0 }' $headers) >"$work/log" 2>&1
! test -s "$work/log"
report $? "every method has a comment"

echo "1..$number"
exit $status
