## A test is one source file or script, and adding one is one line in the right list.  Unit,
## fault and stress tests reach inside: they link libhostmem-internal.la, the default.  The
## others see what a caller sees, and say so in a line of their own at the end of the list.

unit_tests = \
	%D%/unit/arenapages \
	%D%/unit/arenapages_locked \
	%D%/unit/arenapages_random \
	%D%/unit/arenapages_refused \
	%D%/unit/arenapages_release \
	%D%/unit/arenas \
	%D%/unit/arenas_limits \
	%D%/unit/arenas_seen \
	%D%/unit/arguments \
	%D%/unit/attempt \
	%D%/unit/attempt_economize \
	%D%/unit/availability \
	%D%/unit/bins \
	%D%/unit/bitmap \
	%D%/unit/blocksizes \
	%D%/unit/budget \
	%D%/unit/budget_threads \
	%D%/unit/caches \
	%D%/unit/caches_move \
	%D%/unit/caches_random \
	%D%/unit/caches_threads \
	%D%/unit/calls \
	%D%/unit/cgroups \
	%D%/unit/clock \
	%D%/unit/commit \
	%D%/unit/committing \
	%D%/unit/committing_apart \
	%D%/unit/conformjunit \
	%D%/unit/conformtap \
	%D%/unit/conformtext \
	%D%/unit/directory \
	%D%/unit/display \
	%D%/unit/events \
	%D%/unit/extents \
	%D%/unit/extents_random \
	%D%/unit/external \
	%D%/unit/faults \
	%D%/unit/faults_random \
	%D%/unit/fence \
	%D%/unit/figures \
	%D%/unit/filenames \
	%D%/unit/foreign \
	%D%/unit/gate \
	%D%/unit/gate_asleep \
	%D%/unit/granules \
	%D%/unit/heap \
	%D%/unit/heap_threads \
	%D%/unit/heaplarge \
	%D%/unit/heappages \
	%D%/unit/host \
	%D%/unit/images \
	%D%/unit/images_refused \
	%D%/unit/infojson \
	%D%/unit/infotext \
	%D%/unit/infowords \
	%D%/unit/inheritance \
	%D%/unit/json \
	%D%/unit/largepages \
	%D%/unit/lending \
	%D%/unit/library \
	%D%/unit/lines \
	%D%/unit/lock \
	%D%/unit/looking \
	%D%/unit/loop \
	%D%/unit/loop_apart \
	%D%/unit/loop_end \
	%D%/unit/loop_fork \
	%D%/unit/loop_plain \
	%D%/unit/loop_plain_fork \
	%D%/unit/loop_plain_host \
	%D%/unit/mapping \
	%D%/unit/mappings \
	%D%/unit/mappings_parse \
	%D%/unit/meminfo \
	%D%/unit/meminfo_kept \
	%D%/unit/memory \
	%D%/unit/memory_advice \
	%D%/unit/memory_guards \
	%D%/unit/memoryload \
	%D%/unit/metadata \
	%D%/unit/monitor \
	%D%/unit/monitor_fork \
	%D%/unit/monitor_threads \
	%D%/unit/notify \
	%D%/unit/notify_delivery \
	%D%/unit/notify_threads \
	%D%/unit/opening \
	%D%/unit/opening_close \
	%D%/unit/overlays \
	%D%/unit/pages \
	%D%/unit/pages_reserve \
	%D%/unit/pagestates \
	%D%/unit/pagestates_random \
	%D%/unit/parked \
	%D%/unit/pieces \
	%D%/unit/places \
	%D%/unit/places_share \
	%D%/unit/places_threads \
	%D%/unit/places_window \
	%D%/unit/player \
	%D%/unit/player_threads \
	%D%/unit/pressure \
	%D%/unit/pressure_charge \
	%D%/unit/pressure_noise \
	%D%/unit/pressure_random \
	%D%/unit/profiles \
	%D%/unit/protect \
	%D%/unit/protection \
	%D%/unit/query \
	%D%/unit/quick \
	%D%/unit/reclaimer \
	%D%/unit/records \
	%D%/unit/regions \
	%D%/unit/regions_split \
	%D%/unit/release \
	%D%/unit/request \
	%D%/unit/request_inside \
	%D%/unit/reserve \
	%D%/unit/residents \
	%D%/unit/residents_file \
	%D%/unit/retained \
	%D%/unit/retained_random \
	%D%/unit/scenario \
	%D%/unit/scenario_samples \
	%D%/unit/settings \
	%D%/unit/shelf \
	%D%/unit/slot \
	%D%/unit/sources \
	%D%/unit/spans \
	%D%/unit/spans_marks \
	%D%/unit/spans_random \
	%D%/unit/spare \
	%D%/unit/threadcaches \
	%D%/unit/tidy \
	%D%/unit/tidy_threads \
	%D%/unit/units \
	%D%/unit/utf8 \
	%D%/unit/waiting \
	%D%/unit/waiting_blocks \
	%D%/unit/waiting_random \
	%D%/unit/watching \
	%D%/unit/watching_stalls \
	%D%/unit/watching_usage
