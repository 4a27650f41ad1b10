/* What one event means to each measure, worked out for all of them before any counts it. */
#include "core.h"

#include "kpid/hash.h"
#include "kpid/hll.h"

#include <string.h>

uint32_t kpid_shard_gid(struct kpid_shard *shard, const struct kpid_event *event, uint16_t grouping)
{
    const struct kpid_grouping *def = &shard->plan->groupings[grouping];

    if (def->n == 0)
        return KPID_GID_OTHER;
    if (shard->gid_stamps[grouping] == shard->stamp)
        return shard->gids[grouping];
    size_t at = shard->scratch.len;
    for (size_t i = 0; i < def->n; i++) {
        char text[KPID_DECIMAL_TEXT];
        const char *bytes = "";
        size_t len = kpid_value_bytes(&event->values[def->slots[i]], shard->source->fields[def->slots[i]].scale, text,
                                      &bytes);
        kpid_pack_bytes(&shard->scratch, bytes, len == SIZE_MAX ? 0 : len);
    }
    uint32_t gid = kpid_groups_intern(&shard->groups[grouping], shard->scratch.data + at, shard->scratch.len - at,
                                      shard->full ? 0 : shard->source->max_groups, event->ts_ms);
    shard->scratch.len = at;
    shard->gids[grouping] = gid;
    shard->gid_stamps[grouping] = shard->stamp;
    return gid;
}

static enum kpid_reason fault_of(const struct kpid_value *value)
{
    return value->kind == KPID_FAULTY ? (enum kpid_reason)value->reason : KPID_REASON_WRONG_TYPE;
}

static enum kpid_reason check_groups(const struct kpid_shard *shard, const struct kpid_measure *def,
                                     const struct kpid_event *event)
{
    for (size_t g = 1; g < def->n_groupings; g++) {
        const struct kpid_grouping *grouping = &shard->plan->groupings[def->groupings[g]];
        for (size_t i = 0; i < grouping->n; i++) {
            const struct kpid_value *value = &event->values[grouping->slots[i]];
            if (value->kind == KPID_OTHER || value->kind == KPID_FAULTY)
                return fault_of(value);
        }
    }
    return KPID_REASON_NONE;
}

enum kpid_reason kpid_shard_bytes(const struct kpid_shard *shard, const struct kpid_expr *expr,
                                  const struct kpid_event *event, char text[KPID_DECIMAL_TEXT], const char **ret,
                                  size_t *ret_len, bool *absent)
{
    const struct kpid_node *root = &expr->nodes[expr->n - 1];

    if (root->op == KPID_OP_FIELD) {
        const struct kpid_value *value = &event->values[root->slot];
        if (value->kind == KPID_ABSENT) {
            *absent = true;
            return KPID_REASON_NONE;
        }
        *ret_len = kpid_value_bytes(value, shard->source->fields[root->slot].scale, text, ret);
        return *ret_len == SIZE_MAX ? fault_of(value) : KPID_REASON_NONE;
    }
    kpid_i128 number;
    enum kpid_reason reason = kpid_expr_number(expr, event, &number, absent);
    if (reason != KPID_REASON_NONE || *absent)
        return reason;
    *ret_len = kpid_decimal_print((struct kpid_decimal){ number, root->scale }, text);
    *ret = text;
    return KPID_REASON_NONE;
}

/* Keys stay in cells: what is longer is cut between two characters. */
static uint32_t key_cut(const char *bytes, size_t len)
{
    if (len <= KPID_TOP_KEY_BYTES)
        return (uint32_t)len;
    for (len = KPID_TOP_KEY_BYTES; len > 0 && ((unsigned char)bytes[len] & 0xc0) == 0x80;)
        len--;
    return (uint32_t)len;
}

static enum kpid_reason prepare_value(struct kpid_shard *shard, const struct kpid_measure *def,
                                      const struct kpid_event *event, struct kpid_prepared *p, bool *absent)
{
    char text[KPID_DECIMAL_TEXT];
    const char *bytes;
    size_t len;
    enum kpid_reason reason;

    switch (def->agg->input) {
    case KPID_INPUT_NUMBER: return kpid_expr_number(&def->value, event, &p->sample.value, absent);
    case KPID_INPUT_ANY:
        reason = kpid_shard_bytes(shard, &def->value, event, text, &bytes, &len, absent);
        if (reason == KPID_REASON_NONE && !*absent)
            p->sample.hash = kpid_hash_murmur64a(bytes, len, KPID_HLL_SEED);
        return reason;
    case KPID_INPUT_KEY:
        reason = kpid_shard_bytes(shard, &def->value, event, text, &bytes, &len, absent);
        if (reason != KPID_REASON_NONE || *absent)
            return reason;
        p->key_at = (uint32_t)shard->scratch.len;
        p->key_len = key_cut(bytes, len);
        kpid_buf_add(&shard->scratch, bytes, p->key_len);
        return def->weight.n ? kpid_expr_number(&def->weight, event, &p->sample.value, absent) : KPID_REASON_NONE;
    default: return KPID_REASON_NONE;
    }
}

