/* Look-ups of a configuration in a directory of its own, and events through the decoder. */
#ifndef KPID_TEST_LOOKUP_RIG_H
#define KPID_TEST_LOOKUP_RIG_H

#include "redis_server.h"

#include "kpid/config.h"
#include "kpid/decode.h"
#include "kpid/lookup.h"

struct lookup_rig {
    char dir[64], config[128], file[128];
    struct event_base *base;
    struct kpid_model *model;
    struct kpid_lookups *lookups;
    struct kpid_decoder *decoder;
    struct kpid_event event;
    unsigned answered, told[3];
    struct kpid_buf said;
};

TEST_FUNCTION void rig_on_answered(void *ctx)
{
    ((struct lookup_rig *)ctx)->answered++;
}

TEST_FUNCTION void rig_on_told(void *ctx, enum kpid_told kind, const char *text)
{
    struct lookup_rig *rig = ctx;
    rig->told[kind]++;
    kpid_buf_add_str(&rig->said, text);
    kpid_buf_add_char(&rig->said, '\n');
}

TEST_FUNCTION void rig_write(struct lookup_rig *rig, const char *text)
{
    char next[160];
    snprintf(next, sizeof(next), "%s.next", rig->file);
    FILE *file = fopen(next, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
    cr_assert_eq(rename(next, rig->file), 0);
}

/* A directory with table.csv (NULL: none) and a configuration of `text`, which is loaded. */
TEST_FUNCTION void rig_init(struct lookup_rig *rig, const char *text, const char *table)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;
    memset(rig, 0, sizeof(*rig));
    strcpy(rig->dir, "/tmp/kpid-lookup-XXXXXX");
    cr_assert(mkdtemp(rig->dir) != NULL);
    snprintf(rig->config, sizeof(rig->config), "%s/kpid.yaml", rig->dir);
    snprintf(rig->file, sizeof(rig->file), "%s/table.csv", rig->dir);
    if (table)
        rig_write(rig, table);
    rig->model = kpid_config_parse(rig->config, text, strlen(text), NULL, &faults, &n);
    cr_assert(rig->model, "%s", faults.data);
    kpid_buf_release(&faults);
    kpid_buf_add_str(&rig->said, "");
}

TEST_FUNCTION void rig_open(struct lookup_rig *rig)
{
    static const struct kpid_lookups_events events = {rig_on_answered, rig_on_told};
    struct kpid_buf error = KPID_BUF_INIT;
    size_t n = 0;
    rig->base = event_base_new();
    rig->lookups = kpid_lookups_load(rig->model, &error, &n);
    cr_assert(rig->lookups, "%s", error.data);
    cr_assert(kpid_lookups_open(rig->lookups, rig->base, NULL, &events, rig, &error), "%s", error.data);
    rig->decoder = kpid_decoder_new(&rig->model->sources[0]);
}

TEST_FUNCTION void rig_release(struct lookup_rig *rig)
{
    kpid_decoder_free(rig->decoder);
    kpid_lookups_free(rig->lookups);
    kpid_model_free(rig->model);
    if (rig->base)
        event_base_free(rig->base);
    kpid_buf_release(&rig->said);
    unlink(rig->file);
    rmdir(rig->dir);
}

/* Decodes an event with this member and tries to join it. */
TEST_FUNCTION bool rig_join(struct lookup_rig *rig, const char *member)
{
    char text[256];
    int len = snprintf(text, sizeof(text), "{\"type\":\"t\",\"ts\":1700000000000%s%s}", *member ? "," : "", member);
    cr_assert_eq(kpid_decode(rig->decoder, text, (size_t)len, &rig->event), KPID_REASON_NONE);
    return kpid_lookups_join(rig->lookups, 0, &rig->event, test_now_ms());
}

/* A field of the joined event as text, "-" if it is absent. */
TEST_FUNCTION const char *rig_field(const struct lookup_rig *rig, const char *name)
{
    static char text[4][64];
    static unsigned next;
    char *to = text[next++ % 4], number[KPID_DECIMAL_TEXT];
    const struct kpid_source *source = &rig->model->sources[0];
    const char *bytes;
    for (size_t i = 0; i < source->n_fields; i++) {
        if (strcmp(source->fields[i].name, name) != 0)
            continue;
        size_t len = kpid_value_bytes(&rig->event.values[i], source->fields[i].scale, number, &bytes);
        snprintf(to, sizeof(text[0]), "%.*s", len ? (int)len : 1, len ? bytes : "-");
        return to;
    }
    cr_assert_fail("no field %s", name);
    return NULL;
}

TEST_FUNCTION struct kpid_lookup_stats rig_stats(const struct lookup_rig *rig)
{
    struct kpid_lookup_stats stats;
    kpid_lookups_stats(rig->lookups, 0, &stats);
    return stats;
}

#endif
