/* Reads a script a line at a time and does what it says. */
#include "scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 40

static void block(struct script *script, size_t end);

/* ---- telling ---- */

static void tell(struct script *script, const char *format, va_list args)
{
    printf("%s:%zu: ", script->path, script->at + 1);
    vprintf(format, args);
    printf("\n");
    script->failures++;
}

void script_fail(struct script *script, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(script, format, args);
    va_end(args);
}

void script_break(struct script *script, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(script, format, args);
    va_end(args);
    script->broken = true;
}

/* ---- the configuration ---- */

static struct kpid_model *load(struct script *script)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n;
    struct kpid_model *model = kpid_config_parse(script->path, script->config.data, script->config.len, NULL, &faults, &n);

    if (!model)
        script_break(script, "the configuration (its line 1 is %zu here):\n%s", script->config_line + 1, faults.data);
    kpid_buf_release(&faults);
    return model;
}

static bool begin(struct script *script)
{
    if (script->begun || script->broken)
        return script->begun;
    if (!script->config.len) {
        script_break(script, "no configuration yet");
        return false;
    }
    struct kpid_model *model = load(script);
    if (!model)
        return false;
    size_t *partitions = kpid_zalloc(model->n_sources + 1, sizeof(*partitions));
    for (size_t s = 0; s < model->n_sources; s++) {
        partitions[s] = 1;
        for (size_t i = 0; i < script->n_partitions; i++)
            if (!strcmp(script->partitions[i].source, model->sources[s].name))
                partitions[s] = script->partitions[i].n;
    }
    world_init(&script->world, model, partitions);
    free(partitions);
    script->begun = true;
    return true;
}

/* Lines up to one `end` that closes the block under way; returns its index. */
static size_t block_end(struct script *script, bool nested)
{
    size_t depth = 1, i = script->at + 1;

    for (; i < script->n_lines; i++) {
        const char *line = script->lines[i] + strspn(script->lines[i], " \t");
        if (nested && !strncmp(line, "repeat ", 7))
            depth++;
        if (!strcmp(line, "end") && --depth == 0)
            return i;
    }
    script_break(script, "no `end` follows");
    return script->n_lines;
}

static void take_config(struct script *script)
{
    size_t end = block_end(script, false);

    script->config_line = script->at + 1;
    kpid_buf_clear(&script->config);
    for (size_t i = script->at + 1; i < end; i++)
        kpid_buf_printf(&script->config, "%s\n", script->lines[i]);
    script->at = end;
}

/* ---- words ---- */

bool script_place(struct script *script, const char *text, int *ret_source, int *ret_partition, int *ret_topic)
{
    char name[64] = "";
    int partition = -1, topic = -1, n;

    n = sscanf(text, "%63[^/]/%d/%d", name, &partition, &topic);
    int source = kpid_model_source_find(script->world.model, name);
    if (n < 1 || source < 0 || partition >= (int)script->world.sources[source].n ||
        topic >= (int)script->world.sources[source].n_topics) {
        script_break(script, "no such source, partition or topic: %s", text);
        return false;
    }
    *ret_source = source;
    *ret_partition = partition;
    *ret_topic = topic;
    return true;
}

static bool need_time(struct script *script, const char *text, int64_t *ret)
{
    if (text && time_read(text, script->world.now_ms, ret))
        return true;
    script_break(script, "not a time: %s", text ? text : "(nothing)");
    return false;
}

/* $n: number of this event, $i: turn of the innermost loop. Returns, free with free. */
static char *fill_in(const struct script *script, const char *text)
{
    struct kpid_buf out = KPID_BUF_INIT;

    for (; *text; text++) {
        if (text[0] == '$' && (text[1] == 'n' || text[1] == 'i'))
            kpid_buf_printf(&out, "%zu", *++text == 'n' ? script->counter : script->loop);
        else
            kpid_buf_add_char(&out, *text);
    }
    kpid_buf_add_str(&out, "");
    return kpid_buf_detach(&out, NULL);
}

static size_t split(char *text, char **words)
{
    size_t n = 0;
    char *at = NULL;

    for (char *word = strtok_r(text, " \t", &at); word && n < WORDS_MAX - 1; word = strtok_r(NULL, " \t", &at))
        words[n++] = word;
    words[n] = NULL;
    return n;
}

/* ---- events ---- */

struct sending {
    int source, partition, topic;
    int64_t ts_ms, append_ms;
    size_t times;
    const char *body, *class, *reason; /* class NULL: counted */
};

