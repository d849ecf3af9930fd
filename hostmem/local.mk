## The library, the host module and the command.

rules_sources = \
	%D%/announce.c \
	%D%/announce.h \
	%D%/arenapages.c \
	%D%/arenapages.h \
	%D%/arenas.c \
	%D%/arenas.h \
	%D%/arguments.c \
	%D%/arguments.h \
	%D%/attempt.c \
	%D%/attempt.h \
	%D%/availability.c \
	%D%/availability.h \
	%D%/bins.c \
	%D%/bins.h \
	%D%/bitmap.c \
	%D%/bitmap.h \
	%D%/blocksizes.c \
	%D%/blocksizes.h \
	%D%/budget.c \
	%D%/budget.h \
	%D%/cachemoves.c \
	%D%/caches.c \
	%D%/caches.h \
	%D%/calls.c \
	%D%/calls.h \
	%D%/clock.c \
	%D%/clock.h \
	%D%/commit.c \
	%D%/commit.h \
	%D%/committing.c \
	%D%/committing.h \
	%D%/debugblocks.c \
	%D%/debugblocks.h \
	%D%/debugheap.c \
	%D%/debugheap.h \
	%D%/debugkept.c \
	%D%/directory.c \
	%D%/directory.h \
	%D%/entering.c \
	%D%/events.c \
	%D%/events.h \
	%D%/extents.c \
	%D%/extents.h \
	%D%/external.c \
	%D%/external.h \
	%D%/faults.c \
	%D%/faults.h \
	%D%/figures.c \
	%D%/figures.h \
	%D%/filenames.c \
	%D%/filenames.h \
	%D%/foreign.c \
	%D%/foreign.h \
	%D%/gate.c \
	%D%/gate.h \
	%D%/granules.c \
	%D%/granules.h \
	%D%/heap.c \
	%D%/heap.h \
	%D%/heapdoom.c \
	%D%/heapfree.c \
	%D%/heaplarge.c \
	%D%/heappages.c \
	%D%/heappages.h \
	%D%/heaptrim.c \
	%D%/host.c \
	%D%/host.h \
	%D%/lending.c \
	%D%/lending.h \
	%D%/looking.c \
	%D%/looking.h \
	%D%/mapping.c \
	%D%/mapping.h \
	%D%/marks.c \
	%D%/marks.h \
	%D%/memoryload.c \
	%D%/memoryload.h \
	%D%/metadata.c \
	%D%/metadata.h \
	%D%/monitor.c \
	%D%/monitor.h \
	%D%/notify.c \
	%D%/notify.h \
	%D%/opening.c \
	%D%/opening.h \
	%D%/pagestates.c \
	%D%/pagestates.h \
	%D%/parked.c \
	%D%/parked.h \
	%D%/places.c \
	%D%/places.h \
	%D%/pressure.c \
	%D%/pressure.h \
	%D%/protect.c \
	%D%/protect.h \
	%D%/protection.c \
	%D%/protection.h \
	%D%/query.c \
	%D%/query.h \
	%D%/quick.c \
	%D%/quick.h \
	%D%/reclaimer.c \
	%D%/reclaimer.h \
	%D%/records.c \
	%D%/records.h \
	%D%/regions.c \
	%D%/regions.h \
	%D%/release.c \
	%D%/release.h \
	%D%/reports.c \
	%D%/reports.h \
	%D%/request.c \
	%D%/request.h \
	%D%/reserve.c \
	%D%/reserve.h \
	%D%/retained.c \
	%D%/retained.h \
	%D%/shelf.c \
	%D%/shelf.h \
	%D%/spans.c \
	%D%/spans.h \
	%D%/threadcaches.c \
	%D%/threadcaches.h \
	%D%/tidy.c \
	%D%/tidy.h \
	%D%/waiting.c \
	%D%/waiting.h \
	%D%/watching.c \
	%D%/watching.h

com_sources = \
	%D%/com/control.c \
	%D%/com/fault.c \
	%D%/com/hostcontrol.c \
	%D%/com/hostgc.c \
	%D%/com/hostmalloc.c \
	%D%/com/hostmalloc.h \
	%D%/com/hostmonitor.c \
	%D%/com/hostpages.c \
	%D%/com/manager.c \
	%D%/com/object.c \
	%D%/com/object.h \
	%D%/com/record.c \
	%D%/com/record.h \
	%D%/com/result.c \
	%D%/com/simulator.c

## The translator: brings a runtime without an allocator hook under a host.
translator_sources = \
	%D%/attach/attached.c \
	%D%/attach/attached.h \
	%D%/attach/blocks.c \
	%D%/attach/change.c \
	%D%/attach/chunk.c \
	%D%/attach/chunk.h \
	%D%/attach/library.c \
	%D%/attach/map.c \
	%D%/attach/overlays.c \
	%D%/attach/overlays.h \
	%D%/attach/pieces.c \
	%D%/attach/pieces.h \
	%D%/attach/profiles.c \
	%D%/attach/profiles.h \
	%D%/attach/remap.c \
	%D%/attach/requests.c \
	%D%/attach/requests.h \
	%D%/attach/translator.h

