/* The HTTP server, with clients on plain sockets of the same loop. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "kpid/http.h"

#define CLIENTS 100 /* more than the server serves at once */

struct rig {
    struct event_base *base;
    struct kpid_http *http;
    int handled;
};

static int hello(void *ctx, struct kpid_buf *body, const char **ret_type)
{
    struct rig *rig = ctx;
    (void)ret_type;
    rig->handled++;
    kpid_buf_add_str(body, "hello\n");
    return 200;
}

static int metrics(void *ctx, struct kpid_buf *body, const char **ret_type)
{
    (void)ctx;
    *ret_type = "text/plain; version=0.0.4; charset=utf-8";
    for (int i = 0; i < 50000; i++)
        kpid_metric_sample(body, "kpid_events_total", i, "source", "orders", NULL);
    return 200;
}

static int not_ready(void *ctx, struct kpid_buf *body, const char **ret_type)
{
    (void)ctx;
    (void)body;
    (void)ret_type;
    return 503;
}

static void rig_open(struct rig *rig, const char *listen)
{
    struct kpid_buf error = KPID_BUF_INIT;
    rig->handled = 0;
    rig->base = event_base_new();
    rig->http = kpid_http_open(rig->base, listen, &error);
    cr_assert_not_null(rig->http, "%s", error.data);
    kpid_buf_release(&error);
    kpid_http_route(rig->http, "/hello", hello, rig);
    kpid_http_route(rig->http, "/metrics", metrics, rig);
    kpid_http_route(rig->http, "/readyz", not_ready, rig);
}

static void rig_close(struct rig *rig)
{
    kpid_http_close(rig->http);
    event_base_free(rig->base);
}

static int client_connect(const struct rig *rig, bool ipv6)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int port = kpid_http_port(rig->http), fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    cr_assert(port > 0 && fd >= 0);
    in4.sin_port = in6.sin6_port = htons((uint16_t)port);
    int result = ipv6 ? connect(fd, (struct sockaddr *)&in6, sizeof(in6))
                      : connect(fd, (struct sockaddr *)&in4, sizeof(in4));
    cr_assert_eq(result, 0, "%s", strerror(errno));
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void turn(const struct rig *rig)
{
    event_base_loop(rig->base, EVLOOP_NONBLOCK);
}

/* Reads what is there; true at the end of the connection. */
static bool client_read(int fd, struct kpid_buf *answer)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n > 0)
            kpid_buf_add(answer, bytes, (size_t)n);
        else
            return n == 0 || (errno != EAGAIN && errno != EINTR);
    }
}

/* Sends a request (closing unless it says otherwise) and turns the loop until the connection ends. */
static void client_ask(const struct rig *rig, bool ipv6, const char *request, size_t len,
                       struct kpid_buf *answer)
{
    int fd = client_connect(rig, ipv6);
    size_t sent = 0;
    bool ended = false;
    kpid_buf_clear(answer);
    kpid_buf_add_str(answer, "");
    for (int i = 0; i < 20000 && !ended; i++) {
        ssize_t n = sent < len ? send(fd, request + sent, len - sent, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        turn(rig);
        ended = client_read(fd, answer);
        if (!ended)
            usleep(50);
    }
    cr_expect(ended, "no end of: %.60s", request);
    close(fd);
}

static const char *body_of(const struct kpid_buf *answer)
{
    const char *end = strstr(answer->data, "\r\n\r\n");
    return end != NULL ? end + 4 : "(no body)";
}

#define REST "Host: x\r\nConnection: close\r\n\r\n"

Test(http, answers)
{
    static const struct {
        const char *request, *status, *header, *body;
    } rows[] = {
        {"GET /hello HTTP/1.1\r\n" REST, "HTTP/1.1 200", "Content-Type: text/plain; charset=utf-8\r\n",
         "hello\n"},
        {"GET /hello?a=b%20c HTTP/1.1\r\n" REST, "HTTP/1.1 200", "Content-Length: 6\r\n", "hello\n"},
        {"GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.0 200", "", "hello\n"},
        {"HEAD /hello HTTP/1.1\r\n" REST, "HTTP/1.1 200", "Content-Length: 6\r\n", ""},
        {"GET /readyz HTTP/1.1\r\n" REST, "HTTP/1.1 503", "Content-Length: 0\r\n", ""},
        {"GET / HTTP/1.1\r\n" REST, "HTTP/1.1 404", "", "no such page\n"},
        {"GET /hello/ HTTP/1.1\r\n" REST, "HTTP/1.1 404", "", "no such page\n"},
        {"GET /../etc/passwd HTTP/1.1\r\n" REST, "HTTP/1.1 404", "", "no such page\n"},
        {"POST /hello HTTP/1.1\r\nContent-Length: 2\r\n" REST "ab", "HTTP/1.1 405", "Allow: GET, HEAD\r\n",
         "only GET and HEAD\n"},
        {"DELETE /hello HTTP/1.1\r\n" REST, "HTTP/1.1 405", "Allow: GET, HEAD\r\n", "only GET and HEAD\n"},
        {"OPTIONS /hello HTTP/1.1\r\n" REST, "HTTP/1.1 405", "Allow: GET, HEAD\r\n", "only GET and HEAD\n"},
        {"BREW /hello HTTP/1.1\r\n" REST, "HTTP/1.1 ", "", NULL},
    };
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT;
    rig_open(&rig, "127.0.0.1:0");
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        client_ask(&rig, false, rows[i].request, strlen(rows[i].request), &answer);
        cr_expect(strncmp(answer.data, rows[i].status, strlen(rows[i].status)) == 0, "%zu: %s", i,
                  answer.data);
        cr_expect(strstr(answer.data, rows[i].header) != NULL, "%zu: %s", i, answer.data);
        if (rows[i].body != NULL)
            cr_expect_str_eq(body_of(&answer), rows[i].body, "%zu: %s", i, answer.data);
    }
    cr_expect_eq(rig.handled, 4);
    kpid_buf_release(&answer);
    rig_close(&rig);
}