test_unit_conformjunit_LDADD = $(cli_libraries)
test_unit_conformtap_LDADD = $(cli_libraries)
test_unit_conformtext_LDADD = $(cli_libraries)
test_unit_display_LDADD = $(cli_libraries)
test_unit_infojson_LDADD = $(cli_libraries)
test_unit_infotext_LDADD = $(cli_libraries)
test_unit_infowords_LDADD = $(cli_libraries)
test_unit_inheritance_LDADD = libhostmem-attach.la libhostmem-internal.la
test_unit_json_LDADD = $(cli_libraries)
test_unit_loop_plain_LDADD = libhostmem-core.la
test_unit_loop_plain_fork_LDADD = libhostmem-core.la
test_unit_loop_plain_host_LDADD = libhostmem-core.la
test_unit_player_LDADD = libhostmem-attach.la libhostmem-internal.la
test_unit_player_threads_LDADD = libhostmem-attach.la libhostmem-internal.la
test_unit_profiles_LDADD = libhostmem-attach.la libhostmem-internal.la
test_unit_scenario_LDADD = $(cli_libraries)
test_unit_scenario_samples_LDADD = \
	libhostmem-cli.la libhostmem-attach.la libhostmem-internal.la
test_unit_settings_LDADD = $(cli_libraries)
test_unit_slot_LDADD = libhostmem-jsrt-internal.la
test_unit_units_LDADD = $(cli_libraries)
test_unit_utf8_LDADD = $(cli_libraries)

## Of a sample.
if HAVE_V8
unit_tests += %D%/unit/v8_pages
endif
test_unit_v8_pages_SOURCES = %D%/unit/v8_pages.cc
test_unit_v8_pages_CPPFLAGS = $(AM_CPPFLAGS) $(V8_CPPFLAGS)
test_unit_v8_pages_CXXFLAGS = $(AM_CXXFLAGS) -fno-rtti
test_unit_v8_pages_LDADD = libhostmem.la

## The command's own parts, on the library as a program has it.
cli_libraries = libhostmem-cli.la libhostmem.la

abi_programs = \
	%D%/abi/codes \
	%D%/abi/headers \
	%D%/abi/jsrt \
	%D%/abi/wrappers
if HAVE_CXX17
abi_programs += %D%/abi/client
endif
abi_scripts = \
	%D%/abi/compile.sh \
	%D%/abi/core.sh \
	%D%/abi/exports.sh \
	%D%/abi/layers.sh
abi_tests = $(abi_programs) $(abi_scripts)
## Those to which it matters how the library is built; the others look at sources only.
abi_built_tests = \
	$(abi_programs) \
	%D%/abi/core.sh \
	%D%/abi/exports.sh
test_abi_client_SOURCES = %D%/abi/client.cc
test_abi_client_LDADD = libhostmem.la
test_abi_codes_LDADD = libhostmem.la
test_abi_headers_LDADD = libhostmem.la
test_abi_jsrt_LDADD = libhostmem.la
test_abi_wrappers_LDADD = libhostmem.la

