#include "ctl.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name, *arguments, *help;
    int (*run)(struct ctl *);
    int n_args, max_args;
} commands[] = {
    { "check", "", "reads the configuration and says everything that is wrong with it", ctl_check, 0, 0 },
    { "explain", "KPI", "what a KPI reads, its windows, its state, where it is in Redis", ctl_explain, 1, 1 },
    { "show", "[KPI]", "the newest figures, by window and group", ctl_show, 0, 1 },
    { "top", "", "a live view of all KPIs and alerts: search, orders, pages (--once: one picture)", ctl_top, 0, 0 },
    { "alerts", "", "alerts that are active, and the last transitions", ctl_alerts, 0, 0 },
    { "ledger", "", "where every event went", ctl_ledger, 0, 0 },
    { "lag", "", "what is not read yet, by partition", ctl_lag, 0, 0 },
    { "shard", "reset SOURCE/PARTITION", "how a shard goes on that holds: --keep or --rebuild", ctl_shard, 2, 2 },
    { "instances", "[remove NAME]", "who shares the work, who publishes, how far each shard is", ctl_instances, 0, 2 },
    { "replay", "FILE", "runs events of a file through the engine, here (- is standard input)", ctl_replay, 1, 1 },
};

static void usage(FILE *to)
{
    fputs("usage: kpictl [OPTIONS] COMMAND [ARGUMENT]\n\n", to);
    for (size_t i = 0; i < KPID_COUNT_OF(commands); i++)
        fprintf(to, "  %-9s %-22s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fputs("\n"
          "  -c, --config FILE    the configuration; default /etc/kpid/kpid.yaml\n"
          "  -j, --json           JSON, one value a line\n"
          "      --redis URL      another Redis than the configuration's\n"
          "  -w, --window NAME    show: only this window; top: instead of each KPI's first\n"
          "  -n, --entries N      alerts: how many transitions (default 10)\n"
          "      --once           top: one picture, then the end\n"
          "      --sort FIELD     top: by deviation (worst first), status, kpi, group, owner, value or config\n"
          "      --match TEXT     top: only KPIs, groups and owners with this text in them\n"
          "      --keep           shard reset: its figures stay, and reading goes on\n"
          "      --rebuild        shard reset: the whole log is counted again\n"
          "      --topic NAME     replay: the topic of plain events\n"
          "      --partitions N   replay: how many partitions keys are spread over (default 1)\n"
          "  -q, --quiet          replay: no progress\n"
          "  -h, --help, -V, --version\n\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the configuration has faults.\n",
          to);
}

static KPID_PRINTF(1, 2) void refuse(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("kpictl: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; see kpictl --help\n", stderr);
}

/* The command that the words begin with, if they fit it. */
static const struct command *command_of(char **words, int n)
{
    const struct command *command = NULL;

    if (n == 0) {
        usage(stderr);
        return NULL;
    }
    for (size_t i = 0; i < KPID_COUNT_OF(commands); i++)
        if (!strcmp(words[0], commands[i].name))
            command = &commands[i];
    if (!command)
        refuse("there is no command '%s'", words[0]);
    else if (n - 1 < command->n_args)
        refuse("%s needs %s", command->name, command->arguments);
    else if (n - 1 > command->max_args)
        refuse("%s takes no more than %d argument%s", command->name, command->max_args,
               command->max_args == 1 ? "" : "s");
    else
        return command;
    return NULL;
}

static int load(struct ctl *ctl)
{
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;

    ctl->model = kpid_config_load(ctl->config, NULL, &faults, &n);
    if (faults.len)
        fprintf(stderr, "%s\n", faults.data);
    kpid_buf_release(&faults);
    if (!ctl->model)
        fprintf(stderr, "kpictl: %s: %zu fault%s\n", ctl->config, n, n == 1 ? "" : "s");
    return ctl->model ? CTL_OK : CTL_FAULTS;
}

static int number(const char *text, int low, int high, int *ret)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end || value < low || value > high) {
        fprintf(stderr, "kpictl: '%s' is not a number from %d to %d\n", text, low, high);
        return CTL_USAGE;
    }
    *ret = (int)value;
    return CTL_OK;
}

int main(int argc, char **argv)
{
    enum { REDIS = 256, ONCE, TOPIC, PARTITIONS, KEEP, REBUILD, SORT, MATCH };
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },     { "json", no_argument, NULL, 'j' },
        { "redis", required_argument, NULL, REDIS },    { "window", required_argument, NULL, 'w' },
        { "entries", required_argument, NULL, 'n' },    { "once", no_argument, NULL, ONCE },
        { "topic", required_argument, NULL, TOPIC },    { "partitions", required_argument, NULL, PARTITIONS },
        { "keep", no_argument, NULL, KEEP },            { "rebuild", no_argument, NULL, REBUILD },
        { "sort", required_argument, NULL, SORT },      { "match", required_argument, NULL, MATCH },
        { "quiet", no_argument, NULL, 'q' },            { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },          { NULL, 0, NULL, 0 }
    };
    struct ctl ctl = { .config = "/etc/kpid/kpid.yaml", .partitions = 1, .log_entries = 10 };
    int option, code = CTL_OK;

    while ((option = getopt_long(argc, argv, "c:jw:n:qhV", options, NULL)) != -1 && !code) {
        switch (option) {
        case 'c': ctl.config = optarg; break;
        case 'j': ctl.json = true; break;
        case 'w': ctl.window = optarg; break;
        case 'n': code = number(optarg, 0, 100000, &ctl.log_entries); break;
        case 'q': ctl.quiet = true; break;
        case REDIS: ctl.redis_url = optarg; break;
        case KEEP: ctl.keep = true; break;
        case REBUILD: ctl.rebuild = true; break;
        case SORT: ctl.sort = optarg; break;
        case MATCH: ctl.match = optarg; break;
        case ONCE: ctl.once = true; break;
        case TOPIC: ctl.topic = optarg; break;
        case PARTITIONS: code = number(optarg, 1, 10000, &ctl.partitions); break;
        case 'h': usage(stdout); return CTL_OK;
        case 'V': puts("kpictl " KPID_VERSION); return CTL_OK;
        default: usage(stderr); return CTL_USAGE;
        }
    }
    if (code)
        return code;
    const struct command *command = command_of(argv + optind, argc - optind);
    if (!command)
        return CTL_USAGE;
    ctl.args = argv + optind + 1;
    ctl.n_args = argc - optind - 1;
    code = load(&ctl);
    if (!code)
        code = command->run(&ctl);
    kpid_model_free(ctl.model);
    return code;
}