os_sources = \
	%D%/os/cgroups.h \
	%D%/os/cgroups_linux.c \
	%D%/os/check.h \
	%D%/os/clibrary.h \
	%D%/os/clibrary_glibc.c \
	%D%/os/compiler.h \
	%D%/os/console.h \
	%D%/os/console_posix.c \
	%D%/os/container.h \
	%D%/os/fence.h \
	%D%/os/fence_linux.c \
	%D%/os/images.h \
	%D%/os/images_elf.c \
	%D%/os/largepages.h \
	%D%/os/largepages_linux.c \
	%D%/os/leftovers.h \
	%D%/os/leftovers_posix.c \
	%D%/os/lines.h \
	%D%/os/lines_posix.c \
	%D%/os/loaded.h \
	%D%/os/loaded_elf.c \
	%D%/os/lock.h \
	%D%/os/lock_linux.c \
	%D%/os/loop.h \
	%D%/os/loop_thread.c \
	%D%/os/loop_thread.h \
	%D%/os/mappings.h \
	%D%/os/mappings_linux.c \
	%D%/os/meminfo.h \
	%D%/os/meminfo_linux.c \
	%D%/os/memory.h \
	%D%/os/memory_posix.c \
	%D%/os/next.h \
	%D%/os/next_posix.c \
	%D%/os/pages.h \
	%D%/os/pages_posix.c \
	%D%/os/placement.h \
	%D%/os/placement_posix.c \
	%D%/os/process.h \
	%D%/os/process_posix.c \
	%D%/os/residents.h \
	%D%/os/residents_linux.c \
	%D%/os/size.h \
	%D%/os/sources.h \
	%D%/os/sources_linux.c \
	%D%/os/spare.h \
	%D%/os/spare_posix.c \
	%D%/os/system.h \
	%D%/os/system_posix.c \
	%D%/os/thread.h \
	%D%/os/thread_posix.c \
	%D%/os/tools.h \
	%D%/os/tools_memory.c

## What an attached program has of its own.
attach_sources = \
	$(settings_sources) \
	%D%/attach/account.c \
	%D%/attach/account.h \
	%D%/attach/inheritance.c \
	%D%/attach/inheritance.h \
	%D%/attach/notices.c \
	%D%/attach/notices.h \
	%D%/attach/player.c \
	%D%/attach/player.h \
	%D%/attach/playeractions.c \
	%D%/attach/playeractions.h \
	%D%/attach/slack.c \
	%D%/attach/slack.h

## The checked form of settings: what the command and the attached program share.
settings_sources = \
	%D%/attach/settings.c \
	%D%/attach/settings.h \
	%D%/attach/settingswords.c \
	%D%/attach/settingswords.h

## The conformance suite, which knows a host by abi/ only.  Those of the first list are
## built for Windows as well, see test/judge/.
conform_case_sources = \
	%D%/conform/addressspace.c \
	%D%/conform/allocarguments.c \
	%D%/conform/alloctypes.c \
	%D%/conform/badfree.c \
	%D%/conform/badprotect.c \
	%D%/conform/badquery.c \
	%D%/conform/bounds.c \
	%D%/conform/budget.c \
	%D%/conform/budgetinputs.c \
	%D%/conform/com.c \
	%D%/conform/commit.c \
	%D%/conform/commitrefused.c \
	%D%/conform/events.c \
	%D%/conform/eventsfailure.c \
	%D%/conform/eventsinside.c \
	%D%/conform/eventssum.c \
	%D%/conform/faults.c \
	%D%/conform/faultspath.c \
	%D%/conform/free.c \
	%D%/conform/gate.c \
	%D%/conform/gcmanager.c \
	%D%/conform/guardpages.c \
	%D%/conform/heap.c \
	%D%/conform/heaparguments.c \
	%D%/conform/heapextension.c \
	%D%/conform/heapobjects.c \
	%D%/conform/heaprealloc.c \
	%D%/conform/hostcontrol.c \
	%D%/conform/lowmemory.c \
	%D%/conform/memoryload.c \
	%D%/conform/module.c \
	%D%/conform/monitor.c \
	%D%/conform/notices.c \
	%D%/conform/noticesinside.c \
	%D%/conform/notification.c \
	%D%/conform/pages.c \
	%D%/conform/places.c \
	%D%/conform/protect.c \
	%D%/conform/protections.c \
	%D%/conform/query.c \
	%D%/conform/queryraces.c \
	%D%/conform/reclaim.c \
	%D%/conform/reserve.c \
	%D%/conform/reset.c \
	%D%/conform/shutdown.c \
	%D%/conform/standinglow.c \
	%D%/conform/usage.c \
	%D%/conform/usagerecords.c \
	%D%/conform/waiting.c \
	%D%/conform/walk.c \
	%D%/conform/writewatch.c