conformance_tests = \
	%D%/conformance/attach_blocks \
	%D%/conformance/attach_blocks_life \
	%D%/conformance/attach_charge \
	%D%/conformance/attach_coreclr \
	%D%/conformance/attach_errors \
	%D%/conformance/attach_files \
	%D%/conformance/attach_hotspot \
	%D%/conformance/attach_levels \
	%D%/conformance/attach_life \
	%D%/conformance/attach_occupied \
	%D%/conformance/attach_pages \
	%D%/conformance/attach_remap \
	%D%/conformance/attach_small \
	%D%/conformance/attach_stopped \
	%D%/conformance/bad_inputs_alloc \
	%D%/conformance/bad_inputs_com \
	%D%/conformance/bad_inputs_free \
	%D%/conformance/bad_inputs_heap \
	%D%/conformance/bad_inputs_heap_free \
	%D%/conformance/bad_inputs_limits \
	%D%/conformance/bad_inputs_mappings \
	%D%/conformance/bad_inputs_policy \
	%D%/conformance/bad_inputs_query \
	%D%/conformance/budget \
	%D%/conformance/budget_law \
	%D%/conformance/charge_reserve \
	%D%/conformance/com \
	%D%/conformance/config \
	%D%/conformance/core_dump \
	%D%/conformance/determinism \
	%D%/conformance/events \
	%D%/conformance/events_attempts \
	%D%/conformance/events_failure \
	%D%/conformance/events_ledger \
	%D%/conformance/events_life \
	%D%/conformance/events_nested \
	%D%/conformance/faults \
	%D%/conformance/faults_arguments \
	%D%/conformance/faults_path \
	%D%/conformance/footprint \
	%D%/conformance/foreign \
	%D%/conformance/foreign_protect \
	%D%/conformance/gate \
	%D%/conformance/guard \
	%D%/conformance/heap \
	%D%/conformance/heap_debug \
	%D%/conformance/heap_events \
	%D%/conformance/heap_faults \
	%D%/conformance/heap_kept \
	%D%/conformance/heap_leaks \
	%D%/conformance/heap_limit \
	%D%/conformance/heap_malloc2 \
	%D%/conformance/heap_reports \
	%D%/conformance/heap_shrinking \
	%D%/conformance/heap_suspended \
	%D%/conformance/heap_trim \
	%D%/conformance/heap_waiting \
	%D%/conformance/hosting \
	%D%/conformance/jsrt_arguments \
	%D%/conformance/jsrt_attempts \
	%D%/conformance/jsrt_dispose \
	%D%/conformance/jsrt_events \
	%D%/conformance/jsrt_inside \
	%D%/conformance/jsrt_policy \
	%D%/conformance/jsrt_setting \
	%D%/conformance/jsrt_threads \
	%D%/conformance/jsrt_tracker \
	%D%/conformance/lifetime \
	%D%/conformance/mappings \
	%D%/conformance/memory_load \
	%D%/conformance/memory_load_group \
	%D%/conformance/module \
	%D%/conformance/names \
	%D%/conformance/notification \
	%D%/conformance/notification_gate \
	%D%/conformance/pages \
	%D%/conformance/reclaim \
	%D%/conformance/reclaim_inside \
	%D%/conformance/retain \
	%D%/conformance/retain_limits \
	%D%/conformance/shutdown \
	%D%/conformance/shutdown_inside \
	%D%/conformance/simulator \
	%D%/conformance/virtual_alloc \
	%D%/conformance/virtual_flags \
	%D%/conformance/virtual_free \
	%D%/conformance/virtual_protect \
	%D%/conformance/virtual_query \
	%D%/conformance/virtual_reset \
	%D%/conformance/waiting \
	%D%/conformance/waiting_gate \
	%D%/conformance/walk
## Of which the way of making pages is no part; most of their time they wait.
monitor_tests = \
	%D%/conformance/monitor \
	%D%/conformance/monitor_budget \
	%D%/conformance/monitor_crosswise \
	%D%/conformance/monitor_fork \
	%D%/conformance/monitor_group \
	%D%/conformance/monitor_life \
	%D%/conformance/monitor_look \
	%D%/conformance/monitor_loop \
	%D%/conformance/monitor_refused
