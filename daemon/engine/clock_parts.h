/* How the rules of clocks name what they hand to the cells of clocks. */
#ifndef KPID_ENGINE_CLOCK_PARTS_H
#define KPID_ENGINE_CLOCK_PARTS_H

enum { CLOCK_MET, CLOCK_MISSED };  /* of KPID_SAMPLE_COUNT */
enum { CLOCK_OPEN, CLOCK_BREACHED }; /* of KPID_SAMPLE_LEVEL */

#endif
