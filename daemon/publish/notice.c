/*
 * Alerts on their way to the topic. Each lies in the outbox before it is sent and leaves it when the broker
 * has it; the script that removes it compares the header and the text, so neither an old publisher nor a late
 * report takes away what came after.
 */
#include "publisher.h"

#include "kpid/fault_point.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "producer.h"

#define RETRY_S 1
#define ID_LEN  16

static void notice_free(struct kpid_notice *notice)
{
    kpid_buf_release(&notice->field);
    kpid_buf_release(&notice->json);
    free(notice);
}

static void notice_unlink(struct kpid_notice *notice)
{
    struct kpid_publisher *publisher = notice->publisher;
    if (notice->previous)
        notice->previous->next = notice->next;
    else
        publisher->notices = notice->next;
    if (notice->next)
        notice->next->previous = notice->previous;
    else
        publisher->last_notice = notice->previous;
    publisher->n_notices--;
}

/* An outbox comes back in no order: by event time, so that an alert's steps are sent in theirs. */
static void notice_link(struct kpid_notice *notice)
{
    struct kpid_publisher *publisher = notice->publisher;
    struct kpid_notice *after = publisher->last_notice;
    while (after && after->at_ms > notice->at_ms)
        after = after->previous;
    notice->previous = after;
    notice->next = after ? after->next : publisher->notices;
    if (notice->next)
        notice->next->previous = notice;
    else
        publisher->last_notice = notice;
    if (after)
        after->next = notice;
    else
        publisher->notices = notice;
    publisher->n_notices++;
}

/* In our own JSON these bytes stand nowhere but before the field's value: quotes in texts are escaped. */
static int64_t at_of(const struct kpid_buf *json)
{
    static const char name[] = "\"at_ms\":";
    const char *at = json->len ? strstr(json->data, name) : NULL;
    return at ? strtoll(at + sizeof name - 1, NULL, 10) : KPID_NEVER;
}

static void retry_later(struct kpid_publisher *publisher)
{
    struct timeval after = {.tv_sec = RETRY_S};
    if (!evtimer_pending(publisher->retry, NULL))
        evtimer_add(publisher->retry, &after);
}

static void on_confirmed(void *ctx, const struct kpid_reply *reply)
{
    struct kpid_notice *notice = ctx;
    struct kpid_publisher *publisher = notice->publisher;
    bool gone = notice->gone;
    KPID_FAULT_POINT("notice.confirmed");
    if (gone)
        notice_free(notice);
    if (!kpid_publisher_answered(publisher) || gone)
        return;
    if (kpid_reply_failed(reply)) {
        notice->step = KPID_NOTICE_DELIVERED;
        retry_later(publisher);
        return;
    }
    notice_unlink(notice);
    notice_free(notice);
}

static void notice_confirm(struct kpid_notice *notice)
{
    struct kpid_publisher *publisher = notice->publisher;
    notice->step = KPID_NOTICE_REMOVING;
    kpid_part_add_alert_key(publisher, "h");
    kpid_part_add_alert_key(publisher, "outbox");
    kpid_part_add_str(publisher, publisher->nonce);
    kpid_part_add(publisher, notice->field.data, notice->field.len);
    kpid_part_add(publisher, notice->json.data, notice->json.len);
    kpid_parts_eval(publisher, KPID_SCRIPT_CONFIRM, 2, on_confirmed, notice);
}

static void on_delivered(void *ctx, bool delivered)
{
    struct kpid_notice *notice = ctx;
    KPID_FAULT_POINT("notice.delivered");
    if (notice->gone) {
        notice_free(notice);
    } else if (delivered) {
        notice_confirm(notice);
    } else {
        notice->step = KPID_NOTICE_WAITS;
        retry_later(notice->publisher);
    }
}

void kpid_notices_retry(int fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct kpid_publisher *publisher = ctx;
    assert(publisher->magic == KPID_PUBLISHER_MAGIC);
    for (struct kpid_notice *notice = publisher->notices; notice; notice = notice->next) {
        if (notice->step == KPID_NOTICE_DELIVERED) {
            notice_confirm(notice);
        } else if (notice->step == KPID_NOTICE_WAITS && publisher->producer) {
            notice->step = KPID_NOTICE_SENT;
            kpid_producer_send(publisher->producer, KPID_TOPIC_ALERTS, notice->field.data,
                               notice->field.len < ID_LEN ? notice->field.len : ID_LEN, notice->json.data,
                               notice->json.len, on_delivered, notice);
            KPID_FAULT_POINT("notice.sent");
        }
    }
}

void kpid_notice_add(struct kpid_publisher *publisher, const char *field, size_t field_len, const char *json,
                     size_t json_len)
{
    if (publisher->n_notices >= publisher->model->settings.log_cap) {
        publisher->stats.failed++; /* the outbox has it, or the log */
        return;
    }
    struct kpid_notice *notice = kpid_zalloc(1, sizeof *notice);
    notice->publisher = publisher;
    kpid_buf_add(&notice->field, field, field_len);
    kpid_buf_add(&notice->json, json, json_len);
    notice->at_ms = at_of(&notice->json);
    notice_link(notice);
}

void kpid_notices_let_go(struct kpid_publisher *publisher)
{
    struct kpid_notice *next;
    for (struct kpid_notice *notice = publisher->notices; notice; notice = next) {
        next = notice->next;
        notice->next = notice->previous = NULL;
        notice->gone = true;
        if (notice->step == KPID_NOTICE_WAITS || notice->step == KPID_NOTICE_DELIVERED)
            notice_free(notice);
    }
    publisher->notices = publisher->last_notice = NULL;
    publisher->n_notices = 0;
}
