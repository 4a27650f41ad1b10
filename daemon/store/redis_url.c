#define _GNU_SOURCE /* memrchr */
#include "redis_url.h"

#include "kpid/redis.h"

#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Returns the decoded text (owned), or NULL on a broken escape or a NUL. */
static char *decode(const char *text, size_t len)
{
    char *out = kpid_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text[i + 2]) : -1;
            if (low < 0 || high * 16 + low == 0) {
                free(out);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return out;
}

static bool fail(struct kpid_buf *error, const char *text)
{
    kpid_buf_add_str(error, text);
    return false;
}

/* Digits only; false when empty, not a number, or above max. */
static bool parse_number(const char *text, size_t len, int max, int *ret)
{
    int value = 0;
    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
        if (value > max)
            return false;
    }
    *ret = value;
    return true;
}

static bool parse_login(const char *text, size_t len, char **ret_user, char **ret_password,
                        struct kpid_buf *error)
{
    const char *colon = memchr(text, ':', len);
    if (!colon)
        return fail(error, "before the @ of a Redis URL stands user:password (or :password alone)");
    size_t user_len = (size_t)(colon - text);
    if (user_len > 0 && !(*ret_user = decode(text, user_len)))
        return fail(error, "the user of the Redis URL has a broken % escape");
    if (!(*ret_password = decode(colon + 1, len - user_len - 1)))
        return fail(error, "the password of the Redis URL has a broken % escape");
    if ((*ret_password)[0] == '\0')
        return fail(error, "the password of the Redis URL is empty");
    return true;
}

static bool parse_host(const char *text, size_t len, int port, struct kpid_redis_place *ret,
                       struct kpid_buf *error)
{
    const char *host = text, *end = text + len, *after;
    size_t host_len;
    if (len > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (!close)
            return fail(error, "the Redis URL opens a [ that it does not close");
        host = text + 1;
        host_len = (size_t)(close - host);
        after = close + 1;
    } else {
        after = memchr(text, ':', len);
        if (!after)
            after = end;
        host_len = (size_t)(after - text);
    }
    if (host_len == 0)
        return fail(error, "the Redis URL names no host");
    ret->port = port;
    if (after < end &&
        (*after != ':' || !parse_number(after + 1, (size_t)(end - after - 1), 65535, &ret->port) ||
         ret->port == 0))
        return fail(error, "the port of the Redis URL is not a number from 1 to 65535");
    ret->host = decode(host, host_len);
    return ret->host != NULL || fail(error, "the host of the Redis URL has a broken % escape");
}

/* host[:port][,host[:port]...] */
static bool parse_places(const char *text, size_t len, int port, struct kpid_redis_url *url,
                         struct kpid_buf *error)
{
    for (;;) {
        const char *comma = memchr(text, ',', len);
        size_t one = comma ? (size_t)(comma - text) : len;
        if (url->n_places == KPID_REDIS_PLACES_MAX)
            return fail(error, "the Redis URL names more than 64 hosts");
        url->places = kpid_realloc(url->places, (url->n_places + 1) * sizeof(*url->places));
        url->places[url->n_places] = (struct kpid_redis_place){0};
        if (!parse_host(text, one, port, &url->places[url->n_places++], error))
            return false;
        if (!comma)
            return true;
        text += one + 1;
        len -= one + 1;
    }
}

/* Takes "user:password@" off the front of an authority, if it is there. */
static bool take_login(const char **text, size_t *len, struct kpid_redis_url *url, struct kpid_buf *error)
{
    const char *at = memrchr(*text, '@', *len);
    if (!at)
        return true;
    if (!parse_login(*text, (size_t)(at - *text), &url->user, &url->password, error))
        return false;
    *len -= (size_t)(at + 1 - *text);
    *text = at + 1;
    return true;
}

static bool parse_db(const char *text, size_t len, struct kpid_redis_url *url, struct kpid_buf *error)
{
    return len == 0 || parse_number(text, len, 65535, &url->db) ||
           fail(error, "the database of the Redis URL is not a number");
}

static bool parse_tcp(const char *text, struct kpid_redis_url *url, struct kpid_buf *error)
{
    if (strpbrk(text, "?#"))
        return fail(error, "the Redis URL takes no ? or # (in a password write %3F, %23)");
    size_t len = strcspn(text, "/");
    const char *db = text[len] == '/' ? text + len + 1 : "";
    struct kpid_redis_place place = {0};
    if (!parse_db(db, strlen(db), url, error) || !take_login(&text, &len, url, error) ||
        !parse_host(text, len, 6379, &place, error))
        return false;
    url->host = place.host;
    url->port = place.port;
    return true;
}

