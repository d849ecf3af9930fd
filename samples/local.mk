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

if HAVE_CORECLR
noinst_PROGRAMS += %D%/coreclr
noinst_DATA += %D%/coreclr.dll
endif
samples_coreclr_SOURCES = \
	%D%/coreclr.c \
	%D%/coreclr_functions.h \
	%D%/sample.h \
	%D%/sample_attached.h \
	%D%/sample_report.h
samples_coreclr_CPPFLAGS = $(AM_CPPFLAGS) -DCORECLR_FOLDER='"$(hm_coreclr)"'
samples_coreclr_LDADD = libhostmem.la

## What it runs; 1702: mcs wonders at the version of one library of the framework.
%D%/coreclr.dll: %D%/coreclr.cs
	$(AM_V_GEN)$(MCS) -noconfig -nostdlib -nowarn:1702 -target:library -out:$@ \
		-lib:'$(hm_coreclr)' \
		-r:System.Collections.dll \
		-r:System.Console.dll \
		-r:System.Private.CoreLib.dll \
		-r:System.Runtime.dll \
		-r:System.Runtime.Extensions.dll \
		$(srcdir)/%D%/coreclr.cs
CLEANFILES += %D%/coreclr.dll

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

if HAVE_MONO
noinst_PROGRAMS += %D%/mono
noinst_DATA += %D%/mono.dll
endif
samples_mono_SOURCES = \
	%D%/mono.c \
	%D%/sample.h \
	%D%/sample_attached.h \
	%D%/sample_report.h
samples_mono_CPPFLAGS = $(AM_CPPFLAGS) $(MONO_CFLAGS)
samples_mono_LDADD = libhostmem.la $(MONO_LIBS)

## What it runs.
%D%/mono.dll: %D%/mono.cs
	$(AM_V_GEN)$(MCS) -target:library -out:$@ $(srcdir)/%D%/mono.cs
CLEANFILES += %D%/mono.dll

if HAVE_JDK
noinst_PROGRAMS += %D%/openjdk
noinst_DATA += %D%/Story.class
endif
samples_openjdk_SOURCES = \
	%D%/openjdk.c \
	%D%/openjdk_calls.h \
	%D%/sample.h \
	%D%/sample_attached.h \
	%D%/sample_report.h
samples_openjdk_CPPFLAGS = $(AM_CPPFLAGS) $(JDK_CPPFLAGS) -DOPENJDK_FOLDER='"$(hm_jdk)"'
samples_openjdk_LDADD = libhostmem.la

## What it runs.
%D%/Story.class: %D%/openjdk.java
	$(AM_V_GEN)'$(hm_jdk)/bin/javac' -d %D% $(srcdir)/%D%/openjdk.java
CLEANFILES += %D%/Story.class

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
	%D%/coreclr.cs \
	%D%/mono.cs \
	%D%/README.md \
	%D%/demo.py \
	%D%/demo.sh \
	%D%/openjdk.java
