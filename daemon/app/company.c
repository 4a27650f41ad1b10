/*
 * Several instances. One of them owns {alert} and publishes; the others read, count and commit. Once a tick each tells that
 * it lives and hears who publishes, what is final, and how far the publisher has come with its shards. If nobody holds
 * the lease, whoever finds that first takes {alert}.
 *
 * What a publisher tells of a shard: the commit up to which it has published, so that the owner drops the corrections in
 * it; of a source: up to where panes may go, where the slowest reader is, and how far time has to be brought forward.
 *
 * Each tells the newest format of state that it knows; the oldest of these is what all write. An instance counts until it
 * has left or is forgotten, not only while it lives: one that was killed may come back as it was.
 */
#include "daemon.h"

#include "kpid/fault_point.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define FORGET_MS INT64_C(86400000)
#define SKEW_MS   1000 /* of clocks: more is told */
#define AHEAD_TICKS 5

void kpid_company_open(struct daemon *d)
{
    const struct kpid_settings *settings = &d->model->settings;
    struct kpid_buf name = KPID_BUF_INIT;
    char host[65] = "";
    uint64_t random = 0;

    gethostname(host, sizeof(host) - 1);
    if (settings->kafka.instance_id)
        kpid_buf_add_str(&name, settings->kafka.instance_id);
    else
        kpid_buf_printf(&name, "%s@%s", settings->instance, host);
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] <= ' ')
            name.data[i] = '_';
    d->company = (struct company){ .name = kpid_buf_detach(&name, NULL), .n_living = 1,
                                    .format = KPID_FAULT_STATE_FORMAT(kpid_state_format()),
                                    .led_ms = KPID_NEVER / 2, .connected_ms = KPID_NEVER / 2 };
    d->company.known = kpid_strdup("");
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (uint64_t)kpid_now_mono() ^ (uint64_t)getpid();
    snprintf(d->company.process, sizeof(d->company.process), "%016" PRIx64, random);
    for (uint32_t s = 0; s < d->model->n_sources; s++) {
        d->sources[s].told_released_ms = d->sources[s].told_wants_ms = KPID_NEVER;
        d->sources[s].told_slowest_ms = KPID_FOREVER;
    }
    d->started_ms = kpid_now_wall();
    kpid_publisher_set_lease(d->publisher, d->company.name, settings->live_timeout_ms);
}

void kpid_company_close(struct daemon *d)
{
    free(d->company.name);
    free(d->company.known);
    kpid_evaluator_free(d->company.watcher);
}

void kpid_company_connected(struct daemon *d)
{
    d->company.reconnected = d->company.connected_ms > KPID_NEVER / 2;
    d->company.connected_ms = kpid_now_mono();
}

/* Where Redis was away, or has lost {alert}, its publisher knows more than Redis does: it is given the time of a lease to
 * come back. */
static bool is_awaited(const struct daemon *d)
{
    const struct company *company = &d->company;
    int64_t now = kpid_now_mono(), wait_ms = d->model->settings.live_timeout_ms;
    bool lost = company->led_ms > KPID_NEVER / 2 && company->headless;

    return company->led_ms > KPID_NEVER / 2 && !d->former && !d->evaluator &&
           ((lost && now - company->led_ms < wait_ms) || (company->reconnected && now - company->connected_ms < wait_ms));
}

bool kpid_company_may_publish(const struct daemon *d)
{
    return !d->company.elsewhere && !d->company.clock_off && !is_awaited(d);
}

void kpid_company_owner(struct daemon *d)
{
    kpid_evaluator_free(d->company.watcher);
    d->company.watcher = NULL;
    d->company.known[0] = '\0';
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++)
            if (d->sources[s].slots[p])
                d->sources[s].slots[p]->touch_seq = 0;
}

/* ---- what is told ---- */