/* What stands behind the hosts: /name[/db][?sentinel=[user]:password] */
static bool parse_sentinel_rest(const char *text, struct kpid_redis_url *url, struct kpid_buf *error)
{
    static const char login[] = "?sentinel=";
    size_t name_len = *text == '/' ? strcspn(text + 1, "/?") : 0;
    if (name_len == 0)
        return fail(error, "behind the sentinels of a Redis URL stands the name of the master: /NAME");
    url->name = decode(text + 1, name_len);
    if (!url->name)
        return fail(error, "the name of the master in the Redis URL has a broken % escape");
    text += 1 + name_len;
    if (*text == '/') {
        size_t db_len = strcspn(++text, "?");
        if (!parse_db(text, db_len, url, error))
            return false;
        text += db_len;
    }
    if (*text == '\0')
        return true;
    if (strncmp(text, login, sizeof(login) - 1) != 0)
        return fail(error, "behind the ? of a Redis URL stands sentinel=[user]:password");
    text += sizeof(login) - 1;
    return parse_login(text, strlen(text), &url->sentinel_user, &url->sentinel_password, error);
}

static bool parse_sentinel(const char *text, struct kpid_redis_url *url, struct kpid_buf *error)
{
    size_t len = strcspn(text, "/?");
    const char *rest = text + len;
    url->topology = KPID_REDIS_SENTINEL;
    return take_login(&text, &len, url, error) && parse_places(text, len, 26379, url, error) &&
           parse_sentinel_rest(rest, url, error);
}

static bool parse_cluster(const char *text, struct kpid_redis_url *url, struct kpid_buf *error)
{
    size_t len = strcspn(text, "/?#");
    if (text[len] != '\0' && strcmp(text + len, "/") != 0 && strcmp(text + len, "/0") != 0)
        return fail(error, "behind the nodes of a Redis Cluster's URL stands nothing: it has one database");
    url->topology = KPID_REDIS_CLUSTER;
    return take_login(&text, &len, url, error) && parse_places(text, len, 6379, url, error);
}

static bool parse_unix(const char *text, struct kpid_redis_url *url, struct kpid_buf *error)
{
    if (strncmp(text, "//", 2) == 0)
        text += 2;
    if (text[0] != '/')
        return fail(error, "a Redis socket is written unix:/absolute/path");
    if (!(url->path = decode(text, strlen(text))))
        return fail(error, "the path of the Redis URL has a broken % escape");
    if (strlen(url->path) > 107)
        return fail(error, "the path of the Redis socket is longer than 107 bytes");
    return true;
}

bool kpid_redis_url_parse(const char *text, struct kpid_redis_url *ret, struct kpid_buf *error)
{
    struct kpid_redis_url url = {0};
    bool ok;
    if (strncmp(text, "redis://", 8) == 0)
        ok = parse_tcp(text + 8, &url, error);
    else if (strncmp(text, "unix:", 5) == 0)
        ok = parse_unix(text + 5, &url, error);
    else if (strncmp(text, "redis+sentinel://", 17) == 0)
        ok = parse_sentinel(text + 17, &url, error);
    else if (strncmp(text, "redis+cluster://", 16) == 0)
        ok = parse_cluster(text + 16, &url, error);
    else if (strncmp(text, "rediss:", 7) == 0)
        ok = fail(error, "rediss:// (TLS) is not built in: use a unix socket or a local TLS proxy");
    else
        ok = fail(error, "a Redis URL is redis://[user:password@]host:port[/db], unix:/path, "
                         "redis+sentinel://host:port,.../name or redis+cluster://host:port,...");
    if (ok)
        *ret = url;
    else
        kpid_redis_url_release(&url);
    return ok;
}

void kpid_redis_url_release(struct kpid_redis_url *url)
{
    free(url->path);
    free(url->host);
    free(url->user);
    free(url->password);
    for (size_t i = 0; i < url->n_places; i++)
        free(url->places[i].host);
    free(url->places);
    free(url->name);
    free(url->sentinel_user);
    free(url->sentinel_password);
    memset(url, 0, sizeof(*url));
}

/* Behind the last @, so that nothing shows of a password that should have been escaped. */
void kpid_redis_url_show(const char *url, struct kpid_buf *buf)
{
    const char *rest = strstr(url, "?sentinel="), *scheme = strstr(url, "://");
    size_t len = rest ? (size_t)(rest - url) : strlen(url);
    const char *at = memrchr(url, '@', len);
    if (at && scheme && scheme < at) {
        kpid_buf_add(buf, url, (size_t)(scheme + 3 - url));
        len -= (size_t)(at + 1 - url);
        url = at + 1;
    }
    kpid_buf_add(buf, url, len);
}