static void send_one(struct script *script, const struct sending *sending, bool raw)
{
    const struct kpid_source *source = &script->world.model->sources[sending->source];
    struct kpid_buf bytes = KPID_BUF_INIT;
    char *body = fill_in(script, sending->body);
    enum kpid_reason reason = KPID_REASON_NONE;

    if (raw)
        kpid_buf_add_str(&bytes, body);
    else
        kpid_buf_printf(&bytes, "{\"%s\":%lld%s%s", source->fields[KPID_SLOT_TS].path[0], (long long)sending->ts_ms,
                        body[1] == '}' ? "" : ",", body + 1);
    enum kpid_class class = world_take(&script->world, (size_t)sending->source, (size_t)sending->partition,
                                       (uint32_t)sending->topic, bytes.data, bytes.len, sending->append_ms, &reason);
    const char *expected = sending->class ? sending->class : kpid_class_name(KPID_CLASS_COUNTED);
    if (strcmp(kpid_class_name(class), expected) ||
        (sending->reason && strcmp(kpid_reason_name(reason), sending->reason)))
        script_fail(script, "event: expected %s%s%s, got %s %s", expected, sending->reason ? " " : "",
                    sending->reason ? sending->reason : "", kpid_class_name(class), kpid_reason_name(reason));
    script->counter++;
    kpid_buf_release(&bytes);
    free(body);
}

static bool read_option(struct script *script, struct sending *sending, const char *word)
{
    if (word[0] == 'x' && word[1]) {
        sending->times = strtoul(word + 1, NULL, 10);
        return true;
    }
    if (!strncmp(word, "append=", 7))
        return need_time(script, word + 7, &sending->append_ms);
    return need_time(script, word, &sending->ts_ms);
}

/* event SOURCE/P[/TOPIC] [TIME] [xN] [append=TIME] {...} [-> CLASS [REASON]]; raw SOURCE/P BYTES [-> ...] */
static void send(struct script *script, char *line, bool raw)
{
    struct sending sending = { .ts_ms = script->world.now_ms, .append_ms = KPID_NEVER, .times = 1 };
    char *arrow = NULL, *words[WORDS_MAX], *place = strtok_r(line, " \t", &line), *after = NULL;

    for (char *found = line ? strstr(line, " -> ") : NULL; found; found = strstr(found + 1, " -> "))
        arrow = found;
    if (arrow) {
        *arrow = '\0';
        sending.class = strtok_r(arrow + 4, " \t", &after);
        sending.reason = strtok_r(NULL, " \t", &after);
    }
    char *body = raw ? line : line ? strchr(line, '{') : NULL;
    if (!place || !body) {
        script_break(script, "an event is SOURCE/PARTITION [TIME] {...}");
        return;
    }
    if (!script_place(script, place, &sending.source, &sending.partition, &sending.topic))
        return;
    sending.partition = sending.partition < 0 ? 0 : sending.partition;
    sending.topic = sending.topic < 0 ? 0 : sending.topic;
    sending.body = body;
    if (!raw) {
        char *options = kpid_strndup(line, (size_t)(body - line));
        size_t n = split(options, words);
        for (size_t i = 0; i < n && !script->broken; i++)
            read_option(script, &sending, words[i]);
        free(options);
        if (!script->broken && sending.ts_ms == KPID_NEVER)
            script_break(script, "an event before the first `at` needs a time");
    }
    if (script->world.sources[sending.source].at[sending.partition].away)
        script_break(script, "%s is away", place);
    for (size_t i = 0; i < sending.times && !script->broken; i++)
        send_one(script, &sending, raw);
}

/* ---- the rest ---- */

static void tick(struct script *script, bool end_of_input)
{
    const char *fault = world_tick(&script->world, end_of_input);
    if (fault)
        script_fail(script, "%s", fault);
}

static void set_idle(struct script *script, const char *text, bool idle)
{
    int source, partition, topic;

    if (!script_place(script, text, &source, &partition, &topic))
        return;
    struct scn_source *at = &script->world.sources[source];
    for (int p = 0; p < (int)at->n; p++)
        for (int t = 0; t < (int)at->n_topics; t++)
            if ((partition < 0 || p == partition) && (topic < 0 || t == topic))
                at->at[p].idle[t] = idle;
    script->world.changed = true;
}

/* A shard leaves this instance, committed; or comes back as it was stored. */
static void set_away(struct script *script, const char *text, bool away)
{
    int source, partition, topic;

    if (!script_place(script, text, &source, &partition, &topic))
        return;
    if (partition < 0)
        script_break(script, "which partition?");
    else
        script->world.sources[source].at[partition].away = away;
    script->world.changed = true;
}

static void restart(struct script *script, bool orderly)
{
    struct kpid_model *model = load(script);

    if (model && !world_restart(&script->world, orderly, model))
        script_break(script, "the state can't be read again");
}

