add_executable(kpid-bench-decode decode.c decode_bare_json.cpp decode_bare_msgpack.c)
target_link_libraries(kpid-bench-decode PRIVATE kpid_decode)
