/* What the command line asks for. */
#ifndef KPID_GENERATE_OPTIONS_H
#define KPID_GENERATE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct kpid_options {
    const char *brokers;                      /* NULL: an embedded Kafka */
    const char *bootstrap_file;               /* NULL: none */
    const char *status_file;                  /* NULL: none */
    const char *dump_file;                    /* NULL: produce; "-": standard output */
    const char *compression;                  /* of what is produced, as librdkafka names it */
    double hours;                             /* of history */
    double seconds;                           /* in which the history is produced, wall time */
    double live_s;                            /* real time after it */
    double rate;                              /* events a second of event time at the busiest */
    double incident_ago_h, incident_length_h; /* length 0: none */
    int64_t end_ms;                           /* of a dump, 0: now */
    uint64_t seed;
    int partitions;
    bool keep, msgpack, verbose;
};

enum kpid_options_result {
    KPID_OPTIONS_GO,
    KPID_OPTIONS_HELP /* was printed */,
    KPID_OPTIONS_BAD /* said why */
};

/* Reads the command line. The strings are borrowed from argv. now_ms is the seed where none is given. */
enum kpid_options_result kpid_options_parse(struct kpid_options *ret, int argc, char **argv, int64_t now_ms);

#endif
