/*
 * Every command that the server of memory executes goes to a real redis-server as well, with the scripts as
 * they are, and must get the same answer; at the end of a seed both must hold the same.
 */
#ifndef KPID_SIMULATION_MIRROR_H
#define KPID_SIMULATION_MIRROR_H

#include "run.h"

struct mirror;

struct mirror *mirror_new(void); /* NULL: redis-server is not installed */
void mirror_free(struct mirror *mirror);
const struct run_mirror *mirror_hooks(struct mirror *mirror); /* borrowed */
void mirror_counts(const struct mirror *mirror, uint64_t *ret_commands, uint64_t *ret_keys,
                   uint64_t *ret_faults);

#endif
