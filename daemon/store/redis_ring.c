#include "redis_internal.h"

#include <assert.h>
#include <stdlib.h>

void kpid_redis_ring_push(struct kpid_redis_ring *ring, struct kpid_redis_call call)
{
    if (ring->n == ring->cap) {
        size_t cap = ring->cap ? ring->cap * 2 : 64;
        struct kpid_redis_call *calls = kpid_alloc(cap * sizeof(*calls));
        for (size_t i = 0; i < ring->n; i++)
            calls[i] = ring->calls[(ring->head + i) & (ring->cap - 1)];
        free(ring->calls);
        ring->calls = calls;
        ring->head = 0;
        ring->cap = cap;
    }
    ring->calls[(ring->head + ring->n++) & (ring->cap - 1)] = call;
}

struct kpid_redis_call kpid_redis_ring_pop(struct kpid_redis_ring *ring)
{
    assert(ring->n > 0);
    struct kpid_redis_call call = ring->calls[ring->head];
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->n--;
    return call;
}