test_conformance_attach_blocks_LDADD = libhostmem.la
test_conformance_attach_blocks_life_LDADD = libhostmem.la
test_conformance_attach_charge_LDADD = libhostmem.la
test_conformance_attach_coreclr_LDADD = libhostmem.la
test_conformance_attach_errors_LDADD = libhostmem.la
test_conformance_attach_files_LDADD = libhostmem.la
test_conformance_attach_levels_LDADD = libhostmem.la
test_conformance_attach_hotspot_LDADD = libhostmem.la
test_conformance_attach_life_LDADD = libhostmem.la
test_conformance_attach_occupied_LDADD = libhostmem.la
test_conformance_attach_pages_LDADD = libhostmem.la
test_conformance_attach_remap_LDADD = libhostmem.la
test_conformance_attach_small_LDADD = libhostmem.la
test_conformance_attach_stopped_LDADD = libhostmem.la
test_conformance_bad_inputs_alloc_LDADD = libhostmem.la
test_conformance_bad_inputs_com_LDADD = libhostmem.la
test_conformance_bad_inputs_free_LDADD = libhostmem.la
test_conformance_bad_inputs_heap_LDADD = libhostmem.la
test_conformance_bad_inputs_heap_free_LDADD = libhostmem.la
test_conformance_bad_inputs_limits_LDADD = libhostmem.la
test_conformance_bad_inputs_mappings_LDADD = libhostmem.la
test_conformance_bad_inputs_policy_LDADD = libhostmem.la
test_conformance_bad_inputs_query_LDADD = libhostmem.la
test_conformance_budget_LDADD = libhostmem.la
test_conformance_budget_law_LDADD = libhostmem.la
test_conformance_charge_reserve_LDADD = libhostmem.la
test_conformance_com_LDADD = libhostmem.la
test_conformance_config_LDADD = libhostmem.la
test_conformance_core_dump_LDADD = libhostmem.la
test_conformance_determinism_LDADD = libhostmem.la
test_conformance_events_LDADD = libhostmem.la
test_conformance_events_attempts_LDADD = libhostmem.la
test_conformance_events_failure_LDADD = libhostmem.la
test_conformance_events_ledger_LDADD = libhostmem.la
test_conformance_events_life_LDADD = libhostmem.la
test_conformance_events_nested_LDADD = libhostmem.la
test_conformance_faults_LDADD = libhostmem.la
test_conformance_faults_arguments_LDADD = libhostmem.la
test_conformance_faults_path_LDADD = libhostmem.la
test_conformance_footprint_LDADD = libhostmem.la
test_conformance_foreign_LDADD = libhostmem.la
test_conformance_foreign_protect_LDADD = libhostmem.la
test_conformance_gate_LDADD = libhostmem.la
test_conformance_guard_LDADD = libhostmem.la
test_conformance_heap_LDADD = libhostmem.la
test_conformance_heap_debug_LDADD = libhostmem.la
test_conformance_heap_events_LDADD = libhostmem.la
test_conformance_heap_faults_LDADD = libhostmem.la
test_conformance_heap_kept_LDADD = libhostmem.la
test_conformance_heap_leaks_LDADD = libhostmem.la
test_conformance_heap_limit_LDADD = libhostmem.la
test_conformance_heap_malloc2_LDADD = libhostmem.la
test_conformance_heap_reports_LDADD = libhostmem.la
test_conformance_heap_shrinking_LDADD = libhostmem.la
test_conformance_heap_suspended_LDADD = libhostmem.la
test_conformance_heap_trim_LDADD = libhostmem.la
test_conformance_heap_waiting_LDADD = libhostmem.la
test_conformance_hosting_LDADD = libhostmem.la
test_conformance_jsrt_arguments_LDADD = $(jsrt_libraries)
test_conformance_jsrt_attempts_LDADD = $(jsrt_libraries)
test_conformance_jsrt_dispose_LDADD = $(jsrt_libraries)
test_conformance_jsrt_events_LDADD = $(jsrt_libraries)
test_conformance_jsrt_inside_LDADD = $(jsrt_libraries)
test_conformance_jsrt_policy_LDADD = $(jsrt_libraries)
test_conformance_jsrt_setting_LDADD = $(jsrt_libraries)
test_conformance_jsrt_threads_LDADD = $(jsrt_libraries)
test_conformance_jsrt_tracker_LDADD = $(jsrt_libraries)
test_conformance_lifetime_LDADD = libhostmem.la
test_conformance_mappings_LDADD = libhostmem.la
test_conformance_memory_load_LDADD = libhostmem.la
test_conformance_memory_load_group_LDADD = libhostmem.la
test_conformance_module_LDADD = libhostmem.la
test_conformance_monitor_LDADD = libhostmem.la
test_conformance_monitor_budget_LDADD = libhostmem.la
test_conformance_monitor_crosswise_LDADD = libhostmem.la
test_conformance_monitor_fork_LDADD = libhostmem.la
test_conformance_monitor_group_LDADD = libhostmem.la
test_conformance_monitor_life_LDADD = libhostmem.la
test_conformance_monitor_look_LDADD = libhostmem.la
test_conformance_monitor_loop_LDADD = libhostmem.la $(UV_LIBS)
test_conformance_monitor_refused_LDADD = libhostmem.la $(UV_LIBS)
test_conformance_names_LDADD = libhostmem.la
test_conformance_notification_LDADD = libhostmem.la
test_conformance_notification_gate_LDADD = libhostmem.la
test_conformance_pages_LDADD = libhostmem.la
test_conformance_reclaim_LDADD = libhostmem.la
test_conformance_reclaim_inside_LDADD = libhostmem.la
test_conformance_retain_LDADD = libhostmem.la
test_conformance_retain_limits_LDADD = libhostmem.la
test_conformance_shutdown_LDADD = libhostmem.la
test_conformance_shutdown_inside_LDADD = libhostmem.la
test_conformance_simulator_LDADD = libhostmem.la
test_conformance_virtual_alloc_LDADD = libhostmem.la
test_conformance_virtual_flags_LDADD = libhostmem.la
test_conformance_virtual_free_LDADD = libhostmem.la
test_conformance_virtual_protect_LDADD = libhostmem.la
test_conformance_virtual_query_LDADD = libhostmem.la
test_conformance_virtual_reset_LDADD = libhostmem.la
test_conformance_waiting_LDADD = libhostmem.la
test_conformance_waiting_gate_LDADD = libhostmem.la
test_conformance_walk_LDADD = libhostmem.la

