/*
 * A real redis-server of a test's own, on a unix socket in a directory of its own; it dies with the test.
 * Waiting is always for a condition with a deadline, on the loop or by asking again.
 */
#ifndef KPID_TEST_REDIS_SERVER_H
#define KPID_TEST_REDIS_SERVER_H

#include <criterion/criterion.h>
#include <event2/event.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REDIS_DEADLINE_MS 20000
#define TEST_FUNCTION     static __attribute__((unused))

struct redis_server {
    pid_t pid;
    char dir[64], socket[96], url[112];
    redisContext *link; /* blocking, for the test's own questions */
};

TEST_FUNCTION int64_t test_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

TEST_FUNCTION void test_pause_ms(long ms)
{
    struct timespec pause = {0, ms * 1000000};
    nanosleep(&pause, NULL);
}

TEST_FUNCTION bool redis_server_exists(void)
{
    return system("command -v redis-server >/dev/null 2>&1") == 0;
}

#define SKIP_WITHOUT_REDIS()                                                                                 \
    do {                                                                                                     \
        if (!redis_server_exists())                                                                          \
            cr_skip_test("redis-server is not installed");                                                   \
    } while (0)

/* Connects the test's own link; waits for the first answer, which may be an error (NOAUTH, LOADING). */
TEST_FUNCTION void redis_server_link(struct redis_server *server)
{
    int64_t deadline = test_now_ms() + REDIS_DEADLINE_MS;
    struct timeval limit = {5, 0};
    for (;;) {
        redisContext *link = redisConnectUnixWithTimeout(server->socket, limit);
        if (link && !link->err) {
            redisReply *reply = redisCommand(link, "PING");
            if (reply) {
                freeReplyObject(reply);
                server->link = link;
                return;
            }
        }
        if (link)
            redisFree(link);
        cr_assert(test_now_ms() < deadline, "redis-server does not start");
        test_pause_ms(2);
    }
}

/* Starts it in the directory it has; `options` are words of its command line, NULL at the end, or NULL. */
TEST_FUNCTION void redis_server_run(struct redis_server *server, const char *const *options)
{
    const char *argv[64] = {"redis-server", "--port", "0", "--unixsocket", server->socket, "--dir",
                            server->dir,    "--save", "",  "--appendonly", "no",           "--loglevel",
                            "warning"};
    size_t n = 13;
    for (; options && *options; options++)
        argv[n++] = *options;
    server->pid = fork();
    cr_assert(server->pid >= 0);
    if (server->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    redis_server_link(server);
}

TEST_FUNCTION void redis_server_start(struct redis_server *server, const char *const *options)
{
    memset(server, 0, sizeof(*server));
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    strcpy(server->dir, "/tmp/kpid-redis-XXXXXX");
    cr_assert(mkdtemp(server->dir) != NULL);
    snprintf(server->socket, sizeof(server->socket), "%s/redis", server->dir);
    snprintf(server->url, sizeof(server->url), "unix:%s", server->socket);
    redis_server_run(server, options);
}

TEST_FUNCTION void redis_server_kill(struct redis_server *server)
{
    if (server->link)
        redisFree(server->link);
    server->link = NULL;
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}

TEST_FUNCTION void redis_server_stop(struct redis_server *server)
{
    char file[128];
    redis_server_kill(server);
    unlink(server->socket);
    snprintf(file, sizeof(file), "%s/dump.rdb", server->dir);
    unlink(file);
    rmdir(server->dir);
}

TEST_FUNCTION void redis_server_freeze(struct redis_server *server)
{
    int status;
    kill(server->pid, SIGSTOP);
    waitpid(server->pid, &status, WUNTRACED);
}

TEST_FUNCTION void redis_server_thaw(struct redis_server *server)
{
    kill(server->pid, SIGCONT);
}

/* Asks in hiredis' format. Free the reply with freeReplyObject. */
TEST_FUNCTION redisReply *redis_server_ask(struct redis_server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(server->link, format, args);
    va_end(args);
    cr_assert(reply != NULL, "redis-server does not answer: %s", format);
    return reply;
}

/* The same for an integer, or for a number as text; an error fails the test. */
#define redis_server_number(server, ...) redis_server_number_of(redis_server_ask((server), __VA_ARGS__))
TEST_FUNCTION long long redis_server_number_of(redisReply *reply)
{
    long long number = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                       : reply->str                       ? atoll(reply->str)
                                                          : -1;
    cr_assert(reply->type != REDIS_REPLY_ERROR, "%s", reply->str);
    freeReplyObject(reply);
    return number;
}

/* ---- the loop ---- */

static void test_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

/* Runs the loop until the expression holds; fails the test at the deadline. */
#define LOOP_UNTIL(base, expression)                                                                         \
    do {                                                                                                     \
        struct timeval wake_ms = {0, 5000};                                                                  \
        int64_t deadline_ms = test_now_ms() + REDIS_DEADLINE_MS;                                             \
        struct event *wake = event_new((base), -1, EV_PERSIST, test_wake, NULL);                             \
        event_add(wake, &wake_ms);                                                                           \
        while (!(expression)) {                                                                              \
            cr_assert(test_now_ms() < deadline_ms, "not reached: %s", #expression);                          \
            event_base_loop((base), EVLOOP_ONCE);                                                            \
        }                                                                                                    \
        event_free(wake);                                                                                    \
    } while (0)

#endif
