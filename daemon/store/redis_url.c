#define _GNU_SOURCE /* memrchr */
#include "redis_url.h"

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

static bool parse_login(const char *text, size_t len, struct kpid_redis_url *url, struct kpid_buf *error)
{
    const char *colon = memchr(text, ':', len);
    if (!colon)
        return fail(error, "before the @ of a Redis URL stands user:password (or :password alone)");
    size_t user_len = (size_t)(colon - text);
    if (user_len > 0 && !(url->user = decode(text, user_len)))
        return fail(error, "the user of the Redis URL has a broken % escape");
    if (!(url->password = decode(colon + 1, len - user_len - 1)))
        return fail(error, "the password of the Redis URL has a broken % escape");
    if (url->password[0] == '\0')
        return fail(error, "the password of the Redis URL is empty");
    return true;
}

static bool parse_host(const char *text, size_t len, struct kpid_redis_url *url, struct kpid_buf *error)
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
    url->port = 6379;
    if (after < end &&
        (*after != ':' || !parse_number(after + 1, (size_t)(end - after - 1), 65535, &url->port) ||
         url->port == 0))
        return fail(error, "the port of the Redis URL is not a number from 1 to 65535");
    url->host = decode(host, host_len);
    return url->host != NULL || fail(error, "the host of the Redis URL has a broken % escape");
}

static bool parse_tcp(const char *text, struct kpid_redis_url *url, struct kpid_buf *error)
{
    if (strpbrk(text, "?#"))
        return fail(error, "the Redis URL takes no ? or # (in a password write %3F, %23)");
    size_t len = strcspn(text, "/");
    const char *db = text[len] == '/' ? text + len + 1 : "";
    if (*db != '\0' && !parse_number(db, strlen(db), 65535, &url->db))
        return fail(error, "the database of the Redis URL is not a number");
    const char *at = memrchr(text, '@', len);
    if (at) {
        if (!parse_login(text, (size_t)(at - text), url, error))
            return false;
        len -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    return parse_host(text, len, url, error);
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
    else if (strncmp(text, "rediss:", 7) == 0)
        ok = fail(error, "rediss:// (TLS) is not built in: use a unix socket or a local TLS proxy");
    else
        ok = fail(error, "a Redis URL is redis://[user:password@]host:port[/db] or unix:/path");
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
    memset(url, 0, sizeof(*url));
}
