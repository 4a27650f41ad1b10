#include "kpid.h"

#include "kpid/config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "usage: kpid [-c FILE] [--instance NAME] [--listen ADDRESS:PORT] [--check]\n"
    "\n"
    "Turns streams of events from Kafka into KPI figures, snapshots and alerts in Redis.\n"
    "\n"
    "  -c, --config FILE  the configuration (kpid.yaml(5)); default /etc/kpid/kpid.yaml\n"
    "      --instance NAME\n"
    "                     one of several: its name, and its static membership in the group\n"
    "      --listen ADDRESS:PORT\n"
    "                     of metrics and health, instead of http.listen\n"
    "      --check        reads the configuration, says what is wrong with it, and ends\n"
    "      --settings     all keys of the configuration: key, type, default, range, help\n"
    "  -h, --help         this text\n"
    "  -V, --version      the version\n"
    "\n"
    "Signals: TERM and INT stop it, HUP reads the configuration again (all of it or nothing).\n"
    "Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage, 3 the configuration has faults.\n";

static int print_settings(void)
{
    struct kpid_buf table = KPID_BUF_INIT;

    kpid_config_describe(&table);
    fwrite(table.data, 1, table.len, stdout);
    kpid_buf_release(&table);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "check", no_argument, NULL, 'k' },
                                             { "settings", no_argument, NULL, 's' },
                                             { "instance", required_argument, NULL, 'i' },
                                             { "listen", required_argument, NULL, 'l' },
                                             { "help", no_argument, NULL, 'h' },
                                             { "version", no_argument, NULL, 'V' },
                                             { NULL, 0, NULL, 0 } };
    const char *path = "/etc/kpid/kpid.yaml";
    struct kpid_overrides overrides = { NULL, NULL };
    int check = 0, option;

    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'k': check = 1; break;
        case 'i': overrides.instance = optarg; break;
        case 'l': overrides.listen = optarg; break;
        case 's': return print_settings();
        case 'h': fputs(help, stdout); return 0;
        case 'V': puts("kpid " KPID_VERSION); return 0;
        default: fputs(help, stderr); return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "kpid: what is '%s'?\n%s", argv[optind], help);
        return 2;
    }
    struct kpid_buf faults = KPID_BUF_INIT;
    size_t n = 0;
    struct kpid_model *model = kpid_config_load(path, NULL, &faults, &n);
    if (faults.len)
        fprintf(stderr, "%s\n", faults.data);
    kpid_buf_release(&faults);
    if (!model) {
        fprintf(stderr, "kpid: %s: %zu fault%s\n", path, n, n == 1 ? "" : "s");
        return 3;
    }
    struct kpid_lookups *lookups = kpid_lookups_load(model, &faults, &n);
    if (!lookups) {
        fprintf(stderr, "%s\nkpid: %s: %zu fault%s in its look-ups\n", faults.data, path, n, n == 1 ? "" : "s");
        kpid_buf_release(&faults);
        kpid_model_free(model);
        return 3;
    }
    if (check) {
        printf("%s: ok: %zu sources, %zu measures, %zu KPIs\n", path, model->n_sources, model->n_measures,
               model->n_kpis);
        kpid_lookups_free(lookups);
        kpid_model_free(model);
        return 0;
    }
    kpid_overrides_apply(&overrides, model);
    return kpid_daemon_run(path, &overrides, model, lookups);
}
