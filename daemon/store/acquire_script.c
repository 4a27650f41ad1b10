/*
 * Takes a shard's header over.
 *   KEYS  header, manifest, orphans
 *   ARGV  nonce and seq that were read ('' when missing), new nonce, new seq, format
 *   ->    {'refused'}           somebody wrote meanwhile
 *         {'ok', meta, pages, reset}   taken; pages: how many the manifest must have; reset: what a person
 *                                      asked for meanwhile, '' nothing. It stays until the next commit.
 * Without a header a manifest means nothing: its pages become orphans.
 */
#include "scripts.h"

const char KPID_SCRIPT_ACQUIRE[] =
    "local found = redis.call('HMGET', KEYS[1], 'nonce', 'seq')\n"
    "if (found[1] or '') ~= ARGV[1] or (found[2] or '') ~= ARGV[2] then return {'refused'} end\n"
    "if redis.call('EXISTS', KEYS[1]) == 0 then\n"
    "  for _, entry in ipairs(redis.call('HVALS', KEYS[2])) do\n"
    "    redis.call('SADD', KEYS[3], string.match(entry, '^%S*'))\n"
    "  end\n"
    "  redis.call('UNLINK', KEYS[2])\n"
    "  redis.call('HSET', KEYS[1], 'format', ARGV[5], 'meta', '', 'pages', '0')\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'nonce', ARGV[3], 'seq', ARGV[4])\n"
    "local rest = redis.call('HMGET', KEYS[1], 'meta', 'pages', 'reset')\n"
    "return {'ok', rest[1] or '', rest[2] or '', rest[3] or ''}\n";