## Both are named, so that a program finds them by its own run path.
jsrt_libraries = libhostmem-jsrt.la libhostmem.la

## A second host module, to be loaded by a test: nothing of ours is in it.
check_LTLIBRARIES += forwarding-module.la
forwarding_module_la_SOURCES = %D%/conformance/forwarding_module.c abi/iids.c
forwarding_module_la_LDFLAGS = \
	-avoid-version \
	-export-symbols-regex '^DllGetClassObject$$' \
	-module \
	-rpath /nowhere \
	-shared

## A third, written from the public headers alone: by it the suite of `hostmem conform` is
## judged itself.
check_LTLIBRARIES += plain-module.la
plain_module_la_SOURCES = \
	%D%/conformance/plain_control.c \
	%D%/conformance/plain_heap.c \
	%D%/conformance/plain_module.c \
	%D%/conformance/plain_module.h \
	%D%/conformance/plain_pages.c \
	%D%/conformance/plain_pages.h \
	%D%/conformance/plain_query.c \
	abi/iids.c
plain_module_la_LDFLAGS = \
	-avoid-version \
	-export-symbols-regex '^DllGetClassObject$$' \
	-module \
	-rpath /nowhere \
	-shared

## Libraries whose imports are replaced: bound at the first call, and bound when loaded.
check_LTLIBRARIES += images-lazy.la images-now.la
images_lazy_la_SOURCES = %D%/unit/images_library.c
images_lazy_la_LDFLAGS = \
	-Wl,-z,lazy \
	-Wl,-z,relro \
	-avoid-version \
	-module \
	-rpath /nowhere \
	-shared
images_now_la_SOURCES = %D%/unit/images_library.c
images_now_la_LDFLAGS = \
	-Wl,-z,now \
	-Wl,-z,relro \
	-avoid-version \
	-module \
	-rpath /nowhere \
	-shared

## One that misbehaves, around the first of them.
check_LTLIBRARIES += hostile-module.la
hostile_module_la_SOURCES = \
	%D%/conformance/forwarding_module.c \
	%D%/e2e/hostile_module.c \
	abi/iids.c
hostile_module_la_CPPFLAGS = $(AM_CPPFLAGS) -DDllGetClassObject=forwarding_DllGetClassObject
hostile_module_la_LDFLAGS = \
	-avoid-version \
	-export-symbols-regex '^DllGetClassObject$$' \
	-module \
	-rpath /nowhere \
	-shared

## One that looks, from inside a program, at how much of it is its host's.
check_LTLIBRARIES += share-probe.la
share_probe_la_SOURCES = %D%/e2e/share_probe.c abi/iids.c
share_probe_la_LDFLAGS = \
	-avoid-version \
	-module \
	-rpath /nowhere \
	-shared

## One with a defect at a time: a wrapper around our own host.
check_LTLIBRARIES += defective-module.la
defective_module_la_SOURCES = \
	%D%/defects/defects.c \
	%D%/defects/defects.h \
	%D%/defects/module.c \
	%D%/defects/wrapper.c \
	%D%/defects/wrapper.h \
	%D%/defects/wrapper_account.c \
	%D%/defects/wrapper_alloc.c \
	%D%/defects/wrapper_callback.c \
	%D%/defects/wrapper_control.c \
	%D%/defects/wrapper_free.c \
	%D%/defects/wrapper_heap.c \
	%D%/defects/wrapper_manager.c \
	%D%/defects/wrapper_monitor.c \
	%D%/defects/wrapper_pages.c \
	%D%/defects/wrapper_query.c \
	%D%/defects/wrapper_simulator.c