conform_shared_sources = \
	$(conform_case_sources) \
	%D%/conform/areas.h \
	%D%/conform/blocks.c \
	%D%/conform/blocks.h \
	%D%/conform/callback.c \
	%D%/conform/callback.h \
	%D%/conform/calls.c \
	%D%/conform/calltext.c \
	%D%/conform/calltext.h \
	%D%/conform/comrules.c \
	%D%/conform/comrules.h \
	%D%/conform/control.c \
	%D%/conform/control.h \
	%D%/conform/crowd.c \
	%D%/conform/findings.c \
	%D%/conform/memory.c \
	%D%/conform/memory.h \
	%D%/conform/probe.h \
	%D%/conform/suite.c \
	%D%/conform/suite.h \
	%D%/conform/told.c \
	%D%/conform/told.h \
	%D%/conform/trial.c \
	%D%/conform/trial.h \
	%D%/conform/unchanged.c
conform_sources = \
	$(conform_shared_sources) \
	%D%/conform/probe_posix.c

## What every host is made of, but for the loop.
noinst_LTLIBRARIES += libhostmem-common.la
libhostmem_common_la_SOURCES = \
	$(abi_sources) \
	$(translator_sources) \
	$(com_sources) \
	$(os_sources) \
	$(rules_sources)
libhostmem_common_la_LDFLAGS =

## Everything with its symbols in sight, for the tests that reach inside.
noinst_LTLIBRARIES += libhostmem-internal.la
libhostmem_internal_la_SOURCES = \
	%D%/com/module.c \
	%D%/os/library.h \
	%D%/os/library_uv.c \
	%D%/os/loop_uv.c
libhostmem_internal_la_LIBADD = libhostmem-common.la $(UV_LIBS)
libhostmem_internal_la_LDFLAGS =

## The same without libuv, which asks for nothing but the C library: for what is linked into a
## program that does not know of it.
noinst_LTLIBRARIES += libhostmem-core.la
libhostmem_core_la_SOURCES = %D%/os/loop_plain.c
libhostmem_core_la_LIBADD = libhostmem-common.la
libhostmem_core_la_LDFLAGS =

## What an attached program has beside the translator.
noinst_LTLIBRARIES += libhostmem-attach.la
libhostmem_attach_la_SOURCES = $(attach_sources)
libhostmem_attach_la_LDFLAGS =

lib_LTLIBRARIES += libhostmem.la
libhostmem_la_SOURCES =
libhostmem_la_LIBADD = libhostmem-internal.la
libhostmem_la_LDFLAGS = \
	$(hardening) \
	-Wl,--version-script=$(top_srcdir)/%D%/libhostmem.map \
	-version-info 0:0:0
EXTRA_libhostmem_la_DEPENDENCIES = %D%/libhostmem.map

## A client of the library; of the rest it has only what sleeps and what a fork calls.
noinst_LTLIBRARIES += libhostmem-jsrt-internal.la
libhostmem_jsrt_internal_la_SOURCES = \
	%D%/com/jsrt.c \
	%D%/com/slot.c \
	%D%/com/slot.h \
	%D%/os/lock_linux.c \
	%D%/os/thread_posix.c
libhostmem_jsrt_internal_la_LDFLAGS =

lib_LTLIBRARIES += libhostmem-jsrt.la
libhostmem_jsrt_la_SOURCES =
libhostmem_jsrt_la_LIBADD = \
	libhostmem-jsrt-internal.la \
	libhostmem.la
libhostmem_jsrt_la_LDFLAGS = \
	$(hardening) \
	-Wl,--version-script=$(top_srcdir)/%D%/libhostmem-jsrt.map \
	-version-info 0:0:0
EXTRA_libhostmem_jsrt_la_DEPENDENCIES = %D%/libhostmem-jsrt.map

## Definitions of the system's functions over the translator: for programs, and for what is
## loaded into programs that do not know of it.
interpose_sources = \
	%D%/attach/interposeblocks.c \
	%D%/attach/interposepages.c

lib_LIBRARIES += libhostmem-interpose.a
libhostmem_interpose_a_SOURCES = $(interpose_sources)
libhostmem_interpose_a_CFLAGS = $(AM_CFLAGS) -fno-builtin

pkglib_LTLIBRARIES += libhostmem-preload.la
libhostmem_preload_la_SOURCES = \
	$(interpose_sources) \
	%D%/attach/endings.c \
	%D%/attach/machine.c \
	%D%/attach/preload.c
