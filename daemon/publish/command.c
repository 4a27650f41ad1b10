#include "publisher.h"

#include <inttypes.h>
#include <string.h>

static void part_push(struct kpid_publisher *publisher, struct kpid_part part)
{
    if (publisher->n_parts == publisher->cap_parts) {
        publisher->cap_parts = publisher->cap_parts ? publisher->cap_parts * 2 : 64;
        publisher->parts = kpid_realloc(publisher->parts, publisher->cap_parts * sizeof *publisher->parts);
    }
    publisher->parts[publisher->n_parts++] = part;
}

/* What was appended to scratch since `at` becomes a bulk. */
static void part_push_scratch(struct kpid_publisher *publisher, size_t at)
{
    part_push(publisher, (struct kpid_part){NULL, {at, publisher->scratch.len - at}});
}

void kpid_part_add(struct kpid_publisher *publisher, const void *bytes, size_t len)
{
    part_push(publisher, (struct kpid_part){bytes ? bytes : "", {0, len}});
}

void kpid_part_add_str(struct kpid_publisher *publisher, const char *text)
{
    kpid_part_add(publisher, text, strlen(text));
}

void kpid_part_add_int(struct kpid_publisher *publisher, int64_t value)
{
    size_t at = publisher->scratch.len;
    kpid_buf_printf(&publisher->scratch, "%" PRId64, value);
    part_push_scratch(publisher, at);
}

void kpid_part_add_uint(struct kpid_publisher *publisher, uint64_t value)
{
    size_t at = publisher->scratch.len;
    kpid_buf_printf(&publisher->scratch, "%" PRIu64, value);
    part_push_scratch(publisher, at);
}

void kpid_part_add_stamp(struct kpid_publisher *publisher, struct kpid_stamp stamp)
{
    size_t at = publisher->scratch.len;
    kpid_buf_printf(&publisher->scratch, "%" PRIu64 ":%" PRIu64, stamp.term, stamp.tick);
    part_push_scratch(publisher, at);
}

void kpid_part_add_alert_key(struct kpid_publisher *publisher, const char *name)
{
    size_t at = publisher->scratch.len;
    kpid_buf_printf(&publisher->scratch, "%s:{alert}:%s", publisher->prefix, name);
    part_push_scratch(publisher, at);
}

void kpid_part_add_slot_key(struct kpid_publisher *publisher, const char *kind, const char *tag)
{
    size_t at = publisher->scratch.len;
    kpid_buf_printf(&publisher->scratch, "%s:%s:{%s}", publisher->prefix, kind, tag);
    part_push_scratch(publisher, at);
}

void kpid_part_add_win_key(struct kpid_publisher *publisher, const char *tag, int64_t start_ms)
{
    size_t at = publisher->scratch.len;
    kpid_buf_printf(&publisher->scratch, "%s:win:{%s}:%" PRId64, publisher->prefix, tag, start_ms);
    part_push_scratch(publisher, at);
}

void kpid_part_add_value_key(struct kpid_publisher *publisher, const char *tag, size_t tag_len, const char *rest,
                             size_t rest_len)
{
    size_t at = publisher->scratch.len;
    kpid_buf_printf(&publisher->scratch, "%s:hll:{%.*s}%.*s", publisher->prefix, (int)tag_len, tag, (int)rest_len, rest);
    part_push_scratch(publisher, at);
}

static const struct kpid_bulk *parts_resolve(struct kpid_publisher *publisher)
{
    if (publisher->cap_bulks < publisher->cap_parts) {
        publisher->cap_bulks = publisher->cap_parts;
        publisher->bulks = kpid_realloc(publisher->bulks, publisher->cap_bulks * sizeof *publisher->bulks);
    }
    for (size_t i = 0; i < publisher->n_parts; i++) {
        const struct kpid_part *part = &publisher->parts[i];
        const void *bytes = part->bytes ? part->bytes : publisher->scratch.data + part->piece.at;
        publisher->bulks[i] = (struct kpid_bulk){bytes, part->piece.len};
    }
    return publisher->bulks;
}

static void parts_clear(struct kpid_publisher *publisher)
{
    publisher->n_parts = 0;
    kpid_buf_clear(&publisher->scratch);
}

void kpid_parts_send(struct kpid_publisher *publisher, kpid_redis_done *done, void *ctx)
{
    const struct kpid_bulk *bulks = parts_resolve(publisher);
    publisher->calls += done != NULL;
    kpid_redis_send(publisher->redis, bulks, publisher->n_parts, done, ctx);
    parts_clear(publisher);
}

void kpid_parts_eval(struct kpid_publisher *publisher, enum kpid_script_name script, size_t n_keys,
                     kpid_redis_done *done, void *ctx)
{
    const struct kpid_bulk *bulks = parts_resolve(publisher);
    publisher->calls += done != NULL;
    kpid_redis_eval(publisher->redis, &publisher->scripts[script], bulks, n_keys, bulks + n_keys,
                    publisher->n_parts - n_keys, done, ctx);
    parts_clear(publisher);
}

bool kpid_reply_failed(const struct kpid_reply *reply)
{
    return reply->kind == KPID_REPLY_DOWN || reply->kind == KPID_REPLY_ERROR;
}

bool kpid_reply_accepted(const struct kpid_reply *reply)
{
    return reply->kind == KPID_REPLY_ARRAY && reply->n_items && reply->items[0].kind == KPID_REPLY_INT &&
           reply->items[0].integer == 1;
}
