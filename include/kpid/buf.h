/* A growable byte buffer. Owns its bytes. Growth doubles; out of memory aborts the process with a message, so no
 * call fails. `len` bytes are used; data[len] is always a NUL that is not counted once anything was appended. */
#ifndef KPID_BUF_H
#define KPID_BUF_H

#include "kpid/macros.h"

struct kpid_buf {
    char *data;
    size_t len, cap;
};

#define KPID_BUF_INIT { NULL, 0, 0 }

void kpid_buf_release(struct kpid_buf *buf); /* frees the bytes; the struct is empty and usable again */
void kpid_buf_clear(struct kpid_buf *buf);   /* len = 0, keeps the bytes */
void kpid_buf_reserve(struct kpid_buf *buf, size_t more); /* room for `more` bytes and a NUL */
void kpid_buf_add(struct kpid_buf *buf, const void *bytes, size_t len); /* copies */
void kpid_buf_add_str(struct kpid_buf *buf, const char *text);
void kpid_buf_add_char(struct kpid_buf *buf, char c);
void kpid_buf_printf(struct kpid_buf *buf, const char *format, ...) KPID_PRINTF(2, 3);
/* Appends a JSON string with quotes, escaped after RFC 8259; bytes that are not UTF-8 become U+FFFD. */
void kpid_buf_add_json(struct kpid_buf *buf, const char *text, size_t len);
/* Takes the bytes out (returns, owned, free with free()); the buffer is empty again. ret_len may be NULL. */
char *kpid_buf_detach(struct kpid_buf *buf, size_t *ret_len);

/* malloc, realloc, calloc, strndup that abort with a message when there is no memory. */
void *kpid_alloc(size_t size);
void *kpid_zalloc(size_t count, size_t size);
void *kpid_realloc(void *old, size_t size);
char *kpid_strndup(const char *text, size_t len);
char *kpid_strdup(const char *text);

#endif
