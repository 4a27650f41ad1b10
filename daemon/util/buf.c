/* The growable byte buffer and the allocators that abort, see kpid/buf.h. */
#include "kpid/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 64

static void *alloc_checked(void *bytes, size_t size)
{
    if (bytes == NULL) {
        fprintf(stderr, "kpid: out of memory (%zu bytes)\n", size);
        abort();
    }
    return bytes;
}

void *kpid_alloc(size_t size)
{
    return alloc_checked(malloc(size > 0 ? size : 1), size);
}

void *kpid_zalloc(size_t count, size_t size)
{
    return alloc_checked(calloc(count > 0 ? count : 1, size > 0 ? size : 1), size);
}

void *kpid_realloc(void *old, size_t size)
{
    return alloc_checked(realloc(old, size > 0 ? size : 1), size);
}

char *kpid_strndup(const char *text, size_t len)
{
    char *copy = kpid_alloc(len + 1);
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *kpid_strdup(const char *text)
{
    return kpid_strndup(text, strlen(text));
}

void kpid_buf_release(struct kpid_buf *buf)
{
    free(buf->data);
    *buf = (struct kpid_buf)KPID_BUF_INIT;
}

void kpid_buf_clear(struct kpid_buf *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void kpid_buf_reserve(struct kpid_buf *buf, size_t more)
{
    assert(more < SIZE_MAX / 2 - buf->len);
    size_t need = buf->len + more + 1;
    if (need <= buf->cap)
        return;
    size_t cap = buf->cap > 0 ? buf->cap : BUF_FIRST;
    while (cap < need)
        cap *= 2;
    buf->data = kpid_realloc(buf->data, cap);
    buf->cap = cap;
}

void kpid_buf_add(struct kpid_buf *buf, const void *bytes, size_t len)
{
    kpid_buf_reserve(buf, len);
    if (len > 0)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void kpid_buf_add_str(struct kpid_buf *buf, const char *text)
{
    kpid_buf_add(buf, text, strlen(text));
}

void kpid_buf_add_char(struct kpid_buf *buf, char c)
{
    kpid_buf_add(buf, &c, 1);
}

void kpid_buf_printf(struct kpid_buf *buf, const char *format, ...)
{
    va_list args;
    kpid_buf_reserve(buf, BUF_FIRST);
    size_t room = buf->cap - buf->len;
    va_start(args, format);
    int n = vsnprintf(buf->data + buf->len, room, format, args);
    va_end(args);
    assert(n >= 0);
    if ((size_t)n >= room) {
        kpid_buf_reserve(buf, (size_t)n);
        va_start(args, format);
        n = vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
        va_end(args);
        assert(n >= 0);
    }
    buf->len += (size_t)n;
}

char *kpid_buf_detach(struct kpid_buf *buf, size_t *ret_len)
{
    kpid_buf_reserve(buf, 0);
    buf->data[buf->len] = '\0';
    char *bytes = buf->data;
    if (ret_len)
        *ret_len = buf->len;
    *buf = (struct kpid_buf)KPID_BUF_INIT;
    return bytes;
}