defective_module_la_LIBADD = libhostmem.la
defective_module_la_LDFLAGS = \
	-avoid-version \
	-export-symbols-regex '^DllGetClassObject$$' \
	-module \
	-rpath /nowhere \
	-shared
defects_tests = %D%/defects/defects.sh

## Our module before the suite; each case is a test.
suite_tests = %D%/conformance/suite.sh

fault_tests = \
	%D%/fault/attach_sweep \
	%D%/fault/half_done \
	%D%/fault/monitor_sweep \
	%D%/fault/sweep
test_fault_half_done_SOURCES = \
	%D%/fault/half_done.c \
	%D%/fault/refusing.c \
	%D%/fault/scene.c
test_fault_monitor_sweep_SOURCES = \
	%D%/fault/monitor_sweep.c \
	%D%/fault/refusing.c
test_fault_sweep_SOURCES = \
	%D%/fault/refusing.c \
	%D%/fault/scenarios.c \
	%D%/fault/scenarios_arena.c \
	%D%/fault/scenarios_heap.c \
	%D%/fault/scenarios_policy.c \
	%D%/fault/scene.c \
	%D%/fault/sweep.c

stress_tests = \
	%D%/stress/attach_differential \
	%D%/stress/attach_many \
	%D%/stress/differential \
	%D%/stress/fork \
	%D%/stress/fork_arenas \
	%D%/stress/gate \
	%D%/stress/guards \
	%D%/stress/heap \
	%D%/stress/heap_ends \
	%D%/stress/heap_fork \
	%D%/stress/heap_fork_ends \
	%D%/stress/heap_gate \
	%D%/stress/heap_handler \
	%D%/stress/heap_million \
	%D%/stress/heap_shed \
	%D%/stress/heap_threads \
	%D%/stress/heap_twice \
	%D%/stress/limits \
	%D%/stress/limits_heap \
	%D%/stress/limits_policy \
	%D%/stress/million \
	%D%/stress/monitor \
	%D%/stress/queries \
	%D%/stress/queries_arena \
	%D%/stress/threads
test_stress_differential_SOURCES = \
	%D%/stress/compare.c \
	%D%/stress/differential.c \
	%D%/stress/model.c

e2e_tests = \
	%D%/e2e/check.sh \
	%D%/e2e/conform.sh \
	%D%/e2e/coreclr.sh \
	%D%/e2e/cpython.sh \
	%D%/e2e/info.sh \
	%D%/e2e/install.sh \
	%D%/e2e/lua.sh \
	%D%/e2e/mono.sh \
	%D%/e2e/openjdk.sh \
	%D%/e2e/pressure.sh \
	%D%/e2e/readme.sh \
	%D%/e2e/run.sh \
	%D%/e2e/runtimes.sh \
	%D%/e2e/share.sh \
	%D%/e2e/tools.sh \
	%D%/e2e/v8.sh \
	%D%/e2e/valgrind.sh

## The conformance suite, asked of Win32.
judge_tests = %D%/judge/judge.sh

## Run under the thread sanitizer, besides the stress tests.
threaded_tests = \
	%D%/conformance/attach_small \
	%D%/conformance/bad_inputs_free \
	%D%/conformance/bad_inputs_heap_free \
	%D%/conformance/bad_inputs_query \
	%D%/conformance/budget_law \
	%D%/conformance/com \
	%D%/conformance/determinism \
	%D%/conformance/events_failure \
	%D%/conformance/events_ledger \
	%D%/conformance/events_nested \
	%D%/conformance/gate \
	%D%/conformance/guard \
	%D%/conformance/heap_kept \
	%D%/conformance/heap_limit \
	%D%/conformance/heap_shrinking \
	%D%/conformance/heap_suspended \
	%D%/conformance/heap_trim \
	%D%/conformance/heap_waiting \
	%D%/conformance/jsrt_setting \
	%D%/conformance/jsrt_threads \
	%D%/conformance/jsrt_tracker \
	%D%/conformance/lifetime \
	%D%/conformance/monitor \
	%D%/conformance/monitor_budget \
	%D%/conformance/monitor_crosswise \
	%D%/conformance/monitor_life \
	%D%/conformance/monitor_loop \
	%D%/conformance/notification_gate \
	%D%/conformance/reclaim \
	%D%/conformance/shutdown_inside \
	%D%/conformance/waiting \
	%D%/conformance/waiting_gate \
	%D%/unit/arenas \
	%D%/unit/attempt \
	%D%/unit/bitmap \
	%D%/unit/budget \
	%D%/unit/budget_threads \
	%D%/unit/caches_threads \
	%D%/unit/calls \
	%D%/unit/directory \
	%D%/unit/events \
	%D%/unit/faults_random \
	%D%/unit/fence \
	%D%/unit/figures \
	%D%/unit/gate \
	%D%/unit/gate_asleep \
	%D%/unit/granules \
	%D%/unit/heap \
	%D%/unit/heap_threads \
	%D%/unit/host \
	%D%/unit/lock \
	%D%/unit/loop \
	%D%/unit/loop_apart \
	%D%/unit/loop_end \
	%D%/unit/loop_plain \
	%D%/unit/loop_plain_host \
	%D%/unit/mappings \
	%D%/unit/metadata \
	%D%/unit/monitor_threads \
	%D%/unit/notify \
	%D%/unit/notify_threads \
	%D%/unit/places_threads \
	%D%/unit/player \
	%D%/unit/player_threads \
	%D%/unit/protect \
	%D%/unit/query \
	%D%/unit/quick \
	%D%/unit/reclaimer \
	%D%/unit/regions_split \
	%D%/unit/shelf \
	%D%/unit/slot \
	%D%/unit/spans_random \
	%D%/unit/threadcaches \
	%D%/unit/tidy_threads \
	%D%/unit/waiting \
	%D%/unit/waiting_random

