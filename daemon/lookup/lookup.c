/* The stage itself: which joins a source has, what each of them knows, and the loop's part in it. */
#include "file.h"
#include "remote.h"

#include "kpid/expr.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN_MS 50 /* how often what waits is tried without an answer: timeouts, a connection that is away */
#define LOAD_TRIES    3

struct state {
    struct kpid_lookup_file file;
    struct kpid_remote remote;
    struct kpid_buf faults; /* of the file that is being read */
    bool away;              /* told that there is no file */
    uint64_t hits, misses, no_key, late, down, failed;
};

struct kpid_lookups {
    const struct kpid_model *model;
    struct state *all;
    struct kpid_lookups_events events;
    void *ctx;
    struct event *step, *again, *answered;
};

/* ---- life cycle ------------------------------------------------------------------------------------------- */

static bool is_file(const struct kpid_lookups *lookups, size_t i)
{
    return lookups->model->lookups[i].kind == KPID_LOOKUP_FILE;
}

/* Reads a file to its end. */
static bool file_load(struct state *state, struct kpid_buf *faults)
{
    enum kpid_lookup_step step = KPID_STEP_CHANGED;
    for (int i = 0; i < LOAD_TRIES && step == KPID_STEP_CHANGED; i++) {
        if (!kpid_lookup_file_begin(&state->file, faults))
            return false;
        while ((step = kpid_lookup_file_step(&state->file)) == KPID_STEP_MORE)
            ;
    }
    if (step == KPID_STEP_CHANGED)
        kpid_lookup_fault(&state->file.faults, state->file.lookup->file, 1, 1,
                          "replace it by renaming a whole new file to its name", "the file changes while it is read");
    return step == KPID_STEP_TAKEN;
}

struct kpid_lookups *kpid_lookups_load(const struct kpid_model *model, struct kpid_buf *faults, size_t *ret_faults)
{
    struct kpid_lookups *lookups = kpid_zalloc(1, sizeof(*lookups));
    size_t n = 0;
    lookups->model = model;
    lookups->all = kpid_zalloc(model->n_lookups + 1, sizeof(*lookups->all));
    for (size_t i = 0; i < model->n_lookups; i++) {
        struct state *state = &lookups->all[i];
        if (!is_file(lookups, i)) {
            kpid_remote_init(&state->remote, &model->lookups[i]);
            continue;
        }
        kpid_lookup_file_init(&state->file, model, &model->lookups[i]);
        if (!file_load(state, faults))
            n += state->file.faults.n;
    }
    *ret_faults = n;
    if (n == 0)
        return lookups;
    kpid_lookups_free(lookups);
    return NULL;
}

void kpid_lookups_free(struct kpid_lookups *lookups)
{
    if (!lookups)
        return;
    for (size_t i = 0; i < lookups->model->n_lookups; i++) {
        struct state *state = &lookups->all[i];
        if (is_file(lookups, i))
            kpid_lookup_file_release(&state->file);
        else
            kpid_remote_release(&state->remote);
        kpid_buf_release(&state->faults);
    }
    if (lookups->step)
        event_free(lookups->step);
    if (lookups->again)
        event_free(lookups->again);
    if (lookups->answered)
        event_free(lookups->answered);
    free(lookups->all);
    free(lookups);
}

/* ---- files that change ------------------------------------------------------------------------------------ */

static void tell(struct kpid_lookups *lookups, size_t i, enum kpid_told kind, const char *text, const char *more)
{
    struct kpid_buf line = KPID_BUF_INIT;
    kpid_buf_printf(&line, "look-up %s: %s%s", lookups->model->lookups[i].name, text, more);
    lookups->events.told(lookups->ctx, kind, line.data);
    kpid_buf_release(&line);
}

static void tell_refused(struct kpid_lookups *lookups, size_t i)
{
    tell(lookups, i, KPID_TOLD_FAULT, "the new file is refused, the old table stays\n",
         lookups->all[i].faults.data ? lookups->all[i].faults.data : "");
}

/* One piece of one file a turn. */
static void on_step(evutil_socket_t fd, short what, void *ctx)
{
    struct kpid_lookups *lookups = ctx;
    (void)fd;
    (void)what;
    for (size_t i = 0; i < lookups->model->n_lookups; i++) {
        struct state *state = &lookups->all[i];
        if (!is_file(lookups, i) || !kpid_lookup_file_reading(&state->file))
            continue;
        enum kpid_lookup_step step = kpid_lookup_file_step(&state->file);
        if (step == KPID_STEP_TAKEN)
            tell(lookups, i, KPID_TOLD_NEWS, "read again: ", lookups->model->lookups[i].file);
        else if (step == KPID_STEP_REFUSED)
            tell_refused(lookups, i);
        event_add(lookups->step, &(struct timeval){0, 0}); /* until none is being read */
        return;
    }
}

