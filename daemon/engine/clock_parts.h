/* How the rules of clocks name what they hand to the cells of clocks: a track and what happened on it. */
#ifndef KPID_ENGINE_CLOCK_PARTS_H
#define KPID_ENGINE_CLOCK_PARTS_H

enum { CLOCK_MET, CLOCK_MISSED };               /* of KPID_SAMPLE_COUNT */
enum { CLOCK_OPEN, CLOCK_BREACHED, CLOCK_DUE }; /* of KPID_SAMPLE_LEVEL */

/* The `part` of a sample. */
#define CLOCK_PART(track, what)  ((uint8_t)((track) << 2 | (what)))
#define CLOCK_TRACK(part)        ((part) >> 2)
#define CLOCK_WHAT(part)         ((part) & 3)

#endif
