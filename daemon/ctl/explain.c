/* check and explain: what the configuration says and what it will cost. */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int ctl_check(struct ctl *ctl)
{
    struct kpid_lookups *lookups;
    int code = ctl_tables_load(ctl, &lookups);

    if (code != CTL_OK)
        return code;
    kpid_lookups_free(lookups);
    if (ctl->json)
        printf("{\"ok\":true,\"sources\":%zu,\"measures\":%zu,\"kpis\":%zu}\n", ctl->model->n_sources,
               ctl->model->n_measures, ctl->model->n_kpis);
    else
        printf("%s: ok: %zu sources, %zu measures, %zu KPIs\n", ctl->config, ctl->model->n_sources,
               ctl->model->n_measures, ctl->model->n_kpis);
    return CTL_OK;
}

void ctl_ms_print(int64_t ms)
{
    if (ms == KPID_FOREVER)
        printf("for ever");
    else if (ms % 86400000 == 0 && ms)
        printf("%" PRId64 "d", ms / 86400000);
    else if (ms % 3600000 == 0 && ms)
        printf("%" PRId64 "h", ms / 3600000);
    else if (ms % 60000 == 0 && ms)
        printf("%" PRId64 "m", ms / 60000);
    else if (ms % 1000 == 0)
        printf("%" PRId64 "s", ms / 1000);
    else
        printf("%" PRId64 "ms", ms);
}

static void print_rungs(const struct kpid_measure *measure)
{
    static const char *const units[] = { "day", "week", "month", "quarter", "year" };

    for (size_t r = 0; r < measure->n_rungs; r++) {
        const struct kpid_rung *rung = &measure->rungs[r];
        printf("      panes of ");
        if (rung->kind == KPID_RUNG_FIXED)
            ctl_ms_print(rung->width_ms);
        else
            printf("%s", rung->kind == KPID_RUNG_ALL ? "all time" : units[rung->period.unit]);
        printf(", kept ");
        ctl_ms_print(rung->keep_ms);
        printf("%s", rung->kind == KPID_RUNG_ALL ? "" : " after their end");
        if (rung->earlier_ms) {
            printf(", ");
            ctl_ms_print(rung->earlier_ms);
            printf(" of it for figures that look back");
        }
        if (rung->lag_ms) {
            printf(", merged ");
            ctl_ms_print(rung->lag_ms);
            printf(" late for figures that look back");
        }
        putchar('\n');
    }
}

static void print_measure(const struct kpid_model *model, const struct kpid_measure *measure)
{
    const struct kpid_source *source = &model->sources[measure->source];

    printf("  measure %s: %s", measure->name, measure->agg->name);
    if (measure->value.n)
        printf(" of %s", measure->value.text);
    printf("\n    from %s (topics", source->name);
    for (size_t t = 0; t < source->n_topics; t++)
        printf(" %s", source->topics[t]);
    printf(")%s%s\n", measure->where.n ? " where " : "", measure->where.n ? measure->where.text : "");
    ctl_joins_print(model, source);
    ctl_keyed_print(measure);
    print_rungs(measure);
    ctl_costs_print(model, measure);
    printf("    late events: out_of_order ");
    ctl_ms_print(source->out_of_order_ms);
    printf(", allowed_lateness ");
    ctl_ms_print(source->allowed_lateness_ms);
    printf("; marks of ids hold up to %.0f events/s a shard\n",
           (double)source->dedup_bytes / 15 / ((double)source->dedup_horizon_ms / 1000));
}

