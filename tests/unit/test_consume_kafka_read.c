/* Reading shards: from where, in what order, held and let go, records out of turn. */
#include "consume_rig.h"

static void read_through(const char *assignor)
{
    struct owner owner;
    rig_kafka();
    topics_make(2, 2);
    for (int32_t p = 0; p < 2; p++) {
        produce(ORDERS, p, 0, 2000);
        produce(PAYMENTS, p, 0, 700);
    }
    produce(VISITS, 0, 0, 50);
    owner_init(&owner);
    property_add(&owner, "partition.assignment.strategy", assignor);
    owner.start[0][1][0] = 1500;
    owner.start_later = true;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(owner.n_assigned == 3, LONG_MS));
    cr_assert_eq(owner.partitions[0], 2);
    cr_assert_eq(owner.partitions[1], 1);
    cr_assert_neq(*kpid_consumer_cluster(owner.consumer), '\0');
    cr_assert_eq(owner.n_all, 0);
    kpid_consumer_start(owner.consumer, 0, 1, owner.start[0][1]);
    cr_assert(RUN_UNTIL(owner.n[0][0][1] + owner.n[0][1][1] >= 200, LONG_MS));
    cr_assert_eq(owner.n[0][0][0] + owner.n[1][0][0], 0);
    /* In the middle of one shard the others join. */
    kpid_consumer_start(owner.consumer, 0, 0, owner.start[0][0]);
    kpid_consumer_start(owner.consumer, 1, 0, owner.start[1][0]);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS), "%s", owner.fault);
    cr_assert_eq(owner.n_all, 2000 + 500 + 2 * 700 + 50);
    struct kpid_consumer_status before = status(&owner, 0, 1, 0);
    cr_assert_eq(before.next_offset, 700);
    cr_assert_eq(before.end_offset, 700);
    cr_assert_eq(before.lag, 0);
    /* More comes: the end is left, and reached again later. */
    produce(PAYMENTS, 0, 700, 710);
    cr_assert(RUN_UNTIL(owner.n[0][1][0] == 710, LONG_MS));
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS));
    cr_assert_gt(status(&owner, 0, 1, 0).at_end_since_ms, before.at_end_since_ms);
    cr_assert_eq(status(&owner, 0, 1, 0).next_offset, 710);
    /* Let go without a revocation, then started anew from somewhere else. */
    uint64_t seen = owner.n[0][0][1];
    kpid_consumer_let_go(owner.consumer, 0, 1);
    cr_assert(!status(&owner, 0, 0, 1).at_end);
    owner.next[0][0][1] = owner.start[0][1][0] = 100;
    owner.next[0][1][1] = 700;
    kpid_consumer_start(owner.consumer, 0, 1, (const int64_t[]){100, 700});
    cr_assert(RUN_UNTIL(all_at_end(&owner, 2), LONG_MS));
    cr_assert_eq(owner.n[0][0][1], seen + 1900);
    cr_assert_eq(owner.n_faults, 0, "%s", owner.fault);
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    rig_close();
}

Test(kafka, reads_shards_from_where_the_owner_says)
{
    read_through("cooperative-sticky");
}

Test(kafka, reads_the_same_with_an_eager_assignor)
{
    read_through("range");
}

Test(kafka, a_held_feed_loses_nothing)
{
    struct owner owner;
    rig_kafka();
    topics_make(1, 1);
    produce(ORDERS, 0, 0, 3000);
    produce(PAYMENTS, 0, 0, 500);
    owner_init(&owner);
    owner.hold_at = 1033; /* in the middle of a batch */
    owner_open(&owner);
    cr_assert(RUN_UNTIL(status(&owner, 0, 1, 0).at_end && status(&owner, 1, 0, 0).at_end, LONG_MS));
    cr_assert_eq(owner.n[0][0][0], 1034);
    cr_assert(!status(&owner, 0, 0, 0).at_end);
    cr_assert_gt(status(&owner, 0, 0, 0).lag, 0);
    kpid_consumer_hold_all(owner.consumer, true);
    kpid_consumer_hold(owner.consumer, 0, 0, 0, false);
    cr_assert_eq(kpid_consumer_serve(owner.consumer, 1000), 0);
    cr_assert(!status(&owner, 0, 1, 0).at_end);
    kpid_consumer_hold_all(owner.consumer, false);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_eq(owner.n[0][0][0], 3000);
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    rig_close();
}

