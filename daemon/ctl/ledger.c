/* ledger and lag. The ledger comes from the shards' headers in Redis, so it needs no running daemon. */
#include "ctl.h"

#include "kpid/shard.h"

#include <arpa/inet.h>
#include <event2/util.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the ledger ---- */

struct header {
    const struct ctl *ctl;
    uint32_t source;
    struct kpid_ledger *sums; /* a topic */
    bool read;
};

static void each_meta(void *ctx, const struct kpid_reply *reply)
{
    struct header *header = ctx;
    struct kpid_shard *shard = kpid_shard_new(header->ctl->model, header->source, 0);
    const char *why;

    header->read = reply->kind == KPID_REPLY_STR && kpid_shard_load(shard, reply->str, reply->len, NULL, 0, &why);
    for (uint32_t t = 0; header->read && t < header->ctl->model->sources[header->source].n_topics; t++) {
        struct kpid_ledger ledger;
        kpid_shard_ledger(shard, t, &ledger);
        header->sums[t].in += ledger.in;
        header->sums[t].lost_range += ledger.lost_range;
        for (int c = 0; c < KPID_CLASS_N; c++)
            header->sums[t].classes[c] += ledger.classes[c];
        for (int r = 0; r < KPID_REASON_N; r++)
            header->sums[t].reasons[r] += ledger.reasons[r];
    }
    kpid_shard_free(shard);
}

/* Why events went to the dead letters: the reasons that there were. */
static void print_reasons(const struct ctl *ctl, const struct kpid_ledger *sums)
{
    bool any = false;

    fputs(ctl->json ? ",\"reasons\":{" : "", stdout);
    for (int r = KPID_REASON_NONE + 1; r < KPID_REASON_N; r++) {
        if (!sums->reasons[r])
            continue;
        const char *name = kpid_reason_name((enum kpid_reason)r);
        if (ctl->json)
            printf("%s\"%s\":%" PRIu64, any ? "," : "", name, sums->reasons[r]);
        else
            printf("%s %s %" PRIu64, any ? "," : "; dead letters:", name, sums->reasons[r]);
        any = true;
    }
    fputs(ctl->json ? "}" : "", stdout);
}

static bool print_ledger(const struct ctl *ctl, uint32_t s, const struct kpid_ledger *sums)
{
    const struct kpid_source *source = &ctl->model->sources[s];
    bool balanced = true;

    for (size_t t = 0; t < source->n_topics; t++) {
        uint64_t sum = 0;
        for (int c = 0; c < KPID_CLASS_N; c++)
            sum += sums[t].classes[c];
        balanced = balanced && sum == sums[t].in;
        printf(ctl->json ? "{\"source\":\"%s\",\"topic\":\"%s\",\"in\":%" PRIu64 : "%s/%s: in %" PRIu64, source->name,
               source->topics[t], sums[t].in);
        for (int c = 0; c < KPID_CLASS_N; c++) {
            const char *name = kpid_class_name((enum kpid_class)c);
            if (ctl->json)
                printf(",\"%s\":%" PRIu64, name, sums[t].classes[c]);
            else
                printf("%s%s %" PRIu64, c ? " + " : " = ", name, sums[t].classes[c]);
        }
        if (ctl->json)
            printf(",\"lost_range\":%" PRIu64, sums[t].lost_range);
        else if (sums[t].lost_range)
            printf("; lost_range %" PRIu64, sums[t].lost_range);
        print_reasons(ctl, &sums[t]);
        puts(ctl->json ? (sum == sums[t].in ? ",\"balanced\":true}" : ",\"balanced\":false}")
                       : (sum == sums[t].in ? "  (balanced)" : "  (DOES NOT BALANCE)"));
    }
    return balanced;
}

int ctl_ledger(struct ctl *ctl)
{
    struct ctl_remote *remote = ctl_remote_open(ctl);
    bool ok = remote != NULL, balanced = true;

    for (uint32_t s = 0; ok && s < ctl->model->n_sources; s++) {
        const struct kpid_source *source = &ctl->model->sources[s];
        struct kpid_buf pattern = KPID_BUF_INIT;
        struct ctl_names names = { 0 };
        struct kpid_ledger *sums = kpid_zalloc(source->n_topics, sizeof(*sums));
        kpid_buf_printf(&pattern, "%s:s:{*:%s:%s:*}:h", ctl->model->settings.redis.prefix,
                        ctl->model->settings.kafka.group, source->name);
        ok = ctl_remote_scan(remote, pattern.data, &names);
        for (size_t i = 0; i < names.n; i++) {
            struct header header = { ctl, s, sums, false };
            ok = ok && ctl_remote_ask(remote, each_meta, &header, "HGET", names.at[i], "meta", NULL);
        }
        ctl_names_release(&names);
        if (ok)
            balanced = print_ledger(ctl, s, sums) && balanced;
        free(sums);
        kpid_buf_release(&pattern);
    }
    ctl_remote_close(remote);
    return ok && balanced ? CTL_OK : CTL_FAILED;
}

/* ---- the daemon's pages ---- */

bool ctl_http_get(const struct ctl *ctl, const char *path, struct kpid_buf *body)
{
    const char *listen = ctl->model->settings.http.listen;
    struct sockaddr_storage address;
    int len = sizeof(address), fd = -1;
    char bytes[8192];
    ssize_t n;

    if (!listen || evutil_parse_sockaddr_port(listen, (struct sockaddr *)&address, &len) ||
        (fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
        connect(fd, (struct sockaddr *)&address, (socklen_t)len)) {
        fprintf(stderr, "kpictl: the daemon does not answer at http.listen (%s)\n", listen ? listen : "off");
        if (fd >= 0)
            close(fd);
        return false;
    }
    snprintf(bytes, sizeof(bytes), "GET %s HTTP/1.1\r\nHost: kpid\r\nConnection: close\r\n\r\n", path);
    bool ok = send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) > 0;
    while (ok && (n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        kpid_buf_add(body, bytes, (size_t)n);
    close(fd);
    return ok && body->len > 0;
}

int ctl_lag(struct ctl *ctl)
{
    static const char metric[] = "kpid_consumer_lag_records{";
    struct kpid_buf body = KPID_BUF_INIT;
    bool ok = ctl_http_get(ctl, "/metrics", &body);
    size_t rows = 0;

    for (char *line = ok ? strtok(body.data, "\r\n") : NULL; line; line = strtok(NULL, "\r\n")) {
        char source[128], topic[256], partition[16];
        double lag;
        if (strncmp(line, metric, sizeof(metric) - 1) ||
            sscanf(line, "kpid_consumer_lag_records{source=\"%127[^\"]\",topic=\"%255[^\"]\",partition=\"%15[^\"]\"} %lf",
                   source, topic, partition, &lag) != 4)
            continue;
        rows++;
        printf(ctl->json ? "{\"source\":\"%s\",\"topic\":\"%s\",\"partition\":%s,\"lag\":%.0f}\n"
                         : "%s/%s partition %s: %.0f\n", source, topic, partition, lag);
    }
    if (ok && !rows)
        fprintf(stderr, "kpictl: the daemon does not know its lag yet\n");
    kpid_buf_release(&body);
    return ok && rows ? CTL_OK : CTL_FAILED;
}
