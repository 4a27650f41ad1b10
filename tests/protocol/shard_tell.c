/* A step, and where it led, in words. */
#include "shard.h"

#include <stdio.h>

static void tell_pages(const struct message *message)
{
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (message->cells >> cell & 1)
            printf(" page %u.%c.%u", cell, 'a' + message->nonce - 1, message->seq);
}

static void tell_header(uint8_t nonce, uint8_t seq)
{
    if (nonce)
        printf("(%c, %u)", 'a' + nonce - 1, seq);
    else
        printf("no header");
}

static void tell_message(const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_TAKE:
        printf("take ");
        tell_header(message->base_nonce, message->base_seq);
        printf(" -> (%c, %u)", 'a' + message->nonce - 1, message->seq);
        break;
    case MESSAGE_COMMIT:
        printf("%s ", message->whole ? "whole state on" : "commit on");
        tell_header(message->base_nonce, message->base_seq);
        printf(" -> (%c, %u) offset %u,", 'a' + message->nonce - 1, message->seq, message->offset);
        tell_pages(message);
        break;
    case MESSAGE_ANNOUNCE:
        printf("announce");
        tell_pages(message);
        break;
    case MESSAGE_SET:
        printf("write page %u.%c.%u", message->cells >> 1, 'a' + message->nonce - 1, message->seq);
        break;
    case MESSAGE_SWEEP:
        printf("remove page %u.%c.%u as owner %c", message->cells >> 1, 'a' + message->drops[0].nonce - 1,
               message->drops[0].seq, 'a' + message->nonce - 1);
        break;
    case MESSAGE_ASK: printf("a person asks for a reset as (%c)", 'a' + message->nonce - 1); break;
    }
}

static const char *answer_text(uint8_t answer)
{
    static const char *const texts[] = {"ok", "refused", "a staged page is missing",
                                        "the manifest is not whole"};
    return texts[answer];
}

static void tell_step(const struct shard_step *step)
{
    static const char *const evicted[] = {"the header", "the manifest", "a page"};
    switch ((enum step_kind)step->kind) {
    case STEP_READ: printf("reads the header"); break;
    case STEP_LIST: printf("reads the manifest"); break;
    case STEP_LOAD: printf("reads the page of cell %u", step->cell); break;
    case STEP_CHECK: printf("reads the header again"); break;
    case STEP_JUDGE: printf("looks what became of its commit"); break;
    case STEP_PICK:
        printf("finds orphan %u.%c.%u", step->cell, 'a' + step->message.drops[0].nonce - 1,
               step->message.drops[0].seq);
        break;
    case STEP_DIE: printf("dies"); break;
    case STEP_SAVE: printf("saves"); break;
    case STEP_LOSE: printf("falls back to what was saved"); break;
    case STEP_EMPTY: printf("is emptied"); break;
    case STEP_EVICT: printf("loses %s", evicted[step->evicted]); break;
    case STEP_FOLLOW_HEADER: printf("reads the header"); break;
    case STEP_FOLLOW_ENTRIES: printf("reads the manifest's entries of its pages"); break;
    case STEP_FOLLOW_PAGE: printf("reads the page of cell %u", step->cell); break;
    case STEP_FOLLOW_AGAIN: printf("reads the header again"); break;
    case STEP_SEND:
    case STEP_LATE: tell_message(&step->message); break;
    }
    if (step->kind == STEP_LATE)
        printf(", late: %s", answer_text(step->answer));
    else if (step->kind == STEP_SEND && step->fate == FATE_DELAYED)
        printf(": on its way");
    else if (step->kind == STEP_SEND)
        printf(": %s%s", answer_text(step->answer),
               step->fate == FATE_UNANSWERED ? ", the answer is lost" : "");
}

static void tell_redis(const struct shard_redis *redis)
{
    printf("      Redis: ");
    tell_header(redis->nonce, redis->seq);
    if (redis->nonce)
        printf(" offset %u", redis->offset);
    for (unsigned cell = 0; cell < N_CELLS; cell++)
        if (redis->manifest[cell].nonce)
            printf(", page %u.%c.%u", cell, 'a' + redis->manifest[cell].nonce - 1, redis->manifest[cell].seq);
    printf("\n");
}

void shard_tell(const void *model, const void *ctx, const void *from, const void *to)
{
    const struct shard_step *step = ctx;
    const struct shard_state *before = from, *after = to;
    static const char *const who[] = {"A", "B", "kpictl"};
    (void)model;
    bool redis_itself = step->kind == STEP_SAVE || step->kind == STEP_LOSE || step->kind == STEP_EMPTY ||
                        step->kind == STEP_EVICT || step->kind == STEP_LATE;
    bool follows = step->kind >= STEP_FOLLOW_HEADER && step->kind <= STEP_FOLLOW_AGAIN;
    printf("    %s ", redis_itself ? "Redis" : follows ? "Who follows" : who[step->who]);
    if (step->kind == STEP_LATE)
        printf("executes ");
    tell_step(step);
    printf("\n");
    if (__builtin_memcmp(&before->redis, &after->redis, sizeof(before->redis)) != 0)
        tell_redis(&after->redis);
}
