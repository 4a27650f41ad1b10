/* Durations, sizes, percentages and the like from text. Pure; outputs are set only on success. */
#ifndef KPID_CONFIG_TEXT_H
#define KPID_CONFIG_TEXT_H

#include "kpid/macros.h"

/* "500ms", "30s", "5m", "48h", "30d", "1w", "1h30m"; whole numbers only, units descending. */
bool kpid_text_duration(const char *text, int64_t *ret_ms) KPID_MUST_CHECK;
/* "65536", "64KiB", "128MiB", "1GiB", "1GB" (powers of 1000 without the i). */
bool kpid_text_size(const char *text, uint64_t *ret_bytes) KPID_MUST_CHECK;
/* "3.2 %" or "3.2%" -> 0.032. */
bool kpid_text_percent(const char *text, double *ret) KPID_MUST_CHECK;
/* A decimal number and nothing else. */
bool kpid_text_number(const char *text, double *ret) KPID_MUST_CHECK;
bool kpid_text_count(const char *text, uint64_t *ret) KPID_MUST_CHECK;
/* Index of `text` in words, "a|b|c". */
bool kpid_text_choice(const char *text, const char *words, uint8_t *ret) KPID_MUST_CHECK;
/* A letter or _, then letters, digits and _; with `dots` also . and -. */
bool kpid_text_is_name(const char *text, bool dots) KPID_MUST_CHECK;
/* The shortest way to write a duration, e.g. 5400000 -> "1h30m". text holds 64 bytes. */
void kpid_text_print_duration(int64_t ms, char text[64]);

#endif
