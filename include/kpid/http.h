/*
 * A small HTTP/1.1 server on the loop (libevent's evhttp): GET and HEAD of registered paths, loopback by default,
 * bounded connections, request sizes and times. It knows nothing of figures: handlers append to a buffer.
 */
#ifndef KPID_HTTP_H
#define KPID_HTTP_H

#include "kpid/buf.h"

struct event_base;
struct kpid_http;

/* Returns the status code (200, 503 …); appends the body; *ret_type defaults to "text/plain; charset=utf-8". */
typedef int kpid_http_handler(void *ctx, struct kpid_buf *body, const char **ret_type);

/* listen: "127.0.0.1:9464", "[::1]:0". NULL: `error` says why. */
struct kpid_http *kpid_http_open(struct event_base *base, const char *listen, struct kpid_buf *error) KPID_MUST_CHECK;
void kpid_http_close(struct kpid_http *http);
void kpid_http_route(struct kpid_http *http, const char *path, kpid_http_handler *handler, void *ctx);
int kpid_http_port(const struct kpid_http *http);

/* Prometheus text format 0.0.4. A family is begun once, its samples follow. Label values are escaped here; labels come
 * as name, value pairs ended by NULL. */
void kpid_metric_family(struct kpid_buf *body, const char *name, const char *type, const char *help);
void kpid_metric_sample(struct kpid_buf *body, const char *name, double value, ...) __attribute__((sentinel));

#endif
