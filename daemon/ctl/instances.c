/* instances: who shares the work, who publishes, and how far each shard's committed state is. */
#include "ctl.h"

#include "kpid/shard.h"
#include "kpid/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fact {
    char *text;
    bool wrong;
};

static void keep_text(void *ctx, const struct kpid_reply *reply)
{
    struct fact *fact = ctx;

    free(fact->text);
    fact->text = reply->kind == KPID_REPLY_STR ? kpid_strndup(reply->str, reply->len) : NULL;
}

/* ---- instances ---- */

struct listing {
    const struct ctl *ctl;
    int64_t now_ms;
    char holder[256];
    size_t n;
};

static void keep_time(void *ctx, const struct kpid_reply *reply)
{
    struct listing *listing = ctx;

    if (reply->n_items == 2)
        listing->now_ms = strtoll(reply->items[0].str, NULL, 10) * 1000 + strtoll(reply->items[1].str, NULL, 10) / 1000;
}

static void print_instance(const struct listing *listing, const char *name, const char *text)
{
    const struct ctl *ctl = listing->ctl;
    const char *json = strchr(text, '{');
    int64_t silent_ms = listing->now_ms - strtoll(text, NULL, 10);
    bool alive = silent_ms < ctl->model->settings.live_timeout_ms, publishes = !strcmp(name, listing->holder);
    char version[32] = "?", format[16] = "?", shards[16] = "?", active[16] = "?", lag[24] = "?", skew[24] = "?", http[128] = "?";

    if (!json)
        return;
    size_t len = strlen(json);
    ctl_json_field(json, len, "version", version, sizeof(version));
    ctl_json_field(json, len, "format", format, sizeof(format));
    ctl_json_field(json, len, "shards", shards, sizeof(shards));
    ctl_json_field(json, len, "active", active, sizeof(active));
    ctl_json_field(json, len, "lag", lag, sizeof(lag));
    ctl_json_field(json, len, "skew_ms", skew, sizeof(skew));
    ctl_json_field(json, len, "http", http, sizeof(http));
    if (ctl->json) {
        struct kpid_buf out = KPID_BUF_INIT;
        kpid_buf_add_str(&out, "{\"instance\":");
        kpid_buf_add_json(&out, name, strlen(name));
        kpid_buf_printf(&out, ",\"alive\":%s,\"publishes\":%s,\"silent_ms\":%" PRId64 ",%s", alive ? "true" : "false",
                        publishes ? "true" : "false", silent_ms, json + 1);
        printf("%s\n", out.data);
        kpid_buf_release(&out);
        return;
    }
    printf("  %-24s %-9s %s of %s shards, lag %s, version %s, format %s, clock %s ms off, http %s", name,
           !alive ? "SILENT" : publishes ? "publishes" : "counts", active, shards, strcmp(lag, "-1") ? lag : "not known",
           version, format, skew, http);
    if (!alive)
        printf(", last seen %.0f s ago", (double)silent_ms / 1000);
    putchar('\n');
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void each_instance(void *ctx, const struct kpid_reply *reply)
{
    struct listing *listing = ctx;
    char **names = kpid_alloc((reply->n_items / 2 + 1) * sizeof(char *));

    for (size_t i = 0; i + 1 < reply->n_items; i += 2) {
        /* Sorted by name: the name, and behind its NUL the text. */
        struct kpid_buf one = KPID_BUF_INIT;
        kpid_buf_add(&one, reply->items[i].str, reply->items[i].len);
        kpid_buf_add_char(&one, '\0');
        kpid_buf_add(&one, reply->items[i + 1].str, reply->items[i + 1].len);
        kpid_buf_add_char(&one, '\0');
        names[listing->n++] = kpid_buf_detach(&one, NULL);
    }
    if (listing->n)
        qsort(names, listing->n, sizeof(char *), by_name);
    for (size_t i = 0; i < listing->n; i++) {
        print_instance(listing, names[i], names[i] + strlen(names[i]) + 1);
        free(names[i]);
    }
    free(names);
}

/* ---- shards ---- */

struct shard_look {
    const struct ctl *ctl;
    uint32_t source;
    bool read;
    char nonce[33];
    uint64_t seq;
    struct kpid_shard *shard;
};

static void each_header(void *ctx, const struct kpid_reply *reply)
{
    struct shard_look *look = ctx;
    const char *why;

    if (reply->n_items != 3 || reply->items[0].len != 32)
        return;
    memcpy(look->nonce, reply->items[0].str, 32);
    look->seq = strtoull(reply->items[1].str, NULL, 10);
    look->shard = kpid_shard_new(look->ctl->model, look->source, 0);
    look->read = !reply->items[2].len ||
                 kpid_shard_load(look->shard, reply->items[2].str, reply->items[2].len, NULL, 0, &why);
}

/* The owner's name, behind what it tells of its topics; "" if the record is not of this header's nonce. */
static const char *owner_of(const struct shard_look *look, const char *live, size_t n_topics, int64_t *ends)
{
    const char *at = live ? live : "";
    char nonce[33];
    uint64_t seq;
    int read = 0;

    for (size_t t = 0; t < n_topics; t++)
        ends[t] = -1;
    if (sscanf(at, "1 %32[0-9a-f] %" SCNu64 "%n", nonce, &seq, &read) != 2 || strcmp(nonce, look->nonce))
        return "";
    at += read;
    for (size_t t = 0; t < n_topics; t++) {
        int idle, at_end;
        int64_t next;
        if (sscanf(at, " %d %d %" SCNd64 " %" SCNd64 "%n", &idle, &at_end, &next, &ends[t], &read) != 4)
            return "";
        at += read;
    }
    return *at == ' ' ? at + 1 : "";
}

static void print_shard(const struct shard_look *look, long partition, const char *live)
{
    const struct kpid_source *source = &look->ctl->model->sources[look->source];
    int64_t *ends = kpid_alloc((source->n_topics + 1) * sizeof(*ends));
    const char *owner = owner_of(look, live, source->n_topics, ends);
    bool json = look->ctl->json;

    if (json)
        printf("{\"shard\":\"%s/%ld\",\"owner\":\"%s\",\"nonce\":\"%s\",\"seq\":%" PRIu64 ",\"readable\":%s,\"topics\":[",
               source->name, partition, owner, look->nonce, look->seq, look->read ? "true" : "false");
    else
        printf("  %s/%ld: seq %" PRIu64 "%s", source->name, partition, look->seq, look->read ? "" : ", NOT READABLE");
    for (uint32_t t = 0; t < source->n_topics; t++) {
        int64_t next = look->read ? kpid_shard_next_offset(look->shard, t) : -1;
        int64_t lag = next >= 0 && ends[t] >= next ? ends[t] - next : -1;
        int64_t highest = look->read ? kpid_shard_highest(look->shard, t) : KPID_NEVER;
        if (json)
            printf("%s{\"topic\":\"%s\",\"next_offset\":%" PRId64 ",\"lag\":%" PRId64 ",\"newest_ms\":%" PRId64 "}",
                   t ? "," : "", source->topics[t], next, lag, highest == KPID_NEVER ? -1 : highest);
        else
            printf(", %s at %" PRId64, source->topics[t], next);
        if (!json && lag >= 0)
            printf(", lag %" PRId64, lag);
    }
    if (json)
        puts("]}");
    else
        printf("%s%s\n", owner[0] ? ", owner " : "", owner);
    free(ends);
}

static bool look_at(const struct ctl *ctl, struct ctl_remote *remote, uint32_t source, const char *header)
{
    struct shard_look look = { .ctl = ctl, .source = source };
    struct fact live = { 0 };
    char *key = kpid_strdup(header), *colon = strrchr(key, ':');
    const char *brace = strrchr(key, '}'), *number = brace;

    while (number && number > key && number[-1] != ':')
        number--;
    bool ok = ctl_remote_ask(remote, each_header, &look, "HMGET", header, "nonce", "seq", "meta", NULL);
    if (ok && look.shard) {
        strcpy(colon, ":l");
        ok = ctl_remote_ask(remote, keep_text, &live, "GET", key, NULL);
        print_shard(&look, number ? strtol(number, NULL, 10) : -1, live.text);
    }
    kpid_shard_free(look.shard);
    free(live.text);
    free(key);
    return ok;
}

static int by_partition(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t x_len = strlen(x), y_len = strlen(y);

    return x_len != y_len ? (x_len > y_len) - (x_len < y_len) : strcmp(x, y);
}

static bool list_shards(struct ctl *ctl, struct ctl_remote *remote)
{
    bool ok = true;

    for (uint32_t s = 0; ok && s < ctl->model->n_sources; s++) {
        struct kpid_buf pattern = KPID_BUF_INIT;
        struct ctl_names names = { 0 };
        kpid_buf_printf(&pattern, "%s:s:{*:", ctl->model->settings.redis.prefix);
        kpid_key_encode(&pattern, ctl->model->settings.kafka.group, strlen(ctl->model->settings.kafka.group));
        kpid_buf_add_char(&pattern, ':');
        kpid_key_encode(&pattern, ctl->model->sources[s].name, strlen(ctl->model->sources[s].name));
        kpid_buf_add_str(&pattern, ":*}:h");
        ok = ctl_remote_scan(remote, pattern.data, &names);
        if (names.n)
            qsort(names.at, names.n, sizeof(char *), by_partition);
        for (size_t i = 0; ok && i < names.n; i++)
            ok = look_at(ctl, remote, s, names.at[i]);
        ctl_names_release(&names);
        kpid_buf_release(&pattern);
    }
    return ok;
}

/* ---- the commands ---- */

static int list(struct ctl *ctl, struct ctl_remote *remote, const char *instances, const char *lease)
{
    struct listing listing = { .ctl = ctl };
    struct fact holder = { 0 };
    bool ok = ctl_remote_ask(remote, keep_text, &holder, "GET", lease, NULL) &&
              ctl_remote_ask(remote, keep_time, &listing, "TIME", NULL);
    const char *name = holder.text ? strchr(holder.text, ' ') : NULL;

    snprintf(listing.holder, sizeof(listing.holder), "%s", name ? name + 1 : "");
    free(holder.text);
    if (ok && !ctl->json)
        puts("instances");
    ok = ok && ctl_remote_ask(remote, each_instance, &listing, "HGETALL", instances, NULL);
    if (ok && !ctl->json)
        puts(listing.n ? "shards, as committed" : "  none\nshards, as committed");
    return ok && list_shards(ctl, remote) ? CTL_OK : CTL_FAILED;
}

/* KEYS instances, lease; ARGV name, ms. -> -1: there is none; else ms since it was last seen, removed unless that is less
 * than it may be silent. */
static const char remove_script[] =
    "local found = redis.call('HGET', KEYS[1], ARGV[1])\n"
    "if not found then return -1 end\n"
    "local t = redis.call('TIME')\n"
    "local silent = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) - tonumber(string.match(found, '^%d+'))\n"
    "if silent < tonumber(ARGV[2]) then return silent end\n"
    "redis.call('HDEL', KEYS[1], ARGV[1])\n"
    "local lease = redis.call('GET', KEYS[2])\n"
    "if lease and string.match(lease, '^%S+ (.*)$') == ARGV[1] then redis.call('DEL', KEYS[2]) end\n"
    "return silent\n";

static void keep_number(void *ctx, const struct kpid_reply *reply)
{
    *(int64_t *)ctx = reply->kind == KPID_REPLY_INT ? reply->integer : -1;
}

static int remove_one(struct ctl *ctl, struct ctl_remote *remote, const char *instances, const char *lease)
{
    int64_t silent_ms = -1, limit_ms = ctl->model->settings.live_timeout_ms;
    const char *name = ctl->args[1];
    char limit[24];

    snprintf(limit, sizeof(limit), "%" PRId64, limit_ms);
    if (!ctl_remote_ask(remote, keep_number, &silent_ms, "EVAL", remove_script, "2", instances, lease, name, limit, NULL))
        return CTL_FAILED;
    if (silent_ms < 0)
        fprintf(stderr, "kpictl: there is no instance '%s'; see kpictl instances\n", name);
    else if (silent_ms < limit_ms)
        fprintf(stderr, "kpictl: '%s' is alive, seen %.1f s ago: stop it instead\n", name, (double)silent_ms / 1000);
    else if (ctl->json)
        printf("{\"removed\":\"%s\"}\n", name);
    else
        printf("%s is forgotten. If it comes back, it is listed again.\n", name);
    return silent_ms < limit_ms ? CTL_FAILED : CTL_OK;
}

int ctl_instances(struct ctl *ctl)
{
    struct kpid_buf instances = KPID_BUF_INIT, lease = KPID_BUF_INIT;
    bool removes = ctl->n_args > 0;

    if (removes && (strcmp(ctl->args[0], "remove") || ctl->n_args != 2)) {
        fputs("kpictl: write kpictl instances, or kpictl instances remove NAME\n", stderr);
        return CTL_USAGE;
    }
    struct ctl_remote *remote = ctl_remote_open(ctl);
    if (!remote)
        return CTL_FAILED;
    kpid_buf_printf(&instances, "%s:{alert}:instances", ctl->model->settings.redis.prefix);
    kpid_buf_printf(&lease, "%s:{alert}:lease", ctl->model->settings.redis.prefix);
    int code = removes ? remove_one(ctl, remote, instances.data, lease.data)
                       : list(ctl, remote, instances.data, lease.data);
    kpid_buf_release(&instances);
    kpid_buf_release(&lease);
    ctl_remote_close(remote);
    return code;
}
