/* What the rounds found, kept as readers would find it. */
#include "scenario.h"

#include "publish/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts by name ---- */

const struct note *notes_find(const struct notes *notes, const char *name)
{
    for (size_t i = 0; i < notes->n; i++)
        if (!strcmp(notes->at[i].name, name))
            return &notes->at[i];
    return NULL;
}

void notes_set(struct notes *notes, const char *name, const void *text, size_t len)
{
    struct note *note = (struct note *)(uintptr_t)notes_find(notes, name);

    if (!note) {
        if (notes->n == notes->cap) {
            notes->cap = notes->cap ? notes->cap * 2 : 64;
            notes->at = kpid_realloc(notes->at, notes->cap * sizeof(*notes->at));
        }
        note = &notes->at[notes->n++];
        *note = (struct note){ .name = kpid_strdup(name) };
    }
    free(note->text);
    note->text = kpid_strndup(text, len);
    note->len = len;
}

void notes_delete(struct notes *notes, const char *name)
{
    struct note *note = (struct note *)(uintptr_t)notes_find(notes, name);

    if (!note)
        return;
    free(note->name);
    free(note->text);
    *note = notes->at[--notes->n];
}

void notes_release(struct notes *notes)
{
    for (size_t i = 0; i < notes->n; i++) {
        free(notes->at[i].name);
        free(notes->at[i].text);
    }
    free(notes->at);
    *notes = (struct notes){ 0 };
}

/* ---- the sink ---- */

static void add_place(const struct world *w, struct kpid_buf *name, uint32_t kpi, uint32_t window,
                      const char *const *group, bool other)
{
    const struct kpid_kpi *def = &w->model->kpis[kpi];

    kpid_buf_printf(name, "%s %s ", def->name, def->windows[window].name);
    kpid_group_field(name, group, def->n_by, other);
}

static void put_snapshot(void *ctx, const struct kpid_snapshot *s, unsigned places)
{
    static const struct { unsigned place; const char *name; } names[] = {
        { KPID_PLACE_NEWEST, "newest" }, { KPID_PLACE_FINAL, "final" }, { KPID_PLACE_WINDOW, "window" },
        { KPID_PLACE_HISTORY, "finals" }
    };
    struct world *w = ctx;

    if (w->muted)
        return;
    kpid_buf_clear(&w->a);
    kpid_snapshot_json(w->model, s, w->now_ms, -1, &w->a);
    for (size_t i = 0; i < KPID_COUNT_OF(names); i++) {
        if (!(places & names[i].place))
            continue;
        kpid_buf_clear(&w->b);
        kpid_buf_printf(&w->b, "%s ", names[i].name);
        if (names[i].place == KPID_PLACE_WINDOW)
            kpid_buf_printf(&w->b, "%" PRId64 " ", s->start_ms);
        add_place(w, &w->b, s->kpi, s->window, s->group, s->other);
        if (names[i].place != KPID_PLACE_HISTORY) {
            notes_set(&w->found, w->b.data, w->a.data, w->a.len);
            continue;
        }
        const struct note *before = notes_find(&w->found, w->b.data);
        char n[24];
        snprintf(n, sizeof(n), "%d", (before ? atoi(before->text) : 0) + !s->revision);
        notes_set(&w->found, w->b.data, n, strlen(n));
    }
}

static void put_transition(void *ctx, const struct kpid_transition *t)
{
    struct world *w = ctx;
    const struct kpid_kpi *kpi = &w->model->kpis[t->kpi];

    if (w->muted || !t->notify || t->historic)
        return;
    if (w->n_notices == w->cap_notices) {
        w->cap_notices = w->cap_notices ? w->cap_notices * 2 : 16;
        w->notices = kpid_realloc(w->notices, w->cap_notices * sizeof(*w->notices));
    }
    kpid_buf_clear(&w->b);
    kpid_buf_printf(&w->b, "%s/%s %s ", kpi->name, kpi->rules[t->rule].name,
                    kpi->windows[kpi->rules[t->rule].window].name);
    kpid_group_field(&w->b, t->group, kpi->n_by, false);
    kpid_buf_clear(&w->a);
    kpid_transition_json(w->model, t, &w->a);
    w->notices[w->n_notices++] = (struct notice){ .name = kpid_strdup(w->b.data), .json = kpid_strdup(w->a.data),
                                                  .state = t->to };
}

static void put_state(void *ctx, const char *key, size_t key_len, const void *bytes, size_t len)
{
    struct world *w = ctx;
    char *name = kpid_strndup(key, key_len);

    if (!w->muted)
        notes_set(&w->states, name, bytes, len);
    free(name);
}

static void delete_state(void *ctx, const char *key, size_t key_len)
{
    struct world *w = ctx;
    char *name = kpid_strndup(key, key_len);

    if (!w->muted)
        notes_delete(&w->states, name);
    free(name);
}

static void put_final(void *ctx, uint32_t kpi, uint32_t window, int64_t progress_ms)
{
    struct world *w = ctx;
    const struct kpid_kpi *def = &w->model->kpis[kpi];
    char text[24];

    if (w->muted)
        return;
    kpid_buf_clear(&w->b);
    kpid_buf_printf(&w->b, "%s:%s", def->name, def->windows[window].name);
    snprintf(text, sizeof(text), "%" PRId64, progress_ms);
    notes_set(&w->finals, w->b.data, text, strlen(text));
}

static void delete_group(void *ctx, uint32_t kpi, uint32_t window, const char *const *group)
{
    static const char *const names[] = { "newest ", "final " };
    struct world *w = ctx;

    for (size_t i = 0; !w->muted && i < KPID_COUNT_OF(names); i++) {
        kpid_buf_clear(&w->b);
        kpid_buf_add_str(&w->b, names[i]);
        add_place(w, &w->b, kpi, window, group, false);
        notes_delete(&w->found, w->b.data);
    }
}

const struct kpid_sink world_sink = { .snapshot = put_snapshot, .transition = put_transition, .state = put_state,
                                      .state_delete = delete_state, .final = put_final,
                                      .group_delete = delete_group };
