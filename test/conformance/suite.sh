#!/bin/sh
# Our own host module, judged by the suite that judges all: what `hostmem conform` prints is TAP,
# so each of its cases is a test here.

exec "$top_builddir/hostmem/cli/hostmem" conform --format tap \
	--module "$top_builddir/.libs/hostmem-module.so"