Test(http, large_answer)
{
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT, body = KPID_BUF_INIT;
    const char *type = NULL, *request = "GET /metrics HTTP/1.1\r\n" REST;
    rig_open(&rig, "127.0.0.1:0");
    client_ask(&rig, false, request, strlen(request), &answer);
    metrics(NULL, &body, &type);
    cr_expect(body.len > 1000000 && strcmp(body_of(&answer), body.data) == 0, "%zu bytes", answer.len);
    cr_expect(strstr(answer.data, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") != NULL);
    kpid_buf_release(&answer);
    kpid_buf_release(&body);
    rig_close(&rig);
}

/* Headers and bodies beyond their bounds are refused and reach no handler. */
Test(http, too_large)
{
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT, request = KPID_BUF_INIT;
    rig_open(&rig, "127.0.0.1:0");
    kpid_buf_add_str(&request, "GET /hello HTTP/1.1\r\n");
    for (int i = 0; i < 1000; i++)
        kpid_buf_printf(&request, "X-Header-%d: aaaaaaaaaaaaaaaa\r\n", i);
    kpid_buf_add_str(&request, REST);
    client_ask(&rig, false, request.data, request.len, &answer);
    cr_expect(strstr(answer.data, " 200 ") == NULL, "%s", answer.data);

    const char *post = "POST /hello HTTP/1.1\r\nContent-Length: 1000000\r\n" REST;
    client_ask(&rig, false, post, strlen(post), &answer);
    cr_expect(strstr(answer.data, " 413 ") != NULL, "%s", answer.data);
    cr_expect_eq(rig.handled, 0);
    kpid_buf_release(&answer);
    kpid_buf_release(&request);
    rig_close(&rig);
}

/* Two requests on one connection. */
Test(http, keep_alive)
{
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT;
    const char *request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\n" REST;
    rig_open(&rig, "127.0.0.1:0");
    client_ask(&rig, false, request, strlen(request), &answer);
    cr_expect_eq(rig.handled, 2, "%s", answer.data);
    kpid_buf_release(&answer);
    rig_close(&rig);
}

/* Silent clients fill all places; those behind them wait, and are served once the silent ones have left. */
Test(http, at_most_so_many)
{
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT;
    int fds[CLIENTS];
    const char *request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    rig_open(&rig, "127.0.0.1:0");
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = client_connect(&rig, false);
        turn(&rig);
    }
    for (int i = 0; i < CLIENTS; i++)
        cr_assert(send(fds[i], request, strlen(request), MSG_NOSIGNAL) > 0);
    for (int i = 0; i < 500; i++)
        turn(&rig);
    cr_expect_eq(rig.handled, 64);
    for (int i = 0; i < 64; i++)
        close(fds[i]);
    for (int i = 0; i < 5000 && rig.handled < CLIENTS; i++) { /* the server looks every 100 ms */
        turn(&rig);
        usleep(1000);
    }
    cr_expect_eq(rig.handled, CLIENTS);
    for (int i = 64; i < CLIENTS; i++)
        close(fds[i]);
    for (int i = 0; i < 3; i++) /* and all places are free again */
        client_ask(&rig, false, "GET /hello HTTP/1.1\r\n" REST, strlen("GET /hello HTTP/1.1\r\n" REST),
                   &answer);
    cr_expect_eq(rig.handled, CLIENTS + 3);
    kpid_buf_release(&answer);
    rig_close(&rig);
}

/* Places come back whatever way a connection ends: answered, cut in the middle of a request, never used. */
Test(http, many_one_after_another)
{
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT;
    const char *request = "GET /hello HTTP/1.1\r\n" REST;
    rig_open(&rig, "127.0.0.1:0");
    for (int i = 0; i < 300; i++) {
        client_ask(&rig, false, request, strlen(request), &answer);
        int fd = client_connect(&rig, false);
        if (i % 2 == 0)
            cr_assert(send(fd, request, 10, MSG_NOSIGNAL) == 10);
        turn(&rig);
        close(fd);
    }
    cr_expect_eq(rig.handled, 300);
    kpid_buf_release(&answer);
    rig_close(&rig);
}

static void note(evutil_socket_t fd, short events, void *ctx)
{
    char byte;
    (void)events;
    *(int *)ctx += (int)read(fd, &byte, 1);
}

/* Descriptors that come after a connection's end may have its number: nothing of it may be left in the loop, or they
 * are never heard. */
Test(http, leaves_its_descriptors_to_others)
{
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT;
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int ends[8], heard[8] = {0};
    struct event *events[8];
    rig_open(&rig, "127.0.0.1:0");
    client_ask(&rig, false, request, sizeof(request) - 1, &answer);
    for (int i = 0; i < 8; i += 2)
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, &ends[i]), 0);
    for (int i = 0; i < 8; i++) {
        events[i] = event_new(rig.base, ends[i], EV_READ | EV_PERSIST, note, &heard[i]);
        cr_assert_eq(event_add(events[i], NULL), 0);
        cr_assert_eq(write(ends[i ^ 1], "x", 1), 1);
    }
    turn(&rig);
    for (int i = 0; i < 8; i++) {
        cr_expect_eq(heard[i], 1, "descriptor %d", ends[i]);
        event_free(events[i]);
        close(ends[i]);
    }
    kpid_buf_release(&answer);
    rig_close(&rig);
}

