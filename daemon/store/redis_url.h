/*
 * Where Redis is; texts are percent-decoded.
 *   redis://[user:password@]host[:port][/db]
 *   unix:/path
 *   redis+sentinel://[user:password@]host[:port][,host[:port]...]/name[/db][?sentinel=[user]:password]
 *   redis+cluster://[user:password@]host[:port][,host[:port]...]
 */
#ifndef KPID_STORE_REDIS_URL_H
#define KPID_STORE_REDIS_URL_H

#include "kpid/buf.h"

#define KPID_REDIS_PLACES_MAX 64 /* sentinels, or first nodes, that a URL may name */

enum kpid_redis_topology { KPID_REDIS_ONE, KPID_REDIS_SENTINEL, KPID_REDIS_CLUSTER };

struct kpid_redis_place {
    char *host;
    int port;
};

struct kpid_redis_url {
    enum kpid_redis_topology topology;
    char *path; /* of a unix socket, or NULL: then host and port */
    char *host; /* NULL under Sentinel until one has answered, and in a cluster */
    int port;
    char *user; /* NULL: none given */
    char *password;
    int db;
    struct kpid_redis_place *places; /* sentinels, or first nodes of a cluster */
    size_t n_places;
    char *name; /* of the master, as the sentinels call it */
    char *sentinel_user, *sentinel_password;
};

/* false: `error` gets a text that never shows a password; `ret` is untouched. */
bool kpid_redis_url_parse(const char *url, struct kpid_redis_url *ret,
                          struct kpid_buf *error) KPID_MUST_CHECK;
void kpid_redis_url_release(struct kpid_redis_url *url);

#endif
