/* shard reset: a person's word on a shard whose log is not the one that was counted. It goes into the shard's header. */
#include "ctl.h"

#include "kpid/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* SOURCE/PARTITION; false after saying why. */
static bool place_of(const struct ctl *ctl, const char *text, int *ret_source, int32_t *ret_partition)
{
    const char *slash = strrchr(text, '/');
    char *name = kpid_strndup(text, slash ? (size_t)(slash - text) : strlen(text)), *end = NULL;
    long partition = slash && slash[1] ? strtol(slash + 1, &end, 10) : -1;

    *ret_source = kpid_model_source_find(ctl->model, name);
    *ret_partition = (int32_t)partition;
    if (*ret_source < 0)
        fprintf(stderr, "kpictl: there is no source '%s'\n", name);
    else if (partition < 0 || partition > INT32_MAX || *end)
        fprintf(stderr, "kpictl: '%s' is not SOURCE/PARTITION, like %s/0\n", text, name);
    free(name);
    return *ret_source >= 0 && partition >= 0 && partition <= INT32_MAX && !*end;
}

/* The header's key. Without kafka.cluster its name is the broker's id, which only Redis knows here. */
static char *header_find(const struct ctl *ctl, struct ctl_remote *remote, int source, int32_t partition)
{
    const struct kpid_settings *settings = &ctl->model->settings;
    const char *name = ctl->model->sources[source].name;
    struct kpid_buf pattern = KPID_BUF_INIT;
    struct ctl_names names = { 0 };
    char *key = NULL;

    kpid_buf_printf(&pattern, "%s:s:{", settings->redis.prefix);
    if (settings->kafka.cluster)
        kpid_key_encode(&pattern, settings->kafka.cluster, strlen(settings->kafka.cluster));
    else
        kpid_buf_add_char(&pattern, '*');
    kpid_buf_add_char(&pattern, ':');
    kpid_key_encode(&pattern, settings->kafka.group, strlen(settings->kafka.group));
    kpid_buf_add_char(&pattern, ':');
    kpid_key_encode(&pattern, name, strlen(name));
    kpid_buf_printf(&pattern, ":%" PRId32 "}:h", partition);
    bool ok = ctl_remote_scan(remote, pattern.data, &names);
    if (ok && names.n == 1)
        key = kpid_strdup(names.at[0]);
    else if (ok && names.n == 0)
        fprintf(stderr, "kpictl: Redis has no state of %s/%" PRId32 "\n", name, partition);
    else if (ok)
        fprintf(stderr, "kpictl: Redis has %s/%" PRId32 " of %zu Kafka clusters: set kafka.cluster\n", name, partition,
                names.n);
    ctl_names_release(&names);
    kpid_buf_release(&pattern);
    return key;
}

static void each_number(void *ctx, const struct kpid_reply *reply)
{
    *(bool *)ctx = reply->kind == KPID_REPLY_INT && reply->integer == 1;
}

int ctl_shard(struct ctl *ctl)
{
    uint8_t random[16];
    char nonce[33];
    int source;
    int32_t partition;
    bool done = false;

    if (strcmp(ctl->args[0], "reset") || ctl->keep == ctl->rebuild) {
        fputs("kpictl: write kpictl shard reset SOURCE/PARTITION with --keep (its figures stay, and reading goes on) or "
              "--rebuild (the whole log is counted again)\n", stderr);
        return CTL_USAGE;
    }
    if (!place_of(ctl, ctl->args[1], &source, &partition))
        return CTL_USAGE;
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return CTL_FAILED;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(nonce + 2 * i, 3, "%02x", random[i]);
    struct ctl_remote *remote = ctl_remote_open(ctl);
    char *key = remote ? header_find(ctl, remote, source, partition) : NULL;
    const char *word = ctl->keep ? "keep" : "rebuild";
    if (key && ctl_remote_ask(remote, each_number, &done, "EVAL", kpid_store_reset_script, "1", key, nonce, word, NULL) &&
        done)
        printf(ctl->json ? "{\"shard\":\"%s\",\"reset\":\"%s\"}\n"
                         : "%s: %s. The instance that has it goes on within seconds; its log says how.\n",
               ctl->args[1], word);
    free(key);
    ctl_remote_close(remote);
    return done ? CTL_OK : CTL_FAILED;
}
