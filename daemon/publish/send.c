/*
 * Sending a round: alerts first, in one script, then the snapshots in batches, a bounded number of bytes at a
 * time; a round ends when every command of it was answered. What was not accepted stays in `kept`, unchanged.
 */
#include "publisher.h"

#include "kpid/fault_point.h"

#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "producer.h"

static void snapshots_pump(struct kpid_publisher *publisher);

static const char *alert_keys[] = {"h", "state", "final", "log", "active", "ids", "outbox"};

/* ---- the end of a round ---- */

static void round_end(struct kpid_publisher *publisher, enum kpid_publish_status status)
{
    if (status == KPID_PUBLISH_OTHER)
        kpid_publisher_let_go(publisher);
    publisher->busy = false;
    kpid_published *done = publisher->done;
    void *ctx = publisher->done_ctx;
    publisher->done = NULL;
    if (done)
        done(ctx, status);
}

/* One message a round: which figures changed, and how many alerts took a step. */
static void updates_publish(struct kpid_publisher *publisher)
{
    const struct kpid_round *round = &publisher->kept;
    if (round->n_touched == 0 && round->n_transitions == 0)
        return;
    struct kpid_buf text = KPID_BUF_INIT;
    kpid_buf_add_char(&text, '{');
    kpid_json_int(&text, "schema", KPID_SCHEMA_VERSION);
    kpid_json_uint(&text, "term", publisher->term);
    kpid_json_uint(&text, "tick", publisher->tick);
    kpid_json_uint(&text, "alerts", round->n_transitions);
    kpid_json_key(&text, "changed");
    kpid_buf_add_char(&text, '[');
    for (size_t i = 0; i < round->n_touched; i++) {
        const char *tag = publisher->slots[round->touched[i]].tag;
        if (i)
            kpid_buf_add_char(&text, ',');
        kpid_buf_add_json(&text, tag, strlen(tag));
    }
    kpid_buf_add(&text, "]}", 2);
    struct kpid_buf channel = KPID_BUF_INIT;
    kpid_buf_printf(&channel, "%s:updates", publisher->prefix);
    kpid_part_add_str(publisher, "PUBLISH");
    kpid_part_add(publisher, channel.data, channel.len);
    kpid_part_add(publisher, text.data, text.len);
    kpid_parts_send(publisher, NULL, NULL);
    kpid_buf_release(&channel);
    kpid_buf_release(&text);
}

static void round_start(struct kpid_publisher *publisher);

static void round_done(struct kpid_publisher *publisher)
{
    updates_publish(publisher);
    publisher->stats.rounds++;
    kpid_round_clear(&publisher->kept);
    if (publisher->again) {
        publisher->again = false;
        round_start(publisher);
        return;
    }
    round_end(publisher, KPID_PUBLISH_OK);
}

/* ---- alerts ---- */

static void notices_add(struct kpid_publisher *publisher)
{
    const struct kpid_round *round = &publisher->kept;
    publisher->stats.transitions += round->n_transitions;
    bool any = false;
    for (size_t i = 0; i < round->n_transitions; i++) {
        const struct kpid_alert_op *op = &round->transitions[i];
        if (!op->notify)
            continue;
        kpid_notice_add(publisher, round->bytes.data + op->field.at, op->field.len,
                        round->bytes.data + op->value.at, op->value.len);
        any = true;
    }
    if (any)
        event_active(publisher->retry, EV_TIMEOUT, 0);
}

static void alerts_accepted(struct kpid_publisher *publisher)
{
    publisher->seq++;
    publisher->kept.alerts_done = true;
    notices_add(publisher);
    snapshots_pump(publisher);
}

/* Whether a refusal shows that this very round had arrived: its acknowledgement was lost, not the round. */
static bool had_arrived(const struct kpid_publisher *publisher, const struct kpid_reply *reply)
{
    if (!publisher->kept.unsure || reply->n_items != 3)
        return false;
    char seq[24];
    int len = snprintf(seq, sizeof seq, "%" PRIu64, publisher->seq + 1);
    const struct kpid_reply *nonce = &reply->items[1], *found = &reply->items[2];
    return nonce->len == 32 && memcmp(nonce->str, publisher->nonce, 32) == 0 && found->len == (size_t)len &&
           memcmp(found->str, seq, (size_t)len) == 0;
}