Test(kafka, fetches_single_records_again)
{
    struct owner owner;
    rig_kafka();
    topics_make(1, 1);
    produce(ORDERS, 0, 0, 300);
    produce(PAYMENTS, 0, 0, 20);
    owner_init(&owner);
    owner_open(&owner);
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 123, on_refetched, &owner);
    cr_assert_eq(owner.n_refetched, 0);
    cr_assert(RUN_UNTIL(owner.n_refetched == 1, LONG_MS));
    cr_assert_eq(owner.refetched, 123);
    char expected[96];
    snprintf(expected, sizeof expected, "%s-0-123", topics[ORDERS]);
    cr_assert_str_eq(owner.value, expected);
    /* Many at once, of several places, in no order. */
    for (int i = 0; i < 30; i++) {
        kpid_consumer_refetch(owner.consumer, 0, 0, 0, (i * 77) % 300, on_refetched, &owner);
        kpid_consumer_refetch(owner.consumer, 0, 1, 0, i % 20, on_refetched, &owner);
    }
    cr_assert(RUN_UNTIL(owner.n_refetched == 61, LONG_MS));
    cr_assert_eq(owner.n_null, 0);
    /* Not there (yet): behind the end, at the end, no such partition. */
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 1000, on_refetched, &owner);
    kpid_consumer_refetch(owner.consumer, 0, 1, 0, 20, on_refetched, &owner);
    kpid_consumer_refetch(owner.consumer, 1, 0, 9, 0, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 64, LONG_MS));
    cr_assert_eq(owner.n_null, 3);
    cr_assert_eq(owner.n_looks[KPID_LOG_BEYOND], 2);
    cr_assert_eq(owner.n_looks[KPID_LOG_MISSING] + owner.n_looks[KPID_LOG_SILENT], 1);
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, KPID_OFFSET_BEGINNING, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 65, LONG_MS));
    cr_assert_eq(owner.refetched, 0);
    /* Where logs end, one of them empty. */
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, KPID_OFFSET_END, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 66, LONG_MS));
    cr_assert_eq(owner.log_end, 300);
    kpid_consumer_refetch(owner.consumer, 1, 0, 0, KPID_OFFSET_BEGINNING, on_refetched, &owner);
    cr_assert(RUN_UNTIL(owner.n_refetched == 67, LONG_MS));
    cr_assert_eq(owner.log_end, 0);
    /* Closing calls nobody. */
    kpid_consumer_refetch(owner.consumer, 0, 0, 0, 5, on_refetched, &owner);
    cr_assert_lt(owner_close(&owner), CLOSES_MS);
    cr_assert_eq(owner.n_refetched, 67);
    rig_close();
}

Test(kafka, an_offset_outside_the_log_is_said)
{
    struct owner owner;
    rig_kafka();
    topics_make(1, 1);
    produce(VISITS, 0, 0, 20);
    owner_init(&owner);
    owner.start[1][0][0] = 1000;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(owner.n_out_of_range == 1, LONG_MS));
    cr_assert_eq(owner.low, 0);
    cr_assert_eq(owner.high, 20);
    cr_assert_eq(owner.n[1][0][0], 0);
    cr_assert(!status(&owner, 1, 0, 0).at_end);
    owner.next[1][0][0] = 15;
    kpid_consumer_start(owner.consumer, 1, 0, (const int64_t[]){15});
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_eq(owner.n[1][0][0], 5);
    owner_close(&owner);
    rig_close();
}

Test(kafka, beginning_and_end_are_places_to_start)
{
    struct owner owner;
    rig_kafka();
    topics_make(1, 1);
    produce(ORDERS, 0, 0, 20);
    produce(PAYMENTS, 0, 0, 20);
    owner_init(&owner);
    owner.start[0][0][0] = KPID_OFFSET_BEGINNING;
    owner.start[0][0][1] = KPID_OFFSET_END;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(all_at_end(&owner, 1), LONG_MS));
    cr_assert_eq(owner.n[0][0][0], 20);
    cr_assert_eq(owner.n[0][1][0], 0);
    produce(PAYMENTS, 0, 20, 25);
    cr_assert(RUN_UNTIL(owner.n[0][1][0] == 5, LONG_MS));
    cr_assert_eq(owner.next[0][1][0], 25);
    owner_close(&owner);
    rig_close();
}

Test(kafka, the_last_record_is_known_by_its_hash)
{
    struct owner owner;
    rig_kafka();
    topics_make(1, 1);
    produce(ORDERS, 0, 0, 1000);
    owner_init(&owner);
    owner.hold_at = 700;
    owner_open(&owner);
    cr_assert(RUN_UNTIL(owner.n[0][0][0] == 701, LONG_MS));
    cr_assert_eq(status(&owner, 0, 0, 0).last_offset, 700);
    uint64_t hash = status(&owner, 0, 0, 0).last_hash;
    kpid_consumer_hold(owner.consumer, 0, 0, 0, false);
    cr_assert(RUN_UNTIL(owner.n[0][0][0] == 1000, LONG_MS));
    cr_assert_eq(status(&owner, 0, 0, 0).last_offset, 999);
    cr_assert_neq(status(&owner, 0, 0, 0).last_hash, hash);
    cr_assert_eq(status(&owner, 0, 1, 0).last_offset, -1);
    owner_close(&owner);
    rig_close();
}

Test(kafka, a_partition_that_not_all_topics_have_is_not_read)
{
    struct owner owner;
    rig_kafka();
    topics_make(2, 1);
    produce(ORDERS, 0, 0, 10);
    produce(ORDERS, 1, 0, 10);
    owner_init(&owner);
    owner_open(&owner);
    cr_assert(RUN_UNTIL(status(&owner, 0, 0, 0).at_end, LONG_MS));
    cr_assert_eq(owner.partitions[0], 2);
    cr_assert_eq(owner.n_assigned, 3);
    cr_assert_eq(owner.n[0][0][0], 10);
    cr_assert_eq(owner.n[0][0][1], 0);
    cr_assert(!status(&owner, 0, 0, 1).at_end);
    cr_assert_gt(owner.n_faults, 0);
    owner_close(&owner);
    rig_close();
}
