## One adapter per managed runtime, built if the runtime is found.

## The program that README.md shows.
noinst_PROGRAMS += %D%/example
samples_example_LDADD = libhostmem.la

## Critical levels at work.
noinst_PROGRAMS += %D%/levels
samples_levels_LDADD = libhostmem.la

## What the monitor is for.
noinst_PROGRAMS += %D%/pressure
samples_pressure_SOURCES = \
	%D%/pressure.c \
	%D%/pressure_group.h \
	%D%/pressure_heard.h \
	%D%/pressure_watch.h \
	%D%/sample.h \
	%D%/sample_report.h
samples_pressure_LDADD = libhostmem.la

if HAVE_PYTHON
noinst_PROGRAMS += %D%/cpython
endif
samples_cpython_SOURCES = \
	%D%/cpython.c \
	%D%/cpython_counts.h \
	%D%/cpython_workload.h \
	%D%/sample.h \
	%D%/sample_report.h
samples_cpython_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_CFLAGS)
samples_cpython_LDADD = libhostmem.la $(PYTHON_LIBS)

if HAVE_LUA
noinst_PROGRAMS += %D%/lua
endif
samples_lua_SOURCES = \
	%D%/lua.c \
	%D%/sample.h \
	%D%/sample_report.h
samples_lua_CPPFLAGS = $(AM_CPPFLAGS) $(LUA_CFLAGS)
samples_lua_LDADD = libhostmem.la $(LUA_LIBS)

if HAVE_V8
noinst_PROGRAMS += %D%/v8
endif
samples_v8_SOURCES = \
	%D%/v8.cc \
	%D%/v8_blocks.h \
	%D%/v8_host.h \
	%D%/v8_isolate.h \
	%D%/v8_pages.h \
	%D%/v8_story.h
samples_v8_CPPFLAGS = $(AM_CPPFLAGS) $(V8_CPPFLAGS)
## V8 is built without, and what is derived from its classes has to be so, too.
samples_v8_CXXFLAGS = $(AM_CXXFLAGS) -fno-rtti
samples_v8_LDADD = libhostmem.la $(V8_LIBS)

## For `hostmem run --scenario`.
scenariosdir = $(pkgdatadir)/scenarios
dist_scenarios_DATA = \
	%D%/scenarios/random-refusals.yaml \
	%D%/scenarios/slow-squeeze.yaml \
	%D%/scenarios/sudden-low.yaml

EXTRA_DIST += \
	%D%/README.md
