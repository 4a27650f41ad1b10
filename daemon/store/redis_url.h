/* Where Redis is: redis://[user:password@]host[:port][/db] or unix:/path. User and password are
 * percent-decoded. */
#ifndef KPID_STORE_REDIS_URL_H
#define KPID_STORE_REDIS_URL_H

#include "kpid/buf.h"

struct kpid_redis_url {
    char *path; /* of a unix socket, or NULL: then host and port */
    char *host;
    int port;
    char *user; /* NULL: none given */
    char *password;
    int db;
};

/* false: `error` gets a text that never shows the password; `ret` is untouched. */
bool kpid_redis_url_parse(const char *url, struct kpid_redis_url *ret,
                          struct kpid_buf *error) KPID_MUST_CHECK;
void kpid_redis_url_release(struct kpid_redis_url *url);

#endif
