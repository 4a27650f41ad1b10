/*
 * Places at which tests let a process die or stand still (tests/faults): between two steps of the protocol, where
 * chance seldom strikes. The functions are linked into the program kpid-faults alone; elsewhere they are absent, and a
 * point costs the test of an address.
 */
#ifndef KPID_FAULT_POINT_H
#define KPID_FAULT_POINT_H

extern void kpid_fault_point(const char *name) __attribute__((weak));

/* As if this were an older version: the newest format of state that it reads and writes. */
extern unsigned kpid_fault_state_format(unsigned newest) __attribute__((weak));

#define KPID_FAULT_STATE_FORMAT(newest) (kpid_fault_state_format ? kpid_fault_state_format(newest) : (newest))

#define KPID_FAULT_POINT(name) \
    do {                       \
        if (kpid_fault_point)  \
            kpid_fault_point(name); \
    } while (0)

#endif
