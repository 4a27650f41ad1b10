/*
 * The HTTP server, see kpid/http.h. evhttp parses and answers; here are routes and bounds. evhttp of
 * libevent 2.1 neither limits connections nor says when one ends. So we make each connection's bufferevent
 * and keep a reference: evhttp takes its callbacks off when it is done with one, and that place is then free.
 * Ended ones are looked for every SWEEP_MS while there are any. With no place left the listener pauses until
 * then, and who comes next waits in the kernel's backlog.
 *
 * It is the bufferevent that closes the socket, when the last reference goes. evhttp would at once, with the
 * socket still in the loop: who gets the same descriptor next, before we let go, would never be heard.
 */
#include "kpid/http.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#define HTTP_MAGIC      0x68747470u
#define CONNECTIONS_MAX 64
#define ROUTES_MAX      16
#define HEADERS_MAX     8192
#define BODY_MAX        1024 /* of requests; GET and HEAD need none */
#define TIMEOUT_S       10   /* without a byte read or written */
#define BACKLOG         64
#define SWEEP_MS        100

#define METHODS_ANSWERED                                                                                     \
    (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |               \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

struct route {
    char *path;
    kpid_http_handler *handler;
    void *ctx;
};

struct kpid_http {
    unsigned magic;
    struct evhttp *server;
    struct evconnlistener *listener; /* owned by evhttp */
    struct event *sweep;
    struct bufferevent *places[CONNECTIONS_MAX]; /* NULL: free */
    struct route routes[ROUTES_MAX];
    size_t n_routes;
    struct kpid_buf body; /* kept between requests */
};

/* Frees the places whose connection has ended; returns how many are taken. *ret: one that is free, or NULL. */
static size_t places_tidy(struct kpid_http *http, struct bufferevent ***ret)
{
    size_t taken = 0;
    *ret = NULL;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        bufferevent_event_cb on_event = NULL;
        if (http->places[i] != NULL) {
            bufferevent_getcb(http->places[i], NULL, NULL, &on_event, NULL);
            if (on_event == NULL) {
                bufferevent_decref(http->places[i]);
                http->places[i] = NULL;
            }
        }
        if (http->places[i] == NULL)
            *ret = &http->places[i];
        else
            taken++;
    }
    return taken;
}

static void places_sweep(evutil_socket_t fd, short events, void *ctx)
{
    struct kpid_http *http = ctx;
    (void)fd;
    (void)events;
    assert(http->magic == HTTP_MAGIC);
    struct bufferevent **free_place;
    if (places_tidy(http, &free_place) == 0)
        event_del(http->sweep);
    if (free_place != NULL)
        evconnlistener_enable(http->listener);
}

/* Called by evhttp for a connection that it has just accepted. */
static struct bufferevent *connection_make(struct event_base *base, void *ctx)
{
    static const struct timeval period = {.tv_usec = SWEEP_MS * 1000};
    struct kpid_http *http = ctx;
    assert(http->magic == HTTP_MAGIC);
    struct bufferevent *connection = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), **place;
    size_t taken = places_tidy(http, &place);
    if (connection == NULL || place == NULL)
        return connection; /* a full house has paused the listener: not reached */
    /* evhttp sets its callbacks right after this call, so nobody sees the place as free before. */
    bufferevent_incref(connection);
    *place = connection;
    if (taken + 1 == CONNECTIONS_MAX)
        evconnlistener_disable(http->listener);
    if (!event_pending(http->sweep, EV_TIMEOUT, NULL))
        event_add(http->sweep, &period);
    return connection;
}

static const struct route *route_find(const struct kpid_http *http, const char *path)
{
    for (size_t i = 0; i < http->n_routes; i++)
        if (strcmp(http->routes[i].path, path) == 0)
            return &http->routes[i];
    return NULL;
}

static int body_fill(struct kpid_http *http, struct evhttp_request *request, const char **ret_type)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
        kpid_buf_add_str(&http->body, "only GET and HEAD\n");
        return 405;
    }
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    const struct route *route = path != NULL ? route_find(http, path) : NULL;
    if (route == NULL) {
        kpid_buf_add_str(&http->body, "no such page\n");
        return 404;
    }
    return route->handler(route->ctx, &http->body, ret_type);
}

