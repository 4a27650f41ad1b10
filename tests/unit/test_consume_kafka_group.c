/* Members of a group, and what lies beside its offsets. */
#include "consume_rig.h"

static void two_members(const char *assignor)
{
    struct owner first, second;
    rig_kafka();
    topics_make(PARTITIONS, PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        produce(ORDERS, p, 0, 100);
        produce(PAYMENTS, p, 0, 100);
    }
    owner_init(&first);
    property_add(&first, "partition.assignment.strategy", assignor);
    property_add(&first, "heartbeat.interval.ms", "200");
    owner_open(&first);
    cr_assert(RUN_UNTIL(first.n_assigned == 5 && all_at_end(&first, PARTITIONS), LONG_MS));
    cr_assert_eq(first.n_all, 800);
    owner_init(&second);
    property_add(&second, "partition.assignment.strategy", assignor);
    property_add(&second, "heartbeat.interval.ms", "200");
    owner_open(&second);
    cr_assert(RUN_UNTIL(second.n_assigned >= 2 && first.n_assigned - first.n_revoked + second.n_assigned == 5,
                        LONG_MS));
    for (int32_t p = 0; p < PARTITIONS; p++)
        cr_assert(first.ours[0][p] != second.ours[0][p]);
    cr_assert(first.ours[1][0] != second.ours[1][0]);
    for (int32_t p = 0; p < PARTITIONS; p++)
        produce(ORDERS, p, 100, 110);
    /* The first goes on from where it was, the second reads its shards from their beginning. */
    uint64_t expected = 0;
    for (int32_t p = 0; p < PARTITIONS; p++)
        expected += second.ours[0][p] ? 210 : 0;
    cr_assert(RUN_UNTIL(second.n_all == expected, LONG_MS));
    cr_assert(RUN_UNTIL(first.n_all + second.n_all == 800 + expected + (4 - expected / 210) * 10, LONG_MS),
              "%llu %llu %llu; %d %d %d; %s; %s", (unsigned long long)first.n_all,
              (unsigned long long)second.n_all, (unsigned long long)expected, first.n_assigned,
              first.n_revoked, second.n_assigned, first.fault, second.fault);
    /* The second leaves: its shards come back. */
    cr_assert_lt(owner_close(&second), CLOSES_MS);
    cr_assert(RUN_UNTIL(first.n_assigned - first.n_revoked == 5 && all_at_end(&first, PARTITIONS), LONG_MS));
    for (int32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq(first.next[0][0][p], 110);
    cr_assert_lt(owner_close(&first), CLOSES_MS);
    rig_close();
}

Test(kafka, shards_move_between_members)
{
    two_members("cooperative-sticky");
}

Test(kafka, shards_move_between_members_of_an_eager_group)
{
    two_members("roundrobin");
}

Test(kafka, an_owner_that_does_not_let_go_is_not_waited_for)
{
    struct owner first, second;
    rig_kafka();
    topics_make(2, 2);
    owner_init(&first);
    property_add(&first, "heartbeat.interval.ms", "200");
    first.keep_revoked = true;
    owner_open(&first);
    cr_assert(RUN_UNTIL(first.n_assigned == 3, LONG_MS));
    owner_init(&second);
    property_add(&second, "heartbeat.interval.ms", "200");
    owner_open(&second);
    cr_assert(RUN_UNTIL(first.n_revoked > 0, LONG_MS));
    int64_t start_ms = now_ms();
    cr_assert_eq(second.n_assigned, 0);
    cr_assert(RUN_UNTIL(second.n_assigned > 0, LONG_MS));
    cr_assert_geq(now_ms() - start_ms, 1900);
    owner_close(&first);
    owner_close(&second);
    rig_close();
}

Test(kafka, being_idle_is_not_taken_for_being_dead)
{
    struct owner owner;
    rig_kafka();
    topics_make(1, 1);
    owner_init(&owner);
    property_add(&owner, "session.timeout.ms", "6000");
    property_add(&owner, "heartbeat.interval.ms", "500");
    property_add(&owner, "max.poll.interval.ms", "6000");
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert(!RUN_UNTIL(owner.n_revoked > 0 || owner.n_faults > 0, 9000), "%s", owner.fault);
    owner_close(&owner);
    rig_close();
}

static void on_noted(void *ctx, const struct kpid_offset_note *notes, size_t n)
{
    struct owner *owner = ctx;
    owner->n_answers++;
    owner->n_notes = notes != NULL ? n : 99;
    for (size_t i = 0; i < n && i < KPID_COUNT_OF(owner->notes); i++) {
        owner->notes[i] = notes[i];
        owner->notes[i].text = strdup(notes[i].text);
    }
}

static void notes_forget(struct owner *owner)
{
    for (size_t i = 0; i < owner->n_notes && i < KPID_COUNT_OF(owner->notes); i++)
        free((char *)(uintptr_t)owner->notes[i].text);
    owner->n_notes = 0;
}

Test(kafka, notes_lie_beside_the_offsets_of_all_topics)
{
    struct owner owner;
    uint64_t done, failed;
    rig_kafka();
    topics_make(2, 2);
    produce(ORDERS, 1, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS), "%s", owner.fault);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert_eq(owner.n_answers, 0);
    cr_assert(RUN_UNTIL(owner.n_answers == 1, LONG_MS));
    cr_assert_eq(owner.n_notes, 0, "%s", owner.fault);
    const struct kpid_offset_note notes[] = {{0, 0, 1, 10, "first 1"},
                                             {0, 1, 1, 0, "second, of a topic that is assigned by hand"}};
    cr_assert(kpid_consumer_commit(owner.consumer, notes, 2, false));
    cr_assert(!kpid_consumer_commit(owner.consumer, notes, 2, false), "one at a time");
    cr_assert(kpid_consumer_commit(owner.consumer, notes, 1, true));
    cr_assert(
        RUN_UNTIL((kpid_consumer_commits(owner.consumer, &done, &failed), done + failed == 2), LONG_MS));
    cr_assert_eq(failed, 0, "%s", owner.fault);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert(RUN_UNTIL(owner.n_answers == 2, LONG_MS));
    cr_assert_eq(owner.n_notes, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct kpid_offset_note *note = &owner.notes[i];
        cr_assert(note->source == 0 && note->partition == 1);
        cr_assert_eq(note->offset, note->topic == 0 ? 10 : 0);
        cr_assert_str_eq(note->text, notes[note->topic].text);
    }
    notes_forget(&owner);
    /* Closing calls nobody. */
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    cr_assert_eq(owner.n_answers, 2);
    /* A later member of the group finds them, too. */
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(owner.n_assigned == 3, LONG_MS), "%s", owner.fault);
    kpid_consumer_noted(owner.consumer, 0, on_noted, &owner);
    cr_assert(RUN_UNTIL(owner.n_answers == 1, LONG_MS));
    cr_assert_eq(owner.n_notes, 2);
    notes_forget(&owner);
    owner_close(&owner);
    rig_close();
}
