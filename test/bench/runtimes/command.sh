#!/bin/sh
#
# How a runtime runs its workload: command.sh RUNTIME FOLDER
#
# Prints the command, a word a line; what has to be compiled first goes to the folder.  Status
# 1, with the reason on stderr: the runtime or its compiler is not here.
#
# CORECLR names the folder of a CoreCLR 2.x (configure --with-coreclr), as it lies in its
# package; without one, or if it is "no", any `dotnet` will do.

set -u
here=$(dirname "$0")

missing()
{
	printf '%s\n' "$*" >&2
	exit 1
}

needs()
{
	for program; do
		command -v "$program" >/dev/null || missing "there is no $program"
	done
}

say()
{
	printf '%s\n' "$@"
}

# quietly WHAT COMMAND...: its last line is the reason if it fails.
quietly()
{
	what=$1
	shift
	"$@" >"$folder/log" 2>&1 || missing "$what: $(tail -n 1 "$folder/log")"
}

java_command()
{
	needs java javac
	quietly javac javac -d "$folder" "$here/Workload.java"
	say java "$1" -Xmx512m -cp "$folder" Workload
}

compile_cs()
{
	needs mcs
	quietly mcs mcs -out:"$1" "$here/Workload.cs"
}

# The same program; CoreCLR has facades for what Mono's compiler refers to.
dotnet_command()
{
	dotnet=dotnet
	[ "${CORECLR:-no}" = no ] || dotnet=$CORECLR/../../../dotnet
	needs "$dotnet"
	compile_cs "$folder/Workload.dll"
	cat >"$folder/Workload.runtimeconfig.json" <<'JSON'
{
	"runtimeOptions": {
		"framework": { "name": "Microsoft.NETCore.App", "version": "2.0.0" },
		"rollForward": "LatestMajor",
		"configProperties": { "System.Globalization.Invariant": true }
	}
}
JSON
	say "$dotnet" "$folder/Workload.dll"
}

# The interpreter itself: what is in PATH may be a script that chooses one.
python_command()
{
	needs python3
	path=$(python3 -c 'import sys; print(sys.executable)') || missing 'python3 does not run'
	say "$path" "$here/workload.py"
}

if [ $# != 2 ]; then
	echo 'usage: command.sh RUNTIME FOLDER' >&2
	exit 2
fi
folder=$2
case $1 in
python3) python_command ;;
java-serial) java_command -XX:+UseSerialGC ;;
java-g1) java_command -XX:+UseG1GC ;;
node) needs node && say node "$here/workload.js" ;;
lua5.4) needs lua5.4 && say lua5.4 "$here/workload.lua" ;;
mono) needs mono && compile_cs "$folder/Workload.exe" && say mono "$folder/Workload.exe" ;;
ruby) needs ruby && say ruby "$here/workload.rb" ;;
guile) needs guile && say guile --no-auto-compile "$here/workload.scm" ;;
dotnet) dotnet_command ;;
*) missing "no runtime is called $1" ;;
esac
