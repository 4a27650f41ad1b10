/* The lines that begin with `expect`: what readers would find is compared with what the script says. */
#include "scenario.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one value ---- */

static bool number_read(const char *text, double *ret)
{
    char *end;

    *ret = strtod(text, &end);
    return end != text && !*end;
}

/* ~V or ~V/T%: nearly equal, to 1e-9 or T per cent. */
static bool nearly(const char *got, const char *expected)
{
    char text[64], *slash;
    double a, b, tolerance = 1e-7;

    snprintf(text, sizeof(text), "%s", expected);
    slash = strchr(text, '/');
    if (slash) {
        *slash = '\0';
        tolerance = strtod(slash + 1, NULL);
    }
    return number_read(got, &a) && number_read(text, &b) && fabs(a - b) <= tolerance / 100 * fabs(b);
}

/* A member whose name has a twin in ms may be given as a time of the script. */
static bool same_time(const struct script *script, const char *json, const char *key, const char *expected,
                      struct kpid_buf *scratch)
{
    int64_t ms;
    char twin[64];

    snprintf(twin, sizeof(twin), "%s_ms", key);
    kpid_buf_clear(scratch);
    return time_read(expected, script->world.now_ms, &ms) && json_member(json, twin, scratch) &&
           strtoll(scratch->data, NULL, 10) == ms;
}

/* @name: bound where it first comes, compared after that. */
static const char *named(struct script *script, const char *got, const char *expected)
{
    const struct note *note = notes_find(&script->names, expected);

    if (note)
        return note->text;
    notes_set(&script->names, expected, got, strlen(got));
    return got;
}

static bool same(struct script *script, const char *json, const char *key, const char *got, bool near,
                 const char *expected)
{
    struct kpid_buf scratch = KPID_BUF_INIT;

    if (*expected == '@')
        expected = named(script, got, expected);
    if (!strcmp(expected, "none"))
        expected = "null";
    if (!strcmp(expected, "-"))
        expected = "";
    bool good = near ? nearly(got, expected) : !strcmp(got, expected);
    if (!good && json && !near)
        good = same_time(script, json, key, expected, &scratch);
    kpid_buf_release(&scratch);
    return good;
}

/* `what` names the text for people. Words are key=value, key~value, or at first a bare value. */
static void compare(struct script *script, const char *what, const char *json, char **words, size_t n)
{
    struct kpid_buf got = KPID_BUF_INIT;

    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(words[i], "=~");
        bool near = words[i][len] == '~';
        const char *expected = words[i][len] ? words[i] + len + 1 : words[i];
        char *key = words[i][len] && len ? kpid_strndup(words[i], len) : kpid_strdup("value");
        kpid_buf_clear(&got);
        if (!json_member(json, key, &got))
            script_break(script, "%s has no member %s: %s", what, key, json);
        else {
            kpid_buf_add_str(&got, "");
            if (!same(script, json, key, got.data, near, expected))
                script_fail(script, "%s: %s: expected %s%s, got %s", what, key, near ? "about " : "", expected, got.data);
        }
        free(key);
    }
    kpid_buf_release(&got);
}

/* ---- figures ---- */

static void name_of(struct kpid_buf *name, const char *first, char **words)
{
    kpid_buf_clear(name);
    kpid_buf_printf(name, "%s %s %s %s", first, words[0], words[1], words[2]);
}

/* newest|final KPI WINDOW GROUP ..., window START KPI WINDOW GROUP ... */
static void expect_figure(struct script *script, char **words, size_t n, bool absent)
{
    struct kpid_buf name = KPID_BUF_INIT;
    char place[40];
    size_t taken = 1;

    snprintf(place, sizeof(place), "%s", words[0]);
    if (!strcmp(words[0], "window")) {
        int64_t start;
        if (n < 2 || !time_read(words[1], script->world.now_ms, &start)) {
            script_break(script, "expect window START KPI WINDOW GROUP");
            return;
        }
        snprintf(place, sizeof(place), "window %" PRId64, start);
        taken = 2;
    }
    if (n < taken + 3) {
        script_break(script, "expect %s KPI WINDOW GROUP ...", words[0]);
        return;
    }
    name_of(&name, place, words + taken);
    const struct note *note = notes_find(&script->world.found, name.data);
    if (absent && note)
        script_fail(script, "%s: expected none, got %s", name.data, note->text);
    else if (!absent && !note)
        script_fail(script, "%s: expected one, there is none", name.data);
    else if (note)
        compare(script, name.data, note->text, words + taken + 3, n - taken - 3);
    kpid_buf_release(&name);
}