static void on_alerts(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_publisher *publisher = ctx;
    KPID_FAULT_POINT("alerts.answered");
    if (!kpid_publisher_answered(publisher))
        return;
    if (kpid_reply_failed(reply) || reply->kind != KPID_REPLY_ARRAY) {
        publisher->stats.failed++;
        publisher->kept.unsure = true;
        round_end(publisher, KPID_PUBLISH_DOWN);
    } else if (kpid_reply_accepted(reply)) {
        if (reply->n_items > 1 && reply->items[1].integer > 0)
            publisher->stats.failed += (uint64_t)reply->items[1].integer;
        alerts_accepted(publisher);
    } else if (had_arrived(publisher, reply)) {
        alerts_accepted(publisher);
    } else {
        publisher->stats.refused++;
        round_end(publisher, KPID_PUBLISH_OTHER);
    }
}

static void piece_add(struct kpid_publisher *publisher, struct kpid_piece piece)
{
    kpid_part_add(publisher, publisher->kept.bytes.data + piece.at, piece.len);
}

/* Transitions stand before the states: a state that is deleted in the same round takes its entry in `active`
 * along. */
static void alerts_send(struct kpid_publisher *publisher)
{
    const struct kpid_round *round = &publisher->kept;
    if (round->n_transitions)
        KPID_FAULT_POINT("alerts.sending");
    for (size_t i = 0; i < KPID_COUNT_OF(alert_keys); i++)
        kpid_part_add_alert_key(publisher, alert_keys[i]);
    kpid_part_add_str(publisher, publisher->nonce);
    kpid_part_add_uint(publisher, publisher->seq);
    kpid_part_add_uint(publisher, publisher->seq + 1);
    kpid_part_add_uint(publisher, publisher->model->settings.log_cap);
    for (size_t i = 0; i < round->n_transitions; i++) {
        const struct kpid_alert_op *op = &round->transitions[i];
        kpid_part_add_str(publisher, "t");
        piece_add(publisher, op->key);
        piece_add(publisher, op->value);
        piece_add(publisher, op->id);
        kpid_part_add_str(publisher, op->active ? "1" : "0");
        piece_add(publisher, op->notify ? op->field : (struct kpid_piece){0});
    }
    for (size_t i = 0; i < round->n_ops; i++) {
        const struct kpid_alert_op *op = &round->ops[i];
        kpid_part_add_str(publisher, op->kind == 's' ? "s" : op->kind == 'f' ? "f" : "x");
        piece_add(publisher, op->key);
        if (op->kind != 'x')
            piece_add(publisher, op->value);
    }
    kpid_parts_eval(publisher, KPID_SCRIPT_ALERTS, KPID_COUNT_OF(alert_keys), on_alerts, publisher);
    if (round->n_transitions)
        KPID_FAULT_POINT("alerts.sent");
}

/* ---- snapshots ---- */

static void on_batch(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_batch *batch = ctx;
    struct kpid_publisher *publisher = batch->publisher;
    if (!kpid_publisher_answered(publisher))
        return;
    publisher->n_flight--;
    publisher->flight_bytes -= batch->bytes;
    batch->in_flight = false;
    if (kpid_reply_failed(reply) || reply->kind != KPID_REPLY_ARRAY) {
        publisher->stats.failed++;
        publisher->failed = true;
    } else {
        char own[24];
        int len = snprintf(own, sizeof own, "%" PRIu64 ":", publisher->term);
        bool accepted = kpid_reply_accepted(reply);
        /* A pair of this term at or above the batch's own can only stem from a send that was not
         * acknowledged. */
        bool arrived = !accepted && reply->n_items == 2 && reply->items[1].len > (size_t)len &&
                       memcmp(reply->items[1].str, own, (size_t)len) == 0;
        batch->acknowledged = true;
        publisher->kept.n_acknowledged++;
        if (accepted && !batch->values)
            kpid_batch_prune(publisher, batch, reply);
        if (accepted || arrived) {
            publisher->slots[batch->slot].acknowledged = (struct kpid_stamp){publisher->term, batch->tick};
            if (!batch->values)
                kpid_batch_produce(publisher, batch);
        } else {
            publisher->stats.refused++;
            publisher->refused = true;
        }
    }
    snapshots_pump(publisher);
}

