#include "words.h"

#include "kpid/buf.h"

#include <assert.h>
#include <stdlib.h>

static void place_word(struct kpid_words *words, const struct kpid_word *word)
{
    uint32_t i = kpid_word_place(word->head, word->tail, word->len);
    while (words->places[i & words->mask].text)
        i++;
    words->places[i & words->mask] = *word;
}

static void grow(struct kpid_words *words)
{
    struct kpid_words old = *words;
    uint32_t size = old.places ? 2 * (old.mask + 1) : 8;
    words->places = kpid_zalloc(size, sizeof(*words->places));
    words->mask = size - 1;
    for (uint32_t i = 0; old.places && i <= old.mask; i++)
        if (old.places[i].text)
            place_word(words, &old.places[i]);
    free(old.places);
}

int32_t kpid_words_add(struct kpid_words *words, const char *text, size_t len, int32_t number)
{
    assert(number >= 0 && len <= UINT32_MAX);
    int32_t found = kpid_words_find(words, text, len, text + len);
    if (found >= 0)
        return found;
    if (!words->places || 2 * (words->n + 1) > words->mask + 1)
        grow(words);
    struct kpid_word word = { .text = text, .len = (uint32_t)len, .number = number };
    word.head = kpid_word_head(text, len, text + len);
    word.tail = kpid_word_tail(text, len);
    place_word(words, &word);
    words->n++;
    return number;
}

void kpid_words_release(struct kpid_words *words)
{
    free(words->places);
    *words = (struct kpid_words){ 0 };
}
