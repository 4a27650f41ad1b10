/* What decoding is measured against: the bare libraries over the same bytes; values looked at, none kept. */
#ifndef BENCH_DECODE_BARE_H
#define BENCH_DECODE_BARE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* simdjson on-demand: copy to a padded buffer, then over all keys and values. Returns a checksum. */
uint64_t bare_json(const char *bytes, size_t len);

/* msgpack-c's unpack template with callbacks that only make a tagged value. Returns a checksum. */
uint64_t bare_msgpack(const char *bytes, size_t len);

#ifdef __cplusplus
}
#endif

#endif
