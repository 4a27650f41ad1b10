/*
 * Places at which tests let a process die or stand still (tests/faults): between two steps of the protocol, where
 * chance seldom strikes. The function is linked into the program kpid-faults alone; elsewhere it is absent, and a
 * point costs the test of an address.
 */
#ifndef KPID_FAULT_POINT_H
#define KPID_FAULT_POINT_H

extern void kpid_fault_point(const char *name) __attribute__((weak));

#define KPID_FAULT_POINT(name) \
    do {                       \
        if (kpid_fault_point)  \
            kpid_fault_point(name); \
    } while (0)

#endif
