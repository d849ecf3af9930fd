## The benchmarks: built and run by `make bench` only, one of them by `make bench-heap`,
## `make bench-pages`, `make bench-pressure` or `make bench-run`.  BENCH picks rows, which
## `bench` knows one of only: quick.  BENCHFLAGS are options; `make bench-heap
## BENCHFLAGS=--help` lists both.

EXTRA_PROGRAMS = \
	%D%/heap \
	%D%/pages \
	%D%/pressure \
	%D%/run
test_bench_heap_SOURCES = \
	%D%/allocator.c \
	%D%/allocator.h \
	%D%/heap.c \
	%D%/heapreport.c \
	%D%/heapreport.h \
	%D%/heaprows.c \
	%D%/heaprows.h \
	%D%/loops.c \
	%D%/loops.h \
	%D%/machine.c \
	%D%/machine.h \
	%D%/measure.c \
	%D%/measure.h \
	%D%/options.c \
	%D%/options.h \
	%D%/process.c \
	%D%/process.h \
	%D%/random.h \
	%D%/serve.c \
	%D%/table.c \
	%D%/table.h \
	%D%/verdict.c \
	%D%/verdict.h \
	%D%/worker.c \
	%D%/worker.h \
	%D%/workloads.c \
	%D%/workloads.h
test_bench_heap_LDADD = libhostmem.la -lm
test_bench_pages_SOURCES = \
	%D%/cell.c \
	%D%/cell.h \
	%D%/child.c \
	%D%/child.h \
	%D%/count.c \
	%D%/count.h \
	%D%/gate.c \
	%D%/lane.h \
	%D%/machine.c \
	%D%/machine.h \
	%D%/measure.c \
	%D%/measure.h \
	%D%/options.c \
	%D%/options.h \
	%D%/ours.c \
	%D%/pages.c \
	%D%/process.c \
	%D%/process.h \
	%D%/raw.c \
	%D%/report.c \
	%D%/report.h \
	%D%/result.h \
	%D%/rows.c \
	%D%/rows.h \
	%D%/selection.c \
	%D%/selection.h \
	%D%/stage.c \
	%D%/stage.h \
	%D%/table.c \
	%D%/table.h \
	%D%/verdict.c \
	%D%/verdict.h
## One row needs lines of the library that are not exported.
test_bench_pages_LDADD = libhostmem.la libhostmem-internal.la -lm
test_bench_pressure_SOURCES = \
	%D%/allocations.c \
	%D%/allocations.h \
	%D%/apart.c \
	%D%/apart.h \
	%D%/crossings.c \
	%D%/crossings.h \
	%D%/crossings_other.c \
	%D%/crossings_ours.c \
	%D%/idle.c \
	%D%/idle.h \
	%D%/latency.c \
	%D%/latency.h \
	%D%/listener.c \
	%D%/listener.h \
	%D%/loads.c \
	%D%/loads.h \
	%D%/machine.c \
	%D%/machine.h \
	%D%/measure.c \
	%D%/measure.h \
	%D%/options.c \
	%D%/options.h \
	%D%/pressure.c \
	%D%/pressurereport.c \
	%D%/pressurereport.h \
	%D%/process.c \
	%D%/process.h \
	%D%/table.c \
	%D%/table.h \
	%D%/verdict.c \
	%D%/verdict.h \
	%D%/wavering.c \
	%D%/wavering.h
## Likewise; others have a libuv loop of their own.
test_bench_pressure_LDADD = libhostmem.la libhostmem-internal.la $(UV_LIBS) -lm

test_bench_run_SOURCES = \
	%D%/machine.c \
	%D%/machine.h \
	%D%/measure.c \
	%D%/measure.h \
	%D%/options.c \
	%D%/options.h \
	%D%/process.c \
	%D%/process.h \
	%D%/run.c \
	%D%/runcommand.c \
	%D%/runcommand.h \
	%D%/runreport.c \
	%D%/runreport.h \
	%D%/table.c \
	%D%/table.h \
	%D%/verdict.c \
	%D%/verdict.h
## What libtool puts in the place of the command is a script, whose time would count.
test_bench_run_CPPFLAGS = \
	$(AM_CPPFLAGS) \
	-DCORECLR_FOLDER='"$(hm_coreclr)"' \
	-DHOSTMEM_COMMAND='"$(abs_top_builddir)/hostmem/cli/.libs/hostmem"' \
	-DRUNTIMES_FOLDER='"$(abs_top_srcdir)/%D%/runtimes"'
test_bench_run_LDADD = libhostmem.la -lm

CLEANFILES += \
	$(EXTRA_PROGRAMS) \
	%D%/heap.csv \
	%D%/pages.csv \
	%D%/pressure.csv \
	%D%/run.csv

## One after the other, also with -j.
bench: %D%/heap$(EXEEXT) %D%/pages$(EXEEXT) %D%/pressure$(EXEEXT) %D%/run$(EXEEXT)
	$(AM_V_at)%D%/pages$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
	$(AM_V_at)%D%/heap$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
	$(AM_V_at)%D%/pressure$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) bench-run
bench-heap: %D%/heap$(EXEEXT)
	$(AM_V_at)%D%/heap$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
bench-pages: %D%/pages$(EXEEXT)
	$(AM_V_at)%D%/pages$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
bench-pressure: %D%/pressure$(EXEEXT)
	$(AM_V_at)%D%/pressure$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
bench-run: %D%/run$(EXEEXT) hostmem/cli/hostmem$(EXEEXT) libhostmem-preload.la
	$(AM_V_at)LD_LIBRARY_PATH='$(abs_top_builddir)/.libs' \
		%D%/run$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
.PHONY: bench bench-heap bench-pages bench-pressure bench-run

EXTRA_DIST += \
	%D%/runtimes/Workload.cs \
	%D%/runtimes/Workload.java \
	%D%/runtimes/command.sh \
	%D%/runtimes/workload.js \
	%D%/runtimes/workload.lua \
	%D%/runtimes/workload.py \
	%D%/runtimes/workload.rb \
	%D%/runtimes/workload.scm