static void batch_send(struct kpid_publisher *publisher, struct kpid_batch *batch)
{
    publisher->n_flight++;
    publisher->flight_bytes += batch->bytes;
    batch->in_flight = true;
    if (batch->values)
        kpid_values_send(publisher, batch, on_batch, batch);
    else
        kpid_batch_send(publisher, batch, on_batch, batch);
}

/* The next batch that is to be sent: one that was left over, else a new one. */
static struct kpid_batch *batch_next(struct kpid_publisher *publisher)
{
    struct kpid_round *round = &publisher->kept;
    while (publisher->at_batch < round->n_batches) {
        struct kpid_batch *batch = round->batches[publisher->at_batch++];
        if (!batch->acknowledged)
            return batch;
    }
    struct kpid_batch *batch = kpid_round_cut(publisher, round);
    publisher->at_batch = round->n_batches;
    return batch;
}

/* Whether the one before it goes to the same hashes and is under way. That may be refused for a reason that passes, and
 * were this one not, its tick would be taken for a proof that the other had arrived. Those of a slot stand together. */
static bool must_wait(const struct kpid_publisher *publisher, const struct kpid_batch *batch)
{
    const struct kpid_round *round = &publisher->kept;
    if (publisher->at_batch < 2)
        return false;
    const struct kpid_batch *before = round->batches[publisher->at_batch - 2];
    return before->in_flight && before->values == batch->values && (batch->values || before->slot == batch->slot);
}

static void snapshots_pump(struct kpid_publisher *publisher)
{
    bool more = true;
    while (!publisher->failed && !publisher->refused && more && publisher->flight_bytes < KPID_FLIGHT_BYTES) {
        struct kpid_batch *batch = batch_next(publisher);
        more = batch != NULL && !must_wait(publisher, batch);
        if (more)
            batch_send(publisher, batch);
        else if (batch)
            publisher->at_batch--; /* the next one, again */
    }
    if (publisher->n_flight)
        return;
    if (publisher->refused)
        round_end(publisher, KPID_PUBLISH_OTHER);
    else if (publisher->failed)
        round_end(publisher, KPID_PUBLISH_DOWN);
    else
        round_done(publisher);
}

/* ---- start ---- */

/* Begins with what is kept; if nothing is, with what was built. */
static void round_start(struct kpid_publisher *publisher)
{
    struct kpid_round *kept = &publisher->kept;
    publisher->failed = publisher->refused = false;
    publisher->at_batch = 0;
    if (kpid_round_empty(kept)) {
        struct kpid_round built = publisher->next;
        publisher->next = *kept;
        *kept = built;
    } else {
        publisher->again = !kpid_round_empty(&publisher->next);
    }
    if (!kept->alerts_done && (kept->n_transitions || kept->n_ops))
        alerts_send(publisher);
    else
        snapshots_pump(publisher);
}

void kpid_publisher_later(int fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct kpid_publisher *publisher = ctx;
    assert(publisher->magic == KPID_PUBLISHER_MAGIC);
    round_end(publisher, publisher->owner ? KPID_PUBLISH_OK : KPID_PUBLISH_OTHER);
}

void kpid_round_send(struct kpid_publisher *publisher, kpid_published *done, void *ctx)
{
    assert(!publisher->busy && !publisher->acquisition);
    publisher->busy = true;
    publisher->done = done;
    publisher->done_ctx = ctx;
    publisher->again = false;
    if (!publisher->owner || (kpid_round_empty(&publisher->kept) && kpid_round_empty(&publisher->next)))
        event_active(publisher->later, EV_TIMEOUT, 0);
    else
        round_start(publisher);
}
