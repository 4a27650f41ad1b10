/* What explain says of look-ups: which a source is joined with, by which field, where they lie, and their bounds. */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { JOIN_NS = 60 }; /* one probe and its columns, as seen by bench/measures.c */

static const char *kind_name(const struct kpid_column *column)
{
    switch (column->kind) {
    case KPID_FIELD_NUMBER: return "number";
    case KPID_FIELD_TIME: return "time";
    case KPID_FIELD_BOOL: return "bool";
    default: return "text";
    }
}

static void place_print(const struct kpid_model *model, const struct kpid_lookup *lookup)
{
    if (lookup->kind == KPID_LOOKUP_FILE) {
        printf("      file %s, column %s; at most %" PRIu64 " rows, %zu bytes; read again when it changes\n",
               lookup->file, lookup->key, lookup->max_rows, lookup->max_bytes);
        printf("      cost: about %d ns an event\n", JOIN_NS);
        return;
    }
    struct kpid_buf place = KPID_BUF_INIT;
    kpid_redis_url_show(lookup->url ? lookup->url : model->settings.redis.url, &place);
    printf("      redis %s, %s; at most %u keys, %zu bytes cached; asked again after %.3g s (missing keys %.3g s)\n",
           place.data, lookup->pattern, lookup->max_keys, lookup->max_bytes, (double)lookup->refresh_ms / 1000,
           (double)lookup->refresh_missing_ms / 1000);
    printf("      an event waits at most %.3g s for an answer, and without a connection %s\n",
           (double)lookup->timeout_ms / 1000,
           lookup->when_down == KPID_DOWN_WAIT ? "until there is one" : "no longer");
    printf("      cost: about %d ns an event whose answer is cached\n", JOIN_NS);
    kpid_buf_release(&place);
}

void ctl_joins_print(const struct kpid_model *model, const struct kpid_source *source)
{
    for (size_t j = 0; j < source->n_joins; j++) {
        const struct kpid_join *join = &source->joins[j];
        const struct kpid_lookup *lookup = &model->lookups[join->lookup];
        if (!join->n_fields)
            continue;
        printf("    joined with look-up %s by %s:", lookup->name, source->fields[join->key].name);
        for (size_t i = 0; i < join->n_fields; i++)
            printf(" %s (%s)", source->fields[join->fields[i].slot].name,
                   kind_name(&lookup->columns[join->fields[i].column]));
        printf("%s%s%s\n", lookup->missing ? "; `" : "", lookup->missing ? lookup->missing : "",
               lookup->missing ? "` where a text is missing" : "");
        place_print(model, lookup);
    }
}

static void text_add(struct kpid_buf *out, const char *before, const char *text)
{
    kpid_buf_add_str(out, before);
    kpid_buf_add_json(out, text, strlen(text));
}

void ctl_joins_json(const struct kpid_model *model, const struct kpid_kpi *kpi, struct kpid_buf *out)
{
    const char *separator = "";

    kpid_buf_add_str(out, ",\"joins\":[");
    for (size_t s = 0; s < kpi->n_sources; s++) {
        const struct kpid_source *source = &model->sources[kpi->sources[s]];
        for (size_t j = 0; j < source->n_joins; j++) {
            const struct kpid_join *join = &source->joins[j];
            if (!join->n_fields)
                continue;
            kpid_buf_add_str(out, separator);
            text_add(out, "{\"source\":", source->name);
            text_add(out, ",\"lookup\":", model->lookups[join->lookup].name);
            text_add(out, ",\"by\":", source->fields[join->key].name);
            for (size_t i = 0; i < join->n_fields; i++)
                text_add(out, i ? "," : ",\"fields\":[", source->fields[join->fields[i].slot].name);
            kpid_buf_add_str(out, "]}");
            separator = ",";
        }
    }
    kpid_buf_add_char(out, ']');
}
