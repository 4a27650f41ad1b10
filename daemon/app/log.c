#include "daemon.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static int64_t now_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t kpid_now_wall(void)
{
    return now_of(CLOCK_REALTIME);
}

int64_t kpid_now_mono(void)
{
    return now_of(CLOCK_MONOTONIC);
}

static void put(const struct daemon *d, enum kpid_log_level level, const char *format, va_list args)
{
    char text[2048];

    if ((int)level > d->log_level)
        return;
    vsnprintf(text, sizeof(text), format, args);
    /* The journal takes the level from the prefix (sd-daemon(3)); one write a line, so lines never mix. */
    fprintf(stderr, "<%d>%s\n", (int)level, text);
}

void kpid_log(const struct daemon *d, enum kpid_log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put(d, level, format, args);
    va_end(args);
}

void kpid_complain(struct daemon *d, struct kpid_complaint *complaint, const char *format, ...)
{
    int64_t now = kpid_now_mono();
    va_list args;

    complaint->times++;
    if (complaint->times > 1 && now < complaint->next_ms)
        return;
    complaint->interval_ms = complaint->interval_ms ? complaint->interval_ms * 2 : 1000;
    if (complaint->interval_ms > 300000)
        complaint->interval_ms = 300000;
    complaint->next_ms = now + complaint->interval_ms;
    va_start(args, format);
    put(d, KPID_LOG_WARNING, format, args);
    va_end(args);
}

void kpid_complain_over(struct daemon *d, struct kpid_complaint *complaint, const char *text)
{
    if (complaint->times)
        kpid_log(d, KPID_LOG_NOTICE, "%s (complaints before: %llu)", text, (unsigned long long)complaint->times);
    *complaint = (struct kpid_complaint){ 0 };
}
