/* Dead letters on their way: decided and committed with the state first, then sent, then taken out of the outbox. */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

#define LETTERS_BYTES_MAX (64u << 20) /* beyond it the bytes are fetched from Kafka again */
#define FLIGHTS_MAX       1000

static void bytes_free(struct letter_bytes *letter)
{
    free(letter->key);
    free(letter->value);
    free(letter);
}

void kpid_letters_keep(struct daemon *d, const struct kpid_record *record)
{
    size_t size = record->key_len + record->value_len + sizeof(struct letter_bytes);

    if (!d->producer || d->letters_bytes + size > LETTERS_BYTES_MAX)
        return;
    struct letter_bytes *letter = kpid_zalloc(1, sizeof(*letter));
    *letter = (struct letter_bytes){ .source = record->source, .topic = record->topic, .partition = record->partition,
                                     .offset = record->offset, .timestamp_ms = record->timestamp_ms,
                                     .key_len = record->key_len, .value_len = record->value_len,
                                     .has_key = record->key != NULL, .next = d->letters };
    letter->key = kpid_strndup(record->key ? record->key : "", record->key_len);
    letter->value = kpid_strndup(record->value ? record->value : "", record->value_len);
    d->letters = letter;
    d->letters_bytes += size;
}

static struct letter_bytes *bytes_take(struct daemon *d, const struct letter_flight *flight)
{
    for (struct letter_bytes **at = &d->letters; *at; at = &(*at)->next) {
        struct letter_bytes *letter = *at;
        if (letter->source != flight->source || letter->topic != flight->topic ||
            letter->partition != flight->partition || letter->offset != flight->offset)
            continue;
        *at = letter->next;
        d->letters_bytes -= letter->key_len + letter->value_len + sizeof(*letter);
        return letter;
    }
    return NULL;
}

static void flight_end(struct letter_flight *flight)
{
    struct daemon *d = flight->daemon;

    for (struct letter_flight **at = &d->flights; *at; at = &(*at)->next)
        if (*at == flight) {
            *at = flight->next;
            break;
        }
    d->n_flights--;
    free(flight);
}

static void delivered(void *ctx, bool ok)
{
    struct letter_flight *flight = ctx;
    struct daemon *d = flight->daemon;
    struct slot_owner *slot = NULL;

    if (!d->letters_closed && flight->partition < d->sources[flight->source].n_partitions)
        slot = d->sources[flight->source].slots[flight->partition];
    if (ok && slot && slot->state == SLOT_ACTIVE)
        kpid_shard_letter_sent(slot->shard, flight->topic, flight->offset);
    d->n.letters_sent += ok;
    d->n.letters_failed += !ok;
    flight_end(flight);
}

static void send_record(struct letter_flight *flight, const struct kpid_record *record)
{
    struct daemon *d = flight->daemon;
    const struct kpid_source *source = &d->model->sources[flight->source];

    flight->sent = true;
    kpid_producer_letter(d->producer, record, source->topics[flight->topic], kpid_reason_name(flight->reason),
                         delivered, flight);
}

static void refetched(void *ctx, enum kpid_log_look look, const struct kpid_record *record, int64_t end_offset)
{
    struct letter_flight *flight = ctx;
    struct daemon *d = flight->daemon;
    struct kpid_record bare = { .source = flight->source, .topic = flight->topic, .partition = flight->partition,
                                .offset = flight->offset, .timestamp_ms = KPID_NEVER };

    (void)end_offset;
    if (look == KPID_LOG_SILENT) {
        /* Nobody knows whether the log still has the bytes: the letter stays in the outbox and is tried again. */
        d->n.letters_waiting++;
        kpid_complain(d, &d->letters_silent, "dead letters wait: the leader of %s [%d] does not answer",
                      d->model->sources[flight->source].topics[flight->topic], flight->partition);
        flight_end(flight);
        return;
    }
    kpid_complain_over(d, &d->letters_silent, "dead letters go out again");
    d->n.letters_lost += record == NULL;
    send_record(flight, record ? record : &bare);
}

static void send_one(struct daemon *d, const struct slot_owner *slot, const struct kpid_letter *letter)
{
    struct letter_flight *flight = kpid_zalloc(1, sizeof(*flight));

    *flight = (struct letter_flight){ .daemon = d, .source = slot->source, .topic = letter->topic,
                                      .partition = slot->partition, .offset = letter->offset,
                                      .reason = letter->reason, .next = d->flights };
    d->flights = flight;
    d->n_flights++;
    struct letter_bytes *bytes = bytes_take(d, flight);
    if (!bytes) {
        kpid_consumer_refetch(d->consumer, slot->source, letter->topic, slot->partition, letter->offset, refetched,
                              flight);
        return;
    }
    struct kpid_record record = { .source = bytes->source, .topic = bytes->topic, .partition = bytes->partition,
                                  .offset = bytes->offset, .timestamp_ms = bytes->timestamp_ms,
                                  .key = bytes->has_key ? bytes->key : NULL, .key_len = bytes->key_len,
                                  .value = bytes->value, .value_len = bytes->value_len };
    send_record(flight, &record);
    bytes_free(bytes);
}

static bool in_flight(const struct daemon *d, const struct slot_owner *slot, const struct kpid_letter *letter)
{
    for (const struct letter_flight *f = d->flights; f; f = f->next)
        if (f->source == slot->source && f->partition == slot->partition && f->topic == letter->topic &&
            f->offset == letter->offset)
            return true;
    return false;
}

/* Letters whose cut is committed go out; without a topic for them they are counted and that is all. */
void kpid_letters_send(struct daemon *d)
{
    for (size_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            struct slot_owner *slot = d->sources[s].slots[p];
            const struct kpid_letter *letters;
            if (!slot || slot->state != SLOT_ACTIVE)
                continue;
            size_t n = kpid_shard_letters(slot->shard, &letters);
            uint64_t committed = slot->cut_done > slot->cut_restored ? slot->cut_done : slot->cut_restored;
            for (size_t i = 0; i < n && d->n_flights < FLIGHTS_MAX;) {
                if (!letters[i].cut || letters[i].cut > committed)
                    break;
                if (!d->model->settings.publish.dead_letters || !d->producer) {
                    kpid_shard_letter_sent(slot->shard, letters[i].topic, letters[i].offset);
                    n = kpid_shard_letters(slot->shard, &letters);
                    continue;
                }
                if (!in_flight(d, slot, &letters[i]))
                    send_one(d, slot, &letters[i]);
                i++;
            }
        }
}

void kpid_letters_close(struct daemon *d)
{
    while (d->letters) {
        struct letter_bytes *next = d->letters->next;
        bytes_free(d->letters);
        d->letters = next;
    }
    /* What the producer has it reports yet, at the latest when it closes; the shards are gone by then. */
    for (struct letter_flight *flight = d->flights, *next; flight; flight = next) {
        next = flight->next;
        if (!flight->sent)
            flight_end(flight);
    }
    d->letters_closed = true;
    d->letters_bytes = 0;
}