static int explain_json(const struct ctl *ctl, const struct kpid_kpi *kpi)
{
    struct kpid_buf out = KPID_BUF_INIT;
    const char *separator = "";

    kpid_buf_add_str(&out, "{\"kpi\":");
    kpid_buf_add_json(&out, kpi->name, strlen(kpi->name));
    kpid_buf_add_str(&out, ",\"formula\":");
    kpid_buf_add_json(&out, kpi->formula_text, strlen(kpi->formula_text));
    kpid_buf_add_str(&out, ",\"measures\":[");
    for (size_t i = 0; i < kpi->n_refs; i++) {
        const char *name = ctl->model->measures[kpi->refs[i].measure].name;
        kpid_buf_add_str(&out, separator);
        kpid_buf_add_json(&out, name, strlen(name));
        separator = ",";
    }
    kpid_buf_add_char(&out, ']');
    ctl_costs_json(ctl->model, kpi, &out);
    kpid_buf_add_str(&out, ",\"windows\":[");
    separator = "";
    for (size_t w = 0; w < kpi->n_windows; w++) {
        kpid_buf_add_str(&out, separator);
        kpid_buf_printf(&out, "{\"name\":\"%s\",\"key\":\"%s:snap:{%s:%s}\"}", kpi->windows[w].name,
                        ctl->model->settings.redis.prefix, kpi->name, kpi->windows[w].name);
        separator = ",";
    }
    kpid_buf_add_char(&out, ']');
    ctl_joins_json(ctl->model, kpi, &out);
    kpid_buf_add_char(&out, '}');
    puts(out.data);
    kpid_buf_release(&out);
    return CTL_OK;
}

bool ctl_kpi_known(const struct ctl *ctl, const char *name)
{
    if (kpid_model_kpi_find(ctl->model, name) >= 0)
        return true;
    fprintf(stderr, "kpictl: there is no KPI '%s' in %s; there are", name, ctl->config);
    for (size_t k = 0; k < ctl->model->n_kpis; k++)
        fprintf(stderr, "%s %s", k ? "," : "", ctl->model->kpis[k].name);
    fputc('\n', stderr);
    return false;
}

int ctl_explain(struct ctl *ctl)
{
    int index = kpid_model_kpi_find(ctl->model, ctl->args[0]);
    const char *prefix = ctl->model->settings.redis.prefix;

    if (!ctl_kpi_known(ctl, ctl->args[0]))
        return CTL_FAILED;
    const struct kpid_kpi *kpi = &ctl->model->kpis[index];
    if (ctl->json)
        return explain_json(ctl, kpi);
    printf("%s: %s\n  formula: %s\n", kpi->name, kpi->title_en ? kpi->title_en : kpi->name, kpi->formula_text);
    if (kpi->owner)
        printf("  owner: %s\n", kpi->owner);
    for (size_t i = 0; i < kpi->n_refs; i++) {
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen = seen || kpi->refs[k].measure == kpi->refs[i].measure;
        if (!seen)
            print_measure(ctl->model, &ctl->model->measures[kpi->refs[i].measure]);
    }
    for (size_t w = 0; w < kpi->n_windows; w++) {
        const struct kpid_window *window = &kpi->windows[w];
        printf("  window %s", window->name);
        if (window->kind == KPID_WINDOW_ROLLING) {
            printf(", every ");
            ctl_ms_print(window->slide_ms);
        }
        printf("\n    newest:  HGETALL %s:snap:{%s:%s}\n", prefix, kpi->name, window->name);
        if (window->kind != KPID_WINDOW_ALL)
            printf("    history: ZRANGE %s:wins:{%s:%s} 0 -1, HGETALL %s:win:{%s:%s}:<start ms> (%u kept)\n", prefix,
                   kpi->name, window->name, prefix, kpi->name, window->name, window->history);
        for (size_t i = 0; i < kpi->n_sketches; i++)
            if (kpi->sketches[i].window == w)
                ctl_sketch_print(ctl->model, kpi, &kpi->sketches[i]);
    }
    for (size_t r = 0; r < kpi->n_rules; r++)
        printf("  alert %s: window %s, fires at %+.1f %%, clears above %+.1f %%\n", kpi->rules[r].name,
               kpi->windows[kpi->rules[r].window].name, kpi->rules[r].fire * 100, kpi->rules[r].clear * 100);
    return CTL_OK;
}
