## What callers see: every header is installed as <hostmem/...>.

hostmemincludedir = $(includedir)/hostmem
hostmeminclude_HEADERS = \
	%D%/attach.h \
	%D%/guid.h \
	%D%/hostcontrol.h \
	%D%/hostgc.h \
	%D%/hostmalloc.h \
	%D%/hostmem.h \
	%D%/hostmemory.h \
	%D%/hostmonitor.h \
	%D%/hostpages.h \
	%D%/hostsimulator.h \
	%D%/hresult.h \
	%D%/jsrt.h \
	%D%/memnotify.h \
	%D%/memorycontrol.h \
	%D%/unknown.h \
	%D%/winmem.h

abi_sources = \
	%D%/iids.c

EXTRA_DIST += \
	%D%/README