static void file_look(struct kpid_lookups *lookups, size_t i)
{
    struct state *state = &lookups->all[i];
    bool begin = kpid_lookup_file_look(&state->file), away = state->file.looked_errno != 0;
    if (away && !state->away)
        tell(lookups, i, KPID_TOLD_FAULT, strerror(state->file.looked_errno), ": the file is gone, the old table stays");
    state->away = away;
    if (!begin)
        return;
    kpid_buf_clear(&state->faults);
    if (kpid_lookup_file_begin(&state->file, &state->faults))
        event_add(lookups->step, &(struct timeval){0, 0});
    else
        tell_refused(lookups, i);
}

void kpid_lookups_tick(struct kpid_lookups *lookups)
{
    for (size_t i = 0; i < lookups->model->n_lookups; i++)
        if (is_file(lookups, i))
            file_look(lookups, i);
}

/* ---- the loop's part ---------------------------------------------------------------------------------------- */

static void on_answered(evutil_socket_t fd, short what, void *ctx)
{
    struct kpid_lookups *lookups = ctx;
    (void)fd;
    (void)what;
    lookups->events.answered(lookups->ctx);
}

/* Answers of one turn are told together. */
static void answered_later(void *ctx)
{
    struct kpid_lookups *lookups = ctx;
    event_active(lookups->answered, EV_TIMEOUT, 0);
}

static void told_on(void *ctx, enum kpid_told kind, const char *text)
{
    struct kpid_lookups *lookups = ctx;
    lookups->events.told(lookups->ctx, kind, text);
}

bool kpid_lookups_open(struct kpid_lookups *lookups, struct event_base *base, const char *url,
                       const struct kpid_lookups_events *events, void *ctx, struct kpid_buf *error)
{
    static const struct kpid_lookups_events inner = {answered_later, told_on};
    lookups->events = *events;
    lookups->ctx = ctx;
    lookups->step = evtimer_new(base, on_step, lookups);
    lookups->again = evtimer_new(base, on_answered, lookups);
    lookups->answered = evtimer_new(base, on_answered, lookups);
    if (!lookups->step || !lookups->again || !lookups->answered) {
        kpid_buf_add_str(error, "the loop has no room for timers");
        return false;
    }
    for (size_t i = 0; i < lookups->model->n_lookups; i++)
        if (!is_file(lookups, i) &&
            !kpid_remote_open(&lookups->all[i].remote, lookups->model, base, url, &inner, lookups, error))
            return false;
    return true;
}

/* ---- events --------------------------------------------------------------------------------------------------- */

/* What a join has for an event: a row of a file, values out of Redis, or none. */
struct found {
    enum kpid_answer answer;
    bool no_key;
    uint32_t row;
    const struct kpid_value *values;
};

/* The bytes of the event's key; 0: it has none. */
static size_t key_of(const struct kpid_lookups *lookups, uint32_t source, const struct kpid_join *join,
                     const struct kpid_event *event, char text[KPID_DECIMAL_TEXT], const char **ret)
{
    const struct kpid_value *value = &event->values[join->key];
    if (value->kind == KPID_ABSENT)
        return 0;
    size_t len = kpid_value_bytes(value, lookups->model->sources[source].fields[join->key].scale, text, ret);
    return len == SIZE_MAX ? 0 : len;
}

static struct found find(struct kpid_lookups *lookups, uint32_t source, const struct kpid_join *join,
                         const struct kpid_event *event, int64_t now_ms)
{
    struct state *state = &lookups->all[join->lookup];
    struct found found = {.answer = KPID_ANSWER_MISSING};
    char text[KPID_DECIMAL_TEXT];
    const char *key;
    size_t len = key_of(lookups, source, join, event, text, &key);
    if (len == 0) {
        found.no_key = true;
    } else if (is_file(lookups, join->lookup)) {
        found.row = kpid_table_find(state->file.table, key, len);
        if (found.row != KPID_TABLE_NONE)
            found.answer = KPID_ANSWER_FOUND;
    } else {
        found.answer = kpid_remote_get(&state->remote, key, len, now_ms, &found.values);
    }
    return found;
}

static void count(struct state *state, const struct found *found)
{
    if (found->no_key) {
        state->no_key++;
        return;
    }
    switch (found->answer) {
    case KPID_ANSWER_FOUND: state->hits++; break;
    case KPID_ANSWER_LATE: state->late++; break;
    case KPID_ANSWER_DOWN: state->down++; break;
    case KPID_ANSWER_FAILED: state->failed++; break;
    default: state->misses++; break;
    }
}