static void repeat(struct script *script, size_t times)
{
    size_t end = block_end(script, true), first = script->at + 1, outer = script->loop;

    for (size_t i = 0; i < times && !script->broken; i++) {
        script->loop = i;
        script->at = first;
        block(script, end);
    }
    script->loop = outer;
    if (!script->broken)
        script->at = end;
}

static void set_partitions(struct script *script, char **words, size_t n)
{
    if (n != 3 || script->begun || script->n_partitions == KPID_COUNT_OF(script->partitions)) {
        script_break(script, "partitions SOURCE N, before everything else");
        return;
    }
    script->partitions[script->n_partitions].source = kpid_strdup(words[1]);
    script->partitions[script->n_partitions++].n = strtoul(words[2], NULL, 10);
}

static void command(struct script *script, char **words, size_t n)
{
    const char *word = words[0], *first = n > 1 ? words[1] : "";

    if (!strcmp(word, "at")) {
        int64_t ms;
        if (!need_time(script, first, &ms))
            return;
        if (ms < script->world.now_ms)
            script_break(script, "the wall clock does not go back");
        script->world.now_ms = ms;
        script->world.changed = true;
    } else if (!strcmp(word, "tick")) {
        script->world.muted = !strcmp(first, "unpublished");
        tick(script, false);
    } else if (!strcmp(word, "end-of-input"))
        tick(script, true);
    else if (!strcmp(word, "idle") || !strcmp(word, "active"))
        set_idle(script, first, *word == 'i');
    else if (!strcmp(word, "away") || !strcmp(word, "back"))
        set_away(script, first, *word == 'a');
    else if (!strcmp(word, "restart") || !strcmp(word, "crash"))
        restart(script, *word == 'r');
    else if (!strcmp(word, "repeat"))
        repeat(script, strtoul(first, NULL, 10));
    else if (script->world.muted)
        script_break(script, "a tick that is not published is followed by `crash`");
    else if (!strcmp(word, "expect")) {
        if (script->world.changed)
            tick(script, false);
        expect_line(script, words + 1, n - 1);
    } else
        script_break(script, "what is `%s`?", word);
}

static void line_do(struct script *script)
{
    char *line = script->lines[script->at] + strspn(script->lines[script->at], " \t");
    char *words[WORDS_MAX], *copy;

    if (!*line || *line == '#')
        return;
    if (!strcmp(line, "config")) {
        take_config(script);
        return;
    }
    if (strncmp(line, "partitions ", 11) && !begin(script))
        return;
    if (!strncmp(line, "event ", 6) || !strncmp(line, "raw ", 4)) {
        copy = kpid_strdup(line + (*line == 'e' ? 6 : 4));
        send(script, copy, *line == 'r');
    } else {
        copy = *line == 'r' ? kpid_strdup(line) : fill_in(script, line);
        size_t n = split(copy, words);
        if (!strcmp(words[0], "partitions"))
            set_partitions(script, words, n);
        else
            command(script, words, n);
    }
    free(copy);
}

static void block(struct script *script, size_t end)
{
    for (; script->at < end && !script->broken; script->at++)
        line_do(script);
}

/* ---- files ---- */

static bool read_lines(struct script *script)
{
    FILE *file = fopen(script->path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    if (!file) {
        printf("%s: can't be read\n", script->path);
        return false;
    }
    while ((len = getline(&line, &room, file)) >= 0) {
        while (len > 0 && strchr(" \t\r\n", line[len - 1]))
            len--;
        script->lines = kpid_realloc(script->lines, (script->n_lines + 1) * sizeof(char *));
        script->lines[script->n_lines++] = kpid_strndup(line, (size_t)len);
    }
    free(line);
    fclose(file);
    return true;
}

static void release(struct script *script)
{
    if (script->begun)
        world_release(&script->world);
    for (size_t i = 0; i < script->n_lines; i++)
        free(script->lines[i]);
    for (size_t i = 0; i < script->n_partitions; i++)
        free(script->partitions[i].source);
    free(script->lines);
    kpid_buf_release(&script->config);
    notes_release(&script->names);
}

bool script_run(const char *path)
{
    struct script script = { .path = path };
    bool read = read_lines(&script);

    block(&script, script.n_lines);
    for (size_t i = 0; !script.broken && i < script.world.n_notices; i++)
        if (!script.world.notices[i].read)
            script_fail(&script, "nobody expected: %s %s", script.world.notices[i].name, script.world.notices[i].json);
    if (read && !script.broken && !script.begun)
        script_fail(&script, "nothing happens in it");
    bool good = read && !script.failures;
    release(&script);
    return good;
}