static int descriptors_open(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

/* And they are given back soon, without another connection. */
Test(http, gives_its_descriptors_back)
{
    struct rig rig;
    struct kpid_buf answer = KPID_BUF_INIT;
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    rig_open(&rig, "127.0.0.1:0");
    int before = descriptors_open();
    client_ask(&rig, false, request, sizeof(request) - 1, &answer);
    for (int i = 0; i < 20000 && descriptors_open() > before; i++) {
        turn(&rig);
        usleep(50);
    }
    cr_expect_eq(descriptors_open(), before);
    kpid_buf_release(&answer);
    rig_close(&rig);
}

Test(http, closed_with_clients)
{
    struct rig rig;
    rig_open(&rig, "127.0.0.1:0");
    int fd = client_connect(&rig, false);
    for (int i = 0; i < 10; i++)
        turn(&rig);
    kpid_http_close(rig.http);
    turn(&rig);
    char byte;
    cr_expect_eq(read(fd, &byte, 1), 0, "the connection has ended");
    event_base_free(rig.base);
    close(fd);
    kpid_http_close(NULL);
}

Test(http, ipv6)
{
    struct event_base *base = event_base_new();
    struct kpid_buf answer = KPID_BUF_INIT;
    struct kpid_http *probe = kpid_http_open(base, "[::1]:0", &answer);
    if (probe == NULL)
        cr_skip("no IPv6 here: %s", answer.data);
    kpid_http_close(probe);
    event_base_free(base);
    struct rig rig;
    rig_open(&rig, "[::1]:0");
    client_ask(&rig, true, "GET /hello HTTP/1.1\r\n" REST, strlen("GET /hello HTTP/1.1\r\n" REST), &answer);
    cr_expect_str_eq(body_of(&answer), "hello\n");
    kpid_buf_release(&answer);
    rig_close(&rig);
}

Test(http, listen_faults)
{
    static const char *const rows[] = {
        "",         "127.0.0.1",     "127.0.0.1:",      ":9464", "::1", "[::1]", "localhost:1",
        "1.2.3:90", "127.0.0.1:abc", "127.0.0.1:70000", "[::1:9"};
    struct event_base *base = event_base_new();
    struct kpid_buf error = KPID_BUF_INIT;
    char listen[32];
    for (size_t i = 0; i < KPID_COUNT_OF(rows); i++) {
        kpid_buf_clear(&error);
        cr_expect_null(kpid_http_open(base, rows[i], &error), "%s", rows[i]);
        cr_expect(error.len > 0 && strstr(error.data, rows[i]) != NULL, "%s", rows[i]);
    }
    struct kpid_http *http = kpid_http_open(base, "127.0.0.1:0", &error);
    cr_assert_not_null(http);
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", kpid_http_port(http));
    kpid_buf_clear(&error);
    cr_expect_null(kpid_http_open(base, listen, &error), "the port is taken");
    cr_expect(strstr(error.data, "Address already in use") != NULL, "%s", error.data);
    kpid_http_close(http);
    kpid_buf_release(&error);
    event_base_free(base);
}
