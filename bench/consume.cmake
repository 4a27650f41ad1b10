# The bare consumer that bench/pipeline compares kpid with: the same libraries, and nothing done with a message.
add_executable(kpid-bench-consume consume.c)
target_link_libraries(kpid-bench-consume PRIVATE PkgConfig::RDKAFKA)
if(JEMALLOC_FOUND AND NOT KPID_SANITIZE)
  target_link_libraries(kpid-bench-consume PRIVATE -Wl,--no-as-needed PkgConfig::JEMALLOC)
endif()