static void add_record(struct daemon *d, struct kpid_buf *out)
{
    const struct kpid_settings *settings = &d->model->settings;
    size_t shards = 0, active = 0;
    char host[65] = "";
    bool known;
    int64_t lag = kpid_status_lag(d, &known);

    gethostname(host, sizeof(host) - 1);
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            const struct slot_owner *slot = d->sources[s].slots[p];
            shards += slot != NULL;
            active += slot && slot->state == SLOT_ACTIVE;
        }
    kpid_buf_add_str(out, "{\"host\":");
    kpid_buf_add_json(out, host, strlen(host));
    kpid_buf_printf(out, ",\"pid\":%ld,\"version\":\"" KPID_VERSION "\",\"format\":%u,\"since_ms\":%" PRId64
                         ",\"shards\":%zu,\"active\":%zu,\"lag\":%" PRId64 ",\"skew_ms\":%" PRId64 ",\"http\":",
                    (long)getpid(), d->company.format, d->started_ms, shards, active, known ? lag : -1,
                    d->company.skew_ms);
    const char *http = settings->http.listen ? settings->http.listen : "off";
    kpid_buf_add_json(out, http, strlen(http));
    kpid_buf_add_char(out, '}');
}

static void add_note(struct kpid_pair **notes, size_t *n, const char *key, const char *value)
{
    *notes = kpid_realloc(*notes, (*n + 1) * sizeof(**notes));
    (*notes)[(*n)++] = (struct kpid_pair){ kpid_strdup(key), kpid_strdup(value) };
}

/* ---- of the publisher ---- */

static void notes_of_source(struct daemon *d, uint32_t s, struct kpid_pair **notes, size_t *n)
{
    struct source_state *source = &d->sources[s];
    char value[128];

    for (int32_t p = 0; p < source->n_partitions; p++) {
        const struct foreign_shard *f = source->foreign[p];
        if (!f || !f->told_seq)
            continue;
        snprintf(value, sizeof(value), "%s %" PRIu64, f->nonce, f->told_seq);
        add_note(notes, n, kpid_follower_key(f->follower), value);
    }
    /* Until it is heard, done and followed, the newest boundary has moved on. */
    int64_t wants = kpid_evaluator_wants(d->evaluator, s);
    if (wants != KPID_NEVER && d->model->settings.clock != KPID_CLOCK_EVENTS)
        wants += AHEAD_TICKS * d->model->settings.tick_ms;
    snprintf(value, sizeof(value), "%" PRId64 " %" PRId64 " %" PRId64, source->released_at_cut_ms, kpid_hold_slowest(d, s),
             wants);
    add_note(notes, n, d->model->sources[s].name, value);
}

/* ---- of the others ---- */

static void told_of_source(struct source_state *source, const char *text)
{
    int64_t released, slowest, wants;

    if (sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNd64, &released, &slowest, &wants) != 3)
        return;
    source->told_released_ms = released;
    source->told_slowest_ms = slowest;
    source->told_wants_ms = wants;
}

static void told_of_shard(struct slot_owner *slot, const char *text)
{
    char nonce[33];
    uint64_t seq;

    if (sscanf(text, "%32[0-9a-f] %" SCNu64, nonce, &seq) != 2 || strcmp(nonce, kpid_store_nonce(slot->store)))
        return;
    if (slot->touch_seq && seq >= slot->touch_seq) {
        kpid_shard_touched_clear(slot->shard);
        slot->touch_seq = 0;
    }
    if (seq > slot->claim_seq)
        slot->claim_seq = 0;
}

static void hear_note(struct daemon *d, const struct kpid_reply *field, const struct kpid_reply *value)
{
    char *text = kpid_strndup(value->str, value->len);

    for (uint32_t s = 0; s < d->model->n_sources; s++) {
        struct source_state *source = &d->sources[s];
        const char *name = d->model->sources[s].name;
        if (strlen(name) == field->len && !memcmp(name, field->str, field->len))
            told_of_source(source, text);
        for (int32_t p = 0; p < source->n_partitions; p++) {
            struct slot_owner *slot = source->slots[p];
            if (!slot || slot->state != SLOT_ACTIVE || slot->leaving)
                continue;
            const char *key = kpid_store_key(slot->store);
            if (strlen(key) == field->len && !memcmp(key, field->str, field->len))
                told_of_shard(slot, text);
        }
    }
    free(text);
}