## What may come out otherwise in a build of another kind.
again_tests = \
	$(abi_built_tests) \
	$(conformance_tests) \
	$(e2e_tests) \
	$(fault_tests) \
	$(monitor_tests) \
	$(stress_tests) \
	$(suite_tests) \
	$(unit_tests)

## Run in each of the ways in which a host takes access away from pages, see abi/hostmem.h:
## `make check` takes what the kernel has, this the others.
pages_tests = \
	$(conformance_tests) \
	$(fault_tests) \
	$(stress_tests) \
	$(suite_tests)

## The least of that, for builds in which everything is slow.
protect_tests = \
	%D%/stress/differential \
	%D%/stress/guards \
	%D%/stress/queries \
	%D%/stress/threads

## What `make distcheck` runs: a tarball that lacks a file fails in these.
short_tests = \
	$(abi_tests) \
	$(unit_tests) \
	%D%/e2e/check.sh \
	%D%/e2e/cpython.sh \
	%D%/e2e/info.sh \
	%D%/e2e/install.sh \
	%D%/e2e/lua.sh \
	%D%/e2e/readme.sh \
	%D%/e2e/run.sh

if SHORT_TESTS
TESTS = $(short_tests)
check_PROGRAMS += \
	$(abi_programs) \
	$(unit_tests)
else
TESTS = \
	$(abi_tests) \
	$(conformance_tests) \
	$(defects_tests) \
	$(e2e_tests) \
	$(fault_tests) \
	$(judge_tests) \
	$(monitor_tests) \
	$(stress_tests) \
	$(suite_tests) \
	$(unit_tests)
check_PROGRAMS += \
	$(abi_programs) \
	$(conformance_tests) \
	$(fault_tests) \
	$(monitor_tests) \
	$(stress_tests) \
	$(unit_tests)
endif
noinst_HEADERS += \
	%D%/callback.h \
	%D%/conformance/access.h \
	%D%/conformance/attach.h \
	%D%/conformance/bad_inputs.h \
	%D%/conformance/bad_inputs_heap.h \
	%D%/conformance/budget.h \
	%D%/conformance/child.h \
	%D%/conformance/com_rules.h \
	%D%/conformance/faulted.h \
	%D%/conformance/group.h \
	%D%/conformance/heap.h \
	%D%/conformance/heap_debug.h \
	%D%/conformance/host.h \
	%D%/conformance/jsrt.h \
	%D%/conformance/jsrt_workers.h \
	%D%/conformance/ledger.h \
	%D%/conformance/maps.h \
	%D%/conformance/monitor.h \
	%D%/conformance/reclaim.h \
	%D%/conformance/recorder.h \
	%D%/conformance/retain.h \
	%D%/conformance/smaps.h \
	%D%/conformance/threads.h \
	%D%/conformance/workload.h \
	%D%/conformance/workload_heap.h \
	%D%/fault/refusing.h \
	%D%/fault/scenarios.h \
	%D%/fault/scene.h \
	%D%/heap.h \
	%D%/pressure_noise.h \
	%D%/proc.h \
	%D%/stress/blocks.h \
	%D%/stress/compare.h \
	%D%/stress/crowd.h \
	%D%/stress/faces.h \
	%D%/stress/forked.h \
	%D%/stress/limits.h \
	%D%/stress/model.h \
	%D%/stress/race.h \
	%D%/stress/sides.h \
	%D%/stress/traffic.h \
	%D%/tap.h \
	%D%/unit/arena.h \
	%D%/unit/bounds.h \
	%D%/unit/caches.h \
	%D%/unit/fake.h \
	%D%/unit/files.h \
	%D%/unit/groups.h \
	%D%/unit/heaps.h \
	%D%/unit/images.h \
	%D%/unit/kernel.h \
	%D%/unit/loops.h \
	%D%/unit/map.h \
	%D%/unit/other.h \
	%D%/unit/playing.h \
	%D%/unit/plot.h \
	%D%/unit/pressure.h \
	%D%/unit/printed.h \
	%D%/unit/reported.h \
	%D%/unit/rules.h \
	%D%/unit/spans.h \
	%D%/unit/stubborn.h \
	%D%/unit/tree.h \
	%D%/unit/watcher.h