/* finals KPI WINDOW GROUP N: how many boundaries were published as final. */
static void expect_finals(struct script *script, char **words, size_t n)
{
    struct kpid_buf name = KPID_BUF_INIT;

    if (n != 5) {
        script_break(script, "expect finals KPI WINDOW GROUP N");
        return;
    }
    name_of(&name, "finals", words + 1);
    const struct note *note = notes_find(&script->world.found, name.data);
    if (strcmp(note ? note->text : "0", words[4]))
        script_fail(script, "%s: expected %s, got %s", name.data, words[4], note ? note->text : "0");
    kpid_buf_release(&name);
}

/* ---- alerts ---- */

/* alert KPI/RULE WINDOW GROUP STATE ...: the next notification that nobody expected yet. */
static void expect_alert(struct script *script, char **words, size_t n)
{
    char what[160];

    if (n < 5) {
        script_break(script, "expect alert KPI/RULE WINDOW GROUP STATE ...");
        return;
    }
    snprintf(what, sizeof(what), "%s %s %s", words[1], words[2], words[3]);
    for (size_t i = 0; i < script->world.n_notices; i++) {
        struct notice *notice = &script->world.notices[i];
        if (notice->read || strcmp(notice->name, what))
            continue;
        notice->read = true;
        if (strcmp(kpid_alert_state_name(notice->state), words[4]))
            script_fail(script, "alert %s: expected %s, got %s\n    %s", what, words[4],
                        kpid_alert_state_name(notice->state), notice->json);
        compare(script, what, notice->json, words + 5, n - 5);
        return;
    }
    script_fail(script, "alert %s: expected %s, nothing was told", what, words[4]);
}

/* told KPI/RULE WINDOW GROUP N: notifications so far; all of them count as expected. */
static void expect_told(struct script *script, char **words, size_t n)
{
    char what[160];
    size_t told = 0;

    if (n != 5) {
        script_break(script, "expect told KPI/RULE WINDOW GROUP N");
        return;
    }
    snprintf(what, sizeof(what), "%s %s %s", words[1], words[2], words[3]);
    for (size_t i = 0; i < script->world.n_notices; i++)
        if (!strcmp(script->world.notices[i].name, what)) {
            script->world.notices[i].read = true;
            told++;
        }
    if (told != strtoul(words[4], NULL, 10))
        script_fail(script, "notifications of %s: expected %s, got %zu", what, words[4], told);
}

static void expect_quiet(struct script *script)
{
    for (size_t i = 0; i < script->world.n_notices; i++) {
        struct notice *notice = &script->world.notices[i];
        if (!notice->read)
            script_fail(script, "expected quiet, got %s %s\n    %s", notice->name,
                        kpid_alert_state_name(notice->state), notice->json);
        notice->read = true;
    }
}

/* state KPI/RULE WINDOW GROUP STATE [since=TIME]: as it is stored. */
static void expect_state(struct script *script, char **words, size_t n)
{
    char kpi[64], rule[64], key[256];
    struct kpid_alert alert;

    if (n < 5 || sscanf(words[1], "%63[^/]/%63s", kpi, rule) != 2) {
        script_break(script, "expect state KPI/RULE WINDOW GROUP STATE [since=TIME]");
        return;
    }
    snprintf(key, sizeof(key), "%s|%s|%s|%s", rule, kpi, words[2], words[3]);
    const struct note *note = notes_find(&script->world.states, key);
    if (!note || !strcmp(words[4], "none")) {
        /* What never left ok is not stored. */
        if (note || (strcmp(words[4], "none") && strcmp(words[4], "ok")))
            script_fail(script, "state %s: expected %s, got %s", key, words[4], note ? "one" : "none");
        return;
    }
    struct kpid_unpack in;
    kpid_unpack_init(&in, note->text, note->len);
    if (!kpid_alert_unpack(&alert, &in)) {
        script_fail(script, "state %s: damaged", key);
        return;
    }
    char json[200], since[40];
    struct kpid_zone utc;
    kpid_zone_utc(&utc);
    kpid_zone_print(&utc, alert.since_ms == KPID_NEVER ? 0 : alert.since_ms, since);
    snprintf(json, sizeof(json), "{\"state\":\"%s\",\"since\":\"%s\",\"since_ms\":%" PRId64 ",\"id\":\"%016" PRIx64 "\"}",
             kpid_alert_state_name((enum kpid_alert_state)alert.state), since, alert.since_ms, alert.id);
    kpid_zone_release(&utc);
    if (strcmp(kpid_alert_state_name((enum kpid_alert_state)alert.state), words[4]))
        script_fail(script, "state %s: expected %s, got %s", key, words[4], json);
    compare(script, key, json, words + 5, n - 5);
}

/* ---- counters ---- */