/* Another one publishes: what is final there lets panes go here, and says what events correct. */
static void follow(struct daemon *d, const struct kpid_presence_heard *heard)
{
    struct company *company = &d->company;
    const char *told_at = strrchr(heard->known, ':');
    uint64_t told = told_at ? strtoull(told_at + 1, NULL, 10) : 0;

    if (!company->watcher)
        company->watcher = kpid_evaluator_new(d->model, &kpid_no_sink, d);
    for (size_t i = 0; i + 1 < heard->finals->n_items; i += 2) {
        const struct kpid_reply *key = &heard->finals->items[i], *value = &heard->finals->items[i + 1];
        struct kpid_final final;
        if (kpid_final_parse(value->str, value->len, told, &final))
            kpid_evaluator_load_final(company->watcher, key->str, key->len, final.boundary_ms, final.told_ms);
    }
    free(company->known);
    company->known = kpid_strdup(heard->known);
    for (size_t i = 0; i + 1 < heard->notes->n_items; i += 2)
        hear_note(d, &heard->notes->items[i], &heard->notes->items[i + 1]);
    kpid_time_update(d);
    struct kpid_evaluator_source *views = kpid_zalloc(d->model->n_sources + 1, sizeof(*views));
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        views[s] = (struct kpid_evaluator_source){ .shards = d->sources[s].active, .n_shards = d->sources[s].n_active,
                                                   .n_partitions = (size_t)d->sources[s].n_partitions,
                                                   .publish_ms = KPID_NEVER,
                                                   .released_ms = d->sources[s].told_released_ms };
    kpid_evaluator_follow(company->watcher, views);
    kpid_evaluator_watch(company->watcher, views);
    for (uint32_t s = 0; s < d->model->n_sources; s++)
        for (int32_t p = 0; p < d->sources[s].n_partitions; p++) {
            struct slot_owner *slot = d->sources[s].slots[p];
            if (slot && slot->state == SLOT_ACTIVE)
                kpid_shard_watch_all(slot->shard, slot->claim_seq ? KPID_FOREVER : slot->cut_clock_ms);
        }
    free(views);
}

/* ---- what is heard ---- */

static void judge_clock(struct daemon *d, int64_t redis_ms)
{
    struct company *company = &d->company;
    int64_t took = kpid_now_mono() - company->asked_mono_ms, off;

    if (d->model->settings.clock == KPID_CLOCK_EVENTS)
        return;
    company->skew_ms = company->asked_wall_ms + took / 2 - redis_ms;
    off = company->skew_ms < 0 ? -company->skew_ms : company->skew_ms;
    off = off > took ? off - took : 0;
    bool far = off > d->model->settings.max_clock_skew_ms;
    if (off > SKEW_MS)
        kpid_complain(d, &company->clock, "this machine's clock is %.1f s %s that of Redis%s", (double)off / 1000,
                      company->skew_ms > 0 ? "ahead of" : "behind", far ? ": nothing is published" : "");
    else
        kpid_complain_over(d, &company->clock, "this machine's clock and that of Redis agree");
    company->clock_off = far;
}

/* What a record says; one that says nothing is of a version that told none. */
static unsigned format_of(const char *record)
{
    const char *at = strstr(record, "\"format\":");

    return at ? (unsigned)strtoul(at + strlen("\"format\":"), NULL, 10) : 1;
}

