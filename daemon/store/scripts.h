/* The scripts of a shard. KEYS are declared in full and share one hash tag. What they answer stands beside
 * each. */
#ifndef KPID_STORE_SCRIPTS_H
#define KPID_STORE_SCRIPTS_H

extern const char KPID_SCRIPT_ACQUIRE[];
extern const char KPID_SCRIPT_COMMIT[];
extern const char KPID_SCRIPT_SWEEP[];

#endif
