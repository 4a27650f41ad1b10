/* Asks for a reset of a shard, see kpid/store.h. */
#include "kpid/store.h"

const char kpid_store_reset_script[] =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
    "redis.call('HINCRBY', KEYS[1], 'seq', 1)\n"
    "redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'reset', ARGV[2])\n"
    "return 1\n";