static void agree(struct daemon *d, unsigned format)
{
    struct company *company = &d->company;

    if (company->agreed && format < company->agreed)
        kpid_log(d, KPID_LOG_NOTICE, "another instance reads state of format %u at the most: it is written from now on",
                 format);
    else if (company->agreed && format > company->agreed)
        kpid_log(d, KPID_LOG_NOTICE, "all instances read state of format %u: it is written from now on", format);
    company->agreed = format;
}

static void hear_instances(struct daemon *d, const struct kpid_reply *instances, int64_t redis_ms)
{
    struct company *company = &d->company;
    unsigned format = company->format;
    bool any = false;

    company->n_living = 1;
    for (size_t i = 0; i + 1 < instances->n_items; i += 2) {
        const struct kpid_reply *name = &instances->items[i], *text = &instances->items[i + 1];
        if (strlen(company->name) == name->len && !memcmp(company->name, name->str, name->len))
            continue;
        char *copy = kpid_strndup(text->str, text->len);
        any = true;
        company->n_living += strtoll(copy, NULL, 10) > redis_ms - d->model->settings.live_timeout_ms;
        if (format_of(copy) < format)
            format = format_of(copy);
        free(copy);
    }
    if (any && !company->any)
        kpid_log(d, KPID_LOG_INFO, "there are other instances: %zu alive", company->n_living);
    company->any = any;
    agree(d, format);
}

static void on_heard(void *ctx, const struct kpid_presence_heard *heard)
{
    struct daemon *d = ctx;
    struct company *company = &d->company;

    company->asked = false;
    if (!heard)
        return;
    bool clash = company->told_once && heard->process[0] && strcmp(heard->process, company->process);
    company->told_once = true;
    if (clash)
        kpid_complain(d, &company->clash, "another instance is called '%s' too: give each its own name (instance: or "
                      "kafka.instance_id:)", company->name);
    judge_clock(d, heard->redis_us / 1000);
    hear_instances(d, heard->instances, heard->redis_us / 1000);
    company->any = company->any || clash;
    snprintf(company->holder, sizeof(company->holder), "%s", heard->holder);
    if (d->publisher_ready || d->publisher_busy)
        return;
    company->elsewhere = heard->holder[0] && strcmp(heard->holder, company->name);
    company->headless = heard->known[0] == ':';
    if (company->elsewhere)
        company->led_ms = kpid_now_mono();
    if (company->elsewhere)
        follow(d, heard);
}

static void ask(struct daemon *d)
{
    struct company *company = &d->company;
    struct kpid_buf record = KPID_BUF_INIT;
    struct kpid_pair *notes = NULL;
    size_t n = 0;
    bool publishes = d->publisher_ready && d->evaluator;

    add_record(d, &record);
    for (uint32_t s = 0; publishes && company->any && s < d->model->n_sources; s++)
        notes_of_source(d, s, &notes, &n);
    struct kpid_presence presence = { .process = company->process, .record = record.data, .forget_ms = FORGET_MS,
                                      .known = d->publisher_ready ? NULL : company->known, .notes = notes, .n_notes = n };
    company->asked = true;
    company->asked_wall_ms = kpid_now_wall();
    company->asked_mono_ms = kpid_now_mono();
    kpid_publisher_present(d->publisher, &presence, on_heard, d);
    for (size_t i = 0; i < n; i++) {
        free(notes[i].key);
        free(notes[i].value);
    }
    free(notes);
    kpid_buf_release(&record);
}

void kpid_company_tick(struct daemon *d)
{
    if (d->company.clock_off && d->publisher_ready && d->round == ROUND_IDLE && !kpid_round_busy(d->publisher)) {
        kpid_round_lost(d);
        kpid_publisher_leave(d->publisher, NULL, NULL);
    }
    if (!d->company.asked && !d->stopping && kpid_redis_up(d->redis))
        ask(d);
}

void kpid_company_leave(struct daemon *d, void (*done)(void *ctx))
{
    kpid_publisher_leave(d->publisher, done, d);
}
