/* Several instances: who lives, who holds the lease of {alert}, and what the publisher tells the others. */
#include "publisher.h"

#include <stdlib.h>
#include <string.h>

struct call {
    struct kpid_publisher *publisher;
    kpid_presence_done *heard;
    void (*left)(void *ctx);
    void *ctx;
};

void kpid_publisher_set_lease(struct kpid_publisher *publisher, const char *holder, int64_t lease_ms)
{
    free(publisher->holder);
    publisher->holder = kpid_strdup(holder);
    publisher->lease_ms = lease_ms;
    publisher->heir = true;
}

static char *text_of(const struct kpid_reply *reply)
{
    return kpid_strndup(reply->str ? reply->str : "", reply->str ? reply->len : 0);
}

static void on_heard(void *ctx, const struct kpid_reply *reply)
{
    struct call call = *(struct call *)ctx;

    free(ctx);
    if (!kpid_publisher_answered(call.publisher))
        return;
    if (reply->kind != KPID_REPLY_ARRAY || reply->n_items != 8) {
        call.heard(call.ctx, NULL);
        return;
    }
    const struct kpid_reply *at = reply->items;
    char *time = text_of(&at[0]), *lease = text_of(&at[3]), *process = text_of(&at[4]);
    const char *holder = strchr(lease, ' ');
    char *known = text_of(&at[2]);
    struct kpid_presence_heard heard = {.redis_us = strtoll(time, NULL, 10),
                                        .owner = call.publisher->owner && at[1].len == 32 &&
                                                 memcmp(at[1].str, call.publisher->nonce, 32) == 0,
                                        .holder = holder ? holder + 1 : "",
                                        .known = known,
                                        .process = process,
                                        .instances = &at[5],
                                        .finals = &at[6],
                                        .notes = &at[7]};
    call.heard(call.ctx, &heard);
    free(known);
    free(time);
    free(lease);
    free(process);
}

void kpid_publisher_present(struct kpid_publisher *publisher, const struct kpid_presence *presence,
                            kpid_presence_done *done, void *ctx)
{
    static const char *const keys[] = {"h", "lease", "instances", "final", "notes"};
    struct call *call = kpid_alloc(sizeof *call);

    *call = (struct call){publisher, done, NULL, ctx};
    for (size_t i = 0; i < KPID_COUNT_OF(keys); i++)
        kpid_part_add_alert_key(publisher, keys[i]);
    kpid_part_add_str(publisher, publisher->owner ? publisher->nonce : "");
    kpid_part_add_int(publisher, publisher->lease_ms);
    kpid_part_add_str(publisher, publisher->holder);
    kpid_part_add_str(publisher, presence->process);
    kpid_part_add_str(publisher, presence->record);
    kpid_part_add_int(publisher, presence->forget_ms);
    kpid_part_add_str(publisher, presence->known ? presence->known : "-");
    kpid_part_add_uint(publisher, publisher->told);
    for (size_t i = 0; i < presence->n_notes; i++) {
        kpid_part_add_str(publisher, presence->notes[i].key);
        kpid_part_add_str(publisher, presence->notes[i].value);
    }
    kpid_parts_eval(publisher, KPID_SCRIPT_PRESENCE, KPID_COUNT_OF(keys), on_heard, call);
}

static void on_left(void *ctx, const struct kpid_reply *reply)
{
    struct call call = *(struct call *)ctx;

    (void)reply;
    free(ctx);
    if (kpid_publisher_answered(call.publisher) && call.left)
        call.left(call.ctx);
}

void kpid_publisher_leave(struct kpid_publisher *publisher, void (*done)(void *ctx), void *ctx)
{
    struct call *call = kpid_alloc(sizeof *call);

    *call = (struct call){publisher, NULL, done, ctx};
    kpid_part_add_alert_key(publisher, "lease");
    kpid_part_add_alert_key(publisher, "instances");
    kpid_part_add_alert_key(publisher, "h");
    kpid_part_add_str(publisher, publisher->owner ? publisher->nonce : "");
    kpid_part_add_str(publisher, publisher->holder ? publisher->holder : "");
    kpid_part_add_uint(publisher, publisher->told);
    kpid_publisher_let_go(publisher);
    kpid_parts_eval(publisher, KPID_SCRIPT_RELEASE, 3, on_left, call);
}
