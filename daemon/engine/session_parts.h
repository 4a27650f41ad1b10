/* How the rules of sessions name what they hand to the cells of sessions. There is one level: open. */
#ifndef KPID_ENGINE_SESSION_PARTS_H
#define KPID_ENGINE_SESSION_PARTS_H

enum { SESSION_STARTED, SESSION_ENDED /* value: its events */ }; /* of KPID_SAMPLE_COUNT */

#endif
