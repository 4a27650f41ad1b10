# What benches of the engine share: events of the generator's shop, and a meter.
add_library(kpid_bench STATIC meter.c stream.c generate/random.c generate/calendar.c generate/queue.c generate/shop.c
  generate/shop_visit.c generate/shop_complaint.c generate/event.c generate/encode_json.c generate/encode_msgpack.c)
target_include_directories(kpid_bench PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(kpid_bench PUBLIC kpid_config kpid_decode kpid_engine kpid_util m)

add_executable(kpid-bench-engine engine.c decode_bare_json.cpp decode_bare_msgpack.c)
target_link_libraries(kpid-bench-engine PRIVATE kpid_bench)
