#include "publisher.h"

#include <stdio.h>
#include <string.h>

static void tell_command(const struct command *command)
{
    switch ((enum command_kind)command->kind) {
    case COMMAND_TAKE: printf("take {alert} as %c", 'a' + command->nonce - 1); break;
    case COMMAND_ROUND:
        printf("as (%c, %u): boundary %u is final, since %u%s", 'a' + command->nonce - 1, command->seq,
               command->boundary, command->since, command->fires ? ", and fires" : "");
        break;
    case COMMAND_SNAPSHOT:
        printf("final of boundary %u: %u, term %u, tick %u", command->boundary, command->figure,
               command->term, command->tick);
        break;
    case COMMAND_CONFIRM: printf("alert %u leaves the outbox", command->since); break;
    case COMMAND_TOLD:
        printf("readers have boundary %u, stamp (%u, %u)", command->boundary, command->base_term,
               command->base_tick);
        break;
    case COMMAND_AGAIN: printf("finals are told again"); break;
    case COMMAND_NONE: break;
    }
}

void publisher_tell(const void *model, const void *ctx, const void *from, const void *to)
{
    static const char *const fates[] = {"", ", the answer is lost", ": on its way"};
    const struct publisher_step *step = ctx;
    const struct publisher_state *before = from, *after = to;
    (void)model;
    printf("    ");
    switch ((enum publisher_step_kind)step->kind) {
    case PUBLISHER_STEP_EVENT: printf("shard %u reads event %u", step->who, after->memory[step->who]); break;
    case PUBLISHER_STEP_COMMIT:
        printf("shard %u commits %u events", step->who, after->committed[step->who]);
        break;
    case PUBLISHER_STEP_IDLE:
        printf("shard %u is idle, all %u read", step->who, after->idle_at[step->who]);
        break;
    case PUBLISHER_STEP_FALL:
        printf("shard %u falls back to %u events", step->who, after->committed[step->who]);
        break;
    case PUBLISHER_STEP_READ: printf("%c reads the header", 'A' + step->who); break;
    case PUBLISHER_STEP_STATES: printf("%c reads the alert states", 'A' + step->who); break;
    case PUBLISHER_STEP_FINALS: printf("%c reads the finals", 'A' + step->who); break;
    case PUBLISHER_STEP_STAMP: printf("%c reads the stamp of the snapshots", 'A' + step->who); break;
    case PUBLISHER_STEP_SHARD:
        printf("%c takes shard %u for boundary %u", 'A' + step->who, step->shard, step->command.boundary);
        break;
    case PUBLISHER_STEP_DELIVER: printf("%c sends the alert in the outbox", 'A' + step->who); break;
    case PUBLISHER_STEP_DIE: printf("%c dies", 'A' + step->who); break;
    case PUBLISHER_STEP_SAVE: printf("{alert} is saved"); break;
    case PUBLISHER_STEP_LOSE: printf("{alert} falls back to what was saved"); break;
    case PUBLISHER_STEP_LOSE_SNAPSHOT: printf("the snapshot is lost"); break;
    case PUBLISHER_STEP_SEND:
    case PUBLISHER_STEP_LATE:
        if (step->kind == PUBLISHER_STEP_LATE)
            printf("Redis executes late: ");
        else
            printf("%c sends: ", 'A' + step->who);
        tell_command(&step->command);
        if (step->fate < 2)
            printf(": %s", step->accepted ? "ok" : "refused");
        printf("%s", fates[step->fate]);
        break;
    }
    printf("\n");
    if (memcmp(&before->alerts, &after->alerts, sizeof(after->alerts)) != 0)
        printf("      {alert}: (%c, %u) term %u, final %u, since %u, outbox %u\n",
               'a' + after->alerts.nonce - 1, after->alerts.seq, after->alerts.term, after->alerts.final,
               after->alerts.since, after->alerts.outbox);
}
