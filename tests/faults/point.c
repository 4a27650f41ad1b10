/*
 * kpid_fault_point of the program kpid-faults. $KPID_FAULT_FILE names a file with "POINT SIGNAL SKIP": when that point
 * is passed for the SKIP + 1st time the file is removed and the process sends itself the signal. So the test that
 * wrote the file knows by its absence that the fault has happened. $KPID_FAULT_FORMAT: the newest format of state that
 * the process speaks.
 */
#include "kpid/fault_point.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_back(const char *path, const char *point, int number, int skip)
{
    char next[4096];

    if (snprintf(next, sizeof next, "%s.next", path) >= (int)sizeof next)
        return;
    FILE *file = fopen(next, "w");
    if (!file)
        return;
    fprintf(file, "%s %d %d\n", point, number, skip);
    if (fclose(file) == 0)
        rename(next, path);
}

unsigned kpid_fault_state_format(unsigned newest)
{
    const char *text = getenv("KPID_FAULT_FORMAT");

    return text ? (unsigned)strtoul(text, NULL, 10) : newest;
}

void kpid_fault_point(const char *name)
{
    const char *path = getenv("KPID_FAULT_FILE");
    char point[64];
    int number, skip;
    FILE *file = path ? fopen(path, "r") : NULL;

    if (!file)
        return;
    bool mine = fscanf(file, "%63s %d %d", point, &number, &skip) == 3 && !strcmp(point, name);
    fclose(file);
    if (!mine)
        return;
    if (skip > 0) {
        put_back(path, point, number, skip - 1);
        return;
    }
    unlink(path);
    raise(number);
}
