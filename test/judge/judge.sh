#!/bin/sh
#
# The judge: the conformance suite, asked of an implementation that nobody here wrote.  The
# same cases that judge a host module are built for Windows and run against the real Win32
# calls, behind the thin host in host.c, under Wine.
#
#	judge.sh             all cases
#	judge.sh NAME...     these, in one process; see `judge.sh --list`
#
# Both the program and the folder that Wine keeps are in a folder of their own, which is
# removed in the end; JUDGE_FOLDER names one that stays, and what is in it serves again.
# It makes no difference with which compiler or sanitizer the rest was built: who builds
# several times sets JUDGE=no for all builds but one.

set -u
srcdir=$(CDPATH='' cd -- "${top_srcdir:-$(dirname "$0")/../..}" && pwd) || exit 99
compiler=x86_64-w64-mingw32-gcc
seconds=120

skip()
{
	echo "1..1"
	echo "ok 1 - the judge # SKIP $1"
	exit 0
}

# Debian has Wine where no search goes.
find_wine()
{
	for wine in wine64 /usr/lib/wine/wine64 wine; do
		command -v "$wine" >/dev/null 2>&1 && return
	done
	return 1
}

test "${JUDGE:-yes}" != no || skip "JUDGE=no: another build asks it"
command -v "$compiler" >/dev/null 2>&1 || skip "no $compiler"
find_wine || skip "no wine64"

if test -n "${JUDGE_FOLDER:-}"; then
	folder=$JUDGE_FOLDER
	mkdir -p "$folder" || exit 99
else
	folder=$(mktemp -d) || exit 99
	trap 'end_wine; rm -rf "$folder"' EXIT
	trap 'exit 99' HUP INT TERM
fi
cd "$folder" || exit 99
# Its server stays for a while, with files in the folder.
end_wine()
{
	for server in wineserver "$(dirname "$(command -v "$wine")")/wineserver"; do
		command -v "$server" >/dev/null 2>&1 && "$server" -k -w && return
	done
}

# Most of the time a compiler reads windows.h, so that is read once.  The judge's own sources
# are not compiled apart, since their objects might have the name of a case's.
build()
{
	set -- "$compiler" -std=c11 -O1 -Wall -Wextra -Wshadow -Wconversion -Wcast-qual \
		-Wvla -Wundef -Werror -D__USE_MINGW_ANSI_STDIO=1 \
		-DHM_PRINTF=gnu_printf -I"$srcdir" -static
	rm -f ./*.o
	"$@" -x c-header "$srcdir/abi/hostmem.h" -o all.h.gch || return
	set -- "$@" -include all.h
	for source in "$srcdir"/hostmem/conform/*.c "$srcdir/hostmem/com/result.c" \
		"$srcdir/abi/iids.c"; do
		case $source in
		*/probe_windows.c) ;;
		*/probe_*) continue ;;
		esac
		echo "$source"
	done | xargs -d '\n' -n 4 -P "$(nproc)" "$@" -c &&
		"$@" "$srcdir"/test/judge/*.c ./*.o -o judge.exe -luuid &&
		rm -f ./*.o all.h.gch
}

judge()
{
	timeout "$seconds" "$wine" judge.exe "$@" </dev/null
}

# Wine gets no files of its own but the few that it cannot do without: with all of them its
# folder takes 700 MB and some seconds.  Where that is not understood, it gets them all.
start_wine()
{
	WINEPREFIX=$PWD/wine
	WINEDEBUG=-all
	WINEDLLOVERRIDES='mscoree,mshtml=;winemenubuilder.exe=d'
	WINEBOOTSTRAPMODE=1
	export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES WINEBOOTSTRAPMODE
	unset DISPLAY WAYLAND_DISPLAY
	if ! test -d "$WINEPREFIX"; then
		mkdir "$WINEPREFIX" || exit 99
		echo disable >"$WINEPREFIX/.update-timestamp"
	fi
	judge --list >/dev/null 2>&1 && return
	end_wine
	rm -rf "$WINEPREFIX"
	unset WINEBOOTSTRAPMODE
	judge --list >/dev/null 2>log
}

# stop TEXT: shows the log.
stop()
{
	echo "1..1"
	echo "not ok 1 - $1"
	sed 's/^/# /' log
	exit 1
}

build >log 2>&1 || stop "the judge is built with $compiler"
start_wine || stop "the judge starts under $wine"
judge "$@" 2>log
status=$?
test "$status" -lt 2 || sed 's/^/# /' log
test "$status" -ne 124 || echo "# it was stopped after $seconds s"
exit "$status"