EXTRA_DIST += \
	$(abi_scripts) \
	$(defects_tests) \
	$(e2e_tests) \
	$(judge_tests) \
	$(suite_tests) \
	%D%/README.md \
	%D%/abi/exports-jsrt.txt \
	%D%/abi/exports.txt \
	%D%/defects/defects.txt \
	%D%/e2e/junit.xsd \
	%D%/e2e/running.sh \
	%D%/e2e/sample.sh \
	%D%/judge/apart.c \
	%D%/judge/apart.h \
	%D%/judge/fault.c \
	%D%/judge/heap.c \
	%D%/judge/host.c \
	%D%/judge/host.h \
	%D%/judge/ledger.c \
	%D%/judge/ledger.h \
	%D%/judge/main.c \
	%D%/judge/report.c \
	%D%/judge/report.h \
	%D%/tsan.suppressions

LDADD = libhostmem-internal.la

## A leak is reported through the exit status after the last test line, so the driver
## must look at it: no --ignore-exit.
TEST_EXTENSIONS = .sh
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)

## For scripts; all paths absolute.
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	CC='$(CC)'; export CC; \
	CORECLR='$(hm_coreclr)'; export CORECLR; \
	CXX='$(CXX)'; export CXX; \
	NM='$(NM)'; export NM; \
	HOSTMEM_MODULE='$(abs_top_builddir)/.libs/hostmem-module.so'; \
	export HOSTMEM_MODULE; \
	HOSTMEM_FORWARDING_MODULE='$(abs_top_builddir)/.libs/forwarding-module.so'; \
	export HOSTMEM_FORWARDING_MODULE; \
	HOSTMEM_HOSTILE_MODULE='$(abs_top_builddir)/.libs/hostile-module.so'; \
	export HOSTMEM_HOSTILE_MODULE; \
	HOSTMEM_PLAIN_MODULE='$(abs_top_builddir)/.libs/plain-module.so'; \
	export HOSTMEM_PLAIN_MODULE; \
	PKG_CONFIG='$(PKG_CONFIG)'; export PKG_CONFIG; \
	TSAN_OPTIONS="suppressions=$(abs_top_srcdir)/%D%/tsan.suppressions:$$TSAN_OPTIONS"; \
	export TSAN_OPTIONS;

check-again:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(again_tests)'
check-abi:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(abi_tests)'
check-conformance:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(conformance_tests) $(monitor_tests) $(suite_tests)'
## The whole suite for each defect, some minutes: which case finds what.
check-defects: defective-module.la hostmem/cli/hostmem
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) $(SHELL) $(top_srcdir)/%D%/defects/defects.sh --matrix
check-e2e:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(e2e_tests)'
check-fault:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(fault_tests)'
check-judge:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(judge_tests)' check_PROGRAMS=
check-pages:
	$(AM_V_at)status=0; for way in protect direct; do \
		echo "HOSTMEM_PAGES=$$way"; \
		HOSTMEM_PAGES=$$way $(MAKE) $(AM_MAKEFLAGS) check \
			TESTS='$(pages_tests)' || status=1; \
	done; exit $$status
check-protect:
	$(AM_V_at)HOSTMEM_PAGES=protect $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(protect_tests)'
check-stress:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(stress_tests)'
check-threaded:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(stress_tests) $(suite_tests) $(threaded_tests)'
check-unit:
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(unit_tests)'
.PHONY: check-abi check-again check-conformance check-defects check-e2e check-fault \
	check-judge check-pages check-protect check-stress check-threaded check-unit