static void add_ledger(struct kpid_buf *out, const struct kpid_ledger *ledger)
{
    kpid_buf_printf(out, "\"in\":%" PRIu64, ledger->in);
    for (int c = 0; c < KPID_CLASS_N; c++)
        kpid_buf_printf(out, ",\"%s\":%" PRIu64, kpid_class_name((enum kpid_class)c), ledger->classes[c]);
    kpid_buf_printf(out, ",\"no_id\":%" PRIu64 ",\"rounded\":%" PRIu64 ",\"type_mismatch\":%" PRIu64
                         ",\"missed_windows\":%" PRIu64, ledger->no_id, ledger->rounded, ledger->type_mismatch,
                    ledger->missed_windows);
}

static void add_ledgers(struct kpid_ledger *sum, const struct kpid_ledger *more)
{
    sum->in += more->in;
    for (int c = 0; c < KPID_CLASS_N; c++)
        sum->classes[c] += more->classes[c];
    sum->no_id += more->no_id;
    sum->rounded += more->rounded;
    sum->type_mismatch += more->type_mismatch;
    sum->missed_windows += more->missed_windows;
}

/* counters SOURCE[/PARTITION] key=value ...: ledger and counters of shards, summed. */
static void expect_counters(struct script *script, char **words, size_t n)
{
    struct kpid_ledger sum = { 0 };
    struct kpid_shard_stats stats, all = { 0 };
    struct kpid_buf json = KPID_BUF_INIT;
    int source, partition, topic;

    if (n < 3 || !script_place(script, words[1], &source, &partition, &topic)) {
        script_break(script, "expect counters SOURCE[/PARTITION] key=value ...");
        return;
    }
    const struct scn_source *at = &script->world.sources[source];
    for (int p = 0; p < (int)at->n; p++) {
        if (partition >= 0 && p != partition)
            continue;
        for (uint32_t t = 0; t < at->n_topics; t++) {
            struct kpid_ledger ledger;
            kpid_shard_ledger(at->at[p].shard, t, &ledger);
            add_ledgers(&sum, &ledger);
        }
        kpid_shard_stats(at->at[p].shard, &stats);
        const uint64_t more[] = { stats.panes, stats.groups, stats.groups_refused, stats.other_events,
                                  stats.keys, stats.keys_forgotten, stats.keys_refused, stats.negatives,
                                  stats.uncovered, stats.undated, stats.absent, stats.dedup_marks, stats.dedup_cut };
        uint64_t *const into[] = { &all.panes, &all.groups, &all.groups_refused, &all.other_events,
                                   &all.keys, &all.keys_forgotten, &all.keys_refused, &all.negatives,
                                   &all.uncovered, &all.undated,
                                   &all.absent, &all.dedup_marks, &all.dedup_cut };
        for (size_t i = 0; i < KPID_COUNT_OF(more); i++)
            *into[i] += more[i];
    }
    kpid_buf_add_char(&json, '{');
    add_ledger(&json, &sum);
    kpid_buf_printf(&json, ",\"panes\":%" PRIu64 ",\"groups\":%" PRIu64 ",\"groups_refused\":%" PRIu64
                           ",\"other_events\":%" PRIu64 ",\"keys\":%" PRIu64 ",\"keys_forgotten\":%" PRIu64
                           ",\"keys_refused\":%" PRIu64 ",\"negatives\":%" PRIu64
                           ",\"uncovered\":%" PRIu64 ",\"undated\":%" PRIu64 ",\"absent\":%" PRIu64
                           ",\"dedup_marks\":%" PRIu64 ",\"dedup_cut\":%" PRIu64 "}", all.panes, all.groups,
                    all.groups_refused, all.other_events, all.keys, all.keys_forgotten, all.keys_refused,
                    all.negatives, all.uncovered, all.undated, all.absent, all.dedup_marks, all.dedup_cut);
    compare(script, "counters", json.data, words + 2, n - 2);
    kpid_buf_release(&json);
}

void expect_line(struct script *script, char **words, size_t n)
{
    const char *word = n ? words[0] : "";
    bool absent = !strcmp(word, "no");

    if (absent) {
        words++;
        n--;
        word = n ? words[0] : "";
    }
    if (!strcmp(word, "newest") || !strcmp(word, "final") || !strcmp(word, "window"))
        expect_figure(script, words, n, absent);
    else if (!strcmp(word, "finals"))
        expect_finals(script, words, n);
    else if (!strcmp(word, "alert"))
        expect_alert(script, words, n);
    else if (!strcmp(word, "told"))
        expect_told(script, words, n);
    else if (!strcmp(word, "quiet"))
        expect_quiet(script);
    else if (!strcmp(word, "state"))
        expect_state(script, words, n);
    else if (!strcmp(word, "counters"))
        expect_counters(script, words, n);
    else
        script_break(script, "expect what? %s", word);
}
