/*
 * A fixed set of words (keys of a message, event types), each with a number: open addressing, at most half
 * full, and one multiplication to hash. A word is compared by its length and its first and last 8 bytes,
 * which is all of it up to 16; only longer ones need memcmp. Made once, then read only.
 */
#ifndef KPID_DECODE_WORDS_H
#define KPID_DECODE_WORDS_H

#include "kpid/macros.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "kpid_word_head masks the bytes of a little-endian word");

struct kpid_word {
    uint64_t head, tail; /* first and last 8 bytes; tail 0 up to 8 bytes */
    const char *text;    /* borrowed; NULL: free place */
    uint32_t len;
    int32_t number;
};

struct kpid_words {
    struct kpid_word *places;
    uint32_t n, mask; /* places: mask + 1, none while n = 0 */
};

/* Adds a word with its number (>= 0) unless it is there; borrows the text. Returns its number. */
int32_t kpid_words_add(struct kpid_words *words, const char *text, size_t len, int32_t number);

void kpid_words_release(struct kpid_words *words);

/* Bytes 0 to 7, the missing ones zero. Reads 8 where `end` allows, never behind it. */
static inline uint64_t kpid_word_head(const char *text, size_t len, const char *end)
{
    uint64_t head = 0;
    if (end - text < 8 || len == 0) {
        memcpy(&head, text, len < 8 ? len : 8);
        return head;
    }
    memcpy(&head, text, 8);
    return len < 8 ? head & (UINT64_MAX >> (64 - 8 * len)) : head;
}

static inline uint64_t kpid_word_tail(const char *text, size_t len)
{
    uint64_t tail = 0;
    if (len > 8)
        memcpy(&tail, text + len - 8, 8);
    return tail;
}

static inline uint32_t kpid_word_place(uint64_t head, uint64_t tail, size_t len)
{
    return (uint32_t)(((head ^ (tail * 3) ^ len) * 0x9e3779b97f4a7c15u) >> 32);
}

/* The number of a word, -1: not in the set. `end`: how far may be read, at least text + len. */
static inline int32_t kpid_words_find(const struct kpid_words *words, const char *text, size_t len,
                                      const char *end)
{
    if (words->n == 0)
        return -1;
    uint64_t head = kpid_word_head(text, len, end), tail = kpid_word_tail(text, len);
    for (uint32_t i = kpid_word_place(head, tail, len);; i++) {
        const struct kpid_word *word = &words->places[i & words->mask];
        if (!word->text)
            return -1;
        if (word->head == head && word->tail == tail && word->len == len &&
            (len <= 16 || memcmp(word->text, text, len) == 0))
            return word->number;
    }
}

#endif
