/* How the rules of retention name what they hand to its cells: part = which day, RETENTION_BEGUN of no day. */
#ifndef KPID_ENGINE_RETENTION_PARTS_H
#define KPID_ENGINE_RETENTION_PARTS_H

enum { RETENTION_COHORT = 1, RETENTION_RETURNED = 2 }; /* bits of the value of COUNT and LEVEL */

#define RETENTION_BEGUN 255

#endif
