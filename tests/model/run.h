/*
 * One run: the logs of a world in one random interleaving through decoder, shards and evaluator, as the daemon drives
 * them, with cuts, restarts, and crashes that take back what was not committed.
 */
#ifndef KPID_MODEL_RUN_H
#define KPID_MODEL_RUN_H

#include "judge.h"

struct run;

/* Borrows model, world and label. `wall`: with a wall clock. `with_copies`: half of the shards are evaluated as another
 * instance's, through copies of what is committed. `share`: one of so many of what comes by is compared with the
 * model; windows that can't change any more all are. Returns, free with _free. */
struct run *run_new(const struct kpid_model *model, struct world *world, uint64_t seed, bool wall, bool with_copies,
                    int share, const char *label);
void run_free(struct run *run);
/* Reads everything to the end and looks at everything that is left. */
void run_all(struct run *run);
struct judge *run_judge(struct run *run); /* borrowed */
void run_shed(struct run *run);           /* lets go what the comparison of two runs needs no more */
unsigned run_changes(const struct run *run); /* of the look-up's table */

#endif
