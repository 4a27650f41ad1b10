/*
 * A Redis Cluster from the inside
 * (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/): cluster.c       life cycle,
 * one connection a master, when the whole is up cluster_map.c   which node has which slot: CLUSTER SLOTS, of
 * whoever answers, and what MOVED says cluster_call.c  the commands on their way: queues a slot, MOVED, ASK,
 * TRYAGAIN, SCAN The connections are structs kpid_redis of their own, without a cluster.
 */
#ifndef KPID_STORE_CLUSTER_INTERNAL_H
#define KPID_STORE_CLUSTER_INTERNAL_H

#include "redis_internal.h"

#define KPID_CLUSTER_MAGIC     0x636c7573u
#define KPID_CLUSTER_SLOTS     16384
#define KPID_CLUSTER_NODES_MAX 1000 /* what a map may name, replicas included */

struct kpid_cluster_node {
    struct kpid_cluster *cluster;
    struct kpid_redis *link;
    struct kpid_redis_place place;
    bool mapped; /* has slots */
    bool failed; /* its connection was lost, or never came; over when it is up */
    size_t n_calls;
    int64_t asked_ms; /* when ASK named it last */
};

/* One command of a caller. */
struct kpid_cluster_call {
    struct kpid_cluster *cluster;
    struct kpid_cluster_call *next; /* of its slot */
    kpid_redis_done *done;
    void *ctx;
    struct kpid_redis_retry *request; /* owned */
    struct event *timer;              /* while it waits to be sent again; NULL before the first time */
    int64_t until_ms;                 /* when it is given up; 0: it has not waited yet */
    int64_t pause_ms;
    struct kpid_cluster_node *node;  /* it is with this one */
    struct kpid_cluster_node *asked; /* by ASK: this one, this time */
    struct kpid_buf why;             /* the last error that made it wait */
    enum kpid_reply_kind fail_kind;
    int slot;      /* -1: any node will do */
    unsigned hops; /* redirections without a pause */
    bool whole;    /* EVAL with the text */
    bool scan;
    size_t scan_at; /* which of the masters */
};

struct kpid_cluster_slot {
    struct kpid_cluster_node *node;        /* NULL: nobody has it */
    struct kpid_cluster_call *head, *tail; /* head is on its way or waits for its turn again */
};

struct kpid_cluster {
    uint32_t magic;
    struct kpid_redis *redis; /* the caller's */
    struct kpid_cluster_node **nodes;
    size_t n_nodes;
    struct kpid_cluster_slot *slots; /* KPID_CLUSTER_SLOTS of them */
    size_t n_unmapped;               /* slots without a node */
    char (*replids)[41];             /* of the masters' data, as known when it was last up */
    size_t n_replids;
    size_t n_calls, call_bytes;
    struct kpid_cluster_call *failing; /* given up, and not answered yet */

    struct event *map_timer;
    bool map_asked;
    struct kpid_redis *seed; /* asked for the map while no node is up; plain */
    bool seed_failed;
    struct kpid_redis_place *known; /* whom to ask: what the URL says, and what the last map named */
    size_t n_known, n_known_url, next_known, next_node;
    struct kpid_buf map_why; /* why there is no map */
};

/* ---- cluster.c ---- */

/* The node with this address; connects to it if it is new. NULL: there are too many. */
struct kpid_cluster_node *kpid_cluster_node_at(struct kpid_cluster *cluster, const char *host,
                                               size_t host_len, int port);
/* Looks whether the whole is up, and tells. May end in the caller closing the cluster. */
void kpid_cluster_judge(struct kpid_cluster *cluster);
/* Closes connections to nodes without slots and without calls. */
void kpid_cluster_tidy(struct kpid_cluster *cluster);

/* ---- cluster_map.c ---- */

void kpid_cluster_map_timer(int fd, short what, void *arg);
void kpid_cluster_map_soon(struct kpid_cluster *cluster, int64_t after_ms);
/* Works out anew which nodes have slots, and how many slots have none. */
void kpid_cluster_count(struct kpid_cluster *cluster);
int kpid_cluster_slot_of(const void *key, size_t len);

/* ---- cluster_call.c ---- */

/* Commands that were not sent yet are answered KPID_REPLY_DOWN on a later turn; those on their way come back.
 */
void kpid_cluster_fail_waiting(struct kpid_cluster *cluster);

#endif
