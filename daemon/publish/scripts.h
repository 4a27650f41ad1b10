/* The scripts of the publisher. Each text names its keys and arguments; every key it touches is declared, and
 * all of them lie in one slot. */
#ifndef KPID_PUBLISH_SCRIPTS_H
#define KPID_PUBLISH_SCRIPTS_H

enum kpid_script_name {
    KPID_SCRIPT_ACQUIRE,
    KPID_SCRIPT_PIECE,
    KPID_SCRIPT_ALERTS,
    KPID_SCRIPT_SNAPSHOTS,
    KPID_SCRIPT_PRUNE,
    KPID_SCRIPT_CONFIRM,
    KPID_SCRIPT_INDEX,
    KPID_SCRIPT_VALUES,
    KPID_SCRIPT_PRESENCE,
    KPID_SCRIPT_RELEASE,
    KPID_SCRIPT_TOLD,
    KPID_SCRIPT_AGAIN,
    KPID_SCRIPT_N
};

const char *kpid_script_text(enum kpid_script_name name); /* borrowed for ever */

/* Operations of KPID_SCRIPT_SNAPSHOTS beside the bits of enum kpid_place. */
#define KPID_OP_DELETE       0U  /* the fields of a group */
#define KPID_OP_WINDOW_GROUP 16U /* kpi:win, but a new group only while there are fewer than history_groups  \
                                  */
#define KPID_OP_NOTHING 32U
#define KPID_OP_DROP    128U /* out of kpi:win: no longer one of the largest */

#endif
