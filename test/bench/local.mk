## The benchmark: built and run by `make bench` only.  BENCH picks rows, BENCHFLAGS are
## options; `make bench BENCHFLAGS=--help` lists both.

EXTRA_PROGRAMS = %D%/pages
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

CLEANFILES += \
	$(EXTRA_PROGRAMS) \
	%D%/pages.csv

bench: %D%/pages$(EXEEXT)
	$(AM_V_at)%D%/pages$(EXEEXT) $(BENCHFLAGS) '$(BENCH)'
.PHONY: bench