/* Most measures that an event matters to are keyed alike: takes the key over from the one before. */
static bool same_key(const struct kpid_shard *shard, struct kpid_prepared *p, const char *bytes, size_t len)
{
    const struct kpid_prepared *last = p - 1;

    if (shard->n_prepared == 0 || !shard->measures[last->measure].keys || last->key_len != len ||
        memcmp(shard->scratch.data + last->key_at, bytes, len))
        return false;
    p->key_at = last->key_at;
    p->key_len = last->key_len;
    p->key_hash = last->key_hash;
    return true;
}

/* A keyed measure: which of its words the event says, and whose key. `wanted` false: none. */
static enum kpid_reason prepare_keyed(struct kpid_shard *shard, const struct kpid_measure *def,
                                      const struct kpid_candidate *candidate, const struct kpid_event *event,
                                      struct kpid_prepared *p, bool *mismatch, bool *absent, bool *wanted)
{
    char text[KPID_DECIMAL_TEXT];
    const char *bytes;
    size_t len;

    p->words = def->keyed.n_words == 0 ? 1 : candidate->words;
    for (uint32_t open = candidate->open; open; open &= open - 1) {
        uint32_t word = (uint32_t)__builtin_ctz(open);
        if (kpid_expr_test(&def->keyed.when[word], event, mismatch) == KPID_TRUE)
            p->words |= 1u << word;
    }
    *wanted = p->words != 0;
    if (!*wanted)
        return KPID_REASON_NONE;
    enum kpid_reason reason = kpid_shard_bytes(shard, &def->keyed.key, event, text, &bytes, &len, absent);
    if (reason != KPID_REASON_NONE || *absent)
        return reason;
    if (!same_key(shard, p, bytes, len)) {
        p->key_at = (uint32_t)shard->scratch.len;
        p->key_len = (uint32_t)len;
        p->key_hash = event->foresight.set && event->foresight.key == bytes && event->foresight.key_len == len
                          ? event->foresight.key_hash
                          : kpid_hash(bytes, len, 0);
        kpid_buf_add(&shard->scratch, bytes, len);
    }
    if (!event->foresight.set)
        kpid_keys_prefetch(shard->measures[p->measure].keys, p->key_hash);
    return KPID_REASON_NONE;
}

enum kpid_reason kpid_shard_prepare(struct kpid_shard *shard, const struct kpid_record *record,
                                    const struct kpid_event *event)
{
    const struct kpid_candidate *c = shard->plan->by_type[event->type_id];
    const struct kpid_candidate *end = c + shard->plan->n_by_type[event->type_id];
    bool mismatch = false;

    shard->stamp++;
    shard->n_prepared = 0;
    kpid_buf_clear(&shard->scratch);
    for (; c < end; c++) {
        struct kpid_measure_state *m = &shard->measures[c->place];
        struct kpid_prepared *p = &shard->prepared[shard->n_prepared];
        bool absent = false, wanted = true;
        if (c->outcome == KPID_CANDIDATE_OPEN) {
            enum kpid_truth holds = kpid_expr_test(&m->def->where, event, &mismatch);
            m->absent += holds == KPID_UNKNOWN;
            if (holds != KPID_TRUE)
                continue;
        }
        p->measure = c->place;
        enum kpid_reason reason;
        bool grouped = true;
        if (m->keys) {
            reason = prepare_keyed(shard, m->def, c, event, p, &mismatch, &absent, &wanted);
            grouped = m->def->agg->keyed->has_groups(&m->def->keyed, p->words);
        } else {
            p->sample = (struct kpid_sample){ .ts_ms = event->ts_ms, .topic = record->topic, .weight = 1,
                                              .partition = (uint32_t)record->partition, .offset = record->offset };
            reason = prepare_value(shard, m->def, event, p, &absent);
        }
        if (reason == KPID_REASON_NONE && wanted && grouped && !absent)
            reason = check_groups(shard, m->def, event);
        if (reason != KPID_REASON_NONE)
            return reason;
        if (absent)
            m->absent++;
        else if (wanted)
            shard->n_prepared++;
    }
    shard->topics[record->topic].ledger.type_mismatch += mismatch;
    return KPID_REASON_NONE;
}
