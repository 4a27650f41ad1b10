#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "kpid-generate: believable shop traffic on the topics orders, users and service\n"
    "\n"
    "    kpid-generate [OPTION]...\n"
    "\n"
    "Produces some hours of history at a multiple of real time, up to now, never ahead of the clock; with "
    "an\n"
    "incident in it: orders in the app fall, complaints surge. Without --brokers it runs an embedded Kafka\n"
    "(librdkafka's mock cluster: memory only, about 100,000 messages or 5 MB a partition) and serves it "
    "until\n"
    "it gets SIGTERM or SIGINT, also when all is produced.\n"
    "\n"
    "    --hours H             history to produce (6)\n"
    "    --seconds S           wall time in which to produce it (60)\n"
    "    --live S              then go on in real time for so long (0)\n"
    "    --keep                then go on in real time until a signal\n"
    "    --rate R              events a second of event time, at the busiest hour of the week (50)\n"
    "    --incident AGO:LENGTH hours before the end at which it begins, and how long it lasts; or \"off\"\n"
    "                          (half of the hours, a sixth of them)\n"
    "    --seed N              the same seed and times give the same events (the time)\n"
    "    --format json|msgpack (json)\n"
    "    --compression none|lz4|gzip|snappy|zstd (lz4)\n"
    "    --partitions N        of each topic, where they are made here (6)\n"
    "    --brokers HOST:PORT   produce there; makes topics that are not there\n"
    "    --bootstrap-file F    write the address of the Kafka into F, once it answers\n"
    "    --status F            keep F up to date: phase, event time, counts, as JSON\n"
    "    --dump F              write lines {\"topic\", \"key\", \"value\"} into F (- is standard output), "
    "at\n"
    "                          full speed, and end; what is not JSON stands in \"raw\" or \"hex\"\n"
    "    --end MS              of a dump: ms since the epoch at which it ends (now)\n"
    "    --verbose             progress on standard error, once a second\n"
    "    --help\n"
    "\n"
    "Exit 0: done, or ended by a signal; 1: failed, with the reason; 2: bad use.\n";

static bool fault(const char *option, const char *text, const char *want)
{
    fprintf(stderr, "kpid-generate: --%s %s: %s\n", option, text, want);
    return false;
}

static bool parse_number(const char *option, const char *text, double low, double high, double *ret)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(value) || value < low || value > high) {
        char want[80];
        snprintf(want, sizeof want, "not a number from %g to %g", low, high);
        return fault(option, text, want);
    }
    *ret = value;
    return true;
}

static bool parse_integer(const char *option, const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || text[0] == '-')
        return fault(option, text, "not a natural number");
    *ret = value;
    return true;
}

static bool parse_incident(struct kpid_options *options, const char *text)
{
    options->incident_length_h = 0;
    if (strcmp(text, "off") == 0)
        return true;
    char *end, *stop;
    options->incident_ago_h = strtod(text, &end);
    if (end == text || *end != ':')
        return fault("incident", text, "not AGO:LENGTH in hours, or \"off\"");
    options->incident_length_h = strtod(end + 1, &stop);
    if (stop == end + 1 || *stop != '\0' || !(options->incident_length_h > 0) ||
        !(options->incident_ago_h >= options->incident_length_h))
        return fault("incident", text, "AGO must be at least LENGTH, and both above 0");
    return true;
}

static bool parse_format(struct kpid_options *options, const char *text)
{
    options->msgpack = strcmp(text, "msgpack") == 0;
    return options->msgpack || strcmp(text, "json") == 0 || fault("format", text, "neither json nor msgpack");
}

static bool parse_compression(struct kpid_options *options, const char *text)
{
    static const char *const known[] = {"none", "lz4", "gzip", "snappy", "zstd"};
    options->compression = text;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(text, known[i]) == 0)
            return true;
    return fault("compression", text, "not one of none, lz4, gzip, snappy, zstd");
}

static bool parse_one(struct kpid_options *options, int option, const char *text)
{
    double number = 0;
    uint64_t integer = 0;
    bool good = true;
    switch (option) {
    case 'b': options->brokers = text; break;
    case 'B': options->bootstrap_file = text; break;
    case 'S': options->status_file = text; break;
    case 'd': options->dump_file = text; break;
    case 'k': options->keep = true; break;
    case 'v': options->verbose = true; break;
    case 'h': good = parse_number("hours", text, 0.01, 24 * 400, &options->hours); break;
    case 's': good = parse_number("seconds", text, 0.1, 1e6, &options->seconds); break;
    case 'l': good = parse_number("live", text, 0, 1e9, &options->live_s); break;
    case 'r': good = parse_number("rate", text, 0.001, 1e6, &options->rate); break;
    case 'i': good = parse_incident(options, text); break;
    case 'f': good = parse_format(options, text); break;
    case 'c': good = parse_compression(options, text); break;
    case 'x': good = parse_integer("seed", text, &options->seed); break;
    case 'e':
        good = parse_number("end", text, 0, 1e14, &number);
        options->end_ms = (int64_t)number;
        break;
    case 'p':
        good = parse_integer("partitions", text, &integer);
        if (good && (integer < 1 || integer > 1000))
            good = fault("partitions", text, "not from 1 to 1000");
        options->partitions = (int)integer;
        break;
    default: good = false; break;
    }
    return good;
}

enum kpid_options_result kpid_options_parse(struct kpid_options *ret, int argc, char **argv, int64_t now_ms)
{
    static const struct option known[] = {
        {"brokers", required_argument, NULL, 'b'},
        {"bootstrap-file", required_argument, NULL, 'B'},
        {"status", required_argument, NULL, 'S'},
        {"dump", required_argument, NULL, 'd'},
        {"keep", no_argument, NULL, 'k'},
        {"verbose", no_argument, NULL, 'v'},
        {"hours", required_argument, NULL, 'h'},
        {"seconds", required_argument, NULL, 's'},
        {"live", required_argument, NULL, 'l'},
        {"rate", required_argument, NULL, 'r'},
        {"incident", required_argument, NULL, 'i'},
        {"format", required_argument, NULL, 'f'},
        {"compression", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 'x'},
        {"end", required_argument, NULL, 'e'},
        {"partitions", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'H'},
        {NULL, 0, NULL, 0},
    };
    struct kpid_options options = {.hours = 6,
                                   .seconds = 60,
                                   .rate = 50,
                                   .compression = "lz4",
                                   .seed = (uint64_t)now_ms,
                                   .incident_length_h = -1,
                                   .partitions = 6};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'H') {
            fputs(help, stdout);
            return KPID_OPTIONS_HELP;
        }
        if (!parse_one(&options, option, optarg))
            return KPID_OPTIONS_BAD;
    }
    if (optind < argc) {
        fprintf(stderr, "kpid-generate: what is %s? See --help\n", argv[optind]);
        return KPID_OPTIONS_BAD;
    }
    if (options.incident_length_h < 0) {
        options.incident_ago_h = options.hours / 2;
        options.incident_length_h = options.hours / 6;
    }
    if (options.end_ms > now_ms || options.end_ms == 0)
        options.end_ms = now_ms;
    *ret = options;
    return KPID_OPTIONS_GO;
}
