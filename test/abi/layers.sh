#!/bin/sh
# Includes point down only: com -> rules -> os -> abi; conform/, the conformance suite, knows
# a host by abi/ alone; cli/, the command, is a program and has abi/, the suite, and the
# settings that it hands to attached programs, with the names of profiles (attach/settings*
# and attach/profiles, which have abi/ alone).
# System headers stand in hostmem/os/ alone, in the probes of the suite, and in the command;
# conditions on system macros in the first two (abi/ may ask for _WIN32).  And no file of the
# project points at a place outside it.
#
# Each check is a function that prints what it finds in a tree; it is run on the project,
# and before that on small trees with a known fault, so that a check which finds nothing
# any more is noticed.

set -u
LC_ALL=C
export LC_ALL

srcdir=${top_srcdir:-${srcdir:-.}}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
number=0
status=0

# report TEXT FILE: passes if the file is empty.
report()
{
	number=$((number + 1))
	if test -s "$2"; then
		echo "not ok $number - $1"
		sed 's/^/# /' "$2"
		status=1
	else
		echo "ok $number - $1"
	fi
}

# sources ROOT: the C files of the library, one a line.
sources()
{
	(cd "$1" && find abi hostmem -name '*.[ch]' | sort)
}

# quoted_includes ROOT: prints "file: header" where an include points up or to nowhere.
quoted_includes()
{
	sources "$1" | while read -r file; do
		awk -v file="$file" '
			/^[ \t]*#[ \t]*include[ \t]*"/ {
				sub(/^[^"]*"/, "")
				sub(/".*/, "")
				print file, $0
			}' "$1/$file"
	done | while read -r file header; do
		if test -f "$1/${file%/*}/$header"; then
			target=${file%/*}/$header
		elif test -f "$1/$header"; then
			target=$header
		elif test "$header" = config.h; then
			continue
		else
			echo "$file: \"$header\" is nowhere"
			continue
		fi
		target=$(echo "$target" | sed -e ':again' -e 's,[^/.][^/]*/\.\./,,' \
			-e 't again' -e 's,^\./,,')
		from=$(layer "$file")
		to=$(layer "$target")
		case $from:$to in
		"$from:$from" | *:abi) ;;
		rules:os | com:os | com:rules | attach:os | attach:rules | attach:com) ;;
		attach:settings | cli:settings | cli:conform) ;;
		*) echo "$file: \"$header\" points up, from $from to $to" ;;
		esac
	done
}

# layer FILE
layer()
{
	case $1 in
	abi/*) echo abi ;;
	hostmem/attach/settings* | hostmem/attach/profiles.*) echo settings ;;
	hostmem/*/*)
		rest=${1#hostmem/}
		echo "${rest%%/*}"
		;;
	hostmem/*) echo rules ;;
	*) echo outside ;;
	esac
}

# system_headers ROOT: prints "file: <header>" where only plain C may be included.
system_headers()
{
	sources "$1" | while read -r file; do
		case $file in
		hostmem/os/* | hostmem/attach/* | hostmem/cli/*) continue ;;
		hostmem/conform/probe_*.c) continue ;;
		esac
		awk -v file="$file" '
			BEGIN {
				count = split("assert float inttypes limits math " \
					"stdalign stdarg stdatomic stdbool stddef " \
					"stdint stdio stdlib string", name, " ")
				for (i = 1; i <= count; i++)
					plain["<" name[i] ".h>"] = 1
				if (file ~ /^abi\//)
					plain["<windows.h>"] = plain["<unknwn.h>"] = 1
			}
			/^[ \t]*#[ \t]*include[ \t]*</ {
				sub(/^[^<]*/, "")
				sub(/>.*/, ">")
				if (!($0 in plain))
					print file ": " $0
			}' "$1/$file"
	done
}