static void fill(struct kpid_lookups *lookups, const struct kpid_join *join, const struct kpid_event *event,
                 const struct found *found)
{
    const struct kpid_lookup *lookup = &lookups->model->lookups[join->lookup];
    struct state *state = &lookups->all[join->lookup];
    for (size_t i = 0; i < join->n_fields; i++) {
        uint16_t column = join->fields[i].column;
        struct kpid_value value = {.kind = KPID_ABSENT};
        if (found->answer == KPID_ANSWER_FOUND)
            value = found->values ? found->values[column] : *kpid_table_value(state->file.table, found->row, column);
        if (value.kind == KPID_ABSENT && lookup->missing && lookup->columns[column].kind == KPID_FIELD_STRING)
            value = (struct kpid_value){
                .kind = KPID_STRING, .str = lookup->missing, .len = (uint32_t)strlen(lookup->missing)};
        event->values[join->fields[i].slot] = value;
    }
    count(state, found);
}

bool kpid_lookups_join(struct kpid_lookups *lookups, uint32_t source, const struct kpid_event *event, int64_t now_ms)
{
    const struct kpid_source *def = &lookups->model->sources[source];
    struct found found[KPID_FIELDS_MAX];
    bool all = true;
    for (size_t i = 0; i < def->n_joins; i++) {
        if (def->joins[i].n_fields == 0)
            continue;
        found[i] = find(lookups, source, &def->joins[i], event, now_ms);
        all = all && found[i].answer != KPID_ANSWER_NONE; /* go on: all are asked at once */
    }
    if (!all) {
        if (!evtimer_pending(lookups->again, NULL))
            event_add(lookups->again, &(struct timeval){0, LOOK_AGAIN_MS * 1000});
        return false;
    }
    for (size_t i = 0; i < def->n_joins; i++)
        if (def->joins[i].n_fields > 0)
            fill(lookups, &def->joins[i], event, &found[i]);
    return true;
}

bool kpid_lookups_ask(struct kpid_lookups *lookups, uint32_t source, const struct kpid_event *event, int64_t now_ms)
{
    const struct kpid_source *def = &lookups->model->sources[source];
    for (size_t i = 0; i < def->n_joins; i++) {
        const struct kpid_join *join = &def->joins[i];
        char text[KPID_DECIMAL_TEXT];
        const char *key;
        size_t len;
        if (join->n_fields == 0 || is_file(lookups, join->lookup) ||
            (len = key_of(lookups, source, join, event, text, &key)) == 0)
            continue;
        if (!kpid_remote_ask(&lookups->all[join->lookup].remote, key, len, now_ms))
            return false;
    }
    return true;
}

/* ---- what is told --------------------------------------------------------------------------------------------- */

bool kpid_lookups_remote(const struct kpid_model *model)
{
    for (size_t s = 0; s < model->n_sources; s++)
        for (size_t j = 0; j < model->sources[s].n_joins; j++)
            if (model->sources[s].joins[j].n_fields > 0 &&
                model->lookups[model->sources[s].joins[j].lookup].kind == KPID_LOOKUP_REDIS)
                return true;
    return false;
}

void kpid_lookups_stats(const struct kpid_lookups *lookups, size_t index, struct kpid_lookup_stats *ret)
{
    const struct state *state = &lookups->all[index];
    const struct kpid_lookup_file *file = &state->file;
    const struct kpid_remote *remote = &state->remote;
    *ret = (struct kpid_lookup_stats){.hits = state->hits, .misses = state->misses, .no_key = state->no_key,
                                      .late = state->late, .down = state->down, .failed = state->failed,
                                      .written_ms = KPID_NEVER};
    if (is_file(lookups, index)) {
        ret->entries = kpid_table_rows(file->table);
        ret->bytes = kpid_table_bytes(file->table);
        ret->loads = file->loads;
        ret->load_faults = file->load_faults;
        ret->broken = file->broken || state->away;
        ret->written_ms = (int64_t)file->taken.st_mtim.tv_sec * 1000 + file->taken.st_mtim.tv_nsec / 1000000;
        return;
    }
    ret->entries = remote->cache.n;
    ret->bytes = remote->cache.bytes;
    ret->asked = remote->asked;
    ret->refreshed = remote->refreshed;
    ret->faulty = remote->faulty;
    ret->evicted = remote->cache.evicted;
    ret->asking = remote->n_asking;
    ret->up = remote->up;
}
