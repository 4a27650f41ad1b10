# What measures cost by kind: an event, state, more windows and groups.
add_executable(kpid-bench-measures measures.c measures_cost.c measures_growth.c measures_join.c measures_state.c rig.c)
target_link_libraries(kpid-bench-measures PRIVATE kpid_bench kpid_lookup)