libhostmem_preload_la_CFLAGS = $(AM_CFLAGS) -fno-builtin
libhostmem_preload_la_LIBADD = \
	libhostmem-attach.la \
	libhostmem-core.la
libhostmem_preload_la_LDFLAGS = \
	$(hardening) \
	-Wl,--version-script=$(top_srcdir)/%D%/libhostmem-preload.map \
	-avoid-version \
	-module \
	-shared
EXTRA_libhostmem_preload_la_DEPENDENCIES = %D%/libhostmem-preload.map

pkglib_LTLIBRARIES += hostmem-module.la
hostmem_module_la_SOURCES = %D%/com/server.c
hostmem_module_la_LIBADD = libhostmem-internal.la
hostmem_module_la_LDFLAGS = \
	$(hardening) \
	-avoid-version \
	-export-symbols-regex '^(DllGetClassObject|HostMemHandleFault)$$' \
	-module \
	-shared

## All of the command but its main, for the tests that look at what it prints.
noinst_LTLIBRARIES += libhostmem-cli.la
libhostmem_cli_la_SOURCES = \
	$(conform_sources) \
	$(settings_sources) \
	%D%/attach/profiles.c \
	%D%/attach/profiles.h \
	%D%/cli/check.c \
	%D%/cli/check.h \
	%D%/cli/command.c \
	%D%/cli/command.h \
	%D%/cli/conform.c \
	%D%/cli/conform.h \
	%D%/cli/conformcauses.c \
	%D%/cli/conformcauses.h \
	%D%/cli/conformchild.c \
	%D%/cli/conformchild.h \
	%D%/cli/conformjunit.c \
	%D%/cli/conformload.c \
	%D%/cli/conformrun.c \
	%D%/cli/conformrun.h \
	%D%/cli/conformtap.c \
	%D%/cli/conformtarget.c \
	%D%/cli/conformtarget.h \
	%D%/cli/conformtext.c \
	%D%/cli/conformwatch.c \
	%D%/cli/conformwatch.h \
	%D%/cli/display.c \
	%D%/cli/display.h \
	%D%/cli/info.c \
	%D%/cli/info.h \
	%D%/cli/infojson.c \
	%D%/cli/infotext.c \
	%D%/cli/infowords.c \
	%D%/cli/json.c \
	%D%/cli/json.h \
	%D%/cli/mistakes.c \
	%D%/cli/mistakes.h \
	%D%/cli/run.c \
	%D%/cli/run.h \
	%D%/cli/runattach.c \
	%D%/cli/runattach.h \
	%D%/cli/runimage.c \
	%D%/cli/runimage.h \
	%D%/cli/runlibrary.c \
	%D%/cli/runlibrary.h \
	%D%/cli/runoptions.c \
	%D%/cli/runoptions.h \
	%D%/cli/runprogram.c \
	%D%/cli/runprogram.h \
	%D%/cli/runsearch.c \
	%D%/cli/runsearch.h \
	%D%/cli/scenario.c \
	%D%/cli/scenario.h \
	%D%/cli/scenariofaults.c \
	%D%/cli/scenarioreading.c \
	%D%/cli/scenarioreading.h \
	%D%/cli/scenariosteps.c \
	%D%/cli/scenariovalues.c \
	%D%/cli/settingstext.c \
	%D%/cli/settingstext.h \
	%D%/cli/units.c \
	%D%/cli/units.h \
	%D%/cli/utf8.c \
	%D%/cli/utf8.h \
	%D%/cli/yamltree.c \
	%D%/cli/yamltree.h
libhostmem_cli_la_CPPFLAGS = \
	$(AM_CPPFLAGS) \
	$(YAML_CFLAGS) \
	-DHM_BINDIR='"$(bindir)"' \
	-DHM_PKGLIBDIR='"$(pkglibdir)"'
libhostmem_cli_la_LIBADD = $(YAML_LIBS)
libhostmem_cli_la_LDFLAGS =

## Installed, so the run path is libtool's business.
bin_PROGRAMS += %D%/cli/hostmem
hostmem_cli_hostmem_SOURCES = %D%/cli/main.c
hostmem_cli_hostmem_LDADD = libhostmem-cli.la libhostmem.la
hostmem_cli_hostmem_LDFLAGS = $(hardening)
dist_man_MANS += \
	%D%/cli/hostmem-check.1 \
	%D%/cli/hostmem-conform.1 \
	%D%/cli/hostmem-info.1 \
	%D%/cli/hostmem-run.1 \
	%D%/cli/hostmem-scenario.5 \
	%D%/cli/hostmem.1

EXTRA_DIST += \
	%D%/DIFFERENCES.md \
	%D%/README.md \
	%D%/conform/probe_windows.c \
	%D%/libhostmem-jsrt.map \
	%D%/libhostmem-preload.map \
	%D%/libhostmem.map \
	%D%/os/README.md