# system_conditions ROOT: prints the lines that ask which system this is.
system_conditions()
{
	sources "$1" | while read -r file; do
		case $file in
		hostmem/os/* | hostmem/conform/probe_*.c) continue ;;
		esac
		awk -v file="$file" '
			function look(line) {
				if (file ~ /^abi\//)
					gsub(/_WIN32/, "", line)
				if (line ~ /__linux|[^A-Za-z_]linux([^A-Za-z_]|$)/ ||
				    line ~ /WIN32|WIN64|__MINGW|__CYGWIN__|_MSC_VER/ ||
				    line ~ /__APPLE__|__MACH__|__unix|BSD__|__sun/ ||
				    line ~ /__GLIBC|__ANDROID__|__HAIKU__|__QNX|_AIX/)
					print file ": " line
			}
			continued || /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)([^a-z]|$)/ {
				look($0)
				continued = /\\$/
			}' "$1/$file"
	done
}

# files ROOT: what belongs to the project, one a line; what a build made does not.
files()
{
	if test -e "$1/.git" &&
	   git -C "$1" ls-files -co --exclude-standard 2>/dev/null; then
		return
	fi
	(cd "$1" && find . -type d \( -name '.*' ! -name . ! -name .ci -o -name _build \
		-o -name _inst -o -name autom4te.cache -o -name build-aux \) -prune \
		-o -type f -print | sed 's,^\./,,')
}

# ways_out ROOT: prints the lines that name the folder beside the project.
ways_out()
{
	files "$1" | while read -r file; do
		test -f "$1/$file" || continue
		grep -In '\.\./sh[a]red' "$1/$file" | sed "s|^|$file:|"
	done
}

# sample NAME: a fresh tree without faults, as $tree.
sample()
{
	tree=$work/$1
	mkdir -p "$tree/abi" "$tree/hostmem/attach" "$tree/hostmem/cli" "$tree/hostmem/com" \
		"$tree/hostmem/conform" "$tree/hostmem/os"
	echo '#ifdef _WIN32' >"$tree/abi/hostmem.h"
	echo '#include <windows.h>' >>"$tree/abi/hostmem.h"
	echo '#endif' >>"$tree/abi/hostmem.h"
	echo '#include "hostmem.h"' >"$tree/abi/iids.c"
	echo '#include "abi/hostmem.h"' >"$tree/hostmem/os/pages.h"
	printf '#include "pages.h"\n#include <sys/mman.h>\n#ifdef __linux__\n#endif\n' \
		>"$tree/hostmem/os/pages.c"
	printf '#include "os/pages.h"\n#include <string.h>\n#if 1\n#endif\n' \
		>"$tree/hostmem/regions.h"
	printf '#include "../regions.h"\n#include "hostmem/os/pages.h"\n' \
		>"$tree/hostmem/com/manager.c"
	echo '#include "abi/hostmem.h"' >"$tree/hostmem/attach/settings.h"
	printf '#include "settings.h"\n#include "hostmem/os/pages.h"\n' \
		>"$tree/hostmem/attach/player.h"
	echo '#include "hostmem/attach/settings.h"' >"$tree/hostmem/cli/info.h"
	printf '#include "abi/hostmem.h"\n' >"$tree/hostmem/conform/trial.h"
	printf '#include "trial.h"\n#include <sys/mman.h>\n' \
		>"$tree/hostmem/conform/probe_posix.c"
	printf '#include "info.h"\n#include "abi/hostmem.h"\n#include <unistd.h>\n' \
		>"$tree/hostmem/cli/main.c"
	printf '#include "hostmem/conform/trial.h"\n' >>"$tree/hostmem/cli/main.c"
}

# good CHECK: finds nothing in a tree without faults.
good()
{
	sample "good-$1"
	"$1" "$tree" >"$work/log" 2>&1
	report "$1 accepts a good tree" "$work/log"
}

# bad CHECK FILE LINE: finds that line in that file.
bad()
{
	sample "bad-$number"
	printf '%s\n' "$3" >>"$tree/$2"
	"$1" "$tree" >"$work/found" 2>&1
	: >"$work/log"
	grep -q "^$2:" "$work/found" || echo "not found: $3" >"$work/log"
	report "$1 finds a fault in $2" "$work/log"
}

good quoted_includes
bad quoted_includes hostmem/regions.h '#include "com/manager.c"'
bad quoted_includes hostmem/os/pages.c '#include "../regions.h"'
bad quoted_includes hostmem/os/pages.c '# include "hostmem/com/manager.c"'
bad quoted_includes abi/hostmem.h '#include "hostmem/os/pages.h"'
bad quoted_includes hostmem/regions.h '#include "nowhere.h"'
bad quoted_includes hostmem/cli/main.c '#include "hostmem/com/manager.c"'
bad quoted_includes hostmem/cli/main.c '#include "../regions.h"'
bad quoted_includes hostmem/cli/main.c '#include "hostmem/os/pages.h"'
bad quoted_includes hostmem/cli/main.c '#include "../attach/player.h"'
bad quoted_includes hostmem/attach/settings.h '#include "player.h"'
bad quoted_includes hostmem/attach/settings.h '#include "hostmem/os/pages.h"'
bad quoted_includes hostmem/com/manager.c '#include "../attach/settings.h"'
bad quoted_includes hostmem/com/manager.c '#include "../cli/info.h"'
bad quoted_includes hostmem/com/manager.c '#include "hostmem/conform/trial.h"'
bad quoted_includes hostmem/conform/trial.h '#include "hostmem/cli/info.h"'
bad quoted_includes hostmem/conform/trial.h '#include "../os/pages.h"'
good system_headers
bad system_headers hostmem/regions.h '#include <sys/mman.h>'
bad system_headers hostmem/com/manager.c '#include <pthread.h>'
bad system_headers hostmem/regions.h '#  include <errno.h>'
bad system_headers hostmem/regions.h '#include <uv.h>'
bad system_headers hostmem/com/manager.c '#include <windows.h>'
bad system_headers abi/hostmem.h '#include <unistd.h>'
bad system_headers hostmem/conform/trial.h '#include <unistd.h>'
good system_conditions
bad system_conditions hostmem/regions.h '#ifdef __linux__'
bad system_conditions hostmem/com/manager.c '#if defined(_WIN32)'
bad system_conditions hostmem/regions.h '# elif __APPLE__'
bad system_conditions hostmem/cli/main.c '#ifdef __linux__'
bad system_conditions hostmem/conform/trial.h '#ifdef __linux__'
bad system_conditions abi/hostmem.h '#if defined(__linux__)'
bad system_conditions hostmem/regions.h '#if 1 || \
	defined(__FreeBSD__)'
good ways_out
beside=shared
bad ways_out abi/hostmem.h "/* see ../$beside/notes */"

sources "$srcdir" >"$work/found"
: >"$work/log"
test -s "$work/found" || echo "no sources under $srcdir" >"$work/log"
report "the project has sources" "$work/log"
quoted_includes "$srcdir" >"$work/log" 2>&1
report "includes point down only" "$work/log"
system_headers "$srcdir" >"$work/log" 2>&1
report "system headers stand in hostmem/os and the command only" "$work/log"
system_conditions "$srcdir" >"$work/log" 2>&1
report "system conditions stand in hostmem/os and the probes only" "$work/log"
ways_out "$srcdir" >"$work/log" 2>&1
report "no file names a place outside the project" "$work/log"

echo "1..$number"
exit $status
