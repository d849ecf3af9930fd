#!/bin/sh
#
# Tools that watch a user's program find its mistakes in our heap as they do in malloc's,
# though the library was built without them: one byte too far, a block used after it was
# freed, a block that is lost.

set -u
top_builddir=${top_builddir:-.}
top_srcdir=${top_srcdir:-.}
count=0
failed=0

if ${NM:-nm} "$top_builddir/.libs/libhostmem.so" | grep -Eq '__(tsan|ubsan)_' ||
	sed -n 's/^SANITIZERS = //p' "$top_builddir/Makefile" | grep -q .; then
	echo '1..0 # SKIP the build has a sanitizer of its own'
	exit 0
fi
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
library=$(cd "$top_builddir/.libs" && pwd) || exit

cat >"$folder/program.c" <<'END'
#include "abi/hostmem.h"
#include <string.h>

static IHostMalloc *heap;

/* `volatile`, so that no compiler knows better. */
static volatile char *block_of(size_t size)
{
	void *block = NULL;

	if (IHostMalloc_Alloc(heap, size, eTaskCritical, &block) != S_OK)
		return NULL;
	return (volatile char *)block;
}

static void lose(void)
{
	block_of(100)[0] = 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	volatile char *block;
	volatile char *array[100];
	void *face = NULL;

	if (HostMemCreate(NULL, &IID_IHostMemoryManager, &face) != S_OK ||
	    IHostMemoryManager_CreateMalloc((IHostMemoryManager *)face, MALLOC_THREADSAFE,
					    &heap) != S_OK)
		return 2;
	for (int i = 0; i < 100; i++) {
		array[i] = block_of((size_t)i * 100);
		memset((void *)array[i], 1, (size_t)i * 100);
	}
	for (int i = 0; i < 100; i++)
		IHostMalloc_Free(heap, (void *)array[i]);
	if (strcmp(what, "lose") == 0) {
		lose();
		return 0;
	}
	block = block_of(101);
	block[100] = 1;
	if (strcmp(what, "over") == 0)
		block[101] = 1;
	if (strcmp(what, "under") == 0)
		block[-1] = 1;
	IHostMalloc_Free(heap, (void *)block);
	if (strcmp(what, "after") == 0)
		block[50] = 1;
	block = block_of(200000);
	block[199999] = 1;
	if (strcmp(what, "large") == 0)
		block[200000] = 1;
	if (strcmp(what, "fresh") == 0)
		return block_of(1000)[10] == 7 ? 3 : 0;
	IHostMalloc_Free(heap, (void *)block);
	IHostMalloc_Release(heap);
	return (int)IHostMemoryManager_Release((IHostMemoryManager *)face);
}
END

# check TEXT COMMAND...
check()
{
	count=$((count + 1))
	text=$1
	shift
	if "$@" >"$folder/judged" 2>&1; then
		echo "ok $count - $text"
	else
		sed 's/^/# /' "$folder/log" | tail -n 40
		echo "not ok $count - $text"
		failed=1
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

build()
{
	${CC:-cc} -std=c11 -g -O1 -I "$top_srcdir" "$@" "$folder/program.c" \
		-o "$folder/program" -L "$library" -lhostmem -Wl,-rpath,"$library" \
		>"$folder/log" 2>&1
}

# Whether the program, which does what $1 says, is told about: a line with $2, and $3.
finds()
{
	$watcher "$folder/program" "$1" >"$folder/log" 2>&1
	grep -q "$2" "$folder/log" && grep -q "$3" "$folder/log"
}

is_quiet()
{
	$watcher "$folder/program" >"$folder/log" 2>&1 && [ ! -s "$folder/log" ]
}

watcher=
if build -fsanitize=address && "$folder/program" >"$folder/log" 2>&1; then
	check 'AddressSanitizer has nothing to say about a good program' is_quiet
	for row in over under large after; do
		check "AddressSanitizer finds a mistake: $row" \
			finds "$row" use-after-poison 'program.c'
	done
else
	skip 'AddressSanitizer finds mistakes' 'this compiler has none'
fi

watcher='valgrind -q --leak-check=full --error-exitcode=9'
if ! command -v valgrind >/dev/null; then
	skip 'valgrind finds mistakes' 'valgrind is not installed'
elif ! grep -q 'HAVE_VALGRIND_MEMCHECK_H=1' "$top_builddir/Makefile"; then
	skip 'valgrind finds mistakes' 'its header was not there when this was built'
elif ! build || ! $watcher true >"$folder/log" 2>&1; then
	skip 'valgrind finds mistakes' 'valgrind does not run'
elif ! is_quiet && grep -q 'debuginfo reader' "$folder/log"; then
	# An old valgrind, and what a newer compiler writes.
	skip 'valgrind finds mistakes' 'valgrind cannot read the program'
else
	check 'valgrind has nothing to say about a good program' is_quiet
	check 'valgrind finds a byte behind a block' \
		finds over '0 bytes after a block of size 101 alloc' block_of
	check 'valgrind finds a byte in front of a block' \
		finds under '1 bytes before a block of size 101 alloc' block_of
	check 'valgrind finds a byte behind a large block' \
		finds large '0 bytes after a block of size 200,000 alloc' block_of
	check 'valgrind finds a write to a freed block' \
		finds after 'inside a block of size 101 free' block_of
	check 'valgrind finds bytes that nobody has written' \
		finds fresh uninitialised 'exit\|main'
	check 'valgrind finds a block that is lost' \
		finds lose '100 bytes in 1 blocks are definitely lost' lose
fi
echo "1..$count"
exit "$failed"