static void request_answer(struct evhttp_request *request, void *ctx)
{
    struct kpid_http *http = ctx;
    assert(http->magic == HTTP_MAGIC);
    const char *type = "text/plain; charset=utf-8";
    kpid_buf_clear(&http->body);
    int code = body_fill(http, request, &type);

    char length[24];
    snprintf(length, sizeof(length), "%zu", http->body.len);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Content-Length", length); /* HEAD says it too */
    struct evbuffer *reply = evbuffer_new();
    if (reply != NULL && evhttp_request_get_command(request) != EVHTTP_REQ_HEAD && http->body.len > 0)
        evbuffer_add(reply, http->body.data, http->body.len);
    evhttp_send_reply(request, code, NULL, reply);
    if (reply != NULL)
        evbuffer_free(reply);
}

/* "127.0.0.1:9464" or "[::1]:0": a numeric address and always a port, which may be 0: any free one. */
static bool listen_parse(const char *listen, struct sockaddr_storage *ret, int *ret_len)
{
    char host[64];
    const char *colon = strrchr(listen, ':');
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
    if (len == 0 || len >= sizeof(host) || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || colon[1] == '\0')
        return false;
    long port = strtol(colon + 1, NULL, 10);
    if (port > UINT16_MAX)
        return false;
    memset(ret, 0, sizeof(*ret));
    struct sockaddr_in *in4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    bool bracketed = listen[0] == '[' && colon[-1] == ']';
    memcpy(host, listen, len);
    host[len - bracketed] = '\0';
    if (bracketed) {
        *ret_len = (int)sizeof(*in6);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        return evutil_inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1;
    }
    *ret_len = (int)sizeof(*in4);
    in4->sin_family = AF_INET;
    in4->sin_port = htons((uint16_t)port);
    return evutil_inet_pton(AF_INET, host, &in4->sin_addr) == 1;
}

static struct evconnlistener *listener_open(struct event_base *base, const char *listen,
                                            struct kpid_buf *error)
{
    struct sockaddr_storage address;
    int len;
    if (!listen_parse(listen, &address, &len)) {
        kpid_buf_printf(error, "http listen \"%s\": not <IPv4 address>:<port> or [<IPv6 address>]:<port>",
                        listen);
        return NULL;
    }
    struct evconnlistener *listener = evconnlistener_new_bind(
        base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
        (struct sockaddr *)&address, len);
    if (listener == NULL)
        kpid_buf_printf(error, "http listen %s: %s", listen, strerror(errno));
    return listener;
}

struct kpid_http *kpid_http_open(struct event_base *base, const char *listen, struct kpid_buf *error)
{
    struct evconnlistener *listener = listener_open(base, listen, error);
    if (listener == NULL)
        return NULL;
    struct kpid_http *http = kpid_zalloc(1, sizeof(*http));
    struct event *sweep = event_new(base, -1, EV_PERSIST, places_sweep, http);
    struct evhttp *server = evhttp_new(base);
    if (sweep == NULL || server == NULL || evhttp_bind_listener(server, listener) == NULL) {
        kpid_buf_printf(error, "http listen %s: no memory", listen);
        if (server != NULL)
            evhttp_free(server);
        if (sweep != NULL)
            event_free(sweep);
        evconnlistener_free(listener);
        free(http);
        return NULL;
    }
    http->magic = HTTP_MAGIC;
    http->server = server;
    http->listener = listener;
    http->sweep = sweep;
    evhttp_set_bevcb(server, connection_make, http);
    evhttp_set_gencb(server, request_answer, http);
    evhttp_set_allowed_methods(server, METHODS_ANSWERED);
    evhttp_set_max_headers_size(server, HEADERS_MAX);
    evhttp_set_max_body_size(server, BODY_MAX);
    evhttp_set_timeout(server, TIMEOUT_S);
    return http;
}

void kpid_http_close(struct kpid_http *http)
{
    if (http == NULL)
        return;
    assert(http->magic == HTTP_MAGIC);
    evhttp_free(http->server);
    event_free(http->sweep);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (http->places[i] != NULL)
            bufferevent_decref(http->places[i]);
    for (size_t i = 0; i < http->n_routes; i++)
        free(http->routes[i].path);
    kpid_buf_release(&http->body);
    http->magic = 0;
    free(http);
}

void kpid_http_route(struct kpid_http *http, const char *path, kpid_http_handler *handler, void *ctx)
{
    assert(http->magic == HTTP_MAGIC && http->n_routes < ROUTES_MAX);
    http->routes[http->n_routes++] = (struct route){kpid_strdup(path), handler, ctx};
}

int kpid_http_port(const struct kpid_http *http)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    assert(http->magic == HTTP_MAGIC);
    if (getsockname(evconnlistener_get_fd(http->listener), (struct sockaddr *)&address, &len) != 0)
        return -1;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}
